#include "guestproof/ring0/page_tables.h"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <vector>

namespace guestproof::ring0 {
namespace {

constexpr std::uint64_t kPhysical = 0x80'0000'0000;

class PageTablesTest : public ::testing::Test {
 protected:
  /// The entry that a processor's walk finds; none where it ends before.
  [[nodiscard]] std::optional<std::uint64_t> walk(std::uint64_t address) const {
    auto table = address >> 63 != 0 ? tables.upper_root() : tables.root();
    for (const unsigned shift : {39U, 30U, 21U, 12U}) {
      const auto entry = word(table - kPhysical + (address >> shift & 511) * 8);
      if (shift == 12) return entry;
      if ((entry & 1) == 0) return std::nullopt;
      table = entry & 0x000f'ffff'ffff'f000;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::uint64_t word(std::uint64_t offset) const {
    std::uint64_t value = 0;
    std::memcpy(&value, pool.data() + offset, sizeof value);
    return value;
  }
  [[nodiscard]] std::optional<std::uint64_t> page(std::uint64_t address) const {
    const auto entry = walk(address);
    if (!entry || (*entry & 1) == 0) return std::nullopt;
    return *entry & 0x000f'ffff'ffff'f000;
  }

  std::vector<std::byte> pool = std::vector<std::byte>(16 * kPageSize);
  PageTables tables{pool, kPhysical};
};

TEST_F(PageTablesTest, LeadWhereTheyWereToldAndNowhereElse) {
  ASSERT_TRUE(tables.map(0x7fff'ffff'd000, 0x1000, 3 * kPageSize, {}));
  EXPECT_FALSE(page(0x7fff'ffff'c000));
  EXPECT_EQ(page(0x7fff'ffff'd000), 0x1000);
  EXPECT_EQ(page(0x7fff'ffff'f000), 0x3000);
  EXPECT_FALSE(page(0xffff'ffff'd000'0000));
}

TEST_F(PageTablesTest, RunOverTheEndOfATable) {
  ASSERT_TRUE(tables.map(0x3fff'f000, 0x5000, 2 * kPageSize, {}));
  EXPECT_EQ(page(0x3fff'f000), 0x5000);
  EXPECT_EQ(page(0x4000'0000), 0x6000);
}

TEST_F(PageTablesTest, HaveBothHalves) {
  ASSERT_TRUE(tables.map(0xffff'c000'0000'0000, 0x5000, kPageSize, {}));
  ASSERT_TRUE(tables.map(0x0000'4000'0000'0000, 0x6000, kPageSize, {}));
  EXPECT_EQ(page(0xffff'c000'0000'0000), 0x5000);
  EXPECT_EQ(page(0x0000'4000'0000'0000), 0x6000);
}

TEST_F(PageTablesTest, ReplaceWhatWasThere) {
  ASSERT_TRUE(tables.map(0x1000, 0x5000, kPageSize, {.write = true}));
  ASSERT_TRUE(tables.map(0x1000, 0x9000, kPageSize, {}));
  EXPECT_EQ(page(0x1000), 0x9000);
}

#if defined(__x86_64__)
TEST_F(PageTablesTest, GiveTheRightsThatAreAskedFor) {
  constexpr std::uint64_t kWritable = 2, kUser = 4, kUncached = 0x18, kNoExecute = 1ULL << 63;
  const auto flags = [&](const Rights& rights) {
    EXPECT_TRUE(tables.map(0x1000, 0x5000, kPageSize, rights));
    return *walk(0x1000) & ~std::uint64_t{0x5001};
  };
  EXPECT_EQ(flags({}), kNoExecute);
  EXPECT_EQ(flags({.write = true}), kNoExecute | kWritable);
  EXPECT_EQ(flags({.execute = true}), 0U);
  EXPECT_EQ(flags({.user = true}), kNoExecute | kUser);
  EXPECT_EQ(flags({.device = true}), kNoExecute | kUncached);
}
#endif

TEST_F(PageTablesTest, RefuseWhatThereIsNoTableFor) {
  // Three tables for each address that shares none.
  std::uint64_t address = 0;
  Result<void> done;
  for (int i = 0; i < 6 && done; ++i, address += 1ULL << 39)
    done = tables.map(address, 0, kPageSize, {});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error(), Ring0Error::kPageTables);
  EXPECT_EQ(done.error().limit(), pool.size());
}

TEST_F(PageTablesTest, RefuseTablesThatWereOverwritten) {
  ASSERT_TRUE(tables.map(0x1000, 0x5000, kPageSize, {}));
  const std::uint64_t wild = 0xdead'0000'0003;
  std::memcpy(pool.data(), &wild, sizeof wild);
  const auto done = tables.map(0x2000, 0x6000, kPageSize, {});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error(), Ring0Error::kTableEntry);
  EXPECT_EQ(done.error().value(), 0xdead'0000'0000U);
}

}  // namespace
}  // namespace guestproof::ring0
