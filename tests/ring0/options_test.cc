#include "guestproof/ring0/options.h"

#include <gtest/gtest.h>

namespace guestproof::ring0 {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kEnd = 1ULL << 35;  // of what tests may use of the physical addresses

/// The error's name and message; "" when there is none.
std::string check(const Options& options) {
  const auto ok = options.check();
  return ok ? "" : ok.error().name() + ": " + ok.error().message();
}

TEST(Options, AreWhatIsSaid) {
  const Options options(vcpus(3), timeout(5s), ram(0, 0x1000), mmio(0x1000, 0x2000).reads(1),
                        expect_vector(14, 2, 0x10), expect_failure("x"));
  EXPECT_EQ(check(options), "");
  EXPECT_EQ(options.vcpu_count, 3U);
  EXPECT_EQ(options.time_limit, 5000ms);
  EXPECT_EQ(options.vector->address, 0x10U);
  EXPECT_EQ(options.failure, "x");
  ASSERT_EQ(options.ranges().size(), 2U);
  EXPECT_TRUE(options.ranges()[1].device);
  EXPECT_EQ(Options().time_limit, 10s);
}

TEST(Options, RefuseWhatCannotBe) {
  EXPECT_EQ(check(Options(vcpus(33))), "ring0.vcpu_count: 33 vCPUs; possible are 1 to 32");
  EXPECT_EQ(check(Options(timeout(0ms))),
            "ring0.time_limit: a time limit of 0 ms; possible are 1 to 86400000");
  EXPECT_EQ(check(Options(timeout(-1ms))).substr(0, 16), "ring0.time_limit");
  EXPECT_EQ(check(Options(mmio(0x1000, 0x1000).expects(1).writes([](auto, auto, auto) {}))),
            "ring0.two_answers: values and a function for accesses of 0x1000, of which one can "
            "answer");
  EXPECT_EQ(check(Options(options::Privilege{2})).substr(0, 15), "ring0.privilege");
  EXPECT_EQ(check(Options(ram(0x1000, 0))), "ring0.range_empty: a range of no bytes at 0x1000");
  EXPECT_EQ(
      check(Options(ram(0x800, 0x1000))),
      "ring0.range_alignment: a range with the base or size 0x800, which is no multiple of 4096");
  EXPECT_EQ(check(Options(ram(kEnd - 0x1000, 0x1000))), "");
  EXPECT_EQ(check(Options(ram(kEnd - 0x1000, 0x2000))),
            "ring0.range_end: the range at 0x7fffff000 does not end at or below 0x7ffffffff");
  EXPECT_EQ(check(Options(ram(UINT64_MAX - 0xfff, 0x1000))).substr(0, 15), "ring0.range_end");
  EXPECT_EQ(check(Options(ram(0x1000, UINT64_MAX - 0xfff))).substr(0, 15), "ring0.range_end");
  EXPECT_EQ(check(Options(mmio(0x1000, 0x2000), ram(0, 0x1000), ram(0x2000, 0x1000))).substr(0, 19),
            "ring0.range_overlap");
}

}  // namespace
}  // namespace guestproof::ring0
