#include "guestproof/testing/harness/harness.h"

#include <algorithm>
#include <array>
#include <utility>

#include "guestproof/testing/harness/oracles.h"

namespace guestproof::testing {
namespace {

using virtio::QueueConfig;
using virtio::QueueFeatures;
using virtio::QueueState;

QueueFeatures features_of(const ModelQueueSetup& setup) {
  return {.event_index = setup.event_index,
          .indirect = setup.indirect,
          .packed = setup.packed,
          .in_order = setup.in_order};
}

void set_features(Lane& lane, std::uint16_t flags) {
  lane.flags = flags;
  auto& setup = lane.pending;
  setup.event_index = (flags & kQueueEventIndex) != 0;
  setup.indirect = (flags & kQueueIndirect) != 0;
  setup.packed = (flags & kQueuePacked) != 0;
  setup.in_order = (flags & kQueueInOrder) != 0;
}

/// What a transport does with the driver's register writes, in the order of the registers.
Result<QueueConfig> configure(const ModelQueueSetup& setup, std::uint16_t max_size) {
  auto config = QueueConfig::create(max_size);
  GUESTPROOF_INVARIANT(config);
  GUESTPROOF_INVARIANT(config->set_layout(features_of(setup).layout()));
  if (const auto ok = config->set_size(setup.size); !ok) return std::unexpected(ok.error());
  if (const auto ok = config->set_descriptor_table(GuestAddress(setup.desc)); !ok)
    return std::unexpected(ok.error());
  if (const auto ok = config->set_available_ring(GuestAddress(setup.avail)); !ok)
    return std::unexpected(ok.error());
  if (const auto ok = config->set_used_ring(GuestAddress(setup.used)); !ok)
    return std::unexpected(ok.error());
  if (const auto ok = config->set_ready(); !ok) return std::unexpected(ok.error());
  return config;
}

/// Cuts a buffer into `pieces` parts of at least one byte.
void cut_into(std::vector<MemoryRange>& out, GuestAddress address, std::uint32_t length,
              std::uint32_t pieces) {
  pieces = std::min(pieces, length);
  for (std::uint32_t i = 0; i < pieces; ++i) {
    const auto from = static_cast<std::uint64_t>(length) * i / pieces;
    const auto to = static_cast<std::uint64_t>(length) * (i + 1) / pieces;
    out.push_back({GuestAddress(address.raw() + from), to - from});
  }
}

// A program that makes the device work for longer than a few milliseconds is cut short: it finds
// nothing that a shorter one does not, and keeps the engine from trying it.
constexpr std::uint64_t kWorkLimit = 50'000;

// Where queues lie until the guest moves them. Areas lie apart, so that one that is taken for twice
// as large as it may be does not run into the next one.
// The spaces that requests use lie elsewhere.
constexpr std::array<std::uint64_t, 6> kLanes{0x1000, 0x2000, 0x10000, 0x11000, 0x12000, 0x13000};
constexpr std::uint64_t kAvailableRingPlace = 0x800;
constexpr std::uint64_t kUsedRingPlace = 0xa00;

}  // namespace

Harness::Harness(std::size_t queues, std::uint16_t features) : features_(features) {
  for (std::size_t i = 0; i < queues; ++i) lanes_.push_back(std::make_unique<Lane>());
  kicks_ = depth_.add("guest:kick");
  activations_ = depth_.add("guest:activate");
  refusals_ = depth_.add("guest:activate_refused");
  saves_ = depth_.add("guest:save");
  restores_ = depth_.add("guest:restore");
  refused_restores_ = depth_.add("guest:restore_refused");
  notifications_ = depth_.add("device:notify");
  indirects_ = depth_.add("guest:indirect_request");
}

void Harness::start_over() {
  for (auto& l : lanes_) {
    begin_activation(*l);
    l->queue->reset();
    l->model.reset();
  }
  reset_device();
  for (auto& l : lanes_) {
    setup_queue(*l, kDefaultSize, features_);
    GUESTPROOF_INVARIANT(l->queue->active());
  }
}

void Harness::start_program() {
  world_.reset();
  header_cursor_ = data_cursor_ = indirect_cursor_ = 0;
  asked_ = false;
  start_over();
  save_first();
}

void Harness::save_first() {
  const auto state = lanes_.front()->queue->save();
  GUESTPROOF_INVARIANT(state);
  keep(*state);
}

bool Harness::may_go_on() const { return world_.device().work() <= kWorkLimit; }

void Harness::finish_program() {
  if (!asked_) request(lane(0), Record{});
  for (auto& l : lanes_)
    if (l->fresh) kick(*l, 0);
}

void Harness::execute(const Record& record) {
  Lane& target = lane(record.queue);
  const auto address =
      address_of(target, record).value_or(GuestAddress(fixed_space(Space::kData).base));
  switch (record.op()) {
    case Opcode::kRequest:
      request(target, record);
      if ((record.flags & kRequestKick) != 0) kick(target, 0);
      break;
    case Opcode::kKick:
      kick(target, record.index % 8);
      break;
    case Opcode::kDesc:
    case Opcode::kLink:
    case Opcode::kEntry:
    case Opcode::kEvent:
      if (target.model.setup().size != 0) guest_writes(target, record);
      break;
    case Opcode::kIndirect:
      write_descriptor(
          GuestAddress(fixed_space(Space::kIndirect).base + 16ULL * (record.index % 256)), record,
          target);
      break;
    case Opcode::kPublish:
      publish(target, record.index);
      break;
    case Opcode::kAvail:
      move_available(target, record.next);
      break;
    case Opcode::kWrite:
      world_.write_number(address, record.value, 1 + (record.width + 7) % 8);
      break;
    case Opcode::kFill:
      world_.fill(address, record.length % 0x4000, std::byte(record.value & 0xff));
      break;
    case Opcode::kRace:
      world_.race({address, static_cast<std::uint8_t>(record.width == 0 ? 2 : record.width),
                   std::byte(record.value & 0xff)});
      break;
    case Opcode::kFlags: {
      const auto& setup = target.model.setup();
      world_.write_number(GuestAddress(setup.avail + (setup.packed ? 2 : 0)), record.flags, 2);
      break;
    }
    case Opcode::kQueue:
      setup_queue(
          target,
          static_cast<std::uint16_t>((record.flags & kQueuePacked) != 0 ? 1 + record.index % 64
                                                                        : 1 << record.index % 7),
          record.flags);
      break;
    case Opcode::kArea: {
      auto& pending = target.pending;
      (record.kind == 0   ? pending.desc
       : record.kind == 1 ? pending.avail
                          : pending.used) = address.raw();
      break;
    }
    case Opcode::kActivate:
      if (record.index != 0) target.pending.size = record.index;
      if ((record.flags & kQueueNoEntries) != 0) target.pending.size = 0;
      set_features(target, record.flags);
      activate(target);
      break;
    case Opcode::kReset:
      start_over();
      break;
    case Opcode::kSave:
      save(target);
      break;
    case Opcode::kPatch:
      patch(record);
      break;
    case Opcode::kRestore:
      restore(target);
      break;
    case Opcode::kTake:
      take(target, record);
      break;
    case Opcode::kComplete:
      complete(record);
      break;
    case Opcode::kBackend:
      backend(record);
      break;
    case Opcode::kAccess:
      access(record);
      break;
    case Opcode::kRemap:
      remap(target);
      break;
  }
}

std::optional<GuestAddress> Harness::address_of(const Lane& lane, const Record& record) const {
  const auto& setup = lane.model.setup();
  const std::uint64_t size = std::max<std::uint64_t>(setup.size, 1);
  SpaceRange range;
  switch (record.space()) {
    case Space::kAuto:
      return std::nullopt;
    case Space::kRaw:
      return GuestAddress(record.value);
    case Space::kDescriptorTable:
      range = {setup.desc, 16 * size};
      break;
    case Space::kAvailableRing:
      range = {setup.avail, setup.packed ? 4 : 6 + 2 * size};
      break;
    case Space::kUsedRing:
      range = {setup.used, setup.packed ? 4 : 6 + 8 * size};
      break;
    default:
      range = fixed_space(record.space());
  }
  return place(range, record.edge(), record.address.offset);
}

void Harness::guest_writes(Lane& lane, const Record& record) {
  const auto& setup = lane.model.setup();
  const auto index = record.index % setup.size;
  switch (record.op()) {
    case Opcode::kDesc:
      return write_descriptor(GuestAddress(setup.desc + 16ULL * index), record, lane);
    case Opcode::kLink:
      return link_descriptor(lane, record);
    case Opcode::kEntry:
      return world_.write_number(GuestAddress(setup.packed ? setup.desc + 16ULL * index + 12
                                                           : setup.avail + 4 + 2 * index),
                                 record.next, 2);
    default:
      return ask_for_event(lane, record.next);
  }
}

void Harness::write_descriptor(GuestAddress where, const Record& record, const Lane& lane) {
  const auto address =
      address_of(lane, record).value_or(GuestAddress(fixed_space(Space::kData).base));
  virtio::VirtqDesc desc{address.raw(), record.length, record.flags, record.next};
  // In a packed ring the Buffer ID comes before the flags.
  if (lane.model.setup().packed) std::swap(desc.flags, desc.next);
  world_.write(where, std::as_bytes(std::span(&desc, 1)));
}

void Harness::link_descriptor(const Lane& lane, const Record& record) {
  const auto& setup = lane.model.setup();
  const auto where = setup.desc + 16ULL * (record.index % setup.size);
  world_.write_number(GuestAddress(where + (setup.packed ? 14 : 12)), record.flags, 2);
  world_.write_number(GuestAddress(where + (setup.packed ? 12 : 14)), record.next, 2);
}

void Harness::publish(Lane& lane, std::uint16_t head) {
  const auto& setup = lane.model.setup();
  asked_ = lane.fresh = true;
  if (setup.size == 0) return;
  if (setup.packed) return publish_packed(lane, head);
  world_.write_number(GuestAddress(setup.avail + 4 + 2ULL * (lane.available % setup.size)), head,
                      2);
  world_.write_number(GuestAddress(setup.avail + 2), ++lane.available, 2);
}

void Harness::move_available(Lane& lane, std::uint16_t distance) {
  const auto& setup = lane.model.setup();
  asked_ = lane.fresh = true;
  if (!setup.packed) {
    lane.available += distance;
    return world_.write_number(GuestAddress(setup.avail + 2), lane.available, 2);
  }
  for (auto left = distance % (2U * setup.size + 1); left != 0; --left, ++lane.available) {
    const auto flags = GuestAddress(packed_descriptor(lane, lane.available).raw() + 14);
    world_.write_number(flags, packed_flags(lane, lane.available, world_.read_number(flags, 2)), 2);
  }
}

void Harness::ask_for_event(const Lane& lane, std::uint16_t distance) {
  const auto& setup = lane.model.setup();
  if (!setup.packed)
    return world_.write_number(GuestAddress(setup.avail + 4 + 2ULL * setup.size),
                               world_.read_number(GuestAddress(setup.used + 2), 2) + distance, 2);
  const auto position = lane.model.next_used() + distance;
  const bool wrap_counter = position / setup.size % 2 == 0;
  world_.write_number(GuestAddress(setup.avail),
                      position % setup.size + (wrap_counter ? 0x8000 : 0), 2);
  world_.write_number(GuestAddress(setup.avail + 2), virtio::RING_EVENT_FLAGS_DESC, 2);
}

GuestAddress Harness::packed_descriptor(const Lane& lane, std::uint64_t position) const {
  const auto& setup = lane.model.setup();
  return GuestAddress(setup.desc + 16 * (position % setup.size));
}

std::uint16_t Harness::packed_flags(const Lane& lane, std::uint64_t position,
                                    std::uint64_t flags) const {
  const bool wrap_counter = position / lane.model.setup().size % 2 == 0;
  const auto kept = flags & ~std::uint64_t{virtio::VIRTQ_DESC_F_AVAIL | virtio::VIRTQ_DESC_F_USED};
  return static_cast<std::uint16_t>(
      kept | (wrap_counter ? virtio::VIRTQ_DESC_F_AVAIL : virtio::VIRTQ_DESC_F_USED));
}

void Harness::publish_packed(Lane& lane, std::uint16_t id) {
  // The chain that lies where the next one will be looked for, as far as its descriptors say that
  // it goes on.
  const auto first = lane.available;
  for (bool more = true; more && lane.available - first < lane.model.setup().size;
       ++lane.available) {
    const auto where = packed_descriptor(lane, lane.available).raw();
    const auto flags = world_.read_number(GuestAddress(where + 14), 2);
    more = (flags & virtio::VIRTQ_DESC_F_NEXT) != 0;
    if (!more) world_.write_number(GuestAddress(where + 12), id, 2);
    world_.write_number(GuestAddress(where + 14), packed_flags(lane, lane.available, flags), 2);
  }
}

void Harness::publish_packed_request(Lane& lane, std::span<const virtio::VirtqDesc> descriptors) {
  asked_ = lane.fresh = true;
  const auto id = lane.next_free;
  lane.next_free = static_cast<std::uint16_t>((id + 1) % lane.model.setup().size);
  for (const auto& from : descriptors) {
    const virtio::PackedDesc desc{from.addr, from.len, id,
                                  packed_flags(lane, lane.available, from.flags)};
    world_.write(packed_descriptor(lane, lane.available++), std::as_bytes(std::span(&desc, 1)));
  }
}

std::uint64_t Harness::packed_available(const Lane& lane) const {
  auto position = lane.model.next_avail();
  for (std::uint16_t i = 0; i < lane.model.setup().size; ++i, ++position) {
    const auto flags =
        world_.read_number(GuestAddress(packed_descriptor(lane, position).raw() + 14), 2);
    if (packed_flags(lane, position, flags) != flags) break;
  }
  return position;
}

void Harness::publish_request(Lane& lane, const RequestShape& shape) {
  const auto header_length = static_cast<std::uint32_t>(shape.header.size());
  const auto data_space = fixed_space(Space::kData);
  const auto header_space = fixed_space(Space::kHeader);
  const auto data_length = shape.readable_data + shape.writable_data;
  const bool join_header = (shape.flags & kRequestJoinHeader) != 0;
  const bool join_tail = (shape.flags & kRequestJoinStatus) != 0;

  // Data that does not fit behind the cursor starts over at the front; a guest reuses its buffers.
  const auto needed = header_length + data_length + shape.writable_tail;
  if (data_cursor_ + needed > data_space.size) data_cursor_ = 0;
  auto data = shape.data.value_or(GuestAddress(data_space.base + data_cursor_));
  if (!shape.data) data_cursor_ += (needed + 63) / 64 * 64;
  if (header_cursor_ + 64 > header_space.size) header_cursor_ = 0;
  auto header = GuestAddress(header_space.base + header_cursor_);
  header_cursor_ += 64;
  if (join_header) {
    header = data;
    data = GuestAddress(data.raw() + header_length);
  }
  world_.write(header, shape.header);
  world_.write(data, shape.payload);

  const std::uint32_t header_pieces = 1 + (shape.cut & 3), data_pieces = 1 + (shape.cut >> 2 & 7),
                      tail_pieces = 1 + (shape.cut >> 5 & 1);
  auto& buffers = buffers_;
  buffers.clear();
  if (join_header) {
    cut_into(buffers, header, header_length + shape.readable_data,
             std::max(header_pieces, data_pieces));
  } else {
    cut_into(buffers, header, header_length, header_pieces);
    cut_into(buffers, data, shape.readable_data, data_pieces);
  }
  const auto readable = buffers.size();
  const auto writable_at = GuestAddress(data.raw() + shape.readable_data);
  if (join_tail) {
    cut_into(buffers, writable_at, shape.writable_data + shape.writable_tail, data_pieces);
  } else {
    cut_into(buffers, writable_at, shape.writable_data, data_pieces);
    cut_into(buffers,
             GuestAddress(header_space.base + header_space.size - 64 + lane.next_free % 32),
             shape.writable_tail, tail_pieces);
  }

  const auto& setup = lane.model.setup();
  if (setup.size == 0) return publish(lane, 0);
  const bool indirect = setup.indirect && (shape.flags & kRequestIndirect) != 0;
  const auto indirect_space = fixed_space(Space::kIndirect);
  const auto table_bytes = static_cast<std::uint32_t>(16 * buffers.size());
  if (indirect_cursor_ + table_bytes > indirect_space.size) indirect_cursor_ = 0;
  const auto table = indirect ? indirect_space.base + indirect_cursor_ : setup.desc;

  descriptors_.clear();
  const auto head = lane.next_free;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    const auto next = indirect ? i + 1 : (head + i + 1) % setup.size;
    const auto flags = (i >= readable ? virtio::VIRTQ_DESC_F_WRITE : 0) |
                       (i + 1 < buffers.size() ? virtio::VIRTQ_DESC_F_NEXT : 0);
    descriptors_.push_back({buffers[i].address.raw(), static_cast<std::uint32_t>(buffers[i].length),
                            static_cast<std::uint16_t>(flags), static_cast<std::uint16_t>(next)});
  }
  if (indirect) {
    depth_.count(indirects_);
    indirect_cursor_ += table_bytes;
    // In a packed ring's table the flags are where the Buffer ID would be otherwise.
    if (setup.packed)
      for (auto& desc : descriptors_) std::swap(desc.flags, desc.next);
    world_.write(GuestAddress(table), std::as_bytes(std::span(descriptors_)));
    descriptors_.assign(1, {table, table_bytes, virtio::VIRTQ_DESC_F_INDIRECT, 0});
  }
  if (setup.packed) return publish_packed_request(lane, descriptors_);
  for (std::size_t i = 0; i < descriptors_.size(); ++i)
    world_.write(GuestAddress(setup.desc + 16 * ((head + i) % setup.size)),
                 std::as_bytes(std::span(descriptors_).subspan(i, 1)));
  lane.next_free = static_cast<std::uint16_t>((head + descriptors_.size()) % setup.size);
  publish(lane, head);
}

void Harness::lay_out(Lane& lane, std::uint16_t size, std::uint16_t flags) {
  std::uint64_t position = 0;
  while (lanes_[position].get() != &lane) ++position;
  auto& pending = lane.pending;
  pending.size = size;
  pending.desc = kLanes.at(position);
  pending.avail = pending.desc + kAvailableRingPlace;
  pending.used = pending.desc + kUsedRingPlace;
  set_features(lane, flags);
  world_.fill(GuestAddress(pending.desc), 16ULL * size, std::byte{0});
  world_.fill(GuestAddress(pending.avail), pending.avail_bytes(), std::byte{0});
  world_.fill(GuestAddress(pending.used), pending.used_bytes(), std::byte{0});
}

void Harness::setup_queue(Lane& lane, std::uint16_t size, std::uint16_t flags) {
  lay_out(lane, size, flags);
  activate(lane);
}

void Harness::begin_activation(Lane& lane) {
  ++lane.activations;
  lane.available = 0;
  lane.next_free = 0;
  lane.fresh = false;
}

Result<void> Harness::activate_device(Lane& lane) {
  const auto config = configure(lane.pending, kMaxSize);
  if (!config) {
    lane.queue->reset();
    return std::unexpected(config.error());
  }
  return lane.queue->activate(world_.device(), *config, features_of(lane.pending));
}

void Harness::activate(Lane& lane) {
  begin_activation(lane);
  ModelError refusal;
  auto activated = Result<void>();
  step([&] { activated = activate_device(lane); },
       [&] {
         lane.model.reset();
         refusal = QueueModel::refusal(world_.model(), lane.pending, kMaxSize);
         if (refusal.none()) lane.model.activate(world_.model(), lane.pending);
       });
  compare_errors(kModelAgreement, "activation", error_of(activated), refusal);
  depth_.count(activated ? activations_ : refusals_);
  if (!activated) count(activated.error());
}

void Harness::kick(Lane& lane, std::uint32_t budget) {
  depth_.count(kicks_);
  lane.fresh = false;
  const auto looks = budget != 0 ? budget : virtio::whole_queue(*lane.queue);
  Turn device, model;
  do {
    step([&] { device = serve(lane, looks); }, [&] { model = serve_model(lane, looks); });
    if (device.notify != model.notify)
      violated(kModelAgreement, device.notify
                                    ? "the device notifies the driver, the model does not"
                                    : "the model notifies the driver, the device does not");
    if (device.more != model.more)
      violated(kLiveness, device.more ? "the device wants another turn, the model does not"
                                      : "the model wants another turn, the device does not");
    if (device.notify) depth_.count(notifications_);
  } while (device.more);
  const auto expected = held(lane) + lane.model.kept_back();
  if (!lane.queue->broken() && lane.queue->in_flight() != expected)
    violated(kLiveness, std::to_string(lane.queue->in_flight()) +
                            " chains are in flight after the kick, " + std::to_string(expected) +
                            " are held on purpose or wait for those");
}

void Harness::save(Lane& lane) {
  auto saved = Result<QueueState>();
  step([&] { saved = lane.queue->save(); }, [] {});
  ModelError expected;
  if (!lane.model.active())
    expected = {"queue.not_active"};
  else if (lane.model.in_flight() != 0)
    expected = {"queue.chains_in_flight", lane.model.in_flight()};
  compare_errors(kRoundTrip, "saving", error_of(saved), expected);
  if (!saved) return count(saved.error());
  depth_.count(saves_);
  keep(*saved);
  const auto decoded = QueueState::decode(saved_);
  if (!decoded)
    violated(kRoundTrip, "the saved state does not decode: " + decoded.error().message());
  if (*decoded != *saved) violated(kRoundTrip, "the saved state decodes to another one");
  if (const auto model = lane.model.save(kMaxSize); !std::ranges::equal(saved_, model))
    violated(kRoundTrip,
             "the saved state differs from the model's in byte " +
                 std::to_string(std::ranges::mismatch(saved_, model).in1 - saved_.begin()));
  restore(lane);
  if (!lane.queue->active()) violated(kRoundTrip, "what was just saved cannot be restored");
}

void Harness::keep(const QueueState& state) {
  const auto bytes = state.encode();
  saved_.assign(bytes.begin(), bytes.end());
}

void Harness::patch(const Record& record) {
  if ((record.index & 0x8000) != 0) return saved_.resize(record.index % 64);
  if (saved_.empty()) return;
  const le64 value(record.value);
  const auto bytes = std::as_bytes(std::span(&value, 1)).first(1 + (record.width + 7) % 8);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    saved_[(record.index + i) % saved_.size()] = bytes[i];
}

Result<void> Harness::restore_device(Lane& lane, std::span<const std::byte> saved,
                                     QueueFeatures features) {
  const auto state = QueueState::decode(saved);
  if (!state) {
    lane.queue->reset();
    return std::unexpected(state.error());
  }
  return lane.queue->restore(world_.device(), *state, kMaxSize, features);
}

void Harness::restore(Lane& lane) {
  const auto negotiated = lane.model.active() ? lane.model.setup() : lane.pending;
  // A copy of exactly its size: AddressSanitizer sees what is read past it.
  const auto exact = saved_;
  begin_activation(lane);
  ModelError refusal;
  auto restored = Result<void>();
  step(
      [&] {
        restored = restore_device(lane, exact, features_of(negotiated));
        // Before the oracles ask what it led to.
        compare_errors(kRoundTrip, "restoring", error_of(restored), refusal);
      },
      [&] { refusal = lane.model.restore(world_.model(), saved_, kMaxSize, negotiated); });
  depth_.count(restored ? restores_ : refused_restores_);
  if (!restored) count(restored.error());
  resume_lane(lane);
}

void Harness::resume_lane(Lane& lane) {
  lane.available = lane.model.setup().packed
                       ? packed_available(lane)
                       : world_.read_number(GuestAddress(lane.model.setup().avail + 2), 2);
  lane.fresh = true;
}

void Harness::remap(Lane& lane) {
  auto remapped = Result<void>();
  step([&] { remapped = lane.queue->remap(world_.device()); }, [] {});
  // The map is the same: an active queue goes on as if nothing had happened.
  compare_errors(kModelAgreement, "remapping", error_of(remapped),
                 lane.model.active() ? ModelError{} : ModelError{"queue_config.not_ready"});
}

std::optional<ModelChain> Harness::model_take(Lane& lane) {
  auto chain = lane.model.take();
  if (chain) permit(*chain);
  return chain;
}

void Harness::permit(const ModelChain& chain) {
  for (const auto& piece : chain.writable)
    permitted_.push_back({GuestAddress(piece.address), piece.length});
}

void Harness::permit_rings(const Lane& lane) {
  const auto& setup = lane.model.setup();
  if (setup.size != 0) permitted_.push_back({GuestAddress(setup.used), setup.used_bytes()});
  if (setup.packed) permitted_.push_back({GuestAddress(setup.desc), 16ULL * setup.size});
}

void Harness::compare_chain(const WatchedChain& chain, const ModelChain& model) {
  compare_errors(kModelAgreement, "a chain", chain.fault(), model.fault);
  if (chain.head() != model.head)
    violated(kModelAgreement, "the device took a chain with head " + std::to_string(chain.head()) +
                                  ", the model one with head " + std::to_string(model.head));
  const auto compare = [](const char* kind, std::span<const virtio::Buffer> buffers,
                          std::uint64_t bytes, const std::vector<ModelPiece>& pieces,
                          std::uint64_t model_bytes) {
    const auto same = [](const virtio::Buffer& buffer, const ModelPiece& piece) {
      return buffer.address.raw() == piece.address && buffer.length == piece.length;
    };
    if (bytes != model_bytes || !std::ranges::equal(buffers, pieces, same))
      violated(kModelAgreement, "the device took a chain with " + std::to_string(bytes) + " " +
                                    kind + " bytes in " + std::to_string(buffers.size()) +
                                    " buffers, the model one with " + std::to_string(model_bytes) +
                                    " in " + std::to_string(pieces.size()) +
                                    ", or at other addresses");
  };
  compare("readable", chain.readable(), chain.readable_bytes(), model.readable,
          model.readable_bytes());
  compare("writable", chain.writable(), chain.writable_bytes(), model.writable,
          model.writable_bytes());
}

std::uint64_t Harness::step_limit() const {
  // Per chain: its descriptors, its buffers in at most two parts each, and a few rings' fields. At
  // most `size` chains are available, and again as many each time a race moves the available index.
  constexpr std::uint64_t kPerDescriptor = 16;
  std::uint64_t limit = 0;
  for (const auto& l : lanes_)
    limit += kPerDescriptor * (l->model.setup().size + 16) * (l->model.setup().size + 16);
  return limit;
}

void Harness::spins() {
  violated(kLiveness, "one turn takes more steps than its chains and their bytes account for");
}

void Harness::check_agreement() {
  for (auto& l : lanes_) {
    compare_errors(kModelAgreement, "the queue", l->queue->broken(), l->model.broken());
    if (l->queue->active() != l->model.active())
      violated(kModelAgreement, "only one of device and model has an active queue");
    if (l->queue->in_flight() != l->model.in_flight())
      violated(kLiveness, "the device has " + std::to_string(l->queue->in_flight()) +
                              " chains in flight, the model " +
                              std::to_string(l->model.in_flight()));
  }
  check_bytes(world_);
  compare_outside_memory();
}

void Harness::check_oracles() {
  check_confinement(world_, permitted_, "its used rings or in device-writable buffers it holds");
  check_fetches(world_);
  check_agreement();
  check_dirty_pages(world_);
}

}  // namespace guestproof::testing
