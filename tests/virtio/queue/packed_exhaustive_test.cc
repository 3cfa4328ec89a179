// Every small packed ring: whatever a driver has written into the descriptors, and wherever in its
// two turns the device stands, queue and model take the same chains, break alike, and leave the
// same bytes when the chains come back in the opposite order.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "guestproof/testing/driver.h"
#include "guestproof/testing/model/queue_model.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/queue/virt_queue.h"

namespace guestproof::virtio {
namespace {

using testing::ModelChain;
using testing::ModelQueueSetup;
using testing::QueueLayout;
using testing::QueueModel;
using Memory = testing::WatchedMemory;
using Queue = VirtQueue<Memory>;

constexpr std::uint16_t kMaxSize = 4;
constexpr GuestAddress kRings{0x100};
constexpr std::array kRegions{Memory::RegionSpec{GuestAddress(0), 0x1000}};
constexpr QueueFeatures kFeatures{.event_index = true, .packed = true};

/// A queue and a model of this size, each with a memory of its own.
class Both {
 public:
  explicit Both(std::uint16_t size) : layout_(QueueLayout::at(kRings, size, RingLayout::kPacked)) {
    setup_ = {.size = size,
              .desc = layout_.descriptor_table.raw(),
              .avail = layout_.available_ring.raw(),
              .used = layout_.used_ring.raw(),
              .event_index = true,
              .packed = true};
  }

  /// Nothing is in flight; `position` as saved states have it.
  void start_at(std::uint16_t position) {
    auto state = QueueState::of(layout_.config(kMaxSize));
    state.features = kFeatures;
    state.next_avail = state.next_used = position;
    state.signalled_used = position;
    const auto bytes = state.encode();
    ASSERT_TRUE(queue_.restore(device_memory_, state, kMaxSize, kFeatures));
    ASSERT_TRUE(model_.restore(model_memory_, bytes, kMaxSize, setup_).none());
  }
  void write(std::uint16_t slot, const PackedDesc& desc) {
    const GuestAddress where(layout_.descriptor_table.raw() + 16ULL * slot);
    ASSERT_TRUE(write_object(device_guest_, where, desc));
    ASSERT_TRUE(write_object(model_guest_, where, desc));
  }
  /// True when both did the same until the ring was empty or broken, and after.
  [[nodiscard]] bool agree() {
    std::vector<Chain<Queue>> held;
    std::vector<ModelChain> expected;
    for (;;) {
      auto popped = queue_.pop();
      auto model = model_.take();
      if (model.has_value() != (popped && popped->has_value())) return false;
      if (!model) break;
      held.push_back(std::move(**popped));
      expected.push_back(std::move(*model));
      if (!same(held.back(), expected.back())) return false;
    }
    if ((queue_.broken() ? queue_.broken()->name() : "") != model_.broken().name) return false;
    while (!held.empty()) {
      const auto written = static_cast<std::uint32_t>(expected.back().writable_bytes());
      model_.give_back(expected.back(), written);
      if (!held.back().complete(written)) return false;
      held.pop_back();
      expected.pop_back();
    }
    return queue_.needs_notification() == model_.needs_notification() &&
           queue_.enable_kicks() == model_.enable_kicks() &&
           !device_memory_.first_difference(model_memory_);
  }

 private:
  [[nodiscard]] static bool same(const Chain<Queue>& chain, const ModelChain& model) {
    return chain.head() == model.head && chain.fault().has_value() == !model.fault.none() &&
           (!chain.fault() || chain.fault()->name() == model.fault.name) &&
           chain.readable_bytes() == model.readable_bytes() &&
           chain.writable_bytes() == model.writable_bytes();
  }

  QueueLayout layout_;
  ModelQueueSetup setup_;
  Memory device_memory_{kRegions}, model_memory_{kRegions};
  Memory::GuestView device_guest_ = device_memory_.guest(), model_guest_ = model_memory_.guest();
  Queue queue_;
  QueueModel model_;
};

/// All that one descriptor is tried with.
std::vector<PackedDesc> descriptors(const std::vector<std::uint16_t>& ids,
                                    const std::vector<std::uint16_t>& flags) {
  std::vector<PackedDesc> all;
  for (const auto turn : {VIRTQ_DESC_F_AVAIL, VIRTQ_DESC_F_USED})
    for (const auto id : ids)
      for (const auto flag : flags)
        all.push_back({0x800, 4, id, static_cast<std::uint16_t>(turn | flag)});
  // What says neither, whatever else it says.
  all.push_back({0x800, 4, 0, VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED});
  return all;
}

/// Every ring of `size` of these descriptors, from every position.
void enumerate(std::uint16_t size, const std::vector<PackedDesc>& choices) {
  Both both(size);
  std::uint64_t rings = 1;
  for (std::uint16_t slot = 0; slot < size; ++slot) rings *= choices.size();
  for (std::uint64_t ring = 0; ring < rings; ++ring)
    for (std::uint16_t place = 0; place < 2 * size; ++place) {
      const auto position = static_cast<std::uint16_t>(place % size + (place < size ? 0x8000 : 0));
      auto rest = ring;
      for (std::uint16_t slot = 0; slot < size; ++slot, rest /= choices.size())
        ASSERT_NO_FATAL_FAILURE(both.write(slot, choices[rest % choices.size()]));
      ASSERT_NO_FATAL_FAILURE(both.start_at(position));
      ASSERT_TRUE(both.agree()) << "size " << size << ", ring " << ring << ", position "
                                << position;
    }
}

constexpr std::uint16_t kNext = VIRTQ_DESC_F_NEXT, kWrite = VIRTQ_DESC_F_WRITE;

TEST(PackedExhaustiveTest, RingsOfOne) {
  enumerate(1, descriptors({0, 1, 0xffff}, {0, kNext, kWrite, kNext | kWrite, 4, 0x40}));
}
TEST(PackedExhaustiveTest, RingsOfTwo) {
  enumerate(2, descriptors({0, 1, 2}, {0, kNext, kWrite, kNext | kWrite}));
}
TEST(PackedExhaustiveTest, RingsOfThree) {
  enumerate(3, descriptors({0, 1, 2, 3}, {0, kNext, kWrite, kNext | kWrite}));
}
TEST(PackedExhaustiveTest, RingsOfFour) { enumerate(4, descriptors({0, 1, 3}, {0, kNext})); }

}  // namespace
}  // namespace guestproof::virtio
