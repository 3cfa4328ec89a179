// A piece of a KVM file descriptor that is mapped: the run page, the dirty ring.
//
// Thread-safety: one owner.
#pragma once

#include "guestproof/base/error.h"
#include "guestproof/memory/mapped_memory.h"

namespace guestproof::kvm {

class Mapping {
 public:
  Mapping() = default;
  /// `size` bytes of `fd` from `offset`, shared, readable and writable. Errors: SystemError::kMap.
  [[nodiscard]] static Result<Mapping> of(int fd, std::size_t size, std::size_t offset = 0);
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] MappedSlice slice() const { return {start_, size_, nullptr, 0}; }

 private:
  Mapping(std::byte* start, std::size_t size) : start_(start), size_(size) {}

  std::byte* start_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace guestproof::kvm
