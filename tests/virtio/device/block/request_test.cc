#include "guestproof/virtio/device/block/request.h"

#include <gtest/gtest.h>

#include <functional>

#include "block_fixture.h"

namespace guestproof::virtio::block {
namespace {

class RequestTest : public BlockFixture {
 protected:
  using Memory = testing::WatchedMemory;

  /// What parse() makes of the chain that was sent last.
  Result<Request<Memory>> parsed() {
    auto popped = queue.pop();
    EXPECT_TRUE(popped && *popped);
    chain_.emplace(std::move(**popped));
    return parse(*chain_, config);
  }

 private:
  std::optional<Chain<SplitQueue<Memory>>> chain_;
};

class RequestCutTest : public RequestTest, public ::testing::WithParamInterface<Cut> {};
INSTANTIATE_TEST_SUITE_P(Cuts, RequestCutTest, ::testing::ValuesIn(kCuts),
                         [](const auto& test) { return name_of(test.param); });

TEST_P(RequestCutTest, FindsHeaderDataAndStatus) {
  const auto data = pattern(1024);
  send(joined(header(VIRTIO_BLK_T_OUT, 62), data), 0, GetParam());

  auto request = parsed();

  ASSERT_TRUE(request);
  EXPECT_EQ(request->refusal, std::nullopt);
  ASSERT_TRUE(request->header);
  EXPECT_EQ(request->header->type, VIRTIO_BLK_T_OUT);
  EXPECT_EQ(request->header->sector, 62u);
  EXPECT_EQ(request->answer_bytes(), 0u);
  Bytes read(1024);
  ASSERT_EQ(request->readable.remaining(), read.size());
  ASSERT_TRUE(request->readable.read(read));
  EXPECT_EQ(read, data);
  request->status.store(0, std::uint8_t{7});
  EXPECT_EQ(room(), Bytes{std::byte{7}});
}

TEST_P(RequestCutTest, FetchesTheHeaderOnceAndNothingElse) {
  send(joined(header(VIRTIO_BLK_T_OUT), pattern(512)), 0, GetParam());
  auto popped = queue.pop();
  memory.clear_log();

  const auto request = parse(**popped, config);

  ASSERT_TRUE(request);
  std::uint64_t fetched = 0;
  for (const auto& fetch : memory.fetches()) fetched += fetch.length;
  EXPECT_EQ(fetched, 16u);
  EXPECT_TRUE(memory.writes().empty());
}

TEST_P(RequestCutTest, UsesTheHeaderThatItChecked) {
  send(header(VIRTIO_BLK_T_IN, 3), 512, GetParam());
  for (std::uint64_t i = 0; i < 32; ++i)
    memory.add_race({GuestAddress(kReadable.raw() + i), 2, std::byte{0xff}});

  const auto request = parsed();

  ASSERT_TRUE(request && request->header);
  EXPECT_EQ(request->header->sector, 3u);
  EXPECT_EQ(request->refusal, std::nullopt);
}

// No place to answer.

TEST_F(RequestTest, MalformedChain) {
  send_buffers({{kWritable, 1, true}, {kReadable, 16, false}});
  const auto request = parsed();
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error(), Error(ChainError::kReadableAfterWritable, 1));
}

TEST_F(RequestTest, NoWritableByte) {
  put(kReadable, header(VIRTIO_BLK_T_FLUSH));
  send_buffers({{kReadable, 16, false}, {kWritable, 0, true}});
  const auto request = parsed();
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error(), Error(BlockError::kNoStatus, 16));
  EXPECT_EQ(request.error().message(),
            "a request of 16 device-readable bytes has no device-writable byte for its status");
}

TEST_F(RequestTest, StatusNotInMemory) {
  put(kReadable, header(VIRTIO_BLK_T_FLUSH));
  send_buffers({{kReadable, 16, false}, {kNowhere, 1, true}});
  const auto request = parsed();
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error(), Error(MemoryError::kUnmapped, kNowhere.raw(), 1));
}

TEST_F(RequestTest, StatusInReadOnlyMemory) {
  put(kReadable, header(VIRTIO_BLK_T_FLUSH));
  send_buffers({{kReadable, 16, false}, {kReadOnly, 1, true}});
  const auto request = parsed();
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error(), MemoryError::kReadOnly);
}

TEST_F(RequestTest, StatusPastTheLastAddress) {
  put(kReadable, header(VIRTIO_BLK_T_FLUSH));
  send_buffers({{kReadable, 16, false}, {GuestAddress(UINT64_MAX), 2, true}});
  const auto request = parsed();
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error(), Error(MemoryError::kAddressOverflow, UINT64_MAX, 1));
}

// Refused before the header is known.

TEST_F(RequestTest, HeaderTooShort) {
  put(kReadable, header(VIRTIO_BLK_T_FLUSH));
  send_buffers({{kReadable, 15, false}, {kWritable, 1, true}});
  const auto request = parsed();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->refusal, Error(BlockError::kHeaderTooShort, 15, 16));
  EXPECT_EQ(request->header.has_value(), false);
}

TEST_F(RequestTest, NoHeader) {
  send_buffers({{kWritable, 1, true}});
  const auto request = parsed();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->refusal, Error(BlockError::kHeaderTooShort, 0, 16));
}

TEST_F(RequestTest, HeaderPartlyOutsideMemory) {
  send_buffers({{kReadable, 10, false}, {kNowhere, 6, false}, {kWritable, 1, true}});
  const auto request = parsed();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->refusal, Error(MemoryError::kUnmapped, kNowhere.raw(), 6));
  EXPECT_EQ(request->header.has_value(), false);
}

// Refused because of what the header asks for: every check, at its border, in every cut.

struct Case {
  const char* name;
  std::uint32_t type;
  std::uint64_t sector;
  std::uint32_t data;    // readable bytes after the header
  std::uint32_t answer;  // writable bytes before the status
  std::optional<Error> refusal;
  std::function<void(Config&)> change = [](Config&) {};
};

void without(unsigned feature, Config& config) {
  config.features &= ~(std::uint64_t{1} << feature);
}
void read_only(Config& config) { config.read_only = true; }

const std::array kCases{
    Case{"InWhole", VIRTIO_BLK_T_IN, 0, 0, 64 * 512, {}},
    Case{"InNothing", VIRTIO_BLK_T_IN, 64, 0, 0, {}},
    Case{"InLast", VIRTIO_BLK_T_IN, 63, 0, 512, {}},
    Case{"InPastEnd", VIRTIO_BLK_T_IN, 64, 0, 512, Error(BlockError::kBeyondCapacity, 64, 64)},
    Case{"InNothingPastEnd", VIRTIO_BLK_T_IN, 65, 0, 0, Error(BlockError::kBeyondCapacity, 65, 64)},
    Case{"InOneTooMany", VIRTIO_BLK_T_IN, 63, 0, 1024, Error(BlockError::kBeyondCapacity, 63, 64)},
    Case{"InSectorWraps", VIRTIO_BLK_T_IN, UINT64_MAX, 0, 512,
         Error(BlockError::kBeyondCapacity, UINT64_MAX, 64)},
    Case{"InByteOffsetWraps", VIRTIO_BLK_T_IN, std::uint64_t{1} << 55, 0, 512,
         Error(BlockError::kBeyondCapacity, std::uint64_t{1} << 55, 64)},
    Case{"InLength", VIRTIO_BLK_T_IN, 0, 0, 511, Error(BlockError::kDataLength, 511, 512)},
    Case{"InLengthBeforeCapacity", VIRTIO_BLK_T_IN, 99, 0, 513,
         Error(BlockError::kDataLength, 513, 512)},
    Case{"InReadable", VIRTIO_BLK_T_IN, 0, 1, 512, Error(BlockError::kUnexpectedReadable, 1)},
    Case{"InReadOnly", VIRTIO_BLK_T_IN, 0, 0, 512, {}, read_only},

    Case{"OutLast", VIRTIO_BLK_T_OUT, 62, 1024, 0, {}},
    Case{"OutNothing", VIRTIO_BLK_T_OUT, 0, 0, 0, {}},
    Case{"OutPastEnd", VIRTIO_BLK_T_OUT, 63, 1024, 0, Error(BlockError::kBeyondCapacity, 63, 64)},
    Case{"OutLength", VIRTIO_BLK_T_OUT, 0, 1023, 0, Error(BlockError::kDataLength, 1023, 512)},
    Case{"OutWritable", VIRTIO_BLK_T_OUT, 0, 512, 1, Error(BlockError::kUnexpectedWritable, 1)},
    Case{"OutReadOnly", VIRTIO_BLK_T_OUT, 99, 1, 1, Error(BlockError::kReadOnly, VIRTIO_BLK_T_OUT),
         read_only},

    Case{"Flush", VIRTIO_BLK_T_FLUSH, 0, 0, 0, {}},
    Case{"FlushWithData", VIRTIO_BLK_T_FLUSH, 0, 5, 6, {}},
    Case{"FlushSector", VIRTIO_BLK_T_FLUSH, 1, 0, 0, Error(BlockError::kFlushSector, 1)},
    Case{"FlushNotNegotiated", VIRTIO_BLK_T_FLUSH, 1, 0, 0,
         Error(BlockError::kFeatureNotNegotiated, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_F_FLUSH),
         std::bind_front(without, VIRTIO_BLK_F_FLUSH)},
    Case{"FlushReadOnly", VIRTIO_BLK_T_FLUSH, 0, 0, 0, {}, read_only},

    Case{"GetId", VIRTIO_BLK_T_GET_ID, 77, 0, 20, {}},
    Case{"GetIdShort", VIRTIO_BLK_T_GET_ID, 0, 0, 19, Error(BlockError::kIdLength, 19, 20)},
    Case{"GetIdLong", VIRTIO_BLK_T_GET_ID, 0, 0, 21, Error(BlockError::kIdLength, 21, 20)},
    Case{"GetIdNothing", VIRTIO_BLK_T_GET_ID, 0, 0, 0, Error(BlockError::kIdLength, 0, 20)},
    Case{"GetIdReadable", VIRTIO_BLK_T_GET_ID, 0, 4, 20, Error(BlockError::kUnexpectedReadable, 4)},

    Case{"Discard", VIRTIO_BLK_T_DISCARD, 99, 4 * 16, 0, {}},
    Case{"DiscardNothing", VIRTIO_BLK_T_DISCARD, 0, 0, 0,
         Error(BlockError::kSegmentsLength, 0, 16)},
    Case{"DiscardLength", VIRTIO_BLK_T_DISCARD, 0, 17, 0,
         Error(BlockError::kSegmentsLength, 17, 16)},
    Case{"DiscardSegments", VIRTIO_BLK_T_DISCARD, 0, 5 * 16, 0,
         Error(BlockError::kTooManySegments, 5, 4)},
    Case{"DiscardWritable", VIRTIO_BLK_T_DISCARD, 0, 16, 2,
         Error(BlockError::kUnexpectedWritable, 2)},
    Case{"DiscardReadOnly", VIRTIO_BLK_T_DISCARD, 0, 16, 0,
         Error(BlockError::kReadOnly, VIRTIO_BLK_T_DISCARD), read_only},
    Case{"DiscardNotNegotiated", VIRTIO_BLK_T_DISCARD, 0, 16, 0,
         Error(BlockError::kFeatureNotNegotiated, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_F_DISCARD),
         std::bind_front(without, VIRTIO_BLK_F_DISCARD)},

    Case{"WriteZeroes", VIRTIO_BLK_T_WRITE_ZEROES, 0, 3 * 16, 0, {}},
    Case{"WriteZeroesLength", VIRTIO_BLK_T_WRITE_ZEROES, 0, 15, 0,
         Error(BlockError::kSegmentsLength, 15, 16)},
    Case{"WriteZeroesSegments", VIRTIO_BLK_T_WRITE_ZEROES, 0, 4 * 16, 0,
         Error(BlockError::kTooManySegments, 4, 3)},
    Case{"WriteZeroesWritable", VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, 2,
         Error(BlockError::kUnexpectedWritable, 2)},
    Case{"WriteZeroesReadOnly", VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, 0,
         Error(BlockError::kReadOnly, VIRTIO_BLK_T_WRITE_ZEROES), read_only},
    Case{"WriteZeroesNotNegotiated", VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, 0,
         Error(BlockError::kFeatureNotNegotiated, VIRTIO_BLK_T_WRITE_ZEROES,
               VIRTIO_BLK_F_WRITE_ZEROES),
         std::bind_front(without, VIRTIO_BLK_F_WRITE_ZEROES)},

    Case{"SecureErase", VIRTIO_BLK_T_SECURE_ERASE, 0, 2 * 16, 0, {}},
    Case{"SecureEraseSegments", VIRTIO_BLK_T_SECURE_ERASE, 0, 3 * 16, 0,
         Error(BlockError::kTooManySegments, 3, 2)},
    Case{"SecureEraseWritable", VIRTIO_BLK_T_SECURE_ERASE, 0, 16, 2,
         Error(BlockError::kUnexpectedWritable, 2)},
    Case{"SecureEraseReadOnly", VIRTIO_BLK_T_SECURE_ERASE, 0, 16, 0,
         Error(BlockError::kReadOnly, VIRTIO_BLK_T_SECURE_ERASE), read_only},
    Case{"SecureEraseNotNegotiatedOnReadOnly", VIRTIO_BLK_T_SECURE_ERASE, 0, 16, 0,
         Error(BlockError::kFeatureNotNegotiated, VIRTIO_BLK_T_SECURE_ERASE,
               VIRTIO_BLK_F_SECURE_ERASE),
         [](Config& config) {
           without(VIRTIO_BLK_F_SECURE_ERASE, config);
           config.read_only = true;
         }},

    Case{"Scsi", 2, 0, 0, 0, Error(BlockError::kUnsupportedType, 2)},
    Case{"GetLifetime", VIRTIO_BLK_T_GET_LIFETIME, 0, 0, 6,
         Error(BlockError::kUnsupportedType, VIRTIO_BLK_T_GET_LIFETIME)},
    Case{"ZoneReport", 16, 0, 0, 64, Error(BlockError::kUnsupportedType, 16)},
    Case{"LargestType", UINT32_MAX, 0, 0, 0, Error(BlockError::kUnsupportedType, UINT32_MAX)},
};

class RequestCaseTest : public RequestTest,
                        public ::testing::WithParamInterface<std::tuple<Case, Cut>> {};
INSTANTIATE_TEST_SUITE_P(Requests, RequestCaseTest,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::Values(Cut::kSeparate, Cut::kJoined,
                                                              Cut::kMisfit)),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + std::string("_") +
                                  name_of(std::get<1>(test.param));
                         });

TEST_P(RequestCaseTest, IsAcceptedOrRefused) {
  const auto& [request, cut] = GetParam();
  request.change(config);
  send(joined(header(request.type, request.sector), Bytes(request.data)), request.answer, cut);

  const auto result = parsed();

  ASSERT_TRUE(result);
  EXPECT_EQ(result->refusal, request.refusal);
  EXPECT_EQ(result->header->type, request.type);
}

// Data buffers against seg_max and size_max.

class RequestLimitTest : public RequestTest {
 protected:
  void limit(std::uint32_t seg_max, std::uint32_t size_max) {
    config.features |= 1u << VIRTIO_BLK_F_SEG_MAX | 1u << VIRTIO_BLK_F_SIZE_MAX;
    config.seg_max = seg_max;
    config.size_max = size_max;
  }
  std::optional<Error> refusal_of(std::uint32_t type, std::vector<BufferSpec> buffers) {
    put(kReadable, header(type));
    send_buffers(buffers);
    return parsed()->refusal;
  }
};

TEST_F(RequestLimitTest, HeaderAndStatusAreNotCounted) {
  limit(1, 512);
  EXPECT_EQ(refusal_of(VIRTIO_BLK_T_IN, {{kReadable, 8, false},
                                         {GuestAddress(kReadable.raw() + 8), 8, false},
                                         {kWritable, 512, true},
                                         {kWritable, 1, true}}),
            std::nullopt);
  EXPECT_EQ(refusal_of(VIRTIO_BLK_T_IN, {{kReadable, 16, false}, {kWritable, 513, true}}),
            std::nullopt);
  EXPECT_EQ(refusal_of(VIRTIO_BLK_T_OUT, {{kReadable, 16 + 512, false}, {kWritable, 1, true}}),
            std::nullopt);
  EXPECT_EQ(refusal_of(
                VIRTIO_BLK_T_OUT,
                {{kReadable, 16, false}, {GuestAddress(0x8000), 512, false}, {kWritable, 1, true}}),
            std::nullopt);
}

TEST_F(RequestLimitTest, TooManyBuffers) {
  limit(2, 512);
  EXPECT_EQ(refusal_of(VIRTIO_BLK_T_OUT, {{kReadable, 16 + 100, false},
                                          {kReadable, 12, false},
                                          {kReadable, 400, false},
                                          {kWritable, 1, true}}),
            Error(BlockError::kSegMax, 3, 2));
}

TEST_F(RequestLimitTest, BufferTooLong) {
  limit(3, 511);
  EXPECT_EQ(refusal_of(VIRTIO_BLK_T_IN, {{kReadable, 16, false}, {kWritable, 513, true}}),
            Error(BlockError::kSizeMax, 512, 511));
}

TEST_F(RequestLimitTest, CapacityComesFirst) {
  limit(1, 1);
  config.capacity = 0;
  EXPECT_EQ(refusal_of(VIRTIO_BLK_T_IN, {{kReadable, 16, false}, {kWritable, 513, true}}),
            Error(BlockError::kBeyondCapacity, 0, 0));
}

TEST_F(RequestLimitTest, NotNegotiated) {
  limit(1, 1);
  without(VIRTIO_BLK_F_SEG_MAX, config);
  without(VIRTIO_BLK_F_SIZE_MAX, config);
  EXPECT_EQ(refusal_of(VIRTIO_BLK_T_IN,
                       {{kReadable, 16, false}, {kWritable, 256, true}, {kWritable, 257, true}}),
            std::nullopt);
}

// Segments.

using Segment = VirtioBlkDiscardWriteZeroes;

class SegmentsTest : public BlockFixture {
 protected:
  std::optional<Error> verdict(std::uint32_t type, std::vector<Segment> segments) {
    const auto ok = check_segments(type, segments, config);
    return ok ? std::nullopt : std::optional(ok.error());
  }
};

TEST_F(SegmentsTest, InsideTheCapacity) {
  EXPECT_EQ(verdict(VIRTIO_BLK_T_DISCARD, {{0, 8, 0}, {56, 8, 0}, {64, 0, 0}}), std::nullopt);
}

TEST_F(SegmentsTest, BeyondTheCapacity) {
  EXPECT_EQ(verdict(VIRTIO_BLK_T_DISCARD, {{0, 8, 0}, {57, 8, 0}}),
            Error(BlockError::kBeyondCapacity, 57, 64));
  EXPECT_EQ(verdict(VIRTIO_BLK_T_WRITE_ZEROES, {{UINT64_MAX, 1, 0}}),
            Error(BlockError::kBeyondCapacity, UINT64_MAX, 64));
  EXPECT_EQ(verdict(VIRTIO_BLK_T_SECURE_ERASE, {{65, 0, 0}}),
            Error(BlockError::kBeyondCapacity, 65, 64));
}

TEST_F(SegmentsTest, TooManySectors) {
  EXPECT_EQ(verdict(VIRTIO_BLK_T_DISCARD, {{0, 9, 0}}), Error(BlockError::kSegmentSectors, 9, 8));
  EXPECT_EQ(verdict(VIRTIO_BLK_T_WRITE_ZEROES, {{0, 9, 0}}), std::nullopt);
  EXPECT_EQ(verdict(VIRTIO_BLK_T_WRITE_ZEROES, {{99, 10, 0}}),
            Error(BlockError::kSegmentSectors, 10, 9));
  EXPECT_EQ(verdict(VIRTIO_BLK_T_SECURE_ERASE, {{0, UINT32_MAX, 0}}),
            Error(BlockError::kSegmentSectors, UINT32_MAX, 10));
}

// A request of many segments made the device write the whole disk once for each.
TEST_F(SegmentsTest, NoMoreSectorsInAllThanTheCapacity) {
  config.secure_erase = {.max_sectors = 64, .max_segments = 256};
  const Segment half{32, 32, 0};
  EXPECT_EQ(verdict(VIRTIO_BLK_T_SECURE_ERASE, {half, half}), std::nullopt);
  EXPECT_EQ(verdict(VIRTIO_BLK_T_SECURE_ERASE, {half, half, {0, 1, 0}}),
            Error(BlockError::kSegmentsTotal, 65, 64));
  EXPECT_EQ(verdict(VIRTIO_BLK_T_SECURE_ERASE, std::vector(256, Segment{0, 64, 0})),
            Error(BlockError::kSegmentsTotal, 256 * 64, 64));
}

TEST_F(SegmentsTest, TheTotalIsNotCutTo32Bits) {
  config.capacity = UINT32_MAX;
  config.discard = {.max_sectors = UINT32_MAX, .max_segments = 4};
  const Segment whole{0, UINT32_MAX, 0};
  EXPECT_EQ(verdict(VIRTIO_BLK_T_DISCARD, {whole, whole}),
            Error(BlockError::kSegmentsTotal, 2ull * UINT32_MAX, UINT32_MAX));
}

TEST_F(SegmentsTest, ABadSegmentComesBeforeTheTotal) {
  EXPECT_EQ(verdict(VIRTIO_BLK_T_WRITE_ZEROES, std::vector(9, Segment{60, 9, 0})),
            Error(BlockError::kBeyondCapacity, 60, 64));
}

TEST_F(SegmentsTest, UnlessTheHostSaysOtherwiseASegmentIsShorterThanTwoGibibytes) {
  config.capacity = kMaxCapacity;
  config.secure_erase = {};
  EXPECT_EQ(verdict(VIRTIO_BLK_T_SECURE_ERASE, {{0, 0x3fffff, 0}}), std::nullopt);
  EXPECT_EQ(verdict(VIRTIO_BLK_T_SECURE_ERASE, {{0, 0x400000, 0}}),
            Error(BlockError::kSegmentSectors, 0x400000, 0x3fffff));
}

TEST_F(SegmentsTest, UnmapIsForWriteZeroesOnly) {
  EXPECT_EQ(verdict(VIRTIO_BLK_T_WRITE_ZEROES, {{0, 1, 1}}), std::nullopt);
  EXPECT_EQ(verdict(VIRTIO_BLK_T_DISCARD, {{0, 1, 1}}), Error(BlockError::kSegmentFlags, 1, 0));
  EXPECT_EQ(verdict(VIRTIO_BLK_T_SECURE_ERASE, {{0, 1, 1}}),
            Error(BlockError::kSegmentFlags, 1, 0));
}

TEST_F(SegmentsTest, UnknownFlags) {
  EXPECT_EQ(verdict(VIRTIO_BLK_T_WRITE_ZEROES, {{0, 1, 3}}),
            Error(BlockError::kSegmentFlags, 3, 1));
  EXPECT_EQ(verdict(VIRTIO_BLK_T_DISCARD, {{0, 1, 0x80000000}}),
            Error(BlockError::kSegmentFlags, 0x80000000, 0));
}

TEST_F(SegmentsTest, FlagsOfAllComeBeforeRanges) {
  EXPECT_EQ(verdict(VIRTIO_BLK_T_DISCARD, {{99, 99, 0}, {0, 1, 2}}),
            Error(BlockError::kSegmentFlags, 2, 0));
}

// Statuses and sentences.

TEST(StatusOf, OnlyWhatIsUnsupportedIsUnsupp) {
  EXPECT_EQ(status_of(BlockError::kUnsupportedType), VIRTIO_BLK_S_UNSUPP);
  EXPECT_EQ(status_of(BlockError::kFeatureNotNegotiated), VIRTIO_BLK_S_UNSUPP);
  EXPECT_EQ(status_of(BlockError::kSegmentFlags), VIRTIO_BLK_S_UNSUPP);
  EXPECT_EQ(status_of(BlockError::kReadOnly), VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(status_of(MemoryError::kUnmapped), VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(status_of(SystemError::kRead), VIRTIO_BLK_S_IOERR);
}

TEST(BlockErrorSentence, NamesTheValueAndTheLimit) {
  EXPECT_EQ(Error(BlockError::kBeyondCapacity, 65, 64).message(),
            "the sectors from 65 on pass the capacity of 64");
  EXPECT_EQ(Error(BlockError::kSegmentFlags, 0x80000000, 1).message(),
            "segment flags 0x80000000, the known ones are 0x1");
  EXPECT_EQ(Error(BlockError::kTooManySegments, 5, 4).name(), "block.too_many_segments");
}

}  // namespace
}  // namespace guestproof::virtio::block
