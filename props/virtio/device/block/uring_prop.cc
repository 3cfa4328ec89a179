// A file through an io_uring is a vector of bytes: whatever is in flight together, as long as it
// does not overlap.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <vector>

#include "guestproof/virtio/device/block/uring/uring_backend.h"

namespace guestproof::virtio::block {
namespace {

using Bytes = std::vector<std::byte>;
using Kind = Operation::Kind;

constexpr std::size_t kSectors = 16;
constexpr std::size_t kSize = kSectors * 512;

/// One operation on a sector of its own.
struct Step {
  Kind kind = Kind::kRead;
  std::uint64_t sector = 0;
  bool may_unmap = false;
  Bytes bytes;
  std::vector<::iovec> parts;
};

Step arbitrary_step(std::uint64_t sector) {
  Step step;
  step.sector = sector;
  step.kind = *rc::gen::element(Kind::kRead, Kind::kWrite, Kind::kWriteZeroes, Kind::kSecureErase,
                                Kind::kFlush);
  step.may_unmap = *rc::gen::arbitrary<bool>();
  step.bytes.assign(512, static_cast<std::byte>(*rc::gen::inRange(1, 256)));
  const auto cut = *rc::gen::inRange<std::size_t>(1, 512);
  step.parts = {{step.bytes.data(), cut}, {step.bytes.data() + cut, 512 - cut}};
  return step;
}

std::vector<std::uint64_t> some_sectors() {
  std::vector<std::uint64_t> sectors(kSectors);
  std::iota(sectors.begin(), sectors.end(), 0);
  const auto keys =
      *rc::gen::container<std::vector<unsigned>>(kSectors, rc::gen::arbitrary<unsigned>());
  std::ranges::sort(sectors, {}, [&](std::uint64_t sector) { return keys[sector]; });
  sectors.resize(*rc::gen::inRange<std::size_t>(1, kSectors + 1).as("in flight"));
  return sectors;
}

void finish_all(AsyncBackend& backend, std::size_t in_flight) {
  RC_ASSERT(backend.dispatch().has_value());
  while (in_flight != 0) {
    backend.wait();
    std::array<Completion, 4> done;
    const auto count = backend.reap(done);
    for (const auto& completion : std::span(done).first(count))
      RC_ASSERT(completion.result.has_value());
    RC_ASSERT(count <= in_flight);
    in_flight -= count;
    RC_ASSERT(backend.dispatch().has_value());
  }
}

void submit(AsyncBackend& backend, const Step& step, std::size_t& in_flight) {
  const bool transfer = step.kind == Kind::kRead || step.kind == Kind::kWrite;
  Operation operation{.kind = step.kind, .may_unmap = step.may_unmap, .offset = step.sector * 512};
  if (transfer)
    operation.parts = step.parts;
  else
    operation.length = 512;
  if (const auto result = backend.submit(operation))
    RC_ASSERT(result->has_value());
  else
    ++in_flight;
}

TEST(UringBackend, IsAVectorOfBytes) {
  const auto possible = [] {
    auto file = FileBackend::create(Fd(::memfd_create("disk", MFD_CLOEXEC)));
    return make_uring_backend(std::move(*file));
  }();
  if (!possible) GTEST_SKIP() << possible.error().message();

  EXPECT_TRUE(rc::check([] {
    Fd file(::memfd_create("disk", MFD_CLOEXEC));
    RC_ASSERT(::ftruncate(file.get(), kSize) == 0);
    auto ring = make_uring_backend(FileBackend::create(file.duplicate().value()).value());
    RC_ASSERT(ring.has_value());
    Bytes expected(kSize);
    const auto rounds = *rc::gen::inRange(1, 4).as("rounds");
    for (int round = 0; round < rounds; ++round) {
      std::vector<Step> steps;
      for (const auto sector : some_sectors()) steps.push_back(arbitrary_step(sector));
      std::size_t in_flight = 0;
      for (const auto& step : steps) submit(**ring, step, in_flight);
      finish_all(**ring, in_flight);
      for (const auto& step : steps) {
        const auto place = std::span(expected).subspan(step.sector * 512, 512);
        if (step.kind == Kind::kRead) RC_ASSERT(std::ranges::equal(step.bytes, place));
        if (step.kind == Kind::kWrite) std::ranges::copy(step.bytes, place.begin());
        if (step.kind == Kind::kWriteZeroes || step.kind == Kind::kSecureErase)
          std::ranges::fill(place, std::byte{0});
      }
      Bytes stored(kSize);
      RC_ASSERT(::pread(file.get(), stored.data(), kSize, 0) == static_cast<::ssize_t>(kSize));
      RC_ASSERT(stored == expected);
    }
  }));
}

}  // namespace
}  // namespace guestproof::virtio::block
