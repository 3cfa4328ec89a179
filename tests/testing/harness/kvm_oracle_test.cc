// Each oracle of what KVM shares is shown to bite: a reader with one planted fault per oracle, and
// a valid program that it must not survive.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "guestproof/testing/harness/kvm_exit_harness.h"
#include "guestproof/testing/harness/kvm_ring_harness.h"
#include "guestproof/testing/harness/saved_harness.h"
#include "guestproof/testing/scenario/text.h"

namespace guestproof::testing {
namespace {

using kvm::CoalescedWrite;
using kvm::DirtyPage;
using kvm::Exit;

class FaultyRunPage : public KvmExitHarness {
 public:
  using Decode = std::function<Result<Exit>(const WatchedRunPage&)>;
  explicit FaultyRunPage(Decode decode) : decode_(std::move(decode)) {}

 private:
  Result<Exit> decode(const WatchedRunPage& page) const override { return decode_(page); }

  Decode decode_;
};

class FaultyCoalescedRing : public KvmCoalescedRingHarness {
 public:
  using Take = std::function<Result<std::optional<CoalescedWrite>>(WatchedCoalescedRing&)>;
  explicit FaultyCoalescedRing(Take take) : take_(std::move(take)) {}

 private:
  Result<std::optional<CoalescedWrite>> take(WatchedCoalescedRing& ring) override {
    return take_(ring);
  }

  Take take_;
};

class FaultyDirtyRing : public KvmDirtyRingHarness {
 public:
  using Take = std::function<Result<std::optional<DirtyPage>>(WatchedDirtyRing&)>;
  explicit FaultyDirtyRing(Take take) : take_(std::move(take)) {}

 private:
  Result<std::optional<DirtyPage>> take(WatchedDirtyRing& ring) override { return take_(ring); }

  Take take_;
};

std::string verdict(Runner& runner, std::string_view text) {
  const auto violation = runner.run(parse_text(text).value());
  return violation ? std::string(violation->oracle) : "none";
}
std::string verdict(FaultyRunPage::Decode decode, std::string_view text = "request") {
  FaultyRunPage harness(std::move(decode));
  return verdict(harness, text);
}

TEST(KvmOracle, NoneBitesAGoodReader) {
  EXPECT_EQ(verdict([](const WatchedRunPage& page) { return page.decode(); }), "none");
}

TEST(KvmOracle, FetchOnceBitesASecondLook) {
  EXPECT_EQ(verdict([](const WatchedRunPage& page) {
              static_cast<void>(page.mapping().load<std::uint32_t>(8));
              return page.decode();
            }),
            kFetchOnce);
}

TEST(KvmOracle, ConfinementBitesAReaderThatWrites) {
  EXPECT_EQ(verdict([](const WatchedRunPage& page) {
              page.mapping().store(0, std::uint8_t{0});
              return page.decode();
            }),
            kConfinement);
}

TEST(KvmOracle, LivenessBitesASpin) {
  EXPECT_EQ(verdict([](const WatchedRunPage& page) -> Result<Exit> {
              while (page.mapping().load<std::uint32_t>(8) != 0) {
              }
              return page.decode();
            }),
            kLiveness);
}

TEST(KvmOracle, ModelAgreementBitesAnotherExit) {
  EXPECT_EQ(verdict([](const WatchedRunPage& page) -> Result<Exit> {
              static_cast<void>(page.decode());
              return kvm::Hlt{};
            }),
            kModelAgreement);
}

TEST(KvmOracle, ModelAgreementBitesAnExitWithOtherContents) {
  EXPECT_EQ(verdict([](const WatchedRunPage& page) {
              auto exit = page.decode();
              if (auto* out = std::get_if<kvm::IoOut>(&*exit)) ++out->port;
              return exit;
            }),
            kModelAgreement);
}

TEST(KvmOracle, ModelAgreementBitesARefusalOfWhatIsGood) {
  EXPECT_EQ(verdict([](const WatchedRunPage& page) -> Result<Exit> {
              static_cast<void>(page.decode());
              return fail(kvm::PageError::kIoCount, 1, 2);
            }),
            kModelAgreement);
}

TEST(KvmOracle, ModelAgreementBitesAnErrorWithAnotherLimit) {
  EXPECT_EQ(verdict(
                [](const WatchedRunPage& page) -> Result<Exit> {
                  const auto exit = page.decode();
                  return fail(kvm::PageError::kIoSize, exit.error().value(), 8);
                },
                "request cut=3 length=1 flags=raw"),
            kModelAgreement);
}

TEST(KvmOracle, ModelAgreementBitesAnIndexThatIsNotPublished) {
  FaultyCoalescedRing harness([](WatchedCoalescedRing&) { return CoalescedWrite{}; });
  EXPECT_EQ(verdict(harness, "request"), kModelAgreement);
}

TEST(KvmOracle, ModelAgreementBitesAQueuedWriteWithOtherBytes) {
  FaultyCoalescedRing harness([](WatchedCoalescedRing& ring) {
    auto taken = ring.take();
    if (taken && *taken) (*taken)->bytes[7] = std::byte{1};
    return taken;
  });
  EXPECT_EQ(verdict(harness, "request length=0"), kModelAgreement);
}

TEST(KvmOracle, ModelAgreementBitesADirtyPageThatIsTakenForAnother) {
  FaultyDirtyRing harness([](WatchedDirtyRing& ring) {
    auto taken = ring.take();
    if (taken && *taken) ++(*taken)->page;
    return taken;
  });
  EXPECT_EQ(verdict(harness, "request\nkick budget=1"), kModelAgreement);
}

TEST(KvmOracle, ModelAgreementBitesADirtyPageThatIsLost) {
  FaultyDirtyRing harness([](WatchedDirtyRing& ring) -> Result<std::optional<DirtyPage>> {
    static_cast<void>(ring.take());
    return std::nullopt;
  });
  EXPECT_EQ(verdict(harness, "request\nkick budget=1"), kModelAgreement);
}

TEST(KvmOracle, ModelAgreementBitesAnEntryThatIsNone) {
  FaultyCoalescedRing harness([](WatchedCoalescedRing&) { return CoalescedWrite{}; });
  EXPECT_EQ(verdict(harness, "kick budget=1"), kModelAgreement);
}

/// A value whose bytes are not the model's.
class FaultyValue : public SavedHarness {
 public:
  [[nodiscard]] std::string_view name() const override { return "faulty"; }

 private:
  void choose(std::uint16_t) override {}
  void request(const Record&) override {}
  void act(const Record&) override {}
  [[nodiscard]] Bytes encode() const override { return {1, 2, 3}; }
  [[nodiscard]] Bytes model_encode() const override { return {1, 2, 4}; }
  [[nodiscard]] Result<void> decode(std::span<const std::byte>) override { return {}; }
  [[nodiscard]] ModelError model_decode(std::span<const std::uint8_t>) override { return {}; }
};

TEST(KvmOracle, ModelAgreementBitesAValueWithOtherBytes) {
  FaultyValue harness;
  EXPECT_EQ(verdict(harness, "request"), kModelAgreement);
}

TEST(KvmOracle, WhatTheOtherRingHasAUseForDoesNothing) {
  KvmCoalescedRingHarness coalesced;
  EXPECT_EQ(verdict(coalesced, "complete\nrequest\nkick"), "none");
  KvmDirtyRingHarness dirty;
  EXPECT_EQ(verdict(dirty, "avail next=3\nrequest\nkick"), "none");
}

}  // namespace
}  // namespace guestproof::testing
