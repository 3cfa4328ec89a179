// What is done for AddressSanitizer's runtime; where there is none, this program says that it is
// one.
#include "guestproof/ring0/address_sanitizer.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <bit>
#include <cstring>

#include "ring0/with_address_sanitizer.h"

namespace guestproof::ring0 {
namespace {

TEST(AddressSanitizer, GetsMemory) {
  const auto got = serve_address_sanitizer(
      {SYS_mmap, {0, 0x2000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, ~0ULL, 0}});
  ASSERT_TRUE(got.has_value());
  auto* const memory = std::bit_cast<char*>(*got);
  std::memset(memory, 0x5a, 0x2000);
  EXPECT_EQ(memory[0x1fff], 0x5a);
  EXPECT_EQ(serve_address_sanitizer({SYS_munmap, {*got, 0x2000}}), 0U);
}

TEST(AddressSanitizer, IsToldOfErrorsAsAKernelTells) {
  errno = ERANGE;
  EXPECT_EQ(serve_address_sanitizer({SYS_munmap, {1, 0x1000}}), std::uint64_t{} - EINVAL);
  EXPECT_EQ(errno, ERANGE);
}

TEST(AddressSanitizer, GetsNothingElse) {
  EXPECT_EQ(serve_address_sanitizer({SYS_getpid}), std::nullopt);
  EXPECT_EQ(serve_address_sanitizer({SYS_write, {2, 0, 0}}), std::nullopt);
}

}  // namespace
}  // namespace guestproof::ring0
