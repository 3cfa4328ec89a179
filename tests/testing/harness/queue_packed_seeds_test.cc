#include <gtest/gtest.h>

#include "guestproof/testing/harness/queue_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// A ring has 16 descriptors and indirect ones are allowed unless a scenario says otherwise. Flags
// of a descriptor that stands for itself: 0x80 available in the first turn, 0x8000 in the second.
constexpr Seed kPackedSeeds[] = {
    // Requests as drivers make them.
    {"a_request", "request:echo", "request"},
    {"request_cut_into_descriptors", "device:notify", "request cut=0x2d length=100 extra=100"},
    {"request_indirect", "guest:indirect_request", "request cut=13 length=64 flags=indirect"},
    {"request_in_one_buffer", "device:notify", "request length=32 flags=join_header|join_status"},
    {"several_requests_one_kick", "device:notify", "request\nrequest cut=5\nrequest"},
    {"three_turns_round_the_ring", "device:notify", R"(
        queue index=2 flags=packed|indirect
        request flags=kick|indirect
        request flags=kick|indirect
        request flags=kick|indirect
        request flags=kick|indirect
        request flags=kick|indirect
        request flags=kick|indirect
        request flags=kick|indirect
        request flags=kick|indirect
        request flags=kick|indirect)"},
    {"chains_across_the_end_of_the_ring", "device:notify", R"(
        queue index=4 flags=packed
        request cut=1 length=8 flags=kick
        request cut=1 length=8 flags=kick
        request cut=1 length=8 flags=kick
        request cut=1 length=8 flags=kick)"},
    {"ring_of_one", "device:notify", R"(
        queue index=0 flags=packed|event_index
        desc index=0 address=data+0 length=8 flags=write
        publish index=0
        kick
        event
        desc index=0 address=data+0 length=8 flags=write
        publish index=0
        kick
        desc index=0 address=data+0 length=8 flags=write
        publish index=0
        kick
        event next=1
        desc index=0 address=data+0 length=8 flags=write
        publish index=0
        kick)"},
    {"ring_of_64_filled", "device:notify", R"(
        queue index=63 flags=packed|indirect
        avail next=64
        entry index=1 next=1
        kick)"},
    {"whole_ring_in_one_chain", "device:notify",
     "queue index=7 flags=packed\nrequest cut=9 length=300"},
    {"split_and_packed_by_turns", "guest:activate", R"(
        request flags=kick
        queue index=4 flags=indirect
        request flags=kick|indirect
        queue index=4 flags=packed
        request)"},

    // Notifications.
    {"event_index", "device:notify",
     "queue index=4 flags=packed|event_index\nevent\nrequest\nkick"},
    {"event_index_not_passed", "guest:kick", R"(
        queue index=4 flags=packed|event_index|indirect
        event next=3
        request flags=indirect|kick
        request flags=indirect|kick
        request flags=indirect|kick)"},
    {"event_passed_inside_a_chain", "device:notify", R"(
        queue index=9 flags=packed|event_index
        event next=2
        request cut=3 length=10)"},
    {"event_in_the_next_turn", "guest:kick", R"(
        queue index=2 flags=packed|event_index|indirect
        event next=3
        request flags=indirect|kick
        event next=3
        request flags=indirect|kick
        event next=3
        request flags=indirect|kick
        request flags=indirect|kick
        request flags=indirect|kick)"},
    {"event_of_another_turn", "guest:kick", R"(
        queue index=2 flags=packed|event_index|indirect
        event next=3
        request flags=indirect
        request flags=indirect
        kick
        event next=4
        request flags=indirect|kick)"},
    {"event_passed_two_turns_ago", "device:notify", R"(
        queue index=0 flags=packed|event_index
        event next=1
        desc index=0 address=data+0 length=8 flags=write
        publish index=0
        take
        complete
        desc index=0 address=data+0 length=8 flags=write
        publish index=0
        take
        complete
        desc index=0 address=data+0 length=8 flags=write
        publish index=0
        take
        complete
        kick)"},
    {"event_outside_the_ring", "device:notify", R"(
        queue index=4 flags=packed|event_index
        event
        write address=avail+0 width=2 value=0x8005
        request)"},
    {"event_without_event_index", "device:notify", "event next=9\nrequest"},
    {"reserved_event_flags", "device:notify", R"(
        queue index=4 flags=packed|event_index
        flags flags=3
        request flags=kick
        flags flags=0xfffd
        request)"},
    {"no_interrupt", "guest:kick",
     "flags flags=no_interrupt\nrequest flags=kick\nflags\nrequest flags=kick"},
    {"several_turns", "device:more", R"(
        queue index=15 flags=packed|event_index|indirect
        event next=2
        request
        request cut=0x1f flags=indirect
        request
        request
        kick budget=2)"},
    {"several_turns_and_a_broken_queue", "device:more",
     "request\nrequest\npublish index=16\nkick budget=1"},

    // Chains held, and given back in another order.
    {"chains_out_of_order", "chain:completed", R"(
        request cut=3 length=16
        request
        request cut=4 length=90
        take index=2
        complete index=2 length=16
        complete index=0 length=4
        complete index=0)"},
    {"used_descriptors_of_long_and_short_chains", "chain:completed", R"(
        queue index=7 flags=packed
        request cut=3 length=16
        request length=16 flags=join_header
        take index=1
        complete index=1 length=1
        request length=16 flags=join_header
        take
        complete index=1 length=2
        complete length=3
        request)"},
    {"read_only_chain", "chain:completed",
     "desc index=0 address=data+0 length=16\npublish index=7\ntake\ncomplete"},
    {"a_chain_taken", "chain:taken", "request\ntake"},
    {"a_chain_dropped", "chain:dropped", "request\ntake\ncomplete index=0x8000"},
    {"a_chain_put_back", "chain:put_back",
     "request\nrequest cut=3 length=9\ntake index=1\ncomplete index=0x8001 length=1\nkick"},
    {"put_back_across_the_end_of_the_ring", "chain:put_back", R"(
        queue index=4 flags=packed|event_index
        request cut=1 length=8 flags=kick
        request cut=1 length=8
        take
        complete index=0x8000 length=1
        kick
        request cut=1 length=8)"},
    {"a_chain_of_an_earlier_activation", "chain:stale", R"(
        request
        take
        queue index=4 flags=packed
        complete length=16)"},
    {"a_chain_of_the_other_format", "chain:stale", R"(
        request
        take
        queue index=4
        complete length=16
        request
        take
        queue index=4 flags=packed
        complete)"},
    {"a_chain_of_a_ring_that_did_not_start", "chain:read", R"(
        queue index=4
        request
        take
        area which=desc address=rom+0
        activate flags=packed
        access
        complete)"},
    {"in_order", "device:notify", R"(
        queue index=8 flags=packed|in_order|event_index
        event next=4
        request
        request cut=1
        request
        take index=2
        complete index=2 length=3
        complete index=1 length=2
        kick
        complete length=1
        kick)"},
    {"in_order_reset_with_one_kept_back", "chain:stale", R"(
        queue index=8 flags=packed|in_order
        request
        request
        take index=1
        complete index=1
        queue index=8 flags=packed|in_order
        complete
        request)"},
    {"in_order_round_the_ring", "chain:put_back", R"(
        queue index=2 flags=packed|in_order|indirect
        request flags=indirect
        request flags=indirect
        request flags=indirect
        take index=2
        complete index=1
        complete index=0x8001 length=1
        complete
        request flags=indirect
        kick)"},
    {"reset_with_chains_held", "guest:kick", "request\ntake\nreset\nrequest"},
    {"read_a_held_chain", "chain:read",
     "request cut=0x2d length=100\ntake\naccess next=3 length=80\naccess\ncomplete"},
    {"read_what_was_split_off_last", "chain:read_split",
     "request cut=0x2d length=100\ntake\naccess kind=2 next=40 length=68\ncomplete"},
    {"read_an_object_in_pieces", "chain:read_object",
     "request cut=0x0f value=0x1122334455667788\ntake\naccess kind=4\ncomplete"},
    {"read_an_object_after_what_was_split_off", "chain:read_object_split",
     "request cut=0x0f length=5\ntake\naccess kind=6 next=5\ncomplete"},
    {"write_a_held_chain", "chain:write",
     "request cut=0x2d extra=90\ntake\naccess kind=1 next=7 length=80 value=3\ncomplete length=90"},
    {"write_what_was_split_off_last", "chain:write_split",
     "request cut=0x2d extra=90\ntake\naccess kind=3 next=40 length=50\ncomplete length=90"},
    {"fill_a_held_chain", "chain:fill",
     "request cut=0x2d extra=90\ntake\naccess kind=5 next=1 length=88\ncomplete length=90"},
    {"fill_what_was_split_off_last", "chain:fill_split",
     "request cut=0x2d extra=90\ntake\naccess kind=7 next=30 length=20\ncomplete length=90"},
    {"read_past_end", "error:chain.read_past_end", "request\ntake\naccess length=9\ncomplete"},
    {"write_past_end", "error:chain.write_past_end",
     "request\ntake\naccess kind=1 length=17\ncomplete"},
    {"remap_with_chains_held", "chain:completed", R"(
        request
        request
        take index=1
        remap
        complete length=1
        complete length=2
        request flags=kick)"},

    // A guest that writes what it likes.
    {"chain_built_by_hand", "device:notify", R"(
        fill address=data+0 length=64 value=0x5a
        desc index=0 address=data+0 length=64 flags=next
        desc index=1 address=data+0x40 length=32 flags=write
        publish index=3)"},
    {"availability_built_by_hand", "device:notify", R"(
        desc index=0 address=data+0 length=8 flags=0x80|write next=5
        desc index=1 address=data+8 length=8 flags=0x80|write next=6
        desc index=2 address=data+16 length=8 flags=0x8000 next=7
        kick)"},
    {"bits_of_a_used_descriptor", "guest:kick",
     "desc index=0 address=data+0 length=8 flags=0x8080\nkick"},
    {"made_available_by_link", "device:notify",
     "desc index=0 address=data+0 length=8\nlink index=0 flags=0x80 next=9\nkick"},
    {"entries_and_position_moved_by_hand", "device:notify",
     "entry index=0 next=5\nentry index=1 next=6\navail next=2"},
    {"table_by_hand_with_reserved_flags", "device:notify", R"(
        indirect index=0 address=data+0 length=8 flags=next|indirect next=0xffff
        indirect index=1 address=data+0x40 length=8 flags=write|0x8080 next=3
        desc index=0 address=indirect+0 length=32 flags=indirect
        publish index=0)"},
    {"table_with_nothing_in_it", "device:notify", R"(
        indirect index=0
        indirect index=1 flags=write
        desc index=0 address=indirect+0 length=32 flags=indirect
        publish index=1)"},
    {"table_across_regions", "device:notify", R"(
        desc index=0 address=low:end-8 length=32 flags=indirect
        publish index=0)"},
    {"table_with_write", "device:notify", R"(
        indirect index=0 address=data+0 length=8 flags=write
        desc index=0 address=indirect+0 length=16 flags=indirect|write
        publish index=0)"},
    {"race_on_the_flags", "guest:kick", "request\nrace address=desc+0xe nth=2 value=0\nkick"},
    {"race_on_the_first_flags", "guest:kick",
     "request\nrace address=desc+0xe nth=1 value=0x82\nkick"},
    {"race_on_the_flags_of_the_second", "guest:kick",
     "request\nrace address=desc+0x1e nth=2 value=0\nkick"},
    {"race_on_a_buffer_id", "guest:kick", "request\nrace address=desc+0x1c nth=2 value=200\nkick"},
    {"race_on_a_length", "guest:kick", "request\nrace address=desc+0x19 nth=2 value=255\nkick"},
    {"race_while_kicks_are_switched_on", "device:notify",
     "desc index=1 address=data+0 length=8\nrequest flags=join_header\n"
     "race address=desc+0x2e nth=2 value=0x80\nkick"},
    {"race_of_chains_that_come_and_go", "device:more", R"(
        race address=desc+0x0e nth=2 value=0x80
        race address=desc+0x0e nth=3 value=0
        race address=desc+0x0e nth=4 value=0x80
        race address=desc+0x0e nth=5 value=0
        kick budget=2)"},
    {"race_on_the_event", "guest:kick", R"(
        queue index=4 flags=packed|event_index
        event next=1
        race address=avail+0 nth=1 value=0
        request)"},

    // What an activation refuses.
    {"activate_elsewhere", "guest:activate", R"(
        area which=desc address=high+0
        area which=avail address=high+0x400
        area which=used address=top+0
        activate index=63 flags=packed|event_index
        request)"},
    {"ring_across_pages", "guest:activate", R"(
        area which=desc address=high+0xff0
        activate index=3 flags=packed|indirect
        fill address=high+0xff0 length=48
        request flags=indirect|kick
        request flags=indirect|kick
        request flags=indirect|kick)"},
    {"suppression_in_read_only_memory", "guest:activate",
     "area which=avail address=rom+0\nactivate index=9 flags=packed\nrequest"},
    {"size_zero", "error:queue_config.size_zero", "activate flags=no_entries|packed"},
    {"size_not_power_of_two", "error:queue_config.size_not_power_of_two", "activate index=3"},
    {"size_above_max", "error:queue_config.size_above_max", "activate index=65 flags=packed"},
    {"descriptor_ring_align", "error:queue_config.descriptor_table_align",
     "area which=desc address=high+8\nactivate flags=packed"},
    {"driver_area_align", "error:queue_config.available_ring_align",
     "area which=avail address=high+2\nactivate flags=packed"},
    {"device_area_align", "error:queue_config.used_ring_align",
     "area which=used address=high+2\nactivate flags=packed"},
    {"descriptor_ring_read_only", "error:queue_config.descriptor_table_range",
     "area which=desc address=rom+0\nactivate flags=packed"},
    {"driver_area_range", "error:queue_config.available_ring_range",
     "area which=avail address=hole+0\nactivate flags=packed"},
    {"device_area_range", "error:queue_config.used_ring_range",
     "area which=used address=rom+0\nactivate flags=packed"},
    {"areas_overlap", "error:queue_config.areas_overlap",
     "area which=avail address=desc:end-4\nactivate flags=packed"},
    {"areas_touch", "guest:activate", R"(
        area which=avail address=desc:before-4
        area which=used address=desc:past+0
        activate index=16 flags=packed
        request)"},
    {"not_ready", "error:queue_config.not_ready", "patch index=12 width=8 value=0x24\nrestore"},
    {"refused_and_kicked", "guest:activate_refused",
     "activate index=65 flags=packed\nrequest flags=kick\nsave"},

    // What breaks a queue.
    {"not_active", "error:queue.not_active", "activate index=65 flags=packed\nkick"},
    {"buffer_id", "error:queue.head_index", "publish index=16"},
    {"buffer_id_in_flight", "error:queue.head_in_flight",
     "publish index=2\ntake\npublish index=2\nkick"},
    {"buffer_id_in_flight_of_a_chain", "error:queue.head_in_flight", R"(
        publish index=2
        take
        desc index=1 address=data+0 length=8 flags=next next=3
        desc index=2 address=data+8 length=8 next=2
        publish index=2
        kick
        complete)"},
    {"buffer_id_again_once_it_was_returned", "device:notify",
     "publish index=2\nkick\npublish index=2\nkick"},
    {"chain_into_a_descriptor_not_available", "error:queue.descriptor_not_available",
     "desc index=0 address=data+0 length=8 flags=next|0x80\nkick"},
    {"chain_into_a_descriptor_of_the_last_turn", "error:queue.descriptor_not_available", R"(
        queue index=2 flags=packed|indirect
        request flags=indirect|kick
        request flags=indirect|kick
        request flags=indirect|kick
        desc index=0 address=data+0 length=8 flags=next|0x8000
        kick)"},
    {"chain_into_a_used_descriptor", "error:queue.descriptor_not_available", R"(
        desc index=0 address=data+0 length=8 flags=next|0x80
        desc index=1 address=data+0 length=8 flags=0x8080
        kick)"},
    {"chain_without_end", "error:queue.descriptor_in_flight", R"(
        queue index=1 flags=packed
        desc index=0 address=data+0 length=4 flags=next
        desc index=1 address=data+4 length=4 flags=next
        publish)"},
    {"chain_into_one_in_flight", "error:queue.descriptor_in_flight", R"(
        queue index=3 flags=packed
        publish index=1
        take
        desc index=1 address=data+0 length=8 flags=next
        desc index=2 address=data+0 length=8 flags=next
        desc index=3 address=data+0 length=8 flags=next
        avail next=4
        kick)"},
    {"available_while_all_is_in_flight", "error:queue.descriptor_in_flight", R"(
        queue index=1 flags=packed
        entry index=1 next=1
        avail next=2
        take index=1
        avail next=1
        kick
        complete
        complete)"},
    {"available_index_of_a_split_ring", "error:queue.avail_index", "queue index=2\navail next=5"},
    {"stale_chain", "error:queue.stale_chain",
     "request\ntake\nqueue index=2 flags=packed\ncomplete index=0x8000 length=1"},
    {"used_length", "error:queue.used_length", "request\ntake\ncomplete length=17\ncomplete"},
    {"chains_in_flight", "error:queue.chains_in_flight", "request\ntake\nsave"},
    {"saved_broken", "error:queue.saved_broken", "publish index=16\nkick\nsave\nkick"},
    {"not_taken_last", "error:queue.not_taken_last",
     "request\nrequest\ntake index=1\ncomplete index=0x8000 length=1"},
    {"save_and_go_on", "guest:save", "request flags=kick\nsave\nrequest"},
    {"save_in_the_second_turn", "guest:restore", R"(
        queue index=2 flags=packed|event_index|indirect
        event next=2
        request flags=indirect
        request flags=indirect|kick
        request flags=indirect
        request flags=indirect|kick
        save
        event next=1
        request flags=indirect|kick
        request flags=indirect|kick)"},
    {"save_with_chains_available", "request:echo", "request\nsave\nkick"},
    {"state_of_another_place", "guest:restore", R"(
        patch index=14 width=4 value=0x00030003
        restore
        request flags=kick
        request)"},
    {"state_of_no_place", "guest:restore_refused",
     "patch index=14 width=4 value=0x80108010\nrestore"},

    // Malformed chains.
    {"too_long_by_one", "error:chain.too_long",
     "queue index=2 flags=packed|indirect\nrequest cut=4 length=2 flags=indirect"},
    {"next_index_of_a_split_ring", "error:chain.next_index",
     "queue index=4\ndesc index=0 flags=next next=16\npublish index=0"},
    {"nested_in_a_split_ring", "error:chain.indirect_nested", R"(
        queue index=4 flags=indirect
        indirect index=0 address=indirect+0x10 length=16 flags=indirect
        desc index=0 address=indirect+0 length=16 flags=indirect
        publish index=0)"},
    {"indirect_with_next_in_a_split_ring", "error:chain.indirect_with_next", R"(
        queue index=4 flags=indirect
        desc index=0 address=indirect+0 length=16 flags=indirect|next next=1
        publish index=0)"},
    {"indirect_after_a_direct_one", "error:chain.indirect_in_chain", R"(
        desc index=0 address=data+0 length=8 flags=next
        desc index=1 address=indirect+0 length=16 flags=indirect
        publish
        request)"},
    {"indirect_before_a_direct_one", "error:chain.indirect_in_chain", R"(
        desc index=0 address=indirect+0 length=16 flags=indirect|next
        desc index=1 address=data+0 length=8
        publish
        request)"},
    {"total_length", "error:chain.total_length", R"(
        desc index=0 address=data+0 length=0xffffffff flags=next
        desc index=1 address=data+0 length=2
        publish)"},
    {"total_length_of_a_table", "error:chain.total_length", R"(
        indirect index=0 address=data+0 length=0xffffffff
        indirect index=1 address=data+0 length=2 flags=write
        desc index=0 address=indirect+0 length=32 flags=indirect
        publish)"},
    {"total_length_at_its_limit", "device:notify", R"(
        desc index=0 address=data+0 length=0x80000000 flags=next
        desc index=1 address=data+0 length=0x80000000 flags=write
        publish)"},
    {"readable_after_writable", "error:chain.readable_after_writable", R"(
        desc index=0 address=data+0 length=4 flags=next|write
        desc index=1 address=data+4 length=4 flags=next
        desc index=2 address=data+8 length=4
        publish index=4
        request)"},
    {"readable_after_writable_in_a_table", "error:chain.readable_after_writable", R"(
        indirect index=0 address=data+0 length=4 flags=write
        indirect index=1 address=data+4 length=4
        desc index=0 address=indirect+0 length=32 flags=indirect
        publish)"},
    {"indirect_not_negotiated", "error:chain.indirect_not_negotiated",
     "queue index=4 flags=packed\ndesc index=0 flags=indirect\npublish"},
    {"indirect_length", "error:chain.indirect_length",
     "desc index=0 address=indirect+0 length=24 flags=indirect\npublish"},
    {"indirect_length_zero", "error:chain.indirect_length",
     "desc index=0 address=indirect+0 flags=indirect\npublish"},
    {"indirect_unmapped", "error:chain.indirect_unmapped",
     "desc index=0 address=hole+0 length=16 flags=indirect\npublish"},
    {"indirect_unmapped_at_its_end", "error:chain.indirect_unmapped",
     "desc index=0 address=mid:end-16 length=32 flags=indirect\npublish"},
    {"buffer_outside_memory", "device:notify",
     "desc index=0 address=hole+0 length=16 flags=write\npublish\ntake\nbackend\ncomplete "
     "length=16"},
};

class QueuePackedSeed : public ::testing::TestWithParam<Seed> {
 protected:
  QueueHarness harness{"queue_packed"};
};
TEST_P(QueuePackedSeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(QueuePackedSeed, TogetherReachEverything) { check_seeds(harness, kPackedSeeds); }
INSTANTIATE_TEST_SUITE_P(QueuePacked, QueuePackedSeed, ::testing::ValuesIn(kPackedSeeds),
                         seed_name);

}  // namespace
}  // namespace guestproof::testing
