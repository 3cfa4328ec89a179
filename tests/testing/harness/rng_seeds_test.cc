#include <gtest/gtest.h>

#include "guestproof/testing/harness/rng_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// rng_harness.h has what the fields of a request and the kinds of `backend` mean.
constexpr Seed kRngSeeds[] = {
    {"a_request", "request:filled", "request"},
    {"one_byte", "request:filled", "request length=1"},
    {"in_pieces", "request:filled", "request length=600 cut=0x1c"},
    {"indirect", "guest:indirect_request", "request length=100 cut=8 flags=indirect"},
    {"several_at_once", "device:notify", "request\nrequest length=300\nrequest length=7\nkick"},
    {"the_most_of_one", "request:cut", "request flags=raw length=66000 cut=0x1c"},
    {"with_readable_bytes", "error:rng.readable", "request flags=raw length=8 extra=3"},
    {"without_room", "error:rng.no_room", "request flags=raw"},
    {"outside_memory", "request:cut", "request length=64 address=mid:end-16"},
    {"read_only_memory", "request:asked", "request length=64 address=rom"},

    {"a_source_that_is_dry", "request:asked",
     "backend kind=1\nrequest flags=kick\nbackend kind=3\nrequest flags=kick"},
    {"a_source_that_runs_dry", "request:cut",
     "backend kind=1 value=300\nrequest length=1000 flags=kick"},
    {"a_source_that_fails", "device:interrupt",
     "backend kind=2\nrequest flags=kick\nbackend kind=3\nrequest flags=kick"},
    {"a_source_that_fails_in_a_request", "request:cut",
     "backend kind=2 value=300\nrequest length=1000 flags=kick"},
    {"waiting_in_a_queue_that_breaks", "device:needs_reset",
     "backend kind=1\nrequest flags=kick\navail next=30\nbackend kind=3"},

    {"packed", "request:filled",
     "queue index=4 flags=packed|indirect\nrequest length=100 cut=8\nrequest flags=indirect\nkick"},
    {"on_pci", "guest:on_pci",
     "queue index=4 flags=pci|event_index\nbackend kind=1\nrequest flags=kick\nbackend kind=3\n"
     "save\nrequest flags=kick"},
    {"kept_from_memory", "device:kept_from_memory",
     "activate flags=pci\nbackend kind=1\nrequest flags=kick\n"
     "access next=4 index=4 length=2 value=2\nbackend kind=3\nrequest flags=kick\n"
     "access next=4 index=4 length=2 value=6"},
    {"kept_from_memory_where_the_queue_breaks", "device:needs_reset",
     "activate flags=pci\nbackend kind=1\nrequest flags=kick\n"
     "access next=4 index=4 length=2 value=2\nbackend kind=3\navail next=99\n"
     "access next=4 index=4 length=2 value=6"},
    {"in_order", "request:filled", "queue index=3 flags=in_order\nrequest\nrequest\nkick"},
    {"event_index", "device:notify",
     "queue index=2 flags=event_index\nevent next=1\nrequest flags=kick\nrequest flags=kick"},
    {"no_interrupt", "request:filled", "flags flags=no_interrupt\nrequest flags=kick"},
    {"a_loop", "guest:kick",
     "desc index=0 address=data length=8 flags=write|next next=1\n"
     "link index=1 flags=next|write next=0\npublish index=0\nkick"},
    {"a_head_outside", "device:needs_reset", "entry index=0 next=99\navail next=1\nkick\nrequest"},
    {"an_indirect_table_by_hand", "request:asked",
     "indirect index=0 address=data length=8 flags=write\n"
     "desc index=3 address=indirect length=16 flags=indirect\npublish index=3\nkick"},
    {"a_race_for_the_length", "request:filled",
     "request length=64\nrace address=desc+8 nth=1 value=255\nkick"},
    {"memory_that_changes", "request:filled",
     "fill address=data length=256 value=7\nwrite address=data+3 width=8 value=1\nrequest\nkick"},

    {"saved_in_between", "guest:save",
     "request length=10 flags=kick\nsave\nrequest length=10 flags=kick"},
    {"saved_while_waiting", "guest:restore",
     "backend kind=1\nrequest flags=kick\nsave\nbackend kind=3\nkick"},
    {"a_state_with_a_byte_too_many", "guest:restore_refused",
     "save\npatch index=40 width=1 value=0xff\nrestore\nactivate\nrequest"},
    {"a_queue_elsewhere", "guest:activate",
     "area which=desc address=high\narea which=avail address=high+0x800\n"
     "area which=used address=high+0xa00\nactivate index=8\nrequest flags=kick"},
    {"a_queue_outside_memory", "guest:activate_refused",
     "area which=used address=hole\nactivate index=8\nrequest flags=kick\nreset\nrequest"},
    {"a_read_of_the_status", "guest:register_access", "access kind=1 index=0x70"},
    {"a_configuration_space_of_nothing", "guest:register_refused", "access kind=1 next=2"},
};

class RngSeeds : public ::testing::TestWithParam<Seed> {};

TEST_P(RngSeeds, RunsAndIsStored) {
  RngHarness harness;
  check_seed(harness, GetParam());
}
INSTANTIATE_TEST_SUITE_P(All, RngSeeds, ::testing::ValuesIn(kRngSeeds), seed_name);

TEST(RngSeedsTest, ReachEverythingTogether) {
  RngHarness harness;
  check_seeds(harness, kRngSeeds);
}

}  // namespace
}  // namespace guestproof::testing
