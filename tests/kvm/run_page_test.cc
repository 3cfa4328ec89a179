#include "guestproof/kvm/run_page.h"

#include <gtest/gtest.h>

#include <cstring>

#include "print.h"

namespace guestproof::kvm {
namespace {

/// A page as KVM would have written it.
class RunPageTest : public testing::Test {
 protected:
  RunPageTest() { std::memset(&bytes_, 0, sizeof bytes_); }

  [[nodiscard]] kvm_run& run() { return *reinterpret_cast<kvm_run*>(bytes_); }
  [[nodiscard]] RunPage page() {
    return *RunPage::over(MappedSlice(bytes_, sizeof bytes_, nullptr, 0));
  }
  /// The exit, when the page describes one of this type.
  template <class T>
  [[nodiscard]] T decoded() {
    const auto exit = page().decode();
    EXPECT_TRUE(exit.has_value()) << exit.error().message();
    return std::get<T>(*exit);
  }
  void port_access(std::uint8_t direction, std::uint8_t size, std::uint32_t count,
                   std::uint64_t offset) {
    run().exit_reason = KVM_EXIT_IO;
    run().io.direction = direction;
    run().io.size = size;
    run().io.port = 0x3f8;
    run().io.count = count;
    run().io.data_offset = offset;
  }

  alignas(4096) std::byte bytes_[3 * 4096];
};

TEST_F(RunPageTest, AMappingSmallerThanTheStructureIsRefused) {
  const auto page = RunPage::over(MappedSlice(bytes_, sizeof(kvm_run) - 1, nullptr, 0));
  ASSERT_FALSE(page.has_value());
  EXPECT_EQ(page.error(), Error(PageError::kRunSize, sizeof(kvm_run) - 1, sizeof(kvm_run)));
}

TEST_F(RunPageTest, AnOutOfTwoBytesShowsThemWhereTheyLie) {
  port_access(KVM_EXIT_IO_OUT, 2, 1, 4096);
  bytes_[4096] = std::byte{0x34};
  bytes_[4097] = std::byte{0x12};
  const auto out = decoded<IoOut>();
  EXPECT_EQ(out.port, 0x3f8);
  EXPECT_EQ(page().data(out).load<std::uint16_t>(0), 0x1234);
}

TEST_F(RunPageTest, AnInIsAnsweredInThePage) {
  port_access(KVM_EXIT_IO_IN, 4, 2, 4096);
  const auto in = decoded<IoIn>();
  const auto data = page().data(in);
  ASSERT_EQ(data.size(), 8U);
  data.store<std::uint32_t>(4, 0xcafef00d);
  EXPECT_EQ(bytes_[4096 + 4], std::byte{0x0d});
}

TEST_F(RunPageTest, PortItemsMayReachToTheMappingsEndAndNotPastIt) {
  port_access(KVM_EXIT_IO_OUT, 4, 1024, 8192);
  EXPECT_EQ(decoded<IoOut>().data.length, 4096U);
  port_access(KVM_EXIT_IO_OUT, 4, 1024, 8193);
  EXPECT_EQ(page().decode().error(), Error(PageError::kIoOffset, 8193, sizeof bytes_));
}

TEST_F(RunPageTest, PortItemsInsideTheStructureAreRefused) {
  port_access(KVM_EXIT_IO_IN, 1, 1, sizeof(kvm_run) - 1);
  EXPECT_EQ(page().decode().error(), PageError::kIoOffset);
  port_access(KVM_EXIT_IO_IN, 1, 1, sizeof(kvm_run));
  EXPECT_EQ(decoded<IoIn>().data.offset, sizeof(kvm_run));
}

}  // namespace
}  // namespace guestproof::kvm
