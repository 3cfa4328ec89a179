// Memory in ring 0, with AddressSanitizer. A mark `CASE: FUNCTION` says which case fails at its
// line, and who finds it.

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "guestproof/ring0/test.h"

namespace {

using namespace guestproof::ring0;

volatile int ten = 10;
volatile int sink;
int global[10];

[[gnu::noinline]] int behind(const int* first) {
  return first[ten];  // HeapOverflow: __asan_report_load4
}

struct Fixture : ::testing::Test {
  std::vector<int> numbers = std::vector<int>(1000, 7);
};

}  // namespace

RING0_TEST(Address, HeapOverflow) {
  const std::unique_ptr<int[]> numbers(new int[10]);
  sink = behind(numbers.get());
}

RING0_TEST(Address, HeapUseAfterFree) {
  int* volatile number = new int(5);
  delete number;
  *number = 6;  // HeapUseAfterFree: __asan_report_store4
}

RING0_TEST(Address, StackOverflow) {
  int numbers[10] = {};
  sink = numbers[ten];  // StackOverflow: __asan_report_load4
}

RING0_TEST(Address, GlobalOverflow) {
  sink = global[ten];  // GlobalOverflow: __asan_report_load4
}

RING0_TEST(Address, OfALibraryFunction) {
  const std::unique_ptr<char[]> from(new char[100]()), to(new char[10]);
  std::memcpy(to.get(), from.get(), static_cast<std::size_t>(ten) + 1);  // OfALibraryFunction: mem
  sink = to[1];
}

// What is not wrong.

RING0_TEST(Address, NothingIsOfEverySize) {
  for (std::size_t size = 1; size < 4 << 20; size = size * 5 / 2 + 1) {
    const std::string text(size, 'x');
    K_EXPECT_EQ(text.back(), 'x');
  }
}

RING0_TEST(Address, NothingIsOnTheStack) {
  int numbers[100] = {};
  numbers[ten] = 5;
  K_EXPECT_EQ(numbers[ten], 5);
  K_EXPECT_EQ(global[ten - 1], 0);
}

RING0_TEST(Address, NothingIsWhenOneThrows, vcpus(2)) {
  for (int i = 0; i < 20; ++i) {
    bool caught = false;
    try {
      throw std::runtime_error(std::string(static_cast<std::size_t>(100 * i), 'x'));
    } catch (const std::runtime_error& error) {
      caught = std::strlen(error.what()) == static_cast<std::size_t>(100 * i);
    }
    K_EXPECT_TRUE(caught);
  }
}

RING0_TEST(Address, NothingIsOfDevicesAndRam, mmio(0x1000'0000, 0x1000).reads(77),
           ram(0x2000'0000, 0x10'0000)) {
  K_EXPECT_EQ(*phys<std::uint32_t>(0x1000'0000), 77);
  *phys<std::uint64_t>(0x200f'fff8) = 5;
  K_EXPECT_EQ(*phys<std::uint64_t>(0x200f'fff8), 5);
}

RING0_TEST_F(Fixture, NothingIsInMembers) {
  numbers.resize(10'000, 8);
  K_EXPECT_EQ(numbers[999] + numbers[1000], 15);
  kprintf("%zu numbers\n", numbers.size());
}

// With a stack for the backtrace of a vCPU that is a thread of its own.
RING0_TEST(Address, NothingIsWhenATestIsToFail, vcpus(2), expect_failure("where nothing is")) {
  if (vcpu() == 1) *reinterpret_cast<volatile int*>(std::uintptr_t{0x1238}) = 1;
  while (true) asm volatile("");
}
