#include "guestproof/virtio/device/vsock/header.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstring>

namespace guestproof::virtio::vsock {
namespace {

constexpr std::uint64_t kGuestCid = 52;
constexpr SocketTypes kBoth{.stream = true, .seqpacket = true};

VsockHdr request() {
  VsockHdr header;
  header.src_cid = kGuestCid;
  header.dst_cid = kHostCid;
  header.src_port = 1024;
  header.dst_port = 22;
  header.type = VIRTIO_VSOCK_TYPE_STREAM;
  header.op = VIRTIO_VSOCK_OP_REQUEST;
  return header;
}

Error error_of(const VsockHdr& header, SocketTypes types = kBoth) {
  return check_header(header, kGuestCid, types).error();
}

TEST(VsockHdr, IsLittleEndianOnTheWire) {
  VsockHdr header;
  header.src_cid = 0x0807060504030201;
  header.dst_cid = 0x100f0e0d0c0b0a09;
  header.src_port = 0x14131211;
  header.dst_port = 0x18171615;
  header.len = 0x1c1b1a19;
  header.type = 0x1e1d;
  header.op = 0x201f;
  header.flags = 0x24232221;
  header.buf_alloc = 0x28272625;
  header.fwd_cnt = 0x2c2b2a29;

  const auto bytes = std::bit_cast<std::array<std::uint8_t, 44>>(header);
  for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_EQ(bytes[i], i + 1) << "byte " << i;
  EXPECT_EQ(header.src_cid, 0x0807060504030201u);
}

TEST(VsockHdr, OpIsTypedAndUnknownOnesAreNamed) {
  for (std::uint32_t op = 0; op <= 0xffff; ++op) {
    auto header = request();
    header.op = static_cast<std::uint16_t>(op);
    const auto typed = op_of(header);
    ASSERT_EQ(typed.has_value(), op >= 1 && op <= 7) << op;
    if (typed) {
      EXPECT_EQ(static_cast<std::uint16_t>(*typed), op);
    } else {
      EXPECT_EQ(typed.error(), Error(VsockError::kOp, op, 7));
    }
  }
}

TEST(VsockHdr, TypeIsTypedAndUnknownOnesAreNamed) {
  for (std::uint32_t type = 0; type <= 0xffff; ++type) {
    auto header = request();
    header.type = static_cast<std::uint16_t>(type);
    const auto typed = type_of(header);
    ASSERT_EQ(typed.has_value(), type == 1 || type == 2) << type;
    if (typed) {
      EXPECT_EQ(static_cast<std::uint16_t>(*typed), type);
    } else {
      EXPECT_EQ(typed.error(), Error(VsockError::kType, type, 2));
    }
  }
}

TEST(SocketTypes, FollowTheFeatureBits) {
  const auto both = SocketTypes{.stream = true, .seqpacket = true};
  const auto stream = SocketTypes{.stream = true, .seqpacket = false};
  const auto seqpacket = SocketTypes{.stream = false, .seqpacket = true};
  const auto none = SocketTypes{.stream = false, .seqpacket = false};
  EXPECT_EQ(SocketTypes::negotiated(0b000), stream);
  EXPECT_EQ(SocketTypes::negotiated(0b001), stream);
  EXPECT_EQ(SocketTypes::negotiated(0b010), both);
  EXPECT_EQ(SocketTypes::negotiated(0b011), both);
  EXPECT_EQ(SocketTypes::negotiated(0b100), none);
  EXPECT_EQ(SocketTypes::negotiated(0b101), stream);
  EXPECT_EQ(SocketTypes::negotiated(0b110), seqpacket);
  EXPECT_EQ(SocketTypes::negotiated(0b111), both);
  // Bits of the transport and of the rings say nothing about sockets.
  EXPECT_EQ(SocketTypes::negotiated(~std::uint64_t{0b111}), stream);
}

TEST(GuestCid, ReservedOnesAreRefused) {
  for (const std::uint64_t cid :
       {0ULL, 1ULL, 2ULL, 0xffffffffULL, 0x100000000ULL, 0x100000003ULL, 0xffffffffffffffffULL})
    EXPECT_EQ(check_guest_cid(cid).error(), Error(VsockError::kGuestCid, cid, 0xffffffff));
  EXPECT_TRUE(check_guest_cid(3));
  EXPECT_TRUE(check_guest_cid(0xfffffffe));
}

TEST(CheckHeader, AcceptsEveryOpOfBothTypes) {
  for (std::uint16_t op = 1; op <= 7; ++op)
    for (std::uint16_t type = 1; type <= 2; ++type) {
      auto header = request();
      header.op = op;
      header.type = type;
      EXPECT_TRUE(check_header(header, kGuestCid, kBoth));
    }
}

TEST(CheckHeader, IgnoresWhatIsNotItsBusiness) {
  auto header = request();
  header.src_port = header.dst_port = 0xffffffff;
  header.len = header.flags = header.buf_alloc = header.fwd_cnt = 0xffffffff;
  EXPECT_TRUE(check_header(header, kGuestCid, kBoth));
}

TEST(CheckHeader, NamesEachFault) {
  auto header = request();
  header.src_cid = 0x100000000 + kGuestCid;
  EXPECT_EQ(error_of(header), Error(VsockError::kSrcCidReserved, 0x100000034, 0xffffffff));
  header = request();
  header.dst_cid = 0x8000000000000002;
  EXPECT_EQ(error_of(header), Error(VsockError::kDstCidReserved, 0x8000000000000002, 0xffffffff));
  header = request();
  header.src_cid = kGuestCid + 1;
  EXPECT_EQ(error_of(header), Error(VsockError::kSrcCid, kGuestCid + 1, kGuestCid));
  header = request();
  header.dst_cid = 3;
  EXPECT_EQ(error_of(header), Error(VsockError::kDstCid, 3, 2));
  header = request();
  header.type = 3;
  EXPECT_EQ(error_of(header), Error(VsockError::kType, 3, 2));
  header = request();
  header.op = 8;
  EXPECT_EQ(error_of(header), Error(VsockError::kOp, 8, 7));
}

TEST(CheckHeader, ReportsTheFirstFaultOfSeveral) {
  auto header = request();
  header.op = VIRTIO_VSOCK_OP_INVALID;
  EXPECT_EQ(error_of(header), VsockError::kOp);
  header.type = 0;
  EXPECT_EQ(error_of(header), VsockError::kType);
  header.dst_cid = 1;
  EXPECT_EQ(error_of(header), VsockError::kDstCid);
  header.src_cid = 1;
  EXPECT_EQ(error_of(header), VsockError::kSrcCid);
  header.dst_cid = 0x100000000;
  EXPECT_EQ(error_of(header), VsockError::kDstCidReserved);
  header.src_cid = 0x100000000;
  EXPECT_EQ(error_of(header), VsockError::kSrcCidReserved);
}

TEST(CheckHeader, ATypeThatWasNotNegotiatedIsUnknown) {
  auto header = request();
  EXPECT_EQ(error_of(header, {.stream = false, .seqpacket = true}), Error(VsockError::kType, 1, 2));
  EXPECT_TRUE(check_header(header, kGuestCid, {.stream = true, .seqpacket = false}));
  header.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
  EXPECT_EQ(error_of(header, {.stream = true, .seqpacket = false}), Error(VsockError::kType, 2, 2));
  EXPECT_TRUE(check_header(header, kGuestCid, {.stream = false, .seqpacket = true}));
}

TEST(Reset, AnswersUnknownTypesAndOpsOnly) {
  EXPECT_TRUE(wants_reset(VsockError::kType));
  EXPECT_TRUE(wants_reset(VsockError::kOp));
  for (const auto code :
       {VsockError::kGuestCid, VsockError::kTxWritable, VsockError::kTxHeader,
        VsockError::kTxDataLimit, VsockError::kTxDataLength, VsockError::kSrcCidReserved,
        VsockError::kDstCidReserved, VsockError::kSrcCid, VsockError::kDstCid})
    EXPECT_FALSE(wants_reset(code)) << Error(code).name();
}

TEST(Reset, GoesBackWhereThePacketCameFrom) {
  auto header = request();
  header.type = 9;
  header.len = header.flags = header.buf_alloc = header.fwd_cnt = 77;

  const auto reset = reset_of(header);

  EXPECT_EQ(reset.src_cid, kHostCid);
  EXPECT_EQ(reset.dst_cid, kGuestCid);
  EXPECT_EQ(reset.src_port, 22u);
  EXPECT_EQ(reset.dst_port, 1024u);
  EXPECT_EQ(reset.type, 9);
  EXPECT_EQ(reset.op, VIRTIO_VSOCK_OP_RST);
  EXPECT_EQ(reset.len, 0u);
  EXPECT_EQ(reset.flags, 0u);
  EXPECT_EQ(reset.buf_alloc, 0u);
  EXPECT_EQ(reset.fwd_cnt, 0u);
  EXPECT_EQ(reply_to(header, Op::kResponse).op, VIRTIO_VSOCK_OP_RESPONSE);
}

TEST(VsockErrorText, SaysTheValueAndTheLimit) {
  EXPECT_EQ(Error(VsockError::kSrcCid, 53, 52).message(),
            "header field src_cid is 53, the guest's CID is 52");
  EXPECT_EQ(Error(VsockError::kTxDataLimit, 4294967295, 65536).message(),
            "a transmitted packet's header announces 4294967295 bytes of data, the device takes at "
            "most 65536");
  EXPECT_EQ(Error(VsockError::kOp).name(), "vsock.op");
}

}  // namespace
}  // namespace guestproof::virtio::vsock
