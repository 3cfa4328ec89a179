// The block corpus with the device on a file instead of a disk in memory: the model says what the
// file must hold after every step.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "guestproof/testing/harness/block_harness.h"
#include "guestproof/testing/scenario/text.h"
#include "guestproof/virtio/device/block/file_backend.h"

namespace guestproof::virtio::block {
namespace {

using testing::BlockHarness;
using testing::ModelDisk;
using testing::Program;
using Bytes = std::vector<std::byte>;

/// Apart, so that it is there before the harness that uses it.
struct FileStorage {
  explicit FileStorage(Fd descriptor) : file(FileBackend::create(std::move(descriptor)).value()) {}

  void write(Bytes bytes) {
    const ::iovec part{bytes.data(), bytes.size()};
    EXPECT_EQ(file.write_at(std::span(&part, 1), 0), bytes.size());
  }
  Bytes read() {
    Bytes bytes(ModelDisk::kBytes);
    const ::iovec part{bytes.data(), bytes.size()};
    EXPECT_EQ(file.read_at(std::span(&part, 1), 0), bytes.size());
    return bytes;
  }

  FileBackend file;
};

class FileHarness : private FileStorage, public BlockHarness {
 public:
  /// REQUIRES: a file of ModelDisk::kBytes bytes on a file system that can punch holes.
  explicit FileHarness(Fd descriptor) : FileStorage(std::move(descriptor)), BlockHarness(&file) {
    model_disk().discarded = std::byte{0};
  }

 private:
  static Bytes contents(const ModelDisk& disk) {
    Bytes bytes(ModelDisk::kBytes);
    disk.read(0, bytes);
    return bytes;
  }
  void reset_device() override {
    BlockHarness::reset_device();
    write(contents(model_disk()));
  }
  void compare_outside_memory() override {
    const auto stored = read(), expected = contents(model_disk());
    if (const auto at = std::ranges::mismatch(stored, expected).in1; at != stored.end())
      testing::violated(testing::kModelAgreement,
                        "byte " + std::to_string(at - stored.begin()) + " of the file differs");
  }
};

/// Whether the program wants storage that fails; a sound file does not.
bool wants_faults(const Program& program) {
  using Kind = BlockHarness::BackendKind;
  return std::ranges::any_of(program, [](const testing::Record& record) {
    if (record.op() != testing::Opcode::kBackend) return false;
    const auto kind = static_cast<Kind>(record.kind % BlockHarness::kBackendKinds);
    return kind == Kind::kReadError || kind == Kind::kWriteError || kind == Kind::kEnd ||
           kind == Kind::kFlushError || kind == Kind::kRangeError;
  });
}

Program read_program(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  const std::vector<char> chars{std::istreambuf_iterator<char>(file), {}};
  return testing::program_of(std::as_bytes(std::span(chars)));
}

void replay_corpus(Fd file) {
  FileHarness harness(std::move(file));
  unsigned replayed = 0, skipped = 0;
  const auto corpus = std::filesystem::path(GUESTPROOF_CORPUS) / "block";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(corpus)) {
    if (!entry.is_regular_file()) continue;
    const auto program = read_program(entry.path());
    if (wants_faults(program)) {
      ++skipped;
      continue;
    }
    const auto violation = harness.run(program);
    EXPECT_FALSE(violation) << entry.path() << ": " << violation->sentence;
    ++replayed;
  }
  std::printf("%u inputs on a file, %u want storage that fails\n", replayed, skipped);
  EXPECT_GT(replayed, 4 * skipped);
}

bool punches_holes(Fd& file) {
  FileStorage storage(file.duplicate().value());
  storage.write(Bytes(ModelDisk::kBytes, std::byte{1}));
  EXPECT_TRUE(storage.file.discard(0, ModelDisk::kBytes));
  return storage.read() == Bytes(ModelDisk::kBytes);
}

TEST(FileBackendReplay, OnAMemfd) {
  Fd file(::memfd_create("disk", MFD_CLOEXEC));
  ASSERT_TRUE(punches_holes(file));
  replay_corpus(std::move(file));
}

TEST(FileBackendReplay, OnAFileOfAFileSystem) {
  // Without a name, so that nothing is left behind however this ends.
  Fd file(::open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file.valid() && errno == EOPNOTSUPP)
    GTEST_SKIP() << "the file system of the build has no files without a name";
  ASSERT_TRUE(file.valid()) << std::strerror(errno);
  if (!punches_holes(file)) GTEST_SKIP() << "the file system of the build cannot punch holes";
  replay_corpus(std::move(file));
}

// The replay does see it when a file holds something else.
TEST(FileBackendReplay, SeesAnotherByte) {
  Fd file(::memfd_create("disk", MFD_CLOEXEC));
  ASSERT_TRUE(punches_holes(file));
  const Fd other = file.duplicate().value();
  class Meddling : public FileHarness {
   public:
    Meddling(Fd own, int other) : FileHarness(std::move(own)), other_(other) {}

   private:
    Turn serve(testing::Lane& lane, std::uint32_t looks) override {
      const auto turn = FileHarness::serve(lane, looks);
      EXPECT_EQ(::pwrite(other_, "!", 1, 9 * 512), 1);
      return turn;
    }
    int other_;
  } harness(std::move(file), other.get());

  const auto violation = harness.run(testing::parse_text("request kind=1 value=3").value());

  ASSERT_TRUE(violation);
  EXPECT_EQ(violation->sentence, "byte 4608 of the file differs");
}

}  // namespace
}  // namespace guestproof::virtio::block
