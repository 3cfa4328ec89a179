#include "guestproof/testing/harness/device_trace.h"

#include <gmock/gmock.h>

#include "guestproof/testing/harness/block_device_harness.h"
#include "guestproof/testing/harness/net_harness.h"
#include "guestproof/testing/harness/rng_harness.h"
#include "guestproof/testing/scenario/text.h"
#include "guestproof/virtio/transport/mmio/registers.h"

namespace guestproof::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using What = TraceStep::What;

std::vector<TraceStep> trace(DeviceHarness& harness, const ModelDisk* disk, std::string_view text) {
  std::vector<TraceStep> steps;
  DeviceTracer tracer(harness, disk, [&](const TraceStep& step) { steps.push_back(step); });
  const auto violation = tracer.run(parse_text(text).value());
  EXPECT_FALSE(violation) << violation->sentence;
  return steps;
}
std::vector<TraceStep> trace_rng(std::string_view text) {
  RngHarness harness(std::byte{0xee});
  return trace(harness, nullptr, text);
}

std::vector<TraceStep> of(const std::vector<TraceStep>& steps, What what) {
  std::vector<TraceStep> some;
  for (const auto& step : steps)
    if (step.what == what) some.push_back(step);
  return some;
}
std::vector<std::string> reasons(const std::vector<TraceStep>& steps) {
  std::vector<std::string> all;
  for (const auto& step : of(steps, What::kOnly)) all.push_back(step.reason);
  return all;
}

TEST(DeviceTrace, TellsARequestInOrder) {
  const auto steps = trace_rng("request length=3 flags=kick");
  EXPECT_THAT(reasons(steps), IsEmpty());
  ASSERT_EQ(of(steps, What::kOffer).size(), 1U);
  // Behind the notification: the bytes, the used ring, and a device that is well.
  auto at = steps.begin();
  while (at->what != What::kWrite || at->at != virtio::mmio::kQueueNotifyOffset) ++at;
  EXPECT_EQ(at->width, 4U);
  EXPECT_EQ(at->value, 0U);
  const auto before = std::vector<TraceStep>(steps.begin(), at);
  EXPECT_FALSE(of(before, What::kGuest).empty()) << "descriptors";
  const auto behind = std::vector<TraceStep>(at, steps.end());
  const auto bytes = of(behind, What::kDevice);
  ASSERT_FALSE(bytes.empty());
  EXPECT_TRUE(std::ranges::any_of(
      bytes, [](const TraceStep& step) { return step.bytes == std::vector(3, std::byte{0xee}); }));
  const auto settled = of(behind, What::kSettled);
  ASSERT_FALSE(settled.empty());
  EXPECT_EQ(settled.back().at, 0xfU) << "ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK";
  EXPECT_EQ(settled.back().value, 1U) << "a used buffer notification";
}

TEST(DeviceTrace, TellsReadsAndOddWidths) {
  const auto steps = trace_rng("access kind=1 index=0 length=4\naccess kind=1 index=0 length=3");
  const auto reads = of(steps, What::kRead);
  ASSERT_EQ(reads.size(), 2U);
  EXPECT_EQ(reads[0].value, 0x74726976U) << "the magic value";
  EXPECT_EQ(reads[1].width, 3U);
  EXPECT_THAT(reasons(steps), ElementsAre("an access of this width is none of a processor's"));
}

TEST(DeviceTrace, TellsWhatTheHostDoes) {
  const auto host = of(trace_rng("backend kind=1 value=300"), What::kHost);
  ASSERT_EQ(host.size(), 1U);
  EXPECT_EQ(host[0].at, 0U);
  EXPECT_EQ(host[0].value, 300U);
}

TEST(DeviceTrace, SaysWhyAProgramCannotBeRepeated) {
  EXPECT_THAT(reasons(trace_rng("race address=data+0x0\nrequest flags=kick")),
              Contains("races cannot be timed from outside"));
  EXPECT_THAT(reasons(trace_rng("save")), Contains("saved state is each implementation's own"));
  EXPECT_THAT(reasons(trace_rng("queue index=4 flags=pci\nrequest flags=kick")),
              Contains("MMIO is repeated"));
  EXPECT_THAT(reasons(trace_rng("request length=8 address=top+0x0 flags=kick")),
              Contains("there is no memory at the top of the address space"));
  EXPECT_THAT(reasons(trace_rng("request length=64 address=mid:end-16 flags=kick")),
              Contains("memory is where the other has none, or the other way around"));
}

TEST(DeviceTrace, TellsADisk) {
  BlockDeviceHarness harness(std::byte{0});
  const auto steps = trace(harness, &harness.disk(), "request kind=1 length=1024 flags=kick");
  EXPECT_FALSE(of(steps, What::kBehind).empty()) << "its content";
  EXPECT_FALSE(of(steps, What::kDisk).empty()) << "what was written";
}

TEST(DeviceTrace, TellsThatADeviceWaits) {
  BlockDeviceHarness harness(std::byte{0});
  const auto steps = trace(harness, &harness.disk(), "backend kind=8 value=1\nrequest flags=kick");
  EXPECT_FALSE(of(steps, What::kBusy).empty());
}

TEST(DeviceTrace, TellsFrames) {
  NetHarness harness(net_config(1));
  const auto steps = trace(harness, nullptr,
                           "request queue=0 length=1600 flags=kick\nrequest queue=1 flags=kick\n"
                           "backend kind=1 value=64");
  EXPECT_FALSE(of(steps, What::kSends).empty());
  EXPECT_FALSE(of(steps, What::kArrives).empty());
}

}  // namespace
}  // namespace guestproof::testing
