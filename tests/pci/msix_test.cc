#include "guestproof/pci/msix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "access.h"

namespace guestproof::pci {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Messages : public MsiSink {
 public:
  void deliver(const MsiMessage& message) override { all.push_back(message); }
  std::vector<MsiMessage> all;
};

class MsixTest : public ::testing::Test {
 protected:
  static constexpr std::uint16_t kVectors = 70;
  static constexpr MsixControl kOn{.enabled = true, .masked = false, .bus_master = true};

  Answer read_table(std::uint64_t offset, std::size_t width) const {
    return answer(width, [&](auto data) { return msix.read_table(offset, data); });
  }
  Answer read_pba(std::uint64_t offset, std::size_t width) const {
    return answer(width, [&](auto data) { return msix.read_pba(offset, data); });
  }
  Result<void> write_table(std::uint64_t offset, std::size_t width, std::uint64_t value) {
    return msix.write_table(offset, bytes_of(value, width), messages);
  }
  /// A vector's message, and its mask off.
  void program(std::uint16_t vector, const MsiMessage& message) {
    ASSERT_TRUE(write_table(16U * vector, 8, message.address));
    ASSERT_TRUE(write_table(16U * vector + 8, 8, message.data));
  }
  void mask(std::uint16_t vector, bool masked) {
    ASSERT_TRUE(write_table(16U * vector + 12, 4, masked ? 1 : 0));
  }
  void control(const MsixControl& control) { msix.set_control(control, messages); }
  MsixOutcome raise(std::uint16_t vector) { return msix.raise(vector, messages).value(); }

  Messages messages;
  Msix msix = Msix::create(kVectors).value();
};

constexpr MsiMessage kMessage{0xfee0'1000, 0x4031};
constexpr MsiMessage kOther{0x1'fee0'2000, 0x4032};

TEST_F(MsixTest, HasFrom1To2048Vectors) {
  EXPECT_EQ(Msix::create(0).error(), Error(MsixError::kVectors, 0, 2048));
  EXPECT_EQ(Msix::create(2049).error(), Error(MsixError::kVectors, 2049, 2048));
  EXPECT_EQ(Msix::create(2048)->table_bytes(), 32768u);
  EXPECT_EQ(Msix::create(2048)->pba_bytes(), 256u);
  EXPECT_EQ(Msix::create(1)->pba_bytes(), 8u);
  EXPECT_EQ(Msix::create(64)->pba_bytes(), 8u);
  EXPECT_EQ(Msix::create(65)->pba_bytes(), 16u);
}

TEST_F(MsixTest, BeginsWithEveryVectorMaskedAndNothingElse) {
  EXPECT_EQ(read_table(0, 8), Answer{0});
  EXPECT_EQ(read_table(8, 8), Answer{0x1'0000'0000});
  EXPECT_EQ(read_table(16 * 69 + 12, 4), Answer{1});
  EXPECT_EQ(read_pba(0, 8), Answer{0});
}

TEST_F(MsixTest, EntriesAreReadAndWrittenByDoublewordsAndQuadwords) {
  ASSERT_TRUE(write_table(16, 4, 0x11223344));
  ASSERT_TRUE(write_table(20, 4, 0x55667788));
  ASSERT_TRUE(write_table(24, 8, 0x00000000'99aabbcc));

  EXPECT_EQ(read_table(16, 8), Answer{0x55667788'11223344});
  EXPECT_EQ(read_table(20, 4), Answer{0x55667788});
  EXPECT_EQ(read_table(24, 4), Answer{0x99aabbcc});
  EXPECT_EQ(read_table(28, 4), Answer{0});
  EXPECT_EQ(read_table(0, 8), Answer{0});
  EXPECT_EQ(read_table(32, 8), Answer{0});
}

TEST_F(MsixTest, ReservedBitsOfAnEntryStayZero) {
  ASSERT_TRUE(write_table(0, 4, 0xffffffff));
  ASSERT_TRUE(write_table(12, 4, 0xffffffff));

  EXPECT_EQ(read_table(0, 4), Answer{0xfffffffc});
  EXPECT_EQ(read_table(12, 4), Answer{1});
}

TEST_F(MsixTest, OtherWidthsAndAlignmentsHaveNoEffect) {
  const auto before = msix;

  for (const std::size_t width : {0u, 1u, 2u, 3u, 5u, 7u, 16u})
    EXPECT_EQ(write_table(0, width, 0xff).error(), Error(MsixError::kAccess, 0, width));
  for (const std::uint64_t offset : {1u, 2u, 3u, 5u, 13u})
    EXPECT_EQ(write_table(offset, 4, 0xff).error(), Error(MsixError::kAccess, offset, 4));
  EXPECT_EQ(write_table(4, 8, 0xff).error(), Error(MsixError::kAccess, 4, 8));
  EXPECT_EQ(read_table(4, 8), (Answer{UINT64_MAX, Error(MsixError::kAccess, 4, 8)}));
  EXPECT_EQ(read_table(0, 2), (Answer{0xffff, Error(MsixError::kAccess, 0, 2)}));
  EXPECT_EQ(read_pba(0, 1), (Answer{0xff, Error(MsixError::kAccess, 0, 1)}));
  EXPECT_EQ(msix, before);
}

TEST_F(MsixTest, NothingIsBehindTheLastVector) {
  const auto size = 16U * kVectors;
  EXPECT_TRUE(write_table(size - 8, 8, 0));
  EXPECT_EQ(write_table(size, 4, 0).error(), Error(MsixError::kTableEnd, size, size));
  EXPECT_EQ(write_table(UINT64_MAX - 7, 8, 0).error(),
            Error(MsixError::kTableEnd, UINT64_MAX - 7, size));
  EXPECT_EQ(read_table(size, 8), (Answer{UINT64_MAX, Error(MsixError::kTableEnd, size, size)}));
  EXPECT_EQ(read_pba(8, 8), Answer{0});
  EXPECT_EQ(read_pba(16, 4), (Answer{0xffffffff, Error(MsixError::kPbaEnd, 16, 16)}));
}

TEST_F(MsixTest, PendingBitsAreReadOnly) {
  program(3, kMessage);
  mask(3, true);
  control(kOn);
  ASSERT_EQ(raise(3), MsixOutcome::kPending);

  EXPECT_EQ(msix.write_pba(0, bytes_of(0, 8)).error(), Error(MsixError::kPbaReadOnly, 0));
  EXPECT_EQ(msix.write_pba(0, bytes_of(0, 3)).error(), Error(MsixError::kAccess, 0, 3));
  EXPECT_EQ(msix.write_pba(16, bytes_of(0, 4)).error(), Error(MsixError::kPbaEnd, 16, 16));
  EXPECT_EQ(read_pba(0, 8), Answer{8});
}

TEST_F(MsixTest, DeliversTheMessageOfAFreeVectorAtOnce) {
  program(69, kOther);
  control(kOn);

  EXPECT_EQ(raise(69), MsixOutcome::kDelivered);

  EXPECT_THAT(messages.all, ElementsAre(kOther));
  EXPECT_EQ(read_pba(8, 8), Answer{0});
}

TEST_F(MsixTest, DisabledRefusesAndRemembersNothing) {
  program(1, kMessage);

  EXPECT_EQ(msix.raise(1, messages).error(), Error(MsixError::kDisabled, 1));
  control(kOn);

  EXPECT_THAT(messages.all, IsEmpty());
  EXPECT_EQ(read_pba(0, 8), Answer{0});
}

TEST_F(MsixTest, AVectorPastTheTableIsRefused) {
  control(kOn);
  EXPECT_EQ(msix.raise(70, messages).error(), Error(MsixError::kVector, 70, 70));
  EXPECT_EQ(msix.raise(0xffff, messages).error(), Error(MsixError::kVector, 0xffff, 70));
  EXPECT_EQ(msix.withdraw(70).error(), Error(MsixError::kVector, 70, 70));
}

TEST_F(MsixTest, AMaskedVectorIsPendingUntilUnmaskedAndThenDeliveredOnce) {
  program(65, kMessage);
  mask(65, true);
  control(kOn);

  EXPECT_EQ(raise(65), MsixOutcome::kPending);
  EXPECT_EQ(raise(65), MsixOutcome::kPending);
  EXPECT_EQ(read_pba(8, 4), Answer{2});
  EXPECT_EQ(read_pba(12, 4), Answer{0});
  EXPECT_THAT(messages.all, IsEmpty());
  mask(65, false);

  EXPECT_THAT(messages.all, ElementsAre(kMessage));
  EXPECT_EQ(read_pba(8, 4), Answer{0});
  mask(65, true);
  mask(65, false);
  EXPECT_EQ(messages.all.size(), 1u);
}

TEST_F(MsixTest, AMessageThatChangesWhilePendingIsTheNewOne) {
  program(0, kMessage);
  mask(0, true);
  control(kOn);
  ASSERT_EQ(raise(0), MsixOutcome::kPending);

  ASSERT_TRUE(write_table(0, 8, kOther.address));
  ASSERT_TRUE(write_table(8, 8, kOther.data));  // and the mask

  EXPECT_THAT(messages.all, ElementsAre(kOther));
}

TEST_F(MsixTest, TheFunctionMaskHoldsAllVectorsAndFreesThemInOrder) {
  program(64, kOther);
  program(2, kMessage);
  control({.enabled = true, .masked = true, .bus_master = true});
  ASSERT_EQ(raise(64), MsixOutcome::kPending);
  ASSERT_EQ(raise(2), MsixOutcome::kPending);
  ASSERT_EQ(raise(5), MsixOutcome::kPending);

  control(kOn);

  EXPECT_THAT(messages.all, ElementsAre(kMessage, kOther));
  EXPECT_EQ(read_pba(0, 8), Answer{1 << 5});
}

TEST_F(MsixTest, AFunctionThatMayNotWriteToMemorySendsNoMessage) {
  program(2, kMessage);
  control({.enabled = true, .masked = false, .bus_master = false});

  EXPECT_EQ(raise(2), MsixOutcome::kPending);
  EXPECT_THAT(messages.all, IsEmpty());
  control(kOn);

  EXPECT_THAT(messages.all, ElementsAre(kMessage));
}

TEST_F(MsixTest, WhatIsPendingOutlastsDisabling) {
  program(2, kMessage);
  mask(2, true);
  control(kOn);
  ASSERT_EQ(raise(2), MsixOutcome::kPending);

  control({.enabled = false, .masked = false, .bus_master = true});
  mask(2, false);
  EXPECT_THAT(messages.all, IsEmpty());
  EXPECT_EQ(read_pba(0, 8), Answer{4});
  control(kOn);

  EXPECT_THAT(messages.all, ElementsAre(kMessage));
}

TEST_F(MsixTest, WithdrawnIsPendingNoMore) {
  program(2, kMessage);
  mask(2, true);
  control(kOn);
  ASSERT_EQ(raise(2), MsixOutcome::kPending);

  EXPECT_TRUE(msix.withdraw(2));
  mask(2, false);

  EXPECT_THAT(messages.all, IsEmpty());
}

TEST_F(MsixTest, ResetIsAsCreated) {
  program(2, kMessage);
  control({.enabled = true, .masked = true, .bus_master = true});
  ASSERT_EQ(raise(2), MsixOutcome::kPending);

  msix.reset();

  EXPECT_EQ(msix, Msix::create(kVectors).value());
}

class MsixStateTest : public MsixTest {
 protected:
  void SetUp() override {
    program(1, kMessage);
    control({.enabled = true, .masked = true, .bus_master = true});
    ASSERT_EQ(raise(1), MsixOutcome::kPending);
    ASSERT_EQ(raise(69), MsixOutcome::kPending);
  }
  /// The state with `width` bytes at `offset` that say something else.
  Error refusal(std::size_t offset, std::size_t width, std::uint64_t value) const {
    auto bytes = msix.encode();
    store(std::span(bytes).subspan(offset, width), value);
    const auto refused = msix.decode(bytes);
    EXPECT_FALSE(refused);
    return refused.error();
  }
  static constexpr std::size_t kSize = 16 + 16 * kVectors + 16;
};

TEST_F(MsixStateTest, HasTheBytesThatTheHeaderSays) {
  const auto bytes = msix.encode();
  const auto field = [&](std::size_t at, std::size_t width) {
    return load(std::span(bytes).subspan(at, width));
  };

  ASSERT_EQ(bytes.size(), kSize);
  EXPECT_EQ(field(0, 8), 0x0046'0001'584d5047u);
  EXPECT_EQ(field(8, 8), 0x0000'0007'0000'0480u);
  EXPECT_EQ(field(16 + 16, 8), kMessage.address);
  EXPECT_EQ(field(16 + 24, 8), kMessage.data);
  EXPECT_EQ(field(kSize - 16, 8), 2u);
  EXPECT_EQ(field(kSize - 8, 8), 1u << 5);
}

TEST_F(MsixStateTest, RestoredGoesOnAsTheSavedOne) {
  auto restored = Msix::create(kVectors)->decode(msix.encode()).value();
  EXPECT_EQ(restored, msix);

  restored.set_control(kOn, messages);

  EXPECT_THAT(messages.all, ElementsAre(kMessage));
}

TEST_F(MsixStateTest, RefusesBytesThatAreNoSuchState) {
  auto bytes = msix.encode();
  bytes.push_back({});
  EXPECT_EQ(msix.decode(bytes).error(), Error(PciStateError::kBytes, kSize + 1, kSize));
  EXPECT_EQ(msix.decode({}).error(), Error(PciStateError::kBytes, 0, kSize));
  EXPECT_EQ(refusal(0, 4, 0x584d5048).as<PciStateError>(), PciStateError::kMagic);
  EXPECT_EQ(refusal(4, 2, 2), Error(PciStateError::kVersion, 2, 1));
  EXPECT_EQ(refusal(6, 2, 71), Error(PciStateError::kMsixVectors, 71, 70));
  EXPECT_EQ(refusal(8, 4, kSize - 1), Error(PciStateError::kLength, kSize - 1, kSize));
  EXPECT_EQ(refusal(12, 2, 8), Error(PciStateError::kMsixFlags, 8, 7));
  EXPECT_EQ(refusal(14, 2, 1), Error(PciStateError::kReserved, 1));
}

TEST_F(MsixStateTest, RefusesATableThatNoGuestCanWrite) {
  EXPECT_EQ(refusal(16 + 16 * 3, 4, 0x1002), Error(PciStateError::kMsixAddress, 0x1002, 3));
  EXPECT_EQ(refusal(16 + 16 * 69 + 12, 4, 3), Error(PciStateError::kMsixVectorControl, 3, 69));
}

TEST_F(MsixStateTest, RefusesPendingBitsThatCannotBe) {
  EXPECT_EQ(refusal(kSize - 8, 8, 1 << 6), Error(PciStateError::kMsixPending, 70, 70));
  EXPECT_EQ(refusal(12, 2, 5), Error(PciStateError::kMsixDeliverable, 1));
}

}  // namespace
}  // namespace guestproof::pci
