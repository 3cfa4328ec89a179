#include <gtest/gtest.h>

#include "guestproof/testing/harness/arm64_image_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

constexpr Seed kArm64ImageSeeds[] = {
    {"as_it_is", "load:done", "kick"},
    {"big_endian", "arm64_image:big_endian", "request kind=2 value=1 flags=kick"},
    {"pages_of_16_kib", "arm64_image:parsed", "request kind=2 value=4 flags=kick"},
    {"pages_of_64_kib", "arm64_image:parsed", "request kind=2 value=6 flags=kick"},
    {"all_flags", "arm64_image:parsed", "request kind=2 value=0xffffffffffffffff flags=kick"},
    {"longer_than_it_says", "arm64_image:longer_than_it_says",
     "request kind=1 value=64 flags=kick"},
    {"needs_all_up_to_the_rom", "load:done", "request kind=1 value=0xc000 flags=kick"},
    {"needs_a_byte_of_the_rom", "error:memory.read_only", "request kind=1 value=0xc001"},
    {"needs_all_addresses", "error:arm64_image.base_high",
     "request kind=1 value=0xffffffffffffffff"},
    {"in_a_hole", "error:memory.unmapped", "area value=0x200000"},
    {"no_bytes", "error:arm64_image.short", "patch index=0x8000"},
    {"a_header_short_by_one", "error:arm64_image.short", "patch index=0x803f"},
    {"a_header_only", "arm64_image:parsed", "patch index=0x8040\nkick"},
    {"magic", "error:arm64_image.magic", "request kind=3 value=0x644d5200"},
    {"text_offset_of_2_mib", "error:arm64_image.text_offset", "request kind=0 value=0x200000"},
    {"before_3_17", "error:arm64_image.image_size", "request kind=1"},
    {"smaller_than_its_header", "error:arm64_image.image_size", "request kind=1 value=63"},
    {"base_between_multiples", "error:arm64_image.base", "area which=avail value=1"},
    {"base_past_all_addresses", "error:arm64_image.base_high", "area value=0xffffffffffe00000"},
    {"ends_with_all_addresses", "error:memory.unmapped",
     "request kind=0 value=0x1fd000\narea value=0xfffffffe00000"},
    {"a_byte_past_all_addresses", "error:arm64_image.base_high",
     "request kind=0 value=0x1fd001\narea value=0xfffffffe00000"},
    {"started_over", "load:done", "request kind=4 value=0x1234\nqueue\nreset\nkick"},
};

class Arm64ImageSeed : public ::testing::TestWithParam<Seed> {
 protected:
  Arm64ImageHarness harness;
};
TEST_P(Arm64ImageSeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(Arm64ImageSeed, TogetherReachEverything) { check_seeds(harness, kArm64ImageSeeds); }
INSTANTIATE_TEST_SUITE_P(Loader, Arm64ImageSeed, ::testing::ValuesIn(kArm64ImageSeeds), seed_name);

}  // namespace
}  // namespace guestproof::testing
