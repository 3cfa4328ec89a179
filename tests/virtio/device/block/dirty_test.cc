// Live migration takes the dirty log at any moment: also while a back end is reading.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guestproof/memory/mapped_memory.h"
#include "guestproof/testing/driver.h"
#include "guestproof/virtio/device/block/engine.h"
#include "guestproof/virtio/queue/split_queue.h"

namespace guestproof::virtio::block {
namespace {

using ::testing::ElementsAre;

constexpr GuestAddress kHeader{0x2000};
constexpr GuestAddress kData{0x3e00};  // one sector in page 3, one in page 4
constexpr GuestAddress kStatus{0x5000};

/// A disk of zeroes; the dirty log is taken when it has been asked, and before it answers.
class MigratedBackend : public Backend {
 public:
  explicit MigratedBackend(DirtyBitmap& log) : log_(&log) {}

  [[nodiscard]] std::uint64_t size() const override { return 16 * 512; }
  [[nodiscard]] bool read_only() const override { return false; }
  Result<std::size_t> read_at(std::span<const ::iovec> into, std::uint64_t) override {
    log_->clear();
    std::memset(into.front().iov_base, 0, into.front().iov_len);
    return into.front().iov_len;
  }
  Result<std::size_t> write_at(std::span<const ::iovec>, std::uint64_t) override {
    return fail(SystemError::kWrite);
  }
  Result<void> flush() override { return {}; }
  Result<void> discard(std::uint64_t, std::uint64_t) override { return {}; }
  Result<void> write_zeroes(std::uint64_t, std::uint64_t, bool) override { return {}; }
  Result<void> secure_erase(std::uint64_t, std::uint64_t) override { return {}; }

 private:
  DirtyBitmap* log_;
};

// The pages were marked before the read, and a log taken during it left them clean for ever.
TEST(BlockDirtyTest, MarksThePagesOfAReadAfterTheBytesArrived) {
  const auto memory = MappedMemory::Builder()
                          .anonymous(GuestAddress(0), 0x8000)
                          .track_dirty_pages()
                          .build()
                          .value();
  auto& log = *memory.regions().front().dirty();
  testing::Driver driver(memory, testing::QueueLayout::at(GuestAddress(0x1000), 8));
  SplitQueue<MappedMemory> queue;
  ASSERT_TRUE(queue.activate(memory, driver.layout().config(), {}));
  ASSERT_TRUE(write_object(memory, kHeader, VirtioBlkReq{VIRTIO_BLK_T_IN, 0, 0}));
  driver.add_chain({{kHeader, 16}, {kData, 1024, true}, {kStatus, 1, true}});
  MigratedBackend backend(log);
  ImmediateBackend immediate(backend);
  auto engine = Engine<SplitQueue<MappedMemory>>::create({.capacity = 16}, immediate).value();
  std::optional<Outcome> outcome;
  log.clear();

  engine.take(queue.pop().value().value(), [&](const Outcome& o) { outcome = o; });

  ASSERT_TRUE(outcome && outcome->status == VIRTIO_BLK_S_OK);
  EXPECT_THAT(log.take(), ElementsAre(0b111010u));  // used ring, both data pages, status
}

}  // namespace
}  // namespace guestproof::virtio::block
