#include <gtest/gtest.h>

#include "guestproof/testing/harness/echo_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// Offsets are those of registers.h. Of the saved state bytes 0 to 31 are the transport's registers,
// 32 to 63 the life cycle's header, 64 to 119 the first queue, 120 to 175 the second.
constexpr Seed kMmioSeeds[] = {
    {"a_request", "request:echo", "request"},
    {"both_queues", "request:echo",
     "request queue=1\nrequest length=100 extra=300\nkick\nkick queue=1"},
    {"indirect", "guest:indirect_request", "request flags=indirect|kick"},
    {"packed", "request:echo", "queue index=4 flags=packed|event_index\nrequest flags=kick"},
    {"in_order", "request:echo", "queue index=4 flags=in_order\nrequest\nrequest\nkick"},

    // A driver step by step, by hand.
    {"every_register_read", "guest:register_access",
     "access kind=1 index=0\naccess kind=1 index=4\naccess kind=1 index=8\naccess kind=1 index=12\n"
     "access kind=1 index=0x10\naccess index=0x14 value=1\naccess kind=1 index=0x10\n"
     "access index=0x14 value=2\naccess kind=1 index=0x10\n"
     "access kind=1 index=0x34\naccess kind=1 index=0x44\naccess kind=1 index=0x60\n"
     "access kind=1 index=0x70\naccess kind=1 index=0xb0\naccess kind=1 index=0xb4\n"
     "access kind=1 index=0xb8\naccess kind=1 index=0xbc\naccess kind=1 index=0xc0\n"
     "access kind=1 index=0xfc"},
    {"brought_up_by_hand", "request:echo", R"(
        access index=0x70 value=0
        access index=0x70 value=1
        access index=0x70 value=3
        access index=0x24 value=1
        access index=0x20 value=1
        access index=0x70 value=11
        access index=0x30 value=0
        access index=0x38 value=16
        access index=0x84 value=0
        access index=0x80 value=0x1000
        access index=0x90 value=0x1800
        access index=0x94 value=0
        access index=0xa0 value=0x1a00
        access index=0xa4 value=0
        access index=0x44 value=1
        access index=0x70 value=15
        request flags=kick)"},
    {"all_steps_at_once", "guest:register_access",
     "access index=0x70 value=0\naccess index=0x70 value=3\naccess index=0x24 value=1\n"
     "access index=0x20 value=1\naccess index=0x70 value=15"},
    {"needs_reset_is_not_the_drivers", "guest:register_access",
     "access index=0x70 value=0x4f\naccess kind=1 index=0x70"},
    {"failed", "error:device.not_running", "access index=0x70 value=0x8f\nrequest flags=kick"},
    {"interrupt_acknowledged", "device:interrupt",
     "request flags=kick\naccess kind=1 index=0x60\naccess index=0x64 value=2\n"
     "access kind=1 index=0x60\naccess index=0x64 value=1\naccess kind=1 index=0x60"},
    {"notification_data", "error:device.queue_index", R"(
        access index=0x70 value=0
        access index=0x70 value=3
        access index=0x24 value=1
        access index=0x20 value=0x41
        access index=0x70 value=15
        access index=0x50 value=0x70001
        access index=0x50 value=0x10002)"},
    {"an_address_in_halves", "guest:register_access", R"(
        access index=0x70 value=0
        access index=0x70 value=3
        access index=0x24 value=1
        access index=0x20 value=1
        access index=0x70 value=11
        access index=0x84 value=0xffffffff
        access index=0x80 value=0xfffffff0
        access index=0x80 value=0xfffffff8)"},

    // What a driver gets refused.
    {"status_unknown", "error:device.status_unknown", "access index=0x70 value=0x1f"},
    {"status_too_wide", "error:device.status_unknown", "access index=0x70 value=0x100"},
    {"status_cleared", "error:device.status_cleared", "access index=0x70 value=1"},
    {"status_order", "error:device.status_order",
     "access index=0x70 value=0\naccess index=0x70 value=2"},
    {"status_failed", "error:device.status_failed",
     "access index=0x70 value=0\naccess index=0x70 value=0x80\naccess index=0x70 value=0x81"},
    {"feature_word", "error:device.feature_word",
     "access index=0x70 value=0\naccess index=0x70 value=3\naccess index=0x24 value=2\n"
     "access index=0x20 value=0\naccess index=0x20 value=1"},
    {"features_closed", "error:device.features_closed", "access index=0x20 value=1"},
    {"features_not_offered", "error:device.features_not_offered", "backend value=4\nactivate"},
    {"version_1", "error:device.version_1",
     "access index=0x70 value=0\naccess index=0x70 value=3\naccess index=0x70 value=11"},
    {"feature_needs", "error:device.feature_needs", "backend value=2\nactivate\nrequest"},
    {"queue_index", "error:device.queue_index",
     "access index=0x30 value=2\naccess index=0x44 value=1\naccess kind=1 index=0x34"},
    {"queue_index_of_17_bits", "error:device.queue_index",
     "access index=0x30 value=0x10000\naccess index=0x44 value=0\naccess kind=1 index=0x44\n"
     "access index=0x50 value=0x10000"},
    {"queue_size", "error:device.queue_size",
     "access index=0x70 value=0\naccess index=0x70 value=3\naccess index=0x24 value=1\n"
     "access index=0x20 value=1\naccess index=0x70 value=11\naccess index=0x38 value=0x10010"},
    {"queue_locked", "error:device.queue_locked",
     "access index=0x30 value=0\naccess index=0x38 value=8\nrequest flags=kick"},
    {"queue_stopped", "error:device.queue_stopped",
     "access index=0x30\naccess index=0x44 value=0\naccess index=0x44 value=1\n"
     "access kind=1 index=0x44"},
    {"ring_reset_not_negotiated", "error:device.ring_reset_not_negotiated",
     "access index=0x70 value=0\naccess index=0x70 value=3\naccess index=0x24 value=1\n"
     "access index=0x20 value=1\naccess index=0x70 value=15\naccess index=0xc0 value=1"},
    {"queue_not_ready", "error:device.queue_not_ready",
     "access index=0x30\naccess index=0x44 value=0\naccess index=0x50 value=0"},
    {"config_range", "error:device.config_range",
     "access kind=1 next=2 index=9\naccess next=2 index=9\naccess kind=1 index=0xfff length=8"},
    {"config_read_only", "error:device.config_read_only",
     "access next=2 index=0 value=1\naccess next=2 index=6 value=1\naccess kind=1 next=2 index=4"},
    {"config_written", "guest:register_access",
     "access next=2 index=4 value=0x11223344\naccess next=2 index=5 length=1 value=7\n"
     "access kind=1 next=2 index=4 length=6"},
    {"config_early", "error:device.config_early",
     "access index=0x70 value=0\naccess next=2 index=4 value=1"},
    {"config_changed", "device:interrupt",
     "backend kind=1 value=77\naccess kind=1 index=0xfc\naccess kind=1 next=2\n"
     "access index=0x70 value=0\nbackend kind=1 value=78\naccess kind=1 index=0xfc"},
    {"no_register", "error:device.register",
     "access index=0x18\naccess kind=1 index=0x18\naccess kind=1 index=0x50\naccess index=0x34"},
    {"misaligned", "error:device.register", "access kind=1 index=0x71\naccess index=0x46 value=1"},
    {"register_value", "error:device.register_value",
     "access index=0x30\naccess index=0x44 value=2\naccess index=0xc0 value=2"},
    {"access_width", "error:device.access_width",
     "access index=0x70 length=1\naccess kind=1 index=0x70 length=8\n"
     "access kind=1 next=1 index=3 length=2"},

    // Queues on their own.
    {"a_queue_reset", "request:echo", R"(
        request
        access index=0x30 value=0
        access index=0xc0 value=1
        access kind=1 index=0x44
        access index=0x38 value=16
        access index=0x80 value=0x1000
        access index=0x90 value=0x1800
        access index=0xa0 value=0x1a00
        access index=0x44 value=1
        request flags=kick)"},
    {"a_queue_reset_and_lost", "device:interrupt", R"(
        access index=0x30 value=1
        access index=0xc0 value=1
        access index=0x80 value=0x3000
        access index=0x90 value=0x3800
        access index=0xa4 value=1
        access index=0x44 value=1
        access kind=1 index=0x70)"},
    {"size_zero", "error:queue_config.size_zero", "activate flags=no_entries"},
    {"size_not_power_of_two", "error:queue_config.size_not_power_of_two", "activate index=3"},
    {"size_not_power_of_two_packed", "request:echo", "activate index=3 flags=packed\nrequest"},
    {"size_above_max", "error:queue_config.size_above_max", "activate queue=1 index=64"},
    {"ready", "error:queue_config.ready", R"(
        access index=0x70 value=0
        access index=0x70 value=3
        access index=0x24 value=1
        access index=0x20 value=1
        access index=0x70 value=11
        access index=0x80 value=0x1000
        access index=0x90 value=0x1800
        access index=0xa0 value=0x1c00
        access index=0x44 value=1
        access index=0x38 value=8
        access index=0x44 value=0
        access index=0x38 value=8
        access index=0x44 value=1
        access index=0x70 value=15)"},
    {"descriptor_table_align", "error:queue_config.descriptor_table_align",
     "area which=desc address=high+8\nactivate"},
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
     "avail next=30\nkick\naccess kind=1 index=0x70\nkick queue=1\nreset\nrequest"},
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
     "access index=0x70 value=0\naccess index=0x70 value=3\naccess index=0x24 value=1\n"
     "access index=0x20 value=1\nsave\naccess index=0x70 value=11\naccess index=0x38 "
     "value=4\nsave\n"
     "access index=0x70 value=15\nsave"},
    {"saved_in_need_of_reset", "guest:restore",
     "avail next=30\nkick\nsave\naccess kind=1 index=0x70"},
    {"saved_with_an_interrupt", "guest:restore",
     "request flags=kick\nsave\naccess kind=1 index=0x60\naccess index=0x64 value=1"},
    {"saved_packed", "guest:restore",
     "queue index=2 flags=packed\nrequest flags=kick\nrequest flags=kick\nsave\nrequest "
     "flags=kick"},
    {"restored_twice", "guest:restore", "request flags=kick\nsave\nrestore\nrequest flags=kick"},
    {"state_of_nothing", "error:device_state.bytes", "restore\nactivate\nrequest"},
    {"state_cut", "error:device_state.bytes", "save\npatch index=0x8028\nrestore"},
    {"state_magic", "error:device_state.magic", "save\npatch index=32 width=1\nrestore"},
    {"state_version", "error:device_state.version",
     "save\npatch index=36 width=1 value=2\nrestore"},
    {"state_length", "error:device_state.length", "save\npatch index=40 width=1 value=1\nrestore"},
    {"state_reserved", "error:device_state.reserved",
     "save\npatch index=62 width=1 value=1\nrestore"},
    {"state_device_id", "error:device_state.device_id",
     "save\npatch index=44 width=1 value=1\nrestore"},
    {"state_status", "error:device_state.status", "save\npatch index=60 width=1 value=2\nrestore"},
    {"state_features", "error:device_state.features",
     "save\npatch index=48 width=1 value=4\nrestore"},
    {"state_features_too_early", "error:device_state.features",
     "access index=0x70 value=0\nsave\npatch index=48 width=1 value=1\nrestore"},
    {"state_queue_count", "error:device_state.queue_count",
     "save\npatch index=38 width=1 value=1\nrestore"},
    {"state_queue_flags", "error:device_state.queue_flags",
     "save\npatch index=64 width=1 value=2\nrestore"},
    {"state_queue_features", "error:device_state.queue",
     "save\npatch index=84 width=1 value=19\nrestore"},
    {"state_queue_outside_memory", "guest:restore_refused",
     "save\npatch index=97 width=1 value=0xc0\nrestore"},
    {"state_interrupt_status", "error:device_state.interrupt_status",
     "save\npatch index=24 width=1 value=4\nrestore\naccess kind=1 index=0x60"},
    {"state_of_another_transport", "error:device_state.bytes",
     "save\nactivate flags=pci\nrestore\nactivate\nrequest"},

    // The same driver on the other transport, and back. There 28 bytes are the transport's
    // registers.
    {"on_pci", "guest:on_pci",
     "activate flags=pci\nrequest flags=kick\naccess kind=1 next=1 index=6\nbackend kind=1\n"
     "save\nqueue index=4\nrequest flags=kick"},
    {"on_pci_packed", "guest:on_pci",
     "queue index=4 flags=packed|pci\nrequest flags=kick\nrequest flags=kick"},
    {"kept_from_memory_on_pci_alone", "device:kept_from_memory",
     "activate flags=pci\naccess next=4 index=4 length=2 value=2\nrequest flags=kick\nactivate\n"
     "request flags=kick\nactivate flags=pci\nrequest flags=kick"},
    {"state_of_a_vector", "error:device_state.vector",
     "activate flags=pci\nsave\npatch index=18 width=2 value=3\nrestore"},
    {"state_of_selectors", "guest:restore",
     "save\npatch index=16 width=4 value=0x10000\nrestore\naccess kind=1 index=0x34"},
};

class MmioSeeds : public ::testing::TestWithParam<Seed> {};

TEST_P(MmioSeeds, RunsAndIsStored) {
  MmioHarness harness;
  check_seed(harness, GetParam());
}
INSTANTIATE_TEST_SUITE_P(All, MmioSeeds, ::testing::ValuesIn(kMmioSeeds), seed_name);

TEST(MmioSeedsTest, ReachEverythingTogether) {
  MmioHarness harness;
  check_seeds(harness, kMmioSeeds);
}

}  // namespace
}  // namespace guestproof::testing
