#include "guestproof/virtio/queue/state.h"

#include <bit>
#include <cstring>

namespace guestproof::virtio {
namespace {

constexpr std::array kStateEntries{
    ErrorEntry{QueueStateError::kBytes, "bytes", "queue state of {value} bytes, not {limit}"},
    ErrorEntry{QueueStateError::kMagic, "magic",
               "queue state field magic is {value:x}, not {limit:x}"},
    ErrorEntry{QueueStateError::kVersion, "version",
               "queue state field version is {value}; this library reads {limit}"},
    ErrorEntry{QueueStateError::kLength, "length",
               "queue state field length is {value}, not {limit}"},
    ErrorEntry{QueueStateError::kReserved, "reserved",
               "queue state field reserved is {value:x}, not 0"},
    ErrorEntry{QueueStateError::kFlags, "flags",
               "queue state field flags is {value:x}; the known flags are {limit:x}"},
    ErrorEntry{QueueStateError::kMaxSize, "max_size",
               "queue state field max_size is {value}, not the queue's {limit} or not a power of "
               "two up to it"},
    ErrorEntry{QueueStateError::kSize, "size",
               "queue state field size is {value}, not from 1 to {limit}, or of a split queue and "
               "not a power of two"},
    ErrorEntry{QueueStateError::kDescriptorTable, "descriptor_table",
               "queue state field descriptor_table is {value:x}: misaligned (to {limit}) or not in "
               "guest memory"},
    ErrorEntry{QueueStateError::kAvailableRing, "available_ring",
               "queue state field available_ring is {value:x}: misaligned (to {limit}) or not in "
               "guest memory"},
    ErrorEntry{QueueStateError::kUsedRing, "used_ring",
               "queue state field used_ring is {value:x}: misaligned (to {limit}) or not in "
               "writable guest memory"},
    ErrorEntry{QueueStateError::kOverlap, "overlap",
               "queue state areas overlap: the one at {value:x} and the one at {limit:x}"},
    ErrorEntry{
        QueueStateError::kNextAvail, "next_avail",
        "queue state field next_avail is {value}: not 0 in a queue that is not ready, or not "
        "in the {limit} descriptors of a packed ring"},
    ErrorEntry{QueueStateError::kNextUsed, "next_used",
               "queue state field next_used is {value} while next_avail is {limit}; no chain is in "
               "flight in a saved queue"},
    ErrorEntry{QueueStateError::kSignalledUsed, "signalled_used",
               "queue state field signalled_used is {value}: marked as unknown, in a queue that is "
               "not ready, or not in the {limit} descriptors of a packed ring"},
    ErrorEntry{QueueStateError::kFeatures, "features",
               "queue state flags say ring features {value:x}, the device negotiated {limit:x}"},
};
static_assert(error_entries_are_dense(kStateEntries));
constexpr ErrorDomain kStateDomain{"queue_state", kStateEntries};

constexpr std::uint32_t kMagic = 0x51535047;  // "GPSQ"
constexpr std::uint16_t kVersion = 1;

constexpr std::uint16_t kFlagReady = 1;
constexpr std::uint16_t kFlagEventIndex = 2;
constexpr std::uint16_t kFlagIndirect = 4;
constexpr std::uint16_t kFlagBroken = 8;
constexpr std::uint16_t kFlagSignalled = 16;
constexpr std::uint16_t kFlagPacked = 32;
constexpr std::uint16_t kFlagInOrder = 64;
constexpr std::uint16_t kFlagsKnown = 127;

struct Wire {
  le32 magic;             // 0
  le16 version;           // 4
  le16 length;            // 6
  le16 max_size;          // 8
  le16 size;              // 10
  le16 flags;             // 12
  le16 next_avail;        // 14
  le16 next_used;         // 16
  le16 signalled_used;    // 18
  le32 reserved;          // 20
  le64 descriptor_table;  // 24
  le64 available_ring;    // 32
  le64 used_ring;         // 40
};
static_assert(sizeof(Wire) == kQueueStateBytes);
static_assert(offsetof(Wire, flags) == 12 && offsetof(Wire, reserved) == 20 &&
              offsetof(Wire, used_ring) == 40);

std::uint16_t flags_of(const QueueState& state) {
  std::uint16_t flags = 0;
  if (state.ready) flags |= kFlagReady;
  if (state.features.event_index) flags |= kFlagEventIndex;
  if (state.features.indirect) flags |= kFlagIndirect;
  if (state.broken) flags |= kFlagBroken;
  if (state.signalled_used) flags |= kFlagSignalled;
  if (state.features.packed) flags |= kFlagPacked;
  if (state.features.in_order) flags |= kFlagInOrder;
  return flags;
}

Result<void> check_envelope(const Wire& wire) {
  if (wire.magic != kMagic) return fail(QueueStateError::kMagic, wire.magic, kMagic);
  if (wire.version != kVersion) return fail(QueueStateError::kVersion, wire.version, kVersion);
  if (wire.length != kQueueStateBytes)
    return fail(QueueStateError::kLength, wire.length, kQueueStateBytes);
  if (wire.reserved != 0) return fail(QueueStateError::kReserved, wire.reserved);
  if ((wire.flags & ~kFlagsKnown) != 0)
    return fail(QueueStateError::kFlags, wire.flags, kFlagsKnown);
  if ((wire.flags & kFlagSignalled) == 0 && wire.signalled_used != 0)
    return fail(QueueStateError::kSignalledUsed, wire.signalled_used);
  return {};
}

}  // namespace

const ErrorDomain& error_domain(QueueStateError) { return kStateDomain; }

QueueState QueueState::of(const QueueConfig& config) {
  QueueState state;
  state.max_size = config.max_size();
  state.size = config.size();
  state.ready = config.ready();
  state.features.packed = config.layout() == RingLayout::kPacked;
  state.descriptor_table = config.descriptor_table();
  state.available_ring = config.available_ring();
  state.used_ring = config.used_ring();
  return state;
}

std::array<std::byte, kQueueStateBytes> QueueState::encode() const {
  Wire wire;
  wire.magic = kMagic;
  wire.version = kVersion;
  wire.length = static_cast<std::uint16_t>(kQueueStateBytes);
  wire.max_size = max_size;
  wire.size = size;
  wire.flags = flags_of(*this);
  wire.next_avail = next_avail;
  wire.next_used = next_used;
  wire.signalled_used = signalled_used.value_or(0);
  wire.descriptor_table = descriptor_table.raw();
  wire.available_ring = available_ring.raw();
  wire.used_ring = used_ring.raw();
  return std::bit_cast<std::array<std::byte, kQueueStateBytes>>(wire);
}

Result<QueueState> QueueState::decode(std::span<const std::byte> bytes) {
  if (bytes.size() != kQueueStateBytes)
    return fail(QueueStateError::kBytes, bytes.size(), kQueueStateBytes);
  Wire wire;
  std::memcpy(static_cast<void*>(&wire), bytes.data(), sizeof wire);
  if (const auto ok = check_envelope(wire); !ok) return std::unexpected(ok.error());

  QueueState state;
  state.max_size = wire.max_size;
  state.size = wire.size;
  state.ready = (wire.flags & kFlagReady) != 0;
  state.broken = (wire.flags & kFlagBroken) != 0;
  state.features.event_index = (wire.flags & kFlagEventIndex) != 0;
  state.features.indirect = (wire.flags & kFlagIndirect) != 0;
  state.features.packed = (wire.flags & kFlagPacked) != 0;
  state.features.in_order = (wire.flags & kFlagInOrder) != 0;
  state.descriptor_table = GuestAddress(wire.descriptor_table);
  state.available_ring = GuestAddress(wire.available_ring);
  state.used_ring = GuestAddress(wire.used_ring);
  state.next_avail = wire.next_avail;
  state.next_used = wire.next_used;
  if ((wire.flags & kFlagSignalled) != 0) state.signalled_used = wire.signalled_used;
  if (const auto ok = state.check(); !ok) return std::unexpected(ok.error());
  return state;
}

Result<QueueConfig> QueueState::config() const {
  auto config = QueueConfig::create(max_size);
  if (!config) return fail(QueueStateError::kMaxSize, max_size, kMaxQueueSize);
  GUESTPROOF_INVARIANT(config->set_layout(features.layout()));
  if (!config->set_size(size)) return fail(QueueStateError::kSize, size, max_size);
  if (!config->set_descriptor_table(descriptor_table))
    return fail(QueueStateError::kDescriptorTable, descriptor_table.raw(), kDescriptorTableAlign);
  if (!config->set_available_ring(available_ring))
    return fail(QueueStateError::kAvailableRing, available_ring.raw(),
                available_ring_align(features.layout()));
  if (!config->set_used_ring(used_ring))
    return fail(QueueStateError::kUsedRing, used_ring.raw(), kUsedRingAlign);
  if (ready) {
    const auto ok = config->set_ready();
    if (!ok) return fail(QueueStateError::kOverlap, ok.error().value(), ok.error().limit());
  } else {
    if (broken) return fail(QueueStateError::kFlags, flags_of(*this), kFlagsKnown & ~kFlagBroken);
    if (next_avail != 0) return fail(QueueStateError::kNextAvail, next_avail);
    if (signalled_used) return fail(QueueStateError::kSignalledUsed, *signalled_used);
  }
  if (features.packed && ready) {
    // Bit 15 is the wrap counter.
    if ((next_avail & 0x7fff) >= size) return fail(QueueStateError::kNextAvail, next_avail, size);
    if (signalled_used && (*signalled_used & 0x7fff) >= size)
      return fail(QueueStateError::kSignalledUsed, *signalled_used, size);
  }
  if (next_used != next_avail) return fail(QueueStateError::kNextUsed, next_used, next_avail);
  return config;
}

Result<void> QueueState::check() const {
  if (const auto ok = config(); !ok) return std::unexpected(ok.error());
  return {};
}

}  // namespace guestproof::virtio
