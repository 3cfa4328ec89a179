#include "guestproof/kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <limits>

#include "descriptor_limit.h"
#include "kvm/fake_kvm.h"
#include "print.h"

namespace guestproof::kvm {
namespace {

constexpr unsigned long kGetApiVersion = 0xAE00;
constexpr unsigned long kCreateVm = 0xAE01;
constexpr unsigned long kCheckExtension = 0xAE03;
constexpr unsigned long kGetVcpuMmapSize = 0xAE04;

class KvmTest : public testing::Test {
 protected:
  [[nodiscard]] Kvm adopted() {
    kernel_.expect(FakeKvm::kAnyFd, kGetApiVersion, 0).returns(12);
    return *Kvm::adopt(memory_file(0));
  }
  /// The kernel's next answer to KVM_CHECK_EXTENSION.
  ExpectedCall& asked_for(unsigned long capability) {
    return kernel_.expect(kvm_.fd(), kCheckExtension, capability);
  }

  FakeKvm kernel_;
  Kvm kvm_ = adopted();
};

TEST_F(KvmTest, OpensTheDeviceForReadingAndWritingAndNotForChildren) {
  kernel_.expect(FakeKvm::kAnyFd, kGetApiVersion, 0).returns(12);
  const auto kvm = Kvm::open("/dev/null");
  ASSERT_TRUE(kvm.has_value());
  EXPECT_EQ(::fcntl(kvm->fd(), F_GETFL) & O_ACCMODE, O_RDWR);
  EXPECT_EQ(::fcntl(kvm->fd(), F_GETFD), FD_CLOEXEC);
}

TEST_F(KvmTest, IsDevKvmUnlessItIsSaidOtherwise) { EXPECT_STREQ(Kvm::kPath, "/dev/kvm"); }

TEST_F(KvmTest, AMissingDeviceIsAnError) {
  EXPECT_EQ(Kvm::open("/no/such/device").error(), Error(SystemError::kOpen, ENOENT));
}

TEST_F(KvmTest, AProcessWithoutDescriptorsCannotOpen) {
  const NoMoreDescriptors none;
  EXPECT_EQ(Kvm::open("/dev/null").error(), Error(SystemError::kOpen, EMFILE));
}

TEST_F(KvmTest, AnotherDeviceIsRefusedAndClosed) {
  kernel_.expect(FakeKvm::kAnyFd, kGetApiVersion, 0).fails(ENOTTY);
  EXPECT_EQ(Kvm::open("/dev/null").error(), Error(Ioctl::kGetApiVersion, ENOTTY));
}

TEST_F(KvmTest, OtherApiVersionsAreRefusedAndClosed) {
  for (const int version : {0, 11, 13, std::numeric_limits<int>::max()}) {
    kernel_.expect(FakeKvm::kAnyFd, kGetApiVersion, 0).returns(version);
    EXPECT_EQ(Kvm::adopt(memory_file(0)).error(),
              Error(CallError::kApiVersion, static_cast<std::uint64_t>(version), 12));
  }
}

TEST_F(KvmTest, NoDescriptorCannotBeAdopted) {
  kernel_.expect(-1, kGetApiVersion, 0).fails(EBADF);
  EXPECT_EQ(Kvm::adopt(Fd()).error(), Error(Ioctl::kGetApiVersion, EBADF));
}

TEST_F(KvmTest, AMovedKvmTakesTheDescriptorAlong) {
  const int raw = kvm_.fd();
  const Kvm moved = std::move(kvm_);
  EXPECT_EQ(moved.fd(), raw);
  EXPECT_EQ(kvm_.fd(), -1);  // NOLINT(bugprone-use-after-move): it owns nothing now
}

TEST_F(KvmTest, AReleasedDescriptorStaysOpen) {
  const int raw = kvm_.fd();
  const Fd released = std::move(kvm_).release();
  EXPECT_EQ(released.get(), raw);
  EXPECT_NE(::fcntl(raw, F_GETFD), -1);
}

TEST_F(KvmTest, TellsTheApiVersion) {
  kernel_.expect(kvm_.fd(), kGetApiVersion, 0).returns(99);
  EXPECT_EQ(kvm_.api_version(), 99);
}

TEST_F(KvmTest, AsksForCapabilitiesByNameAndByNumber) {
  asked_for(192).returns(65536);
  EXPECT_EQ(kvm_.check_extension(Capability::kDirtyLogRing), 65536);
  asked_for(4711).returns(0);
  EXPECT_EQ(kvm_.check_extension(4711), 0);
  asked_for(192).fails(EINVAL);
  EXPECT_EQ(kvm_.check_extension(Capability::kDirtyLogRing).error(),
            Error(Ioctl::kCheckExtension, EINVAL));
}

TEST_F(KvmTest, TellsTheSizeOfTheRunMapping) {
  kernel_.expect(kvm_.fd(), kGetVcpuMmapSize, 0).returns(12288);
  EXPECT_EQ(kvm_.vcpu_mmap_size(), 12288U);
  kernel_.expect(kvm_.fd(), kGetVcpuMmapSize, 0).fails(EINVAL);
  EXPECT_EQ(kvm_.vcpu_mmap_size().error(), Error(Ioctl::kGetVcpuMmapSize, EINVAL));
}

TEST_F(KvmTest, LimitsAreWhatTheKernelSays) {
  asked_for(9).returns(8);
  EXPECT_EQ(kvm_.recommended_vcpus(), 8U);
  asked_for(9).returns(8);
  asked_for(66).returns(1024);
  EXPECT_EQ(kvm_.max_vcpus(), 1024U);
  asked_for(9).returns(8);
  asked_for(66).returns(1024);
  asked_for(128).returns(4096);
  EXPECT_EQ(kvm_.max_vcpu_id(), 4096U);
  asked_for(10).returns(32764);
  EXPECT_EQ(kvm_.max_memory_slots(), 32764U);
}

TEST_F(KvmTest, LimitsOfAKernelThatDoesNotSayAreTheDocumentedOnes) {
  asked_for(9).returns(0);
  EXPECT_EQ(kvm_.recommended_vcpus(), 4U);
  asked_for(9).returns(8);
  asked_for(66).returns(0);
  EXPECT_EQ(kvm_.max_vcpus(), 8U);
  asked_for(9).returns(0);
  asked_for(66).returns(0);
  asked_for(128).returns(0);
  EXPECT_EQ(kvm_.max_vcpu_id(), 4U);
  asked_for(10).returns(0);
  EXPECT_EQ(kvm_.max_memory_slots(), 32U);
}

TEST_F(KvmTest, ALimitThatCannotBeAskedForIsAnError) {
  const Error refused(Ioctl::kCheckExtension, EBADF);
  asked_for(9).fails(EBADF);
  EXPECT_EQ(kvm_.recommended_vcpus().error(), refused);
  asked_for(9).fails(EBADF);
  EXPECT_EQ(kvm_.max_vcpus().error(), refused);
  asked_for(9).fails(EBADF);
  EXPECT_EQ(kvm_.max_vcpu_id().error(), refused);
  asked_for(10).fails(EBADF);
  EXPECT_EQ(kvm_.max_memory_slots().error(), refused);
}

TEST_F(KvmTest, CreatesAnOrdinaryMachine) {
  const int raw = memory_file(0).release();
  kernel_.expect(kvm_.fd(), kGetVcpuMmapSize, 0).returns(12288);
  kernel_.expect(kvm_.fd(), kCreateVm, 0).returns(raw);
  const auto vm = kvm_.create_vm();
  ASSERT_TRUE(vm.has_value());
  EXPECT_EQ(vm->fd(), raw);
  EXPECT_EQ(vm->run_size(), 12288U);
}

TEST_F(KvmTest, CreatesAMachineOfAType) {
  kernel_.expect(kvm_.fd(), kGetVcpuMmapSize, 0).returns(12288);
  kernel_.expect(kvm_.fd(), kCreateVm, 0x8000000000000001).returns(memory_file(0).release());
  EXPECT_TRUE(kvm_.create_vm(0x8000000000000001).has_value());
}

TEST_F(KvmTest, AnInterruptedCreationIsTriedAgain) {
  kernel_.expect(kvm_.fd(), kGetVcpuMmapSize, 0).returns(12288);
  kernel_.expect(kvm_.fd(), kCreateVm, 1).fails(EINTR);
  kernel_.expect(kvm_.fd(), kCreateVm, 1).fails(EINTR);
  kernel_.expect(kvm_.fd(), kCreateVm, 1).returns(memory_file(0).release());
  EXPECT_TRUE(kvm_.create_vm(1).has_value());
}

TEST_F(KvmTest, ACreationThatFailsForAnotherReasonIsNotTriedAgain) {
  kernel_.expect(kvm_.fd(), kGetVcpuMmapSize, 0).returns(12288);
  kernel_.expect(kvm_.fd(), kCreateVm, 0).fails(EINTR);
  kernel_.expect(kvm_.fd(), kCreateVm, 0).fails(ENOMEM);
  EXPECT_EQ(kvm_.create_vm().error(), Error(Ioctl::kCreateVm, ENOMEM));
}

TEST_F(KvmTest, NoMachineIsMadeWhenItsRunMappingHasNoSize) {
  kernel_.expect(kvm_.fd(), kGetVcpuMmapSize, 0).fails(EINVAL);
  EXPECT_EQ(kvm_.create_vm().error(), Error(Ioctl::kGetVcpuMmapSize, EINVAL));
}

#if defined(__x86_64__)
/// One list that the kernel fills: what it is given, and what becomes of its answers.
struct List {
  unsigned long request;
  Ioctl ioctl;
  Result<CpuId> (Kvm::*get)() const;
};
const List kCpuIdLists[] = {
    {0xC008AE05, Ioctl::kGetSupportedCpuid, &Kvm::supported_cpuid},
    {0xC008AE09, Ioctl::kGetEmulatedCpuid, &Kvm::emulated_cpuid},
    {0xC008AEC1, Ioctl::kGetSupportedHvCpuid, &Kvm::supported_hyperv_cpuid},
};

TEST_F(KvmTest, CpuidListsHaveTheEntriesThatTheKernelCounts) {
  for (const auto& list : kCpuIdLists) {
    // nent, padding; then function, index, flags, eax, ebx, ecx, edx, three words of padding.
    const auto entries = Wire()
                             .u32(2)
                             .u32(0)
                             .u32(0)
                             .zeros(36)
                             .u32(0x80000001)
                             .u32(1)
                             .u32(2)
                             .u32(0xa)
                             .u32(0xb)
                             .u32(0xc)
                             .u32(0xd)
                             .zeros(12);
    kernel_.expect(kvm_.fd(), list.request, Wire().u32(256).u32(0).zeros(256 * 40)).writes(entries);
    const auto cpuid = (kvm_.*list.get)();
    ASSERT_TRUE(cpuid.has_value());
    ASSERT_EQ(cpuid->size(), 2U);
    const auto& second = cpuid->entries()[1];
    EXPECT_EQ(second.function, 0x80000001);
    EXPECT_EQ(second.index, 1U);
    EXPECT_EQ(second.flags, 2U);
    EXPECT_EQ(second.eax, 0xaU);
    EXPECT_EQ(second.ebx, 0xbU);
    EXPECT_EQ(second.ecx, 0xcU);
    EXPECT_EQ(second.edx, 0xdU);
  }
}

TEST_F(KvmTest, CpuidListsMayBeEmptyAndFull) {
  for (const auto& list : kCpuIdLists) {
    kernel_.expect(kvm_.fd(), list.request).writes(Wire().u32(0));
    EXPECT_EQ((kvm_.*list.get)()->size(), 0U);
    kernel_.expect(kvm_.fd(), list.request).writes(Wire().u32(256));
    EXPECT_EQ((kvm_.*list.get)()->size(), 256U);
  }
}

TEST_F(KvmTest, ACpuidListOfMoreThanThereIsRoomForIsRefused) {
  for (const auto& list : kCpuIdLists) {
    kernel_.expect(kvm_.fd(), list.request).writes(Wire().u32(257));
    EXPECT_EQ((kvm_.*list.get)().error(), Error(CallError::kEntryCount, 257, 256));
    kernel_.expect(kvm_.fd(), list.request).writes(Wire().u32(0xffffffff));
    EXPECT_EQ((kvm_.*list.get)().error(), Error(CallError::kEntryCount, 0xffffffff, 256));
    kernel_.expect(kvm_.fd(), list.request).fails(E2BIG);
    EXPECT_EQ((kvm_.*list.get)().error(), Error(list.ioctl, E2BIG));
  }
}

TEST_F(KvmTest, MsrListsHaveTheEntriesThatTheKernelCounts) {
  const auto given = Wire().u32(1024).zeros(1024 * 4);
  const auto answer = Wire().u32(3).u32(0x10).u32(0xc0000080).u32(0x174);
  kernel_.expect(kvm_.fd(), 0xC004AE02, given).writes(answer);
  const auto state = kvm_.msr_index_list();
  kernel_.expect(kvm_.fd(), 0xC004AE0A, given).writes(answer);
  const auto features = kvm_.msr_feature_index_list();

  ASSERT_TRUE(state.has_value());
  EXPECT_TRUE(std::ranges::equal(state->entries(), std::array{0x10U, 0xc0000080U, 0x174U}));
  EXPECT_EQ(features, state);
}

TEST_F(KvmTest, AnMsrListOfMoreThanThereIsRoomForIsRefused) {
  kernel_.expect(kvm_.fd(), 0xC004AE02).writes(Wire().u32(1025));
  EXPECT_EQ(kvm_.msr_index_list().error(), Error(CallError::kEntryCount, 1025, 1024));
  kernel_.expect(kvm_.fd(), 0xC004AE02).fails(E2BIG).writes(Wire().u32(2000));
  EXPECT_EQ(kvm_.msr_index_list().error(), Error(Ioctl::kGetMsrIndexList, E2BIG));
  kernel_.expect(kvm_.fd(), 0xC004AE0A).writes(Wire().u32(1025));
  EXPECT_EQ(kvm_.msr_feature_index_list().error(), Error(CallError::kEntryCount, 1025, 1024));
  kernel_.expect(kvm_.fd(), 0xC004AE0A).fails(E2BIG);
  EXPECT_EQ(kvm_.msr_feature_index_list().error(), Error(Ioctl::kGetMsrFeatureIndexList, E2BIG));
}

TEST_F(KvmTest, FeatureMsrsAreReadByIndex) {
  auto msrs = *Msrs::of(std::array{kvm_msr_entry{.index = 0x480, .reserved = 0, .data = 0},
                                   kvm_msr_entry{.index = 0x345, .reserved = 0, .data = 0}});
  // nmsrs, padding; then index, reserved, data.
  kernel_
      .expect(kvm_.fd(), 0xC008AE88,
              Wire().u32(2).u32(0).u32(0x480).u32(0).u64(0).u32(0x345).u32(0).u64(0))
      .writes(Wire().u64(0xd8), 16)
      .writes(Wire().u64(0x32), 32)
      .returns(2);
  EXPECT_TRUE(kvm_.get_feature_msrs(msrs).has_value());
  EXPECT_EQ(msrs.entries()[0].data, 0xd8U);
  EXPECT_EQ(msrs.entries()[1].data, 0x32U);
}

TEST_F(KvmTest, TheFirstFeatureMsrThatIsRefusedIsNamed) {
  auto msrs = *Msrs::of(std::array{kvm_msr_entry{.index = 0x480, .reserved = 0, .data = 0},
                                   kvm_msr_entry{.index = 0x345, .reserved = 0, .data = 0}});
  kernel_.expect(kvm_.fd(), 0xC008AE88).returns(1);
  EXPECT_EQ(kvm_.get_feature_msrs(msrs).error(), Error(CallError::kMsrRefused, 0x345, 1));
  kernel_.expect(kvm_.fd(), 0xC008AE88).fails(EFAULT);
  EXPECT_EQ(kvm_.get_feature_msrs(msrs).error(), Error(Ioctl::kGetMsrs, EFAULT));
}

TEST_F(KvmTest, TellsMachineCheckCapabilities) {
  kernel_.expect(kvm_.fd(), 0x8008AE9D).writes(Wire().u64(0x0100010a00000020));
  EXPECT_EQ(kvm_.supported_mce_capabilities(), 0x0100010a00000020U);
  kernel_.expect(kvm_.fd(), 0x8008AE9D).fails(EFAULT);
  EXPECT_EQ(kvm_.supported_mce_capabilities().error(), Error(Ioctl::kGetMceCapSupported, EFAULT));
}
#elif defined(__aarch64__)
TEST_F(KvmTest, TellsWhatAarch64HostsDifferIn) {
  asked_for(165).returns(48);
  EXPECT_EQ(kvm_.host_ipa_limit(), 48U);
  asked_for(165).returns(0);
  EXPECT_EQ(kvm_.host_ipa_limit(), 0U);
  asked_for(119).returns(6);
  EXPECT_EQ(kvm_.hardware_breakpoints(), 6U);
  asked_for(120).returns(4);
  EXPECT_EQ(kvm_.hardware_watchpoints(), 4U);
  asked_for(120).fails(EBADF);
  EXPECT_EQ(kvm_.hardware_watchpoints().error(), Error(Ioctl::kCheckExtension, EBADF));
}

TEST_F(KvmTest, AMachinesAddressSizeIsTheLowestByteOfItsType) {
  kernel_.expect(kvm_.fd(), kGetVcpuMmapSize, 0).returns(8192);
  kernel_.expect(kvm_.fd(), kCreateVm, 36).returns(memory_file(0).release());
  EXPECT_TRUE(kvm_.create_vm_with_ipa_size(36).has_value());
}
#endif

}  // namespace
}  // namespace guestproof::kvm
