#include "guestproof/kvm/vcpu.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvm/fake_kvm.h"
#include "print.h"

namespace guestproof::kvm {
namespace {

constexpr unsigned long kRun = 0xAE80;

const std::size_t kPage = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
const std::size_t kRunSize = 3 * kPage;

/// Where the kernel has these in struct kvm_run.
constexpr std::size_t kExitReason = 8;
constexpr std::size_t kUnion = 32;

template <class T>
Error error_of(const Result<T>& result) {
  return result ? Error(SystemError::kOpen) : result.error();
}

class VcpuTest : public testing::Test {
 protected:
  /// What KVM_RUN leaves in the page: why it returned, and three words that say more.
  ExpectedCall& exits(std::uint32_t reason, std::array<std::uint64_t, 3> words = {}) {
    return kernel_.expect(vcpu_.fd(), kRun, 0).does([this, reason, words](std::byte*) {
      vcpu_.page().mapping().store(kExitReason, reason);
      for (std::size_t i = 0; i < words.size(); ++i)
        vcpu_.page().mapping().store(kUnion + 8 * i, words[i]);
    });
  }

  FakeKvm kernel_;
  Vcpu vcpu_ = *Vcpu::adopt(memory_file(80 * kPage), {.run = kRunSize});
};

bool is_mapped(const void* page) {
  unsigned char resident = 0;
  return ::mincore(const_cast<void*>(page), kPage, &resident) == 0;
}

TEST_F(VcpuTest, MapsTheRunPageShared) {
  const std::uint32_t reason = KVM_EXIT_HLT;
  ASSERT_EQ(::pwrite(vcpu_.fd(), &reason, sizeof reason, kExitReason), 4);
  EXPECT_EQ(vcpu_.page().decode(), Exit(Hlt{}));
  vcpu_.page().request_exit(true);
  std::uint8_t immediate_exit = 0;
  ASSERT_EQ(::pread(vcpu_.fd(), &immediate_exit, 1, 1), 1);
  EXPECT_EQ(immediate_exit, 1);
}

TEST_F(VcpuTest, WhatCannotBeMappedIsRefusedAndClosed) {
  EXPECT_EQ(error_of(Vcpu::adopt(Fd(::eventfd(0, EFD_CLOEXEC)), {.run = kRunSize})),
            Error(SystemError::kMap, ENODEV));
  EXPECT_EQ(error_of(Vcpu::adopt(Fd(), {.run = kRunSize})), Error(SystemError::kMap, EBADF));
  EXPECT_EQ(error_of(Vcpu::adopt(memory_file(kRunSize), {.run = 0})),
            Error(SystemError::kMap, EINVAL));
}

TEST_F(VcpuTest, ARunMappingThatIsTooSmallIsRefusedUnmappedAndClosed) {
  EXPECT_EQ(error_of(Vcpu::adopt(memory_file(kRunSize), {.run = 100})),
            Error(PageError::kRunSize, 100, sizeof(kvm_run)));
}

TEST_F(VcpuTest, AMovedVcpuTakesDescriptorAndPageAlong) {
  const int raw = vcpu_.fd();
  auto moved = std::move(vcpu_);
  EXPECT_EQ(moved.fd(), raw);
  EXPECT_EQ(vcpu_.fd(), -1);  // NOLINT(bugprone-use-after-move): it owns nothing now
  kernel_.expect(raw, kRun, 0).does([&](std::byte*) {
    moved.page().mapping().store(kExitReason, std::uint32_t{KVM_EXIT_SHUTDOWN});
  });
  EXPECT_EQ(moved.run(), Exit(Shutdown{}));
}

TEST_F(VcpuTest, AnAssignedVcpuLetsItsOldPageGo) {
  auto other = *Vcpu::adopt(memory_file(kRunSize), {.run = kRunSize});
  const auto* const old_page = other.page().mapping().io_source().iov_base;
  {
    const auto dropped = std::exchange(other, std::move(vcpu_));
  }
  EXPECT_FALSE(is_mapped(old_page));
  EXPECT_TRUE(is_mapped(other.page().mapping().io_source().iov_base));
}

TEST_F(VcpuTest, AReleasedDescriptorStaysOpenAndThePageGoesWithTheVcpu) {
  const int raw = vcpu_.fd();
  Fd released;
  const void* page = nullptr;
  {
    auto vcpu = std::move(vcpu_);
    page = vcpu.page().mapping().io_source().iov_base;
    released = std::move(vcpu).release();
    EXPECT_TRUE(is_mapped(page));
  }
  EXPECT_FALSE(is_mapped(page));
  EXPECT_EQ(released.get(), raw);
  EXPECT_NE(::fcntl(raw, F_GETFD), -1);
}

TEST_F(VcpuTest, RunsUntilTheHostHasSomethingToDo) {
  exits(KVM_EXIT_HLT);
  EXPECT_EQ(vcpu_.run(), Exit(Hlt{}));
  exits(KVM_EXIT_UNKNOWN, {0x77});
  EXPECT_EQ(vcpu_.run(), Exit(Unknown{0x77}));
}

TEST_F(VcpuTest, APageThatCannotBeIsAnError) {
  // An MMIO access of 9 bytes: address, data, length.
  exits(KVM_EXIT_MMIO, {0x1000, 0, 9});
  EXPECT_EQ(vcpu_.run().error(), Error(PageError::kMmioLength, 9, 8));
}

TEST_F(VcpuTest, AnInterruptedRunIsAnExitWhateverThePageSays) {
  exits(KVM_EXIT_HLT).fails(EINTR);
  EXPECT_EQ(vcpu_.run(), Exit(Intr{}));
}

TEST_F(VcpuTest, AMemoryFaultThatThePageDescribesIsAnExit) {
  exits(KVM_EXIT_MEMORY_FAULT, {8, 0x40000000, 0x1000}).fails(EFAULT);
  EXPECT_EQ(vcpu_.run(), Exit(MemoryFault{8, 0x40000000, 0x1000}));
  exits(KVM_EXIT_MEMORY_FAULT, {0, 0x40001000, 0x1000}).fails(EHWPOISON);
  EXPECT_EQ(vcpu_.run(), Exit(MemoryFault{0, 0x40001000, 0x1000}));
}

TEST_F(VcpuTest, AFaultThatThePageDoesNotDescribeIsARefusal) {
  exits(KVM_EXIT_HLT).fails(EFAULT);
  EXPECT_EQ(vcpu_.run().error(), Error(Ioctl::kRun, EFAULT));
  exits(KVM_EXIT_MMIO, {0, 0, 9}).fails(EHWPOISON);
  EXPECT_EQ(vcpu_.run().error(), Error(Ioctl::kRun, EHWPOISON));
}

TEST_F(VcpuTest, AMemoryFaultInThePageDoesNotExplainAnotherRefusal) {
  exits(KVM_EXIT_MEMORY_FAULT).fails(ENOEXEC);
  EXPECT_EQ(vcpu_.run().error(), Error(Ioctl::kRun, ENOEXEC));
}

TEST_F(VcpuTest, TheCoalescedRingIsAPageOfTheRunMapping) {
  // Of x86_64 the third page, elsewhere the second; `last` is its second word.
#if defined(__x86_64__)
  const auto ring_at = 2 * kPage;
#else
  const auto ring_at = kPage;
#endif
  const auto ring = vcpu_.coalesced_ring();
  ASSERT_TRUE(ring.has_value());
  EXPECT_EQ(ring->capacity(), (kPage - 8) / 24);
  vcpu_.page().mapping().store(ring_at + 4, std::uint32_t{0xffff});
  EXPECT_EQ(ring->take().error(), Error(PageError::kRingIndex, 0xffff, (kPage - 8) / 24));
}

TEST_F(VcpuTest, ARunMappingWithoutACoalescedRingIsRefused) {
#if defined(__x86_64__)
  const auto ring_end = 3 * kPage;
#else
  const auto ring_end = 2 * kPage;
#endif
  const auto vcpu = Vcpu::adopt(memory_file(kRunSize), {.run = ring_end - 1});
  EXPECT_EQ(vcpu->coalesced_ring().error(), Error(PageError::kRingLength, ring_end - 1, ring_end));
}

TEST_F(VcpuTest, TheDirtyRingIsMappedFromItsOwnPages) {
  // Entry 0 is dirty: flags, slot, offset; at page 64 of the descriptor.
  const auto entry = Wire().u32(1).u32(3).u64(0x1234);
  ASSERT_EQ(::pwrite(vcpu_.fd(), entry.bytes().data(), 16, static_cast<::off_t>(64 * kPage)), 16);
  auto dirty = vcpu_.map_dirty_ring(static_cast<std::uint32_t>(2 * kPage));
  ASSERT_TRUE(dirty.has_value());
  EXPECT_EQ(dirty->ring.capacity(), 2 * kPage / 16);
  EXPECT_EQ(*dirty->ring.take(), (DirtyPage{3, 0x1234}));
  std::uint32_t flags = 0;
  ASSERT_EQ(::pread(vcpu_.fd(), &flags, sizeof flags, static_cast<::off_t>(64 * kPage)), 4);
  EXPECT_EQ(flags, 2U);
}

TEST_F(VcpuTest, ADirtyRingOfAnotherSizeIsRefused) {
  const auto pages = [](std::size_t count) { return static_cast<std::uint32_t>(count * kPage); };
  EXPECT_EQ(error_of(vcpu_.map_dirty_ring(0)), Error(SystemError::kMap, EINVAL));
  EXPECT_EQ(error_of(vcpu_.map_dirty_ring(pages(3))),
            Error(PageError::kDirtyRingSize, pages(3), 16));
}

TEST_F(VcpuTest, EnablesACapability) {
  kernel_.expect(vcpu_.fd(), 0x4068AEA3, Wire().u32(123).u32(2).u64(1).zeros(24 + 64));
  EXPECT_TRUE(vcpu_.enable_capability(Capability::kHypervSynic, {1}, 2).has_value());
}

TEST_F(VcpuTest, ReadsAndWritesWhetherItRuns) {
  kernel_.expect(vcpu_.fd(), 0x8004AE98).writes(Wire().u32(3));
  EXPECT_EQ(vcpu_.get_mp_state()->mp_state, 3U);
  kernel_.expect(vcpu_.fd(), 0x4004AE99, Wire().u32(1));
  EXPECT_TRUE(vcpu_.set_mp_state({KVM_MP_STATE_UNINITIALIZED}).has_value());
}

TEST_F(VcpuTest, IsDebugged) {
  kvm_guest_debug debug{};
  debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
  // control, padding, and what the architecture has: eight debug registers; or 16 breakpoints and
  // as many watchpoints of two words each; or nothing.
#if defined(__x86_64__)
  debug.arch.debugreg[7] = 0x400;
  kernel_.expect(vcpu_.fd(), 0x4048AE9B, Wire().u32(3).u32(0).zeros(56).u64(0x400));
#elif defined(__aarch64__)
  debug.arch.dbg_bcr[1] = 0x11;
  debug.arch.dbg_wvr[15] = 0x22;
  kernel_.expect(vcpu_.fd(), 0x4208AE9B,
                 Wire().u32(3).u32(0).u64(0).u64(0x11).zeros(14 * 8 + 32 * 8 + 15 * 8).u64(0x22));
#else
  kernel_.expect(vcpu_.fd(), 0x4008AE9B, Wire().u32(3).u32(0));
#endif
  EXPECT_TRUE(vcpu_.set_guest_debug(debug).has_value());
}

TEST_F(VcpuTest, BlocksSignalsWhileItRuns) {
  ::sigset_t mask;
  ::sigemptyset(&mask);
  ::sigaddset(&mask, SIGHUP);   // 1
  ::sigaddset(&mask, SIGUSR1);  // 10
  ::sigaddset(&mask, 64);
  // The length of the kernel's own set, and its 64 bits.
  kernel_.expect(vcpu_.fd(), 0x4004AE8B, Wire().u32(8).u64(1 << 0 | 1 << 9 | 1ULL << 63));
  EXPECT_TRUE(vcpu_.set_signal_mask(mask).has_value());
  kernel_.expect(vcpu_.fd(), 0x4004AE8B, 0UL);
  EXPECT_TRUE(vcpu_.clear_signal_mask().has_value());
}

TEST_F(VcpuTest, PreFaultingTellsHowMuchIsLeft) {
  // gpa, size, flags, padding
  const auto wire = Wire().u64(0x40000000).u64(0x200000).u64(0).zeros(40);
  kernel_.expect(vcpu_.fd(), 0xC040AED5, wire).writes(Wire().u64(0x40200000).u64(0));
  EXPECT_EQ(vcpu_.pre_fault_memory(0x40000000, 0x200000), 0U);
  kernel_.expect(vcpu_.fd(), 0xC040AED5, wire).writes(Wire().u64(0x40001000).u64(0x1ff000));
  EXPECT_EQ(vcpu_.pre_fault_memory(0x40000000, 0x200000), 0x1ff000U);
}

TEST_F(VcpuTest, StatisticsAreReadFromTheFileThatTheKernelMakes) {
  Fd file = memory_file(0);
  // flags, name_size, num_desc, id_offset, desc_offset, data_offset; the name.
  const auto bytes = Wire().u32s({0, 4, 0, 24, 28, 28, 0x00753176});
  ASSERT_EQ(::pwrite(file.get(), bytes.bytes().data(), bytes.size(), 0), 28);
  kernel_.expect(vcpu_.fd(), 0xAECE, 0).returns(file.release());
  const auto statistics = vcpu_.statistics();
  ASSERT_TRUE(statistics.has_value());
  EXPECT_EQ(statistics->id(), "v1u");
}

TEST_F(VcpuTest, HasSetsAndGetsAttributes) {
  const Attribute attribute{.group = 1, .number = 2};
  const auto question = Wire().u32(0).u32(1).u64(2).u64(0);
  const auto with_pointer = Wire().u32(0).u32(1).u64(2).pointer();
  kernel_.expect(vcpu_.fd(), 0x4018AEE3, question);
  EXPECT_TRUE(vcpu_.has(attribute).has_value());
  kernel_.expect(vcpu_.fd(), 0x4018AEE1, question);
  EXPECT_TRUE(vcpu_.set(attribute).has_value());
  kernel_.expect(vcpu_.fd(), 0x4018AEE1, with_pointer);
  EXPECT_TRUE(vcpu_.set(attribute, std::uint64_t{3}).has_value());
  kernel_.expect(vcpu_.fd(), 0x4018AEE2, with_pointer);
  EXPECT_EQ(vcpu_.get(attribute, std::uint64_t{3}), 3U);
}

/// A call, and what its refusal is called.
struct Refusal {
  unsigned long request;
  Ioctl ioctl;
  std::function<Error(const Vcpu&)> call;
};

#if defined(__x86_64__)
Msrs some_msrs() {
  return *Msrs::of(std::array{kvm_msr_entry{.index = 0x10, .reserved = 0, .data = 0x1111},
                              kvm_msr_entry{.index = 0x174, .reserved = 0, .data = 0x2222}});
}

/// KVM_GET_MSRS and KVM_SET_MSRS of some_msrs(): nmsrs, padding; index, reserved, data.
Wire some_msrs_on_the_wire() {
  return Wire().u32s({2, 0}).u32s({0x10, 0}).u64(0x1111).u32s({0x174, 0}).u64(0x2222);
}
#endif

const Refusal kRefusals[] = {
    {0x4068AEA3, Ioctl::kEnableCap,
     [](const Vcpu& vcpu) { return error_of(vcpu.enable_capability(Capability::kHlt)); }},
    {0x8004AE98, Ioctl::kGetMpState,
     [](const Vcpu& vcpu) { return error_of(vcpu.get_mp_state()); }},
    {0x4004AE99, Ioctl::kSetMpState,
     [](const Vcpu& vcpu) { return error_of(vcpu.set_mp_state({})); }},
#if defined(__riscv)
    {0x4008AE9B, Ioctl::kSetGuestDebug,
#elif defined(__aarch64__)
    {0x4208AE9B, Ioctl::kSetGuestDebug,
#else
    {0x4048AE9B, Ioctl::kSetGuestDebug,
#endif
     [](const Vcpu& vcpu) { return error_of(vcpu.set_guest_debug({})); }},
    {0x4004AE8B, Ioctl::kSetSignalMask,
     [](const Vcpu& vcpu) { return error_of(vcpu.set_signal_mask({})); }},
    {0x4004AE8B, Ioctl::kSetSignalMask,
     [](const Vcpu& vcpu) { return error_of(vcpu.clear_signal_mask()); }},
    {0xC040AED5, Ioctl::kPreFaultMemory,
     [](const Vcpu& vcpu) { return error_of(vcpu.pre_fault_memory(0, 4096)); }},
    {0xAECE, Ioctl::kGetStatsFd, [](const Vcpu& vcpu) { return error_of(vcpu.statistics()); }},
    {0x4018AEE3, Ioctl::kHasDeviceAttr, [](const Vcpu& vcpu) { return error_of(vcpu.has({})); }},
    {0x4018AEE1, Ioctl::kSetDeviceAttr, [](const Vcpu& vcpu) { return error_of(vcpu.set({})); }},
    {0x4018AEE1, Ioctl::kSetDeviceAttr,
     [](const Vcpu& vcpu) { return error_of(vcpu.set({}, std::uint64_t{1})); }},
    {0x4018AEE2, Ioctl::kGetDeviceAttr,
     [](const Vcpu& vcpu) { return error_of(vcpu.get<std::uint64_t>({})); }},
#if defined(__x86_64__)
    {0x9000AEA4, Ioctl::kGetXsave, [](const Vcpu& vcpu) { return error_of(vcpu.get_xsave()); }},
    {0x9000AECF, Ioctl::kGetXsave2, [](const Vcpu& vcpu) { return error_of(vcpu.get_xsave2()); }},
    {0x5000AEA5, Ioctl::kSetXsave,
     [](const Vcpu& vcpu) { return error_of(vcpu.set_xsave({std::vector<std::uint32_t>(1024)})); }},
    {0xC008AE88, Ioctl::kGetMsrs,
     [](const Vcpu& vcpu) {
       auto msrs = some_msrs();
       return error_of(vcpu.get_msrs(msrs));
     }},
    {0x4008AE89, Ioctl::kSetMsrs,
     [](const Vcpu& vcpu) { return error_of(vcpu.set_msrs(some_msrs())); }},
    {0xC080AEBE, Ioctl::kGetNestedState,
     [](const Vcpu& vcpu) { return error_of(vcpu.get_nested_state()); }},
    {0xC008AE91, Ioctl::kGetCpuid2, [](const Vcpu& vcpu) { return error_of(vcpu.get_cpuid2()); }},
    {0x4008AE90, Ioctl::kSetCpuid2, [](const Vcpu& vcpu) { return error_of(vcpu.set_cpuid2({})); }},
    {0xAEA3, Ioctl::kGetTscKhz, [](const Vcpu& vcpu) { return error_of(vcpu.get_tsc_khz()); }},
    {0xAEA2, Ioctl::kSetTscKhz, [](const Vcpu& vcpu) { return error_of(vcpu.set_tsc_khz(1)); }},
    {0xC018AE85, Ioctl::kTranslate, [](const Vcpu& vcpu) { return error_of(vcpu.translate(0)); }},
    {0x4004AE86, Ioctl::kInterrupt, [](const Vcpu& vcpu) { return error_of(vcpu.interrupt(32)); }},
    {0xAE9A, Ioctl::kNmi, [](const Vcpu& vcpu) { return error_of(vcpu.nmi()); }},
    {0xAEB7, Ioctl::kSmi, [](const Vcpu& vcpu) { return error_of(vcpu.smi()); }},
    {0xAEAD, Ioctl::kKvmclockCtrl, [](const Vcpu& vcpu) { return error_of(vcpu.kvmclock_ctrl()); }},
    {0xC028AE92, Ioctl::kTprAccessReporting,
     [](const Vcpu& vcpu) { return error_of(vcpu.report_tpr_access(true)); }},
    {0x4008AE93, Ioctl::kSetVapicAddr,
     [](const Vcpu& vcpu) { return error_of(vcpu.set_vapic_address(0)); }},
    {0x4008AE9C, Ioctl::kSetupMce, [](const Vcpu& vcpu) { return error_of(vcpu.setup_mce(0)); }},
    {0x4040AE9E, Ioctl::kSetMce, [](const Vcpu& vcpu) { return error_of(vcpu.set_mce({})); }},
    {0xC048AECA, Ioctl::kXenVcpuGetAttr,
     [](const Vcpu& vcpu) { return error_of(vcpu.get_xen_attribute(0)); }},
    {0x4048AECB, Ioctl::kXenVcpuSetAttr,
     [](const Vcpu& vcpu) { return error_of(vcpu.set_xen_attribute({})); }},
#else
    {0xC008AEB0, Ioctl::kGetRegList,
     [](const Vcpu& vcpu) { return error_of(vcpu.get_reg_list()); }},
    {0x4010AEAB, Ioctl::kGetOneReg,
     [](const Vcpu& vcpu) { return error_of(vcpu.get_one_reg<std::uint64_t>(KVM_REG_SIZE_U64)); }},
    {0x4010AEAC, Ioctl::kSetOneReg,
     [](const Vcpu& vcpu) {
       return error_of(vcpu.set_one_reg(KVM_REG_SIZE_U64, std::uint64_t{1}));
     }},
#endif
#if defined(__aarch64__)
    {0x4020AEAE, Ioctl::kArmVcpuInit, [](const Vcpu& vcpu) { return error_of(vcpu.init({})); }},
    {0x4004AEC2, Ioctl::kArmVcpuFinalize,
     [](const Vcpu& vcpu) { return error_of(vcpu.finalize(4)); }},
    {0x8040AE9F, Ioctl::kGetVcpuEvents,
     [](const Vcpu& vcpu) { return error_of(vcpu.get_vcpu_events()); }},
    {0x4040AEA0, Ioctl::kSetVcpuEvents,
     [](const Vcpu& vcpu) { return error_of(vcpu.set_vcpu_events({})); }},
#elif defined(__riscv)
    {0x4004AE86, Ioctl::kInterrupt,
     [](const Vcpu& vcpu) { return error_of(vcpu.set_interrupt(true)); }},
#endif
};

TEST_F(VcpuTest, ARefusalOfAnyCallIsHandedOut) {
  for (const auto& refusal : kRefusals) {
    kernel_.expect(vcpu_.fd(), refusal.request).fails(EPERM);
    EXPECT_EQ(refusal.call(vcpu_), Error(refusal.ioctl, EPERM)) << std::hex << refusal.request;
  }
}

#if defined(__x86_64__)
/// Structures that go out of and into a vCPU as they are.
class VcpuRegistersTest : public VcpuTest {
 protected:
  template <class T>
  void gives(unsigned long request, Ioctl ioctl, Result<T> (Vcpu::*get)() const) {
    kernel_.expect(vcpu_.fd(), request).writes(Wire().pattern(sizeof(T)));
    const auto got = (vcpu_.*get)();
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(std::memcmp(&*got, Wire().pattern(sizeof(T)).bytes().data(), sizeof(T)), 0);
    kernel_.expect(vcpu_.fd(), request).fails(EPERM);
    EXPECT_EQ((vcpu_.*get)().error(), Error(ioctl, EPERM));
  }
  template <class T>
  void takes(unsigned long request, Ioctl ioctl, Result<void> (Vcpu::*set)(const T&) const) {
    kernel_.expect(vcpu_.fd(), request, Wire().pattern(sizeof(T)));
    EXPECT_TRUE((vcpu_.*set)(patterned<T>()).has_value());
    kernel_.expect(vcpu_.fd(), request).fails(EPERM);
    EXPECT_EQ((vcpu_.*set)(patterned<T>()).error(), Error(ioctl, EPERM));
  }
};

TEST_F(VcpuRegistersTest, GeneralRegisters) {
  gives<kvm_regs>(0x8090AE81, Ioctl::kGetRegs, &Vcpu::get_regs);
  takes<kvm_regs>(0x4090AE82, Ioctl::kSetRegs, &Vcpu::set_regs);
}

TEST_F(VcpuRegistersTest, SystemRegisters) {
  gives<kvm_sregs>(0x8138AE83, Ioctl::kGetSregs, &Vcpu::get_sregs);
  takes<kvm_sregs>(0x4138AE84, Ioctl::kSetSregs, &Vcpu::set_sregs);
  gives<kvm_sregs2>(0x8140AECC, Ioctl::kGetSregs2, &Vcpu::get_sregs2);
  takes<kvm_sregs2>(0x4140AECD, Ioctl::kSetSregs2, &Vcpu::set_sregs2);
}

TEST_F(VcpuRegistersTest, FloatingPoint) {
  gives<kvm_fpu>(0x81A0AE8C, Ioctl::kGetFpu, &Vcpu::get_fpu);
  takes<kvm_fpu>(0x41A0AE8D, Ioctl::kSetFpu, &Vcpu::set_fpu);
}

TEST_F(VcpuRegistersTest, ExtendedControlRegisters) {
  gives<kvm_xcrs>(0x8188AEA6, Ioctl::kGetXcrs, &Vcpu::get_xcrs);
  takes<kvm_xcrs>(0x4188AEA7, Ioctl::kSetXcrs, &Vcpu::set_xcrs);
}

TEST_F(VcpuRegistersTest, DebugRegisters) {
  gives<kvm_debugregs>(0x8080AEA1, Ioctl::kGetDebugregs, &Vcpu::get_debugregs);
  takes<kvm_debugregs>(0x4080AEA2, Ioctl::kSetDebugregs, &Vcpu::set_debugregs);
}

TEST_F(VcpuRegistersTest, Apic) {
  gives<kvm_lapic_state>(0x8400AE8E, Ioctl::kGetLapic, &Vcpu::get_lapic);
  takes<kvm_lapic_state>(0x4400AE8F, Ioctl::kSetLapic, &Vcpu::set_lapic);
}

TEST_F(VcpuRegistersTest, Events) {
  gives<kvm_vcpu_events>(0x8040AE9F, Ioctl::kGetVcpuEvents, &Vcpu::get_vcpu_events);
  takes<kvm_vcpu_events>(0x4040AEA0, Ioctl::kSetVcpuEvents, &Vcpu::set_vcpu_events);
}

TEST_F(VcpuTest, AnXsaveAreaHas4096BytesOrWhatTheMachineSays) {
  const auto vcpu = *Vcpu::adopt(memory_file(kRunSize), {.run = kRunSize, .xsave = 8192});
  kernel_.expect(vcpu.fd(), 0x9000AEA4, Wire().zeros(4096)).writes(Wire().pattern(4096));
  const auto small = vcpu.get_xsave();
  ASSERT_EQ(small->words.size(), 1024U);
  EXPECT_TRUE(
      std::ranges::equal(std::as_bytes(std::span(small->words)), Wire().pattern(4096).bytes()));
  kernel_.expect(vcpu.fd(), 0x9000AECF, Wire().zeros(8192)).writes(Wire().pattern(8192));
  const auto whole = vcpu.get_xsave2();
  ASSERT_EQ(whole->words.size(), 2048U);
  kernel_.expect(vcpu.fd(), 0x5000AEA5, Wire().pattern(8192));
  EXPECT_TRUE(vcpu.set_xsave(*whole).has_value());
}

TEST_F(VcpuTest, AnXsaveAreaThatTheKernelWouldReadPastIsNotHandedIn) {
  const Xsave none{};
  EXPECT_EQ(vcpu_.set_xsave(none).error(), Error(CallError::kStateLength, 0, 4096));
  const Xsave shorter{std::vector<std::uint32_t>(1023)};
  EXPECT_EQ(vcpu_.set_xsave(shorter).error(), Error(CallError::kStateLength, 4092, 4096));
  const Xsave longer{std::vector<std::uint32_t>(1025)};
  EXPECT_EQ(vcpu_.set_xsave(longer).error(), Error(CallError::kStateLength, 4100, 4096));
}

TEST_F(VcpuTest, AnAdoptedVcpuOfNoXsaveSizeHasTheSmallest) {
  const auto vcpu = *Vcpu::adopt(memory_file(kRunSize), {.run = kRunSize, .xsave = 0});
  kernel_.expect(vcpu.fd(), 0x9000AECF, Wire().zeros(4096));
  EXPECT_EQ(vcpu.get_xsave2()->words.size(), 1024U);
}

TEST_F(VcpuTest, ReadsMsrsByIndex) {
  auto msrs = some_msrs();
  kernel_.expect(vcpu_.fd(), 0xC008AE88, some_msrs_on_the_wire())
      .writes(Wire().u64(0xaaaa), 16)
      .writes(Wire().u64(0xbbbb), 32)
      .returns(2);
  EXPECT_TRUE(vcpu_.get_msrs(msrs).has_value());
  EXPECT_EQ(msrs.entries()[0].data, 0xaaaaU);
  EXPECT_EQ(msrs.entries()[1].data, 0xbbbbU);
}

TEST_F(VcpuTest, WritesMsrs) {
  kernel_.expect(vcpu_.fd(), 0x4008AE89, some_msrs_on_the_wire()).returns(2);
  EXPECT_TRUE(vcpu_.set_msrs(some_msrs()).has_value());
}

TEST_F(VcpuTest, TheFirstMsrThatIsRefusedIsNamed) {
  auto msrs = some_msrs();
  kernel_.expect(vcpu_.fd(), 0xC008AE88).returns(0);
  EXPECT_EQ(vcpu_.get_msrs(msrs).error(), Error(CallError::kMsrRefused, 0x10, 0));
  kernel_.expect(vcpu_.fd(), 0x4008AE89).returns(1);
  EXPECT_EQ(vcpu_.set_msrs(msrs).error(), Error(CallError::kMsrRefused, 0x174, 1));
}

TEST_F(VcpuTest, MoreMsrsThanWereAskedForAreNoRefusal) {
  kernel_.expect(vcpu_.fd(), 0x4008AE89).returns(3);
  EXPECT_TRUE(vcpu_.set_msrs(some_msrs()).has_value());
  kernel_.expect(vcpu_.fd(), 0x4008AE89).returns(0);
  EXPECT_TRUE(vcpu_.set_msrs({}).has_value());
}

/// struct kvm_nested_state: flags, format, size; 120 bytes of one of two headers; data.
Wire nested_state(std::uint32_t size) {
  return Wire().u16(1).u16(0).u32(size).pattern(120).pattern(size > 128 ? size - 128 : 0);
}

TEST_F(VcpuTest, NestedStateIsAsLongAsItSays) {
  kernel_.expect(vcpu_.fd(), 0xC080AEBE, Wire().u16(0).u16(0).u32(65536).zeros(65528))
      .writes(nested_state(128 + 4096 + 3));
  const auto state = vcpu_.get_nested_state();
  ASSERT_TRUE(state.has_value());
  EXPECT_TRUE(std::ranges::equal(state->bytes(), nested_state(128 + 4096 + 3).bytes()));
  kernel_.expect(vcpu_.fd(), 0x4080AEBF, nested_state(128 + 4096 + 3));
  EXPECT_TRUE(vcpu_.set_nested_state(*state).has_value());
  kernel_.expect(vcpu_.fd(), 0x4080AEBF).fails(EINVAL);
  EXPECT_EQ(vcpu_.set_nested_state(*state).error(), Error(Ioctl::kSetNestedState, EINVAL));
}

TEST_F(VcpuTest, NestedStateOfAnImpossibleSizeIsRefused) {
  for (const std::uint32_t size : {0U, 8U, 127U, 65537U, 0xffffffffU}) {
    kernel_.expect(vcpu_.fd(), 0xC080AEBE).writes(Wire().u32(0).u32(size));
    EXPECT_EQ(error_of(vcpu_.get_nested_state()), Error(CallError::kEntryCount, size, 65536));
  }
  kernel_.expect(vcpu_.fd(), 0xC080AEBE).writes(Wire().u32(0).u32(128));
  EXPECT_EQ(vcpu_.get_nested_state()->bytes().size(), 128U);
  kernel_.expect(vcpu_.fd(), 0xC080AEBE).writes(Wire().u32(0).u32(65536));
  EXPECT_EQ(vcpu_.get_nested_state()->bytes().size(), 65536U);
}

TEST_F(VcpuTest, NestedStateThatIsLargerThanTheRoomIsE2big) {
  kernel_.expect(vcpu_.fd(), 0xC080AEBE).writes(Wire().u32(0).u32(70000)).fails(E2BIG);
  EXPECT_EQ(error_of(vcpu_.get_nested_state()), Error(Ioctl::kGetNestedState, E2BIG));
}

TEST(NestedStateTest, ComesFromBytesThatSayTheirOwnLength) {
  const auto state = NestedState::from_bytes(nested_state(200).bytes());
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->header().flags, 1);
  EXPECT_TRUE(std::ranges::equal(state->bytes(), nested_state(200).bytes()));
  EXPECT_EQ(state, NestedState::from_bytes(nested_state(200).bytes()));
  EXPECT_NE(state, NestedState::from_bytes(nested_state(208).bytes()));
}

TEST(NestedStateTest, BytesOfAnImpossibleLengthAreRefused) {
  const auto from = [](std::uint32_t says, std::size_t has) {
    const auto wire = Wire().u32(0).u32(says).zeros(has);
    return error_of(NestedState::from_bytes(wire.bytes().first(has)));
  };
  EXPECT_EQ(from(0, 0), Error(CallError::kStateLength, 0, 65536));
  EXPECT_EQ(from(127, 127), Error(CallError::kStateLength, 127, 65536));
  EXPECT_EQ(from(65537, 65537), Error(CallError::kStateLength, 65537, 65536));
  EXPECT_EQ(from(129, 128), Error(CallError::kStateLength, 128, 129));
  EXPECT_EQ(from(128, 129), Error(CallError::kStateLength, 129, 128));
  EXPECT_EQ(from(0xffff0000, 128), Error(CallError::kStateLength, 128, 0xffff0000));
}

TEST_F(VcpuTest, ReadsAndWritesCpuid) {
  kernel_.expect(vcpu_.fd(), 0xC008AE91, Wire().u32(256).u32(0).zeros(256 * 40))
      .writes(Wire().u32s({1, 0}).u32s({7, 0, 1, 0xa, 0xb, 0xc, 0xd, 0, 0, 0}));
  const auto cpuid = vcpu_.get_cpuid2();
  ASSERT_EQ(cpuid->size(), 1U);
  EXPECT_EQ(cpuid->entries()[0].ebx, 0xbU);
  kernel_.expect(vcpu_.fd(), 0x4008AE90,
                 Wire().u32s({1, 0}).u32s({7, 0, 1, 0xa, 0xb, 0xc, 0xd, 0, 0, 0}));
  EXPECT_TRUE(vcpu_.set_cpuid2(*cpuid).has_value());
}

TEST_F(VcpuTest, ReadsAndWritesTheFrequencyOfTheTsc) {
  kernel_.expect(vcpu_.fd(), 0xAEA3, 0).returns(2400000);
  EXPECT_EQ(vcpu_.get_tsc_khz(), 2400000U);
  kernel_.expect(vcpu_.fd(), 0xAEA2, 3000000);
  EXPECT_TRUE(vcpu_.set_tsc_khz(3000000).has_value());
}

TEST_F(VcpuTest, TranslatesAnAddress) {
  // linear_address, physical_address, valid, writeable, usermode, padding
  kernel_.expect(vcpu_.fd(), 0xC018AE85, Wire().u64(0xffff800000001000).zeros(16))
      .writes(Wire().u64(0x5000).u8(1).u8(0).u8(1), 8);
  const auto translation = vcpu_.translate(0xffff800000001000);
  ASSERT_TRUE(translation.has_value());
  EXPECT_EQ(translation->physical_address, 0x5000U);
  EXPECT_EQ(translation->valid, 1);
  EXPECT_EQ(translation->writeable, 0);
  EXPECT_EQ(translation->usermode, 1);
}

TEST_F(VcpuTest, InjectsInterrupts) {
  kernel_.expect(vcpu_.fd(), 0x4004AE86, Wire().u32(0x41));
  EXPECT_TRUE(vcpu_.interrupt(0x41).has_value());
  kernel_.expect(vcpu_.fd(), 0xAE9A, 0);
  EXPECT_TRUE(vcpu_.nmi().has_value());
  kernel_.expect(vcpu_.fd(), 0xAEB7, 0);
  EXPECT_TRUE(vcpu_.smi().has_value());
  kernel_.expect(vcpu_.fd(), 0xAEAD, 0);
  EXPECT_TRUE(vcpu_.kvmclock_ctrl().has_value());
}

TEST_F(VcpuTest, ReportsAccessesToTheTpr) {
  // enabled, flags, padding
  kernel_.expect(vcpu_.fd(), 0xC028AE92, Wire().u32(1).u32(0).zeros(32));
  EXPECT_TRUE(vcpu_.report_tpr_access(true).has_value());
  kernel_.expect(vcpu_.fd(), 0xC028AE92, Wire().u32(0).u32(0).zeros(32));
  EXPECT_TRUE(vcpu_.report_tpr_access(false).has_value());
  kernel_.expect(vcpu_.fd(), 0x4008AE93, Wire().u64(0xfee00000));
  EXPECT_TRUE(vcpu_.set_vapic_address(0xfee00000).has_value());
}

TEST_F(VcpuTest, SetsUpAndRaisesMachineChecks) {
  kernel_.expect(vcpu_.fd(), 0x4008AE9C, Wire().u64(0x0100010a));
  EXPECT_TRUE(vcpu_.setup_mce(0x0100010a).has_value());
  kernel_.expect(vcpu_.fd(), 0x4040AE9E, Wire().pattern(64));
  EXPECT_TRUE(vcpu_.set_mce(patterned<kvm_x86_mce>()).has_value());
}

TEST_F(VcpuTest, ReadsAndWritesXenAttributes) {
  kernel_.expect(vcpu_.fd(), 0xC048AECA, Wire().u16(4).zeros(70)).writes(Wire().u64(0x77), 8);
  EXPECT_EQ(vcpu_.get_xen_attribute(4)->u.gpa, 0x77U);
  kernel_.expect(vcpu_.fd(), 0x4048AECB, Wire().pattern(72));
  EXPECT_TRUE(vcpu_.set_xen_attribute(patterned<kvm_xen_vcpu_attr>()).has_value());
}
#else
/// A register of `size` bytes (a power of two), by the id's bits 52 to 55.
constexpr std::uint64_t register_of(unsigned size_exponent) {
  return std::uint64_t{size_exponent} << 52 | 0x23;
}

/// What a kvm_one_reg points to.
std::byte* register_at(std::byte* argument) {
  std::byte* address = nullptr;
  std::memcpy(static_cast<void*>(&address), argument + 8, sizeof address);
  return address;
}

TEST_F(VcpuTest, ListsRegisters) {
  kernel_.expect(vcpu_.fd(), 0xC008AEB0, Wire().u64(4096).zeros(4096 * 8))
      .writes(Wire().u64(2).u64(0x6030000000100000).u64(0x6030000000100002));
  const auto list = vcpu_.get_reg_list();
  ASSERT_TRUE(list.has_value());
  EXPECT_TRUE(std::ranges::equal(
      list->entries(), std::array<std::uint64_t, 2>{0x6030000000100000, 0x6030000000100002}));
}

TEST_F(VcpuTest, ARegisterListOfMoreThanThereIsRoomForIsRefused) {
  kernel_.expect(vcpu_.fd(), 0xC008AEB0).writes(Wire().u64(4097));
  EXPECT_EQ(vcpu_.get_reg_list().error(), Error(CallError::kEntryCount, 4097, 4096));
  kernel_.expect(vcpu_.fd(), 0xC008AEB0).writes(Wire().u64(0xffffffffffffffff));
  EXPECT_EQ(vcpu_.get_reg_list().error(), Error(CallError::kEntryCount, 0xffffffffffffffff, 4096));
  kernel_.expect(vcpu_.fd(), 0xC008AEB0).fails(E2BIG);
  EXPECT_EQ(vcpu_.get_reg_list().error(), Error(Ioctl::kGetRegList, E2BIG));
}

TEST_F(VcpuTest, ARegistersIdSaysItsSize) {
  EXPECT_EQ(Vcpu::register_size(0x6000000000000000), 1U);
  EXPECT_EQ(Vcpu::register_size(0x6010000000000023), 2U);
  EXPECT_EQ(Vcpu::register_size(0x6030000000000000), 8U);
  EXPECT_EQ(Vcpu::register_size(0x6080000000000000), 256U);
  EXPECT_EQ(Vcpu::register_size(0xffffffffffffffff), 32768U);
}

TEST_F(VcpuTest, ReadsARegisterOfItsSize) {
  // id, address
  kernel_.expect(vcpu_.fd(), 0x4010AEAB, Wire().u64(register_of(3)).pointer())
      .does([](std::byte* argument) {
        std::ranges::copy(Wire().u64(0x1122334455667788).bytes(), register_at(argument));
      });
  EXPECT_EQ(vcpu_.get_one_reg<std::uint64_t>(register_of(3)), 0x1122334455667788U);
  std::array<std::byte, 16> wide{};
  kernel_.expect(vcpu_.fd(), 0x4010AEAB, Wire().u64(register_of(4)).pointer())
      .does([](std::byte* argument) {
        std::ranges::copy(Wire().pattern(16).bytes(), register_at(argument));
      });
  EXPECT_TRUE(vcpu_.get_one_reg(register_of(4), wide).has_value());
  EXPECT_TRUE(std::ranges::equal(wide, Wire().pattern(16).bytes()));
}

TEST_F(VcpuTest, WritesARegisterOfItsSize) {
  kernel_.expect(vcpu_.fd(), 0x4010AEAC, Wire().u64(register_of(2)).pointer())
      .does([](std::byte* argument) {
        EXPECT_TRUE(Wire().u32(0xcafef00d).describes(register_at(argument)));
      });
  EXPECT_TRUE(vcpu_.set_one_reg(register_of(2), std::uint32_t{0xcafef00d}).has_value());
}

TEST_F(VcpuTest, ABufferOfAnotherSizeThanTheRegisterIsNotHandedIn) {
  EXPECT_EQ(vcpu_.get_one_reg<std::uint32_t>(register_of(3)).error(),
            Error(CallError::kRegisterSize, 4, 8));
  EXPECT_EQ(vcpu_.set_one_reg(register_of(2), std::uint64_t{1}).error(),
            Error(CallError::kRegisterSize, 8, 4));
}
#endif

#if defined(__aarch64__)
TEST_F(VcpuTest, IsInitialisedAndFinalised) {
  kvm_vcpu_init target{};
  target.target = 5;
  target.features[0] = 0xc;
  kernel_.expect(vcpu_.fd(), 0x4020AEAE, Wire().u32(5).u32(0xc).zeros(24));
  EXPECT_TRUE(vcpu_.init(target).has_value());
  kernel_.expect(vcpu_.fd(), 0x4004AEC2, Wire().u32(4));
  EXPECT_TRUE(vcpu_.finalize(KVM_ARM_VCPU_SVE).has_value());
}

TEST_F(VcpuTest, ReadsAndWritesEvents) {
  // serror_pending, serror_has_esr, ext_dabt_pending, padding, serror_esr, padding
  const auto wire = Wire().u8(1).u8(1).u8(0).zeros(5).u64(0x1234).zeros(48);
  kernel_.expect(vcpu_.fd(), 0x8040AE9F).writes(wire);
  const auto events = vcpu_.get_vcpu_events();
  ASSERT_TRUE(events.has_value());
  EXPECT_EQ(events->exception.serror_esr, 0x1234U);
  kernel_.expect(vcpu_.fd(), 0x4040AEA0, wire);
  EXPECT_TRUE(vcpu_.set_vcpu_events(*events).has_value());
}
#elif defined(__riscv)
TEST_F(VcpuTest, RaisesAndLowersTheExternalInterrupt) {
  kernel_.expect(vcpu_.fd(), 0x4004AE86, Wire().u32(0xffffffff));
  EXPECT_TRUE(vcpu_.set_interrupt(true).has_value());
  kernel_.expect(vcpu_.fd(), 0x4004AE86, Wire().u32(0xfffffffe));
  EXPECT_TRUE(vcpu_.set_interrupt(false).has_value());
}
#endif

TEST_F(VcpuTest, AWaitingVcpuThatIsWokenIsNoError) {
  kernel_.expect(vcpu_.fd(), kRun, 0).fails(EAGAIN);
  EXPECT_EQ(vcpu_.run(), Exit(Intr{}));
}

TEST_F(VcpuTest, AnAccessIsPendingUntilTheNextRun) {
  exits(KVM_EXIT_MMIO, {0x1000, 0, 4});
  ASSERT_TRUE(vcpu_.run().has_value());
  EXPECT_TRUE(vcpu_.exit_is_pending());
  exits(KVM_EXIT_HLT);
  ASSERT_TRUE(vcpu_.run().has_value());
  EXPECT_FALSE(vcpu_.exit_is_pending());
}

TEST_F(VcpuTest, APageThatSaysNonsenseMayHaveMeantAnAccess) {
  exits(KVM_EXIT_MMIO, {0x1000, 0, 9});
  EXPECT_EQ(error_of(vcpu_.run()), Error(PageError::kMmioLength, 9, 8));
  EXPECT_TRUE(vcpu_.exit_is_pending());
  kernel_.expect(vcpu_.fd(), kRun, 0).fails(EIO);
  EXPECT_EQ(error_of(vcpu_.run()), Error(Ioctl::kRun, EIO));
  EXPECT_FALSE(vcpu_.exit_is_pending());
}

TEST_F(VcpuTest, CompletingKeepsARequestToExit) {
  vcpu_.page().request_exit(true);
  kernel_.expect(vcpu_.fd(), kRun, 0).fails(EINTR);
  EXPECT_EQ(vcpu_.complete(), Exit(Intr{}));
  EXPECT_TRUE(vcpu_.page().exit_is_requested());
}

TEST_F(VcpuTest, CompletingRunsWithTheRequestToExitAtOnce) {
  std::uint8_t requested = 0;
  kernel_.expect(vcpu_.fd(), kRun, 0)
      .does([&](std::byte*) { requested = vcpu_.page().mapping().load<std::uint8_t>(1); })
      .fails(EINTR);
  EXPECT_EQ(vcpu_.complete(), Exit(Intr{}));
  EXPECT_EQ(requested, 1);
  EXPECT_EQ(vcpu_.page().mapping().load<std::uint8_t>(1), 0);
}

}  // namespace
}  // namespace guestproof::kvm
