#include "guestproof/ring0/area.h"

#include <errno.h>
#include <sys/mman.h>

#include "guestproof/memory/mapped_memory.h"
#include "guestproof/ring0/address.h"

namespace guestproof::ring0 {

Result<Area> Area::create(std::size_t size, Sharing sharing) {
  const auto page = host_page_size();
  const int flags =
      MAP_ANONYMOUS | MAP_NORESERVE | (sharing == Sharing::kShared ? MAP_SHARED : MAP_PRIVATE);
  void* const whole = ::mmap(nullptr, size + 2 * page, PROT_NONE, flags, -1, 0);
  if (whole == MAP_FAILED) return fail(SystemError::kMap, static_cast<std::uint64_t>(errno));
  Area area({static_cast<std::byte*>(whole) + page, size});
  if (::mprotect(area.bytes_.data(), size, PROT_READ | PROT_WRITE) != 0)
    return fail(SystemError::kMap, static_cast<std::uint64_t>(errno));
  return area;
}

Result<Area> Area::reserve(std::uint64_t address, std::size_t size) {
  const auto page = host_page_size();
  void* const wanted = pointer_to<void>(address - page);
  void* const whole =
      ::mmap(wanted, size + 2 * page, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (whole == MAP_FAILED) return fail(SystemError::kMap, static_cast<std::uint64_t>(errno));
  Area area({static_cast<std::byte*>(whole) + page, size});
  // Kernels before 4.17 take the address for a hint.
  if (whole != wanted) return fail(SystemError::kMap, std::uint64_t{EEXIST});
  return area;
}

Area::~Area() {
  const auto page = host_page_size();
  if (!bytes_.empty()) ::munmap(bytes_.data() - page, bytes_.size() + 2 * page);
}

}  // namespace guestproof::ring0
