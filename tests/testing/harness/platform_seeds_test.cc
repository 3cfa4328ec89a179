#include <gtest/gtest.h>

#include "guestproof/testing/harness/platform_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// A fresh board at 0x60000000 seconds unless a scenario says otherwise. request: 0 sends with FIFO
// control `index` and interrupts `next`. access: even kinds read, odd ones write; 0 16550, 2 i8042,
// 4 ACPI, 6 PL031, 8 ports, 10 the end of all addresses, 12 pvpanic. backend: 0 input, 1 time, 2
// button, 3 reset.
constexpr Seed kPlatformSeeds[] = {
    // The serial port.
    {"sent", "platform:sent", "request length=5 value=0x6f6c6c6568\nsave"},
    {"sent_with_interrupts", "platform:interrupt_empty",
     "request index=1 next=2 length=16 value=0x41\nrequest kind=2\nrequest kind=2"},
    {"sent_without_asking_which_interrupt", "platform:interrupt_empty", R"(
        request next=2 length=1 value=0x41
        access kind=1 length=1 value=0x42
        access kind=1 length=1 value=0x43
        request kind=2)"},
    {"sent_while_input_waits", "platform:interrupt_input", R"(
        request index=1 next=3
        backend value=2
        access kind=1 length=1 value=0x41
        request kind=2)"},
    {"interrupt_enabled_twice", "platform:interrupt_empty", R"(
        request next=2
        request kind=2
        request next=2
        request kind=2
        request next=0
        request next=2
        request kind=2)"},
    {"linux_probes", "platform:interrupt_modem",
     "request kind=4\nrequest kind=4\nrequest next=8\nrequest kind=2"},
    {"divisor", "value:saved", "request kind=5 value=0x1234\nsave\nrequest kind=5 value=1"},
    {"scratch_and_line_control", "value:saved", R"(
        access kind=1 index=7 length=1 value=0xa5
        access index=7 length=1
        access kind=1 index=3 length=1 value=0x1b
        access index=3 length=1
        access index=4 length=1
        access index=1 length=1
        access index=0 length=1
        save)"},
    {"received", "platform:received", R"(
        request index=1 next=1
        backend value=5
        request kind=2
        save)"},
    {"input_waits_for_room", "platform:room_again", R"(
        request index=1 next=1
        backend value=20
        request kind=1
        backend value=4)"},
    {"input_waits_for_one_byte", "platform:input_waits",
     "backend value=2\nbackend value=1\nrequest kind=1\nbackend value=1"},
    {"no_input", "platform:input_taken", "backend value=64\nrequest kind=1"},
    {"trigger_level_of_4", "platform:interrupt_input", R"(
        request index=0x41 next=1
        backend value=3
        access index=2 length=1
        backend value=1
        access index=2 length=1
        request kind=2)"},
    {"trigger_level_of_8", "platform:interrupt_timeout", R"(
        request index=0x81 next=1
        backend value=7
        request kind=2
        backend value=8
        request kind=2)"},
    {"trigger_level_of_14", "platform:interrupt_input", R"(
        request index=0xc9 next=1
        backend value=13
        access index=2 length=1
        backend value=1
        request kind=2)"},
    {"input_without_interrupts", "platform:received",
     "request index=1\nbackend value=9\nrequest kind=1"},
    {"fifo_cleared", "platform:room_again", R"(
        request index=1 next=1
        backend value=40
        access kind=1 index=2 length=1 value=1
        access kind=1 index=2 length=1 value=3
        backend value=40
        access kind=1 index=2 length=1 value=2
        backend value=40)"},
    {"fifo_turned_on_over_a_byte", "platform:room_again",
     "backend value=1\nrequest index=1 next=1\nbackend value=3\nsave"},
    {"transmitter_cleared", "platform:input_taken",
     "request index=1 next=3\nbackend value=3\naccess kind=1 index=2 length=1 value=5\nrequest "
     "kind=2"},
    {"loopback", "platform:received", R"(
        request index=1 next=1
        request kind=3 value=0x1b length=5 extra=0x4241
        backend value=3
        request kind=1
        request kind=3 value=0x0b
        backend value=3
        request kind=1)"},
    {"loopback_overruns_the_fifo", "platform:interrupt_overrun", R"(
        request index=1 next=5
        request kind=3 value=0x10 length=16
        access kind=1 length=1 value=0x55
        request kind=2
        request kind=1)"},
    {"loopback_overruns_one_byte", "platform:interrupt_overrun", R"(
        request next=4
        access kind=1 index=4 length=1 value=0x10
        access kind=1 length=1 value=0x41
        access kind=1 length=1 value=0x42
        request kind=2
        request kind=1)"},
    {"loopback_ends_with_room", "platform:room_again",
     "request kind=3 value=0x10\nbackend value=1\nrequest kind=3 value=0\nbackend value=1"},
    {"modem_lines", "platform:interrupt_modem", R"(
        request next=8
        request kind=3 value=0x1f
        access kind=1 index=4 length=1 value=0x10
        request kind=2
        access kind=1 index=4 length=1 value=0x14
        access kind=1 index=4 length=1 value=0x11
        access index=6 length=1
        access kind=1 index=4 length=1 value=0x12
        access kind=1 index=4 length=1 value=0x18
        access kind=1 index=4 length=1 value=0xff
        request kind=2
        access kind=1 index=4 length=1 value=0)"},
    {"each_modem_line_alone", "platform:interrupt_modem", R"(
        request next=8
        request kind=3 value=0x10
        access index=6 length=1
        access kind=1 index=4 length=1 value=0x18
        request kind=2
        access kind=1 index=4 length=1 value=0x1a
        request kind=2
        access kind=1 index=4 length=1 value=0x1b
        request kind=2
        access kind=1 index=4 length=1 value=0x1f
        access kind=1 index=4 length=1 value=0x1e
        request kind=2
        access kind=1 index=4 length=1 value=0x1a
        request kind=2)"},
    {"an_interrupt_that_is_not_handled", "platform:interrupt_timeout", R"(
        request index=0xc1 next=1
        access kind=1 index=3 length=1 value=0x80
        backend value=5
        request kind=2)"},
    {"all_interrupts_at_once", "platform:interrupt_empty", R"(
        request index=0x81 next=0
        request kind=3 value=0x1f length=17
        access kind=1 index=4 length=1 value=0x10
        access kind=1 length=1 value=0x55
        access kind=1 index=1 length=1 value=0x0f
        request kind=2
        request kind=2)"},
    {"divisor_hides_data", "platform:input_taken", R"(
        access kind=1 index=3 length=1 value=0x80
        access kind=1 index=0 length=1 value=0x41
        access kind=1 index=1 length=1 value=0x0f
        backend value=1
        request kind=1
        access kind=1 index=3 length=1 value=3
        request kind=1)"},
    {"status_is_read_only", "error:platform.read_only",
     "access kind=1 index=5 length=1 value=0xff\naccess kind=1 index=6 length=1 value=0xff"},
    {"a_word_of_the_serial_port", "error:platform.width",
     "access kind=1 length=2 value=0x4141\naccess index=4 length=4"},
    {"over_the_end_of_the_serial_port", "error:bus.range_end",
     "access index=7 length=2\naccess kind=1 index=4 length=8 value=0x41"},
    {"before_the_serial_port", "error:bus.unmapped",
     "access kind=8 index=0x3f7 length=1\naccess kind=9 index=0x3f7 length=2 value=0x4141"},

    // The keyboard controller.
    {"reset_by_the_keyboard_controller", "platform:reset_asked",
     "access kind=3 index=6 length=1 value=0xfe\naccess kind=3 index=6 length=1 value=0xfd\n"
     "access kind=3 index=6 length=1 value=0xf0"},
    {"reset_by_the_output_port", "platform:reset_asked",
     "request kind=6 value=0xd1 length=0xdf\nrequest kind=6 value=0xd1 length=0xde\n"
     "request kind=6 value=0xd0"},
    {"linux_probes_for_a_mouse", "error:platform.no_device", R"(
        request kind=6 value=0xaa
        request kind=6 value=0x20
        request kind=6 value=0xd3 length=0x5a
        request kind=6 value=0xa9
        request kind=6 value=0xab
        request kind=6 value=0xd2 length=0xa5)"},
    {"command_byte", "error:platform.no_device", R"(
        request kind=6 value=0x60 length=0xc3
        request kind=6 value=0x20
        access kind=3 index=6 length=1 value=0x20
        access kind=2 index=2 length=1
        access kind=3 index=6 length=1 value=0xa7
        access kind=3 index=6 length=1 value=0xad
        access kind=3 index=6 length=1 value=0x20
        access kind=2 index=2 length=1
        access kind=3 index=6 length=1 value=0xa8
        access kind=3 index=6 length=1 value=0xae
        access kind=3 index=6 length=1 value=0x20
        access kind=2 index=6 length=1
        access kind=2 index=2 length=1
        access kind=2 index=2 length=1)"},
    {"answers_without_a_byte_written", "value:saved", R"(
        access kind=3 index=6 length=1 value=0xaa
        access kind=2 index=6 length=1
        access kind=2 index=2 length=1
        access kind=3 index=6 length=1 value=0xa9
        access kind=2 index=2 length=1
        access kind=3 index=6 length=1 value=0xab
        access kind=2 index=2 length=1
        access kind=3 index=6 length=1 value=0xd0
        access kind=2 index=2 length=1
        save)"},
    {"a_byte_for_a_mouse", "error:platform.no_device", "request kind=6 value=0xd4 length=0xff"},
    {"a_command_nobody_knows", "error:platform.command",
     "access kind=3 index=6 length=1 value=0xee\naccess kind=3 index=6 length=1"},
    {"a_command_replaces_another", "value:saved", R"(
        access kind=3 index=6 length=1 value=0x60
        save
        access kind=3 index=6 length=1 value=0xd2
        access kind=3 index=2 length=1 value=0x12
        save
        access kind=2 index=2 length=1)"},
    {"between_the_keyboards_ports", "error:platform.offset",
     "access kind=2 index=3 length=1\naccess kind=3 index=5 length=1 value=1"},
    {"both_keyboard_ports_at_once", "error:bus.range_end",
     "access kind=2 index=6 length=4\naccess kind=3 index=5 length=4 value=0xfe00"},
    {"a_word_of_the_keyboard", "error:platform.width",
     "access kind=2 index=2 length=2\naccess kind=3 index=2 length=4 value=1"},

    // ACPI.
    {"power_off", "platform:power_off_asked",
     "access kind=5 index=4 length=1 value=0x80\nrequest kind=7 value=0x34"},
    {"reset_by_acpi", "platform:reset_asked", "access kind=5 index=2 length=1 value=1"},
    {"another_reset_value", "error:platform.reset_value",
     "access kind=5 index=2 length=1 value=6\naccess kind=4 index=2 length=1"},
    {"another_sleep_type", "error:platform.sleep_type",
     "request kind=7 value=0x2c\nrequest kind=7 value=0x14\naccess kind=4 index=3 length=1"},
    {"a_word_of_sleep_control", "error:platform.width",
     "access kind=5 index=2 length=2 value=0x3401\naccess kind=4 index=2 length=2"},
    {"behind_the_acpi_registers", "error:bus.unmapped",
     "access kind=5 index=5 length=1 value=1\naccess kind=4 index=1 length=1\n"
     "access kind=4 index=4 length=1"},
    {"power_button", "platform:button_pressed", "backend kind=2\nbackend kind=2"},

    // The panic device.
    {"panicked", "platform:panic_reported",
     "access kind=12 index=2 length=1\naccess kind=13 index=2 length=1 value=1"},
    {"panicked_and_reset", "platform:panic_reported",
     "access kind=13 index=2 length=1 value=1\naccess kind=3 index=6 length=1 value=0xfe"},
    {"crash_loaded", "value:saved", "access kind=13 index=2 length=1 value=2\nsave"},
    {"panicked_and_an_unknown_event", "platform:panic_reported",
     "access kind=13 index=2 length=1 value=0x86\naccess kind=13 index=2 length=1 value=0x85"},
    {"another_panic_event", "error:platform.panic_event",
     "access kind=13 index=2 length=1 value=4\naccess kind=13 index=2 length=1"},
    {"a_word_of_the_panic_port", "error:bus.range_end",
     "access kind=13 index=2 length=2 value=0x101\naccess kind=12 index=2 length=4"},
    {"beside_the_panic_port", "error:bus.unmapped",
     "access kind=13 index=1 length=1 value=1\naccess kind=13 index=3 length=1 value=1"},

    // The clock.
    {"time_passes", "value:saved",
     "access kind=6 length=4\nbackend kind=1 value=5\naccess kind=6 length=4\nsave"},
    {"an_alarm", "platform:alarm", R"(
        request kind=8 value=10
        backend kind=1 value=9
        backend kind=1 value=1
        access kind=6 index=0x18 length=4
        access kind=7 index=0x1c length=4
        access kind=7 index=0x1c length=4 value=1
        backend kind=1 value=1)"},
    {"an_alarm_over_the_wrap", "platform:alarm",
     "queue index=1\nrequest kind=8 value=32\nbackend kind=1 value=31\nbackend kind=1 value=5"},
    {"an_alarm_and_the_wrap_in_one_step", "platform:alarm",
     "queue index=1\nrequest kind=8 value=32\nbackend kind=1 value=40"},
    {"an_alarm_at_once", "platform:alarm",
     "request kind=8\naccess kind=7 index=0x1c length=4 value=1"},
    {"an_alarm_that_was_cleared", "platform:alarm",
     "request kind=8\naccess kind=7 index=0x1c length=4 value=1\nbackend kind=1"},
    {"an_alarm_half_the_range_ahead", "platform:alarm", R"(
        request kind=8 value=0x80000000
        backend kind=1
        request kind=8 value=0x7fffffff
        backend kind=1
        backend kind=1 value=0x7fffffff)"},
    {"an_alarm_behind_the_clock", "value:saved",
     "request kind=8 value=0xffffffff\nbackend kind=1\nbackend kind=1 value=1\nsave"},
    {"an_alarm_that_is_masked", "platform:alarm", R"(
        request kind=8 value=3
        access kind=7 index=0x10 length=4
        backend kind=1 value=4
        access kind=6 index=0x14 length=4
        access kind=7 index=0x10 length=4 value=1
        access kind=6 index=0x10 length=4)"},
    {"the_clock_set_to_its_alarm", "platform:alarm",
     "request kind=8 value=1000\nrequest kind=9 value=0x600003e8"},
    {"the_clock_set_past_its_alarm", "value:saved",
     "request kind=8 value=1000\nrequest kind=9 value=0x70000000\nbackend kind=1 value=1\nsave"},
    {"the_clock_goes_back", "value:saved", R"(
        queue index=2
        request kind=8 value=0xfffffffc
        backend kind=1 value=0xfffffffffffffff0
        backend kind=1 value=8
        save)"},
    {"the_clock_stands_half_way", "platform:alarm", R"(
        queue index=2
        request kind=8 value=0x7fffffff
        backend kind=1 value=0x7fffffff
        request kind=8 value=5
        backend kind=1 value=0x80000000)"},
    {"clock_registers", "error:platform.read_only", R"(
        access kind=6 index=4 length=4
        access kind=6 index=8 length=4
        access kind=6 index=12 length=4
        access kind=7 index=12 length=4
        access kind=6 index=0xfe0 length=4
        access kind=6 index=0xffc length=4
        access kind=7 index=0xfe0 length=4
        access kind=7 index=0 length=4
        access kind=7 index=0x14 length=4
        access kind=7 index=0x18 length=4)"},
    {"clear_register_read", "error:platform.write_only", "access kind=6 index=0x1c length=4"},
    {"no_clock_register", "error:platform.offset",
     "access kind=6 index=0x20 length=4\naccess kind=7 index=0xfdc length=4\naccess kind=6 index=2 "
     "length=4"},
    {"a_quadword_of_the_clock", "error:platform.width",
     "access kind=6 length=8\naccess kind=7 index=4 length=2 value=5\naccess kind=6 index=1 "
     "length=1"},
    {"an_access_finds_the_alarm_due", "platform:alarm",
     "request kind=8 value=2\nbackend kind=1 value=1\nsave\nbackend kind=1 value=1\naccess kind=6 "
     "length=8"},

    // The buses.
    {"over_the_border_of_two_devices", "error:bus.range_end",
     "access index=6 length=4\naccess kind=1 index=7 length=4 value=0x41"},
    {"behind_the_clock", "error:bus.unmapped",
     "access kind=6 index=0x1000 length=4\naccess kind=6 index=0xffd length=4"},
    {"at_the_end_of_all_addresses", "error:bus.unmapped",
     "access kind=10 length=8\naccess kind=11 index=3 length=4 value=1"},
    {"the_last_port", "error:bus.unmapped",
     "access kind=8 index=0xffff length=4\naccess kind=9 index=0xffff length=1 value=1"},
    {"a_width_that_no_processor_has", "error:bus.width",
     "access length=0\naccess length=9\naccess kind=1 length=0\naccess kind=7 length=9 value=1"},

    // Saved state.
    {"restored_to_what_waited", "platform:received", R"(
        request index=0x81 next=1
        backend value=10
        request kind=6 value=0x60 length=0x12
        access kind=3 index=6 length=1 value=0xd1
        request kind=8 value=100
        save
        request kind=1
        backend kind=1 value=200
        restore
        request kind=2)"},
    {"restored_to_where_there_was_room", "platform:room_again",
     "save\nbackend value=1\nrestore\nbackend value=1"},
    {"all_reset", "platform:reset", R"(
        request index=1 next=1
        backend value=30
        request kind=8
        backend kind=3
        access index=2 length=1
        kick
        reset
        save)"},
    {"bytes_missing", "error:platform_state.bytes",
     "save\npatch index=0x804b\nrestore\npatch index=0x8023\nrestore\npatch index=0x8000\nrestore"},
    {"bytes_left_over", "error:platform_state.bytes", "save\npatch index=0x804d\nrestore"},
    {"another_magic", "error:platform_state.magic",
     "save\npatch width=1\nrestore\nsave\npatch index=36 width=1\nrestore\nsave\npatch index=48 "
     "width=1\nrestore"},
    {"another_version", "error:platform_state.version",
     "save\npatch index=4 width=1 value=2\nrestore"},
    {"another_length", "error:platform_state.length",
     "save\npatch index=42 width=1 value=13\nrestore"},
    {"reserved_bytes", "error:platform_state.reserved",
     "save\npatch index=19 width=1 value=1\nrestore\nsave\npatch index=35 width=1 "
     "value=1\nrestore\n"
     "save\npatch index=75 width=1 value=1\nrestore"},
    {"interrupts_that_nobody_has", "error:platform_state.interrupt_enable",
     "save\npatch index=8 width=1 value=0x10\nrestore"},
    {"fifos_that_are_off", "error:platform_state.fifo_control",
     "save\npatch index=9 width=1 value=0xc0\nrestore\npatch index=9 width=1 value=0x03\nrestore"},
    {"modem_control_bits", "error:platform_state.modem_control",
     "save\npatch index=11 width=1 value=0x20\nrestore"},
    {"line_errors", "error:platform_state.line_errors",
     "save\npatch index=13 width=1 value=4\nrestore\npatch index=13 width=1 value=2\nrestore"},
    {"modem_changes", "error:platform_state.modem_changes",
     "save\npatch index=14 width=1 value=0x10\nrestore\npatch index=14 width=1 "
     "value=0x0f\nrestore"},
    {"transmitter_neither_empty_nor_not", "error:platform_state.transmitter_empty",
     "save\npatch index=15 width=1 value=2\nrestore\npatch index=15 width=1 value=1\nrestore"},
    {"more_received_than_fits", "error:platform_state.received", R"(
        save
        patch index=18 width=1 value=2
        restore
        patch index=9 width=1 value=1
        restore
        patch index=18 width=1 value=17
        restore
        patch index=18 width=1 value=16
        restore
        request kind=1)"},
    {"command_byte_of_8_bits", "error:platform_state.command_byte",
     "save\npatch index=44 width=1 value=0x80\nrestore"},
    {"a_time_out_without_a_byte", "error:platform_state.status", R"(
        save
        patch index=46 width=1 value=0x40
        restore
        patch index=46 width=1 value=2
        restore
        patch index=46 width=1 value=0x49
        restore
        patch index=46 width=1 value=0x41
        restore
        patch index=46 width=1 value=8
        restore
        access kind=2 index=6 length=1)"},
    {"waits_for_the_byte_of_no_command", "error:platform_state.expected",
     "save\npatch index=47 width=1 value=0xaa\nrestore\npatch index=47 width=1 "
     "value=0xd5\nrestore"},
    {"alarm_mask", "error:platform_state.mask", "save\npatch index=72 width=1 value=2\nrestore"},
    {"alarm_raised", "error:platform_state.raised",
     "save\npatch index=73 width=1 value=2\nrestore\npatch index=72 width=2 value=0x101\nrestore"},
    {"an_alarm_passed_while_saved", "platform:alarm",
     "request kind=8 value=100\nsave\npatch index=68 width=4 value=0x5fffff00\nbackend kind=1 "
     "value=150\nrestore"},
    {"a_part_that_is_refused_keeps_the_others", "error:platform_state.mask",
     "save\npatch index=12 width=1 value=7\npatch index=72 width=1 value=9\nrestore\nsave"},
};

class PlatformSeed : public ::testing::TestWithParam<Seed> {
 protected:
  PlatformHarness harness;
};
TEST_P(PlatformSeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(PlatformSeed, TogetherReachEverything) { check_seeds(harness, kPlatformSeeds); }
INSTANTIATE_TEST_SUITE_P(Platform, PlatformSeed, ::testing::ValuesIn(kPlatformSeeds), seed_name);

}  // namespace
}  // namespace guestproof::testing
