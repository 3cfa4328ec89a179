// A test in a program with AddressSanitizer, on every architecture: none is needed to make the
// system calls that its runtime makes. What a real one finds is tested in instrumented/.

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guestproof/ring0/test.h"
#include "ring0/told.h"
#include "ring0/with_address_sanitizer.h"

namespace guestproof::ring0 {
namespace {

TEST(AddressSanitizer, MemoryThatItGetsIsTheGuests) {
  EXPECT_PASSES(tell(Options(), [] {
    constexpr std::size_t kSize = 4 << 20;
    void* const made =
        ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    K_ASSERT_NE(made, MAP_FAILED);
    auto* const bytes = static_cast<volatile char*>(made);
    bytes[0] = 1;
    bytes[kSize - 1] = 2;
    K_EXPECT_EQ(bytes[0] + bytes[kSize - 1], 3);
    K_EXPECT_EQ(::munmap(made, kSize), 0);
  }));
}

TEST(AddressSanitizer, ErrorsAreTheKernels) {
  EXPECT_PASSES(tell(Options(), [] {
    K_EXPECT_EQ(::munmap(reinterpret_cast<void*>(1), 0x1000), -1);
    K_EXPECT_EQ(errno, EINVAL);
  }));
}

TEST(AddressSanitizer, SeveralVcpusWaitForEachOther) {
  EXPECT_PASSES(tell(Options(vcpus(2)), [] { K_EXPECT_EQ(::sched_yield(), 0); }));
}

TEST(AddressSanitizer, OtherSystemCallsEndTheTestAsEver) {
  EXPECT_THAT(failure(tell(Options(), [] { static_cast<void>(::getppid()); })),
              ::testing::ContainsRegex("\nThe test made system call [0-9]+; "));
}

}  // namespace
}  // namespace guestproof::ring0
