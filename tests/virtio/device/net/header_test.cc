#include "guestproof/virtio/device/net/header.h"

#include "net_fixture.h"

namespace guestproof::virtio::net {
namespace {

constexpr Offloads kAll{.checksum = true,
                        .tso4 = true,
                        .tso6 = true,
                        .ecn = true,
                        .ufo = true,
                        .uso4 = true,
                        .uso6 = true};
constexpr VirtioNetHdr kTcp{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                            .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                            .hdr_len = 54,
                            .gso_size = 1448,
                            .csum_start = 34,
                            .csum_offset = 16};

Result<VirtioNetHdr> check(const VirtioNetHdr& header, const Offloads& offloads = kAll,
                           std::uint64_t frame_bytes = 3000, const FrameLimits& limits = {}) {
  return checked_tx_header(header, offloads, limits, frame_bytes);
}
VirtioNetHdr of_type(std::uint8_t gso_type) {
  auto header = kTcp;
  header.gso_type = gso_type;
  return header;
}
template <class T>
VirtioNetHdr with(T VirtioNetHdr::* field, std::uint16_t value) {
  auto header = kTcp;
  header.*field = static_cast<std::uint8_t>(value);
  return header;
}
template <>
VirtioNetHdr with(le16 VirtioNetHdr::* field, std::uint16_t value) {
  auto header = kTcp;
  header.*field = value;
  return header;
}

TEST(TxHeader, PassesWhatWasNegotiated) {
  EXPECT_EQ(bytes_of(check(kTcp).value()), bytes_of(kTcp));
  EXPECT_EQ(bytes_of(check({}, {}).value()), bytes_of(VirtioNetHdr{}));
}

TEST(TxHeader, AFrameHasAnEthernetHeader) {
  EXPECT_EQ(check({}, {}, 13).error(), Error(NetError::kFrameShort, 13, 14));
  EXPECT_TRUE(check({}, {}, 14));
}

TEST(TxHeader, TheChecksumIsInTheFrame) {
  EXPECT_TRUE(check(kTcp, kAll, 54));
  EXPECT_EQ(check(kTcp, kAll, 51).error(), Error(NetError::kChecksumRange, 52, 51));
  const VirtioNetHdr far{
      .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 0xffff, .csum_offset = 0xffff};
  EXPECT_EQ(check(far).error(), Error(NetError::kChecksumRange, 0x20000, 3000));
}

TEST(TxHeader, AChecksumIsLeftToWhoTakesIt) {
  EXPECT_EQ(check({.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM}, {}).error(),
            Error(NetError::kChecksumNotNegotiated, 1));
}

TEST(TxHeader, KnowsTheTypesOfSegmentation) {
  for (const int type : {0x01, 0x03, 0x04, 0x05, 0x81, 0x84})
    EXPECT_TRUE(check(of_type(static_cast<std::uint8_t>(type)))) << type;
  for (const int type : {0x02, 0x06, 0x07, 0x21, 0x41, 0x7f, 0x80, 0x82, 0x83, 0x85, 0xff})
    EXPECT_EQ(check(of_type(static_cast<std::uint8_t>(type))).error(),
              Error(NetError::kGsoType, type));
}

TEST(TxHeader, EachTypeNeedsItsFeature) {
  struct Case {
    std::uint8_t type;
    bool Offloads::* feature;
  };
  for (const auto& [type, feature] :
       std::array{Case{VIRTIO_NET_HDR_GSO_TCPV4, &Offloads::tso4},
                  Case{VIRTIO_NET_HDR_GSO_TCPV6, &Offloads::tso6},
                  Case{VIRTIO_NET_HDR_GSO_UDP, &Offloads::ufo},
                  Case{VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, &Offloads::tso4},
                  Case{VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, &Offloads::ecn},
                  Case{VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN, &Offloads::ecn}}) {
    auto offloads = kAll;
    offloads.*feature = false;
    EXPECT_EQ(check(of_type(type), offloads).error(), Error(NetError::kGsoNotNegotiated, type));
  }
}

TEST(TxHeader, OfUdpSegmentationEitherVersionWillDo) {
  EXPECT_TRUE(check(of_type(VIRTIO_NET_HDR_GSO_UDP_L4), {.checksum = true, .uso4 = true}));
  EXPECT_TRUE(check(of_type(VIRTIO_NET_HDR_GSO_UDP_L4), {.checksum = true, .uso6 = true}));
  EXPECT_EQ(check(of_type(VIRTIO_NET_HDR_GSO_UDP_L4), {.checksum = true, .ufo = true}).error(),
            NetError::kGsoNotNegotiated);
}

TEST(TxHeader, SegmentationIsWhole) {
  EXPECT_EQ(check(with(&VirtioNetHdr::flags, 0)).error(), Error(NetError::kGsoWithoutChecksum, 1));
  EXPECT_EQ(check(with(&VirtioNetHdr::gso_size, 0)).error(), Error(NetError::kGsoSize, 1));
  EXPECT_TRUE(check(with(&VirtioNetHdr::gso_size, 1)));
  EXPECT_EQ(check(with(&VirtioNetHdr::hdr_len, 3001)).error(),
            Error(NetError::kHeaderLength, 3001, 3000));
  EXPECT_TRUE(check(with(&VirtioNetHdr::hdr_len, 3000)));
}

TEST(TxHeader, EachKindOfFrameHasItsLimit) {
  const auto limits = FrameLimits::negotiated(bits({VIRTIO_NET_F_MTU}), 1500);
  EXPECT_TRUE(check({}, kAll, 1522, limits));
  EXPECT_EQ(check({}, kAll, 1523, limits).error(), Error(NetError::kFrameLong, 1523, 1522));
  EXPECT_TRUE(check(kTcp, kAll, kMaxFrameBytes, limits));
  EXPECT_EQ(check(kTcp, kAll, kMaxFrameBytes + 1, limits).error(),
            Error(NetError::kFrameLong, kMaxFrameBytes + 1, kMaxFrameBytes));
}

TEST(TxHeader, WithoutAnMtuAFrameMayBeAsLongAsThereAre) {
  EXPECT_TRUE(check({}, {}, kMaxFrameBytes, FrameLimits::negotiated(0, 1500)));
  EXPECT_EQ(check({}, {}, kMaxFrameBytes + 1, FrameLimits::negotiated(0, 1500)).error(),
            NetError::kFrameLong);
  EXPECT_EQ(FrameLimits::negotiated(bits({VIRTIO_NET_F_MTU}), 65535).plain, 65557U);
}

TEST(TxHeader, OnlyFieldsThatCountArePassedOn) {
  const VirtioNetHdr plain{.flags = 0xfe,
                           .gso_type = 0,
                           .hdr_len = 1,
                           .gso_size = 2,
                           .csum_start = 3,
                           .csum_offset = 4,
                           .num_buffers = 5};
  EXPECT_EQ(bytes_of(check(plain).value()), bytes_of(VirtioNetHdr{}));
}

TEST(RxHeader, SaysThatAChecksumIsGoodToWhoAsked) {
  const VirtioNetHdr good{.flags = 0xfe, .num_buffers = 0};
  EXPECT_EQ(bytes_of(checked_rx_header(good, {.checksum = true}, {}, 60).value()),
            bytes_of(VirtioNetHdr{.flags = VIRTIO_NET_HDR_F_DATA_VALID, .num_buffers = 1}));
  EXPECT_EQ(bytes_of(checked_rx_header(good, {}, {}, 60).value()),
            bytes_of(VirtioNetHdr{.num_buffers = 1}));
}

TEST(RxHeader, IsCheckedLikeOneThatIsSent) {
  EXPECT_EQ(checked_rx_header(kTcp, {.checksum = true}, {}, 60).error(),
            NetError::kGsoNotNegotiated);
}

TEST(NetErrorSentence, NamesTheValueAndTheLimit) {
  EXPECT_EQ(Error(NetError::kChecksumRange, 52, 51).message(),
            "the checksum ends at byte 52 of a frame of 51");
}

}  // namespace
}  // namespace guestproof::virtio::net
