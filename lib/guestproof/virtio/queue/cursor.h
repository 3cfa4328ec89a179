// Reading and writing a chain's bytes across its buffers, without regard to how the driver cut them
// (virtio 1.3 §2.7.4.2: framing is not to be relied upon).
//
// A Reader only reads device-readable buffers, a Writer only writes device-writable ones; neither
// can do the other's work. Both stop with a typed error at the end of the chain and at addresses
// outside guest memory.
//
// Thread-safety: a cursor is a value for one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "guestproof/memory/guest_memory.h"
#include "guestproof/virtio/queue/error.h"

namespace guestproof::virtio {

/// One buffer of a chain, as its descriptor had it. Never empty: descriptors of length 0 are
/// dropped by the walk.
struct Buffer {
  GuestAddress address;
  std::uint32_t length = 0;
};

/// A position in a list of buffers. Reader and Writer give it its direction.
template <GuestMemory M>
class Cursor {
 public:
  [[nodiscard]] std::uint64_t remaining() const { return remaining_; }

 protected:
  using Slice = typename M::Slice;

  Cursor(const M& memory, std::span<const Buffer> buffers, std::uint64_t bytes)
      : memory_(&memory), buffers_(buffers), remaining_(bytes) {}

  /// Calls `visit(slice)` for the next `length` bytes and moves past them. On an error the position
  /// is where the fault is, so remaining() tells how far it got. REQUIRES: length ≤ remaining().
  template <class Visit>
  [[nodiscard]] Result<void> advance(std::uint64_t length, Access access, Visit&& visit) {
    while (length != 0) {
      const auto& buffer = buffers_.front();
      const auto wanted = std::min<std::uint64_t>(length, buffer.length - consumed_);
      const auto start = buffer.address.checked_add(consumed_);
      if (!start) return fail(MemoryError::kAddressOverflow, buffer.address.raw(), consumed_);
      const auto slice = memory_->find(*start, wanted, access);
      if (!slice) return std::unexpected(slice.error());
      visit(*slice);
      length -= slice->size();
      move(slice->size());
    }
    return {};
  }

  void skip_bytes(std::uint64_t length) {
    while (length != 0) {
      const auto step = std::min<std::uint64_t>(length, buffers_.front().length - consumed_);
      length -= step;
      move(step);
    }
  }

  void truncate(std::uint64_t bytes) { remaining_ = std::min(remaining_, bytes); }

 private:
  void move(std::uint64_t step) {
    consumed_ += static_cast<std::uint32_t>(step);
    remaining_ -= step;
    if (consumed_ == buffers_.front().length) {
      buffers_ = buffers_.subspan(1);
      consumed_ = 0;
    }
  }

  const M* memory_;
  std::span<const Buffer> buffers_;
  std::uint64_t remaining_;
  std::uint32_t consumed_ = 0;  // bytes of buffers_.front()
};

template <GuestMemory M>
class Reader : public Cursor<M> {
 public:
  Reader(const M& memory, std::span<const Buffer> buffers, std::uint64_t bytes)
      : Cursor<M>(memory, buffers, bytes) {}

  /// Copies the next out.size() bytes. Errors: ChainError::kReadPastEnd (nothing is read),
  /// MemoryError.
  [[nodiscard]] Result<void> read(std::span<std::byte> out) {
    return visit_slices(out.size(), [&](const typename M::Slice& slice) {
      slice.read(0, out.first(slice.size()));
      out = out.subspan(slice.size());
    });
  }

  /// A private copy of the next sizeof(T) bytes, however they are cut. Errors: as read().
  template <WireObject T>
  [[nodiscard]] Result<T> read_object() {
    T object{};
    const auto done = read(std::as_writable_bytes(std::span(&object, 1)));
    if (!done) return std::unexpected(done.error());
    return object;
  }

  /// Calls `visit(slice)` for the host-contiguous parts of the next `length` bytes; for system
  /// calls that take an iovec. Each part is to be used once. Errors: as read().
  template <class Visit>
  [[nodiscard]] Result<void> visit_slices(std::uint64_t length, Visit&& visit) {
    if (length > this->remaining())
      return fail(ChainError::kReadPastEnd, length, this->remaining());
    return this->advance(length, Access::kRead, visit);
  }

  /// Moves on without looking. Errors: kReadPastEnd.
  [[nodiscard]] Result<void> skip(std::uint64_t length) {
    if (length > this->remaining())
      return fail(ChainError::kReadPastEnd, length, this->remaining());
    this->skip_bytes(length);
    return {};
  }

  /// A reader of the next `length` bytes only; this one moves past them. Errors: kReadPastEnd.
  [[nodiscard]] Result<Reader> split(std::uint64_t length) {
    auto front = *this;
    const auto done = skip(length);
    if (!done) return std::unexpected(done.error());
    front.truncate(length);
    return front;
  }
};

template <GuestMemory M>
class Writer : public Cursor<M> {
 public:
  Writer(const M& memory, std::span<const Buffer> buffers, std::uint64_t bytes)
      : Cursor<M>(memory, buffers, bytes) {}

  /// Copies `in` to the next bytes. Errors: ChainError::kWritePastEnd (nothing is written),
  /// MemoryError.
  [[nodiscard]] Result<void> write(std::span<const std::byte> in) {
    return visit_slices(in.size(), [&](const typename M::Slice& slice) {
      slice.write(0, in.first(slice.size()));
      in = in.subspan(slice.size());
    });
  }

  template <WireObject T>
  [[nodiscard]] Result<void> write_object(const T& object) {
    return write(std::as_bytes(std::span(&object, 1)));
  }

  /// Sets the next `length` bytes to `value`. Errors: as write().
  [[nodiscard]] Result<void> fill(std::uint64_t length, std::byte value) {
    return visit_slices(
        length, [&](const typename M::Slice& slice) { slice.fill(0, slice.size(), value); });
  }

  /// Calls `visit(slice)` for the host-contiguous parts of the next `length` bytes; for system
  /// calls that take an iovec. Errors: as write().
  template <class Visit>
  [[nodiscard]] Result<void> visit_slices(std::uint64_t length, Visit&& visit) {
    if (length > this->remaining())
      return fail(ChainError::kWritePastEnd, length, this->remaining());
    return this->advance(length, Access::kWrite, visit);
  }

  /// Moves on without writing. Errors: kWritePastEnd.
  [[nodiscard]] Result<void> skip(std::uint64_t length) {
    if (length > this->remaining())
      return fail(ChainError::kWritePastEnd, length, this->remaining());
    this->skip_bytes(length);
    return {};
  }

  /// A writer of the next `length` bytes only; this one moves past them. Errors: kWritePastEnd.
  [[nodiscard]] Result<Writer> split(std::uint64_t length) {
    auto front = *this;
    const auto done = skip(length);
    if (!done) return std::unexpected(done.error());
    front.truncate(length);
    return front;
  }
};

}  // namespace guestproof::virtio
