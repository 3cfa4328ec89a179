// ELF kernels of any shape: what was written into the file is what is parsed, and whatever becomes
// of a file, its segments stay apart, within bounds, and within RAM when they are loaded.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

#include "guestproof/loader/elf.h"
#include "guestproof/testing/model/kernel_images.h"
#include "guestproof/testing/model/model_memory.h"

namespace guestproof::loader {
namespace {

namespace image = testing::elf_image;
using Image = std::vector<std::uint8_t>;
using testing::put;

constexpr std::size_t kData = 0x400;

struct Shape {
  std::uint64_t address, bytes, zeros;
};

/// Segments that lie apart, from 1 MiB on.
std::vector<Shape> some_shapes() {
  const auto count = *rc::gen::inRange<std::size_t>(1, 9);
  std::vector<Shape> shapes;
  std::uint64_t next = 0x100000;
  for (std::size_t i = 0; i < count; ++i) {
    const Shape shape{next + *rc::gen::inRange<std::uint64_t>(0, 0x1000),
                      *rc::gen::inRange<std::uint64_t>(1, 0x200),
                      *rc::gen::inRange<std::uint64_t>(0, 0x2000)};
    shapes.push_back(shape);
    next = shape.address + shape.bytes + shape.zeros;
  }
  return shapes;
}

Image file_of(const std::vector<Shape>& shapes) {
  auto file = image::make();
  file.resize(kData);
  put(file, image::kHeaders, shapes.size());
  put(file, image::kEntry, shapes[0].address);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    put(file, image::type(i), 1);
    put(file, image::offset(i), file.size());
    put(file, image::paddr(i), shapes[i].address);
    put(file, image::filesz(i), shapes[i].bytes);
    put(file, image::memsz(i), shapes[i].bytes + shapes[i].zeros);
    file.insert(file.end(), shapes[i].bytes, static_cast<std::uint8_t>(i + 1));
  }
  return file;
}

RC_GTEST_PROP(ElfProp, ParsesWhatWasWritten, ()) {
  const auto shapes = some_shapes();
  const auto file = file_of(shapes);

  const auto elf = ElfImage::parse(std::as_bytes(std::span(file)));

  RC_ASSERT(elf.has_value());
  RC_ASSERT(elf->segments().size() == shapes.size());
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const auto& [memory, bytes] = elf->segments()[i];
    RC_ASSERT(memory ==
              (GuestRange{GuestAddress(shapes[i].address), shapes[i].bytes + shapes[i].zeros}));
    RC_ASSERT(bytes.size() == shapes[i].bytes);
    RC_ASSERT(bytes[0] == std::byte(i + 1));
  }
  RC_ASSERT(elf->entry(KernelProtocol::kLinux64) == GuestAddress(shapes[0].address));
}

RC_GTEST_PROP(ElfProp, TheOrderOfSegmentsDoesNotMatter, ()) {
  auto shapes = some_shapes();
  const auto entry = shapes[0].address;
  const auto place = [&] {
    auto file = file_of(shapes);
    put(file, image::kEntry, entry);
    return ElfImage::parse(std::as_bytes(std::span(file))).value().memory();
  };
  const auto before = place();
  std::reverse(shapes.begin(), shapes.end());
  RC_ASSERT(place() == before);
}

RC_GTEST_PROP(ElfProp, SpoiltFilesStayWithinBounds, ()) {
  auto file = file_of(some_shapes());
  for (auto changes = *rc::gen::inRange(1, 8); changes != 0; --changes)
    file[*rc::gen::inRange<std::size_t>(0, 64 + 9 * image::kElfHeaderBytes)] =
        *rc::gen::arbitrary<std::uint8_t>();
  const auto elf = ElfImage::parse(std::as_bytes(std::span(file)));
  if (!elf) return;

  const auto memory =
      MappedMemory::Builder().anonymous(GuestAddress(0x100000), 0x10000).build().value();
  for (const auto& one : elf->segments()) {
    RC_ASSERT(one.bytes.size() <= one.memory.size);
    RC_ASSERT(one.memory.base.raw() >= 0x100000u);
    RC_ASSERT(one.memory.base.raw() + one.memory.size <= 0x1'0000'0000u);
    for (const auto& other : elf->segments())
      RC_ASSERT(&one == &other || !overlap(one.memory, other.memory));
  }
  const bool in_ram = std::ranges::all_of(elf->segments(), [&](const auto& segment) {
    return check_ram(memory, segment.memory).has_value();
  });
  if (elf->entry(KernelProtocol::kLinux64))
    RC_ASSERT(load(memory, *elf, KernelProtocol::kLinux64).has_value() == in_ram);
}

}  // namespace
}  // namespace guestproof::loader
