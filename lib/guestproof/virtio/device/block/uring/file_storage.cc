#include "guestproof/virtio/device/block/uring/uring_backend.h"

namespace guestproof::virtio::block {
namespace {

/// Apart, so that it is there before the adapter that uses it.
struct OwnedFile {
  explicit OwnedFile(FileBackend owned) : file(std::move(owned)) {}
  FileBackend file;
};

class ImmediateFile final : private OwnedFile, public ImmediateBackend {
 public:
  explicit ImmediateFile(FileBackend owned) : OwnedFile(std::move(owned)), ImmediateBackend(file) {}
};

}  // namespace

FileStorage make_file_storage(FileBackend file, std::uint32_t depth) {
  auto ring = make_uring_backend(std::move(file), depth);
  if (ring) return {.backend = std::move(*ring), .without_uring = {}};
  return {.backend = std::make_unique<ImmediateFile>(std::move(file)),
          .without_uring = ring.error()};
}

}  // namespace guestproof::virtio::block
