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
  static constexpr GuestAddress kFirst{0x100};
  static constexpr GuestAddress kSecond{0x800};

  /// 100 bytes at kFirst and 412 at kSecond, given to the device in both directions.
  DiskBackendTest() {
    const auto first = slice(kFirst, 100), second = slice(kSecond, 412);
    parts = {first.io_source(), second.io_source()};
    static_cast<void>(first.io_target());
    static_cast<void>(second.io_target());
  }

  WatchedMemory::Slice slice(GuestAddress address, std::uint64_t length) {
    return memory.find(address, length, Access::kWrite).value();
  }
  Bytes bytes(GuestAddress address, std::size_t length) {
    Bytes out(length);
    EXPECT_TRUE(read_bytes(memory.guest(), address, out));
    return out;
  }

  static constexpr WatchedMemory::RegionSpec kRegions[] = {{GuestAddress(0), 0x1000}};
  WatchedMemory memory{kRegions};
  DiskBackend backend{memory};
  std::array<::iovec, 2> parts;
};

TEST_F(DiskBackendTest, MovesAllPartsInOrder) {
  EXPECT_EQ(backend.read_at(parts, 512), 512u);
  Bytes expected(512);
  backend.disk.read(512, expected);
  EXPECT_EQ(bytes(kFirst, 100), Bytes(expected.begin(), expected.begin() + 100));
  EXPECT_EQ(bytes(kSecond, 412), Bytes(expected.begin() + 100, expected.end()));
}

TEST_F(DiskBackendTest, MovesAtMostItsLimit) {
  backend.transfer_limit = 101;
  ASSERT_TRUE(write_object(memory.guest(), kSecond, le16(0x0807)));
  EXPECT_EQ(backend.write_at(parts, 0), 101u);
  Bytes stored(102);
  backend.disk.read(0, stored);
  EXPECT_EQ(stored[100], std::byte{7});
  EXPECT_NE(stored[101], std::byte{8});
}

// A program of requests whose bytes went one by one took longer than a unit may.
TEST_F(DiskBackendTest, MovesSoManyBytesAtLeastThatAProgramEndsInTime) {
  ModelDisk model;
  backend.set_fault(DiskFault::kShortTransfers, 1024 + 1, model);
  EXPECT_EQ(backend.write_at(parts, 0), kShortestTransfer);
  backend.set_fault(DiskFault::kShortTransfers, kShortestTransfer + 1, model);
  EXPECT_EQ(backend.write_at(parts, 0), kShortestTransfer + 1);
  backend.set_fault(DiskFault::kShortTransfers, 1024, model);
  EXPECT_EQ(backend.write_at(parts, 0), 512u);
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

// The device may read and write the guest's memory, where it was given it, and no other.
TEST_F(DiskBackendTest, TakesNoOtherBytesThanThoseOfTheGuest) {
  Bytes host(512);
  const ::iovec own{host.data(), host.size()};
  EXPECT_THROW(static_cast<void>(backend.read_at(std::span(&own, 1), 0)), ViolationFound);
  EXPECT_THROW(static_cast<void>(backend.write_at(std::span(&own, 1), 0)), ViolationFound);
}

TEST_F(DiskBackendTest, TakesNoByteBehindThoseThatTheDeviceWasGiven) {
  parts[0].iov_len = 101;
  parts[1].iov_len = 411;
  EXPECT_THROW(static_cast<void>(backend.write_at(parts, 0)), ViolationFound);
}

TEST_F(DiskBackendTest, TakesWhatIsLeftOfAPartAfterAShortTransfer) {
  const ::iovec rest{static_cast<std::byte*>(parts[1].iov_base) + 100, 312};
  EXPECT_TRUE(backend.write_at(std::span(&rest, 1), 200));
  EXPECT_TRUE(backend.read_at(std::span(&rest, 1), 200));
}

TEST_F(DiskBackendTest, TakesNoMemoryThatWasGivenForTheOtherDirection) {
  const auto source = slice(GuestAddress(0xc00), 512).io_source();
  const auto target = slice(GuestAddress(0xe00), 512).io_target();
  EXPECT_THROW(static_cast<void>(backend.read_at(std::span(&source, 1), 0)), ViolationFound);
  EXPECT_THROW(static_cast<void>(backend.write_at(std::span(&target, 1), 0)), ViolationFound);
}

TEST_F(DiskBackendTest, TakesNoMemoryThatWasGivenInAnEarlierStep) {
  memory.clear_log();
  EXPECT_THROW(static_cast<void>(backend.read_at(parts, 0)), ViolationFound);
  EXPECT_THROW(static_cast<void>(backend.write_at(parts, 0)), ViolationFound);
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

TEST_F(DiskBackendTest, ASlowDiskTakesWhatItWasGivenWhenTheOperationWasSubmitted) {
  using virtio::block::Operation;
  SlowDisk slow(backend, memory);
  slow.slow = true;
  const Operation read{.kind = Operation::Kind::kRead, .token = 7, .offset = 0, .parts = parts};
  EXPECT_FALSE(slow.submit(read).has_value());
  // The rest of a short transfer, in a later step.
  memory.clear_log();
  const ::iovec rest{static_cast<std::byte*>(parts[1].iov_base) + 100, 312};
  auto later = read;
  later.parts = std::span(&rest, 1);
  EXPECT_FALSE(slow.submit(later).has_value());
  // Of another operation, or memory that it never had.
  later.token = 8;
  EXPECT_THROW(static_cast<void>(slow.submit(later)), ViolationFound);
  const ::iovec longer{rest.iov_base, 313};
  later.token = 7;
  later.parts = std::span(&longer, 1);
  EXPECT_THROW(static_cast<void>(slow.submit(later)), ViolationFound);
}

}  // namespace
}  // namespace guestproof::testing
