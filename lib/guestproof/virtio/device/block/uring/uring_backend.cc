#include "guestproof/virtio/device/block/uring/uring_backend.h"

#ifdef GUESTPROOF_HAS_LIBURING

#include <fcntl.h>
#include <liburing.h>
#include <sched.h>

#include <array>
#include <cerrno>
#include <vector>

#include "guestproof/base/invariant.h"
#include "guestproof/virtio/device/block/error.h"

namespace guestproof::virtio::block {
namespace {

using Kind = Operation::Kind;

std::unexpected<Error> failed(SystemError what, int error) {
  return fail(what, static_cast<std::uint64_t>(-error));
}

/// The system calls that the ring's operations stand for.
SystemError error_of(Kind kind) {
  switch (kind) {
    case Kind::kRead:
      return SystemError::kRead;
    case Kind::kWrite:
      return SystemError::kWrite;
    case Kind::kFlush:
      return SystemError::kSync;
    default:
      return SystemError::kAllocate;
  }
}

/// Errors: BlockConfigError::kRingOperation, SystemError::kRing.
Result<void> check_operations(::io_uring& ring) {
  const std::unique_ptr<::io_uring_probe, decltype(&::io_uring_free_probe)> probe(
      ::io_uring_get_probe_ring(&ring), &::io_uring_free_probe);
  if (probe == nullptr) return fail(SystemError::kRing, ENOSYS);
  for (const int code : {IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE})
    if (::io_uring_opcode_supported(probe.get(), code) == 0)
      return fail(BlockConfigError::kRingOperation, static_cast<std::uint64_t>(code));
  return {};
}

class UringBackend final : public AsyncBackend {
 public:
  /// REQUIRES: open() succeeds before anything else.
  explicit UringBackend(std::uint32_t depth) : depth_(depth) {}
  ~UringBackend() override;

  [[nodiscard]] Result<void> open();
  void take(FileBackend file) { file_.emplace(std::move(file)); }

  [[nodiscard]] std::uint64_t size() const override { return file_->size(); }
  [[nodiscard]] bool read_only() const override { return file_->read_only(); }
  [[nodiscard]] std::uint32_t depth() const override { return depth_; }
  /// The ring itself can be polled.
  [[nodiscard]] int completion_fd() const override { return ring_.ring_fd; }
  [[nodiscard]] std::optional<OperationResult> submit(const Operation& operation) override;
  [[nodiscard]] Result<void> dispatch() override;
  [[nodiscard]] std::size_t reap(std::span<Completion> into) override;
  void wait() override;

 private:
  [[nodiscard]] bool in_ring(const Operation& operation) const;
  /// Fills a submission for `pending_[index]`.
  void prepare(std::size_t index);
  /// The result for the engine; nothing when the operation goes on.
  [[nodiscard]] std::optional<OperationResult> result_of(std::size_t index, int answer);

  std::uint32_t depth_;
  std::optional<FileBackend> file_;
  ::io_uring ring_{};
  bool open_ = false;
  std::vector<Operation> pending_;
  std::vector<std::size_t> free_;  // of pending_
};

Result<void> UringBackend::open() {
  if (const int error = ::io_uring_queue_init(depth_, &ring_, 0); error != 0)
    return failed(SystemError::kRing, error);
  open_ = true;
  pending_.resize(depth_);
  for (std::size_t i = depth_; i-- > 0;) free_.push_back(i);
  return check_operations(ring_);
}

UringBackend::~UringBackend() {
  std::array<Completion, 16> lost;
  while (open_ && free_.size() != pending_.size()) {
    wait();
    static_cast<void>(reap(lost));
  }
  if (open_) ::io_uring_queue_exit(&ring_);
}

bool UringBackend::in_ring(const Operation& operation) const {
  const bool range = operation.kind == Kind::kDiscard || operation.kind == Kind::kWriteZeroes;
  return operation.kind != Kind::kSecureErase && !(range && file_->block_device());
}

std::optional<OperationResult> UringBackend::submit(const Operation& operation) {
  if (!in_ring(operation)) return ImmediateBackend(*file_).submit(operation);
  GUESTPROOF_INVARIANT(!free_.empty());
  const auto index = free_.back();
  free_.pop_back();
  pending_[index] = operation;
  prepare(index);
  return std::nullopt;
}

void UringBackend::prepare(std::size_t index) {
  // There are as many entries as operations.
  auto* entry = ::io_uring_get_sqe(&ring_);
  GUESTPROOF_INVARIANT(entry != nullptr);
  const auto& operation = pending_[index];
  const auto& parts = operation.parts;
  const auto count = static_cast<unsigned>(parts.size());
  switch (operation.kind) {
    case Kind::kRead:
      ::io_uring_prep_readv(entry, file_->fd(), parts.data(), count, operation.offset);
      break;
    case Kind::kWrite:
      ::io_uring_prep_writev(entry, file_->fd(), parts.data(), count, operation.offset);
      break;
    case Kind::kFlush:
      ::io_uring_prep_fsync(entry, file_->fd(), IORING_FSYNC_DATASYNC);
      break;
    default: {
      const bool hole = operation.kind == Kind::kDiscard || operation.may_unmap;
      ::io_uring_prep_fallocate(
          entry, file_->fd(),
          FALLOC_FL_KEEP_SIZE | (hole ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE),
          static_cast<::off_t>(operation.offset), static_cast<::off_t>(operation.length));
    }
  }
  ::io_uring_sqe_set_data64(entry, index);
}

Result<void> UringBackend::dispatch() {
  while (::io_uring_sq_ready(&ring_) != 0) {
    const int count = ::io_uring_submit(&ring_);
    if (count <= 0 && count != -EINTR) return failed(SystemError::kSubmit, count);
  }
  return {};
}

std::size_t UringBackend::reap(std::span<Completion> into) {
  std::size_t count = 0;
  for (::io_uring_cqe* entry = nullptr;
       count != into.size() && ::io_uring_peek_cqe(&ring_, &entry) == 0;) {
    const auto index = static_cast<std::size_t>(::io_uring_cqe_get_data64(entry));
    const int answer = entry->res;
    ::io_uring_cqe_seen(&ring_, entry);
    const auto result = result_of(index, answer);
    if (!result) continue;
    into[count++] = {pending_[index].token, *result};
    free_.push_back(index);
  }
  return count;
}

std::optional<OperationResult> UringBackend::result_of(std::size_t index, int answer) {
  const auto& operation = pending_[index];
  if (answer >= 0) return static_cast<std::size_t>(answer);
  if (answer == -EINTR || answer == -EAGAIN) {
    prepare(index);
    return std::nullopt;
  }
  if (answer == -EOPNOTSUPP && operation.kind == Kind::kDiscard) return 0;
  if (answer == -EOPNOTSUPP && operation.kind == Kind::kWriteZeroes)
    return ImmediateBackend(*file_).submit(operation);
  return failed(error_of(operation.kind), answer);
}

void UringBackend::wait() {
  while (::io_uring_cq_ready(&ring_) == 0) {
    const int count = ::io_uring_submit_and_wait(&ring_, 1);
    // The kernel has no memory for what was submitted last; it will have some.
    if (count == -EAGAIN || count == -EBUSY) ::sched_yield();
  }
}

}  // namespace

Result<std::unique_ptr<AsyncBackend>> make_uring_backend(FileBackend&& file, std::uint32_t depth) {
  auto backend = std::make_unique<UringBackend>(depth);
  if (const auto opened = backend->open(); !opened) return std::unexpected(opened.error());
  backend->take(std::move(file));
  return backend;
}

}  // namespace guestproof::virtio::block

#else

#include <cerrno>

namespace guestproof::virtio::block {

Result<std::unique_ptr<AsyncBackend>> make_uring_backend(FileBackend&&, std::uint32_t) {
  return fail(SystemError::kRing, ENOSYS);
}

}  // namespace guestproof::virtio::block

#endif
