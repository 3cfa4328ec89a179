// A virtual processor: running it, and all of its state (Documentation/virt/kvm/api.rst, "vCPU
// ioctls").
//
//   const auto exit = vcpu->run();
//   if (const auto* io = std::get_if<kvm::IoOut>(&*exit)) bus.write(io->port,
//   vcpu->page().data(*io));
//
// Thread-safety: KVM wants a vCPU's calls from one thread; page().request_exit() may be called from
// any.
#pragma once

#include <signal.h>

#include <concepts>

#include "guestproof/base/fd.h"
#include "guestproof/kvm/capability.h"
#include "guestproof/kvm/coalesced_ring.h"
#include "guestproof/kvm/device.h"
#include "guestproof/kvm/dirty_ring.h"
#include "guestproof/kvm/flex_array.h"
#include "guestproof/kvm/mapping.h"
#include "guestproof/kvm/run_page.h"
#include "guestproof/kvm/stats.h"

namespace guestproof::kvm {

/// A dirty ring with the memory it lies in.
struct MappedDirtyRing {
  Mapping mapping;
  DirtyRing ring;
};

#if defined(__x86_64__)
/// The XSAVE area, as large as the features that the machine may use need: 4096 bytes or more.
struct Xsave {
  std::vector<std::uint32_t> words;
  friend bool operator==(const Xsave&, const Xsave&) = default;
};

/// What a vCPU's own hypervisor left in the processor: struct kvm_nested_state with its data.
class NestedState {
 public:
  /// Two pages beside the header are what VMX needs; room for what kernels may add.
  static constexpr std::size_t kLimit = 65536;

  /// Header and data, `size` as the header says. Errors: kStateLength.
  [[nodiscard]] static Result<NestedState> from_bytes(std::span<const std::byte> bytes);
  [[nodiscard]] const kvm_nested_state& header() const {
    return *reinterpret_cast<const kvm_nested_state*>(words_.data());
  }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return std::as_bytes(std::span(words_)).first(header().size);
  }
  friend bool operator==(const NestedState& a, const NestedState& b) {
    return std::ranges::equal(a.bytes(), b.bytes());
  }

 private:
  friend class Vcpu;
  explicit NestedState(std::size_t bytes);
  [[nodiscard]] kvm_nested_state& raw() {
    return *reinterpret_cast<kvm_nested_state*>(words_.data());
  }

  std::vector<std::uint64_t> words_;
};
#endif

/// What a vCPU's descriptor does not say itself.
struct VcpuSizes {
  std::size_t run = 0;    // bytes to map: Kvm::vcpu_mmap_size()
  std::size_t xsave = 0;  // x86_64: Vm::check_extension(kXsave2); 4096 when that is less
};

class Vcpu {
 public:
  /// Takes over a descriptor that KVM_CREATE_VCPU made. Errors: SystemError::kMap,
  /// PageError::kRunSize.
  [[nodiscard]] static Result<Vcpu> adopt(Fd fd, const VcpuSizes& sizes);
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Gives the descriptor away; the page stays mapped as long as this object lives.
  [[nodiscard]] Fd release() && { return std::move(fd_); }

  /// Runs the guest until something is the host's to do. A signal, request_exit(), or another
  /// vCPU's INIT is Intr; a memory fault that KVM describes is MemoryFault. Errors: kRun,
  /// PageError.
  [[nodiscard]] Result<Exit> run();
  /// True after an exit that the next run() completes (port and memory accesses, hypercalls, MSRs,
  /// ...): until then the guest's registers do not show what was answered.
  [[nodiscard]] bool exit_is_pending() const { return pending_; }
  /// Completes the last exit and runs nothing: Intr. Where the instruction is not done with that
  /// (`rep ins`), the next exit of it. A request_exit() from before stays; one that another thread
  /// makes meanwhile may be taken back, so such a thread has to leave word elsewhere, too. Errors:
  /// as run().
  [[nodiscard]] Result<Exit> complete();
  [[nodiscard]] const RunPage& page() const { return page_; }

  /// The ring of coalesced writes, in the run mapping: the machine's, whichever vCPU is asked. It
  /// must not outlive the vCPU. Errors: kRingLength, where KVM maps none.
  [[nodiscard]] Result<CoalescedRing> coalesced_ring() const;
  /// `bytes` as given to Vm::enable_dirty_rings(). KVM's place in the ring is its own: a second
  /// mapping goes on from the next() of the one before. Errors: SystemError::kMap, kDirtyRingSize.
  [[nodiscard]] Result<MappedDirtyRing> map_dirty_ring(std::uint32_t bytes,
                                                       std::size_t next = 0) const;

  /// Errors: kEnableCap.
  [[nodiscard]] Result<void> enable_capability(Capability capability,
                                               const std::array<std::uint64_t, 4>& arguments = {},
                                               std::uint32_t flags = 0) const;
  /// Runnable, halted, stopped: KVM_MP_STATE_…. Errors: kGetMpState.
  [[nodiscard]] Result<kvm_mp_state> get_mp_state() const;
  /// Errors: kSetMpState.
  [[nodiscard]] Result<void> set_mp_state(const kvm_mp_state& state) const;
  /// Breakpoints and single step: KVM_GUESTDBG_…. Errors: kSetGuestDebug.
  [[nodiscard]] Result<void> set_guest_debug(const kvm_guest_debug& debug) const;
  /// Signals that are blocked while the guest runs, in place of the thread's own. Errors:
  /// kSetSignalMask.
  [[nodiscard]] Result<void> set_signal_mask(const ::sigset_t& mask) const;
  /// Back to the thread's own. Errors: kSetSignalMask.
  [[nodiscard]] Result<void> clear_signal_mask() const;
  /// Maps guest memory before the guest asks for it; returns how many bytes are left when the
  /// kernel stopped early (a signal), 0 when all is mapped. Errors: kPreFaultMemory.
  [[nodiscard]] Result<std::uint64_t> pre_fault_memory(std::uint64_t address,
                                                       std::uint64_t size) const;
  /// Counters that KVM keeps of this vCPU (KVM_CAP_BINARY_STATS_FD). Errors: kGetStatsFd,
  /// SystemError::kRead, CallError::kStatistics, kStatisticsName, kTooManyEntries.
  [[nodiscard]] Result<Statistics> statistics() const;

#if defined(__x86_64__)
  // Registers. Errors of each: the call that it is named after.

  [[nodiscard]] Result<kvm_regs> get_regs() const;
  [[nodiscard]] Result<void> set_regs(const kvm_regs& regs) const;
  [[nodiscard]] Result<kvm_sregs> get_sregs() const;
  [[nodiscard]] Result<void> set_sregs(const kvm_sregs& sregs) const;
  /// With the PDPTRs of PAE paging (KVM_CAP_SREGS2).
  [[nodiscard]] Result<kvm_sregs2> get_sregs2() const;
  [[nodiscard]] Result<void> set_sregs2(const kvm_sregs2& sregs) const;
  [[nodiscard]] Result<kvm_fpu> get_fpu() const;
  [[nodiscard]] Result<void> set_fpu(const kvm_fpu& fpu) const;
  /// 4096 bytes (KVM_CAP_XSAVE).
  [[nodiscard]] Result<Xsave> get_xsave() const;
  /// As much as this machine has (KVM_CAP_XSAVE2).
  [[nodiscard]] Result<Xsave> get_xsave2() const;
  /// Errors: kStateLength, unless the area has as many bytes as get_xsave2() gives; kSetXsave.
  [[nodiscard]] Result<void> set_xsave(const Xsave& xsave) const;
  [[nodiscard]] Result<kvm_xcrs> get_xcrs() const;
  [[nodiscard]] Result<void> set_xcrs(const kvm_xcrs& xcrs) const;
  [[nodiscard]] Result<kvm_debugregs> get_debugregs() const;
  [[nodiscard]] Result<void> set_debugregs(const kvm_debugregs& debugregs) const;
  [[nodiscard]] Result<kvm_lapic_state> get_lapic() const;
  [[nodiscard]] Result<void> set_lapic(const kvm_lapic_state& lapic) const;
  [[nodiscard]] Result<kvm_vcpu_events> get_vcpu_events() const;
  [[nodiscard]] Result<void> set_vcpu_events(const kvm_vcpu_events& events) const;
  /// Reads the MSRs that the entries name. Errors: kGetMsrs, kMsrRefused: those before it were
  /// read.
  [[nodiscard]] Result<void> get_msrs(Msrs& msrs) const;
  /// Errors: kSetMsrs, kMsrRefused: those before it were set.
  [[nodiscard]] Result<void> set_msrs(const Msrs& msrs) const;
  /// Errors: kGetNestedState (E2BIG: it is larger than NestedState::kLimit), kEntryCount (a size
  /// that cannot be).
  [[nodiscard]] Result<NestedState> get_nested_state() const;
  [[nodiscard]] Result<void> set_nested_state(const NestedState& state) const;

  /// Errors: kGetCpuid2, kEntryCount.
  [[nodiscard]] Result<CpuId> get_cpuid2() const;
  [[nodiscard]] Result<void> set_cpuid2(const CpuId& cpuid) const;
  [[nodiscard]] Result<std::uint32_t> get_tsc_khz() const;
  [[nodiscard]] Result<void> set_tsc_khz(std::uint32_t khz) const;
  /// Where a guest-virtual address leads; `valid` says whether anywhere.
  [[nodiscard]] Result<kvm_translation> translate(std::uint64_t guest_virtual) const;

  /// Injects a vector, where there is no in-kernel APIC. Errors: kInterrupt.
  [[nodiscard]] Result<void> interrupt(std::uint32_t vector) const;
  [[nodiscard]] Result<void> nmi() const;
  [[nodiscard]] Result<void> smi() const;
  /// Tells the guest's watchdogs that the host had stopped it.
  [[nodiscard]] Result<void> kvmclock_ctrl() const;
  /// Exits at accesses to the TPR of the in-kernel APIC. Errors: kTprAccessReporting.
  [[nodiscard]] Result<void> report_tpr_access(bool enabled) const;
  /// Errors: kSetVapicAddr.
  [[nodiscard]] Result<void> set_vapic_address(std::uint64_t address) const;
  /// `capabilities` as Kvm::supported_mce_capabilities(), with the number of banks (1 to 32) in
  /// the lowest byte, where that has 0.
  [[nodiscard]] Result<void> setup_mce(std::uint64_t capabilities) const;
  /// A machine check for the guest. Errors: kSetMce.
  [[nodiscard]] Result<void> set_mce(const kvm_x86_mce& mce) const;
  /// `type` is KVM_XEN_VCPU_ATTR_TYPE_….
  [[nodiscard]] Result<kvm_xen_vcpu_attr> get_xen_attribute(std::uint16_t type) const;
  [[nodiscard]] Result<void> set_xen_attribute(const kvm_xen_vcpu_attr& attribute) const;
#else
  /// Which registers there are. Errors: kGetRegList, kEntryCount.
  [[nodiscard]] Result<RegList> get_reg_list() const;
  /// Bytes of a register, from its id.
  [[nodiscard]] static constexpr std::size_t register_size(std::uint64_t id) {
    return std::size_t{1} << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
  }
  /// Errors: kRegisterSize, kGetOneReg (ENOENT: there is no such register).
  [[nodiscard]] Result<void> get_one_reg(std::uint64_t id, std::span<std::byte> out) const;
  /// Errors: kRegisterSize, kSetOneReg.
  [[nodiscard]] Result<void> set_one_reg(std::uint64_t id, std::span<const std::byte> value) const;
  template <std::unsigned_integral T>
  [[nodiscard]] Result<T> get_one_reg(std::uint64_t id) const {
    T value{};
    const auto done = get_one_reg(id, std::as_writable_bytes(std::span(&value, 1)));
    if (!done) return std::unexpected(done.error());
    return value;
  }
  template <std::unsigned_integral T>
  [[nodiscard]] Result<void> set_one_reg(std::uint64_t id, T value) const {
    return set_one_reg(id, std::as_bytes(std::span(&value, 1)));
  }
#endif
#if defined(__aarch64__)
  /// Which processor and which features (KVM_ARM_VCPU_…). Errors: kArmVcpuInit.
  [[nodiscard]] Result<void> init(const kvm_vcpu_init& target) const;
  /// After the registers that say how large they are, before the first run: KVM_ARM_VCPU_SVE.
  /// Errors: kArmVcpuFinalize.
  [[nodiscard]] Result<void> finalize(int feature) const;
  /// Errors: kGetVcpuEvents.
  [[nodiscard]] Result<kvm_vcpu_events> get_vcpu_events() const;
  /// Errors: kSetVcpuEvents.
  [[nodiscard]] Result<void> set_vcpu_events(const kvm_vcpu_events& events) const;
#elif defined(__riscv)
  /// The external interrupt of the guest's supervisor mode. Errors: kInterrupt.
  [[nodiscard]] Result<void> set_interrupt(bool level) const;
#endif

  // Attributes of the vCPU (a PMU, timers, the TSC's offset, ...). Errors: as Device's.

  [[nodiscard]] Result<void> has(const Attribute& attribute) const {
    return has_attribute(fd(), attribute);
  }
  /// For attributes that are an order and carry nothing.
  [[nodiscard]] Result<void> set(const Attribute& attribute) const {
    return set_attribute(fd(), attribute, nullptr);
  }
  template <class T>
    requires(!std::is_pointer_v<T>)
  [[nodiscard]] Result<void> set(const Attribute& attribute, const T& value) const {
    return set_attribute(fd(), attribute, &value);
  }
  template <class T>
  [[nodiscard]] Result<T> get(const Attribute& attribute, T value = {}) const {
    if (const auto done = get_attribute(fd(), attribute, &value); !done)
      return std::unexpected(done.error());
    return value;
  }

 private:
  Vcpu(Fd fd, Mapping mapping, RunPage page, std::size_t xsave_size)
      : fd_(std::move(fd)), mapping_(std::move(mapping)), page_(page), xsave_size_(xsave_size) {}

  [[nodiscard]] Result<Exit> run_once();
#if defined(__x86_64__)
  [[nodiscard]] Result<Xsave> xsave_of(Ioctl ioctl, std::size_t size) const;
#endif

  Fd fd_;
  Mapping mapping_;
  RunPage page_;  // lies in mapping_
  bool pending_ = false;
  [[maybe_unused]] std::size_t xsave_size_;
};

}  // namespace guestproof::kvm
