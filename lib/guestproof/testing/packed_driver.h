// The guest's side of a packed virtqueue, for tests: lays descriptors into the ring, makes them
// available, reads what came back. Where it can it has the members of Driver (driver.h), so that a
// test runs on either; the rest says what a packed ring has instead.
//
// Thread-safety: one driver thread; the device may run in another. Specification: virtio 1.3
// §2.8.21 (supplying buffers), §2.8.22 (receiving used buffers).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/testing/driver.h"

namespace guestproof::testing {

template <GuestMemory M>
class PackedDriver {
 public:
  /// REQUIRES: the areas are in writable guest memory, which outlives the driver; every access of
  /// the driver itself must succeed. The ring is zeroed.
  PackedDriver(const M& memory, const QueueLayout& layout)
      : memory_(&memory), layout_(layout), slots_(layout.size, 0) {}
  PackedDriver(const M&& memory, const QueueLayout& layout) = delete;

  [[nodiscard]] const QueueLayout& layout() const { return layout_; }
  [[nodiscard]] const M& memory() const { return *memory_; }

  void write_descriptor(std::uint16_t slot, GuestAddress address, std::uint32_t length,
                        std::uint16_t id, std::uint16_t flags) {
    put(descriptor(slot), virtio::PackedDesc{address.raw(), length, id, flags});
  }
  [[nodiscard]] virtio::PackedDesc read_descriptor(std::uint16_t slot) const {
    return get<virtio::PackedDesc>(descriptor(slot));
  }
  /// Released: a device in another thread that sees the flags sees what was written before them.
  void set_flags(std::uint16_t slot, std::uint16_t flags) {
    slice(descriptor(slot).raw() + offsetof(virtio::PackedDesc, flags), 2)
        .store_release(0, std::bit_cast<std::uint16_t>(le16(flags)));
  }

  /// What event suppression structures say of a position: `slots` descriptors after the first one
  /// of all.
  [[nodiscard]] std::uint16_t off_wrap(std::uint64_t slots) const {
    return static_cast<std::uint16_t>(slots % layout_.size +
                                      (slots / layout_.size % 2 == 0 ? 0x8000 : 0));
  }
  /// The flags that make a descriptor available, or used, `slots` descriptors after the first one
  /// of all.
  [[nodiscard]] std::uint16_t available_flags(std::uint64_t slots) const {
    return slots / layout_.size % 2 == 0 ? virtio::VIRTQ_DESC_F_AVAIL : virtio::VIRTQ_DESC_F_USED;
  }
  [[nodiscard]] std::uint16_t used_flags(std::uint64_t slots) const {
    return slots / layout_.size % 2 == 0 ? virtio::VIRTQ_DESC_F_AVAIL | virtio::VIRTQ_DESC_F_USED
                                         : 0;
  }

  /// Descriptors made available, and taken back, since the start.
  [[nodiscard]] std::uint64_t available_slots() const { return available_; }
  [[nodiscard]] std::uint64_t used_slots() const { return used_; }
  [[nodiscard]] std::uint64_t free_slots() const { return layout_.size + used_ - available_; }

  /// Writes a direct chain into the next descriptors of the ring, makes it available, and returns
  /// its Buffer ID, which is the least that is free. REQUIRES: as many descriptors are free.
  std::uint16_t add_chain(std::span<const BufferSpec> buffers) {
    const auto id = free_id();
    GUESTPROOF_INVARIANT(buffers.size() <= free_slots());
    const auto first = available_;
    // The first one comes last: its flags make the whole chain available.
    for (std::size_t i = buffers.size(); i-- > 0;)
      make_available(first + i, buffers[i].address, buffers[i].length, id,
                     buffers[i].flags(i + 1 < buffers.size()));
    take_up(id, static_cast<std::uint16_t>(buffers.size()));
    return id;
  }
  std::uint16_t add_chain(std::initializer_list<BufferSpec> buffers) {
    return add_chain(std::span(buffers.begin(), buffers.size()));
  }

  /// The same as one indirect descriptor whose table lies at `table`.
  std::uint16_t add_indirect_chain(GuestAddress table, std::span<const BufferSpec> buffers) {
    for (std::size_t i = 0; i < buffers.size(); ++i)
      put(GuestAddress(table.raw() + 16 * i),
          virtio::PackedDesc{buffers[i].address.raw(), buffers[i].length, 0,
                             buffers[i].flags(false)});
    const auto id = free_id();
    GUESTPROOF_INVARIANT(free_slots() != 0);
    make_available(available_, table, static_cast<std::uint32_t>(16 * buffers.size()), id,
                   virtio::VIRTQ_DESC_F_INDIRECT);
    take_up(id, 1);
    return id;
  }
  std::uint16_t add_indirect_chain(GuestAddress table, std::initializer_list<BufferSpec> buffers) {
    return add_indirect_chain(table, std::span(buffers.begin(), buffers.size()));
  }

  /// The next returned chain; nothing when there is none. Its length is 0 unless the device says
  /// that it wrote something.
  [[nodiscard]] std::optional<virtio::VirtqUsedElem> take_used() {
    constexpr std::uint16_t kBits = virtio::VIRTQ_DESC_F_AVAIL | virtio::VIRTQ_DESC_F_USED;
    if (available_ == used_) return std::nullopt;
    const std::uint16_t flags = std::bit_cast<le16>(
        slice(descriptor(slot(used_)).raw() + offsetof(virtio::PackedDesc, flags), 2)
            .template load_acquire<std::uint16_t>(0));
    if ((flags & kBits) != used_flags(used_)) return std::nullopt;
    const auto desc = read_descriptor(slot(used_));
    GUESTPROOF_INVARIANT(desc.id < layout_.size && slots_[desc.id] != 0);
    used_ += std::exchange(slots_[desc.id], std::uint16_t{0});
    const bool written = (flags & virtio::VIRTQ_DESC_F_WRITE) != 0;
    return virtio::VirtqUsedElem{.id = std::uint32_t{std::uint16_t{desc.id}},
                                 .len = written ? std::uint32_t{desc.len} : 0};
  }

  /// Driver Event Suppression.
  void set_event(std::uint16_t off_wrap, std::uint16_t flags) {
    put(layout_.available_ring, virtio::PackedEvent{off_wrap, flags});
  }
  /// Device Event Suppression.
  [[nodiscard]] virtio::PackedEvent device_event() const {
    return get<virtio::PackedEvent>(layout_.used_ring);
  }

 private:
  [[nodiscard]] std::uint16_t slot(std::uint64_t slots) const {
    return static_cast<std::uint16_t>(slots % layout_.size);
  }
  [[nodiscard]] GuestAddress descriptor(std::uint16_t slot) const {
    return GuestAddress(layout_.descriptor_table.raw() + 16ULL * slot);
  }
  void make_available(std::uint64_t slots, GuestAddress address, std::uint32_t length,
                      std::uint16_t id, std::uint16_t flags) {
    const auto where = descriptor(slot(slots)).raw();
    put(GuestAddress(where), le64(address.raw()));
    put(GuestAddress(where + offsetof(virtio::PackedDesc, len)), le32(length));
    put(GuestAddress(where + offsetof(virtio::PackedDesc, id)), le16(id));
    set_flags(slot(slots), static_cast<std::uint16_t>(flags | available_flags(slots)));
  }
  [[nodiscard]] std::uint16_t free_id() const {
    std::uint16_t id = 0;
    while (id < layout_.size && slots_[id] != 0) ++id;
    GUESTPROOF_INVARIANT(id < layout_.size);
    return id;
  }
  void take_up(std::uint16_t id, std::uint16_t slots) {
    slots_[id] = slots;
    available_ += slots;
  }
  template <class T>
  void put(GuestAddress where, const T& object) {
    GUESTPROOF_INVARIANT(write_object(*memory_, where, object));
  }
  template <class T>
  [[nodiscard]] T get(GuestAddress where) const {
    const auto object = read_object<T>(*memory_, where);
    GUESTPROOF_INVARIANT(object);
    return *object;
  }
  [[nodiscard]] typename M::Slice slice(std::uint64_t address, std::uint64_t length) const {
    const auto found = find_contiguous(*memory_, GuestAddress(address), length, Access::kWrite);
    GUESTPROOF_INVARIANT(found);
    return *found;
  }

  const M* memory_;
  QueueLayout layout_;
  std::vector<std::uint16_t> slots_;  // by Buffer ID; 0: free
  std::uint64_t available_ = 0;
  std::uint64_t used_ = 0;
};

}  // namespace guestproof::testing
