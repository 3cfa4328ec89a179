#include "guestproof/virtio/device/block/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <climits>
#include <functional>

#include "block_fixture.h"
#include "guestproof/testing/deferred_backend.h"
#include "guestproof/testing/memory_backend.h"
#include "guestproof/virtio/queue/shared_queue.h"

namespace guestproof::virtio::block {
namespace {

using testing::DeferredBackend;
using testing::MemoryBackend;
using Call = MemoryBackend::Call;
using Record = MemoryBackend::Record;
using Segment = VirtioBlkDiscardWriteZeroes;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class EngineTest : public BlockFixture {
 protected:
  EngineTest() {
    const auto contents = pattern(storage.size(), 42);
    std::ranges::copy(contents, storage.bytes().begin());
  }

  Engine<Queue> make_engine() { return Engine<Queue>::create(config, immediate).value(); }
  /// Serves the chain that was sent last; the driver has it back then.
  Outcome serve() {
    const auto outcome = serve_on(storage);
    const auto used = driver.take_used();
    EXPECT_TRUE(used);
    EXPECT_EQ(used->id, head_);
    EXPECT_EQ(used->len, outcome.used);
    return outcome;
  }

  Bytes sectors(std::uint64_t first, std::uint64_t count) {
    const auto part = storage.bytes().subspan(first * 512, count * 512);
    return {part.begin(), part.end()};
  }
  static Bytes with_status(Bytes data, std::uint8_t status) {
    data.push_back(static_cast<std::byte>(status));
    return data;
  }
  static Bytes segments(std::initializer_list<Segment> list) {
    Bytes bytes;
    for (const auto& segment : list) bytes = joined(std::move(bytes), bytes_of(segment));
    return bytes;
  }

  MemoryBackend storage{64 * 512};
  ImmediateBackend immediate{storage};
};

Error io_error(SystemError call) { return {call, EIO}; }

// Every type, in every cut.

/// A disk of 1 TiB that does nothing, and counts for how many bytes it was asked to.
class IdleStorage final : public Backend {
 public:
  [[nodiscard]] std::uint64_t size() const override { return std::uint64_t{1} << 40; }
  [[nodiscard]] bool read_only() const override { return false; }
  Result<std::size_t> read_at(std::span<const ::iovec>, std::uint64_t) override { return 0U; }
  Result<std::size_t> write_at(std::span<const ::iovec>, std::uint64_t) override { return 0U; }
  Result<void> flush() override { return {}; }
  Result<void> discard(std::uint64_t, std::uint64_t) override { return {}; }
  Result<void> write_zeroes(std::uint64_t, std::uint64_t length, bool) override {
    zeroed += length;
    return {};
  }
  Result<void> secure_erase(std::uint64_t, std::uint64_t) override { return {}; }
  std::uint64_t zeroed = 0;
};

class EngineCutTest : public EngineTest, public ::testing::WithParamInterface<Cut> {};
INSTANTIATE_TEST_SUITE_P(Cuts, EngineCutTest, ::testing::ValuesIn(kCuts),
                         [](const auto& test) { return name_of(test.param); });

TEST_P(EngineCutTest, In) {
  send(header(VIRTIO_BLK_T_IN, 7), 1024, GetParam());
  const auto outcome = serve();
  EXPECT_EQ(outcome.type, VIRTIO_BLK_T_IN);
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(outcome.error, std::nullopt);
  EXPECT_EQ(outcome.bytes, 1024u);
  EXPECT_EQ(outcome.used, 1025u);
  EXPECT_EQ(room(), with_status(sectors(7, 2), VIRTIO_BLK_S_OK));
}

TEST_P(EngineCutTest, Out) {
  const auto before = sectors(0, 64);
  send(joined(header(VIRTIO_BLK_T_OUT, 62), pattern(1024)), 0, GetParam());
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(outcome.bytes, 1024u);
  EXPECT_EQ(outcome.used, 1u);
  EXPECT_EQ(room(), with_status({}, VIRTIO_BLK_S_OK));
  EXPECT_EQ(sectors(62, 2), pattern(1024));
  EXPECT_EQ(sectors(0, 62), Bytes(before.begin(), before.begin() + 62 * 512));
}

TEST_P(EngineCutTest, Flush) {
  send(header(VIRTIO_BLK_T_FLUSH), 0, GetParam());
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(outcome.used, 1u);
  EXPECT_THAT(storage.calls(), ElementsAre(Record{Call::kFlush}));
}

TEST_P(EngineCutTest, FlushLeavesWritableDataAlone) {
  send(header(VIRTIO_BLK_T_FLUSH), 30, GetParam());
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(outcome.used, 0u);
  EXPECT_EQ(room(), with_status(Bytes(30, std::byte{0xee}), VIRTIO_BLK_S_OK));
}

TEST_P(EngineCutTest, GetId) {
  send(header(VIRTIO_BLK_T_GET_ID), 20, GetParam());
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(outcome.used, 21u);
  EXPECT_EQ(room(), with_status(bytes_of(device_id("a serial number")), VIRTIO_BLK_S_OK));
}

TEST_P(EngineCutTest, Discard) {
  send(joined(header(VIRTIO_BLK_T_DISCARD), segments({{1, 8, 0}, {60, 4, 0}, {64, 0, 0}})), 0,
       GetParam());
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(outcome.bytes, 12u * 512);
  EXPECT_EQ(outcome.used, 1u);
  EXPECT_THAT(storage.calls(), ElementsAre(Record{Call::kDiscard, 512, 4096},
                                           Record{Call::kDiscard, 60 * 512, 2048}));
}

TEST_P(EngineCutTest, WriteZeroes) {
  config.write_zeroes_may_unmap = true;
  send(joined(header(VIRTIO_BLK_T_WRITE_ZEROES), segments({{0, 1, 0}, {2, 1, 1}})), 0, GetParam());
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(outcome.used, 1u);
  EXPECT_THAT(storage.calls(),
              ElementsAre(Record{Call::kZero, 0, 512}, Record{Call::kZeroUnmap, 1024, 512}));
}

TEST_P(EngineCutTest, SecureErase) {
  send(joined(header(VIRTIO_BLK_T_SECURE_ERASE), segments({{9, 10, 0}})), 0, GetParam());
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(outcome.used, 1u);
  EXPECT_THAT(storage.calls(), ElementsAre(Record{Call::kErase, 9 * 512, 5120}));
}

TEST_P(EngineCutTest, UnsupportedTypeWithoutData) {
  send(header(99), 0, GetParam());
  const auto outcome = serve();
  EXPECT_EQ(outcome.type, 99u);
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_UNSUPP);
  EXPECT_EQ(outcome.error, Error(BlockError::kUnsupportedType, 99));
  EXPECT_EQ(outcome.used, 1u);
  EXPECT_EQ(room(), with_status({}, VIRTIO_BLK_S_UNSUPP));
}

TEST_P(EngineCutTest, RefusedRequestWritesItsStatusAlone) {
  send(header(VIRTIO_BLK_T_IN, 64), 512, GetParam());
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(outcome.error, Error(BlockError::kBeyondCapacity, 64, 64));
  EXPECT_EQ(outcome.used, 0u);
  EXPECT_EQ(room(), with_status(Bytes(512, std::byte{0xee}), VIRTIO_BLK_S_IOERR));
  EXPECT_THAT(storage.calls(), IsEmpty());
}

TEST_P(EngineCutTest, EveryByteIsFetchedOnce) {
  send(joined(header(VIRTIO_BLK_T_OUT, 1), pattern(512)), 0, GetParam());
  auto engine = make_engine();
  auto chain = queue.pop().value().value();
  memory.clear_log();
  storage.limit_transfers(100);
  engine.take(std::move(chain), [](const Outcome&) {});
  std::uint64_t fetched = 0;
  for (const auto& fetch : memory.fetches()) fetched += fetch.length;
  EXPECT_EQ(fetched, 16u + 512u);
}

TEST_P(EngineCutTest, SegmentsAreFetchedOnce) {
  send(joined(header(VIRTIO_BLK_T_DISCARD), segments({{1, 1, 0}, {2, 2, 0}})), 0, GetParam());
  for (std::uint64_t i = 0; i < 100; ++i)
    memory.add_race({GuestAddress(kReadable.raw() + i), 2, std::byte{0xff}});
  EXPECT_EQ(serve().status, VIRTIO_BLK_S_OK);
  EXPECT_THAT(storage.calls(),
              ElementsAre(Record{Call::kDiscard, 512, 512}, Record{Call::kDiscard, 1024, 1024}));
}

TEST_P(EngineCutTest, ShortReadsGoOn) {
  storage.limit_transfers(100);
  send(header(VIRTIO_BLK_T_IN, 7), 1024, GetParam());
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(outcome.used, 1025u);
  EXPECT_EQ(room(), with_status(sectors(7, 2), VIRTIO_BLK_S_OK));
  EXPECT_EQ(storage.calls().size(), 11u);
}

TEST_P(EngineCutTest, ShortWritesGoOn) {
  storage.limit_transfers(1);
  send(joined(header(VIRTIO_BLK_T_OUT, 7), pattern(512)), 0, GetParam());
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(outcome.bytes, 512u);
  EXPECT_EQ(sectors(7, 1), pattern(512));
  EXPECT_EQ(storage.calls().size(), 512u);
}

TEST_P(EngineCutTest, FailedReadIsFilledWithZeroes) {
  storage.limit_transfers(100);
  storage.fail_after(3, io_error(SystemError::kRead));
  send(header(VIRTIO_BLK_T_IN, 7), 1024, GetParam());
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(outcome.error, io_error(SystemError::kRead));
  EXPECT_EQ(outcome.bytes, 300u);
  EXPECT_EQ(outcome.used, 1025u);
  auto expected = sectors(7, 2);
  std::fill(expected.begin() + 300, expected.end(), std::byte{0});
  EXPECT_EQ(room(), with_status(expected, VIRTIO_BLK_S_IOERR));
}

// Failures.

TEST_F(EngineTest, ReadWhereTheStorageEnds) {
  storage.end_at(7 * 512 + 700);
  send(header(VIRTIO_BLK_T_IN, 7), 1024);
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(outcome.error, Error(BlockError::kNoProgress, 700, 1024));
  EXPECT_EQ(outcome.used, 1025u);
  auto expected = sectors(7, 2);
  std::fill(expected.begin() + 700, expected.end(), std::byte{0});
  EXPECT_EQ(room(), with_status(expected, VIRTIO_BLK_S_IOERR));
}

TEST_F(EngineTest, WriteWhereTheStorageEnds) {
  storage.end_at(7 * 512);
  send(joined(header(VIRTIO_BLK_T_OUT, 6), pattern(1024)), 0);
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(outcome.error, Error(BlockError::kNoProgress, 512, 1024));
  EXPECT_EQ(outcome.bytes, 512u);
  EXPECT_EQ(outcome.used, 1u);
}

TEST_F(EngineTest, FullDisk) {
  storage.fail_after(0, Error(SystemError::kWrite, ENOSPC));
  send(joined(header(VIRTIO_BLK_T_OUT), pattern(512)), 0);
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(outcome.error, Error(SystemError::kWrite, ENOSPC));
  EXPECT_EQ(outcome.error->message(), "writing failed: No space left on device");
  EXPECT_EQ(room(), with_status({}, VIRTIO_BLK_S_IOERR));
}

TEST_F(EngineTest, FailedFlush) {
  storage.fail_after(0, io_error(SystemError::kSync));
  send(header(VIRTIO_BLK_T_FLUSH), 0);
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(outcome.error, io_error(SystemError::kSync));
}

TEST_F(EngineTest, SecondSegmentFails) {
  storage.fail_after(1, io_error(SystemError::kAllocate));
  send(joined(header(VIRTIO_BLK_T_WRITE_ZEROES), segments({{0, 1, 0}, {1, 2, 0}, {3, 3, 0}})), 0);
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(outcome.error, io_error(SystemError::kAllocate));
  EXPECT_EQ(outcome.bytes, 512u);
  EXPECT_EQ(storage.calls().size(), 2u);
}

TEST_F(EngineTest, NothingIsDoneWhenTheSecondSegmentIsBad) {
  const auto before = sectors(0, 64);
  send(joined(header(VIRTIO_BLK_T_DISCARD), segments({{0, 1, 0}, {63, 2, 0}})), 0);
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(outcome.error, Error(BlockError::kBeyondCapacity, 63, 64));
  EXPECT_THAT(storage.calls(), IsEmpty());
  EXPECT_EQ(sectors(0, 64), before);
}

TEST_F(EngineTest, NothingIsDoneWhenTheSegmentsSumToMoreThanTheDisk) {
  config.secure_erase = {.max_sectors = 64, .max_segments = 2};
  send(joined(header(VIRTIO_BLK_T_SECURE_ERASE), segments({{0, 64, 0}, {0, 64, 0}})), 0);
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(outcome.error, Error(BlockError::kSegmentsTotal, 128, 64));
  EXPECT_EQ(outcome.bytes, 0u);
  EXPECT_THAT(storage.calls(), IsEmpty());
}

TEST_F(EngineTest, UnknownSegmentFlag) {
  send(joined(header(VIRTIO_BLK_T_DISCARD), segments({{0, 1, 1}})), 0);
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_UNSUPP);
  EXPECT_EQ(outcome.error, Error(BlockError::kSegmentFlags, 1, 0));
  EXPECT_EQ(outcome.used, 1u);
}

TEST_F(EngineTest, UnmapIsIgnoredWhereTheDeviceMayNot) {
  send(joined(header(VIRTIO_BLK_T_WRITE_ZEROES), segments({{2, 1, 1}})), 0);
  EXPECT_EQ(serve().status, VIRTIO_BLK_S_OK);
  EXPECT_THAT(storage.calls(), ElementsAre(Record{Call::kZero, 1024, 512}));
}

TEST_F(EngineTest, ReadOnlyDeviceIsNotWritten) {
  config.read_only = true;
  const auto before = sectors(0, 64);
  send(joined(header(VIRTIO_BLK_T_OUT), pattern(512)), 0);
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(sectors(0, 64), before);
}

// Write-through.

class WriteThroughTest : public EngineTest {
 protected:
  WriteThroughTest() { config.features &= ~(std::uint64_t{1} << VIRTIO_BLK_F_FLUSH); }
};

TEST_F(WriteThroughTest, WritesAreStableBeforeTheyAreAnswered) {
  send(joined(header(VIRTIO_BLK_T_OUT, 5), pattern(512)), 0);
  EXPECT_EQ(serve().status, VIRTIO_BLK_S_OK);
  EXPECT_THAT(storage.calls(),
              ElementsAre(Record{Call::kWrite, 5 * 512, 512}, Record{Call::kFlush}));
}

TEST_F(WriteThroughTest, SegmentsAsWell) {
  send(joined(header(VIRTIO_BLK_T_WRITE_ZEROES), segments({{0, 1, 0}, {1, 1, 0}})), 0);
  EXPECT_EQ(serve().status, VIRTIO_BLK_S_OK);
  EXPECT_THAT(storage.calls(), ElementsAre(Record{Call::kZero, 0, 512},
                                           Record{Call::kZero, 512, 512}, Record{Call::kFlush}));
}

TEST_F(WriteThroughTest, FailedFlushFailsTheWrite) {
  storage.fail_after(1, io_error(SystemError::kSync));
  send(joined(header(VIRTIO_BLK_T_OUT, 5), pattern(512)), 0);
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(outcome.error, io_error(SystemError::kSync));
  EXPECT_EQ(outcome.bytes, 512u);
}

TEST_F(WriteThroughTest, ReadsAreNotFlushed) {
  send(header(VIRTIO_BLK_T_IN), 512);
  EXPECT_EQ(serve().status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(storage.calls().size(), 1u);
}

// Addresses outside guest memory.

class BadAddressTest : public EngineTest {
 protected:
  /// A request whose status byte lies alone at kWritable.
  Outcome serve_buffers(const Bytes& request, std::vector<BufferSpec> buffers) {
    put(kReadable, request);
    buffers.push_back({kWritable, 1, true});
    send_buffers(buffers);
    return serve();
  }
  std::uint8_t status() { return byte_at(kWritable); }
};

TEST_F(BadAddressTest, InFillsTheFrontWithZeroes) {
  put(GuestAddress(0x8000), Bytes(300, std::byte{0xee}));
  const auto outcome = serve_buffers(
      header(VIRTIO_BLK_T_IN),
      {{kReadable, 16, false}, {GuestAddress(0x8000), 200, true}, {kNowhere, 312, true}});
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(outcome.error, Error(MemoryError::kUnmapped, kNowhere.raw(), 312));
  EXPECT_EQ(outcome.bytes, 0u);
  EXPECT_EQ(outcome.used, 200u);
  EXPECT_EQ(status(), VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(byte_at(GuestAddress(0x8000 + 199)), 0);
  EXPECT_EQ(byte_at(GuestAddress(0x8000 + 200)), 0xee);
  EXPECT_THAT(storage.calls(), IsEmpty());
}

TEST_F(BadAddressTest, InToReadOnlyMemory) {
  const auto outcome =
      serve_buffers(header(VIRTIO_BLK_T_IN), {{kReadable, 16, false}, {kReadOnly, 512, true}});
  EXPECT_EQ(outcome.error, MemoryError::kReadOnly);
  EXPECT_EQ(outcome.used, 0u);
  EXPECT_EQ(status(), VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(byte_at(kReadOnly), 0);
}

TEST_F(BadAddressTest, InAcrossTheEndOfMemory) {
  const auto outcome = serve_buffers(header(VIRTIO_BLK_T_IN),
                                     {{kReadable, 16, false}, {GuestAddress(0x2ff00), 512, true}});
  EXPECT_EQ(outcome.error, Error(MemoryError::kUnmapped, 0x30000, 256));
  EXPECT_EQ(outcome.used, 256u);
  EXPECT_EQ(status(), VIRTIO_BLK_S_IOERR);
}

TEST_F(BadAddressTest, OutWritesNothing) {
  const auto before = sectors(0, 64);
  const auto outcome = serve_buffers(header(VIRTIO_BLK_T_OUT),
                                     {{kReadable, 16 + 500, false}, {kNowhere, 12, false}});
  EXPECT_EQ(outcome.error, Error(MemoryError::kUnmapped, kNowhere.raw(), 12));
  EXPECT_EQ(outcome.used, 1u);
  EXPECT_EQ(status(), VIRTIO_BLK_S_IOERR);
  EXPECT_THAT(storage.calls(), IsEmpty());
  EXPECT_EQ(sectors(0, 64), before);
}

TEST_F(BadAddressTest, OutFromReadOnlyMemory) {
  const auto outcome =
      serve_buffers(header(VIRTIO_BLK_T_OUT), {{kReadable, 16, false}, {kReadOnly, 512, false}});
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(sectors(0, 1), Bytes(512));
}

TEST_F(BadAddressTest, GetIdInPart) {
  const auto outcome = serve_buffers(
      header(VIRTIO_BLK_T_GET_ID),
      {{kReadable, 16, false}, {GuestAddress(0x8000), 5, true}, {kNowhere, 15, true}});
  EXPECT_EQ(outcome.error, MemoryError::kUnmapped);
  EXPECT_EQ(outcome.used, 5u);
  EXPECT_EQ(status(), VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(byte_at(GuestAddress(0x8000)), 'a');
}

TEST_F(BadAddressTest, Segments) {
  const auto outcome = serve_buffers(joined(header(VIRTIO_BLK_T_DISCARD), segments({{0, 1, 0}})),
                                     {{kReadable, 32, false}, {kNowhere, 16, false}});
  EXPECT_EQ(outcome.error, Error(MemoryError::kUnmapped, kNowhere.raw(), 16));
  EXPECT_EQ(outcome.used, 1u);
  EXPECT_EQ(status(), VIRTIO_BLK_S_IOERR);
  EXPECT_THAT(storage.calls(), IsEmpty());
}

TEST_F(BadAddressTest, HeaderWithWritableData) {
  const auto outcome = serve_buffers({}, {{kNowhere, 16, false}, {GuestAddress(0x8000), 4, true}});
  EXPECT_EQ(outcome.type, std::nullopt);
  EXPECT_EQ(outcome.error, MemoryError::kUnmapped);
  EXPECT_EQ(outcome.used, 0u);
  EXPECT_EQ(status(), VIRTIO_BLK_S_IOERR);
}

TEST_F(EngineTest, NothingIsExecutedWithoutAPlaceForTheStatus) {
  put(kReadable, header(VIRTIO_BLK_T_OUT));
  send_buffers({{kReadable, 16 + 512, false}, {kNowhere, 1, true}});
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, std::nullopt);
  EXPECT_EQ(outcome.error, MemoryError::kUnmapped);
  EXPECT_EQ(outcome.used, 0u);
  EXPECT_THAT(storage.calls(), IsEmpty());
}

TEST_F(EngineTest, MalformedChainIsReturned) {
  send_buffers({{kWritable, 1, true}, {kReadable, 16, false}});
  const auto outcome = serve();
  EXPECT_EQ(outcome.error, ChainError::kReadableAfterWritable);
  EXPECT_EQ(outcome.used, 0u);
}

// 2^32 writable bytes: the largest chain there is, too long for a 32-bit used length.
TEST_F(EngineTest, LargestChain) {
  send_buffers(
      {{kWritable, 0x80000000, true}, {kWritable, 0x7fffffff, true}, {kWritable, 1, true}});
  const auto outcome = serve();
  EXPECT_EQ(outcome.error, Error(BlockError::kHeaderTooShort, 0, 16));
  EXPECT_EQ(outcome.used, 0u);
  EXPECT_EQ(byte_at(kWritable), VIRTIO_BLK_S_IOERR);
}

TEST_F(EngineTest, MoreBuffersThanOneSystemCallTakes) {
  testing::Driver<testing::WatchedMemory::GuestView> many(guest,
                                                          testing::QueueLayout::at(kRings, 2048));
  ASSERT_TRUE(queue.activate(memory, many.layout().config(), {}));
  put(kReadable, header(VIRTIO_BLK_T_IN, 3));
  std::vector<BufferSpec> buffers{{kReadable, 16, false}};
  // Two host ranges each, on both sides of a border between regions.
  for (std::uint64_t i = 0; i < 768; ++i) buffers.push_back({GuestAddress(0x1ffff), 2, true});
  buffers.push_back({GuestAddress(0x2f000), 1, true});
  many.add_chain(buffers);

  const auto outcome = serve_on(storage);

  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(outcome.used, 1537u);
  EXPECT_THAT(storage.calls(), ElementsAre(Record{Call::kRead, 3 * 512, IOV_MAX},
                                           Record{Call::kRead, 3 * 512 + IOV_MAX, 1536 - IOV_MAX}));
  EXPECT_EQ(byte_at(GuestAddress(0x20000)), std::to_integer<int>(storage.bytes()[3 * 512 + 1535]));
}

// A request that a reset had taken back was executed before that was noticed.
TEST_F(EngineTest, NothingIsDoneForAChainThatAResetTookBack) {
  auto engine = make_engine();
  for (const auto& [request, answer] :
       {std::pair(header(VIRTIO_BLK_T_FLUSH), 0u), std::pair(header(VIRTIO_BLK_T_IN), 512u),
        std::pair(joined(header(VIRTIO_BLK_T_OUT), pattern(512)), 0u), std::pair(header(99), 0u)}) {
    ASSERT_TRUE(queue.activate(memory, driver.layout().config(), {}));
    driver.set_available_index(0);
    send(request, answer);
    auto chain = queue.pop().value().value();
    queue.reset();
    memory.clear_log();
    std::optional<Outcome> outcome;

    engine.take(std::move(chain), [&](const Outcome& o) { outcome = o; });

    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->error, QueueError::kStaleChain);
    EXPECT_EQ(outcome->status, std::nullopt);
    EXPECT_THAT(storage.calls(), IsEmpty());
    EXPECT_TRUE(memory.fetches().empty());
    EXPECT_TRUE(memory.writes().empty());
  }
}

// The device loop.

TEST_F(EngineTest, ServesAllThatIsThere) {
  send(header(VIRTIO_BLK_T_FLUSH), 0);
  send(header(99), 0);
  send_buffers({{kReadable, 16, false}});
  auto engine = make_engine();
  std::vector<std::optional<std::uint8_t>> statuses;

  const auto turn =
      engine.serve(queue, 4, [&](const Outcome& outcome) { statuses.push_back(outcome.status); });

  ASSERT_TRUE(turn);
  EXPECT_TRUE(turn->notify);
  EXPECT_FALSE(turn->more);
  EXPECT_EQ(driver.used_index(), 3u);
  EXPECT_THAT(statuses, ElementsAre(VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_S_UNSUPP, std::nullopt));
}

TEST_F(EngineTest, AsksServeForKicksAgain) {
  auto engine = make_engine();
  const auto turn = engine.serve(queue);
  ASSERT_TRUE(turn);
  EXPECT_FALSE(turn->notify);
  EXPECT_FALSE(turn->more);
  EXPECT_EQ(driver.used_flags(), 0u);
}

// A queue full of requests for gigabytes kept the device in one turn for hours.
TEST_F(EngineTest, ATurnEndsAfterSoManyBytes) {
  IdleStorage disk;
  ImmediateBackend at_once(disk);
  config.capacity = disk.size() / 512;
  config.write_zeroes.max_sectors = kTurnBytes / 512 / 2;
  auto engine = Engine<Queue>::create(config, at_once).value();
  for (int i = 0; i < 5; ++i)
    send(joined(header(VIRTIO_BLK_T_WRITE_ZEROES),
                segments({{0, static_cast<std::uint32_t>(kTurnBytes / 512 / 2), 0}})),
         0);

  EXPECT_TRUE(engine.serve(queue)->more);
  EXPECT_EQ(disk.zeroed, kTurnBytes);
  EXPECT_TRUE(engine.serve(queue)->more);
  EXPECT_FALSE(engine.serve(queue)->more);
  EXPECT_EQ(disk.zeroed, kTurnBytes * 5 / 2);
}

TEST_F(EngineTest, ServeSeesWhatComesWhileItServes) {
  send(header(VIRTIO_BLK_T_FLUSH), 0);
  auto engine = make_engine();
  unsigned served = 0;
  const auto turn = engine.serve(queue, 3, [&](const Outcome&) {
    EXPECT_EQ(driver.used_flags(), VIRTQ_USED_F_NO_NOTIFY);
    if (++served == 1) send(header(VIRTIO_BLK_T_FLUSH), 0);
  });
  ASSERT_TRUE(turn);
  EXPECT_EQ(served, 2u);
}

// A driver that makes a request available as soon as it has one back kept the device for ever.
TEST_F(EngineTest, ServeEndsThoughTheDriverGoesOn) {
  send(header(VIRTIO_BLK_T_FLUSH), 0);
  auto engine = make_engine();
  unsigned served = 0;
  const auto turn = engine.serve(queue, 10, [&](const Outcome&) {
    if (++served < 1000) send(header(VIRTIO_BLK_T_FLUSH), 0);
  });
  ASSERT_TRUE(turn);
  EXPECT_EQ(served, 10u);
  EXPECT_TRUE(turn->more);
  EXPECT_TRUE(turn->notify);
}

TEST_F(EngineTest, ServesAFullQueue) {
  const auto layout = testing::QueueLayout::at(kRings, 8);
  testing::Driver<testing::WatchedMemory::GuestView> few(guest, layout);
  ASSERT_TRUE(queue.activate(memory, layout.config(), {}));
  for (int i = 0; i < 8; ++i) few.add_chain({{kWritable, 1, true}});
  auto engine = make_engine();
  const auto turn = engine.serve(queue);
  ASSERT_TRUE(turn);
  EXPECT_FALSE(turn->more);
  EXPECT_EQ(few.used_index(), 8u);
}

// The second request becomes available after the queue was seen empty and before kicks are on: the
// third fetch of the available index is the one that sees it.
TEST_F(EngineTest, ServeLooksAgainOnceKicksAreOn) {
  send(header(VIRTIO_BLK_T_FLUSH), 0);
  send(header(VIRTIO_BLK_T_FLUSH), 0);
  driver.set_available_index(1);
  const auto index = driver.layout().available_ring.raw() + kAvailIdxOffset;
  memory.add_race({GuestAddress(index), 3, std::byte{2}});
  auto engine = make_engine();
  ASSERT_TRUE(engine.serve(queue));
  EXPECT_EQ(driver.used_index(), 2u);
}

TEST_F(EngineTest, ServeReportsABrokenQueue) {
  send(header(VIRTIO_BLK_T_FLUSH), 0);
  driver.publish(5000);
  auto engine = make_engine();
  const auto turn = engine.serve(queue);
  ASSERT_FALSE(turn);
  EXPECT_EQ(turn.error(), Error(QueueError::kHeadIndex, 5000, 1024));
  EXPECT_EQ(driver.used_index(), 1u);
}

TEST_F(EngineTest, ServesASharedQueue) {
  using Shared = SharedQueue<testing::WatchedMemory>;
  Shared shared;
  ASSERT_TRUE(shared.activate(memory, driver.layout().config(), {}));
  send(header(VIRTIO_BLK_T_IN, 1), 512);
  auto engine = Engine<Shared>::create(config, immediate).value();
  ASSERT_TRUE(engine.serve(shared));
  EXPECT_EQ(room(), with_status(sectors(1, 1), VIRTIO_BLK_S_OK));
}

// Several requests in flight.

class InFlightTest : public EngineTest {
 protected:
  InFlightTest() { EXPECT_TRUE(queue.activate(memory, few.layout().config(), {})); }

  /// A request with its own buffers, so that they do not disturb each other: `data` bytes at
  /// data_of(i), of the last eight, the status right behind them.
  void ask(std::uint32_t type, std::uint64_t sector, std::uint32_t data = 0) {
    const auto at = GuestAddress(kWritable.raw() + 0x800 * (asked_ % 8));
    const GuestAddress header_at(kReadable.raw() + 64 * (asked_++ % 8));
    put(header_at, header(type, sector));
    std::vector<BufferSpec> buffers{{header_at, 16, false}};
    const bool to_disk = type == VIRTIO_BLK_T_OUT;
    if (data != 0) buffers.push_back({at, data, !to_disk});
    put(at, to_disk ? pattern(data, 7) : Bytes(data, std::byte{0xee}));
    put(GuestAddress(at.raw() + data), Bytes(1, std::byte{0xee}));
    buffers.push_back({GuestAddress(at.raw() + data), 1, true});
    few.add_chain(buffers);
  }
  Bytes data_of(std::uint64_t request, std::size_t length) {
    Bytes bytes(length);
    EXPECT_TRUE(read_bytes(guest, GuestAddress(kWritable.raw() + 0x800 * request), bytes));
    return bytes;
  }
  void serve_all() {
    const auto turn = engine.serve(queue, 100, observe);
    ASSERT_TRUE(turn);
    more = turn->more;
  }
  void finish(std::size_t index) {
    deferred.finish(index);
    ASSERT_TRUE(engine.reap(observe));
  }

  testing::Driver<testing::WatchedMemory::GuestView> few{guest,
                                                         testing::QueueLayout::at(kRings, 16)};
  DeferredBackend deferred{storage, 4};
  Engine<Queue> engine = Engine<Queue>::create(config, deferred).value();
  std::vector<Outcome> outcomes;
  std::function<void(const Outcome&)> observe = [this](const Outcome& outcome) {
    outcomes.push_back(outcome);
  };
  bool more = false;

 private:
  std::uint64_t asked_ = 0;
};

TEST_F(InFlightTest, AreAnsweredAsTheStorageIsDone) {
  ask(VIRTIO_BLK_T_IN, 1, 512);
  ask(VIRTIO_BLK_T_OUT, 2, 512);
  ask(VIRTIO_BLK_T_IN, 3, 1024);
  serve_all();
  EXPECT_EQ(engine.in_flight(), 3u);
  EXPECT_EQ(queue.in_flight(), 3u);
  EXPECT_TRUE(deferred.dispatched());
  EXPECT_FALSE(few.take_used());

  finish(2);

  EXPECT_EQ(few.take_used()->len, 1025u);
  EXPECT_FALSE(few.take_used());
  EXPECT_EQ(data_of(2, 1025), with_status(sectors(3, 2), VIRTIO_BLK_S_OK));
  EXPECT_EQ(data_of(0, 513), Bytes(513, std::byte{0xee}));
  finish(0);
  finish(0);
  EXPECT_EQ(data_of(0, 513), with_status(sectors(1, 1), VIRTIO_BLK_S_OK));
  EXPECT_EQ(sectors(2, 1), pattern(512, 7));
  EXPECT_EQ(engine.in_flight(), 0u);
  EXPECT_EQ(queue.in_flight(), 0u);
}

TEST_F(InFlightTest, StatusComesAfterTheData) {
  ask(VIRTIO_BLK_T_IN, 1, 512);
  serve_all();
  deferred.finish(0);
  EXPECT_EQ(data_of(0, 513), with_status(sectors(1, 1), 0xee));
  EXPECT_FALSE(few.take_used());
  ASSERT_TRUE(engine.reap(observe));
  EXPECT_EQ(data_of(0, 513).back(), std::byte{VIRTIO_BLK_S_OK});
}

TEST_F(InFlightTest, NoMoreThanTheStorageTakes) {
  for (int i = 0; i < 6; ++i) ask(VIRTIO_BLK_T_FLUSH, 0);
  serve_all();
  EXPECT_EQ(deferred.pending().size(), 4u);
  EXPECT_EQ(engine.room(), 0u);
  EXPECT_FALSE(more);
  EXPECT_EQ(few.used_flags(), VIRTQ_USED_F_NO_NOTIFY);
  serve_all();
  EXPECT_EQ(deferred.pending().size(), 4u);
  finish(3);
  EXPECT_EQ(engine.room(), 1u);
  serve_all();
  EXPECT_EQ(deferred.pending().size(), 4u);
  for (int i = 0; i < 4; ++i) finish(0);
  serve_all();
  EXPECT_FALSE(more);
  EXPECT_EQ(few.used_flags(), 0u);
  finish(0);
  EXPECT_EQ(outcomes.size(), 6u);
}

TEST_F(InFlightTest, NoMoreThanTheEngineTakes) {
  DeferredBackend wide(storage, 10000);
  auto greedy = Engine<Queue>::create(config, wide).value();
  EXPECT_EQ(greedy.room(), kMaxInFlight);
}

TEST_F(InFlightTest, ShortTransfersGoOnWhileOthersAreServed) {
  storage.limit_transfers(300);
  ask(VIRTIO_BLK_T_IN, 1, 512);
  ask(VIRTIO_BLK_T_OUT, 2, 512);
  serve_all();
  finish(0);
  finish(0);
  EXPECT_TRUE(outcomes.empty());
  EXPECT_TRUE(deferred.dispatched());
  EXPECT_EQ(deferred.pending().at(0).offset, 512u + 300);
  EXPECT_EQ(deferred.pending().at(1).offset, 1024u + 300);
  finish(1);
  finish(0);
  EXPECT_EQ(data_of(0, 512), sectors(1, 1));
  EXPECT_EQ(sectors(2, 1), pattern(512, 7));
}

TEST_F(InFlightTest, FailureOfOneIsNotTheOthers) {
  ask(VIRTIO_BLK_T_IN, 1, 512);
  ask(VIRTIO_BLK_T_IN, 2, 512);
  serve_all();
  storage.fail_after(1, io_error(SystemError::kRead));
  finish(1);
  finish(0);
  EXPECT_EQ(data_of(1, 513), with_status(sectors(2, 1), VIRTIO_BLK_S_OK));
  EXPECT_EQ(data_of(0, 513), with_status(Bytes(512), VIRTIO_BLK_S_IOERR));
}

TEST_F(InFlightTest, WriteThroughFlushesOnceTheDataAreThere) {
  config.features &= ~(std::uint64_t{1} << VIRTIO_BLK_F_FLUSH);
  auto through = Engine<Queue>::create(config, deferred).value();
  ask(VIRTIO_BLK_T_OUT, 2, 512);
  ASSERT_TRUE(through.serve(queue, 2, observe));
  EXPECT_EQ(deferred.pending().size(), 1u);
  deferred.finish(0);
  ASSERT_TRUE(through.reap(observe));
  EXPECT_TRUE(outcomes.empty());
  EXPECT_EQ(deferred.pending().at(0).kind, Operation::Kind::kFlush);
  deferred.finish(0);
  ASSERT_TRUE(through.reap(observe));
  EXPECT_EQ(outcomes.size(), 1u);
}

TEST_F(InFlightTest, CacheModeCountsWhenTheDataAreThere) {
  config.features |= 1u << VIRTIO_BLK_F_CONFIG_WCE;
  auto switched = Engine<Queue>::create(config, deferred).value();
  for (int i = 0; i < 3; ++i) ask(VIRTIO_BLK_T_OUT, 2, 512);
  ASSERT_TRUE(switched.serve(queue, 4, observe));
  std::vector<std::ptrdiff_t> flushes;
  for (const bool write_back : {false, true, false}) {
    switched.set_write_back(write_back);
    deferred.finish(0);
    ASSERT_TRUE(switched.reap(observe));
    flushes.push_back(
        std::ranges::count(deferred.pending(), Operation::Kind::kFlush, &Operation::kind));
  }
  EXPECT_THAT(flushes, ElementsAre(1, 1, 2));
}

TEST_F(InFlightTest, CacheModeMeansNothingWhenItWasNotNegotiated) {
  engine.set_write_back(false);
  ask(VIRTIO_BLK_T_OUT, 2, 512);
  serve_all();
  finish(0);
  EXPECT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(engine.in_flight(), 0u);
}

TEST_F(InFlightTest, DrainEndsEverything) {
  storage.limit_transfers(100);
  ask(VIRTIO_BLK_T_IN, 1, 512);
  ask(VIRTIO_BLK_T_OUT, 2, 512);
  ask(VIRTIO_BLK_T_FLUSH, 0);
  serve_all();

  engine.drain(observe);

  EXPECT_EQ(engine.in_flight(), 0u);
  EXPECT_EQ(outcomes.size(), 3u);
  EXPECT_EQ(few.used_index(), 3u);
  EXPECT_TRUE(queue.save());
  EXPECT_EQ(data_of(0, 512), sectors(1, 1));
}

TEST_F(InFlightTest, DestructionEndsEverything) {
  {
    auto brief = Engine<Queue>::create(config, deferred).value();
    ask(VIRTIO_BLK_T_IN, 1, 512);
    ASSERT_TRUE(brief.serve(queue, 2, observe));
  }
  EXPECT_TRUE(deferred.pending().empty());
  EXPECT_EQ(few.used_index(), 1u);
}

TEST_F(InFlightTest, ChainThatAResetTookBackIsNotAnswered) {
  ask(VIRTIO_BLK_T_IN, 1, 512);
  serve_all();
  queue.reset();
  deferred.finish(0);
  memory.clear_log();
  ASSERT_TRUE(engine.reap(observe));
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes.front().error, QueueError::kStaleChain);
  EXPECT_EQ(outcomes.front().status, std::nullopt);
  EXPECT_TRUE(memory.writes().empty());
  EXPECT_EQ(few.used_index(), 0u);
  EXPECT_EQ(engine.in_flight(), 0u);
}

TEST_F(InFlightTest, StorageThatTakesNothingMore) {
  const Error gone(SystemError::kSubmit, EAGAIN);
  deferred.fail_dispatch(gone);
  ask(VIRTIO_BLK_T_IN, 1, 512);
  const auto turn = engine.serve(queue, 2, observe);
  ASSERT_FALSE(turn);
  EXPECT_EQ(turn.error(), gone);
  EXPECT_EQ(engine.reap(observe).error(), gone);
  engine.drain(observe);
  EXPECT_EQ(outcomes.size(), 1u);
}

TEST_F(InFlightTest, BrokenQueueKeepsWhatIsInFlight) {
  ask(VIRTIO_BLK_T_IN, 1, 512);
  few.publish(77);
  const auto turn = engine.serve(queue, 10, observe);
  EXPECT_EQ(turn.error(), QueueError::kHeadIndex);
  EXPECT_TRUE(deferred.dispatched());
  finish(0);
  EXPECT_EQ(few.take_used()->len, 513u);
}

TEST_F(InFlightTest, SlotsAreUsedAgain) {
  for (int round = 0; round < 20; ++round) {
    storage.limit_transfers(round % 2 == 0 ? 100 : SIZE_MAX);
    ask(VIRTIO_BLK_T_FLUSH, 0);
    ask(VIRTIO_BLK_T_IN, 3, 512);
    serve_all();
    while (!deferred.pending().empty()) finish(deferred.pending().size() - 1);
    EXPECT_EQ(few.used_index(), 2u * (static_cast<unsigned>(round) + 1));
  }
}

// Creation.

TEST_F(EngineTest, BackendTooSmall) {
  config.capacity = 65;
  EXPECT_EQ(Engine<Queue>::create(config, immediate).error(),
            Error(BlockConfigError::kBackendTooSmall, 64 * 512, 65 * 512));
}

TEST_F(EngineTest, BackendReadOnly) {
  storage.set_read_only();
  EXPECT_EQ(Engine<Queue>::create(config, immediate).error(), BlockConfigError::kBackendReadOnly);
  config.read_only = true;
  EXPECT_TRUE(Engine<Queue>::create(config, immediate));
}

TEST_F(EngineTest, BadConfiguration) {
  config.capacity = kMaxCapacity + 1;
  EXPECT_EQ(Engine<Queue>::create(config, immediate).error(),
            Error(BlockConfigError::kCapacity, kMaxCapacity + 1, kMaxCapacity));
}

}  // namespace
}  // namespace guestproof::virtio::block
