#include "guestproof/testing/model/lifecycle_model.h"

#include <algorithm>

namespace guestproof::testing {
namespace {

constexpr std::uint8_t kAcknowledge = 1, kDriver = 2, kDriverOk = 4, kFeaturesOk = 8,
                       kNeedsReset = 64, kFailed = 128;

// Ring features: indirect, event index, version 1, packed, in order, notification data, ring reset.
constexpr std::uint64_t kRings =
    1ULL << 28 | 1ULL << 29 | 1ULL << 32 | 1ULL << 34 | 1ULL << 35 | 1ULL << 38 | 1ULL << 40;

}  // namespace

LifecycleModel::LifecycleModel(DeviceModel& device, const WatchedMemory& memory,
                               std::vector<QueueModel*> rings)
    : device_(device), memory_(memory), rings_(std::move(rings)) {
  for (const auto size : device_.queue_sizes()) queues.emplace_back().max_size = size;
  for (auto& queue : queues) renew(queue);
}

std::uint64_t LifecycleModel::offered() const { return device_.features() | kRings; }

void LifecycleModel::renew(Queue& queue) const {
  queue.setup = {};
  queue.setup.size = queue.max_size;
  queue.ready = false;
}

ModelError LifecycleModel::set_driver_features(std::uint64_t word, std::uint64_t bits) {
  if (status != (kAcknowledge | kDriver)) return {"device.features_closed", status};
  if (word == 0)
    accepted = (accepted & 0xffffffff00000000) | bits;
  else if (word == 1)
    accepted = (accepted & 0xffffffff) | bits << 32;
  else if (bits != 0)
    return {"device.feature_word", word, 2};
  return {};
}

ModelError LifecycleModel::accept() const {
  if ((accepted & ~offered()) != 0)
    return {"device.features_not_offered", accepted & ~offered(), offered()};
  if (!has(32)) return {"device.version_1", accepted};
  return device_.check_features(accepted);
}

ModelError LifecycleModel::set_status(std::uint64_t value) {
  if (value > 0xff) return {"device.status_unknown", value, 0xff};
  if (value == 0) {
    reset();
    return {};
  }
  constexpr std::uint8_t kKnown = kAcknowledge | kDriver | kDriverOk | kFeaturesOk | kFailed;
  const auto wanted = static_cast<std::uint8_t>(value & ~std::uint64_t{kNeedsReset});
  if ((wanted & ~kKnown) != 0) return {"device.status_unknown", value, kKnown};
  if ((status & kKnown & ~wanted) != 0) return {"device.status_cleared", value, status};
  if ((wanted & kFailed) != 0) status |= kFailed;
  const std::uint8_t order[4] = {kAcknowledge, kDriver, kFeaturesOk, kDriverOk};
  for (const auto step : order) {
    if ((wanted & ~status) == 0) return {};
    if ((status & kFailed) != 0) return {"device.status_failed", value};
    if ((status & step) != 0) continue;
    if ((wanted & step) == 0) return {"device.status_order", value, step};
    if (step == kFeaturesOk) {
      if (const auto why = accept(); !why.none()) return why;
      for (auto& queue : queues) renew(queue);
    }
    status |= step;
    if (step == kDriverOk) return start();
  }
  return {};
}

ModelError LifecycleModel::start() {
  for (std::size_t i = 0; i < queues.size(); ++i)
    if (queues[i].ready)
      if (const auto why = activate(i); !why.none()) {
        for (auto* ring : rings_) ring->reset();
        device_.reset();
        needs_reset();
        return why;
      }
  started = true;
  device_.start(accepted);
  return {};
}

ModelError LifecycleModel::activate(std::size_t index) {
  auto setup = ring_features();
  setup.size = queues[index].setup.size;
  setup.desc = queues[index].setup.desc;
  setup.avail = queues[index].setup.avail;
  setup.used = queues[index].setup.used;
  if (const auto why = QueueModel::refusal(memory_, setup, queues[index].max_size); !why.none())
    return why;
  rings_[index]->activate(memory_, setup);
  queues[index].activated = true;
  return {};
}

ModelQueueSetup LifecycleModel::ring_features() const {
  ModelQueueSetup setup;
  if ((status & kFeaturesOk) == 0) return setup;
  setup.event_index = has(29);
  setup.indirect = has(28);
  setup.packed = has(34);
  setup.in_order = has(35);
  return setup;
}

void LifecycleModel::reset() {
  device_.reset();
  for (auto* ring : rings_) ring->reset();
  status = 0;
  accepted = 0;
  started = false;
  host_waits = false;
  for (auto& queue : queues) {
    renew(queue);
    queue.stopped = queue.renewed = queue.kicked = false;
  }
}

bool LifecycleModel::running() const { return started && (status & (kNeedsReset | kFailed)) == 0; }

void LifecycleModel::set_memory_access(bool allowed) {
  const bool before = memory_access;
  memory_access = allowed;
  if (before && !allowed) settle();
  if (before || !allowed || !running()) return;
  for (auto& queue : queues)
    if (queue.ready) queue.kicked = true;
}

bool LifecycleModel::hear_host() {
  if (running() && !memory_access) host_waits = true;
  return serving();
}

void LifecycleModel::notify_used(std::size_t queue) {
  if (interrupts_ != nullptr) interrupts_->used_buffers(queue);
}

void LifecycleModel::needs_reset() {
  status |= kNeedsReset;
  if (interrupts_ != nullptr) interrupts_->configuration_changed();
}

void LifecycleModel::config_changed() {
  if (running() && interrupts_ != nullptr) interrupts_->configuration_changed();
}

ModelError LifecycleModel::may_configure(std::uint64_t index) const {
  if (index >= queues.size()) return {"device.queue_index", index, queues.size()};
  if (queues[index].stopped) return {"device.queue_stopped", index};
  const bool before = (status & kFeaturesOk) != 0 && (status & kDriverOk) == 0;
  const bool again = queues[index].renewed;
  if ((status & kFailed) != 0 || (!before && !again)) return {"device.queue_locked", index, status};
  return {};
}

ModelError LifecycleModel::set_queue_size(std::uint64_t index, std::uint64_t size) {
  if (const auto why = may_configure(index); !why.none()) return why;
  auto& queue = queues[index];
  if (size > 32768) return {"device.queue_size", size, 32768};
  if (queue.ready) return {"queue_config.ready"};
  if (size == 0) return {"queue_config.size_zero", size, queue.max_size};
  bool power = false;
  for (std::uint32_t p = 1; p <= 32768; p *= 2) power |= p == size;
  if (!has(34) && !power) return {"queue_config.size_not_power_of_two", size, queue.max_size};
  if (size > queue.max_size) return {"queue_config.size_above_max", size, queue.max_size};
  queue.setup.size = static_cast<std::uint16_t>(size);
  return {};
}

ModelError LifecycleModel::set_area(std::uint64_t index, Area area, std::uint64_t address) {
  if (const auto why = may_configure(index); !why.none()) return why;
  auto& queue = queues[index];
  if (queue.ready) return {"queue_config.ready"};
  const std::uint64_t driver_alignment = has(34) ? 4 : 2;
  switch (area) {
    case Area::kDescriptor:
      if (address % 16 != 0) return {"queue_config.descriptor_table_align", address, 16};
      queue.setup.desc = address;
      break;
    case Area::kDriver:
      if (address % driver_alignment != 0)
        return {"queue_config.available_ring_align", address, driver_alignment};
      queue.setup.avail = address;
      break;
    case Area::kDevice:
      if (address % 4 != 0) return {"queue_config.used_ring_align", address, 4};
      queue.setup.used = address;
  }
  return {};
}

ModelError LifecycleModel::enable_queue(std::uint64_t index) {
  if (const auto why = may_configure(index); !why.none()) return why;
  auto& queue = queues[index];
  if (queue.ready) return {"queue_config.ready"};
  struct Piece {
    std::uint64_t base, bytes;
  };
  const std::uint64_t n = queue.setup.size;
  const Piece pieces[3] = {{queue.setup.desc, 16 * n},
                           {queue.setup.avail, has(34) ? 4 : 6 + 2 * n},
                           {queue.setup.used, has(34) ? 4 : 6 + 8 * n}};
  __extension__ using Wide = unsigned __int128;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < i; ++j)
      if (Wide{pieces[i].base} < Wide{pieces[j].base} + pieces[j].bytes &&
          Wide{pieces[j].base} < Wide{pieces[i].base} + pieces[i].bytes)
        return {"queue_config.areas_overlap", pieces[i].base, pieces[j].base};
  queue.ready = true;
  if (!started) return {};
  const auto why = activate(index);
  if (!why.none()) {
    renew(queue);
    needs_reset();
  }
  return why;
}

void LifecycleModel::stop(std::size_t index) {
  device_.stop_queue(index);
  rings_[index]->reset();
}

ModelError LifecycleModel::disable_queue(std::uint64_t index) {
  if (index >= queues.size()) return {"device.queue_index", index, queues.size()};
  auto& queue = queues[index];
  if (!queue.ready) return {};
  if (started) {
    stop(index);
    queue.stopped = true;
  }
  queue.ready = queue.kicked = false;
  return {};
}

ModelError LifecycleModel::reset_queue(std::uint64_t index) {
  if (index >= queues.size()) return {"device.queue_index", index, queues.size()};
  if ((features() >> 40 & 1) == 0) return {"device.ring_reset_not_negotiated", index};
  if (started) stop(index);
  renew(queues[index]);
  queues[index].stopped = queues[index].kicked = false;
  queues[index].renewed = started;
  return {};
}

ModelError LifecycleModel::kick(std::uint64_t index) {
  if (index >= queues.size()) return {"device.queue_index", index, queues.size()};
  if (!running()) return {"device.not_running", index, status};
  if (!queues[index].ready) return {"device.queue_not_ready", index};
  queues[index].kicked = true;
  return {};
}

void LifecycleModel::look_at_config() {
  const auto bytes = device_.config();
  if (config_seen_ && *config_seen_ != bytes) ++generation;
  config_seen_ = bytes;
}

ModelError LifecycleModel::read_config(std::uint64_t offset, std::span<std::uint8_t> out) {
  const auto bytes = device_.config();
  if (offset < bytes.size() && !out.empty()) look_at_config();
  ModelError first;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const bool there = offset < bytes.size() && i < bytes.size() - offset;
    out[i] = there ? bytes[offset + i] : 0;
    if (!there && first.none()) first = {"device.config_range", offset + i, bytes.size()};
  }
  return first;
}

ModelError LifecycleModel::write_config(std::uint64_t offset, std::span<const std::uint8_t> in) {
  const auto size = device_.config().size();
  for (std::size_t i = 0; i < in.size(); ++i)
    if (offset >= size || i >= size - offset)
      return {"device.config_range", std::max<std::uint64_t>(offset, size), size};
  if ((status & kFeaturesOk) == 0 && !device_.writes_early(offset, in.size()))
    return {"device.config_early", status};
  return device_.write_config(offset, in);
}

namespace {

/// The bytes of a queue that is not active.
void put_config(std::vector<std::uint8_t>& out, const LifecycleModel::Queue& queue,
                const ModelQueueSetup& features) {
  append_number(out, 4, 0x51535047);
  append_number(out, 2, 1);
  append_number(out, 2, 48);
  append_number(out, 2, queue.max_size);
  append_number(out, 2, queue.setup.size);
  append_number(out, 2,
                (queue.ready ? 1U : 0) | (features.event_index ? 2U : 0) |
                    (features.indirect ? 4U : 0) | (features.packed ? 32U : 0) |
                    (features.in_order ? 64U : 0));
  append_number(out, 2 + 2 + 2 + 4, 0);
  append_number(out, 8, queue.setup.desc);
  append_number(out, 8, queue.setup.avail);
  append_number(out, 8, queue.setup.used);
}

}  // namespace

std::vector<std::uint8_t> LifecycleModel::save() {
  const auto own = device_.save();
  look_at_config();
  std::vector<std::uint8_t> out;
  append_number(out, 4, 0x44565047);
  append_number(out, 2, 1);
  append_number(out, 2, queues.size());
  append_number(out, 4, 32 + 56 * queues.size() + own.size());
  append_number(out, 4, device_.device_id());
  append_number(out, 8, accepted);
  append_number(out, 4, generation);
  append_number(out, 1, status);
  append_number(out, 1, started);
  append_number(out, 2, 0);
  for (std::size_t i = 0; i < queues.size(); ++i) {
    const auto& queue = queues[i];
    const bool active = started && queue.ready;
    append_number(out, 8, (active ? 1U : 0) | (queue.stopped ? 2U : 0) | (queue.renewed ? 4U : 0));
    if (!active) {
      put_config(out, queue, ring_features());
      continue;
    }
    for (const auto byte : rings_[i]->save(queue.max_size))
      out.push_back(std::to_integer<std::uint8_t>(byte));
  }
  out.insert(out.end(), own.begin(), own.end());
  return out;
}

ModelError LifecycleModel::restore(std::span<const std::uint8_t> bytes) {
  reset();
  const auto why = resume(bytes);
  if (why.none())
    config_seen_ = device_.config();
  else
    reset();
  return why;
}

ModelError LifecycleModel::resume(std::span<const std::uint8_t> bytes) {
  const auto least = 32 + 56 * queues.size();
  if (bytes.size() < least) return {"device_state.bytes", bytes.size(), least};
  if (number_in(bytes, 0, 4) != 0x44565047)
    return {"device_state.magic", number_in(bytes, 0, 4), 0x44565047};
  if (number_in(bytes, 4, 2) != 1) return {"device_state.version", number_in(bytes, 4, 2), 1};
  if (number_in(bytes, 8, 4) != bytes.size())
    return {"device_state.length", number_in(bytes, 8, 4), bytes.size()};
  if (number_in(bytes, 30, 2) != 0) return {"device_state.reserved", number_in(bytes, 30, 2)};
  if (number_in(bytes, 12, 4) != device_id())
    return {"device_state.device_id", number_in(bytes, 12, 4), device_id()};
  if (number_in(bytes, 6, 2) != queues.size())
    return {"device_state.queue_count", number_in(bytes, 6, 2), queues.size()};

  // Before DRIVER_OK no device was started and none needs a reset; after it one of both is so.
  const auto saved_status = number_in(bytes, 28, 1), saved_started = number_in(bytes, 29, 1);
  const auto steps = saved_status & ~std::uint64_t{kNeedsReset | kFailed};
  bool possible = false;
  for (const auto whole : {0, 1, 3, 11, 15}) possible |= steps == static_cast<unsigned>(whole);
  const bool needs_reset = (saved_status & kNeedsReset) != 0;
  if (steps == 15)
    possible &= saved_started == 1 || (saved_started == 0 && needs_reset);
  else
    possible &= saved_started == 0 && !needs_reset;
  if (!possible) return {"device_state.status", saved_status};

  status = static_cast<std::uint8_t>(saved_status);
  accepted = number_in(bytes, 16, 8);
  started = saved_started != 0;
  if ((status & kFeaturesOk) != 0 && !accept().none())
    return {"device_state.features", accepted, offered()};
  if ((status & kDriver) == 0 && accepted != 0) return {"device_state.features", accepted, 0};
  generation = static_cast<std::uint32_t>(number_in(bytes, 24, 4));
  for (std::size_t i = 0; i < queues.size(); ++i)
    if (const auto why = resume_queue(i, bytes.subspan(32 + 56 * i, 56)); !why.none()) return why;
  if (started) device_.start(accepted);
  return device_.restore(bytes.subspan(least));
}

ModelError LifecycleModel::resume_queue(std::size_t index, std::span<const std::uint8_t> bytes) {
  auto& queue = queues[index];
  const auto flags = number_in(bytes, 0, 8);
  const auto state = bytes.subspan(8);
  QueueModel ring;
  const auto why = ring.restore(memory_, std::as_bytes(state), queue.max_size, ring_features());

  // What is wrong with the queue's bytes alone comes first, what memory has to say last.
  const bool is_ready = (number_in(state, 12, 2) & 1) != 0;
  const bool outside = (why.name == "queue_state.descriptor_table" && why.value % 16 == 0) ||
                       (why.name == "queue_state.available_ring" && why.value % why.limit == 0) ||
                       (why.name == "queue_state.used_ring" && why.value % 4 == 0);
  if (why.name == "queue_state.features") return {"device_state.queue", index};
  if (!why.none() && !outside && why.name != "queue_config.not_ready") return why;

  const bool active = (flags & 1) != 0, was_stopped = (flags & 2) != 0,
             was_renewed = (flags & 4) != 0;
  const bool agreed = (status & kFeaturesOk) != 0;
  std::vector<std::uint8_t> untouched;
  put_config(untouched, queue, {});
  bool right = flags < 8;
  right &= agreed || std::ranges::equal(state, untouched);
  right &= active == (started && is_ready);
  right &= !was_stopped || (started && !is_ready);
  right &= !was_renewed || (started && has(40));
  if (!right) return {"device_state.queue_flags", flags, index};

  queue.stopped = was_stopped;
  queue.renewed = was_renewed;
  queue.setup.size = static_cast<std::uint16_t>(number_in(state, 10, 2));
  queue.setup.desc = number_in(state, 24, 8);
  queue.setup.avail = number_in(state, 32, 8);
  queue.setup.used = number_in(state, 40, 8);
  queue.ready = is_ready;
  queue.kicked = active;
  if (!active) return {};
  queue.activated = true;
  return rings_[index]->restore(memory_, std::as_bytes(state), queue.max_size, ring_features());
}

}  // namespace guestproof::testing
