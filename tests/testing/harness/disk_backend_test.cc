#include "guestproof/testing/harness/disk_backend.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <climits>

#include "guestproof/testing/harness/harness.h"

namespace guestproof::testing {
namespace {

using Bytes = std::vector<std::byte>;

class DiskBackendTest : public ::testing::Test {
 protected:
  static ::iovec part(Bytes& bytes) { return {bytes.data(), bytes.size()}; }

  DiskBackend backend;
  Bytes first = Bytes(100), second = Bytes(412);
  std::array<::iovec, 2> parts{part(first), part(second)};
};

TEST_F(DiskBackendTest, MovesAllPartsInOrder) {
  EXPECT_EQ(backend.read_at(parts, 512), 512u);
  Bytes expected(512);
  backend.disk.read(512, expected);
  first.insert(first.end(), second.begin(), second.end());
  EXPECT_EQ(first, expected);
}

TEST_F(DiskBackendTest, MovesAtMostItsLimit) {
  backend.transfer_limit = 101;
  second[0] = std::byte{7};
  second[1] = std::byte{8};
  EXPECT_EQ(backend.write_at(parts, 0), 101u);
  Bytes stored(102);
  backend.disk.read(0, stored);
  EXPECT_EQ(stored[100], std::byte{7});
  EXPECT_NE(stored[101], std::byte{8});
}

TEST_F(DiskBackendTest, TellsOfAFaultWhenATransferStartsThere) {
  backend.disk.faults.read_error = 100;
  EXPECT_EQ(backend.read_at(parts, 0), 100u);
  const auto at_the_fault = backend.read_at(std::span(parts).last(1), 100);
  ASSERT_FALSE(at_the_fault);
  EXPECT_EQ(at_the_fault.error(), Error(SystemError::kRead, EIO));
}

TEST_F(DiskBackendTest, MovesNothingWhereTheStorageEnds) {
  backend.disk.faults.end = 0;
  EXPECT_EQ(backend.write_at(parts, 0), 0u);
}

TEST_F(DiskBackendTest, LosesPatienceWithACallerThatAsksForEver) {
  backend.disk.faults.end = 0;
  EXPECT_THROW(
      {
        for (int i = 0; i < 1000000; ++i) static_cast<void>(backend.read_at(parts, 0));
      },
      ViolationFound);
}

TEST_F(DiskBackendTest, NamesTheCallThatFailed) {
  backend.disk.faults = {.write_error = 0, .range_error = 0, .flush_error = true};
  EXPECT_EQ(backend.write_at(parts, 0).error(), SystemError::kWrite);
  EXPECT_EQ(backend.flush().error(), SystemError::kSync);
  EXPECT_EQ(backend.discard(0, 512).error(), SystemError::kAllocate);
  EXPECT_EQ(backend.write_zeroes(0, 512, true).error(), SystemError::kAllocate);
  EXPECT_EQ(backend.secure_erase(0, 512).error(), SystemError::kAllocate);
}

TEST_F(DiskBackendTest, HoldsItsCallerToTheRules) {
  EXPECT_THROW(static_cast<void>(backend.read_at({}, 0)), ViolationFound);
  EXPECT_THROW(static_cast<void>(backend.read_at(parts, ModelDisk::kBytes - 511)), ViolationFound);
  EXPECT_THROW(static_cast<void>(backend.write_at(parts, UINT64_MAX - 10)), ViolationFound);
  EXPECT_THROW(static_cast<void>(backend.discard(ModelDisk::kBytes, 512)), ViolationFound);
  EXPECT_THROW(static_cast<void>(backend.write_zeroes(0, ModelDisk::kBytes + 512, false)),
               ViolationFound);
  EXPECT_THROW(static_cast<void>(backend.discard(512, 0)), ViolationFound);
  EXPECT_THROW(static_cast<void>(backend.secure_erase(511, 513)), ViolationFound);
  EXPECT_THROW(static_cast<void>(backend.read_at(parts, 1)), ViolationFound);
  parts[1].iov_len = 0;
  EXPECT_THROW(static_cast<void>(backend.read_at(parts, 0)), ViolationFound);
  std::vector<::iovec> many(IOV_MAX + 1, parts[0]);
  EXPECT_THROW(static_cast<void>(backend.read_at(many, 0)), ViolationFound);
}

}  // namespace
}  // namespace guestproof::testing
