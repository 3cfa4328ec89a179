#include <gtest/gtest.h>

#include "guestproof/testing/harness/net_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// net_harness.h has what the fields of a request queue=4 and the kinds of `backend` mean; 4 is the
// control queue.
constexpr Seed kNetControlSeeds[] = {
    {"promiscuous", "frame:received",
     "request queue=4 kind=0 value=1 flags=kick\nrequest kind=200\nbackend kind=1 "
     "value=0x0902000064"},
    {"no_longer_promiscuous", "frame:unwanted",
     "request queue=4 kind=0 value=1 flags=kick\nrequest queue=4 kind=0 flags=kick\nrequest "
     "kind=200\n"
     "backend kind=1 value=0x0902000064"},
    {"all_multicast", "frame:received",
     "request queue=4 kind=1 value=1 flags=kick\nrequest kind=200\nbackend kind=1 "
     "value=0x0103000064"},
    {"all_unicast", "frame:received",
     "request queue=4 kind=2 value=1 flags=kick\nrequest kind=200\nbackend kind=1 "
     "value=0x0902000064"},
    {"no_multicast", "frame:unwanted",
     "request queue=4 kind=1 value=1\nrequest queue=4 kind=3 value=1 flags=kick\nrequest kind=200\n"
     "backend kind=1 value=0x0103000064"},
    {"no_unicast", "frame:unwanted",
     "request queue=4 kind=4 value=1 flags=kick\nrequest kind=200\nbackend kind=1 value=100"},
    {"no_broadcast", "frame:unwanted",
     "request queue=4 kind=5 value=1 flags=kick\nrequest kind=200\nbackend kind=1 "
     "value=0x01000064"},
    {"tables", "frame:received",
     "request queue=4 kind=6 index=10 next=3 flags=kick\nrequest kind=200\nrequest kind=200\n"
     "backend kind=1 value=0x0902000064\nbackend kind=1 value=0x0203000064\n"
     "backend kind=1 value=0x0303000064"},
    {"the_last_of_a_full_table", "frame:received",
     "request queue=4 kind=6 index=64 next=64 flags=kick\nrequest kind=200\n"
     "backend kind=1 value=0x4002000064\nbackend kind=1 value=0x3f02000064"},
    {"a_table_that_overflows", "frame:received",
     "request queue=4 kind=6 index=65 next=0 flags=kick\nrequest kind=200\n"
     "backend kind=1 value=0x7002000064\nbackend kind=1 value=0x0103000064"},
    {"empty_tables", "command:done", "request queue=4 kind=6 flags=kick"},
    {"an_address", "config:changed",
     "request queue=4 kind=7 value=9 flags=kick\naccess kind=1 next=2 index=5\nrequest kind=200\n"
     "request kind=200\nbackend kind=1 value=100\nbackend kind=1 value=0x0902000064"},
    {"an_address_that_the_device_did_not_give", "frame:received",
     "backend kind=0 value=0x20\nactivate\nrequest kind=200\nbackend kind=1 value=0x0902000064\n"
     "request queue=4 kind=7 value=9 flags=kick\nrequest kind=200\nbackend kind=1 value=100\n"
     "backend kind=1 value=0x0902000064"},
    {"vlans", "frame:received",
     "request queue=4 kind=8 value=5 flags=kick\nrequest kind=200\nbackend kind=1 "
     "value=0x850000000064\n"
     "request queue=4 kind=9 value=5 flags=kick\nrequest kind=200\nbackend kind=1 "
     "value=0x850000000064"},
    {"the_last_vlan", "command:done", "request queue=4 kind=8 value=4095 flags=kick"},
    {"a_tag_that_is_cut_off", "frame:unwanted",
     "request kind=200\nbackend kind=1 value=0x80000000000f\nbackend kind=1 value=0x80000000000e"},
    // As a driver does that does not rely on the modes that a device begins with.
    {"filters_by_mode", "frame:unwanted",
     "request queue=4 kind=0 flags=kick\n"
     "request kind=200\n"
     "request kind=200\n"
     "request kind=200\n"
     "request kind=200\n"
     "request kind=200\n"
     "request kind=200\n"
     "backend kind=1 value=0x0902000064\n"
     "backend kind=1 value=0x0103000064\n"
     "backend kind=1 value=0x01000064\n"
     "backend kind=1 value=100\n"
     "request queue=4 kind=1 value=1 flags=kick\n"
     "backend kind=1 value=0x0103000064\n"
     "request queue=4 kind=2 value=1 flags=kick\n"
     "backend kind=1 value=0x0902000064\n"
     "request queue=4 kind=3 value=1 flags=kick\n"
     "backend kind=1 value=0x0103000064\n"
     "request queue=4 kind=4 value=1 flags=kick\n"
     "backend kind=1 value=100\n"
     "request queue=4 kind=5 value=1 flags=kick\n"
     "backend kind=1 value=0x01000064\n"
     "request queue=4 kind=0 value=1 flags=kick\n"
     "backend kind=1 value=0x0902000064"},
    {"filters_by_table", "frame:unwanted",
     "request queue=4 kind=0 flags=kick\n"
     "request queue=4 kind=6 index=10 next=3 flags=kick\n"
     "request kind=200\n"
     "request kind=200\n"
     "request kind=200\n"
     "request kind=200\n"
     "backend kind=1 value=0x0902000064\n"
     "backend kind=1 value=0x0a02000064\n"
     "backend kind=1 value=0x0203000064\n"
     "backend kind=1 value=0x0303000064"},
    {"filters_by_a_full_table", "frame:unwanted",
     "request queue=4 kind=0 flags=kick\n"
     "request queue=4 kind=6 index=64 next=64 flags=kick\n"
     "request kind=200\n"
     "request kind=200\n"
     "request kind=200\n"
     "request kind=200\n"
     "backend kind=1 value=0x3f02000064\n"
     "backend kind=1 value=0x4002000064\n"
     "backend kind=1 value=0x3f03000064\n"
     "backend kind=1 value=0x4003000064"},
    {"filters_by_a_table_that_overflows", "frame:unwanted",
     "request queue=4 kind=0 flags=kick\n"
     "request queue=4 kind=6 index=65 next=2 flags=kick\n"
     "request kind=200\n"
     "request kind=200\n"
     "request kind=200\n"
     "request kind=200\n"
     "backend kind=1 value=0x7002000064\n"
     "backend kind=1 value=0x0103000064\n"
     "backend kind=1 value=0x0203000064"},
    {"filters_by_address", "frame:unwanted",
     "request queue=4 kind=0 flags=kick\n"
     "request queue=4 kind=7 value=9 flags=kick\n"
     "request kind=200\n"
     "request kind=200\n"
     "backend kind=1 value=100\n"
     "backend kind=1 value=0x0902000064"},
    {"filters_by_vlan", "frame:unwanted",
     "request queue=4 kind=0 flags=kick\n"
     "request queue=4 kind=8 value=5 flags=kick\n"
     "request kind=200\n"
     "request kind=200\n"
     "request kind=200\n"
     "request kind=200\n"
     "backend kind=1 value=0x850000000064\n"
     "backend kind=1 value=0x860000000064\n"
     "request queue=4 kind=9 value=5 flags=kick\n"
     "backend kind=1 value=0x850000000064\n"
     "backend kind=1 value=100"},
    {"an_announcement", "config:changed",
     "backend kind=7 value=3\naccess kind=1 next=2 index=6 length=2\nrequest queue=4 kind=10 "
     "flags=kick\n"
     "access kind=1 next=2 index=6 length=2"},
    {"pairs", "frame:received",
     "request kind=200 queue=2 flags=kick\nbackend kind=1 value=0x010064\n"
     "request kind=200 queue=3 flags=kick\nrequest queue=4 kind=11 value=1 flags=kick"},
    {"pairs_out_of_use", "command:done",
     "request queue=4 kind=11 value=1 flags=kick\nrequest kind=200 queue=2 length=40\n"
     "backend kind=1 value=0x010064\nrequest queue=4 kind=11 flags=kick\n"
     "request kind=200 queue=2 length=200 flags=kick\nrequest queue=4 kind=11 value=1 flags=kick\n"
     "backend kind=1 value=0x010032"},
    {"new_pairs_with_a_broken_queue", "device:needs_reset",
     "entry queue=3 index=0 next=99\navail queue=3 next=1\nrequest queue=4 kind=11 value=1 "
     "flags=kick"},
    {"one_pair_only", "command:done",
     "backend kind=0 value=0x400000\nactivate\nrequest kind=200 queue=2\n"
     "request queue=2 kind=0 value=1\nkick queue=2"},
    {"offloads", "command:done",
     "request queue=4 kind=12 value=0x80 flags=kick\nrequest kind=200\n"
     "backend kind=2 value=0x020e14360101\nrequest queue=4 kind=12 flags=kick\n"
     "backend kind=2 value=0x020e14360101"},
    {"the_network_refuses", "command:done",
     "backend kind=6 value=1\nrequest queue=4 kind=12 value=0xff\nrequest queue=4 kind=11 value=1 "
     "flags=kick"},
    {"a_group_of_the_table", "frame:received",
     "request queue=4 kind=6 next=3 flags=kick\nrequest kind=200\n"
     "backend kind=1 value=0x0203000064\nbackend kind=1 value=0x0303000064"},
    {"the_network_refuses_offloads", "command:done",
     "backend kind=6 value=1\nrequest queue=4 kind=12 flags=kick\nbackend kind=6\n"
     "request queue=4 kind=12 flags=kick"},
    {"a_network_that_was_not_told_of_pairs", "guest:restore",
     "request queue=4 kind=11 value=1 flags=kick\nsave\nactivate\nbackend kind=6 value=1\n"
     "restore\nbackend kind=6\nrequest kind=200 queue=3 flags=kick\n"
     "request kind=200 queue=2 flags=kick\nbackend kind=1 value=0x010064"},
    {"a_table_outside_memory", "guest:kick",
     "request queue=4 kind=6 index=3 next=3 address=hole flags=kick"},
    {"commands_one_after_the_other", "device:notify",
     "request queue=4 kind=0 value=1\nrequest queue=4 kind=1 value=1\nrequest queue=4 kind=8 "
     "value=1\nkick queue=4"},
    {"in_pieces", "command:done", "request queue=4 kind=6 index=5 next=5 cut=0x1d flags=kick"},
    {"data_behind_the_header", "command:done",
     "request queue=4 kind=6 index=5 next=5 cut=0x1c flags=join_header|kick"},
    {"indirect", "guest:indirect_request", "request queue=4 kind=7 value=3 flags=indirect|kick"},
    {"packed", "command:done",
     "queue index=8 flags=packed|indirect\nrequest queue=4 kind=11 value=1 flags=indirect|kick\n"
     "request kind=200 queue=3 flags=kick"},
    {"in_order", "frame:merged",
     "queue index=3 flags=in_order\nrequest queue=4 kind=11 value=1 flags=kick\n"
     "request kind=200 queue=2 length=40\nrequest kind=200 queue=2 length=90\n"
     "backend kind=1 value=0x010064"},

    {"no_place_for_an_ack", "error:net_control.no_ack",
     "request queue=4 flags=raw value=0x010000 length=1 extra=1\nkick queue=4"},
    {"an_ack_of_several_bytes", "command:done",
     "request queue=4 flags=raw value=0x010000 length=1 extra=9\nkick queue=4"},
    {"an_ack_in_read_only_memory", "guest:kick",
     "desc queue=4 index=0 address=data length=3 flags=next next=1\n"
     "desc queue=4 index=1 address=rom length=1 flags=write\npublish queue=4 index=0\nkick "
     "queue=4"},
    {"half_a_header", "error:net_control.header",
     "request queue=4 flags=raw next=1\nrequest queue=4 flags=raw next=2\nkick queue=4"},
    {"no_such_command", "error:net_control.command",
     "request queue=4 flags=raw value=6\nrequest queue=4 flags=raw value=0x0104\nkick queue=4"},
    {"vlans_without_their_feature", "error:net_control.not_negotiated",
     "backend kind=0 value=0x80000\nactivate\nrequest queue=4 kind=8 value=5 flags=kick\n"
     "request kind=200\nbackend kind=1 value=0x850000000064"},
    {"modes_without_their_feature", "error:net_control.not_negotiated",
     "backend kind=0 value=0x40000\nactivate\nrequest queue=4 kind=0 value=1 flags=kick\n"
     "request queue=4 kind=5 value=1 flags=kick\nrequest kind=200\nbackend kind=1 "
     "value=0x0902000064"},
    {"a_byte_too_few", "error:net_control.length",
     "request queue=4 flags=raw value=2 length=1\nrequest queue=4 flags=raw value=0x0101 "
     "length=5\nkick queue=4"},
    {"a_byte_too_many", "error:net_control.length",
     "request queue=4 flags=raw value=3 length=1\nrequest queue=4 flags=raw length=2\nkick "
     "queue=4"},
    {"half_a_length_of_a_table", "error:net_control.length",
     "request queue=4 flags=raw value=1 length=3\nrequest queue=4 flags=raw value=1 length=7\n"
     "request queue=4 flags=raw value=1 length=9\nkick queue=4"},
    {"a_table_past_its_end", "error:net_control.table",
     "request queue=4 flags=raw value=0x010001 length=9\n"
     "request queue=4 flags=raw value=0xffffffffffff0001 length=40\nkick queue=4"},
    {"neither_on_nor_off", "error:net_control.switch",
     "request queue=4 flags=raw value=0x020000 length=1\nkick queue=4"},
    {"a_group_as_an_address", "error:net_control.mac_kind",
     "request queue=4 flags=raw value=0x010101 length=6\nkick queue=4"},
    {"a_group_among_addresses", "error:net_control.mac_kind",
     "request queue=4 kind=6 index=2 address=data\nwrite address=data+10 width=1 value=1\nkick "
     "queue=4"},
    {"an_address_among_groups", "error:net_control.mac_kind",
     "request queue=4 kind=6 next=2 address=data\nwrite address=data+14 width=1 value=2\nkick "
     "queue=4"},
    {"no_such_vlan", "error:net_control.vlan",
     "request queue=4 flags=raw value=0x10000002 length=2\nkick queue=4"},
    {"no_such_pairs", "error:net_control.pairs",
     "request queue=4 flags=raw value=0x000004 length=2\nrequest queue=4 flags=raw value=0x030004 "
     "length=2\n"
     "kick queue=4"},
    {"offloads_that_are_none", "error:net_control.offloads",
     "request queue=4 flags=raw value=0x010005 length=8\nkick queue=4"},
    {"an_offload_without_another", "error:net_control.offload_needs",
     "request queue=4 flags=raw value=0x800005 length=8\nkick queue=4"},
    {"data_outside_memory", "guest:kick",
     "request queue=4 kind=6 index=3 next=3 address=mid:end-16\nrequest queue=4 kind=0 "
     "address=hole flags=kick"},
    {"a_header_outside_memory", "guest:kick",
     "desc queue=4 index=0 address=hole length=3 flags=next next=1\n"
     "desc queue=4 index=1 address=data length=1 flags=write\npublish queue=4 index=0\n"
     "kick queue=4"},
    {"a_race_for_the_count", "command:done",
     "request queue=4 kind=6 index=3 next=3 address=data\nrace address=data nth=2 value=255\nkick "
     "queue=4"},
    {"a_race_for_the_class", "command:done",
     "request queue=4 kind=0 value=1\nrace address=header nth=2 value=5\nkick queue=4"},

    {"frames_out", "frame:sent", "request kind=200 queue=1 flags=kick"},
    {"a_busy_network", "frame:sent_later",
     "request queue=4 kind=11 value=1 flags=kick\nbackend kind=4\nrequest kind=200 queue=1 "
     "flags=kick\n"
     "request kind=200 queue=3 flags=kick\nbackend kind=5"},

    {"saved", "guest:save",
     "request queue=4 kind=6 index=5 next=69 flags=kick\nrequest queue=4 kind=7 value=9\n"
     "request queue=4 "
     "kind=8 value=77\n"
     "request queue=4 kind=11 value=1\nrequest queue=4 kind=12 value=0x80\nrequest queue=4 kind=5 "
     "value=1 flags=kick\n"
     "backend kind=7 value=2\nsave\nrequest kind=200\nbackend kind=1 value=0x0902000064"},
    {"saved_on_a_network_that_fails", "guest:restore",
     "save\nbackend kind=6 value=1\nrestore\nbackend kind=6\nactivate\nrequest queue=4"},
    {"a_state_of_too_many_pairs", "guest:restore_refused",
     "save\npatch index=340 width=1 value=9\nrestore\nactivate\nrequest queue=4"},
    {"a_state_with_a_mode_that_there_is_not", "guest:restore_refused",
     "save\npatch index=350 width=8 value=0xffffffffffffffff\nrestore\nactivate\nrequest queue=4"},
    {"a_state_that_is_cut_off", "guest:restore_refused",
     "save\npatch index=0x8010\nrestore\nactivate\nrequest queue=4"},

    {"event_index", "device:notify",
     "queue queue=4 index=2 flags=event_index\nevent queue=4 next=1\nrequest queue=4 flags=kick\n"
     "request queue=4 flags=kick"},
    {"no_interrupt", "command:done",
     "flags queue=4 flags=no_interrupt\nrequest queue=4 flags=kick"},
    {"a_loop", "guest:kick",
     "desc queue=4 index=0 address=data length=8 flags=next next=1\n"
     "link queue=4 index=1 flags=next next=0\npublish queue=4 index=0\nkick queue=4"},
    {"a_head_outside", "device:needs_reset",
     "entry queue=4 index=0 next=99\navail queue=4 next=1\nkick queue=4\nrequest queue=4"},
    {"an_indirect_table_by_hand", "command:done",
     "indirect index=0 address=data length=8 flags=write\n"
     "desc queue=4 index=3 address=indirect length=16 flags=indirect\npublish queue=4 index=3\n"
     "kick queue=4"},
    {"memory_that_changes", "command:done",
     "fill address=data length=256 value=7\nwrite address=data+3 width=8 value=1\nrequest queue=4 "
     "flags=kick"},
    {"on_pci", "guest:on_pci", "queue queue=4 index=4 flags=pci\nrequest queue=4 flags=kick"},
    {"kept_from_memory", "device:kept_from_memory",
     "activate flags=pci\naccess next=4 index=4 length=2 value=2\n"
     "request queue=4 kind=10 value=1 flags=kick\nrequest queue=2 kind=200 flags=kick\n"
     "backend kind=1 value=0x010064\naccess next=4 index=4 length=2 value=6"},
    {"a_reset", "command:done",
     "request queue=4 kind=7 value=9 flags=kick\nreset\nrequest queue=4 kind=0 flags=kick"},
    {"a_queue_elsewhere", "guest:activate",
     "area queue=4 which=desc address=high+0x3000\narea queue=4 which=avail address=high+0x3800\n"
     "area queue=4 which=used address=high+0x3a00\nactivate queue=4 index=8\nrequest queue=4 "
     "flags=kick"},
    {"a_queue_outside_memory", "guest:activate_refused",
     "area queue=4 which=used address=hole\nactivate queue=4 index=8\nrequest queue=4 "
     "flags=kick\nreset\n"
     "request queue=4"},
    {"a_configuration_space_written", "guest:register_refused", "access next=2 index=0 value=5"},
};

class NetControlSeeds : public ::testing::TestWithParam<Seed> {};

TEST_P(NetControlSeeds, RunsAndIsStored) {
  NetControlHarness harness;
  check_seed(harness, GetParam());
}
INSTANTIATE_TEST_SUITE_P(All, NetControlSeeds, ::testing::ValuesIn(kNetControlSeeds), seed_name);

TEST(NetControlSeedsTest, ReachEverythingTogether) {
  NetControlHarness harness;
  check_seeds(harness, kNetControlSeeds);
}

}  // namespace
}  // namespace guestproof::testing
