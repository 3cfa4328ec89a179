#include <gtest/gtest.h>

#include "guestproof/testing/harness/kvm_array_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

// An array of interrupt routes (8 bytes, then 48 for each, at most 1024) unless a scenario says
// otherwise. The other kinds depend on the architecture, and so do their limits.
constexpr Seed kArraySeeds[] = {
    {"an_array", "array:pushed", "request length=3 value=0x0102030405060708"},
    {"of_kind_1", "value:restored", "queue index=1\nrequest length=2\nsave"},
    {"of_kind_2", "value:restored", "queue index=2\nrequest length=2\nsave"},
    {"of_kind_3", "value:restored", "queue index=3\nrequest length=2\nsave"},
    {"of_kind_4", "value:restored", "queue index=4\nrequest length=2\nsave"},
    {"an_empty_array", "value:saved", "save"},
    {"pushed_and_saved_twice", "value:saved", "request length=9\nsave\nrequest length=40\nsave"},
    {"as_many_as_there_may_be", "array:pushed", "request length=1023 flags=raw\nsave"},
    {"one_more_than_there_may_be", "error:kvm_call.too_many_entries",
     "request length=1023 flags=raw\nrequest\nsave"},
    {"an_entry_changed", "array:entry_changed",
     "request length=4\nentry index=3 next=0xabcd\nsave"},
    {"some_kept", "array:retained", "request length=9 value=1\ncomplete index=1 length=0\nsave"},
    {"some_of_an_odd_number_kept", "array:retained", R"(
        queue index=3
        request length=6 value=1
        complete length=1
        request
        complete index=1 length=1
        save)"},
    {"none_kept", "array:retained", "request length=0 value=0\ncomplete length=0\nsave"},
    {"zeros", "array:zeroed", "activate index=5\nsave"},
    {"as_many_zeros_as_there_may_be", "array:zeroed", "activate index=1024\nsave"},
    {"one_zero_too_many", "error:kvm_call.too_many_entries", "request\nactivate index=1025\nsave"},
    {"counted_by_the_kernel", "array:counted_by_kernel", "publish queue=20 index=7\nsave"},
    {"counted_by_the_kernel_to_the_last", "array:counted_by_kernel",
     "publish queue=20 index=20\nrequest"},
    {"counted_by_the_kernel_to_nothing", "array:counted_by_kernel", "publish queue=20\nrequest"},
    {"the_kernel_counts_more_than_there_is_room", "error:kvm_call.entry_count",
     "publish queue=20 index=21\nrequest\nsave"},
    {"the_kernel_counts_far_more", "error:kvm_call.entry_count",
     "publish queue=0 index=0xffff\nsave"},
    {"a_changed_entry_restored", "value:restored",
     "request length=3\nsave\npatch index=60 width=8 value=0x1122334455667788\nrestore"},
    {"a_changed_header_restored", "value:restored",
     "request length=3\nsave\npatch index=4 width=4 value=0x11223344\nrestore\nrequest\nsave"},
    {"a_count_too_small", "error:kvm_call.state_length",
     "request length=3\nsave\npatch index=0 width=4 value=3\nrestore"},
    {"a_count_too_large", "error:kvm_call.state_length",
     "request length=3\nsave\npatch index=0 width=4 value=5\nrestore"},
    {"a_count_of_one_more_than_there_may_be", "error:kvm_call.too_many_entries",
     "request length=3\nsave\npatch index=0 width=4 value=1025\nrestore"},
    {"a_count_of_32_bits", "error:kvm_call.too_many_entries",
     "request length=3\nsave\npatch index=0 width=4 value=0xffffffff\nrestore"},
    {"a_count_whose_bytes_wrap", "error:kvm_call.too_many_entries",
     "request\nsave\npatch index=0 width=4 value=0x55555556\nrestore"},
    {"bytes_missing", "error:kvm_call.state_length", "request\nsave\npatch index=0x8037\nrestore"},
    {"bytes_left_over", "error:kvm_call.state_length",
     "request\nsave\npatch index=0x8039\nrestore"},
    {"an_entry_left_over", "error:kvm_call.state_length",
     "request\nsave\npatch index=0x8068\nrestore"},
    {"half_a_header", "error:kvm_call.state_length", "request\nsave\npatch index=0x8004\nrestore"},
    {"no_bytes", "value:restore_refused", "patch index=0x8000\npatch index=1 value=3\nrestore"},
    {"of_another_kind", "value:restore_refused", "request length=2\nsave\nqueue index=1\nrestore"},
    {"refused_and_gone_on", "value:restore_refused",
     "request\nsave\npatch index=0 width=1 value=9\nrestore\nrequest\nsave"},
    {"started_over", "value:saved", "request length=3\nreset\nsave"},
    {"saved_before_the_program", "value:restored", "restore\nrequest"},
};

class KvmArraySeed : public ::testing::TestWithParam<Seed> {
 protected:
  KvmArrayHarness harness;
};
TEST_P(KvmArraySeed, ReachesWhatItIsFor) { check_seed(harness, GetParam()); }
TEST_F(KvmArraySeed, TogetherReachEverything) { check_seeds(harness, kArraySeeds); }
INSTANTIATE_TEST_SUITE_P(Kvm, KvmArraySeed, ::testing::ValuesIn(kArraySeeds), seed_name);

}  // namespace
}  // namespace guestproof::testing
