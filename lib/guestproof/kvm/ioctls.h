// The KVM ioctls that this library calls, and the one place that calls them.
//
// An Ioctl is also an error: `Error(Ioctl::kCreateVm, errno)` has the name "kvm.KVM_CREATE_VM" and
// the message "KVM_CREATE_VM: Device or resource busy". Which ioctls there are depends on the
// target architecture, as they do in <linux/kvm.h>.
//
// Thread-safety: functions without state; whether KVM takes a call from any thread is said where
// it is wrapped (kvm.h, vm.h, vcpu.h, device.h).
#pragma once

#include <type_traits>

#include "guestproof/base/error.h"
#include "guestproof/kvm/abi.h"
#include "guestproof/kvm/capability.h"

// clang-format off
#define GUESTPROOF_KVM_IOCTLS_EVERYWHERE(X)              \
  X(kGetApiVersion, KVM_GET_API_VERSION)                 \
  X(kCreateVm, KVM_CREATE_VM)                            \
  X(kCheckExtension, KVM_CHECK_EXTENSION)                \
  X(kGetVcpuMmapSize, KVM_GET_VCPU_MMAP_SIZE)            \
  X(kCreateVcpu, KVM_CREATE_VCPU)                        \
  X(kGetDirtyLog, KVM_GET_DIRTY_LOG)                     \
  X(kClearDirtyLog, KVM_CLEAR_DIRTY_LOG)                 \
  X(kResetDirtyRings, KVM_RESET_DIRTY_RINGS)             \
  X(kSetUserMemoryRegion, KVM_SET_USER_MEMORY_REGION)    \
  X(kSetUserMemoryRegion2, KVM_SET_USER_MEMORY_REGION2)  \
  X(kSetMemoryAttributes, KVM_SET_MEMORY_ATTRIBUTES)     \
  X(kCreateGuestMemfd, KVM_CREATE_GUEST_MEMFD)           \
  X(kCreateIrqchip, KVM_CREATE_IRQCHIP)                  \
  X(kIrqLine, KVM_IRQ_LINE)                              \
  X(kRegisterCoalescedMmio, KVM_REGISTER_COALESCED_MMIO) \
  X(kUnregisterCoalescedMmio, KVM_UNREGISTER_COALESCED_MMIO) \
  X(kSetGsiRouting, KVM_SET_GSI_ROUTING)                 \
  X(kIrqfd, KVM_IRQFD)                                   \
  X(kIoeventfd, KVM_IOEVENTFD)                           \
  X(kSignalMsi, KVM_SIGNAL_MSI)                          \
  X(kCreateDevice, KVM_CREATE_DEVICE)                    \
  X(kSetDeviceAttr, KVM_SET_DEVICE_ATTR)                 \
  X(kGetDeviceAttr, KVM_GET_DEVICE_ATTR)                 \
  X(kHasDeviceAttr, KVM_HAS_DEVICE_ATTR)                 \
  X(kEnableCap, KVM_ENABLE_CAP)                          \
  X(kRun, KVM_RUN)                                       \
  X(kSetSignalMask, KVM_SET_SIGNAL_MASK)                 \
  X(kGetMpState, KVM_GET_MP_STATE)                       \
  X(kSetMpState, KVM_SET_MP_STATE)                       \
  X(kSetGuestDebug, KVM_SET_GUEST_DEBUG)                 \
  X(kPreFaultMemory, KVM_PRE_FAULT_MEMORY)               \
  X(kGetStatsFd, KVM_GET_STATS_FD)

#if defined(__x86_64__)
#define GUESTPROOF_KVM_IOCTLS_HERE(X)                    \
  X(kGetMsrIndexList, KVM_GET_MSR_INDEX_LIST)            \
  X(kGetMsrFeatureIndexList, KVM_GET_MSR_FEATURE_INDEX_LIST) \
  X(kGetSupportedCpuid, KVM_GET_SUPPORTED_CPUID)         \
  X(kGetEmulatedCpuid, KVM_GET_EMULATED_CPUID)           \
  X(kGetSupportedHvCpuid, KVM_GET_SUPPORTED_HV_CPUID)    \
  X(kGetMceCapSupported, KVM_X86_GET_MCE_CAP_SUPPORTED)  \
  X(kSetTssAddr, KVM_SET_TSS_ADDR)                       \
  X(kSetIdentityMapAddr, KVM_SET_IDENTITY_MAP_ADDR)      \
  X(kSetBootCpuId, KVM_SET_BOOT_CPU_ID)                  \
  X(kGetIrqchip, KVM_GET_IRQCHIP)                        \
  X(kSetIrqchip, KVM_SET_IRQCHIP)                        \
  X(kIrqLineStatus, KVM_IRQ_LINE_STATUS)                 \
  X(kCreatePit2, KVM_CREATE_PIT2)                        \
  X(kGetPit2, KVM_GET_PIT2)                              \
  X(kSetPit2, KVM_SET_PIT2)                              \
  X(kReinjectControl, KVM_REINJECT_CONTROL)              \
  X(kGetClock, KVM_GET_CLOCK)                            \
  X(kSetClock, KVM_SET_CLOCK)                            \
  X(kSetMsrFilter, KVM_X86_SET_MSR_FILTER)               \
  X(kSetPmuEventFilter, KVM_SET_PMU_EVENT_FILTER)        \
  X(kMemoryEncryptOp, KVM_MEMORY_ENCRYPT_OP)             \
  X(kMemoryEncryptRegRegion, KVM_MEMORY_ENCRYPT_REG_REGION) \
  X(kMemoryEncryptUnregRegion, KVM_MEMORY_ENCRYPT_UNREG_REGION) \
  X(kXenHvmConfig, KVM_XEN_HVM_CONFIG)                   \
  X(kXenHvmGetAttr, KVM_XEN_HVM_GET_ATTR)                \
  X(kXenHvmSetAttr, KVM_XEN_HVM_SET_ATTR)                \
  X(kXenVcpuGetAttr, KVM_XEN_VCPU_GET_ATTR)              \
  X(kXenVcpuSetAttr, KVM_XEN_VCPU_SET_ATTR)              \
  X(kGetRegs, KVM_GET_REGS)                              \
  X(kSetRegs, KVM_SET_REGS)                              \
  X(kGetSregs, KVM_GET_SREGS)                            \
  X(kSetSregs, KVM_SET_SREGS)                            \
  X(kGetSregs2, KVM_GET_SREGS2)                          \
  X(kSetSregs2, KVM_SET_SREGS2)                          \
  X(kGetFpu, KVM_GET_FPU)                                \
  X(kSetFpu, KVM_SET_FPU)                                \
  X(kGetLapic, KVM_GET_LAPIC)                            \
  X(kSetLapic, KVM_SET_LAPIC)                            \
  X(kGetMsrs, KVM_GET_MSRS)                              \
  X(kSetMsrs, KVM_SET_MSRS)                              \
  X(kGetCpuid2, KVM_GET_CPUID2)                          \
  X(kSetCpuid2, KVM_SET_CPUID2)                          \
  X(kGetXsave, KVM_GET_XSAVE)                            \
  X(kGetXsave2, KVM_GET_XSAVE2)                          \
  X(kSetXsave, KVM_SET_XSAVE)                            \
  X(kGetXcrs, KVM_GET_XCRS)                              \
  X(kSetXcrs, KVM_SET_XCRS)                              \
  X(kGetDebugregs, KVM_GET_DEBUGREGS)                    \
  X(kSetDebugregs, KVM_SET_DEBUGREGS)                    \
  X(kGetVcpuEvents, KVM_GET_VCPU_EVENTS)                 \
  X(kSetVcpuEvents, KVM_SET_VCPU_EVENTS)                 \
  X(kGetNestedState, KVM_GET_NESTED_STATE)               \
  X(kSetNestedState, KVM_SET_NESTED_STATE)               \
  X(kGetTscKhz, KVM_GET_TSC_KHZ)                         \
  X(kSetTscKhz, KVM_SET_TSC_KHZ)                         \
  X(kTranslate, KVM_TRANSLATE)                           \
  X(kInterrupt, KVM_INTERRUPT)                           \
  X(kNmi, KVM_NMI)                                       \
  X(kSmi, KVM_SMI)                                       \
  X(kKvmclockCtrl, KVM_KVMCLOCK_CTRL)                    \
  X(kTprAccessReporting, KVM_TPR_ACCESS_REPORTING)       \
  X(kSetVapicAddr, KVM_SET_VAPIC_ADDR)                   \
  X(kSetupMce, KVM_X86_SETUP_MCE)                        \
  X(kSetMce, KVM_X86_SET_MCE)
#elif defined(__aarch64__)
#define GUESTPROOF_KVM_IOCTLS_HERE(X)                    \
  X(kArmPreferredTarget, KVM_ARM_PREFERRED_TARGET)       \
  X(kArmVcpuInit, KVM_ARM_VCPU_INIT)                     \
  X(kArmVcpuFinalize, KVM_ARM_VCPU_FINALIZE)             \
  X(kArmMteCopyTags, KVM_ARM_MTE_COPY_TAGS)              \
  X(kGetVcpuEvents, KVM_GET_VCPU_EVENTS)                 \
  X(kSetVcpuEvents, KVM_SET_VCPU_EVENTS)                 \
  X(kGetRegList, KVM_GET_REG_LIST)                       \
  X(kGetOneReg, KVM_GET_ONE_REG)                         \
  X(kSetOneReg, KVM_SET_ONE_REG)
#elif defined(__riscv) && __riscv_xlen == 64
#define GUESTPROOF_KVM_IOCTLS_HERE(X)                    \
  X(kInterrupt, KVM_INTERRUPT)                           \
  X(kGetRegList, KVM_GET_REG_LIST)                       \
  X(kGetOneReg, KVM_GET_ONE_REG)                         \
  X(kSetOneReg, KVM_SET_ONE_REG)
#else
#error "guestproof::kvm is written for x86_64, aarch64 and riscv64"
#endif
#define GUESTPROOF_KVM_IOCTLS(X) GUESTPROOF_KVM_IOCTLS_EVERYWHERE(X) GUESTPROOF_KVM_IOCTLS_HERE(X)
// clang-format on

namespace guestproof::kvm {

enum class Ioctl : std::uint16_t {
#define GUESTPROOF_KVM_IOCTL(enumerator, name) enumerator,
  GUESTPROOF_KVM_IOCTLS(GUESTPROOF_KVM_IOCTL)
#undef GUESTPROOF_KVM_IOCTL
};
/// An Error of this domain is a refused call; its value is errno.
const ErrorDomain& error_domain(Ioctl);

/// The request number, as ioctl(2) takes it.
[[nodiscard]] unsigned long request_of(Ioctl ioctl);

/// ioctl(fd, request, argument). Errors: the Ioctl with errno.
[[nodiscard]] Result<int> call(int fd, Ioctl ioctl, unsigned long argument = 0);

/// With the address of `object`, which the kernel reads, writes, or both.
template <class T>
  requires(!std::is_pointer_v<T>)
[[nodiscard]] Result<int> call_with(int fd, Ioctl ioctl, T& object) {
  return call(fd, ioctl, reinterpret_cast<unsigned long>(&object));
}

/// A structure that the kernel reads.
template <class T>
[[nodiscard]] Result<void> set(int fd, Ioctl ioctl, const T& object) {
  if (const auto done = call_with(fd, ioctl, object); !done) return std::unexpected(done.error());
  return {};
}

/// A structure that the kernel fills; `object` is what it finds there.
template <class T>
[[nodiscard]] Result<T> get(int fd, Ioctl ioctl, T object = {}) {
  if (const auto done = call_with(fd, ioctl, object); !done) return std::unexpected(done.error());
  return object;
}

/// A call whose answer is a yes: the value it returns does not count.
[[nodiscard]] Result<void> order(int fd, Ioctl ioctl, unsigned long argument = 0);

/// KVM_ENABLE_CAP, which machines and vCPUs have. Errors: kEnableCap.
[[nodiscard]] Result<void> enable_capability(int fd, Capability capability,
                                             const std::array<std::uint64_t, 4>& arguments,
                                             std::uint32_t flags);

}  // namespace guestproof::kvm
