#include "guestproof/testing/harness/depth.h"

#include <gtest/gtest.h>

#include <array>

#include "guestproof/base/error.h"
#include "guestproof/memory/guest_memory.h"

namespace guestproof::testing {
namespace {

TEST(Depth, CountsByIndexAndByError) {
  Depth depth;
  const auto request = depth.add("request");
  depth.add_errors<MemoryError>({MemoryError::kReadOnly});
  depth.count(request);
  depth.count(Error(MemoryError::kUnmapped, 1, 2));
  depth.count(Error(SystemError::kRead, 5));  // of no domain that is counted
  EXPECT_EQ(depth.value(request), 1u);
  std::uint64_t all = 0;
  for (Depth::Index i = 0; i < depth.names().size(); ++i) all += depth.value(i);
  EXPECT_EQ(all, 2u);
}

// Every second cell: between them somebody keeps what is his own.
TEST(Depth, GoesOnFromCellsThatOutliveIt) {
  std::array<std::uint64_t, 4> cells{10, 77, 20, 88};
  Depth depth;
  const auto first = depth.add("first"), second = depth.add("second");
  depth.count(first);
  depth.bind(cells.data(), 2);
  EXPECT_EQ(depth.value(first), 11u);
  depth.count(second);
  EXPECT_EQ(depth.value(second), 21u);
  EXPECT_EQ(cells, (std::array<std::uint64_t, 4>{11, 77, 21, 88}));
}

}  // namespace
}  // namespace guestproof::testing
