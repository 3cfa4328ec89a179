// A queue of 8 over watched memory, and the driver at its other end.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <utility>

#include "guestproof/testing/driver.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/queue/split_queue.h"
#include "print.h"

namespace guestproof::virtio {

class QueueFixture : public ::testing::Test {
 protected:
  using Memory = testing::WatchedMemory;
  using Queue = SplitQueue<Memory>;

  static constexpr std::uint16_t kSize = 8;
  static constexpr GuestAddress kRings{0x1000};
  static constexpr GuestAddress kData{0x4000};
  static constexpr GuestAddress kTable{0x6000};   // for indirect tables
  static constexpr GuestAddress kBorder{0x8000};  // first and second region touch here
  static constexpr GuestAddress kEnd{0xa000};     // of the second region
  static constexpr GuestAddress kReadOnly{0x10000};
  static constexpr GuestAddress kTop{UINT64_MAX - 0xfff};  // the last page of the address space
  static constexpr GuestAddress kNowhere{0x666000};

  static constexpr std::array kRegions{
      Memory::RegionSpec{GuestAddress(0), 0x8000},
      Memory::RegionSpec{kBorder, 0x2000},
      Memory::RegionSpec{kReadOnly, 0x1000, true},
      Memory::RegionSpec{kTop, 0x1000},
  };

  void activate(QueueFeatures features) {
    ASSERT_TRUE(queue.activate(memory, layout.config(256), features));
  }
  /// The next chain. REQUIRES: there is one.
  [[nodiscard]] Chain<Queue> take() { return std::move(queue.pop().value().value()); }
  /// Whether the queue has a chain, without keeping it.
  [[nodiscard]] bool has_chain() { return queue.pop().value().has_value(); }
  /// Takes one chain and returns it.
  void serve_one() { ASSERT_TRUE(take().complete(0)); }
  /// Publishes one chain, takes it and returns it, `times` times.
  void serve(std::uint32_t times) {
    for (std::uint32_t i = 0; i < times; ++i) {
      driver.add_chain({{kData, 4, true}});
      serve_one();
    }
  }

  static constexpr GuestAddress plus(GuestAddress address, std::uint64_t bytes) {
    return GuestAddress(address.raw() + bytes);
  }
  static constexpr GuestAddress before(GuestAddress address, std::uint64_t bytes) {
    return GuestAddress(address.raw() - bytes);
  }

  Memory memory{kRegions};
  Memory::GuestView guest = memory.guest();
  testing::QueueLayout layout = testing::QueueLayout::at(kRings, kSize);
  testing::Driver<Memory::GuestView> driver{guest, layout};
  Queue queue;
};

}  // namespace guestproof::virtio
