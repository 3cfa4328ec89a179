// Each oracle is shown to bite: a device with one planted fault per oracle, and a valid program
// that it must not survive.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "guestproof/testing/harness/queue_harness.h"
#include "guestproof/testing/scenario/text.h"

namespace guestproof::testing {
namespace {

using Serve = std::function<void(WatchedQueue&, WatchedChain&)>;

/// An echo device's loop around a fault.
class FaultyHarness : public QueueHarness {
 public:
  explicit FaultyHarness(Serve serve) : QueueHarness("queue"), serve_chain_(std::move(serve)) {}

 private:
  Result<bool> process(WatchedQueue& queue, const Observer& taken) override {
    do {
      queue.disable_kicks();
      for (;;) {
        auto popped = queue.pop();
        if (!popped) return std::unexpected(popped.error());
        if (!*popped) break;
        taken(**popped);
        serve_chain_(queue, **popped);
      }
    } while (queue.enable_kicks());
    return queue.needs_notification();
  }

  Serve serve_chain_;
};

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

TEST(Oracle, ModelAgreementBitesALostNotification) {
  EXPECT_EQ(verdict([](auto& queue, auto& chain) {
              EXPECT_TRUE(chain.complete(answer(chain, sum_of(chain))));
              static_cast<void>(queue.needs_notification());  // swallowed
            }),
            kModelAgreement);
}

}  // namespace
}  // namespace guestproof::testing
