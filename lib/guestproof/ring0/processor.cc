#include "guestproof/ring0/processor.h"

#include <sys/uio.h>
#include <unistd.h>

#include "guestproof/ring0/address.h"

namespace guestproof::ring0 {

std::size_t read_code(std::uint64_t address, std::span<std::uint8_t> to) {
  // The kernel's copy ends where a page is not there, or may not be read.
  const ::iovec local{to.data(), to.size()};
  const ::iovec remote{pointer_to<void>(address), to.size()};
  const auto count = ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0);
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

}  // namespace guestproof::ring0
