// Vsock packets survive any cut into descriptors, both ways, and what is refused is refused for the
// documented reason.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "guestproof/testing/driver.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/device/vsock/packet.h"
#include "guestproof/virtio/queue/split_queue.h"

namespace guestproof::virtio::vsock {
namespace {

using testing::BufferSpec;
using testing::Driver;
using testing::QueueLayout;
using testing::WatchedMemory;

using Bytes = std::vector<std::byte>;

constexpr std::uint16_t kQueueSize = 64;
constexpr std::uint64_t kBuffers = 0x4000;
constexpr std::uint64_t kBorder = 0x8000;
constexpr WatchedMemory::RegionSpec kRegions[] = {{GuestAddress(0), kBorder},
                                                  {GuestAddress(kBorder), 0x4000}};

/// A device with one queue, and the guest that fills it.
struct Machine {
  Machine() { RC_ASSERT(queue.activate(memory, driver.layout().config(), {}).has_value()); }

  Chain<SplitQueue<WatchedMemory>> pop(const std::vector<BufferSpec>& buffers) {
    driver.add_chain(buffers);
    memory.clear_log();
    return std::move(queue.pop().value().value());
  }

  WatchedMemory memory{kRegions};
  WatchedMemory::GuestView guest = memory.guest();
  Driver<WatchedMemory::GuestView> driver{guest, QueueLayout::at(GuestAddress(0x1000), kQueueSize)};
  SplitQueue<WatchedMemory> queue;
};

/// `bytes` bytes cut into at most `most` buffers, empty ones among them, in any order in memory,
/// with gaps and across the border between the two regions.
std::vector<BufferSpec> cut(std::uint32_t bytes, std::size_t most, bool writable) {
  const auto count = *rc::gen::inRange<std::size_t>(1, most + 1).as("buffers");
  auto cuts = *rc::gen::container<std::vector<std::uint32_t>>(
                   count - 1, rc::gen::inRange<std::uint32_t>(0, bytes + 1))
                   .as("cuts");
  std::ranges::sort(cuts);
  cuts.push_back(bytes);
  std::vector<BufferSpec> buffers;
  std::uint32_t start = 0;
  for (const auto end : cuts)
    buffers.push_back({GuestAddress(0), end - std::exchange(start, end), writable});

  auto order =
      *rc::gen::container<std::vector<std::uint32_t>>(count, rc::gen::arbitrary<std::uint32_t>())
           .as("places");
  std::vector<std::size_t> placed(count);
  for (std::size_t i = 0; i < count; ++i) placed[i] = i;
  std::ranges::sort(placed, {}, [&](std::size_t i) { return order[i]; });
  auto address = *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(kBuffers, kBorder),
                                 rc::gen::inRange<std::uint64_t>(kBorder - 0x100, kBorder))
                      .as("base");
  for (const auto i : placed) {
    buffers[i].address = GuestAddress(address);
    address += buffers[i].length + order[i] % 3;
  }
  return buffers;
}

Bytes gather(const Machine& machine, const std::vector<BufferSpec>& buffers) {
  Bytes all;
  for (const auto& buffer : buffers) {
    Bytes bytes(buffer.length);
    RC_ASSERT(read_bytes(machine.guest, buffer.address, bytes).has_value());
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  return all;
}

void scatter(const Machine& machine, const std::vector<BufferSpec>& buffers, const Bytes& all) {
  std::span<const std::byte> rest = all;
  for (const auto& buffer : buffers) {
    RC_ASSERT(write_bytes(machine.guest, buffer.address, rest.first(buffer.length)).has_value());
    rest = rest.subspan(buffer.length);
  }
}

Bytes arbitrary_bytes(std::size_t length) {
  const auto raw =
      *rc::gen::container<std::vector<std::uint8_t>>(length, rc::gen::arbitrary<std::uint8_t>());
  Bytes bytes(length);
  std::ranges::transform(raw, bytes.begin(), [](std::uint8_t b) { return std::byte{b}; });
  return bytes;
}

/// Any header bytes, with this len.
VsockHdr arbitrary_header(std::uint32_t len) {
  VsockHdr header;
  std::memcpy(static_cast<void*>(&header), arbitrary_bytes(sizeof header).data(), sizeof header);
  header.len = len;
  return header;
}

Bytes packet_bytes(const VsockHdr& header, const Bytes& data) {
  Bytes all(sizeof header + data.size());
  std::memcpy(all.data(), static_cast<const void*>(&header), sizeof header);
  std::ranges::copy(data, all.begin() + sizeof header);
  return all;
}

RC_GTEST_PROP(VsockTx, AnyPacketInAnyCutArrivesWhole, ()) {
  Machine machine;
  const auto data = arbitrary_bytes(*rc::gen::inRange<std::size_t>(0, 400));
  const auto header = arbitrary_header(static_cast<std::uint32_t>(data.size()));
  auto sent = packet_bytes(header, data);
  sent.resize(sent.size() + *rc::gen::inRange<std::size_t>(0, 20).as("bytes beyond len"));
  const auto buffers = cut(static_cast<std::uint32_t>(sent.size()), kQueueSize, false);
  scatter(machine, buffers, sent);

  const auto chain = machine.pop(buffers);
  const auto packet = TxPacket<WatchedMemory>::parse(chain);
  RC_ASSERT(packet.has_value());
  RC_ASSERT(packet_bytes(packet->header(), {}) == packet_bytes(header, {}));
  auto reader = packet->data();
  RC_ASSERT(reader.remaining() == data.size());
  Bytes received(data.size());
  RC_ASSERT(reader.read(received).has_value());
  RC_ASSERT(received == data);

  std::size_t position = 0;
  for (const auto& buffer : buffers)
    for (std::uint64_t i = 0; i < buffer.length; ++i, ++position)
      RC_ASSERT(machine.memory.fetch_count(GuestAddress(buffer.address.raw() + i)) ==
                (position < sizeof header + data.size() ? 1 : 0));
  RC_ASSERT(machine.memory.writes().empty());
}

RC_GTEST_PROP(VsockRx, AnyPacketInAnyCutArrivesWholeAndNothingElseIsWritten, ()) {
  Machine machine;
  const auto data = arbitrary_bytes(*rc::gen::inRange<std::size_t>(0, 400));
  const auto spare = *rc::gen::inRange<std::size_t>(0, 60).as("room to spare");
  const auto buffers =
      cut(static_cast<std::uint32_t>(sizeof(VsockHdr) + data.size() + spare), kQueueSize, true);
  const auto header = arbitrary_header(*rc::gen::arbitrary<std::uint32_t>().as("len, ignored"));

  auto chain = machine.pop(buffers);
  const auto packet = RxPacket<WatchedMemory>::open(chain);
  RC_ASSERT(packet.has_value());
  RC_ASSERT(packet->room() == data.size() + spare);
  const auto used = packet->write(header, data);
  RC_ASSERT(used.has_value());
  RC_ASSERT(*used == sizeof header + data.size());

  auto expected_header = header;
  expected_header.len = static_cast<std::uint32_t>(data.size());
  auto expected = packet_bytes(expected_header, data);
  std::uint64_t written = 0;
  for (const auto& range : machine.memory.writes()) written += range.length;
  RC_ASSERT(written == *used);
  expected.resize(expected.size() + spare);
  RC_ASSERT(gather(machine, buffers) == expected);
  RC_ASSERT(chain.complete(*used).has_value());
}

/// The documented verdict on a tx chain, from numbers alone.
Result<void> tx_verdict(std::uint64_t readable, std::uint64_t writable, std::uint32_t len,
                        std::uint32_t max_data) {
  if (writable > 0) return fail(VsockError::kTxWritable, writable, 0);
  if (readable < 44) return fail(VsockError::kTxHeader, readable, 44);
  if (len > max_data) return fail(VsockError::kTxDataLimit, len, max_data);
  if (len > readable - 44) return fail(VsockError::kTxDataLength, len, readable - 44);
  return {};
}

RC_GTEST_PROP(VsockTx, IsRefusedForTheDocumentedReason, ()) {
  Machine machine;
  const auto readable = *rc::gen::inRange<std::uint32_t>(0, 100).as("readable");
  const auto writable = *rc::gen::weightedOneOf<std::uint32_t>(
                             {{4, rc::gen::just(0U)}, {1, rc::gen::inRange(1U, 100U)}})
                             .as("writable");
  const auto len = *rc::gen::weightedOneOf<std::uint32_t>(
                        {{4, rc::gen::inRange(0U, 70U)}, {1, rc::gen::arbitrary<std::uint32_t>()}})
                        .as("len");
  const auto max_data = *rc::gen::inRange<std::uint32_t>(0, 100).as("max_data");
  auto buffers = cut(readable, 20, false);
  auto sent = packet_bytes(arbitrary_header(len), {});
  sent.resize(readable);
  scatter(machine, buffers, sent);
  for (const auto& buffer : cut(writable, 20, true)) buffers.push_back(buffer);

  const auto chain = machine.pop(buffers);
  const auto packet = TxPacket<WatchedMemory>::parse(chain, max_data);
  const auto verdict = tx_verdict(readable, writable, len, max_data);
  RC_ASSERT(packet.has_value() == verdict.has_value());
  if (!verdict) RC_ASSERT(packet.error() == verdict.error());
  RC_ASSERT(machine.memory.writes().empty());
}

/// The documented verdict on an rx chain and data for it.
Result<void> rx_verdict(std::uint64_t readable, std::uint64_t writable, std::uint64_t length,
                        std::uint32_t max_data) {
  if (readable > 0) return fail(VsockError::kRxReadable, readable, 0);
  if (writable < 44) return fail(VsockError::kRxHeader, writable, 44);
  if (length > max_data) return fail(VsockError::kRxDataLimit, length, max_data);
  if (length > writable - 44) return fail(VsockError::kRxDataLength, length, writable - 44);
  return {};
}

RC_GTEST_PROP(VsockRx, IsRefusedForTheDocumentedReason, ()) {
  Machine machine;
  const auto readable = *rc::gen::weightedOneOf<std::uint32_t>(
                             {{4, rc::gen::just(0U)}, {1, rc::gen::inRange(1U, 100U)}})
                             .as("readable");
  const auto writable = *rc::gen::inRange<std::uint32_t>(0, 100).as("writable");
  const auto data = arbitrary_bytes(*rc::gen::inRange<std::size_t>(0, 70).as("length"));
  const auto max_data = *rc::gen::inRange<std::uint32_t>(0, 100).as("max_data");
  auto buffers = cut(readable, 20, false);
  for (const auto& buffer : cut(writable, 20, true)) buffers.push_back(buffer);

  const auto chain = machine.pop(buffers);
  const auto verdict = rx_verdict(readable, writable, data.size(), max_data);
  const auto packet = RxPacket<WatchedMemory>::open(chain, max_data);
  const auto used = packet ? packet->write(VsockHdr{}, data)
                           : Result<std::uint32_t>(std::unexpected(packet.error()));
  RC_ASSERT(used.has_value() == verdict.has_value());
  if (!verdict) {
    RC_ASSERT(used.error() == verdict.error());
    RC_ASSERT(machine.memory.writes().empty());
  }
}

}  // namespace
}  // namespace guestproof::virtio::vsock
