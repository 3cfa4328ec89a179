// Saved queue state: what is encoded decodes to the same, and what anybody else wrote is refused or
// means exactly its bytes.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <vector>

#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/queue/state.h"
#include "guestproof/virtio/queue/virt_queue.h"

namespace guestproof::virtio {
namespace {

using testing::WatchedMemory;
using Bytes = std::array<std::byte, kQueueStateBytes>;

/// A free-running index, or in a packed ring a place and a wrap counter.
std::uint16_t any_index(const QueueState& state) {
  if (!state.features.packed)
    return static_cast<std::uint16_t>(*rc::gen::inRange<std::uint32_t>(0, 65536));
  return static_cast<std::uint16_t>(*rc::gen::inRange<std::uint16_t>(0, state.size) +
                                    (*rc::gen::arbitrary<bool>() ? 0x8000 : 0));
}

/// A valid state: areas one after the other somewhere, ready and with a history or neither.
QueueState valid_state() {
  QueueState state;
  const int largest = *rc::gen::inRange(0, 9);
  state.max_size = static_cast<std::uint16_t>(1 << largest);
  state.size = static_cast<std::uint16_t>(1 << *rc::gen::inRange(0, largest + 1));
  state.features = {.event_index = *rc::gen::arbitrary<bool>(),
                    .indirect = *rc::gen::arbitrary<bool>(),
                    .packed = *rc::gen::arbitrary<bool>(),
                    .in_order = *rc::gen::arbitrary<bool>()};
  if (state.features.packed)
    state.size =
        *rc::gen::inRange<std::uint16_t>(1, static_cast<std::uint16_t>(state.max_size + 1));
  const auto base = *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(0, 0x20),
                                    rc::gen::arbitrary<std::uint64_t>());
  state.descriptor_table = GuestAddress(base * 16);
  state.available_ring = GuestAddress(base * 16 + 0x1000);
  state.used_ring = GuestAddress(base * 16 + 0x2000);
  state.ready = *rc::gen::arbitrary<bool>();
  if (state.ready) {
    state.broken = *rc::gen::arbitrary<bool>();
    state.next_avail = state.next_used = any_index(state);
    if (*rc::gen::arbitrary<bool>()) state.signalled_used = any_index(state);
  }
  return state;
}

RC_GTEST_PROP(QueueState, DecodesToWhatWasEncoded, ()) {
  const auto state = valid_state();
  const auto decoded = QueueState::decode(state.encode());
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(*decoded == state);
}

/// Changes up to three bytes, most of them behind the envelope and to values that mean something.
Bytes mutated(Bytes bytes) {
  const int changes = *rc::gen::inRange(1, 4);
  for (int i = 0; i < changes; ++i) {
    const auto first = *rc::gen::weightedElement<std::size_t>({{1, 0}, {6, 8}});
    bytes[*rc::gen::inRange(first, bytes.size())] = std::byte{*rc::gen::oneOf(
        rc::gen::elementOf(std::vector<std::uint8_t>{0, 1, 2, 4, 8, 16, 0x80, 0xff}),
        rc::gen::arbitrary<std::uint8_t>())};
  }
  return bytes;
}

RC_GTEST_PROP(QueueState, MutatedIsRefusedOrMeansItsBytes, ()) {
  const auto bytes = mutated(valid_state().encode());
  const auto decoded = QueueState::decode(bytes);
  RC_TAG(decoded ? std::string("accepted") : decoded.error().name());
  if (decoded) RC_ASSERT(decoded->encode() == bytes);
}

RC_GTEST_PROP(QueueState, OfAnyLengthButItsOwnIsRefused, (const std::vector<std::uint8_t>& bytes)) {
  RC_PRE(bytes.size() != kQueueStateBytes);
  RC_ASSERT(QueueState::decode(std::as_bytes(std::span(bytes))).error() == QueueStateError::kBytes);
}

RC_GTEST_PROP(QueueState, RestoresToAQueueThatSavesTheSameOrToNone, ()) {
  constexpr std::array kRegions{WatchedMemory::RegionSpec{GuestAddress(0), 0x4000}};
  const WatchedMemory memory(kRegions);
  const auto decoded = QueueState::decode(mutated(valid_state().encode()));
  RC_PRE(decoded.has_value());
  VirtQueue<WatchedMemory> queue;

  const auto restored = queue.restore(memory, *decoded, decoded->max_size, decoded->features);

  RC_TAG(restored ? std::string("restored") : restored.error().name());
  RC_ASSERT(queue.active() == restored.has_value());
  if (restored) RC_ASSERT(queue.save().value() == *decoded);
  RC_ASSERT(memory.writes().empty());
}

}  // namespace
}  // namespace guestproof::virtio
