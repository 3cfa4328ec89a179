#include <gtest/gtest.h>

#include "guestproof/testing/harness/echo_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// Where an `access` goes: device_transport.h; fields of the common structure by their number are
// 4 config_msix_vector, 6 device_status, 8 queue_select, 9 queue_size, 10 queue_msix_vector,
// 11 queue_enable, 13 to 15 the addresses, 17 queue_reset. In configuration space MSI-X is at 0x40,
// the capability for configuration access at 0x90. Of the saved state bytes 0 to 27 are the
// transport's registers, 28 to 675 the bus's (604 on MSI-X's), 676 to 707 the life cycle's header,
// 708 to 763 the first queue, 764 to 819 the second.
constexpr Seed kPciSeeds[] = {
    {"a_request", "request:echo", "request"},
    {"both_queues", "device:interrupt",
     "request queue=1\nrequest length=100 extra=300\nkick\nkick queue=1"},
    {"indirect", "guest:indirect_request", "request flags=indirect|kick"},
    {"packed", "request:echo", "queue index=4 flags=packed|event_index\nrequest flags=kick"},
    {"in_order", "request:echo", "queue index=4 flags=in_order\nrequest\nrequest\nkick"},

    // A driver step by step, by hand.
    {"every_field_read", "guest:register_access",
     "access kind=1 next=1 index=0\naccess kind=1 next=1 index=1\naccess kind=1 next=1 index=2\n"
     "access kind=1 next=1 index=3\naccess kind=1 next=1 index=4\naccess kind=1 next=1 index=5\n"
     "access kind=1 next=1 index=6\naccess kind=1 next=1 index=7\naccess kind=1 next=1 index=8\n"
     "access kind=1 next=1 index=9\naccess kind=1 next=1 index=10\naccess kind=1 next=1 index=11\n"
     "access kind=1 next=1 index=12\naccess kind=1 next=1 index=13\naccess kind=1 next=1 index=14\n"
     "access kind=1 next=1 index=15\naccess kind=1 next=1 index=16\naccess kind=1 next=1 index=17\n"
     "access kind=1 next=1 index=18\naccess kind=1 next=1 index=19\n"
     "access kind=1 index=0x20\naccess kind=1 index=0x24\naccess kind=1 index=0x2c\n"
     "access kind=1 index=0x34"},
    {"every_word_of_features", "guest:register_access",
     "access kind=1 next=1 index=1\naccess next=1 index=0 value=1\naccess kind=1 next=1 index=1\n"
     "access next=1 index=0 value=2\naccess kind=1 next=1 index=1\n"
     "access next=1 index=2 value=0\naccess kind=1 next=1 index=3\n"
     "access next=1 index=2 value=0xffffffff\naccess kind=1 next=1 index=3"},
    {"every_capability_walked", "guest:register_access",
     "access kind=1 next=4 index=0x34 length=1\naccess kind=1 next=4 index=0x40\n"
     "access kind=1 next=4 index=0x4c\naccess kind=1 next=4 index=0x50\n"
     "access kind=1 next=4 index=0x54\naccess kind=1 next=4 index=0x58\n"
     "access kind=1 next=4 index=0x5c\naccess kind=1 next=4 index=0x64\n"
     "access kind=1 next=4 index=0x6c\naccess kind=1 next=4 index=0x74\n"
     "access kind=1 next=4 index=0x78\naccess kind=1 next=4 index=0x7c\n"
     "access kind=1 next=4 index=0x84\naccess kind=1 next=4 index=0x8c\n"
     "access kind=1 next=4 index=0x90\naccess kind=1 next=4 index=0x3d length=1\n"
     "access kind=1 next=4 index=0\naccess kind=1 next=4 index=8\naccess kind=1 next=4 index=0x2c"},
    {"brought_up_by_hand", "request:echo", R"(
        access next=1 index=6 value=0
        access next=1 index=6 value=1
        access next=1 index=6 value=3
        access next=1 index=2 value=1
        access next=1 index=3 value=1
        access next=1 index=6 value=11
        access next=1 index=4 value=2
        access next=1 index=8 value=0
        access next=1 index=9 value=16
        access next=1 index=10 value=1
        access index=0x24 value=0
        access index=0x20 value=0x1000
        access next=1 index=14 value=0x1800
        access index=0x30 value=0x1a00
        access index=0x34 value=0
        access next=1 index=11 value=1
        access next=1 index=6 value=15
        request flags=kick)"},
    {"failed", "error:device.not_running", "access next=1 index=6 value=0x8f\nrequest flags=kick"},
    {"an_address_in_halves", "error:queue_config.descriptor_table_align", R"(
        access next=1 index=6 value=0
        access next=1 index=6 value=3
        access next=1 index=2 value=1
        access next=1 index=3 value=1
        access next=1 index=6 value=11
        access index=0x24 value=0xffffffff
        access index=0x20 value=0xfffffff0
        access index=0x20 value=0xfffffff8
        access kind=1 next=1 index=13)"},

    // Interrupts.
    {"by_the_pin", "device:interrupt",
     "access next=4 index=0x42 length=2\nrequest flags=kick\naccess kind=1 next=4 index=4\n"
     "access kind=1 index=0x1000 length=1\naccess kind=1 index=0x1000 length=1\n"
     "request queue=1 flags=kick\nbackend kind=1 value=5\naccess kind=1 index=0x1000 length=1"},
    {"by_the_pin_disabled", "guest:register_access",
     "access next=4 index=0x42 length=2\naccess next=4 index=4 length=2 value=0x406\n"
     "request flags=kick\naccess next=4 index=4 length=2 value=6\n"
     "access kind=1 index=0x1000 length=1"},
    {"msix_taken_from_a_pending_isr", "device:interrupt",
     "backend kind=1 value=5\naccess next=4 index=0x42 length=2\n"
     "access next=4 index=0x42 length=2 value=0x8000\naccess kind=1 index=0x1000 length=1"},
    {"a_vector_masked", "device:interrupt",
     "access next=5 index=0x1c value=1\nrequest flags=kick\naccess kind=1 next=5 index=0x30 "
     "length=8\naccess next=5 index=0x10 length=8 value=0x1234567800\naccess next=5 index=0x1c"},
    {"the_function_masked", "device:interrupt",
     "access next=4 index=0x42 length=2 value=0xc000\nrequest flags=kick\n"
     "request queue=1 flags=kick\naccess next=4 index=0x42 length=2 value=0x8000"},
    {"no_bus_master", "device:interrupt",
     "access next=4 index=4 length=2 value=2\nrequest flags=kick\n"
     "access next=4 index=4 length=2 value=6"},
    // Without Bus Master the device leaves memory alone; the command register is at 4.
    {"kicked_without_bus_master", "device:kept_from_memory",
     "request\nrequest queue=1\naccess next=4 index=4 length=2 value=2\nkick\nkick queue=1\n"
     "access kind=1 next=1 index=6\naccess next=4 index=4 length=1 value=6"},
    {"kicked_without_bus_master_packed", "device:kept_from_memory",
     "queue index=4 flags=packed|event_index\naccess next=4 index=4 length=2 value=2\n"
     "request flags=kick\naccess next=4 index=4 length=2 value=6\nrequest flags=kick"},
    {"bus_master_for_a_moment", "device:interrupt",
     "request\naccess next=4 index=4 length=2 value=2\naccess next=4 index=4 length=2 value=6"},
    {"started_without_bus_master", "device:kept_from_memory", R"(
        access next=4 index=4 length=2 value=2
        access next=1 index=6 value=0
        access next=1 index=6 value=3
        access next=1 index=2 value=1
        access next=1 index=3 value=1
        access next=1 index=6 value=11
        access next=1 index=9 value=16
        access next=1 index=13 value=0x1000
        access next=1 index=14 value=0x1800
        access next=1 index=15 value=0x1a00
        access next=1 index=11 value=1
        access next=1 index=6 value=15
        request flags=kick
        access next=4 index=4 length=2 value=6)"},
    {"a_queue_outside_memory_without_bus_master", "device:needs_reset", R"(
        access next=4 index=4 length=2 value=2
        access next=1 index=6 value=0
        access next=1 index=6 value=3
        access next=1 index=2 value=1
        access next=1 index=3 value=1
        access next=1 index=6 value=11
        access next=1 index=13 value=0x7000000000
        access next=1 index=11 value=1
        access next=1 index=6 value=15
        access next=4 index=4 length=2 value=6
        reset
        avail next=30
        kick)"},
    {"a_queue_that_breaks_without_bus_master", "device:needs_reset",
     "access next=4 index=4 length=2 value=2\navail next=30\nkick\naccess kind=1 next=1 index=6\n"
     "access next=4 index=4 length=2 value=6\naccess kind=1 next=1 index=6"},
    {"the_pin_without_bus_master", "device:interrupt",
     "access next=4 index=0x42 length=2\naccess next=4 index=4 length=2 value=2\n"
     "backend kind=1 value=5\naccess kind=1 index=0x1000 length=1\nrequest flags=kick"},
    {"a_queue_reset_without_bus_master", "device:kept_from_memory",
     "request flags=kick\naccess next=4 index=4 length=2 value=2\nrequest flags=kick\n"
     "access next=1 index=8\naccess next=1 index=17 value=1\nrequest queue=1 flags=kick\n"
     "access next=4 index=4 length=2 value=6"},
    {"failed_without_bus_master", "guest:register_access",
     "access next=4 index=4 length=2 value=2\nrequest flags=kick\naccess next=1 index=6 "
     "value=0x8f\naccess next=4 index=4 length=2 value=6"},
    {"saved_without_bus_master", "device:kept_from_memory",
     "request flags=kick\naccess next=4 index=4 length=2 value=2\nrequest flags=kick\nsave\n"
     "access next=4 index=4 length=2 value=6\nrequest flags=kick\nrestore\n"
     "request flags=kick\naccess next=4 index=4 length=2 value=6"},
    {"restored_with_bus_master", "guest:restore",
     "save\naccess next=4 index=4 length=2 value=2\nrequest flags=kick\nrestore\n"
     "request queue=1 flags=kick"},
    {"reset_without_bus_master", "request:echo",
     "access next=4 index=4 length=2 value=2\nrequest flags=kick\naccess next=1 index=6\n"
     "access next=4 index=4 length=2 value=6\nactivate\nrequest flags=kick"},
    {"no_vector", "guest:kick",
     "access next=1 index=10 value=0xffff\naccess next=1 index=4 value=0xffff\n"
     "request queue=1 flags=kick\nbackend kind=1 value=3\naccess kind=1 index=0x1000 length=1"},
    {"vectors_outside_the_table", "error:device.register_value",
     "access next=1 index=10 value=3\naccess kind=1 next=1 index=10\n"
     "access next=1 index=4 value=0xfffe\naccess kind=1 next=1 index=4\n"
     "request queue=1 flags=kick\nbackend kind=1"},
    {"one_vector_for_all", "device:interrupt",
     "access next=1 index=8 value=0\naccess next=1 index=10 value=2\nrequest flags=kick\n"
     "request queue=1 flags=kick"},
    {"config_changed", "device:interrupt",
     "backend kind=1 value=77\naccess kind=1 next=1 index=7\naccess kind=1 next=2\n"
     "access kind=1 index=0x1000 length=1\naccess next=1 index=6\nbackend kind=1 value=78\n"
     "access kind=1 next=1 index=7"},
    {"config_changed_between_two_looks", "guest:register_access",
     "access kind=1 next=2\naccess kind=1 next=1 index=7\nbackend kind=1 value=77\n"
     "access kind=1 next=1 index=7\naccess kind=1 next=2 index=4\naccess kind=1 next=1 index=7\n"
     "access next=2 index=4 value=5\naccess kind=1 next=2\naccess kind=1 next=1 index=7\nsave"},
    {"reset_with_a_pending_message", "guest:register_access",
     "access next=4 index=0x42 length=2 value=0xc000\nrequest flags=kick\nbackend kind=1\n"
     "access next=1 index=6\naccess next=4 index=0x42 length=2 value=0x8000\n"
     "access kind=1 next=5 index=0x30 length=8"},
    {"reset_with_the_pin", "guest:register_access",
     "access next=4 index=0x42 length=2\nrequest flags=kick\naccess next=1 index=6\n"
     "access kind=1 index=0x1000 length=1"},

    // Configuration access.
    {"through_configuration_space", "guest:register_access",
     "access next=6 index=4 length=1\naccess next=6 index=8 value=0x12\n"
     "access next=6 index=12 value=2\naccess kind=1 next=6 index=16 length=2\n"
     "access next=6 index=8 value=0x14\naccess next=6 index=12 value=1\n"
     "access kind=1 next=6 index=16\naccess next=6 index=16 length=1 value=0"},
    {"notified_through_configuration_space", "request:echo",
     "request\naccess next=6 index=8 value=0x3000\naccess next=6 index=12 value=4\n"
     "access next=6 index=16"},
    {"isr_through_configuration_space", "device:interrupt",
     "access next=4 index=0x42 length=2\nrequest flags=kick\naccess next=6 index=8 value=0x1000\n"
     "access next=6 index=12 value=1\naccess kind=1 next=6 index=16 length=1"},
    {"a_table_through_configuration_space", "guest:register_access",
     "access next=6 index=4 length=1 value=2\naccess next=6 index=8 value=0x1c\n"
     "access next=6 index=12 value=4\naccess next=6 index=16 value=1\nrequest flags=kick\n"
     "access next=6 index=16"},
    {"cap_length_hostile", "error:device.register_value",
     "access kind=1 next=6 index=16\naccess next=6 index=16\naccess next=6 index=12 value=8\n"
     "access kind=1 next=6 index=16\naccess next=6 index=12 value=0xffffffff\n"
     "access kind=1 next=6 index=16"},
    {"cap_offset_hostile", "error:device.register",
     "access next=6 index=12 value=4\naccess next=6 index=8 value=0x4000\n"
     "access kind=1 next=6 index=16\naccess next=6 index=8 value=0xfffffffc\n"
     "access next=6 index=16\naccess next=6 index=8 value=0x3ffe\naccess kind=1 next=6 index=16"},
    {"cap_bar_hostile", "error:device.register_value",
     "access next=6 index=12 value=4\naccess next=6 index=4 length=1 value=1\n"
     "access kind=1 next=6 index=16\naccess next=6 index=4 length=1 value=6\n"
     "access next=6 index=16\naccess next=6 index=4 length=1 value=255\n"
     "access kind=1 next=6 index=16"},
    {"pci_cfg_data_in_parts", "error:device.access_width",
     "access next=6 index=12 value=4\naccess kind=1 next=6 index=16 length=1\n"
     "access next=6 index=16 length=2 value=1\naccess next=6 index=12 value=1\n"
     "access kind=1 next=6 index=17 length=1\naccess next=6 index=8 value=0x14\n"
     "access next=6 index=18 length=1 value=0"},

    // BARs.
    {"bars_moved", "request:echo",
     "access next=4 index=0x10 value=0x20000\naccess next=4 index=0x14 value=0x10\n"
     "request flags=kick\naccess next=4 index=0x18 value=0xe0100000\n"
     "access kind=1 next=5 index=0x10 length=8"},
    {"bar_outside", "error:pci.bar_outside",
     "access next=4 index=0x14 value=0x99\nrequest flags=kick\naccess next=4 index=0x14 "
     "value=0x10"},
    {"bar_overlap", "error:pci.bar_overlap",
     "access next=4 index=0x14 value=0\naccess next=4 index=0x10 value=0xe0010000\n"
     "access kind=1 next=5\nrequest flags=kick"},
    {"decoding_off", "error:pci.unmapped",
     "access next=4 index=4 length=2\nrequest flags=kick\nbackend kind=1"},
    {"bar_end", "error:pci.bar_end",
     "access kind=1 index=0x3fff length=2\naccess index=0x3ffc length=8"},
    {"table_and_pending_bits_at_once", "error:pci.msix_part",
     "access kind=1 next=5 index=44 length=8\naccess next=5 index=52 length=8"},
    {"behind_the_pending_bits", "error:device.register",
     "access kind=1 next=5 index=0x38 length=2\naccess next=5 index=0x3a length=2 value=1\n"
     "access kind=1 next=5 index=0x100"},
    {"table_by_bytes", "error:msix.access",
     "access kind=1 next=5 length=1\naccess next=5 length=2"},
    {"pending_bits_written", "error:msix.pba_read_only",
     "access next=5 index=0x30 length=8 value=7"},
    {"config_width", "error:pci.width", "access kind=1 next=4 length=3\naccess next=4 length=8"},
    {"config_straddle", "error:pci.straddle", "access kind=1 next=4 index=3 length=2"},
    {"config_extended", "error:pci.offset",
     "access kind=1 next=4 index=0x100\naccess next=4 index=0xfff length=1"},
    {"config_of_nobody", "error:pci.absent", "access kind=1 next=4 index=0x1000"},

    // What a driver gets refused.
    {"status_unknown", "error:device.status_unknown", "access next=1 index=6 value=0x1f"},
    {"status_cleared", "error:device.status_cleared", "access next=1 index=6 value=1"},
    {"status_order", "error:device.status_order",
     "access next=1 index=6 value=0\naccess next=1 index=6 value=2"},
    {"status_failed", "error:device.status_failed",
     "access next=1 index=6\naccess next=1 index=6 value=0x80\naccess next=1 index=6 value=0x81"},
    {"feature_word", "error:device.feature_word",
     "access next=1 index=6\naccess next=1 index=6 value=3\naccess next=1 index=2 value=2\n"
     "access next=1 index=3\naccess next=1 index=3 value=1"},
    {"features_closed", "error:device.features_closed", "access next=1 index=3 value=1"},
    {"features_not_offered", "error:device.features_not_offered", "backend value=4\nactivate"},
    {"version_1", "error:device.version_1",
     "access next=1 index=6\naccess next=1 index=6 value=3\naccess next=1 index=6 value=11"},
    {"feature_needs", "error:device.feature_needs", "backend value=2\nactivate\nrequest"},
    {"queue_index", "error:device.queue_index",
     "access next=1 index=8 value=2\naccess next=1 index=11 value=1\naccess kind=1 next=1 index=9\n"
     "access kind=1 next=1 index=10\naccess next=1 index=10\naccess kind=1 next=1 index=13\n"
     "access kind=1 next=1 index=12"},
    {"a_place_past_the_last_queue", "error:device.queue_index",
     "access next=3 index=2\naccess next=3 index=1023\nrequest flags=kick"},
    {"a_place_between_queues", "error:device.register",
     "access index=0x3002 length=2\naccess kind=1 next=3 index=0"},
    {"queue_size", "error:device.queue_size",
     "access next=1 index=6\naccess next=1 index=6 value=3\naccess next=1 index=2 value=1\n"
     "access next=1 index=3 value=1\naccess next=1 index=6 value=11\n"
     "access next=1 index=9 value=0x8001"},
    {"queue_locked", "error:device.queue_locked",
     "access next=1 index=8\naccess next=1 index=9 value=8\naccess next=1 index=13 value=0x3000\n"
     "request flags=kick"},
    {"ring_reset_not_negotiated", "error:device.ring_reset_not_negotiated",
     "access next=1 index=6\naccess next=1 index=6 value=3\naccess next=1 index=2 value=1\n"
     "access next=1 index=3 value=1\naccess next=1 index=6 value=15\naccess next=1 index=17 "
     "value=1"},
    {"queue_not_ready", "error:device.queue_not_ready",
     "access next=1 index=8\naccess next=1 index=17 value=1\naccess next=3 index=0"},
    {"config_range", "error:device.config_range",
     "access kind=1 next=2 index=9\naccess next=2 index=9\naccess kind=1 index=0x2ff8 length=8"},
    {"config_read_only", "error:device.config_read_only",
     "access next=2 value=1\naccess next=2 index=6 value=1\naccess kind=1 next=2 index=4"},
    {"config_written", "guest:register_access",
     "access next=2 index=4 value=0x11223344\naccess next=2 index=5 length=1 value=7\n"
     "access kind=1 next=2 index=4 length=6"},
    {"config_early", "error:device.config_early",
     "access next=1 index=6\naccess next=2 index=4 value=1"},
    {"no_register", "error:device.register",
     "access kind=1 index=0x40\naccess index=0x1800\naccess next=1 index=5 value=1\n"
     "access kind=1 index=0x1001 length=1\naccess index=0x1000 length=1\n"
     "access kind=1 index=0x15 length=2\naccess kind=1 index=0x21 length=8"},
    {"register_value", "error:device.register_value",
     "access next=1 index=11\naccess next=1 index=11 value=2\naccess next=1 index=17 value=2"},
    {"access_width", "error:device.access_width",
     "access index=0x14\naccess kind=1 index=0x16 length=1\naccess kind=1 length=2\n"
     "access kind=1 length=8\naccess kind=1 index=0x20 length=2\naccess kind=1 index=0x1000\n"
     "access index=0x3000 length=1\naccess index=0x3000 length=8"},

    // Queues on their own.
    {"a_queue_reset", "request:echo", R"(
        request
        access next=1 index=8 value=0
        access next=1 index=17 value=1
        access kind=1 next=1 index=10
        access kind=1 next=1 index=11
        access next=1 index=9 value=16
        access next=1 index=10 value=1
        access next=1 index=13 value=0x1000
        access next=1 index=14 value=0x1800
        access next=1 index=15 value=0x1a00
        access next=1 index=11 value=1
        request flags=kick)"},
    {"a_queue_reset_with_its_message", "guest:register_access",
     "access next=4 index=0x42 length=2 value=0xc000\nrequest flags=kick\n"
     "access next=1 index=8\naccess next=1 index=17 value=1\n"
     "access next=4 index=0x42 length=2 value=0x8000"},
    {"a_queue_reset_with_anothers_message", "device:interrupt",
     "access next=1 index=8\naccess next=1 index=10 value=2\n"
     "access next=4 index=0x42 length=2 value=0xc000\nrequest flags=kick\n"
     "access next=1 index=17 value=1\naccess next=4 index=0x42 length=2 value=0x8000"},
    {"a_queue_reset_before_the_device_runs", "guest:register_access", R"(
        access next=1 index=6
        access next=1 index=6 value=3
        access next=1 index=2 value=1
        access next=1 index=3 value=0x101
        access next=1 index=17 value=1
        access next=1 index=6 value=11
        access next=1 index=9 value=16
        access next=1 index=17 value=1
        access kind=1 next=1 index=9)"},
    {"a_queue_reset_when_the_device_needs_one", "device:needs_reset",
     "avail next=30\nkick\naccess next=1 index=8\naccess next=1 index=17 value=1\n"
     "access kind=1 next=1 index=11\nsave\naccess next=1 index=11 value=1\nreset\nrequest"},
    {"a_queue_reset_and_lost", "device:interrupt", R"(
        access next=1 index=17 value=1
        access next=1 index=13 value=0x3000
        access next=1 index=14 value=0x3800
        access next=1 index=15 value=0x100000000
        access next=1 index=11 value=1
        access kind=1 next=1 index=6)"},
    {"size_zero", "error:queue_config.size_zero", "activate flags=no_entries"},
    {"size_not_power_of_two", "error:queue_config.size_not_power_of_two", "activate index=3"},
    {"size_above_max", "error:queue_config.size_above_max", "activate queue=1 index=64"},
    {"ready", "error:queue_config.ready", R"(
        access next=1 index=6
        access next=1 index=6 value=3
        access next=1 index=2 value=1
        access next=1 index=3 value=1
        access next=1 index=6 value=11
        access next=1 index=13 value=0x1000
        access next=1 index=14 value=0x1800
        access next=1 index=15 value=0x1c00
        access next=1 index=11 value=1
        access next=1 index=9 value=8
        access next=1 index=11 value=1
        access next=1 index=6 value=15)"},
    {"available_ring_align", "error:queue_config.available_ring_align",
     "area which=avail address=high+1\nactivate"},
    {"used_ring_align", "error:queue_config.used_ring_align",
     "area which=used address=high+2\nactivate"},
    {"descriptor_table_range", "error:queue_config.descriptor_table_range",
     "area which=desc address=hole\nactivate"},
    {"available_ring_range", "error:queue_config.available_ring_range",
     "area which=avail address=hole\nactivate"},
    {"used_ring_range", "error:queue_config.used_ring_range",
     "area which=used address=rom\nactivate\nrequest"},
    {"areas_overlap", "error:queue_config.areas_overlap",
     "area which=avail address=high\narea which=used address=high+4\nactivate"},
    {"a_queue_outside_memory", "guest:activate_refused", "area which=desc address=hole\nactivate"},
    {"a_broken_queue", "device:needs_reset",
     "avail next=30\nkick\naccess kind=1 next=1 index=6\nkick queue=1\nreset\nrequest"},
    {"a_queue_of_its_own_making", "request:echo",
     "desc index=0 address=data length=8 flags=next next=1\n"
     "desc index=1 address=data+64 length=8 flags=write\nlink index=1 flags=write\n"
     "indirect index=0 address=data length=4\nentry index=0 next=0\n"
     "avail next=1\nwrite address=data value=5 width=8\nfill address=data+8 length=8 value=1\n"
     "race address=desc+8 nth=2 value=9\nevent next=3\nflags flags=no_interrupt\n"
     "publish index=0\nkick"},

    // Saved and restored.
    {"saved", "guest:save", "request flags=kick\nsave\nrequest flags=kick"},
    {"saved_before_it_is_served", "guest:restore", "request\nsave\nkick"},
    {"saved_in_the_middle_of_negotiation", "guest:restore",
     "access next=1 index=6\naccess next=1 index=6 value=3\naccess next=1 index=2 value=1\n"
     "access next=1 index=3 value=1\nsave\naccess next=1 index=6 value=11\n"
     "access next=1 index=9 value=4\nsave\naccess next=1 index=6 value=15\nsave"},
    {"saved_in_need_of_reset", "guest:restore",
     "avail next=30\nkick\nsave\naccess kind=1 next=1 index=6"},
    {"saved_with_the_pin", "guest:restore",
     "access next=4 index=0x42 length=2\nrequest flags=kick\nsave\n"
     "access kind=1 index=0x1000 length=1\nrestore\naccess kind=1 index=0x1000 length=1"},
    {"saved_with_a_pending_message", "device:interrupt",
     "access next=4 index=0x42 length=2 value=0xc000\nrequest flags=kick\nsave\n"
     "access next=4 index=0x42 length=2 value=0x8000"},
    {"saved_with_moved_bars", "guest:restore",
     "access next=4 index=0x14 value=0x12\nsave\naccess next=4 index=0x14 value=0x11\nrestore\n"
     "request flags=kick"},
    {"restored_after_a_reset", "guest:restore",
     "save\naccess next=1 index=6\nrestore\nrequest flags=kick"},
    {"state_of_nothing", "error:device_state.bytes", "restore\nactivate\nrequest"},
    {"state_cut", "error:device_state.bytes", "save\npatch index=0x8028\nrestore"},
    {"state_magic", "error:device_state.magic", "save\npatch index=676 width=1\nrestore"},
    {"state_of_registers_magic", "error:device_state.magic", "save\npatch width=1\nrestore"},
    {"state_version", "error:device_state.version",
     "save\npatch index=680 width=1 value=2\nrestore"},
    {"state_of_registers_version", "error:device_state.version",
     "save\npatch index=4 width=1 value=2\nrestore"},
    {"state_length", "error:device_state.length", "save\npatch index=684 width=1 value=1\nrestore"},
    {"state_reserved", "error:device_state.reserved",
     "save\npatch index=706 width=1 value=1\nrestore"},
    {"state_of_registers_reserved", "error:device_state.reserved",
     "save\npatch index=23 width=1 value=1\nrestore"},
    {"state_device_id", "error:device_state.device_id",
     "save\npatch index=688 width=1 value=1\nrestore"},
    {"state_status", "error:device_state.status", "save\npatch index=704 width=1 value=2\nrestore"},
    {"state_features", "error:device_state.features",
     "save\npatch index=692 width=1 value=4\nrestore"},
    {"state_queue_count", "error:device_state.queue_count",
     "save\npatch index=682 width=1 value=1\nrestore"},
    {"state_of_registers_queue_count", "error:device_state.queue_count",
     "save\npatch index=6 width=1 value=1\nrestore"},
    {"state_queue_flags", "error:device_state.queue_flags",
     "save\npatch index=708 width=1 value=2\nrestore"},
    {"state_of_a_stopped_queue", "error:device.queue_stopped",
     "access next=1 index=8\naccess next=1 index=17 value=1\nsave\n"
     "patch index=708 width=1 value=2\nrestore\naccess next=1 index=8\naccess next=1 index=9 "
     "value=8"},
    {"state_queue_features", "error:device_state.queue",
     "save\npatch index=728 width=1 value=19\nrestore"},
    {"state_queue_outside_memory", "guest:restore_refused",
     "save\npatch index=741 width=1 value=0xc0\nrestore"},
    {"state_interrupt_status", "error:device_state.interrupt_status",
     "save\npatch index=20 width=1 value=4\nrestore\naccess kind=1 index=0x1000 length=1"},
    {"state_config_vector", "error:device_state.vector",
     "save\npatch index=18 width=2 value=3\nrestore"},
    {"state_queue_vector", "error:device_state.vector",
     "save\npatch index=26 width=2 value=0xfffe\nrestore"},
    {"state_of_selectors", "guest:restore",
     "save\npatch index=16 width=2 value=0xffff\nrestore\naccess kind=1 next=1 index=9\n"
     "access kind=1 next=1 index=8"},
    {"state_of_the_bus", "guest:restore_refused", "save\npatch index=28 width=1\nrestore\nrequest"},
    {"state_of_a_pin_without_isr", "guest:restore",
     "access next=4 index=0x42 length=2\nsave\npatch index=354 width=1 value=0x18\nrestore\n"
     "access kind=1 next=4 index=4\naccess kind=1 index=0x1000 length=1"},
    {"state_of_an_isr_without_pin", "device:interrupt",
     "access next=4 index=0x42 length=2\nsave\npatch index=20 width=1 value=1\nrestore\n"
     "access kind=1 index=0x1000 length=1"},
};

class PciSeeds : public ::testing::TestWithParam<Seed> {};

TEST_P(PciSeeds, RunsAndIsStored) {
  PciHarness harness;
  check_seed(harness, GetParam());
}
INSTANTIATE_TEST_SUITE_P(All, PciSeeds, ::testing::ValuesIn(kPciSeeds), seed_name);

TEST(PciSeedsTest, ReachEverythingTogether) {
  PciHarness harness;
  check_seeds(harness, kPciSeeds);
}

}  // namespace
}  // namespace guestproof::testing
