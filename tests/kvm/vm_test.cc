#include "guestproof/kvm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>

#include "kvm/fake_kvm.h"
#include "print.h"

namespace guestproof::kvm {
namespace {

constexpr unsigned long kCheckExtension = 0xAE03;
constexpr unsigned long kCreateVcpu = 0xAE41;
constexpr unsigned long kGetDirtyLog = 0x4010AE42;
constexpr unsigned long kClearDirtyLog = 0xC018AEC0;
constexpr unsigned long kSetUserMemoryRegion = 0x4020AE46;
constexpr unsigned long kSetUserMemoryRegion2 = 0x40A0AE49;
constexpr unsigned long kCreateDevice = 0xC00CAEE0;
constexpr unsigned long kIrqfd = 0x4020AE76;
constexpr unsigned long kIoeventfd = 0x4040AE79;
constexpr unsigned long kEnableCap = 0x4068AEA3;
constexpr unsigned long kGetStatsFd = 0xAECE;

const std::uint64_t kPage = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));

/// How the dirty log of `slot` is asked for.
Wire dirty_log_of(std::uint32_t slot) { return Wire().u32(slot).u32(0).pointer(); }

/// Writes a word of the bitmap that a KVM_GET_DIRTY_LOG points to.
auto writes_dirty_word(std::size_t index, std::uint64_t word) {
  return [=](std::byte* argument) {
    std::uint64_t* bitmap = nullptr;
    std::memcpy(static_cast<void*>(&bitmap), argument + 8, sizeof bitmap);
    bitmap[index] = word;
  };
}

class VmTest : public testing::Test {
 protected:
  /// A slot of so many pages, which the kernel takes.
  void set_slot(std::uint32_t slot, std::uint64_t pages) {
    kernel_.expect(vm_.fd(), kSetUserMemoryRegion);
    ASSERT_TRUE(vm_.set_memory_region(kvm_userspace_memory_region{slot, 0, 0, pages * kPage, 0})
                    .has_value());
  }
  /// KVM_IOEVENTFD with these fields: datamatch, addr, len, fd, flags, padding.
  void expect_ioeventfd(std::uint64_t datamatch, std::uint64_t address, std::uint32_t length,
                        std::uint32_t flags) {
    kernel_.expect(vm_.fd(), kIoeventfd,
                   Wire()
                       .u64(datamatch)
                       .u64(address)
                       .u32(length)
                       .u32(static_cast<std::uint32_t>(event_.get()))
                       .u32(flags)
                       .zeros(36));
  }
  /// KVM_IRQFD with these fields: fd, gsi, flags, resamplefd, padding.
  void expect_irqfd(std::uint32_t gsi, std::uint32_t flags, int resample) {
    kernel_.expect(vm_.fd(), kIrqfd,
                   Wire()
                       .u32(static_cast<std::uint32_t>(event_.get()))
                       .u32(gsi)
                       .u32(flags)
                       .u32(static_cast<std::uint32_t>(resample))
                       .zeros(16));
  }

  FakeKvm kernel_;
  Vm vm_ = Vm::adopt(memory_file(0), 3 * kPage);
  EventFd event_ = *EventFd::create();
};

TEST_F(VmTest, AMovedVmTakesTheDescriptorAndItsSlotsAlong) {
  const int raw = vm_.fd();
  set_slot(1, 64);
  const Vm moved = std::move(vm_);
  EXPECT_EQ(moved.fd(), raw);
  EXPECT_EQ(vm_.fd(), -1);  // NOLINT(bugprone-use-after-move): it owns nothing now
  kernel_.expect(raw, kGetDirtyLog, dirty_log_of(1));
  EXPECT_EQ(moved.get_dirty_log(1)->size(), 1U);
}

TEST_F(VmTest, AReleasedDescriptorStaysOpen) {
  const int raw = vm_.fd();
  const Fd released = std::move(vm_).release();
  EXPECT_EQ(released.get(), raw);
  EXPECT_NE(::fcntl(raw, F_GETFD), -1);
}

TEST_F(VmTest, AsksForCapabilitiesByNameAndByNumber) {
  kernel_.expect(vm_.fd(), kCheckExtension, 192).returns(65536);
  EXPECT_EQ(vm_.check_extension(Capability::kDirtyLogRing), 65536);
  kernel_.expect(vm_.fd(), kCheckExtension, 4711);
  EXPECT_EQ(vm_.check_extension(4711), 0);
}

TEST_F(VmTest, EnablesACapability) {
  kernel_.expect(vm_.fd(), kEnableCap, Wire().u32(121).u32(0).u64(24).zeros(24 + 64));
  EXPECT_TRUE(vm_.enable_capability(Capability::kSplitIrqchip, {24}).has_value());
  kernel_.expect(vm_.fd(), kEnableCap, Wire().u32(116).u32(9).zeros(32 + 64));
  EXPECT_TRUE(vm_.enable_capability(Capability::kDisableQuirks, {}, 9).has_value());
}

TEST_F(VmTest, SetsAMemorySlot) {
  kernel_.expect(vm_.fd(), kSetUserMemoryRegion,
                 Wire().u32(0x10002).u32(3).u64(0x123456789000).u64(0x2000).u64(0x7f0012340000));
  const kvm_userspace_memory_region region{0x10002, 3, 0x123456789000, 0x2000, 0x7f0012340000};
  EXPECT_TRUE(vm_.set_memory_region(region).has_value());
}

TEST_F(VmTest, SetsAMemorySlotWithAGuestMemfd) {
  kernel_.expect(vm_.fd(), kSetUserMemoryRegion2,
                 Wire()
                     .u32(2)
                     .u32(4)
                     .u64(0x100000)
                     .u64(0x2000)
                     .u64(0x7f0012340000)
                     .u64(0x3000)
                     .u32(17)
                     .zeros(4 + 112));
  kvm_userspace_memory_region2 region{};
  region.slot = 2;
  region.flags = 4;
  region.guest_phys_addr = 0x100000;
  region.memory_size = 0x2000;
  region.userspace_addr = 0x7f0012340000;
  region.guest_memfd_offset = 0x3000;
  region.guest_memfd = 17;
  EXPECT_TRUE(vm_.set_memory_region(region).has_value());
}

TEST_F(VmTest, MapsEachRegionAsASlot) {
  const auto memory = *MappedMemory::Builder()
                           .anonymous(GuestAddress(0), 2 * kPage)
                           .anonymous(GuestAddress(16 * kPage), kPage, Protection::kReadOnly)
                           .build();
  const auto host = [&](std::size_t region) {
    return reinterpret_cast<std::uintptr_t>(memory.regions()[region].host());
  };
  kernel_.expect(vm_.fd(), kSetUserMemoryRegion,
                 Wire().u32(5).u32(1).u64(0).u64(2 * kPage).u64(host(0)));
  kernel_.expect(vm_.fd(), kSetUserMemoryRegion,
                 Wire().u32(6).u32(1 | 2).u64(16 * kPage).u64(kPage).u64(host(1)));
  EXPECT_TRUE(vm_.map(memory, 5, KVM_MEM_LOG_DIRTY_PAGES).has_value());
}

TEST_F(VmTest, MappingStopsAtTheFirstSlotThatIsRefused) {
  const auto memory = *MappedMemory::Builder()
                           .anonymous(GuestAddress(0), kPage)
                           .anonymous(GuestAddress(16 * kPage), kPage)
                           .anonymous(GuestAddress(32 * kPage), kPage)
                           .build();
  kernel_.expect(vm_.fd(), kSetUserMemoryRegion);
  kernel_.expect(vm_.fd(), kSetUserMemoryRegion).fails(EEXIST);
  EXPECT_EQ(vm_.map(memory).error(), Error(Ioctl::kSetUserMemoryRegion, EEXIST));
  kernel_.expect(vm_.fd(), kGetDirtyLog);
  EXPECT_TRUE(vm_.get_dirty_log(0).has_value());
  EXPECT_EQ(vm_.get_dirty_log(1).error(), Error(CallError::kUnknownSlot, 1));
}

TEST_F(VmTest, CreatesAGuestMemfd) {
  const int raw = memory_file(0).release();
  ASSERT_EQ(::fcntl(raw, F_SETFD, 0), 0);  // as the kernel makes it
  kernel_.expect(vm_.fd(), 0xC040AED4, Wire().u64(0x200000).u64(1).zeros(48)).returns(raw);
  const auto memfd = vm_.create_guest_memfd(0x200000, 1);
  ASSERT_TRUE(memfd.has_value());
  EXPECT_EQ(memfd->get(), raw);
  EXPECT_EQ(::fcntl(raw, F_GETFD), FD_CLOEXEC);
}

TEST_F(VmTest, SetsMemoryAttributesOfARange) {
  kernel_.expect(vm_.fd(), 0x4020AED2, Wire().u64(0x1000).u64(0x3000).u64(8).u64(0));
  EXPECT_TRUE(vm_.set_memory_attributes(0x1000, 0x3000, KVM_MEMORY_ATTRIBUTE_PRIVATE).has_value());
}

TEST_F(VmTest, ADirtyLogHasOneBitPerPageOfItsSlot) {
  set_slot(0x10003, 65);
  kernel_.expect(vm_.fd(), kGetDirtyLog, dirty_log_of(0x10003))
      .does(writes_dirty_word(0, 0x8000000000000001))
      .does(writes_dirty_word(1, 1));
  EXPECT_EQ(vm_.get_dirty_log(0x10003), (std::vector<std::uint64_t>{0x8000000000000001, 1}));
}

TEST_F(VmTest, ADirtyLogIsAsLongAsTheKernelWrites) {
  set_slot(0, 1);
  set_slot(1, 64);
  set_slot(2, 128);
  kernel_.expect(vm_.fd(), kGetDirtyLog, dirty_log_of(0));
  EXPECT_EQ(vm_.get_dirty_log(0)->size(), 1U);
  kernel_.expect(vm_.fd(), kGetDirtyLog, dirty_log_of(1));
  EXPECT_EQ(vm_.get_dirty_log(1)->size(), 1U);
  kernel_.expect(vm_.fd(), kGetDirtyLog, dirty_log_of(2));
  EXPECT_EQ(vm_.get_dirty_log(2)->size(), 2U);
}

TEST_F(VmTest, ADirtyLogThatTheKernelRefusesIsAnError) {
  set_slot(1, 64);
  kernel_.expect(vm_.fd(), kGetDirtyLog).fails(ENXIO);
  EXPECT_EQ(vm_.get_dirty_log(1).error(), Error(Ioctl::kGetDirtyLog, ENXIO));
}

TEST_F(VmTest, ADirtyLogOfAnUnknownSlotIsNotAskedFor) {
  EXPECT_EQ(vm_.get_dirty_log(7).error(), Error(CallError::kUnknownSlot, 7));
}

TEST_F(VmTest, ADeletedSlotIsForgotten) {
  set_slot(7, 64);
  set_slot(7, 0);
  EXPECT_EQ(vm_.get_dirty_log(7).error(), Error(CallError::kUnknownSlot, 7));
}

TEST_F(VmTest, ASlotThatTheKernelDoesNotTakeIsNotRemembered) {
  set_slot(7, 128);
  kernel_.expect(vm_.fd(), kSetUserMemoryRegion).fails(EINVAL);
  EXPECT_EQ(vm_.set_memory_region(kvm_userspace_memory_region{7, 0, 0, kPage, 0}).error(),
            Error(Ioctl::kSetUserMemoryRegion, EINVAL));
  kernel_.expect(vm_.fd(), kGetDirtyLog, dirty_log_of(7));
  EXPECT_EQ(vm_.get_dirty_log(7)->size(), 2U);
}

TEST_F(VmTest, ClearsPartOfADirtyLog) {
  const std::array<std::uint64_t, 2> bitmap{0x5, 0x1};
  std::uint64_t seen = 0;
  // slot, num_pages, first_page, dirty_bitmap
  kernel_.expect(vm_.fd(), kClearDirtyLog, Wire().u32(3).u32(65).u64(128).pointer())
      .does([&](std::byte* argument) {
        const std::byte* pointer = nullptr;
        std::memcpy(static_cast<void*>(&pointer), argument + 16, sizeof pointer);
        std::memcpy(&seen, pointer, sizeof seen);
      });
  EXPECT_TRUE(vm_.clear_dirty_log(3, 128, 65, bitmap).has_value());
  EXPECT_EQ(seen, 0x5U);
}

TEST_F(VmTest, ABitmapThatIsNotAsLongAsItsPagesIsNotHandedIn) {
  const std::array<std::uint64_t, 2> bitmap{};
  EXPECT_EQ(vm_.clear_dirty_log(3, 0, 64, bitmap).error(), Error(CallError::kBitmapLength, 2, 1));
  EXPECT_EQ(vm_.clear_dirty_log(3, 0, 129, bitmap).error(), Error(CallError::kBitmapLength, 2, 3));
  EXPECT_EQ(vm_.clear_dirty_log(3, 0, 0xffffffff, bitmap).error(),
            Error(CallError::kBitmapLength, 2, 0x4000000));
}

TEST_F(VmTest, DirtyRingsAreOrderedWhereTheKernelOffersIt) {
  kernel_.expect(vm_.fd(), kCheckExtension, 223).returns(65536);
  kernel_.expect(vm_.fd(), kEnableCap, Wire().u32(223).u32(0).u64(4096).zeros(24 + 64));
  EXPECT_TRUE(vm_.enable_dirty_rings(4096).has_value());
  kernel_.expect(vm_.fd(), kCheckExtension, 223).returns(0);
  kernel_.expect(vm_.fd(), kEnableCap, Wire().u32(192).u32(0).u64(4096).zeros(24 + 64));
  EXPECT_TRUE(vm_.enable_dirty_rings(4096).has_value());
  kernel_.expect(vm_.fd(), kCheckExtension, 223).fails(EBADF);
  EXPECT_EQ(vm_.enable_dirty_rings(4096).error(), Error(Ioctl::kCheckExtension, EBADF));
}

TEST_F(VmTest, ResettingDirtyRingsTellsHowManyEntries) {
  kernel_.expect(vm_.fd(), 0xAEC7, 0).returns(37);
  EXPECT_EQ(vm_.reset_dirty_rings(), 37U);
}

#if defined(__x86_64__)
/// Two answers that x86_64 asks for before a vCPU is mapped.
constexpr unsigned long kXsave2 = 208;

TEST_F(VmTest, CreatesAVcpuWithItsRunPageAndXsaveArea) {
  const int raw = memory_file(3 * kPage).release();
  kernel_.expect(vm_.fd(), kCreateVcpu, 5).returns(raw);
  kernel_.expect(vm_.fd(), kCheckExtension, kXsave2).returns(11008);
  const auto vcpu = vm_.create_vcpu(5);
  ASSERT_TRUE(vcpu.has_value());
  EXPECT_EQ(vcpu->fd(), raw);
  EXPECT_EQ(vcpu->page().mapping().size(), 3 * kPage);
  kernel_.expect(raw, 0x9000AECF, Wire().zeros(11008));
  EXPECT_EQ(vcpu->get_xsave2()->words.size(), 11008U / 4);
}

TEST_F(VmTest, AKernelThatDoesNotTellHasXsaveAreasOf4096Bytes) {
  const int raw = memory_file(3 * kPage).release();
  kernel_.expect(vm_.fd(), kCreateVcpu, 5).returns(raw);
  kernel_.expect(vm_.fd(), kCheckExtension, kXsave2).returns(0);
  const auto vcpu = vm_.create_vcpu(5);
  kernel_.expect(raw, 0x9000AECF, Wire().zeros(4096));
  EXPECT_EQ(vcpu->get_xsave2()->words.size(), 1024U);
}

TEST_F(VmTest, AVcpuWhoseXsaveAreaCannotBeAskedForIsRefusedAndClosed) {
  kernel_.expect(vm_.fd(), kCreateVcpu, 5).returns(memory_file(3 * kPage).release());
  kernel_.expect(vm_.fd(), kCheckExtension, kXsave2).fails(EPERM);
  EXPECT_EQ(vm_.create_vcpu(5).error(), Error(Ioctl::kCheckExtension, EPERM));
}

TEST_F(VmTest, AVcpuThatCannotBeMappedIsClosed) {
  const int not_a_vcpu = ::eventfd(0, EFD_CLOEXEC);
  kernel_.expect(vm_.fd(), kCreateVcpu, 5).returns(not_a_vcpu);
  kernel_.expect(vm_.fd(), kCheckExtension, kXsave2);
  EXPECT_EQ(vm_.create_vcpu(5).error(), Error(SystemError::kMap, ENODEV));
}
#else
TEST_F(VmTest, CreatesAVcpuWithItsRunPage) {
  const int raw = memory_file(3 * kPage).release();
  kernel_.expect(vm_.fd(), kCreateVcpu, 5).returns(raw);
  const auto vcpu = vm_.create_vcpu(5);
  ASSERT_TRUE(vcpu.has_value());
  EXPECT_EQ(vcpu->fd(), raw);
  EXPECT_EQ(vcpu->page().mapping().size(), 3 * kPage);
}
#endif

TEST_F(VmTest, CreatesADevice) {
  const int raw = memory_file(0).release();
  // type, fd, flags
  kernel_.expect(vm_.fd(), kCreateDevice, Wire().u32(4).u32(0).u32(0))
      .writes(Wire().u32(static_cast<std::uint32_t>(raw)), 4);
  const auto device = vm_.create_device(KVM_DEV_TYPE_VFIO);
  ASSERT_TRUE(device.has_value());
  EXPECT_EQ(device->fd(), raw);
}

TEST_F(VmTest, TestsForADeviceWithoutMakingOne) {
  kernel_.expect(vm_.fd(), kCreateDevice, Wire().u32(4).u32(0).u32(1));
  EXPECT_TRUE(vm_.test_device(KVM_DEV_TYPE_VFIO).has_value());
}

TEST_F(VmTest, CreatesAnInterruptController) {
  kernel_.expect(vm_.fd(), 0xAE60, 0);
  EXPECT_TRUE(vm_.create_irqchip().has_value());
}

TEST_F(VmTest, RaisesAndLowersALine) {
  kernel_.expect(vm_.fd(), 0x4008AE61, Wire().u32(0x01000021).u32(1));
  EXPECT_TRUE(vm_.set_irq_line(0x01000021, true).has_value());
  kernel_.expect(vm_.fd(), 0x4008AE61, Wire().u32(0x01000021).u32(0));
  EXPECT_TRUE(vm_.set_irq_line(0x01000021, false).has_value());
}

TEST_F(VmTest, SignalsAnMsiAndTellsWhetherItWasDelivered) {
  const auto wire = Wire().u32(0xfee00000).u32(1).u32(0x41).u32(1).u32(0x10).zeros(12);
  const kvm_msi msi{.address_lo = 0xfee00000,
                    .address_hi = 1,
                    .data = 0x41,
                    .flags = 1,
                    .devid = 0x10,
                    .pad = {}};
  kernel_.expect(vm_.fd(), 0x4020AEA5, wire).returns(2);
  EXPECT_EQ(vm_.signal_msi(msi), true);
  kernel_.expect(vm_.fd(), 0x4020AEA5, wire).returns(0);
  EXPECT_EQ(vm_.signal_msi(msi), false);
}

TEST_F(VmTest, ReplacesAllRoutes) {
  const auto routing =
      *IrqRouting::of(std::array{irqchip_route(9, 2, 8), msi_route(24, 0x1fee00000, 0x4041),
                                 msi_route(25, 0xfee01000, 0x42, 0x0810)});
  // nr, flags; then gsi, type, flags, padding and eight words.
  kernel_.expect(vm_.fd(), 0x4008AE6A,
                 Wire()
                     .u32s({3, 0})
                     .u32s({9, 1, 0, 0, 2, 8, 0, 0, 0, 0, 0, 0})
                     .u32s({24, 2, 0, 0, 0xfee00000, 1, 0x4041, 0, 0, 0, 0, 0})
                     .u32s({25, 2, 1, 0, 0xfee01000, 0, 0x42, 0x0810, 0, 0, 0, 0}));
  EXPECT_TRUE(vm_.set_gsi_routing(routing).has_value());
}

TEST_F(VmTest, NoRoutesAreRoutesToo) {
  kernel_.expect(vm_.fd(), 0x4008AE6A, Wire().u32(0).u32(0));
  EXPECT_TRUE(vm_.set_gsi_routing(IrqRouting()).has_value());
}

TEST_F(VmTest, RegistersAnIrqfd) {
  expect_irqfd(24, 0, 0);
  EXPECT_TRUE(vm_.register_irqfd(event_, 24).has_value());
}

TEST_F(VmTest, RegistersAnIrqfdWithResample) {
  const auto resample = *EventFd::create();
  expect_irqfd(24, 2, resample.get());
  EXPECT_TRUE(vm_.register_irqfd_with_resample(event_, resample, 24).has_value());
}

TEST_F(VmTest, UnregistersAnIrqfd) {
  expect_irqfd(24, 1, 0);
  EXPECT_TRUE(vm_.unregister_irqfd(event_, 24).has_value());
}

TEST_F(VmTest, RegistersAnIoeventfdForAnyWrite) {
  expect_ioeventfd(0, 0x123456789000, 0, 0);
  EXPECT_TRUE(vm_.register_ioeventfd(event_, IoEvent::mmio(0x123456789000)).has_value());
  expect_ioeventfd(0, 0xc050, 0, 2);
  EXPECT_TRUE(vm_.register_ioeventfd(event_, IoEvent::pio(0xc050)).has_value());
}

TEST_F(VmTest, RegistersAnIoeventfdForWritesOfALength) {
  for (const std::uint32_t length : {1U, 2U, 4U, 8U}) {
    expect_ioeventfd(0, 0x1000, length, 0);
    EXPECT_TRUE(
        vm_.register_ioeventfd(event_, IoEvent::mmio(0x1000).of_length(length)).has_value());
  }
}

TEST_F(VmTest, TheWidthOfADatamatchIsTheLengthOfTheWrite) {
  const auto mmio = IoEvent::mmio(0x1000);
  expect_ioeventfd(0x80, 0x1000, 1, 1);
  EXPECT_TRUE(vm_.register_ioeventfd(event_, mmio.matching(std::uint8_t{0x80})).has_value());
  expect_ioeventfd(0x8001, 0x1000, 2, 1);
  EXPECT_TRUE(vm_.register_ioeventfd(event_, mmio.matching(std::uint16_t{0x8001})).has_value());
  expect_ioeventfd(0, 0x1000, 4, 1);
  EXPECT_TRUE(vm_.register_ioeventfd(event_, mmio.matching(std::uint32_t{0})).has_value());
  expect_ioeventfd(0x8000000000000001, 0xc050, 8, 1 | 2);
  EXPECT_TRUE(vm_.register_ioeventfd(event_, IoEvent::pio(0xc050).matching(0x8000000000000001U))
                  .has_value());
}

TEST_F(VmTest, ALengthKeepsADatamatch) {
  expect_ioeventfd(7, 0x1000, 4, 1);
  EXPECT_TRUE(
      vm_.register_ioeventfd(event_, IoEvent::mmio(0x1000).matching(std::uint16_t{7}).of_length(4))
          .has_value());
}

TEST_F(VmTest, UnregistersAnIoeventfdWithWhatItWasRegistered) {
  expect_ioeventfd(7, 0xc050, 2, 1 | 2 | 4);
  EXPECT_TRUE(vm_.unregister_ioeventfd(event_, IoEvent::pio(0xc050).matching(std::uint16_t{7}))
                  .has_value());
  expect_ioeventfd(0, 0x1000, 0, 4);
  EXPECT_TRUE(vm_.unregister_ioeventfd(event_, IoEvent::mmio(0x1000)).has_value());
}

TEST_F(VmTest, AnIoeventfdOfAnotherLengthIsNotHandedIn) {
  for (const std::uint32_t length : {3U, 5U, 6U, 7U, 9U, 16U, 0xffffffffU}) {
    const auto io = IoEvent::mmio(0x1000).of_length(length);
    EXPECT_EQ(vm_.register_ioeventfd(event_, io).error(), Error(CallError::kDatamatch, length, 8));
    EXPECT_EQ(vm_.unregister_ioeventfd(event_, io).error(),
              Error(CallError::kDatamatch, length, 8));
  }
}

TEST_F(VmTest, AnIoeventfdCannotMatchAValueOfAnyLength) {
  const auto io = IoEvent::mmio(0x1000).matching(std::uint16_t{7}).of_length(0);
  EXPECT_EQ(vm_.register_ioeventfd(event_, io).error(), Error(CallError::kDatamatch, 0, 8));
}

TEST_F(VmTest, RegistersAndUnregistersACoalescedZone) {
  kernel_.expect(vm_.fd(), 0x4010AE67, Wire().u64(0xd0000000).u32(0x1000).u32(0));
  EXPECT_TRUE(vm_.register_coalesced_mmio({.address = 0xd0000000, .size = 0x1000}).has_value());
  kernel_.expect(vm_.fd(), 0x4010AE68, Wire().u64(0x70).u32(2).u32(1));
  EXPECT_TRUE(vm_.unregister_coalesced_mmio({.address = 0x70, .size = 2, .pio = true}).has_value());
}

TEST_F(VmTest, StatisticsAreReadFromTheFileThatTheKernelMakes) {
  Fd file = memory_file(0);
  // flags, name_size, num_desc, id_offset, desc_offset, data_offset; the name.
  const auto bytes = Wire().u32(0).u32(4).u32(0).u32(24).u32(28).u32(28).u32(0x00366d76);
  ASSERT_EQ(::pwrite(file.get(), bytes.bytes().data(), bytes.size(), 0), 28);
  kernel_.expect(vm_.fd(), kGetStatsFd, 0).returns(file.release());
  const auto statistics = vm_.statistics();
  ASSERT_TRUE(statistics.has_value());
  EXPECT_EQ(statistics->id(), "vm6");
}

TEST_F(VmTest, AStatisticsFileWithoutStatisticsIsRefusedAndClosed) {
  kernel_.expect(vm_.fd(), kGetStatsFd, 0).returns(memory_file(0).release());
  EXPECT_EQ(vm_.statistics().error(), CallError::kStatistics);
}

TEST_F(VmTest, SlotsMayBeSetWhileDirtyLogsAreRead) {
  // No call reaches the kernel here, which answers one thread only.
  std::thread reader([&] { EXPECT_FALSE(vm_.get_dirty_log(9).has_value()); });
  set_slot(8, 64);
  reader.join();
}

/// A call, and what its refusal is called.
struct Refusal {
  unsigned long request;
  Ioctl ioctl;
  std::function<Error(Vm&, const EventFd&)> call;
};

template <class T>
Error error_of(const Result<T>& result) {
  return result ? Error(SystemError::kOpen) : result.error();
}

const Refusal kRefusals[] = {
    {0xAE03, Ioctl::kCheckExtension,
     [](Vm& vm, const EventFd&) { return error_of(vm.check_extension(1)); }},
    {0x4068AEA3, Ioctl::kEnableCap,
     [](Vm& vm, const EventFd&) { return error_of(vm.enable_capability(Capability::kHlt)); }},
    {0x40A0AE49, Ioctl::kSetUserMemoryRegion2,
     [](Vm& vm, const EventFd&) {
       return error_of(vm.set_memory_region(kvm_userspace_memory_region2{}));
     }},
    {0xC040AED4, Ioctl::kCreateGuestMemfd,
     [](Vm& vm, const EventFd&) { return error_of(vm.create_guest_memfd(4096)); }},
    {0x4020AED2, Ioctl::kSetMemoryAttributes,
     [](Vm& vm, const EventFd&) { return error_of(vm.set_memory_attributes(0, 4096, 0)); }},
    {0xC018AEC0, Ioctl::kClearDirtyLog,
     [](Vm& vm, const EventFd&) { return error_of(vm.clear_dirty_log(0, 0, 0, {})); }},
    {0xAEC7, Ioctl::kResetDirtyRings,
     [](Vm& vm, const EventFd&) { return error_of(vm.reset_dirty_rings()); }},
    {0xAE41, Ioctl::kCreateVcpu,
     [](Vm& vm, const EventFd&) { return error_of(vm.create_vcpu(0)); }},
    {0xC00CAEE0, Ioctl::kCreateDevice,
     [](Vm& vm, const EventFd&) { return error_of(vm.create_device(1)); }},
    {0xC00CAEE0, Ioctl::kCreateDevice,
     [](Vm& vm, const EventFd&) { return error_of(vm.test_device(1)); }},
    {0xAE60, Ioctl::kCreateIrqchip,
     [](Vm& vm, const EventFd&) { return error_of(vm.create_irqchip()); }},
    {0x4008AE61, Ioctl::kIrqLine,
     [](Vm& vm, const EventFd&) { return error_of(vm.set_irq_line(1, true)); }},
    {0x4020AEA5, Ioctl::kSignalMsi,
     [](Vm& vm, const EventFd&) { return error_of(vm.signal_msi({})); }},
    {0x4008AE6A, Ioctl::kSetGsiRouting,
     [](Vm& vm, const EventFd&) { return error_of(vm.set_gsi_routing({})); }},
    {0x4020AE76, Ioctl::kIrqfd,
     [](Vm& vm, const EventFd& event) { return error_of(vm.register_irqfd(event, 1)); }},
    {0x4020AE76, Ioctl::kIrqfd,
     [](Vm& vm, const EventFd& event) {
       return error_of(vm.register_irqfd_with_resample(event, event, 1));
     }},
    {0x4020AE76, Ioctl::kIrqfd,
     [](Vm& vm, const EventFd& event) { return error_of(vm.unregister_irqfd(event, 1)); }},
    {0x4040AE79, Ioctl::kIoeventfd,
     [](Vm& vm, const EventFd& event) {
       return error_of(vm.register_ioeventfd(event, IoEvent::mmio(0)));
     }},
    {0x4040AE79, Ioctl::kIoeventfd,
     [](Vm& vm, const EventFd& event) {
       return error_of(vm.unregister_ioeventfd(event, IoEvent::mmio(0)));
     }},
    {0x4010AE67, Ioctl::kRegisterCoalescedMmio,
     [](Vm& vm, const EventFd&) { return error_of(vm.register_coalesced_mmio({})); }},
    {0x4010AE68, Ioctl::kUnregisterCoalescedMmio,
     [](Vm& vm, const EventFd&) { return error_of(vm.unregister_coalesced_mmio({})); }},
    {0xAECE, Ioctl::kGetStatsFd, [](Vm& vm, const EventFd&) { return error_of(vm.statistics()); }},
#if defined(__x86_64__)
    {0xAE47, Ioctl::kSetTssAddr,
     [](Vm& vm, const EventFd&) { return error_of(vm.set_tss_address(0)); }},
    {0x4008AE48, Ioctl::kSetIdentityMapAddr,
     [](Vm& vm, const EventFd&) { return error_of(vm.set_identity_map_address(0)); }},
    {0xAE78, Ioctl::kSetBootCpuId,
     [](Vm& vm, const EventFd&) { return error_of(vm.set_boot_cpu_id(0)); }},
    {0xC208AE62, Ioctl::kGetIrqchip,
     [](Vm& vm, const EventFd&) { return error_of(vm.get_irqchip(0)); }},
    {0x8208AE63, Ioctl::kSetIrqchip,
     [](Vm& vm, const EventFd&) { return error_of(vm.set_irqchip({})); }},
    {0xC008AE67, Ioctl::kIrqLineStatus,
     [](Vm& vm, const EventFd&) { return error_of(vm.set_irq_line_status(0, true)); }},
    {0x4040AE77, Ioctl::kCreatePit2,
     [](Vm& vm, const EventFd&) { return error_of(vm.create_pit2()); }},
    {0x8070AE9F, Ioctl::kGetPit2, [](Vm& vm, const EventFd&) { return error_of(vm.get_pit2()); }},
    {0x4070AEA0, Ioctl::kSetPit2, [](Vm& vm, const EventFd&) { return error_of(vm.set_pit2({})); }},
    {0xAE71, Ioctl::kReinjectControl,
     [](Vm& vm, const EventFd&) { return error_of(vm.set_pit_reinject(true)); }},
    {0x8030AE7C, Ioctl::kGetClock, [](Vm& vm, const EventFd&) { return error_of(vm.get_clock()); }},
    {0x4030AE7B, Ioctl::kSetClock,
     [](Vm& vm, const EventFd&) { return error_of(vm.set_clock({})); }},
    {0x4188AEC6, Ioctl::kSetMsrFilter,
     [](Vm& vm, const EventFd&) { return error_of(vm.set_msr_filter({})); }},
    {0x4020AEB2, Ioctl::kSetPmuEventFilter,
     [](Vm& vm, const EventFd&) { return error_of(vm.set_pmu_event_filter({})); }},
    {0xC008AEBA, Ioctl::kMemoryEncryptOp,
     [](Vm& vm, const EventFd&) {
       kvm_sev_cmd command{};
       return error_of(vm.encrypt_op(command));
     }},
    {0xC008AEBA, Ioctl::kMemoryEncryptOp,
     [](Vm& vm, const EventFd&) { return error_of(vm.encryption_available()); }},
    {0x8010AEBB, Ioctl::kMemoryEncryptRegRegion,
     [](Vm& vm, const EventFd&) { return error_of(vm.register_encrypted_region({})); }},
    {0x8010AEBC, Ioctl::kMemoryEncryptUnregRegion,
     [](Vm& vm, const EventFd&) { return error_of(vm.unregister_encrypted_region({})); }},
    {0x4038AE7A, Ioctl::kXenHvmConfig,
     [](Vm& vm, const EventFd&) { return error_of(vm.configure_xen({})); }},
    {0xC048AEC8, Ioctl::kXenHvmGetAttr,
     [](Vm& vm, const EventFd&) { return error_of(vm.get_xen_attribute(0)); }},
    {0x4048AEC9, Ioctl::kXenHvmSetAttr,
     [](Vm& vm, const EventFd&) { return error_of(vm.set_xen_attribute({})); }},
#elif defined(__aarch64__)
    {0x8020AEAF, Ioctl::kArmPreferredTarget,
     [](Vm& vm, const EventFd&) { return error_of(vm.preferred_target()); }},
    {0x8030AEB4, Ioctl::kArmMteCopyTags,
     [](Vm& vm, const EventFd&) { return error_of(vm.copy_mte_tags({})); }},
    {0x4018AEE3, Ioctl::kHasDeviceAttr,
     [](Vm& vm, const EventFd&) { return error_of(vm.has({})); }},
    {0x4018AEE1, Ioctl::kSetDeviceAttr,
     [](Vm& vm, const EventFd&) { return error_of(vm.set({}, std::uint64_t{0})); }},
#endif
};

TEST_F(VmTest, ARefusalOfAnyCallIsHandedOut) {
  for (const auto& refusal : kRefusals) {
    kernel_.expect(vm_.fd(), refusal.request).fails(EPERM);
    EXPECT_EQ(refusal.call(vm_, event_), Error(refusal.ioctl, EPERM))
        << std::hex << refusal.request;
  }
}

#if defined(__x86_64__)
TEST_F(VmTest, TellsWhereAnIntelProcessorFindsItsPages) {
  kernel_.expect(vm_.fd(), 0xAE47, 0xfffbd000);
  EXPECT_TRUE(vm_.set_tss_address(0xfffbd000).has_value());
  kernel_.expect(vm_.fd(), 0x4008AE48, Wire().u64(0xfffbc000));
  EXPECT_TRUE(vm_.set_identity_map_address(0xfffbc000).has_value());
  kernel_.expect(vm_.fd(), 0xAE78, 3);
  EXPECT_TRUE(vm_.set_boot_cpu_id(3).has_value());
}

TEST_F(VmTest, ReadsAndWritesAnInterruptChip) {
  kernel_.expect(vm_.fd(), 0xC208AE62, Wire().u32(2).zeros(516)).writes(Wire().pattern(512), 8);
  const auto chip = vm_.get_irqchip(KVM_IRQCHIP_IOAPIC);
  ASSERT_TRUE(chip.has_value());
  EXPECT_TRUE(
      Wire().u32(2).u32(0).pattern(512).describes(reinterpret_cast<const std::byte*>(&*chip)));
  kernel_.expect(vm_.fd(), 0x8208AE63, Wire().u32(2).u32(0).pattern(512));
  EXPECT_TRUE(vm_.set_irqchip(*chip).has_value());
}

TEST_F(VmTest, ALineTellsWhereItsInterruptWent) {
  kernel_.expect(vm_.fd(), 0xC008AE67, Wire().u32(4).u32(1)).writes(Wire().u32(0xffffffff));
  EXPECT_EQ(vm_.set_irq_line_status(4, true), -1);
  kernel_.expect(vm_.fd(), 0xC008AE67, Wire().u32(4).u32(0)).writes(Wire().u32(2));
  EXPECT_EQ(vm_.set_irq_line_status(4, false), 2);
}

TEST_F(VmTest, CreatesReadsAndWritesTheTimer) {
  kernel_.expect(vm_.fd(), 0x4040AE77, Wire().u32(1).zeros(60));
  EXPECT_TRUE(vm_.create_pit2(KVM_PIT_SPEAKER_DUMMY).has_value());
  kernel_.expect(vm_.fd(), 0x8070AE9F).writes(Wire().pattern(112));
  const auto state = vm_.get_pit2();
  ASSERT_TRUE(state.has_value());
  kernel_.expect(vm_.fd(), 0x4070AEA0, Wire().pattern(112));
  EXPECT_TRUE(vm_.set_pit2(*state).has_value());
}

TEST_F(VmTest, TellsTheTimerWhetherToReinject) {
  // pit_reinject, padding
  kernel_.expect(vm_.fd(), 0xAE71, Wire().u8(1).zeros(31));
  EXPECT_TRUE(vm_.set_pit_reinject(true).has_value());
  kernel_.expect(vm_.fd(), 0xAE71, Wire().u8(0).zeros(31));
  EXPECT_TRUE(vm_.set_pit_reinject(false).has_value());
}

TEST_F(VmTest, ReadsAndWritesTheClock) {
  // clock, flags, padding, realtime, host_tsc, padding
  const auto wire = Wire().u64(1000).u32(4).u32(0).u64(2000).u64(3000).zeros(16);
  kernel_.expect(vm_.fd(), 0x8030AE7C).writes(wire);
  const auto clock = vm_.get_clock();
  ASSERT_TRUE(clock.has_value());
  EXPECT_EQ(clock->clock, 1000U);
  EXPECT_EQ(clock->realtime, 2000U);
  kernel_.expect(vm_.fd(), 0x4030AE7B, wire);
  EXPECT_TRUE(vm_.set_clock(*clock).has_value());
}

TEST_F(VmTest, FiltersMsrsByRangesWithABitEach) {
  const std::array ranges{
      MsrFilterRange{.flags = 3, .base = 0xc0000080, .count = 9, .allowed = {0xaa, 1}},
      MsrFilterRange{.flags = 1, .base = 0x10, .count = 8, .allowed = {0x55}}};
  std::array<std::uint64_t, 2> seen{};
  // flags, padding; then flags, nmsrs, base, padding, bitmap
  kernel_
      .expect(vm_.fd(), 0x4188AEC6,
              Wire()
                  .u32s({1, 0})
                  .u32s({3, 9, 0xc0000080, 0})
                  .pointer()
                  .u32s({1, 8, 0x10, 0})
                  .pointer()
                  .zeros(14 * 24))
      .does([&](std::byte* argument) {
        // The kernel copies whole words of 64 bits.
        for (const std::size_t i : {0U, 1U}) {
          const void* bitmap = nullptr;
          std::memcpy(static_cast<void*>(&bitmap), argument + 24 + 24 * i, sizeof bitmap);
          std::memcpy(&seen[i], bitmap, sizeof seen[i]);
        }
      });
  EXPECT_TRUE(vm_.set_msr_filter(ranges, true).has_value());
  EXPECT_EQ(seen, (std::array<std::uint64_t, 2>{0x1aa, 0x55}));
}

TEST_F(VmTest, NoMsrFilterAllowsAll) {
  kernel_.expect(vm_.fd(), 0x4188AEC6, Wire().zeros(8 + 16 * 24));
  EXPECT_TRUE(vm_.set_msr_filter({}).has_value());
}

TEST_F(VmTest, AnMsrFilterHasAtMostSixteenRanges) {
  const std::vector<MsrFilterRange> ranges(17, {.flags = 1, .base = 0, .count = 0, .allowed = {}});
  kernel_.expect(vm_.fd(), 0x4188AEC6);
  EXPECT_TRUE(vm_.set_msr_filter(std::span(ranges).first(16)).has_value());
  EXPECT_EQ(vm_.set_msr_filter(ranges).error(), Error(CallError::kTooManyEntries, 17, 16));
}

TEST_F(VmTest, AnMsrFilterWhoseBitmapIsTooShortOrTooLongIsNotHandedIn) {
  const std::array missing{MsrFilterRange{.flags = 1, .base = 0, .count = 9, .allowed = {0}}};
  EXPECT_EQ(vm_.set_msr_filter(missing).error(), Error(CallError::kMsrBitmap, 8, 9));
  const std::array surplus{MsrFilterRange{.flags = 1, .base = 0, .count = 8, .allowed = {0, 0}}};
  EXPECT_EQ(vm_.set_msr_filter(surplus).error(), Error(CallError::kMsrBitmap, 16, 8));
  const std::array huge{MsrFilterRange{.flags = 1, .base = 0, .count = 0xffffffff, .allowed = {0}}};
  EXPECT_EQ(vm_.set_msr_filter(huge).error(), Error(CallError::kMsrBitmap, 8, 0xffffffff));
}

TEST_F(VmTest, FiltersCountedEvents) {
  auto filter = *PmuEventFilter::of(std::array<__u64, 2>{0x3c, 0xc0});
  filter.header().action = KVM_PMU_EVENT_DENY;
  filter.header().fixed_counter_bitmap = 7;
  filter.header().flags = 1;
  // action, nevents, fixed_counter_bitmap, flags, padding, events
  kernel_.expect(vm_.fd(), 0x4020AEB2,
                 Wire().u32(1).u32(2).u32(7).u32(1).zeros(16).u64(0x3c).u64(0xc0));
  EXPECT_TRUE(vm_.set_pmu_event_filter(filter).has_value());
}

TEST_F(VmTest, AnEncryptionCommandCarriesTheFirmwaresWordBack) {
  kvm_sev_cmd command{};
  command.id = 3;
  command.data = 0x1122334455667788;
  command.sev_fd = 9;
  // id, padding, data, error, sev_fd
  const auto wire = Wire().u32(3).u32(0).u64(0x1122334455667788).u32(0).u32(9);
  kernel_.expect(vm_.fd(), 0xC008AEBA, wire).writes(Wire().u32(0x16), 16);
  EXPECT_TRUE(vm_.encrypt_op(command).has_value());
  EXPECT_EQ(command.error, 0x16U);
  kernel_.expect(vm_.fd(), 0xC008AEBA, wire).writes(Wire().u32(0x17), 16).fails(EIO);
  command.error = 0;
  EXPECT_EQ(vm_.encrypt_op(command).error(), Error(Ioctl::kMemoryEncryptOp, EIO));
  EXPECT_EQ(command.error, 0x17U);
}

TEST_F(VmTest, EncryptionIsThereWhenTheKernelTakesNoCommand) {
  kernel_.expect(vm_.fd(), 0xC008AEBA, 0UL);
  EXPECT_TRUE(vm_.encryption_available().has_value());
}

TEST_F(VmTest, PinsAndUnpinsEncryptedMemory) {
  const auto wire = Wire().u64(0x7f0000000000).u64(0x200000);
  kernel_.expect(vm_.fd(), 0x8010AEBB, wire);
  EXPECT_TRUE(vm_.register_encrypted_region({0x7f0000000000, 0x200000}).has_value());
  kernel_.expect(vm_.fd(), 0x8010AEBC, wire);
  EXPECT_TRUE(vm_.unregister_encrypted_region({0x7f0000000000, 0x200000}).has_value());
}

TEST_F(VmTest, ConfiguresXen) {
  kernel_.expect(vm_.fd(), 0x4038AE7A, Wire().pattern(56));
  EXPECT_TRUE(vm_.configure_xen(patterned<kvm_xen_hvm_config>()).has_value());
  // type, padding, the value
  kernel_.expect(vm_.fd(), 0xC048AEC8, Wire().u16(1).zeros(70)).writes(Wire().u64(0x77), 8);
  EXPECT_EQ(vm_.get_xen_attribute(KVM_XEN_ATTR_TYPE_SHARED_INFO)->u.shared_info.gfn, 0x77U);
  kernel_.expect(vm_.fd(), 0x4048AEC9, Wire().pattern(72));
  EXPECT_TRUE(vm_.set_xen_attribute(patterned<kvm_xen_hvm_attr>()).has_value());
}
#elif defined(__aarch64__)
TEST_F(VmTest, TellsThePreferredTarget) {
  // target, features
  kernel_.expect(vm_.fd(), 0x8020AEAF).writes(Wire().u32(5).u32(0xc).zeros(24));
  const auto target = vm_.preferred_target();
  ASSERT_TRUE(target.has_value());
  EXPECT_EQ(target->target, 5U);
  EXPECT_EQ(target->features[0], 0xcU);
}

TEST_F(VmTest, CopiesMemoryTags) {
  kvm_arm_copy_mte_tags copy{};
  copy.guest_ipa = 0x40000000;
  copy.length = 0x1000;
  copy.addr = nullptr;
  copy.flags = 1;
  kernel_.expect(vm_.fd(), 0x8030AEB4, Wire().u64(0x40000000).u64(0x1000).u64(0).u64(1).zeros(16))
      .returns(256);
  EXPECT_EQ(vm_.copy_mte_tags(copy), 256U);
}

TEST_F(VmTest, HasAndSetsAttributes) {
  kernel_.expect(vm_.fd(), 0x4018AEE3, Wire().u32(0).u32(1).u64(2).u64(0));
  EXPECT_TRUE(vm_.has({.group = 1, .number = 2}).has_value());
  kernel_.expect(vm_.fd(), 0x4018AEE1, Wire().u32(0).u32(1).u64(2).pointer());
  EXPECT_TRUE(vm_.set({.group = 1, .number = 2}, std::uint64_t{3}).has_value());
}
#endif

}  // namespace
}  // namespace guestproof::kvm
