// Readers and writers against a flat vector of bytes: however a chain is cut over guest memory,
// they see one run of bytes.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <vector>

#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/queue/cursor.h"

namespace guestproof::virtio {
namespace {

using testing::WatchedMemory;
using Bytes = std::vector<std::byte>;

// Two regions that touch in the middle of the bytes, so that buffers lie across their border.
constexpr std::uint64_t kBorder = 0x2000;
constexpr std::uint64_t kBytes = 0x300;
constexpr std::uint64_t kBase = kBorder - kBytes / 2;
constexpr std::array kRegions{
    WatchedMemory::RegionSpec{GuestAddress(kBorder - 0x1000), 0x1000},
    WatchedMemory::RegionSpec{GuestAddress(kBorder), 0x1000},
};

/// A chain cut at random places out of memory that counts 0, 1, 2, ...; pieces do not overlap.
struct CutChain {
  CutChain() {
    for (std::uint64_t i = 0; i < kBytes; ++i)
      RC_ASSERT(write_object(memory.guest(), GuestAddress(kBase + i), static_cast<std::uint8_t>(i))
                    .has_value());
    std::uint64_t at = kBase;
    while (true) {
      at += *rc::gen::inRange<std::uint64_t>(0, 40);
      const auto length = *rc::gen::inRange<std::uint32_t>(1, 200);
      if (at + length > kBase + kBytes) break;
      buffers.push_back({GuestAddress(at), length});
      at += length;
    }
    buffers = *rc::gen::map(rc::gen::arbitrary<std::uint32_t>(), [this](std::uint32_t seed) {
      auto shuffled = buffers;
      for (std::size_t i = shuffled.size(); i > 1; --i, seed = seed * 1664525 + 1013904223)
        std::swap(shuffled[i - 1], shuffled[seed % i]);
      return shuffled;
    });
    for (const auto& buffer : buffers)
      for (std::uint32_t i = 0; i < buffer.length; ++i)
        flat.push_back(static_cast<std::byte>(buffer.address.raw() + i - kBase));
  }

  [[nodiscard]] Reader<WatchedMemory> reader() const { return {memory, buffers, flat.size()}; }
  [[nodiscard]] Writer<WatchedMemory> writer() const { return {memory, buffers, flat.size()}; }

  WatchedMemory memory{kRegions};
  std::vector<Buffer> buffers;
  Bytes flat;
};

enum class Step { kCopy, kSkip, kSplit };

Step any_step() { return *rc::gen::element(Step::kCopy, Step::kSkip, Step::kSplit); }
/// Mostly within what is left, sometimes past it.
std::size_t any_length(std::size_t left) {
  return *rc::gen::inRange<std::size_t>(0, left + left / 8 + 2);
}

RC_GTEST_PROP(Reader, ReadsTheFlatBytesInSteps, ()) {
  const CutChain chain;
  auto reader = chain.reader();
  std::span<const std::byte> expected(chain.flat);
  for (int steps = *rc::gen::inRange(1, 12); steps > 0; --steps) {
    const auto step = any_step();
    const auto length = any_length(expected.size());
    const bool fits = length <= expected.size();
    Bytes out(length);
    if (step == Step::kCopy) RC_ASSERT(reader.read(out).has_value() == fits);
    if (step == Step::kSkip) RC_ASSERT(reader.skip(length).has_value() == fits);
    if (step == Step::kSplit) {
      auto front = reader.split(length);
      RC_ASSERT(front.has_value() == fits);
      if (fits) RC_ASSERT(front->read(out).has_value());
      if (fits) RC_ASSERT(front->remaining() == 0u);
    }
    if (fits && step != Step::kSkip) RC_ASSERT(std::ranges::equal(out, expected.first(length)));
    if (fits) expected = expected.subspan(length);
    RC_ASSERT(reader.remaining() == expected.size());
  }
  RC_ASSERT(chain.memory.writes().empty());
}

RC_GTEST_PROP(Writer, WritesTheFlatBytesInSteps, ()) {
  const CutChain chain;
  auto writer = chain.writer();
  auto expected = chain.flat;
  std::size_t position = 0;
  for (int steps = *rc::gen::inRange(1, 12); steps > 0; --steps) {
    const auto step = any_step();
    const auto length = any_length(expected.size() - position);
    const bool fits = length <= expected.size() - position;
    const Bytes in(length, std::byte{0xee});
    if (step == Step::kCopy) RC_ASSERT(writer.write(in).has_value() == fits);
    if (step == Step::kSkip) RC_ASSERT(writer.skip(length).has_value() == fits);
    if (step == Step::kSplit) {
      auto front = writer.split(length);
      RC_ASSERT(front.has_value() == fits);
      if (fits) RC_ASSERT(front->fill(length, std::byte{0xee}).has_value());
    }
    if (fits && step != Step::kSkip)
      std::ranges::copy(in, expected.begin() + static_cast<std::ptrdiff_t>(position));
    if (fits) position += length;
    RC_ASSERT(writer.remaining() == expected.size() - position);
  }
  Bytes flat(chain.flat.size());
  RC_ASSERT(chain.memory.fetches().empty());
  RC_ASSERT(chain.reader().read(flat).has_value());
  RC_ASSERT(flat == expected);
}

RC_GTEST_PROP(Writer, WritesNothingOutsideTheChain, ()) {
  const CutChain chain;
  auto writer = chain.writer();

  RC_ASSERT(writer.fill(writer.remaining(), std::byte{0xee}).has_value());

  std::uint64_t written = 0;
  for (const auto& range : chain.memory.writes()) written += range.length;
  RC_ASSERT(written == chain.flat.size());
  for (std::uint64_t at = kBase; at < kBase + kBytes; ++at) {
    const bool inside = std::ranges::any_of(chain.buffers, [&](const Buffer& buffer) {
      return at - buffer.address.raw() < buffer.length;
    });
    const auto byte = read_object<std::uint8_t>(chain.memory.guest(), GuestAddress(at)).value();
    RC_ASSERT(byte == (inside ? 0xee : (at - kBase) % 256));
  }
}

}  // namespace
}  // namespace guestproof::virtio
