#include <gtest/gtest.h>

#include "guestproof/testing/harness/kvm_ring_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// One page: `header` are the two indices, `desc` is the entry that is taken next. It has 170
// entries, so that 170 is the first index that is none.
constexpr Seed kCoalescedSeeds[] = {
    {"a_write", "ring:taken", "request value=0x0102030405060708 length=7"},
    {"a_write_of_one_byte", "ring:taken", "request value=0xffff length=0"},
    {"a_port_write", "ring:taken_port", "request extra=0x3f8 length=1 value=0x4142"},
    {"several_writes", "ring:empty", "request length=3\nrequest extra=0x80\nrequest length=7"},
    {"some_of_the_writes", "ring:taken", "request\nrequest\nrequest\nkick budget=2\nrequest"},
    {"nothing_queued", "ring:empty", "kick budget=3"},
    {"the_index_wraps", "ring:taken",
     "write address=header+0 width=8 value=0xa9000000a9\nrequest\nrequest length=7"},
    {"a_full_ring", "ring:full", R"(
        write address=header+0 width=8 value=0xa800000000
        request
        request
        kick budget=1)"},
    {"first_index", "error:kvm_page.ring_index",
     "request\nwrite address=header+0 width=4 value=170"},
    {"first_index_far_away", "error:kvm_page.ring_index",
     "request\nwrite address=header+0 width=4 value=0xffffffff"},
    {"last_index", "error:kvm_page.ring_index",
     "request\nwrite address=header+4 width=4 value=170"},
    {"last_index_of_32_bits", "error:kvm_page.ring_index",
     "request\nwrite address=header+4 width=4 value=0x80000001"},
    {"both_indices", "error:kvm_page.ring_index",
     "write address=header+0 width=8 value=0xaa000000aa\nkick"},
    {"last_index_moved_ahead", "error:kvm_page.mmio_length", "avail next=5"},
    {"last_index_moved_out", "error:kvm_page.ring_index", "avail next=0xffff\nkick"},
    {"no_length", "error:kvm_page.mmio_length", "request length=0 flags=raw"},
    {"nine_bytes", "error:kvm_page.mmio_length", "request length=9 flags=raw"},
    {"a_length_of_32_bits", "error:kvm_page.mmio_length", "request length=0x80000001 flags=raw"},
    {"a_length_after_a_good_one", "error:kvm_page.mmio_length",
     "request\nrequest length=255 flags=raw\nrequest"},
    {"a_truth_value_above_one", "ring:taken_port",
     "request length=3\nwrite address=desc+12 width=4 value=0x100\nkick"},
    {"an_entry_of_ones", "error:kvm_page.mmio_length",
     "request\nfill address=desc+0 length=24 value=0xff"},
    {"race_for_the_length", "ring:taken", "race address=desc+8 nth=2 value=255\nrequest\nkick"},
    {"race_for_the_first_index", "ring:taken",
     "race address=header+0 nth=2 value=255\nrequest\nrequest\nkick budget=1"},
    {"race_for_the_last_index", "ring:taken",
     "race address=header+4 nth=2 value=255\nrequest\nkick budget=1"},
    {"race_at_the_first_look", "error:kvm_page.mmio_length",
     "race address=desc+8 nth=1 value=9\nrequest"},
    {"a_ring_of_four_pages", "guest:map",
     "queue index=3\nwrite address=header+0 width=8 value=0x2a9000002a9\nrequest\nrequest"},
    {"a_ring_of_one_entry", "ring:full", "activate index=32\nrequest\nkick"},
    {"a_ring_of_two_entries", "ring:taken", "activate index=79\nrequest\nkick\nrequest\nrequest"},
    {"a_page_that_is_too_small", "error:kvm_page.ring_length", "activate index=31\nrequest"},
    {"no_page", "guest:map_refused", "activate index=0\nrequest flags=kick\navail next=1"},
    {"started_over", "guest:kick", "avail next=3\nreset\nrequest"},
};

// 64 entries: `header` is the one that is taken next.
constexpr Seed kDirtySeeds[] = {
    {"a_page", "ring:drained", "request index=1 value=0x1234"},
    {"a_page_taken", "ring:taken", "request index=0xffff value=0x123456789abcdef0\nkick budget=1"},
    {"several_pages", "ring:drained", "request value=1\nrequest value=2\nrequest value=3"},
    {"several_pages_taken_one_by_one", "ring:empty",
     "request value=1\nrequest value=2\nkick budget=3"},
    {"nothing_dirty", "ring:empty", "kick budget=1\nkick"},
    {"the_reader_comes_round", "ring:empty",
     "queue index=1\nrequest\nrequest\nkick\nkick budget=1"},
    {"taken_back_by_kvm", "ring:taken_back", R"(
        queue index=1
        request value=1
        request value=2
        kick
        complete
        request value=3
        kick budget=1
        request value=4)"},
    {"a_full_ring", "ring:full", "queue index=1\nrequest\nrequest\nrequest\nkick"},
    {"drained_whole", "ring:drained", "queue index=2\nrequest\nrequest\nrequest\nrequest"},
    {"taken_and_not_given_back", "ring:full", "queue index=0\nrequest\nkick\nrequest\nkick"},
    {"flags_dirty_and_reset", "error:kvm_page.dirty_flags", "request extra=3 flags=raw"},
    {"flags_unknown", "error:kvm_page.dirty_flags", "request extra=4 flags=raw"},
    {"flags_of_32_bits", "error:kvm_page.dirty_flags",
     "request\nwrite address=header+0 width=4 value=0x80000001\nkick budget=2"},
    {"flags_wrong_behind_good_pages", "error:kvm_page.dirty_flags",
     "request value=1\nrequest value=2\nrequest extra=0x101 flags=raw\nkick"},
    {"given_back_before_it_was_taken", "ring:empty", "request extra=2 flags=raw\nkick budget=1"},
    {"free_entry_in_between", "ring:empty",
     "request\nrequest extra=0 flags=raw\nrequest\nkick budget=3"},
    {"race_for_the_flags", "ring:taken",
     "race address=header+0 nth=2 value=0\nrequest value=7\nkick budget=1"},
    {"race_for_the_slot", "ring:taken",
     "race address=header+4 nth=2 value=9\nrequest value=7\nkick budget=1"},
    {"race_that_fills_while_draining", "ring:drained", R"(
        queue index=1
        request
        request
        race address=header+0 nth=2 value=1
        kick
        kick)"},
    {"all_ones", "error:kvm_page.dirty_flags", "fill address=data+0 length=1024 value=0xff\nkick"},
    {"a_ring_of_one_entry", "ring:drained", "queue index=0\nrequest value=5"},
    {"a_ring_of_four_pages", "guest:map", "queue index=10\nrequest value=5"},
    {"not_a_power_of_two", "error:kvm_page.dirty_ring_size", "activate index=48\nrequest"},
    {"not_whole_entries", "error:kvm_page.dirty_ring_size", "activate index=264\nrequest"},
    {"less_than_one_entry", "error:kvm_page.dirty_ring_size", "activate index=8\nrequest"},
    {"no_ring", "guest:map_refused", "activate index=0\nrequest flags=kick\ncomplete"},
    {"as_many_bytes_as_that", "guest:map", "activate index=256\nrequest"},
    {"started_over", "guest:kick", "request extra=8 flags=raw\nreset\nrequest"},
};

class KvmCoalescedRingSeed : public ::testing::TestWithParam<Seed> {
 protected:
  KvmCoalescedRingHarness harness;
};
TEST_P(KvmCoalescedRingSeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(KvmCoalescedRingSeed, TogetherReachEverything) { check_seeds(harness, kCoalescedSeeds); }
INSTANTIATE_TEST_SUITE_P(Kvm, KvmCoalescedRingSeed, ::testing::ValuesIn(kCoalescedSeeds),
                         seed_name);

class KvmDirtyRingSeed : public ::testing::TestWithParam<Seed> {
 protected:
  KvmDirtyRingHarness harness;
};
TEST_P(KvmDirtyRingSeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(KvmDirtyRingSeed, TogetherReachEverything) { check_seeds(harness, kDirtySeeds); }
INSTANTIATE_TEST_SUITE_P(Kvm, KvmDirtyRingSeed, ::testing::ValuesIn(kDirtySeeds), seed_name);

}  // namespace
}  // namespace guestproof::testing
