#include <gtest/gtest.h>

#include "guestproof/testing/harness/boot_params_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// Ranges of 4 KiB times `length` have cut=12. `next`: 1 for 1 MiB, 5 for 4 GiB, 6 for 2^52.
constexpr Seed kBootParamsSeeds[] = {
    {"the_usual_machine", "boot:initrd_placed", "kick"},
    {"an_opcode_of_no_meaning", "boot:initrd_placed", "avail next=1\nkick"},
    {"no_ram", "error:boot.initrd_room", "queue index=1\nkick"},
    {"ram_in_120_pieces", "boot:mapped", "queue index=2\nkick"},
    {"addresses_above_4_gib", "boot:zero_page",
     "request kind=6 next=5 value=0x1000\nrequest kind=7 next=5 value=0x2000\nrequest kind=10 "
     "next=5 value=0x3000 length=0x4000\nkick"},
    {"a_kernel_elsewhere", "boot:zero_page", "request kind=5 value=0x1000000\nkick"},
    {"a_header_with_pointers", "boot:zero_page",
     "request kind=9 index=0x5f value=0x4141414141414141\nrequest kind=9 index=0x27 "
     "value=0x4242424242424242\nrequest kind=9 index=0x1f value=0x43434343ff\nkick"},
    {"started_over", "boot:start_info", "request kind=3\nkick\nreset\nkick"},

    // The map.
    {"ram_that_touches", "boot:mapped",
     "queue index=1\nrequest kind=0 cut=12 length=1 value=0x2000\nrequest kind=0 cut=12 length=1 "
     "value=0x1000\nkick"},
    {"reserved_inside_ram", "boot:mapped",
     "request kind=1 cut=12 length=16 extra=2 value=0x2000000\nkick"},
    {"reserved_over_the_end_of_ram", "boot:mapped",
     "request kind=1 cut=12 length=2 extra=4 value=0xcffff000\nkick"},
    {"reserved_outside_ram", "boot:mapped",
     "request kind=1 cut=20 length=256 extra=2 value=0xe0000000\nkick"},
    {"reserved_behind_all", "boot:mapped",
     "request kind=1 cut=12 length=1 next=6 value=0xfffffffffffff000\nkick"},
    {"reserved_ranges_of_one_type_touch", "boot:mapped",
     "request kind=1 cut=12 length=1 extra=2 value=0x100000\nkick"},
    {"reserved_ranges_of_two_types_touch", "boot:mapped",
     "request kind=1 cut=12 length=1 extra=3 value=0x100000\nkick"},
    {"reserved_over_two_pieces_of_ram", "boot:mapped",
     "request kind=1 cut=20 length=1024 extra=2 value=0xc8000000\nkick"},
    {"reserved_as_ram", "boot:mapped",
     "request kind=1 cut=12 length=1 extra=1 value=0x200000\nkick"},
    {"an_empty_range", "error:boot.empty_range", "request kind=0 value=0x5000\nkick"},
    {"a_reserved_range_that_is_empty", "error:boot.empty_range",
     "request kind=1 value=0x5000\nkick"},
    {"ram_past_all_addresses", "error:boot.range_end",
     "request kind=0 length=2 next=6 value=0xffffffffffffffff\nkick"},
    {"ram_up_to_all_addresses", "boot:mapped",
     "request kind=0 cut=12 length=1 next=6 value=0xfffffffffffff000\nkick"},
    {"ram_that_wraps", "error:boot.range_end",
     "request kind=0 cut=32 length=0xffffffff value=1\nkick"},
    {"ram_that_wraps_to_little", "error:boot.range_end",
     "request kind=0 cut=12 length=2 value=0xfffffffffffff000\nkick"},
    {"ram_overlaps_by_one", "error:boot.ram_overlap",
     "request kind=0 length=1 value=0xcfffffff\nkick"},
    {"ram_twice", "error:boot.ram_overlap", "request kind=0 cut=28 length=1 next=5\nkick"},
    {"reserved_ranges_overlap", "error:boot.reserved_overlap",
     "request kind=1 length=1 extra=2 value=0xfffff\nkick"},
    {"a_map_too_long", "error:boot.map_entries", R"(
        queue index=2
        request kind=1 length=4096 extra=3 value=0x101000
        request kind=1 length=4096 extra=3 value=0x501000
        request kind=1 length=4096 extra=3 value=0x901000
        request kind=1 length=4096 extra=3 value=0xd01000
        kick)"},
    {"more_than_a_zero_page_holds", "error:boot.map_entries", R"(
        queue index=2
        request kind=1 length=4096 value=0x101000
        request kind=1 length=4096 value=0x501000
        request kind=1 length=4096 value=0x901000
        request kind=1 length=4096 value=0xd01000
        request kind=1 length=4096 value=0x1101000
        request kind=1 length=4096 value=0x1501000
        request kind=1 length=4096 value=0x1901000
        request kind=1 length=4096 value=0x1d01000
        kick)"},
    {"a_map_as_long_as_possible", "boot:zero_page", R"(
        queue index=2
        request kind=1 length=4096 extra=3 value=0x101000
        request kind=1 length=4096 extra=3 value=0x501000
        request kind=1 length=4096 extra=3 value=0x901000
        kick)"},

    // The initrd.
    {"an_initrd_of_nothing", "error:boot.initrd_empty", "request kind=3\nkick"},
    {"an_initrd_of_everything", "error:boot.initrd_room",
     "request kind=3 value=0xffffffffffffffff\nkick"},
    {"an_initrd_that_just_fits", "boot:initrd_placed", "request kind=3 value=0x7ef00000\nkick"},
    {"an_initrd_too_large_by_one", "error:boot.initrd_room",
     "request kind=3 value=0x7ef00001\nkick"},
    {"the_last_byte_within_reach", "boot:initrd_placed",
     "request kind=3 value=0x1000\nrequest kind=4 value=0x37fffff\nkick"},
    {"the_last_byte_out_of_reach", "boot:initrd_placed",
     "request kind=3 value=0x1000\nrequest kind=4 value=0x37ffffe\nkick"},
    {"everything_within_reach", "boot:initrd_placed",
     "request kind=4 value=0xffffffffffffffff\nkick"},
    {"nothing_within_reach", "error:boot.initrd_room", "request kind=4 value=0xfffff\nkick"},
    {"below_what_is_taken", "boot:initrd_placed",
     "request kind=2 cut=20 length=2048 value=0x40000000\nkick"},
    {"taken_on_both_sides", "boot:initrd_placed",
     "request kind=2 cut=20 length=1024 value=0x40000000\nrequest kind=2 cut=12 length=1 "
     "value=0x3fffe800\nkick"},
    {"all_is_taken", "error:boot.initrd_room", "request kind=2 cut=20 length=4096\nkick"},
    {"an_empty_range_taken", "error:boot.empty_range", "request kind=2 value=0x9000\nkick"},
    {"a_taken_range_past_all_addresses", "error:boot.range_end",
     "request kind=2 length=1 next=6\nkick"},
    {"over_ram_that_touches", "boot:initrd_placed", R"(
        queue index=1
        request kind=0 cut=12 length=4 value=0x2000000
        request kind=0 cut=12 length=4 value=0x2004000
        request kind=3 value=0x7000
        kick)"},
    {"ram_without_a_whole_page", "error:boot.initrd_room", R"(
        queue index=1
        request kind=0 length=4096 value=0x2000800
        request kind=3 value=0x801
        kick)"},
    {"an_initrd_past_all_addresses", "error:boot.range_end",
     "request kind=10 next=6 length=1\nkick"},
    {"no_initrd", "boot:start_info", "request kind=10 value=0\nkick"},

    // Where they are loaded.
    {"up_to_the_rom", "boot:zero_page", "request kind=8 next=3 value=0xfffffffffffff000\nkick"},
    {"over_a_border_of_regions", "boot:zero_page",
     "request kind=8 next=2 value=0xffffffffffffff00\nkick"},
    {"a_byte_of_the_rom", "error:memory.read_only",
     "request kind=8 next=3 value=0xfffffffffffff001\nkick"},
    {"over_the_end_of_ram", "error:memory.unmapped",
     "request kind=8 next=4 value=0xffffffffffffffff\nkick"},
    {"at_the_last_address", "error:memory.unmapped",
     "request kind=8 value=0xffffffffffffffff\nkick"},
};

class BootParamsSeed : public ::testing::TestWithParam<Seed> {
 protected:
  BootParamsHarness harness;
};
TEST_P(BootParamsSeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(BootParamsSeed, TogetherReachEverything) { check_seeds(harness, kBootParamsSeeds); }
INSTANTIATE_TEST_SUITE_P(Loader, BootParamsSeed, ::testing::ValuesIn(kBootParamsSeeds), seed_name);

}  // namespace
}  // namespace guestproof::testing
