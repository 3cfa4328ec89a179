#include "guestproof/virtio/device/block/file_backend.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "block_fixture.h"
#include "guestproof/virtio/device/block/engine.h"
#include "guestproof/virtio/device/block/error.h"

// The system calls of the back end, replaced for this program: they go to the kernel unless a test
// says what they should answer.
namespace {

struct Planned {
  int error = 0;        // errno, or
  ::ssize_t limit = 0;  // how many bytes are moved at the most
};

/// What the next calls of one kind answer.
struct Plan {
  std::vector<Planned> next;
  unsigned calls = 0;

  /// True when the call is to fail; errno is set.
  bool fails(::ssize_t& limit) {
    ++calls;
    if (next.empty()) return false;
    const auto planned = next.front();
    next.erase(next.begin());
    if (planned.error == 0) limit = planned.limit;
    errno = planned.error;
    return planned.error != 0;
  }
};

/// A block device that is a file underneath.
struct PretendedDevice {
  std::uint64_t bytes = 0;
  int read_only = 0;
  int logical = 512, alignment = 0;
  unsigned physical = 4096, minimum = 8192, optimal = 65536;
  bool silent = false;  // knows its size only
};

struct Plans {
  Plan read, write, sync, allocate, discard;
  std::vector<int> modes;                // that fallocate() was called with
  std::vector<unsigned long> discards;   // requests of ioctl()
  std::array<std::uint64_t, 2> range{};  // of the last of them
  std::optional<PretendedDevice> device;
  std::optional<::blksize_t> block;  // of the file system
};
Plans plans;

/// `parts` without what is behind their first `limit` bytes.
std::vector<::iovec> cut(const ::iovec* parts, int count, ::ssize_t limit) {
  std::vector<::iovec> front(parts, parts + count);
  auto left = static_cast<std::size_t>(limit);
  for (auto& part : front) {
    part.iov_len = std::min(part.iov_len, left);
    left -= part.iov_len;
  }
  return front;
}

::ssize_t vectored(Plan& plan, long number, int fd, const ::iovec* parts, int count,
                   ::off_t offset) {
  ::ssize_t limit = SSIZE_MAX;
  if (plan.fails(limit)) return -1;
  const auto front = cut(parts, count, limit);
  return ::syscall(number, fd, front.data(), count, offset, 0);
}

int answer(const PretendedDevice& device, unsigned long request, void* argument) {
  const auto say = [&](auto number) {
    std::memcpy(argument, &number, sizeof number);
    return 0;
  };
  if (request == BLKDISCARD || request == BLKSECDISCARD) {
    plans.discards.push_back(request);
    std::memcpy(plans.range.data(), argument, sizeof plans.range);
    ::ssize_t unlimited = 0;
    return plans.discard.fails(unlimited) ? -1 : 0;
  }
  if (request == BLKGETSIZE64 && device.bytes != 0) return say(device.bytes);
  errno = ENOTTY;
  if (device.silent) return -1;
  switch (request) {
    case BLKROGET:
      return say(device.read_only);
    case BLKSSZGET:
      return say(device.logical);
    case BLKPBSZGET:
      return say(device.physical);
    case BLKALIGNOFF:
      return say(device.alignment);
    case BLKIOMIN:
      return say(device.minimum);
    case BLKIOOPT:
      return say(device.optimal);
    default:
      return -1;
  }
}

}  // namespace

extern "C" {
::ssize_t preadv(int fd, const ::iovec* parts, int count, ::off_t offset) {
  return vectored(plans.read, SYS_preadv, fd, parts, count, offset);
}
::ssize_t pwritev(int fd, const ::iovec* parts, int count, ::off_t offset) {
  return vectored(plans.write, SYS_pwritev, fd, parts, count, offset);
}
int fstat(int fd, struct ::stat* status) {
  const auto result = static_cast<int>(::syscall(SYS_newfstatat, fd, "", status, AT_EMPTY_PATH));
  if (result == 0 && plans.device) status->st_mode = S_IFBLK | 0600;
  if (result == 0 && plans.block) status->st_blksize = *plans.block;
  return result;
}
int ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  if (!plans.device) return static_cast<int>(::syscall(SYS_ioctl, fd, request, argument));
  return answer(*plans.device, request, argument);
}
int fdatasync(int fd) {
  ::ssize_t unlimited = 0;
  return plans.sync.fails(unlimited) ? -1 : static_cast<int>(::syscall(SYS_fdatasync, fd));
}
int fallocate(int fd, int mode, ::off_t offset, ::off_t length) {
  plans.modes.push_back(mode);
  ::ssize_t unlimited = 0;
  return plans.allocate.fails(unlimited)
             ? -1
             : static_cast<int>(::syscall(SYS_fallocate, fd, mode, offset, length));
}
}

namespace guestproof::virtio::block {
namespace {

using ::testing::ElementsAre;

constexpr std::size_t kSize = 64 * 512;

Error system_error(SystemError call, int error) {
  return {call, static_cast<std::uint64_t>(error)};
}

/// A file in the test's temporary folder; it has no name any more.
Fd temporary_file() {
  std::string name = ::testing::TempDir() + "file_backend_XXXXXX";
  Fd file(::mkostemp(name.data(), O_CLOEXEC));
  EXPECT_TRUE(file.valid()) << name;
  EXPECT_EQ(::unlink(name.c_str()), 0);
  return file;
}
Fd memory_file() { return Fd(::memfd_create("file_backend_test", MFD_CLOEXEC)); }

class FileBackendTest : public ::testing::TestWithParam<Fd (*)()> {
 protected:
  void SetUp() override {
    plans = {};
    ASSERT_TRUE(file.valid());
    const std::vector<char> contents(kSize, 'x');
    ASSERT_EQ(::pwrite(file.get(), contents.data(), kSize, 0), static_cast<::ssize_t>(kSize));
    auto created = FileBackend::create(file.duplicate().value());
    ASSERT_TRUE(created);
    backend.emplace(std::move(*created));
  }

  std::string contents(::off_t offset, std::size_t length) {
    std::string text(length, '?');
    text.resize(static_cast<std::size_t>(
        std::max<::ssize_t>(0, ::pread(file.get(), text.data(), length, offset))));
    return text;
  }
  Result<std::size_t> write(std::string text, std::uint64_t offset) {
    const ::iovec part{text.data(), text.size()};
    return backend->write_at(std::span(&part, 1), offset);
  }

  Fd file = GetParam()();
  std::optional<FileBackend> backend;
};
INSTANTIATE_TEST_SUITE_P(Files, FileBackendTest, ::testing::Values(temporary_file, memory_file),
                         [](const auto& test) {
                           return test.param == temporary_file ? "disk" : "memory";
                         });

TEST_P(FileBackendTest, KnowsSizeAndMode) {
  EXPECT_EQ(backend->size(), kSize);
  EXPECT_FALSE(backend->read_only());
}

TEST_P(FileBackendTest, ReadsAndWritesParts) {
  std::array<char, 3> front{'a', 'b', 'c'};
  std::array<char, 2> back{'d', 'e'};
  const std::array parts{::iovec{front.data(), 3}, ::iovec{back.data(), 2}};
  EXPECT_EQ(backend->write_at(parts, 1000), 5u);
  EXPECT_EQ(contents(999, 7), "xabcdex");
  front = {};
  back = {};
  EXPECT_EQ(backend->read_at(parts, 1001), 5u);
  EXPECT_EQ(std::string(front.data(), 3) + std::string(back.data(), 2), "bcdex");
}

TEST_P(FileBackendTest, ShortTransfersAreTold) {
  plans.write.next = {{.limit = 2}};
  EXPECT_EQ(write("abcd", 0), 2u);
  EXPECT_EQ(contents(0, 4), "abxx");
}

TEST_P(FileBackendTest, ReadPastTheEndOfAFileThatShrank) {
  ASSERT_EQ(::ftruncate(file.get(), 512), 0);
  std::array<char, 8> room{};
  const ::iovec part{room.data(), room.size()};
  EXPECT_EQ(backend->read_at(std::span(&part, 1), 508), 4u);
  EXPECT_EQ(backend->read_at(std::span(&part, 1), 512), 0u);
}

TEST_P(FileBackendTest, InterruptedCallsAreRetried) {
  plans.read.next = plans.write.next = plans.sync.next = plans.allocate.next = {{EINTR}, {EINTR}};
  std::array<char, 4> room{};
  const ::iovec part{room.data(), room.size()};
  EXPECT_EQ(write("abcd", 0), 4u);
  EXPECT_EQ(backend->read_at(std::span(&part, 1), 0), 4u);
  EXPECT_TRUE(backend->flush());
  EXPECT_TRUE(backend->discard(512, 512));
  EXPECT_EQ(plans.read.calls, 3u);
  EXPECT_EQ(plans.write.calls, 3u);
  EXPECT_EQ(plans.sync.calls, 3u);
  EXPECT_EQ(plans.allocate.calls, 3u);
}

TEST_P(FileBackendTest, ErrorsCarryTheCallAndErrno) {
  plans.read.next = plans.sync.next = {{EIO}};
  plans.write.next = {{ENOSPC}};
  plans.allocate.next = {{EIO}, {ENOSPC}};
  const ::iovec part{};
  EXPECT_EQ(backend->read_at(std::span(&part, 1), 0).error(),
            system_error(SystemError::kRead, EIO));
  EXPECT_EQ(write("a", 0).error(), system_error(SystemError::kWrite, ENOSPC));
  EXPECT_EQ(backend->flush().error(), system_error(SystemError::kSync, EIO));
  EXPECT_EQ(backend->discard(0, 512).error(), system_error(SystemError::kAllocate, EIO));
  EXPECT_EQ(backend->write_zeroes(0, 512, true).error(),
            system_error(SystemError::kAllocate, ENOSPC));
}

TEST_P(FileBackendTest, DiscardPunchesAHole) {
  ASSERT_TRUE(backend->discard(4096, 8192));
  EXPECT_THAT(plans.modes, ElementsAre(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE));
  EXPECT_EQ(contents(4095, 1), "x");
  EXPECT_EQ(contents(4096 + 8192, 1), "x");
  EXPECT_EQ(plans.write.calls, 0u);
}

TEST_P(FileBackendTest, DiscardThatIsNotSupportedDoesNothing) {
  plans.allocate.next = {{EOPNOTSUPP}};
  EXPECT_TRUE(backend->discard(4096, 8192));
  EXPECT_EQ(contents(4096, 8192), std::string(8192, 'x'));
}

TEST_P(FileBackendTest, WriteZeroesInPlace) {
  ASSERT_TRUE(backend->write_zeroes(4096, 8192, false));
  EXPECT_THAT(plans.modes, ElementsAre(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE));
  EXPECT_EQ(contents(4095, 8194), "x" + std::string(8192, '\0') + "x");
}

TEST_P(FileBackendTest, WriteZeroesMayUnmap) {
  ASSERT_TRUE(backend->write_zeroes(4096, 8192, true));
  EXPECT_THAT(plans.modes, ElementsAre(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE));
  EXPECT_EQ(contents(4095, 8194), "x" + std::string(8192, '\0') + "x");
}

TEST_P(FileBackendTest, WriteZeroesThatIsNotSupportedWrites) {
  plans.allocate.next = {{EOPNOTSUPP}};
  plans.write.next = {{.limit = 100}, {EINTR}};
  ASSERT_TRUE(backend->write_zeroes(512, 1024, true));
  EXPECT_EQ(contents(511, 1026), "x" + std::string(1024, '\0') + "x");
  EXPECT_EQ(plans.write.calls, 3u);
}

TEST_P(FileBackendTest, WriteZeroesOnAFullDisk) {
  plans.allocate.next = {{EOPNOTSUPP}};
  plans.write.next = {{.limit = 100}, {ENOSPC}};
  EXPECT_EQ(backend->write_zeroes(512, 1024, true).error(),
            system_error(SystemError::kWrite, ENOSPC));
}

TEST_P(FileBackendTest, WriteZeroesThatWritesNothingEnds) {
  plans.allocate.next = {{EOPNOTSUPP}};
  plans.write.next = {{.limit = 24}, {.limit = 0}};
  EXPECT_EQ(backend->write_zeroes(512, 1024, true).error(),
            Error(BlockError::kNoProgress, 24, 1024));
}

TEST_P(FileBackendTest, SecureEraseOverwritesAndFlushes) {
  ASSERT_TRUE(backend->secure_erase(512, 1024));
  EXPECT_EQ(contents(511, 1026), "x" + std::string(1024, '\0') + "x");
  EXPECT_EQ(plans.allocate.calls, 0u);
  EXPECT_EQ(plans.sync.calls, 1u);
}

TEST_P(FileBackendTest, SecureEraseIsAsGoodAsItsFlush) {
  plans.sync.next = {{EIO}};
  EXPECT_EQ(backend->secure_erase(512, 1024).error(), system_error(SystemError::kSync, EIO));
}

TEST_P(FileBackendTest, SparseFileReadsAsZeroes) {
  ASSERT_EQ(::ftruncate(file.get(), 0), 0);
  ASSERT_EQ(::ftruncate(file.get(), 1 << 30), 0);
  std::array<char, 4> room{'?', '?', '?', '?'};
  const ::iovec part{room.data(), room.size()};
  EXPECT_EQ(backend->read_at(std::span(&part, 1), (1 << 30) - 4), 4u);
  EXPECT_THAT(room, ::testing::Each('\0'));
}

TEST(FileBackendCreate, ReadOnlyFile) {
  const auto file = memory_file();
  const auto path = "/proc/self/fd/" + std::to_string(file.get());
  const auto backend = FileBackend::create(Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)));
  ASSERT_TRUE(backend);
  EXPECT_TRUE(backend->read_only());
}

TEST(FileBackendCreate, NoFile) {
  EXPECT_EQ(FileBackend::create(Fd()).error(), system_error(SystemError::kStat, EBADF));
}

TEST(FileBackendCreate, NeitherFileNorBlockDevice) {
  EXPECT_EQ(FileBackend::create(Fd(::open("/dev/null", O_RDWR | O_CLOEXEC))).error(),
            BlockConfigError::kFileType);
  EXPECT_EQ(FileBackend::create(Fd(::open(".", O_RDONLY | O_CLOEXEC))).error(),
            BlockConfigError::kFileType);
}

// Linux appends in pwritev(2) on such a file, whatever the offset.
TEST(FileBackendCreate, FileInAppendMode) {
  auto file = memory_file();
  ASSERT_EQ(::fcntl(file.get(), F_SETFL, O_APPEND), 0);
  EXPECT_EQ(FileBackend::create(std::move(file)).error(), BlockConfigError::kAppendMode);
}

// Block devices.

class BlockDeviceTest : public ::testing::Test {
 protected:
  BlockDeviceTest() {
    plans = {};
    plans.device = PretendedDevice{.bytes = kSize};
    EXPECT_EQ(::ftruncate(file.get(), kSize), 0);
  }
  ~BlockDeviceTest() override { plans = {}; }
  FileBackend backend() { return FileBackend::create(file.duplicate().value()).value(); }

  Fd file = memory_file();
};

TEST_F(BlockDeviceTest, KnowsSizeAndTopology) {
  plans.device = PretendedDevice{.bytes = 1 << 20, .logical = 4096, .alignment = 1024};
  const auto device = backend();
  EXPECT_TRUE(device.block_device());
  EXPECT_FALSE(device.read_only());
  EXPECT_EQ(device.size(), 1u << 20);
  EXPECT_EQ(device.topology(), (Topology{.logical_block_bytes = 4096,
                                         .physical_block_bytes = 4096,
                                         .alignment_bytes = 1024,
                                         .minimum_io_bytes = 8192,
                                         .optimal_io_bytes = 65536}));
}

TEST_F(BlockDeviceTest, WhatIsNotSaidIsAsOfADiskOf512Bytes) {
  plans.device->silent = true;
  EXPECT_EQ(backend().topology(), Topology());
  EXPECT_FALSE(backend().read_only());
}

TEST_F(BlockDeviceTest, PartitionThatFitsNowhere) {
  plans.device->alignment = -1;
  EXPECT_EQ(backend().topology().alignment_bytes, 0u);
}

TEST_F(BlockDeviceTest, ReadOnlyByItself) {
  plans.device->read_only = 1;
  EXPECT_TRUE(backend().read_only());
}

TEST_F(BlockDeviceTest, WithoutASize) {
  plans.device->bytes = 0;
  EXPECT_EQ(FileBackend::create(file.duplicate().value()).error(),
            system_error(SystemError::kStat, ENOTTY));
}

TEST_F(BlockDeviceTest, DiscardsBlocks) {
  auto device = backend();
  plans.discard.next = {{EINTR}};
  ASSERT_TRUE(device.discard(4096, 8192));
  EXPECT_THAT(plans.discards, ElementsAre(BLKDISCARD, BLKDISCARD));
  EXPECT_THAT(plans.range, ElementsAre(4096u, 8192u));
  EXPECT_EQ(plans.allocate.calls, 0u);
  plans.discard.next = {{EOPNOTSUPP}, {EINVAL}};
  EXPECT_TRUE(device.discard(4096, 8192));
  EXPECT_EQ(device.discard(4096, 100).error(), system_error(SystemError::kAllocate, EINVAL));
}

TEST_F(BlockDeviceTest, SecureErase) {
  auto device = backend();
  ASSERT_TRUE(device.secure_erase(4096, 8192));
  EXPECT_THAT(plans.discards, ElementsAre(BLKSECDISCARD));
  EXPECT_EQ(plans.write.calls, 0u);
  plans.discard.next = {{EOPNOTSUPP}, {EIO}};
  EXPECT_TRUE(device.secure_erase(4096, 8192));
  EXPECT_EQ(plans.write.calls, 1u);
  EXPECT_EQ(plans.sync.calls, 1u);
  EXPECT_EQ(device.secure_erase(4096, 8192).error(), system_error(SystemError::kAllocate, EIO));
}

TEST(FileTopology, IsThatOfTheFileSystem) {
  const auto file = memory_file();
  const auto backend = FileBackend::create(file.duplicate().value()).value();
  EXPECT_FALSE(backend.block_device());
  EXPECT_EQ(backend.topology(), (Topology{.physical_block_bytes = 4096, .minimum_io_bytes = 4096}));
}

TEST(FileTopology, OfNoUsefulBlockIsThatOfADisk) {
  const auto file = memory_file();
  const auto topology_with = [&](::blksize_t block) {
    plans.block = block;
    return FileBackend::create(file.duplicate().value()).value().topology();
  };
  EXPECT_EQ(topology_with(65536).physical_block_bytes, 65536u);
  EXPECT_EQ(topology_with(131072), Topology());
  EXPECT_EQ(topology_with(4096 + 512), Topology());
  EXPECT_EQ(topology_with(256), Topology());
  plans = {};
}

/// A real block device over a file; nothing where this process may not have one.
std::optional<Fd> loop_device(const Fd& file) {
  const Fd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
  if (number < 0) return std::nullopt;
  Fd loop(::open(("/dev/loop" + std::to_string(number)).c_str(), O_RDWR | O_CLOEXEC));
  ::loop_config config{};
  config.fd = static_cast<std::uint32_t>(file.get());
  config.block_size = 4096;
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
  if (::ioctl(loop.get(), LOOP_CONFIGURE, &config) != 0) return std::nullopt;
  return loop;
}

TEST(LoopDevice, ReadsWritesZeroesAndDiscards) {
  plans = {};
  const auto file = temporary_file();
  const std::string before(1 << 20, 'x');
  ASSERT_EQ(::pwrite(file.get(), before.data(), before.size(), 0), 1 << 20);
  auto loop = loop_device(file);
  if (!loop) GTEST_SKIP() << "no loop device: " << std::strerror(errno);
  auto backend = FileBackend::create(std::move(*loop)).value();
  EXPECT_TRUE(backend.block_device());
  EXPECT_EQ(backend.size(), 1u << 20);
  EXPECT_EQ(backend.topology().logical_block_bytes, 4096u);

  std::string text(8192, 'a');
  const ::iovec part{text.data(), text.size()};
  EXPECT_EQ(backend.write_at(std::span(&part, 1), 4096), 8192u);
  EXPECT_TRUE(backend.write_zeroes(8192, 4096, false));
  EXPECT_TRUE(backend.write_zeroes(16384, 4096, true));
  EXPECT_TRUE(backend.discard(32768, 4096));
  EXPECT_EQ(backend.discard(512, 512).error(), system_error(SystemError::kAllocate, EINVAL));
  EXPECT_TRUE(backend.flush());
  EXPECT_EQ(backend.read_at(std::span(&part, 1), 4096), 8192u);
  EXPECT_EQ(text, std::string(4096, 'a') + std::string(4096, '\0'));
  text.resize(4096);
  const ::iovec zeroed{text.data(), text.size()};
  EXPECT_EQ(backend.read_at(std::span(&zeroed, 1), 16384), 4096u);
  EXPECT_EQ(text, std::string(4096, '\0'));
}

// The device on a file.

class DeviceOnFileTest : public BlockFixture {
 protected:
  void SetUp() override {
    plans = {};
    file = memory_file();
    ASSERT_EQ(::ftruncate(file.get(), kSize), 0);
  }
  Outcome serve() {
    auto backend = FileBackend::create(file.duplicate().value());
    return serve_on(*backend);
  }
  Fd file;
};

TEST_F(DeviceOnFileTest, WritesAndReadsBack) {
  send(joined(header(VIRTIO_BLK_T_OUT, 3), pattern(1024)), 0, Cut::kSevens);
  EXPECT_EQ(serve().status, VIRTIO_BLK_S_OK);
  plans.read.next = {{.limit = 1}, {EINTR}, {.limit = 500}};
  send(header(VIRTIO_BLK_T_IN, 3), 1024, Cut::kMisfit);
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(outcome.used, 1025u);
  EXPECT_EQ(room(), joined(pattern(1024), Bytes(1)));
  EXPECT_EQ(plans.read.calls, 4u);
}

TEST_F(DeviceOnFileTest, FileThatShrinksUnderTheDevice) {
  auto backend = FileBackend::create(file.duplicate().value());
  ASSERT_EQ(::ftruncate(file.get(), 512), 0);
  send(header(VIRTIO_BLK_T_IN), 1024);

  const auto outcome = serve_on(*backend);

  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(outcome.error, Error(BlockError::kNoProgress, 512, 1024));
  EXPECT_EQ(outcome.used, 1025u);
}

TEST_F(DeviceOnFileTest, DiskFullInTheMiddle) {
  plans.write.next = {{.limit = 700}, {ENOSPC}};
  send(joined(header(VIRTIO_BLK_T_OUT), pattern(1024)), 0);
  const auto outcome = serve();
  EXPECT_EQ(outcome.status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(outcome.error, system_error(SystemError::kWrite, ENOSPC));
  EXPECT_EQ(outcome.bytes, 700u);
  EXPECT_EQ(outcome.used, 1u);
}

}  // namespace
}  // namespace guestproof::virtio::block
