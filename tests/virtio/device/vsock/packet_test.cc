#include "guestproof/virtio/device/vsock/packet.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <vector>

#include "guestproof/testing/driver.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/queue/split_queue.h"

namespace guestproof::virtio::vsock {
namespace {

using testing::BufferSpec;
using testing::Driver;
using testing::QueueLayout;
using testing::WatchedMemory;

using Queue = SplitQueue<WatchedMemory>;

constexpr GuestAddress kRings{0x1000};
constexpr GuestAddress kPacket{0x4000};  // where a packet that lies in one piece lies
constexpr GuestAddress kUnmapped{0x40'0000'0000};
constexpr WatchedMemory::RegionSpec kRegions[] = {{GuestAddress(0), 0x40000}};
constexpr std::uint32_t kHeader = sizeof(VsockHdr);

GuestAddress at(GuestAddress base, std::uint64_t offset) {
  return GuestAddress(base.raw() + offset);
}

std::vector<std::byte> pattern(std::size_t length) {
  std::vector<std::byte> bytes(length);
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<std::byte>(7 * i + 1);
  return bytes;
}

VsockHdr rw(std::uint32_t len) {
  VsockHdr header;
  header.src_cid = 3;
  header.dst_cid = kHostCid;
  header.src_port = 1025;
  header.dst_port = 80;
  header.len = len;
  header.type = VIRTIO_VSOCK_TYPE_STREAM;
  header.op = VIRTIO_VSOCK_OP_RW;
  header.buf_alloc = 0x40000;
  header.fwd_cnt = 12;
  return header;
}

bool same(const VsockHdr& a, const VsockHdr& b) {
  return std::memcmp(static_cast<const void*>(&a), static_cast<const void*>(&b), sizeof a) == 0;
}

class PacketTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(queue.activate(memory, driver.layout().config(), {})); }

  Chain<Queue> pop() { return std::move(queue.pop().value().value()); }
  Chain<Queue> pop(std::vector<BufferSpec> buffers) {
    driver.add_chain(buffers);
    return pop();
  }
  /// A chain whose first bytes are this header.
  Chain<Queue> pop_with(const VsockHdr& header, std::vector<BufferSpec> buffers) {
    EXPECT_TRUE(write_object(guest, kPacket, header));
    return pop(std::move(buffers));
  }
  std::uint32_t returned() { return driver.take_used().value().len; }

  WatchedMemory memory{kRegions};
  WatchedMemory::GuestView guest = memory.guest();
  Driver<WatchedMemory::GuestView> driver{guest, QueueLayout::at(kRings, 8)};
  Queue queue;
};

TEST_F(PacketTest, AChainThatAResetTookBackHasNone) {
  const auto tx = pop_with(rw(0), {{kPacket, kHeader, false}});
  const auto rx = pop({{kPacket, kHeader, true}});
  queue.reset();
  memory.clear_log();
  EXPECT_EQ(TxPacket<WatchedMemory>::parse(tx).error(), QueueError::kStaleChain);
  EXPECT_EQ(RxPacket<WatchedMemory>::open(rx).error(), QueueError::kStaleChain);
  EXPECT_TRUE(memory.fetches().empty());
}

class TxPacketTest : public PacketTest {
 protected:
  using Tx = TxPacket<WatchedMemory>;

  std::vector<std::byte> data_of(const Tx& packet) {
    auto reader = packet.data();
    std::vector<std::byte> data(reader.remaining());
    EXPECT_TRUE(reader.read(data));
    return data;
  }
};

TEST_F(TxPacketTest, AHeaderAlone) {
  auto chain = pop_with(rw(0), {{kPacket, kHeader}});
  const auto packet = Tx::parse(chain);
  ASSERT_TRUE(packet);
  EXPECT_TRUE(same(packet->header(), rw(0)));
  EXPECT_EQ(packet->data().remaining(), 0u);
  ASSERT_TRUE(chain.complete(0));
  EXPECT_EQ(returned(), 0u);
}

TEST_F(TxPacketTest, AnyTwoCuts) {
  constexpr std::uint32_t kData = 6;
  constexpr std::uint32_t kAll = kHeader + kData;
  const auto bytes = pattern(kData);
  ASSERT_TRUE(write_bytes(guest, at(kPacket, kHeader), bytes));
  for (std::uint32_t first = 0; first <= kAll; ++first)
    for (std::uint32_t second = first; second <= kAll; ++second) {
      SCOPED_TRACE(::testing::Message() << "cuts at " << first << " and " << second);
      memory.clear_log();
      auto chain = pop_with(rw(kData), {{kPacket, first},
                                        {at(kPacket, first), second - first},
                                        {at(kPacket, second), kAll - second}});
      const auto packet = Tx::parse(chain);
      ASSERT_TRUE(packet);
      EXPECT_TRUE(same(packet->header(), rw(kData)));
      EXPECT_EQ(memory.fetch_count(at(kPacket, kHeader)), 0) << "data is not fetched unasked";
      EXPECT_EQ(data_of(*packet), bytes);
      for (std::uint32_t i = 0; i < kAll; ++i)
        EXPECT_EQ(memory.fetch_count(at(kPacket, i)), 1) << "byte " << i;
    }
}

TEST_F(TxPacketTest, ADescriptorPerByte) {
  constexpr std::uint16_t kSize = 64;
  Queue wide;
  Driver<WatchedMemory::GuestView> wide_driver{guest,
                                               QueueLayout::at(GuestAddress(0x10000), kSize)};
  ASSERT_TRUE(wide.activate(memory, wide_driver.layout().config(), {}));
  const auto bytes = pattern(kSize - kHeader);
  const auto header = rw(kSize - kHeader);
  ASSERT_TRUE(write_object(guest, kPacket, header));
  ASSERT_TRUE(write_bytes(guest, at(kPacket, kHeader), bytes));
  std::vector<BufferSpec> buffers;
  for (std::uint64_t i = 0; i < kSize; ++i) buffers.push_back({at(kPacket, i), 1});
  wide_driver.add_chain(buffers);

  const auto chain = std::move(wide.pop().value().value());
  const auto packet = Tx::parse(chain);
  ASSERT_TRUE(packet);
  EXPECT_TRUE(same(packet->header(), header));
  EXPECT_EQ(data_of(*packet), bytes);
}

TEST_F(TxPacketTest, BytesBeyondLenAreAllowedAndNeverFetched) {
  auto chain = pop_with(rw(3), {{kPacket, kHeader + 10}, {at(kPacket, 0x1000), 100}});
  const auto packet = Tx::parse(chain);
  ASSERT_TRUE(packet);
  EXPECT_EQ(data_of(*packet).size(), 3u);
  EXPECT_EQ(memory.fetch_count(at(kPacket, kHeader + 3)), 0);
  EXPECT_EQ(memory.fetch_count(at(kPacket, 0x1000)), 0);
}

TEST_F(TxPacketTest, AFaultyChainIsReportedAsSuch) {
  driver.write_descriptor(0, kPacket, kHeader, VIRTQ_DESC_F_NEXT, 99);
  driver.publish(0);
  auto chain = pop();
  EXPECT_EQ(Tx::parse(chain).error(), Error(ChainError::kNextIndex, 99, 8));
  ASSERT_TRUE(chain.complete(0));
  EXPECT_EQ(returned(), 0u);
}

TEST_F(TxPacketTest, WritableBytesAreRefused) {
  auto chain = pop_with(rw(0), {{kPacket, kHeader}, {at(kPacket, 0x100), 5, true}});
  EXPECT_EQ(Tx::parse(chain).error(), Error(VsockError::kTxWritable, 5, 0));
  EXPECT_EQ(memory.fetch_count(kPacket), 0);
  ASSERT_TRUE(chain.complete(0));
  EXPECT_EQ(returned(), 0u);
}

TEST_F(TxPacketTest, EveryShortHeaderIsRefused) {
  for (std::uint32_t length = 0; length < kHeader; ++length) {
    auto chain = pop_with(rw(0), {{kPacket, length / 2}, {kPacket, length - length / 2}});
    EXPECT_EQ(Tx::parse(chain).error(), Error(VsockError::kTxHeader, length, 44));
    EXPECT_EQ(memory.fetch_count(kPacket), 0) << "nothing is fetched of " << length << " bytes";
    ASSERT_TRUE(chain.complete(0));
    EXPECT_EQ(returned(), 0u);
  }
}

TEST_F(TxPacketTest, AHeaderOutsideMemoryIsRefused) {
  for (std::uint32_t cut = 0; cut < kHeader; ++cut) {
    auto chain = pop_with(rw(0), {{kPacket, cut}, {kUnmapped, kHeader - cut}});
    EXPECT_EQ(Tx::parse(chain).error(), MemoryError::kUnmapped);
    ASSERT_TRUE(chain.complete(0));
    EXPECT_EQ(returned(), 0u);
  }
}

TEST_F(TxPacketTest, DataOutsideMemoryFailsWhenItIsRead) {
  auto chain = pop_with(rw(8), {{kPacket, kHeader + 3}, {kUnmapped, 5}});
  const auto packet = Tx::parse(chain);
  ASSERT_TRUE(packet);
  auto reader = packet->data();
  std::array<std::byte, 8> data;
  EXPECT_EQ(reader.read(data).error(), MemoryError::kUnmapped);
  EXPECT_EQ(reader.remaining(), 5u);
}

TEST_F(TxPacketTest, TheDataLimitIsExact) {
  constexpr std::uint32_t kRoom = 0x20000;
  {
    const auto chain = pop_with(rw(kMaxDataBytes), {{kPacket, kHeader + kRoom}});
    EXPECT_EQ(Tx::parse(chain).value().data().remaining(), kMaxDataBytes);
  }
  {
    const auto chain = pop_with(rw(kMaxDataBytes + 1), {{kPacket, kHeader + kRoom}});
    EXPECT_EQ(Tx::parse(chain).error(), Error(VsockError::kTxDataLimit, 65537, 65536));
  }
  const auto chain = pop_with(rw(11), {{kPacket, kHeader + kRoom}});
  EXPECT_TRUE(Tx::parse(chain, 11));
  EXPECT_EQ(Tx::parse(chain, 10).error(), Error(VsockError::kTxDataLimit, 11, 10));
}

TEST_F(TxPacketTest, TheDataLengthIsExact) {
  auto chain = pop_with(rw(21), {{kPacket, kHeader + 10}, {kPacket, 10}});
  EXPECT_EQ(Tx::parse(chain).error(), Error(VsockError::kTxDataLength, 21, 20));
  ASSERT_TRUE(chain.complete(0));
  EXPECT_EQ(returned(), 0u);
  const auto fits = pop_with(rw(20), {{kPacket, kHeader + 10}, {kPacket, 10}});
  EXPECT_EQ(Tx::parse(fits).value().data().remaining(), 20u);
}

TEST_F(TxPacketTest, TheLimitIsCheckedBeforeTheLength) {
  const auto chain = pop_with(rw(65537), {{kPacket, kHeader}});
  EXPECT_EQ(Tx::parse(chain).error(), VsockError::kTxDataLimit);
}

TEST_F(TxPacketTest, FourGibibytesNeitherWrapNorPass) {
  constexpr std::uint32_t kMax = 0xffffffff;
  const auto chain = pop_with(rw(kMax), {{kPacket, kHeader}, {kUnmapped, kMax - kHeader}});
  EXPECT_EQ(Tx::parse(chain).error(), Error(VsockError::kTxDataLimit, kMax, 65536));
  EXPECT_EQ(Tx::parse(chain, kMax).error(), Error(VsockError::kTxDataLength, kMax, kMax - kHeader));

  const auto full =
      pop_with(rw(kMax - kHeader + 1), {{kPacket, kHeader + 1}, {kUnmapped, kMax - kHeader}});
  EXPECT_EQ(Tx::parse(full, kMax).value().data().remaining(), kMax - kHeader + 1);
}

// The guest changes the header between the check and the use of its length.
TEST_F(TxPacketTest, AHeaderThatChangesAfterTheFetchHasNoEffect) {
  for (std::uint32_t i = 0; i < kHeader; ++i) memory.add_race({at(kPacket, i), 2, std::byte{0xff}});
  const auto bytes = pattern(9);
  ASSERT_TRUE(write_bytes(guest, at(kPacket, kHeader), bytes));
  const auto chain = pop_with(rw(9), {{kPacket, 20}, {at(kPacket, 20), 24 + 9}});
  const auto packet = Tx::parse(chain);
  ASSERT_TRUE(packet);
  ASSERT_TRUE(write_object(guest, kPacket, rw(0xffffffff)));
  EXPECT_TRUE(same(packet->header(), rw(9)));
  EXPECT_EQ(data_of(*packet), bytes);
  EXPECT_TRUE(memory.writes().empty());
}

class RxPacketTest : public PacketTest {
 protected:
  using Rx = RxPacket<WatchedMemory>;

  std::vector<std::byte> bytes_at(GuestAddress address, std::size_t length) {
    std::vector<std::byte> bytes(length);
    EXPECT_TRUE(read_bytes(guest, address, bytes));
    return bytes;
  }
  VsockHdr header_at(GuestAddress address) { return read_object<VsockHdr>(guest, address).value(); }
  /// Returns the chain after a packet that was refused.
  void expect_untouched(Chain<Queue>& chain) {
    EXPECT_TRUE(memory.writes().empty());
    ASSERT_TRUE(chain.complete(0));
    EXPECT_EQ(returned(), 0u);
    memory.clear_log();
  }
};

TEST_F(RxPacketTest, AHeaderAlone) {
  auto chain = pop({{kPacket, kHeader, true}});
  const auto packet = Rx::open(chain);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->room(), 0u);
  const auto used = packet->write(rw(99));
  EXPECT_EQ(used, kHeader);
  EXPECT_TRUE(same(header_at(kPacket), rw(0))) << "len is the length of the data";
  ASSERT_TRUE(chain.complete(*used));
  EXPECT_EQ(returned(), kHeader);
}

TEST_F(RxPacketTest, AnyTwoCuts) {
  constexpr std::uint32_t kData = 6;
  constexpr std::uint32_t kAll = kHeader + kData;
  const auto bytes = pattern(kData);
  for (std::uint32_t first = 0; first <= kAll; ++first)
    for (std::uint32_t second = first; second <= kAll; ++second) {
      SCOPED_TRACE(::testing::Message() << "cuts at " << first << " and " << second);
      ASSERT_TRUE(write_bytes(guest, kPacket, std::vector<std::byte>(kAll + 1)));
      memory.clear_log();
      auto chain = pop({{kPacket, first, true},
                        {at(kPacket, first), second - first, true},
                        {at(kPacket, second), kAll - second, true}});
      const auto used = Rx::open(chain).value().write(rw(0), bytes);
      EXPECT_EQ(used, kAll);
      EXPECT_TRUE(same(header_at(kPacket), rw(kData)));
      EXPECT_EQ(bytes_at(at(kPacket, kHeader), kData), bytes);
      ASSERT_EQ(memory.writes().size(), 1u) << "each byte is written once, in order";
      EXPECT_EQ(memory.writes()[0].address, kPacket);
      EXPECT_EQ(memory.writes()[0].length, kAll);
      EXPECT_EQ(memory.fetch_count(kPacket), 0) << "a receive buffer is not read";
    }
}

TEST_F(RxPacketTest, DataShorterThanTheRoomLeavesTheRestAlone) {
  const auto chain = pop({{kPacket, kHeader + 100, true}});
  const auto packet = Rx::open(chain);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->room(), 100u);
  EXPECT_EQ(packet->write(rw(0), pattern(40)), kHeader + 40);
  ASSERT_EQ(memory.writes().size(), 1u);
  EXPECT_EQ(memory.writes()[0].length, kHeader + 40);
}

TEST_F(RxPacketTest, AFaultyChainIsReportedAsSuch) {
  driver.write_descriptor(0, kPacket, 100, VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT, 8);
  driver.publish(0);
  auto chain = pop();
  EXPECT_EQ(Rx::open(chain).error(), Error(ChainError::kNextIndex, 8, 8));
  expect_untouched(chain);
}

TEST_F(RxPacketTest, ReadableBytesAreRefused) {
  auto chain = pop({{kPacket, 3, false}, {kPacket, 100, true}});
  EXPECT_EQ(Rx::open(chain).error(), Error(VsockError::kRxReadable, 3, 0));
  expect_untouched(chain);
}

TEST_F(RxPacketTest, EveryShortHeaderIsRefused) {
  for (std::uint32_t length = 0; length < kHeader; ++length) {
    auto chain = pop({{kPacket, length / 2, true}, {kPacket, length - length / 2, true}});
    EXPECT_EQ(Rx::open(chain).error(), Error(VsockError::kRxHeader, length, 44));
    expect_untouched(chain);
  }
}

TEST_F(RxPacketTest, TooMuchDataWritesNothing) {
  auto chain = pop({{kPacket, kHeader, true}, {at(kPacket, 0x100), 10, true}});
  EXPECT_EQ(Rx::open(chain).value().write(rw(0), pattern(11)).error(),
            Error(VsockError::kRxDataLength, 11, 10));
  expect_untouched(chain);
}

TEST_F(RxPacketTest, TheDataLimitIsExact) {
  auto chain = pop({{kPacket, kHeader + 0x20000, true}});
  const auto packet = Rx::open(chain);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->room(), kMaxDataBytes);
  EXPECT_EQ(packet->write(rw(0), pattern(kMaxDataBytes + 1)).error(),
            Error(VsockError::kRxDataLimit, 65537, 65536));
  EXPECT_TRUE(memory.writes().empty());
  EXPECT_EQ(packet->write(rw(0), pattern(kMaxDataBytes)), kHeader + kMaxDataBytes);
  EXPECT_EQ(Rx::open(chain, 10).value().room(), 10u);
  EXPECT_EQ(Rx::open(chain, 10).value().write(rw(0), pattern(11)).error(),
            Error(VsockError::kRxDataLimit, 11, 10));
}

TEST_F(RxPacketTest, TheLimitIsCheckedBeforeTheRoom) {
  const auto chain = pop({{kPacket, kHeader, true}});
  EXPECT_EQ(Rx::open(chain, 3).value().write(rw(0), pattern(4)).error(), VsockError::kRxDataLimit);
}

// A packet in a buffer half of which is not memory must not reach the guest in part.
TEST_F(RxPacketTest, ABufferOutsideMemoryWritesNothing) {
  for (std::uint32_t cut = 0; cut < kHeader + 5; ++cut) {
    auto chain = pop({{kPacket, cut, true}, {kUnmapped, kHeader + 5 - cut, true}});
    EXPECT_EQ(Rx::open(chain).value().write(rw(0), pattern(5)).error(), MemoryError::kUnmapped);
    expect_untouched(chain);
  }
}

TEST_F(RxPacketTest, MemoryThatThePacketDoesNotReachNeedNotExist) {
  const auto chain = pop({{kPacket, kHeader + 5, true}, {kUnmapped, 1000, true}});
  EXPECT_EQ(Rx::open(chain).value().room(), 1005u);
  EXPECT_EQ(Rx::open(chain).value().write(rw(0), pattern(5)), kHeader + 5);
}

TEST_F(RxPacketTest, FourGibibytesOfRoomFitAUsedLength) {
  constexpr std::uint32_t kMax = 0xffffffff;
  const auto chain =
      pop({{kPacket, kHeader, true}, {kUnmapped, kMax - kHeader, true}, {kPacket, 1, true}});
  EXPECT_EQ(chain.writable_bytes(), std::uint64_t{1} << 32);
  EXPECT_EQ(Rx::open(chain, kMax).value().room(), kMax - kHeader);
  EXPECT_EQ(Rx::open(chain).value().room(), kMaxDataBytes);
}

}  // namespace
}  // namespace guestproof::virtio::vsock
