#include "vmm/x86_64/vcpu.h"

#include <gtest/gtest.h>

namespace guestproof::vmm::x86_64 {
namespace {

kvm_cpuid_entry2 entry(std::uint32_t function, std::uint32_t index = 0) {
  kvm_cpuid_entry2 made{};
  made.function = function;
  made.index = index;
  made.eax = made.ebx = made.ecx = made.edx = 0xffffffff;
  return made;
}

class Processor : public testing::Test {
 protected:
  /// What becomes of this leaf of the host.
  kvm_cpuid_entry2 leaf(std::uint32_t id, std::uint32_t count, kvm_cpuid_entry2 of,
                        bool deadline_timer = true) {
    cpuid = processor_cpuid(kvm::CpuId::of(std::span(&of, 1)).value(), id, count, deadline_timer)
                .value();
    return cpuid.entries()[0];
  }
  /// Sub-leaf `index` of leaf 0xb.
  kvm_cpuid_entry2 topology(std::uint32_t index) {
    for (const auto& entry : cpuid.entries())
      if (entry.function == 0xb && entry.index == index) return entry;
    ADD_FAILURE() << "there is no sub-leaf " << index;
    return {};
  }
  kvm::CpuId cpuid;
};

TEST_F(Processor, HasItsOwnApic) {
  EXPECT_EQ(leaf(3, 4, entry(1)).ebx, 0x0304ffffu);
  EXPECT_EQ(topology(0).edx, 3u);
  EXPECT_EQ(topology(1).edx, 3u);
  const auto amd = leaf(3, 4, entry(0x8000001e));
  EXPECT_EQ(amd.eax, 3u);
  EXPECT_EQ(amd.ebx, 3u);  // of a core with one thread
  EXPECT_EQ(amd.ecx, 0u);
}

TEST_F(Processor, KnowsOfItsHypervisorAndTimer) {
  auto none = entry(1);
  none.ecx = none.edx = 0;
  EXPECT_EQ(leaf(0, 1, none, true).ecx, 1u << 31 | 1u << 24);
  EXPECT_EQ(leaf(0, 1, entry(1), false).ecx, ~(1u << 24));
  EXPECT_EQ(leaf(0, 2, none).edx, 1u << 28);
  EXPECT_EQ(leaf(0, 1, entry(1)).edx, ~(1u << 28));
}

// The host's own leaves say another topology, and KVM may give one sub-leaf of them only.
TEST_F(Processor, IsACoreOfOnePackage) {
  for (const auto function : {0xbu, 0x1fu}) {
    static_cast<void>(leaf(1, 5, entry(function, 0)));
    EXPECT_EQ(cpuid.size(), 3u);
    EXPECT_EQ(topology(0).eax, 0u);
    EXPECT_EQ(topology(0).ebx, 1u);
    EXPECT_EQ(topology(0).ecx, 0x100u);
    EXPECT_EQ(topology(1).eax, 3u);
    EXPECT_EQ(topology(1).ebx, 5u);
    EXPECT_EQ(topology(1).ecx, 0x201u);
    EXPECT_EQ(topology(2).ebx, 0u);
    EXPECT_EQ(topology(2).ecx, 2u);
    // Of leaves without it KVM looks at no index: each sub-leaf would be the first.
    for (std::uint32_t index = 0; index < 3; ++index)
      EXPECT_EQ(topology(index).flags, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
  }
  static_cast<void>(leaf(0, 1, entry(0xb)));
  EXPECT_EQ(topology(1).eax, 0u);
  EXPECT_EQ(leaf(0, 4, entry(0x80000008)).ecx & 0xf0ff, 0x2003u);
}

TEST_F(Processor, SharesTheLastCacheWithAllOthers) {
  auto cache = entry(4);
  cache.eax = 3 << 5 | 3 | 9 << 14 | 63u << 26;
  EXPECT_EQ(leaf(0, 3, cache).eax, 3u << 5 | 3 | 3 << 14 | 3u << 26);
  cache.eax = 1 << 5 | 1 | 1 << 14;
  EXPECT_EQ(leaf(0, 3, cache).eax, 1u << 5 | 1 | 3u << 26);
  cache.eax = 0;
  EXPECT_EQ(leaf(0, 4, cache).eax, 0u);
  cache.function = 0x8000001d;
  cache.eax = 3 << 5 | 3 | 1 << 14;
  EXPECT_EQ(leaf(0, 4, cache).eax, 3u << 5 | 3 | 3 << 14);
}

TEST_F(Processor, HasRoomForItself) {
  const std::vector<kvm_cpuid_entry2> full(kvm::CpuId::kLimit - 2, entry(7));
  EXPECT_EQ(processor_cpuid(kvm::CpuId::of(full).value(), 0, 1, true).error(),
            kvm::CallError::kTooManyEntries);
}

TEST_F(Processor, LeavesTheRestAsItIs) {
  EXPECT_EQ(leaf(1, 4, entry(7)).ebx, 0xffffffffu);
  EXPECT_EQ(leaf(1, 4, entry(1)).eax, 0xffffffffu);
}

}  // namespace
}  // namespace guestproof::vmm::x86_64
