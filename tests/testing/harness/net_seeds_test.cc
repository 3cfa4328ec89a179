#include <gtest/gtest.h>

#include "guestproof/testing/harness/net_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// net_harness.h has what the fields of a request and the kinds of `backend` mean.
constexpr Seed kNetSeeds[] = {
    {"a_frame_out", "frame:sent", "request queue=1 flags=kick"},
    {"a_frame_in", "frame:received", "request queue=0\nbackend kind=1 value=100"},
    {"a_frame_waits_for_a_buffer", "frame:received",
     "backend kind=1 value=100\nbackend kind=1 value=200\nrequest\nrequest flags=kick"},
    {"offloads_out", "frame:sent",
     "request queue=1 kind=1 length=200\nrequest queue=1 kind=2 length=1900\n"
     "request queue=1 kind=3 length=900\nrequest queue=1 kind=4 length=900\n"
     "request queue=1 kind=5 length=900\nkick queue=1"},
    {"in_pieces", "frame:sent", "request queue=1 length=600 cut=0x1f flags=kick"},
    {"header_and_frame_joined", "frame:sent",
     "request queue=1 length=600 cut=0x1f flags=join_header|kick"},
    {"indirect", "guest:indirect_request", "request queue=1 length=100 cut=8 flags=indirect|kick"},
    {"several_at_once", "device:notify",
     "request queue=1\nrequest queue=1 length=300\nrequest queue=1 length=700\nkick queue=1"},
    {"a_long_frame_out", "frame:sent",
     "request queue=1 flags=raw length=15000 value=0x02000e640a0101\nkick queue=1"},

    {"spread_over_buffers", "frame:merged",
     "request length=40\nrequest length=40 cut=4\nrequest length=500\nbackend kind=1 value=400"},
    {"waits_for_more_buffers", "frame:merged",
     "request length=40\nbackend kind=1 value=100\nrequest length=40 flags=kick\n"
     "request length=40 flags=kick"},
    {"all_buffers_are_too_small", "error:net.rx_room",
     "queue index=1\nrequest length=20\nrequest length=20\nbackend kind=1 value=100\n"
     "backend kind=1 value=20"},
    {"a_buffer_is_too_small", "error:net.rx_room",
     "backend kind=0 value=0x8000\nactivate\nrequest length=60\nbackend kind=1 value=100\n"
     "backend kind=1 value=20"},
    {"without_merging", "frame:received",
     "backend kind=0 value=0x8000\nactivate\nrequest\nrequest\nbackend kind=1 value=100"},
    {"a_bad_buffer_among_others", "error:net.rx_header",
     "request length=40\nrequest length=11\nrequest length=200\nbackend kind=1 value=100\n"
     "backend kind=1 value=100"},
    {"a_bad_buffer_in_order", "error:net.rx_header",
     "queue index=4 flags=in_order\nrequest length=40\nrequest length=11\nrequest length=200\n"
     "backend kind=1 value=100\nbackend kind=1 value=100"},
    {"a_buffer_with_readable_bytes", "error:net.rx_readable",
     "request flags=raw length=100 extra=5\nbackend kind=1 value=20"},
    {"a_buffer_outside_memory", "guest:kick",
     "request length=100 address=mid:end-16\nrequest length=90 address=rom\n"
     "backend kind=1 value=60\nrequest flags=kick"},
    {"a_buffer_of_two_parts_and_a_hole", "guest:kick",
     "desc index=0 address=data length=40 flags=write|next next=1\n"
     "desc index=1 address=hole length=40 flags=write\npublish index=0\n"
     "backend kind=1 value=20\nrequest flags=kick"},

    {"the_network_is_busy", "frame:sent_later",
     "backend kind=4 value=1\nrequest queue=1\nrequest queue=1 length=99\nkick queue=1\n"
     "kick queue=1\nbackend kind=5"},
    {"the_network_fails", "guest:kick",
     "backend kind=6 value=1\nrequest queue=1 flags=kick\nrequest flags=kick\n"
     "backend kind=6\nrequest queue=1 flags=kick"},
    {"the_network_fails_at_the_start", "guest:activate", "backend kind=6 value=1\nactivate"},
    {"the_link_is_down", "error:net.link_down",
     "backend kind=7\nrequest queue=1 flags=kick\nrequest\nbackend kind=1 value=100\n"
     "backend kind=7 value=1\nbackend kind=1 value=100"},
    {"an_announcement", "config:changed",
     "backend kind=7 value=3\nrequest queue=2 kind=10 flags=kick\naccess kind=1 next=2 index=6"},

    {"unwanted", "frame:received",
     "request\nbackend kind=1 value=0x0902000064\nbackend kind=1 value=0x0103000064\n"
     "backend kind=1 value=0x850000000064\nbackend kind=1 value=0x01000064"},
    {"a_flood", "device:interrupt",
     "queue index=0\nbackend kind=1 value=0x0902000064\nrequest flags=kick\n"
     "backend kind=1 value=0x0902000064\nbackend kind=1 value=100"},
    {"promiscuous", "command:done",
     "request queue=2 kind=0 value=1 flags=kick\nrequest\nbackend kind=1 value=0x850902000064"},

    {"a_flood_that_piled_up", "frame:received",
     "queue index=0\nbackend kind=6 value=1\nbackend kind=1 value=0x0902000064\n"
     "backend kind=1 value=0x0902000064\nbackend kind=1 value=0x0902000064\n"
     "backend kind=1 value=0x0902000064\nbackend kind=6\nbackend kind=1 value=100\nrequest"},
    {"a_group_to_a_driver_without_filters", "frame:received",
     "backend kind=0 value=0x40000\nactivate\nrequest\nbackend kind=1 value=0x0103000064"},

    {"a_header_in", "frame:received", "request\nbackend kind=2 value=0x020e14360101"},
    {"a_checksum_that_is_good", "frame:received", "request\nbackend kind=2 value=0x02"},
    {"a_runt_in", "error:net.frame_short",
     "request\nbackend kind=3 value=20\nbackend kind=3 value=5"},
    {"nothing_arrives", "error:net.frame_short",
     "request\nbackend kind=3\nbackend kind=1 value=60"},
    {"too_long_in", "error:net.frame_long",
     "request\nbackend kind=1 value=1523\nbackend kind=3 value=65610\nbackend kind=3 value=65700"},
    {"too_long_out", "error:net.frame_long", "request queue=1 flags=raw length=1523\nkick queue=1"},
    {"as_long_as_may_be", "frame:sent", "request queue=1 flags=raw length=1522\nkick queue=1"},
    {"a_checksum_past_the_frame", "error:net.checksum_range",
     "request queue=1 flags=raw length=60 value=0x3c0100000001\nkick queue=1\n"
     "request\nbackend kind=2 value=0xff0000000001"},
    {"a_checksum_at_its_end", "frame:sent",
     "request queue=1 flags=raw length=60 value=0x390100000001\nkick queue=1"},
    {"a_type_that_there_is_not", "error:net.gso_type",
     "request queue=1 flags=raw length=60 value=0x020e64008001\n"
     "request queue=1 flags=raw length=60 value=0x020e64008301\nkick queue=1"},
    {"segmentation_without_a_checksum", "error:net.gso_without_checksum",
     "request queue=1 flags=raw length=60 value=0x64000100\nkick queue=1"},
    {"segments_of_nothing", "error:net.gso_size",
     "request queue=1 flags=raw length=60 value=0x020e00000101\nkick queue=1"},
    {"a_header_longer_than_the_frame", "error:net.header_length",
     "request queue=1 flags=raw length=60 value=0x020e643d0101\nkick queue=1"},
    {"tso_without_its_feature", "error:net.gso_not_negotiated",
     "backend kind=0 value=0x800\nactivate\nrequest queue=1 kind=2 length=900 flags=kick"},
    {"tso_in_without_its_feature", "error:net.gso_not_negotiated",
     "backend kind=0 value=0x280\nactivate\nrequest\nbackend kind=2 value=0x020e14360101"},
    {"ecn_without_its_feature", "error:net.gso_not_negotiated",
     "backend kind=0 value=0x2000\nactivate\nrequest queue=1 kind=3 length=900 flags=kick"},
    {"a_checksum_without_its_feature", "error:net.checksum_not_negotiated",
     "backend kind=0 value=0x0100000000007801\nactivate\nrequest queue=1 kind=1 flags=kick"},
    {"a_type_that_is_next_to_one", "error:net.gso_type",
     "request queue=1 flags=raw length=60 value=0x020e64000201\nkick queue=1"},
    {"segments_of_udp_in_over_ipv6_alone", "frame:received",
     "backend kind=0 value=0x40000000000000\nactivate\nrequest\n"
     "backend kind=2 value=0x020e14360501"},
    {"segments_of_udp_in_without_their_features", "error:net.gso_not_negotiated",
     "backend kind=0 value=0xc0000000000000\nactivate\nrequest\n"
     "backend kind=2 value=0x020e14360501"},
    {"a_good_checksum_in_without_its_feature", "frame:received",
     "backend kind=0 value=0xc0000000000782\nactivate\nrequest\nbackend kind=2 value=0x02"},
    {"long_without_an_mtu", "frame:sent",
     "backend kind=0 value=8\nactivate\nrequest queue=1 flags=raw length=1523\nkick queue=1"},
    {"ecn_needs_tso", "guest:activate_refused", "backend kind=0 value=0x1800\nactivate\nrequest"},
    {"no_header", "error:net.tx_header", "request queue=1 flags=raw next=1\nkick queue=1"},
    {"a_runt_out", "error:net.frame_short", "request queue=1 flags=raw length=13\nkick queue=1"},
    {"a_frame_out_with_room", "error:net.tx_writable",
     "request queue=1 flags=raw length=60 extra=4\nkick queue=1"},
    {"a_frame_outside_memory", "guest:kick",
     "request queue=1 length=64 address=mid:end-16\nrequest queue=1 address=hole flags=kick"},

    {"a_header_outside_memory", "guest:kick",
     "desc queue=1 index=0 address=hole length=100\npublish queue=1 index=0\nkick queue=1\n"
     "request queue=1 flags=kick"},
    {"a_loop_for_a_frame", "frame:received",
     "desc index=0 address=data length=8 flags=write|next next=1\n"
     "link index=1 flags=next|write next=0\npublish index=0\nbackend kind=1 value=100\n"
     "request\nbackend kind=1 value=100"},
    {"queues_reset_by_themselves", "frame:sent_later",
     "backend kind=4\nrequest queue=1 flags=kick\naccess index=0x30 value=1\n"
     "access index=0xc0 value=1\naccess index=0x30 value=2\naccess index=0xc0 value=1\n"
     "backend kind=5"},

    {"packed", "frame:merged",
     "queue index=6 flags=packed|indirect\nrequest length=40\nrequest length=80 cut=8\n"
     "backend kind=1 value=100\nrequest queue=1 flags=indirect|kick"},
    {"packed_over_the_end_of_the_ring", "frame:merged",
     "queue index=2 flags=packed|indirect\nrequest length=200\nrequest length=40\nrequest "
     "length=80\n"
     "backend kind=1 value=100\nbackend kind=1 value=100\nrequest length=40\nrequest length=80\n"
     "request length=20\nbackend kind=1 value=100"},
    {"on_pci", "guest:on_pci",
     "queue index=4 flags=pci\nrequest\nbackend kind=1 value=60\nrequest queue=1 flags=kick"},
    {"kept_from_memory_with_half_a_frame", "device:kept_from_memory",
     "activate flags=pci\nrequest length=40\nrequest length=40\nkick\nbackend kind=1 value=100\n"
     "access next=4 index=4 length=2 value=2\nrequest length=200 flags=kick\n"
     "backend kind=1 value=80\nrequest queue=1 flags=kick\n"
     "access next=4 index=4 length=2 value=6\nrequest flags=kick"},
    {"kept_from_memory_while_the_network_is_busy", "device:kept_from_memory",
     "activate flags=pci\nbackend kind=4\nrequest queue=1 flags=kick\n"
     "access next=4 index=4 length=2 value=2\nbackend kind=5\n"
     "access next=4 index=4 length=2 value=6"},
    {"in_order", "frame:merged",
     "queue index=3 flags=in_order\nrequest length=40\nrequest length=80\n"
     "backend kind=1 value=100\nbackend kind=1 value=20\nrequest flags=kick"},
    {"event_index", "device:notify",
     "queue index=2 queue=1 flags=event_index\nevent queue=1 next=1\nrequest queue=1 flags=kick\n"
     "request queue=1 flags=kick"},
    {"waiting_with_event_index", "frame:merged",
     "queue index=4 flags=event_index\nrequest length=40\nbackend kind=1 value=60\n"
     "request length=40 flags=kick"},
    {"no_interrupt", "frame:sent", "flags queue=1 flags=no_interrupt\nrequest queue=1 flags=kick"},
    {"a_loop", "guest:kick",
     "desc queue=1 index=0 address=data length=8 flags=next next=1\n"
     "link queue=1 index=1 flags=next next=0\npublish queue=1 index=0\nkick queue=1"},
    {"a_head_outside", "device:needs_reset",
     "entry index=0 next=99\navail next=1\nbackend kind=1 value=60\nrequest"},
    {"an_indirect_table_by_hand", "guest:kick",
     "indirect index=0 address=data length=80 flags=write\n"
     "desc index=3 address=indirect length=16 flags=indirect\npublish index=3\n"
     "backend kind=1 value=60"},
    {"a_race_for_the_header", "frame:sent",
     "request queue=1 length=64\nrace address=header nth=2 value=255\nkick queue=1"},
    {"a_race_while_it_waits", "frame:sent_later",
     "backend kind=4\nrequest queue=1 length=64\nkick queue=1\n"
     "race address=header+1 nth=2 value=255\nbackend kind=5"},
    {"memory_that_changes", "frame:sent",
     "fill address=data length=256 value=7\nwrite address=data+3 width=8 value=1\n"
     "request queue=1 flags=kick"},

    {"saved_in_between", "guest:save",
     "request queue=1 flags=kick\nsave\nrequest queue=1 flags=kick\nrequest\n"
     "backend kind=1 value=60"},
    {"saved_while_a_frame_waits", "guest:restore",
     "request length=40\nbackend kind=1 value=100\nsave\nrequest length=80\n"
     "backend kind=1 value=60"},
    {"saved_while_the_network_is_busy", "guest:restore",
     "backend kind=4\nrequest queue=1 flags=kick\nsave\nbackend kind=5"},
    {"a_state_that_is_none", "guest:restore_refused",
     "save\npatch index=40 width=1 value=0xff\nrestore\nactivate\nrequest queue=1"},
    {"reset_while_a_frame_waits", "frame:received",
     "request length=40\nbackend kind=1 value=100\nreset\nrequest\nbackend kind=1 value=60"},
    {"a_queue_elsewhere", "guest:activate",
     "area queue=1 which=desc address=high\narea queue=1 which=avail address=high+0x800\n"
     "area queue=1 which=used address=high+0xa00\nactivate queue=1 index=8\n"
     "request queue=1 flags=kick"},
    {"the_queue_is_reset_while_a_frame_waits", "guest:register_access",
     "request length=40\nbackend kind=1 value=100\naccess next=1 index=8 value=0\n"
     "access next=1 index=27 value=1\naccess next=1 index=27 value=1\nbackend kind=1 value=60"},
    {"a_configuration_space_read", "guest:register_access", "access kind=1 next=2 index=0"},
    {"a_configuration_space_written", "guest:register_refused",
     "access next=2 index=0 value=5\naccess kind=1 next=2 index=19 length=2"},
};

class NetSeeds : public ::testing::TestWithParam<Seed> {};

TEST_P(NetSeeds, RunsAndIsStored) {
  NetHarness harness;
  check_seed(harness, GetParam());
}
INSTANTIATE_TEST_SUITE_P(All, NetSeeds, ::testing::ValuesIn(kNetSeeds), seed_name);

TEST(NetSeedsTest, ReachEverythingTogether) {
  NetHarness harness;
  check_seeds(harness, kNetSeeds);
}

}  // namespace
}  // namespace guestproof::testing
