// The saved state, little-endian:
//
//   offset size field                       then, for each queue
//   0      4    magic "GPVD"                0      1    flags: 1 active, 2 stopped, 4 renewed
//   4      2    version (1)                 1      7    reserved, 0
//   6      2    queues                      8      48   QueueState
//   8      4    length, of everything       and to the end the device's own bytes
//   12     4    device ID
//   16     8    driver features
//   24     4    configuration generation
//   28     1    status
//   29     1    started: 1 when the device was started
//   30     2    reserved, 0
#include "guestproof/virtio/device/lifecycle.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "guestproof/base/bytes.h"
#include "guestproof/base/endian.h"

namespace guestproof::virtio {
namespace {

constexpr std::array kSteps{VIRTIO_STATUS_ACKNOWLEDGE, VIRTIO_STATUS_DRIVER,
                            VIRTIO_STATUS_FEATURES_OK, VIRTIO_STATUS_DRIVER_OK};
constexpr std::uint8_t kDriverBits = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                                     VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK |
                                     VIRTIO_STATUS_FAILED;

constexpr std::uint32_t kMagic = 0x44565047;  // "GPVD"
constexpr std::uint16_t kVersion = 1;
constexpr std::uint8_t kActive = 1;
constexpr std::uint8_t kStopped = 2;
constexpr std::uint8_t kRenewed = 4;

struct Header {
  le32 magic;            // 0
  le16 version;          // 4
  le16 queues;           // 6
  le32 length;           // 8
  le32 device_id;        // 12
  le64 driver_features;  // 16
  le32 generation;       // 24
  std::uint8_t status;   // 28
  std::uint8_t started;  // 29
  le16 reserved;         // 30
};
static_assert(sizeof(Header) == 32 && offsetof(Header, driver_features) == 16 &&
              offsetof(Header, reserved) == 30);

constexpr std::size_t kQueueBytes = 8 + kQueueStateBytes;

/// Whether a driver can have brought the device to this status: each step after the one before, and
/// at DRIVER_OK the device started, or came into need of a reset.
bool reachable(std::uint8_t status, std::uint8_t started) {
  const bool needs_reset = (status & VIRTIO_STATUS_DEVICE_NEEDS_RESET) != 0;
  const bool driver_ok = (status & VIRTIO_STATUS_DRIVER_OK) != 0;
  if ((status & ~(kDriverBits | VIRTIO_STATUS_DEVICE_NEEDS_RESET)) != 0) return false;
  for (std::size_t i = 1; i < kSteps.size(); ++i)
    if ((status & kSteps[i]) != 0 && (status & kSteps[i - 1]) == 0) return false;
  if (!driver_ok) return !needs_reset && started == 0;
  return started == 1 || (started == 0 && needs_reset);
}

}  // namespace

QueueFeatures queue_features(std::uint64_t features) {
  const auto has = [&](unsigned feature) { return (features & feature_bit(feature)) != 0; };
  return {.event_index = has(VIRTIO_F_EVENT_IDX),
          .indirect = has(VIRTIO_F_INDIRECT_DESC),
          .packed = has(VIRTIO_F_RING_PACKED),
          .in_order = has(VIRTIO_F_IN_ORDER)};
}

std::uint32_t notified_queue(std::uint64_t features, std::uint32_t value) {
  return (features & feature_bit(VIRTIO_F_NOTIFICATION_DATA)) != 0 ? value & 0xffff : value;
}

Lifecycle::Lifecycle(std::uint32_t device_id, std::uint64_t offered,
                     std::span<const std::uint16_t> queue_sizes, Host& host)
    : device_id_(device_id), offered_(offered), host_(host) {
  for (const auto size : queue_sizes) {
    const auto config = QueueConfig::create(size);
    GUESTPROOF_INVARIANT(config);
    queues_.push_back({.config = *config});
  }
}

Result<void> Lifecycle::set_driver_features(std::uint32_t word, std::uint32_t bits) {
  constexpr std::uint8_t kOpen = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
  if (status_ != kOpen) return fail(DeviceError::kFeaturesClosed, status_);
  if (word > 1) {
    if (bits == 0) return {};
    return fail(DeviceError::kFeatureWord, word, 2);
  }
  const auto shift = 32 * word;
  accepted_ = (accepted_ & ~(std::uint64_t{0xffffffff} << shift)) | std::uint64_t{bits} << shift;
  return {};
}

bool Lifecycle::running() const {
  return started_ && (status_ & (VIRTIO_STATUS_DEVICE_NEEDS_RESET | VIRTIO_STATUS_FAILED)) == 0;
}

void Lifecycle::set_memory_access(bool allowed) {
  if (std::exchange(memory_access_, allowed) == allowed) return;
  if (!allowed) return settle_device();
  if (!running()) return;
  // What was put back or came meanwhile has no kick of its own.
  for (auto& queue : queues_) queue.kicked = queue.config.ready();
  if (host_waits_ || std::ranges::any_of(queues_, &Queue::kicked)) wake();
}

void Lifecycle::wake() {
  if (memory_access_) host_.wake();
}

Result<void> Lifecycle::set_status(std::uint8_t value) {
  if (value == 0) {
    reset();
    return {};
  }
  const std::uint8_t wanted = value & static_cast<std::uint8_t>(~VIRTIO_STATUS_DEVICE_NEEDS_RESET);
  const std::uint8_t now = status_ & kDriverBits;
  if ((wanted & ~kDriverBits) != 0) return fail(DeviceError::kStatusUnknown, value, kDriverBits);
  if ((now & ~wanted) != 0) return fail(DeviceError::kStatusCleared, value, status_);
  status_ |= wanted & VIRTIO_STATUS_FAILED;
  for (const auto step : kSteps) {
    const auto left = wanted & ~status_;
    if (left == 0) break;
    if ((status_ & VIRTIO_STATUS_FAILED) != 0) return fail(DeviceError::kStatusFailed, value);
    if ((status_ & step) != 0) continue;
    if ((left & step) == 0) return fail(DeviceError::kStatusOrder, value, step);
    if (const auto taken = take_step(step); !taken) return taken;
  }
  return {};
}

Result<void> Lifecycle::take_step(std::uint8_t step) {
  if (step == VIRTIO_STATUS_FEATURES_OK) {
    if (const auto ok = accept_features(accepted_); !ok) return ok;
    for (auto& queue : queues_) renew(queue.config, accepted_);
  }
  status_ |= step;
  return step == VIRTIO_STATUS_DRIVER_OK ? start() : Result<void>();
}

Result<void> Lifecycle::accept_features(std::uint64_t features) const {
  if (const auto unknown = features & ~offered_; unknown != 0)
    return fail(DeviceError::kFeaturesNotOffered, unknown, offered_);
  if ((features & feature_bit(VIRTIO_F_VERSION_1)) == 0)
    return fail(DeviceError::kVersion1, features);
  return check_features(features);
}

void Lifecycle::renew(QueueConfig& config, std::uint64_t features) {
  config.reset();
  const auto layout = queue_features(features).packed ? RingLayout::kPacked : RingLayout::kSplit;
  GUESTPROOF_INVARIANT(config.set_layout(layout));
}

Result<void> Lifecycle::start() {
  for (std::uint16_t i = 0; i < queue_count(); ++i) {
    if (!queues_[i].config.ready()) continue;
    if (const auto active = activate_queue(i); !active) {
      reset_device();
      return needs_reset(active.error());
    }
  }
  started_ = true;
  start_device();
  return {};
}

void Lifecycle::reset() {
  reset_device();
  started_ = host_waits_ = false;
  status_ = 0;
  accepted_ = 0;
  for (auto& queue : queues_) {
    renew(queue.config, 0);
    queue.kicked = queue.stopped = queue.renewed = false;
  }
}

std::unexpected<Error> Lifecycle::needs_reset(const Error& why) {
  status_ |= VIRTIO_STATUS_DEVICE_NEEDS_RESET;
  if (interrupts_ != nullptr) interrupts_->configuration_changed();
  return std::unexpected(why);
}

Result<Lifecycle::Queue*> Lifecycle::find(std::uint32_t index) {
  if (index >= queues_.size()) return fail(DeviceError::kQueueIndex, index, queues_.size());
  return &queues_[index];
}

Result<Lifecycle::Queue*> Lifecycle::configurable(std::uint32_t index) {
  const auto queue = find(index);
  if (!queue) return queue;
  if ((*queue)->stopped) return fail(DeviceError::kQueueStopped, index);
  const bool open = (status_ & VIRTIO_STATUS_FEATURES_OK) != 0 &&
                    ((status_ & VIRTIO_STATUS_DRIVER_OK) == 0 || (*queue)->renewed);
  if (!open || (status_ & VIRTIO_STATUS_FAILED) != 0)
    return fail(DeviceError::kQueueLocked, index, status_);
  return queue;
}

Result<void> Lifecycle::set_queue_size(std::uint32_t index, std::uint32_t size) {
  const auto queue = configurable(index);
  if (!queue) return std::unexpected(queue.error());
  if (size > kMaxQueueSize) return fail(DeviceError::kQueueSize, size, kMaxQueueSize);
  return (*queue)->config.set_size(static_cast<std::uint16_t>(size));
}

Result<void> Lifecycle::set_descriptor_area(std::uint32_t index, GuestAddress address) {
  const auto queue = configurable(index);
  if (!queue) return std::unexpected(queue.error());
  return (*queue)->config.set_descriptor_table(address);
}

Result<void> Lifecycle::set_driver_area(std::uint32_t index, GuestAddress address) {
  const auto queue = configurable(index);
  if (!queue) return std::unexpected(queue.error());
  return (*queue)->config.set_available_ring(address);
}

Result<void> Lifecycle::set_device_area(std::uint32_t index, GuestAddress address) {
  const auto queue = configurable(index);
  if (!queue) return std::unexpected(queue.error());
  return (*queue)->config.set_used_ring(address);
}

Result<void> Lifecycle::enable_queue(std::uint32_t index) {
  const auto queue = configurable(index);
  if (!queue) return std::unexpected(queue.error());
  auto& config = (*queue)->config;
  if (const auto ready = config.set_ready(); !ready || !started_) return ready;
  const auto active = activate_queue(static_cast<std::uint16_t>(index));
  if (active) return {};
  renew(config, accepted_);
  return needs_reset(active.error());
}

Result<void> Lifecycle::disable_queue(std::uint32_t index) {
  const auto queue = find(index);
  if (!queue) return std::unexpected(queue.error());
  if (!(*queue)->config.ready()) return {};
  if (started_) {
    stop_queue(static_cast<std::uint16_t>(index));
    (*queue)->stopped = true;
  }
  (*queue)->kicked = false;
  (*queue)->config.disable();
  return {};
}

Result<void> Lifecycle::reset_queue(std::uint32_t index) {
  const auto queue = find(index);
  if (!queue) return std::unexpected(queue.error());
  if ((status_ & VIRTIO_STATUS_FEATURES_OK) == 0 ||
      (accepted_ & feature_bit(VIRTIO_F_RING_RESET)) == 0)
    return fail(DeviceError::kRingResetNotNegotiated, index);
  if (started_) stop_queue(static_cast<std::uint16_t>(index));
  renew((*queue)->config, accepted_);
  (*queue)->kicked = (*queue)->stopped = false;
  (*queue)->renewed = started_;
  return {};
}

Result<void> Lifecycle::kick(std::uint32_t index) {
  const auto queue = find(index);
  if (!queue) return std::unexpected(queue.error());
  if (!running()) return fail(DeviceError::kNotRunning, index, status_);
  if (!(*queue)->config.ready()) return fail(DeviceError::kQueueNotReady, index);
  (*queue)->kicked = true;
  wake();
  return {};
}

Result<void> Lifecycle::read_config(std::uint64_t offset, std::span<std::byte> out) {
  const auto bytes = config();
  const auto there =
      offset < bytes.size() ? std::min<std::uint64_t>(out.size(), bytes.size() - offset) : 0;
  if (there != 0) {
    show_config();
    std::memcpy(out.data(), bytes.data() + offset, there);
  }
  std::ranges::fill(out.subspan(there), std::byte{0});
  if (there == out.size()) return {};
  return fail(DeviceError::kConfigRange, offset + there, bytes.size());
}

Result<void> Lifecycle::write_config(std::uint64_t offset, std::span<const std::byte> in) {
  const auto size = config().size();
  if (offset > size || in.size() > size - offset)
    return fail(DeviceError::kConfigRange, std::max<std::uint64_t>(offset, size), size);
  const auto at = static_cast<std::uint32_t>(offset);
  if ((status_ & VIRTIO_STATUS_FEATURES_OK) == 0 && !writes_early(at, in.size()))
    return fail(DeviceError::kConfigEarly, status_);
  return change_config(at, in);
}

Result<bool> Lifecycle::work() {
  bool more = false;
  if (serving() && host_waits_) {
    const auto turn = serve_host();
    if (!turn) return needs_reset(turn.error());
    host_waits_ = more = *turn;
  }
  for (std::uint16_t i = 0; i < queues_.size() && serving(); ++i) {
    if (!std::exchange(queues_[i].kicked, false)) continue;
    const auto turn = serve(i);
    if (!turn) return needs_reset(turn.error());
    queues_[i].kicked = *turn;
    more |= *turn;
  }
  return more;
}

Result<bool> Lifecycle::host_ready() {
  host_waits_ |= running() && !memory_access_;
  if (!serving()) return false;
  const auto turn = serve_host();
  if (!turn) return needs_reset(turn.error());
  return turn;
}

void Lifecycle::notify_used(std::uint16_t queue) {
  if (interrupts_ != nullptr) interrupts_->used_buffers(queue);
}

void Lifecycle::again(std::uint16_t queue) {
  if (!running()) return;
  queues_[queue].kicked = true;
  wake();
}

void Lifecycle::show_config() {
  const auto now = config();
  if (!shown_config_.empty() && !std::ranges::equal(now, shown_config_)) ++generation_;
  shown_config_.assign(now.begin(), now.end());
}

void Lifecycle::config_changed() {
  if (running() && interrupts_ != nullptr) interrupts_->configuration_changed();
}

Result<std::vector<std::byte>> Lifecycle::save() {
  std::vector<std::byte> own;
  settle_device();
  if (const auto saved = save_device(own); !saved) return std::unexpected(saved.error());
  show_config();  // what the driver has read is not saved: it may have read all of this
  std::vector<std::byte> out;
  Header header{};
  header.magic = kMagic;
  header.version = kVersion;
  header.queues = queue_count();
  header.length =
      static_cast<std::uint32_t>(sizeof header + kQueueBytes * queues_.size() + own.size());
  header.device_id = device_id_;
  header.driver_features = accepted_;
  header.generation = generation_;
  header.status = status_;
  header.started = static_cast<std::uint8_t>(started_);
  append_object(out, header);
  for (std::uint16_t i = 0; i < queue_count(); ++i)
    if (const auto saved = save_queue_slot(i, out); !saved) return std::unexpected(saved.error());
  out.insert(out.end(), own.begin(), own.end());
  return out;
}

Result<void> Lifecycle::save_queue_slot(std::uint16_t index, std::vector<std::byte>& out) const {
  const auto& queue = queues_[index];
  const bool active = started_ && queue.config.ready();
  auto state = QueueState::of(queue.config);
  if (active) {
    const auto saved = save_queue(index);
    if (!saved) return std::unexpected(saved.error());
    state = *saved;
  } else {
    state.features = slot_features();
  }
  le64 flags{};
  flags =
      (active ? kActive : 0U) | (queue.stopped ? kStopped : 0U) | (queue.renewed ? kRenewed : 0U);
  append_object(out, flags);
  append_object(out, state.encode());
  return {};
}

QueueFeatures Lifecycle::slot_features() const {
  return (status_ & VIRTIO_STATUS_FEATURES_OK) != 0 ? queue_features(accepted_) : QueueFeatures{};
}

Result<void> Lifecycle::restore(std::span<const std::byte> bytes) {
  reset();
  if (const auto done = resume(bytes); !done) {
    reset();
    return done;
  }
  const auto now = config();
  shown_config_.assign(now.begin(), now.end());
  if (std::ranges::any_of(queues_, &Queue::kicked)) wake();
  return {};
}

Result<void> Lifecycle::resume(std::span<const std::byte> bytes) {
  const auto least = sizeof(Header) + kQueueBytes * queues_.size();
  if (bytes.size() < least) return fail(DeviceStateError::kBytes, bytes.size(), least);
  Header header;
  std::memcpy(static_cast<void*>(&header), bytes.data(), sizeof header);
  if (header.magic != kMagic) return fail(DeviceStateError::kMagic, header.magic, kMagic);
  if (header.version != kVersion) return fail(DeviceStateError::kVersion, header.version, kVersion);
  if (header.length != bytes.size())
    return fail(DeviceStateError::kLength, header.length, bytes.size());
  if (header.reserved != 0) return fail(DeviceStateError::kReserved, header.reserved);
  if (header.device_id != device_id_)
    return fail(DeviceStateError::kDeviceId, header.device_id, device_id_);
  if (header.queues != queues_.size())
    return fail(DeviceStateError::kQueueCount, header.queues, queues_.size());
  if (!reachable(header.status, header.started))
    return fail(DeviceStateError::kStatus, header.status);
  const std::uint64_t features = header.driver_features;
  if ((header.status & VIRTIO_STATUS_FEATURES_OK) != 0) {
    if (const auto ok = accept_features(features); !ok)
      return fail(DeviceStateError::kFeatures, features, offered_);
  } else if (features != 0 && (header.status & VIRTIO_STATUS_DRIVER) == 0) {
    return fail(DeviceStateError::kFeatures, features, 0);
  }
  status_ = header.status;
  accepted_ = features;
  generation_ = header.generation;
  started_ = header.started != 0;
  for (std::uint16_t i = 0; i < queue_count(); ++i)
    if (const auto ok =
            resume_queue(i, bytes.subspan(sizeof header + kQueueBytes * i, kQueueBytes));
        !ok)
      return ok;
  if (started_) start_device();
  return restore_device(bytes.subspan(least));
}

Result<void> Lifecycle::resume_queue(std::uint16_t index, std::span<const std::byte> bytes) {
  auto& queue = queues_[index];
  le64 flags;
  std::memcpy(static_cast<void*>(&flags), bytes.data(), sizeof flags);
  const bool active = (flags & kActive) != 0;
  queue.stopped = (flags & kStopped) != 0;
  queue.renewed = (flags & kRenewed) != 0;
  const auto state = QueueState::decode(bytes.subspan(sizeof flags));
  if (!state) return std::unexpected(state.error());
  if (state->max_size != queue.config.max_size())
    return fail(QueueStateError::kMaxSize, state->max_size, queue.config.max_size());
  if (state->features != slot_features()) return fail(DeviceStateError::kQueue, index);
  const bool configured = state->ready || (status_ & VIRTIO_STATUS_FEATURES_OK) != 0 ||
                          *state == QueueState::of(queue.config);
  const bool ring_reset = (accepted_ & feature_bit(VIRTIO_F_RING_RESET)) != 0;
  if ((flags & ~std::uint64_t{kActive | kStopped | kRenewed}) != 0 || !configured ||
      active != (started_ && state->ready) || (queue.stopped && (state->ready || !started_)) ||
      (queue.renewed && (!ring_reset || !started_)) ||
      (state->ready && (status_ & VIRTIO_STATUS_FEATURES_OK) == 0))
    return fail(DeviceStateError::kQueueFlags, flags, index);
  // A started device whose queue has broken needs a reset from that moment on.
  if (state->broken && !(active && (status_ & VIRTIO_STATUS_DEVICE_NEEDS_RESET) != 0))
    return fail(DeviceStateError::kQueueBroken, index, status_);
  const auto config = state->config();
  if (!config) return std::unexpected(config.error());
  queue.config = *config;
  queue.kicked = active;
  return active ? restore_queue(index, *state) : Result<void>();
}

}  // namespace guestproof::virtio
