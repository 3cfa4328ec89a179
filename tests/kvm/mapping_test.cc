#include "guestproof/kvm/mapping.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <utility>

#include "kvm/fake_kvm.h"
#include "print.h"

namespace guestproof::kvm {
namespace {

const std::size_t kPage = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));

class MappingTest : public testing::Test {
 protected:
  [[nodiscard]] static void* start_of(const Mapping& mapping) {
    return mapping.slice().io_source().iov_base;
  }
  [[nodiscard]] static bool is_mapped(void* start) {
    unsigned char resident = 0;
    return ::mincore(start, kPage, &resident) == 0;
  }

  Fd file_ = memory_file(4 * kPage);
};

TEST_F(MappingTest, SharesThePagesFromAnOffset) {
  const auto mapping = Mapping::of(file_.get(), 2 * kPage, kPage);
  ASSERT_TRUE(mapping.has_value());
  EXPECT_EQ(mapping->size(), 2 * kPage);
  EXPECT_EQ(mapping->slice().size(), 2 * kPage);
  mapping->slice().store(kPage + 4, std::uint32_t{0xcafef00d});
  std::uint32_t seen = 0;
  ASSERT_EQ(::pread(file_.get(), &seen, sizeof seen, static_cast<::off_t>(2 * kPage + 4)), 4);
  EXPECT_EQ(seen, 0xcafef00d);
}

TEST_F(MappingTest, StaysWhenTheDescriptorIsClosed) {
  const auto mapping = Mapping::of(file_.get(), kPage);
  file_ = Fd();
  mapping->slice().store(0, std::uint8_t{7});
  EXPECT_EQ(mapping->slice().load<std::uint8_t>(0), 7);
}

TEST_F(MappingTest, WhatCannotBeMappedIsRefused) {
  EXPECT_EQ(Mapping::of(-1, kPage).error(), Error(SystemError::kMap, EBADF));
  EXPECT_EQ(Mapping::of(file_.get(), 0).error(), Error(SystemError::kMap, EINVAL));
  EXPECT_EQ(Mapping::of(file_.get(), kPage, 1).error(), Error(SystemError::kMap, EINVAL));
  const Fd event(::eventfd(0, EFD_CLOEXEC));
  EXPECT_EQ(Mapping::of(event.get(), kPage).error(), Error(SystemError::kMap, ENODEV));
}

TEST_F(MappingTest, IsUnmappedAtTheEndOfItsLife) {
  void* start = nullptr;
  {
    const auto mapping = Mapping::of(file_.get(), kPage);
    start = start_of(*mapping);
    EXPECT_TRUE(is_mapped(start));
  }
  EXPECT_FALSE(is_mapped(start));
}

TEST_F(MappingTest, MovesThePages) {
  auto from = *Mapping::of(file_.get(), kPage);
  void* const start = start_of(from);
  const auto to = std::move(from);
  EXPECT_EQ(start_of(to), start);
  EXPECT_EQ(from.size(), 0U);  // NOLINT(bugprone-use-after-move): it owns nothing now
  EXPECT_TRUE(is_mapped(start));
}

TEST_F(MappingTest, AnAssignedMappingLetsItsOwnPagesGo) {
  auto mapping = *Mapping::of(file_.get(), kPage);
  void* const old = start_of(mapping);
  auto other = *Mapping::of(file_.get(), 2 * kPage);
  void* const start = start_of(other);
  {
    const auto dropped = std::exchange(mapping, std::move(other));
  }
  EXPECT_FALSE(is_mapped(old));
  EXPECT_EQ(start_of(mapping), start);
  EXPECT_EQ(mapping.size(), 2 * kPage);
}

TEST_F(MappingTest, NothingIsMappedByDefault) {
  EXPECT_EQ(Mapping().size(), 0U);
  EXPECT_EQ(Mapping().slice().size(), 0U);
}

}  // namespace
}  // namespace guestproof::kvm
