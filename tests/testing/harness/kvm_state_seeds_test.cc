#include <gtest/gtest.h>

#include "guestproof/testing/harness/kvm_state_harness.h"
#include "seeds.h"

// The sizes of structures, and so the bytes of a saved state, are x86_64's.
#if defined(__x86_64__)

namespace guestproof::testing {
namespace {

// A vCPU's state: 16 bytes of header, then sections of 8 bytes each and their payload, from 16 on.
constexpr Seed kStateSeeds[] = {
    // Every part of a vCPU and of a machine.
    {"vcpu_cpuid", "state:field_set", "request kind=0 length=5 value=0x0102030405060708\nsave"},
    {"vcpu_tsc_khz", "state:field_set", "request kind=1 length=5 value=0x0102030405060708\nsave"},
    {"vcpu_sregs", "state:field_set", "request kind=2 length=5 value=0x0102030405060708\nsave"},
    {"vcpu_regs", "state:field_set", "request kind=3 length=5 value=0x0102030405060708\nsave"},
    {"vcpu_xcrs", "state:field_set", "request kind=4 length=5 value=0x0102030405060708\nsave"},
    {"vcpu_xsave", "state:field_set", "request kind=5 length=5 value=0x0102030405060708\nsave"},
    {"vcpu_debugregs", "state:field_set", "request kind=6 length=5 value=0x0102030405060708\nsave"},
    {"vcpu_msrs", "state:field_set", "request kind=7 length=5 value=0x0102030405060708\nsave"},
    {"vcpu_events", "state:field_set", "request kind=8 length=5 value=0x0102030405060708\nsave"},
    {"vcpu_mp_state", "state:field_set", "request kind=9 length=5 value=0x0102030405060708\nsave"},
    {"vcpu_lapic", "state:field_set", "request kind=10 length=5 value=0x0102030405060708\nsave"},
    {"vcpu_nested", "state:field_set", "request kind=11 length=5 value=0x0102030405060708\nsave"},
    {"vm_clock", "state:vm", "queue index=1\nrequest kind=0 value=0x0102030405060708\nsave"},
    {"vm_pic_master", "state:vm", "queue index=1\nrequest kind=1 value=0x0102030405060708\nsave"},
    {"vm_chip_of_another_id", "error:kvm_state.chip_id",
     "queue index=1\nrequest kind=2 length=1 value=0x0102030405060708\nsave"},
    {"vm_pic_slave", "state:vm", "queue index=1\nrequest kind=2 value=0x0102030405060708\nsave"},
    {"vm_ioapic", "state:vm", "queue index=1\nrequest kind=3 value=0x0102030405060708\nsave"},
    {"vm_pit", "state:vm", "queue index=1\nrequest kind=4 value=0x0102030405060708\nsave"},
    {"registers_of_all_sizes", "state:registers",
     "queue index=2\nrequest kind=1 length=9 value=0x1112131415161718\nrequest kind=0 "
     "value=3\nsave"},
    {"a_whole_vcpu", "value:restored", R"(
        request kind=0 length=40 value=1
        request kind=5 length=63 value=2
        request kind=7 length=63 value=3
        request kind=10 value=4
        request kind=11 length=63 value=5
        save)"},
    {"a_whole_vm", "value:restored", R"(
        queue index=1
        request kind=0 value=1
        request kind=1 value=2
        request kind=2 value=3
        request kind=3 value=4
        request kind=4 value=5
        save)"},
    {"an_empty_vcpu", "value:saved", "save"},
    {"an_empty_vm", "value:saved", "queue index=1\nsave"},
    {"empty_registers", "value:saved", "queue index=2\nsave"},
    {"what_is_optional_taken_away", "state:field_taken_away",
     "request kind=10\nrequest kind=11\nsave\nrequest kind=10 flags=raw\nrequest kind=11 "
     "flags=raw\nsave"},

    // The header.
    {"fifteen_bytes", "error:kvm_state.bytes", "save\npatch index=0x800f\nrestore"},
    {"no_bytes", "error:kvm_state.bytes", "patch index=0x8000\nrestore"},
    {"magic", "error:kvm_state.magic", "save\npatch index=3 width=1 value=0\nrestore"},
    {"version", "error:kvm_state.version", "save\npatch index=4 width=2 value=2\nrestore"},
    {"architecture", "error:kvm_state.architecture",
     "save\npatch index=6 width=2 value=0xf3f3\nrestore"},
    {"kind_of_a_vm", "error:kvm_state.kind", "queue index=1\nsave\nqueue index=0\nrestore"},
    {"kind_of_a_vcpu", "error:kvm_state.kind", "save\nqueue index=1\nrestore"},
    {"kind_of_32_bits", "error:kvm_state.kind",
     "save\npatch index=8 width=4 value=0x10001\nrestore"},
    {"length_too_small", "error:kvm_state.length",
     "save\npatch index=12 width=4 value=16\nrestore"},
    {"bytes_left_over", "error:kvm_state.length",
     "queue index=1\nsave\npatch index=0x8018\nrestore"},

    // Sections.
    {"half_a_section_header", "error:kvm_state.section_header",
     "queue index=1\nsave\navail next=4\nrestore"},
    {"a_section_past_the_end", "error:kvm_state.section_length",
     "queue index=2\nsave\npatch index=20 width=4 value=0xffffffff\nrestore"},
    {"a_section_longer_by_one", "error:kvm_state.section_length",
     "queue index=1\nrequest kind=0\nsave\npatch index=20 width=4 value=49\nrestore"},
    {"padding_missing", "error:kvm_state.section_length",
     "queue index=2\nsave\npatch index=0x801c\npatch index=12 width=4 value=28\nrestore"},
    {"tag_zero", "error:kvm_state.section_order", "save\nentry index=0 next=0\nrestore"},
    {"a_tag_twice", "error:kvm_state.section_order", "save\nentry index=1 next=1\nrestore"},
    {"sections_out_of_order", "error:kvm_state.section_order",
     "queue index=1\nrequest kind=1\nrequest kind=2\nsave\nentry index=0 next=4\nrestore"},
    {"padding_with_something", "error:kvm_state.padding",
     "queue index=2\nsave\npatch index=28 width=1 value=1\nrestore"},
    {"the_first_section_missing", "error:kvm_state.missing", "save\npublish index=0\nrestore"},
    {"a_section_missing", "error:kvm_state.missing", "save\npublish index=4\nrestore"},
    {"the_last_section_missing", "error:kvm_state.missing", "save\npublish index=9\nrestore"},
    {"no_section", "error:kvm_state.missing", "queue index=2\nsave\npublish\npublish\nrestore"},
    {"an_unknown_section_behind", "error:kvm_state.unknown",
     "queue index=1\nrequest kind=4\nsave\nentry index=0 next=6\nrestore"},
    {"an_unknown_section_in_between", "error:kvm_state.unknown",
     "queue index=2\nsave\nentry index=0 next=9\nrestore"},
    {"an_unknown_section_of_nothing", "error:kvm_state.unknown", R"(
        queue index=2
        save
        avail next=8
        entry index=2 next=99
        restore)"},
    {"a_structure_cut_short", "error:kvm_state.short",
     "queue index=1\nrequest kind=0\nsave\npatch index=20 width=4 value=41\npatch index=65 "
     "width=7\nrestore"},
    {"a_structure_that_goes_on", "error:kvm_state.tail", R"(
        queue index=1
        request kind=4
        save
        avail next=8
        patch index=20 width=4 value=120
        patch index=143 width=1 value=1
        restore)"},
    {"a_structure_that_goes_on_with_zeros", "value:restored", R"(
        queue index=1
        request kind=4
        save
        avail next=8
        patch index=20 width=4 value=120
        restore
        save)"},
    {"registers_with_half_an_id", "error:kvm_state.uneven", R"(
        queue index=2
        save
        avail next=8
        patch index=36 width=4 value=4
        restore)"},
    {"a_list_with_a_part_of_an_entry", "error:kvm_state.uneven",
     "request kind=5 length=5\nsave\npatch index=924 width=4 value=21\nrestore"},
    {"a_register_without_its_bytes", "error:kvm_state.register_size", R"(
        queue index=2
        save
        avail next=8
        patch index=36 width=4 value=8
        patch index=46 width=1 value=0x30
        restore)"},
    {"a_register_wider_than_any", "error:kvm_state.register_size", R"(
        queue index=2
        request kind=1 length=3 index=8
        save
        patch index=46 width=1 value=0x90
        restore)"},
    {"a_register_with_bytes_behind_it", "error:kvm_state.padding", R"(
        queue index=2
        request kind=1 length=1 index=2
        save
        patch index=53 width=1 value=1
        restore)"},
    {"cpuid_with_too_many_entries", "error:kvm_state.section_length",
     "request length=2\nsave\npatch index=20 width=4 value=0x7fffffff\nrestore"},
    {"cpuid_with_a_count_too_large", "value:restore_refused",
     "request length=2\nsave\npatch index=24 width=4 value=3\nrestore"},
    {"cpuid_with_a_count_above_the_limit", "value:restore_refused",
     "request length=2\nsave\npatch index=24 width=4 value=257\nrestore"},
    {"nested_state_of_another_size", "value:restore_refused",
     "request kind=11 length=2\nsave\npatch index=1172 width=4 value=143\nrestore"},
    {"nested_state_smaller_than_its_header", "value:restore_refused", R"(
        request kind=11
        save
        patch index=1164 width=4 value=120
        patch index=0x8510
        patch index=12 width=4 value=1288
        restore)"},
    {"what_is_behind_is_judged_first", "error:kvm_state.section_order",
     "request length=2\nsave\npatch index=24 width=4 value=3\nentry index=1 next=1\nrestore"},
    {"refused_and_gone_on", "value:restore_refused", R"(
        request kind=3 value=7
        save
        patch index=0 width=4
        restore
        request kind=4 value=9
        save)"},
    {"started_over", "value:saved", "request kind=3 value=7\nreset\nsave"},
    {"saved_by_another_kind", "value:restore_refused", "save\nqueue index=2\nrestore"},
};

class KvmStateSeed : public ::testing::TestWithParam<Seed> {
 protected:
  KvmStateHarness harness;
};
TEST_P(KvmStateSeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(KvmStateSeed, TogetherReachEverything) { check_seeds(harness, kStateSeeds); }
INSTANTIATE_TEST_SUITE_P(Kvm, KvmStateSeed, ::testing::ValuesIn(kStateSeeds), seed_name);

}  // namespace
}  // namespace guestproof::testing

#endif
