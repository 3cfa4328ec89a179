// Ranges on a bus against a list that is looked through: an access reaches the device whose range
// has all of its bytes, or nobody.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "guestproof/base/bytes.h"
#include "guestproof/bus/bus.h"

namespace guestproof {
namespace {

class Noting : public BusDevice {
 public:
  Result<void> read(std::uint64_t offset, std::span<std::byte> data) override {
    last = offset;
    store(data, 0);
    return {};
  }
  Result<void> write(std::uint64_t offset, std::span<const std::byte>) override {
    last = offset;
    return {};
  }
  std::optional<std::uint64_t> last;
};

struct Range {
  std::uint64_t base;
  std::uint64_t size;
  Noting device{};

  [[nodiscard]] std::uint64_t last() const { return base + (size - 1); }
};

/// Near the end of its space, or near others.
std::uint64_t any_address(std::uint64_t end) {
  const auto near = *rc::gen::inRange<std::uint64_t>(0, 300);
  return *rc::gen::arbitrary<bool>() ? near : end - near;
}

RC_GTEST_PROP(BusOfRanges, IsBuiltUnlessTwoMeetOrOneEndsOutside, (bool ports)) {
  const auto space = ports ? AddressSpace::kPorts : AddressSpace::kMemory;
  const auto end = last_address(space);
  std::deque<Range> ranges;
  Bus::Builder builder(space);
  bool can_be = true;
  for (auto n = *rc::gen::inRange(0, 12); n > 0; --n) {
    const auto base = any_address(end);
    const auto size = *rc::gen::inRange<std::uint64_t>(0, 40);
    const bool fits = size != 0 && size - 1 <= end - base;
    const bool free = std::ranges::none_of(ranges, [&](const Range& other) {
      return other.size != 0 && base <= other.last() && other.base <= base + (size - 1);
    });
    can_be = can_be && fits && free;
    builder.add(base, size, ranges.emplace_back(base, size).device);
  }

  const auto bus = builder.build();

  RC_ASSERT(bus.has_value() == can_be);
  if (!bus) RC_DISCARD("no bus");
  for (int i = 0; i < 20; ++i) {
    const auto address = any_address(end);
    const auto width = *rc::gen::inRange<std::size_t>(0, 10);
    for (auto& range : ranges) range.device.last.reset();
    std::array<std::byte, 10> data{};

    const auto done = *rc::gen::arbitrary<bool>()
                          ? bus->read(address, std::span(data).first(width))
                          : bus->write(address, std::span(data).first(width));

    const auto has_all = [&](const Range& range) {
      return width >= 1 && width <= 8 && address >= range.base && address <= range.last() &&
             range.last() - address >= width - 1;
    };
    RC_ASSERT(done.has_value() == std::ranges::any_of(ranges, has_all));
    for (const auto& range : ranges)
      RC_ASSERT(range.device.last ==
                (has_all(range) ? std::optional(address - range.base) : std::nullopt));
  }
}

}  // namespace
}  // namespace guestproof
