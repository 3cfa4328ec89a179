#include <gtest/gtest.h>

#include "guestproof/testing/harness/cmdline_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

constexpr Seed kCmdlineSeeds[] = {
    {"nothing", "load:done", "kick"},
    {"an_empty_piece", "cmdline:nothing_appended", "request\nkick"},
    {"two_pieces", "cmdline:appended", "request length=5 value=7\nrequest length=6\nkick"},
    {"empty_pieces_in_between", "cmdline:appended",
     "request length=5\nrequest\nrequest length=6\nrequest\nkick"},
    {"a_tab_and_letters_of_others", "cmdline:appended",
     "request kind=1 length=8 value=0x80a0ff207e210941\nkick"},
    {"a_nul", "error:cmdline.control_character", "request kind=1 length=3 value=0x410041"},
    {"a_newline_at_the_end", "error:cmdline.control_character",
     "request kind=2 length=9 value=0x0a"},
    {"an_escape", "error:cmdline.control_character", "request kind=1 length=1 value=0x1b"},
    {"a_delete", "error:cmdline.control_character", "request kind=1 length=1 value=0x7f"},
    {"refused_and_gone_on", "cmdline:appended",
     "request length=4\nrequest kind=1 length=1\nrequest length=2\nkick"},
    {"as_long_as_the_kernel_takes", "cmdline:appended", "request length=2047\nkick"},
    {"too_long_by_one", "error:cmdline.too_long", "request length=2048"},
    {"too_long_by_the_space", "error:cmdline.too_long",
     "queue index=10\nrequest length=5\nrequest length=5"},
    {"full_with_its_space", "cmdline:appended",
     "queue index=10\nrequest length=5\nrequest length=4\nkick"},
    {"bad_before_it_is_too_long", "error:cmdline.control_character",
     "queue index=4\nrequest kind=2 length=9 value=1"},
    {"room_for_its_nul", "load:done", "request length=5\naccess length=6 next=1 value=0x10"},
    {"no_room_for_its_nul", "error:cmdline.too_long", "request length=5\naccess length=5 next=1"},
    {"no_room_at_all", "error:cmdline.too_long", "access next=1"},
    {"over_a_border_of_regions", "load:done",
     "request length=20\naccess length=100 next=2 value=0xfffffffffffffff8"},
    {"over_the_end_of_ram", "error:memory.unmapped",
     "request length=20\naccess length=100 next=4 value=0xfffffffffffffff8"},
    {"into_rom", "error:memory.read_only",
     "request length=20\naccess length=100 next=3 value=0xfffffffffffffff8"},
    {"past_the_last_address", "error:memory.unmapped",
     "request length=20\naccess length=100 value=0xffffffffffffffff"},
    {"started_over", "load:done", "request length=20\nkick\nreset\nkick"},
};

class CmdlineSeed : public ::testing::TestWithParam<Seed> {
 protected:
  CmdlineHarness harness;
};
TEST_P(CmdlineSeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(CmdlineSeed, TogetherReachEverything) { check_seeds(harness, kCmdlineSeeds); }
INSTANTIATE_TEST_SUITE_P(Loader, CmdlineSeed, ::testing::ValuesIn(kCmdlineSeeds), seed_name);

}  // namespace
}  // namespace guestproof::testing
