// The run page: struct kvm_run and what is mapped behind it, shared with KVM.
//
// The page is memory that another party writes. decode() reads every field once, checks it, and
// hands out an Exit that holds only what was checked; data() and answer() write inside the mapping,
// whatever the page says by then. Not here: KVM_RUN itself (vcpu.h).
//
// Thread-safety: one thread, the one that runs the vCPU; request_exit() may be called from any
// thread and from a signal handler.
#pragma once

#include "guestproof/base/checked.h"
#include "guestproof/kvm/error.h"
#include "guestproof/kvm/exit.h"
#include "guestproof/memory/guest_memory.h"
#include "guestproof/memory/mapped_memory.h"

namespace guestproof::kvm {

template <GuestSlice Slice>
class BasicRunPage {
 public:
  /// Errors: kRunSize, for a mapping that is smaller than struct kvm_run or larger than 4 GiB.
  [[nodiscard]] static Result<BasicRunPage> over(Slice mapping) {
    if (mapping.size() < sizeof(kvm_run) || mapping.size() > UINT32_MAX)
      return fail(PageError::kRunSize, mapping.size(), sizeof(kvm_run));
    return BasicRunPage(mapping);
  }

  /// KVM_EXIT_…, of exits that nobody has a name for.
  [[nodiscard]] std::uint32_t reason() const {
    return mapping_.template load<std::uint32_t>(offsetof(kvm_run, exit_reason));
  }
  /// The exit that the page describes. Errors: PageError, naming the field that cannot be.
  [[nodiscard]] Result<Exit> decode() const;

  // Where data goes to and comes from. REQUIRES: the exit was decoded from this page.

  [[nodiscard]] Slice data(const IoOut& io) const { return items(io.data); }
  [[nodiscard]] Slice data(const IoIn& io) const { return items(io.data); }
  [[nodiscard]] Slice data(const MmioRead& mmio) const {
    GUESTPROOF_INVARIANT(mmio.length <= sizeof(kvm_run::mmio.data));
    return mapping_.subslice(offsetof(kvm_run, mmio.data), mmio.length);
  }

  // Answers; the guest gets them at the next KVM_RUN.

  /// x86_64's. On aarch64 the answer goes into x0 to x3, and KVM does not look here.
  void answer(const Hypercall&, std::uint64_t result) const {
    mapping_.store(offsetof(kvm_run, hypercall.ret), result);
  }
  void answer(const HypervHypercall&, std::uint64_t result) const {
    mapping_.store(offsetof(kvm_run, hyperv.u.hcall.result), result);
  }
  /// `status` as the debugger's host side sets it.
  void answer(const HypervSyndbg&, std::uint64_t status) const {
    mapping_.store(offsetof(kvm_run, hyperv.u.syndbg.status), status);
  }
  void answer(const XenHypercall&, std::uint64_t result) const {
    mapping_.store(offsetof(kvm_run, xen.u.hcall.result), result);
  }
  void answer(const Rdmsr&, std::uint64_t value) const {
    mapping_.store(offsetof(kvm_run, msr.data), value);
    mapping_.store(offsetof(kvm_run, msr.error), std::uint8_t{0});
  }
  void answer(const Wrmsr&) const { mapping_.store(offsetof(kvm_run, msr.error), std::uint8_t{0}); }
  /// The guest gets a general protection fault.
  void refuse(const Rdmsr&) const { mapping_.store(offsetof(kvm_run, msr.error), std::uint8_t{1}); }
  void refuse(const Wrmsr&) const { mapping_.store(offsetof(kvm_run, msr.error), std::uint8_t{1}); }
  /// `error` and `value` as an SBI call returns them in a0 and a1.
  void answer(const RiscvSbi&, std::uint64_t error, std::uint64_t value) const {
    mapping_.store(kUnion + 64, error);
    mapping_.store(kUnion + 72, value);
  }
  void answer(const RiscvCsr&, std::uint64_t old_value) const {
    mapping_.store(kUnion + 24, old_value);
  }

  // What the host says to KVM, and KVM to the host, at every run.

  /// Makes the next KVM_RUN return Intr before it enters the guest, and every one until it is taken
  /// back (KVM_CAP_IMMEDIATE_EXIT). A thread that is in the guest has to be sent a signal as well.
  void request_exit(bool now) const {
    mapping_.store(offsetof(kvm_run, immediate_exit), std::uint8_t{now});
  }
  [[nodiscard]] bool exit_is_requested() const {
    return mapping_.template load<std::uint8_t>(offsetof(kvm_run, immediate_exit)) != 0;
  }
  void request_interrupt_window(bool wanted) const {
    mapping_.store(offsetof(kvm_run, request_interrupt_window), std::uint8_t{wanted});
  }
  [[nodiscard]] bool ready_for_interrupt_injection() const {
    return mapping_.template load<std::uint8_t>(offsetof(kvm_run, ready_for_interrupt_injection)) !=
           0;
  }
  [[nodiscard]] bool interrupt_flag() const {
    return mapping_.template load<std::uint8_t>(offsetof(kvm_run, if_flag)) != 0;
  }
  /// KVM_RUN_X86_SMM, KVM_RUN_X86_BUS_LOCK, …
  [[nodiscard]] std::uint16_t flags() const {
    return mapping_.template load<std::uint16_t>(offsetof(kvm_run, flags));
  }
  [[nodiscard]] std::uint64_t cr8() const {
    return mapping_.template load<std::uint64_t>(offsetof(kvm_run, cr8));
  }
  /// Without an in-kernel APIC: the guest's CR8 at the next run.
  void set_cr8(std::uint64_t value) const { mapping_.store(offsetof(kvm_run, cr8), value); }
  [[nodiscard]] std::uint64_t apic_base() const {
    return mapping_.template load<std::uint64_t>(offsetof(kvm_run, apic_base));
  }

  // Registers that travel with the page (KVM_CAP_SYNC_REGS).

  /// Which classes (KVM_SYNC_X86_REGS, …) KVM stores at every exit.
  void set_valid_registers(std::uint64_t classes) const {
    mapping_.store(offsetof(kvm_run, kvm_valid_regs), classes);
  }
  /// Which classes KVM loads from here at the next run.
  void set_dirty_registers(std::uint64_t classes) const {
    mapping_.store(offsetof(kvm_run, kvm_dirty_regs), classes);
  }
  [[nodiscard]] kvm_sync_regs sync_registers() const {
    return take<kvm_sync_regs>(offsetof(kvm_run, s));
  }
  void set_sync_registers(const kvm_sync_regs& registers) const {
    mapping_.write(offsetof(kvm_run, s), std::as_bytes(std::span(&registers, 1)));
  }

  [[nodiscard]] Slice mapping() const { return mapping_; }

 private:
  static constexpr std::size_t kUnion = offsetof(kvm_run, hw);

  explicit BasicRunPage(Slice mapping) : mapping_(mapping) {}

  [[nodiscard]] Slice items(const IoData& data) const {
    GUESTPROOF_INVARIANT(range_within<std::size_t>(data.offset, data.length, mapping_.size()));
    return mapping_.subslice(data.offset, data.length);
  }
  /// A private copy, every byte read once.
  template <class T>
  [[nodiscard]] T take(std::size_t offset = kUnion) const {
    T object;
    mapping_.read(offset, std::as_writable_bytes(std::span(&object, 1)));
    return object;
  }

  template <std::size_t N>
  [[nodiscard]] static std::array<std::uint64_t, N> words(const __u64 (&from)[N]) {
    std::array<std::uint64_t, N> to{};
    std::ranges::copy(from, to.begin());
    return to;
  }

  static Exit exception(const decltype(kvm_run::ex)& ex) {
    return Exception{ex.exception, ex.error_code};
  }
  static Exit fail_entry(const decltype(kvm_run::fail_entry)& entry) {
    return FailEntry{entry.hardware_entry_failure_reason, entry.cpu};
  }
  static Exit tpr_access(const decltype(kvm_run::tpr_access)& access) {
    return TprAccess{access.rip, access.is_write != 0};
  }
  static Exit arm_nisv(const decltype(kvm_run::arm_nisv)& nisv) {
    return ArmNisv{nisv.esr_iss, nisv.fault_ipa};
  }
  static Exit rdmsr(const decltype(kvm_run::msr)& msr) { return Rdmsr{msr.reason, msr.index}; }
  static Exit wrmsr(const decltype(kvm_run::msr)& msr) {
    return Wrmsr{msr.reason, msr.index, msr.data};
  }
  static Exit riscv_csr(const decltype(kvm_run::riscv_csr)& csr) {
    return RiscvCsr{csr.csr_num, csr.new_value, csr.write_mask};
  }
  static Exit memory_fault(const RunMemoryFault& fault) {
    return MemoryFault{fault.flags, fault.gpa, fault.size};
  }

  [[nodiscard]] Result<Exit> decode_io() const;
  [[nodiscard]] Result<Exit> decode_mmio() const;
  [[nodiscard]] Exit decode_hypercall() const;
  [[nodiscard]] Exit decode_debug() const;
  [[nodiscard]] Result<Exit> decode_internal_error() const;
  [[nodiscard]] static Result<Exit> emulation_failure(const InternalError& error);
  [[nodiscard]] Result<Exit> decode_system_event() const;
  [[nodiscard]] Result<Exit> decode_hyperv() const;
  [[nodiscard]] Result<Exit> decode_xen() const;
  [[nodiscard]] Exit decode_riscv_sbi() const;

  Slice mapping_;
};

using RunPage = BasicRunPage<MappedSlice>;

template <GuestSlice Slice>
Result<Exit> BasicRunPage<Slice>::decode_io() const {
  const auto io = take<decltype(kvm_run::io)>();
  if (io.direction != KVM_EXIT_IO_IN && io.direction != KVM_EXIT_IO_OUT)
    return fail(PageError::kIoDirection, io.direction, KVM_EXIT_IO_OUT);
  if (io.size != 1 && io.size != 2 && io.size != 4) return fail(PageError::kIoSize, io.size, 4);
  const std::uint64_t length = std::uint64_t{io.size} * io.count;
  if (io.count == 0 || length > mapping_.size())
    return fail(PageError::kIoCount, io.count, mapping_.size() / io.size);
  // Items inside struct kvm_run itself would let the guest's data change what the page says.
  if (io.data_offset < sizeof(kvm_run) ||
      !range_within<std::uint64_t>(io.data_offset, length, mapping_.size()))
    return fail(PageError::kIoOffset, io.data_offset, mapping_.size());
  const IoData data{static_cast<std::uint32_t>(io.data_offset), static_cast<std::uint32_t>(length)};
  if (io.direction == KVM_EXIT_IO_OUT) return IoOut{io.port, io.size, io.count, data};
  return IoIn{io.port, io.size, io.count, data};
}

template <GuestSlice Slice>
Result<Exit> BasicRunPage<Slice>::decode_mmio() const {
  const auto mmio = take<decltype(kvm_run::mmio)>();
  if (mmio.is_write > 1) return fail(PageError::kMmioDirection, mmio.is_write, 1);
  if (mmio.len == 0 || mmio.len > sizeof mmio.data)
    return fail(PageError::kMmioLength, mmio.len, sizeof mmio.data);
  if (mmio.is_write == 0) return MmioRead{mmio.phys_addr, mmio.len};
  MmioWrite write{.address = mmio.phys_addr, .length = mmio.len};
  std::memcpy(write.bytes.data(), mmio.data, mmio.len);
  return write;
}

template <GuestSlice Slice>
Exit BasicRunPage<Slice>::decode_hypercall() const {
  struct Wire {
    std::uint64_t number;                    // 0
    std::array<std::uint64_t, 6> arguments;  // 8
    std::uint64_t result;                    // 56
    std::uint64_t flags;                     // 64  `longmode` and a pad before Linux 6.5
  };
  static_assert(sizeof(Wire) == sizeof(kvm_run::hypercall));
  const auto wire = take<Wire>();
  return Hypercall{wire.number, wire.arguments, wire.flags};
}

template <GuestSlice Slice>
Exit BasicRunPage<Slice>::decode_debug() const {
#if defined(__x86_64__)
  const auto arch = take<kvm_debug_exit_arch>();
  return Debug{arch.exception, arch.pc, arch.dr6, arch.dr7};
#elif defined(__aarch64__)
  const auto arch = take<kvm_debug_exit_arch>();
  return Debug{std::uint64_t{arch.hsr_high} << 32 | arch.hsr, arch.far};
#else
  return Debug{};
#endif
}

template <GuestSlice Slice>
Result<Exit> BasicRunPage<Slice>::decode_internal_error() const {
  const auto internal = take<decltype(kvm_run::internal)>();
  InternalError error{.suberror = internal.suberror, .ndata = internal.ndata};
  if (error.ndata > error.data.size())
    return fail(PageError::kDataCount, error.ndata, error.data.size());
  std::copy_n(internal.data, error.ndata, error.data.begin());
  // With less than flags and instruction it is not the form that kernels since 5.14 give.
  if (error.suberror == KVM_INTERNAL_ERROR_EMULATION && error.ndata >= 1)
    return emulation_failure(error);
  return error;
}

template <GuestSlice Slice>
Result<Exit> BasicRunPage<Slice>::emulation_failure(const InternalError& error) {
  EmulationFailure failure{.flags = error.data[0]};
  if ((failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) == 0) return failure;
  struct Wire {
    std::uint8_t length;
    std::array<std::byte, 15> bytes;
  };
  const auto wire = std::bit_cast<Wire>(std::array{error.data[1], error.data[2]});
  if (error.ndata < 3 || wire.length > failure.bytes.size())
    return fail(PageError::kInstructionLength, wire.length, failure.bytes.size());
  failure.length = wire.length;
  std::copy_n(wire.bytes.begin(), wire.length, failure.bytes.begin());
  return failure;
}

template <GuestSlice Slice>
Result<Exit> BasicRunPage<Slice>::decode_system_event() const {
  const auto event = take<decltype(kvm_run::system_event)>();
  SystemEvent result{.type = event.type, .ndata = event.ndata};
  if (result.ndata > result.data.size())
    return fail(PageError::kDataCount, result.ndata, result.data.size());
  std::copy_n(event.data, result.ndata, result.data.begin());
  return result;
}

template <GuestSlice Slice>
Result<Exit> BasicRunPage<Slice>::decode_hyperv() const {
  const auto hyperv = take<kvm_hyperv_exit>();
  const auto& synic = hyperv.u.synic;
  const auto& call = hyperv.u.hcall;
  const auto& debug = hyperv.u.syndbg;
  switch (hyperv.type) {
    case KVM_EXIT_HYPERV_SYNIC:
      return HypervSynic{synic.msr, synic.control, synic.evt_page, synic.msg_page};
    case KVM_EXIT_HYPERV_HCALL:
      return HypervHypercall{call.input, words(call.params)};
    case KVM_EXIT_HYPERV_SYNDBG:
      return HypervSyndbg{debug.msr,       debug.control,   debug.status,
                          debug.send_page, debug.recv_page, debug.pending_page};
    default:
      return fail(PageError::kHypervType, hyperv.type, KVM_EXIT_HYPERV_SYNDBG);
  }
}

template <GuestSlice Slice>
Result<Exit> BasicRunPage<Slice>::decode_xen() const {
  const auto xen = take<kvm_xen_exit>();
  if (xen.type != KVM_EXIT_XEN_HCALL)
    return fail(PageError::kXenType, xen.type, KVM_EXIT_XEN_HCALL);
  const auto& call = xen.u.hcall;
  return XenHypercall{call.longmode != 0, call.cpl, call.input, words(call.params)};
}

template <GuestSlice Slice>
Exit BasicRunPage<Slice>::decode_riscv_sbi() const {
  const auto sbi = take<decltype(kvm_run::riscv_sbi)>();
  RiscvSbi result{.extension = sbi.extension_id, .function = sbi.function_id};
  std::ranges::copy(sbi.args, result.arguments.begin());
  return result;
}

template <GuestSlice Slice>
Result<Exit> BasicRunPage<Slice>::decode() const {
  const auto number = reason();
  switch (number) {
    case KVM_EXIT_UNKNOWN:
      return Unknown{take<std::uint64_t>()};
    case KVM_EXIT_EXCEPTION:
      return exception(take<decltype(kvm_run::ex)>());
    case KVM_EXIT_IO:
      return decode_io();
    case KVM_EXIT_HYPERCALL:
      return decode_hypercall();
    case KVM_EXIT_DEBUG:
      return decode_debug();
    case KVM_EXIT_HLT:
      return Hlt{};
    case KVM_EXIT_MMIO:
      return decode_mmio();
    case KVM_EXIT_IRQ_WINDOW_OPEN:
      return IrqWindowOpen{};
    case KVM_EXIT_SHUTDOWN:
      return Shutdown{};
    case KVM_EXIT_FAIL_ENTRY:
      return fail_entry(take<decltype(kvm_run::fail_entry)>());
    case KVM_EXIT_INTR:
      return Intr{};
    case KVM_EXIT_SET_TPR:
      return SetTpr{};
    case KVM_EXIT_TPR_ACCESS:
      return tpr_access(take<decltype(kvm_run::tpr_access)>());
    case KVM_EXIT_S390_SIEIC:
      return S390Sieic{};
    case KVM_EXIT_S390_RESET:
      return S390Reset{};
    case KVM_EXIT_DCR:
      return Dcr{};
    case KVM_EXIT_NMI:
      return Nmi{};
    case KVM_EXIT_INTERNAL_ERROR:
      return decode_internal_error();
    case KVM_EXIT_OSI:
      return Osi{};
    case KVM_EXIT_PAPR_HCALL:
      return PaprHcall{};
    case KVM_EXIT_S390_UCONTROL:
      return S390Ucontrol{};
    case KVM_EXIT_WATCHDOG:
      return Watchdog{};
    case KVM_EXIT_S390_TSCH:
      return S390Tsch{};
    case KVM_EXIT_EPR:
      return Epr{};
    case KVM_EXIT_SYSTEM_EVENT:
      return decode_system_event();
    case KVM_EXIT_S390_STSI:
      return S390Stsi{};
    case KVM_EXIT_IOAPIC_EOI:
      return IoapicEoi{take<std::uint8_t>()};
    case KVM_EXIT_HYPERV:
      return decode_hyperv();
    case KVM_EXIT_ARM_NISV:
      return arm_nisv(take<decltype(kvm_run::arm_nisv)>());
    case KVM_EXIT_X86_RDMSR:
      return rdmsr(take<decltype(kvm_run::msr)>());
    case KVM_EXIT_X86_WRMSR:
      return wrmsr(take<decltype(kvm_run::msr)>());
    case KVM_EXIT_DIRTY_RING_FULL:
      return DirtyRingFull{};
    case KVM_EXIT_AP_RESET_HOLD:
      return ApResetHold{};
    case KVM_EXIT_X86_BUS_LOCK:
      return BusLock{};
    case KVM_EXIT_XEN:
      return decode_xen();
    case KVM_EXIT_RISCV_SBI:
      return decode_riscv_sbi();
    case KVM_EXIT_RISCV_CSR:
      return riscv_csr(take<decltype(kvm_run::riscv_csr)>());
    case KVM_EXIT_NOTIFY:
      return Notify{(take<std::uint32_t>() & KVM_NOTIFY_CONTEXT_INVALID) != 0};
    case KVM_EXIT_MEMORY_FAULT:
      return memory_fault(take<RunMemoryFault>());
    default:
      return Unsupported{number};
  }
}

}  // namespace guestproof::kvm
