// A packed queue over watched memory, of a size that is no power of two, and the driver at its
// other end.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <utility>

#include "guestproof/testing/packed_driver.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/queue/virt_queue.h"
#include "print.h"

namespace guestproof::virtio {

class PackedFixture : public ::testing::Test {
 protected:
  using Memory = testing::WatchedMemory;
  using Queue = VirtQueue<Memory>;
  using Driver = testing::PackedDriver<Memory::GuestView>;

  static constexpr std::uint16_t kSize = 5;
  static constexpr GuestAddress kRings{0x1000};
  static constexpr GuestAddress kData{0x4000};
  static constexpr GuestAddress kTable{0x6000};
  static constexpr GuestAddress kReadOnly{0x10000};

  static constexpr std::array kRegions{
      Memory::RegionSpec{GuestAddress(0), 0x8000},
      Memory::RegionSpec{kReadOnly, 0x1000, true},
  };

  static constexpr QueueFeatures kPacked{.indirect = true, .packed = true};
  static constexpr QueueFeatures kPackedEvent{
      .event_index = true, .indirect = true, .packed = true};

  void SetUp() override { activate(kPacked); }
  void activate(QueueFeatures features) {
    ASSERT_TRUE(queue.activate(memory, layout.config(256), features));
  }
  /// The next chain. REQUIRES: there is one.
  [[nodiscard]] Chain<Queue> take() { return std::move(queue.pop().value().value()); }
  [[nodiscard]] bool has_chain() { return queue.pop().value().has_value(); }
  /// Makes a chain of `slots` writable buffers of 4 bytes available, takes it and returns it.
  void serve(std::size_t slots) {
    const std::vector<testing::BufferSpec> buffers(slots, {kData, 4, true});
    const auto id = driver.add_chain(buffers);
    ASSERT_TRUE(take().complete(1));
    const auto used = driver.take_used();
    ASSERT_TRUE(used);
    EXPECT_EQ(used->id, id);
  }

  Memory memory{kRegions};
  Memory::GuestView guest = memory.guest();
  testing::QueueLayout layout = testing::QueueLayout::at(kRings, kSize, RingLayout::kPacked);
  Driver driver{guest, layout};
  Queue queue;
};

}  // namespace guestproof::virtio
