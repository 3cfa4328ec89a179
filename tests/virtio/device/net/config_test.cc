#include "guestproof/virtio/device/net/config.h"

#include "net_fixture.h"

namespace guestproof::virtio::net {
namespace {

TEST(Config, DefaultIsValid) { EXPECT_TRUE(Config{}.check()); }

TEST(Config, RefusesWhatADeviceCannotBe) {
  EXPECT_EQ(Config{.features = feature_bit(40)}.check().error(),
            Error(NetConfigError::kFeatures, feature_bit(40), kNetFeatures));
  EXPECT_EQ(Config{.features = bits({VIRTIO_NET_F_MQ})}.check().error(),
            Error(NetConfigError::kFeatureNeeds, VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_VQ));
  EXPECT_EQ(Config{.mac = kGroup}.check().error(), Error(NetConfigError::kMac, 0x01005e000001));
}

TEST(Config, PairsNeedMultiqueue) {
  constexpr auto kMq = bits({VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_VQ});
  EXPECT_EQ(Config{.max_pairs = 0}.check().error(), Error(NetConfigError::kPairs, 0, 1));
  EXPECT_EQ(Config{.max_pairs = 2}.check().error(), Error(NetConfigError::kPairs, 2, 1));
  EXPECT_TRUE((Config{.features = kMq, .max_pairs = kMaxPairs}.check()));
  EXPECT_EQ((Config{.features = kMq, .max_pairs = kMaxPairs + 1}.check().error()),
            Error(NetConfigError::kPairs, kMaxPairs + 1, kMaxPairs));
}

TEST(Config, FieldsCountWithTheirFeature) {
  EXPECT_TRUE(Config{.mtu = 67}.check());
  EXPECT_EQ((Config{.features = bits({VIRTIO_NET_F_MTU}), .mtu = 67}.check().error()),
            Error(NetConfigError::kMtu, 67, 68));
  EXPECT_TRUE(Config{.speed = 0x80000000}.check());
  constexpr auto kSpeed = bits({VIRTIO_NET_F_SPEED_DUPLEX});
  EXPECT_EQ((Config{.features = kSpeed, .speed = 0x80000000}.check().error()),
            Error(NetConfigError::kSpeed, 0x80000000, kSpeedMax));
  EXPECT_TRUE((Config{.features = kSpeed, .speed = kSpeedUnknown}.check()));
}

/// Says what every back end has to say, and has one frame with its header.
class PoorBackend final : public NetBackend {
 public:
  [[nodiscard]] std::uint16_t max_pairs() const override { return 1; }
  [[nodiscard]] std::uint64_t offloads() const override { return bits({VIRTIO_NET_F_CSUM}); }
  [[nodiscard]] Result<void> set_offloads(std::uint64_t) override { return {}; }
  [[nodiscard]] Result<void> set_pairs(std::uint16_t) override { return {}; }
  [[nodiscard]] Result<bool> send(std::uint16_t, std::span<const ::iovec>) override {
    return false;
  }
  [[nodiscard]] Result<std::optional<std::size_t>> receive(std::uint16_t,
                                                           std::span<std::byte> into) override {
    if (last.empty()) return std::nullopt;
    std::ranges::copy(last, into.begin());
    return std::exchange(last, {}).size();
  }

  Bytes last = joined({bytes_of(VirtioNetHdr{}), frame(60)});
};

TEST(Config, FitsTheBackEnd) {
  const PoorBackend poor;
  EXPECT_TRUE(check_backend({.features = bits({VIRTIO_NET_F_CSUM, VIRTIO_NET_F_MTU})}, poor));
  EXPECT_EQ(check_backend({.features = bits({VIRTIO_NET_F_GUEST_CSUM})}, poor).error(),
            Error(NetConfigError::kBackendOffloads, 2, 1));
  EXPECT_EQ(check_backend(
                {.features = bits({VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_VQ}), .max_pairs = 2}, poor)
                .error(),
            Error(NetConfigError::kBackendPairs, 2, 1));
  EXPECT_EQ(check_backend({.max_pairs = 2}, poor).error(), Error(NetConfigError::kPairs, 2, 1));
}

class PoorBackendTest : public NetFixture {};
GUESTPROOF_ON_BOTH_RINGS(PoorBackendTest);

TEST_P(PoorBackendTest, IsServedWithoutADescriptorToWaitFor) {
  PoorBackend poor;
  make_on(poor, 0);
  negotiate(0);
  EXPECT_EQ(lifecycle->host_fd(), -1);
  add_rx(1000);
  add_rx(1000);
  EXPECT_FALSE(host_ready());
  EXPECT_EQ(used(kRx), 72U);
  EXPECT_EQ(used(kRx), std::nullopt);
  EXPECT_EQ(after(read(kIn, 72), 12), frame(60));
  lifecycle.reset();
}

}  // namespace
}  // namespace guestproof::virtio::net
