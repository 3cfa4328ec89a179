// Why KVM_RUN returned, as values that were read from the shared page once and checked
// (Documentation/virt/kvm/api.rst, "The kvm_run structure").
//
// An Exit holds no pointer. What a guest waits for an answer to (IoIn, MmioRead, Rdmsr, ...) is
// answered through the page it came from: run_page.h.
//
// Thread-safety: values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "guestproof/kvm/abi.h"

namespace guestproof::kvm {

/// Where the items of a port access lie in the run page: inside it, behind struct kvm_run.
struct IoData {
  std::uint32_t offset = 0;
  std::uint32_t length = 0;  // size · count

  friend bool operator==(const IoData&, const IoData&) = default;
};

/// The guest writes `count` items of `size` (1, 2 or 4) bytes to a port; several for `rep outs`.
struct IoOut {
  std::uint16_t port = 0;
  std::uint8_t size = 0;
  std::uint32_t count = 0;
  IoData data;

  friend bool operator==(const IoOut&, const IoOut&) = default;
};
/// The guest reads `count` items of `size` bytes: RunPage::data() is where they go.
struct IoIn {
  std::uint16_t port = 0;
  std::uint8_t size = 0;
  std::uint32_t count = 0;
  IoData data;

  friend bool operator==(const IoIn&, const IoIn&) = default;
};
/// 1 to 8 bytes; 3, 5, 6 and 7 occur where an access crosses a page.
struct MmioWrite {
  std::uint64_t address = 0;
  std::array<std::byte, 8> bytes{};
  std::uint32_t length = 0;

  [[nodiscard]] std::span<const std::byte> data() const { return std::span(bytes).first(length); }
  friend bool operator==(const MmioWrite&, const MmioWrite&) = default;
};
/// RunPage::data() is where the answer goes.
struct MmioRead {
  std::uint64_t address = 0;
  std::uint32_t length = 0;

  friend bool operator==(const MmioRead&, const MmioRead&) = default;
};
struct Hypercall {
  std::uint64_t number = 0;
  /// x86_64's. On aarch64 they are in x1 to x6, and KVM gives none.
  std::array<std::uint64_t, 6> arguments{};
  /// KVM_HYPERCALL_EXIT_SMC, …: of what instruction; on x86_64 bit 0 is long mode.
  std::uint64_t flags = 0;

  friend bool operator==(const Hypercall&, const Hypercall&) = default;
};
/// A breakpoint or a single step (KVM_SET_GUEST_DEBUG).
struct Debug {
#if defined(__x86_64__)
  std::uint32_t exception = 0;
  std::uint64_t pc = 0;
  std::uint64_t dr6 = 0;
  std::uint64_t dr7 = 0;
#elif defined(__aarch64__)
  std::uint64_t syndrome = 0;  // ESR_EL2
  std::uint64_t far = 0;       // of a watchpoint
#endif
  friend bool operator==(const Debug&, const Debug&) = default;
};
struct Unknown {
  std::uint64_t hardware_exit_reason = 0;
  friend bool operator==(const Unknown&, const Unknown&) = default;
};
struct FailEntry {
  std::uint64_t hardware_entry_failure_reason = 0;
  std::uint32_t cpu = 0;
  friend bool operator==(const FailEntry&, const FailEntry&) = default;
};
struct Exception {
  std::uint32_t exception = 0;
  std::uint32_t error_code = 0;
  friend bool operator==(const Exception&, const Exception&) = default;
};
struct TprAccess {
  std::uint64_t rip = 0;
  bool write = false;
  friend bool operator==(const TprAccess&, const TprAccess&) = default;
};
/// KVM itself cannot go on.
struct InternalError {
  std::uint32_t suberror = 0;  // KVM_INTERNAL_ERROR_…
  std::uint32_t ndata = 0;     // of data
  std::array<std::uint64_t, 16> data{};

  friend bool operator==(const InternalError&, const InternalError&) = default;
};
/// The InternalError of an instruction that KVM could not emulate (KVM_INTERNAL_ERROR_EMULATION),
/// with its bytes where KVM knows them.
struct EmulationFailure {
  std::uint64_t flags = 0;
  std::array<std::byte, 15> bytes{};
  std::uint8_t length = 0;  // of bytes; 0 when KVM gave none

  [[nodiscard]] std::span<const std::byte> instruction() const {
    return std::span(bytes).first(length);
  }
  friend bool operator==(const EmulationFailure&, const EmulationFailure&) = default;
};
/// Shutdown, reset, crash, suspend, ...: KVM_SYSTEM_EVENT_….
struct SystemEvent {
  std::uint32_t type = 0;
  std::uint32_t ndata = 0;  // of data; data[0] are the flags of kernels before 5.19
  std::array<std::uint64_t, 16> data{};

  friend bool operator==(const SystemEvent&, const SystemEvent&) = default;
};
struct IoapicEoi {
  std::uint8_t vector = 0;
  friend bool operator==(const IoapicEoi&, const IoapicEoi&) = default;
};
struct HypervSynic {
  std::uint32_t msr = 0;
  std::uint64_t control = 0;
  std::uint64_t event_page = 0;
  std::uint64_t message_page = 0;
  friend bool operator==(const HypervSynic&, const HypervSynic&) = default;
};
struct HypervHypercall {
  std::uint64_t input = 0;
  std::array<std::uint64_t, 2> parameters{};
  friend bool operator==(const HypervHypercall&, const HypervHypercall&) = default;
};
struct HypervSyndbg {
  std::uint32_t msr = 0;
  std::uint64_t control = 0;
  std::uint64_t status = 0;
  std::uint64_t send_page = 0;
  std::uint64_t receive_page = 0;
  std::uint64_t pending_page = 0;
  friend bool operator==(const HypervSyndbg&, const HypervSyndbg&) = default;
};
/// A data abort that carries no syndrome, so that the host has to decode the instruction.
struct ArmNisv {
  std::uint64_t esr_iss = 0;
  std::uint64_t fault_ipa = 0;
  friend bool operator==(const ArmNisv&, const ArmNisv&) = default;
};
struct Rdmsr {
  std::uint32_t reason = 0;  // KVM_MSR_EXIT_REASON_…
  std::uint32_t index = 0;
  friend bool operator==(const Rdmsr&, const Rdmsr&) = default;
};
struct Wrmsr {
  std::uint32_t reason = 0;
  std::uint32_t index = 0;
  std::uint64_t value = 0;
  friend bool operator==(const Wrmsr&, const Wrmsr&) = default;
};
struct XenHypercall {
  bool long_mode = false;
  std::uint32_t cpl = 0;
  std::uint64_t input = 0;
  std::array<std::uint64_t, 6> parameters{};
  friend bool operator==(const XenHypercall&, const XenHypercall&) = default;
};
struct RiscvSbi {
  std::uint64_t extension = 0;
  std::uint64_t function = 0;
  std::array<std::uint64_t, 6> arguments{};
  friend bool operator==(const RiscvSbi&, const RiscvSbi&) = default;
};
struct RiscvCsr {
  std::uint64_t number = 0;
  std::uint64_t new_value = 0;
  std::uint64_t write_mask = 0;
  friend bool operator==(const RiscvCsr&, const RiscvCsr&) = default;
};
/// The guest kept the host from taking the processor back (KVM_CAP_X86_NOTIFY_VMEXIT).
struct Notify {
  bool context_invalid = false;
  friend bool operator==(const Notify&, const Notify&) = default;
};
/// KVM cannot resolve a fault of the guest on its own; KVM_RUN failed with EFAULT or EHWPOISON.
struct MemoryFault {
  std::uint64_t flags = 0;  // KVM_MEMORY_EXIT_FLAG_…
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  friend bool operator==(const MemoryFault&, const MemoryFault&) = default;
};

/// An exit that carries nothing.
template <std::uint32_t Reason>
struct Plain {
  static constexpr std::uint32_t kReason = Reason;
  friend bool operator==(const Plain&, const Plain&) = default;
};
using Hlt = Plain<KVM_EXIT_HLT>;
using IrqWindowOpen = Plain<KVM_EXIT_IRQ_WINDOW_OPEN>;
using Shutdown = Plain<KVM_EXIT_SHUTDOWN>;
/// A signal, or immediate_exit; KVM_RUN itself returned EINTR.
using Intr = Plain<KVM_EXIT_INTR>;
using SetTpr = Plain<KVM_EXIT_SET_TPR>;
using Nmi = Plain<KVM_EXIT_NMI>;
using Watchdog = Plain<KVM_EXIT_WATCHDOG>;
using DirtyRingFull = Plain<KVM_EXIT_DIRTY_RING_FULL>;
using ApResetHold = Plain<KVM_EXIT_AP_RESET_HOLD>;
using BusLock = Plain<KVM_EXIT_X86_BUS_LOCK>;

// What s390 and ppc have; the page has the rest of it.
using S390Sieic = Plain<KVM_EXIT_S390_SIEIC>;
using S390Reset = Plain<KVM_EXIT_S390_RESET>;
using Dcr = Plain<KVM_EXIT_DCR>;
using Osi = Plain<KVM_EXIT_OSI>;
using PaprHcall = Plain<KVM_EXIT_PAPR_HCALL>;
using S390Ucontrol = Plain<KVM_EXIT_S390_UCONTROL>;
using S390Tsch = Plain<KVM_EXIT_S390_TSCH>;
using Epr = Plain<KVM_EXIT_EPR>;
using S390Stsi = Plain<KVM_EXIT_S390_STSI>;

/// A reason that this library does not know: of a newer kernel, or nonsense.
struct Unsupported {
  std::uint32_t reason = 0;
  friend bool operator==(const Unsupported&, const Unsupported&) = default;
};

using Exit =
    std::variant<Unknown, Exception, IoOut, IoIn, MmioRead, MmioWrite, Hypercall, Debug, Hlt,
                 IrqWindowOpen, Shutdown, FailEntry, Intr, SetTpr, TprAccess, Nmi, InternalError,
                 EmulationFailure, Watchdog, SystemEvent, IoapicEoi, HypervSynic, HypervHypercall,
                 HypervSyndbg, ArmNisv, Rdmsr, Wrmsr, DirtyRingFull, ApResetHold, BusLock,
                 XenHypercall, RiscvSbi, RiscvCsr, Notify, MemoryFault, S390Sieic, S390Reset, Dcr,
                 Osi, PaprHcall, S390Ucontrol, S390Tsch, Epr, S390Stsi, Unsupported>;

}  // namespace guestproof::kvm
