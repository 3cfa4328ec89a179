#include "guestproof/virtio/device/block/async_backend.h"

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "guestproof/testing/memory_backend.h"
#include "print.h"

namespace guestproof::virtio::block {
namespace {

using Call = testing::MemoryBackend::Call;
using Kind = Operation::Kind;
using Record = testing::MemoryBackend::Record;
using ::testing::ElementsAre;

class ImmediateBackendTest : public ::testing::Test {
 protected:
  testing::MemoryBackend storage{4096};
  ImmediateBackend backend{storage};
  std::array<std::byte, 8> bytes{};
  const std::array<::iovec, 1> parts{::iovec{bytes.data(), bytes.size()}};
};

TEST_F(ImmediateBackendTest, EveryOperationIsDoneWhenItIsSubmitted) {
  EXPECT_EQ(backend.submit({.kind = Kind::kWrite, .offset = 512, .parts = parts}), 8u);
  EXPECT_EQ(backend.submit({.kind = Kind::kRead, .offset = 1024, .parts = parts}), 8u);
  for (const auto kind : {Kind::kFlush, Kind::kDiscard, Kind::kWriteZeroes, Kind::kSecureErase})
    EXPECT_EQ(backend.submit({.kind = kind, .offset = 512, .length = 1024}), 0u);
  EXPECT_EQ(backend.submit({.kind = Kind::kWriteZeroes, .may_unmap = true, .length = 512}), 0u);
  EXPECT_THAT(
      storage.calls(),
      ElementsAre(Record{Call::kWrite, 512, 8}, Record{Call::kRead, 1024, 8}, Record{Call::kFlush},
                  Record{Call::kDiscard, 512, 1024}, Record{Call::kZero, 512, 1024},
                  Record{Call::kErase, 512, 1024}, Record{Call::kZeroUnmap, 0, 512}));
}

TEST_F(ImmediateBackendTest, ThereIsNothingToWaitFor) {
  EXPECT_EQ(backend.completion_fd(), -1);
  EXPECT_EQ(backend.submit({.kind = Kind::kRead, .parts = parts}), 8u);
  EXPECT_TRUE(backend.dispatch());
  backend.wait();
  std::array<Completion, 2> done;
  EXPECT_EQ(backend.reap(done), 0u);
}

TEST_F(ImmediateBackendTest, FailuresAreResults) {
  const Error error(SystemError::kWrite, EIO);
  storage.fail_after(0, error);
  EXPECT_EQ(backend.submit({.kind = Kind::kWrite, .parts = parts})->error(), error);
  EXPECT_EQ(backend.submit({})->error(), error);
}

}  // namespace
}  // namespace guestproof::virtio::block
