// A block back end in memory that does what storage does on a bad day: moves less than it was asked
// to, ends early, or fails with an error from the n-th call on. It writes down every call.
//
// Thread-safety: none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/base/checked.h"
#include "guestproof/base/invariant.h"
#include "guestproof/virtio/device/block/backend.h"

namespace guestproof::testing {

class MemoryBackend final : public virtio::block::Backend {
 public:
  enum class Call : std::uint8_t { kRead, kWrite, kFlush, kDiscard, kZero, kZeroUnmap, kErase };
  struct Record {
    Call call;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;  // as asked for
    friend bool operator==(const Record&, const Record&) = default;
  };

  explicit MemoryBackend(std::size_t size) : bytes_(size), end_(size) {}

  [[nodiscard]] std::span<std::byte> bytes() { return bytes_; }
  [[nodiscard]] const std::vector<Record>& calls() const { return calls_; }
  void clear_calls() { calls_.clear(); }

  void set_read_only() { read_only_ = true; }
  /// No transfer moves more than `limit` bytes.
  void limit_transfers(std::size_t limit) { limit_ = limit; }
  /// The storage shrinks below size(): transfers stop at `end`.
  void end_at(std::uint64_t end) { end_ = end; }
  /// All calls but the next `good` ones fail; nothing is changed by those that do.
  void fail_after(std::uint64_t good, const Error& error) {
    good_calls_ = good;
    error_ = error;
  }

  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] bool read_only() const override { return read_only_; }

  Result<std::size_t> read_at(std::span<const ::iovec> into, std::uint64_t offset) override {
    if (const auto ok = enter(Call::kRead, offset, sum(into)); !ok)
      return std::unexpected(ok.error());
    return transfer(into, offset, [](std::byte* stored, void* guest, std::size_t length) {
      std::memcpy(guest, stored, length);
    });
  }
  Result<std::size_t> write_at(std::span<const ::iovec> from, std::uint64_t offset) override {
    if (const auto ok = enter(Call::kWrite, offset, sum(from)); !ok)
      return std::unexpected(ok.error());
    return transfer(from, offset, [](std::byte* stored, const void* guest, std::size_t length) {
      std::memcpy(stored, guest, length);
    });
  }
  Result<void> flush() override { return enter(Call::kFlush, 0, 0); }
  /// The old contents are gone, visibly.
  Result<void> discard(std::uint64_t offset, std::uint64_t length) override {
    return set(Call::kDiscard, offset, length, std::byte{0xdd});
  }
  Result<void> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) override {
    return set(may_unmap ? Call::kZeroUnmap : Call::kZero, offset, length, std::byte{0});
  }
  Result<void> secure_erase(std::uint64_t offset, std::uint64_t length) override {
    return set(Call::kErase, offset, length, std::byte{0});
  }

 private:
  static std::uint64_t sum(std::span<const ::iovec> parts) {
    std::uint64_t bytes = 0;
    for (const auto& part : parts) bytes += part.iov_len;
    return bytes;
  }

  Result<void> enter(Call call, std::uint64_t offset, std::uint64_t length) {
    GUESTPROOF_INVARIANT(range_within<std::uint64_t>(offset, length, bytes_.size()));
    calls_.push_back({call, offset, length});
    if (!error_) return {};
    if (good_calls_ == 0) return std::unexpected(*error_);
    --good_calls_;
    return {};
  }

  template <class Move>
  std::size_t transfer(std::span<const ::iovec> parts, std::uint64_t offset, Move move) {
    GUESTPROOF_INVARIANT(!parts.empty());
    std::uint64_t left = std::min<std::uint64_t>(limit_, end_ - std::min(end_, offset));
    const auto begin = offset;
    for (const auto& part : parts) {
      GUESTPROOF_INVARIANT(part.iov_len != 0);
      const auto step = std::min<std::uint64_t>(left, part.iov_len);
      if (step == 0) break;
      move(bytes_.data() + offset, part.iov_base, step);
      offset += step;
      left -= step;
    }
    return offset - begin;
  }

  Result<void> set(Call call, std::uint64_t offset, std::uint64_t length, std::byte value) {
    const auto ok = enter(call, offset, length);
    if (ok) std::ranges::fill(std::span(bytes_).subspan(offset, length), value);
    return ok;
  }

  std::vector<std::byte> bytes_;
  std::vector<Record> calls_;
  std::uint64_t end_;
  std::size_t limit_ = SIZE_MAX;
  std::uint64_t good_calls_ = 0;
  std::optional<Error> error_;
  bool read_only_ = false;
};

}  // namespace guestproof::testing
