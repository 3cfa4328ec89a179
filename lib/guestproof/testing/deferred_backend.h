// Storage that does nothing until it is told to: operations are executed on another back end in the
// order that a test or a scenario chooses, at the moment that it chooses.
//
// Thread-safety: none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>

#include "guestproof/base/invariant.h"
#include "guestproof/virtio/device/block/async_backend.h"

namespace guestproof::testing {

class DeferredBackend : public virtio::block::AsyncBackend {
 public:
  using Operation = virtio::block::Operation;
  using Completion = virtio::block::Completion;
  using OperationResult = virtio::block::OperationResult;

  /// `backend` must outlive this.
  explicit DeferredBackend(virtio::block::Backend& backend, std::uint32_t depth = 256)
      : storage_(backend), depth_(depth) {}

  /// What was submitted and is not done, oldest first.
  [[nodiscard]] const std::deque<Operation>& pending() const { return pending_; }
  /// Executes none of them any more: they all fail.
  void fail_all(const Error& error) {
    for (const auto& operation : pending_)
      done_.push_back({operation.token, std::unexpected(error)});
    pending_.clear();
  }
  /// Executes one of them; reap() has its result from then on. REQUIRES: index < pending().size().
  void finish(std::size_t index) {
    const auto operation = pending_.at(index);
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(index));
    done_.push_back({operation.token, storage_.submit(operation).value()});
  }
  /// Whether dispatch() was called since the last operation was submitted.
  [[nodiscard]] bool dispatched() const { return dispatched_; }
  void fail_dispatch(const Error& error) { dispatch_error_ = error; }

  [[nodiscard]] std::uint64_t size() const override { return storage_.size(); }
  [[nodiscard]] bool read_only() const override { return storage_.read_only(); }
  [[nodiscard]] std::uint32_t depth() const override { return depth_; }
  [[nodiscard]] int completion_fd() const override { return -1; }
  [[nodiscard]] std::optional<OperationResult> submit(const Operation& operation) override {
    GUESTPROOF_INVARIANT(pending_.size() + done_.size() < depth_);
    pending_.push_back(operation);
    dispatched_ = false;
    return std::nullopt;
  }
  [[nodiscard]] Result<void> dispatch() override {
    dispatched_ = true;
    if (dispatch_error_) return std::unexpected(*dispatch_error_);
    return {};
  }
  [[nodiscard]] std::size_t reap(std::span<Completion> into) override {
    const auto count = std::min(into.size(), done_.size());
    std::copy_n(done_.begin(), count, into.begin());
    done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }
  /// Executes the oldest.
  void wait() override {
    if (done_.empty()) finish(0);
  }

 private:
  virtio::block::ImmediateBackend storage_;
  std::uint32_t depth_;
  std::deque<Operation> pending_;
  std::deque<Completion> done_;
  bool dispatched_ = true;
  std::optional<Error> dispatch_error_;
};

}  // namespace guestproof::testing
