#include "guestproof/kvm/run_page.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kvm/fake_kvm.h"
#include "print.h"

namespace guestproof::kvm {
namespace {

// Where the kernel has the members of struct kvm_run, and how long it is.
constexpr std::size_t kExitReason = 8;
constexpr std::size_t kUnion = 32;
constexpr std::size_t kRunBytes = 2352;
constexpr std::size_t kMapping = 3 * 4096;

using Bytes = std::initializer_list<std::uint8_t>;

Wire words(std::initializer_list<std::uint64_t> values) {
  Wire wire;
  for (const auto value : values) wire.u64(value);
  return wire;
}

/// A page as KVM would have written it; what it does not write is 0xEE.
class RunPageTest : public testing::Test {
 protected:
  RunPageTest() { bytes_.fill(std::byte{0xee}); }

  [[nodiscard]] MappedSlice mapping(std::size_t size = kMapping) {
    return {bytes_.data(), size, nullptr, 0};
  }
  [[nodiscard]] RunPage page() { return *RunPage::over(mapping()); }
  void put(std::size_t offset, const Wire& wire) { mapping().write(offset, wire.bytes()); }
  /// The exit of this reason, with these bytes for its fields.
  [[nodiscard]] Result<Exit> decode(std::uint32_t reason, const Wire& fields = {}) {
    put(kExitReason, Wire().u32(reason));
    put(kUnion, fields);
    return page().decode();
  }
  /// A port access: direction, size, port, count, offset of the data.
  [[nodiscard]] Result<Exit> port_access(std::uint8_t direction, std::uint8_t size,
                                         std::uint32_t count, std::uint64_t offset) {
    return decode(2, Wire().u8(direction).u8(size).u16(0x3f8).u32(count).u64(offset));
  }
  [[nodiscard]] Result<Exit> mmio(std::uint32_t length, std::uint8_t is_write) {
    return decode(6, Wire().u64(0xd0000010).u64(0x8877665544332211).u32(length).u8(is_write));
  }
  /// `action` writes these bytes there, and nothing else.
  template <class Action>
  void leaves(std::size_t offset, const Wire& wire, const Action& action) {
    auto expected = bytes_;
    std::ranges::copy(wire.bytes(), expected.begin() + static_cast<std::ptrdiff_t>(offset));
    action(page());
    EXPECT_EQ(std::ranges::mismatch(bytes_, expected).in1 - bytes_.begin(), kMapping)
        << "the first byte that is not as expected";
  }

  alignas(4096) std::array<std::byte, kMapping> bytes_;
};

TEST_F(RunPageTest, AMappingMustHoldTheStructure) {
  EXPECT_EQ(RunPage::over(mapping(0)).error(), Error(PageError::kRunSize, 0, kRunBytes));
  EXPECT_EQ(RunPage::over(mapping(kRunBytes - 1)).error(),
            Error(PageError::kRunSize, kRunBytes - 1, kRunBytes));
  EXPECT_TRUE(RunPage::over(mapping(kRunBytes)).has_value());
}

TEST_F(RunPageTest, AMappingOf4GibIsRefused) {
  EXPECT_TRUE(RunPage::over(mapping(0xffffffff)).has_value());
  EXPECT_EQ(RunPage::over(mapping(0x100000000)).error(),
            Error(PageError::kRunSize, 0x100000000, kRunBytes));
}

TEST_F(RunPageTest, ExitsThatCarryNothing) {
  EXPECT_EQ(decode(5), Exit(Hlt{}));
  EXPECT_EQ(decode(7), Exit(IrqWindowOpen{}));
  EXPECT_EQ(decode(8), Exit(Shutdown{}));
  EXPECT_EQ(decode(10), Exit(Intr{}));
  EXPECT_EQ(decode(11), Exit(SetTpr{}));
  EXPECT_EQ(decode(13), Exit(S390Sieic{}));
  EXPECT_EQ(decode(14), Exit(S390Reset{}));
  EXPECT_EQ(decode(15), Exit(Dcr{}));
  EXPECT_EQ(decode(16), Exit(Nmi{}));
  EXPECT_EQ(decode(18), Exit(Osi{}));
  EXPECT_EQ(decode(19), Exit(PaprHcall{}));
  EXPECT_EQ(decode(20), Exit(S390Ucontrol{}));
  EXPECT_EQ(decode(21), Exit(Watchdog{}));
  EXPECT_EQ(decode(22), Exit(S390Tsch{}));
  EXPECT_EQ(decode(23), Exit(Epr{}));
  EXPECT_EQ(decode(25), Exit(S390Stsi{}));
  EXPECT_EQ(decode(31), Exit(DirtyRingFull{}));
  EXPECT_EQ(decode(32), Exit(ApResetHold{}));
  EXPECT_EQ(decode(33), Exit(BusLock{}));
}

TEST_F(RunPageTest, ReasonsThatAreNotKnownAreHandedOut) {
  for (const std::uint32_t reason : {9U, 38U, 0x7fffffffU, 0xffffffffU}) {
    const auto exit = decode(reason);
    ASSERT_TRUE(exit.has_value());
    EXPECT_EQ(std::holds_alternative<Unsupported>(*exit), reason != 9);
  }
  EXPECT_EQ(decode(0xffffffff), Exit(Unsupported{0xffffffff}));
}

TEST_F(RunPageTest, ExitsOfTheProcessor) {
  EXPECT_EQ(decode(0, words({0x1122334455667788})), Exit(Unknown{0x1122334455667788}));
  EXPECT_EQ(decode(1, Wire().u32(14).u32(0x10)), Exit(Exception{14, 0x10}));
  EXPECT_EQ(decode(9, Wire().u64(0x80000021).u32(3)), Exit(FailEntry{0x80000021, 3}));
  EXPECT_EQ(decode(12, Wire().u64(0xfff0).u32(1)), Exit(TprAccess{0xfff0, true}));
  EXPECT_EQ(decode(12, Wire().u64(0xfff0).u32(0)), Exit(TprAccess{0xfff0, false}));
  EXPECT_EQ(decode(26, Wire().u8(0x51)), Exit(IoapicEoi{0x51}));
  EXPECT_EQ(decode(28, words({0x92000046, 0x40000000})), Exit(ArmNisv{0x92000046, 0x40000000}));
  EXPECT_EQ(decode(37, Wire().u32(1)), Exit(Notify{true}));
  EXPECT_EQ(decode(37, Wire().u32(0xfffffffe)), Exit(Notify{false}));
  EXPECT_EQ(decode(39, words({8, 0x40000000, 0x1000})), Exit(MemoryFault{8, 0x40000000, 0x1000}));
}

TEST_F(RunPageTest, DebugTellsWhereTheGuestStopped) {
#if defined(__x86_64__)
  const auto fields = Wire().u32(1).u32(0).u64(0x1000).u64(0xffff4ff0).u64(0x400);
  EXPECT_EQ(decode(4, fields), Exit(Debug{1, 0x1000, 0xffff4ff0, 0x400}));
#elif defined(__aarch64__)
  const auto fields = Wire().u32(0xce000000).u32(0x1).u64(0x2000);
  EXPECT_EQ(decode(4, fields), Exit(Debug{0x1ce000000, 0x2000}));
#else
  EXPECT_EQ(decode(4), Exit(Debug{}));
#endif
}

TEST_F(RunPageTest, AnOutShowsItsItemsWhereTheyLie) {
  put(4096, Wire().u16(0x1234).u16(0x5678));
  const auto exit = port_access(1, 2, 2, 4096);
  EXPECT_EQ(exit, Exit(IoOut{0x3f8, 2, 2, {4096, 4}}));
  const auto data = page().data(std::get<IoOut>(*exit));
  ASSERT_EQ(data.size(), 4U);
  EXPECT_EQ(data.load<std::uint16_t>(0), 0x1234);
  EXPECT_EQ(data.load<std::uint16_t>(2), 0x5678);
}

TEST_F(RunPageTest, AnInIsAnsweredWhereItsItemsLie) {
  const auto exit = port_access(0, 4, 2, 4096);
  EXPECT_EQ(exit, Exit(IoIn{0x3f8, 4, 2, {4096, 8}}));
  const auto data = page().data(std::get<IoIn>(*exit));
  ASSERT_EQ(data.size(), 8U);
  leaves(4100, Wire().u32(0xcafef00d),
         [&](const RunPage&) { data.store<std::uint32_t>(4, 0xcafef00d); });
}

TEST_F(RunPageTest, PortItemsHaveOneTwoOrFourBytes) {
  for (const auto size : Bytes{1, 2, 4})
    EXPECT_EQ(port_access(1, size, 1, 4096), Exit(IoOut{0x3f8, size, 1, {4096, size}}));
  for (const auto size : Bytes{0, 3, 5, 8, 255})
    EXPECT_EQ(port_access(1, size, 1, 4096).error(), Error(PageError::kIoSize, size, 4));
}

TEST_F(RunPageTest, PortAccessesGoInOrOut) {
  for (const auto direction : Bytes{2, 255})
    EXPECT_EQ(port_access(direction, 1, 1, 4096).error(),
              Error(PageError::kIoDirection, direction, 1));
}

TEST_F(RunPageTest, PortItemsAreAtLeastOneAndFitIntoTheMapping) {
  EXPECT_EQ(port_access(1, 4, 0, 4096).error(), Error(PageError::kIoCount, 0, kMapping / 4));
  EXPECT_EQ(port_access(1, 4, kMapping / 4, 0).error(), PageError::kIoOffset);
  EXPECT_EQ(port_access(1, 4, kMapping / 4 + 1, 0).error(),
            Error(PageError::kIoCount, kMapping / 4 + 1, kMapping / 4));
  // 4 · 0x40000000 is 0 in 32 bits.
  EXPECT_EQ(port_access(1, 4, 0x40000000, 4096).error(),
            Error(PageError::kIoCount, 0x40000000, kMapping / 4));
  EXPECT_EQ(port_access(1, 1, 0xffffffff, 4096).error(),
            Error(PageError::kIoCount, 0xffffffff, kMapping));
}

TEST_F(RunPageTest, PortItemsLieBetweenTheStructureAndTheMappingsEnd) {
  EXPECT_EQ(port_access(0, 1, 1, kRunBytes), Exit(IoIn{0x3f8, 1, 1, {kRunBytes, 1}}));
  EXPECT_EQ(port_access(0, 1, 1, kRunBytes - 1).error(),
            Error(PageError::kIoOffset, kRunBytes - 1, kMapping));
  EXPECT_EQ(port_access(1, 4, 1024, 8192), Exit(IoOut{0x3f8, 4, 1024, {8192, 4096}}));
  for (const std::uint64_t offset :
       {std::uint64_t{0}, std::uint64_t{8193}, std::uint64_t{kMapping}, UINT64_MAX - 4095})
    EXPECT_EQ(port_access(1, 4, 1024, offset).error(),
              Error(PageError::kIoOffset, offset, kMapping));
}

TEST_F(RunPageTest, AnMmioWriteCarriesItsBytes) {
  const auto exit = mmio(4, 1);
  ASSERT_TRUE(exit.has_value());
  const auto& write = std::get<MmioWrite>(*exit);
  EXPECT_EQ(write.address, 0xd0000010U);
  EXPECT_TRUE(std::ranges::equal(write.data(), Wire().u32(0x44332211).bytes()));
  EXPECT_EQ(write.bytes[4], std::byte{0});
}

TEST_F(RunPageTest, AnMmioReadIsAnsweredInThePage) {
  const auto exit = mmio(4, 0);
  EXPECT_EQ(exit, Exit(MmioRead{0xd0000010, 4}));
  const auto data = page().data(std::get<MmioRead>(*exit));
  ASSERT_EQ(data.size(), 4U);
  leaves(kUnion + 8, Wire().u32(0xcafef00d),
         [&](const RunPage&) { data.store<std::uint32_t>(0, 0xcafef00d); });
}

TEST_F(RunPageTest, MmioAccessesHaveOneToEightBytes) {
  for (const auto is_write : Bytes{0, 1}) {
    EXPECT_TRUE(mmio(1, is_write).has_value());
    EXPECT_TRUE(mmio(8, is_write).has_value());
    for (const std::uint32_t length : {0U, 9U, 0xffffffffU})
      EXPECT_EQ(mmio(length, is_write).error(), Error(PageError::kMmioLength, length, 8));
  }
}

TEST_F(RunPageTest, MmioAccessesReadOrWrite) {
  for (const auto is_write : Bytes{2, 255})
    EXPECT_EQ(mmio(4, is_write).error(), Error(PageError::kMmioDirection, is_write, 1));
}

TEST_F(RunPageTest, AHypercallIsAnsweredWithOneNumber) {
  const auto exit = decode(3, words({12, 1, 2, 3, 4, 5, 6, 99, 0x100000001}));
  const Hypercall call{12, {1, 2, 3, 4, 5, 6}, 0x100000001};
  EXPECT_EQ(exit, Exit(call));
  leaves(kUnion + 56, words({0xfeed}), [&](const RunPage& page) { page.answer(call, 0xfeed); });
}

TEST_F(RunPageTest, AnInternalErrorTellsItsData) {
  EXPECT_EQ(decode(17, Wire().u32(3).u32(0)), Exit(InternalError{.suberror = 3}));
  EXPECT_EQ(decode(17, Wire().u32(4).u32(2).u64(7).u64(8).u64(9)),
            Exit(InternalError{4, 2, {7, 8}}));
  const auto full = decode(17, Wire().u32(3).u32(16).zeros(120).u64(5));
  ASSERT_TRUE(full.has_value());
  EXPECT_EQ(std::get<InternalError>(*full).data[15], 5U);
  for (const std::uint32_t count : {17U, 0xffffffffU})
    EXPECT_EQ(decode(17, Wire().u32(3).u32(count)).error(),
              Error(PageError::kDataCount, count, 16));
}

TEST_F(RunPageTest, AnEmulationFailureTellsTheInstruction) {
  // suberror 1, ndata, flags, length, fifteen bytes
  const auto exit = decode(17, Wire().u32(1).u32(4).u64(1).u8(3).u8(0x0f).u8(0x01).u8(0xc8));
  ASSERT_TRUE(exit.has_value());
  const auto& failure = std::get<EmulationFailure>(*exit);
  EXPECT_EQ(failure.flags, 1U);
  EXPECT_TRUE(std::ranges::equal(failure.instruction(), Wire().u8(0x0f).u8(0x01).u8(0xc8).bytes()));
  EXPECT_EQ(failure.bytes[3], std::byte{0});
}

TEST_F(RunPageTest, AnEmulationFailureWithoutInstruction) {
  EXPECT_EQ(decode(17, Wire().u32(1).u32(0)), Exit(InternalError{.suberror = 1}));
  EXPECT_EQ(decode(17, Wire().u32(1).u32(1).u64(0).u8(200)), Exit(EmulationFailure{}));
  EXPECT_EQ(decode(17, Wire().u32(1).u32(3).u64(2).u8(200)), Exit(EmulationFailure{.flags = 2}));
}

TEST_F(RunPageTest, AnInstructionHasAtMostFifteenBytesAndThePageHasThem) {
  const auto failure = [&](std::uint32_t ndata, std::uint8_t length) {
    return decode(17, Wire().u32(1).u32(ndata).u64(1).u8(length).pattern(15));
  };
  EXPECT_EQ(std::get<EmulationFailure>(*failure(3, 15)).instruction().size(), 15U);
  EXPECT_EQ(std::get<EmulationFailure>(*failure(3, 0)).instruction().size(), 0U);
  for (const auto length : Bytes{16, 255})
    EXPECT_EQ(failure(3, length).error(), Error(PageError::kInstructionLength, length, 15));
  EXPECT_EQ(failure(2, 4).error(), Error(PageError::kInstructionLength, 4, 15));
  EXPECT_EQ(failure(1, 4).error().domain().name, "kvm_page");
}

TEST_F(RunPageTest, ASystemEventTellsItsData) {
  EXPECT_EQ(decode(24, Wire().u32(2).u32(0)), Exit(SystemEvent{.type = 2}));
  EXPECT_EQ(decode(24, Wire().u32(1).u32(1).u64(7).u64(8)), Exit(SystemEvent{1, 1, {7}}));
  const auto full = decode(24, Wire().u32(3).u32(16).zeros(120).u64(5));
  ASSERT_TRUE(full.has_value());
  EXPECT_EQ(std::get<SystemEvent>(*full).data[15], 5U);
  for (const std::uint32_t count : {17U, 0xffffffffU})
    EXPECT_EQ(decode(24, Wire().u32(3).u32(count)).error(),
              Error(PageError::kDataCount, count, 16));
}

TEST_F(RunPageTest, AHypervExitIsOfOneOfThreeTypes) {
  EXPECT_EQ(decode(27, Wire().u32s({1, 0, 0x40000080, 0}).u64(1).u64(0x2000).u64(0x3000)),
            Exit(HypervSynic{0x40000080, 1, 0x2000, 0x3000}));
  EXPECT_EQ(decode(27, Wire().u32s({2, 0}).u64(0x5c).u64(99).u64(7).u64(8)),
            Exit(HypervHypercall{0x5c, {7, 8}}));
  EXPECT_EQ(decode(27, Wire().u32s({3, 0, 0x400000f1, 0}).u64(1).u64(2).u64(3).u64(4).u64(5)),
            Exit(HypervSyndbg{0x400000f1, 1, 2, 3, 4, 5}));
  for (const std::uint32_t type : {0U, 4U, 0xffffffffU})
    EXPECT_EQ(decode(27, Wire().u32(type)).error(), Error(PageError::kHypervType, type, 3));
}

TEST_F(RunPageTest, HypervExitsAreAnswered) {
  leaves(kUnion + 16, words({0xfeed}),
         [](const RunPage& page) { page.answer(HypervHypercall{}, 0xfeed); });
  leaves(kUnion + 24, words({0xbeef}),
         [](const RunPage& page) { page.answer(HypervSyndbg{}, 0xbeef); });
}

TEST_F(RunPageTest, MsrAccessesAreAnsweredOrRefused) {
  // error, padding, reason, index, data
  const auto fields = Wire().u8(1).zeros(7).u32(2).u32(0x4b564d00).u64(0x77);
  const Rdmsr read{2, 0x4b564d00};
  const Wrmsr write{2, 0x4b564d00, 0x77};
  EXPECT_EQ(decode(29, fields), Exit(read));
  EXPECT_EQ(decode(30, fields), Exit(write));
  put(kUnion, Wire().u8(0));
  leaves(kUnion + 16, words({0xfeed}), [&](const RunPage& page) { page.answer(read, 0xfeed); });
  leaves(kUnion, Wire().u8(1), [&](const RunPage& page) { page.refuse(read); });
  leaves(kUnion, Wire().u8(0), [&](const RunPage& page) { page.answer(write); });
  leaves(kUnion, Wire().u8(1), [&](const RunPage& page) { page.refuse(write); });
  leaves(kUnion, Wire().u8(0), [&](const RunPage& page) { page.answer(read, 0xfeed); });
}

TEST_F(RunPageTest, AXenHypercallIsAnswered) {
  const auto call = Wire().u32s({1, 0, 1, 3}).u64(29).u64(99).u64(1).u64(2).u64(3).u64(4).u64(5);
  EXPECT_EQ(decode(34, Wire(call).u64(6)), Exit(XenHypercall{true, 3, 29, {1, 2, 3, 4, 5, 6}}));
  for (const std::uint32_t type : {0U, 2U, 0xffffffffU})
    EXPECT_EQ(decode(34, Wire().u32(type)).error(), Error(PageError::kXenType, type, 1));
  leaves(kUnion + 24, words({0xfeed}),
         [](const RunPage& page) { page.answer(XenHypercall{}, 0xfeed); });
}

TEST_F(RunPageTest, RiscvExitsAreAnswered) {
  EXPECT_EQ(decode(35, words({0x10, 3, 1, 2, 3, 4, 5, 6})),
            Exit(RiscvSbi{0x10, 3, {1, 2, 3, 4, 5, 6}}));
  leaves(kUnion + 64, words({0xffffffffffffffff, 7}),
         [](const RunPage& page) { page.answer(RiscvSbi{}, 0xffffffffffffffff, 7); });
  EXPECT_EQ(decode(36, words({0x15, 0x7, 0xff})), Exit(RiscvCsr{0x15, 0x7, 0xff}));
  leaves(kUnion + 24, words({0xfeed}),
         [](const RunPage& page) { page.answer(RiscvCsr{}, 0xfeed); });
}

TEST_F(RunPageTest, TheHostAsksForAnExitOrAnInterruptWindow) {
  leaves(1, Wire().u8(1), [](const RunPage& page) { page.request_exit(true); });
  leaves(1, Wire().u8(0), [](const RunPage& page) { page.request_exit(false); });
  leaves(0, Wire().u8(1), [](const RunPage& page) { page.request_interrupt_window(true); });
  leaves(0, Wire().u8(0), [](const RunPage& page) { page.request_interrupt_window(false); });
}

TEST_F(RunPageTest, ThePageTellsWhetherAnInterruptCanBeTaken) {
  put(12, Wire().u8(0).u8(0).u16(0x8001));
  EXPECT_FALSE(page().ready_for_interrupt_injection());
  EXPECT_FALSE(page().interrupt_flag());
  EXPECT_EQ(page().flags(), 0x8001);
  put(12, Wire().u8(1).u8(0));
  EXPECT_TRUE(page().ready_for_interrupt_injection());
  EXPECT_FALSE(page().interrupt_flag());
  put(12, Wire().u8(0).u8(1));
  EXPECT_FALSE(page().ready_for_interrupt_injection());
  EXPECT_TRUE(page().interrupt_flag());
}

TEST_F(RunPageTest, ThePageCarriesCr8AndTheApicBase) {
  put(16, Wire().u64(9).u64(0xfee00900));
  EXPECT_EQ(page().cr8(), 9U);
  EXPECT_EQ(page().apic_base(), 0xfee00900U);
  leaves(16, words({11}), [](const RunPage& page) { page.set_cr8(11); });
}

TEST_F(RunPageTest, RegistersTravelWithThePage) {
  leaves(288, words({7}), [](const RunPage& page) { page.set_valid_registers(7); });
  leaves(296, words({5}), [](const RunPage& page) { page.set_dirty_registers(5); });
  if constexpr (std::is_empty_v<kvm_sync_regs>) return;  // riscv64's has no byte to travel
  put(304, Wire().pattern(sizeof(kvm_sync_regs)));
  const auto registers = page().sync_registers();
  bytes_.fill(std::byte{0});
  leaves(304, Wire().pattern(sizeof(kvm_sync_regs)),
         [&](const RunPage& page) { page.set_sync_registers(registers); });
}

TEST_F(RunPageTest, DecodingChangesNothing) {
  for (std::uint32_t reason = 0; reason < 48; ++reason) {
    put(kExitReason, Wire().u32(reason));
    leaves(0, {}, [](const RunPage& page) { static_cast<void>(page.decode()); });
  }
}

TEST_F(RunPageTest, KnowsItsMapping) { EXPECT_EQ(page().mapping().size(), kMapping); }

}  // namespace
}  // namespace guestproof::kvm
