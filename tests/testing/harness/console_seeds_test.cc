#include <gtest/gtest.h>

#include "guestproof/testing/harness/console_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// console_harness.h has what the fields of a request and the kinds of `backend` mean. What brings a
// port up: buffers for control messages, DEVICE_READY, PORT_READY and PORT_OPEN.
constexpr Seed kConsoleSeeds[] = {
    {"bytes_out", "bytes:from_guest", "backend kind=0 value=2\nactivate\nrequest queue=1"},
    {"bytes_out_in_pieces", "bytes:from_guest",
     "backend kind=0 value=2\nactivate\nrequest queue=1 length=5000 value=0x1234 cut=0x1c"},
    {"bytes_out_indirect", "bytes:from_guest",
     "backend kind=0 value=2\nactivate flags=indirect\n"
     "request queue=1 length=100 cut=8 flags=indirect"},
    {"no_bytes_out", "guest:kick", "backend kind=0 value=2\nactivate\nrequest queue=1 flags=raw"},
    {"a_port_that_is_full", "bytes:blocked",
     "backend kind=0 value=2\nactivate\nbackend kind=2 value=200\n"
     "request queue=1 length=300 flags=kick\nkick queue=1\nbackend kind=3\nrequest queue=1"},
    {"a_port_that_fills_up_slowly", "bytes:blocked",
     "backend kind=0 value=2\nactivate\nbackend kind=2 value=20\n"
     "request queue=1 length=6000 value=1 cut=4 flags=kick\nbackend kind=2 value=9000\n"
     "backend kind=1\nbackend kind=3"},
    {"blocked_and_saved", "bytes:blocked",
     "backend kind=0 value=2\nactivate\nbackend kind=2 value=200\n"
     "request queue=1 length=300 flags=kick\nsave\nbackend kind=3"},
    {"blocked_and_saved_packed", "bytes:blocked",
     "backend kind=0 value=2\nqueue queue=1 index=4 flags=packed\nbackend kind=2 value=200\n"
     "request queue=1 length=300 flags=kick\nsave\nbackend kind=3"},
    {"blocked_in_order", "bytes:blocked",
     "backend kind=0 value=2\nqueue queue=1 index=4 flags=in_order\nbackend kind=2 value=200\n"
     "request queue=1 length=300\nrequest queue=1\nkick queue=1\nbackend kind=3"},
    {"blocked_and_shrunk", "error:console.transmit_changed",
     "backend kind=0 value=2\nactivate\nbackend kind=2 value=200\n"
     "request queue=1 length=300 flags=kick\nwrite address=low+0x2008 width=4 value=50\n"
     "backend kind=3\nrequest queue=1"},
    {"blocked_and_reset", "bytes:blocked",
     "backend kind=0 value=2\nactivate\nbackend kind=2 value=200\n"
     "request queue=1 length=300 flags=kick\naccess index=8 next=1 value=1\n"
     "access index=27 next=1 value=1\nbackend kind=3\nrequest queue=1"},
    {"more_than_a_turns_share", "bytes:share_of_a_turn",
     "backend kind=0 value=2\nactivate\nrequest queue=1 length=15000\n"
     "request queue=1 length=15000\nrequest queue=1 length=15000\n"
     "request queue=1 length=15000\nrequest queue=1 length=15000\nkick queue=1"},
    {"bytes_out_outside_memory", "bytes:from_guest",
     "backend kind=0 value=2\nactivate\nrequest queue=1 length=100 address=mid:end-50"},
    {"bytes_out_with_room", "error:console.writable",
     "backend kind=0 value=2\nactivate\nrequest queue=1 flags=raw length=4 extra=3"},
    {"a_port_that_fails", "bytes:from_guest",
     "backend kind=0 value=2\nactivate\nbackend kind=4\nrequest queue=1 flags=kick\n"
     "request flags=kick\nbackend kind=3\nrequest queue=1"},
    {"bytes_in", "bytes:to_guest",
     "backend kind=0 value=2\nactivate\nrequest length=100\nkick\nbackend kind=1 value=20"},
    {"bytes_in_before_there_is_room", "bytes:to_guest",
     "backend kind=0 value=2\nactivate\nbackend kind=1 value=200\nrequest length=64\n"
     "request length=64 cut=0x1c\nkick"},
    {"bytes_in_pages", "bytes:to_guest",
     "backend kind=0 value=2\nactivate\nbackend kind=1 value=16000\nrequest length=3000\n"
     "request length=8192\nrequest length=8192\nkick\nsave\nrequest length=100"},
    {"bytes_in_outside_memory", "bytes:to_guest",
     "backend kind=0 value=2\nactivate\nbackend kind=1 value=400\n"
     "request length=100 address=mid:end-50\nrequest length=64 address=rom\n"
     "request length=200\nkick"},
    {"bytes_in_with_readable_bytes", "error:console.readable",
     "backend kind=0 value=2\nactivate\nbackend kind=1 value=40\n"
     "request flags=raw length=8 extra=2\nrequest\nkick"},
    {"bytes_in_without_room", "error:console.no_room",
     "backend kind=0 value=2\nactivate\nbackend kind=1 value=40\nrequest flags=raw|kick\n"
     "request\nkick"},
    {"bytes_in_kept_over_a_reset", "bytes:to_guest",
     "backend kind=0 value=2\nactivate\nbackend kind=1 value=40\nsave\nactivate\nrequest\nkick"},
    {"a_device_that_is_ready", "control:sent",
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "kick queue=2\nrequest queue=3 flags=kick"},
    {"a_console", "port:opened_or_closed",
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "kick queue=2\nrequest queue=3 flags=kick\nrequest queue=3 kind=3 next=0 flags=kick\n"
     "request queue=3 kind=6 next=0 flags=kick\nrequest queue=1 flags=kick\n"
     "backend kind=1 value=40\nrequest queue=0\nkick"},
    {"a_log", "port:opened_or_closed",
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "kick queue=2\nrequest queue=3 flags=kick\nrequest queue=3 kind=3 next=1 flags=kick\n"
     "request queue=3 kind=6 next=1 flags=kick\nrequest queue=5 flags=kick\n"
     "backend kind=1 value=41\nrequest queue=4\nkick queue=4"},
    {"opened_and_closed", "port:opened_or_closed",
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "kick queue=2\nrequest queue=3 flags=kick\nrequest queue=3 kind=3 next=1 flags=kick\n"
     "request queue=3 kind=6 next=1 flags=kick\nrequest queue=3 kind=6 next=1 flags=kick\n"
     "request queue=3 kind=6 next=1 value=1 flags=kick\nbackend kind=1 value=41\n"
     "request queue=4\nkick queue=4\nrequest queue=3 kind=6 next=1 flags=kick"},
    {"bytes_out_before_the_port_is_ready", "bytes:from_guest",
     "request queue=5 flags=kick\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "request queue=2\nrequest queue=2\nkick queue=2\nrequest queue=3 flags=kick\n"
     "request queue=3 kind=3 next=1 flags=kick\nrequest queue=3 kind=6 next=1 flags=kick"},
    {"bytes_in_before_the_port_is_open", "bytes:to_guest",
     "request queue=4 flags=kick\nbackend kind=1 value=101\nrequest queue=2\nrequest queue=2\n"
     "request queue=2\nrequest queue=2\nrequest queue=2\nkick queue=2\n"
     "request queue=3 flags=kick\nrequest queue=3 kind=3 next=1 flags=kick\n"
     "request queue=3 kind=6 next=1 flags=kick"},
    {"more_than_a_share_before_the_port_is_ready", "bytes:share_of_a_turn",
     "request queue=5 length=15000\nrequest queue=5 length=15000\n"
     "request queue=5 length=15000\nrequest queue=5 length=15000\n"
     "request queue=5 length=15000\nkick queue=5\nrequest queue=2\nrequest queue=2\n"
     "request queue=2\nrequest queue=2\nrequest queue=2\nkick queue=2\n"
     "request queue=3 flags=kick\nrequest queue=3 kind=3 next=1 flags=kick\n"
     "request queue=3 kind=6 next=1 flags=kick"},
    {"messages_before_there_is_room", "control:sent",
     "request queue=3 flags=kick\nrequest queue=2 flags=kick\nrequest queue=2 flags=kick"},
    {"a_message_without_room", "error:console.control_room",
     "request queue=3 flags=kick\nrequest queue=2 length=7 flags=kick\n"
     "request queue=2 flags=kick"},
    {"a_message_outside_memory", "control:sent",
     "request queue=3 flags=kick\nrequest queue=2 length=16 address=mid:end-4 flags=kick\n"
     "request queue=2 address=rom flags=kick\nrequest queue=2 flags=kick"},
    {"a_message_with_readable_bytes", "error:console.readable",
     "request queue=3 flags=kick\nrequest queue=2 flags=raw|kick length=64 extra=1\n"
     "request queue=2 flags=kick"},
    {"a_size", "control:sent",
     "backend kind=7 value=0x32000a0\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "request queue=2\nrequest queue=2\nkick queue=2\nrequest queue=3 flags=kick\n"
     "request queue=3 kind=3 next=0 flags=kick\nrequest queue=3 kind=6 next=0 flags=kick\n"
     "backend kind=7 value=2\nbackend kind=7 value=3"},
    {"a_size_of_rows_only", "control:sent",
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "kick queue=2\nrequest queue=3 flags=kick\nbackend kind=7 value=0xa0000\n"
     "request queue=3 kind=3 next=0 flags=kick\nrequest queue=2 flags=kick"},
    {"a_size_of_a_port_that_is_no_console", "control:sent",
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "kick queue=2\nrequest queue=3 flags=kick\nrequest queue=3 kind=3 next=1 flags=kick\n"
     "backend kind=7 value=3\nrequest queue=2 flags=kick"},
    {"a_host_that_is_closed_from_the_start", "control:sent",
     "backend kind=6 value=1\n"
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "kick queue=2\nrequest queue=3 flags=kick\nrequest queue=3 kind=3 next=1 flags=kick\n"
     "save\nbackend kind=6 value=3"},
    {"a_port_that_is_there_already", "control:sent",
     "backend kind=5 value=3\nrequest queue=2 flags=kick\nrequest queue=3 flags=kick\n"
     "backend kind=5 value=3\nrequest queue=2 flags=kick"},
    {"a_port_that_goes_before_the_device_is_ready", "control:sent",
     "backend kind=5 value=1\nsave\nrequest queue=3 flags=kick\nrequest queue=2 flags=kick\n"
     "request queue=2 flags=kick\nbackend kind=5 value=3\nrequest queue=2 flags=kick"},
    {"a_port_that_goes_and_comes_early", "control:sent",
     "backend kind=5 value=1\nbackend kind=5 value=3\nrequest queue=2\nrequest queue=2\n"
     "kick queue=2\nrequest queue=3 flags=kick"},
    {"a_port_that_goes_twice", "control:sent",
     "request queue=2\nrequest queue=2\nkick queue=2\nrequest queue=3 flags=kick\n"
     "backend kind=5 value=1\nbackend kind=5 value=1\nrequest queue=2 flags=kick"},
    {"saved_with_messages_that_wait", "guest:restore",
     "request queue=2\nrequest queue=2\nkick queue=2\nrequest queue=3 flags=kick\n"
     "request queue=3 kind=3 next=0\nrequest queue=3 kind=3 next=1 flags=kick\n"
     "backend kind=7 value=0xa0000\nsave\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "request queue=2\nrequest queue=2\nkick queue=2"},
    {"queues_reset_by_themselves", "bytes:from_guest",
     "access index=0x30\naccess index=0xc0 value=1\naccess index=0x30 value=2\n"
     "access index=0xc0 value=1\naccess index=0x30 value=3\naccess index=0xc0 value=1\n"
     "access index=0x30 value=5\naccess index=0xc0 value=1\n"
     "backend kind=0 value=2\nactivate\nrequest queue=1 flags=kick"},
    {"a_buffer_that_is_half_there", "bytes:to_guest",
     "backend kind=0 value=2\nactivate\nbackend kind=1 value=200\n"
     "desc index=0 address=data length=40 flags=write|next next=1\n"
     "desc index=1 address=hole length=40 flags=write\npublish index=0\nkick"},
    {"loops_for_bytes_and_messages", "control:sent",
     "desc queue=3 index=0 address=data length=8 flags=next next=1\n"
     "link queue=3 index=1 flags=next next=0\npublish queue=3 index=0\nkick queue=3\n"
     "desc queue=2 index=0 address=data length=8 flags=next next=1\n"
     "link queue=2 index=1 flags=next next=0\npublish queue=2 index=0\n"
     "request queue=3 flags=kick\nrequest queue=2 flags=kick"},
    {"a_queue_that_does_not_exist_and_a_loop", "error:console.no_queue",
     "backend kind=0 value=2\nactivate\n"
     "desc queue=3 index=0 address=data length=8 flags=next next=1\n"
     "link queue=3 index=1 flags=next next=0\npublish queue=3 index=0\n"
     "request queue=3 flags=kick"},

    {"a_port_that_goes", "port:opened_or_closed",
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "kick queue=2\nrequest queue=3 flags=kick\nrequest queue=3 kind=3 next=1 flags=kick\n"
     "request queue=3 kind=6 next=1 flags=kick\nbackend kind=5 value=1\n"
     "request queue=3 kind=6 next=1 flags=kick\nbackend kind=5 value=3\n"
     "request queue=3 kind=3 next=1 flags=kick"},
    {"a_port_that_goes_and_comes_unheard", "control:sent",
     "request queue=3 flags=kick\nbackend kind=5 value=1\nbackend kind=5 value=3\n"
     "request queue=2\nrequest queue=2\nrequest queue=2\nkick queue=2\n"
     "backend kind=5 value=1\nbackend kind=5 value=3\nsave\nrequest queue=2\nkick queue=2"},
    {"a_host_that_closes", "error:console.host_closed",
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "kick queue=2\nrequest queue=3 flags=kick\nrequest queue=3 kind=3 next=1 flags=kick\n"
     "request queue=3 kind=6 next=1 flags=kick\nbackend kind=6 value=1\n"
     "request queue=5 flags=kick\nbackend kind=1 value=41\nrequest queue=4 flags=kick\n"
     "backend kind=6 value=3"},
    {"a_driver_that_fails", "error:console.driver_failed",
     "request queue=3 value=1 flags=kick\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "request queue=2\nrequest queue=2\nkick queue=2\nrequest queue=3 flags=kick\n"
     "request queue=3 kind=3 value=1 flags=kick"},
    {"a_message_of_the_device", "error:console.event", "request queue=3 kind=1"},
    {"an_event_that_there_is_not", "error:console.event", "request queue=3 kind=9"},
    {"a_value_of_two", "error:console.value", "request queue=3 value=3"},
    {"a_port_that_there_is_not", "error:console.port_id",
     "request queue=3 flags=kick\nrequest queue=3 kind=3 next=2"},
    {"a_port_of_32_bits", "error:console.port_id",
     "request queue=3 flags=kick\nwrite address=data\nrequest queue=3 kind=6 next=0xffff"},
    {"a_port_that_is_not_added", "error:console.port_absent",
     "request queue=3 flags=kick\nrequest queue=3 kind=3"},
    {"ready_twice", "error:console.order",
     "request queue=3 flags=kick\nrequest queue=3 flags=kick"},
    {"a_port_ready_twice", "error:console.order",
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "kick queue=2\nrequest queue=3 flags=kick\nrequest queue=3 kind=3 next=0 flags=kick\n"
     "request queue=3 kind=3 next=0 flags=kick"},
    {"a_port_open_before_it_is_ready", "error:console.order",
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "kick queue=2\nrequest queue=3 flags=kick\nrequest queue=3 kind=6 next=0 flags=kick"},
    {"half_a_message", "error:console.control_length", "request queue=3 flags=raw length=7"},
    {"a_long_message", "control:sent",
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "kick queue=2\nrequest queue=3 flags=raw|kick length=100 cut=0x1c"},
    {"a_message_with_room", "error:console.writable", "request queue=3 flags=raw length=8 extra=8"},
    {"a_message_that_is_not_in_memory", "device:interrupt", "request queue=3 address=mid:end-4"},
    {"many_messages_and_no_room", "error:console.order",
     "request queue=3 flags=kick\nrequest queue=3 kind=3 next=0\n"
     "request queue=3 kind=3 next=1\nrequest queue=3 kind=3 next=0\n"
     "request queue=3 kind=3 next=1\nrequest queue=3 kind=3 next=0\n"
     "request queue=3 kind=3 next=1\nrequest queue=3 flags=kick\nkick queue=3"},
    {"a_queue_that_does_not_exist", "error:console.no_queue",
     "backend kind=0 value=2\nactivate\nrequest queue=2 flags=kick\nrequest queue=5 flags=kick"},
    {"an_emergency", "port:emergency", "access index=8 next=2 value=65"},
    {"an_emergency_before_anything", "port:emergency",
     "access index=15 next=1 value=0\naccess index=8 next=2 value=66 length=1\n"
     "access index=9 next=2 value=1\naccess index=0 next=2 value=1"},
    {"an_emergency_in_need_of_reset", "port:emergency",
     "avail queue=1 next=40\nbackend kind=0 value=2\nactivate\navail queue=1 next=40\n"
     "kick queue=1\naccess index=8 next=2 value=67"},
    {"what_is_read_only", "guest:register_refused",
     "access index=0 next=2 value=1\naccess index=9 next=2 value=1\n"
     "access index=8 next=2 length=8\naccess kind=1 index=4 next=2"},
    {"saved_in_the_middle", "guest:save",
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "kick queue=2\nrequest queue=3 flags=kick\nrequest queue=3 kind=3 next=1 flags=kick\n"
     "request queue=3 kind=6 next=1 flags=kick\nbackend kind=1 value=41\n"
     "backend kind=7 value=0x123456\nsave\nrequest queue=4\nkick queue=4"},
    {"states_that_do_not_fit", "guest:restore_refused",
     "save\npatch index=400 width=1 value=3\nrestore\nactivate\nsave\n"
     "patch index=402 width=1 value=2\nrestore\nactivate\nsave\n"
     "patch index=403 width=1 value=1\nrestore\nactivate\nsave\n"
     "patch index=404 width=1 value=9\nrestore\nactivate\nsave\n"
     "patch index=405 width=1 value=1\nrestore\nactivate\nsave\n"
     "patch index=406 width=1 value=15\nrestore\nactivate\nsave\n"
     "patch index=407 width=1 value=1\nrestore\nactivate\nsave\n"
     "patch index=413 width=1 value=32\nrestore\nactivate\nsave\n"
     "patch index=412 width=1 value=99\nrestore\nactivate\nsave\n"
     "patch index=416 width=1 value=1\nrestore\nactivate\nrequest queue=1"},
    {"states_of_ports_that_do_not_fit", "guest:restore_refused",
     "save\npatch index=402 width=1 value=1\nrestore\nactivate\nrequest queue=2\n"
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nkick queue=2\n"
     "request queue=3 flags=kick\nrequest queue=3 kind=3 next=1 flags=kick\n"
     "request queue=3 kind=6 next=1 flags=kick\nsave\npatch index=402 width=1 value=0\n"
     "restore\nactivate\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "request queue=2\nkick queue=2\nrequest queue=3 flags=kick\n"
     "request queue=3 kind=3 next=1 flags=kick\nrequest queue=3 kind=6 next=1 flags=kick\n"
     "save\npatch index=429 width=1 value=64\nrestore\nactivate\nrequest queue=2\n"
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nkick queue=2\n"
     "request queue=3 flags=kick\nrequest queue=3 kind=3 next=1 flags=kick\n"
     "request queue=3 kind=6 next=1 flags=kick\nsave\npatch index=430 width=1 value=6\n"
     "restore\nactivate"},
    {"messages_that_cannot_wait", "guest:restore_refused",
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "kick queue=2\nrequest queue=3 flags=kick\nsave\npatch index=405 width=1 value=4\n"
     "restore\nactivate\nrequest queue=3 flags=kick\nsave\npatch index=406 width=1 value=7\n"
     "restore\nactivate\nrequest queue=3 flags=kick\nsave\npatch index=405 width=1 value=0\n"
     "restore\nactivate\nrequest queue=1"},
    {"how_much_went_of_a_buffer_changed", "error:console.transmit_changed",
     "backend kind=0 value=2\nactivate\nrequest queue=1 length=300\nsave\n"
     "patch index=420 width=2 value=1000\nrestore\nkick queue=1"},
    {"a_state_that_is_too_short", "guest:restore_refused",
     "save\npatch index=0x8030\nrestore\nactivate\nrequest queue=1"},
    {"packed", "bytes:from_guest",
     "backend kind=0 value=2\nqueue queue=1 index=4 flags=packed|indirect\n"
     "request queue=1 length=100 cut=8\nrequest queue=1 flags=indirect\nkick queue=1"},
    {"packed_ports", "control:sent",
     "queue queue=2 index=15 flags=packed\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "request queue=2\nrequest queue=2\nkick queue=2\nrequest queue=3 flags=kick\n"
     "request queue=3 kind=3 next=1 flags=kick\nrequest queue=3 kind=6 next=1 flags=kick\n"
     "request queue=5\nkick queue=5"},
    {"on_pci", "guest:on_pci",
     "activate flags=pci\nrequest queue=1 length=20 flags=kick\nrequest length=20 flags=kick\n"
     "backend kind=1 value=7\nsave\nrequest queue=1 length=20 flags=kick"},
    {"kept_from_memory", "device:kept_from_memory",
     "backend kind=0 value=2\nactivate flags=pci\nbackend kind=2 value=200\n"
     "request queue=1 length=300 flags=kick\naccess next=4 index=4 length=2 value=2\n"
     "request flags=kick\nbackend kind=1 value=14\nbackend kind=3\n"
     "access next=4 index=4 length=2 value=6"},
    {"event_index", "device:notify",
     "backend kind=0 value=2\nqueue queue=1 index=2 flags=event_index\nevent queue=1 next=1\n"
     "request queue=1 flags=kick\nrequest queue=1 flags=kick"},
    {"no_interrupt", "bytes:from_guest",
     "backend kind=0 value=2\nactivate\nflags queue=1 flags=no_interrupt\n"
     "request queue=1 flags=kick"},
    {"a_loop", "guest:kick",
     "backend kind=0 value=2\nactivate\n"
     "desc queue=1 index=0 address=data length=8 flags=next next=1\n"
     "link queue=1 index=1 flags=next next=0\npublish queue=1 index=0\nkick queue=1"},
    {"a_head_outside", "device:needs_reset",
     "backend kind=0 value=2\nactivate\nentry queue=1 index=0 next=99\navail queue=1 next=1\n"
     "kick queue=1\nrequest"},
    {"a_control_queue_that_breaks", "device:needs_reset",
     "entry queue=2 index=0 next=99\navail queue=2 next=1\nrequest queue=3 flags=kick"},
    {"a_receive_queue_that_breaks", "device:needs_reset",
     "entry queue=0 index=0 next=99\navail queue=0 next=1\nrequest queue=2\nrequest queue=2\n"
     "request queue=2\nrequest queue=2\nrequest queue=2\nkick queue=2\n"
     "request queue=3 flags=kick\nrequest queue=3 kind=3 next=0 flags=kick\n"
     "request queue=3 kind=6 next=0 flags=kick\nbackend kind=1 value=20"},
    {"an_indirect_table_by_hand", "bytes:from_guest",
     "backend kind=0 value=2\nactivate flags=indirect\n"
     "indirect index=0 address=data length=8\n"
     "desc queue=1 index=3 address=indirect length=16 flags=indirect\n"
     "publish queue=1 index=3\nkick queue=1"},
    {"a_race_for_a_message", "control:sent",
     "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
     "kick queue=2\nrequest queue=3\nrace address=data+6 nth=1 value=1\nkick queue=3"},
    {"memory_that_changes", "bytes:from_guest",
     "backend kind=0 value=2\nactivate\nfill address=data length=256 value=7\n"
     "write address=data+3 width=8 value=1\nrequest queue=1 length=64\nkick queue=1"},
    {"an_area_outside_memory", "guest:activate_refused",
     "area which=used address=hole\nactivate index=8\nrequest flags=kick\nreset\nrequest"},
    {"areas_elsewhere", "bytes:from_guest",
     "backend kind=0 value=2\narea queue=1 which=desc address=low+0x5000\n"
     "area queue=1 which=avail address=low+0x5800\n"
     "area queue=1 which=used address=low+0x5a00\nactivate queue=1 index=8\n"
     "request queue=1 flags=kick"},
};

class ConsoleSeeds : public ::testing::TestWithParam<Seed> {};

TEST_P(ConsoleSeeds, RunsAndIsStored) {
  ConsoleHarness harness;
  check_seed(harness, GetParam());
}
INSTANTIATE_TEST_SUITE_P(All, ConsoleSeeds, ::testing::ValuesIn(kConsoleSeeds), seed_name);

TEST(ConsoleSeedsTest, ReachEverythingTogether) {
  ConsoleHarness harness;
  check_seeds(harness, kConsoleSeeds);
}

}  // namespace
}  // namespace guestproof::testing
