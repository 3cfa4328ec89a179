#include "guestproof/testing/harness/rng_harness.h"

#include <errno.h>

#include <algorithm>

namespace guestproof::testing {

Result<std::size_t> ScriptedEntropy::fill(std::span<std::byte> out) {
  if (left == 0 && fails) return fail(SystemError::kRead, EIO);
  const auto given = std::min<std::uint64_t>(out.size(), left);
  for (auto& byte : out.first(given)) byte = always_.value_or(std::byte{next_++});
  if (left != UINT64_MAX) left -= given;
  return given;
}

void ScriptedEntropy::reset() {
  left = UINT64_MAX;
  fails = false;
  next_ = 0;
}

RngHarness::RngHarness(std::optional<std::byte> entropy)
    : DeviceHarness(1), source_(entropy), model_source_(entropy), model_([this](std::size_t most) {
        RngModel::Given given;
        std::vector<std::byte> bytes(most);
        const auto got = model_source_.fill(bytes);
        if (!got) given.error = {"system.read"};
        for (const auto byte : std::span(bytes).first(got.value_or(0)))
          given.bytes.push_back(std::to_integer<std::uint8_t>(byte));
        return given;
      }) {
  connect(device_, model_);
  requests_ = depth_.add("request:asked");
  filled_ = depth_.add("request:filled");
  cut_ = depth_.add("request:cut");
  depth_.add_errors<virtio::rng::RngError>();
}

void RngHarness::reset_device() {
  source_.reset();
  model_source_.reset();
}

void RngHarness::request(Lane& lane, const Record& record) {
  RequestShape shape;
  shape.cut = record.width;
  shape.flags = record.flags;
  shape.data = address_of(lane, record);
  shape.writable_data = record.length == 0 ? 64 : record.length % 4097;
  if ((record.flags & kRequestRaw) != 0) {
    shape.writable_data = std::min<std::uint32_t>(record.length, 100000);
    shape.readable_data = record.extra % 256;
  }
  publish_request(lane, shape);
}

DeviceHarness::Turn RngHarness::serve_model(Lane& lane, std::uint32_t looks) {
  return model_turn(
      lane, looks, [&] { return model_.ready(); },
      [&](const ModelChain& chain) {
        const auto answer = model_.serve(world().model(), chain);
        if (!answer.error.none()) expect_refusal(answer.error);
        depth_.count(requests_);
        if (answer.used != 0) depth_.count(answer.used < chain.writable_bytes() ? cut_ : filled_);
        return answer.used;
      });
}

DeviceHarness::Turn RngHarness::serve_host_model() {
  auto& only = lane(0);
  if (!only.model.active()) return {};
  return serve_model(only, only.model.setup().size + 1U);
}

void RngHarness::host_event(std::uint8_t kind, const Record& record) {
  for (auto* source : {&source_, &model_source_}) {
    source->left = kind == 2 ? UINT64_MAX : record.value % 1024;
    source->fails = kind == 1;
  }
  if (kind == 2) host_ready();
}

}  // namespace guestproof::testing
