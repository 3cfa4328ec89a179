#include "guestproof/pci/function.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.h"

namespace guestproof::pci {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Asked = NotingOwner::Asked;

// A table of 3 vectors at 0x100 of BAR 0 (to 0x130), its pending bits at 0x138 (to 0x140), the
// control word at 0x42, a window at 0x50.
class FunctionTest : public ::testing::Test {
 protected:
  static ConfigSpace config() {
    ConfigSpace::Builder builder({.vendor = 0x1af4, .device = 0x1042});
    EXPECT_TRUE(builder.set_interrupt_pin(1));
    EXPECT_TRUE(builder.add_bar(0, {BarKind::kMemory64, 0x1000}));
    EXPECT_TRUE(builder.add_msix({3, 0, 0x100, 0, 0x138}));
    EXPECT_EQ(builder.add_capability(kCapabilityVendor, bytes_of(0, 6)), 0x4c);
    EXPECT_TRUE(builder.set_window(0x50));
    return builder.build();
  }
  void write_config(std::uint64_t offset, std::size_t width, std::uint64_t value) {
    ASSERT_TRUE(function.write_config(offset, bytes_of(value, width)));
  }
  Answer read_config(std::uint64_t offset, std::size_t width) {
    return answer(width, [&](auto data) { return function.read_config(offset, data); });
  }
  Answer read_bar(std::uint64_t offset, std::size_t width) {
    return answer(width, [&](auto data) { return function.read_bar(0, offset, data); });
  }
  Result<void> write_bar(std::uint64_t offset, std::size_t width, std::uint64_t value) {
    return function.write_bar(0, offset, bytes_of(value, width));
  }
  /// MSI-X on, vector 1 free.
  void enable_msix() {
    ASSERT_TRUE(write_bar(0x110, 8, 0xfee00000));
    ASSERT_TRUE(write_bar(0x118, 8, 0x31));
    write_config(0x04, 2, kCommandMaster);
    write_config(0x42, 2, kMsixEnable);
  }

  NotingOwner owner;
  NotingSink sink;
  Function function{config(), owner, sink};
};

TEST_F(FunctionTest, WhatIsNotMsixInABarIsTheOwners) {
  EXPECT_EQ(read_bar(0xff, 1), Answer{0x11});
  EXPECT_EQ(read_bar(0x130, 8), Answer{0x8877'6655'4433'2211});
  EXPECT_TRUE(write_bar(0x140, 2, 0xabcd));
  EXPECT_TRUE(function.write_bar(1, 0x100, bytes_of(1, 4)));

  EXPECT_THAT(owner.asked,
              ElementsAre(Asked{'r', 0, 0xff, 1, 0}, Asked{'r', 0, 0x130, 8, 0},
                          Asked{'w', 0, 0x140, 2, 0xabcd}, Asked{'w', 1, 0x100, 4, 1}));
}

TEST_F(FunctionTest, TableAndPendingBitsAreInTheBar) {
  ASSERT_TRUE(write_bar(0x120, 4, 0x1234));
  EXPECT_EQ(read_bar(0x120, 8), Answer{0x1234});
  EXPECT_EQ(read_bar(0x12c, 4), Answer{1});
  EXPECT_EQ(read_bar(0x138, 8), Answer{0});
  EXPECT_EQ(write_bar(0x138, 8, 1).error(), Error(MsixError::kPbaReadOnly, 0));
  EXPECT_EQ(write_bar(0x124, 2, 1).error(), Error(MsixError::kAccess, 0x24, 2));
  EXPECT_THAT(owner.asked, IsEmpty());
}

TEST_F(FunctionTest, AnAccessThatIsInPartForMsixIsForNobody) {
  EXPECT_EQ(read_bar(0xfc, 8), (Answer{UINT64_MAX, Error(PciError::kMsixPart, 0xfc, 8)}));
  EXPECT_EQ(write_bar(0x12c, 8, 0).error(), Error(PciError::kMsixPart, 0x12c, 8));
  EXPECT_EQ(write_bar(0x137, 2, 0).error(), Error(PciError::kMsixPart, 0x137, 2));
  EXPECT_EQ(read_bar(0x13f, 2).error, Error(PciError::kMsixPart, 0x13f, 2));
  EXPECT_EQ(read_bar(0x12c, 4), Answer{1});
  EXPECT_THAT(owner.asked, IsEmpty());
}

TEST_F(FunctionTest, TheOwnerAnswersItsWindow) {
  EXPECT_EQ(read_config(0x50, 4), Answer{0x4433'2211});
  EXPECT_EQ(read_config(0x52, 2), Answer{0x2211});
  write_config(0x53, 1, 0x77);
  EXPECT_EQ(read_config(0x51, 4).error, Error(PciError::kStraddle, 0x51, 4));
  EXPECT_EQ(read_config(0x4c, 4), Answer{9});
  EXPECT_EQ(read_config(0x50, 8).error, Error(PciError::kWidth, 8, 4));
  EXPECT_EQ(read_config(0x50, 3).error, Error(PciError::kWidth, 3, 4));

  EXPECT_THAT(owner.asked, ElementsAre(Asked{'R', 0, 0, 4, 0}, Asked{'R', 0, 2, 2, 0},
                                       Asked{'W', 0, 3, 1, 0x77}));
}

TEST_F(FunctionTest, TheControlWordAndTheCommandRegisterRuleMsix) {
  enable_msix();
  EXPECT_EQ(function.raise(1), MsixOutcome::kDelivered);
  EXPECT_EQ(function.raise(0), MsixOutcome::kPending);

  write_config(0x43, 1, 0xc0);
  EXPECT_EQ(function.raise(1), MsixOutcome::kPending);
  write_config(0x04, 2, 0);
  write_config(0x42, 2, kMsixEnable);
  EXPECT_EQ(sink.all.size(), 1u);
  write_config(0x04, 2, kCommandMaster);

  EXPECT_THAT(sink.all, ElementsAre(MsiMessage{0xfee00000, 0x31}, MsiMessage{0xfee00000, 0x31}));
  EXPECT_EQ(function.raise(3).error(), Error(MsixError::kVector, 3, 3));
}

TEST_F(FunctionTest, TheOwnerHearsThatBusMasterHasChanged) {
  write_config(0x04, 2, kCommandMemory);
  EXPECT_THAT(owner.masters, IsEmpty());
  write_config(0x04, 1, kCommandMaster);
  write_config(0x04, 2, kCommandMaster | kCommandMemory);
  EXPECT_THAT(owner.masters, ElementsAre(true));
  EXPECT_FALSE(function.write_config(0x04, bytes_of(0, 8)));
  EXPECT_THAT(owner.masters, ElementsAre(true));
  write_config(0x04, 4, 0);
  EXPECT_THAT(owner.masters, ElementsAre(true, false));
}

TEST_F(FunctionTest, MessagesGoOutUntilTheOwnerHasHeardThatBusMasterIsCleared) {
  enable_msix();
  owner.raises = &function;
  write_config(0x04, 2, 0);
  EXPECT_EQ(sink.all.size(), 1u);
  EXPECT_EQ(function.raise(1), MsixOutcome::kPending);
  write_config(0x04, 2, kCommandMaster);
  EXPECT_EQ(sink.all.size(), 3u);  // the pending one, and the owner's
}

TEST_F(FunctionTest, AResetAndARestoredStateChangeBusMasterToo) {
  enable_msix();
  owner.raises = &function;
  const auto set = function.encode();
  owner.masters.clear();
  function.reset();
  EXPECT_THAT(owner.masters, ElementsAre(false));
  EXPECT_EQ(sink.all.size(), 1u);
  function.reset();
  const auto clear = function.encode();
  function.restore(function.decode(set).value());
  function.restore(function.decode(set).value());
  EXPECT_THAT(owner.masters, ElementsAre(false, true));
  EXPECT_EQ(sink.all.size(), 2u);
  function.restore(function.decode(clear).value());
  EXPECT_THAT(owner.masters, ElementsAre(false, true, false));
  EXPECT_EQ(sink.all.size(), 3u);
}

TEST_F(FunctionTest, WithoutAnOwnerBusMasterIsABit) {
  Function alone(ConfigSpace::Builder({}).build());
  EXPECT_TRUE(alone.write_config(0x04, bytes_of(kCommandMaster, 2)));
  EXPECT_TRUE(alone.write_config(0x04, bytes_of(0, 2)));
  EXPECT_EQ(load(alone.config().bytes().subspan(4, 2)), 0u);
}

TEST_F(FunctionTest, WithoutMsixThereAreNoVectors) {
  ConfigSpace::Builder builder({});
  ASSERT_TRUE(builder.add_bar(0, {BarKind::kMemory32, 0x1000}));
  Function plain(builder.build(), owner, sink);

  EXPECT_EQ(plain.raise(7).error(), Error(PciError::kNoMsix, 7));
  EXPECT_EQ(plain.withdraw(7).error(), Error(PciError::kNoMsix, 7));
  EXPECT_TRUE(plain.write_bar(0, 0x100, bytes_of(1, 1)));
}

TEST_F(FunctionTest, ThePinIsAssertedUntilDisabledOrMsixTakesOver) {
  EXPECT_FALSE(function.asserted());
  function.set_interrupt(true);
  EXPECT_TRUE(function.asserted());

  write_config(0x04, 2, kCommandInterruptDisable);
  EXPECT_FALSE(function.asserted());
  EXPECT_EQ(read_config(0x06, 2), Answer{0x18});
  write_config(0x04, 2, 0);
  EXPECT_TRUE(function.asserted());
  write_config(0x42, 2, kMsixEnable);
  EXPECT_FALSE(function.asserted());
  write_config(0x42, 2, 0);
  function.set_interrupt(false);
  EXPECT_FALSE(function.asserted());
}

TEST_F(FunctionTest, ResetIsAsBuilt) {
  const auto fresh = function.encode();
  enable_msix();
  EXPECT_EQ(function.raise(0), MsixOutcome::kPending);
  function.set_interrupt(true);
  function.report(0x8000);

  function.reset();

  EXPECT_EQ(function.encode(), fresh);
}

class FunctionStateTest : public FunctionTest {
 protected:
  void SetUp() override {
    enable_msix();
    EXPECT_EQ(function.raise(2), MsixOutcome::kPending);
    function.set_interrupt(true);
  }
  Error refusal(std::size_t offset, std::size_t width, std::uint64_t value) const {
    auto bytes = function.encode();
    store(std::span(bytes).subspan(offset, width), value);
    const auto refused = function.decode(bytes);
    EXPECT_FALSE(refused);
    return refused.error();
  }
  static constexpr std::size_t kSize = 16 + 256 + 16 + 3 * 16 + 8;
};

TEST_F(FunctionStateTest, RestoredGoesOnAsTheSavedOne) {
  const auto saved = function.encode();
  ASSERT_EQ(saved.size(), kSize);
  Function other(config(), owner, sink);

  other.restore(other.decode(saved).value());

  EXPECT_EQ(other.encode(), saved);
  EXPECT_TRUE(other.write_bar(0, 0x12c, bytes_of(0, 4)));
  EXPECT_THAT(sink.all, ElementsAre(MsiMessage{}));
}

TEST_F(FunctionStateTest, NamesTheFieldThatCannotBe) {
  auto bytes = function.encode();
  bytes.pop_back();
  EXPECT_EQ(function.decode(bytes).error(), Error(PciStateError::kBytes, kSize - 1, kSize));
  EXPECT_EQ(refusal(0, 4, 0), PciStateError::kMagic);
  EXPECT_EQ(refusal(4, 2, 0), Error(PciStateError::kVersion, 0, 1));
  EXPECT_EQ(refusal(6, 2, 9), Error(PciStateError::kReserved, 9));
  EXPECT_EQ(refusal(8, 4, 0), Error(PciStateError::kLength, 0, kSize));
  EXPECT_EQ(refusal(12, 4, 0), Error(PciStateError::kMsixLength, 0, 72));
  EXPECT_EQ(refusal(16, 1, 0xf5), Error(PciStateError::kReadOnly, 0, 0xf4));
  EXPECT_EQ(refusal(272, 1, 0), PciStateError::kMagic);
}

TEST_F(FunctionStateTest, RefusesMsixThatItsRegistersDoNotRule) {
  EXPECT_EQ(refusal(16 + 0x42, 2, 2), Error(PciStateError::kMsixControl, 5, 4));
  EXPECT_EQ(refusal(16 + 0x04, 2, 0), Error(PciStateError::kMsixControl, 5, 1));
}

}  // namespace
}  // namespace guestproof::pci
