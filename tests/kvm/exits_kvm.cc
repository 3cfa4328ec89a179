// Why a guest of a few instructions leaves, and what it gets as an answer.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include <thread>

#include "kvm/guest.h"

namespace guestproof::kvm {
namespace {

class ExitsKvm : public GuestTest {
 protected:
  /// A loop whose first word says that the guest is in it.
  void boot_spinning() { boot(Program().store(4, kRam + 0x4000, 1).spin()); }
  [[nodiscard]] bool is_spinning() { return word(0x4000) == 1; }
};

TEST_F(ExitsKvm, AWriteToNowhereSaysWhereAndWhat) {
  boot(Program()
           .store(1, kDevice, 0x11)
           .store(2, kDevice + 2, 0x2222)
           .store(4, kDevice + 4, 0x44444444)
           .done());
  for (const std::uint32_t width : {1U, 2U, 4U}) {
    const auto write = run_to<MmioWrite>();
    EXPECT_EQ(write.address, kDevice + (width == 1 ? 0 : width));
    EXPECT_EQ(write.length, width);
    EXPECT_EQ(little(write.data()), 0x11111111U * width >> (32 - 8 * width));
  }
  run_to_done();
}

TEST_F(ExitsKvm, AReadFromNowhereGetsTheHostsAnswer) {
  boot(Program().load(4, kDevice).store_loaded(4, kRam + 0x4000).done());
  const auto read = run_to<MmioRead>();
  EXPECT_EQ(read.address, kDevice);
  ASSERT_EQ(read.length, 4U);
  vcpu->page().data(read).store<std::uint32_t>(0, 0xcafe1234);
  run_to_done();
  EXPECT_EQ(word(0x4000), 0xcafe1234);
}

TEST_F(ExitsKvm, AnExitThatIsAskedForComesAtOnce) {
  GUESTPROOF_REQUIRE(has(Capability::kImmediateExit), "KVM_CAP_IMMEDIATE_EXIT");
  boot_spinning();
  vcpu->page().request_exit(true);
  (void)run_to<Intr>();
  EXPECT_FALSE(is_spinning());
}

TEST_F(ExitsKvm, AnotherThreadEndsALoop) {
  GUESTPROOF_REQUIRE(has(Capability::kImmediateExit), "KVM_CAP_IMMEDIATE_EXIT");
  boot_spinning();
  struct ::sigaction nothing{};
  nothing.sa_handler = [](int) {};
  ASSERT_EQ(::sigaction(SIGUSR1, &nothing, nullptr), 0);
  const auto runner = ::pthread_self();
  std::thread stopper([&] {
    EXPECT_TRUE(eventually([&] { return is_spinning(); }));
    vcpu->page().request_exit(true);
    ::pthread_kill(runner, SIGUSR1);
  });
  (void)run_to<Intr>();
  stopper.join();
  // The request stays until it is taken back.
  (void)run_to<Intr>();
  vcpu->page().request_exit(false);
}

TEST_F(ExitsKvm, ASignalThatOnlyTheGuestsMaskLetsThroughInterruptsTheGuest) {
  boot_spinning();
  struct ::sigaction nothing{};
  nothing.sa_handler = [](int) {};
  ASSERT_EQ(::sigaction(SIGUSR1, &nothing, nullptr), 0);
  ::sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR1);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &blocked, nullptr), 0);
  ::pthread_kill(::pthread_self(), SIGUSR1);
  ::sigset_t none;
  ::sigemptyset(&none);
  ASSERT_OK(vcpu->set_signal_mask(none));
  (void)run_to<Intr>();
  EXPECT_OK(vcpu->clear_signal_mask());
  ::pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
}

TEST_F(ExitsKvm, AnAccessIsCompletedWithoutRunningOn) {
  GUESTPROOF_REQUIRE(has(Capability::kImmediateExit), "KVM_CAP_IMMEDIATE_EXIT");
  boot(Program().load(4, kDevice).store_loaded(4, kRam + 0x4000).done());
  vcpu->page().data(run_to<MmioRead>()).store<std::uint32_t>(0, 0xcafe5678);
  EXPECT_TRUE(vcpu->exit_is_pending());
  EXPECT_TRUE(std::holds_alternative<Intr>(value_of(vcpu->complete())));
  EXPECT_FALSE(vcpu->exit_is_pending());
  EXPECT_EQ(word(0x4000), 0U);
  run_to_done();
  EXPECT_EQ(word(0x4000), 0xcafe5678U);
}

TEST_F(ExitsKvm, MemoryThatTheHostItselfMayNotTouchEndsTheRun) {
  boot(Program().load(4, kRam + 0x8000).done());
  ASSERT_EQ(::mprotect(host(0x8000), 4096, PROT_NONE), 0);
  const auto exit = vcpu->run();
  // A fault that newer kernels describe is an exit, else the call's own error.
  const auto described = exit && std::holds_alternative<MemoryFault>(*exit);
  EXPECT_TRUE(described || refused(exit, Ioctl::kRun, EFAULT));
  ASSERT_EQ(::mprotect(host(0x8000), 4096, PROT_READ | PROT_WRITE), 0);
}

TEST_F(ExitsKvm, StatisticsCountTheExits) {
  GUESTPROOF_REQUIRE(has(Capability::kBinaryStatsFd), "KVM_CAP_BINARY_STATS_FD");
  boot(Program().load(4, kDevice).done());
  (void)run_to<MmioRead>();
  const auto stats = value_of(vcpu->statistics());
  EXPECT_FALSE(stats.id().empty());
  const auto exits = std::ranges::find(stats.list(), "exits", &Statistic::name);
  ASSERT_NE(exits, stats.list().end());
  EXPECT_GE(value_of(stats.values(*exits)).front(), 1U);
  EXPECT_FALSE(value_of(vm.statistics()).list().empty());
}

TEST_F(ExitsKvm, ARunOfADescriptorThatIsNoVcpuIsRefused) {
  const auto event = value_of(EventFd::create());
  EXPECT_TRUE(refused(call(event.get(), Ioctl::kRun), Ioctl::kRun, ENOTTY));
  EXPECT_TRUE(refused(call(-1, Ioctl::kRun), Ioctl::kRun, EBADF));
}

TEST_F(ExitsKvm, TwoVcpusCannotHaveTheSameId) {
  const auto first = value_of(vm.create_vcpu(0));
  EXPECT_TRUE(refused(vm.create_vcpu(0), Ioctl::kCreateVcpu, EEXIST));
}

TEST_F(ExitsKvm, AVcpuIdPastTheLargestIsRefused) {
  EXPECT_TRUE(refused(vm.create_vcpu(value_of(kvm.max_vcpu_id())), Ioctl::kCreateVcpu, EINVAL));
}

#if defined(__x86_64__)

class X86ExitsKvm : public ExitsKvm {
 protected:
  using Bytes = std::initializer_list<std::uint8_t>;
  void boot_code(Bytes code) { boot(Program().raw(code)); }
  void set_registers(std::uint64_t rax, std::uint64_t rbx = 0, std::uint64_t rcx = 0,
                     std::uint64_t rdx = 0, std::uint64_t rsi = 0) {
    auto regs = value_of(vcpu->get_regs());
    regs.rax = rax;
    regs.rbx = rbx;
    regs.rcx = rcx;
    regs.rdx = rdx;
    regs.rsi = rsi;
    ASSERT_OK(vcpu->set_regs(regs));
  }
};

TEST_F(X86ExitsKvm, OutGivesPortAndValue) {
  boot_code({0xe6, 0x80, 0x66, 0xe7, 0x81, 0xe7, 0x82, 0xf4});  // out al, ax, eax; hlt
  set_registers(0x44332211);
  for (const std::uint32_t size : {1U, 2U, 4U}) {
    const auto out = run_to<IoOut>();
    EXPECT_EQ(out.port, 0x80 + (size == 1 ? 0 : size == 2 ? 1 : 2));
    EXPECT_EQ(out.size, size);
    EXPECT_EQ(out.count, 1U);
    const auto data = vcpu->page().data(out);
    ASSERT_EQ(data.size(), size);
    EXPECT_EQ(data.load<std::uint8_t>(0), 0x11);
  }
  (void)run_to<Hlt>();
}

TEST_F(X86ExitsKvm, InGetsTheHostsAnswer) {
  boot_code({0xe5, 0x80, 0xf4});  // in eax, 0x80; hlt
  const auto in = run_to<IoIn>();
  EXPECT_EQ(in.port, 0x80);
  ASSERT_EQ(in.size, 4);
  vcpu->page().data(in).store<std::uint32_t>(0, 0xcafef00d);
  (void)run_to<Hlt>();
  EXPECT_EQ(value_of(vcpu->get_regs()).rax, 0xcafef00d);
}

TEST_F(X86ExitsKvm, AStringOfInsIsAnsweredItemByItem) {
  boot_code({0xf3, 0x66, 0x6d, 0xf4});  // rep insw; hlt
  auto regs = value_of(vcpu->get_regs());
  regs.rcx = 3;
  regs.rdx = 0x80;
  regs.rdi = kRam + 0x4000;
  ASSERT_OK(vcpu->set_regs(regs));
  std::uint16_t next = 0x1000;
  auto exit = run();
  // KVM may ask for all at once, or for one after the other.
  for (; std::holds_alternative<IoIn>(exit); exit = run()) {
    const auto& in = std::get<IoIn>(exit);
    const auto data = vcpu->page().data(in);
    for (std::uint32_t i = 0; i < in.count; ++i) data.store<std::uint16_t>(2 * i, next++);
  }
  EXPECT_TRUE(std::holds_alternative<Hlt>(exit));
  EXPECT_EQ(word(0x4000), 0x10011000U);
  EXPECT_EQ(word(0x4004) & 0xffff, 0x1002U);
}

TEST_F(X86ExitsKvm, ATripleFaultIsAShutdown) {
  boot_code({0x0f, 0x0b});  // ud2, without an IDT
  auto sregs = value_of(vcpu->get_sregs());
  sregs.idt.limit = 0;
  ASSERT_OK(vcpu->set_sregs(sregs));
  (void)run_to<Shutdown>();
}

TEST_F(X86ExitsKvm, CodeThatIsNowhereCannotBeExecuted) {
  boot_code({0xf4});
  auto regs = value_of(vcpu->get_regs());
  regs.rip = kDevice;
  ASSERT_OK(vcpu->set_regs(regs));
  const auto exit = run();
  EXPECT_TRUE(std::holds_alternative<EmulationFailure>(exit) ||
              std::holds_alternative<InternalError>(exit))
      << exit.index();
}

TEST_F(X86ExitsKvm, AHypercallThatIsTheHostsIsAnswered) {
  constexpr std::uint64_t kMapGpaRange = 12;  // KVM_HC_MAP_GPA_RANGE
  GUESTPROOF_REQUIRE((value_of(vm.check_extension(Capability::kExitHypercall)) >> kMapGpaRange) & 1,
                     "KVM_CAP_EXIT_HYPERCALL for KVM_HC_MAP_GPA_RANGE");
  ASSERT_OK(vm.enable_capability(Capability::kExitHypercall, {1U << kMapGpaRange}));
  boot_code({0x0f, 0x01, 0xc1, 0xf4});  // vmcall, which KVM takes on AMD's processors, too; hlt
  // Plain memory (attributes 0) of one page.
  set_registers(kMapGpaRange, kRam, 1, 0);
  const auto call = run_to<Hypercall>();
  EXPECT_EQ(call.number, kMapGpaRange);
  EXPECT_EQ(call.arguments[0], kRam);
  EXPECT_EQ(call.arguments[1], 1U);
  vcpu->page().answer(call, 0x1234);
  (void)run_to<Hlt>();
  EXPECT_EQ(value_of(vcpu->get_regs()).rax, 0x1234U);
}

TEST_F(X86ExitsKvm, AXenHypercallIsAnswered) {
  GUESTPROOF_REQUIRE(
      (value_of(vm.check_extension(Capability::kXenHvm)) & KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL) != 0,
      "KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL");
  kvm_xen_hvm_config config{};
  config.flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL;
  config.msr = 0x40000200;
  ASSERT_OK(vm.configure_xen(config));
  boot_code({0x0f, 0x01, 0xc1, 0xf4});
  set_registers(17, 1, 2, 3, 4);
  const auto call = run_to<XenHypercall>();
  EXPECT_EQ(call.input, 17U);
  EXPECT_FALSE(call.long_mode);
  EXPECT_EQ(call.parameters[0], 1U);
  EXPECT_EQ(call.parameters[3], 4U);
  vcpu->page().answer(call, 0x55);
  (void)run_to<Hlt>();
  EXPECT_EQ(value_of(vcpu->get_regs()).rax, 0x55U);
}

class MsrExitsKvm : public X86ExitsKvm {
 protected:
  static constexpr std::uint32_t kNobodys = 0x4b564d00 + 0xfff;

  void exit_on(std::uint64_t reasons) {
    ASSERT_OK(vm.enable_capability(Capability::kX86UserSpaceMsr, {reasons}));
  }
};

TEST_F(MsrExitsKvm, ARegisterThatKvmDoesNotKnowIsTheHosts) {
  GUESTPROOF_REQUIRE(has(Capability::kX86UserSpaceMsr), "KVM_CAP_X86_USER_SPACE_MSR");
  exit_on(KVM_MSR_EXIT_REASON_UNKNOWN);
  boot_code({0x0f, 0x32, 0x0f, 0x30, 0xf4});  // rdmsr; wrmsr; hlt
  set_registers(0, 0, kNobodys);
  const auto read = run_to<Rdmsr>();
  EXPECT_EQ(read.index, kNobodys);
  EXPECT_EQ(read.reason, static_cast<std::uint32_t>(KVM_MSR_EXIT_REASON_UNKNOWN));
  vcpu->page().answer(read, 0x0000000200000001);
  const auto write = run_to<Wrmsr>();
  EXPECT_EQ(write.index, kNobodys);
  EXPECT_EQ(write.value, 0x0000000200000001U);
  vcpu->page().answer(write);
  (void)run_to<Hlt>();
}

TEST_F(MsrExitsKvm, ARefusedAccessFaultsInTheGuest) {
  GUESTPROOF_REQUIRE(has(Capability::kX86UserSpaceMsr), "KVM_CAP_X86_USER_SPACE_MSR");
  exit_on(KVM_MSR_EXIT_REASON_UNKNOWN);
  boot_code({0x0f, 0x32, 0xf4});
  set_registers(0, 0, kNobodys);
  auto sregs = value_of(vcpu->get_sregs());
  sregs.idt.limit = 0;  // so that the fault is a shutdown
  ASSERT_OK(vcpu->set_sregs(sregs));
  vcpu->page().refuse(run_to<Rdmsr>());
  (void)run_to<Shutdown>();
}

TEST_F(MsrExitsKvm, AFilterMakesARegisterTheHosts) {
  GUESTPROOF_REQUIRE(has(Capability::kX86MsrFilter), "KVM_CAP_X86_MSR_FILTER");
  GUESTPROOF_REQUIRE(has(Capability::kX86UserSpaceMsr), "KVM_CAP_X86_USER_SPACE_MSR");
  exit_on(KVM_MSR_EXIT_REASON_FILTER);
  constexpr std::uint32_t kTsc = 0x10;
  // Of eight registers from kTsc on, all but the first are allowed.
  const std::array ranges{MsrFilterRange{KVM_MSR_FILTER_READ, kTsc, 8, {0xfe}}};
  ASSERT_OK(vm.set_msr_filter(ranges));
  boot_code({0x0f, 0x32, 0xf4});
  set_registers(0, 0, kTsc);
  const auto read = run_to<Rdmsr>();
  EXPECT_EQ(read.index, kTsc);
  EXPECT_EQ(read.reason, static_cast<std::uint32_t>(KVM_MSR_EXIT_REASON_FILTER));
  vcpu->page().answer(read, 7);
  (void)run_to<Hlt>();
  EXPECT_EQ(value_of(vcpu->get_regs()).rax, 7U);
}

TEST_F(MsrExitsKvm, AFilterThatIsTakenAwayLetsTheRegisterThrough) {
  GUESTPROOF_REQUIRE(has(Capability::kX86MsrFilter), "KVM_CAP_X86_MSR_FILTER");
  exit_on(KVM_MSR_EXIT_REASON_FILTER);
  const std::array ranges{MsrFilterRange{KVM_MSR_FILTER_READ, 0x10, 8, {0}}};
  ASSERT_OK(vm.set_msr_filter(ranges));
  ASSERT_OK(vm.set_msr_filter({}));
  boot_code({0x0f, 0x32, 0xf4});
  set_registers(0, 0, 0x10);
  (void)run_to<Hlt>();
}

TEST_F(MsrExitsKvm, ABitmapOfAnotherLengthThanItsRangeIsRefusedBeforeTheKernelReadsPastIt) {
  const std::array ranges{MsrFilterRange{KVM_MSR_FILTER_READ, 0x10, 9, {0xff}}};
  EXPECT_EQ(vm.set_msr_filter(ranges).error(), Error(CallError::kMsrBitmap, 8, 9));
}

class DebugKvm : public X86ExitsKvm {};

TEST_F(DebugKvm, SingleStepsFromInstructionToInstruction) {
  boot_code({0x90, 0x90, 0xf4});  // nop; nop; hlt
  kvm_guest_debug debug{};
  debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
  ASSERT_OK(vcpu->set_guest_debug(debug));
  EXPECT_EQ(run_to<Debug>().pc, kRam + 1);
  const auto second = run_to<Debug>();
  EXPECT_EQ(second.pc, kRam + 2);
  EXPECT_EQ(second.exception, 1U);
  ASSERT_OK(vcpu->set_guest_debug({}));
  (void)run_to<Hlt>();
}

TEST_F(DebugKvm, ASoftwareBreakpointIsTheHosts) {
  GUESTPROOF_REQUIRE(!on_emulated_processor(), "int3 that leaves the guest: QEMU emulates none");
  boot_code({0xcc, 0xf4});  // int3; hlt
  kvm_guest_debug debug{};
  debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
  ASSERT_OK(vcpu->set_guest_debug(debug));
  const auto stop = run_to<Debug>();
  EXPECT_EQ(stop.pc, kRam);
  EXPECT_EQ(stop.exception, 3U);
}

TEST_F(DebugKvm, AHardwareBreakpointStopsAtItsAddress) {
  GUESTPROOF_REQUIRE(!on_emulated_processor(), "debug registers of guests: QEMU emulates none");
  boot_code({0x90, 0x90, 0xf4});
  kvm_guest_debug debug{};
  debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
  debug.arch.debugreg[0] = kRam + 1;
  debug.arch.debugreg[7] = 2;  // global enable of breakpoint 0, at execution
  ASSERT_OK(vcpu->set_guest_debug(debug));
  const auto stop = run_to<Debug>();
  EXPECT_EQ(stop.pc, kRam + 1);
  EXPECT_EQ(stop.dr6 & 1, 1U);
}

class SyncRegistersKvm : public X86ExitsKvm {};

TEST_F(SyncRegistersKvm, RegistersComeWithTheExitAndGoWithTheRun) {
  const auto classes = value_of(vm.check_extension(Capability::kSyncRegs));
  GUESTPROOF_REQUIRE((classes & KVM_SYNC_X86_REGS) != 0, "KVM_SYNC_X86_REGS");
  boot_code({0xe6, 0x80, 0xe6, 0x81, 0xf4});  // out al; out al; hlt
  set_registers(0x11);
  vcpu->page().set_valid_registers(KVM_SYNC_X86_REGS);
  (void)run_to<IoOut>();
  auto registers = vcpu->page().sync_registers();
  EXPECT_EQ(registers.regs.rax, 0x11U);
  registers.regs.rax = 0x22;
  vcpu->page().set_sync_registers(registers);
  vcpu->page().set_dirty_registers(KVM_SYNC_X86_REGS);
  const auto out = run_to<IoOut>();
  EXPECT_EQ(vcpu->page().data(out).load<std::uint8_t>(0), 0x22);
}

TEST_F(SyncRegistersKvm, AClassThatThereIsNotIsRefused) {
  GUESTPROOF_REQUIRE(has(Capability::kSyncRegs), "KVM_CAP_SYNC_REGS");
  boot_code({0xf4});
  vcpu->page().set_valid_registers(std::uint64_t{1} << 40);
  EXPECT_TRUE(refused(vcpu->run(), Ioctl::kRun, EINVAL));
}

TEST_F(X86ExitsKvm, TheHostIsToldWhenTheGuestCanTakeAnInterrupt) {
  boot_code({0xfb, 0x90, 0x90, 0xeb, 0xfe});  // sti; nop; nop; loop
  vcpu->page().request_interrupt_window(true);
  (void)run_to<IrqWindowOpen>();
  EXPECT_TRUE(vcpu->page().ready_for_interrupt_injection());
  EXPECT_TRUE(vcpu->page().interrupt_flag());
}

TEST_F(X86ExitsKvm, TheEndOfALevelInterruptIsTheHostsWhoHasTheIoapic) {
  GUESTPROOF_REQUIRE(has(Capability::kSplitIrqchip), "KVM_CAP_SPLIT_IRQCHIP");
  ASSERT_OK(vm.enable_capability(Capability::kSplitIrqchip, {24}));
  constexpr std::uint8_t kVector = 0x51;
  constexpr std::uint32_t kLevel = 1U << 15;
  const std::array routes{msi_route(3, 0xfee00000, kVector | kLevel)};
  boot(Program().store(4, 0xfee000b0, 0).done());  // end of interrupt
  ASSERT_OK(vm.set_gsi_routing(value_of(IrqRouting::of(routes))));
  auto lapic = value_of(vcpu->get_lapic());
  const auto set_bit = [&](std::size_t block) {
    lapic.regs[block + kVector / 32 * 16 + kVector % 32 / 8] |= static_cast<char>(1 << kVector % 8);
  };
  lapic.regs[0xf1] |= 1;  // software-enabled
  set_bit(0x100);         // in service
  set_bit(0x180);         // level-triggered
  ASSERT_OK(vcpu->set_lapic(lapic));
  EXPECT_EQ(run_to<IoapicEoi>().vector, kVector);
}

#elif defined(__aarch64__)

class ArmExitsKvm : public ExitsKvm {
 protected:
  /// With a feature of the vCPU, KVM_ARM_VCPU_….
  void boot_with(std::uint32_t feature, const Program& program) {
    map_ram();
    vcpu.emplace(value_of(vm.create_vcpu(0)));
    auto target = value_of(vm.preferred_target());
    target.features[feature / 32] |= 1U << feature % 32;
    ASSERT_OK(vcpu->init(target));
    ASSERT_OK(vcpu->set_one_reg(kPc, std::uint64_t{kRam}));
    load(program);
  }
  /// The exception class of ESR_ELx.
  [[nodiscard]] static std::uint64_t exception_class(const Debug& debug) {
    return debug.syndrome >> 26 & 0x3f;
  }
};

TEST_F(ArmExitsKvm, AGuestTurnsItsMachineOff) {
  GUESTPROOF_REQUIRE(has(Capability::kArmPsci02), "KVM_CAP_ARM_PSCI_0_2");
  // mov w0, #0x84000008 (PSCI SYSTEM_OFF); hvc #0
  boot_with(KVM_ARM_VCPU_PSCI_0_2,
            Program().raw<std::uint32_t>({0x52b08000, 0x72800100, 0xd4000002}));
  EXPECT_EQ(run_to<SystemEvent>().type, static_cast<std::uint32_t>(KVM_SYSTEM_EVENT_SHUTDOWN));
}

TEST_F(ArmExitsKvm, AnAccessThatCarriesNoSyndromeIsTheHostsToDecode) {
  GUESTPROOF_REQUIRE(has(Capability::kArmNisvToUser), "KVM_CAP_ARM_NISV_TO_USER");
  ASSERT_OK(vm.enable_capability(Capability::kArmNisvToUser));
  // mov x1, #kDevice; str w2, [x1], #4
  boot(Program().raw<std::uint32_t>({0xd2a14001, 0xb8004422}));
  EXPECT_EQ(run_to<ArmNisv>().fault_ipa, kDevice);
}

TEST_F(ArmExitsKvm, SingleStepsFromInstructionToInstruction) {
  GUESTPROOF_REQUIRE(has(Capability::kSetGuestDebug), "KVM_CAP_SET_GUEST_DEBUG");
  boot(Program().raw<std::uint32_t>({0xd503201f, 0xd503201f}).done());  // nop; nop
  kvm_guest_debug debug{};
  debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
  ASSERT_OK(vcpu->set_guest_debug(debug));
  EXPECT_EQ(exception_class(run_to<Debug>()), 0x32U);
  EXPECT_EQ(value_of(vcpu->get_one_reg<std::uint64_t>(kPc)), kRam + 4);
  (void)run_to<Debug>();
  EXPECT_EQ(value_of(vcpu->get_one_reg<std::uint64_t>(kPc)), kRam + 8);
  ASSERT_OK(vcpu->set_guest_debug({}));
  run_to_done();
}

TEST_F(ArmExitsKvm, ASoftwareBreakpointIsTheHosts) {
  GUESTPROOF_REQUIRE(has(Capability::kSetGuestDebug), "KVM_CAP_SET_GUEST_DEBUG");
  boot(Program().raw<std::uint32_t>({0xd4200000}));  // brk #0
  kvm_guest_debug debug{};
  debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
  ASSERT_OK(vcpu->set_guest_debug(debug));
  EXPECT_EQ(exception_class(run_to<Debug>()), 0x3cU);
}

TEST_F(ArmExitsKvm, AVcpuWithVectorsRunsWhenTheirLengthIsSettled) {
  GUESTPROOF_REQUIRE(has(Capability::kArmSve), "KVM_CAP_ARM_SVE");
  boot_with(KVM_ARM_VCPU_SVE, Program().done());
  EXPECT_TRUE(refused(vcpu->run(), Ioctl::kRun, EPERM));
  ASSERT_OK(vcpu->finalize(KVM_ARM_VCPU_SVE));
  run_to_done();
}

TEST_F(ArmExitsKvm, AVcpuThatWasNotInitialisedDoesNotRun) {
  map_ram();
  vcpu.emplace(value_of(vm.create_vcpu(0)));
  EXPECT_TRUE(refused(vcpu->run(), Ioctl::kRun, ENOEXEC));
}

TEST_F(ArmExitsKvm, PendingEventsAreWhatWasSet) {
  GUESTPROOF_REQUIRE(has(Capability::kVcpuEvents), "KVM_CAP_VCPU_EVENTS");
  boot(Program().done());
  auto events = value_of(vcpu->get_vcpu_events());
  events.exception.serror_pending = 1;
  ASSERT_OK(vcpu->set_vcpu_events(events));
  EXPECT_EQ(value_of(vcpu->get_vcpu_events()).exception.serror_pending, 1);
}

TEST_F(ArmExitsKvm, TagsOfMemoryAreThereWhenTheCapabilitySaysSo) {
  map_ram();
  std::vector<std::byte> tags(4096 / 16);
  kvm_arm_copy_mte_tags copy{};
  copy.guest_ipa = kRam;
  copy.length = 4096;
  copy.addr = tags.data();
  copy.flags = KVM_ARM_TAGS_FROM_GUEST;
  // Which has to be enabled before the first vCPU.
  const auto there = vm.enable_capability(Capability::kArmMte).has_value();
  EXPECT_EQ(there, has(Capability::kArmMte));
  EXPECT_EQ(vm.copy_mte_tags(copy).has_value(), there);
}

#else

TEST_F(ExitsKvm, ACallOfTheFirmwareIsAnswered) {
  // li a0, 'A'; li a7, 0x8000000 (the first of those for experiments); ecall
  boot(Program().raw<std::uint32_t>({0x04100513, 0x080008b7, 0x00000073}).done());
  const auto call = run_to<RiscvSbi>();
  EXPECT_EQ(call.extension, 0x8000000U);
  EXPECT_EQ(call.arguments[0], 0x41U);
  vcpu->page().answer(call, 7, 0);
  run_to_done();
  constexpr std::uint64_t kA0 =
      KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_CORE | KVM_REG_RISCV_CORE_REG(regs.a0);
  EXPECT_EQ(value_of(vcpu->get_one_reg<std::uint64_t>(kA0)), 7U);
}

TEST_F(ExitsKvm, AGuestTurnsItsMachineOff) {
  // li a7, 0x53525354 (SRST); li a6, 0; li a0, 0 (shutdown); li a1, 0; ecall
  boot(Program().raw<std::uint32_t>(
      {0x535258b7, 0x3548889b, 0x00000813, 0x00000513, 0x00000593, 0x00000073}));
  EXPECT_EQ(run_to<SystemEvent>().type, static_cast<std::uint32_t>(KVM_SYSTEM_EVENT_SHUTDOWN));
}

TEST_F(ExitsKvm, AnExternalInterruptIsPendingWhileItIsRaised) {
  boot(Program().done());
  constexpr std::uint64_t kSip =
      KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_CSR | KVM_REG_RISCV_CSR_REG(sip);
  constexpr std::uint64_t kExternal = 1U << 9;
  ASSERT_OK(vcpu->set_interrupt(true));
  EXPECT_EQ(value_of(vcpu->get_one_reg<std::uint64_t>(kSip)) & kExternal, kExternal);
  ASSERT_OK(vcpu->set_interrupt(false));
  EXPECT_EQ(value_of(vcpu->get_one_reg<std::uint64_t>(kSip)) & kExternal, 0U);
}

#endif

}  // namespace
}  // namespace guestproof::kvm
