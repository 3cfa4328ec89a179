#include "guestproof/kvm/mapping.h"

#include <errno.h>
#include <sys/mman.h>

namespace guestproof::kvm {

Result<Mapping> Mapping::of(int fd, std::size_t size, std::size_t offset) {
  void* const start =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<::off_t>(offset));
  if (start == MAP_FAILED) return fail(SystemError::kMap, static_cast<std::uint64_t>(errno));
  return Mapping(static_cast<std::byte*>(start), size);
}

Mapping::Mapping(Mapping&& other) noexcept
    : start_(std::exchange(other.start_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(start_, other.start_);
  std::swap(size_, other.size_);
  return *this;
}

Mapping::~Mapping() {
  if (start_ != nullptr) ::munmap(start_, size_);
}

}  // namespace guestproof::kvm
