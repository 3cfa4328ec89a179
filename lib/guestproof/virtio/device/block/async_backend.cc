#include "guestproof/virtio/device/block/async_backend.h"

namespace guestproof::virtio::block {
namespace {

OperationResult without_bytes(const Result<void>& done) {
  if (!done) return std::unexpected(done.error());
  return 0;
}

}  // namespace

std::optional<OperationResult> ImmediateBackend::submit(const Operation& operation) {
  const auto offset = operation.offset, length = operation.length;
  switch (operation.kind) {
    case Operation::Kind::kRead:
      return backend_->read_at(operation.parts, offset);
    case Operation::Kind::kWrite:
      return backend_->write_at(operation.parts, offset);
    case Operation::Kind::kDiscard:
      return without_bytes(backend_->discard(offset, length));
    case Operation::Kind::kWriteZeroes:
      return without_bytes(backend_->write_zeroes(offset, length, operation.may_unmap));
    case Operation::Kind::kSecureErase:
      return without_bytes(backend_->secure_erase(offset, length));
    case Operation::Kind::kFlush:
      break;
  }
  return without_bytes(backend_->flush());
}

}  // namespace guestproof::virtio::block
