#include <gtest/gtest.h>

#include "guestproof/testing/harness/elf_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// The image: program headers 0 and 1 are segments for 0x100000 and 0x101000, header 2 the notes at
// 0x380, header 3 lies in zeros. `next` is 1 for 1 MiB, 5 for 4 GiB.
constexpr Seed kElfSeeds[] = {
    {"the_64_bit_entry", "load:done", "kick"},
    {"an_opcode_of_no_meaning", "load:done", "avail next=1\nkick"},
    {"the_pvh_entry", "elf:loaded_for_pvh", "kick queue=1"},
    {"no_entry_for_arm64", "error:elf.protocol", "kick queue=2"},
    {"no_pvh_entry", "error:elf.protocol", "queue index=1\nkick queue=1"},
    {"notes_aligned_to_eight", "elf:loaded_for_pvh", "queue index=2\nkick queue=1"},
    {"notes_not_aligned", "elf:loaded_for_pvh", "request kind=11 index=2 value=1\nkick queue=1"},
    {"a_virtual_entry_beside_pvh", "error:elf.protocol",
     "request kind=0 value=0xffffffff81000000\nkick queue=1\nkick"},
    {"a_shared_object", "elf:parsed", "request kind=4 value=3 flags=kick"},
    {"zeros_over_a_border_of_regions", "load:done",
     "request kind=8 index=1 value=0x7f80 next=1\nrequest kind=0 next=1 value=0x10\nrequest "
     "kind=15 index=1 next=1 value=0x7f90\nkick queue=1"},
    {"only_zeros_in_a_segment", "load:done",
     "request kind=9 index=1\nrequest kind=15 index=1 next=1\nkick"},
    {"a_segment_up_to_4_gib", "load:done",
     "request kind=8 index=1 next=5 value=0xffffffffffffe000\nrequest kind=10 index=1 "
     "value=0x2000\nrequest kind=15 index=1 next=5 value=0xffffffffffffe000\nkick queue=1"},
    {"a_segment_of_no_memory", "load:done", R"(
        queue index=1
        request kind=9 index=1
        request kind=10 index=1
        request kind=8 index=1 value=0
        kick)"},
    {"segments_that_touch", "load:done",
     "request kind=8 index=1 next=1 value=0x200\nrequest kind=15 index=1 next=1 "
     "value=0x200\nkick queue=1"},
    {"after_a_load_another", "load:done", R"(
        kick
        request kind=8 index=0 next=1 value=0x4000
        request kind=0 next=1 value=0x4000
        kick queue=1
        reset
        kick)"},

    // The file's header.
    {"no_bytes", "error:elf.short", "patch index=0x8000"},
    {"a_header_short_by_one", "error:elf.short", "patch index=0x803f"},
    {"magic", "error:elf.magic", "patch index=3 width=1 value=0"},
    {"class", "error:elf.class", "patch index=4 width=1 value=1"},
    {"byte_order", "error:elf.byte_order", "patch index=5 width=1 value=2"},
    {"machine", "error:elf.machine", "request kind=5 value=183"},
    {"type", "error:elf.type", "request kind=4 value=1"},
    {"program_headers_of_another_size", "error:elf.header_size", "request kind=3 value=64"},
    {"no_program_headers", "error:elf.headers", "request kind=2"},
    {"too_many_program_headers", "error:elf.headers", "request kind=2 value=65"},
    {"program_headers_past_the_end", "error:elf.header_table", "request kind=2 value=17"},
    {"program_headers_at_the_end_of_addresses", "error:elf.header_table",
     "request kind=1 value=0xffffffffffffffc0"},

    // Segments.
    {"an_interpreter", "error:elf.interpreter",
     "request kind=2 value=4\nrequest kind=6 index=3 value=3"},
    {"more_in_the_file_than_in_memory", "error:elf.segment_size",
     "request kind=10 index=1 value=0x7f"},
    {"a_segment_past_the_end_of_the_file", "error:elf.segment_file",
     "request kind=7 index=1 value=0x32d"},
    {"a_segment_at_the_end_of_addresses", "error:elf.segment_file",
     "request kind=7 index=1 value=0xffffffffffffff80"},
    {"a_segment_below_1_mib", "error:elf.segment_low",
     "request kind=8 index=0 next=1 value=0xffffffffffffffff"},
    {"a_segment_past_4_gib_by_one", "error:elf.segment_high",
     "request kind=8 index=1 next=5 value=0xffffffffffffe000\nrequest kind=10 index=1 "
     "value=0x2001"},
    {"a_segment_past_all_addresses", "error:elf.segment_high",
     "request kind=10 index=1 value=0xffffffffffffffff"},
    {"segments_overlap_by_one", "error:elf.segment_overlap",
     "request kind=8 index=1 next=1 value=0x1ff"},
    {"a_segment_within_another", "error:elf.segment_overlap",
     "request kind=10 index=0 value=0x100000"},
    {"no_segment", "error:elf.no_segment", "request kind=6 index=0\nrequest kind=6 index=1"},
    {"a_segment_in_a_hole", "error:memory.unmapped",
     "request kind=8 index=1 next=3 value=0x2000\nrequest kind=15 index=1 next=3 value=0x2000"},
    {"a_segment_over_the_end_of_ram", "error:memory.unmapped",
     "request kind=8 index=1 next=4 value=0xfffffffffffff000\nrequest kind=15 index=1 next=4 "
     "value=0xfffffffffffff000"},
    {"a_segment_in_rom", "error:memory.read_only",
     "request kind=8 index=1 next=3 value=0xfffffffffffff000\nrequest kind=15 index=1 next=3 "
     "value=0xfffffffffffff000"},

    // Entries.
    {"an_entry_in_zeros", "error:elf.entry", "queue index=1\nrequest kind=0 next=1 value=0x100"},
    {"an_entry_behind_the_last_byte", "error:elf.entry",
     "queue index=1\nrequest kind=0 next=1 value=0x1080"},
    {"a_pvh_entry_in_zeros", "error:elf.pvh_entry", "request kind=15 index=1 next=1 value=0x1080"},
    {"a_pvh_entry_past_4_gib", "error:elf.pvh_entry",
     "request kind=15 index=1 next=5 value=0x100020"},

    // Notes.
    {"notes_past_the_end_of_the_file", "error:elf.note_file", "request kind=7 index=2 value=0x381"},
    {"notes_without_end", "error:elf.note_bytes",
     "queue index=3\nrequest kind=9 index=2 value=0x10001"},
    {"as_many_notes_as_are_read", "error:elf.note_header",
     "queue index=3\nrequest kind=9 index=2 value=0x10000"},
    {"notes_aligned_to_sixteen", "error:elf.note_alignment", "request kind=11 index=2 value=16"},
    {"notes_aligned_to_five", "error:elf.note_alignment", "request kind=11 index=2 value=5"},
    {"half_a_note_header", "error:elf.note_header", "request kind=9 index=2 value=31"},
    {"a_descriptor_short_by_one", "error:elf.note_length", "request kind=9 index=2 value=43"},
    {"a_name_without_end", "error:elf.note_length", "request kind=12 index=1 value=0xffffffff"},
    {"a_descriptor_without_end", "error:elf.note_length",
     "request kind=13 index=0 value=0xfffffff0"},
    {"a_pvh_entry_of_seven_bytes", "error:elf.pvh_length", "request kind=13 index=1 value=7"},
    {"a_pvh_entry_of_four_bytes", "elf:loaded_for_pvh",
     "request kind=13 index=1 value=4\nrequest kind=9 index=2 value=40\nkick queue=1"},
    {"two_pvh_entries", "error:elf.pvh_twice", "request kind=14 index=0 value=18"},
    {"notes_of_another_vendor", "error:elf.protocol",
     "patch index=0x3a2 width=1 value=0x6d\nkick queue=1"},
    {"padding_of_the_last_note_missing", "elf:parsed",
     "request kind=14 index=1 value=1\nrequest kind=13 index=1 value=5\nrequest kind=9 index=2 "
     "value=41\nkick"},
};

class ElfSeed : public ::testing::TestWithParam<Seed> {
 protected:
  ElfHarness harness;
};
TEST_P(ElfSeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(ElfSeed, TogetherReachEverything) { check_seeds(harness, kElfSeeds); }
INSTANTIATE_TEST_SUITE_P(Loader, ElfSeed, ::testing::ValuesIn(kElfSeeds), seed_name);

}  // namespace
}  // namespace guestproof::testing
