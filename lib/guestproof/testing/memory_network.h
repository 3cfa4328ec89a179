// A network back end in memory that does what a network does on a bad day: takes nothing now, loses
// its carrier, gives frames of any length with any header. It writes down what it was sent.
//
// Thread-safety: none.
#pragma once

#include <errno.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "guestproof/base/invariant.h"
#include "guestproof/virtio/device/net/backend.h"

namespace guestproof::testing {

class MemoryNetwork final : public virtio::net::NetBackend {
 public:
  using Bytes = std::vector<std::byte>;
  struct Sent {
    std::uint16_t pair = 0;
    Bytes bytes;  // the header and the frame
    friend bool operator==(const Sent&, const Sent&) = default;
  };

  explicit MemoryNetwork(std::uint16_t max_pairs = 1) : arriving_(max_pairs) {}

  /// A header and a frame arrive; they need not be either.
  void arrive(std::uint16_t pair, Bytes bytes) { arriving_[pair].push_back(std::move(bytes)); }
  [[nodiscard]] std::size_t arriving(std::uint16_t pair) const { return arriving_[pair].size(); }
  void drop_arriving(std::uint16_t pair) { arriving_[pair].clear(); }
  [[nodiscard]] const std::vector<Sent>& sent() const { return sent_; }
  void clear_sent() { sent_.clear(); }

  /// It takes `frames` more and then none.
  void block_after(std::size_t frames) { takes_ = frames; }
  void unblock() { takes_ = SIZE_MAX; }
  /// Every call that can fails, from now on.
  void fail_with(std::optional<Error> error) { error_ = error; }

  [[nodiscard]] std::uint64_t guest_offloads() const { return guest_offloads_; }
  [[nodiscard]] std::uint16_t pairs() const { return pairs_; }
  [[nodiscard]] int acknowledged() const { return acknowledged_; }

  [[nodiscard]] std::uint16_t max_pairs() const override {
    return static_cast<std::uint16_t>(arriving_.size());
  }
  [[nodiscard]] std::uint64_t offloads() const override {
    return virtio::net::kHostOffloads | virtio::net::kGuestOffloads;
  }
  [[nodiscard]] Result<void> set_offloads(std::uint64_t guest) override {
    GUESTPROOF_INVARIANT((guest & ~virtio::net::kGuestOffloads) == 0);
    if (error_) return std::unexpected(*error_);
    guest_offloads_ = guest;
    return {};
  }
  [[nodiscard]] Result<void> set_pairs(std::uint16_t pairs) override {
    GUESTPROOF_INVARIANT(pairs >= 1 && pairs <= max_pairs());
    if (error_) return std::unexpected(*error_);
    pairs_ = pairs;
    return {};
  }
  [[nodiscard]] Result<bool> send(std::uint16_t pair, std::span<const ::iovec> parts) override {
    GUESTPROOF_INVARIANT(parts.size() >= 2);
    GUESTPROOF_INVARIANT(parts.front().iov_len == sizeof(virtio::net::VirtioNetHdr));
    if (const auto ok = in_use(pair); !ok) return std::unexpected(ok.error());
    if (takes_ == 0) return false;
    if (takes_ != SIZE_MAX) --takes_;
    Sent frame{.pair = pair, .bytes = {}};
    for (const auto& part : parts) {
      const auto* const from = static_cast<const std::byte*>(part.iov_base);
      frame.bytes.insert(frame.bytes.end(), from, from + part.iov_len);
    }
    sent_.push_back(std::move(frame));
    return true;
  }
  [[nodiscard]] Result<std::optional<std::size_t>> receive(std::uint16_t pair,
                                                           std::span<std::byte> into) override {
    if (const auto ok = in_use(pair); !ok) return std::unexpected(ok.error());
    if (arriving_[pair].empty()) return std::nullopt;
    const auto bytes = std::move(arriving_[pair].front());
    arriving_[pair].pop_front();
    const auto length = std::min(bytes.size(), into.size());
    std::copy_n(bytes.begin(), length, into.begin());
    return length;
  }
  [[nodiscard]] int host_fd() const override { return 12; }
  void acknowledge() override { ++acknowledged_; }

 private:
  [[nodiscard]] Result<void> in_use(std::uint16_t pair) const {
    if (error_) return std::unexpected(*error_);
    if (pair >= pairs_) return fail(SystemError::kWrite, EBADFD);
    return {};
  }

  std::vector<std::deque<Bytes>> arriving_;
  std::vector<Sent> sent_;
  std::size_t takes_ = SIZE_MAX;
  std::optional<Error> error_;
  std::uint64_t guest_offloads_ = 0;
  std::uint16_t pairs_ = 1;
  int acknowledged_ = 0;
};

}  // namespace guestproof::testing
