// Rings of records: what was written is read, in order, and what a guest makes of a ring is a typed
// error or records that lie in it. Rings are heap blocks of exactly their size, so that
// AddressSanitizer sees a byte too far.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <deque>
#include <memory>
#include <string>

#include "guestproof/ring0/records.h"

namespace guestproof::ring0 {
namespace {

std::string text_of(const Record& record) {
  return {reinterpret_cast<const char*>(record.bytes.data()), record.bytes.size()};
}

RC_GTEST_PROP(Ring, GivesWhatWasWrittenInOrder, ()) {
  const auto ring = std::make_unique<Ring>();
  RingReader reader(*ring);
  std::deque<std::string> waiting;
  std::size_t room = Ring::kBytes;
  std::uint32_t sequence = 0;
  const auto lengths = *rc::gen::container<std::vector<std::uint32_t>>(
      rc::gen::inRange(0U, Ring::kLargestRecord + 1));
  for (const auto length : lengths) {
    const std::string text(length, static_cast<char>('a' + length % 26));
    const std::array parts{bytes_of(text)};
    const bool fits = length + sizeof(RecordHeader) <= room;
    RC_ASSERT(write_record(*ring, sequence, RecordKind::kText, parts) == fits);
    sequence += fits;
    if (fits) {
      waiting.push_back(text);
      room -= length + sizeof(RecordHeader);
    }
    if (fits && *rc::gen::arbitrary<bool>()) continue;
    const auto record = reader.next();
    RC_ASSERT(record.has_value());
    RC_ASSERT(record->has_value() == !waiting.empty());
    if (waiting.empty()) continue;
    RC_ASSERT(text_of(**record) == waiting.front());
    room += waiting.front().size() + sizeof(RecordHeader);
    waiting.pop_front();
  }
}

RC_GTEST_PROP(Ring, ThatAGuestHasOverwrittenGivesRecordsOfItOrAnError, ()) {
  const auto ring = std::make_unique<Ring>();
  const auto bytes =
      *rc::gen::container<std::vector<std::uint8_t>>(rc::gen::arbitrary<std::uint8_t>());
  for (std::size_t i = 0; i < bytes.size(); ++i) ring->bytes[i] = std::byte{bytes[i]};
  ring->written = *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(0, 2 * Ring::kBytes),
                                  rc::gen::arbitrary<std::uint64_t>());
  ring->read = *rc::gen::arbitrary<std::uint64_t>();
  RingReader reader(*ring);
  std::uint64_t taken = 0;
  while (true) {
    const auto record = reader.next();
    if (!record) {
      RC_ASSERT(record.error() == Ring0Error::kRingIndex ||
                record.error() == Ring0Error::kRecordSize ||
                record.error() == Ring0Error::kRecordLost);
      const auto behind = reader.next();
      RC_ASSERT(behind.has_value());
      RC_ASSERT(!behind->has_value());
      return;
    }
    if (!*record) return;
    RC_ASSERT((*record)->bytes.size() <= Ring::kLargestRecord);
    taken += sizeof(RecordHeader) + (*record)->bytes.size();
    RC_ASSERT(taken <= ring->written.load());
  }
}

RC_GTEST_PROP(Ring, ThatIsOverwrittenMeanwhileTakesNoWriterOutOfIt, ()) {
  const auto ring = std::make_unique<Ring>();
  ring->written = *rc::gen::arbitrary<std::uint64_t>();
  ring->read = *rc::gen::arbitrary<std::uint64_t>();
  const std::string text(*rc::gen::inRange(0U, Ring::kLargestRecord + 1), 'x');
  const std::array parts{bytes_of(text)};
  static_cast<void>(write_record(*ring, 0, RecordKind::kText, parts));
}

}  // namespace
}  // namespace guestproof::ring0
