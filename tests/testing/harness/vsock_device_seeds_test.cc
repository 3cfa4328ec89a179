#include "guestproof/testing/harness/vsock_device_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// The guest's port 1000 and the host's 80: a REQUEST, and a buffer for its RESPONSE.
#define ESTABLISHED "request queue=1 kind=1 value=0x50000003e8 flags=kick\nrequest flags=kick\n"
// A client that wants port 22: a buffer for its REQUEST, and the guest's RESPONSE.
#define CLIENT                                    \
  "backend kind=1 value=22\nrequest flags=kick\n" \
  "request queue=1 kind=0x12 flags=kick\n"

constexpr Seed kVsockDeviceSeeds[] = {
    {"a_connection", "rx:response", ESTABLISHED},
    {"a_buffer_and_nothing_for_it", "guest:kick", "request\nkick"},
    {"a_client", "host:client_accepted", CLIENT},
    {"a_client_with_data", "data:to_guest",
     "backend kind=1 value=22\nbackend kind=2 value=0x6400\nrequest\nrequest flags=kick\n"
     "request queue=1 kind=0x12 flags=kick"},
    {"a_client_refused", "tx:rst",
     "backend kind=1 value=22\nrequest flags=kick\nrequest queue=1 kind=0x13 flags=kick"},
    {"a_client_that_goes_early", "rx:rst",
     "backend kind=1 value=22\nrequest flags=kick\nbackend kind=4\nrequest flags=kick"},
    {"a_client_that_cannot_be_told", "rx:shutdown",
     "backend kind=1 value=22\nrequest flags=kick\nbackend kind=6 value=1\n"
     "request queue=1 kind=0x12 flags=kick\nrequest flags=kick"},
    {"a_client_that_has_half_closed", "rx:shutdown",
     "backend kind=1 value=22\nbackend kind=3\nrequest flags=kick\n"
     "request queue=1 kind=0x12 flags=kick\nrequest flags=kick"},
    {"two_clients_of_one_port", "host:client_accepted",
     CLIENT "backend kind=1 value=22\nrequest flags=kick\nrequest queue=1 kind=0x22 flags=kick"},
    {"a_guest_on_a_clients_port", "rx:request",
     "request queue=1 kind=1 value=0x4000000000000016 flags=kick\nrequest flags=kick\n"
     "backend kind=1 value=22\nrequest flags=kick\nrequest queue=1 kind=0x22 flags=kick"},
    {"no_service", "error:vsock_socket.connect",
     "backend kind=6\nrequest queue=1 kind=1 value=0x50000003e8 flags=kick\nrequest flags=kick"},
    {"too_many_connections", "error:vsock_connection.too_many",
     "request queue=1 kind=1 value=1\nrequest queue=1 kind=1 value=2\n"
     "request queue=1 kind=1 value=3\nrequest queue=1 kind=1 value=4\n"
     "request queue=1 kind=1 value=5\nkick queue=1\nbackend kind=1 value=22\n"
     "request\nrequest\nrequest\nrequest\nrequest\nkick"},

    {"data_to_the_host", "data:to_host",
     ESTABLISHED "request queue=1 kind=0x10 length=100 flags=kick"},
    {"data_in_pieces", "data:to_host",
     ESTABLISHED "request queue=1 kind=0x10 length=500 cut=0x0f flags=kick"},
    {"data_behind_the_header", "data:to_host",
     ESTABLISHED "request queue=1 kind=0x10 length=500 flags=join_header|kick"},
    {"data_through_a_table", "guest:indirect_request",
     ESTABLISHED "request queue=1 kind=0x10 length=500 cut=4 flags=indirect|kick"},
    {"data_of_no_bytes", "tx:rw", ESTABLISHED "request queue=1 kind=0x10 flags=kick"},
    {"data_for_the_guest", "data:to_guest",
     ESTABLISHED "request\nkick\nbackend kind=2 value=0x6400"},
    {"data_for_small_buffers", "data:cut_to_fit",
     ESTABLISHED "backend kind=2 value=0x40000\nrequest length=10\nrequest length=1 cut=4\n"
                 "request length=1000\nrequest flags=kick"},
    {"data_both_ways_and_the_end", "rx:rst",
     ESTABLISHED "request queue=1 kind=0x10 length=700 flags=kick\nbackend kind=2 value=0x6400\n"
                 "request\nrequest\nkick\nrequest queue=1 kind=0x14 extra=3 flags=kick\n"
                 "request flags=kick"},
    {"two_connections_take_turns", "data:to_guest",
     ESTABLISHED "request queue=1 kind=1 value=0x51000003e8 flags=kick\nrequest flags=kick\n"
                 "backend kind=2 value=0x8000000000040000\nbackend kind=2 value=0x40001\n"
                 "request\nrequest\nrequest\nrequest\nkick"},
    {"credit_told", "rx:credit_update",
     ESTABLISHED "request queue=1 kind=0x10 length=512 flags=kick\nrequest flags=kick"},
    {"credit_asked_for_by_the_guest", "tx:credit_request",
     ESTABLISHED "request queue=1 kind=0x17 flags=kick\nrequest flags=kick"},
    {"credit_asked_for_by_the_host", "rx:credit_request",
     "request queue=1 kind=1 value=0x50000003e8 extra=16 flags=kick\nrequest flags=kick\n"
     "backend kind=2 value=0x6400\nrequest\nrequest\nkick"},
    {"credit_given", "tx:credit_update",
     "request queue=1 kind=1 value=0x50000003e8 extra=160 flags=kick\nrequest flags=kick\n"
     "backend kind=2 value=0x6400\nrequest\nrequest\nrequest\nkick\n"
     "request queue=1 kind=0x16 extra=160 next=5 flags=kick\n"
     "request queue=1 kind=0x16 extra=160 next=8 flags=kick\nrequest\nkick"},
    {"credit_that_was_overtaken", "tx:credit_update",
     "request queue=1 kind=1 value=0x50000003e8 extra=160 flags=kick\nrequest flags=kick\n"
     "backend kind=2 value=0x6400\nrequest\nrequest\nkick\n"
     "request queue=1 kind=0x16 extra=160 next=5 flags=kick\nrequest flags=kick\n"
     "request queue=1 kind=0x16 extra=320 next=12 flags=kick\nrequest\nrequest flags=kick"},
    {"credit_that_shrinks", "tx:credit_update",
     ESTABLISHED "backend kind=2 value=0x40000\nrequest length=100 flags=kick\n"
                 "request queue=1 kind=0x16 extra=160 next=100 flags=kick\nrequest\n"
                 "request\nkick\nrequest queue=1 kind=0x16 extra=160 next=5 flags=kick"},
    {"credit_for_what_was_not_sent", "error:vsock_connection.forward_count",
     ESTABLISHED "request queue=1 kind=0x16 next=0xffff flags=kick\nrequest flags=kick"},
    {"more_than_the_buffer", "error:vsock_connection.no_credit",
     ESTABLISHED "backend kind=5\nrequest queue=1 kind=0x10 length=2000 flags=kick\n"
                 "request queue=1 kind=0x10 length=49 flags=kick\nrequest flags=kick"},
    {"data_of_a_connection_that_was_reset", "error:vsock_connection.established",
     ESTABLISHED "request queue=1 kind=1 value=0x50000003e8 flags=kick\n"
                 "request queue=1 kind=0x10 length=100 address=hole flags=kick\n"
                 "request flags=kick"},
    {"as_much_as_the_buffer", "data:waits_for_the_host",
     ESTABLISHED "backend kind=5\nrequest queue=1 kind=0x10 length=2000 flags=kick\n"
                 "request queue=1 kind=0x10 length=48 flags=kick\nbackend kind=5 value=0x60000\n"
                 "backend kind=5 value=0xff000\nrequest flags=kick"},
    {"writes_of_few_bytes", "data:to_host",
     ESTABLISHED "backend kind=7 value=7\nbackend kind=5 value=0x3200\n"
                 "request queue=1 kind=0x10 length=100 flags=kick\nbackend kind=5 value=0x3200"},

    {"the_guest_sends_no_more", "data:end_for_the_host",
     ESTABLISHED "request queue=1 kind=0x14 extra=2 flags=kick\nbackend kind=2 value=0x6400\n"
                 "request flags=kick"},
    {"the_guest_sends_no_more_and_the_host_is_slow", "data:end_for_the_host",
     ESTABLISHED "backend kind=5\nrequest queue=1 kind=0x10 length=100 flags=kick\n"
                 "request queue=1 kind=0x14 extra=2 flags=kick\nbackend kind=5 value=0xff00"},
    {"the_guest_is_done_and_the_host_is_slow", "rx:rst",
     ESTABLISHED "backend kind=5\nrequest queue=1 kind=0x10 length=100 flags=kick\n"
                 "request queue=1 kind=0x14 extra=3 flags=kick\nrequest\nkick\n"
                 "backend kind=5 value=0xff00"},
    {"the_guest_sends_after_its_end", "error:vsock_connection.after_shutdown",
     ESTABLISHED "request queue=1 kind=0x14 extra=2 flags=kick\n"
                 "request queue=1 kind=0x10 length=1 flags=kick\nrequest flags=kick"},
    {"the_guest_receives_no_more", "tx:shutdown",
     ESTABLISHED "backend kind=2 value=0x6400\nrequest queue=1 kind=0x14 extra=1 flags=kick\n"
                 "request\nkick\nbackend kind=2 value=0x6400"},
    {"the_host_sends_no_more", "rx:shutdown",
     ESTABLISHED "backend kind=2 value=0x6400\nbackend kind=3\nrequest\nrequest\nkick\n"
                 "request queue=1 kind=0x10 length=100 flags=kick"},
    {"the_host_goes", "rx:shutdown",
     ESTABLISHED "backend kind=2 value=0x6400\nbackend kind=4\nrequest\nrequest\nrequest\nkick\n"
                 "request queue=1 kind=0x10 length=100 value=0x50000003e8 flags=kick"},
    {"the_host_goes_and_the_guest_still_sends", "rx:credit_update",
     ESTABLISHED "backend kind=2 value=0x6400\nbackend kind=4\n"
                 "request queue=1 kind=0x10 length=2000\nrequest queue=1 kind=0x10 length=2000\n"
                 "kick queue=1\nrequest\nrequest\nrequest\nrequest\nkick"},
    {"the_host_goes_unseen", "rx:shutdown",
     ESTABLISHED "backend kind=4 value=0x8000000000000000\n"
                 "request queue=1 kind=0x10 length=100 flags=kick\nrequest\nrequest\nkick"},
    {"the_host_goes_when_the_guest_is_done", "rx:rst",
     ESTABLISHED "backend kind=5\nrequest queue=1 kind=0x10 length=100 flags=kick\n"
                 "request queue=1 kind=0x14 extra=3 flags=kick\nbackend kind=4\nrequest\nkick"},
    {"a_read_that_fails", "rx:shutdown",
     ESTABLISHED "backend kind=6 value=2\nbackend kind=2 value=0x6400\nrequest flags=kick"},
    {"an_event_for_nothing", "rx:response",
     ESTABLISHED "backend kind=8\nrequest queue=1 kind=0x13 flags=kick\nbackend kind=8\nkick"},

    {"a_host_without_sockets", "tx:request",
     "backend kind=2 value=0x6400\nbackend kind=3\nbackend kind=8\n" ESTABLISHED},
    {"the_host_goes_and_comes_to_nothing", "tx:rst",
     ESTABLISHED "request queue=1 kind=0x13 flags=kick\nbackend kind=2 value=0x6400\n"
                 "backend kind=3\nbackend kind=4\nbackend kind=5 value=0x6400\nbackend kind=8\n"
                 "request flags=kick"},
    {"the_host_ends_and_goes_twice", "rx:shutdown",
     ESTABLISHED "backend kind=3\nbackend kind=3\nbackend kind=2 value=0x6400\n"
                 "backend kind=4\nbackend kind=4\nrequest\nrequest flags=kick"},
    {"the_host_sends_what_the_guest_takes_no_more", "tx:shutdown",
     ESTABLISHED "request queue=1 kind=0x14 extra=1 flags=kick\nbackend kind=2 value=0x6400\n"
                 "request\nrequest flags=kick"},
    {"writes_of_as_many_bytes_as_there_are", "data:to_host",
     ESTABLISHED "backend kind=7 value=7\nrequest queue=1 kind=0x10 length=100 flags=kick\n"
                 "backend kind=7\nrequest queue=1 kind=0x10 length=100 flags=kick"},
    {"no_rx_queue", "host:client_accepted",
     CLIENT "access index=0x30\naccess index=0x44\nbackend kind=2 value=0x6400\nsave\n"
            "backend kind=1 value=23"},
    {"no_tx_queue", "tx:request",
     ESTABLISHED "access index=0x30 value=1\naccess index=0x44\nbackend kind=2 value=0x6400\n"
                 "save\nrequest flags=kick"},
    {"answers_that_wait_for_a_queue_that_is_gone", "answers:full",
     "request queue=1 value=1\nrequest queue=1 value=2\nrequest queue=1 value=3\n"
     "request queue=1 value=4\nrequest queue=1 value=5\nrequest queue=1 value=6\nkick queue=1\n"
     "access index=0x30 value=1\naccess index=0x44\nrequest\nrequest\nrequest\nkick"},

    {"unknown", "error:vsock_connection.unknown",
     "request queue=1 kind=0 value=7 length=10 flags=kick\nrequest flags=kick"},
    {"a_rst_of_nothing", "tx:rst", "request queue=1 kind=3 value=7 flags=kick\nrequest flags=kick"},
    {"a_rst", "tx:rst", ESTABLISHED "request queue=1 kind=0x13 flags=kick\nrequest flags=kick"},
    {"a_second_request", "error:vsock_connection.established",
     ESTABLISHED "request queue=1 kind=0x11 flags=kick\nrequest queue=1 kind=0x10 length=10\n"
                 "kick queue=1\nrequest flags=kick"},
    {"a_second_response", "error:vsock_connection.established",
     CLIENT "request queue=1 kind=0x12 flags=kick\nrequest flags=kick"},
    {"a_response_to_what_was_not_seen", "error:vsock_connection.not_established",
     "backend kind=1 value=22\nrequest queue=1 kind=0x12 flags=kick\nrequest flags=kick"},
    {"data_before_the_response", "error:vsock_connection.not_established",
     "backend kind=1 value=22\nrequest flags=kick\n"
     "request queue=1 kind=0x10 length=10 flags=kick\nrequest flags=kick"},
    {"answers_that_wait", "answers:full",
     "request queue=1 value=1\nrequest queue=1 value=2\nrequest queue=1 value=3\n"
     "request queue=1 value=4\nrequest queue=1 value=5\nrequest queue=1 value=6\nkick queue=1\n"
     "request\nkick\nrequest\nrequest\nrequest\nrequest\nrequest\nkick"},

    {"source_cid", "error:vsock.src_cid",
     ESTABLISHED "request queue=1 kind=0x13 value=1 flags=raw|kick"},
    {"source_cid_reserved", "error:vsock.src_cid_reserved",
     ESTABLISHED "request queue=1 kind=0x13 value=0x100000000 flags=raw|kick"},
    {"destination_cid", "error:vsock.dst_cid",
     ESTABLISHED "request queue=1 kind=0x13 value=0x10000 flags=raw|kick"},
    {"destination_cid_reserved", "error:vsock.dst_cid_reserved",
     ESTABLISHED "request queue=1 kind=0x13 value=0x10000000000 flags=raw|kick"},
    {"seqpacket", "error:vsock.type",
     ESTABLISHED "request queue=1 kind=0x11 value=0x3000000000000 flags=raw|kick\n"
                 "request flags=kick"},
    {"op_zero", "error:vsock.op",
     ESTABLISHED "request queue=1 kind=0x15 flags=kick\nrequest flags=kick"},
    {"op_unknown_of_nothing", "error:vsock.op",
     "request queue=1 kind=8 value=7 flags=kick\nrequest flags=kick"},
    {"half_a_header", "error:vsock.tx_header",
     "request queue=1 kind=1 index=0xffff flags=raw|kick"},
    {"a_length_past_the_chain", "error:vsock.tx_data_length",
     ESTABLISHED "request queue=1 kind=0x10 length=101 index=100 flags=raw|kick"},
    {"bytes_behind_the_data", "data:to_host",
     ESTABLISHED "request queue=1 kind=0x10 length=99 index=100 flags=raw|kick"},
    {"a_writable_packet", "error:vsock.tx_writable",
     "request queue=1 kind=1 next=1 flags=raw|kick"},
    {"data_outside_memory", "rx:rst",
     ESTABLISHED "request queue=1 kind=0x10 length=100 address=hole flags=kick\n"
                 "request flags=kick"},
    {"a_header_outside_memory", "guest:kick",
     ESTABLISHED "request queue=1 kind=0x10 length=100 address=hole flags=join_header|kick"},
    {"a_race_for_the_length", "data:to_host",
     ESTABLISHED "request queue=1 kind=0x10 length=100\n"
                 "race address=header+0x98 nth=2 value=200\nkick queue=1"},
    {"a_race_for_the_op", "data:to_host",
     ESTABLISHED "request queue=1 kind=0x10 length=100\n"
                 "race address=header+0x9e nth=2 value=3\nkick queue=1"},
    {"a_readable_buffer", "error:vsock.rx_readable",
     "request queue=1 kind=1 value=0x50000003e8 flags=kick\n"
     "request length=500 index=4 flags=raw|kick\nrequest flags=kick"},
    {"a_buffer_without_room", "error:vsock.rx_header",
     "request queue=1 kind=1 value=0x50000003e8 flags=kick\n"
     "request length=43 flags=raw|kick\nrequest flags=kick"},
    {"a_buffer_without_room_for_data", "error:vsock.rx_data_length",
     ESTABLISHED "backend kind=2 value=0x6400\nrequest length=44 flags=raw|kick\n"
                 "request flags=kick"},
    {"a_buffer_outside_memory", "data:to_guest",
     ESTABLISHED "backend kind=2 value=0x6400\nrequest address=data:end-20 flags=kick\n"
                 "request address=hole flags=kick\nrequest address=rom flags=kick\n"
                 "request flags=kick"},
    {"a_transport_reset", "event:transport_reset",
     ESTABLISHED "request queue=2\nsave\nrequest queue=1 kind=0 value=0x50000003e8 flags=kick\n"
                 "request flags=kick"},
    {"a_transport_reset_without_room", "error:vsock.event_room",
     "save\nrequest queue=2 length=3 flags=kick\nrequest queue=2 address=hole flags=kick\n"
     "request queue=2 flags=kick\nrequest queue=2 flags=kick"},
    {"a_transport_reset_in_readable_bytes", "error:vsock.event_readable",
     "save\nrequest queue=2 index=4 flags=raw|kick\nrequest queue=2 flags=kick"},
    {"connected_again_after_a_restore", "data:to_host",
     ESTABLISHED "save\n" ESTABLISHED "request queue=1 kind=0x10 length=100 flags=kick"},
    {"connected_again_after_a_reset", "data:to_host",
     ESTABLISHED CLIENT "reset\n" ESTABLISHED "request queue=1 kind=0x10 length=100 flags=kick"},
    {"a_state_with_a_byte_too_many", "guest:restore_refused",
     "save\npatch index=40 width=1 value=0xff\nrestore\nactivate\nrequest"},

    {"packed", "data:to_host",
     "queue index=4 flags=packed|indirect\n" ESTABLISHED
     "request queue=1 kind=0x10 length=100 cut=8 flags=indirect|kick\n"
     "backend kind=2 value=0x6400\nrequest length=50\nrequest flags=kick"},
    {"on_pci", "guest:on_pci",
     "activate flags=pci\n" ESTABLISHED "request queue=1 kind=0x10 length=100 flags=kick\n"
     "backend kind=2 value=0x6400\nrequest length=50\nrequest flags=kick\nsave"},
    {"kept_from_memory", "device:kept_from_memory",
     "activate flags=pci\n" ESTABLISHED "access next=4 index=4 length=2 value=2\n"
     "request queue=1 kind=0x10 length=100 flags=kick\nbackend kind=2 value=0x6400\n"
     "request flags=kick\naccess next=4 index=4 length=2 value=6"},
    {"in_order", "data:to_guest",
     "queue index=3 flags=in_order\n" ESTABLISHED "backend kind=2 value=0x6400\nrequest\n"
     "request\nkick"},
    {"event_index", "device:notify",
     "queue index=3 flags=event_index\nevent queue=1 next=1\n" ESTABLISHED
     "request queue=1 kind=0x10 length=10 flags=kick"},
    {"no_streams", "error:vsock.type",
     "backend kind=0 value=1\nactivate\nrequest queue=1 kind=1 value=7 flags=kick\n"
     "request flags=kick"},
    {"no_features", "tx:request", "backend kind=0 value=5\nactivate\n" ESTABLISHED},
    {"no_interrupt", "tx:request", "flags queue=1 flags=no_interrupt\n" ESTABLISHED},
    {"the_configuration_space", "guest:register_access",
     "access kind=1 next=2\naccess kind=1 next=2 index=4"},
    {"the_configuration_space_written", "guest:register_refused", "access kind=0 next=2 value=3"},
    {"a_tx_queue_that_breaks", "device:needs_reset",
     ESTABLISHED "avail queue=1 next=30\nkick queue=1\nrequest flags=kick"},
    {"an_rx_queue_that_breaks", "device:needs_reset",
     ESTABLISHED "avail queue=0 next=30\nbackend kind=2 value=0x6400"},
    {"a_queue_elsewhere", "guest:activate",
     "area queue=1 which=desc address=high\narea queue=1 which=avail address=high+0x800\n"
     "area queue=1 which=used address=high+0xa00\nactivate queue=1 index=8\n" ESTABLISHED},
    {"a_queue_outside_memory", "guest:activate_refused",
     "area which=used address=hole\nactivate index=8\nrequest flags=kick\nreset\n" ESTABLISHED},
    {"a_queue_reset", "tx:request",
     ESTABLISHED "access next=1 index=8 value=1\naccess next=1 index=27 value=1\n"
                 "backend kind=2 value=0x6400\nrequest flags=kick"},
    {"a_packet_by_hand", "error:vsock.src_cid",
     "fill address=data length=44 value=1\nwrite address=data+24 width=4\n"
     "write address=data+4 width=4\nwrite address=data+12 width=4\n"
     "desc queue=1 index=0 address=data length=44\nlink queue=1 index=0\n"
     "entry queue=1 index=0 next=0\npublish queue=1 index=0\nkick queue=1"},
    {"an_indirect_table_by_hand", "guest:kick",
     "indirect index=0 address=data length=8 flags=write\n"
     "desc index=3 address=indirect length=16 flags=indirect\npublish index=3\nkick\n"
     "request queue=1 kind=1 value=7 flags=kick"},
};

class VsockDeviceSeeds : public ::testing::TestWithParam<Seed> {};

TEST_P(VsockDeviceSeeds, RunsAndIsStored) {
  VsockDeviceHarness harness;
  check_seed(harness, GetParam());
}
INSTANTIATE_TEST_SUITE_P(All, VsockDeviceSeeds, ::testing::ValuesIn(kVsockDeviceSeeds), seed_name);

TEST(VsockDeviceSeedsTest, ReachEverythingTogether) {
  VsockDeviceHarness harness;
  check_seeds(harness, kVsockDeviceSeeds);
}

}  // namespace
}  // namespace guestproof::testing
