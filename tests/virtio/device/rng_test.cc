#include <errno.h>
#include <gtest/gtest.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <deque>

#include "guestproof/testing/driver.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/device/lifecycle.h"
#include "guestproof/virtio/device/rng/virtio_rng.h"
#include "planned_errors.h"
#include "print.h"

// The kernel's source, replaced for this program.
namespace {
guestproof::PlannedErrors requests;
}  // namespace

extern "C" ::ssize_t getrandom(void* into, std::size_t size, unsigned flags) {
  return requests.fail() ? -1 : ::syscall(SYS_getrandom, into, size, flags);
}

namespace guestproof::virtio::rng {
namespace {

using Memory = testing::WatchedMemory;

/// Gives 1, 2, 3, … as far as it may.
class CountingEntropy final : public EntropySource {
 public:
  [[nodiscard]] Result<std::size_t> fill(std::span<std::byte> out) override {
    ++calls;
    if (fails) return fail(SystemError::kRead, EIO);
    const auto given = std::min(out.size(), left);
    for (auto& byte : out.first(given)) byte = std::byte{++last};
    left -= given;
    return given;
  }
  [[nodiscard]] int host_fd() const override { return 11; }

  std::size_t left = SIZE_MAX;
  bool fails = false;
  std::uint8_t last = 0;
  int calls = 0;
};

class QuietHost final : public Host {
 public:
  void wake() override {}
  void refused(std::uint16_t, const Error& why) override { refusals.push_back(why); }
  std::vector<Error> refusals;
};

class RngTest : public ::testing::Test {
 protected:
  static constexpr std::array kRegions{Memory::RegionSpec{GuestAddress(0), 0x20000}};
  static constexpr GuestAddress kData{0x4000};

  void SetUp() override {
    ASSERT_TRUE(lifecycle.set_status(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER));
    ASSERT_TRUE(lifecycle.set_driver_features(1, 1));
    ASSERT_TRUE(lifecycle.set_status(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                                     VIRTIO_STATUS_FEATURES_OK));
    ASSERT_TRUE(lifecycle.set_queue_size(0, layout.size));
    ASSERT_TRUE(lifecycle.set_descriptor_area(0, layout.descriptor_table));
    ASSERT_TRUE(lifecycle.set_driver_area(0, layout.available_ring));
    ASSERT_TRUE(lifecycle.set_device_area(0, layout.used_ring));
    ASSERT_TRUE(lifecycle.enable_queue(0));
    ASSERT_TRUE(lifecycle.set_status(lifecycle.status() | VIRTIO_STATUS_DRIVER_OK));
  }
  /// Kicks and lets the device work; the used length of the next chain that came back, if one did.
  std::optional<std::uint32_t> serve() {
    EXPECT_TRUE(lifecycle.kick(0));
    EXPECT_FALSE(lifecycle.work().value());
    return used();
  }
  std::optional<std::uint32_t> used() {
    const auto element = driver.take_used();
    return element ? std::optional<std::uint32_t>(element->len) : std::nullopt;
  }
  [[nodiscard]] std::vector<std::byte> bytes(GuestAddress from, std::size_t length) const {
    std::vector<std::byte> out(length);
    EXPECT_TRUE(read_bytes(guest, from, out));
    return out;
  }

  Memory memory{kRegions};
  Memory::GuestView guest = memory.guest();
  testing::QueueLayout layout = testing::QueueLayout::at(GuestAddress(0x1000), 8);
  testing::Driver<Memory::GuestView> driver{guest, layout};
  CountingEntropy source;
  QuietHost host;
  VirtioRng<Memory> device{source};
  DeviceLifecycle<Memory> lifecycle{device, memory, host};
};

TEST_F(RngTest, IsAnEntropyDeviceWithOneQueue) {
  EXPECT_EQ(lifecycle.device_id(), 4U);
  EXPECT_EQ(lifecycle.queue_count(), 1);
  EXPECT_EQ(lifecycle.config_bytes(), 0U);
  EXPECT_EQ(lifecycle.host_fd(), 11);
}

TEST_F(RngTest, FillsABufferInWhateverPieces) {
  driver.add_chain({{kData, 3, true}, {GuestAddress(0x5000), 2, true}});
  EXPECT_EQ(serve(), 5U);
  EXPECT_EQ(bytes(kData, 4), (std::vector{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{0}}));
  EXPECT_EQ(bytes(GuestAddress(0x5000), 2), (std::vector{std::byte{4}, std::byte{5}}));
}

TEST_F(RngTest, GivesNoByteTwice) {
  driver.add_chain({{kData, 2, true}});
  driver.add_chain({{GuestAddress(0x5000), 2, true}});
  EXPECT_EQ(serve(), 2U);
  EXPECT_EQ(used(), 2U);
  EXPECT_EQ(bytes(GuestAddress(0x5000), 1), (std::vector{std::byte{3}}));
  EXPECT_EQ(source.calls, 1);
}

TEST_F(RngTest, GivesNoMoreThanTheCapForOneRequest) {
  driver.add_chain({{kData, kMaxRequestBytes + 100, true}});
  EXPECT_EQ(serve(), kMaxRequestBytes);
  EXPECT_TRUE(host.refusals.empty());
}

TEST_F(RngTest, ARequestWaitsForASourceThatIsDry) {
  source.left = 0;
  driver.add_chain({{kData, 4, true}});
  EXPECT_EQ(serve(), std::nullopt);
  EXPECT_FALSE(lifecycle.host_ready().value());
  EXPECT_EQ(used(), std::nullopt);
  source.left = 3;
  EXPECT_FALSE(lifecycle.host_ready().value());
  EXPECT_EQ(used(), 3U);
}

TEST_F(RngTest, ASourceThatRunsDryInARequestCutsIt) {
  source.left = 300;
  driver.add_chain({{kData, 1000, true}});
  EXPECT_EQ(serve(), 300U);
  EXPECT_TRUE(host.refusals.empty());
}

TEST_F(RngTest, AFailingSourceReturnsTheRequestAndIsReported) {
  source.fails = true;
  driver.add_chain({{kData, 4, true}});
  EXPECT_EQ(serve(), 0U);
  ASSERT_EQ(host.refusals.size(), 1U);
  EXPECT_EQ(host.refusals[0], Error(SystemError::kRead, EIO));
  source.fails = false;
  driver.add_chain({{kData, 4, true}});
  EXPECT_EQ(serve(), 4U);
}

TEST_F(RngTest, RequestsOfTheWrongShapeAreReturnedEmpty) {
  driver.add_chain({{kData, 4, false}, {kData, 4, true}});
  EXPECT_EQ(serve(), 0U);
  driver.add_chain({{kData, 0, true}});
  EXPECT_EQ(serve(), 0U);
  ASSERT_EQ(host.refusals.size(), 2U);
  EXPECT_EQ(host.refusals[0], Error(RngError::kReadable, 4));
  EXPECT_EQ(host.refusals[1], Error(RngError::kNoRoom));
  EXPECT_EQ(source.last, 0);  // 256 - 256: bytes were fetched, none was given away
}

TEST_F(RngTest, ABufferOutsideMemoryEndsTheRequestThere) {
  driver.add_chain({{kData, 2, true}, {GuestAddress(0x20000), 2, true}});
  EXPECT_EQ(serve(), 2U);
  ASSERT_EQ(host.refusals.size(), 1U);
  EXPECT_EQ(host.refusals[0], MemoryError::kUnmapped);
  driver.add_chain({{kData, 1, true}});
  EXPECT_EQ(serve(), 1U);
  EXPECT_EQ(bytes(kData, 1), (std::vector{std::byte{3}}));
}

TEST_F(RngTest, HasNothingToSaveAndTakesNothing) {
  const auto saved = lifecycle.save().value();
  EXPECT_TRUE(lifecycle.restore(saved));
  auto longer = saved;
  longer.push_back(std::byte{9});
  longer[8] = std::byte(longer.size());
  EXPECT_EQ(lifecycle.restore(longer).error(), Error(DeviceStateError::kDevice, 9, 0));
}

TEST(KernelEntropyTest, FillsWithBytesThatDiffer) {
  KernelEntropy source;
  std::array<std::byte, 64> first{}, second{};
  EXPECT_EQ(source.fill(first), 64U);
  EXPECT_EQ(source.fill(second), 64U);
  EXPECT_NE(first, second);
  EXPECT_EQ(source.host_fd(), -1);
}

TEST(KernelEntropyTest, AsksAgainAfterASignalAndSaysWhatFailed) {
  KernelEntropy source;
  std::array<std::byte, 64> bytes{};
  requests.next = {EINTR, EINTR};
  EXPECT_EQ(source.fill(bytes), 64U);
  requests.next = {EINTR, ENOSYS};
  EXPECT_EQ(source.fill(bytes).error(), Error(SystemError::kRead, ENOSYS));
}

}  // namespace
}  // namespace guestproof::virtio::rng
