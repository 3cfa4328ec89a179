#include <gtest/gtest.h>

#include "guestproof/testing/harness/bzimage_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// The image: 0x400 bytes of setup, 0x400 of kernel, the payload at 0x700 of the file.
constexpr Seed kBzImageSeeds[] = {
    {"as_it_is", "load:done", "kick"},
    {"not_relocatable", "load:done", "queue index=1\nkick"},
    {"loaded_elsewhere", "bzimage:loaded_elsewhere", "area which=avail value=3\nkick"},
    {"needs_all_up_to_the_rom", "load:done", "request kind=10 value=0xc000 flags=kick"},
    {"needs_a_byte_of_the_rom", "error:memory.read_only", "request kind=10 value=0xc001"},
    {"prefers_another_address", "load:done", "request kind=9 next=1 value=0x7000 flags=kick"},
    {"prefers_nothing", "load:done", "request kind=9 flags=kick"},
    {"prefers_where_it_cannot_be_loaded", "load:done",
     "request kind=9 next=1 value=0x800 flags=kick\nrequest kind=9 value=0xff000 flags=kick"},
    {"not_relocatable_without_alignment", "load:done",
     "queue index=1\nrequest kind=4 flags=kick\nrequest kind=4 value=0x3000 flags=kick"},
    {"runs_at_the_next_multiple", "load:done",
     "request kind=4 value=0x8000\nrequest kind=9 value=1\narea which=avail value=8\nkick"},
    {"no_init_size", "load:done", "request kind=10 flags=kick"},
    {"a_last_paragraph_in_part", "bzimage:parsed", "request kind=8\npatch index=0x87f1\nkick"},
    {"the_header_ends_early", "bzimage:parsed",
     "request kind=11 value=0x66\npatch index=0x268 value=77\nkick"},
    {"the_header_of_a_later_protocol", "bzimage:parsed",
     "request kind=11 value=0x8e\npatch index=0x288 value=0x1122334455667788\nkick"},
    {"what_a_loader_fills_in", "bzimage:parsed",
     "request kind=15 value=0x4141414141414141 flags=kick"},
    {"started_over", "load:done", "request kind=12\nkick\nreset\nkick"},

    // Payloads.
    {"no_payload", "payload:none", "request kind=8 flags=kick"},
    {"payload_unknown", "payload:unknown", "request kind=14 value=0 flags=kick"},
    {"payload_elf", "payload:elf", "request kind=14 value=0x464c457f flags=kick"},
    {"payload_gzip", "payload:gzip", "request kind=14 value=0x088b1f flags=kick"},
    {"payload_bzip2", "payload:bzip2", "request kind=14 value=0x685a42 flags=kick"},
    {"payload_lzma", "payload:lzma", "request kind=14 value=0x5d flags=kick"},
    {"payload_xz", "payload:xz", "request kind=14 value=0x005a587a37fd flags=kick"},
    {"payload_lzo", "payload:lzo",
     "request kind=14 value=0x1a0a0d004f5a4c89\npatch index=0x708 width=1 value=0x0a\nkick"},
    {"payload_lz4", "payload:lz4", "request kind=14 value=0x184c2102 flags=kick"},
    {"payload_zstd", "payload:zstd", "request kind=14 value=0xfd2fb528 flags=kick"},
    {"payload_past_the_end", "error:bzimage.payload", "request kind=7 value=0x3e1"},
    {"payload_far_away", "error:bzimage.payload", "request kind=7 value=0xfffffff0"},
    {"payload_without_its_size", "error:bzimage.payload_short", "request kind=8 value=7"},
    {"payload_that_is_a_magic_number", "payload:lz4", "request kind=8 value=8 flags=kick"},
    {"payload_shorter_than_its_magic", "payload:unknown", "request kind=8 value=3 flags=kick"},

    // The header.
    {"no_bytes", "error:bzimage.short", "patch index=0x8000"},
    {"a_header_short_by_one", "error:bzimage.short", "patch index=0x828f"},
    {"boot_flag", "error:bzimage.boot_flag", "request kind=12 value=0x55aa"},
    {"magic", "error:bzimage.magic", "request kind=13"},
    {"version", "error:bzimage.version", "request kind=2 value=0x20b"},
    {"header_too_short", "error:bzimage.header_end", "request kind=11 value=0x65"},
    {"header_too_long", "error:bzimage.header_end", "request kind=11 value=0x8f"},
    {"loaded_low", "error:bzimage.not_high", "request kind=3 value=0xfe"},
    {"no_64_bit_entry", "error:bzimage.not_64_bit", "request kind=6 value=0xfffe"},
    {"alignment_zero", "error:bzimage.alignment", "request kind=4"},
    {"alignment_of_two_bits", "error:bzimage.alignment", "request kind=4 value=0x3000"},
    {"prefers_what_is_past_4_gib", "error:bzimage.preferred_address",
     "request kind=9 next=5 value=0xffffffffffffd001"},
    {"prefers_the_last_address", "error:bzimage.preferred_address",
     "request kind=9 value=0xffffffffffffffff"},
    {"must_run_below_1_mib", "error:bzimage.preferred_address",
     "queue index=1\nrequest kind=9 next=1 value=0xffffffffffffffff"},

    // The kernel.
    {"setup_is_all", "error:bzimage.setup", "request kind=0 value=3"},
    {"setup_of_four_sectors", "error:bzimage.setup", "request kind=0"},
    {"setup_of_four_sectors_and_a_kernel", "bzimage:parsed",
     "request kind=0\nrequest kind=8\npatch index=0x9000\nkick"},
    {"kernel_longer_than_the_file", "error:bzimage.kernel_size", "request kind=1 value=0x41"},
    {"kernel_of_64_gib", "error:bzimage.kernel_size", "request kind=1 value=0xffffffff"},
    {"kernel_whose_bytes_wrap", "error:bzimage.kernel_size", "request kind=1 value=0x10000040"},
    {"kernel_short_by_a_paragraph", "error:bzimage.kernel_size", "patch index=0x87f0"},
    {"kernel_ends_at_its_entry", "error:bzimage.entry", "request kind=1 value=0x20"},
    {"kernel_of_nothing", "error:bzimage.entry", "request kind=1"},

    // Where it is loaded.
    {"loaded_below_1_mib", "error:bzimage.load_low", "area value=0xff000"},
    {"loaded_past_4_gib", "error:bzimage.load_high", "area value=0x100000000"},
    {"loaded_at_the_last_address", "error:bzimage.load_high", "area value=0xffffffffffffffff"},
    {"loaded_up_to_4_gib", "bzimage:loaded_elsewhere",
     "request kind=10 value=0x2000\narea value=0xffffe000\nkick"},
    {"needs_a_byte_past_4_gib", "error:bzimage.load_high",
     "request kind=10 value=0x2001\narea value=0xffffe000\nkick"},
    {"itself_past_4_gib", "error:bzimage.load_high",
     "request kind=10\nrequest kind=4 value=256\narea value=0xfffffd00\nkick"},
    {"loaded_where_it_cannot_run", "error:bzimage.not_relocatable",
     "queue index=1\narea which=avail value=1"},
    {"loaded_between_multiples", "error:bzimage.load_alignment", "area value=0x100800"},
    {"loaded_over_the_end_of_ram", "error:memory.unmapped",
     "area which=used value=0xffffffffffffe000"},
};

class BzImageSeed : public ::testing::TestWithParam<Seed> {
 protected:
  BzImageHarness harness;
};
TEST_P(BzImageSeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(BzImageSeed, TogetherReachEverything) { check_seeds(harness, kBzImageSeeds); }
INSTANTIATE_TEST_SUITE_P(Loader, BzImageSeed, ::testing::ValuesIn(kBzImageSeeds), seed_name);

}  // namespace
}  // namespace guestproof::testing
