#include "guestproof/kvm/vm.h"

#include <fcntl.h>

namespace guestproof::kvm {
namespace {

Result<kvm_ioeventfd> wire(const EventFd& event, const IoEvent& io, std::uint32_t flags) {
  const auto known =
      io.length == 0 || io.length == 1 || io.length == 2 || io.length == 4 || io.length == 8;
  if (!known || (io.length == 0 && io.datamatch)) return fail(CallError::kDatamatch, io.length, 8);
  kvm_ioeventfd request{};
  request.datamatch = io.datamatch.value_or(0);
  request.addr = io.address;
  request.len = io.length;
  request.fd = event.get();
  request.flags = flags;
  if (io.datamatch) request.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
  if (io.space == IoEvent::Space::kPio) request.flags |= KVM_IOEVENTFD_FLAG_PIO;
  return request;
}

kvm_coalesced_mmio_zone wire(const CoalescedZone& zone) {
  kvm_coalesced_mmio_zone request{};
  request.addr = zone.address;
  request.size = zone.size;
  request.pio = zone.pio ? 1 : 0;
  return request;
}

kvm_irqfd wire(const EventFd& event, std::uint32_t gsi, std::uint32_t flags) {
  kvm_irqfd request{};
  request.fd = static_cast<std::uint32_t>(event.get());
  request.gsi = gsi;
  request.flags = flags;
  return request;
}

}  // namespace

Result<int> Vm::check_extension(Capability capability) const {
  return check_extension(static_cast<std::uint32_t>(capability));
}

Result<int> Vm::check_extension(std::uint32_t number) const {
  return call(fd(), Ioctl::kCheckExtension, number);
}

Result<void> Vm::enable_capability(Capability capability,
                                   const std::array<std::uint64_t, 4>& arguments,
                                   std::uint32_t flags) const {
  return kvm::enable_capability(fd(), capability, arguments, flags);
}

template <class Region>
Result<void> Vm::set_slot(Ioctl ioctl, const Region& region) {
  const std::lock_guard lock(slots_->mutex);
  if (const auto done = kvm::set(fd(), ioctl, region); !done) return done;
  if (region.memory_size == 0)
    slots_->bytes.erase(region.slot);
  else
    slots_->bytes[region.slot] = region.memory_size;
  return {};
}

Result<void> Vm::set_memory_region(const kvm_userspace_memory_region& region) {
  return set_slot(Ioctl::kSetUserMemoryRegion, region);
}

Result<void> Vm::set_memory_region(const kvm_userspace_memory_region2& region) {
  return set_slot(Ioctl::kSetUserMemoryRegion2, region);
}

Result<void> Vm::map(const MappedMemory& memory, std::uint32_t first_slot, std::uint32_t flags) {
  for (const auto& region : memory.regions()) {
    const auto protection =
        region.protection() == Protection::kReadOnly ? std::uint32_t{KVM_MEM_READONLY} : 0;
    const auto done = set_memory_region(kvm_userspace_memory_region{
        .slot = first_slot++,
        .flags = flags | protection,
        .guest_phys_addr = region.base().raw(),
        .memory_size = region.size(),
        .userspace_addr = reinterpret_cast<std::uintptr_t>(region.host()),
    });
    if (!done) return done;
  }
  return {};
}

Result<Fd> Vm::create_guest_memfd(std::uint64_t size, std::uint64_t flags) const {
  kvm_create_guest_memfd request{};
  request.size = size;
  request.flags = flags;
  const auto made = call_with(fd(), Ioctl::kCreateGuestMemfd, request);
  if (!made) return std::unexpected(made.error());
  // The other descriptors of KVM are closed on exec by themselves.
  ::fcntl(*made, F_SETFD, FD_CLOEXEC);
  return Fd(*made);
}

Result<void> Vm::set_memory_attributes(std::uint64_t address, std::uint64_t size,
                                       std::uint64_t attributes) const {
  kvm_memory_attributes request{};
  request.address = address;
  request.size = size;
  request.attributes = attributes;
  return kvm::set(fd(), Ioctl::kSetMemoryAttributes, request);
}

Result<std::vector<std::uint64_t>> Vm::get_dirty_log(std::uint32_t slot) const {
  const std::lock_guard lock(slots_->mutex);
  const auto known = slots_->bytes.find(slot);
  if (known == slots_->bytes.end()) return fail(CallError::kUnknownSlot, slot);
  const auto pages = known->second / host_page_size();
  std::vector<std::uint64_t> bitmap((pages + 63) / 64);
  kvm_dirty_log request{};
  request.slot = slot;
  request.dirty_bitmap = bitmap.data();
  if (const auto done = kvm::set(fd(), Ioctl::kGetDirtyLog, request); !done)
    return std::unexpected(done.error());
  return bitmap;
}

Result<void> Vm::clear_dirty_log(std::uint32_t slot, std::uint64_t first_page, std::uint32_t pages,
                                 std::span<const std::uint64_t> bitmap) const {
  const auto needed = (std::size_t{pages} + 63) / 64;
  if (bitmap.size() != needed) return fail(CallError::kBitmapLength, bitmap.size(), needed);
  kvm_clear_dirty_log request{};
  request.slot = slot;
  request.num_pages = pages;
  request.first_page = first_page;
  // SAFETY: the kernel only reads the bitmap of this call.
  request.dirty_bitmap = const_cast<std::uint64_t*>(bitmap.data());
  return kvm::set(fd(), Ioctl::kClearDirtyLog, request);
}

Result<void> Vm::enable_dirty_rings(std::uint32_t bytes) const {
  // Weakly ordered processors have only the form that says so; dirty_ring.h orders both.
  const auto ordered = check_extension(Capability::kDirtyLogRingAcqRel);
  if (!ordered) return std::unexpected(ordered.error());
  return enable_capability(
      *ordered > 0 ? Capability::kDirtyLogRingAcqRel : Capability::kDirtyLogRing, {bytes});
}

Result<std::size_t> Vm::reset_dirty_rings() const {
  const auto count = call(fd(), Ioctl::kResetDirtyRings);
  if (!count) return std::unexpected(count.error());
  return static_cast<std::size_t>(*count);
}

Result<Vcpu> Vm::create_vcpu(std::uint64_t id) const {
  const auto made = call(fd(), Ioctl::kCreateVcpu, id);
  if (!made) return std::unexpected(made.error());
  Fd vcpu(*made);
  VcpuSizes sizes{.run = run_size_};
#if defined(__x86_64__)
  const auto xsave = check_extension(Capability::kXsave2);
  if (!xsave) return std::unexpected(xsave.error());
  sizes.xsave = static_cast<std::size_t>(*xsave);
#endif
  return Vcpu::adopt(std::move(vcpu), sizes);
}

Result<Device> Vm::create_device(std::uint32_t type) const {
  kvm_create_device request{.type = type, .fd = 0, .flags = 0};
  if (const auto done = call_with(fd(), Ioctl::kCreateDevice, request); !done)
    return std::unexpected(done.error());
  return Device::adopt(Fd(static_cast<int>(request.fd)));
}

Result<void> Vm::test_device(std::uint32_t type) const {
  return kvm::set(fd(), Ioctl::kCreateDevice,
                  kvm_create_device{.type = type, .fd = 0, .flags = KVM_CREATE_DEVICE_TEST});
}

Result<void> Vm::create_irqchip() const { return order(fd(), Ioctl::kCreateIrqchip); }

Result<void> Vm::set_irq_line(std::uint32_t irq, bool level) const {
  kvm_irq_level request{};
  request.irq = irq;
  request.level = level ? 1 : 0;
  return kvm::set(fd(), Ioctl::kIrqLine, request);
}

Result<bool> Vm::signal_msi(const kvm_msi& msi) const {
  const auto delivered = call_with(fd(), Ioctl::kSignalMsi, msi);
  if (!delivered) return std::unexpected(delivered.error());
  return *delivered > 0;
}

Result<void> Vm::set_gsi_routing(const IrqRouting& routing) const {
  return kvm::set(fd(), Ioctl::kSetGsiRouting, routing.header());
}

Result<void> Vm::register_irqfd(const EventFd& event, std::uint32_t gsi) const {
  return kvm::set(fd(), Ioctl::kIrqfd, wire(event, gsi, 0));
}

Result<void> Vm::register_irqfd_with_resample(const EventFd& event, const EventFd& resample,
                                              std::uint32_t gsi) const {
  auto request = wire(event, gsi, KVM_IRQFD_FLAG_RESAMPLE);
  request.resamplefd = static_cast<std::uint32_t>(resample.get());
  return kvm::set(fd(), Ioctl::kIrqfd, request);
}

Result<void> Vm::unregister_irqfd(const EventFd& event, std::uint32_t gsi) const {
  return kvm::set(fd(), Ioctl::kIrqfd, wire(event, gsi, KVM_IRQFD_FLAG_DEASSIGN));
}

Result<void> Vm::register_ioeventfd(const EventFd& event, const IoEvent& io) const {
  const auto request = wire(event, io, 0);
  if (!request) return std::unexpected(request.error());
  return kvm::set(fd(), Ioctl::kIoeventfd, *request);
}

Result<void> Vm::unregister_ioeventfd(const EventFd& event, const IoEvent& io) const {
  const auto request = wire(event, io, KVM_IOEVENTFD_FLAG_DEASSIGN);
  if (!request) return std::unexpected(request.error());
  return kvm::set(fd(), Ioctl::kIoeventfd, *request);
}

Result<void> Vm::register_coalesced_mmio(const CoalescedZone& zone) const {
  return kvm::set(fd(), Ioctl::kRegisterCoalescedMmio, wire(zone));
}

Result<void> Vm::unregister_coalesced_mmio(const CoalescedZone& zone) const {
  return kvm::set(fd(), Ioctl::kUnregisterCoalescedMmio, wire(zone));
}

Result<Statistics> Vm::statistics() const {
  const auto stats = call(fd(), Ioctl::kGetStatsFd);
  if (!stats) return std::unexpected(stats.error());
  return Statistics::read(Fd(*stats));
}

#if defined(__aarch64__)
Result<kvm_vcpu_init> Vm::preferred_target() const {
  return kvm::get<kvm_vcpu_init>(fd(), Ioctl::kArmPreferredTarget);
}

Result<std::size_t> Vm::copy_mte_tags(const kvm_arm_copy_mte_tags& copy) const {
  const auto copied = call_with(fd(), Ioctl::kArmMteCopyTags, copy);
  if (!copied) return std::unexpected(copied.error());
  return static_cast<std::size_t>(*copied);
}
#endif

kvm_irq_routing_entry irqchip_route(std::uint32_t gsi, std::uint32_t chip, std::uint32_t pin) {
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  entry.type = KVM_IRQ_ROUTING_IRQCHIP;
  entry.u.irqchip.irqchip = chip;
  entry.u.irqchip.pin = pin;
  return entry;
}

kvm_irq_routing_entry msi_route(std::uint32_t gsi, std::uint64_t address, std::uint32_t data,
                                std::optional<std::uint32_t> device_id) {
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  entry.type = KVM_IRQ_ROUTING_MSI;
  entry.u.msi.address_lo = static_cast<std::uint32_t>(address);
  entry.u.msi.address_hi = static_cast<std::uint32_t>(address >> 32);
  entry.u.msi.data = data;
  if (device_id) {
    entry.flags = KVM_MSI_VALID_DEVID;
    entry.u.msi.devid = *device_id;
  }
  return entry;
}

}  // namespace guestproof::kvm
