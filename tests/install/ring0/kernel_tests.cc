// Tests of what a kernel does with its machine. Each RING0_TEST runs in ring 0 of a virtual machine
// of its own; its options say what is there besides memory, and how the test ends.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

#include "guestproof/ring0/test.h"

namespace {

using namespace guestproof::ring0;

// What is tested: a kernel's code, which knows nothing of tests.

constexpr std::uint64_t kTransport = 0xd000'0000;  // virtio-mmio

bool start_device(std::uint64_t address) {
  auto* const registers = phys<std::uint32_t>(address);
  if (registers[0x00 / 4] != 0x74726976) return false;  // "virt"
  registers[0x70 / 4] = 1;                              // its status: seen
  registers[0x70 / 4] = 3;                              // and there is a driver
  return true;
}

bool has_option(std::string_view command_line, std::string_view option) {
  return (' ' + std::string(command_line) + ' ').contains(' ' + std::string(option) + ' ');
}

unsigned version(std::string_view banner) {
  unsigned number = 0;
  const auto at = std::min(banner.find_first_of("0123456789"), banner.size());
  std::from_chars(banner.data() + at, banner.data() + banner.size(), number);
  return number;
}

// A device in memory: what it answers, and the writes that it has to see, in this order.
RING0_TEST(Virtio, StartsADevice, mmio(kTransport, 0x1000).reads(0x74726976).expects(1, 3)) {
  K_EXPECT_TRUE(start_device(kTransport));
}

// A function on the host can answer, too. Without arguments expects() allows no write.
RING0_TEST(Virtio, LeavesOtherDevicesAlone,
           mmio(kTransport, 0x1000).reads([](auto offset, auto) { return offset + 5; }).expects()) {
  K_EXPECT_FALSE(start_device(kTransport));
}

// Most of the C++ library works in the machine; what asks the system for something does not. What
// printf() prints is lost; what kprintf() prints is not.
RING0_TEST(CommandLine, HasWholeWordsOnly) {
  const std::string line = "console=ttyS0 quietly";
  kprintf("%zu bytes at %p\n", line.size(), static_cast<const void*>(line.data()));
  K_EXPECT_TRUE(has_option(line, "console=ttyS0"));
  K_EXPECT_FALSE(has_option(line, "quiet")) << "of " << line;
}

// SetUp() runs outside of the machine, where there are files; the test finds what it has made.
class Banner : public testing::Test {
 protected:
  void SetUp() override {
    std::ifstream file("/proc/version");
    ASSERT_TRUE(std::getline(file, banner_));
  }

  std::string banner_;
};

RING0_TEST_F(Banner, HasTheVersion) { K_EXPECT_GE(version(banner_), 2U) << banner_; }

#if defined(__x86_64__)

void send(std::string_view text) {
  for (const char letter : text) {
    while ((inb(0x3fd) & 0x20) == 0) {  // busy
    }
    outb(0x3f8, static_cast<std::uint8_t>(letter));
  }
}

std::uint32_t microcode() { return static_cast<std::uint32_t>(rdmsr(0x8b) >> 32); }

// Ports: reads give one value after the other, and the last one from then on.
RING0_TEST(SerialLine, WaitsUntilItIsFree, port(0x3fd).reads(0, 0, 0x20),
           port(0x3f8).expects('o', 'k')) {
  send("ok");
}

// A model-specific register with a value of the test's.
RING0_TEST(Microcode, HasItsRevision, msr(0x8b, 0x1234'0000'0000)) {
  K_EXPECT_EQ(microcode(), 0x1234U);
}

// The test has to end with this exception: a write (error code 2) to an address that nothing is at.
RING0_TEST(PageFault, TellsTheAddress, expect_vector(14, 2, 0xbad000)) {
  *reinterpret_cast<volatile int*>(0xbad000) = 1;
}

#endif

}  // namespace
