// One guest, one device, two formats: whatever requests a driver makes, and in whatever order the
// device takes and returns them, a split and a packed queue come to the same for the guest: what it
// finds written, and how much of it.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "guestproof/testing/packed_driver.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/queue/virt_queue.h"

namespace guestproof::virtio {
namespace {

using testing::BufferSpec;
using testing::QueueLayout;
using Memory = testing::WatchedMemory;
using Guest = Memory::GuestView;
using Queue = VirtQueue<Memory>;

constexpr std::uint16_t kSize = 16;
constexpr std::uint16_t kLongest = 4;              // descriptors of a request
constexpr std::uint16_t kTags = kSize / kLongest;  // requests the driver has out at once
constexpr std::uint32_t kRoom = 64;                // bytes of a buffer at most
constexpr std::array kRegions{Memory::RegionSpec{GuestAddress(0), 0x4000}};
constexpr GuestAddress kRings{0x400}, kTables{0x1000}, kData{0x2000};

struct Request {
  std::vector<BufferSpec> buffers;  // each in a place of its own
  bool indirect = false;
};

struct Returned {
  std::uint16_t tag;
  std::uint32_t length;
  std::vector<std::byte> bytes;  // of the request's buffers
  bool operator==(const Returned&) const = default;
};

/// A driver that calls its requests by tags, whatever the ring calls them.
class Side {
 public:
  Side(RingLayout format, QueueFeatures features)
      : layout_(QueueLayout::at(kRings, kSize, format)), features_(features) {
    features_.packed = format == RingLayout::kPacked;
    if (features_.packed) packed_.emplace(guest_, layout_);
    RC_ASSERT(queue_.activate(memory_, layout_.config(), features_).has_value());
  }

  void add(std::uint16_t tag, const Request& request) {
    requests_[tag] = request;
    const GuestAddress table(kTables.raw() + 16ULL * kLongest * tag);
    if (!features_.packed)
      add_split(tag, table, request);
    else if (request.indirect)
      tags_[packed_->add_indirect_chain(table, request.buffers)] = tag;
    else
      tags_[packed_->add_chain(request.buffers)] = tag;
  }

  /// Takes a chain; what a device sees of it.
  struct Seen {
    std::uint16_t tag;
    std::uint64_t readable, writable;
    std::optional<std::string> fault;
    bool operator==(const Seen&) const = default;
  };
  std::optional<Seen> take() {
    auto popped = queue_.pop();
    RC_ASSERT(popped.has_value());
    if (!*popped) return std::nullopt;
    auto& chain = held.emplace_back(std::move(**popped));
    std::optional<std::string> fault;
    if (chain.fault()) fault = chain.fault()->name();
    return Seen{tag_of(chain.head()), chain.readable_bytes(), chain.writable_bytes(), fault};
  }
  /// Writes `length` bytes as far as there is room, and returns the chain.
  void answer(std::size_t which, std::uint32_t length, std::byte with) {
    auto writer = held[which].writer();
    length = static_cast<std::uint32_t>(std::min<std::uint64_t>(length, writer.remaining()));
    RC_ASSERT(writer.fill(length, with).has_value());
    RC_ASSERT(held[which].complete(length).has_value());
    held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
  }
  bool put_back(std::size_t which) {
    const bool done = held[which].put_back().has_value();
    if (done) held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
    return done;
  }
  void save_and_restore() {
    const auto state = QueueState::decode(queue_.save()->encode());
    RC_ASSERT(queue_.restore(memory_, *state, kSize, features_).has_value());
  }
  [[nodiscard]] bool notify() { return queue_.needs_notification(); }
  [[nodiscard]] bool enable_kicks() { return queue_.enable_kicks(); }

  /// What the driver finds returned.
  std::vector<Returned> collect() {
    std::vector<Returned> all;
    while (const auto used = features_.packed ? packed_->take_used() : split_.take_used()) {
      const auto tag = tag_of(static_cast<std::uint16_t>(used->id));
      Returned returned{tag, used->len, {}};
      for (const auto& buffer : requests_[tag].buffers) {
        std::vector<std::byte> bytes(buffer.length);
        RC_ASSERT(read_bytes(guest_, buffer.address, bytes).has_value());
        returned.bytes.insert(returned.bytes.end(), bytes.begin(), bytes.end());
      }
      all.push_back(std::move(returned));
    }
    return all;
  }
  [[nodiscard]] bool idle() const { return queue_.in_flight() == 0; }

  std::vector<Chain<Queue>> held;

 private:
  /// Every tag has its own descriptors.
  void add_split(std::uint16_t tag, GuestAddress table, const Request& request) {
    const auto head = static_cast<std::uint16_t>(kLongest * tag);
    const auto count = static_cast<std::uint16_t>(request.buffers.size());
    for (std::uint16_t i = 0; i < count; ++i) {
      const auto& buffer = request.buffers[i];
      const auto flags = buffer.flags(i + 1U < count);
      if (request.indirect)
        split_.write_descriptor_at(GuestAddress(table.raw() + 16ULL * i), buffer.address,
                                   buffer.length, flags, static_cast<std::uint16_t>(i + 1));
      else
        split_.write_descriptor(static_cast<std::uint16_t>(head + i), buffer.address, buffer.length,
                                flags, static_cast<std::uint16_t>(head + i + 1));
    }
    if (request.indirect)
      split_.write_descriptor(head, table, static_cast<std::uint32_t>(16 * count),
                              VIRTQ_DESC_F_INDIRECT, 0);
    split_.publish(head);
  }
  [[nodiscard]] std::uint16_t tag_of(std::uint16_t head) const {
    return features_.packed ? tags_[head] : static_cast<std::uint16_t>(head / kLongest);
  }

  Memory memory_{kRegions};
  Guest guest_ = memory_.guest();
  QueueLayout layout_;
  QueueFeatures features_;
  testing::Driver<Guest> split_{guest_, layout_};
  std::optional<testing::PackedDriver<Guest>> packed_;
  std::array<Request, kTags> requests_;
  std::array<std::uint16_t, kSize> tags_{};  // by Buffer ID
  Queue queue_;
};

/// Buffers in any number and directions; most of them in the order that a device accepts.
Request any_request(std::uint16_t tag) {
  Request request{.buffers = {}, .indirect = *rc::gen::arbitrary<bool>()};
  const auto count = *rc::gen::inRange<std::uint16_t>(1, kLongest + 1);
  for (std::uint16_t i = 0; i < count; ++i)
    request.buffers.push_back({GuestAddress(kData.raw() + (kLongest * tag + i) * kRoom),
                               *rc::gen::inRange<std::uint32_t>(0, kRoom + 1),
                               *rc::gen::arbitrary<bool>()});
  if (*rc::gen::inRange(0, 5) != 0)
    std::ranges::partition(request.buffers,
                           [](const BufferSpec& buffer) { return !buffer.writable; });
  return request;
}

/// Both sides, and the tags that are out.
struct Pair {
  explicit Pair(QueueFeatures features)
      : split(RingLayout::kSplit, features), packed(RingLayout::kPacked, features) {}

  void add() {
    const auto tag = static_cast<std::uint16_t>(std::ranges::find(out, false) - out.begin());
    if (tag == kTags) return;
    out[tag] = true;
    const auto request = any_request(tag);
    split.add(tag, request);
    packed.add(tag, request);
  }
  void collect() {
    const auto returned = split.collect();
    RC_ASSERT(packed.collect() == returned);
    for (const auto& each : returned) out[each.tag] = false;
  }
  void device_step() {
    const auto which =
        split.held.empty() ? 0 : *rc::gen::inRange<std::size_t>(0, split.held.size());
    const auto length = *rc::gen::inRange<std::uint32_t>(0, 100);
    const auto with = std::byte{*rc::gen::arbitrary<std::uint8_t>()};
    switch (split.held.empty() ? 0 : *rc::gen::inRange(0, 4)) {
      case 0:
        RC_ASSERT(split.take() == packed.take());
        break;
      case 1:
        RC_ASSERT(split.put_back(which) == packed.put_back(which));
        break;
      default:
        split.answer(which, length, with);
        packed.answer(which, length, with);
    }
  }
  void ask() {
    RC_ASSERT(split.notify() == packed.notify());
    RC_ASSERT(split.enable_kicks() == packed.enable_kicks());
    RC_ASSERT(split.idle() == packed.idle());
    if (!split.idle()) return;
    split.save_and_restore();
    packed.save_and_restore();
  }

  Side split, packed;
  std::array<bool, kTags> out{};
};

RC_GTEST_PROP(VirtQueue, ComesToTheSameInEitherFormat, ()) {
  Pair pair({.indirect = true, .in_order = *rc::gen::arbitrary<bool>()});
  const auto steps = *rc::gen::inRange(0, 120);
  for (int step = 0; step < steps; ++step) switch (*rc::gen::inRange(0, 8)) {
      case 0:
      case 1:
        pair.add();
        break;
      case 2:
        pair.collect();
        break;
      case 3:
        pair.ask();
        break;
      default:
        pair.device_step();
    }
  while (!pair.split.held.empty()) {
    pair.split.answer(0, 7, std::byte{7});
    pair.packed.answer(0, 7, std::byte{7});
  }
  pair.collect();
}

}  // namespace
}  // namespace guestproof::virtio
