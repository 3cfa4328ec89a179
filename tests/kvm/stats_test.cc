#include "guestproof/kvm/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kvm/fake_kvm.h"
#include "print.h"

namespace guestproof::kvm {
namespace {

/// What the next calls of pread(2) do instead: fail with this, or give one byte at most.
int next_pread_fails = 0;
bool preads_are_short = false;

/// The fields of struct kvm_stats_header.
struct Header {
  std::uint32_t name_size = 8;
  std::uint32_t num_desc = 2;
  std::uint32_t id_offset = 24;
  std::uint32_t desc_offset = 32;
  std::uint32_t data_offset = 80;
};

Wire wire(const Header& header) {
  return Wire().u32s({0, header.name_size, header.num_desc, header.id_offset, header.desc_offset,
                      header.data_offset});
}

Wire name(std::string_view text, std::size_t size = 8) {
  Wire wire;
  for (const char letter : text) wire.u8(static_cast<std::uint8_t>(letter));
  return wire.zeros(size - text.size());
}

/// A file that describes two statistics: one value, and a histogram of three buckets.
class StatsTest : public testing::Test {
 protected:
  void write(std::size_t offset, const Wire& wire) {
    ASSERT_EQ(::pwrite(file_.get(), wire.bytes().data(), wire.size(), static_cast<::off_t>(offset)),
              static_cast<ssize_t>(wire.size()));
  }
  void SetUp() override {
    write(0, wire(Header{}));
    write(24, name("kvm-1"));
    // flags, exponent, size, offset, bucket_size; the name
    write(32, Wire().u32(0x11).u16(0xfff7).u16(1).u32(0).u32(0));
    write(48, name("exits"));
    write(56, Wire().u32(0x23).u16(3).u16(3).u32(8).u32(100));
    write(72, name("eightlet"));
    write(80, Wire().u64(77).u64(1).u64(0x8000000000000000).u64(3));
  }
  [[nodiscard]] Result<Statistics> read() { return Statistics::read(*file_.duplicate()); }
  [[nodiscard]] Result<Statistics> read(const Header& header) {
    write(0, wire(header));
    return read();
  }

  FakeKvm kernel_;
  Fd file_ = memory_file(0);
};

TEST_F(StatsTest, TellsWhoseTheyAreAndWhatThereIs) {
  const auto statistics = read();
  ASSERT_TRUE(statistics.has_value());
  EXPECT_EQ(statistics->id(), "kvm-1");
  ASSERT_EQ(statistics->list().size(), 2U);
  const auto& exits = statistics->list()[0];
  EXPECT_EQ(exits.name, "exits");
  EXPECT_EQ(exits.flags, 0x11U);
  EXPECT_EQ(exits.exponent, -9);
  EXPECT_EQ(exits.bucket_size, 0U);
  EXPECT_EQ(exits.offset, 0U);
  EXPECT_EQ(exits.count, 1);
  const auto& histogram = statistics->list()[1];
  EXPECT_EQ(histogram.flags, 0x23U);
  EXPECT_EQ(histogram.exponent, 3);
  EXPECT_EQ(histogram.bucket_size, 100U);
  EXPECT_EQ(histogram.offset, 8U);
  EXPECT_EQ(histogram.count, 3);
}

TEST_F(StatsTest, ANameMayFillItsRoom) { EXPECT_EQ(read()->list()[1].name, "eightlet"); }

TEST_F(StatsTest, ValuesAreThoseOfNow) {
  const auto statistics = read();
  EXPECT_EQ(statistics->values(statistics->list()[0]), (std::vector<std::uint64_t>{77}));
  write(80, Wire().u64(78));
  EXPECT_EQ(statistics->values(statistics->list()[0]), (std::vector<std::uint64_t>{78}));
  EXPECT_EQ(statistics->values(statistics->list()[1]),
            (std::vector<std::uint64_t>{1, 0x8000000000000000, 3}));
}

TEST_F(StatsTest, ValuesPastTheFilesEndAreRefused) {
  const auto statistics = read();
  auto histogram = statistics->list()[1];
  histogram.count = 4;
  EXPECT_EQ(statistics->values(histogram).error(), Error(CallError::kStatistics, 120, 112));
  histogram.offset = 0xffffffff;
  histogram.count = 1;
  EXPECT_EQ(statistics->values(histogram).error(),
            Error(CallError::kStatistics, 80 + 0xffffffffULL + 8, 80 + 0xffffffffULL));
}

TEST_F(StatsTest, NoStatisticsAreAnEmptyList) {
  const auto statistics = read({.num_desc = 0});
  ASSERT_TRUE(statistics.has_value());
  EXPECT_TRUE(statistics->list().empty());
}

TEST_F(StatsTest, NamesMayHaveNoLength) {
  const auto statistics = read({.name_size = 0, .num_desc = 1});
  ASSERT_TRUE(statistics.has_value());
  EXPECT_EQ(statistics->id(), "");
  EXPECT_EQ(statistics->list()[0].name, "");
}

TEST_F(StatsTest, AFileWithoutAWholeHeaderIsRefused) {
  ASSERT_EQ(::ftruncate(file_.get(), 23), 0);
  EXPECT_EQ(read().error(), Error(CallError::kStatistics, 24, 23));
}

TEST_F(StatsTest, NamesOfAnImpossibleLengthAreRefused) {
  EXPECT_EQ(read({.name_size = 4097}).error(), Error(CallError::kStatisticsName, 4097, 4096));
  EXPECT_EQ(read({.name_size = 0xffffffff}).error(),
            Error(CallError::kStatisticsName, 0xffffffff, 4096));
  EXPECT_EQ(read({.name_size = 4096}).error(), Error(CallError::kStatistics, 24 + 4096, 112));
}

TEST_F(StatsTest, AnImpossibleNumberOfStatisticsIsRefused) {
  EXPECT_EQ(read({.num_desc = 4097}).error(), Error(CallError::kTooManyEntries, 4097, 4096));
  EXPECT_EQ(read({.num_desc = 0xffffffff}).error(),
            Error(CallError::kTooManyEntries, 0xffffffff, 4096));
  EXPECT_EQ(read({.num_desc = 4096}).error(), Error(CallError::kStatistics, 32 + 24 * 4096, 112));
}

TEST_F(StatsTest, OffsetsOutsideTheFileAreRefused) {
  EXPECT_EQ(read({.id_offset = 105}).error(), Error(CallError::kStatistics, 113, 112));
  EXPECT_EQ(read({.id_offset = 0xffffffff}).error(),
            Error(CallError::kStatistics, 0xffffffffULL + 8, 0xffffffff));
  EXPECT_EQ(read({.desc_offset = 65}).error(), Error(CallError::kStatistics, 113, 112));
}

TEST_F(StatsTest, OneThatIsNoFileIsRefusedWithErrno) {
  EXPECT_EQ(Statistics::read(Fd()).error(), Error(SystemError::kRead, EBADF));
  EXPECT_EQ(Statistics::read(Fd(::open("/", O_RDONLY | O_CLOEXEC))).error(),
            Error(SystemError::kRead, EISDIR));
}

TEST_F(StatsTest, AnInterruptedReadIsTriedAgain) {
  next_pread_fails = EINTR;
  EXPECT_EQ(read()->id(), "kvm-1");
  EXPECT_EQ(next_pread_fails, 0);
}

TEST_F(StatsTest, AReadInPiecesIsPutTogether) {
  preads_are_short = true;
  const auto statistics = read();
  preads_are_short = false;
  ASSERT_TRUE(statistics.has_value());
  EXPECT_EQ(statistics->id(), "kvm-1");
  EXPECT_EQ(statistics->list()[1].bucket_size, 100U);
}

}  // namespace
}  // namespace guestproof::kvm

extern "C" ssize_t pread(int fd, void* out, size_t count, off_t offset) {
  using namespace guestproof::kvm;
  if (const int error = std::exchange(next_pread_fails, 0); error != 0) {
    errno = error;
    return -1;
  }
  return ::syscall(SYS_pread64, fd, out, preads_are_short ? 1 : count, offset);
}
