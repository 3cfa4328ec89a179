#include "guestproof/kvm/flex_array.h"

#include <gtest/gtest.h>

#include "kvm/fake_kvm.h"
#include "print.h"

namespace guestproof::kvm {
namespace {

kvm_irq_routing_entry route(std::uint32_t gsi) {
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  return entry;
}

/// Routes of these lines.
IrqRouting routes(std::initializer_list<std::uint32_t> lines) {
  IrqRouting routing;
  for (const auto line : lines) EXPECT_TRUE(routing.push_back(route(line)).has_value());
  return routing;
}

std::vector<std::uint32_t> lines_of(const IrqRouting& routing) {
  std::vector<std::uint32_t> lines;
  for (const auto& entry : routing.entries()) lines.push_back(entry.gsi);
  return lines;
}

/// How KVM lays each kind of array out, and how long this library lets it get.
template <class T>
struct Expected;
template <>
struct Expected<IrqRouting> {
  static constexpr std::size_t kLimit = 1024, kHeader = 8, kEntry = 48, kCountAt = 0;
};
#if defined(__x86_64__)
template <>
struct Expected<CpuId> {
  static constexpr std::size_t kLimit = 256, kHeader = 8, kEntry = 40, kCountAt = 0;
};
template <>
struct Expected<Msrs> {
  static constexpr std::size_t kLimit = 256, kHeader = 8, kEntry = 16, kCountAt = 0;
};
template <>
struct Expected<MsrList> {
  static constexpr std::size_t kLimit = 1024, kHeader = 4, kEntry = 4, kCountAt = 0;
};
template <>
struct Expected<PmuEventFilter> {
  static constexpr std::size_t kLimit = 300, kHeader = 32, kEntry = 8, kCountAt = 4;
};
using Kinds = testing::Types<IrqRouting, CpuId, Msrs, MsrList, PmuEventFilter>;
#else
template <>
struct Expected<RegList> {
  static constexpr std::size_t kLimit = 4096, kHeader = 8, kEntry = 8, kCountAt = 0;
};
using Kinds = testing::Types<IrqRouting, RegList>;
#endif

/// An array as it is on the wire, with this count and zeros for entries.
template <class T>
Wire wire(std::size_t count, std::size_t entries) {
  const auto header = Expected<T>::kHeader - Expected<T>::kCountAt - 4;
  return Wire()
      .zeros(Expected<T>::kCountAt)
      .u32(static_cast<std::uint32_t>(count))
      .zeros(header + entries * Expected<T>::kEntry);
}

template <class T>
class FlexArrayTest : public testing::Test {
 protected:
  static constexpr std::size_t kLimit = Expected<T>::kLimit;
};
TYPED_TEST_SUITE(FlexArrayTest, Kinds);

TYPED_TEST(FlexArrayTest, IsEmptyByDefault) {
  const TypeParam array;
  EXPECT_EQ(array.size(), 0U);
  EXPECT_TRUE(array.entries().empty());
  EXPECT_TRUE(std::ranges::equal(array.bytes(), wire<TypeParam>(0, 0).bytes()));
}

TYPED_TEST(FlexArrayTest, HasAsManyEntriesAsAskedForUpToTheLimit) {
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, this->kLimit}) {
    const auto array = TypeParam::zeroed(count);
    ASSERT_TRUE(array.has_value());
    EXPECT_EQ(array->size(), count);
    EXPECT_EQ(array->entries().size(), count);
    EXPECT_TRUE(std::ranges::equal(array->bytes(), wire<TypeParam>(count, count).bytes()));
  }
}

TYPED_TEST(FlexArrayTest, MoreThanTheLimitAreRefused) {
  for (const std::size_t count : {this->kLimit + 1, std::size_t{0xffffffff}, SIZE_MAX})
    EXPECT_EQ(TypeParam::zeroed(count).error(),
              Error(CallError::kTooManyEntries, count, this->kLimit));
  const std::vector<typename TypeParam::Entry> entries(this->kLimit + 1);
  EXPECT_EQ(TypeParam::of(entries).error(),
            Error(CallError::kTooManyEntries, this->kLimit + 1, this->kLimit));
}

TYPED_TEST(FlexArrayTest, PushBackStopsAtTheLimitAndChangesNothing) {
  auto array = *TypeParam::zeroed(this->kLimit - 1);
  EXPECT_TRUE(array.push_back(patterned<typename TypeParam::Entry>()).has_value());
  const auto full = array;
  EXPECT_EQ(array.push_back({}).error(),
            Error(CallError::kTooManyEntries, this->kLimit + 1, this->kLimit));
  EXPECT_EQ(array, full);
  EXPECT_EQ(array.size(), this->kLimit);
}

TYPED_TEST(FlexArrayTest, EntriesLieBehindTheHeader) {
  const auto entry = patterned<typename TypeParam::Entry>();
  const auto array = *TypeParam::of(std::array{entry, entry});
  const auto bytes = array.bytes();
  ASSERT_EQ(bytes.size(), Expected<TypeParam>::kHeader + 2 * Expected<TypeParam>::kEntry);
  EXPECT_TRUE(std::ranges::equal(
      bytes.subspan(Expected<TypeParam>::kHeader),
      Wire().pattern(Expected<TypeParam>::kEntry).pattern(Expected<TypeParam>::kEntry).bytes()));
}

TYPED_TEST(FlexArrayTest, TheKernelsCountIsTakenWhenThereWasRoomForIt) {
  for (const std::uint32_t count : {0U, 1U, 7U, 8U}) {
    auto array = *TypeParam::zeroed(8);
    std::ranges::copy(wire<TypeParam>(count, 0).bytes().first(Expected<TypeParam>::kHeader),
                      reinterpret_cast<std::byte*>(&array.header()));
    EXPECT_TRUE(array.accept_count(8).has_value());
    EXPECT_EQ(array.size(), count);
  }
}

TYPED_TEST(FlexArrayTest, AKernelsCountOfMoreThanTheRoomIsRefusedAndTheArrayEmpty) {
  for (const std::uint32_t count : {9U, 0xffffffffU}) {
    auto array = *TypeParam::zeroed(8);
    std::ranges::copy(wire<TypeParam>(count, 0).bytes().first(Expected<TypeParam>::kHeader),
                      reinterpret_cast<std::byte*>(&array.header()));
    EXPECT_EQ(array.accept_count(8).error(), Error(CallError::kEntryCount, count, 8));
    EXPECT_EQ(array.size(), 0U);
    EXPECT_EQ(array, TypeParam());
  }
}

TYPED_TEST(FlexArrayTest, MoreRoomThanThereIsIsNotBelieved) {
  auto array = *TypeParam::zeroed(8);
  EXPECT_EQ(array.accept_count(64).error(), Error(CallError::kEntryCount, 8, 64));
  EXPECT_EQ(array.size(), 0U);
}

TYPED_TEST(FlexArrayTest, ComesBackFromItsBytes) {
  for (const std::size_t count : {std::size_t{0}, std::size_t{3}, this->kLimit}) {
    const std::vector entries(count, patterned<typename TypeParam::Entry>());
    const auto array = *TypeParam::of(entries);
    EXPECT_EQ(TypeParam::from_bytes(array.bytes()), array);
  }
}

TYPED_TEST(FlexArrayTest, BytesThatAreMissingOrLeftOverAreRefused) {
  const auto header = Expected<TypeParam>::kHeader;
  const auto whole = header + 2 * Expected<TypeParam>::kEntry;
  const auto two = wire<TypeParam>(2, 2).zeros(1);
  const auto from = [&](std::size_t size) {
    return TypeParam::from_bytes(two.bytes().first(size));
  };
  EXPECT_EQ(from(0).error(), Error(CallError::kStateLength, 0, header));
  EXPECT_EQ(from(header - 1).error(), Error(CallError::kStateLength, header - 1, header));
  EXPECT_EQ(from(header).error(), Error(CallError::kStateLength, header, whole));
  EXPECT_EQ(from(whole - 1).error(), Error(CallError::kStateLength, whole - 1, whole));
  EXPECT_EQ(from(whole + 1).error(), Error(CallError::kStateLength, whole + 1, whole));
  EXPECT_TRUE(from(whole).has_value());
}

TYPED_TEST(FlexArrayTest, BytesThatCountMoreThanTheLimitAreRefused) {
  const auto limit = this->kLimit;
  for (const std::size_t count : {limit + 1, std::size_t{0xffffffff}})
    EXPECT_EQ(TypeParam::from_bytes(wire<TypeParam>(count, 0).bytes()).error(),
              Error(CallError::kTooManyEntries, count, limit));
}

TYPED_TEST(FlexArrayTest, EqualityIsOverHeaderAndEntriesInUse) {
  const auto entry = patterned<typename TypeParam::Entry>();
  const auto one = *TypeParam::of(std::array{entry});
  auto shrunk = *TypeParam::of(std::array{entry, entry});
  EXPECT_NE(shrunk, one);
  shrunk.retain([kept = false](const auto&) mutable { return !std::exchange(kept, true); });
  EXPECT_EQ(shrunk, one);
  EXPECT_NE(one, *TypeParam::zeroed(1));
}

TEST(IrqRoutingTest, RetainKeepsWhatIsAskedForInOrder) {
  auto routing = routes({1, 2, 3, 4, 5});
  routing.retain([](const auto& entry) { return entry.gsi % 2 == 1; });
  EXPECT_EQ(lines_of(routing), (std::vector<std::uint32_t>{1, 3, 5}));
  routing.retain([](const auto&) { return false; });
  EXPECT_EQ(routing, IrqRouting());
}

TEST(IrqRoutingTest, PushBackKeepsWhatIsThere) {
  auto routing = routes({1, 2});
  routing.header().flags = 7;
  EXPECT_TRUE(routing.push_back(route(3)).has_value());
  EXPECT_EQ(lines_of(routing), (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_EQ(routing.header().flags, 7U);
}

TEST(IrqRoutingTest, HeadersThatDifferAreNotEqual) {
  auto routing = routes({1});
  routing.header().flags = 7;
  EXPECT_NE(routing, routes({1}));
}

TEST(IrqRoutingTest, AMovedFromArrayMayBeGivenANewValue) {
  auto routing = routes({1, 2});
  const auto moved = std::move(routing);
  routing = routes({3});
  EXPECT_EQ(lines_of(moved), (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(lines_of(routing), (std::vector<std::uint32_t>{3}));
}

TEST(MovedFlexArray, IsEmpty) {
  auto array = *IrqRouting::zeroed(3);
  const auto moved = std::move(array);
  EXPECT_EQ(moved.size(), 3U);
  EXPECT_EQ(array.size(), 0U);  // NOLINT(bugprone-use-after-move): what is said of it
  EXPECT_TRUE(array.entries().empty());
  EXPECT_TRUE(array.bytes().empty());
}

}  // namespace
}  // namespace guestproof::kvm
