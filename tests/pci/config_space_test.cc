#include "guestproof/pci/config_space.h"

#include <gtest/gtest.h>

#include "access.h"

namespace guestproof::pci {
namespace {

constexpr Identity kIdentity{.vendor = 0x1af4,
                             .device = 0x1042,
                             .revision = 1,
                             .class_code = 0x010203,
                             .subsystem_vendor = 0xaaaa,
                             .subsystem = 0xbbbb};

class ConfigSpaceTest : public ::testing::Test {
 protected:
  ConfigSpace space = [] {
    ConfigSpace::Builder builder(kIdentity);
    EXPECT_TRUE(builder.set_interrupt_pin(2));
    EXPECT_TRUE(builder.add_bar(0, {BarKind::kMemory32, 0x2000}));
    EXPECT_TRUE(builder.add_bar(1, {BarKind::kIo, 32}));
    EXPECT_TRUE(builder.add_bar(2, {BarKind::kMemory64, 0x4000, true}));
    EXPECT_TRUE(builder.add_bar(4, {BarKind::kMemory64, std::uint64_t{1} << 33}));
    EXPECT_TRUE(builder.add_msix({3, 0, 0x1000, 0, 0x1800}));
    EXPECT_TRUE(
        builder.add_capability(kCapabilityVendor, bytes_of(0x332211, 3), bytes_of(0x00f0ff, 3)));
    return builder.build();
  }();

  Answer read(std::uint64_t offset, std::size_t width) const {
    return answer(width, [&](auto data) { return space.read(offset, data); });
  }
  std::uint64_t value(std::uint64_t offset, std::size_t width) const {
    return read(offset, width).value;
  }
  void write(std::uint64_t offset, std::size_t width, std::uint64_t value) {
    ASSERT_TRUE(space.write(offset, bytes_of(value, width)));
  }
};

TEST_F(ConfigSpaceTest, HasATypeZeroHeader) {
  EXPECT_EQ(value(0x00, 4), 0x1042'1af4u);
  EXPECT_EQ(value(0x04, 4), 0x0010'0000u);
  EXPECT_EQ(value(0x08, 4), 0x010203'01u);
  EXPECT_EQ(value(0x0c, 4), 0u);
  EXPECT_EQ(value(0x2c, 4), 0xbbbb'aaaau);
  EXPECT_EQ(value(0x34, 4), 0x40u);
  EXPECT_EQ(value(0x3c, 4), 0x0000'0200u);
}

TEST_F(ConfigSpaceTest, CapabilitiesAreAList) {
  EXPECT_EQ(value(0x40, 4), 0x0002'4c11u);
  EXPECT_EQ(value(0x44, 4), 0x1000u);
  EXPECT_EQ(value(0x48, 4), 0x1800u);
  EXPECT_EQ(value(0x4c, 4), 0x2211'0009u);
  EXPECT_EQ(value(0x50, 1), 0x33u);
}

TEST_F(ConfigSpaceTest, ReadsEveryWidthInsideADoubleword) {
  EXPECT_EQ(value(0x01, 1), 0x1au);
  EXPECT_EQ(value(0x01, 2), 0x421au);
  EXPECT_EQ(value(0x02, 2), 0x1042u);
  EXPECT_EQ(value(0x03, 1), 0x10u);
  EXPECT_EQ(value(0xfc, 4), 0u);
}

TEST_F(ConfigSpaceTest, RefusesWhatABusCannotCarry) {
  for (const std::size_t width : {0u, 3u, 5u, 8u})
    EXPECT_EQ(read(0, width).error, Error(PciError::kWidth, width, 4));
  EXPECT_EQ(read(0, 8).value, UINT64_MAX);
  EXPECT_EQ(read(3, 2), (Answer{0xffff, Error(PciError::kStraddle, 3, 2)}));
  EXPECT_EQ(read(0xff, 2), (Answer{0xffff, Error(PciError::kStraddle, 0xff, 2)}));
  EXPECT_EQ(read(0x02, 4).error, Error(PciError::kStraddle, 2, 4));
  EXPECT_EQ(space.write(0x3d, bytes_of(0, 4)).error(), Error(PciError::kStraddle, 0x3d, 4));
  EXPECT_EQ(space.write(0x3c, bytes_of(0x5a, 3)).error(), Error(PciError::kWidth, 3, 4));
  EXPECT_EQ(value(0x3c, 1), 0u);
}

TEST_F(ConfigSpaceTest, TheExtendedSpaceIsEmpty) {
  EXPECT_EQ(read(0x100, 4), (Answer{0, Error(PciError::kOffset, 0x100, 0x100)}));
  EXPECT_EQ(read(0xfff, 1), (Answer{0, Error(PciError::kOffset, 0xfff, 0x100)}));
  EXPECT_EQ(read(UINT64_MAX - 3, 4).error, Error(PciError::kOffset, UINT64_MAX - 3, 0x100));
  EXPECT_EQ(space.write(0x104, bytes_of(0, 4)).error(), Error(PciError::kOffset, 0x104, 0x100));
}

TEST_F(ConfigSpaceTest, ReadOnlyBitsStay) {
  const auto before = space.bytes();
  std::vector<std::byte> kept(before.begin(), before.end());

  for (const unsigned at : {0x00u, 0x08u, 0x0cu, 0x28u, 0x2cu, 0x30u, 0x34u, 0x38u, 0x44u, 0x54u})
    write(at, 4, 0xffffffff);

  EXPECT_TRUE(std::ranges::equal(kept, space.bytes()));
}

TEST_F(ConfigSpaceTest, CommandAndInterruptLineAreTheGuests) {
  write(0x04, 2, 0xffff);
  write(0x3c, 4, 0xffffff5a);

  EXPECT_EQ(value(0x04, 2), 0x0547u);
  EXPECT_EQ(value(0x3c, 4), 0x0000'025au);
}

TEST_F(ConfigSpaceTest, OnlyTheMaskOfACapabilityIsWritable) {
  write(0x4c, 4, 0xffffffff);
  write(0x50, 1, 0xff);
  write(0x40, 4, 0xffffffff);

  EXPECT_EQ(value(0x4c, 4), 0xf2ff'0009u);
  EXPECT_EQ(value(0x50, 1), 0x33u);
  EXPECT_EQ(value(0x40, 4), 0xc002'4c11u);
}

TEST_F(ConfigSpaceTest, ReportedErrorsAreClearedByOnes) {
  space.report(0xa100);
  write(0x04, 4, 0);
  EXPECT_EQ(value(0x06, 2), 0xa110u);

  write(0x06, 2, 0x2000);

  EXPECT_EQ(value(0x06, 2), 0x8110u);
  write(0x06, 1, 0xff);
  EXPECT_EQ(value(0x06, 2), 0x8110u);
  write(0x07, 1, 0xff);
  EXPECT_EQ(value(0x06, 2), 0x0010u);
}

TEST_F(ConfigSpaceTest, InterruptStatusIsTheFunctionsOwn) {
  space.set_interrupt_status(true);
  write(0x06, 2, 0xffff);
  EXPECT_EQ(value(0x06, 2), 0x0018u);
  space.set_interrupt_status(false);
  EXPECT_EQ(value(0x06, 2), 0x0010u);
}

TEST_F(ConfigSpaceTest, BarsAreSizedByWritingOnes) {
  for (unsigned bar = 0; bar < 6; ++bar) write(0x10 + 4 * bar, 4, 0xffffffff);

  EXPECT_EQ(value(0x10, 4), 0xffffe000u);
  EXPECT_EQ(value(0x14, 4), 0xffffffe1u);
  EXPECT_EQ(value(0x18, 4), 0xffffc00cu);
  EXPECT_EQ(value(0x1c, 4), 0xffffffffu);
  EXPECT_EQ(value(0x20, 4), 0x00000004u);
  EXPECT_EQ(value(0x24, 4), 0xfffffffeu);
}

TEST_F(ConfigSpaceTest, BarsAreProgrammedInPieces) {
  write(0x12, 2, 0xe012);
  write(0x11, 1, 0x70);
  write(0x18, 4, 0xe000'4567);
  write(0x1c, 4, 0x12);

  EXPECT_EQ(space.bar_range(0), (BarRange{false, 0xe012'6000, 0x2000}));
  EXPECT_EQ(space.bar_range(2), (BarRange{false, 0x12'e000'4000, 0x4000}));
}

TEST_F(ConfigSpaceTest, BarsAnswerWhatTheCommandRegisterEnables) {
  write(0x14, 4, 0xc000);
  EXPECT_EQ(space.decoded(1).error(), Error(PciError::kDecodeOff, 0, 1));
  EXPECT_EQ(space.decoded(3).error(), Error(PciError::kNoBar, 3));
  EXPECT_EQ(space.decoded(6).error(), Error(PciError::kNoBar, 6));

  write(0x04, 2, kCommandIo);

  EXPECT_EQ(space.decoded(1).value(), (BarRange{true, 0xc000, 32}));
  EXPECT_EQ(space.decoded(0).error(), Error(PciError::kDecodeOff, 1, 0));
  write(0x04, 2, kCommandMemory);
  EXPECT_EQ(space.decoded(0).value(), (BarRange{false, 0, 0x2000}));
}

TEST_F(ConfigSpaceTest, ResetIsAsBuilt) {
  const std::vector<std::byte> before(space.bytes().begin(), space.bytes().end());
  write(0x04, 2, 0xffff);
  write(0x10, 4, 0xffffffff);
  space.report(0x8000);

  space.reset();

  EXPECT_TRUE(std::ranges::equal(before, space.bytes()));
}

TEST_F(ConfigSpaceTest, TakesBackOnlyBytesThatItCouldHave) {
  write(0x04, 2, 7);
  write(0x10, 4, 0xe0000000);
  space.report(0x0100);
  space.set_interrupt_status(true);
  std::array<std::byte, kConfigBytes> bytes;
  std::ranges::copy(space.bytes(), bytes.begin());
  space.reset();

  const auto restored = space.with(bytes);
  ASSERT_TRUE(restored);
  EXPECT_TRUE(std::ranges::equal(restored->bytes(), bytes));

  bytes[0x11] |= std::byte{0x10};
  EXPECT_EQ(space.with(bytes).error(), Error(PciStateError::kReadOnly, 0x11, 0));
  bytes[0x01] = {};
  EXPECT_EQ(space.with(bytes).error(), Error(PciStateError::kReadOnly, 0x01, 0x1a));
}

class BuilderTest : public ::testing::Test {
 protected:
  ConfigSpace::Builder builder{kIdentity};
};

TEST_F(BuilderTest, RefusesBarsThatDoNotFit) {
  ASSERT_TRUE(builder.add_bar(2, {BarKind::kMemory64, std::uint64_t{1} << 40}));

  EXPECT_EQ(builder.add_bar(6, {BarKind::kIo, 16}).error(), Error(PciBuildError::kBarIndex, 6, 6));
  EXPECT_EQ(builder.add_bar(5, {BarKind::kMemory64, 16}).error(),
            Error(PciBuildError::kBarIndex, 5, 6));
  EXPECT_EQ(builder.add_bar(2, {BarKind::kMemory32, 16}).error(),
            Error(PciBuildError::kBarTaken, 2));
  EXPECT_EQ(builder.add_bar(3, {BarKind::kMemory32, 16}).error(),
            Error(PciBuildError::kBarTaken, 3));
  EXPECT_EQ(builder.add_bar(1, {BarKind::kMemory64, 16}).error(),
            Error(PciBuildError::kBarTaken, 2));
}

TEST_F(BuilderTest, RefusesSizesThatPciHasNot) {
  const auto refusal = [&](BarKind kind, std::uint64_t size) {
    return builder.add_bar(0, {kind, size}).error();
  };
  EXPECT_EQ(refusal(BarKind::kIo, 2), Error(PciBuildError::kBarSize, 2, 256));
  EXPECT_EQ(refusal(BarKind::kIo, 512), Error(PciBuildError::kBarSize, 512, 256));
  EXPECT_EQ(refusal(BarKind::kMemory32, 8), Error(PciBuildError::kBarSize, 8, 1u << 31));
  EXPECT_EQ(refusal(BarKind::kMemory32, 0x1800), PciBuildError::kBarSize);
  EXPECT_EQ(refusal(BarKind::kMemory32, std::uint64_t{1} << 32), PciBuildError::kBarSize);
  EXPECT_EQ(refusal(BarKind::kMemory64, 0), PciBuildError::kBarSize);
  EXPECT_EQ(refusal(BarKind::kNone, 16), PciBuildError::kBarSize);
}

TEST_F(BuilderTest, RefusesCapabilitiesThatDoNotFit) {
  const std::vector<std::byte> body(192);
  EXPECT_EQ(builder.add_capability(9, std::span(body).first(191)).error(),
            Error(PciBuildError::kCapabilityBody, 191, 190));
  EXPECT_EQ(builder.add_capability(9, std::span(body).first(8), std::span(body).first(7)).error(),
            Error(PciBuildError::kCapabilityMask, 7, 8));
  EXPECT_EQ(builder.add_capability(9, std::span(body).first(180)), 0x40);
  EXPECT_EQ(builder.add_capability(9, std::span(body).first(7)).error(),
            Error(PciBuildError::kCapabilityRoom, 9, 8));
  EXPECT_EQ(builder.add_capability(9, std::span(body).first(6)), 0xf8);
  EXPECT_EQ(builder.add_capability(9, {}).error(), Error(PciBuildError::kCapabilityRoom, 2, 0));
}

TEST_F(BuilderTest, RefusesMsixStructuresThatAreNotInAMemoryBar) {
  ASSERT_TRUE(builder.add_bar(0, {BarKind::kMemory32, 0x1000}));
  ASSERT_TRUE(builder.add_bar(1, {BarKind::kIo, 256}));
  const auto refusal = [&](const MsixPlace& place) { return builder.add_msix(place).error(); };

  EXPECT_EQ(refusal({0, 0, 0, 0, 0x800}), Error(PciBuildError::kMsixVectors, 0, 2048));
  EXPECT_EQ(refusal({2049, 0, 0, 0, 0x800}), Error(PciBuildError::kMsixVectors, 2049, 2048));
  EXPECT_EQ(refusal({1, 1, 0, 0, 0}), Error(PciBuildError::kMsixBar, 1));
  EXPECT_EQ(refusal({1, 0, 0, 2, 0}), Error(PciBuildError::kMsixBar, 2));
  EXPECT_EQ(refusal({1, 6, 0, 0, 0}), Error(PciBuildError::kMsixBar, 6));
  EXPECT_EQ(refusal({1, 0, 4, 0, 0x800}), Error(PciBuildError::kMsixAlign, 4, 8));
  EXPECT_EQ(refusal({2, 0, 0xff0, 0, 0}), Error(PciBuildError::kMsixRange, 0x1010, 0x1000));
  EXPECT_EQ(refusal({1, 0, 0, 0, 0xffff'fff8}), PciBuildError::kMsixRange);
  EXPECT_EQ(refusal({3, 0, 0, 0, 0x28}), Error(PciBuildError::kMsixOverlap, 0, 0x28));
  EXPECT_EQ(refusal({65, 0, 8, 0, 0}), Error(PciBuildError::kMsixOverlap, 8, 0));
  ASSERT_TRUE(builder.add_msix({3, 0, 0, 0, 0x30}));
  EXPECT_EQ(refusal({3, 0, 0, 0, 0x30}), Error(PciBuildError::kMsixTwice, 0x40));
}

TEST_F(BuilderTest, RefusesWindowsOutsideCapabilities) {
  const auto at = builder.add_capability(kCapabilityVendor, bytes_of(0, 6)).value();

  EXPECT_EQ(builder.set_window(0x40).error(), Error(PciBuildError::kWindow, 0x40, 0x44));
  EXPECT_EQ(builder.set_window(0x10).error(), Error(PciBuildError::kWindow, 0x10, 0x44));
  EXPECT_EQ(builder.set_window(0x46).error(), PciBuildError::kWindow);
  EXPECT_EQ(builder.set_window(0x48).error(), PciBuildError::kWindow);
  ASSERT_TRUE(builder.set_window(at + 4));
  EXPECT_EQ(builder.set_window(0x44).error(), Error(PciBuildError::kWindowTwice, 0x44, 0x44));
}

TEST_F(BuilderTest, RefusesPinsThatThereAreNot) {
  EXPECT_EQ(builder.set_interrupt_pin(0).error(), Error(PciBuildError::kPin, 0, 4));
  EXPECT_EQ(builder.set_interrupt_pin(5).error(), Error(PciBuildError::kPin, 5, 4));
  EXPECT_TRUE(builder.set_interrupt_pin(4));
  EXPECT_EQ(builder.build().interrupt_pin(), 4);
}

TEST_F(BuilderTest, WithoutCapabilitiesThereIsNoList) {
  const auto space = builder.build();
  EXPECT_EQ(space.status(), 0);
  EXPECT_EQ(std::to_integer<int>(space.bytes()[0x34]), 0);
}

TEST_F(BuilderTest, SaysThatADeviceHasOtherFunctions) {
  EXPECT_FALSE(builder.build().multi_function());
  builder.set_multi_function();
  EXPECT_TRUE(builder.build().multi_function());
  EXPECT_EQ(std::to_integer<int>(builder.build().bytes()[0x0e]), 0x80);
}

}  // namespace
}  // namespace guestproof::pci
