#include "guestproof/testing/harness/balloon_harness.h"

#include <errno.h>

#include <algorithm>

namespace guestproof::testing {
namespace {

using What = BalloonEvent::What;

void append_number(std::vector<std::byte>& out, std::uint64_t number, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) out.push_back(static_cast<std::byte>(number >> 8 * i));
}

}  // namespace

bool ScriptedBalloon::note(const BalloonEvent& event) {
  events.push_back(event);
  if (event.what == What::kStatistics || !fails_after) return true;
  if (*fails_after == 0) {
    fails_after.reset();
    return false;
  }
  --*fails_after;
  return true;
}

Result<void> ScriptedBalloon::note(What what, const PageRange& range) {
  if (note(
          {.what = what, .address = range.address.raw(), .length = range.length, .statistics = {}}))
    return {};
  return fail(SystemError::kDiscard, EIO);
}

Result<void> ScriptedBalloon::inflate(const PageRange& pages) {
  return note(What::kInflate, pages);
}
Result<void> ScriptedBalloon::deflate(const PageRange& pages) {
  return note(What::kDeflate, pages);
}
Result<void> ScriptedBalloon::report(const PageRange& range) { return note(What::kReport, range); }
Result<void> ScriptedBalloon::hint(const PageRange& range) { return note(What::kHint, range); }
void ScriptedBalloon::statistics(const virtio::balloon::Statistics& statistics) {
  note({.what = What::kStatistics, .address = 0, .length = 0, .statistics = statistics});
}

void ScriptedBalloon::reset() {
  events.clear();
  fails_after.reset();
}

BalloonHarness::BalloonHarness()
    : DeviceHarness(5),
      model_([this] { return lifecycle_model().features(); },
             [this](std::size_t queue) { return lane(queue).model.active(); },
             [this](const BalloonEvent& event) { return model_backend_.note(event); }) {
  connect(device_, model_);
  fresh_ = lifecycle().save().value();
  events_ = {depth_.add("pages:inflated"), depth_.add("pages:deflated"),
             depth_.add("pages:reported"), depth_.add("pages:hinted"),
             depth_.add("statistics:heard")};
  returned_ = depth_.add("statistics:returned");
  numbered_ = depth_.add("queue:numbered_by_the_specification");
  ignored_ = depth_.add("hints:ignored");
  depth_.add_errors<virtio::balloon::BalloonError>();
}

void BalloonHarness::reset_device() {
  GUESTPROOF_INVARIANT(lifecycle().restore(fresh_));
  const auto bytes = std::span(reinterpret_cast<const std::uint8_t*>(fresh_.data()), fresh_.size());
  GUESTPROOF_INVARIANT(lifecycle_model().restore(bytes).none());
  backend_.reset();
  model_backend_.reset();
}

void BalloonHarness::request(Lane& lane, const Record& record) {
  RequestShape shape;
  shape.cut = record.width;
  shape.flags = record.flags;
  shape.data = address_of(lane, record);
  payload_.clear();
  const bool raw = (record.flags & kRequestRaw) != 0;
  switch (index_of(lane)) {
    case 0:
    case 1:
      request_pages(record, shape);
      break;
    case 2:
      request_statistics(record, shape);
      break;
    case 3:
      request_hints(record, shape);
      break;
    default:
      shape.writable_data = record.length == 0 && !raw ? 4096 : record.length % 16385;
      if (raw) shape.readable_data = record.extra % 256;
  }
  shape.payload = payload_;
  publish_request(lane, shape);
}

void BalloonHarness::request_pages(const Record& record, RequestShape& shape) {
  if ((record.flags & kRequestRaw) != 0) {
    shape.readable_data = std::min<std::uint32_t>(record.length, 20000);
    shape.writable_data = record.extra % 256;
    append_number(payload_, record.value, record.value == 0 ? 0 : 8);
    return;
  }
  const std::uint32_t count = record.length == 0 ? 1 : record.length % 65;
  constexpr std::array kSteps{1, -1, 0, 2};
  auto page = static_cast<std::int64_t>(record.value % 64);
  for (std::uint32_t i = 0; i < count; ++i, page += kSteps[record.kind % 4])
    append_number(payload_, static_cast<std::uint64_t>(page), 4);
  shape.readable_data = static_cast<std::uint32_t>(payload_.size());
}

void BalloonHarness::request_statistics(const Record& record, RequestShape& shape) {
  if ((record.flags & kRequestRaw) != 0) {
    shape.readable_data = std::min<std::uint32_t>(record.length, 4000);
    shape.writable_data = record.extra % 256;
    return;
  }
  for (std::uint32_t i = 0; i < record.length % 32; ++i) {
    append_number(payload_, (record.index + i) % 12, 2);
    append_number(payload_, record.value * (i + 1), 8);
  }
  shape.readable_data = static_cast<std::uint32_t>(payload_.size());
}

void BalloonHarness::request_hints(const Record& record, RequestShape& shape) {
  const bool raw = (record.flags & kRequestRaw) != 0;
  const auto kind = record.kind % 3;
  if (kind != 1) append_number(payload_, raw ? 0 : model_.command() + record.value, 4);
  shape.readable_data = static_cast<std::uint32_t>(payload_.size());
  if (raw) shape.readable_data += record.next % 256;
  if (kind != 0) shape.writable_data = record.length == 0 && !raw ? 4096 : record.length % 8193;
}

DeviceHarness::Turn BalloonHarness::serve_model(Lane& lane, std::uint32_t looks) {
  const auto queue = index_of(lane);
  const auto role = model_.role(queue);
  if (role == Role::kStatistics) return serve_statistics(looks);
  if (queue >= 2 && role != Role::kNone && !model_.has(1)) depth_.count(numbered_);
  return model_turn(lane, looks, [&](const ModelChain& chain) {
    const auto before = model_backend_.events.size();
    auto why = model_.serve(world().model(), chain, role);
    if (role == Role::kNone && why.none())
      why = {"balloon.no_queue", queue, lifecycle_model().accepted};
    if (!why.none()) expect_refusal(why);
    if (role == Role::kHints && chain.writable_bytes() != 0 && why.none() &&
        model_backend_.events.size() == before)
      depth_.count(ignored_);
    return 0U;
  });
}

DeviceHarness::Turn BalloonHarness::serve_statistics(std::uint32_t looks) {
  auto& only = lane(2);
  return model_turn(only, looks, [&](const ModelChain& chain) -> std::optional<std::uint32_t> {
    if (model_.kept) {
      expect_refusal({"balloon.statistics_twice"});
      only.model.give_back(*model_.kept, 0);
      model_.kept.reset();
    }
    if (!chain.fault.none()) {
      expect_refusal(chain.fault);
      return 0U;
    }
    if (!std::exchange(model_.statistics_seen, false))
      if (const auto why = model_.hear(world().model(), chain); !why.none()) expect_refusal(why);
    model_.kept = chain;
    return std::nullopt;
  });
}

DeviceHarness::Turn BalloonHarness::serve_host_model() {
  auto& queue = lane(2);
  if (!std::exchange(model_.wanted, false) || !model_.has(1) || !queue.model.active()) return {};
  const auto turn = serve_statistics(queue.model.setup().size + 1U);
  if (!queue.model.broken().none() || !model_.kept) return turn;
  queue.model.give_back(*model_.kept, 0);
  model_.kept.reset();
  depth_.count(returned_);
  return end_turn(queue, turn.more);
}

void BalloonHarness::host_event(std::uint8_t kind, const Record& record) {
  const auto pages = static_cast<std::uint32_t>(record.value);
  switch (kind) {
    case 0:
      step([&] { device_.set_target(pages); },
           [&] {
             model_.set_target(pages);
             lifecycle_model().config_changed();
           });
      return;
    case 1:
      device_.request_statistics();
      model_.wanted = true;
      return host_ready();
    case 2:
      step([&] { device_.start_hinting(); },
           [&] {
             model_.start_hinting();
             lifecycle_model().config_changed();
           });
      return;
    case 3:
    case 4:
      step([&] { kind == 3 ? device_.pause_hinting() : device_.finish_hinting(); },
           [&] {
             model_.set_command(kind == 3 ? 0 : 1);
             lifecycle_model().config_changed();
           });
      return;
    default:
      for (auto* backend : {&backend_, &model_backend_}) backend->fails_after = record.value % 8;
  }
}

void BalloonHarness::settle_model(Settle) {
  if (!model_.kept) return;
  GUESTPROOF_INVARIANT(lane(2).model.put_back(*model_.kept));
  model_.kept.reset();
  model_.statistics_seen = true;
}

void BalloonHarness::compare_devices() {
  if (backend_.events != model_backend_.events)
    violated(kModelAgreement, "the back end is told " + std::to_string(backend_.events.size()) +
                                  " things, the model's " +
                                  std::to_string(model_backend_.events.size()) +
                                  ", and they differ");
  for (const auto& event : backend_.events)
    depth_.count(events_[static_cast<std::size_t>(event.what)]);
  backend_.events.clear();
  model_backend_.events.clear();
}

}  // namespace guestproof::testing
