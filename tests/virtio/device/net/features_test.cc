#include "guestproof/virtio/device/net/features.h"

#include "net_fixture.h"

namespace guestproof::virtio::net {
namespace {

TEST(Features, EachRequirementOfTheSpecification) {
  struct Case {
    unsigned feature;
    std::uint64_t satisfied_by;
    unsigned needs;
  };
  constexpr auto kCsum = bits({VIRTIO_NET_F_CSUM});
  constexpr auto kGuestCsum = bits({VIRTIO_NET_F_GUEST_CSUM});
  constexpr auto kVq = bits({VIRTIO_NET_F_CTRL_VQ});
  for (const auto& [feature, satisfied_by, needs] : std::array{
           Case{VIRTIO_NET_F_GUEST_TSO4, kGuestCsum, VIRTIO_NET_F_GUEST_CSUM},
           Case{VIRTIO_NET_F_GUEST_TSO6, kGuestCsum, VIRTIO_NET_F_GUEST_CSUM},
           Case{VIRTIO_NET_F_GUEST_UFO, kGuestCsum, VIRTIO_NET_F_GUEST_CSUM},
           Case{VIRTIO_NET_F_GUEST_USO4, kGuestCsum, VIRTIO_NET_F_GUEST_CSUM},
           Case{VIRTIO_NET_F_GUEST_USO6, kGuestCsum, VIRTIO_NET_F_GUEST_CSUM},
           Case{VIRTIO_NET_F_GUEST_ECN, kGuestCsum | bits({VIRTIO_NET_F_GUEST_TSO6}),
                VIRTIO_NET_F_GUEST_TSO4},
           Case{VIRTIO_NET_F_HOST_TSO4, kCsum, VIRTIO_NET_F_CSUM},
           Case{VIRTIO_NET_F_HOST_TSO6, kCsum, VIRTIO_NET_F_CSUM},
           Case{VIRTIO_NET_F_HOST_UFO, kCsum, VIRTIO_NET_F_CSUM},
           Case{VIRTIO_NET_F_HOST_USO, kCsum, VIRTIO_NET_F_CSUM},
           Case{VIRTIO_NET_F_HOST_ECN, kCsum | bits({VIRTIO_NET_F_HOST_TSO6}),
                VIRTIO_NET_F_HOST_TSO4},
           Case{VIRTIO_NET_F_CTRL_RX, kVq, VIRTIO_NET_F_CTRL_VQ},
           Case{VIRTIO_NET_F_CTRL_VLAN, kVq, VIRTIO_NET_F_CTRL_VQ},
           Case{VIRTIO_NET_F_GUEST_ANNOUNCE, kVq, VIRTIO_NET_F_CTRL_VQ},
           Case{VIRTIO_NET_F_MQ, kVq, VIRTIO_NET_F_CTRL_VQ},
           Case{VIRTIO_NET_F_CTRL_MAC_ADDR, kVq, VIRTIO_NET_F_CTRL_VQ},
       }) {
    EXPECT_EQ(unmet_need(feature_bit(feature)), (UnmetNeed{feature, needs})) << feature;
    EXPECT_EQ(unmet_need(feature_bit(feature) | satisfied_by), std::nullopt) << feature;
  }
  EXPECT_EQ(unmet_need(kNetFeatures), std::nullopt);
  EXPECT_EQ(unmet_need(0), std::nullopt);
}

class NegotiationTest : public NetFixture {};
GUESTPROOF_ON_BOTH_RINGS(NegotiationTest);

TEST_P(NegotiationTest, RefusesAFeatureWithoutAnotherThatItNeeds) {
  make(kNetFeatures);
  ASSERT_TRUE(lifecycle->set_status(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER));
  ASSERT_TRUE(lifecycle->set_driver_features(0, 1U << VIRTIO_NET_F_GUEST_ECN));
  ASSERT_TRUE(lifecycle->set_driver_features(1, 1));
  EXPECT_EQ(
      lifecycle
          ->set_status(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK)
          .error(),
      Error(DeviceError::kFeatureNeeds, VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_TSO4));
}

TEST_P(NegotiationTest, ShowsTheDevice) {
  config.mtu = 9000;
  config.speed = 10000;
  config.duplex = kDuplexFull;
  make(kNetFeatures, 4);
  EXPECT_EQ(lifecycle->device_id(), 1U);
  EXPECT_EQ(lifecycle->queue_count(), 9);
  EXPECT_EQ(lifecycle->config_bytes(), 20U);
  EXPECT_EQ(lifecycle->host_fd(), 12);
  const auto shown = fields();
  EXPECT_EQ(shown.mac, kMac);
  EXPECT_EQ(shown.status, VIRTIO_NET_S_LINK_UP);
  EXPECT_EQ(shown.max_virtqueue_pairs, 4);
  EXPECT_EQ(shown.mtu, 9000);
  EXPECT_EQ(shown.speed, 10000U);
  EXPECT_EQ(shown.duplex, kDuplexFull);
}

TEST_P(NegotiationTest, TheConfigurationIsReadOnly) {
  run(kNetFeatures);
  EXPECT_EQ(lifecycle->write_config(0, Bytes(6)).error(), Error(DeviceError::kConfigReadOnly, 0));
}

TEST_P(NegotiationTest, OffloadsAreOnFromTheStart) {
  run(kNetFeatures);
  EXPECT_EQ(network->guest_offloads(), kGuestOffloads);
  EXPECT_EQ(network->pairs(), 1);
}

}  // namespace
}  // namespace guestproof::virtio::net
