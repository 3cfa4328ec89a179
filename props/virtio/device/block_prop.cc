// The block device against a plain vector of bytes: any requests, cut anywhere, on storage that
// moves as little as it likes. And against any chain at all: it stays inside the writable buffers
// and tells the truth about what it wrote.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>
#include <vector>

#include "guestproof/testing/deferred_backend.h"
#include "guestproof/testing/driver.h"
#include "guestproof/testing/memory_backend.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/device/block/engine.h"
#include "guestproof/virtio/queue/split_queue.h"

namespace guestproof::virtio::block {
namespace {

using testing::BufferSpec;
using testing::DeferredBackend;
using testing::Driver;
using testing::MemoryBackend;
using testing::MemoryRange;
using testing::QueueLayout;
using testing::WatchedMemory;

using Bytes = std::vector<std::byte>;
using Segment = VirtioBlkDiscardWriteZeroes;

constexpr std::uint16_t kQueueSize = 64;
constexpr std::uint64_t kCapacity = 16;
constexpr std::uint64_t kReadable = 0x3f00;
constexpr std::uint64_t kWritable = 0x9f00;
constexpr std::uint64_t kEnd = 0x10000;
/// Borders between regions that touch, in the middle of the data.
constexpr WatchedMemory::RegionSpec kRegions[] = {
    {GuestAddress(0), 0x4000}, {GuestAddress(0x4000), 0x6000}, {GuestAddress(0xa000), 0x6000}};

Config whole_config() {
  return {.capacity = kCapacity,
          .features = 1u << VIRTIO_BLK_F_FLUSH | 1u << VIRTIO_BLK_F_DISCARD |
                      1u << VIRTIO_BLK_F_WRITE_ZEROES | 1u << VIRTIO_BLK_F_SECURE_ERASE,
          .id = device_id("property"),
          .discard = {.max_sectors = 8, .max_segments = 4},
          .write_zeroes = {.max_sectors = 8, .max_segments = 4},
          .secure_erase = {.max_sectors = 8, .max_segments = 4},
          .write_zeroes_may_unmap = true};
}

struct Machine {
  Machine() {
    RC_ASSERT(queue.activate(memory, driver.layout().config(), {}).has_value());
    for (std::size_t i = 0; i < storage.size(); ++i)
      storage.bytes()[i] = static_cast<std::byte>(i * 7 + i / 251);
  }

  Outcome serve(const std::vector<BufferSpec>& buffers) {
    driver.add_chain(buffers);
    memory.clear_log();
    std::optional<Outcome> outcome;
    engine.take(std::move(**queue.pop()), [&](const Outcome& o) { outcome = o; });
    RC_ASSERT(outcome.has_value());
    const auto used = driver.take_used();
    RC_ASSERT(used.has_value());
    RC_ASSERT(used->len == outcome->used);
    RC_ASSERT(!driver.take_used().has_value());
    return *outcome;
  }

  void scatter(const std::vector<BufferSpec>& buffers, std::span<const std::byte> bytes) {
    for (const auto& buffer : buffers) {
      RC_ASSERT(write_bytes(guest, buffer.address, bytes.first(buffer.length)).has_value());
      bytes = bytes.subspan(buffer.length);
    }
  }
  Bytes gather(const std::vector<BufferSpec>& buffers) {
    Bytes all;
    for (const auto& buffer : buffers) {
      Bytes part(buffer.length);
      RC_ASSERT(read_bytes(guest, buffer.address, part).has_value());
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }

  Bytes disk() { return {storage.bytes().begin(), storage.bytes().end()}; }

  WatchedMemory memory{kRegions};
  WatchedMemory::GuestView guest = memory.guest();
  Driver<WatchedMemory::GuestView> driver{guest, QueueLayout::at(GuestAddress(0), kQueueSize)};
  SplitQueue<WatchedMemory> queue;
  MemoryBackend storage{kCapacity * kSectorBytes};
  ImmediateBackend immediate{storage};
  Engine<SplitQueue<WatchedMemory>> engine =
      Engine<SplitQueue<WatchedMemory>>::create(whole_config(), immediate).value();
};

/// `bytes` bytes cut at random, empty pieces among them, from `base` on with gaps.
std::vector<BufferSpec> cut(std::size_t bytes, std::uint64_t base, bool writable) {
  auto cuts = *rc::gen::container<std::vector<std::size_t>>(
                   *rc::gen::inRange<std::size_t>(0, kQueueSize / 2),
                   rc::gen::inRange<std::size_t>(0, bytes + 1))
                   .as("cuts");
  cuts.push_back(bytes);
  std::ranges::sort(cuts);
  std::vector<BufferSpec> buffers;
  std::size_t start = 0;
  for (const auto end : cuts) {
    const auto length = static_cast<std::uint32_t>(end - std::exchange(start, end));
    buffers.push_back({GuestAddress(base), length, writable});
    base += length + length % 3;
  }
  return buffers;
}

std::vector<BufferSpec> joined(std::vector<BufferSpec> front, const std::vector<BufferSpec>& back) {
  front.insert(front.end(), back.begin(), back.end());
  return front;
}

/// Every byte that the device wrote lies in a writable buffer.
void check_confined(const Machine& machine, const std::vector<BufferSpec>& buffers) {
  std::vector<bool> allowed(kEnd);
  for (const auto& buffer : buffers)
    for (auto at = buffer.address.raw(); at < kEnd && at - buffer.address.raw() < buffer.length;
         ++at)
      if (buffer.writable) allowed[at] = true;
  const auto used_ring = machine.driver.layout().used_ring.raw();
  for (const auto& range : machine.memory.writes())
    for (std::uint64_t i = 0; i < range.length; ++i) {
      const auto at = range.address.raw() + i;
      RC_ASSERT(allowed[at] || at - used_ring < used_ring_bytes(kQueueSize));
    }
}

/// A request as the driver means it: what it sends and how much room it leaves.
struct Wish {
  std::uint32_t type = 0;
  std::uint64_t sector = 0;
  Bytes data;
  std::size_t answer = 0;

  [[nodiscard]] Bytes readable() const {
    const VirtioBlkReq header{type, 0, sector};
    const auto front = std::as_bytes(std::span(&header, 1));
    Bytes all(front.begin(), front.end());
    all.insert(all.end(), data.begin(), data.end());
    return all;
  }
};

Bytes arbitrary_bytes(std::size_t length) {
  const auto seed = *rc::gen::inRange<std::size_t>(1, 250).as("contents");
  Bytes bytes(length);
  for (std::size_t i = 0; i < length; ++i)
    bytes[i] = static_cast<std::byte>(seed * (i + 1) + i / 256);
  return bytes;
}

std::uint64_t arbitrary_sector() {
  return *rc::gen::weightedOneOf<std::uint64_t>(
              {{20, rc::gen::inRange<std::uint64_t>(0, kCapacity + 2)},
               {1, rc::gen::arbitrary<std::uint64_t>()},
               {1, rc::gen::element<std::uint64_t>(UINT64_MAX, 1ULL << 55, UINT64_MAX / 512)}})
              .as("sector");
}

Bytes arbitrary_segments() {
  const auto count = *rc::gen::inRange<std::size_t>(1, 5).as("segments");
  std::vector<Segment> segments(count);
  for (auto& segment : segments) {
    segment.sector = arbitrary_sector();
    segment.num_sectors = *rc::gen::inRange<std::uint32_t>(0, 10).as("sectors");
    segment.flags = *rc::gen::weightedElement<std::uint32_t>({{20, 0}, {4, 1}, {1, 2}}).as("flags");
  }
  const auto bytes = std::as_bytes(std::span(segments));
  return {bytes.begin(), bytes.end()};
}

/// Mostly a good request; now and then one whose data have a wrong length.
Wish arbitrary_wish() {
  Wish wish;
  wish.type =
      *rc::gen::element(VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID,
                        VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_SECURE_ERASE)
           .as("type");
  const auto excess = *rc::gen::weightedElement<std::size_t>({{8, 0}, {1, 1}}).as("excess");
  const auto sectors = *rc::gen::inRange<std::size_t>(0, 6).as("sectors");
  switch (wish.type) {
    case VIRTIO_BLK_T_IN:
      wish.sector = arbitrary_sector();
      wish.answer = sectors * kSectorBytes + excess;
      break;
    case VIRTIO_BLK_T_OUT:
      wish.sector = arbitrary_sector();
      wish.data = arbitrary_bytes(sectors * kSectorBytes + excess);
      break;
    case VIRTIO_BLK_T_FLUSH:
      break;
    case VIRTIO_BLK_T_GET_ID:
      wish.answer = VIRTIO_BLK_ID_BYTES + excess;
      break;
    default:
      wish.data = arbitrary_segments();
      wish.data.resize(wish.data.size() + excess);
  }
  return wish;
}

/// What the answer should be: the writable data and the status.
struct Answer {
  Bytes data;
  std::uint8_t status = VIRTIO_BLK_S_OK;
};

bool fits(std::uint64_t sector, std::uint64_t count) {
  return sector <= kCapacity && count <= kCapacity - sector;
}

Answer refuse(std::uint8_t status) { return {{}, status}; }

Answer change(Bytes& disk, const Wish& wish) {
  if (wish.data.size() % sizeof(Segment) != 0) return refuse(VIRTIO_BLK_S_IOERR);
  std::vector<Segment> segments(wish.data.size() / sizeof(Segment));
  std::ranges::copy(wish.data, std::as_writable_bytes(std::span(segments)).begin());
  const bool zeroes = wish.type == VIRTIO_BLK_T_WRITE_ZEROES;
  for (const auto& segment : segments)
    if (segment.flags > (zeroes ? 1u : 0u)) return refuse(VIRTIO_BLK_S_UNSUPP);
  for (const auto& segment : segments)
    if (segment.num_sectors > 8 || !fits(segment.sector, segment.num_sectors))
      return refuse(VIRTIO_BLK_S_IOERR);
  std::uint64_t total = 0;
  for (const auto& segment : segments) total += segment.num_sectors;
  if (total > kCapacity) return refuse(VIRTIO_BLK_S_IOERR);
  const auto value = wish.type == VIRTIO_BLK_T_DISCARD ? std::byte{0xdd} : std::byte{0};
  for (const auto& segment : segments)
    std::ranges::fill(std::span(disk).subspan(segment.sector * 512, segment.num_sectors * 512ULL),
                      value);
  return {};
}

Answer expect(Bytes& disk, const Wish& wish) {
  const auto length = wish.data.size() + wish.answer;
  const auto whole = std::span(disk);
  switch (wish.type) {
    case VIRTIO_BLK_T_IN:
    case VIRTIO_BLK_T_OUT: {
      if (length % 512 != 0 || !fits(wish.sector, length / 512)) return refuse(VIRTIO_BLK_S_IOERR);
      const auto part = whole.subspan(wish.sector * 512, length);
      if (wish.type == VIRTIO_BLK_T_IN) return {Bytes(part.begin(), part.end())};
      std::ranges::copy(wish.data, part.begin());
      return {};
    }
    case VIRTIO_BLK_T_FLUSH:
      return {};
    case VIRTIO_BLK_T_GET_ID: {
      if (length != 20) return refuse(VIRTIO_BLK_S_IOERR);
      const auto id = device_id("property");
      const auto bytes = std::as_bytes(std::span(id));
      return {Bytes(bytes.begin(), bytes.end())};
    }
    default:
      return change(disk, wish);
  }
}

RC_GTEST_PROP(BlockDevice, IsAVectorOfBytes, ()) {
  Machine machine;
  auto disk = machine.disk();
  machine.storage.limit_transfers(
      *rc::gen::element<std::size_t>(SIZE_MAX, 1000, 512, 100, 7).as("most bytes per transfer"));
  const auto requests = *rc::gen::inRange(1, 8).as("requests");
  for (int i = 0; i < requests; ++i) {
    const auto wish = arbitrary_wish();
    const auto out = cut(wish.readable().size(), kReadable, false);
    const auto room = cut(wish.answer + 1, kWritable, true);
    machine.scatter(out, wish.readable());
    machine.scatter(room, Bytes(wish.answer + 1, std::byte{0xee}));

    const auto outcome = machine.serve(joined(out, room));

    auto expected = expect(disk, wish);
    RC_ASSERT(outcome.status == expected.status);
    const bool whole = expected.data.size() == wish.answer;
    RC_ASSERT(outcome.used == (whole ? wish.answer + 1 : 0));
    expected.data.resize(wish.answer, std::byte{0xee});
    expected.data.push_back(std::byte{expected.status});
    RC_ASSERT(machine.gather(room) == expected.data);
    RC_ASSERT(machine.disk() == disk);
    check_confined(machine, joined(out, room));
  }
}

RC_GTEST_PROP(BlockDevice, CutsDoNotMatter, ()) {
  Machine one;
  Machine two;
  const auto wish = arbitrary_wish();
  auto readable = wish.readable();
  readable.resize(*rc::gen::weightedOneOf<std::size_t>(
      {{10, rc::gen::just(readable.size())}, {1, rc::gen::inRange<std::size_t>(0, 40)}}));
  const auto answer = *rc::gen::weightedOneOf<std::size_t>(
      {{10, rc::gen::just(wish.answer)}, {1, rc::gen::inRange<std::size_t>(0, 40)}});
  const auto failing = *rc::gen::weightedElement<std::uint64_t>({{5, 99}, {1, 0}, {1, 1}});
  const auto serve = [&](Machine& machine) {
    const auto out = cut(readable.size(), kReadable, false);
    const auto room = cut(answer + 1, kWritable, true);
    machine.storage.limit_transfers(300);
    machine.storage.fail_after(failing, Error(SystemError::kRead, EIO));
    machine.scatter(out, readable);
    const auto outcome = machine.serve(joined(out, room));
    return std::pair(outcome, machine.gather(room));
  };

  const auto [first, first_room] = serve(one);
  const auto [second, second_room] = serve(two);

  RC_ASSERT(first.type == second.type);
  RC_ASSERT(first.status == second.status);
  RC_ASSERT(first.error == second.error);
  RC_ASSERT(first.bytes == second.bytes);
  RC_ASSERT(first.used == second.used);
  RC_ASSERT(first_room == second_room);
  RC_ASSERT(one.disk() == two.disk());
}

/// Anything: overlapping, outside memory, at the end of the address space.
BufferSpec arbitrary_buffer() {
  const auto address = *rc::gen::weightedOneOf<std::uint64_t>(
      {{6, rc::gen::inRange<std::uint64_t>(kReadable, kEnd)},
       {1, rc::gen::inRange<std::uint64_t>(kEnd - 600, kEnd + 8)},
       {1, rc::gen::inRange<std::uint64_t>(UINT64_MAX - 600, UINT64_MAX)}});
  const auto length = *rc::gen::weightedOneOf<std::uint32_t>(
      {{2, rc::gen::element<std::uint32_t>(1, 16, 20, 32, 512, 513, 528)},
       {1, rc::gen::inRange<std::uint32_t>(0, 2000)}});
  return {GuestAddress(address), length, *rc::gen::arbitrary<bool>()};
}

RC_GTEST_PROP(BlockDevice, AnyChainIsReturnedAndStaysInside, ()) {
  Machine machine;
  const auto before = machine.disk();
  const auto wish = arbitrary_wish();
  RC_ASSERT(write_bytes(machine.guest, GuestAddress(kReadable), wish.readable()).has_value());
  std::vector<BufferSpec> buffers{{GuestAddress(kReadable), 16, false}};
  for (auto more = *rc::gen::inRange(0, 4).as("buffers"); more > 0; --more)
    buffers.push_back(arbitrary_buffer());
  const bool ended = *rc::gen::weightedElement<bool>({{4, true}, {1, false}}).as("has an answer");
  if (ended)
    buffers.push_back({GuestAddress(kWritable), static_cast<std::uint32_t>(wish.answer + 1), true});
  std::ranges::partition(std::span(buffers).subspan(1),
                         [](const BufferSpec& b) { return !b.writable; });
  std::uint64_t writable = 0;
  for (const auto& buffer : buffers) writable += buffer.writable ? buffer.length : 0;

  const auto outcome = machine.serve(buffers);

  check_confined(machine, buffers);
  RC_ASSERT(outcome.used <= writable);
  RC_ASSERT(outcome.error.has_value() == (outcome.status != VIRTIO_BLK_S_OK));
  RC_ASSERT(outcome.status.has_value() || machine.storage.calls().empty());
  RC_ASSERT(outcome.bytes != 0 || machine.disk() == before);
  RC_TAG(outcome.error ? outcome.error->name() : "ok");
}

/// Reads and writes of a sector each, in flight together; no two of the same sector.
RC_GTEST_PROP(BlockEngine, AnyOrderOfCompletionIsRight, ()) {
  Machine machine;
  const auto before = machine.disk();
  const auto depth = *rc::gen::inRange<std::uint32_t>(1, 9).as("depth");
  machine.storage.limit_transfers(*rc::gen::element<std::size_t>(SIZE_MAX, 300, 100).as("limit"));
  DeferredBackend deferred(machine.storage, depth);
  auto engine = Engine<SplitQueue<WatchedMemory>>::create(whole_config(), deferred).value();
  std::vector<bool> writes;
  const auto requests = *rc::gen::inRange<std::uint64_t>(1, 9).as("requests");
  const auto data_of = [](std::uint64_t i) { return GuestAddress(kWritable + i * 1024); };
  for (std::uint64_t i = 0; i < requests; ++i) {
    writes.push_back(*rc::gen::arbitrary<bool>());
    const GuestAddress header(kReadable + i * 32);
    RC_ASSERT(write_object(machine.guest, header,
                           VirtioBlkReq{writes[i] ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, 0, i})
                  .has_value());
    RC_ASSERT(write_bytes(machine.guest, data_of(i), Bytes(513, static_cast<std::byte>(0x80 + i)))
                  .has_value());
    machine.driver.add_chain({{header, 16, false},
                              {data_of(i), 512, !writes[i]},
                              {GuestAddress(data_of(i).raw() + 512), 1, true}});
  }

  std::uint64_t answered = 0;
  const auto observe = [&](const Outcome& outcome) {
    RC_ASSERT(outcome.status == VIRTIO_BLK_S_OK);
    RC_ASSERT(outcome.bytes == 512);
    ++answered;
  };
  while (answered != requests) {
    RC_ASSERT(engine.serve(machine.queue, kQueueSize, observe).has_value());
    RC_ASSERT(deferred.dispatched());
    RC_ASSERT(engine.in_flight() == deferred.pending().size());
    RC_ASSERT(engine.in_flight() == std::min<std::uint64_t>(depth, requests - answered));
    deferred.finish(*rc::gen::inRange<std::size_t>(0, deferred.pending().size()).as("finishes"));
    RC_ASSERT(engine.reap(observe).has_value());
  }

  RC_ASSERT(machine.driver.used_index() == requests);
  for (std::uint64_t i = 0; i < requests; ++i) {
    Bytes data(513);
    RC_ASSERT(read_bytes(machine.guest, data_of(i), data).has_value());
    RC_ASSERT(data.back() == std::byte{VIRTIO_BLK_S_OK});
    data.pop_back();
    RC_ASSERT(std::ranges::equal(data, std::span(machine.storage.bytes()).subspan(i * 512, 512)));
    if (!writes[i]) RC_ASSERT(std::ranges::equal(data, std::span(before).subspan(i * 512, 512)));
  }
}

}  // namespace
}  // namespace guestproof::virtio::block
