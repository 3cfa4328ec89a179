#include "guestproof/pci/bus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.h"

namespace guestproof::pci {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Asked = NotingOwner::Asked;

constexpr BarWindows kWindows{.memory = {{{0xe000'0000, 0x1000'0000}, {0x10'0000'0000, 1 << 30}}},
                              .io = {0xc000, 0x4000}};
constexpr Slot kFirst{1, 0};
constexpr Slot kSecond{2, 0};
constexpr Slot kThird{2, 3};
constexpr std::uint64_t at(Slot slot, std::uint64_t offset) {
  return std::uint64_t{slot.routing_id()} << 12 | offset;
}

class BusTest : public ::testing::Test {
 protected:
  static ConfigSpace config(std::uint16_t device, std::uint8_t pin, bool multi = false) {
    ConfigSpace::Builder builder({.vendor = 0x1af4, .device = device});
    if (multi) builder.set_multi_function();
    EXPECT_TRUE(builder.set_interrupt_pin(pin));
    EXPECT_TRUE(builder.add_bar(0, {BarKind::kMemory32, 0x1000}));
    EXPECT_TRUE(builder.add_bar(1, {BarKind::kIo, 32}));
    EXPECT_TRUE(builder.add_bar(2, {BarKind::kMemory64, 0x4000, true}));
    EXPECT_TRUE(builder.add_msix({2, 2, 0, 2, 0x2000}));
    return builder.build();
  }
  void SetUp() override {
    ASSERT_TRUE(bus.add(kFirst, first));
    ASSERT_TRUE(bus.add(kSecond, second));
    ASSERT_TRUE(bus.add(kThird, third));
  }

  Answer read_ecam(std::uint64_t offset, std::size_t width) {
    return answer(width, [&](auto data) { return bus.read_ecam(offset, data); });
  }
  Result<void> write_ecam(std::uint64_t offset, std::size_t width, std::uint64_t value) {
    return bus.write_ecam(offset, bytes_of(value, width));
  }
  Answer read_port(std::uint16_t port, std::size_t width) {
    return answer(width, [&](auto data) { return bus.read_port(port, data); });
  }
  Result<void> write_port(std::uint16_t port, std::size_t width, std::uint64_t value) {
    return bus.write_port(port, bytes_of(value, width));
  }
  Answer read(bool io, std::uint64_t address, std::size_t width) {
    return answer(width, [&](auto data) { return bus.read(io, address, data); });
  }
  /// Memory and ports decoded, BARs at these bases.
  void program(Slot slot, std::uint32_t memory, std::uint32_t port, std::uint64_t memory64) {
    static_cast<void>(write_ecam(at(slot, 0x10), 4, memory));
    static_cast<void>(write_ecam(at(slot, 0x14), 4, port));
    static_cast<void>(write_ecam(at(slot, 0x18), 4, memory64 & 0xffffffff));
    static_cast<void>(write_ecam(at(slot, 0x1c), 4, memory64 >> 32));
    static_cast<void>(write_ecam(at(slot, 0x04), 2, 3));
  }

  NotingOwner owner;
  NotingSink sink;
  NotingVmm vmm;
  Function first{config(0x1041, 1), owner, sink};
  Function second{config(0x1042, 2, true), owner, sink};
  Function third{config(0x1043, 4), owner, sink};
  Bus bus = Bus::create(kWindows, vmm, vmm).value();
};

TEST_F(BusTest, HasAHostBridge) {
  EXPECT_EQ(read_ecam(0, 4), Answer{0x0008'1b36});
  EXPECT_EQ(read_ecam(8, 4), Answer{0x0600'0000});
  EXPECT_EQ(bus.add({0, 0}, first).error(), Error(PciBuildError::kSlotTaken, 0));
}

TEST_F(BusTest, RefusesFunctionsThatNobodyWouldFind) {
  EXPECT_EQ(bus.add({32, 0}, first).error(), Error(PciBuildError::kSlot, 0x100));
  EXPECT_EQ(bus.add({3, 8}, first).error(), PciBuildError::kSlot);
  EXPECT_EQ(bus.add(kSecond, first).error(), Error(PciBuildError::kSlotTaken, 0x10));
  EXPECT_EQ(bus.add({1, 1}, third).error(), Error(PciBuildError::kSingleFunction, 9));
  EXPECT_EQ(bus.add({3, 1}, third).error(), Error(PciBuildError::kSingleFunction, 0x19));
  EXPECT_EQ(bus.find({1, 1}), nullptr);
  EXPECT_EQ(bus.find(kThird), &third);
  EXPECT_EQ(Bus::create({.memory = {}, .io = {1, 0x10000}}, vmm, vmm).error(),
            PciBuildError::kAddressWindow);
}

TEST_F(BusTest, EcamReachesEveryFunction) {
  EXPECT_EQ(read_ecam(0x8000, 4), Answer{0x1041'1af4});
  EXPECT_EQ(read_ecam(0x10002, 2), Answer{0x1042});
  EXPECT_EQ(read_ecam(0x13000, 4), Answer{0x1043'1af4});
  EXPECT_EQ(read_ecam(0x13100, 4), (Answer{0, Error(PciError::kOffset, 0x100, 0x100)}));
}

TEST_F(BusTest, NobodyIsWhereNoFunctionIs) {
  EXPECT_EQ(read_ecam(0x9000, 4), (Answer{0xffffffff, Error(PciError::kAbsent, 9)}));
  EXPECT_EQ(read_ecam(0xff000, 1), (Answer{0xff, Error(PciError::kAbsent, 0xff)}));
  EXPECT_EQ(read_ecam(0x100000, 4), (Answer{0xffffffff, Error(PciError::kAbsent, 0x100)}));
  EXPECT_EQ(read_ecam(UINT64_MAX, 1).error, Error(PciError::kAbsent, UINT64_MAX >> 12));
  EXPECT_EQ(write_ecam(0x108000, 4, 0).error(), Error(PciError::kAbsent, 0x108));
}

TEST_F(BusTest, PortsReachConfigurationSpaceByTheAddressRegister) {
  ASSERT_TRUE(write_port(0xcf8, 4, 0x8000'1300));  // 2.3
  EXPECT_EQ(read_port(0xcf8, 4), Answer{0x8000'1300});
  EXPECT_EQ(read_port(0xcfc, 4), Answer{0x1043'1af4});
  EXPECT_EQ(read_port(0xcfd, 1), Answer{0x1a});
  EXPECT_EQ(read_port(0xcfd, 2), Answer{0x431a});
  EXPECT_EQ(read_port(0xcfe, 2), Answer{0x1043});

  ASSERT_TRUE(write_port(0xcf8, 4, 0x8000'133c));
  ASSERT_TRUE(write_port(0xcfc, 1, 0x0b));
  EXPECT_EQ(read_port(0xcfc, 2), Answer{0x040b});
}

TEST_F(BusTest, ReservedBitsOfTheAddressRegisterAreZero) {
  ASSERT_TRUE(write_port(0xcf8, 4, 0xffff'ffff));
  EXPECT_EQ(read_port(0xcf8, 4), Answer{0x80ff'fffc});
}

TEST_F(BusTest, OnlyADoublewordIsTheAddressRegister) {
  ASSERT_TRUE(write_port(0xcf8, 4, 0x8000'0800));
  EXPECT_EQ(write_port(0xcf8, 2, 0).error(), Error(PciError::kPort, 0xcf8, 2));
  EXPECT_EQ(write_port(0xcf9, 1, 6).error(), Error(PciError::kPort, 0xcf9, 1));
  EXPECT_EQ(write_port(0xcf8, 8, 0).error(), Error(PciError::kPort, 0xcf8, 8));
  EXPECT_EQ(read_port(0xcfb, 1), (Answer{0xff, Error(PciError::kPort, 0xcfb, 1)}));
  EXPECT_EQ(read_port(0xcf8, 4), Answer{0x8000'0800});
}

TEST_F(BusTest, DataPortsEndAtTheDoubleword) {
  ASSERT_TRUE(write_port(0xcf8, 4, 0x8000'0800));
  EXPECT_EQ(read_port(0xcff, 2), (Answer{0xffff, Error(PciError::kPort, 0xcff, 2)}));
  EXPECT_EQ(read_port(0xcfd, 4).error, Error(PciError::kPort, 0xcfd, 4));
  EXPECT_EQ(read_port(0xcfc, 0).error, Error(PciError::kPort, 0xcfc, 0));
  EXPECT_EQ(read_port(0xd00, 1).error, Error(PciError::kPort, 0xd00, 1));
  EXPECT_EQ(write_port(0xcf7, 1, 0).error(), Error(PciError::kPort, 0xcf7, 1));
}

TEST_F(BusTest, DataPortsNeedTheEnableBitAndAFunction) {
  EXPECT_EQ(read_port(0xcfc, 4), (Answer{0xffffffff, Error(PciError::kAddressDisabled, 0)}));
  ASSERT_TRUE(write_port(0xcf8, 4, 0x0000'083c));
  EXPECT_EQ(write_port(0xcfc, 1, 5).error(), Error(PciError::kAddressDisabled, 0x83c));
  ASSERT_TRUE(write_port(0xcf8, 4, 0x8001'0800));  // bus 1
  EXPECT_EQ(read_port(0xcfc, 4), (Answer{0xffffffff, Error(PciError::kAbsent, 0x108)}));
  EXPECT_EQ(read_ecam(at(kFirst, 0x3c), 1), Answer{0});
}

TEST_F(BusTest, BarsAnswerWhereTheyAreProgrammed) {
  program(kFirst, 0xe000'0000, 0xc000, 0x10'0000'0000);

  EXPECT_THAT(vmm.take(),
              ElementsAre("mapped 1.0 bar 0 e0000000+1000", "mapped 1.0 bar 1 port c000+20",
                          "mapped 1.0 bar 2 1000000000+4000"));
  EXPECT_EQ(read(false, 0xe000'0ff8, 8), Answer{owner.value});
  EXPECT_EQ(read(true, 0xc004, 2), Answer{0x2211});
  EXPECT_TRUE(bus.write(false, 0xe000'0001, bytes_of(0x1234, 3)));
  EXPECT_THAT(owner.asked, ElementsAre(Asked{'r', 0, 0xff8, 8, 0}, Asked{'r', 1, 4, 2, 0},
                                       Asked{'w', 0, 1, 3, 0x1234}));
  EXPECT_EQ(read(false, 0x10'0000'0008, 8), Answer{0x1'0000'0000});  // MSI-X
  EXPECT_EQ(bus.placement(kFirst, 2).value(), (BarRange{false, 0x10'0000'0000, 0x4000}));
}

TEST_F(BusTest, NothingAnswersBesidesBars) {
  program(kFirst, 0xe000'0000, 0xc000, 0x10'0000'0000);
  EXPECT_EQ(read(false, 0xe000'1000, 4),
            (Answer{0xffffffff, Error(PciError::kUnmapped, 0xe000'1000)}));
  EXPECT_EQ(read(false, 0xc000, 1).error, Error(PciError::kUnmapped, 0xc000));
  EXPECT_EQ(read(false, 0xe000'0ffc, 8),
            (Answer{UINT64_MAX, Error(PciError::kBarEnd, 0xe000'0ffc, 0x1000)}));
  EXPECT_EQ(read(true, 0xc01f, 2).error, Error(PciError::kBarEnd, 0xc01f, 32));
  EXPECT_EQ(read(false, 0xe000'0000, 0).error, Error(PciError::kWidth, 0, 8));
  EXPECT_EQ(read(false, 0xe000'0000, 9).error, Error(PciError::kWidth, 9, 8));
  EXPECT_EQ(bus.write(false, UINT64_MAX, bytes_of(0, 8)).error(),
            Error(PciError::kUnmapped, UINT64_MAX));
  EXPECT_THAT(owner.asked, IsEmpty());
}

TEST_F(BusTest, DisabledBarsAnswerNothing) {
  program(kFirst, 0xe000'0000, 0xc000, 0x10'0000'0000);
  static_cast<void>(vmm.take());

  ASSERT_TRUE(write_ecam(at(kFirst, 4), 2, kCommandMemory));

  EXPECT_THAT(vmm.take(), ElementsAre("unmapped 1.0 bar 1 port c000+20"));
  EXPECT_EQ(read(true, 0xc000, 1).error, Error(PciError::kUnmapped, 0xc000));
  EXPECT_EQ(bus.placement(kFirst, 1).error(), Error(PciError::kDecodeOff, 2, 1));
  ASSERT_TRUE(write_ecam(at(kFirst, 4), 2, kCommandMemory | kCommandMaster));
  EXPECT_THAT(vmm.take(), IsEmpty());
}

TEST_F(BusTest, ABarOnMemoryOrAtTheTopAnswersNothing) {
  program(kFirst, 0xe000'0000, 0xc000, 0x10'0000'0000);
  static_cast<void>(vmm.take());

  EXPECT_EQ(write_ecam(at(kFirst, 0x10), 4, 0x10'0000).error(),
            Error(PciError::kBarOutside, 0x10'0000, 0x1000));
  EXPECT_EQ(write_ecam(at(kFirst, 0x14), 4, 0xffff'ffff).error(),
            Error(PciError::kBarOutside, 0x10'0000, 0x1000));  // BAR 0 still
  EXPECT_EQ(read_ecam(at(kFirst, 0x14), 4), Answer{0xffff'ffe1});

  EXPECT_THAT(vmm.take(),
              ElementsAre("unmapped 1.0 bar 0 e0000000+1000", "unmapped 1.0 bar 1 port c000+20"));
  EXPECT_EQ(bus.placement(kFirst, 1).error(), Error(PciError::kBarOutside, 0xffff'ffe0, 32));
  EXPECT_EQ(read(false, 0x10'0000, 4).error, Error(PciError::kUnmapped, 0x10'0000));
  EXPECT_EQ(read(true, 0xffe0, 1).error, Error(PciError::kUnmapped, 0xffe0));
}

TEST_F(BusTest, OfTwoBarsOnOneAddressTheLowerRoutingIdentifierHasIt) {
  program(kSecond, 0xe000'0000, 0xc000, 0x10'0000'0000);
  static_cast<void>(vmm.take());

  program(kFirst, 0xe000'0000, 0xc100, 0x10'0001'0000);

  EXPECT_THAT(vmm.take(),
              ElementsAre("unmapped 2.0 bar 0 e0000000+1000", "mapped 1.0 bar 0 e0000000+1000",
                          "mapped 1.0 bar 1 port c100+20", "mapped 1.0 bar 2 1000010000+4000"));
  EXPECT_EQ(bus.placement(kSecond, 0).error(),
            Error(PciError::kBarOverlap, 0xe000'0000, 0xe000'0000));
  EXPECT_EQ(write_ecam(at(kSecond, 0x18), 4, 0x4000).error(),
            Error(PciError::kBarOverlap, 0xe000'0000, 0xe000'0000));
  static_cast<void>(vmm.take());

  ASSERT_TRUE(write_ecam(at(kFirst, 0x10), 4, 0xe000'1000));
  EXPECT_THAT(vmm.take(),
              ElementsAre("unmapped 1.0 bar 0 e0000000+1000", "mapped 1.0 bar 0 e0001000+1000",
                          "mapped 2.0 bar 0 e0000000+1000"));
}

TEST_F(BusTest, ABarOf64BitsMovesInTwoHalves) {
  program(kFirst, 0xe000'0000, 0xc000, 0x10'0000'0000);
  static_cast<void>(vmm.take());

  EXPECT_EQ(write_ecam(at(kFirst, 0x1c), 4, 0).error(), Error(PciError::kBarOutside, 0, 0x4000));
  ASSERT_TRUE(write_ecam(at(kFirst, 0x18), 4, 0xe100'0000));

  EXPECT_THAT(vmm.take(),
              ElementsAre("unmapped 1.0 bar 2 1000000000+4000", "mapped 1.0 bar 2 e1000000+4000"));
}

TEST_F(BusTest, PinsOfDevicesShareFourLines) {
  bus.set_interrupt(kFirst, true);   // device 1, INTA#
  bus.set_interrupt(kThird, true);   // device 2, INTD#
  bus.set_interrupt(kSecond, true);  // device 2, INTB#
  EXPECT_THAT(vmm.take(), ElementsAre("high 1", "high 3"));

  bus.set_interrupt(kFirst, false);
  EXPECT_THAT(vmm.take(), IsEmpty());
  bus.set_interrupt(kThird, false);
  EXPECT_THAT(vmm.take(), ElementsAre("low 1"));
}

TEST_F(BusTest, LinesFollowTheRegisters) {
  bus.set_interrupt(kFirst, true);
  static_cast<void>(vmm.take());

  ASSERT_TRUE(write_ecam(at(kFirst, 4), 2, kCommandInterruptDisable));
  EXPECT_THAT(vmm.take(), ElementsAre("low 1"));
  ASSERT_TRUE(write_ecam(at(kFirst, 4), 2, 0));
  EXPECT_THAT(vmm.take(), ElementsAre("high 1"));
  ASSERT_TRUE(write_ecam(at(kFirst, 0x42), 2, kMsixEnable));
  EXPECT_THAT(vmm.take(), ElementsAre("low 1"));
}

TEST_F(BusTest, AnOwnerTakesItsInterruptBackInAnAccess) {
  program(kFirst, 0xe000'0000, 0xc000, 0x10'0000'0000);
  bus.set_interrupt(kFirst, true);
  static_cast<void>(vmm.take());
  owner.clears = &first;

  static_cast<void>(read(false, 0xe000'0000, 1));

  EXPECT_THAT(vmm.take(), ElementsAre("low 1"));
}

TEST_F(BusTest, ResetIsAsBuilt) {
  const auto fresh = bus.encode();
  program(kFirst, 0xe000'0000, 0xc000, 0x10'0000'0000);
  bus.set_interrupt(kSecond, true);
  ASSERT_TRUE(write_port(0xcf8, 4, 0x8000'0800));
  static_cast<void>(vmm.take());

  bus.reset();

  EXPECT_EQ(bus.encode(), fresh);
  EXPECT_EQ(vmm.take().size(), 4u);
  EXPECT_EQ(read(false, 0xe000'0000, 4).error, Error(PciError::kUnmapped, 0xe000'0000));
}

class BusStateTest : public BusTest {
 protected:
  static constexpr std::size_t kFunctionBytes = 16 + 256 + 16 + 2 * 16 + 8;
  static constexpr std::size_t kBridgeBytes = 16 + 256;
  static constexpr std::size_t kSize = 16 + 8 + kBridgeBytes + 3 * (8 + kFunctionBytes);
  static constexpr std::size_t kFirstAt = 16 + 8 + kBridgeBytes;

  Error refusal(std::size_t offset, std::size_t width, std::uint64_t value) {
    auto bytes = bus.encode();
    store(std::span(bytes).subspan(offset, width), value);
    const auto refused = bus.restore(bytes);
    EXPECT_FALSE(refused);
    return refused.error();
  }
};

TEST_F(BusStateTest, RestoredAnswersAndAssertsAsTheSavedOne) {
  program(kFirst, 0xe000'0000, 0xc000, 0x10'0000'0000);
  bus.set_interrupt(kSecond, true);
  ASSERT_TRUE(write_port(0xcf8, 4, 0x8000'0800));
  const auto saved = bus.encode();
  ASSERT_EQ(saved.size(), kSize);
  bus.reset();
  program(kThird, 0xe000'0000, 0xc000, 0x10'0000'0000);
  static_cast<void>(vmm.take());

  ASSERT_TRUE(bus.restore(saved));

  EXPECT_EQ(bus.encode(), saved);
  EXPECT_THAT(
      vmm.take(),
      ElementsAre("unmapped 2.3 bar 0 e0000000+1000", "unmapped 2.3 bar 1 port c000+20",
                  "unmapped 2.3 bar 2 1000000000+4000", "mapped 1.0 bar 0 e0000000+1000",
                  "mapped 1.0 bar 1 port c000+20", "mapped 1.0 bar 2 1000000000+4000", "high 3"));
  EXPECT_EQ(read_port(0xcfc, 4), Answer{0x1041'1af4});
}

TEST_F(BusStateTest, NamesTheFieldThatCannotBe) {
  auto bytes = bus.encode();
  bytes.push_back({});
  EXPECT_EQ(bus.restore(bytes).error(), Error(PciStateError::kBytes, kSize + 1, kSize));
  EXPECT_EQ(refusal(0, 4, 1), PciStateError::kMagic);
  EXPECT_EQ(refusal(4, 2, 3), Error(PciStateError::kVersion, 3, 1));
  EXPECT_EQ(refusal(6, 2, 3), Error(PciStateError::kFunctions, 3, 4));
  EXPECT_EQ(refusal(8, 4, 3), Error(PciStateError::kLength, 3, kSize));
  EXPECT_EQ(refusal(12, 4, 1), Error(PciStateError::kConfigAddress, 1, 0x80ff'fffc));
  EXPECT_EQ(refusal(kFirstAt, 2, 9), Error(PciStateError::kSlot, 9, 8));
  EXPECT_EQ(refusal(kFirstAt + 2, 2, 9), Error(PciStateError::kReserved, 9));
  EXPECT_EQ(refusal(kFirstAt + 4, 4, 9), Error(PciStateError::kLength, 9, kFunctionBytes));
}

TEST_F(BusStateTest, RefusedInOneFunctionLeavesAllAsTheyWere) {
  program(kFirst, 0xe000'0000, 0xc000, 0x10'0000'0000);
  const auto before = bus.encode();
  static_cast<void>(vmm.take());
  auto bytes = before;
  bytes[kFirstAt + 8 + 16 + 0x3c] = std::byte{9};  // fine
  bytes[kSize - 48 - 8] ^= std::byte{1};           // the last function's MSI-X magic

  EXPECT_FALSE(bus.restore(bytes));

  EXPECT_EQ(bus.encode(), before);
  EXPECT_THAT(vmm.take(), IsEmpty());
}

}  // namespace
}  // namespace guestproof::pci
