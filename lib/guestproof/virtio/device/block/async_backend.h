// Storage that takes several operations at once and tells of each when it is done, in any order.
// And ImmediateBackend, which makes such storage of any Backend: each operation is done when it is
// submitted.
//
// Thread-safety: none; an AsyncBackend belongs to the engine of one device.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "guestproof/base/error.h"
#include "guestproof/virtio/device/block/backend.h"

namespace guestproof::virtio::block {

/// One piece of work, with the meaning and the requirements of the member of Backend that has its
/// name.
struct Operation {
  enum class Kind : std::uint8_t { kRead, kWrite, kFlush, kDiscard, kWriteZeroes, kSecureErase };

  Kind kind = Kind::kFlush;
  bool may_unmap = false;            // kWriteZeroes
  std::uint64_t token = 0;           // comes back with the result
  std::uint64_t offset = 0;          // in bytes, as length; neither for kFlush
  std::uint64_t length = 0;          // kDiscard, kWriteZeroes, kSecureErase
  std::span<const ::iovec> parts{};  // kRead, kWrite; stay where they are until there is a result
};

/// The bytes that were moved, which may be fewer than were asked for (kRead, kWrite; 0: the storage
/// ends here); any number for the other kinds.
using OperationResult = Result<std::size_t>;

struct Completion {
  std::uint64_t token = 0;
  OperationResult result;
};

class AsyncBackend {
 public:
  AsyncBackend() = default;
  AsyncBackend(const AsyncBackend&) = delete;
  AsyncBackend& operator=(const AsyncBackend&) = delete;
  virtual ~AsyncBackend() = default;

  /// As of Backend.
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  [[nodiscard]] virtual bool read_only() const = 0;
  /// How many operations it takes at once, at least 1.
  [[nodiscard]] virtual std::uint32_t depth() const = 0;
  /// Readable when reap() may find something; −1 when there is nothing to wait for, ever.
  [[nodiscard]] virtual int completion_fd() const = 0;

  /// Takes an operation. The result, when it is there already; otherwise reap() brings it. Nothing
  /// is ordered, except that a flush covers what was done before it was submitted: operations whose
  /// result had been given. REQUIRES: fewer than depth() are in flight.
  [[nodiscard]] virtual std::optional<OperationResult> submit(const Operation& operation) = 0;
  /// What was submitted begins, if it has not. Errors: SystemError::kSubmit, nothing can be
  /// submitted any more; what is in flight ends all the same.
  [[nodiscard]] virtual Result<void> dispatch() = 0;
  /// Takes results that are there, at most as many as `into` has room for; how many. Does not wait.
  [[nodiscard]] virtual std::size_t reap(std::span<Completion> into) = 0;
  /// Waits until reap() finds something. REQUIRES: something is in flight.
  virtual void wait() = 0;
};

class ImmediateBackend : public AsyncBackend {
 public:
  /// `backend` must outlive this.
  explicit ImmediateBackend(Backend& backend) : backend_(&backend) {}

  [[nodiscard]] std::uint64_t size() const override { return backend_->size(); }
  [[nodiscard]] bool read_only() const override { return backend_->read_only(); }
  [[nodiscard]] std::uint32_t depth() const override { return UINT32_MAX; }
  [[nodiscard]] int completion_fd() const override { return -1; }
  /// Always with the result.
  [[nodiscard]] std::optional<OperationResult> submit(const Operation& operation) override;
  [[nodiscard]] Result<void> dispatch() override { return {}; }
  [[nodiscard]] std::size_t reap(std::span<Completion>) override { return 0; }
  void wait() override {}

 private:
  Backend* backend_;
};

}  // namespace guestproof::virtio::block
