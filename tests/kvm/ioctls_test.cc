#include "guestproof/kvm/ioctls.h"

#include <errno.h>
#include <gtest/gtest.h>

#include "kvm/fake_kvm.h"
#include "print.h"

namespace guestproof::kvm {
namespace {

struct Row {
  Ioctl ioctl;
  std::string name;
  unsigned long request;
};

/// The kernel's numbers: direction (two bits), bytes of the argument (14), 0xAE, number of the
/// call.
const Row kTable[] = {
    {Ioctl::kGetApiVersion, "KVM_GET_API_VERSION", 0xAE00},
    {Ioctl::kCreateVm, "KVM_CREATE_VM", 0xAE01},
    {Ioctl::kCheckExtension, "KVM_CHECK_EXTENSION", 0xAE03},
    {Ioctl::kGetVcpuMmapSize, "KVM_GET_VCPU_MMAP_SIZE", 0xAE04},
    {Ioctl::kCreateVcpu, "KVM_CREATE_VCPU", 0xAE41},
    {Ioctl::kGetDirtyLog, "KVM_GET_DIRTY_LOG", 0x4010AE42},
    {Ioctl::kClearDirtyLog, "KVM_CLEAR_DIRTY_LOG", 0xC018AEC0},
    {Ioctl::kResetDirtyRings, "KVM_RESET_DIRTY_RINGS", 0xAEC7},
    {Ioctl::kSetUserMemoryRegion, "KVM_SET_USER_MEMORY_REGION", 0x4020AE46},
    {Ioctl::kSetUserMemoryRegion2, "KVM_SET_USER_MEMORY_REGION2", 0x40A0AE49},
    {Ioctl::kSetMemoryAttributes, "KVM_SET_MEMORY_ATTRIBUTES", 0x4020AED2},
    {Ioctl::kCreateGuestMemfd, "KVM_CREATE_GUEST_MEMFD", 0xC040AED4},
    {Ioctl::kCreateIrqchip, "KVM_CREATE_IRQCHIP", 0xAE60},
    {Ioctl::kIrqLine, "KVM_IRQ_LINE", 0x4008AE61},
    {Ioctl::kRegisterCoalescedMmio, "KVM_REGISTER_COALESCED_MMIO", 0x4010AE67},
    {Ioctl::kUnregisterCoalescedMmio, "KVM_UNREGISTER_COALESCED_MMIO", 0x4010AE68},
    {Ioctl::kSetGsiRouting, "KVM_SET_GSI_ROUTING", 0x4008AE6A},
    {Ioctl::kIrqfd, "KVM_IRQFD", 0x4020AE76},
    {Ioctl::kIoeventfd, "KVM_IOEVENTFD", 0x4040AE79},
    {Ioctl::kSignalMsi, "KVM_SIGNAL_MSI", 0x4020AEA5},
    {Ioctl::kCreateDevice, "KVM_CREATE_DEVICE", 0xC00CAEE0},
    {Ioctl::kSetDeviceAttr, "KVM_SET_DEVICE_ATTR", 0x4018AEE1},
    {Ioctl::kGetDeviceAttr, "KVM_GET_DEVICE_ATTR", 0x4018AEE2},
    {Ioctl::kHasDeviceAttr, "KVM_HAS_DEVICE_ATTR", 0x4018AEE3},
    {Ioctl::kEnableCap, "KVM_ENABLE_CAP", 0x4068AEA3},
    {Ioctl::kRun, "KVM_RUN", 0xAE80},
    {Ioctl::kSetSignalMask, "KVM_SET_SIGNAL_MASK", 0x4004AE8B},
    {Ioctl::kGetMpState, "KVM_GET_MP_STATE", 0x8004AE98},
    {Ioctl::kSetMpState, "KVM_SET_MP_STATE", 0x4004AE99},
    {Ioctl::kPreFaultMemory, "KVM_PRE_FAULT_MEMORY", 0xC040AED5},
    {Ioctl::kGetStatsFd, "KVM_GET_STATS_FD", 0xAECE},
#if defined(__x86_64__)
    {Ioctl::kSetGuestDebug, "KVM_SET_GUEST_DEBUG", 0x4048AE9B},
    {Ioctl::kGetMsrIndexList, "KVM_GET_MSR_INDEX_LIST", 0xC004AE02},
    {Ioctl::kGetMsrFeatureIndexList, "KVM_GET_MSR_FEATURE_INDEX_LIST", 0xC004AE0A},
    {Ioctl::kGetSupportedCpuid, "KVM_GET_SUPPORTED_CPUID", 0xC008AE05},
    {Ioctl::kGetEmulatedCpuid, "KVM_GET_EMULATED_CPUID", 0xC008AE09},
    {Ioctl::kGetSupportedHvCpuid, "KVM_GET_SUPPORTED_HV_CPUID", 0xC008AEC1},
    {Ioctl::kGetMceCapSupported, "KVM_X86_GET_MCE_CAP_SUPPORTED", 0x8008AE9D},
    {Ioctl::kSetTssAddr, "KVM_SET_TSS_ADDR", 0xAE47},
    {Ioctl::kSetIdentityMapAddr, "KVM_SET_IDENTITY_MAP_ADDR", 0x4008AE48},
    {Ioctl::kSetBootCpuId, "KVM_SET_BOOT_CPU_ID", 0xAE78},
    {Ioctl::kGetIrqchip, "KVM_GET_IRQCHIP", 0xC208AE62},
    {Ioctl::kSetIrqchip, "KVM_SET_IRQCHIP", 0x8208AE63},
    {Ioctl::kIrqLineStatus, "KVM_IRQ_LINE_STATUS", 0xC008AE67},
    {Ioctl::kCreatePit2, "KVM_CREATE_PIT2", 0x4040AE77},
    {Ioctl::kGetPit2, "KVM_GET_PIT2", 0x8070AE9F},
    {Ioctl::kSetPit2, "KVM_SET_PIT2", 0x4070AEA0},
    {Ioctl::kReinjectControl, "KVM_REINJECT_CONTROL", 0xAE71},
    {Ioctl::kGetClock, "KVM_GET_CLOCK", 0x8030AE7C},
    {Ioctl::kSetClock, "KVM_SET_CLOCK", 0x4030AE7B},
    {Ioctl::kSetMsrFilter, "KVM_X86_SET_MSR_FILTER", 0x4188AEC6},
    {Ioctl::kSetPmuEventFilter, "KVM_SET_PMU_EVENT_FILTER", 0x4020AEB2},
    {Ioctl::kMemoryEncryptOp, "KVM_MEMORY_ENCRYPT_OP", 0xC008AEBA},
    {Ioctl::kMemoryEncryptRegRegion, "KVM_MEMORY_ENCRYPT_REG_REGION", 0x8010AEBB},
    {Ioctl::kMemoryEncryptUnregRegion, "KVM_MEMORY_ENCRYPT_UNREG_REGION", 0x8010AEBC},
    {Ioctl::kXenHvmConfig, "KVM_XEN_HVM_CONFIG", 0x4038AE7A},
    {Ioctl::kXenHvmGetAttr, "KVM_XEN_HVM_GET_ATTR", 0xC048AEC8},
    {Ioctl::kXenHvmSetAttr, "KVM_XEN_HVM_SET_ATTR", 0x4048AEC9},
    {Ioctl::kXenVcpuGetAttr, "KVM_XEN_VCPU_GET_ATTR", 0xC048AECA},
    {Ioctl::kXenVcpuSetAttr, "KVM_XEN_VCPU_SET_ATTR", 0x4048AECB},
    {Ioctl::kGetRegs, "KVM_GET_REGS", 0x8090AE81},
    {Ioctl::kSetRegs, "KVM_SET_REGS", 0x4090AE82},
    {Ioctl::kGetSregs, "KVM_GET_SREGS", 0x8138AE83},
    {Ioctl::kSetSregs, "KVM_SET_SREGS", 0x4138AE84},
    {Ioctl::kGetSregs2, "KVM_GET_SREGS2", 0x8140AECC},
    {Ioctl::kSetSregs2, "KVM_SET_SREGS2", 0x4140AECD},
    {Ioctl::kGetFpu, "KVM_GET_FPU", 0x81A0AE8C},
    {Ioctl::kSetFpu, "KVM_SET_FPU", 0x41A0AE8D},
    {Ioctl::kGetLapic, "KVM_GET_LAPIC", 0x8400AE8E},
    {Ioctl::kSetLapic, "KVM_SET_LAPIC", 0x4400AE8F},
    {Ioctl::kGetMsrs, "KVM_GET_MSRS", 0xC008AE88},
    {Ioctl::kSetMsrs, "KVM_SET_MSRS", 0x4008AE89},
    {Ioctl::kGetCpuid2, "KVM_GET_CPUID2", 0xC008AE91},
    {Ioctl::kSetCpuid2, "KVM_SET_CPUID2", 0x4008AE90},
    {Ioctl::kGetXsave, "KVM_GET_XSAVE", 0x9000AEA4},
    {Ioctl::kGetXsave2, "KVM_GET_XSAVE2", 0x9000AECF},
    {Ioctl::kSetXsave, "KVM_SET_XSAVE", 0x5000AEA5},
    {Ioctl::kGetXcrs, "KVM_GET_XCRS", 0x8188AEA6},
    {Ioctl::kSetXcrs, "KVM_SET_XCRS", 0x4188AEA7},
    {Ioctl::kGetDebugregs, "KVM_GET_DEBUGREGS", 0x8080AEA1},
    {Ioctl::kSetDebugregs, "KVM_SET_DEBUGREGS", 0x4080AEA2},
    {Ioctl::kGetVcpuEvents, "KVM_GET_VCPU_EVENTS", 0x8040AE9F},
    {Ioctl::kSetVcpuEvents, "KVM_SET_VCPU_EVENTS", 0x4040AEA0},
    {Ioctl::kGetNestedState, "KVM_GET_NESTED_STATE", 0xC080AEBE},
    {Ioctl::kSetNestedState, "KVM_SET_NESTED_STATE", 0x4080AEBF},
    {Ioctl::kGetTscKhz, "KVM_GET_TSC_KHZ", 0xAEA3},
    {Ioctl::kSetTscKhz, "KVM_SET_TSC_KHZ", 0xAEA2},
    {Ioctl::kTranslate, "KVM_TRANSLATE", 0xC018AE85},
    {Ioctl::kInterrupt, "KVM_INTERRUPT", 0x4004AE86},
    {Ioctl::kNmi, "KVM_NMI", 0xAE9A},
    {Ioctl::kSmi, "KVM_SMI", 0xAEB7},
    {Ioctl::kKvmclockCtrl, "KVM_KVMCLOCK_CTRL", 0xAEAD},
    {Ioctl::kTprAccessReporting, "KVM_TPR_ACCESS_REPORTING", 0xC028AE92},
    {Ioctl::kSetVapicAddr, "KVM_SET_VAPIC_ADDR", 0x4008AE93},
    {Ioctl::kSetupMce, "KVM_X86_SETUP_MCE", 0x4008AE9C},
    {Ioctl::kSetMce, "KVM_X86_SET_MCE", 0x4040AE9E},
#elif defined(__aarch64__)
    {Ioctl::kSetGuestDebug, "KVM_SET_GUEST_DEBUG", 0x4208AE9B},
    {Ioctl::kArmPreferredTarget, "KVM_ARM_PREFERRED_TARGET", 0x8020AEAF},
    {Ioctl::kArmVcpuInit, "KVM_ARM_VCPU_INIT", 0x4020AEAE},
    {Ioctl::kArmVcpuFinalize, "KVM_ARM_VCPU_FINALIZE", 0x4004AEC2},
    {Ioctl::kArmMteCopyTags, "KVM_ARM_MTE_COPY_TAGS", 0x8030AEB4},
    {Ioctl::kGetVcpuEvents, "KVM_GET_VCPU_EVENTS", 0x8040AE9F},
    {Ioctl::kSetVcpuEvents, "KVM_SET_VCPU_EVENTS", 0x4040AEA0},
    {Ioctl::kGetRegList, "KVM_GET_REG_LIST", 0xC008AEB0},
    {Ioctl::kGetOneReg, "KVM_GET_ONE_REG", 0x4010AEAB},
    {Ioctl::kSetOneReg, "KVM_SET_ONE_REG", 0x4010AEAC},
#else
    {Ioctl::kSetGuestDebug, "KVM_SET_GUEST_DEBUG", 0x4008AE9B},
    {Ioctl::kInterrupt, "KVM_INTERRUPT", 0x4004AE86},
    {Ioctl::kGetRegList, "KVM_GET_REG_LIST", 0xC008AEB0},
    {Ioctl::kGetOneReg, "KVM_GET_ONE_REG", 0x4010AEAB},
    {Ioctl::kSetOneReg, "KVM_SET_ONE_REG", 0x4010AEAC},
#endif
};

TEST(IoctlsTest, EveryCallHasTheKernelsNumber) {
  ASSERT_EQ(std::size(kTable), error_domain(Ioctl{}).entries.size());
  for (const auto& row : kTable)
    EXPECT_EQ(request_of(row.ioctl), row.request) << row.name << std::hex << request_of(row.ioctl);
}

TEST(IoctlsTest, ARefusalIsNamedAfterItsCall) {
  for (const auto& row : kTable) {
    const Error error(row.ioctl, EBUSY);
    EXPECT_EQ(error.name(), "kvm." + row.name);
    EXPECT_EQ(error.message(), row.name + ": Device or resource busy");
  }
}

TEST(IoctlsTest, ANumberIsHandedInAndAnAnswerOut) {
  FakeKvm kernel;
  kernel.expect(7, 0xAE03, 41).returns(123);
  EXPECT_EQ(call(7, Ioctl::kCheckExtension, 41), 123);
}

TEST(IoctlsTest, ANegativeAnswerIsErrno) {
  FakeKvm kernel;
  kernel.expect(7, 0xAE80, 0).fails(EAGAIN);
  EXPECT_EQ(call(7, Ioctl::kRun).error(), Error(Ioctl::kRun, EAGAIN));
}

TEST(IoctlsTest, AnObjectIsHandedInByItsAddress) {
  FakeKvm kernel;
  std::uint64_t object = 0x1122334455667788;
  kernel.expect(7, 0x4004AE99, Wire().u64(0x1122334455667788)).writes(Wire().u8(1)).returns(5);
  EXPECT_EQ(call_with(7, Ioctl::kSetMpState, object), 5);
  EXPECT_EQ(object, 0x1122334455667701);
}

TEST(IoctlsTest, SetAndOrderSayOnlyWhetherItWorked) {
  FakeKvm kernel;
  kernel.expect(7, 0x4004AE99, Wire().u32(4)).returns(9);
  EXPECT_TRUE(set(7, Ioctl::kSetMpState, std::uint32_t{4}).has_value());
  kernel.expect(7, 0x4004AE99).fails(EINVAL);
  EXPECT_EQ(set(7, Ioctl::kSetMpState, std::uint32_t{4}).error(),
            Error(Ioctl::kSetMpState, EINVAL));
  kernel.expect(7, 0xAE60, 0).returns(9);
  EXPECT_TRUE(order(7, Ioctl::kCreateIrqchip).has_value());
  kernel.expect(7, 0xAE60, 3).fails(EEXIST);
  EXPECT_EQ(order(7, Ioctl::kCreateIrqchip, 3).error(), Error(Ioctl::kCreateIrqchip, EEXIST));
}

TEST(IoctlsTest, GetHandsOutWhatTheKernelWroteOverWhatItWasGiven) {
  FakeKvm kernel;
  kernel.expect(7, 0x8004AE98, Wire().u32(0xaabbccdd)).writes(Wire().u16(0x1122));
  EXPECT_EQ(get(7, Ioctl::kGetMpState, std::uint32_t{0xaabbccdd}), 0xaabb1122);
  kernel.expect(7, 0x8004AE98, Wire().u32(0)).fails(EFAULT);
  EXPECT_EQ(get<std::uint32_t>(7, Ioctl::kGetMpState).error(), Error(Ioctl::kGetMpState, EFAULT));
}

TEST(IoctlsTest, ACapabilityIsEnabledWithFlagsAndFourArguments) {
  FakeKvm kernel;
  kernel.expect(7, 0x4068AEA3,
                Wire().u32(192).u32(3).u64(0x10000).u64(5).u64(6).u64(1ULL << 63).zeros(64));
  EXPECT_TRUE(
      enable_capability(7, Capability::kDirtyLogRing, {0x10000, 5, 6, 1ULL << 63}, 3).has_value());
  kernel.expect(7, 0x4068AEA3).fails(EPERM);
  EXPECT_EQ(enable_capability(7, Capability::kDirtyLogRing, {}, 0).error(),
            Error(Ioctl::kEnableCap, EPERM));
}

}  // namespace
}  // namespace guestproof::kvm
