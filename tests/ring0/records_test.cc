#include "guestproof/ring0/records.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace guestproof::ring0 {
namespace {

class RingTest : public ::testing::Test {
 protected:
  bool write(std::string_view text) {
    const std::array parts{bytes_of(text)};
    const bool done = write_record(*ring, written, RecordKind::kText, parts);
    written += done;
    return done;
  }
  std::string read() {
    const auto record = reader.next();
    if (!record) return record.error().name();
    if (!*record) return "nothing";
    return {reinterpret_cast<const char*>((*record)->bytes.data()), (*record)->bytes.size()};
  }

  std::unique_ptr<Ring> ring = std::make_unique<Ring>();
  RingReader reader{*ring};
  std::uint32_t written = 0;
};

TEST_F(RingTest, GivesRecordsInOrder) {
  EXPECT_EQ(read(), "nothing");
  EXPECT_TRUE(write("one"));
  EXPECT_TRUE(write(""));
  EXPECT_TRUE(write("three"));
  EXPECT_EQ(read(), "one");
  EXPECT_EQ(read(), "");
  EXPECT_EQ(read(), "three");
  EXPECT_EQ(read(), "nothing");
}

TEST_F(RingTest, PutsPartsTogether) {
  const FailureRecord failure{7, 1, 0};
  const std::array parts{bytes_of(failure), bytes_of("f"), bytes_of("text")};
  ASSERT_TRUE(write_record(*ring, 0, RecordKind::kFailure, parts));
  const auto record = reader.next().value().value();
  EXPECT_EQ(record.kind, RecordKind::kFailure);
  EXPECT_EQ(record.bytes.size(), sizeof failure + 5);
}

TEST_F(RingTest, IsFullUntilItIsReadAndWraps) {
  const std::string text(1000, 'x');
  for (int round = 0; round < 5; ++round) {
    std::size_t count = 0;
    while (write(text)) ++count;
    EXPECT_EQ(count, Ring::kBytes / (text.size() + sizeof(RecordHeader)));
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(read(), text);
    EXPECT_EQ(read(), "nothing");
  }
}

TEST_F(RingTest, RefusesAnIndexThatCannotBe) {
  ring->written = Ring::kBytes + 1;
  EXPECT_EQ(read(), "ring0.ring_index");
  EXPECT_EQ(read(), "nothing") << "it is the end of this ring";
}

TEST_F(RingTest, RefusesHalfAHeader) {
  ring->written = sizeof(RecordHeader) - 1;
  EXPECT_EQ(read(), "ring0.ring_index");
}

TEST_F(RingTest, RefusesARecordThatIsLargerThanWhatWaits) {
  EXPECT_TRUE(write("text"));
  ring->written = ring->written - 1;
  const auto record = reader.next();
  ASSERT_FALSE(record);
  EXPECT_EQ(record.error().message(), "a record of 4 bytes, where 3 are possible");
}

TEST_F(RingTest, RefusesARecordThatIsLargerThanTheLargest) {
  ring->written = Ring::kBytes;
  ring->bytes.fill(std::byte{0xff});
  EXPECT_EQ(read(), "ring0.record_size");
}

TEST_F(RingTest, RefusesARingThatWasCleared) {
  EXPECT_TRUE(write("lost"));
  new (ring.get()) Ring();
  EXPECT_TRUE(write("behind it"));
  EXPECT_EQ(read(), "ring0.record_lost");
}

TEST_F(RingTest, AWriterThatIsToldNonsenseOfTheReaderIsTold) {
  ring->read = 5;
  EXPECT_FALSE(write("text")) << "it looks full";
}

}  // namespace
}  // namespace guestproof::ring0
