#include <gtest/gtest.h>

#include "guestproof/testing/harness/balloon_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// balloon_harness.h has what the fields of a request and the kinds of `backend` mean.
constexpr Seed kBalloonSeeds[] = {
    {"a_page", "pages:inflated", "request"},
    {"pages_ascending", "pages:inflated", "request kind=0 length=8 value=2"},
    {"pages_descending", "pages:inflated", "request kind=1 length=8 value=11 cut=0x1c"},
    {"a_page_over_and_over", "pages:inflated", "request kind=2 length=64 value=5"},
    {"every_second_page", "pages:inflated", "request kind=3 length=6 value=0 flags=indirect"},
    {"pages_deflated", "pages:deflated",
     "request length=4\nrequest queue=1 length=4\nkick queue=1"},
    {"its_own_rings", "pages:inflated", "request length=12 flags=kick\nrequest length=3"},
    {"read_only_pages", "error:balloon.not_memory", "request value=32"},
    {"pages_in_a_hole", "error:balloon.not_memory", "request value=10 length=8"},
    {"the_last_page_number", "error:balloon.not_memory",
     "request flags=raw length=8 value=0xffffffffffffffff"},
    {"half_a_page_number", "error:balloon.array_length", "request flags=raw length=6"},
    {"too_many_pages", "error:balloon.page_limit", "request flags=raw length=16388"},
    {"as_many_pages_as_may_be", "pages:inflated",
     "request flags=raw length=16384 address=low:before-0"},
    {"no_pages", "error:balloon.no_pages", "request flags=raw"},
    {"pages_and_room", "error:balloon.writable", "request flags=raw length=4 extra=1"},
    {"pages_outside_memory", "device:interrupt", "request length=4 address=mid:end-8"},
    {"a_back_end_that_fails", "pages:inflated", "backend kind=6 value=1\nrequest kind=3 length=4"},

    {"statistics", "statistics:heard", "request queue=2 length=10 value=0x123456789"},
    {"statistics_with_unknown_tags", "statistics:heard",
     "request queue=2 length=20 index=9 value=7 cut=0x1c"},
    {"statistics_asked_for", "statistics:returned",
     "request queue=2 length=3 flags=kick\nbackend kind=2\nrequest queue=2 length=2 value=1"},
    {"statistics_asked_for_too_early", "statistics:heard",
     "backend kind=2\nrequest queue=2 length=3 flags=kick"},
    {"statistics_twice", "error:balloon.statistics_twice",
     "request queue=2 length=1\nrequest queue=2 length=2\nkick queue=2"},
    {"statistics_twice_in_order", "error:balloon.statistics_twice",
     "queue index=3 flags=in_order\nrequest queue=2 length=1\nrequest queue=2 length=2\nkick "
     "queue=2"},
    {"statistics_of_no_length", "error:balloon.statistics_length",
     "request queue=2 flags=raw length=11"},
    {"too_many_statistics", "error:balloon.statistics_limit",
     "request queue=2 flags=raw length=2570"},
    {"statistics_and_room", "error:balloon.writable",
     "request queue=2 flags=raw length=10 extra=4"},
    {"statistics_outside_memory", "statistics:returned",
     "request queue=2 length=9 address=mid:end-55 flags=kick\nbackend kind=2"},
    {"statistics_saved", "statistics:returned",
     "request queue=2 length=2 flags=kick\nsave\nbackend kind=2\nrequest queue=2 length=2"},
    {"statistics_saved_packed", "statistics:returned",
     "queue queue=2 index=4 flags=packed\nrequest queue=2 length=2 flags=kick\nsave\nbackend "
     "kind=2"},
    {"statistics_forgotten_with_their_queue", "statistics:heard",
     "request queue=2 length=2 flags=kick\naccess index=8 next=1 value=2\n"
     "access index=27 next=1 value=1\nrequest queue=1"},
    {"a_broken_statsq", "device:needs_reset",
     "request queue=2 length=2 flags=kick\navail queue=2 next=40\nbackend kind=2"},
    {"a_malformed_buffer_of_statistics", "statistics:heard",
     "request queue=2 length=1 flags=kick\ndesc queue=2 index=9 length=8 flags=next next=9\n"
     "publish queue=2 index=9\nkick queue=2\nrequest queue=2 length=1"},

    {"free_pages", "pages:reported", "request queue=4 kind=1 length=8192 cut=8"},
    {"free_pages_that_are_not_there", "pages:reported",
     "request queue=4 length=64 address=mid:end-32 cut=4"},
    {"free_pages_of_a_rom", "device:interrupt", "request queue=4 address=rom"},
    {"free_pages_and_bytes", "error:balloon.readable",
     "request queue=4 flags=raw length=8 extra=3"},
    {"free_pages_of_no_length", "error:balloon.no_pages", "request queue=4 flags=raw"},
    {"free_pages_that_keep_their_poison", "queue:numbered_by_the_specification",
     "access index=15 next=1 value=0\naccess index=15 next=1 value=3\n"
     "access index=7 next=1 value=0\naccess index=6 next=1 value=0x10000030\n"
     "access index=7 next=1 value=1\naccess index=6 next=1 value=1\n"
     "access index=15 next=1 value=11\naccess index=8 next=1 value=4\n"
     "access index=10 next=1 value=16\naccess index=16 next=1 value=0x10000\n"
     "access index=18 next=1 value=0x10400\naccess index=20 next=1 value=0x10800\n"
     "access index=11 next=1 value=1\naccess index=12 next=2 value=0xaa\n"
     "access index=15 next=1 value=15\naccess index=12 next=2 value=0xbb\n"
     "request queue=4\nkick queue=4\nsave"},
    {"a_back_end_that_fails_to_discard", "pages:reported",
     "backend kind=6\nrequest queue=4 cut=4\nkick queue=4"},

    {"hints", "pages:hinted",
     "backend kind=3\nrequest queue=3 kind=0\nrequest queue=3 kind=1 length=4096\nkick queue=3"},
    {"hints_with_their_command", "pages:hinted",
     "backend kind=3\nrequest queue=3 kind=2 length=64 flags=kick\nsave\nrequest queue=3 kind=1"},
    {"hints_too_early", "hints:ignored", "request queue=3 kind=1\nkick queue=3"},
    {"hints_too_late", "hints:ignored",
     "backend kind=3\nrequest queue=3 flags=kick\nbackend kind=4\nrequest queue=3 kind=1\nkick "
     "queue=3\nbackend kind=5\nrequest queue=3 kind=1"},
    {"hints_stopped", "hints:ignored",
     "backend kind=3\nrequest queue=3 flags=kick\nrequest queue=3 flags=raw|kick\nrequest queue=3 "
     "kind=1"},
    {"a_command_of_another_round", "error:balloon.command",
     "backend kind=3\nbackend kind=3\nrequest queue=3 value=0xffffffff"},
    {"a_command_done", "error:balloon.command", "backend kind=5\nrequest queue=3"},
    {"a_command_of_five_bytes", "error:balloon.command_length", "request queue=3 flags=raw next=1"},
    {"a_command_outside_memory", "device:interrupt", "request queue=3 address=mid:end-2"},
    {"no_hint", "error:balloon.no_pages", "request queue=3 kind=1 flags=raw"},
    {"hints_of_no_memory", "device:interrupt",
     "backend kind=3\nrequest queue=3 flags=kick\nrequest queue=3 kind=1 address=hole"},

    {"queues_as_linux_counts_them", "pages:reported",
     "backend kind=0 value=0xa\nactivate\nrequest queue=2 kind=1 flags=raw\nrequest queue=4\nkick "
     "queue=2\nwrite address=data\n"
     "desc queue=2 index=9 address=data length=64 flags=write\npublish queue=2 index=9\nkick "
     "queue=2"},
    {"a_queue_that_does_not_exist", "error:balloon.no_queue",
     "backend kind=0 value=0x28\nactivate\nrequest queue=4\nkick queue=4"},
    {"queues_by_their_numbers", "queue:numbered_by_the_specification",
     "access index=15 next=1 value=0\naccess index=15 next=1 value=3\n"
     "access index=7 next=1 value=0\naccess index=6 next=1 value=0x10000020\n"
     "access index=7 next=1 value=1\naccess index=6 next=1 value=1\n"
     "access index=15 next=1 value=11\naccess index=8 next=1 value=4\n"
     "access index=10 next=1 value=16\naccess index=16 next=1 value=0x10000\n"
     "access index=18 next=1 value=0x10400\naccess index=20 next=1 value=0x10800\n"
     "access index=11 next=1 value=1\naccess index=15 next=1 value=15\n"
     "request queue=4\nkick queue=4\nsave"},

    {"a_target", "guest:register_access",
     "backend kind=1 value=1000\naccess kind=1 index=0 next=2\naccess index=4 next=2 value=500\n"
     "access kind=1 index=4 next=2 length=4"},
    {"what_is_read_only", "guest:register_refused",
     "access index=0 next=2 value=1\naccess index=6 next=2 value=1\naccess index=8 next=2 value=1\n"
     "access index=12 next=2 value=1\naccess index=14 next=2 length=8"},
    {"commands_saved_and_changed", "guest:restore_refused",
     "backend kind=3\nrequest queue=3 flags=kick\nsave\npatch index=352 width=1 value=9\nrestore"},
    {"numbers_saved_and_changed", "guest:restore_refused",
     "save\npatch index=364 width=1 value=7\nrestore\nactivate\nsave\npatch index=365 width=1 "
     "value=1\nrestore\nactivate\nsave\npatch index=366 width=1 value=2\nrestore\nactivate\nsave\n"
     "patch index=367 width=1 value=1\nrestore\nactivate\nsave\npatch index=356 width=1 value=1\n"
     "restore"},
    {"command_ids_used_up", "guest:restore",
     "backend kind=3\nsave\npatch index=352 width=4 value=0xffffffff\npatch index=360 width=4 "
     "value=0xffffffff\nrestore\nbackend kind=3\nrequest queue=3 kind=2"},

    {"packed", "pages:inflated",
     "queue index=4 flags=packed|indirect\nrequest length=9 cut=8\nrequest flags=indirect\nkick"},
    {"on_pci", "guest:on_pci",
     "activate flags=pci\nrequest length=9 cut=8\nbackend value=5 kind=1\nrequest queue=2 "
     "length=4\n"
     "kick\nkick queue=2\nbackend kind=2\nsave\nrequest flags=kick"},
    {"kept_from_memory_with_statistics", "statistics:returned",
     "activate flags=pci\nrequest queue=2 length=4 flags=kick\n"
     "access next=4 index=4 length=2 value=2\nbackend kind=2\n"
     "access next=4 index=4 length=2 value=6\nrequest queue=2 length=4 flags=kick\nbackend kind=2"},
    {"kept_from_memory", "device:kept_from_memory",
     "activate flags=pci\nrequest queue=2 length=4 flags=kick\n"
     "access next=4 index=4 length=2 value=2\nrequest length=9 flags=kick\n"
     "access next=4 index=4 length=2 value=6\nbackend kind=2"},
    {"event_index", "device:notify",
     "queue index=2 flags=event_index\nevent next=1\nrequest flags=kick\nrequest flags=kick"},
    {"no_interrupt", "pages:inflated", "flags flags=no_interrupt\nrequest flags=kick"},
    {"a_loop", "guest:kick",
     "desc index=0 address=data length=8 flags=next next=1\n"
     "link index=1 flags=next next=0\npublish index=0\nkick"},
    {"a_head_outside", "device:needs_reset", "entry index=0 next=99\navail next=1\nkick\nrequest"},
    {"an_indirect_table_by_hand", "pages:inflated",
     "indirect index=0 address=data length=8\n"
     "desc index=3 address=indirect length=16 flags=indirect\npublish index=3\nkick"},
    {"a_race_for_a_page_number", "pages:inflated",
     "request length=4 value=1\nrace address=data+1 nth=1 value=255\nkick"},
    {"memory_that_changes", "pages:inflated",
     "fill address=data length=256 value=7\nwrite address=data+3 width=8 value=1\nrequest "
     "flags=raw length=64\nkick"},
    {"a_reset", "statistics:heard", "request queue=2 length=1 flags=kick\nreset\nrequest"},
    {"an_area_outside_memory", "guest:activate_refused",
     "area which=used address=hole\nactivate index=8\nrequest flags=kick\nreset\nrequest"},
    {"areas_elsewhere", "guest:activate",
     "area which=desc address=high\narea which=avail address=high+0x800\n"
     "area which=used address=high+0xa00\nactivate index=8\nrequest flags=kick"},
};

class BalloonSeeds : public ::testing::TestWithParam<Seed> {};

TEST_P(BalloonSeeds, RunsAndIsStored) {
  BalloonHarness harness;
  check_seed(harness, GetParam());
}
INSTANTIATE_TEST_SUITE_P(All, BalloonSeeds, ::testing::ValuesIn(kBalloonSeeds), seed_name);

TEST(BalloonSeedsTest, ReachEverythingTogether) {
  BalloonHarness harness;
  check_seeds(harness, kBalloonSeeds);
}

}  // namespace
}  // namespace guestproof::testing
