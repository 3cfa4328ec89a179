// A queue, a driver and watched memory for tests of block requests, and the ways to cut one request
// into descriptors.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "guestproof/testing/driver.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/device/block/engine.h"
#include "guestproof/virtio/device/block/wire.h"
#include "guestproof/virtio/queue/split_queue.h"

namespace guestproof::virtio::block {

using testing::BufferSpec;
using Bytes = std::vector<std::byte>;
using Queue = SplitQueue<testing::WatchedMemory>;

inline constexpr GuestAddress kRings{0x0};
inline constexpr GuestAddress kReadable{0xff00};   // runs over the border of two regions that touch
inline constexpr GuestAddress kWritable{0x1ff00};  // as well
inline constexpr GuestAddress kReadOnly{0x40000};
inline constexpr GuestAddress kNowhere{0x80000};

/// Where the driver cuts. `first` bytes of a direction are the header or the writable data.
enum class Cut : std::uint8_t {
  kSeparate,  // header | data | status
  kJoined,    // one descriptor for each direction
  kSevens,    // every 7 bytes
  kMisfit,    // 3 bytes before the border between header and data, and between data and status
  kEmpty,     // as kSeparate, with descriptors of length 0 in between
};
inline constexpr std::array kCuts{Cut::kSeparate, Cut::kJoined, Cut::kSevens, Cut::kMisfit,
                                  Cut::kEmpty};

inline std::string name_of(Cut cut) {
  constexpr std::array kNames{"separate", "joined", "sevens", "misfit", "empty"};
  return kNames[static_cast<std::size_t>(cut)];
}

/// The lengths of the descriptors for `first` + `second` bytes.
inline std::vector<std::uint32_t> pieces(Cut cut, std::uint32_t first, std::uint32_t second) {
  const auto total = first + second;
  switch (cut) {
    case Cut::kSeparate:
      return {first, second};
    case Cut::kJoined:
      return {total};
    case Cut::kMisfit:
      return {first - std::min(first, 3u), total - first + std::min(first, 3u)};
    case Cut::kEmpty:
      return {0, first, 0, second, 0};
    case Cut::kSevens:
      break;
  }
  std::vector<std::uint32_t> sevens(total / 7, 7);
  sevens.push_back(total % 7);
  return sevens;
}

class BlockFixture : public ::testing::Test {
 protected:
  BlockFixture() {
    EXPECT_TRUE(queue.activate(memory, driver.layout().config(), {}));
    config.capacity = 64;
    config.features = 1u << VIRTIO_BLK_F_FLUSH | 1u << VIRTIO_BLK_F_DISCARD |
                      1u << VIRTIO_BLK_F_WRITE_ZEROES | 1u << VIRTIO_BLK_F_SECURE_ERASE;
    config.discard = {.max_sectors = 8, .max_segments = 4};
    config.write_zeroes = {.max_sectors = 9, .max_segments = 3};
    config.secure_erase = {.max_sectors = 10, .max_segments = 2};
    config.id = device_id("a serial number");
  }

  /// The bytes of a header.
  static Bytes header(std::uint32_t type, std::uint64_t sector = 0) {
    return bytes_of(VirtioBlkReq{type, 0xdeadbeef, sector});
  }
  template <class T>
  static Bytes bytes_of(const T& object) {
    const auto bytes = std::as_bytes(std::span(&object, 1));
    return {bytes.begin(), bytes.end()};
  }
  /// `count` bytes of which no two neighbours are equal.
  static Bytes pattern(std::size_t count, unsigned seed = 1) {
    Bytes bytes(count);
    for (std::size_t i = 0; i < count; ++i)
      bytes[i] = static_cast<std::byte>(seed + i * 7 + i / 251);
    return bytes;
  }
  static Bytes joined(Bytes front, const Bytes& back) {
    front.insert(front.end(), back.begin(), back.end());
    return front;
  }

  /// Makes a request available: `readable` (the header first) and room for `answer` bytes of
  /// writable data and a status. The room is filled with 0xee.
  void send(const Bytes& readable, std::uint32_t answer, Cut cut = Cut::kSeparate) {
    const auto size = static_cast<std::uint32_t>(readable.size());
    const auto front = std::min(size, 16u);
    auto out = place(kReadable, pieces(cut, front, size - front), false);
    room_ = place(kWritable, pieces(cut, answer, 1), true);
    scatter(out, readable);
    scatter(room_, Bytes(answer + 1, std::byte{0xee}));
    send_buffers(joined_buffers(out, room_));
  }
  void send_buffers(const std::vector<BufferSpec>& buffers) {
    memory.clear_log();
    head_ = driver.add_chain(buffers);
  }
  static std::vector<BufferSpec> joined_buffers(std::vector<BufferSpec> front,
                                                const std::vector<BufferSpec>& back) {
    front.insert(front.end(), back.begin(), back.end());
    return front;
  }

  /// The writable bytes of the last send(), joined; the last one is the status.
  Bytes room() {
    Bytes all;
    for (const auto& buffer : room_) {
      Bytes part(buffer.length);
      EXPECT_TRUE(read_bytes(guest, buffer.address, part));
      all = joined(std::move(all), part);
    }
    return all;
  }

  void put(GuestAddress where, const Bytes& bytes) {
    EXPECT_TRUE(write_bytes(guest, where, bytes));
  }
  /// The outcome of the next chain on storage that answers at once.
  Outcome serve_on(Backend& storage) {
    ImmediateBackend immediate(storage);
    auto engine = Engine<Queue>::create(config, immediate).value();
    std::optional<Outcome> outcome;
    engine.take(queue.pop().value().value(), [&](const Outcome& o) { outcome = o; });
    return outcome.value();
  }
  std::uint8_t byte_at(GuestAddress where) {
    return read_object<std::uint8_t>(guest, where).value();
  }

  testing::WatchedMemory memory{std::array{
      testing::WatchedMemory::RegionSpec{GuestAddress(0), 0x10000},
      testing::WatchedMemory::RegionSpec{GuestAddress(0x10000), 0x10000},
      testing::WatchedMemory::RegionSpec{GuestAddress(0x20000), 0x10000},
      testing::WatchedMemory::RegionSpec{kReadOnly, 0x1000, true},
  }};
  testing::WatchedMemory::GuestView guest = memory.guest();
  testing::Driver<testing::WatchedMemory::GuestView> driver{guest,
                                                            testing::QueueLayout::at(kRings, 1024)};
  Queue queue;
  Config config;
  std::uint16_t head_ = 0;

 private:
  /// One descriptor for each length, with a gap of 5 bytes after each.
  static std::vector<BufferSpec> place(GuestAddress base, const std::vector<std::uint32_t>& lengths,
                                       bool writable) {
    std::vector<BufferSpec> buffers;
    auto at = base.raw();
    for (const auto length : lengths) {
      buffers.push_back({GuestAddress(at), length, writable});
      at += length + 5;
    }
    return buffers;
  }
  void scatter(const std::vector<BufferSpec>& buffers, const Bytes& bytes) {
    std::span rest(bytes);
    for (const auto& buffer : buffers) {
      EXPECT_TRUE(write_bytes(guest, buffer.address, rest.first(buffer.length)));
      rest = rest.subspan(buffer.length);
    }
  }

  std::vector<BufferSpec> room_;
};

}  // namespace guestproof::virtio::block
