// Memory slots, dirty logs and dirty rings, with a guest that writes.
#include <errno.h>

#include "kvm/guest.h"

namespace guestproof::kvm {
namespace {

constexpr std::uint64_t kPage = 4096;

class MemoryKvm : public GuestTest {
 protected:
  /// What the log of slot 0 says of all pages but the first, where the code is: some processors
  /// count the walk to it as a write.
  [[nodiscard]] std::uint64_t dirty_data_pages() {
    const auto log = value_of(vm.get_dirty_log(0));
    EXPECT_EQ(log.size(), 1U);
    return log.front() & ~std::uint64_t{1};
  }
  [[nodiscard]] kvm_userspace_memory_region region(std::uint32_t slot, std::uint64_t address,
                                                   std::uint64_t size, std::uint64_t offset = 0) {
    return {.slot = slot,
            .flags = 0,
            .guest_phys_addr = address,
            .memory_size = size,
            .userspace_addr = reinterpret_cast<std::uintptr_t>(host(offset))};
  }
};

TEST_F(MemoryKvm, TheGuestReadsAndWritesASlot) {
  boot(Program().load(4, kRam + 0x3000).store_loaded(4, kRam + 0x4000).done());
  volatile_access::store<std::uint32_t>(host(0x3000), 0xcafe0001);
  run_to_done();
  EXPECT_EQ(word(0x4000), 0xcafe0001);
}

TEST_F(MemoryKvm, AMovedSlotIsSeenWhereItIsNow) {
  boot(Program().load(4, kDevice).done().load(4, kDevice).done());
  EXPECT_OK(vm.set_memory_region(region(1, kDevice, kPage, 0x8000)));
  run_to_done();
  EXPECT_OK(vm.set_memory_region(region(1, kDevice + kPage, kPage, 0x8000)));
  EXPECT_EQ(run_to<MmioRead>().address, kDevice);
}

TEST_F(MemoryKvm, ADeletedSlotIsTheHosts) {
  boot(Program().store(4, kDevice, 1).store(4, kDevice, 2).done());
  EXPECT_OK(vm.set_memory_region(region(1, kDevice, kPage, 0x8000)));
  EXPECT_OK(vm.set_memory_region(region(1, kDevice, 0)));
  const auto write = run_to<MmioWrite>();
  EXPECT_EQ(write.address, kDevice);
  EXPECT_EQ(little(write.data()), 1U);
}

TEST_F(MemoryKvm, AWriteToAReadOnlySlotIsTheHosts) {
  GUESTPROOF_REQUIRE(has(Capability::kReadonlyMem), "KVM_CAP_READONLY_MEM");
  const auto rom = value_of(MappedMemory::Builder()
                                .anonymous(GuestAddress(kDevice), kPage, Protection::kReadOnly)
                                .build());
  volatile_access::store<std::uint32_t>(rom.regions().front().host(), 0xcafe0002);
  boot(Program().load(4, kDevice).store_loaded(4, kRam + 0x4000).store(4, kDevice, 5).done());
  EXPECT_OK(vm.map(rom, 1));
  EXPECT_EQ(run_to<MmioWrite>().address, kDevice);
  EXPECT_EQ(word(0x4000), 0xcafe0002);
  EXPECT_OK(vm.set_memory_region(region(1, kDevice, 0)));
}

TEST_F(MemoryKvm, SlotsThatOverlapAreRefused) {
  map_ram();
  EXPECT_TRUE(refused(vm.set_memory_region(region(1, kRam + kPage, kPage)),
                      Ioctl::kSetUserMemoryRegion, EEXIST));
}

TEST_F(MemoryKvm, ASlotThatIsNotAlignedIsRefused) {
  EXPECT_TRUE(refused(vm.set_memory_region(region(0, kRam + 1, kPage)), Ioctl::kSetUserMemoryRegion,
                      EINVAL));
}

TEST_F(MemoryKvm, ASlotNumberPastTheLastIsRefused) {
  const auto slots = static_cast<std::uint32_t>(value_of(kvm.max_memory_slots()));
  EXPECT_TRUE(refused(vm.set_memory_region(region(slots, kRam, kPage)), Ioctl::kSetUserMemoryRegion,
                      EINVAL));
}

TEST_F(MemoryKvm, TheDirtyLogHasThePagesThatTheGuestWrote) {
  boot(Program().store(4, kRam + 0x5000, 1).store(1, kRam + 0x7fff, 1).done());
  ASSERT_OK(vm.map(*ram, 0, KVM_MEM_LOG_DIRTY_PAGES));
  run_to_done();
  EXPECT_EQ(dirty_data_pages(), 1U << 5 | 1U << 7);
  // Asking has cleared it.
  EXPECT_EQ(dirty_data_pages(), 0U);
}

TEST_F(MemoryKvm, TheDirtyLogOfASlotWithoutOneIsRefused) {
  map_ram();
  EXPECT_TRUE(refused(vm.get_dirty_log(0), Ioctl::kGetDirtyLog, ENOENT));
}

TEST_F(MemoryKvm, TheDirtyLogOfASlotThatThereIsNotIsRefusedBeforeTheKernelWritesAnything) {
  const auto log = vm.get_dirty_log(7);
  ASSERT_FALSE(log.has_value());
  EXPECT_EQ(log.error(), Error(CallError::kUnknownSlot, 7));
}

TEST_F(MemoryKvm, WithManualProtectionTheDirtyLogIsClearedPageByPage) {
  GUESTPROOF_REQUIRE(has(Capability::kManualDirtyLogProtect2), "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2");
  ASSERT_OK(vm.enable_capability(Capability::kManualDirtyLogProtect2,
                                 {KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE}));
  boot(Program().store(4, kRam + 0x5000, 1).store(4, kRam + 0x6000, 1).done());
  ASSERT_OK(vm.map(*ram, 0, KVM_MEM_LOG_DIRTY_PAGES));
  run_to_done();
  EXPECT_EQ(dirty_data_pages(), 3U << 5);
  const std::array<std::uint64_t, 1> one{1U << 5};
  ASSERT_OK(vm.clear_dirty_log(0, 0, kRamSize / kPage, one));
  EXPECT_EQ(dirty_data_pages(), 1U << 6);
}

TEST_F(MemoryKvm, TheDirtyRingHasThePagesInTheOrderOfTheWrites) {
  GUESTPROOF_REQUIRE(has(Capability::kDirtyLogRing) || has(Capability::kDirtyLogRingAcqRel),
                     "KVM_CAP_DIRTY_LOG_RING");
  constexpr std::uint32_t kRingBytes = 65536;
  ASSERT_OK(vm.enable_dirty_rings(kRingBytes));
  boot(Program().store(4, kRam + 0x9000, 1).store(4, kRam + 0x5000, 1).done());
  auto mapped = value_of(vcpu->map_dirty_ring(kRingBytes));
  ASSERT_OK(vm.map(*ram, 0, KVM_MEM_LOG_DIRTY_PAGES));
  run_to_done();
  std::vector<std::uint64_t> pages;
  const auto count = value_of(mapped.ring.drain([&](const DirtyPage& dirty) {
    EXPECT_EQ(dirty.slot, 0U);
    if (dirty.page != 0) pages.push_back(dirty.page);  // the code's
  }));
  EXPECT_EQ(pages, (std::vector<std::uint64_t>{9, 5}));
  EXPECT_EQ(value_of(vm.reset_dirty_rings()), count);
}

TEST_F(MemoryKvm, ASecondMappingOfADirtyRingGoesOnWhereTheFirstWas) {
  GUESTPROOF_REQUIRE(has(Capability::kDirtyLogRing) || has(Capability::kDirtyLogRingAcqRel),
                     "KVM_CAP_DIRTY_LOG_RING");
  constexpr std::uint32_t kRingBytes = 65536;
  ASSERT_OK(vm.enable_dirty_rings(kRingBytes));
  boot(Program().store(4, kRam + 0x9000, 1).done().store(4, kRam + 0x5000, 1).done());
  ASSERT_OK(vm.map(*ram, 0, KVM_MEM_LOG_DIRTY_PAGES));
  auto first = value_of(vcpu->map_dirty_ring(kRingBytes));
  run_to_done();
  EXPECT_GE(value_of(first.ring.drain([](const DirtyPage&) {})), 1U);
  run_to_done();
  auto second = value_of(vcpu->map_dirty_ring(kRingBytes, first.ring.next()));
  std::vector<std::uint64_t> pages;
  EXPECT_GE(
      value_of(second.ring.drain([&](const DirtyPage& dirty) { pages.push_back(dirty.page); })),
      1U);
  EXPECT_EQ(std::ranges::count(pages, 5U), 1);
  EXPECT_EQ(std::ranges::count(pages, 9U), 0);
}

TEST_F(MemoryKvm, AFullDirtyRingIsAnExit) {
  GUESTPROOF_REQUIRE(has(Capability::kDirtyLogRing) || has(Capability::kDirtyLogRingAcqRel),
                     "KVM_CAP_DIRTY_LOG_RING");
  // The smallest ring has 512 entries or so, most of them kept for what the processor logs itself.
  constexpr std::uint32_t kRingBytes = 16384;
  constexpr std::uint64_t kPages = 2048;
  ASSERT_OK(vm.enable_dirty_rings(kRingBytes));
  ram.emplace(
      value_of(MappedMemory::Builder().anonymous(GuestAddress(kRam), kPages * kPage).build()));
  Program program;
  for (std::uint64_t page = 64; page < kPages; ++page) program.store(1, kRam + page * kPage, 1);
  ASSERT_LE(program.code().size(), 64 * kPage);
  map_ram();
  vcpu.emplace(value_of(vm.create_vcpu(0)));
  reset(*vcpu);
  std::memcpy(host(0), program.code().data(), program.code().size());
  auto mapped = value_of(vcpu->map_dirty_ring(kRingBytes));
  ASSERT_OK(vm.map(*ram, 0, KVM_MEM_LOG_DIRTY_PAGES));
  (void)run_to<DirtyRingFull>();
  EXPECT_GT(value_of(mapped.ring.drain([](const DirtyPage&) {})), 0U);
  EXPECT_GT(value_of(vm.reset_dirty_rings()), 0U);
}

TEST_F(MemoryKvm, GuestMemfdBacksASlot) {
  GUESTPROOF_REQUIRE(has(Capability::kGuestMemfd), "KVM_CAP_GUEST_MEMFD");
  GUESTPROOF_REQUIRE(has(Capability::kUserMemory2), "KVM_CAP_USER_MEMORY2");
  const auto memory = value_of(vm.create_guest_memfd(kRamSize));
  kvm_userspace_memory_region2 region2{};
  region2.guest_phys_addr = kRam;
  region2.memory_size = kRamSize;
  region2.userspace_addr = reinterpret_cast<std::uintptr_t>(host(0));
  region2.flags = KVM_MEM_GUEST_MEMFD;
  region2.guest_memfd = static_cast<std::uint32_t>(memory.get());
  EXPECT_OK(vm.set_memory_region(region2));
}

TEST_F(MemoryKvm, WhatNewerKernelsAddedIsThereWhenTheCapabilitySaysSo) {
  const auto memfd = vm.create_guest_memfd(kRamSize);
  EXPECT_EQ(memfd.has_value(), has(Capability::kGuestMemfd));
  const auto attributes = vm.set_memory_attributes(kRam, kRamSize, 0);
  EXPECT_EQ(attributes.has_value(), has(Capability::kMemoryAttributes));
  kvm_userspace_memory_region2 region2{};
  region2.guest_phys_addr = kRam;
  region2.memory_size = kRamSize;
  region2.userspace_addr = reinterpret_cast<std::uintptr_t>(host(0));
  EXPECT_EQ(vm.set_memory_region(region2).has_value(), has(Capability::kUserMemory2));
}

TEST_F(MemoryKvm, MemoryIsMappedBeforeTheGuestAsksForIt) {
  boot(Program().done());
  GUESTPROOF_REQUIRE(has(Capability::kPreFaultMemory), "KVM_CAP_PRE_FAULT_MEMORY");
  EXPECT_EQ(value_of(vcpu->pre_fault_memory(kRam, kRamSize)), 0U);
}

}  // namespace
}  // namespace guestproof::kvm
