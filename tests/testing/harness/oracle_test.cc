// Each oracle is shown to bite: a device with one planted fault per oracle, and a valid program
// that it must not survive.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "guestproof/testing/harness/queue_harness.h"
#include "guestproof/testing/scenario/text.h"

namespace guestproof::testing {
namespace {

using virtio::Turn;
using Serve = std::function<void(WatchedQueue&, WatchedChain&)>;

/// An echo device's turn around a fault.
class FaultyHarness : public QueueHarness {
 public:
  explicit FaultyHarness(Serve serve) : QueueHarness("queue"), serve_chain_(std::move(serve)) {}

 private:
  Result<Turn> process(WatchedQueue& queue, std::uint32_t looks, const Observer& taken) override {
    return virtio::take_turn(queue, looks, [&](WatchedChain chain) -> Result<void> {
      taken(chain);
      serve_chain_(queue, chain);
      return {};
    });
  }

  Serve serve_chain_;
};

/// An echo device that misjudges its turn.
class ImpatientHarness : public QueueHarness {
 public:
  using Misjudge = std::function<void(Turn&)>;
  explicit ImpatientHarness(Misjudge misjudge)
      : QueueHarness("queue"), misjudge_(std::move(misjudge)) {}

 private:
  Result<Turn> process(WatchedQueue& queue, std::uint32_t looks, const Observer& taken) override {
    auto turn = QueueHarness::process(queue, looks, taken);
    if (turn) misjudge_(*turn);
    return turn;
  }

  Misjudge misjudge_;
};

std::string verdict_on_turns(ImpatientHarness::Misjudge misjudge, std::string_view text) {
  ImpatientHarness harness(std::move(misjudge));
  const auto violation = harness.run(parse_text(text).value());
  return violation ? std::string(violation->oracle) : "none";
}

std::uint32_t sum_of(const WatchedChain& chain) {
  auto reader = chain.reader();
  std::uint32_t sum = 0;
  while (reader.remaining() != 0) sum += reader.read_object<std::uint8_t>().value();
  return sum;
}

std::uint32_t answer(const WatchedChain& chain, std::uint32_t sum) {
  auto writer = chain.writer();
  std::uint32_t written = 0;
  for (; writer.remaining() != 0; ++written)
    EXPECT_TRUE(writer.write_object(echo_byte(sum, written)));
  return written;
}

/// The same, written by a system call that the device speaks of or keeps to itself.
std::uint32_t answer_by_io(const WatchedChain& chain, std::uint32_t sum, bool tell) {
  auto writer = chain.writer();
  std::uint32_t written = 0;
  EXPECT_TRUE(writer.visit_slices(writer.remaining(), [&](const WatchedMemory::Slice& slice) {
    const auto target = slice.io_target();
    for (auto& byte : std::span(static_cast<std::byte*>(target.iov_base), target.iov_len))
      byte = echo_byte(sum, written++);
    if (tell) slice.written_by_io();
  }));
  return written;
}

std::string verdict(Serve serve,
                    std::string_view text = "request value=0x0102030405060708 length=20\nkick\n") {
  FaultyHarness harness(std::move(serve));
  const auto violation = harness.run(parse_text(text).value());
  return violation ? std::string(violation->oracle) : "none";
}

TEST(Oracle, NoneBitesAGoodDevice) {
  EXPECT_EQ(verdict([](auto&, auto& chain) {
              EXPECT_TRUE(chain.complete(answer(chain, sum_of(chain))));
            }),
            "none");
}

TEST(Oracle, FetchOnceBitesASecondLook) {
  EXPECT_EQ(verdict([](auto&, auto& chain) {
              static_cast<void>(
                  chain.reader().template read_object<std::uint8_t>());  // checked here, used below
              EXPECT_TRUE(chain.complete(answer(chain, sum_of(chain))));
            }),
            kFetchOnce);
}

TEST(Oracle, ARaceTurnsASecondLookIntoAWrongAnswer) {
  FaultyHarness harness([](auto&, auto& chain) {
    static_cast<void>(sum_of(chain));
    EXPECT_TRUE(chain.complete(answer(chain, sum_of(chain))));
  });
  const auto violation = harness.run(
      parse_text("request value=1\nrace address=header+0 nth=2 value=99\nkick\n").value());
  ASSERT_TRUE(violation);
}

TEST(Oracle, ConfinementBitesAWriteBehindTheBuffer) {
  EXPECT_EQ(verdict([](auto& queue, auto& chain) {
              const auto sum = sum_of(chain);
              const auto written = answer(chain, sum);
              const auto& last = chain.writable().back();
              EXPECT_TRUE(write_object(
                  queue.memory(), GuestAddress(last.address.raw() + last.length), std::uint8_t{0}));
              EXPECT_TRUE(chain.complete(written));
            }),
            kConfinement);
}

TEST(Oracle, ConfinementBitesAWriteIntoAReadableBuffer) {
  EXPECT_EQ(verdict([](auto& queue, auto& chain) {
              const auto written = answer(chain, sum_of(chain));
              EXPECT_TRUE(
                  write_object(queue.memory(), chain.readable().front().address, std::uint8_t{8}));
              EXPECT_TRUE(chain.complete(written));
            }),
            kConfinement);
}

TEST(Oracle, LivenessBitesADeviceThatKeepsAChain) {
  std::vector<WatchedChain> kept;
  FaultyHarness harness([&](auto&, auto& chain) { kept.push_back(std::move(chain)); });
  const auto violation = harness.run({});
  kept.clear();  // a queue outlives its chains
  ASSERT_TRUE(violation);
  EXPECT_EQ(violation->oracle, kLiveness);
}

TEST(Oracle, LivenessBitesASpin) {
  EXPECT_EQ(verdict([](auto&, auto& chain) {
              for (;;) static_cast<void>(sum_of(chain));
            }),
            kLiveness);
}

TEST(Oracle, NoneBitesADeviceThatTakesSeveralTurns) {
  EXPECT_EQ(verdict_on_turns([](Turn&) {}, "request\nrequest\nkick budget=1\n"), "none");
}

TEST(Oracle, LivenessBitesADeviceThatForgetsItsNextTurn) {
  EXPECT_EQ(
      verdict_on_turns([](Turn& turn) { turn.more = false; }, "request\nrequest\nkick budget=1\n"),
      kLiveness);
}

TEST(Oracle, LivenessBitesADeviceThatWantsTurnsForEver) {
  EXPECT_EQ(verdict_on_turns([](Turn& turn) { turn.more = true; }, "request\nkick\n"), kLiveness);
}

TEST(Oracle, ModelAgreementBitesANotificationThatWaitsForTheNextTurn) {
  EXPECT_EQ(verdict_on_turns([](Turn& turn) { turn.notify = !turn.more; },
                             "request\nrequest\nkick budget=1\n"),
            kModelAgreement);
}

TEST(Oracle, ModelAgreementBitesAWrongAnswer) {
  EXPECT_EQ(verdict([](auto&, auto& chain) {
              EXPECT_TRUE(chain.complete(answer(chain, sum_of(chain) + 1)));
            }),
            kModelAgreement);
}

TEST(Oracle, ModelAgreementBitesAWrongUsedLength) {
  EXPECT_EQ(verdict([](auto&, auto& chain) {
              EXPECT_TRUE(chain.complete(answer(chain, sum_of(chain)) - 1));
            }),
            kModelAgreement);
}

TEST(Oracle, ModelAgreementBitesAPageThatIsNotMarkedDirty) {
  const auto serve = [](bool tell) {
    return [tell](auto&, auto& chain) {
      EXPECT_TRUE(chain.complete(answer_by_io(chain, sum_of(chain), tell)));
    };
  };
  EXPECT_EQ(verdict(serve(true)), "none");
  EXPECT_EQ(verdict(serve(false)), kModelAgreement);
}

TEST(Oracle, ModelAgreementBitesADirtyPageThatWasOnlyRead) {
  EXPECT_EQ(verdict([](auto& queue, auto& chain) {
              const auto read = chain.readable().front();
              queue.memory().find(read.address, read.length, Access::kRead)->written_by_io();
              EXPECT_TRUE(chain.complete(answer(chain, sum_of(chain))));
            }),
            kModelAgreement);
}

TEST(Oracle, ModelAgreementBitesALostNotification) {
  EXPECT_EQ(verdict([](auto& queue, auto& chain) {
              EXPECT_TRUE(chain.complete(answer(chain, sum_of(chain))));
              static_cast<void>(queue.needs_notification());  // swallowed
            }),
            kModelAgreement);
}

}  // namespace
}  // namespace guestproof::testing
