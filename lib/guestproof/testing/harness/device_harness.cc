#include "guestproof/testing/harness/device_harness.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string>

#include "guestproof/virtio/transport/mmio/registers.h"

namespace guestproof::testing {
namespace {

using namespace virtio::mmio;

/// What `access` counts in: every register, and what lies between some.
constexpr std::array kRegisters{kMagicValueOffset,      kVersionOffset,
                                kDeviceIdOffset,        kVendorIdOffset,
                                kDeviceFeaturesOffset,  kDeviceFeaturesSelOffset,
                                kDriverFeaturesOffset,  kDriverFeaturesSelOffset,
                                kQueueSelOffset,        kQueueSizeMaxOffset,
                                kQueueSizeOffset,       kQueueReadyOffset,
                                kQueueNotifyOffset,     kInterruptStatusOffset,
                                kInterruptAckOffset,    kStatusOffset,
                                kQueueDescLowOffset,    kQueueDescHighOffset,
                                kQueueDriverLowOffset,  kQueueDriverHighOffset,
                                kQueueDeviceLowOffset,  kQueueDeviceHighOffset,
                                kShmSelOffset,          kShmLenLowOffset,
                                kShmLenHighOffset,      kShmBaseLowOffset,
                                kShmBaseHighOffset,     kQueueResetOffset,
                                kConfigGenerationOffset};

constexpr std::uint8_t kDriverSteps[] = {
    virtio::VIRTIO_STATUS_ACKNOWLEDGE,
    virtio::VIRTIO_STATUS_ACKNOWLEDGE | virtio::VIRTIO_STATUS_DRIVER,
    virtio::VIRTIO_STATUS_ACKNOWLEDGE | virtio::VIRTIO_STATUS_DRIVER |
        virtio::VIRTIO_STATUS_FEATURES_OK,
    virtio::VIRTIO_STATUS_ACKNOWLEDGE | virtio::VIRTIO_STATUS_DRIVER |
        virtio::VIRTIO_STATUS_FEATURES_OK | virtio::VIRTIO_STATUS_DRIVER_OK,
};

std::array<std::byte, 8> bytes_of(std::uint64_t value) {
  return std::bit_cast<std::array<std::byte, 8>>(le64(value));
}

constexpr std::size_t kTransportBytes = virtio::kMmioStateBytes;

std::span<const std::uint8_t> bytes_of_model(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

std::uint64_t ring_features(const ModelQueueSetup& setup) {
  std::uint64_t features = virtio::feature_bit(virtio::VIRTIO_F_VERSION_1) |
                           virtio::feature_bit(virtio::VIRTIO_F_RING_RESET);
  const auto add = [&](bool wanted, unsigned feature) {
    if (wanted) features |= virtio::feature_bit(feature);
  };
  add(setup.event_index, virtio::VIRTIO_F_EVENT_IDX);
  add(setup.indirect, virtio::VIRTIO_F_INDIRECT_DESC);
  add(setup.packed, virtio::VIRTIO_F_RING_PACKED);
  add(setup.in_order, virtio::VIRTIO_F_IN_ORDER);
  return features;
}

}  // namespace

void DeviceHarness::connect(virtio::VirtioDevice<WatchedMemory>& device, DeviceModel& model) {
  lifecycle_.emplace(device, world().device(), static_cast<virtio::Host&>(*this));
  transport_.emplace(*lifecycle_, static_cast<virtio::InterruptLine&>(*this));
  std::vector<QueueModel*> rings;
  for (std::size_t i = 0; i < lanes(); ++i) {
    lane(i).queue = &lifecycle_->queue(static_cast<std::uint16_t>(i));
    rings.push_back(&lane(i).model);
  }
  lifecycle_model_.emplace(model, world().model(), std::move(rings));
  mmio_model_.emplace(*lifecycle_model_);
  GUESTPROOF_INVARIANT(lifecycle_->queue_count() == lanes());
  accesses_ = depth_.add("guest:register_access");
  refused_accesses_ = depth_.add("guest:register_refused");
  interrupts_ = depth_.add("device:interrupt");
  broken_ = depth_.add("device:needs_reset");
}

void DeviceHarness::start_over() {
  reset_device();
  // A violation may have left something.
  refusals_.clear();
  expected_refusals_.clear();
  woken_ = false;
  wanted_features_ = model_device().features();
  for (std::size_t i = 0; i < lanes(); ++i) lay_out(lane(i), kDefaultSize, kQueueIndirect);
  ring_features_ = ring_features(lane(0).pending);
  bring_up();
}

void DeviceHarness::activate(Lane& lane) {
  ring_features_ = ring_features(lane.pending);
  bring_up();
}

void DeviceHarness::bring_up() {
  const auto features = wanted_features_ | ring_features_;
  script_.clear();
  script_.push_back({kStatusOffset, 0});
  script_.push_back({kStatusOffset, kDriverSteps[0]});
  script_.push_back({kStatusOffset, kDriverSteps[1]});
  for (const std::uint32_t word : {0U, 1U}) {
    script_.push_back({kDriverFeaturesSelOffset, word});
    script_.push_back({kDriverFeaturesOffset, static_cast<std::uint32_t>(features >> 32 * word)});
  }
  script_.push_back({kStatusOffset, kDriverSteps[2]});
  for (std::uint32_t i = 0; i < lanes(); ++i) {
    const auto& setup = lane(i).pending;
    const auto area = [&](std::uint32_t low, std::uint64_t address) {
      script_.push_back({low, static_cast<std::uint32_t>(address)});
      script_.push_back({low + 4, static_cast<std::uint32_t>(address >> 32)});
    };
    script_.push_back({kQueueSelOffset, i});
    script_.push_back({kQueueSizeOffset, setup.size});
    area(kQueueDescLowOffset, setup.desc);
    area(kQueueDriverLowOffset, setup.avail);
    area(kQueueDeviceLowOffset, setup.used);
    script_.push_back({kQueueReadyOffset, 1});
  }
  script_.push_back({kStatusOffset, kDriverSteps[3]});
  write_script();
  count_activation(lifecycle_->running());
  settled();
}

void DeviceHarness::write_script() {
  std::vector<ModelError> expected;
  step(
      [&] {
        for (std::size_t i = 0; i < script_.size(); ++i) {
          const auto bytes = bytes_of(script_[i].value);
          if (observer_ != nullptr)
            observer_->writing_register(script_[i].offset, std::span(bytes).first(4));
          const auto done = transport_->write(script_[i].offset, std::span(bytes).first(4));
          compare_errors(kModelAgreement, "a register write", error_of(done), expected[i]);
          if (!done) note(done.error());
        }
      },
      [&] {
        for (const auto& write : script_) {
          std::array<std::uint8_t, 4> bytes;
          for (std::size_t i = 0; i < 4; ++i)
            bytes[i] = static_cast<std::uint8_t>(write.value >> 8 * i);
          expected.push_back(mmio_model_->write(write.offset, bytes));
        }
      });
  notice_activations();
}

void DeviceHarness::write_register(std::uint64_t offset, std::uint64_t value, std::size_t width) {
  // On the heap and of the exact size: AddressSanitizer sees what is read past it.
  const auto all = bytes_of(value);
  const std::vector<std::byte> bytes(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(width));
  if (observer_ != nullptr) observer_->writing_register(offset, bytes);
  ModelError expected;
  auto done = Result<void>();
  step([&] { done = transport_->write(offset, bytes); },
       [&] {
         std::vector<std::uint8_t> copy;
         for (const auto byte : bytes) copy.push_back(std::to_integer<std::uint8_t>(byte));
         expected = mmio_model_->write(offset, copy);
       });
  compare_errors(kModelAgreement, "a register write", error_of(done), expected);
  depth_.count(done ? accesses_ : refused_accesses_);
  if (!done) note(done.error());
  notice_activations();
}

void DeviceHarness::read_register(std::uint64_t offset, std::size_t width) {
  std::vector<std::byte> bytes(width, std::byte{0xa5});
  std::vector<std::uint8_t> model(width, 0x5a);
  ModelError expected;
  auto done = Result<void>();
  step([&] { done = transport_->read(offset, bytes); },
       [&] { expected = mmio_model_->read(offset, model); });
  compare_errors(kModelAgreement, "a register read", error_of(done), expected);
  const auto same = [](std::byte a, std::uint8_t b) {
    return std::to_integer<std::uint8_t>(a) == b;
  };
  if (!std::ranges::equal(bytes, model, same))
    violated(kModelAgreement, "the register at " + hex(offset) + " does not read as the model's");
  if (observer_ != nullptr) observer_->register_read(offset, bytes);
  depth_.count(done ? accesses_ : refused_accesses_);
  if (!done) note(done.error());
}

void DeviceHarness::notice_activations() {
  for (std::size_t i = 0; i < lanes(); ++i) {
    auto& queue = lifecycle_model_->queues[i];
    if (std::exchange(queue.activated, false)) begin_activation(lane(i));
  }
}

void DeviceHarness::access(const Record& record) {
  const auto width = record.length == 0 ? 4 : 1 + (record.length - 1) % 8;
  std::uint64_t offset = record.index;
  if (record.next % 3 == 1) offset = kRegisters[record.index % kRegisters.size()];
  if (record.next % 3 == 2) offset += kConfigOffset;
  if (record.kind % 2 == 0)
    write_register(offset, record.value, width);
  else
    read_register(offset, width);
  work();
}

void DeviceHarness::kick(Lane& lane, std::uint32_t) {
  lane.fresh = false;
  count_kick();
  std::size_t index = 0;
  while (&this->lane(index) != &lane) ++index;
  write_register(kQueueNotifyOffset, index);
  work();
}

void DeviceHarness::work() {
  const bool waiting =
      lifecycle_model_->running() &&
      std::ranges::any_of(lifecycle_model_->queues, &LifecycleModel::Queue::kicked);
  if (lifecycle_model_->running() && woken_ != waiting)
    violated(kLiveness, woken_ ? "the device is woken for nothing" : "the device is not woken");
  while (std::exchange(woken_, false)) {
    auto done = Result<bool>();
    Turn model;
    step([&] { done = lifecycle_->work(); }, [&] { model = work_model(); });
    judge_turn(done, model);
    woken_ = done && *done;
  }
  settled();
}

void DeviceHarness::note(const Error& why) {
  count(why);
  if (observer_ != nullptr) observer_->refused(why);
}

void DeviceHarness::settled() {
  if (observer_ == nullptr) return;
  bool busy = false;
  for (std::size_t i = 0; i < lanes(); ++i) busy |= lane(i).queue->in_flight() != 0;
  observer_->settled(*lifecycle_, *transport_, busy);
}

void DeviceHarness::save(Lane& lane) {
  std::vector<std::uint8_t> expected;
  auto state = Result<std::vector<std::byte>>();
  step([&] { state = lifecycle_->save(); },
       [&] {
         settle_model();
         static_cast<void>(mmio_model_->see_notifications());
         expected = mmio_model_->save();
         const auto life = lifecycle_model_->save();
         expected.insert(expected.end(), life.begin(), life.end());
       });
  if (!state) violated(kRoundTrip, "saving fails: " + state.error().message());
  count_save();
  const auto registers = transport_->save();
  saved().assign(registers.begin(), registers.end());
  saved().insert(saved().end(), state->begin(), state->end());
  const auto bytes = std::as_bytes(std::span(expected));
  if (!std::ranges::equal(saved(), bytes))
    violated(kRoundTrip,
             "the saved state differs from the model's in byte " +
                 std::to_string(std::ranges::mismatch(saved(), bytes).in1 - saved().begin()));
  restore(lane);
  if (lifecycle_->status() != lifecycle_model_->status || !restored_)
    violated(kRoundTrip, "what was just saved cannot be restored");
}

void DeviceHarness::restore(Lane&) {
  // A copy of exactly its size: AddressSanitizer sees what is read past it.
  const auto exact = saved();
  const auto registers = std::span(exact).first(std::min(exact.size(), kTransportBytes));
  const auto life = std::span(exact).subspan(registers.size());
  ModelError refusal;
  auto done = Result<void>();
  step(
      [&] {
        done = lifecycle_->restore(life);
        if (done) done = transport_->restore(registers);
        compare_errors(kRoundTrip, "restoring", error_of(done), refusal);
        if (!done) lifecycle_->reset();
        // The line is set by what was restored, not by a notification.
        assertions_ = lifecycle_model_->used_notifications + lifecycle_model_->config_notifications;
      },
      [&] {
        refusal = lifecycle_model_->restore(bytes_of_model(life));
        if (refusal.none()) refusal = mmio_model_->restore(bytes_of_model(registers));
        if (!refusal.none()) lifecycle_model_->reset();
      });
  restored_ = done.has_value();
  count_restore(restored_);
  if (!done) note(done.error());
  for (std::size_t i = 0; i < lanes(); ++i) {
    begin_activation(lane(i));
    lifecycle_model_->queues[i].activated = false;
    if (lane(i).model.active()) resume_lane(lane(i));
  }
  if (!restored_) woken_ = false;
  work();
}

void DeviceHarness::host_ready() {
  Turn model;
  do {
    auto done = Result<bool>();
    model = {};
    step([&] { done = lifecycle_->host_ready(); },
         [&] {
           if (lifecycle_model_->running()) model = serve_host_model();
           note_notification(model);
           end_model_turn();
         });
    judge_turn(done, model);
  } while (model.more);
  settled();
}

void DeviceHarness::judge_turn(const Result<bool>& done, const Turn& model) {
  if (!done) {
    depth_.count(broken_);
    note(done.error());
  }
  if (done.value_or(false) != model.more)
    violated(kLiveness, model.more ? "the model wants another turn, the device does not"
                                   : "the device wants another turn, the model does not");
  const auto broken = [](const Error& error) { return error.as<virtio::QueueError>().has_value(); };
  if (!done && !broken(done.error()))
    violated(kLiveness, "the device gives up for another reason than a broken queue: " +
                            done.error().message());
}

DeviceHarness::Turn DeviceHarness::work_model() {
  Turn all;
  for (std::size_t i = 0; i < lanes() && lifecycle_model_->running(); ++i) {
    auto& queue = lifecycle_model_->queues[i];
    if (!std::exchange(queue.kicked, false)) continue;
    const auto turn = serve_model(lane(i), lane(i).model.setup().size + 1U);
    note_notification(turn);
    queue.kicked = turn.more;
    all.more |= turn.more;
    if (end_model_turn()) return {};
  }
  return all;
}

void DeviceHarness::note_notification(const Turn& turn) {
  if (!turn.notify) return;
  ++lifecycle_model_->used_notifications;
  count_notification();
}

bool DeviceHarness::end_model_turn() {
  const bool broken = [&] {
    for (std::size_t i = 0; i < lanes(); ++i)
      if (!lane(i).model.broken().none()) return true;
    return false;
  }();
  if (broken && lifecycle_model_->running()) lifecycle_model_->needs_reset();
  return broken;
}

void DeviceHarness::backend(const Record& record) {
  const auto kind = record.kind % (host_event_kinds() + 1U);
  if (kind != 0 && observer_ != nullptr)
    observer_->host_event(static_cast<std::uint8_t>(kind - 1), record);
  if (kind == 0)
    wanted_features_ = (model_device().features() ^ record.value) & ~virtio::kRingFeatures;
  else
    host_event(static_cast<std::uint8_t>(kind - 1), record);
}

void DeviceHarness::refused(std::uint16_t, const Error& why) { refusals_.push_back(why); }

void DeviceHarness::set(bool asserted) {
  line_ = asserted;
  assertions_ += asserted;
  if (asserted) depth_.count(interrupts_);
}

void DeviceHarness::compare_outside_memory() {
  auto& model = *lifecycle_model_;
  mmio_model_->see_notifications();
  const auto same = [](std::string_view what, std::uint64_t device, std::uint64_t expected) {
    if (device != expected)
      violated(kModelAgreement,
               std::string(what) + " is " + hex(device) + ", the model's " + hex(expected));
  };
  same("the status", lifecycle_->status(), model.status);
  same("the driver's features", lifecycle_->driver_features(), model.accepted);
  same("running()", lifecycle_->running(), model.running());
  same("the configuration's generation", lifecycle_->config_generation(), model.generation);
  same("InterruptStatus", transport_->interrupt_status(), mmio_model_->interrupt_status());
  same("the interrupt line", line_, mmio_model_->interrupt_status() != 0);
  same("the number of interrupts", assertions_,
       model.used_notifications + model.config_notifications);
  for (std::uint32_t i = 0; i < lanes(); ++i)
    same("a queue's QueueReady", lifecycle_->queue_config(i)->ready(), model.queues[i].ready);
  compare_refusals();
  compare_devices();
}

void DeviceHarness::compare_refusals() {
  if (refusals_.size() != expected_refusals_.size())
    violated(kModelAgreement, "the device refused " + std::to_string(refusals_.size()) +
                                  " requests, the model " +
                                  std::to_string(expected_refusals_.size()));
  for (std::size_t i = 0; i < refusals_.size(); ++i) {
    compare_errors(kModelAgreement, "a request", refusals_[i], expected_refusals_[i]);
    note(refusals_[i]);
  }
  refusals_.clear();
  expected_refusals_.clear();
}

}  // namespace guestproof::testing
