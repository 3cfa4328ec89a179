#include <gtest/gtest.h>

#include "guestproof/testing/harness/device_state_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// The state is the transport's registers (32 bytes), the life cycle's header (32), each queue's
// state (56), and the device's own bytes.
constexpr Seed kDeviceStateSeeds[] = {
    {"saved", "mmio:save", "request flags=kick"},
    {"restored_and_going_on", "mmio:restore", "request\nsave\nrequest flags=kick\nrestore\nkick"},
    {"a_field_changed", "mmio:restore_refused",
     "save\npatch index=60 width=1 value=64\nrestore\nactivate\nrequest"},
    {"a_queue_size_changed", "mmio:restore_refused",
     "save\npatch index=82 width=2 value=7\nrestore"},
    {"a_queue_index_changed", "mmio:restore",
     "request flags=kick\nsave\npatch index=86 width=4 value=0x50005\nrestore\nkick"},
    {"an_area_moved", "mmio:restore",
     "save\npatch index=96 width=8 value=0x10000\nrestore\nrequest flags=kick"},
    {"packed_positions_changed", "mmio:restore_refused",
     "queue index=2 flags=packed\nsave\npatch index=86 width=4 value=0x40004\nrestore"},
    {"reset_in_between", "mmio:restore", "save\nreset\nrestore\nrequest flags=kick"},
    {"registers_changed", "mmio:restore",
     "save\npatch index=16 width=4 value=1\nrestore\naccess kind=1 index=0x34"},
    {"a_driver_that_starts_over", "mmio:restore",
     "access index=0x70 value=0\nsave\nbackend kind=1 value=3\nactivate index=4\nsave\nrequest"},
    {"on_pci", "mmio:restore",
     "activate flags=pci\nrequest flags=kick\nsave\nrequest flags=kick\nrestore\nkick"},
    {"on_pci_changed", "mmio:restore_refused",
     "activate flags=pci\nsave\npatch index=704 width=1 value=64\nrestore\nrequest"},
    // 0x70 is Status, 0x30 QueueSel, 0x44 QueueReady, 0xc0 QueueReset; the header has the number of
    // queues in byte 38, the type in 44, the features from 48 on; queue 0 its flags in byte 64.
    {"a_queue_reset_by_itself", "mmio:restore",
     "request flags=kick\naccess index=0xc0 value=1\nsave\naccess index=0x44 value=1\nsave"},
    {"a_queue_disabled", "mmio:restore",
     "access index=0x30 value=1\naccess index=0x44 value=0\nsave\nrequest flags=kick"},
    {"a_queue_disabled_before_the_start", "mmio:restore",
     "access index=0x70 value=0\naccess index=0x70 value=1\naccess index=0x70 value=3\n"
     "access index=0x24 value=1\naccess index=0x20 value=1\naccess index=0x70 value=11\n"
     "access index=0x38 value=8\naccess index=0x44 value=1\naccess index=0x44 value=0\n"
     "access index=0xc0 value=1\nsave"},
    {"a_queue_that_could_not_start", "mmio:restore",
     "area which=used address=hole\nactivate index=8\nsave\nactivate index=8"},
    {"a_configuration_space", "mmio:restore",
     "access next=2 index=4 value=0x1234\nbackend kind=1 value=77\nsave\n"
     "access kind=1 next=2 index=4\naccess kind=1 next=2 index=0\naccess next=2 index=0\n"
     "access kind=1 next=2 index=40\naccess next=2 index=40\nactivate\nrestore\n"
     "access kind=1 next=2 index=4"},
    {"of_another_type", "mmio:restore_refused", "save\npatch index=44 width=1 value=4\nrestore"},
    {"of_more_queues", "mmio:restore_refused", "save\npatch index=38 width=1 value=3\nrestore"},
    {"of_features_that_are_not_offered", "mmio:restore_refused",
     "save\npatch index=50 width=1 value=0xff\nrestore"},
    {"of_features_before_their_time", "mmio:restore_refused",
     "access index=0x70 value=0\naccess index=0x70 value=1\nsave\n"
     "patch index=48 width=1 value=0xff\nrestore"},
    {"of_a_larger_queue", "mmio:restore_refused",
     "save\npatch index=80 width=2 value=128\nrestore"},
    {"of_a_queue_in_no_known_state", "mmio:restore_refused",
     "save\npatch index=64 width=1 value=8\nrestore"},
    {"rng_saved", "rng:save", "take index=1\nrequest flags=kick"},
    {"rng_restored", "rng:restore",
     "take index=1\nbackend kind=1\nrequest flags=kick\nsave\nbackend kind=3"},
    {"rng_refused", "rng:restore_refused",
     "take index=1\nsave\npatch index=40 width=1 value=0xff\nrestore"},
    {"balloon_saved", "balloon:save", "take index=2\nrequest flags=kick"},
    {"balloon_restored", "balloon:restore",
     "take index=2\nrequest queue=2 length=4 flags=kick\nsave\nbackend kind=2"},
    {"balloon_refused", "balloon:restore_refused",
     "take index=2\nsave\npatch index=40 width=1 value=0xff\nrestore"},
    {"console_saved", "console:save", "take index=3\nrequest flags=kick"},
    {"console_restored", "console:restore",
     "take index=3\nrequest\nrequest queue=1\nsave\nkick\nkick queue=1\nsave\nrequest flags=kick"},
    {"console_refused", "console:restore_refused",
     "take index=3\nsave\npatch index=40 width=1 value=0xff\nrestore"},
    {"console_of_other_bytes", "console:restore_refused",
     "take index=3\nrequest queue=1\nsave\npatch index=60 width=2 value=0x10f\nrestore\npatch "
     "index=60 width=1 value=3\nrestore"},
    {"block_saved", "block_device:save", "take index=4\nrequest flags=kick"},
    {"block_restored", "block_device:restore",
     "take index=4\nrequest\nrequest queue=1\nsave\nkick\nkick queue=1\nsave\nrequest flags=kick"},
    {"block_refused", "block_device:restore_refused",
     "take index=4\nsave\npatch index=40 width=1 value=0xff\nrestore"},
    {"block_of_other_bytes", "block_device:restore_refused",
     "take index=4\nrequest queue=1\nsave\npatch index=60 width=2 value=0x10f\nrestore\npatch "
     "index=60 width=1 value=3\nrestore"},
    {"vsock_saved", "vsock_device:save", "take index=5\nrequest flags=kick"},
    {"vsock_restored", "vsock_device:restore",
     "take index=5\nrequest\nrequest queue=1\nsave\nkick\nkick queue=1\nsave\nrequest flags=kick"},
    {"vsock_refused", "vsock_device:restore_refused",
     "take index=5\nsave\npatch index=40 width=1 value=0xff\nrestore"},
    {"vsock_of_other_bytes", "vsock_device:restore_refused",
     "take index=5\nrequest queue=1\nsave\npatch index=60 width=2 value=0x10f\nrestore\npatch "
     "index=60 width=1 value=3\nrestore"},
    {"net_saved", "net:save", "take index=6\nrequest flags=kick"},
    {"net_restored", "net:restore",
     "take index=6\nrequest\nrequest queue=1\nsave\nkick\nkick queue=1\nsave\nrequest flags=kick"},
    {"net_refused", "net:restore_refused",
     "take index=6\nsave\npatch index=40 width=1 value=0xff\nrestore"},
};

class DeviceStateSeeds : public ::testing::TestWithParam<Seed> {};

TEST_P(DeviceStateSeeds, RunsAndIsStored) {
  DeviceStateHarness harness;
  check_seed(harness, GetParam());
}
INSTANTIATE_TEST_SUITE_P(All, DeviceStateSeeds, ::testing::ValuesIn(kDeviceStateSeeds), seed_name);

TEST(DeviceStateSeedsTest, ReachEverythingTogether) {
  DeviceStateHarness harness;
  check_seeds(harness, kDeviceStateSeeds);
}

}  // namespace
}  // namespace guestproof::testing
