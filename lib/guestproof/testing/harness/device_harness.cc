#include "guestproof/testing/harness/device_harness.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string>

namespace guestproof::testing {
namespace {

std::array<std::byte, 8> bytes_of(std::uint64_t value) {
  return std::bit_cast<std::array<std::byte, 8>>(le64(value));
}

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
  std::vector<QueueModel*> rings;
  for (std::size_t i = 0; i < lanes(); ++i) {
    lane(i).queue = &lifecycle_->queue(static_cast<std::uint16_t>(i));
    rings.push_back(&lane(i).model);
  }
  lifecycle_model_.emplace(model, world().model(), std::move(rings));
  lifecycle_model_->settle = [this] { settle_model(Settle::kMemoryAccess); };
  GUESTPROOF_INVARIANT(lifecycle_->queue_count() == lanes());
  accesses_ = depth_.add("guest:register_access");
  refused_accesses_ = depth_.add("guest:register_refused");
  on_pci_ = depth_.add("guest:on_pci");
  interrupts_ = depth_.add("device:interrupt");
  broken_ = depth_.add("device:needs_reset");
  kept_away_ = depth_.add("device:kept_from_memory");
}

void DeviceHarness::start_over() {
  reset_device();
  // A violation may have left something.
  refusals_.clear();
  expected_refusals_.clear();
  woken_ = false;
  wanted_features_ = model_device().features();
  const bool pci = starts_on_pci();
  const auto flags = static_cast<std::uint16_t>(kQueueIndirect | (pci ? kQueuePci : 0));
  for (std::size_t i = 0; i < lanes(); ++i) lay_out(lane(i), kDefaultSize, flags);
  ring_features_ = ring_features(lane(0).pending);
  connect_transport(pci);
  bring_up();
}

void DeviceHarness::activate(Lane& lane) {
  ring_features_ = ring_features(lane.pending);
  const bool pci = starts_on_pci() || (lane.flags & kQueuePci) != 0;
  if (pci != pci_) connect_transport(pci);
  bring_up();
}

void DeviceHarness::connect_transport(bool pci) {
  transport_.reset();  // the life cycle has one at a time
  transport_ = pci ? pci_transport(*lifecycle_, *lifecycle_model_)
                   : mmio_transport(*lifecycle_, *lifecycle_model_);
  pci_ = pci;
}

void DeviceHarness::bring_up() {
  if (pci_) depth_.count(on_pci_);
  script_.clear();
  queues_.clear();
  for (std::size_t i = 0; i < lanes(); ++i) queues_.push_back(lane(i).pending);
  transport_->bring_up(wanted_features_ | ring_features_, queues_, script_);
  run_script();
  woken_ = false;  // for the driver before, when this one set Bus Master; the reset is past that
  count_activation(lifecycle_->running());
  settled();
}

void DeviceHarness::run_script() {
  std::vector<ModelError> expected;
  step(
      [&] {
        for (std::size_t i = 0; i < script_.size(); ++i) {
          const auto bytes = bytes_of(script_[i].value);
          const auto data = std::span(bytes).first(script_[i].width);
          if (observer_ != nullptr) observer_->writing_register(script_[i].place.at, data);
          const auto done = transport_->write(script_[i].place, data);
          compare_errors(kModelAgreement, "a driver's write", error_of(done), expected[i]);
          if (!done) note(done.error());
        }
      },
      [&] {
        for (const auto& each : script_) {
          const auto bytes = bytes_of(each.value);
          expected.push_back(
              transport_->write_model(each.place, bytes_of_model(bytes).first(each.width)));
        }
      });
  notice_activations();
}

void DeviceHarness::write(DeviceTransport::Place place, std::uint64_t value, std::size_t width) {
  // On the heap and of the exact size: AddressSanitizer sees what is read past it.
  const auto all = bytes_of(value);
  const std::vector<std::byte> bytes(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(width));
  if (observer_ != nullptr) observer_->writing_register(place.at, bytes);
  ModelError expected;
  auto done = Result<void>();
  step([&] { done = transport_->write(place, bytes); },
       [&] { expected = transport_->write_model(place, bytes_of_model(bytes)); });
  compare_errors(kModelAgreement, "a write", error_of(done), expected);
  depth_.count(done ? accesses_ : refused_accesses_);
  if (!done) note(done.error());
  notice_activations();
}

void DeviceHarness::read(DeviceTransport::Place place, std::size_t width) {
  std::vector<std::byte> bytes(width, std::byte{0xa5});
  std::vector<std::uint8_t> model(width, 0x5a);
  ModelError expected;
  auto done = Result<void>();
  step([&] { done = transport_->read(place, bytes); },
       [&] { expected = transport_->read_model(place, model); });
  compare_errors(kModelAgreement, "a read", error_of(done), expected);
  if (!std::ranges::equal(bytes_of_model(bytes), model))
    violated(kModelAgreement, "a read at " + hex(place.at) + " gets other bytes than the model's");
  if (observer_ != nullptr) observer_->register_read(place.at, bytes);
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
  const auto named = transport_->named(record.next, record.index);
  const auto width = record.length == 0 ? named.width : 1 + (record.length - 1) % 8;
  if (record.kind % 2 == 0)
    write(named.place, record.value, width);
  else
    read(named.place, width);
  work();
}

void DeviceHarness::kick(Lane& lane, std::uint32_t) {
  lane.fresh = false;
  count_kick();
  const auto notification = transport_->notification(index_of(lane));
  write(notification.place, notification.value, notification.width);
  work();
}

void DeviceHarness::work() {
  const auto& life = *lifecycle_model_;
  const bool something =
      life.host_waits || std::ranges::any_of(life.queues, &LifecycleModel::Queue::kicked);
  const bool waiting = life.serving() && something;
  if (life.running() && woken_ != waiting)
    violated(kLiveness, woken_ ? "the device is woken for nothing" : "the device is not woken");
  if (life.running() && something && !waiting) {
    depth_.count(kept_away_);
    woken_ = true;  // its thread may be about to look: there is nothing for it then
  }
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
  observer_->settled(*lifecycle_, transport_->interrupt_status(), busy);
}

void DeviceHarness::save(Lane& lane) {
  std::vector<std::uint8_t> expected;
  auto state = Result<std::vector<std::byte>>();
  step([&] { state = lifecycle_->save(); },
       [&] {
         settle_model(Settle::kSave);
         expected = transport_->save_model();
         const auto life = lifecycle_model_->save();
         expected.insert(expected.end(), life.begin(), life.end());
       });
  if (!state) violated(kRoundTrip, "saving fails: " + state.error().message());
  count_save();
  saved() = transport_->save();
  saved().insert(saved().end(), state->begin(), state->end());
  const auto bytes = std::as_bytes(std::span(expected));
  if (!std::ranges::equal(saved(), bytes))
    violated(kRoundTrip,
             "the saved state differs from the model's in byte " +
                 std::to_string(std::ranges::mismatch(saved(), bytes).in1 - saved().begin()));
  restore(lane);
  if (!restored_) violated(kRoundTrip, "what was just saved cannot be restored");
}

void DeviceHarness::restore(Lane&) {
  // A copy of exactly its size: AddressSanitizer sees what is read past it.
  const auto exact = saved();
  const auto outside = std::span(exact).first(std::min(exact.size(), transport_->state_bytes()));
  const auto life = std::span(exact).subspan(outside.size());
  ModelError refusal;
  auto done = Result<void>();
  step(
      [&] {
        done = lifecycle_->restore(life);
        if (done) done = transport_->restore(outside);
        compare_errors(kRoundTrip, "restoring", error_of(done), refusal);
        if (!done) lifecycle_->reset();
      },
      [&] {
        refusal = lifecycle_model_->restore(bytes_of_model(life));
        if (refusal.none()) refusal = transport_->restore_model(bytes_of_model(outside));
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
  // Woken by the life cycle, perhaps, before its transport had the word.
  if (!lifecycle_model_->serving()) woken_ = false;
  work();
}

void DeviceHarness::host_ready() {
  if (lifecycle_model_->running() && !lifecycle_model_->serving()) depth_.count(kept_away_);
  Turn model;
  do {
    auto done = Result<bool>();
    model = {};
    step([&] { done = lifecycle_->host_ready(); },
         [&] {
           if (lifecycle_model_->hear_host()) model = serve_host_model();
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
  if (lifecycle_model_->serving() && lifecycle_model_->host_waits) {
    all = serve_host_model();
    lifecycle_model_->host_waits = all.more;
    if (end_model_turn()) return {};
  }
  for (std::size_t i = 0; i < lanes() && lifecycle_model_->serving(); ++i) {
    auto& queue = lifecycle_model_->queues[i];
    if (!std::exchange(queue.kicked, false)) continue;
    const auto turn = serve_model(lane(i), lane(i).model.setup().size + 1U);
    queue.kicked = turn.more;
    all.more |= turn.more;
    if (end_model_turn()) return {};
  }
  return all;
}

std::uint16_t DeviceHarness::index_of(const Lane& lane) {
  std::uint16_t index = 0;
  while (&this->lane(index) != &lane) ++index;
  return index;
}

void DeviceHarness::model_notifies(Lane& lane) {
  lifecycle_model_->notify_used(index_of(lane));
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

void DeviceHarness::compare_outside_memory() {
  const auto& model = *lifecycle_model_;
  compare_numbers("the status", lifecycle_->status(), model.status);
  compare_numbers("the driver's features", lifecycle_->driver_features(), model.accepted);
  compare_numbers("running()", lifecycle_->running(), model.running());
  compare_numbers("serving()", lifecycle_->serving(), model.serving());
  compare_numbers("the configuration's generation", lifecycle_->config_generation(),
                  model.generation);
  for (std::uint32_t i = 0; i < lanes(); ++i)
    compare_numbers("whether a queue is enabled", lifecycle_->queue_config(i)->ready(),
                    model.queues[i].ready);
  for (auto left = transport_->compare(); left != 0; --left) depth_.count(interrupts_);
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
