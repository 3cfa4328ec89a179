#include <gtest/gtest.h>

#include "guestproof/testing/harness/block_device_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// Request kinds: 0 in, 1 out, 2 flush, 3 get id, 4 discard, 5 write zeroes, 6 secure erase, 8 none.
// Back-end kinds: 0 features, 1 sound, 2 reads fail, 3 writes fail, 4 the storage ends, 5 short
// transfers, 6 flushes fail, 7 ranges fail, 8 slow. Features: 0x200 flush, 0x800 cache mode. The
// byte 32 of the configuration space is writeback; register 0xc0 is QueueReset, 0x30 QueueSel.
constexpr Seed kSeeds[] = {
    // On a disk that answers at once.
    {"in", "request:data", "request value=3 length=1024"},
    {"discard_not_negotiated", "request:data",
     "backend kind=0 value=0x6000\nactivate\nrequest kind=1 length=512 flags=kick\n"
     "request kind=4 flags=kick\nrequest kind=1 length=512 flags=kick\nrequest kind=5 flags=kick"},
    {"out_then_in", "request:data",
     "request kind=1 value=30 length=1024 next=7 flags=kick\nrequest value=29 length=1536"},
    {"all_types", "request:ok", R"(
        request kind=2
        request kind=3
        request kind=4 value=1 length=16 extra=1
        request kind=5 value=1 length=12 next=1
        request kind=6 value=20 length=8
        kick)"},
    {"no_type", "request:unsupp", "request kind=8 next=3"},
    {"behind_the_disk", "request:ioerr", "request value=32 length=512 flags=raw"},
    {"too_many_buffers", "request:ioerr", "request length=4096 cut=0x1c"},
    {"a_buffer_too_long", "request:ioerr", "request length=4096"},
    {"no_status", "request:unanswerable", "request kind=1 length=512 index=32 flags=raw"},
    {"a_request_by_hand", "request:data", R"(
        flags flags=no_interrupt
        write address=header+8 width=8 value=2
        desc index=0 address=header+0 length=16 next=1
        desc index=1 address=data+0 length=513 flags=write
        link index=0 flags=next next=1
        publish index=0
        kick)"},
    {"a_table_by_hand", "request:data", R"(
        indirect index=0 address=header+0 length=16 flags=next next=1
        indirect index=1 address=data+0 length=513 flags=write
        desc index=3 address=indirect length=32 flags=indirect
        publish index=3
        kick)"},
    {"a_race_for_the_sector", "request:data",
     "request value=1 length=512\nrace address=header+8 nth=2 value=99\nkick"},
    {"a_race_in_flight", "request:data", R"(
        backend kind=8 value=1
        request value=1 length=512
        race address=header+8 nth=2 value=99
        kick
        complete)"},
    {"published_twice_in_flight", "device:needs_reset", R"(
        backend kind=8 value=1
        request value=1 length=512 flags=kick
        publish index=0
        kick)"},
    {"both_queues", "device:interrupt", R"(
        request kind=1 value=1
        request queue=1 value=9 length=1024
        kick
        kick queue=1)"},
    {"on_pci", "guest:on_pci",
     "activate flags=pci\nbackend kind=8 value=1\nrequest length=512\nrequest queue=1 length=512\n"
     "kick\nkick queue=1\ncomplete index=1\ncomplete\nrequest flags=kick\nsave\nrequest "
     "flags=kick"},
    {"packed", "request:data", R"(
        queue index=15 flags=packed|indirect
        request value=1 length=1024 cut=8
        request kind=1 value=2 flags=indirect
        kick)"},
    {"a_broken_queue", "device:needs_reset", "entry index=0 next=99\navail next=1\nkick\nrequest"},

    {"a_cache_mode_before_the_start", "guest:register_access", R"(
        access index=0x70
        access index=0x70 value=1
        access index=0x70 value=3
        access index=0x24
        access index=0x20 value=0xa00
        access index=0x24 value=1
        access index=0x20 value=1
        access index=0x70 value=11
        access next=2 index=32 length=1
        access index=0x70 value=15
        access kind=1 next=2 index=32 length=1)"},
    {"a_cache_mode_of_two_bytes", "guest:register_refused",
     "access next=2 index=32 value=1 length=2\naccess kind=1 next=2 index=32 length=1"},
    {"saved_with_a_queue_disabled", "guest:restore", R"(
        access index=0x30 value=1
        access index=0x44 value=0
        save
        request value=3 length=512)"},

    // In flight.
    {"one_waits", "request:data", R"(
        backend kind=8 value=1
        request value=3 length=1024 flags=kick
        complete)"},
    {"the_second_first", "disk:overtaken", R"(
        backend kind=8 value=1
        request value=1 length=512
        request kind=1 value=2 length=512
        request value=3 length=512
        kick
        complete index=2
        complete index=1
        complete)"},
    {"the_second_first_packed", "disk:overtaken", R"(
        queue index=15 flags=packed|event_index
        backend kind=8 value=1
        request value=1 length=512
        request kind=1 value=2 length=512
        kick
        complete index=1
        complete)"},
    {"the_second_first_in_order", "disk:overtaken", R"(
        queue index=4 flags=in_order
        backend kind=8 value=1
        request value=1 length=512
        request kind=1 value=2 length=512
        kick
        complete index=1
        complete)"},
    {"both_queues_in_flight", "disk:several_in_flight", R"(
        backend kind=8 value=1
        request value=1
        request queue=1 kind=1 value=2
        kick
        kick queue=1
        complete index=1
        complete)"},
    {"the_same_sector_in_flight", "disk:overtaken", R"(
        backend kind=8 value=1
        request kind=1 value=4 next=1
        request kind=1 value=4 next=9
        request value=4
        kick
        complete index=1
        complete index=1
        complete)"},
    {"more_than_the_disk_takes", "device:no_room", R"(
        backend kind=8 value=1
        request value=1
        request value=2
        request value=3
        request value=4
        request value=5
        request value=6
        request value=7
        kick
        request queue=1 value=8 flags=kick
        complete
        complete
        complete index=4
        complete
        complete
        complete
        complete
        complete)"},
    {"a_queue_that_stays_full", "device:no_room", R"(
        queue index=5
        backend kind=8 value=1
        request value=1
        request value=2
        request value=3
        request value=4
        request value=5
        request value=6
        request value=7
        request value=8
        kick
        complete
        complete
        complete)"},
    {"a_segment_of_no_sectors", "request:ok", R"(
        backend kind=8 value=1
        write address=header+0 width=8 value=11
        write address=header+8 width=8 value=0
        write address=data+0 width=8 value=4
        write address=data+8 width=8 value=0
        write address=data+16 width=8 value=2
        write address=data+24 width=8 value=2
        desc index=0 address=header+0 length=16 flags=next next=1
        desc index=1 address=data+0 length=32 flags=next next=2
        desc index=2 address=data+64 length=1 flags=write
        publish index=0
        kick
        complete)"},
    {"a_driver_that_wants_little", "request:unsupp", R"(
        backend kind=0 value=0x16006
        activate
        backend kind=8 value=1
        request kind=1 value=2 length=4096 cut=0x1c flags=kick
        request kind=4 value=1 length=16 flags=kick
        request kind=5 value=1 length=12 flags=kick
        request kind=6 value=20 length=8 flags=kick
        complete)"},
    {"it_goes_on_later", "disk:goes_on_later", R"(
        backend kind=8 value=1
        backend kind=5 value=300
        request value=1 length=1024
        request kind=1 value=5 length=512
        kick
        complete index=1
        complete
        complete
        complete
        complete
        complete)"},
    {"the_data_change_in_flight", "request:data", R"(
        backend kind=8 value=1
        request kind=1 value=3 address=data+0x100 length=512 flags=kick
        fill address=data+0x100 length=300 value=0x77
        complete)"},
    {"failures_in_flight", "request:ioerr", R"(
        backend kind=8 value=1
        request value=1 length=1024
        request kind=1 value=5
        request kind=4 value=9 length=4
        request kind=2
        kick
        backend kind=2 value=700
        complete
        complete index=3
        backend kind=3
        complete
        backend kind=7
        complete
        backend kind=6
        complete)"},
    {"storage_that_ends_in_flight", "request:ioerr", R"(
        backend kind=8 value=1
        request value=2 length=1024 flags=kick
        backend kind=4 value=1500
        complete
        complete)"},
    {"a_flush_waits", "request:ok", R"(
        backend kind=8 value=1
        request kind=1 value=1
        request kind=2
        kick
        complete index=1
        complete)"},
    {"ranges_one_by_one", "disk:goes_on_later", R"(
        backend kind=8 value=1
        request kind=4 value=1 length=2 extra=2
        request kind=5 value=1 length=2 extra=1 next=1
        kick
        complete
        complete
        complete
        complete
        complete)"},
    {"fast_while_one_waits", "request:data", R"(
        backend kind=8 value=1
        request value=1 flags=kick
        backend kind=8
        request value=2 flags=kick
        complete)"},
    {"event_index_and_completions", "device:notify", R"(
        queue index=4 flags=event_index
        event next=2
        backend kind=8 value=1
        request value=1
        request value=2
        request value=3
        kick
        complete
        complete
        complete)"},

    // The cache.
    {"write_through", "disk:goes_on_later", R"(
        access kind=0 next=2 index=32 length=1 value=0
        backend kind=8 value=1
        request kind=1 value=2 flags=kick
        complete
        complete)"},
    {"cache_mode_changes_in_flight", "disk:goes_on_later", R"(
        backend kind=8 value=1
        request kind=1 value=2
        request kind=1 value=4
        kick
        access kind=0 next=2 index=32 length=1 value=0
        complete
        access kind=0 next=2 index=32 length=1 value=1
        complete
        complete)"},
    {"without_flush", "disk:goes_on_later", R"(
        backend kind=0 value=0x200
        queue index=4
        access kind=0 next=2 index=32 length=1 value=1
        backend kind=8 value=1
        request kind=1 value=2 flags=kick
        complete
        complete)"},
    {"without_cache_mode", "guest:register_refused", R"(
        backend kind=0 value=0x800
        queue index=4
        access kind=0 next=2 index=32 length=1 value=0
        request kind=1 flags=kick
        access kind=1 next=2 index=32 length=1)"},
    {"cache_mode_of_two", "guest:register_refused",
     "access kind=0 next=2 index=32 length=1 value=2\naccess kind=1 next=2 index=32 length=1"},
    {"configuration_space_read", "guest:register_access", R"(
        access kind=1 next=2 length=8
        access kind=1 next=2 index=8 length=8
        access kind=1 next=2 index=16 length=8
        access kind=1 next=2 index=24 length=8
        access kind=1 next=2 index=32 length=8
        access kind=1 next=2 index=40 length=8
        access kind=1 next=2 index=48 length=8
        access kind=1 next=2 index=56 length=8
        access kind=1 next=2 index=64 length=8
        access kind=1 next=2 index=70 length=8)"},
    {"capacity_written", "guest:register_refused", "access kind=0 next=2 length=4 value=1"},

    // What ends requests in flight.
    {"reset_in_flight", "ended_by:reset", R"(
        backend kind=8 value=1
        request value=1 length=1024
        request kind=1 value=9
        kick
        access kind=0 index=0x70 value=0
        access kind=1 index=0x70)"},
    {"started_over_in_flight", "ended_by:reset", R"(
        backend kind=8 value=1
        request value=1 length=1024 flags=kick
        queue index=3 flags=packed
        request value=2 flags=kick
        complete)"},
    {"queue_reset_in_flight", "ended_by:queue_reset", R"(
        backend kind=8 value=1
        request value=1 length=1024
        request queue=1 value=2
        kick
        kick queue=1
        access kind=0 index=0x30 value=0
        access kind=0 index=0xc0 value=1
        access kind=1 index=0xc0)"},
    {"room_by_a_reset_of_the_other_queue", "device:no_room", R"(
        backend kind=8 value=1
        request value=1
        request value=2
        request value=3
        request value=4
        request value=5
        request value=6
        kick
        request queue=1 value=8 flags=kick
        access index=0x30 value=0
        access index=0xc0 value=1
        complete)"},
    {"queue_disabled_in_flight", "ended_by:queue_reset", R"(
        backend kind=8 value=1
        request queue=1 value=2 flags=kick
        access kind=0 index=0x30 value=1
        access kind=0 index=0x44 value=0
        request value=3 flags=kick
        complete)"},
    {"saved_in_flight", "ended_by:save", R"(
        backend kind=8 value=1
        request value=1 length=1024
        request kind=1 value=9
        kick
        save
        request value=9 flags=kick
        complete)"},
    {"saved_with_short_transfers", "ended_by:save", R"(
        backend kind=8 value=1
        backend kind=5 value=200
        request value=1 length=1024 flags=kick
        save)"},
    {"saved_with_a_notification_of_a_broken_queue", "device:needs_reset", R"(
        request queue=1
        entry queue=1 index=1 next=99
        avail queue=1 next=1
        kick queue=1
        save)"},
    {"kept_from_memory_with_a_notification_of_a_broken_queue", "device:needs_reset", R"(
        activate flags=pci
        request queue=1
        entry queue=1 index=1 next=99
        avail queue=1 next=1
        kick queue=1
        access next=4 index=4 length=2 value=2
        access kind=1 next=5 index=0x30 length=8)"},
    {"kept_from_memory_in_flight", "ended_by:memory_access", R"(
        activate flags=pci
        backend kind=8 value=1
        request value=1 length=1024
        request kind=1 value=9
        request queue=1 value=2
        kick
        kick queue=1
        access next=4 index=4 length=2 value=2
        complete
        request value=3 flags=kick
        access next=4 index=4 length=2 value=6
        complete)"},
    {"kept_from_memory_with_short_transfers", "ended_by:memory_access", R"(
        activate flags=pci|packed
        backend kind=8 value=1
        backend kind=5 value=200
        request value=1 length=1024 flags=kick
        access next=4 index=4 length=2 value=2
        access next=4 index=4 length=2 value=6)"},
    {"kept_from_memory_with_no_room", "device:kept_from_memory", R"(
        activate flags=pci
        backend kind=8 value=1
        request value=1
        request value=2
        request value=3
        request value=4
        request value=5
        request value=6
        request value=7
        request value=8
        kick
        access next=4 index=4 length=2 value=2
        save
        access next=1 index=8 value=1
        access next=1 index=17 value=1
        access next=4 index=4 length=2 value=6
        complete
        complete)"},
    {"kept_from_memory_in_flight_of_a_broken_device", "ended_by:memory_access", R"(
        activate flags=pci
        backend kind=8 value=1
        request value=1 flags=kick
        avail next=30
        kick
        access next=4 index=4 length=2 value=2
        complete
        access next=4 index=4 length=2 value=6)"},
    {"off_pci_while_kept_from_memory", "device:kept_from_memory", R"(
        activate flags=pci
        access next=4 index=4 length=2 value=2
        request flags=kick
        activate
        request flags=kick
        backend kind=8 value=1
        request flags=kick
        activate flags=pci
        request flags=kick
        complete)"},
    {"restored_in_flight", "ended_by:reset", R"(
        request kind=1 flags=kick
        save
        backend kind=8 value=1
        request value=1 flags=kick
        restore
        request value=2 flags=kick
        complete)"},
    {"started_over_by_the_host_in_flight", "guest:kick", R"(
        backend kind=8 value=1
        request value=1 flags=kick
        reset
        request value=1 flags=kick)"},
    {"broken_with_requests_in_flight", "device:needs_reset", R"(
        backend kind=8 value=1
        request value=1
        entry index=1 next=99
        avail next=1
        kick
        complete
        access kind=0 index=0x70 value=0)"},
    {"broken_while_it_waits_for_room", "device:needs_reset", R"(
        backend kind=8 value=1
        request value=1
        request value=2
        request value=3
        request value=4
        request value=5
        request value=6
        kick
        avail next=60
        complete)"},
    {"saved_while_broken_and_out_of_room", "device:needs_reset", R"(
        backend kind=8 value=1
        request value=1
        request value=2
        request value=3
        request value=4
        request value=5
        request value=6
        request value=7
        kick
        request queue=1 value=8 flags=kick
        kick
        avail next=60
        complete
        save
        complete)"},
    {"cache_mode_there_and_back", "request:ok", R"(
        access kind=0 next=2 index=32 length=1 value=0
        request kind=1 flags=kick
        access kind=0 next=2 index=32 length=1 value=1
        request kind=1 flags=kick)"},
    {"saved_cache_mode", "guest:restore", R"(
        access kind=0 next=2 index=32 length=1 value=0
        save
        backend kind=8 value=1
        request kind=1 flags=kick
        complete
        complete)"},
    {"a_state_of_another_disk", "guest:restore_refused",
     "save\npatch index=177 width=1 value=1\nrestore\nrequest"},
    {"a_state_that_is_cut", "guest:restore_refused", "save\npatch index=0x800a\nrestore\nrequest"},
    {"a_queue_outside_memory", "guest:activate_refused",
     "area which=used address=hole\nactivate index=8\nrequest flags=kick\nreset\nrequest"},
    {"indirect", "guest:indirect_request", "request length=1024 cut=8 flags=indirect"},
};

class BlockDeviceSeeds : public ::testing::TestWithParam<Seed> {};

TEST_P(BlockDeviceSeeds, RunsAndIsStored) {
  BlockDeviceHarness harness;
  check_seed(harness, GetParam());
}
INSTANTIATE_TEST_SUITE_P(All, BlockDeviceSeeds, ::testing::ValuesIn(kSeeds), seed_name);

TEST(BlockDeviceSeedsTest, ReachEverythingTogether) {
  BlockDeviceHarness harness;
  check_seeds(harness, kSeeds);
}

}  // namespace
}  // namespace guestproof::testing
