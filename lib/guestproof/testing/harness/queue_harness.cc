#include "guestproof/testing/harness/queue_harness.h"

#include <algorithm>
#include <utility>

#include "guestproof/testing/harness/chain_access.h"

namespace guestproof::testing {

using virtio::ChainError;
using virtio::QueueConfigError;
using virtio::QueueError;

QueueHarness::QueueHarness(std::string_view target_name)
    : Harness(1, target_name == "queue_packed" ? kQueueIndirect | kQueuePacked : kQueueIndirect),
      name_(target_name) {
  requests_ = depth_.add("request:echo");
  turns_ = depth_.add("device:more");
  taken_ = depth_.add("chain:taken");
  completed_ = depth_.add("chain:completed");
  stale_ = depth_.add("chain:stale");
  dropped_ = depth_.add("chain:dropped");
  put_back_ = depth_.add("chain:put_back");
  accesses_ = depth_.add("chain:read");
  for (const auto* form : {"write", "read_split", "write_split", "read_object", "fill",
                           "read_object_split", "fill_split"})
    depth_.add(std::string("chain:") + form);
  depth_.add_errors<virtio::QueueError>();
  if (name_ == "queue_state") {
    depth_.add_errors<virtio::QueueStateError>();
    return;
  }
  // The maximum size is the harness' own, every activation configures anew, and for the layout
  // that was negotiated.
  depth_.add_errors<QueueConfigError>(
      {QueueConfigError::kMaxSize, QueueConfigError::kReady, QueueConfigError::kLayout});
  depth_.add_errors<ChainError>();
}

void QueueHarness::request(Lane& lane, const Record& record) {
  depth_.count(requests_);
  const le64 header(record.value);
  RequestShape shape;
  shape.header = std::as_bytes(std::span(&header, 1));
  shape.readable_data = record.length % 2048;
  shape.writable_data = record.extra == 0 ? 16 : record.extra % 2048;
  shape.cut = record.width;
  shape.flags = record.flags;
  shape.data = address_of(lane, record);
  publish_request(lane, shape);
}

Harness::Turn QueueHarness::serve(Lane& lane, std::uint32_t looks) {
  std::size_t position = 0;
  const auto turn = process(*lane.queue, looks, [&](const WatchedChain& chain) {
    if (position == served_.size())
      violated(kModelAgreement, "the device took a chain that the model did not");
    compare_chain(chain, served_[position++]);
    count_fault(chain);
  });
  if (turn && position != served_.size())
    violated(kLiveness, "the device left a chain that the model served");
  return counted(turn, turns_);
}

Harness::Turn QueueHarness::serve_model(Lane& lane, std::uint32_t looks) {
  served_.clear();
  return model_turn(lane, looks, [&](const ModelChain& chain) {
    served_.push_back(chain);
    return model_answer(chain);
  });
}

std::uint32_t QueueHarness::model_answer(const ModelChain& chain) const {
  const ModelMemory memory(world().model());
  std::vector<std::uint8_t> question(std::min<std::uint64_t>(chain.readable_bytes(), kEchoLimit));
  if (chain.read(memory, 0, question) != question.size()) return 0;
  std::uint32_t sum = 0;
  for (const auto byte : question) sum += byte;
  std::vector<std::uint8_t> answer(std::min<std::uint64_t>(chain.writable_bytes(), kEchoLimit));
  for (std::size_t i = 0; i < answer.size(); ++i)
    answer[i] = std::to_integer<std::uint8_t>(echo_byte(sum, i));
  return static_cast<std::uint32_t>(chain.write(memory, 0, answer));
}

void QueueHarness::take(Lane& lane, const Record& record) {
  std::vector<ModelChain> expected;
  std::vector<WatchedChain> taken;
  const auto wanted = 1 + record.index % 8U;
  const auto activation = lane.activations;
  step(
      [&] {
        while (taken.size() < wanted) {
          auto popped = lane.queue->pop();
          if (!popped) return count(popped.error());
          if (!*popped) break;
          if (taken.size() == expected.size())
            violated(kModelAgreement, "the device took a chain that the model did not");
          compare_chain(**popped, expected[taken.size()]);
          count_fault(**popped);
          taken.push_back(std::move(**popped));
        }
        if (taken.size() != expected.size())
          violated(kLiveness, "the device left a chain that the model took");
      },
      [&] {
        while (expected.size() < wanted) {
          auto chain = model_take(lane);
          if (!chain) break;
          expected.push_back(std::move(*chain));
        }
      });
  for (std::size_t i = 0; i < taken.size(); ++i) {
    depth_.count(taken_);
    held_.push_back({std::move(taken[i]), std::move(expected[i]), &lane, activation});
  }
}

void QueueHarness::complete(const Record& record) {
  if (held_.empty()) return;
  const auto position = record.index % 0x8000 % held_.size();
  if ((record.index & 0x8000) != 0) return record.length == 0 ? drop(position) : put_back(position);
  Held& held = held_[position];
  const std::uint32_t written = record.length;
  const bool stale = look_again(held);
  const bool fits = written <= held.model.writable_bytes();
  ModelError refusal;
  if (stale)
    refusal = held.model.fault;
  else if (!fits)
    refusal = {"queue.used_length", written, held.model.writable_bytes()};
  step(
      [&] {
        const auto done = held.device.complete(written);
        compare_errors(kModelAgreement, "completing a chain", error_of(done), refusal);
        if (!done) count(done.error());
      },
      [&] {
        permit(held.model);
        if (!stale && fits) held.lane->model.give_back(held.model, written);
      });
  depth_.count(stale ? stale_ : completed_);
  if (stale || fits) held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(position));
}

bool QueueHarness::look_again(Held& held) {
  const bool stale = held.activation != held.lane->activations;
  if (stale) {
    held.model.fault = {"queue.stale_chain", held.model.head};
    held.model.readable.clear();
    held.model.writable.clear();
  }
  compare_chain(held.device, held.model);
  return stale;
}

void QueueHarness::access(const Record& record) {
  if (held_.empty()) return;
  Held& held = held_[record.index % held_.size()];
  look_again(held);
  const ChainAccess wanted(record);
  ModelAccessed expected;
  step(
      [&] {
        const auto accessed = access_device(held.device, wanted);
        compare_access(accessed, expected);
        if (accessed.error) return count(*accessed.error);
        depth_.count(accesses_ + wanted.form());
      },
      [&] {
        permit(held.model);
        expected = access_model(world().model(), held.model, wanted);
      });
}

void QueueHarness::drop(std::size_t position) {
  Held& held = held_[position];
  const bool stale = look_again(held);
  step([&] { const auto gone = std::move(held.device); },
       [&] {
         if (!stale) held.lane->model.give_back(held.model, 0);
       });
  depth_.count(dropped_);
  held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(position));
}

void QueueHarness::put_back(std::size_t position) {
  Held& held = held_[position];
  const bool stale = look_again(held);
  ModelError refusal;
  if (stale) refusal = held.model.fault;
  step(
      [&] {
        const auto done = held.device.put_back();
        compare_errors(kModelAgreement, "putting a chain back", error_of(done), refusal);
        if (!done) count(done.error());
      },
      [&] {
        if (!stale && !held.lane->model.put_back(held.model))
          refusal = {"queue.not_taken_last", held.model.head};
      });
  if (refusal.none()) depth_.count(put_back_);
  if (refusal.none() || stale) held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(position));
}

std::size_t QueueHarness::held(const Lane& lane) const {
  return static_cast<std::size_t>(std::ranges::count_if(held_, [&](const Held& held) {
    return held.lane == &lane && held.activation == lane.activations;
  }));
}

}  // namespace guestproof::testing
