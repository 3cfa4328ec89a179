// Configuration space: what a guest reads does not depend on how it cuts its accesses, and a BAR of
// any size can be found out and programmed.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <vector>

#include "guestproof/pci/config_space.h"

namespace guestproof::pci {
namespace {

ConfigSpace some_space() {
  ConfigSpace::Builder builder({.vendor = 0x1af4, .device = 0x1042, .class_code = 0x020000});
  RC_ASSERT(builder.set_interrupt_pin(1));
  RC_ASSERT(builder.add_bar(0, {BarKind::kMemory64, 0x4000, true}));
  RC_ASSERT(builder.add_bar(2, {BarKind::kIo, 64}));
  RC_ASSERT(builder.add_msix({4, 0, 0, 0, 0x800}));
  std::vector<std::byte> body(10, std::byte{0x33}), writable(10, std::byte{0xc6});
  RC_ASSERT(builder.add_capability(kCapabilityVendor, body, writable));
  auto space = builder.build();
  space.report(0xf900);
  return space;
}

std::vector<std::byte> read(const ConfigSpace& space, std::uint64_t offset, std::size_t width) {
  std::vector<std::byte> data(width);
  RC_ASSERT(space.read(offset, data));
  return data;
}

RC_GTEST_PROP(ConfigSpace, WritesInPiecesAreWritesOfTheWhole, ()) {
  auto whole = some_space(), pieces = whole;
  for (const auto value :
       *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::arbitrary<std::uint32_t>())) {
    const auto offset = *rc::gen::inRange<std::uint64_t>(0, 64) * 4;
    std::array<std::byte, 4> data;
    store(data, value);
    const auto width = std::size_t{1} << *rc::gen::inRange(0, 2);
    RC_ASSERT(whole.write(offset, data));
    for (std::size_t at = 0; at < 4; at += width)
      RC_ASSERT(pieces.write(offset + at, std::span(data).subspan(at, width)));
    RC_ASSERT(read(whole, offset, 4) == read(pieces, offset, 4));
  }
  RC_ASSERT(std::ranges::equal(whole.bytes(), pieces.bytes()));
}

RC_GTEST_PROP(ConfigSpace, WhatWasWrittenComesBackFromItsBytes, ()) {
  auto space = some_space();
  const auto fresh = space;
  for (const auto value :
       *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::arbitrary<std::uint32_t>())) {
    std::array<std::byte, 4> data;
    store(data, value);
    RC_ASSERT(space.write(*rc::gen::inRange<std::uint64_t>(0, 64) * 4, data));
  }
  const auto again = fresh.with(space.bytes());
  RC_ASSERT(again.has_value());
  RC_ASSERT(std::ranges::equal(again->bytes(), space.bytes()));
}

RC_GTEST_PROP(ConfigSpace, ABarOfAnySizeIsFoundOutAndProgrammed, (std::uint64_t base)) {
  const auto size = std::uint64_t{1} << *rc::gen::inRange(4, 64);
  ConfigSpace::Builder builder({});
  RC_ASSERT(builder.add_bar(2, {BarKind::kMemory64, size}));
  auto space = builder.build();
  const auto write = [&](std::uint64_t value) {
    std::array<std::byte, 8> data;
    store(data, value);
    RC_ASSERT(space.write(0x18, std::span(data).first(4)));
    RC_ASSERT(space.write(0x1c, std::span(data).last(4)));
  };
  write(UINT64_MAX);
  auto bits = load(read(space, 0x1c, 4)) << 32 | load(read(space, 0x18, 4));
  bits &= ~std::uint64_t{15};
  RC_ASSERT(~bits + 1 == size);

  write(base);

  RC_ASSERT(space.bar_range(2).base == base / size * size);
}

}  // namespace
}  // namespace guestproof::pci
