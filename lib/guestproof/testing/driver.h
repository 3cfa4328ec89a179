// The guest's side of a split virtqueue, for tests (packed_driver.h has a packed one's): lays out
// the areas, writes descriptors, publishes heads, reads what came back. It does what it is told,
// right or wrong; QueueLayout::at() and add_chain() give a well-behaved driver.
//
// Not here: notifications (the test calls the device) and descriptor recycling beyond wrapping
// round the table. Thread-safety: one driver thread; the device may run in another. Specification:
// virtio 1.3 §2.7.13 (supplying buffers), §2.7.14 (receiving used buffers).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>

#include "guestproof/memory/guest_memory.h"
#include "guestproof/virtio/queue/config.h"
#include "guestproof/virtio/queue/wire.h"

namespace guestproof::testing {

struct QueueLayout {
  std::uint16_t size = 0;
  GuestAddress descriptor_table;
  GuestAddress available_ring;
  GuestAddress used_ring;
  virtio::RingLayout format = virtio::RingLayout::kSplit;

  /// The three areas one after the other from `base` (16-byte aligned) on.
  [[nodiscard]] static QueueLayout at(GuestAddress base, std::uint16_t size,
                                      virtio::RingLayout format = virtio::RingLayout::kSplit);
  /// The bytes from `base` to the end of the used ring.
  [[nodiscard]] static std::uint64_t bytes(std::uint16_t size);
  /// A ready configuration. REQUIRES: a valid layout, size ≤ max_size.
  [[nodiscard]] virtio::QueueConfig config(std::uint16_t max_size) const;
  [[nodiscard]] virtio::QueueConfig config() const { return config(size); }
};

struct BufferSpec {
  GuestAddress address;
  std::uint32_t length = 0;
  bool writable = false;

  /// Of its descriptor; `more`: another one follows.
  [[nodiscard]] std::uint16_t flags(bool more) const {
    return static_cast<std::uint16_t>((writable ? virtio::VIRTQ_DESC_F_WRITE : 0) |
                                      (more ? virtio::VIRTQ_DESC_F_NEXT : 0));
  }
};

template <GuestMemory M>
class Driver {
 public:
  /// REQUIRES: the areas are in writable guest memory, which outlives the driver; every access of
  /// the driver itself must succeed.
  Driver(const M& memory, const QueueLayout& layout) : memory_(&memory), layout_(layout) {}
  Driver(const M&& memory, const QueueLayout& layout) = delete;

  [[nodiscard]] const QueueLayout& layout() const { return layout_; }
  [[nodiscard]] const M& memory() const { return *memory_; }

  void write_descriptor(std::uint16_t index, GuestAddress address, std::uint32_t length,
                        std::uint16_t flags, std::uint16_t next) {
    write_descriptor_at(GuestAddress(layout_.descriptor_table.raw() + 16ULL * index), address,
                        length, flags, next);
  }
  /// For indirect tables.
  void write_descriptor_at(GuestAddress where, GuestAddress address, std::uint32_t length,
                           std::uint16_t flags, std::uint16_t next) {
    put(where, virtio::VirtqDesc{address.raw(), length, flags, next});
  }

  void set_available_entry(std::uint16_t slot, std::uint16_t head) {
    put(GuestAddress(layout_.available_ring.raw() + virtio::kAvailRingOffset + 2ULL * slot),
        le16(head));
  }
  /// Released: a device in another thread that sees the index sees the entries and descriptors
  /// before it.
  void set_available_index(std::uint16_t index) {
    available_index_ = index;
    slice(layout_.available_ring.raw() + virtio::kAvailIdxOffset, 2)
        .store_release(0, std::bit_cast<std::uint16_t>(le16(index)));
  }
  void set_available_flags(std::uint16_t flags) { put(layout_.available_ring, le16(flags)); }
  void set_used_event(std::uint16_t index) {
    put(GuestAddress(layout_.available_ring.raw() + virtio::kAvailRingOffset + 2ULL * layout_.size),
        le16(index));
  }
  /// Makes one chain available.
  void publish(std::uint16_t head) {
    set_available_entry(available_index_ % layout_.size, head);
    set_available_index(static_cast<std::uint16_t>(available_index_ + 1));
  }
  [[nodiscard]] std::uint16_t available_index() const { return available_index_; }

  /// Writes a direct chain into the next descriptors of the table, publishes it, and returns its
  /// head.
  std::uint16_t add_chain(std::span<const BufferSpec> buffers) {
    const auto head = next_free_;
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      const auto index = next_free_;
      next_free_ = static_cast<std::uint16_t>((next_free_ + 1) % layout_.size);
      write_descriptor(index, buffers[i].address, buffers[i].length,
                       buffers[i].flags(i + 1 < buffers.size()), next_free_);
    }
    publish(head);
    return head;
  }
  std::uint16_t add_chain(std::initializer_list<BufferSpec> buffers) {
    return add_chain(std::span(buffers.begin(), buffers.size()));
  }

  /// The same as one indirect descriptor whose table lies at `table`.
  std::uint16_t add_indirect_chain(GuestAddress table, std::span<const BufferSpec> buffers) {
    for (std::size_t i = 0; i < buffers.size(); ++i)
      write_descriptor_at(GuestAddress(table.raw() + 16 * i), buffers[i].address, buffers[i].length,
                          buffers[i].flags(i + 1 < buffers.size()),
                          static_cast<std::uint16_t>(i + 1));
    const auto head = next_free_;
    next_free_ = static_cast<std::uint16_t>((next_free_ + 1) % layout_.size);
    write_descriptor(head, table, static_cast<std::uint32_t>(16 * buffers.size()),
                     virtio::VIRTQ_DESC_F_INDIRECT, 0);
    publish(head);
    return head;
  }
  std::uint16_t add_indirect_chain(GuestAddress table, std::initializer_list<BufferSpec> buffers) {
    return add_indirect_chain(table, std::span(buffers.begin(), buffers.size()));
  }

  [[nodiscard]] std::uint16_t used_flags() const { return get<le16>(layout_.used_ring); }
  [[nodiscard]] std::uint16_t used_index() const {
    return std::bit_cast<le16>(slice(layout_.used_ring.raw() + virtio::kUsedIdxOffset, 2)
                                   .template load_acquire<std::uint16_t>(0));
  }
  /// Only the device may; a hostile driver does.
  void set_used_index(std::uint16_t index) {
    put(GuestAddress(layout_.used_ring.raw() + virtio::kUsedIdxOffset), le16(index));
  }
  [[nodiscard]] virtio::VirtqUsedElem used_entry(std::uint16_t slot) const {
    return get<virtio::VirtqUsedElem>(
        GuestAddress(layout_.used_ring.raw() + virtio::kUsedRingOffset + 8ULL * slot));
  }
  [[nodiscard]] std::uint16_t available_event() const {
    return get<le16>(
        GuestAddress(layout_.used_ring.raw() + virtio::kUsedRingOffset + 8ULL * layout_.size));
  }
  /// The next returned chain, in the order of the used ring; nothing when there is none.
  [[nodiscard]] std::optional<virtio::VirtqUsedElem> take_used() {
    if (used_index() == seen_used_) return std::nullopt;
    return used_entry(seen_used_++ % layout_.size);
  }

 private:
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
  std::uint16_t available_index_ = 0;
  std::uint16_t seen_used_ = 0;
  std::uint16_t next_free_ = 0;
};

}  // namespace guestproof::testing
