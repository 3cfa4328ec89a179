// A virtual machine: memory, vCPUs, interrupts, events, dirty logs, devices
// (Documentation/virt/kvm/api.rst, "VM ioctls").
//
// What is mapped into the guest belongs to the caller and must outlive the slot. The Vm remembers
// the size of each slot that it set, so that a dirty log is never shorter than what the kernel
// writes.
//
// Thread-safety: constant members may be called from any thread; set_memory_region() and
// get_dirty_log() lock what they share.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/base/fd.h"
#include "guestproof/kvm/capability.h"
#include "guestproof/kvm/device.h"
#include "guestproof/kvm/flex_array.h"
#include "guestproof/kvm/stats.h"
#include "guestproof/kvm/vcpu.h"

namespace guestproof::kvm {

/// An access of the guest that signals an eventfd instead of leaving to the host.
struct IoEvent {
  enum class Space : std::uint8_t { kMmio, kPio };

  /// Any write to `address`, of any length and value (on a KVM without
  /// KVM_CAP_IOEVENTFD_ANY_LENGTH that is EINVAL).
  [[nodiscard]] static IoEvent mmio(std::uint64_t address) {
    return {Space::kMmio, address, 0, {}};
  }
  [[nodiscard]] static IoEvent pio(std::uint64_t port) { return {Space::kPio, port, 0, {}}; }
  /// Only writes of this many bytes: 1, 2, 4 or 8.
  [[nodiscard]] IoEvent of_length(std::uint32_t bytes) const {
    return {space, address, bytes, datamatch};
  }
  /// Only writes of this value; its width is the length of the write.
  template <std::unsigned_integral T>
  [[nodiscard]] IoEvent matching(T value) const {
    return {space, address, sizeof(T), value};
  }

  Space space = Space::kMmio;
  std::uint64_t address = 0;
  std::uint32_t length = 0;  // 0: any
  std::optional<std::uint64_t> datamatch;
};

/// Writes that KVM queues in the coalesced ring (coalesced_ring.h) instead of exiting.
struct CoalescedZone {
  std::uint64_t address = 0;
  std::uint32_t size = 0;  // bytes
  bool pio = false;
};

#if defined(__x86_64__)
/// MSR accesses that are allowed or refused; what is refused exits when
/// KVM_CAP_X86_USER_SPACE_MSR says so, else the guest faults.
struct MsrFilterRange {
  std::uint32_t flags = 0;  // KVM_MSR_FILTER_READ, KVM_MSR_FILTER_WRITE
  std::uint32_t base = 0;
  std::uint32_t count = 0;
  std::vector<std::uint8_t> allowed;  // one bit per register, ⌈count / 8⌉ bytes
};
#endif

class Vm {
 public:
  /// Takes over a descriptor that KVM_CREATE_VM made; `run_size` is Kvm::vcpu_mmap_size().
  [[nodiscard]] static Vm adopt(Fd fd, std::size_t run_size) { return Vm(std::move(fd), run_size); }
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Gives the descriptor away.
  [[nodiscard]] Fd release() && { return std::move(fd_); }
  /// Bytes of a vCPU's run mapping.
  [[nodiscard]] std::size_t run_size() const { return run_size_; }

  /// What this machine can do. Errors: kCheckExtension.
  [[nodiscard]] Result<int> check_extension(Capability capability) const;
  [[nodiscard]] Result<int> check_extension(std::uint32_t number) const;
  /// `arguments` as the capability documents them. Errors: kEnableCap.
  [[nodiscard]] Result<void> enable_capability(Capability capability,
                                               const std::array<std::uint64_t, 4>& arguments = {},
                                               std::uint32_t flags = 0) const;

  // Memory.

  /// Makes, changes, or (size 0) deletes the slot. REQUIRES: the memory at userspace_addr stays
  /// mapped while the slot is there. Errors: kSetUserMemoryRegion (EEXIST: overlaps another slot).
  [[nodiscard]] Result<void> set_memory_region(const kvm_userspace_memory_region& region);
  /// With guest_memfd behind it (KVM_CAP_USER_MEMORY2). Errors: kSetUserMemoryRegion2.
  [[nodiscard]] Result<void> set_memory_region(const kvm_userspace_memory_region2& region);
  /// All of `memory` as slots from `first_slot` on, one per region, read-only where devices may not
  /// write either; `flags` are KVM_MEM_LOG_DIRTY_PAGES or 0. REQUIRES: as set_memory_region().
  /// Errors: kSetUserMemoryRegion; the slots before the failed one are set.
  [[nodiscard]] Result<void> map(const MappedMemory& memory, std::uint32_t first_slot = 0,
                                 std::uint32_t flags = 0);
  /// Memory that the host cannot map (KVM_CAP_GUEST_MEMFD). Errors: kCreateGuestMemfd.
  [[nodiscard]] Result<Fd> create_guest_memfd(std::uint64_t size, std::uint64_t flags = 0) const;
  /// KVM_MEMORY_ATTRIBUTE_PRIVATE or 0 for a range (KVM_CAP_MEMORY_ATTRIBUTES). Errors:
  /// kSetMemoryAttributes.
  [[nodiscard]] Result<void> set_memory_attributes(std::uint64_t address, std::uint64_t size,
                                                   std::uint64_t attributes) const;

  /// Which pages of the slot were written since the last call, a bit per page of the host; clears
  /// them, unless KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 is enabled. Errors: kUnknownSlot, kGetDirtyLog.
  [[nodiscard]] Result<std::vector<std::uint64_t>> get_dirty_log(std::uint32_t slot) const;
  /// Clears the pages of `bitmap` from `first_page` on, a multiple of 64; `pages` is a multiple of
  /// 64 or reaches the slot's end. Errors: kBitmapLength, kClearDirtyLog.
  [[nodiscard]] Result<void> clear_dirty_log(std::uint32_t slot, std::uint64_t first_page,
                                             std::uint32_t pages,
                                             std::span<const std::uint64_t> bitmap) const;
  /// Rings of `bytes` (a power of two, a page at least; more on Intel's, which log 512 pages
  /// themselves) for all vCPUs; before the first one.
  /// Errors: kEnableCap.
  [[nodiscard]] Result<void> enable_dirty_rings(std::uint32_t bytes) const;
  /// Gives the entries that were taken from all dirty rings back to KVM; returns how many. Errors:
  /// kResetDirtyRings.
  [[nodiscard]] Result<std::size_t> reset_dirty_rings() const;

  // vCPUs and devices.

  /// Errors: kCreateVcpu (EEXIST, EINVAL: the id), kCheckExtension, SystemError::kMap,
  /// PageError::kRunSize.
  [[nodiscard]] Result<Vcpu> create_vcpu(std::uint64_t id) const;
  /// `type` is KVM_DEV_TYPE_…. Errors: kCreateDevice (ENODEV: there is no such device).
  [[nodiscard]] Result<Device> create_device(std::uint32_t type) const;
  /// Succeeds when such a device can be made; makes none. Errors: kCreateDevice.
  [[nodiscard]] Result<void> test_device(std::uint32_t type) const;

  // Interrupts.

  /// The in-kernel interrupt controller: PICs and IOAPIC, or a GICv2. Errors: kCreateIrqchip.
  [[nodiscard]] Result<void> create_irqchip() const;
  /// What `irq` means is the architecture's matter. Errors: kIrqLine.
  [[nodiscard]] Result<void> set_irq_line(std::uint32_t irq, bool level) const;
  /// True when it was delivered, false when the guest blocked it. Errors: kSignalMsi.
  [[nodiscard]] Result<bool> signal_msi(const kvm_msi& msi) const;
  /// Replaces all routes. Errors: kSetGsiRouting.
  [[nodiscard]] Result<void> set_gsi_routing(const IrqRouting& routing) const;

  /// A write to the eventfd raises the line `gsi` (an edge). Errors: kIrqfd.
  [[nodiscard]] Result<void> register_irqfd(const EventFd& event, std::uint32_t gsi) const;
  /// A level: it stays raised until the guest ends the interrupt; `resample` is signalled then.
  /// Errors: kIrqfd.
  [[nodiscard]] Result<void> register_irqfd_with_resample(const EventFd& event,
                                                          const EventFd& resample,
                                                          std::uint32_t gsi) const;
  /// Errors: kIrqfd.
  [[nodiscard]] Result<void> unregister_irqfd(const EventFd& event, std::uint32_t gsi) const;

  /// Errors: kDatamatch (the length, or a value of any length), kIoeventfd (EEXIST: there is one
  /// already).
  [[nodiscard]] Result<void> register_ioeventfd(const EventFd& event, const IoEvent& io) const;
  /// With what it was registered. Errors: kDatamatch, kIoeventfd (ENOENT: there is none).
  [[nodiscard]] Result<void> unregister_ioeventfd(const EventFd& event, const IoEvent& io) const;

  /// Errors: kRegisterCoalescedMmio.
  [[nodiscard]] Result<void> register_coalesced_mmio(const CoalescedZone& zone) const;
  /// Removes the zones that lie in this one. Errors: kUnregisterCoalescedMmio.
  [[nodiscard]] Result<void> unregister_coalesced_mmio(const CoalescedZone& zone) const;

  /// Counters that KVM keeps of this machine (KVM_CAP_BINARY_STATS_FD). Errors: kGetStatsFd,
  /// SystemError::kRead, CallError::kStatistics, kStatisticsName, kTooManyEntries.
  [[nodiscard]] Result<Statistics> statistics() const;

#if defined(__x86_64__)
  /// Three pages that Intel processors need below 4 GiB. Errors: kSetTssAddr.
  [[nodiscard]] Result<void> set_tss_address(std::uint64_t address) const;
  /// One page that Intel processors need; before the first vCPU. Errors: kSetIdentityMapAddr.
  [[nodiscard]] Result<void> set_identity_map_address(std::uint64_t address) const;
  /// Which vCPU boots; before the first vCPU. Errors: kSetBootCpuId.
  [[nodiscard]] Result<void> set_boot_cpu_id(std::uint32_t id) const;

  /// `chip_id` is KVM_IRQCHIP_PIC_MASTER, _PIC_SLAVE or _IOAPIC. Errors: kGetIrqchip.
  [[nodiscard]] Result<kvm_irqchip> get_irqchip(std::uint32_t chip_id) const;
  /// Errors: kSetIrqchip.
  [[nodiscard]] Result<void> set_irqchip(const kvm_irqchip& chip) const;
  /// As set_irq_line(); < 0 ignored (masked), 0 coalesced with one that was pending, else to how
  /// many vCPUs it went. Errors: kIrqLineStatus.
  [[nodiscard]] Result<std::int32_t> set_irq_line_status(std::uint32_t irq, bool level) const;

  /// The in-kernel timer; `flags` are KVM_PIT_SPEAKER_DUMMY or 0. Errors: kCreatePit2.
  [[nodiscard]] Result<void> create_pit2(std::uint32_t flags = 0) const;
  /// Errors: kGetPit2.
  [[nodiscard]] Result<kvm_pit_state2> get_pit2() const;
  /// Errors: kSetPit2.
  [[nodiscard]] Result<void> set_pit2(const kvm_pit_state2& state) const;
  /// Whether ticks that the guest missed are given to it later. Errors: kReinjectControl.
  [[nodiscard]] Result<void> set_pit_reinject(bool reinject) const;

  /// kvmclock of this machine. Errors: kGetClock.
  [[nodiscard]] Result<kvm_clock_data> get_clock() const;
  /// Errors: kSetClock.
  [[nodiscard]] Result<void> set_clock(const kvm_clock_data& clock) const;

  /// MSRs in no range are allowed, unless `deny_others`; at most 16 ranges. Errors:
  /// kTooManyEntries, kMsrBitmap, kSetMsrFilter.
  [[nodiscard]] Result<void> set_msr_filter(std::span<const MsrFilterRange> ranges,
                                            bool deny_others = false) const;
  /// Which events guests may count. Errors: kSetPmuEventFilter.
  [[nodiscard]] Result<void> set_pmu_event_filter(const PmuEventFilter& filter) const;

  /// SEV and TDX commands. Errors: kMemoryEncryptOp; `command.error` has the firmware's word.
  [[nodiscard]] Result<void> encrypt_op(kvm_sev_cmd& command) const;
  /// Succeeds when this host has memory encryption at all. Errors: kMemoryEncryptOp.
  [[nodiscard]] Result<void> encryption_available() const;
  /// Pins memory that may be encrypted. Errors: kMemoryEncryptRegRegion.
  [[nodiscard]] Result<void> register_encrypted_region(const kvm_enc_region& region) const;
  /// Errors: kMemoryEncryptUnregRegion.
  [[nodiscard]] Result<void> unregister_encrypted_region(const kvm_enc_region& region) const;

  // Xen guests (KVM_CAP_XEN_HVM).

  /// Errors: kXenHvmConfig.
  [[nodiscard]] Result<void> configure_xen(const kvm_xen_hvm_config& config) const;
  /// `type` is KVM_XEN_ATTR_TYPE_…. Errors: kXenHvmGetAttr.
  [[nodiscard]] Result<kvm_xen_hvm_attr> get_xen_attribute(std::uint16_t type) const;
  /// Errors: kXenHvmSetAttr.
  [[nodiscard]] Result<void> set_xen_attribute(const kvm_xen_hvm_attr& attribute) const;
#elif defined(__aarch64__)
  /// What to give Vcpu::init() on this host. Errors: kArmPreferredTarget.
  [[nodiscard]] Result<kvm_vcpu_init> preferred_target() const;
  /// Memory tags of guest pages, to or from the host (KVM_CAP_ARM_MTE). Returns bytes of tags that
  /// were copied. Errors: kArmMteCopyTags.
  [[nodiscard]] Result<std::size_t> copy_mte_tags(const kvm_arm_copy_mte_tags& copy) const;

  // Attributes of the machine. Errors: as Device's.
  [[nodiscard]] Result<void> has(const Attribute& attribute) const {
    return has_attribute(fd(), attribute);
  }
  template <class T>
    requires(!std::is_pointer_v<T>)
  [[nodiscard]] Result<void> set(const Attribute& attribute, const T& value) const {
    return set_attribute(fd(), attribute, &value);
  }
#endif

 private:
  Vm(Fd fd, std::size_t run_size)
      : fd_(std::move(fd)), run_size_(run_size), slots_(std::make_unique<Slots>()) {}

  /// Bytes of each slot, for the length of its dirty log.
  struct Slots {
    std::mutex mutex;
    std::map<std::uint32_t, std::uint64_t> bytes;
  };
  template <class Region>
  [[nodiscard]] Result<void> set_slot(Ioctl ioctl, const Region& region);

  Fd fd_;
  std::size_t run_size_;
  std::unique_ptr<Slots> slots_;
};

/// Routes for IrqRouting.
[[nodiscard]] kvm_irq_routing_entry irqchip_route(std::uint32_t gsi, std::uint32_t chip,
                                                  std::uint32_t pin);
/// `device_id` only where KVM_CAP_MSI_DEVID asks for one.
[[nodiscard]] kvm_irq_routing_entry msi_route(std::uint32_t gsi, std::uint64_t address,
                                              std::uint32_t data,
                                              std::optional<std::uint32_t> device_id = {});

}  // namespace guestproof::kvm
