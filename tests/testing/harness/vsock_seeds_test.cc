#include <gtest/gtest.h>

#include "guestproof/testing/harness/vsock_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// Queue 0 is tx, queue 1 rx; vsock_harness.h has what the fields of a request mean. A header lies
// at header+0, with len at 0x18, type at 0x1c and op at 0x1e.
constexpr Seed kVsockSeeds[] = {
    // Every operation, sent by the guest and answered.
    {"a_packet", "op:rw", "request"},
    {"op_rw", "rx:rw", "request length=16 value=0x5000000401\nrequest queue=1"},
    {"op_request", "rx:response",
     "request kind=1 value=0x5000000401 extra=0x4000\n"
     "request queue=1"},
    {"op_response", "op:response", "request kind=2"},
    {"op_rst", "op:rst", "request kind=3"},
    {"op_shutdown", "rx:rst", "request kind=4 extra=3\nrequest queue=1"},
    {"op_credit_update", "op:credit_update", "request kind=6 next=100 extra=200"},
    {"op_credit_request", "rx:credit_update",
     "request length=8\n"
     "request kind=7\n"
     "kick\n"
     "request queue=1\n"
     "request queue=1"},
    {"op_invalid", "answer:rst", "request kind=5\nrequest queue=1"},
    {"op_unknown", "error:vsock.op", "request kind=8\nrequest queue=1"},
    {"type_seqpacket", "type:seqpacket", "request kind=0x10 length=8 extra=1\nrequest queue=1"},
    {"type_unknown", "error:vsock.type", "request kind=0x23\nrequest queue=1"},
    {"type_invalid", "error:vsock.type", "request kind=0xf0\nrequest queue=1"},
    {"type_stream_not_negotiated", "error:vsock.type", "backend kind=1 value=4\nrequest"},
    {"type_seqpacket_not_negotiated", "error:vsock.type",
     "backend kind=1 value=1\n"
     "request kind=0x10"},
    {"type_stream_implied", "type:stream", "backend kind=1 value=2\nrequest"},
    {"a_connection", "rx:cut_to_fit", R"(
        request queue=1
        request queue=1 length=8
        request queue=1 length=100
        request queue=1
        request kind=1 value=0x5000000401 extra=0x400 flags=kick
        kick queue=1
        request length=20 value=0x5000000401 flags=kick
        kick queue=1
        request kind=4 value=0x5000000401 extra=3 flags=kick
        kick queue=1)"},

    // What the host sends on its own.
    {"host_sends_request", "rx:request", "backend value=0\nrequest queue=1"},
    {"host_sends_shutdown", "rx:shutdown", "backend value=3\nrequest queue=1"},
    {"host_sends_credit_request", "rx:credit_request", "backend value=6\nrequest queue=1"},
    {"host_sends_data", "rx:data", "backend value=0x100004\nrequest queue=1 cut=0x1c"},
    {"host_sends_a_message", "rx:data", "backend value=0x200000c\nrequest queue=1 length=512"},

    // Where header and data lie.
    {"data_behind_the_header", "data:same_descriptor", "request length=64 flags=join_header"},
    {"data_in_following_descriptors", "data:following_descriptor", "request cut=0x0c length=64"},
    {"data_in_both", "data:following_descriptor", "request cut=4 length=100 flags=join_header"},
    {"header_split", "header:split", "request cut=3 length=16"},
    {"header_split_with_data_behind_it", "header:split",
     "request cut=3 length=3 flags=join_header"},
    {"header_across_regions", "data:same_descriptor",
     "request length=16 address=data+0x1ff0 flags=join_header"},
    {"header_split_by_hand", "header:split", R"(
        request length=8
        desc index=0 address=header+0 length=1 flags=next next=5
        desc index=5 address=header+1 length=43 flags=next next=6
        desc index=6 flags=next next=7
        desc index=7 address=data+0 length=8)"},
    {"header_in_two_places", "header:split", R"(
        request length=8
        fill address=high+0 length=12 value=7
        desc index=0 address=header+0 length=32 flags=next next=5
        desc index=5 address=high+0 length=12 flags=next next=6
        desc index=6 address=data+0 length=8)"},
    {"indirect", "guest:indirect_request",
     "request cut=0x0d length=64 flags=indirect\n"
     "request queue=1 cut=0x0c flags=indirect"},
    {"data_at_the_limit", "data:any",
     "request length=1024\nrequest queue=1 length=1024\n"
     "kick\nkick queue=1\nrequest queue=1"},
    {"data_beyond_len", "op:rw", "request flags=raw length=4 index=100"},
    {"data_across_regions", "rx:data",
     "request address=data+0x1ff8 length=32\n"
     "request queue=1 address=data+0x1ff0"},
    {"data_in_a_hole", "error:memory.unmapped", "request address=hole+0 length=16"},
    {"data_half_in_a_hole", "error:memory.unmapped", "request address=mid:end-8 length=16"},
    {"data_at_the_end_of_memory", "data:any", "request address=top:end-16 length=16"},
    {"header_in_a_hole", "error:memory.unmapped",
     "request address=mid:end-8 length=16 flags=join_header"},
    {"the_sink_starts_over", "data:any",
     "request length=1000\n"
     "request length=1000\n"
     "request length=1000\n"
     "request length=1000\n"
     "request length=97\n"
     "kick\n"
     "request kind=3 length=96"},

    // Receive buffers.
    {"rx_exact_room", "rx:data", "request length=16\nrequest queue=1 length=16"},
    {"rx_stream_cut_to_fit", "rx:cut_to_fit",
     "request length=48\n"
     "request queue=1 length=20\n"
     "request queue=1 length=20\n"
     "request queue=1 length=20"},
    {"rx_stream_longer_than_a_packet", "rx:cut_to_fit",
     "request length=513\n"
     "request queue=1 length=1024\n"
     "request queue=1 length=1024"},
    {"rx_header_alone", "error:vsock.rx_data_length",
     "request length=1\n"
     "request queue=1 flags=raw length=44\n"
     "request queue=1 length=1"},
    {"rx_header_split", "rx:response",
     "request kind=1\n"
     "request queue=1 cut=0x1c length=4"},
    {"rx_in_rom", "error:memory.read_only",
     "request kind=1\n"
     "request queue=1 address=rom+0\n"
     "request queue=1"},
    {"rx_half_in_a_hole", "error:memory.unmapped",
     "request length=16\n"
     "request queue=1 address=mid:end-48\n"
     "request queue=1"},
    {"rx_of_four_gibibytes", "rx:rw", R"(
        request length=16
        desc queue=1 index=0 address=high+0 length=0x80000000 flags=write|next next=1
        desc queue=1 index=1 address=high+0 length=0x80000000 flags=write
        publish queue=1 index=0)"},
    {"rx_buffers_without_packets", "op:rst", "request queue=1 flags=kick\nrequest kind=3"},
    {"answers_fill_the_queue", "answer:queue_full", R"(
        queue index=5 flags=indirect
        backend
        backend value=1
        backend value=2
        backend value=3
        backend
        backend value=1
        backend value=2
        backend value=3
        backend
        backend value=1
        backend value=2
        backend value=3
        backend
        backend value=1
        backend value=2
        backend value=3
        request kind=1
        kick
        request queue=1)"},

    // What is wrong with a packet.
    {"guest_cid", "error:vsock.guest_cid", "backend kind=2 value=2"},
    {"guest_cid_all_ones", "error:vsock.guest_cid", "backend kind=2 value=0xffffffff"},
    {"guest_cid_changed", "op:request",
     "backend kind=2 value=0x34\nrequest kind=1\nrequest queue=1"},
    {"tx_writable", "error:vsock.tx_writable", "request flags=raw next=1"},
    {"tx_header", "error:vsock.tx_header", "request flags=raw index=0xffff"},
    {"tx_header_missing", "error:vsock.tx_header", "request flags=raw index=0xffd4"},
    {"tx_data_limit", "error:vsock.tx_data_limit", "request flags=raw length=1025 index=1025"},
    {"tx_data_limit_all_ones", "error:vsock.tx_data_limit", "request flags=raw length=0xffffffff"},
    {"tx_data_length", "error:vsock.tx_data_length", "request flags=raw length=17 index=16"},
    {"rx_readable", "error:vsock.rx_readable",
     "backend\n"
     "request queue=1 flags=raw length=100 index=1"},
    {"rx_header", "error:vsock.rx_header", "backend\nrequest queue=1 flags=raw length=43"},
    {"rx_data_limit", "error:vsock.rx_data_limit",
     "backend value=0x201000c\n"
     "request queue=1 length=1024"},
    {"rx_data_length", "error:vsock.rx_data_length",
     "backend value=0x10000c\n"
     "request queue=1 length=15\n"
     "request queue=1 length=16"},
    {"src_cid_reserved", "error:vsock.src_cid_reserved", "request flags=raw value=0x10000"},
    {"dst_cid_reserved", "error:vsock.dst_cid_reserved", "request flags=raw value=0x1000000000000"},
    {"src_cid", "error:vsock.src_cid", "request flags=raw value=1"},
    {"dst_cid", "error:vsock.dst_cid", "request flags=raw value=0x100000000"},

    // A guest whose other processor changes what was checked.
    {"race_on_len", "op:rw", R"(
        request length=16
        race address=header+0x18 nth=2 value=0xff
        kick
        request queue=1)"},
    {"race_on_len_at_the_first_fetch", "error:vsock.tx_data_length", R"(
        request length=16
        race address=header+0x18 nth=1 value=0x11)"},
    {"race_on_op", "op:request", "request kind=1\nrace address=header+0x1e nth=2 value=9"},
    {"race_on_the_data", "rx:data", R"(
        request length=16
        race address=data+4 nth=2 value=0
        request queue=1)"},
    {"race_on_a_descriptor_length", "op:rw", R"(
        request length=16
        race address=desc+0x18 nth=2 value=0xff)"},
    {"header_written_by_hand", "error:vsock.op", R"(
        request
        write address=header+0x1e width=2 value=0xffff)"},
    {"packet_over_its_own_header", "op:rw", R"(
        request length=44 address=header+0
        kick
        request queue=1 address=header+0)"},

    // The rings, as every device has them.
    {"event_index", "device:notify", R"(
        queue index=4 flags=event_index|indirect
        queue queue=1 index=4 flags=event_index|indirect
        event next=0
        event queue=1 next=0
        request length=8 flags=kick
        request queue=1 flags=kick
        event queue=1 next=4
        request length=8 flags=kick
        request queue=1)"},
    {"packed_both_ways", "rx:rw", R"(
        queue queue=0 index=9 flags=packed|indirect
        queue queue=1 index=6 flags=packed|event_index
        request length=16 value=0x5000000401 cut=5
        request queue=1 length=40
        request length=16 value=0x5000000401 flags=indirect cut=9
        request queue=1)"},
    {"packed_descriptor_not_available", "error:queue.descriptor_not_available",
     "queue index=3 flags=packed\ndesc index=0 length=8 flags=next|0x80\nkick"},
    {"packed_descriptor_in_flight", "error:queue.descriptor_in_flight",
     "queue index=1 flags=packed\ndesc index=0 flags=next\ndesc index=1 flags=next\npublish"},
    {"packed_indirect_in_chain", "error:chain.indirect_in_chain", R"(
        queue index=3 flags=packed|indirect
        desc index=0 address=data+0 length=8 flags=next
        desc index=1 address=indirect+0 length=16 flags=indirect
        publish)"},
    {"no_interrupt", "guest:kick", "flags flags=no_interrupt\nrequest flags=kick\nflags\nrequest"},
    {"save_and_go_on", "guest:save",
     "request length=8 flags=kick\nsave\nsave queue=1\n"
     "request queue=1"},
    {"restore_refused", "guest:restore_refused", "patch index=0 width=1\nrestore\nrequest"},
    {"reset_with_answers_waiting", "rx:response",
     "request length=8 flags=kick\n"
     "reset\n"
     "request kind=1\n"
     "request queue=1"},
    {"queues_elsewhere", "guest:activate", R"(
        area which=desc address=high+0
        area which=avail address=high+0x400
        area which=used address=high+0x800
        activate index=4
        request length=4)"},
    {"activation_refused", "guest:activate_refused", "area which=used address=rom+0\nactivate"},
    {"not_active", "error:queue.not_active", "activate index=3\nkick"},
    {"avail_index", "error:queue.avail_index", "avail next=17"},
    {"head_index", "error:queue.head_index", "entry index=0 next=16\navail next=1"},
    {"rx_head_index", "error:queue.head_index", "backend\npublish queue=1 index=16"},
    {"saved_broken", "error:queue.saved_broken", "publish index=16\nkick\nsave\nkick"},
    {"too_long", "error:chain.too_long", "request\nlink index=0 flags=next next=0"},
    {"next_index", "error:chain.next_index", "request length=4\nlink index=1 flags=next next=16"},
    {"total_length", "error:chain.total_length", R"(
        desc index=0 address=data+0 length=0xffffffff flags=next next=1
        desc index=1 address=data+0 length=2
        publish index=0)"},
    {"readable_after_writable", "error:chain.readable_after_writable",
     "request length=4\nlink index=0 flags=next|write next=1"},
    {"indirect_not_negotiated", "error:chain.indirect_not_negotiated", R"(
        queue index=4
        desc index=0 address=indirect+0 length=16 flags=indirect
        publish index=0)"},
    {"indirect_nested", "error:chain.indirect_nested", R"(
        request flags=indirect
        indirect index=0 address=indirect+0x10 length=16 flags=indirect)"},
    {"indirect_with_next", "error:chain.indirect_with_next", R"(
        request flags=indirect
        link index=0 flags=next|indirect next=1)"},
    {"indirect_length", "error:chain.indirect_length", R"(
        desc index=0 address=indirect+0 length=15 flags=indirect
        publish index=0)"},
    {"indirect_unmapped", "error:chain.indirect_unmapped", R"(
        desc index=0 address=hole+0 length=16 flags=indirect
        publish index=0)"},
    {"rx_chain_malformed", "error:chain.too_long", R"(
        request kind=1
        request queue=1
        link queue=1 index=0 flags=next|write next=0
        request queue=1)"},
    {"memory_filled", "error:vsock.src_cid_reserved", R"(
        request length=8
        fill address=header+0 length=8 value=0xff
        kick)"},
};

class VsockSeed : public ::testing::TestWithParam<Seed> {
 protected:
  VsockHarness harness;
};
TEST_P(VsockSeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(VsockSeed, TogetherReachEverything) { check_seeds(harness, kVsockSeeds); }
INSTANTIATE_TEST_SUITE_P(Vsock, VsockSeed, ::testing::ValuesIn(kVsockSeeds), seed_name);

}  // namespace
}  // namespace guestproof::testing
