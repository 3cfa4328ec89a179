#include "guestproof/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "guestproof/memory/guest_memory.h"
#include "guestproof/virtio/device/balloon/error.h"
#include "guestproof/virtio/device/block/error.h"
#include "guestproof/virtio/device/console/error.h"
#include "guestproof/virtio/device/vsock/error.h"
#include "guestproof/virtio/queue/error.h"
#include "guestproof/virtio/queue/state.h"
#include "print.h"

namespace guestproof {
namespace {

using ::testing::AnyOfArray;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using virtio::ChainError;
using virtio::QueueConfigError;
using virtio::QueueError;
using virtio::QueueStateError;

TEST(ErrorTest, KnowsItsDomainEnumeratorValueAndLimit) {
  const Error error(QueueError::kHeadIndex, 9, 8);

  EXPECT_EQ(error, QueueError::kHeadIndex);
  EXPECT_EQ(error.as<QueueError>(), QueueError::kHeadIndex);
  EXPECT_EQ(error.value(), 9u);
  EXPECT_EQ(error.limit(), 8u);
  EXPECT_EQ(error.domain().name, "queue");
}

TEST(ErrorTest, OfAnotherDomainIsNotTakenForTheSameCode) {
  const Error error(MemoryError::kReadOnly);
  ASSERT_EQ(error.code(), static_cast<std::uint16_t>(QueueError::kHeadIndex));

  EXPECT_FALSE(error == QueueError::kHeadIndex);
  EXPECT_EQ(error.as<QueueError>(), std::nullopt);
}

TEST(ErrorTest, ComparesByDomainEnumeratorValueAndLimit) {
  EXPECT_EQ(Error(QueueError::kHeadIndex, 9, 8), Error(QueueError::kHeadIndex, 9, 8));
  EXPECT_NE(Error(QueueError::kHeadIndex, 9, 8), Error(QueueError::kHeadIndex, 9, 16));
  EXPECT_NE(Error(QueueError::kHeadIndex, 9, 8), Error(QueueError::kHeadInFlight, 9, 8));
}

TEST(ErrorTest, SaysDecimalValueAndLimit) {
  const Error error(QueueError::kHeadIndex, 9, 8);

  EXPECT_EQ(error.name(), "queue.head_index");
  EXPECT_EQ(error.message(),
            "available descriptor head or Buffer ID 9 is not below the queue size 8");
}

TEST(ErrorTest, SaysAddressesInHexadecimal) {
  const Error error(QueueConfigError::kUsedRingAlign, 0xffff'ffff'ffff'fffe, 4);

  EXPECT_EQ(error.message(), "used ring address 0xfffffffffffffffe is not a multiple of 4");
}

TEST(ErrorTest, SaysWhatErrnoMeans) {
  EXPECT_EQ(Error(SystemError::kMap, ENOMEM).message(),
            "mapping memory failed: Cannot allocate memory");
  EXPECT_EQ(Error(SystemError::kRead, 99'999).message(), "reading failed: unknown error");
}

TEST(ErrorTest, TravelsInAResult) {
  const Result<int> result = fail(ChainError::kNextIndex, 12, 8);

  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), ChainError::kNextIndex);
}

/// The source name of an enumerator ("guestproof::SystemError::kOpen"); a cast's text for a value
/// that has none.
template <auto kEnumerator>
consteval std::string_view spelling() {
  const std::string_view function = __PRETTY_FUNCTION__;
  const auto begin = function.find("kEnumerator = ") + std::string_view("kEnumerator = ").size();
  return function.substr(begin, function.find_first_of(";]", begin) - begin);
}

constexpr std::size_t kMostEnumerators = 64;

/// The names of all enumerators of E, "kOpen" and so on, in order.
template <class E>
std::vector<std::string> enumerators() {
  std::vector<std::string> names;
  const auto collect = [&](std::string_view spelled) {
    if (const auto colons = spelled.rfind("::k"); colons != std::string_view::npos)
      names.emplace_back(spelled.substr(colons + 2));
  };
  [&]<std::size_t... kCode>(std::index_sequence<kCode...>) {
    (collect(spelling<static_cast<E>(kCode)>()), ...);
  }(std::make_index_sequence<kMostEnumerators>());
  return names;
}

/// "kHeadIndex" and "head_index" become the same.
std::string without_style(std::string_view name) {
  std::string plain;
  for (const char c : name)
    if (c != '_') plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return plain;
}

/// Errors whose name says it all: there is no other value that could be wrong.
constexpr std::array kWithoutValue{
    "queue.not_active",          "queue.saved_broken",
    "queue_config.size_zero",    "queue_config.ready",
    "queue_config.not_ready",    "chain.indirect_not_negotiated",
    "memory.no_regions",         "block_config.size_max_zero",
    "block_config.seg_max_zero", "block_config.backend_read_only",
    "block_config.append_mode",  "balloon.statistics_twice",
    "balloon.no_pages",          "console.no_room",
};

/// Every family of errors is a parameter here.
template <class E>
class ErrorDomainTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kValue = 13;
  static constexpr std::uint64_t kLimit = 0x123456;

  static std::vector<Error> every_error(std::uint64_t value) {
    std::vector<Error> errors;
    for (const auto& entry : error_domain(E{}).entries)
      errors.emplace_back(static_cast<E>(entry.code), value, kLimit);
    return errors;
  }
};

using EveryErrorEnum = ::testing::Types<SystemError, MemoryError, QueueError, QueueConfigError,
                                        ChainError, QueueStateError, virtio::balloon::BalloonError,
                                        virtio::block::BlockError, virtio::block::BlockConfigError,
                                        virtio::console::ConsoleError, virtio::vsock::VsockError>;
TYPED_TEST_SUITE(ErrorDomainTest, EveryErrorEnum);

TYPED_TEST(ErrorDomainTest, NamesEveryEnumeratorAsTheSourceDoes) {
  std::vector<std::string> in_source = enumerators<TypeParam>();
  std::ranges::transform(in_source, in_source.begin(),
                         [](const auto& name) { return without_style(name.substr(1)); });
  std::vector<std::string> in_table;
  for (const auto& entry : error_domain(TypeParam{}).entries)
    in_table.push_back(without_style(entry.name));

  EXPECT_EQ(in_table, in_source);
}

TYPED_TEST(ErrorDomainTest, HasNamesFitForCountersAndReports) {
  for (const auto& error : this->every_error(this->kValue))
    EXPECT_THAT(error.name(), MatchesRegex("[a-z_]+\\.[a-z0-9_]+"));
}

TYPED_TEST(ErrorDomainTest, LeavesNoPlaceholderUnfilled) {
  for (const auto& error : this->every_error(this->kValue))
    EXPECT_THAT(error.message(), Not(HasSubstr("{")));
}

TYPED_TEST(ErrorDomainTest, SaysTheOffendingValue) {
  const auto errors = this->every_error(this->kValue);
  const auto others = this->every_error(this->kValue + 1);

  std::vector<std::string> silent;
  for (std::size_t i = 0; i < errors.size(); ++i)
    if (errors[i].message() == others[i].message()) silent.push_back(errors[i].name());

  EXPECT_THAT(silent, Each(AnyOfArray(kWithoutValue)));
}

}  // namespace
}  // namespace guestproof
