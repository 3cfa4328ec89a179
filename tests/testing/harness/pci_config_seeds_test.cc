#include <gtest/gtest.h>

#include "guestproof/testing/harness/pci_config_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// The bus with several devices, unless a scenario says otherwise. By place: 1 is 1.0 (memory BAR 0,
// ports BAR 1, 64-bit BAR 2 with MSI-X, a window at 0x5c, INTA#), 2 is 2.0 (64-bit BAR 4, INTB#), 3
// is 2.3 (ports BAR 0, BAR 5, INTD#), 4 is 31.0 (BAR 0 of 8 GiB, BAR 2 with MSI-X, INTC#), 5 is
// 31.7. Saved, the function at place 1 begins at 304: its registers at 320, its MSI-X at 576.
// access: kind 0 and 1 are registers of the function at place `next`, 2 and 3 the ECAM window, 4
// and 5 configuration ports, 6 to 9 memory, 10 and 11 ports of BARs.
constexpr Seed kPciConfigSeeds[] = {
    {"a_host_bridge", "access:ecam", "access next=0 length=4\naccess index=8 length=4"},
    {"a_device_brought_up", "event:mapped", "request queue=1\nsave"},
    {"every_device_brought_up", "event:mapped", R"(
        request queue=1
        request queue=2 index=4
        request queue=3
        request queue=4
        request queue=5
        save)"},

    // Configuration space.
    {"every_width", "access:ecam", R"(
        access next=1 index=1 length=1
        access next=1 index=1 length=2
        access next=1 index=2 length=2
        access next=1 index=0x2c length=4)"},
    {"three_bytes", "error:pci.width",
     "access next=1 length=3\naccess kind=1 next=1 index=4 length=3 value=0x7\naccess next=1 "
     "index=4 length=4"},
    {"eight_bytes", "error:pci.width",
     "access next=1 length=8\naccess kind=1 next=1 index=16 length=8 value=0xffffffffffffffff"},
    {"an_access_of_no_bytes", "error:pci.width", "access next=1 length=0"},
    {"over_a_doubleword", "error:pci.straddle", R"(
        access next=1 index=3 length=2
        access next=1 index=2 length=4
        access kind=1 next=1 index=0x13 length=2 value=0xffff
        access next=1 index=0x10 length=4
        access next=1 index=0xff length=2)"},
    {"the_last_register", "access:ecam",
     "access next=1 index=0xfc length=4\naccess next=1 index=0xff length=1"},
    {"past_256_bytes", "error:pci.offset", R"(
        access next=1 index=0x100 length=4
        access kind=1 next=1 index=0x104 length=4 value=0xffffffff
        access next=1 index=0xffc length=4)"},
    {"read_only_registers", "access:ecam", R"(
        access kind=1 next=1 index=0 length=4 value=0xffffffff
        access kind=1 next=1 index=8 length=4 value=0xffffffff
        access kind=1 next=1 index=0x0c length=4 value=0xffffffff
        access kind=1 next=1 index=0x2c length=4 value=0xffffffff
        access kind=1 next=1 index=0x34 length=4 value=0xffffffff
        access kind=1 next=1 index=0x3c length=4 value=0xffffffff
        access kind=1 next=1 index=0x40 length=4 value=0xffffffff)"},
    {"a_capability_written", "access:ecam",
     "access kind=1 next=1 index=0x4c length=4 value=0xffffffff\naccess kind=1 next=1 index=0x50 "
     "length=4 value=0xffffffff\naccess next=1 index=0x50 length=4"},
    {"a_command", "access:ecam",
     "request kind=3 queue=1 value=0xffff\naccess next=1 index=4 length=4"},
    {"one_byte_of_the_command", "access:ecam",
     "access kind=1 next=1 index=5 length=1 value=0xff\naccess next=1 index=4 length=2"},
    {"errors_cleared", "access:ecam", R"(
        request kind=7 queue=1 value=0xf900
        access next=1 index=4 length=4
        access kind=1 next=1 index=4 length=4 value=0x01000000
        access next=1 index=6 length=2
        access kind=1 next=1 index=6 length=1 value=0xff
        access kind=1 next=1 index=7 length=1 value=0xff
        access next=1 index=6 length=2)"},
    {"interrupt_line_written", "access:ecam",
     "access kind=1 next=1 index=0x3c length=1 value=0x0b\naccess next=1 index=0x3c "
     "length=2\nsave"},
    {"a_window_read", "event:window_read", R"(
        access next=1 index=0x58 length=4
        access next=1 index=0x5a length=2
        access next=1 index=0x5b length=1)"},
    {"a_window_written", "event:window_written",
     "access kind=1 next=1 index=0x58 length=4 value=0x12345678\naccess kind=1 next=1 index=0x59 "
     "length=1 value=0x9a"},
    {"over_the_windows_end", "error:pci.straddle",
     "access next=1 index=0x5b length=2\naccess kind=1 next=1 index=0x56 length=4 value=1\naccess "
     "next=1 index=0x58 length=3\naccess next=1 index=0x5c length=4"},
    {"nobody_there", "error:pci.absent", R"(
        access kind=2 index=0x9000 length=4
        access kind=2 index=0x8000 next=1 length=4
        access kind=3 index=0x1004 next=1 length=4 value=7
        access kind=2 index=0xf000 next=15 length=1)"},
    {"another_bus", "error:pci.absent",
     "access kind=2 index=0x8000 next=16 length=4\naccess kind=3 index=0x8004 next=16 length=2 "
     "value=7\naccess next=1 index=4 length=2"},
    {"far_past_the_window", "error:pci.absent", "access kind=2 index=0x8000 next=0xffff length=4"},

    // Configuration mechanism #1.
    {"by_ports", "access:config_port",
     "request kind=8 queue=1\nrequest kind=8 queue=3 cut=2 index=0x3c value=0x0b"},
    {"by_ports_bytewise", "access:config_port", R"(
        request kind=8 queue=1 extra=1
        request kind=8 queue=1 extra=2 cut=1
        request kind=8 queue=1 extra=3
        request kind=8 queue=1 index=0x3c extra=0 value=0x0b
        request kind=8 queue=1 index=0x04 extra=1 value=0xff)"},
    {"by_ports_to_nobody", "error:pci.absent", R"(
        access kind=5 index=0xcf8 length=4 value=0x80001000
        access kind=4 index=0xcfc length=4
        access kind=5 index=0xcf8 length=4 value=0x80001900
        access kind=4 index=0xcfc length=4
        access kind=5 index=0xcf8 length=4 value=0x80010800
        access kind=4 index=0xcfe length=2)"},
    {"without_the_enable_bit", "error:pci.address_disabled", R"(
        access kind=4 index=0xcfc length=4
        access kind=5 index=0xcf8 length=4 value=0x0000083c
        access kind=5 index=0xcfc length=1 value=0x0b
        access next=1 index=0x3c length=1)"},
    {"reserved_bits_of_the_address", "access:config_port", R"(
        access kind=5 index=0xcf8 length=4 value=0xffffffff
        access kind=4 index=0xcf8 length=4
        access kind=5 index=0xcf8 length=4 value=0xff000803
        access kind=4 index=0xcf8 length=4
        access kind=4 index=0xcfc length=4
        save)"},
    {"an_address_in_pieces", "error:pci.port", R"(
        access kind=5 index=0xcf8 length=4 value=0x80000800
        access kind=5 index=0xcf8 length=2 value=0
        access kind=5 index=0xcf9 length=1 value=6
        access kind=5 index=0xcfb length=1 value=0
        access kind=4 index=0xcfb length=1
        access kind=5 index=0xcf8 length=8 value=0
        access kind=4 index=0xcfc length=4)"},
    {"data_past_the_doubleword", "error:pci.port", R"(
        access kind=5 index=0xcf8 length=4 value=0x80000800
        access kind=4 index=0xcff length=2
        access kind=4 index=0xcfd length=4
        access kind=4 index=0xcfe length=3
        access kind=5 index=0xcfe length=4 value=0
        access kind=4 index=0xd00 length=1
        access kind=4 index=0xcf7 length=1)"},
    {"three_bytes_of_data", "error:pci.width",
     "access kind=5 index=0xcf8 length=4 value=0x80000800\naccess kind=4 index=0xcfc "
     "length=3\naccess kind=4 index=0xcfd length=3"},
    {"two_misaligned_bytes_of_data", "access:config_port",
     "access kind=5 index=0xcf8 length=4 value=0x80000800\naccess kind=4 index=0xcfd length=2"},

    // BARs.
    {"sized", "pci:bar_sized", R"(
        request kind=1 queue=1 index=0
        request kind=1 queue=1 index=1
        request kind=1 queue=1 index=2
        request kind=1 queue=1 index=3
        request kind=1 queue=1 index=4
        request kind=1 queue=4 index=0
        request kind=1 queue=4 index=1
        request kind=1 queue=3 index=5)"},
    {"sized_while_enabled", "pci:bar_sized", R"(
        request queue=1
        request kind=1 queue=1 index=0
        request kind=1 queue=1 index=1
        request kind=1 queue=1 index=2
        request kind=1 queue=1 index=3
        request kind=9 queue=1 index=0)"},
    {"sized_while_the_top_is_a_window", "event:mapped", R"(
        queue index=1
        request queue=1 index=1
        request kind=1 queue=1 index=0
        request kind=1 queue=1 index=1
        request kind=1 queue=1 index=2
        request kind=1 queue=1 index=5)"},
    {"read_and_written", "event:bar_written", R"(
        request queue=1 length=16
        request kind=9 queue=1 index=0 length=0xff8 cut=7
        request kind=9 queue=1 index=0 length=3 cut=2 extra=1 value=0x123456
        request kind=9 queue=1 index=1 length=31
        request kind=9 queue=1 index=1 length=0 cut=3 extra=1 value=0x12345678)"},
    {"over_the_end_of_a_bar", "error:pci.bar_end", R"(
        request queue=1
        request kind=9 queue=1 index=0 length=0xffc cut=7
        request kind=9 queue=1 index=1 length=31 cut=1 extra=1
        request kind=9 queue=1 index=0 length=0xfff cut=1)"},
    {"behind_a_bar", "error:pci.unmapped", R"(
        request queue=1
        request kind=9 queue=1 index=0 length=0x1000
        access kind=6 index=2047 length=1
        access kind=8 index=0 length=8
        access kind=10 index=0xcfff length=1)"},
    {"nothing_enabled", "error:pci.unmapped",
     "access kind=6 index=2048 length=4\naccess kind=7 index=2048 length=4"},
    {"bars_of_no_bytes", "error:pci.width",
     "request queue=1\naccess kind=10 index=0xc900 length=0\naccess kind=6 index=0x8800 length=16"},
    {"by_address", "access:memory", R"(
        request queue=1
        access kind=6 index=0x8800 length=4
        access kind=7 index=0x8810 length=2 value=0xabcd
        access kind=10 index=0xc900 length=2)"},
    {"disabled_again", "event:unmapped",
     "request queue=1\nrequest kind=3 queue=1 value=1\nrequest kind=9 queue=1 index=1\nrequest "
     "kind=3 queue=1 value=2\nrequest kind=9 queue=1 index=0\nrequest kind=3 queue=1"},
    {"moved_in_two_halves", "event:unmapped", R"(
        request queue=1
        access kind=1 next=1 index=0x1c length=4 value=0x11
        access kind=1 next=1 index=0x18 length=4 value=0xe0008000
        access kind=1 next=1 index=0x1c length=4 value=0
        request kind=9 queue=1 index=2 length=8 cut=3)"},
    {"moved_byte_by_byte", "event:unmapped", R"(
        request queue=1
        access kind=1 next=1 index=0x12 length=1 value=0x55
        access kind=1 next=1 index=0x11 length=1 value=0x7f
        access kind=1 next=1 index=0x10 length=1 value=0xff)"},
    {"onto_memory", "error:pci.bar_outside", R"(
        request queue=1
        request kind=2 queue=1 index=0 value=0x100000
        request kind=9 queue=1 index=0
        request kind=2 queue=1 index=1 value=0x10000)"},
    {"at_address_0", "error:pci.bar_outside", "request kind=3 queue=1 value=7"},
    {"at_the_windows_end", "event:mapped",
     "request queue=1\nrequest kind=2 queue=1 index=0 value=0xeffff000\nrequest kind=9 queue=1 "
     "index=0 length=0xfff\nrequest kind=2 queue=1 index=1 value=0xffe0\nrequest kind=9 queue=1 "
     "index=1 length=31"},
    {"at_the_top_of_ports", "error:pci.bar_outside",
     "request queue=1\nrequest kind=2 queue=1 index=1 value=0xfffffffc\nrequest kind=9 queue=1 "
     "index=1"},
    {"at_the_top_of_addresses", "event:mapped", R"(
        queue index=1
        request queue=1 index=1
        request kind=2 queue=1 index=1 value=0xffffffffffffffff
        request kind=9 queue=1 index=1 length=0xff8 cut=7
        request kind=9 queue=1 index=1 length=0xffc cut=7
        request kind=2 queue=1 index=3 value=0xffffffffffffefff
        save)"},
    {"two_gibibytes_below_4_gib", "event:mapped",
     "queue index=1\nrequest queue=1 index=5\nrequest kind=2 queue=1 index=5 "
     "value=0x80000000\nrequest kind=9 queue=1 index=5 length=0x7fffffff"},
    {"eight_gibibytes", "event:mapped",
     "request queue=4\nrequest kind=2 queue=4 index=0 value=0x1200000000\nrequest kind=9 queue=4 "
     "index=0 length=0xffffffff\naccess kind=8 index=0 next=2 length=4"},
    {"on_top_of_another", "error:pci.bar_overlap", R"(
        request queue=1
        request kind=2 queue=3 index=5 value=0xe0008000
        request kind=3 queue=3 value=2
        request kind=9 queue=1 index=0)"},
    {"displaced_by_the_first", "event:unmapped", R"(
        request queue=3
        request kind=2 queue=3 index=5 value=0xe0000010
        request kind=2 queue=1 index=0 value=0xe0000000
        request kind=3 queue=1 value=2
        request kind=9 queue=1 index=0
        request kind=3 queue=1
        request kind=9 queue=3 index=5)"},
    {"a_function_on_top_of_itself", "error:pci.bar_overlap",
     "request queue=1\nrequest kind=2 queue=1 index=2 value=0xe0008000\nrequest kind=2 queue=1 "
     "index=0 value=0xe0010000\nrequest kind=9 queue=1 index=0"},
    {"around_two_others", "error:pci.bar_overlap", R"(
        queue index=2
        request kind=2 queue=1 index=1 value=0xfe002000
        request kind=2 queue=1 index=2 value=0xfe003000
        request kind=3 queue=1 value=2
        request kind=2 queue=2 index=0 value=0xfe002000
        request kind=3 queue=2 value=2
        request kind=2 queue=1 index=1 value=0xfe001000
        request kind=2 queue=1 index=2 value=0xfe000800)"},
    {"over_the_end_of_a_window", "error:pci.bar_outside", R"(
        queue index=2
        request kind=2 queue=1 index=1 value=0xfe003000
        request kind=3 queue=1 value=2
        request kind=2 queue=1 index=1 value=0xfe004000
        request kind=9 queue=1 index=1)"},
    {"from_before_a_window", "error:pci.bar_outside", R"(
        queue index=2
        request kind=3 queue=1 value=2
        request kind=2 queue=1 index=1 value=0xfe000000
        request kind=9 queue=1 index=1 length=0x800)"},
    {"no_windows_for_ports", "error:pci.bar_outside",
     "queue index=2\nrequest kind=2 queue=1 index=3 value=0xc000\nrequest kind=3 queue=1 value=1"},

    // Interrupts.
    {"a_pin", "event:line", R"(
        request kind=6 queue=1 value=1
        access next=1 index=6 length=2
        request kind=6 queue=1 value=0)"},
    {"two_on_one_line", "event:line", R"(
        request kind=6 queue=1 value=1
        request kind=6 queue=3 value=1
        request kind=6 queue=4 value=1
        request kind=6 queue=1
        request kind=6 queue=3)"},
    {"a_pin_disabled", "event:line", R"(
        request kind=6 queue=1 value=1
        request kind=3 queue=1 value=0x400
        access next=1 index=4 length=4
        request kind=3 queue=1 value=0)"},
    {"taken_back_by_a_read", "event:line",
     "request kind=6 queue=1 value=1\nrequest queue=1 index=0 length=1\nrequest kind=9 queue=1 "
     "index=0\naccess next=1 index=6 length=2"},
    {"a_pin_while_msix_is_enabled", "event:line", R"(
        request kind=6 queue=1 value=1
        access kind=1 next=1 index=0x42 length=2 value=0x8000
        access kind=1 next=1 index=0x43 length=1 value=0)"},
    {"interrupt_status_written", "event:line",
     "request kind=6 queue=1 value=1\naccess kind=1 next=1 index=6 length=2 value=0xffff\naccess "
     "next=1 index=6 length=2"},
    {"a_message", "event:message",
     "request queue=1 index=5\nrequest kind=4 queue=1 index=1 value=0xfee01000 length=0x31"},
    {"a_message_through_a_32_bit_bar", "pci:delivered",
     "request queue=4 index=5\nrequest kind=4 queue=4 index=64 value=0xfee01000 length=0x31\nsave"},
    {"a_message_from_a_table_up_to_a_bars_end", "pci:delivered", R"(
        queue index=2
        request kind=2 queue=1 index=1 value=0xfe001000
        request kind=2 queue=1 index=2 value=0xfe003000
        request kind=3 queue=1 value=6
        request kind=4 queue=1 index=1 value=0xfee01000 length=0x31
        request kind=9 queue=1 index=1 length=0xffc cut=7
        request kind=9 queue=1 index=2 length=0x18 cut=7
        request kind=9 queue=1 index=1 length=0xfd8 cut=7
        request kind=9 queue=1 index=1 length=0x18 cut=3)"},
    {"a_message_held_by_the_function_mask", "pci:pending", R"(
        request queue=1 index=5
        request kind=4 queue=1 index=1 value=0xfee01000 length=0x31
        access kind=1 next=1 index=0x43 length=1 value=0xc0
        request kind=5 queue=1 index=1
        request kind=9 queue=1 index=2 length=0x2000 cut=7
        save
        access kind=1 next=1 index=0x43 length=1 value=0x80)"},
    {"a_message_held_by_the_command_register", "pci:pending", R"(
        request queue=1 index=5
        request kind=4 queue=1 index=1 value=0xfee01000 length=0x31
        request kind=3 queue=1 value=2
        request kind=5 queue=1 index=1
        request kind=3 queue=1 value=6)"},
    {"taken_back_while_held", "pci:pending",
     "access kind=1 next=1 index=0x42 length=2 value=0xc000\nrequest kind=5 queue=1 "
     "index=2\nrequest kind=10 queue=1 index=2\naccess kind=1 next=1 index=0x42 length=2 "
     "value=0x8000"},
    {"msix_disabled", "error:msix.disabled", "request kind=5 queue=1"},
    {"a_vector_that_there_is_not", "error:msix.vector",
     "access kind=1 next=1 index=0x42 length=2 value=0x8000\nrequest kind=5 queue=1 "
     "index=3\nrequest kind=10 queue=1 index=3"},
    {"a_function_without_msix", "error:pci.no_msix",
     "request kind=5 queue=2\nrequest kind=10 queue=2\nrequest kind=5 queue=0"},
    {"in_part_msix", "error:pci.msix_part", R"(
        request queue=1 index=5
        request kind=9 queue=1 index=2 length=0x2c cut=7
        request kind=9 queue=1 index=2 length=0x1ffc cut=7 extra=1
        request kind=9 queue=1 index=2 length=0x2007 cut=1)"},
    {"besides_msix", "event:bar_read", R"(
        request queue=1 index=5
        request kind=9 queue=1 index=2 length=0x30 cut=7
        request kind=9 queue=1 index=2 length=0x1ff8 cut=7
        request kind=9 queue=1 index=2 length=0x2008 cut=0)"},
    {"msix_by_bytes", "error:msix.access",
     "request queue=1 index=5\nrequest kind=9 queue=1 index=2 length=0 cut=0\nrequest kind=9 "
     "queue=1 index=2 length=13 extra=1 value=0xff"},
    {"pending_bits_written", "error:msix.pba_read_only",
     "request queue=1 index=5\nrequest kind=9 queue=1 index=2 length=0x2000 cut=7 extra=1 "
     "value=0xff"},

    // Reset and saved state.
    {"reset_while_everything_is_on", "pci:reset", R"(
        request queue=1 index=5
        request kind=4 queue=1 value=0xfee00000
        request kind=6 queue=2 value=1
        request kind=8 queue=1
        request kind=11
        access kind=4 index=0xcf8 length=4
        access next=1 index=4 length=4
        request kind=9 queue=1 index=0)"},
    {"saved_and_restored", "value:restored", R"(
        request queue=1 index=5
        request queue=4 index=0
        request kind=6 queue=1 value=1
        request kind=8 queue=1
        save
        request kind=11
        restore
        access kind=4 index=0xcfc length=4
        request kind=9 queue=1 index=0)"},
    {"restored_while_another_is_there", "value:restored", R"(
        request queue=1 index=5
        save
        request kind=11
        request kind=2 queue=3 index=5 value=0xe0008000
        request kind=3 queue=3 value=2
        restore
        request kind=9 queue=1 index=0)"},
    {"a_bar_moved_by_another_hand", "value:restored",
     "request queue=1\nsave\npatch index=336 width=4 value=0x1000000\nrestore\nrequest kind=9 "
     "queue=1 index=0\naccess next=1 index=0x10 length=4"},
    {"started_over", "value:saved", "request queue=1\nrequest kind=6 queue=1 value=1\nreset\nsave"},
    {"bytes_missing", "error:pci_state.bytes", "save\npatch index=0x8100\nrestore"},
    {"a_state_of_no_bytes", "error:pci_state.bytes", "patch index=0x8000\nrestore"},
    {"of_another_bus", "error:pci_state.bytes", "save\nqueue index=1\nrestore"},
    {"another_magic", "error:pci_state.magic", "save\npatch index=0 width=1\nrestore"},
    {"another_magic_of_a_function", "error:pci_state.magic",
     "save\npatch index=304 width=1\nrestore"},
    {"another_magic_of_msix", "error:pci_state.magic", "save\npatch index=576 width=1\nrestore"},
    {"another_version", "error:pci_state.version", "save\npatch index=4 width=2 value=2\nrestore"},
    {"another_version_of_a_function", "error:pci_state.version",
     "save\npatch index=308 width=2 value=2\nrestore"},
    {"another_number_of_functions", "error:pci_state.functions",
     "save\npatch index=6 width=2 value=5\nrestore"},
    {"another_length", "error:pci_state.length", "save\npatch index=8 width=4 value=1\nrestore"},
    {"another_length_of_a_member", "error:pci_state.length",
     "save\npatch index=300 width=4 value=1\nrestore"},
    {"another_length_of_a_function", "error:pci_state.length",
     "save\npatch index=312 width=4 value=1\nrestore"},
    {"another_length_of_msix", "error:pci_state.msix_length",
     "save\npatch index=316 width=4 value=0\nrestore"},
    {"an_address_with_reserved_bits", "error:pci_state.config_address",
     "save\npatch index=12 width=4 value=0x80000801\nrestore\npatch index=12 width=4 "
     "value=0xc0000800\nrestore"},
    {"another_slot", "error:pci_state.slot", "save\npatch index=296 width=2 value=9\nrestore"},
    {"a_reserved_byte_of_a_member", "error:pci_state.reserved",
     "save\npatch index=298 width=2 value=1\nrestore"},
    {"a_reserved_byte_of_a_function", "error:pci_state.reserved",
     "save\npatch index=310 width=2 value=1\nrestore"},
    {"another_vendor", "error:pci_state.read_only",
     "save\npatch index=320 width=2 value=0xffff\nrestore"},
    {"a_bar_of_another_size", "error:pci_state.read_only",
     "save\npatch index=336 width=4 value=0xe0000100\nrestore"},
    {"an_interrupt_without_a_pin", "error:pci_state.read_only",
     "queue index=1\nsave\npatch index=326 width=1 value=8\nrestore"},
    {"an_interrupt_by_another_hand", "value:restored",
     "save\npatch index=326 width=1 value=0x18\nrestore\nrequest kind=6 queue=1"},
    {"msix_enabled_in_one_place", "error:pci_state.msix_control",
     "save\npatch index=387 width=1 value=0x80\nrestore\npatch index=387 width=1\npatch index=588 "
     "width=2 value=1\nrestore"},
    {"bus_master_in_one_place", "error:pci_state.msix_control",
     "save\npatch index=324 width=1 value=4\nrestore"},
    {"other_vectors", "error:pci_state.msix_vectors",
     "save\npatch index=582 width=2 value=4\nrestore"},
    {"other_flags", "error:pci_state.msix_flags", "save\npatch index=588 width=2 value=8\nrestore"},
    {"a_misaligned_message_address", "error:pci_state.msix_address",
     "save\npatch index=592 width=1 value=1\nrestore"},
    {"a_vector_control_with_other_bits", "error:pci_state.msix_vector_control",
     "save\npatch index=604 width=1 value=3\nrestore"},
    {"pending_past_the_table", "error:pci_state.msix_pending",
     "save\npatch index=640 width=1 value=8\nrestore"},
    {"pending_and_held_by_nothing", "error:pci_state.msix_deliverable",
     "request queue=1 index=5\nrequest kind=4 queue=1 value=0xfee00000\nsave\npatch index=640 "
     "width=1 value=1\nrestore"},
    {"wrong_in_the_last_function_only", "value:restore_refused", R"(
        request queue=1 index=5
        save
        request kind=3 queue=1
        patch index=336 width=4 value=0xe0100000
        patch index=12 width=4 value=0x80000800
        patch index=2584 width=2 value=0xffff
        restore
        access kind=4 index=0xcf8 length=4
        request kind=3 queue=1 value=7)"},
};

class PciConfigSeed : public ::testing::TestWithParam<Seed> {
 protected:
  PciConfigHarness harness;
};
TEST_P(PciConfigSeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(PciConfigSeed, TogetherReachEverything) { check_seeds(harness, kPciConfigSeeds); }
INSTANTIATE_TEST_SUITE_P(Pci, PciConfigSeed, ::testing::ValuesIn(kPciConfigSeeds), seed_name);

}  // namespace
}  // namespace guestproof::testing
