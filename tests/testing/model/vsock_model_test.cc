#include "guestproof/testing/model/vsock_model.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace guestproof::testing {
namespace {

constexpr std::uint64_t kTx = 0x100;
constexpr std::uint64_t kRx = 0x1000;
constexpr WatchedMemory::RegionSpec kRegions[] = {{GuestAddress(0), 0x2000},
                                                  {GuestAddress(0x2000), 0x1000, true}};
using Bytes = std::vector<std::uint8_t>;

/// A header as it lies in memory: guest 3, port 0x401, to host 2, port 0x50.
Bytes packet(std::uint16_t type, std::uint16_t op, std::uint8_t length) {
  Bytes bytes(44);
  bytes[0] = 3;
  bytes[8] = 2;
  bytes[16] = 1;
  bytes[17] = 4;
  bytes[20] = 0x50;
  bytes[24] = length;
  bytes[28] = static_cast<std::uint8_t>(type);
  bytes[30] = static_cast<std::uint8_t>(op);
  bytes[36] = 7;  // buf_alloc
  bytes[40] = 9;  // fwd_cnt
  for (std::uint8_t i = 0; i < length; ++i) bytes.push_back(static_cast<std::uint8_t>(i + 1));
  return bytes;
}

class VsockModelTest : public ::testing::Test {
 protected:
  std::string_view transmit(const Bytes& bytes) {
    memory.write(kTx, bytes);
    ModelChain chain;
    chain.readable = {{kTx, bytes.size()}};
    return model.transmit(watched, chain).name;
  }
  VsockModel::Received receive(std::vector<ModelPiece> pieces) {
    ModelChain chain;
    chain.writable = std::move(pieces);
    return model.receive(watched, chain);
  }
  Bytes received(std::size_t length) {
    Bytes bytes(length);
    memory.read(kRx, bytes);
    return bytes;
  }

  WatchedMemory watched{kRegions};
  ModelMemory memory{watched};
  VsockModel model{VsockLimits{}};
};

TEST_F(VsockModelTest, AnswersARequestWithAResponse) {
  EXPECT_EQ(transmit(packet(1, 1, 0)), "");
  ASSERT_EQ(model.answers().size(), 1u);
  EXPECT_EQ(receive({{kRx, 100}}).used, 44u);
  Bytes response(44);
  response[0] = 2;
  response[8] = 3;
  response[16] = 0x50;
  response[20] = 1;
  response[21] = 4;
  response[28] = 1;
  response[30] = 2;
  response[37] = 0x10;  // buf_alloc 4096
  EXPECT_EQ(received(44), response);
  EXPECT_TRUE(model.answers().empty());
}

TEST_F(VsockModelTest, SendsDataBack) {
  EXPECT_EQ(transmit(packet(1, 5, 3)), "");
  EXPECT_EQ(model.sink(), (Bytes{1, 2, 3}));
  EXPECT_EQ(model.guest_buf_alloc(), 7u);
  EXPECT_EQ(model.guest_fwd_cnt(), 9u);
  EXPECT_EQ(receive({{kRx, 44}, {kRx + 44, 3}}).used, 47u);
  const auto echo = received(47);
  EXPECT_EQ(echo[24], 3) << "len";
  EXPECT_EQ(echo[40], 3) << "fwd_cnt";
  EXPECT_EQ(Bytes(echo.end() - 3, echo.end()), (Bytes{1, 2, 3}));
}

TEST_F(VsockModelTest, CutsAStreamToFit) {
  EXPECT_EQ(transmit(packet(1, 5, 5)), "");
  EXPECT_EQ(receive({{kRx, 46}}).used, 46u);
  EXPECT_EQ(receive({{kRx, 44}}).error.name, "vsock.rx_data_length");
  EXPECT_EQ(receive({{kRx, 60}}).used, 47u);
  EXPECT_EQ(received(47).back(), 5);
  EXPECT_TRUE(model.answers().empty());
}

TEST_F(VsockModelTest, KeepsAMessageWhole) {
  EXPECT_EQ(transmit(packet(2, 5, 5)), "");
  EXPECT_EQ(receive({{kRx, 48}}).error.name, "vsock.rx_data_length");
  EXPECT_EQ(receive({{kRx, 49}}).used, 49u);
}

TEST_F(VsockModelTest, DropsAMessageThatNoBufferMayHold) {
  ModelVsockPacket message;
  message.type = 2;
  message.op = 5;
  message.data.resize(513);
  model.send(message);
  EXPECT_EQ(receive({{kRx, 2000}}).error.name, "vsock.rx_data_limit");
  EXPECT_TRUE(model.answers().empty());
}

TEST_F(VsockModelTest, WritesAllOrNothing) {
  EXPECT_EQ(transmit(packet(1, 1, 0)), "");
  EXPECT_EQ(receive({{kRx, 40}, {0x3000, 4}}).error.name, "memory.unmapped");
  EXPECT_EQ(receive({{kRx, 40}, {0x2000, 4}}).error.name, "memory.read_only");
  EXPECT_EQ(received(40), Bytes(40));
  EXPECT_EQ(model.answers().size(), 1u);
}

TEST_F(VsockModelTest, ResetsUnknownTypesAndOperations) {
  EXPECT_EQ(transmit(packet(3, 1, 0)), "vsock.type");
  EXPECT_EQ(transmit(packet(1, 8, 0)), "vsock.op");
  EXPECT_EQ(transmit(packet(1, 0, 0)), "vsock.op");
  ASSERT_EQ(model.answers().size(), 3u);
  EXPECT_EQ(model.answers()[0].op, 3);
  EXPECT_EQ(model.answers()[0].type, 3);
  EXPECT_EQ(model.answers()[0].fwd_cnt, 0u);
}

TEST_F(VsockModelTest, DropsWhatHasAWrongAddress) {
  auto bytes = packet(1, 1, 0);
  bytes[0] = 4;
  EXPECT_EQ(transmit(bytes), "vsock.src_cid");
  bytes[7] = 1;
  EXPECT_EQ(transmit(bytes), "vsock.src_cid_reserved");
  bytes = packet(1, 1, 0);
  bytes[8] = 1;
  EXPECT_EQ(transmit(bytes), "vsock.dst_cid");
  bytes[12] = 1;
  EXPECT_EQ(transmit(bytes), "vsock.dst_cid_reserved");
  EXPECT_TRUE(model.answers().empty());
}

TEST_F(VsockModelTest, RefusesLengthsThatAreNotThere) {
  auto bytes = packet(1, 5, 4);
  bytes.pop_back();
  EXPECT_EQ(transmit(bytes), "vsock.tx_data_length");
  bytes[25] = 4;  // 1028
  EXPECT_EQ(transmit(bytes), "vsock.tx_data_limit");
  bytes.resize(43);
  EXPECT_EQ(transmit(bytes), "vsock.tx_header");
  EXPECT_TRUE(model.sink().empty());
}

TEST_F(VsockModelTest, KnowsWhichTypesAreNegotiated) {
  model.negotiate(0);
  EXPECT_EQ(transmit(packet(1, 3, 0)), "");
  EXPECT_EQ(transmit(packet(2, 3, 0)), "vsock.type");
  model.negotiate(2);
  EXPECT_EQ(transmit(packet(1, 3, 0)), "");
  EXPECT_EQ(transmit(packet(2, 3, 0)), "");
  model.negotiate(6);
  EXPECT_EQ(transmit(packet(1, 3, 0)), "vsock.type");
  EXPECT_EQ(transmit(packet(2, 3, 0)), "");
}

TEST_F(VsockModelTest, KnowsWhichCidsAGuestMayHave) {
  EXPECT_FALSE(model.set_guest_cid(2));
  EXPECT_FALSE(model.set_guest_cid(0xffffffff));
  EXPECT_FALSE(model.set_guest_cid(0x100000003));
  EXPECT_EQ(model.guest_cid(), 3u);
  EXPECT_TRUE(model.set_guest_cid(0xfffffffe));
  EXPECT_EQ(model.guest_cid(), 0xfffffffeu);
}

}  // namespace
}  // namespace guestproof::testing
