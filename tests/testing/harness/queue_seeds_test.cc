#include <gtest/gtest.h>

#include "guestproof/testing/harness/queue_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// A queue has 16 entries and indirect descriptors unless a scenario says otherwise.
constexpr Seed kQueueSeeds[] = {
    // Requests as drivers make them.
    {"a_request", "request:echo", "request"},
    {"packed_request", "device:notify", "queue index=15 flags=packed\nrequest"},
    {"packed_descriptor_not_available", "error:queue.descriptor_not_available",
     "queue index=3 flags=packed\ndesc index=0 length=8 flags=next|0x80\nkick"},
    {"packed_descriptor_in_flight", "error:queue.descriptor_in_flight",
     "queue index=1 flags=packed\ndesc index=0 flags=next\ndesc index=1 flags=next\npublish"},
    {"packed_indirect_in_chain", "error:chain.indirect_in_chain", R"(
        queue index=3 flags=packed|indirect
        desc index=0 address=data+0 length=8 flags=next
        desc index=1 address=indirect+0 length=16 flags=indirect
        publish)"},
    {"a_chain_put_back", "chain:put_back",
     "request\nrequest\ntake index=1\ncomplete index=0x8001 length=1\nkick"},
    {"not_taken_last", "error:queue.not_taken_last",
     "request\nrequest\ntake index=1\ncomplete index=0x8000 length=1"},
    {"taken_last_is_returned", "error:queue.not_taken_last", R"(
        request
        request
        take index=1
        complete index=1
        complete index=0x8000 length=1)"},
    {"put_back_stale", "error:queue.stale_chain",
     "request\ntake\nqueue index=4\ncomplete index=0x8000 length=1"},
    {"put_back_twice", "chain:put_back", R"(
        request
        request
        take index=1
        complete index=0x8001 length=1
        complete index=0x8000 length=1
        kick)"},
    {"in_order", "device:notify", R"(
        queue index=4 flags=in_order|event_index
        request
        request
        request
        take index=2
        complete index=2 length=3
        complete index=1 length=2
        kick
        complete length=1
        kick)"},
    {"in_order_reset_with_one_kept_back", "chain:stale", R"(
        queue index=4 flags=in_order
        request
        request
        take index=1
        complete index=1
        queue index=4 flags=in_order
        complete
        request)"},
    {"in_order_put_back", "chain:put_back", R"(
        queue index=1 flags=in_order
        request length=0 cut=0 flags=join_status|indirect
        request length=0 cut=0 flags=join_status|indirect
        take
        take
        complete index=0x8001 length=1
        complete
        kick)"},
    {"request_cut_into_descriptors", "device:notify", "request cut=0x1f length=100 extra=100"},
    {"request_indirect", "guest:indirect_request", "request cut=13 length=64 flags=indirect"},
    {"request_in_one_buffer", "device:notify", "request length=32 flags=join_header|join_status"},
    {"request_across_regions", "device:notify", "request address=data+0x1ff0 length=64"},
    {"request_up_to_the_end_of_memory", "device:notify", "request address=top:end-16 length=16"},
    {"request_in_a_hole", "device:notify", "request address=hole+0 length=16"},
    {"answer_into_a_hole", "device:notify",
     "request address=low:end-0 extra=64\n"
     "request address=mid:end-8 length=8 extra=64"},
    {"answer_into_rom", "device:notify", "request address=rom+0"},
    {"requests_beyond_the_ring", "guest:kick", R"(
        queue index=1 flags=indirect
        request flags=kick|indirect
        request flags=kick|indirect
        request flags=kick|indirect
        request flags=kick|indirect
        request flags=kick|indirect)"},
    {"a_queue_of_one_entry", "device:notify",
     "queue index=0 flags=indirect\n"
     "request flags=indirect"},

    // Notifications.
    {"event_index", "device:notify", R"(
        queue index=4 flags=event_index|indirect
        event next=0
        request
        kick)"},
    {"event_index_not_passed", "guest:kick", R"(
        queue index=4 flags=event_index|indirect
        request flags=kick
        event next=1
        request flags=kick
        request flags=kick)"},
    {"several_turns", "device:more", R"(
        queue index=4 flags=event_index|indirect
        event next=2
        request
        request cut=0x1f flags=indirect
        request
        request
        kick budget=2)"},
    {"several_turns_and_a_broken_queue", "device:more",
     "request\nrequest\npublish index=16\nkick budget=1"},
    {"no_interrupt", "guest:kick",
     "flags flags=no_interrupt\n"
     "request flags=kick\n"
     "flags\n"
     "request flags=kick"},
    {"indexes_wrap", "device:notify", R"(
        patch index=14 width=6 value=0xffffffffffff
        write address=avail+2 width=2 value=0xffff
        restore
        request flags=kick
        request flags=kick)"},
    {"indexes_wrap_with_event_index", "device:notify", R"(
        queue index=4 flags=event_index|indirect
        save
        patch index=14 width=6 value=0xffffffffffff
        write address=avail+2 width=2 value=0xffff
        write address=used+2 width=2 value=0xffff
        restore
        event next=0
        request flags=kick
        event next=0
        request flags=kick)"},

    // Chains held, and given back in another order.
    {"chains_out_of_order", "chain:completed", R"(
        request
        request
        request
        take index=2
        complete index=2 length=16
        complete index=0 length=4
        complete index=0)"},
    {"a_chain_taken", "chain:taken", "request\ntake"},
    {"a_chain_dropped", "chain:dropped", "request\ntake\ncomplete index=0x8000"},
    {"a_chain_of_an_earlier_activation", "chain:stale", R"(
        request
        take
        queue index=4 flags=indirect
        complete length=16)"},
    {"set_up_again_after_use", "device:notify", "request flags=kick\nqueue index=4\nrequest"},
    {"reset_with_chains_held", "guest:kick", "request\ntake\nreset\nrequest"},

    // A guest that writes what it likes.
    {"chain_built_by_hand", "device:notify", R"(
        fill address=data+0 length=64 value=0x5a
        desc index=3 address=data+0 length=64 flags=next next=7
        desc index=7 address=data+0x40 length=32 flags=write
        publish index=3)"},
    {"buffers_apart", "device:notify", R"(
        desc index=0 address=data+0 length=100 flags=next next=1
        desc index=1 address=data+0x400 length=100 flags=next next=2
        desc index=2 address=data+0x800 length=100 flags=next|write next=3
        desc index=3 address=data+0xc00 length=100 flags=write
        publish index=0)"},
    {"chain_linked_elsewhere", "device:notify", R"(
        request length=16
        link index=1 flags=next|write next=9
        desc index=9 address=high+0 length=8 flags=write)"},
    {"indirect_table_built_by_hand", "device:notify", R"(
        indirect index=0 address=data+0 length=8 flags=next next=2
        indirect index=2 address=data+0x40 length=8 flags=write
        desc index=0 address=indirect+0 length=48 flags=indirect
        publish index=0)"},
    {"indirect_table_across_regions", "device:notify", R"(
        write address=low:end-4 width=8 value=0x10000000000
        desc index=0 address=low:end-8 length=16 flags=indirect
        publish index=0)"},
    {"indirect_table_longer_than_64_kib", "device:notify", R"(
        indirect index=0 address=data+0 length=8 flags=next next=4
        indirect index=4 address=data+0x40 length=8 flags=write
        desc index=0 address=indirect+0 length=0x10020 flags=indirect
        publish index=0)"},
    {"indirect_with_write", "device:notify", R"(
        indirect index=0 address=data+0 length=8 flags=write
        desc index=0 address=indirect+0 length=16 flags=indirect|write
        publish index=0)"},
    {"entry_and_index_moved_by_hand", "device:notify", "entry index=1 next=5\navail next=2"},
    {"race_on_the_available_index", "guest:kick",
     "request\n"
     "race address=avail+2 nth=2 value=2\n"
     "kick"},
    {"race_while_kicks_are_switched_on", "device:notify",
     "request\n"
     "race address=avail+2 nth=3 value=2\n"
     "kick"},
    {"race_of_chains_that_come_and_go", "device:more", R"(
        race address=avail+2 nth=2 value=1
        race address=avail+2 nth=3 value=0
        race address=avail+2 nth=4 value=1
        race address=avail+2 nth=5 value=0
        kick budget=2)"},
    {"race_on_a_descriptor", "guest:kick",
     "request\n"
     "race address=desc+0x0c nth=2 value=0\n"
     "kick"},
    {"race_on_a_head", "guest:kick", "request\nrace address=avail+4 nth=1 value=9\nkick"},
    {"race_on_the_data", "guest:kick",
     "request length=16\nrace address=data+0 nth=2 value=1\nkick"},

    // What an activation refuses.
    {"activate_elsewhere", "guest:activate", R"(
        area which=desc address=high+0
        area which=avail address=high+0x400
        area which=used address=top+0
        activate index=64 flags=event_index
        request)"},
    // Each page has only one kind of write in it: a mark that is missing has no other to hide
    // behind.
    {"used_ring_across_pages", "guest:activate", R"(
        area which=used address=high+0xffc
        activate flags=event_index
        request)"},
    {"size_zero", "error:queue_config.size_zero", "activate flags=no_entries"},
    {"size_not_power_of_two", "error:queue_config.size_not_power_of_two", "activate index=3"},
    {"size_above_max", "error:queue_config.size_above_max", "activate index=128"},
    {"descriptor_table_align", "error:queue_config.descriptor_table_align",
     "area which=desc address=high+8\nactivate"},
    {"available_ring_align", "error:queue_config.available_ring_align",
     "area which=avail address=high+1\nactivate"},
    {"used_ring_align", "error:queue_config.used_ring_align",
     "area which=used address=high+2\nactivate"},
    {"descriptor_table_range", "error:queue_config.descriptor_table_range",
     "area which=desc address=high:end-32\nactivate"},
    {"available_ring_range", "error:queue_config.available_ring_range",
     "area which=avail address=raw value=0xfffffffffffffffe\nactivate"},
    {"available_ring_up_to_the_end", "error:queue_config.available_ring_range",
     "area which=avail address=high:end-36\nactivate"},
    {"used_ring_range", "error:queue_config.used_ring_range",
     "area which=used address=rom+0\nactivate"},
    {"areas_overlap", "error:queue_config.areas_overlap",
     "area which=avail address=desc:end-2\nactivate"},
    {"areas_overlap_from_below", "error:queue_config.areas_overlap",
     "area which=avail address=desc:before-4\nactivate"},
    {"not_ready", "error:queue_config.not_ready", "patch index=12 width=1 value=4\nrestore"},
    {"refused_and_kicked", "guest:activate_refused", "activate index=3\nrequest flags=kick\nsave"},

    // What breaks a queue.
    {"not_active", "error:queue.not_active", "activate index=3\nkick"},
    {"avail_index", "error:queue.avail_index", "avail next=17"},
    {"head_index", "error:queue.head_index", "publish index=16"},
    {"head_in_flight", "error:queue.head_in_flight", "publish index=0\ntake\npublish index=0"},
    {"stale_chain", "error:queue.stale_chain", R"(
        request
        take
        queue index=2
        request
        take
        complete index=0
        complete index=0)"},
    {"read_a_held_chain", "chain:read",
     "request cut=0x2d length=100\ntake\naccess next=3 length=80\naccess "
     "length=108\naccess\ncomplete"},
    {"read_what_was_split_off_last", "chain:read_split",
     "request cut=0x2d length=100\ntake\naccess kind=2 next=40 length=68\naccess kind=2 "
     "next=108\ncomplete"},
    {"read_an_object_in_pieces", "chain:read_object",
     "request cut=0x0f value=0x1122334455667788\ntake\naccess kind=4\ncomplete"},
    {"read_an_object_after_what_was_split_off", "chain:read_object_split",
     "request cut=0x0f length=5 value=0x1122334455667788\ntake\naccess kind=6 next=5\ncomplete"},
    {"write_a_held_chain", "chain:write", R"(
        request cut=0x2d extra=90
        take
        access kind=1 next=7 length=80 value=3
        access kind=1 length=90 value=200
        complete length=90)"},
    {"write_what_was_split_off_last", "chain:write_split", R"(
        request cut=0x2d extra=90
        take
        access kind=3 next=40 length=50 value=9
        access kind=3 next=90
        complete length=90)"},
    {"fill_a_held_chain", "chain:fill", R"(
        request cut=0x2d extra=90
        take
        access kind=5 next=1 length=88 value=0xee
        complete length=90)"},
    {"fill_what_was_split_off_last", "chain:fill_split", R"(
        request cut=0x2d extra=90
        take
        access kind=7 next=30 length=20 value=0xee
        complete length=90)"},
    {"read_past_the_end", "error:chain.read_past_end", R"(
        request length=10
        take
        access length=19
        access next=18 length=1
        access kind=2 next=19
        access kind=4 next=11
        complete)"},
    {"write_past_the_end", "error:chain.write_past_end", R"(
        request extra=10
        take
        access kind=1 length=11
        access kind=3 next=11
        access kind=5 next=10 length=1
        complete)"},
    {"access_past_the_address_space", "chain:completed", R"(
        request address=raw value=0xfffffffffffffff8 length=64 extra=64
        take
        access next=9 length=1
        access next=8 length=1
        access kind=1 next=40 length=8
        access kind=5 next=7 length=1
        complete)"},
    {"read_past_the_address_space", "chain:completed", R"(
        request address=raw value=0xfffffffffffffff8 length=64
        take
        access next=40 length=8
        complete)"},
    {"access_across_regions", "chain:fill_split", R"(
        request address=mid:before-5 length=12 extra=200
        take
        access kind=2 next=9 length=11
        access kind=7 next=100 length=100 value=1
        complete)"},
    {"access_runs_into_the_hole", "chain:read", R"(
        request address=mid:end-20 length=40 extra=40
        take
        access next=8 length=20
        access next=8 length=21
        access kind=1 length=40
        access kind=5 length=40
        complete)"},
    {"write_into_the_rom", "chain:read", R"(
        request address=rom:end-30 length=10 extra=10
        take
        access next=8 length=10
        access kind=1 length=10
        access kind=7 next=4 length=6
        complete)"},
    {"access_a_stale_chain", "chain:read", R"(
        request length=10
        take
        activate index=16 flags=indirect
        access
        access length=1
        access kind=5 length=1
        complete)"},
    {"remap_with_chains_held", "chain:completed", R"(
        request
        request
        take index=1
        remap
        complete length=1
        complete length=2
        request flags=kick)"},
    {"remap_a_queue_that_is_not_active", "error:queue_config.size_not_power_of_two",
     "activate index=3\nremap"},
    {"used_length", "error:queue.used_length", "request\ntake\ncomplete length=17\ncomplete"},
    {"chains_in_flight", "error:queue.chains_in_flight", "request\ntake\nsave"},
    {"saved_broken", "error:queue.saved_broken", "publish index=16\nkick\nsave\nkick"},

    // Malformed chains.
    {"too_long", "error:chain.too_long", R"(
        desc index=0 address=data+0 length=4 flags=next next=1
        desc index=1 address=data+4 length=4 flags=next next=0
        publish index=0)"},
    {"too_long_by_one", "error:chain.too_long",
     "queue index=1 flags=indirect\n"
     "request cut=4 length=2 flags=indirect"},
    {"too_long_through_a_table", "error:chain.too_long", R"(
        queue index=1 flags=indirect
        indirect index=0 address=data+0 length=8 flags=next next=1
        indirect index=1 address=data+8 length=8
        desc index=0 address=data+16 length=8 flags=next next=1
        desc index=1 address=indirect+0 length=32 flags=indirect
        publish index=0)"},
    {"next_index", "error:chain.next_index", "desc index=0 flags=next next=16\npublish index=0"},
    {"next_index_of_a_table", "error:chain.next_index", R"(
        indirect index=0 address=data+0 length=8 flags=next next=1
        desc index=0 address=indirect+0 length=16 flags=indirect
        publish index=0)"},
    {"total_length", "error:chain.total_length", R"(
        desc index=0 address=data+0 length=0xffffffff flags=next next=1
        desc index=1 address=data+0 length=2
        publish index=0)"},
    {"total_length_at_the_limit", "device:notify", R"(
        desc index=0 address=data+0 length=0x80000000 flags=next next=1
        desc index=1 address=data+0 length=0x80000000
        publish index=0)"},
    {"total_length_of_both_directions", "error:chain.total_length", R"(
        desc index=0 address=data+0 length=0x80000000 flags=next next=1
        desc index=1 address=data+0 length=0x80000001 flags=write
        publish index=0)"},
    {"readable_after_writable", "error:chain.readable_after_writable", R"(
        desc index=0 address=data+0 length=4 flags=next|write next=1
        desc index=1 address=data+4 length=4
        publish index=0)"},
    {"readable_after_empty_writable", "error:chain.readable_after_writable", R"(
        desc index=0 address=data+0 flags=next|write next=1
        desc index=1 address=data+4 length=4
        publish index=0)"},
    {"readable_in_a_table_after_writable", "error:chain.readable_after_writable", R"(
        indirect index=0 address=data+4 length=4
        desc index=0 address=data+0 length=4 flags=next|write next=1
        desc index=1 address=indirect+0 length=16 flags=indirect
        publish index=0)"},
    {"indirect_not_negotiated", "error:chain.indirect_not_negotiated", R"(
        queue index=4
        desc index=0 address=indirect+0 length=16 flags=indirect
        publish index=0)"},
    {"indirect_nested", "error:chain.indirect_nested", R"(
        indirect index=0 address=indirect+0x10 length=16 flags=indirect
        desc index=0 address=indirect+0 length=16 flags=indirect
        publish index=0)"},
    {"indirect_with_next", "error:chain.indirect_with_next", R"(
        desc index=0 address=indirect+0 length=16 flags=indirect|next next=1
        publish index=0)"},
    {"indirect_length", "error:chain.indirect_length", R"(
        desc index=0 address=indirect+0 length=24 flags=indirect
        publish index=0)"},
    {"indirect_length_zero", "error:chain.indirect_length",
     "desc index=0 flags=indirect\n"
     "publish index=0"},
    {"indirect_unmapped", "error:chain.indirect_unmapped", R"(
        desc index=0 address=hole+0 length=16 flags=indirect
        publish index=0)"},
    {"indirect_table_past_the_last_address", "error:chain.indirect_unmapped", R"(
        write address=top+0xff0 width=8 value=0x6000
        write address=top+0xff8 width=8 value=0x0101000100000008
        desc index=0 address=top+0xff0 length=0x2000 flags=indirect
        publish index=0)"},
};

// What a saved state says lies at: magic 0, version 4, length 6, max_size 8, size 10, flags 12,
// next_avail 14, next_used 16, signalled_used 18, reserved 20, then the three areas.
constexpr Seed kStateSeeds[] = {
    {"save_and_go_on", "guest:save", "request flags=kick\nsave\nrequest"},
    {"save_with_event_index", "guest:restore", R"(
        queue index=4 flags=event_index|indirect
        event next=1
        request flags=kick
        save
        request flags=kick)"},
    {"several_turns_and_save", "device:more", R"(
        queue index=4 flags=event_index|indirect
        request
        request
        event next=1
        kick budget=1
        save
        request)"},
    {"save_with_chains_available", "request:echo", "request\nsave\nkick"},
    {"save_where_the_areas_are_elsewhere", "guest:activate", R"(
        area which=used address=high+0
        activate index=8
        save
        request flags=indirect)"},
    {"restore_an_earlier_state", "guest:restore", R"(
        save
        request flags=kick
        restore
        kick)"},
    {"restore_next_to_the_wrap", "device:notify", R"(
        patch index=14 width=6 value=0xffffffffffff
        write address=avail+2 width=2 value=0xffff
        restore
        request flags=kick
        save
        request)"},
    {"restore_without_a_last_notification", "device:notify", R"(
        queue index=4 flags=event_index|indirect
        save
        patch index=12 width=1 value=7
        restore
        event next=9
        request)"},
    {"a_turn_without_a_notification", "device:notify", R"(
        patch index=18 width=2 value=1
        restore
        request)"},
    {"restore_after_reset", "guest:restore", "request flags=kick\nsave\nreset\nrestore\nrequest"},
    {"restore_makes_chains_stale", "chain:stale", "request\ntake\nrestore\ncomplete\nrequest"},
    {"available_index_moved_after_saving", "error:queue.avail_index", "save\navail next=40\nkick"},
    {"flags_and_descriptors", "device:notify", R"(
        desc index=2 address=data+0 length=16 flags=write
        flags flags=no_interrupt
        publish index=2
        save
        flags
        kick)"},
    {"state_too_short", "error:queue_state.bytes", "patch index=0x802f\nrestore"},
    {"state_too_long", "error:queue_state.bytes", "patch index=0x8031\nrestore"},
    {"state_empty", "guest:restore_refused", "patch index=0x8000\npatch\nrestore"},
    {"magic", "error:queue_state.magic", "patch index=3 width=1 value=0x52\nrestore"},
    {"version", "error:queue_state.version", "patch index=4 width=2 value=2\nrestore"},
    {"length", "error:queue_state.length", "patch index=6 width=2 value=49\nrestore"},
    {"max_size", "error:queue_state.max_size", "patch index=8 width=2 value=128\nrestore"},
    {"max_size_not_power_of_two", "error:queue_state.max_size",
     "patch index=8 width=2 value=65\n"
     "restore"},
    {"size", "error:queue_state.size", "patch index=10 width=2 value=128\nrestore"},
    {"size_zero", "error:queue_state.size", "patch index=10 width=2\nrestore"},
    // With room for any size: nothing but the size is wrong.
    {"size_zero_with_room", "error:queue_state.size", R"(
        area which=desc address=high+0
        area which=avail address=high+0x1000
        area which=used address=high+0x2000
        activate index=16 flags=indirect
        save
        patch index=10 width=2 value=0
        restore)"},
    {"size_not_power_of_two_with_room", "error:queue_state.size", R"(
        area which=desc address=high+0
        area which=avail address=high+0x1000
        area which=used address=high+0x2000
        activate index=16 flags=indirect
        save
        patch index=10 width=2 value=17
        restore)"},
    {"size_above_max_with_room", "error:queue_state.size", R"(
        area which=desc address=high+0
        area which=avail address=high+0x1000
        area which=used address=high+0x2000
        activate index=16 flags=indirect
        save
        patch index=10 width=2 value=128
        restore)"},
    {"flags", "error:queue_state.flags", "patch index=12 width=2 value=0x95\nrestore"},
    {"broken_but_not_ready", "error:queue_state.flags", "patch index=12 width=2 value=12\nrestore"},
    {"features", "error:queue_state.features", "patch index=12 width=1 value=0x17\nrestore"},
    {"next_avail", "error:queue_state.next_avail", R"(
        patch index=12 width=4 value=0x10004
        restore)"},
    {"next_used", "error:queue_state.next_used", "patch index=16 width=2 value=1\nrestore"},
    {"signalled_used", "error:queue_state.signalled_used", R"(
        patch index=12 width=1 value=5
        patch index=18 width=2 value=1
        restore)"},
    {"signalled_used_but_not_ready", "error:queue_state.signalled_used",
     "patch index=12 width=1 value=20\nrestore"},
    {"reserved", "error:queue_state.reserved", "patch index=20 width=4 value=1\nrestore"},
    {"descriptor_table_misaligned", "error:queue_state.descriptor_table",
     "patch index=24 width=8 value=0x1008\nrestore"},
    {"descriptor_table_unmapped", "error:queue_state.descriptor_table",
     "patch index=24 width=8 value=0xc000\nrestore"},
    {"available_ring_misaligned", "error:queue_state.available_ring",
     "patch index=32 width=8 value=0x2001\nrestore"},
    {"available_ring_past_the_end", "error:queue_state.available_ring",
     "patch index=32 width=8 value=0xfffffffffffffffe\nrestore"},
    {"used_ring_misaligned", "error:queue_state.used_ring",
     "patch index=40 width=8 value=0x2002\nrestore"},
    {"used_ring_read_only", "error:queue_state.used_ring",
     "patch index=40 width=8 value=0x20000\nrestore"},
    {"overlap", "error:queue_state.overlap", "patch index=32 width=8 value=0x1000\nrestore"},
    {"index_distance_by_one", "error:queue.avail_index",
     "patch index=14 width=4 value=0xffefffef\nrestore"},
    {"index_distance", "error:queue.avail_index", R"(
        patch index=14 width=4 value=0x00640064
        restore)"},
    {"not_active", "error:queue.not_active", "patch index=0 width=4\nrestore\nkick\nsave"},
    {"head_index", "error:queue.head_index", "save\npublish index=16"},
    {"head_in_flight", "error:queue.head_in_flight", "publish index=0\ntake\npublish index=0"},
    {"remap_and_save", "guest:save", "request flags=kick\nremap\nsave\nrequest"},
    {"access_and_save", "chain:write",
     "request\ntake\naccess kind=1 length=16 value=7\ncomplete length=16\nsave"},
    {"access_every_way", "chain:fill_split", R"(
        request length=20 extra=20
        take
        access next=4 length=4
        access kind=2 next=4 length=4
        access kind=3 next=4 length=4
        access kind=4 next=4
        access kind=5 next=4 length=4 value=1
        access kind=6 next=4
        access kind=7 next=4 length=4 value=2
        save
        complete length=8
        save)"},
    {"used_length", "error:queue.used_length", "request\ntake\ncomplete length=17"},
    {"stale_chain", "error:queue.stale_chain", "request\ntake\nrestore\ncomplete"},
    {"chains_in_flight", "error:queue.chains_in_flight", "request\ntake\nsave"},
    {"saved_broken", "error:queue.saved_broken", "publish index=16\nkick\nsave\nrequest"},
    {"chains_given_back_and_saved", "chain:completed",
     "request\ntake\ncomplete length=16\nsave\n"
     "request"},
    {"a_chain_dropped_and_saved", "chain:dropped", "request\ntake\ncomplete index=0x8000\nsave"},
    {"restored_and_refused_activation", "guest:activate_refused",
     "save\nactivate index=3\nrestore"},
    {"indirect_request_and_save", "guest:indirect_request", "request flags=indirect|kick\nsave"},
    {"a_chain_put_back_and_saved", "chain:put_back",
     "request\ntake\ncomplete index=0x8000 length=1\nsave"},
    {"not_taken_last", "error:queue.not_taken_last",
     "request\nrequest\ntake index=1\ncomplete index=0x8000 length=1"},
    // Packed rings: patched where a position is more than a number.
    {"packed_save_and_go_on", "guest:save", R"(
        queue index=4 flags=packed|event_index
        event next=1
        request cut=4 length=8 flags=kick
        request cut=4 length=8 flags=kick
        save
        request flags=kick)"},
    {"packed_restore_an_earlier_state", "guest:restore", R"(
        queue index=2 flags=packed
        request flags=kick
        save
        request flags=kick
        restore
        request flags=kick)"},
    {"packed_restore_in_another_turn", "device:notify", R"(
        queue index=2 flags=packed
        save
        patch index=14 width=4 value=0x00010001
        restore
        request flags=kick
        request flags=kick
        save)"},
    {"packed_next_avail_outside", "error:queue_state.next_avail", R"(
        queue index=2 flags=packed
        save
        patch index=14 width=4 value=0x80038003
        restore)"},
    {"packed_signalled_used_outside", "error:queue_state.signalled_used", R"(
        queue index=2 flags=packed
        save
        patch index=18 width=2 value=3
        restore)"},
    {"packed_without_a_last_notification", "device:notify", R"(
        queue index=2 flags=packed|event_index
        save
        patch index=12 width=1 value=0x23
        patch index=18 width=2
        restore
        event next=2
        request)"},
    {"packed_driver_area_misaligned", "error:queue_state.available_ring", R"(
        queue index=15 flags=packed
        save
        patch index=32 width=2 value=0x1802
        restore)"},
    {"packed_restored_as_split", "error:queue_state.features", R"(
        queue index=15 flags=packed
        save
        patch index=12 width=1 value=0x11
        patch index=14 width=6
        restore)"},
    {"in_order_and_saved", "guest:save", R"(
        queue index=4 flags=in_order
        request
        request
        take index=1
        complete index=1
        complete
        save
        request)"},
    {"in_order_not_negotiated", "error:queue_state.features", R"(
        save
        patch index=12 width=1 value=0x55
        restore)"},
    {"descriptor_not_available", "error:queue.descriptor_not_available", R"(
        queue index=3 flags=packed
        desc index=0 address=data+0 length=8 flags=next|0x80
        save
        kick)"},
    {"descriptor_in_flight", "error:queue.descriptor_in_flight", R"(
        queue index=0 flags=packed
        desc index=0 address=data+0 length=8
        publish index=0
        take
        avail next=1
        kick)"},
    {"a_chain_taken_after_saving", "chain:taken", "request\nsave\ntake\ncomplete length=4"},
};

class QueueSeed : public ::testing::TestWithParam<Seed> {
 protected:
  QueueHarness harness{"queue"};
};
TEST_P(QueueSeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(QueueSeed, TogetherReachEverything) { check_seeds(harness, kQueueSeeds); }
INSTANTIATE_TEST_SUITE_P(Queue, QueueSeed, ::testing::ValuesIn(kQueueSeeds), seed_name);

class QueueStateSeed : public ::testing::TestWithParam<Seed> {
 protected:
  QueueHarness harness{"queue_state"};
};
TEST_P(QueueStateSeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(QueueStateSeed, TogetherReachEverything) { check_seeds(harness, kStateSeeds); }
INSTANTIATE_TEST_SUITE_P(QueueState, QueueStateSeed, ::testing::ValuesIn(kStateSeeds), seed_name);

}  // namespace
}  // namespace guestproof::testing
