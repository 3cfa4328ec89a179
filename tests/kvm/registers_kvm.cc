// Every class of registers: what was set is what is there, and what the guest sees.
#include <errno.h>

#include "kvm/guest.h"

namespace guestproof::kvm {
namespace {

class RegistersKvm : public GuestTest {};

TEST_F(RegistersKvm, TheProcessorsStateIsRunnableAndCanBeSet) {
  boot(Program().done());
  const auto state = value_of(vcpu->get_mp_state());
  EXPECT_EQ(state.mp_state, static_cast<std::uint32_t>(KVM_MP_STATE_RUNNABLE));
  EXPECT_OK(vcpu->set_mp_state(state));
  EXPECT_TRUE(refused(vcpu->set_mp_state({.mp_state = 0xffff}), Ioctl::kSetMpState, EINVAL));
}

#if defined(__x86_64__)

class X86RegistersKvm : public RegistersKvm {
 protected:
  X86RegistersKvm() { vcpu.emplace(value_of(vm.create_vcpu(0))); }
  [[nodiscard]] static std::uint64_t msr(const Vcpu& cpu, std::uint32_t index) {
    auto msrs = value_of(Msrs::zeroed(1));
    msrs.entries()[0].index = index;
    EXPECT_OK(cpu.get_msrs(msrs));
    return msrs.entries()[0].data;
  }
  void set_host_cpuid() { ASSERT_OK(vcpu->set_cpuid2(value_of(kvm.supported_cpuid()))); }
};

TEST_F(X86RegistersKvm, GeneralRegistersAreWhatWasSet) {
  auto regs = value_of(vcpu->get_regs());
  regs.rax = 0x1122334455667788;
  regs.r15 = 15;
  regs.rip = 0x1000;
  ASSERT_OK(vcpu->set_regs(regs));
  const auto after = value_of(vcpu->get_regs());
  EXPECT_EQ(std::memcmp(&after, &regs, sizeof regs), 0);
}

TEST_F(X86RegistersKvm, SegmentsAndControlRegistersAreWhatWasSet) {
  auto sregs = value_of(vcpu->get_sregs());
  sregs.cs.base = 0x12340000;
  sregs.cr2 = 0xdead0000;
  ASSERT_OK(vcpu->set_sregs(sregs));
  const auto after = value_of(vcpu->get_sregs());
  EXPECT_EQ(after.cs.base, 0x12340000U);
  EXPECT_EQ(after.cr2, 0xdead0000U);
}

TEST_F(X86RegistersKvm, ControlRegistersThatContradictEachOtherAreRefused) {
  auto sregs = value_of(vcpu->get_sregs());
  sregs.cr0 = 0x80000000;  // paging without protected mode
  sregs.cr4 = 0;
  sregs.efer = 0x500;  // long mode, active
  EXPECT_TRUE(refused(vcpu->set_sregs(sregs), Ioctl::kSetSregs, EINVAL));
}

TEST_F(X86RegistersKvm, TheSecondFormHasTheSameSegments) {
  GUESTPROOF_REQUIRE(has(Capability::kSregs2), "KVM_CAP_SREGS2");
  auto sregs = value_of(vcpu->get_sregs2());
  sregs.gs.base = 0x4000;
  ASSERT_OK(vcpu->set_sregs2(sregs));
  EXPECT_EQ(value_of(vcpu->get_sregs()).gs.base, 0x4000U);
}

TEST_F(X86RegistersKvm, FloatingPointRegistersAreWhatWasSet) {
  auto fpu = value_of(vcpu->get_fpu());
  fpu.fcw = 0x27f;
  fpu.xmm[3][0] = 0x5a;
  ASSERT_OK(vcpu->set_fpu(fpu));
  const auto after = value_of(vcpu->get_fpu());
  EXPECT_EQ(after.fcw, 0x27f);
  EXPECT_EQ(after.xmm[3][0], 0x5a);
}

TEST_F(X86RegistersKvm, TheXsaveAreaIsWhatWasSet) {
  GUESTPROOF_REQUIRE(has(Capability::kXsave2), "KVM_CAP_XSAVE2");
  set_host_cpuid();
  auto xsave = value_of(vcpu->get_xsave2());
  ASSERT_GE(xsave.words.size(), 1024U);
  // SDM volume 1, 13.4: XMM1 lies at byte 176; bit 1 of the header at byte 512 says it is in use.
  constexpr std::size_t xmm1 = 176 / 4;
  xsave.words[512 / 4] |= 2;
  xsave.words[xmm1] = 0x12345678;
  ASSERT_OK(vcpu->set_xsave(xsave));
  EXPECT_EQ(value_of(vcpu->get_xsave2()).words[xmm1], 0x12345678U);
  EXPECT_EQ(value_of(vcpu->get_xsave()).words[xmm1], 0x12345678U);
}

TEST_F(X86RegistersKvm, AnXsaveAreaOfAnotherSizeIsRefusedBeforeTheKernelReadsPastIt) {
  Xsave xsave{std::vector<std::uint32_t>(1023)};
  EXPECT_EQ(vcpu->set_xsave(xsave).error(), CallError::kStateLength);
}

TEST_F(X86RegistersKvm, TheExtendedControlRegisterIsWhatWasSet) {
  GUESTPROOF_REQUIRE(has(Capability::kXcrs), "KVM_CAP_XCRS");
  set_host_cpuid();
  auto xcrs = value_of(vcpu->get_xcrs());
  ASSERT_GE(xcrs.nr_xcrs, 1U);
  xcrs.xcrs[0].value = 3;  // x87 and SSE
  ASSERT_OK(vcpu->set_xcrs(xcrs));
  EXPECT_EQ(value_of(vcpu->get_xcrs()).xcrs[0].value, 3U);
  xcrs.xcrs[0].value = 0;  // x87 cannot be off
  EXPECT_TRUE(refused(vcpu->set_xcrs(xcrs), Ioctl::kSetXcrs, EINVAL));
}

TEST_F(X86RegistersKvm, DebugRegistersAreWhatWasSet) {
  GUESTPROOF_REQUIRE(has(Capability::kDebugregs), "KVM_CAP_DEBUGREGS");
  auto debugregs = value_of(vcpu->get_debugregs());
  debugregs.db[2] = 0x1000;
  ASSERT_OK(vcpu->set_debugregs(debugregs));
  EXPECT_EQ(value_of(vcpu->get_debugregs()).db[2], 0x1000U);
}

TEST_F(X86RegistersKvm, ModelSpecificRegistersAreWhatWasSet) {
  constexpr std::uint32_t kSysenterEip = 0x176;
  const std::array entries{kvm_msr_entry{.index = kSysenterEip, .reserved = 0, .data = 0x5000}};
  ASSERT_OK(vcpu->set_msrs(value_of(Msrs::of(entries))));
  EXPECT_EQ(msr(*vcpu, kSysenterEip), 0x5000U);
}

TEST_F(X86RegistersKvm, TheFirstRegisterThatKvmRefusesIsNamed) {
  const std::array entries{kvm_msr_entry{.index = 0x176, .reserved = 0, .data = 1},
                           kvm_msr_entry{.index = 0xdeadbeef, .reserved = 0, .data = 1}};
  const auto done = vcpu->set_msrs(value_of(Msrs::of(entries)));
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error(), Error(CallError::kMsrRefused, 0xdeadbeef, 1));
}

TEST_F(X86RegistersKvm, CpuidIsWhatTheGuestWasGiven) {
  auto cpuid = value_of(kvm.supported_cpuid());
  ASSERT_OK(vcpu->set_cpuid2(cpuid));
  EXPECT_EQ(value_of(vcpu->get_cpuid2()).size(), cpuid.size());
}

TEST_F(X86RegistersKvm, MoreCpuidLeavesThanKvmTakesAreRefused) {
  EXPECT_EQ(CpuId::zeroed(kCpuIdLimit + 1).error(),
            Error(CallError::kTooManyEntries, kCpuIdLimit + 1, kCpuIdLimit));
}

TEST_F(X86RegistersKvm, PendingEventsAreWhatWasSet) {
  GUESTPROOF_REQUIRE(has(Capability::kVcpuEvents), "KVM_CAP_VCPU_EVENTS");
  auto events = value_of(vcpu->get_vcpu_events());
  events.nmi.pending = 1;
  events.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING;
  ASSERT_OK(vcpu->set_vcpu_events(events));
  EXPECT_EQ(value_of(vcpu->get_vcpu_events()).nmi.pending, 1);
}

TEST_F(X86RegistersKvm, ASystemManagementInterruptIsPending) {
  GUESTPROOF_REQUIRE(has(Capability::kX86Smm), "KVM_CAP_X86_SMM");
  ASSERT_OK(vcpu->smi());
  EXPECT_EQ(value_of(vcpu->get_vcpu_events()).smi.pending, 1);
}

TEST_F(X86RegistersKvm, TheTscsFrequencyIsWhatWasSet) {
  GUESTPROOF_REQUIRE(has(Capability::kGetTscKhz), "KVM_CAP_GET_TSC_KHZ");
  const auto khz = value_of(vcpu->get_tsc_khz());
  EXPECT_GT(khz, 0U);
  // A faster TSC is made by running ahead where the processor cannot scale; a slower one is not.
  ASSERT_OK(vcpu->set_tsc_khz(khz * 2));
  EXPECT_EQ(value_of(vcpu->get_tsc_khz()), khz * 2);
  if (has(Capability::kTscControl)) {
    ASSERT_OK(vcpu->set_tsc_khz(khz / 2));
    EXPECT_EQ(value_of(vcpu->get_tsc_khz()), khz / 2);
  } else {
    EXPECT_TRUE(refused(vcpu->set_tsc_khz(khz / 2), Ioctl::kSetTscKhz, EINVAL));
  }
}

TEST_F(X86RegistersKvm, NestedStateIsWhatWasSet) {
  GUESTPROOF_REQUIRE(has(Capability::kNestedState), "KVM_CAP_NESTED_STATE");
  set_host_cpuid();
  const auto state = value_of(vcpu->get_nested_state());
  EXPECT_GE(state.bytes().size(), sizeof(kvm_nested_state));
  ASSERT_OK(vcpu->set_nested_state(state));
  EXPECT_EQ(value_of(vcpu->get_nested_state()), state);
  // Which state there can be is the processor's matter (state_kvm.cc has AMD's); none has this one.
  auto header = state.header();
  header.format = 0x7fff;
  std::vector<std::byte> bytes(state.bytes().begin(), state.bytes().end());
  std::memcpy(bytes.data(), &header, offsetof(kvm_nested_state, hdr));
  EXPECT_TRUE(refused(vcpu->set_nested_state(value_of(NestedState::from_bytes(bytes))),
                      Ioctl::kSetNestedState, EINVAL));
}

TEST_F(X86RegistersKvm, WithoutPagingAnAddressLeadsToItself) {
  map_ram();
  reset(*vcpu);
  const auto translation = value_of(vcpu->translate(kRam + 0x1234));
  EXPECT_EQ(translation.physical_address, kRam + 0x1234);
  EXPECT_EQ(translation.valid, 1);
}

TEST_F(X86RegistersKvm, MachineChecksAreSetUpAndInjected) {
  GUESTPROOF_REQUIRE(has(Capability::kMce), "KVM_CAP_MCE");
  constexpr std::uint64_t kBanks = 10;
  // SDM volume 4, table 2-2: IA32_MCG_CAP, IA32_MC1_STATUS, IA32_MC1_ADDR.
  constexpr std::uint32_t kMcgCap = 0x179, kMc1Status = 0x405, kMc1Addr = 0x406;
  const auto capabilities = value_of(kvm.supported_mce_capabilities()) | kBanks;
  ASSERT_OK(vcpu->setup_mce(capabilities));
  // The banks and MCG_CTL_P; AMD's processors have no more.
  EXPECT_EQ(msr(*vcpu, kMcgCap) & 0x1ff, capabilities & 0x1ff);
  kvm_x86_mce mce{};
  mce.status = std::uint64_t{1} << 63;  // valid, corrected
  mce.addr = 0x1000;
  mce.bank = 1;
  ASSERT_OK(vcpu->set_mce(mce));
  EXPECT_EQ(msr(*vcpu, kMc1Status), mce.status);
  EXPECT_EQ(msr(*vcpu, kMc1Addr), mce.addr);
  mce.bank = 255;
  EXPECT_TRUE(refused(vcpu->set_mce(mce), Ioctl::kSetMce, EINVAL));
}

TEST_F(X86RegistersKvm, AStoppedClockIsSaidToTheGuest) {
  // Without a kvmclock page of the guest there is nobody to tell.
  EXPECT_TRUE(refused(vcpu->kvmclock_ctrl(), Ioctl::kKvmclockCtrl, EINVAL));
}

TEST_F(X86RegistersKvm, TheTscsOffsetIsAnAttribute) {
  const Attribute offset{KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET};
  GUESTPROOF_REQUIRE(vcpu->has(offset).has_value(), "KVM_VCPU_TSC_OFFSET");
  EXPECT_OK(vcpu->set(offset, std::uint64_t{0x123456}));
  // KVM may round it, to keep the TSCs of a machine's vCPUs in step.
  EXPECT_OK(vcpu->get<std::uint64_t>(offset));
}

TEST_F(X86RegistersKvm, AnAttributeThatThereIsNotIsRefused) {
  EXPECT_TRUE(refused(vcpu->has({99, 99}), Ioctl::kHasDeviceAttr, ENXIO));
}

TEST_F(X86RegistersKvm, ACapabilityOfTheVcpuIsEnabled) {
  GUESTPROOF_REQUIRE(value_of(kvm.check_extension(Capability::kHypervSynic)) > 0,
                     "KVM_CAP_HYPERV_SYNIC");
  const auto machine = value_of(kvm.create_vm());
  ASSERT_OK(machine.create_irqchip());
  const auto cpu = value_of(machine.create_vcpu(0));
  constexpr std::uint32_t kScontrol = 0x40000080;  // of the synthetic interrupt controller
  const std::array on{kvm_msr_entry{.index = kScontrol, .reserved = 0, .data = 1}};
  const auto too_early = cpu.set_msrs(value_of(Msrs::of(on)));
  ASSERT_FALSE(too_early.has_value());
  EXPECT_EQ(too_early.error(), Error(CallError::kMsrRefused, kScontrol, 0));
  ASSERT_OK(cpu.enable_capability(Capability::kHypervSynic));
  ASSERT_OK(cpu.set_msrs(value_of(Msrs::of(on))));
  EXPECT_EQ(msr(cpu, kScontrol), 1U);
  EXPECT_TRUE(refused(vcpu->enable_capability(static_cast<Capability>(0x7fffffff)),
                      Ioctl::kEnableCap, EINVAL));
}

TEST_F(X86RegistersKvm, TheClockGoesOnFromWhatWasSet) {
  kvm_clock_data clock{};
  clock.clock = 1'000'000'000'000;
  ASSERT_OK(vm.set_clock(clock));
  const auto after = value_of(vm.get_clock());
  EXPECT_GE(after.clock, clock.clock);
  EXPECT_LT(after.clock, clock.clock + 60'000'000'000);
}

TEST_F(RegistersKvm, WhatIntelsProcessorsNeedIsSetBeforeTheFirstVcpu) {
  EXPECT_OK(vm.set_tss_address(0xfffbd000));
  GUESTPROOF_REQUIRE(has(Capability::kSetIdentityMapAddr), "KVM_CAP_SET_IDENTITY_MAP_ADDR");
  EXPECT_OK(vm.set_identity_map_address(0xfffbc000));
  GUESTPROOF_REQUIRE(has(Capability::kSetBootCpuId), "KVM_CAP_SET_BOOT_CPU_ID");
  EXPECT_OK(vm.set_boot_cpu_id(0));
  const auto first = value_of(vm.create_vcpu(0));
  EXPECT_TRUE(refused(vm.set_boot_cpu_id(1), Ioctl::kSetBootCpuId, EBUSY));
}

TEST_F(RegistersKvm, AccessesToTheTprAreReported) {
  GUESTPROOF_REQUIRE(has(Capability::kVapic), "KVM_CAP_VAPIC");
  ASSERT_OK(vm.create_irqchip());
  constexpr std::uint64_t kTpr = 0xfee00080;
  boot(Program().store(4, kTpr, 0x20).store(4, kTpr, 0x30).done());
  ASSERT_OK(vcpu->report_tpr_access(true));
  EXPECT_TRUE(run_to<TprAccess>().write);
  ASSERT_OK(vcpu->report_tpr_access(false));
  run_to_done();
  // Only with FlexPriority's TPR shadow, and a guest that was patched to use it, is it used.
  EXPECT_OK(vcpu->set_vapic_address(kRam + 0x1000));
}

TEST_F(RegistersKvm, WhichEventsAGuestMayCountIsSet) {
  GUESTPROOF_REQUIRE(has(Capability::kPmuEventFilter), "KVM_CAP_PMU_EVENT_FILTER");
  auto filter = value_of(PmuEventFilter::zeroed(1));
  filter.header().action = KVM_PMU_EVENT_DENY;
  filter.entries()[0] = 0xc0;  // instructions
  EXPECT_OK(vm.set_pmu_event_filter(filter));
  filter.header().action = 99;
  EXPECT_TRUE(refused(vm.set_pmu_event_filter(filter), Ioctl::kSetPmuEventFilter, EINVAL));
}

TEST_F(RegistersKvm, MemoryEncryptionIsThereOrIsRefusedByName) {
  const auto available = vm.encryption_available();
  GUESTPROOF_REQUIRE(!available, "KVM without memory encryption");
  EXPECT_EQ(available.error().name(), "kvm.KVM_MEMORY_ENCRYPT_OP");
  kvm_sev_cmd command{};
  EXPECT_EQ(vm.encrypt_op(command).error().name(), "kvm.KVM_MEMORY_ENCRYPT_OP");
  const kvm_enc_region region{kRam, kRamSize};
  EXPECT_EQ(vm.register_encrypted_region(region).error().name(),
            "kvm.KVM_MEMORY_ENCRYPT_REG_REGION");
  EXPECT_EQ(vm.unregister_encrypted_region(region).error().name(),
            "kvm.KVM_MEMORY_ENCRYPT_UNREG_REGION");
}

TEST_F(RegistersKvm, XenAttributesAreThereWhenTheCapabilitySaysSo) {
  vcpu.emplace(value_of(vm.create_vcpu(0)));
  const auto there =
      (value_of(vm.check_extension(Capability::kXenHvm)) & KVM_XEN_HVM_CONFIG_SHARED_INFO) != 0;
  kvm_xen_hvm_attr long_mode{};
  long_mode.type = KVM_XEN_ATTR_TYPE_LONG_MODE;
  long_mode.u.long_mode = 1;
  EXPECT_EQ(vm.set_xen_attribute(long_mode).has_value(), there);
  EXPECT_EQ(vm.get_xen_attribute(KVM_XEN_ATTR_TYPE_LONG_MODE).has_value(), there);
  kvm_xen_vcpu_attr info{};
  info.type = KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO;
  info.u.gpa = ~std::uint64_t{0};  // nowhere
  EXPECT_EQ(vcpu->set_xen_attribute(info).has_value(), there);
  EXPECT_EQ(vcpu->get_xen_attribute(KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO).has_value(), there);
}

#else

TEST_F(RegistersKvm, TheListHasTheProgramCounter) {
  boot(Program().done());
  const auto list = value_of(vcpu->get_reg_list());
  EXPECT_NE(std::ranges::find(list.entries(), kPc), list.entries().end());
}

TEST_F(RegistersKvm, EveryRegisterOfTheListCanBeRead) {
  boot(Program().done());
  const auto list = value_of(vcpu->get_reg_list());
  for (const std::uint64_t id : list.entries()) {
    std::vector<std::byte> value(Vcpu::register_size(id));
    EXPECT_OK(vcpu->get_one_reg(id, value)) << std::hex << id;
  }
}

TEST_F(RegistersKvm, TheProgramCounterMovesOn) {
  boot(Program().done());
  run_to_done();
  EXPECT_GT(value_of(vcpu->get_one_reg<std::uint64_t>(kPc)), kRam);
}

TEST_F(RegistersKvm, ARegisterThatThereIsNotIsRefused) {
  boot(Program().done());
  const std::uint64_t nothing = (kPc & ~std::uint64_t{0xffff}) | 0xfffe;
  EXPECT_EQ(vcpu->get_one_reg<std::uint64_t>(nothing).error().name(), "kvm.KVM_GET_ONE_REG");
}

TEST_F(RegistersKvm, ABufferOfAnotherSizeIsRefusedBeforeTheKernelWritesPastIt) {
  boot(Program().done());
  EXPECT_EQ(vcpu->get_one_reg<std::uint32_t>(kPc).error(), Error(CallError::kRegisterSize, 4, 8));
  EXPECT_EQ(vcpu->set_one_reg(kPc, std::uint32_t{0}).error(),
            Error(CallError::kRegisterSize, 4, 8));
}

#endif

}  // namespace
}  // namespace guestproof::kvm
