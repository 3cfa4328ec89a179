#include <gtest/gtest.h>

#include "guestproof/testing/harness/block_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// Request kinds: 0 in, 1 out, 2 flush, 3 get id, 4 discard, 5 write zeroes, 6 secure erase, 7 get
// lifetime, 8 none. Back-end kinds: 1 reads fail, 2 writes fail, 3 the storage ends, 4 short
// transfers, 5 flushes fail, 6 ranges fail, 7 features, 8 capacity, 9 size_max, 10 seg_max, 11
// segment limits, 12 unmap. Features: 0x20 read-only, 0x200 flush, 0x2000 discard, 0x4000 write
// zeroes, 0x10000 secure erase.
constexpr Seed kSeeds[] = {
    // Every request as drivers make it.
    {"in", "request:in:data", "request value=3 length=1024"},
    {"out_then_in", "request:out:data", R"(
        request kind=1 value=30 length=1024 next=7
        request kind=0 value=29 length=1536)"},
    {"flush", "request:flush:ok", "request kind=1\nrequest kind=2"},
    {"get_id", "request:get_id:ok", "request kind=3"},
    {"discard", "request:discard:ok", "request kind=4 value=1 length=16"},
    {"write_zeroes", "request:write_zeroes:ok", "request kind=5 value=1 length=12"},
    {"write_zeroes_and_unmap", "request:write_zeroes:ok", R"(
        backend kind=12 value=1
        request kind=5 value=1 length=12 next=1
        request kind=5 value=20 length=2)"},
    {"write_zeroes_must_not_unmap", "request:write_zeroes:ok", "request kind=5 value=9 next=1"},
    {"secure_erase", "request:secure_erase:ok", "request kind=6 value=24 length=8"},
    {"get_lifetime", "request:unknown", "request kind=7"},
    {"no_type", "request:unknown",
     "request kind=8 next=3 flags=kick\nrequest kind=8 flags=raw next=3"},
    {"several_segments", "request:discard:ok", R"(
        request kind=4 value=2 length=3 extra=3
        request kind=5 value=7 length=2 extra=2 next=1
        request kind=6 value=12 length=4 extra=1
        kick
        request value=2 length=4096)"},
    {"segments_of_no_sectors", "request:write_zeroes:ok",
     "request kind=5 value=32 length=0 extra=48 flags=raw"},
    {"no_data", "request:in:ok",
     "request value=32 length=0 flags=raw\n"
     "request kind=1 value=32 length=0 flags=raw"},
    {"last_sector", "request:in:data",
     "request kind=1 value=31 length=512 flags=raw\n"
     "request value=31 length=512 flags=raw"},
    {"flush_with_data", "request:flush:ok", "request kind=2 flags=raw length=40 extra=24"},
    {"without_flush_feature", "request:out:ok", R"(
        backend kind=7 value=0x200
        request kind=1 value=4
        request kind=4 value=4 length=2 extra=1
        request kind=6 value=4)"},

    // However it is cut.
    {"split_header", "request:in:data", "request length=512 cut=3"},
    {"header_in_two_places", "request:in:data", R"(
        write address=high+0 width=8 value=1
        desc index=0 address=header+0 length=8 flags=next next=1
        desc index=1 address=high+0 length=8 flags=next next=2
        desc index=2 address=data+0 length=513 flags=write
        publish index=0)"},
    {"split_data", "request:out:data", "request kind=1 length=1024 cut=0x1c"},
    {"split_segments", "request:discard:ok", "request kind=4 length=2 extra=2 cut=0x1f"},
    {"joined_status", "request:in:data", "request length=512 flags=join_status cut=8"},
    {"joined_header", "request:out:data", "request kind=1 length=512 flags=join_header cut=12"},
    {"joined_id", "request:get_id:ok", "request kind=3 flags=join_header|join_status"},
    {"indirect", "guest:indirect_request",
     "request length=1024 cut=0x1f flags=indirect\n"
     "request kind=1 length=1024 cut=0x1f flags=indirect\n"
     "request kind=6 extra=1 flags=indirect|join_header"},
    {"data_across_regions", "request:in:data",
     "request address=data+0x1f00 length=512\n"
     "request kind=1 value=8 address=data+0x1e01 length=1024"},
    {"segments_across_regions", "request:discard:ok", "request kind=4 address=data+0x1ff8 extra=1"},
    {"up_to_the_end_of_memory", "request:in:data",
     "request address=top+0xe00 length=512\n"
     "request kind=1 value=1 address=mid+0x3e00 length=512"},
    {"descriptors_of_no_bytes", "request:in:data", R"(
        desc index=0 address=hole+0 flags=next next=1
        desc index=1 address=header+0 length=16 flags=next next=2
        desc index=2 address=hole+0 flags=next|write next=3
        desc index=3 address=data+0 length=513 flags=next|write next=4
        desc index=4 address=hole+0 flags=write
        publish index=0)"},
    {"data_over_the_rings", "request:in:data", "request address=used+0 length=512\nrequest"},
    {"the_same_buffer_twice", "request:out:data", R"(
        write address=header+0 width=1 value=1
        desc index=0 address=header+0 length=16 flags=next next=1
        desc index=1 address=data+0 length=256 flags=next next=2
        desc index=2 address=data+0 length=256 flags=next next=3
        desc index=3 address=data+0 length=1 flags=write
        race address=data+9 nth=2 value=0x77
        publish index=0)"},

    // Many of them, and notifications.
    {"queue_of_requests", "device:notify", R"(
        queue index=5 flags=event_index|indirect
        event next=3
        request kind=1 value=1
        request value=1
        request kind=4 value=1 flags=indirect
        request value=1 length=1024
        kick
        request kind=2 flags=kick)"},
    {"several_turns", "device:more", R"(
        request kind=1 value=1
        request value=1 length=1024
        request kind=2
        request kind=4 value=9
        kick budget=2)"},
    {"a_turn_that_is_just_enough", "guest:kick", "request\nrequest kind=1\nkick budget=3"},
    {"packed_requests", "request:in:ok", R"(
        queue index=12 flags=packed|event_index|indirect
        event next=2
        request kind=1 value=3 length=512 cut=5
        request kind=0 value=3 length=1024 cut=9
        kick
        request kind=0 value=3 length=512 flags=indirect)"},
    {"packed_descriptor_not_available", "error:queue.descriptor_not_available",
     "queue index=3 flags=packed\ndesc index=0 length=8 flags=next|0x80\nkick"},
    {"packed_descriptor_in_flight", "error:queue.descriptor_in_flight",
     "queue index=1 flags=packed\ndesc index=0 flags=next\ndesc index=1 flags=next\npublish"},
    {"packed_indirect_in_chain", "error:chain.indirect_in_chain", R"(
        queue index=3 flags=packed|indirect
        desc index=0 address=data+0 length=8 flags=next
        desc index=1 address=indirect+0 length=16 flags=indirect
        publish)"},
    {"no_interrupt", "guest:kick", "flags flags=no_interrupt\nrequest flags=kick\nrequest kind=3"},
    {"published_again", "guest:kick", "request flags=kick\nentry index=1\navail next=1"},
    {"areas_elsewhere", "guest:activate", R"(
        area which=desc address=high+0
        area which=avail address=high+0x400
        area which=used address=top+0
        activate index=64 flags=event_index
        request)"},
    {"reset_to_the_default_device", "request:out:ok", R"(
        backend kind=7 value=0x20
        backend kind=2
        request kind=1 flags=kick
        reset
        request kind=1)"},
    {"save_and_go_on", "guest:save", "request kind=1 flags=kick\nsave\nrequest kind=0"},
    {"restore_another_state", "guest:restore_refused",
     "save\n"
     "patch index=6 width=2 value=47\n"
     "restore\n"
     "request"},
    {"refused_activation", "guest:activate_refused", "activate index=3\nrequest flags=kick"},

    // Storage that fails.
    {"read_fails", "error:system.read", "backend kind=1 value=700\nrequest length=2048 cut=12"},
    {"read_fails_at_once", "request:in:ioerr", "backend kind=1 value=0\nrequest length=512"},
    {"write_fails", "error:system.write", "backend kind=2 value=700\nrequest kind=1 length=2048"},
    {"storage_ends", "error:block.no_progress", R"(
        backend kind=3 value=700
        request length=1024
        request kind=1 length=1024)"},
    {"short_transfers", "request:out:data", R"(
        backend kind=4 value=100
        request kind=1 value=5 length=1024 cut=8
        request value=5 length=1024 cut=12)"},
    {"flush_fails", "error:system.sync", "backend kind=5\nrequest kind=2"},
    {"flush_after_write_fails", "request:out:ioerr", R"(
        backend kind=7 value=0x200
        backend kind=5
        request kind=1 value=1
        request kind=5 value=2)"},
    {"discard_fails", "request:discard:ioerr",
     "backend kind=6 value=1024\n"
     "request kind=4 length=2 extra=2"},
    {"write_zeroes_fails", "request:write_zeroes:ioerr", "backend kind=6\nrequest kind=5"},
    {"secure_erase_fails", "error:system.allocate", "backend kind=6\nrequest kind=6"},
    {"storage_recovers", "request:out:ok", R"(
        backend kind=2
        request kind=1 flags=kick
        backend kind=0
        request kind=1)"},

    // What a block request may not be.
    {"no_status", "error:block.no_status", "request flags=raw index=32"},
    {"no_status_after_data", "error:block.no_status",
     "request kind=1 flags=raw index=32 length=512"},
    {"header_too_short", "error:block.header_too_short", "request flags=raw index=1 length=512"},
    {"unsupported_type", "error:block.unsupported_type", "request kind=8"},
    {"flush_not_negotiated", "request:flush:unsupp", "backend kind=7 value=0x200\nrequest kind=2"},
    {"feature_not_negotiated", "error:block.feature_not_negotiated",
     "backend kind=7 value=0x16200\n"
     "request kind=4\n"
     "request kind=5\n"
     "request kind=6"},
    {"read_only", "error:block.read_only", R"(
        backend kind=7 value=0x20
        request kind=1
        request kind=4
        request kind=5
        request kind=6
        request)"},
    {"unexpected_readable", "error:block.unexpected_readable",
     "request flags=raw length=512 extra=8\n"
     "request kind=3 flags=raw length=20 extra=1"},
    {"unexpected_writable", "error:block.unexpected_writable",
     "request kind=1 flags=raw length=512 extra=8"},
    {"data_length", "error:block.data_length",
     "request flags=raw length=511\n"
     "request kind=1 flags=raw length=513"},
    {"beyond_capacity", "error:block.beyond_capacity",
     "request flags=raw value=31 length=1024\n"
     "request kind=1 flags=raw value=31 length=1024"},
    {"sector_overflows", "request:in:ioerr",
     "request flags=raw value=0xffffffffffffffff length=512\n"
     "request kind=1 flags=raw value=0x80000000000000 length=512"},
    {"smaller_capacity", "request:out:ioerr", R"(
        backend kind=8 value=7
        request kind=1 value=6
        request kind=1 flags=raw value=7 length=512)"},
    {"seg_max", "error:block.seg_max", R"(
        backend kind=10 value=2
        request length=1024 cut=4
        request length=1536 cut=8
        request kind=1 length=1536 cut=8 flags=join_header)"},
    {"size_max", "error:block.size_max", R"(
        backend kind=9 value=512
        request length=512
        request length=1024
        request kind=1 length=1024 flags=join_header)"},
    {"flush_sector", "error:block.flush_sector", "request kind=2 flags=raw value=1"},
    {"id_length", "error:block.id_length",
     "request kind=3 flags=raw length=19\n"
     "request kind=3 flags=raw length=21"},
    {"segments_length", "error:block.segments_length",
     "request kind=4 flags=raw extra=17 length=1\n"
     "request kind=5 flags=raw length=1"},
    {"too_many_segments", "error:block.too_many_segments", R"(
        request kind=4 flags=raw extra=80 length=1
        request kind=5 flags=raw extra=64 length=1
        request kind=6 flags=raw extra=48 length=1)"},
    {"segment_flags", "error:block.segment_flags", R"(
        request kind=4 flags=raw extra=16 length=1 next=1
        request kind=5 flags=raw extra=16 length=1 next=2
        request kind=6 flags=raw extra=32 length=1 next=1)"},
    {"secure_erase_unmap", "request:secure_erase:unsupp",
     "request kind=6 flags=raw extra=16 length=1 next=1"},
    {"discard_unmap", "request:discard:unsupp",
     "request kind=4 flags=raw extra=16 length=1 next=1"},
    {"write_zeroes_flags", "request:write_zeroes:unsupp",
     "request kind=5 flags=raw extra=16 length=1 next=3"},
    {"segment_sectors", "error:block.segment_sectors", R"(
        request kind=4 flags=raw extra=16 length=17
        request kind=5 flags=raw extra=16 length=13
        request kind=6 flags=raw extra=16 length=9)"},
    {"segment_beyond_capacity", "error:block.beyond_capacity", R"(
        request kind=4 flags=raw extra=32 length=4 value=25
        request kind=5 flags=raw extra=16 length=1 value=32
        request kind=6 flags=raw extra=16 length=1 value=0xffffffffffffffff)"},
    {"segments_total", "error:block.segments_total", R"(
        request kind=4 flags=raw extra=48 length=11 index=64
        request kind=5 flags=raw|kick extra=48 length=11 value=20 index=64
        backend kind=8 value=7
        request kind=6 flags=raw extra=32 length=4 value=3 index=64)"},
    {"segments_that_just_fit", "request:discard:ok", R"(
        request kind=4 flags=raw extra=32 length=16 value=16 index=64
        request kind=5 flags=raw|kick extra=32 length=12
        backend kind=8 value=8
        request kind=6 flags=raw extra=32 length=4 value=4 index=64)"},
    {"other_segment_limits", "error:block.too_many_segments", R"(
        backend kind=11 value=0x20f
        request kind=4 extra=15 length=2
        request kind=6 flags=raw extra=272)"},

    // Where there is no memory.
    {"header_in_a_hole", "error:memory.unmapped", R"(
        desc index=0 address=mid:end-8 length=16 flags=next next=1
        desc index=1 address=data+0 length=513 flags=write
        publish index=0)"},
    {"status_in_a_hole", "error:memory.unmapped", R"(
        desc index=0 address=header+0 length=16 flags=next next=1
        desc index=1 address=mid:end-512 length=513 flags=write
        publish index=0)"},
    {"status_in_rom", "error:memory.read_only", R"(
        desc index=0 address=header+0 length=16 flags=next next=1
        desc index=1 address=rom+0 length=1 flags=write
        publish index=0)"},
    {"status_past_the_address_space", "error:memory.address_overflow", R"(
        desc index=0 address=header+0 length=16 flags=next next=1
        desc index=1 address=raw value=0xffffffffffffffff length=2 flags=write
        publish index=0)"},
    {"data_into_a_hole", "request:in:ioerr", "request address=mid:end-20 length=512"},
    {"data_into_rom", "request:in:ioerr", "request address=rom+0 length=512"},
    {"data_from_a_hole", "request:out:ioerr", "request kind=1 address=mid:end-20 length=512"},
    {"data_from_rom", "request:out:data", "request kind=1 address=rom+0 length=512"},
    {"id_into_a_hole", "request:get_id:ioerr", "request kind=3 address=mid:end-8"},
    {"segments_from_a_hole", "request:write_zeroes:ioerr",
     "request kind=5 address=mid:end-8 extra=1"},
    {"data_of_four_gigabytes", "request:in:ioerr",
     "request flags=raw length=0xfffffe00\n"
     "request kind=1 flags=raw length=0xfffffe00"},
    {"flush_with_four_gigabytes", "request:flush:ok", "request kind=2 flags=raw length=0xffffff00"},

    // A guest that changes its mind while the device reads.
    {"race_on_the_type", "guest:kick", "request\nrace address=header+0 nth=2 value=1\nkick"},
    {"race_on_the_sector", "guest:kick", "request\nrace address=header+8 nth=2 value=99\nkick"},
    {"race_on_the_sector_as_it_is_read", "request:in:ioerr",
     "request\n"
     "race address=header+9 nth=1 value=99\n"
     "kick"},
    {"race_on_a_data_length", "guest:kick",
     "request\n"
     "race address=desc+0x19 nth=2 value=0x80\n"
     "kick"},
    {"race_on_a_data_address", "guest:kick",
     "request kind=1\n"
     "race address=desc+0x11 nth=2 value=0xc0\n"
     "kick"},
    {"race_on_the_status_address", "guest:kick",
     "request\n"
     "race address=desc+0x20 nth=2 value=0\n"
     "kick"},
    {"race_on_a_segment", "guest:kick",
     "request kind=4\n"
     "race address=data+1 nth=2 value=0xff\n"
     "kick"},
    {"race_on_segment_sectors", "guest:kick",
     "request kind=5\n"
     "race address=data+8 nth=2 value=0xff\n"
     "kick"},
    {"race_on_the_data", "request:out:data",
     "request kind=1\n"
     "race address=data+7 nth=1 value=0xaa\n"
     "kick"},
    {"race_on_the_available_index", "guest:kick",
     "request\n"
     "race address=avail+2 nth=2 value=2\n"
     "kick"},

    // Broken queues.
    {"not_active", "error:queue.not_active", "activate index=3\nkick"},
    {"avail_index", "error:queue.avail_index", "request\navail next=16"},
    {"head_index", "error:queue.head_index", "request\npublish index=16"},
    {"saved_broken", "error:queue.saved_broken", "publish index=16\nkick\nsave\nkick"},

    // Malformed chains, with a good request behind each.
    {"too_long", "error:chain.too_long", R"(
        request kind=1
        link index=1 flags=next next=0
        kick
        request)"},
    {"next_index", "error:chain.next_index", "request\nlink index=1 flags=next next=16\nrequest"},
    {"total_length", "error:chain.total_length", R"(
        desc index=0 address=header+0 length=16 flags=next next=1
        desc index=1 address=data+0 length=0xffffffff flags=next|write next=2
        desc index=2 address=data+0 length=1 flags=write
        publish index=0)"},
    {"readable_after_writable", "error:chain.readable_after_writable",
     "request\n"
     "link index=0 flags=next|write next=1\n"
     "link index=1 flags=next next=2"},
    {"indirect_not_negotiated", "error:chain.indirect_not_negotiated", R"(
        queue index=4
        desc index=0 address=indirect+0 length=16 flags=indirect
        publish index=0)"},
    {"indirect_nested", "error:chain.indirect_nested", R"(
        indirect index=0 address=indirect+0x10 length=16 flags=indirect
        desc index=0 address=indirect+0 length=16 flags=indirect
        publish index=0)"},
    {"indirect_with_next", "error:chain.indirect_with_next",
     "request flags=indirect\n"
     "link index=0 flags=indirect|next next=1"},
    {"indirect_length", "error:chain.indirect_length",
     "desc index=0 address=indirect+0 length=24 flags=indirect\n"
     "publish index=0"},
    {"indirect_unmapped", "error:chain.indirect_unmapped",
     "desc index=0 address=hole+0 length=16 flags=indirect\n"
     "publish index=0"},
    {"memory_filled_by_hand", "request:out:data", R"(
        fill address=data+0 length=512 value=0x5a
        request kind=1 address=data+0 length=512)"},
};

class BlockSeed : public ::testing::TestWithParam<Seed> {
 protected:
  BlockHarness harness;
};
TEST_P(BlockSeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(BlockSeed, TogetherReachEverything) { check_seeds(harness, kSeeds); }
INSTANTIATE_TEST_SUITE_P(Block, BlockSeed, ::testing::ValuesIn(kSeeds), seed_name);

}  // namespace
}  // namespace guestproof::testing
