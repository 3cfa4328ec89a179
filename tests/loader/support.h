// What tests of the loaders have around them: images to spoil, and memory to load them into.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "guestproof/memory/mapped_memory.h"
#include "guestproof/testing/model/kernel_images.h"
#include "guestproof/testing/model/model_memory.h"
#include "print.h"

namespace guestproof::loader {

using testing::number_at;
using testing::put;

using Image = std::vector<std::uint8_t>;

inline std::span<const std::byte> bytes_of(const Image& image) {
  return std::as_bytes(std::span(image));
}

inline Image image_of(std::span<const std::byte> bytes) {
  Image image(bytes.size());
  std::ranges::copy(bytes, std::as_writable_bytes(std::span(image)).begin());
  return image;
}

inline MappedMemory make_memory(GuestAddress base, std::uint64_t size) {
  return MappedMemory::Builder().anonymous(base, size).build().value();
}

/// What lies in guest memory.
template <GuestMemory M>
Image read(const M& memory, std::uint64_t address, std::size_t length) {
  Image image(length);
  EXPECT_TRUE(read_bytes(memory, GuestAddress(address), std::as_writable_bytes(std::span(image))));
  return image;
}

inline void fill(const MappedMemory& memory, std::uint8_t value) {
  for (const auto& region : memory.regions())
    std::fill_n(region.host(), region.size(), std::byte{value});
}

}  // namespace guestproof::loader
