#include <gtest/gtest.h>

#include "guestproof/testing/harness/msix_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// Three vectors (48 bytes of table, 8 of pending bits), disabled, unless a scenario says otherwise.
// activate: 1 enabled, 2 masked, 4 bus master. access: kind 1 writes, kind 2 is for pending bits.
constexpr Seed kMsixSeeds[] = {
    {"an_interrupt", "msix:delivered_at_once",
     "request index=1 value=0xfee01000 length=0x4031\nsave"},
    {"of_one_vector", "msix:delivered_at_once", "queue index=1\nrequest value=0xfee00000\nsave"},
    {"of_64_vectors", "msix:delivered_at_once",
     "queue index=2\nrequest index=63 value=0xfee00000\nsave"},
    {"of_65_vectors", "msix:delivered_at_once",
     "queue index=3\nrequest index=64 value=0xfee00000\nsave"},
    {"of_130_vectors", "msix:pending", R"(
        queue index=4
        activate index=7
        request kind=1 index=129 value=0xfee00000 length=5
        publish index=129
        access kind=2 index=16 length=8
        activate index=5
        access kind=2 index=16 length=8)"},
    {"of_2048_vectors", "msix:pending", R"(
        queue index=5
        activate index=7
        request kind=1 index=2047 value=0xfee00000 length=5
        publish index=2047
        access kind=2 index=252 length=4
        activate index=5)"},
    {"by_doublewords", "msix:delivered_at_once",
     "request index=2 value=0x123456789abcdef3 length=0xffffffff extra=1\naccess index=32 "
     "length=8"},

    // Masks.
    {"masked_and_unmasked", "msix:delivered_when_freed", R"(
        activate index=5
        request kind=3 index=1 value=0xfee00000 length=7
        publish index=1
        access kind=2 length=8
        request kind=4 index=1
        access kind=2 length=8
        request kind=2 index=1
        request kind=4 index=1)"},
    {"raised_twice_while_masked", "msix:delivered_when_freed", R"(
        activate index=5
        request kind=3 index=2 value=0xfee00000 length=7
        publish index=2
        publish index=2
        request kind=4 index=2)"},
    {"changed_while_pending", "msix:delivered_when_freed", R"(
        activate index=5
        request kind=3 value=0xfee00000 length=7
        publish
        request kind=1 value=0x1fee02000 length=8)"},
    {"changed_while_pending_by_doublewords", "msix:delivered_when_freed", R"(
        activate index=5
        request kind=3 value=0xfee00000 length=7
        publish
        request kind=1 value=0x1fee02000 length=8 extra=1)"},
    {"message_of_an_unmasked_vector_changed", "msix:delivered_at_once", R"(
        request index=1 value=0xfee00000 length=7
        access kind=1 index=24 length=4 value=9
        publish index=1)"},
    {"all_masked_and_unmasked", "msix:delivered_when_freed", R"(
        activate index=7
        request kind=1 index=2 value=0xfee00000 length=7
        request kind=1 index=1 value=0xfee00004 length=8
        publish index=2
        publish index=1
        publish index=0
        access kind=2 length=8
        activate index=5
        access kind=2 length=8)"},
    {"without_bus_master", "msix:delivered_when_freed", R"(
        activate index=1
        request kind=1 index=2 value=0xfee00000 length=7
        publish index=2
        activate index=5)"},
    {"disabled_while_pending", "msix:delivered_when_freed", R"(
        activate index=5
        request kind=3 index=1 value=0xfee00000 length=7
        publish index=1
        activate index=4
        request kind=4 index=1
        access kind=2 length=8
        activate index=5)"},
    {"masked_in_both_ways", "msix:pending", R"(
        activate index=7
        request kind=3 index=1 value=0xfee00000 length=7
        publish index=1
        activate index=5
        activate index=7
        request kind=4 index=1
        activate index=5)"},
    {"withdrawn_while_pending", "msix:withdrawn", R"(
        activate index=7
        request kind=1 index=1
        publish index=1
        complete index=1
        access kind=2 length=8
        activate index=5)"},
    {"withdrawn_when_nothing_is_pending", "msix:withdrawn", "complete index=2\nactivate index=5"},
    {"reset_while_pending", "msix:reset", R"(
        activate index=7
        request kind=1 index=1 value=0xfee00000
        publish index=1
        request kind=5
        activate index=5
        publish index=1)"},
    {"raised_while_disabled", "error:msix.disabled",
     "request kind=1\nactivate index=4\npublish\nactivate index=5"},
    {"raised_past_the_table", "error:msix.vector", "activate index=5\npublish index=3"},
    {"raised_far_past_the_table", "error:msix.vector", "activate index=5\npublish index=0xffff"},
    {"raised_in_the_last_word_past_the_table", "error:msix.vector",
     "activate index=7\npublish index=63\naccess kind=2 length=8"},
    {"withdrawn_past_the_table", "error:msix.vector", "complete index=3\ncomplete index=0xffff"},

    // Accesses.
    {"a_fresh_table", "msix:read", R"(
        access index=0 length=8
        access index=8 length=8
        access index=44 length=4
        access index=4 length=4)"},
    {"reserved_bits", "msix:written", R"(
        access kind=1 index=0 length=4 value=0xffffffff
        access kind=1 index=12 length=4 value=0xffffffff
        access index=0 length=8
        access index=8 length=8)"},
    {"reserved_bits_of_a_quadword", "msix:written", R"(
        access kind=1 index=16 length=8 value=0xffffffffffffffff
        access kind=1 index=24 length=8 value=0xffffffffffffffff
        access index=16 length=8
        access index=24 length=8)"},
    {"a_byte", "error:msix.access", R"(
        access kind=1 index=0 length=1 value=0xff
        access index=0 length=1)"},
    {"a_word", "error:msix.access",
     "access kind=1 index=2 length=2 value=0xffff\naccess index=2 length=2"},
    {"nothing", "error:msix.access", "access index=0 length=0\naccess kind=1 index=4 length=0"},
    {"three_bytes_of_an_address", "error:msix.access",
     "access kind=1 index=0 length=3 value=0xffffff"},
    {"a_misaligned_doubleword", "error:msix.access",
     "access kind=1 index=2 length=4 value=0xffffffff\naccess index=10 length=4"},
    {"a_misaligned_quadword", "error:msix.access", R"(
        access kind=1 index=4 length=8 value=0xffffffffffffffff
        access index=4 length=8
        access index=12 length=8)"},
    {"an_entry_at_once", "error:msix.access",
     "access kind=1 index=0 length=16 value=1\naccess index=0 length=16"},
    {"a_quadword_over_the_end", "error:msix.access", "access kind=1 index=44 length=8 value=1"},
    {"behind_the_table", "error:msix.table_end", R"(
        access kind=1 index=48 length=4 value=1
        access index=48 length=8
        access kind=1 index=40 length=8 value=1)"},
    {"far_behind_the_table", "error:msix.table_end",
     "access kind=1 index=0xfffc next=0xffff length=4 value=1\naccess index=0 next=1 length=8"},
    {"pending_bits_written", "error:msix.pba_read_only", R"(
        activate index=7
        publish index=1
        access kind=3 index=0 length=8 value=0
        access kind=3 index=0 length=4 value=0xff
        access kind=2 index=0 length=8
        access kind=2 index=4 length=4)"},
    {"pending_bits_in_part", "error:msix.access",
     "access kind=2 index=0 length=1\naccess kind=3 index=0 length=2 value=0xff\naccess kind=2 "
     "index=4 length=8"},
    {"behind_the_pending_bits", "error:msix.pba_end",
     "access kind=2 index=8 length=8\naccess kind=3 index=8 length=4 value=1"},
    {"pending_bits_of_the_second_word", "msix:pending_bits_read", R"(
        queue index=3
        activate index=7
        publish index=64
        publish index=32
        access kind=2 index=8 length=8
        access kind=2 index=8 length=4
        access kind=2 index=4 length=4
        access kind=2 index=12 length=4)"},

    // Saved state.
    {"saved_while_pending", "value:restored", R"(
        activate index=7
        request kind=1 index=1 value=0xfee00000 length=9
        publish index=1
        save
        activate index=5)"},
    {"restored_to_what_was_pending", "value:restored", R"(
        activate index=7
        request kind=1 index=1 value=0xfee00000 length=9
        publish index=1
        save
        activate index=5
        restore
        activate index=5)"},
    {"a_message_of_another_hand", "value:restored",
     "request\nsave\npatch index=16 width=8 value=0x123456789abcdef0\nrestore\npublish"},
    {"bytes_missing", "error:pci_state.bytes", "request\nsave\npatch index=0x803f\nrestore"},
    {"bytes_left_over", "error:pci_state.bytes", "request\nsave\npatch index=0x8049\nrestore"},
    {"no_bytes", "error:pci_state.bytes", "patch index=0x8000\nrestore"},
    {"another_magic", "error:pci_state.magic", "save\npatch index=0 width=1 value=0\nrestore"},
    {"another_version", "error:pci_state.version", "save\npatch index=4 width=2 value=2\nrestore"},
    {"another_number_of_vectors", "error:pci_state.msix_vectors",
     "save\npatch index=6 width=2 value=4\nrestore"},
    {"another_length", "error:pci_state.length", "save\npatch index=8 width=4 value=73\nrestore"},
    {"a_flag_that_nobody_knows", "error:pci_state.msix_flags",
     "save\npatch index=12 width=2 value=8\nrestore"},
    {"a_reserved_byte", "error:pci_state.reserved",
     "save\npatch index=15 width=1 value=1\nrestore"},
    {"an_address_that_is_misaligned", "error:pci_state.msix_address",
     "save\npatch index=32 width=1 value=2\nrestore"},
    {"a_vector_control_with_other_bits", "error:pci_state.msix_vector_control",
     "save\npatch index=60 width=4 value=0x80000001\nrestore"},
    {"pending_past_the_table", "error:pci_state.msix_pending",
     "save\npatch index=64 width=1 value=8\nrestore\nactivate index=5"},
    {"pending_far_past_the_table", "error:pci_state.msix_pending",
     "save\npatch index=71 width=1 value=0x80\nrestore"},
    {"pending_and_held_by_nothing", "error:pci_state.msix_deliverable",
     "request index=1\nsave\npatch index=64 width=1 value=2\nrestore\npublish index=1"},
    {"pending_and_held_by_its_mask", "value:restored",
     "request index=1\nsave\npatch index=64 width=1 value=5\nrestore\nrequest kind=4 index=2"},
    {"enabled_by_another_hand", "error:pci_state.msix_deliverable",
     "activate index=7\nrequest kind=1\npublish\nsave\npatch index=12 width=1 value=5\nrestore"},
    {"of_another_size", "value:restore_refused", "request\nsave\nqueue index=1\nrestore"},
    {"started_over", "msix:controlled", "activate index=7\npublish\nreset\nactivate index=5\nsave"},
};

class MsixSeed : public ::testing::TestWithParam<Seed> {
 protected:
  MsixHarness harness;
};
TEST_P(MsixSeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(MsixSeed, TogetherReachEverything) { check_seeds(harness, kMsixSeeds); }
INSTANTIATE_TEST_SUITE_P(Msix, MsixSeed, ::testing::ValuesIn(kMsixSeeds), seed_name);

}  // namespace
}  // namespace guestproof::testing
