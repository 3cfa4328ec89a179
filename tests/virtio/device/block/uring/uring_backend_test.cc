#include "guestproof/virtio/device/block/uring/uring_backend.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "guestproof/virtio/device/block/error.h"
#include "planned_errors.h"
#include "virtio/device/block/block_fixture.h"

#if __has_include(<liburing.h>)

#include <dlfcn.h>
#include <liburing.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cstdarg>
#include <cstring>

// What the back end calls of liburing and of the system, replaced for this program: it does what it
// always does unless a test says what else.
namespace {

struct Plans {
  guestproof::PlannedErrors submit, wait;
  std::vector<int> answers;             // of the next operations, instead of what they did
  std::optional<int> unknown;           // the kernel does not know this operation
  bool no_probe = false;                // nor can it be asked
  bool block_device = false;            // files are block devices, of 32 KiB
  std::vector<unsigned long> requests;  // ioctl()s to these
};
Plans plans;

template <class Function>
Function* real(const char* name) {
  // SAFETY: the function of this name in liburing has this type, by its header.
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

int submit_and_wait(::io_uring* ring, unsigned count) {
  const int done =
      real<decltype(::io_uring_submit_and_wait)>("io_uring_submit_and_wait")(ring, count);
  unsigned head = 0;
  ::io_uring_cqe* entry = nullptr;
  io_uring_for_each_cqe(ring, head, entry) {
    if (plans.answers.empty()) break;
    entry->res = plans.answers.front();
    plans.answers.erase(plans.answers.begin());
  }
  return done;
}

}  // namespace

extern "C" {
int io_uring_submit(::io_uring* ring) {
  if (plans.submit.fail()) return -errno;
  if (!plans.answers.empty())
    return submit_and_wait(ring, static_cast<unsigned>(plans.answers.size()));
  return real<decltype(::io_uring_submit)>("io_uring_submit")(ring);
}
int io_uring_submit_and_wait(::io_uring* ring, unsigned count) {
  return plans.wait.fail() ? -errno : submit_and_wait(ring, count);
}
::io_uring_probe* io_uring_get_probe_ring(::io_uring* ring) {
  if (plans.no_probe) return nullptr;
  auto* const probe = real<decltype(::io_uring_get_probe_ring)>("io_uring_get_probe_ring")(ring);
  if (plans.unknown) probe->ops[*plans.unknown].flags = 0;
  return probe;
}
int fstat(int fd, struct ::stat* status) {
  const auto result = static_cast<int>(::syscall(SYS_newfstatat, fd, "", status, AT_EMPTY_PATH));
  if (result == 0 && plans.block_device) status->st_mode = S_IFBLK | 0600;
  return result;
}
int ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  if (!plans.block_device) return static_cast<int>(::syscall(SYS_ioctl, fd, request, argument));
  plans.requests.push_back(request);
  const std::uint64_t size = 32768;
  if (request == BLKGETSIZE64) std::memcpy(argument, &size, sizeof size);
  if (request == BLKGETSIZE64 || request == BLKDISCARD) return 0;
  errno = ENOTTY;
  return -1;
}
}

#endif

namespace guestproof::virtio::block {
namespace {

using Kind = Operation::Kind;
using ::testing::ElementsAre;

constexpr std::size_t kSize = 64 * 512;

Fd memory_file() {
  Fd file(::memfd_create("uring_backend_test", MFD_CLOEXEC));
  const std::string contents(kSize, 'x');
  EXPECT_EQ(::pwrite(file.get(), contents.data(), kSize, 0), static_cast<::ssize_t>(kSize));
  return file;
}
FileBackend backend_of(const Fd& file) {
  return FileBackend::create(file.duplicate().value()).value();
}

class UringBackendTest : public BlockFixture {
 protected:
  void SetUp() override {
    auto made = make_uring_backend(backend_of(file), 8);
    if (!made && made.error() == SystemError::kRing) GTEST_SKIP() << made.error().message();
    ASSERT_TRUE(made) << made.error().message();
    backend = std::move(*made);
  }

  /// Submits, begins, and waits for the results of all that is in flight, by token.
  std::vector<Completion> results(std::vector<Operation> operations) {
    std::vector<Completion> all;
    for (std::uint64_t token = 0; token < operations.size(); ++token) {
      operations[token].token = token;
      if (const auto result = backend->submit(operations[token])) all.push_back({token, *result});
    }
    EXPECT_TRUE(backend->dispatch());
    while (all.size() < operations.size()) {
      backend->wait();
      std::array<Completion, 3> some;
      const auto count = backend->reap(some);
      all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(count));
      EXPECT_TRUE(backend->dispatch());
    }
    std::ranges::sort(all, {}, &Completion::token);
    return all;
  }
  OperationResult result(const Operation& operation) { return results({operation}).front().result; }
  std::string contents(::off_t offset, std::size_t length) {
    std::string text(length, '?');
    EXPECT_EQ(::pread(file.get(), text.data(), length, offset), static_cast<::ssize_t>(length));
    return text;
  }
  static ::iovec part(std::string& text) { return {text.data(), text.size()}; }

  Fd file = memory_file();
  std::unique_ptr<AsyncBackend> backend;
};

TEST_F(UringBackendTest, KnowsSizeModeAndDepth) {
  EXPECT_EQ(backend->size(), kSize);
  EXPECT_FALSE(backend->read_only());
  EXPECT_EQ(backend->depth(), 8u);
  EXPECT_GE(backend->completion_fd(), 0);
}

TEST_F(UringBackendTest, ReadsAndWritesParts) {
  std::string front = "abc", back = "de";
  const std::array parts{part(front), part(back)};
  EXPECT_EQ(result({.kind = Kind::kWrite, .offset = 1000, .parts = parts}), 5u);
  EXPECT_EQ(contents(999, 7), "xabcdex");
  EXPECT_EQ(result({.kind = Kind::kRead, .offset = 1001, .parts = parts}), 5u);
  EXPECT_EQ(front + back, "bcdex");
}

TEST_F(UringBackendTest, ManyAtOnce) {
  std::vector<std::string> texts;
  for (char c = 'a'; c < 'i'; ++c) texts.emplace_back(512, c);
  std::vector<::iovec> parts;
  for (auto& text : texts) parts.push_back(part(text));
  std::vector<Operation> writes;
  for (std::size_t i = 0; i < parts.size(); ++i)
    writes.push_back(
        {.kind = Kind::kWrite, .offset = i * 512, .parts = std::span(parts).subspan(i, 1)});
  for (const auto& completion : results(writes)) EXPECT_EQ(completion.result, 512u);
  for (std::size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(contents(static_cast<::off_t>(i * 512), 512), texts[i]);
}

TEST_F(UringBackendTest, TheRingIsReadableWhenSomethingIsDone) {
  ::pollfd poll{backend->completion_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&poll, 1, 0), 0);
  EXPECT_FALSE(backend->submit({.token = 7}));
  EXPECT_TRUE(backend->dispatch());
  ASSERT_EQ(::poll(&poll, 1, 10000), 1);
  std::array<Completion, 2> done;
  ASSERT_EQ(backend->reap(done), 1u);
  EXPECT_EQ(done.front().token, 7u);
  EXPECT_TRUE(done.front().result);
  EXPECT_EQ(::poll(&poll, 1, 0), 0);
}

TEST_F(UringBackendTest, EndOfAFileThatShrank) {
  ASSERT_EQ(::ftruncate(file.get(), 512), 0);
  std::string room(8, '?');
  const std::array parts{part(room)};
  EXPECT_EQ(result({.kind = Kind::kRead, .offset = 508, .parts = parts}), 4u);
  EXPECT_EQ(result({.kind = Kind::kRead, .offset = 512, .parts = parts}), 0u);
}

TEST_F(UringBackendTest, ErrorsCarryTheCallAndErrno) {
  const std::array nowhere{::iovec{nullptr, 512}};
  EXPECT_EQ(result({.kind = Kind::kRead, .parts = nowhere}).error(),
            Error(SystemError::kRead, EFAULT));
  EXPECT_EQ(result({.kind = Kind::kWrite, .parts = nowhere}).error(),
            Error(SystemError::kWrite, EFAULT));
}

TEST_F(UringBackendTest, Ranges) {
  const auto done =
      results({{.kind = Kind::kDiscard, .offset = 0, .length = 4096},
               {.kind = Kind::kWriteZeroes, .offset = 8192, .length = 512},
               {.kind = Kind::kWriteZeroes, .may_unmap = true, .offset = 12288, .length = 4096},
               {.kind = Kind::kSecureErase, .offset = 20480, .length = 512},
               {.kind = Kind::kFlush}});
  for (const auto& completion : done) EXPECT_TRUE(completion.result) << completion.token;
  EXPECT_EQ(contents(8191, 514), "x" + std::string(512, '\0') + "x");
  EXPECT_EQ(contents(12287, 4098), "x" + std::string(4096, '\0') + "x");
  EXPECT_EQ(contents(20479, 514), "x" + std::string(512, '\0') + "x");
}

TEST_F(UringBackendTest, ReadOnlyFileIsNotWritten) {
  const auto path = "/proc/self/fd/" + std::to_string(file.get());
  auto made = make_uring_backend(
      FileBackend::create(Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC))).value());
  ASSERT_TRUE(made);
  backend = std::move(*made);
  EXPECT_TRUE(backend->read_only());
  std::string text(512, 'a');
  const std::array parts{part(text)};
  EXPECT_EQ(result({.kind = Kind::kWrite, .parts = parts}).error(),
            Error(SystemError::kWrite, EBADF));
}

TEST_F(UringBackendTest, DestructionWaitsForWhatIsInFlight) {
  std::string room(kSize, '?');
  const std::array parts{part(room)};
  EXPECT_FALSE(backend->submit({.kind = Kind::kRead, .parts = parts}));
  backend.reset();
  EXPECT_EQ(room, std::string(kSize, 'x'));
}

#if __has_include(<liburing.h>)

class PlannedUringTest : public UringBackendTest {
 protected:
  void SetUp() override {
    plans = {};
    UringBackendTest::SetUp();
  }
  void TearDown() override { plans = {}; }
  /// Of an operation that the kernel answers so.
  OperationResult answered(const Operation& operation, int answer) {
    plans.answers = {answer};
    return result(operation);
  }
};

TEST_F(PlannedUringTest, AnOperationThatWasInterruptedIsDoneAgain) {
  std::string room(8, '?');
  const std::array parts{part(room)};
  for (const int answer : {-EINTR, -EAGAIN}) {
    room.assign(8, '?');
    EXPECT_EQ(answered({.kind = Kind::kRead, .parts = parts}, answer), 8u);
    EXPECT_EQ(room, "xxxxxxxx");
  }
}

TEST_F(PlannedUringTest, AShortTransferIsSaid) {
  std::string room(8, '?');
  const std::array parts{part(room)};
  EXPECT_EQ(answered({.kind = Kind::kRead, .parts = parts}, 3), 3u);
}

TEST_F(PlannedUringTest, WhatTheFileSystemCannotDo) {
  EXPECT_EQ(answered({.kind = Kind::kDiscard, .offset = 8192, .length = 512}, -EOPNOTSUPP), 0u);
  EXPECT_TRUE(answered({.kind = Kind::kWriteZeroes, .length = 512}, -EOPNOTSUPP));
  EXPECT_EQ(contents(0, 513), std::string(512, '\0') + "x");
  EXPECT_EQ(answered({.kind = Kind::kFlush}, -EOPNOTSUPP).error(),
            Error(SystemError::kSync, EOPNOTSUPP));
}

TEST_F(PlannedUringTest, FailedRangesAndFlushes) {
  EXPECT_EQ(answered({.kind = Kind::kDiscard, .length = 512}, -EIO).error(),
            Error(SystemError::kAllocate, EIO));
  EXPECT_EQ(answered({.kind = Kind::kWriteZeroes, .length = 512}, -ENOSPC).error(),
            Error(SystemError::kAllocate, ENOSPC));
  EXPECT_EQ(answered({.kind = Kind::kFlush}, -EIO).error(), Error(SystemError::kSync, EIO));
}

TEST_F(PlannedUringTest, SubmissionIsTriedAgainAfterASignal) {
  plans.submit.next = {EINTR};
  EXPECT_TRUE(result({.kind = Kind::kFlush}));
}

TEST_F(PlannedUringTest, WhatCouldNotBeSubmittedEndsAllTheSame) {
  EXPECT_FALSE(backend->submit({.token = 7}));
  plans.submit.next = {ENOMEM};
  EXPECT_EQ(backend->dispatch().error(), Error(SystemError::kSubmit, ENOMEM));
  plans.wait.next = {EINTR, EAGAIN, EBUSY};
  backend->wait();
  EXPECT_TRUE(plans.wait.next.empty());
  std::array<Completion, 2> done;
  ASSERT_EQ(backend->reap(done), 1u);
  EXPECT_EQ(done.front().token, 7u);
}

TEST_F(PlannedUringTest, RangesOfABlockDeviceAreNotForTheRing) {
  plans.block_device = true;
  backend = make_uring_backend(backend_of(file), 8).value();
  plans.requests.clear();
  EXPECT_TRUE(backend->submit({.kind = Kind::kDiscard, .length = 4096}));
  EXPECT_THAT(plans.requests, ElementsAre(BLKDISCARD));
  EXPECT_EQ(contents(0, 1), "x");
  EXPECT_TRUE(result({.kind = Kind::kFlush}));
}

TEST_F(PlannedUringTest, AKernelThatIsTooOldIsRefusedAndTheFileServedWithoutARing) {
  plans.unknown = IORING_OP_FALLOCATE;
  const auto storage = make_file_storage(backend_of(file));
  EXPECT_EQ(storage.without_uring, Error(BlockConfigError::kRingOperation, IORING_OP_FALLOCATE));
  EXPECT_EQ(storage.backend->completion_fd(), -1);
  plans.no_probe = true;
  EXPECT_EQ(make_uring_backend(backend_of(file)).error(), Error(SystemError::kRing, ENOSYS));
}

#endif

// The engine on it.

TEST_F(UringBackendTest, ServesRequestsOfADriver) {
  auto engine = Engine<Queue>::create(config, *backend).value();
  unsigned answered = 0;
  const auto count = [&](const Outcome& outcome) {
    EXPECT_EQ(outcome.status, VIRTIO_BLK_S_OK);
    ++answered;
  };
  send(joined(header(VIRTIO_BLK_T_OUT, 3), pattern(1024)), 0, Cut::kSevens);
  ASSERT_TRUE(engine.serve(queue, 2, count));
  engine.drain(count);
  send(header(VIRTIO_BLK_T_IN, 3), 1024, Cut::kMisfit);
  ASSERT_TRUE(engine.serve(queue, 2, count));
  engine.drain(count);
  EXPECT_EQ(answered, 2u);
  EXPECT_EQ(room(), joined(pattern(1024), Bytes(1)));
}

// Where there is none.

TEST(FileStorageTest, FallsBackAndSaysWhy) {
  const auto file = memory_file();
  // No ring has as many entries.
  auto storage = make_file_storage(backend_of(file), 1u << 20);
  ASSERT_TRUE(storage.without_uring);
  EXPECT_EQ(*storage.without_uring, SystemError::kRing);
  EXPECT_EQ(storage.backend->completion_fd(), -1);
  std::string text = "abc";
  const std::array parts{::iovec{text.data(), text.size()}};
  EXPECT_EQ(storage.backend->submit({.kind = Kind::kRead, .offset = 5, .parts = parts}),
            OperationResult(3));
  EXPECT_EQ(text, "xxx");
}

TEST(FileStorageTest, TakesTheRingWhereThereIsOne) {
  const auto file = memory_file();
  const auto storage = make_file_storage(backend_of(file));
  if (storage.without_uring) GTEST_SKIP() << storage.without_uring->message();
  EXPECT_GE(storage.backend->completion_fd(), 0);
}

}  // namespace
}  // namespace guestproof::virtio::block
