// What this host's KVM says of itself.
#include <errno.h>
#include <fcntl.h>

#include "kvm/guest.h"

namespace guestproof::kvm {
namespace {

TEST(HostKvm, HasTheOneApiVersionThereIs) {
  const auto kvm = value_of(Kvm::open());
  EXPECT_EQ(value_of(kvm.api_version()), KVM_API_VERSION);
}

TEST(HostKvm, MapsARunPageForEveryVcpu) {
  const auto kvm = value_of(Kvm::open());
  EXPECT_GE(value_of(kvm.vcpu_mmap_size()), sizeof(kvm_run));
}

TEST(HostKvm, HasMemoryInUserSpaceAndSaysSoByNameAndByNumber) {
  const auto kvm = value_of(Kvm::open());
  EXPECT_GT(value_of(kvm.check_extension(Capability::kUserMemory)), 0);
  EXPECT_GT(value_of(kvm.check_extension(KVM_CAP_USER_MEMORY)), 0);
  EXPECT_EQ(value_of(kvm.check_extension(0x7fffffff)), 0);
}

TEST(HostKvm, LimitsAreInOrder) {
  const auto kvm = value_of(Kvm::open());
  EXPECT_GE(value_of(kvm.recommended_vcpus()), 1U);
  EXPECT_GE(value_of(kvm.max_vcpus()), value_of(kvm.recommended_vcpus()));
  EXPECT_GE(value_of(kvm.max_vcpu_id()), value_of(kvm.max_vcpus()));
  EXPECT_GE(value_of(kvm.max_memory_slots()), 32U);
}

TEST(HostKvm, ADescriptorThatSomebodyElseOpenedIsTakenOver) {
  const int raw = ::open(Kvm::kPath, O_RDWR | O_CLOEXEC);
  ASSERT_GE(raw, 0);
  const auto kvm = value_of(Kvm::adopt(Fd(raw)));
  EXPECT_EQ(kvm.fd(), raw);
  EXPECT_OK(kvm.create_vm());
}

TEST(HostKvm, AnotherFileIsNotTakenForIt) {
  const auto kvm = Kvm::open("/dev/null");
  EXPECT_TRUE(refused(kvm, Ioctl::kGetApiVersion, ENOTTY));
}

#if !defined(__riscv)  // where KVM does not look at the kind
TEST(HostKvm, AMachineOfAKindThatThereIsNotIsRefused) {
  const auto kvm = value_of(Kvm::open());
  EXPECT_TRUE(refused(kvm.create_vm(~std::uint64_t{0}), Ioctl::kCreateVm, EINVAL));
}
#endif

#if defined(__x86_64__)
TEST(HostKvm, ListsTheCpuidLeavesThatItSupports) {
  const auto kvm = value_of(Kvm::open());
  const auto cpuid = value_of(kvm.supported_cpuid());
  const auto leaf0 = std::ranges::find(cpuid.entries(), 0U, &kvm_cpuid_entry2::function);
  ASSERT_NE(leaf0, cpuid.entries().end());
  EXPECT_GE(leaf0->eax, 1U);
}

TEST(HostKvm, ListsTheCpuidLeavesThatItEmulates) {
  const auto kvm = value_of(Kvm::open());
  GUESTPROOF_REQUIRE(value_of(kvm.check_extension(Capability::kExtEmulCpuid)) > 0,
                     "KVM_CAP_EXT_EMUL_CPUID");
  EXPECT_GT(value_of(kvm.emulated_cpuid()).size(), 0U);
}

TEST(HostKvm, ListsTheHypervLeaves) {
  const auto kvm = value_of(Kvm::open());
  GUESTPROOF_REQUIRE(value_of(kvm.check_extension(Capability::kSysHypervCpuid)) > 0,
                     "KVM_CAP_SYS_HYPERV_CPUID");
  const auto cpuid = value_of(kvm.supported_hyperv_cpuid());
  EXPECT_NE(std::ranges::find(cpuid.entries(), 0x40000000U, &kvm_cpuid_entry2::function),
            cpuid.entries().end());
}

TEST(HostKvm, ListsTheMsrsThatMakeUpAGuestsState) {
  const auto kvm = value_of(Kvm::open());
  const auto list = value_of(kvm.msr_index_list());
  const std::uint32_t ia32_tsc = 0x10;
  EXPECT_NE(std::ranges::find(list.entries(), ia32_tsc), list.entries().end());
}

TEST(HostKvm, FeatureMsrsHaveValues) {
  const auto kvm = value_of(Kvm::open());
  GUESTPROOF_REQUIRE(value_of(kvm.check_extension(Capability::kGetMsrFeatures)) > 0,
                     "KVM_CAP_GET_MSR_FEATURES");
  const auto list = value_of(kvm.msr_feature_index_list());
  ASSERT_GT(list.size(), 0U);
  auto msrs = value_of(Msrs::zeroed(list.size()));
  for (std::size_t i = 0; i < list.size(); ++i) msrs.entries()[i].index = list.entries()[i];
  EXPECT_OK(kvm.get_feature_msrs(msrs));
}

TEST(HostKvm, AFeatureMsrThatThereIsNotIsNamed) {
  const auto kvm = value_of(Kvm::open());
  GUESTPROOF_REQUIRE(value_of(kvm.check_extension(Capability::kGetMsrFeatures)) > 0,
                     "KVM_CAP_GET_MSR_FEATURES");
  auto msrs = value_of(Msrs::zeroed(1));
  msrs.entries()[0].index = 0xdeadbeef;
  const auto done = kvm.get_feature_msrs(msrs);
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error(), Error(CallError::kMsrRefused, 0xdeadbeef, 0));
}

TEST(HostKvm, OffersBanksOfMachineChecks) {
  const auto kvm = value_of(Kvm::open());
  GUESTPROOF_REQUIRE(value_of(kvm.check_extension(Capability::kMce)) > 0, "KVM_CAP_MCE");
  EXPECT_NE(value_of(kvm.supported_mce_capabilities()), 0U);
}
#elif defined(__aarch64__)
TEST(HostKvm, MachinesHaveAddressesOfAsManyBitsAsTheHostAllows) {
  const auto kvm = value_of(Kvm::open());
  const auto bits = value_of(kvm.host_ipa_limit());
  GUESTPROOF_REQUIRE(bits != 0, "KVM_CAP_ARM_VM_IPA_SIZE");
  EXPECT_OK(kvm.create_vm_with_ipa_size(static_cast<std::uint32_t>(bits)));
  EXPECT_TRUE(refused(kvm.create_vm_with_ipa_size(static_cast<std::uint32_t>(bits) + 1),
                      Ioctl::kCreateVm, EINVAL));
}

TEST(HostKvm, CountsBreakpointsAndWatchpoints) {
  const auto kvm = value_of(Kvm::open());
  // The architecture asks for two of each.
  EXPECT_GE(value_of(kvm.hardware_breakpoints()), 2U);
  EXPECT_GE(value_of(kvm.hardware_watchpoints()), 2U);
}
#endif

}  // namespace
}  // namespace guestproof::kvm
