#include "guestproof/virtio/device/balloon/discard_backend.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "print.h"

namespace guestproof::virtio::balloon {
namespace {

class DiscardBackendTest : public ::testing::Test {
 protected:
  static MappedMemory map(bool files) {
    const auto page = host_page_size();
    MappedMemory::Builder builder;
    if (files)
      builder.memfd(GuestAddress(0), 8 * page).memfd(GuestAddress(8 * page), 8 * page);
    else
      builder.anonymous(GuestAddress(0), 8 * page).anonymous(GuestAddress(8 * page), 8 * page);
    builder.anonymous(GuestAddress(16 * page), page, Protection::kReadOnly).track_dirty_pages();
    auto memory = builder.build().value();
    for (const auto& region : memory.regions()) std::memset(region.host(), 0x5a, region.size());
    return memory;
  }
  /// By page of the host: the first byte is zero.
  [[nodiscard]] static std::vector<std::uint64_t> zeroed(const MappedMemory& memory) {
    std::vector<std::uint64_t> pages;
    for (const auto& region : memory.regions())
      for (std::uint64_t at = 0; at < region.size(); at += host_page_size())
        if (region.host()[at] == std::byte{0}) {
          const bool all = region.host()[at + host_page_size() - 1] == std::byte{0};
          EXPECT_TRUE(all);
          pages.push_back((region.base().raw() + at) / host_page_size());
        }
    return pages;
  }
  [[nodiscard]] static PageRange bytes(std::uint64_t from, std::uint64_t length) {
    return {GuestAddress(from), length};
  }
  const std::uint64_t page = host_page_size();
};

TEST_F(DiscardBackendTest, WhatIsInflatedReadsAsZerosAndIsDirty) {
  for (const bool files : {false, true}) {
    const auto memory = map(files);
    DiscardBackend backend(memory);
    ASSERT_TRUE(backend.inflate(bytes(2 * page, 3 * page)));
    EXPECT_EQ(zeroed(memory), (std::vector<std::uint64_t>{2, 3, 4}));
    EXPECT_TRUE(memory.regions()[0].dirty()->is_dirty(2 * page / DirtyBitmap::kPageSize));
    EXPECT_FALSE(memory.regions()[0].dirty()->is_dirty(5 * page / DirtyBitmap::kPageSize));
    ASSERT_TRUE(backend.deflate(bytes(2 * page, 3 * page)));
    memory.regions()[0].host()[2 * page] = std::byte{1};
    EXPECT_EQ(zeroed(memory), (std::vector<std::uint64_t>{3, 4}));
  }
}

TEST_F(DiscardBackendTest, OnlyWholePagesOfTheHostAreDiscarded) {
  const auto memory = map(false);
  DiscardBackend backend(memory);
  ASSERT_TRUE(backend.report(bytes(page + 1, 2 * page)));
  EXPECT_EQ(zeroed(memory), std::vector<std::uint64_t>{2});
  ASSERT_TRUE(backend.report(bytes(5 * page + 1, page - 1)));
  EXPECT_EQ(zeroed(memory), std::vector<std::uint64_t>{2});
  EXPECT_EQ(memory.regions()[0].host()[page + 1], std::byte{0x5a});
}

TEST_F(DiscardBackendTest, RangesRunAcrossRegionsAndSpareReadOnlyOnes) {
  const auto memory = map(true);
  DiscardBackend backend(memory);
  ASSERT_TRUE(backend.inflate(bytes(7 * page, 10 * page)));
  std::vector<std::uint64_t> expected;
  for (std::uint64_t i = 7; i < 16; ++i) expected.push_back(i);
  EXPECT_EQ(zeroed(memory), expected);
}

TEST_F(DiscardBackendTest, MemoryNeedNotBeTracked) {
  const auto memory = MappedMemory::Builder().anonymous(GuestAddress(0), 4 * page).build().value();
  std::memset(memory.regions()[0].host(), 0x5a, 4 * page);
  ASSERT_TRUE(DiscardBackend(memory).inflate(bytes(page, 2 * page)));
  EXPECT_EQ(zeroed(memory), (std::vector<std::uint64_t>{1, 2}));
}

TEST_F(DiscardBackendTest, PagesThatAreLockedAreAnErrorAndStay) {
  for (const bool files : {false, true}) {
    const auto memory = map(files);
    const auto& region = memory.regions()[0];
    // AddressSanitizer's mlock() does nothing.
    ASSERT_EQ(::syscall(SYS_mlock, region.host() + 2 * page, page), 0);
    EXPECT_EQ(DiscardBackend(memory).inflate(bytes(2 * page, page)).error(),
              Error(SystemError::kDiscard, EINVAL));
    EXPECT_TRUE(zeroed(memory).empty());
    EXPECT_FALSE(region.dirty()->is_dirty(2 * page / DirtyBitmap::kPageSize));
  }
}

TEST_F(DiscardBackendTest, NothingAndWhatIsNoMemoryIsNothing) {
  const auto memory = map(false);
  DiscardBackend backend(memory);
  ASSERT_TRUE(backend.report(bytes(page, 0)));
  ASSERT_TRUE(backend.report(bytes(17 * page, 4 * page)));
  ASSERT_TRUE(backend.hint(bytes(0, page)));
  EXPECT_TRUE(zeroed(memory).empty());
}

}  // namespace
}  // namespace guestproof::virtio::balloon
