#include "guestproof/testing/model/model_disk.h"

#include <algorithm>
#include <cstring>

namespace guestproof::testing {
namespace {

constexpr auto kContents = [] {
  std::array<std::byte, ModelDisk::kBytes> contents{};
  for (std::size_t i = 0; i < contents.size(); ++i)
    contents[i] = static_cast<std::byte>(1 + (i * 7 + i / ModelDisk::kSector * 31) % 251);
  return contents;
}();

}  // namespace

ModelDisk::ModelDisk() : bytes_(kContents.begin(), kContents.end()) {}

ModelDisk::Transfer ModelDisk::reach(std::uint64_t offset, std::size_t length,
                                     std::uint64_t error) const {
  const auto limit = std::min(error, faults.end);
  if (length == 0 || offset + length <= limit) return {length, Stop::kNone};
  return {limit > offset ? limit - offset : 0, error <= faults.end ? Stop::kError : Stop::kEnd};
}

ModelDisk::Transfer ModelDisk::read(std::uint64_t offset, std::span<std::byte> out) const {
  const auto done = reach(offset, out.size(), faults.read_error);
  if (done.bytes != 0) std::memcpy(out.data(), bytes_.data() + offset, done.bytes);
  return done;
}

ModelDisk::Transfer ModelDisk::write(std::uint64_t offset, std::span<const std::byte> in) {
  const auto done = reach(offset, in.size(), faults.write_error);
  if (done.bytes != 0) std::memcpy(bytes_.data() + offset, in.data(), done.bytes);
  touch(offset, done.bytes, Stored::kWritten);
  return done;
}

bool ModelDisk::flush() {
  ++flushes_;
  return !faults.flush_error;
}

bool ModelDisk::discard(std::uint64_t offset, std::uint64_t length) {
  return set(offset, length, discarded, Stored::kDiscarded);
}

bool ModelDisk::write_zeroes(std::uint64_t offset, std::uint64_t length, bool unmap) {
  return set(offset, length, std::byte{0}, unmap ? Stored::kUnmapped : Stored::kWritten);
}

bool ModelDisk::secure_erase(std::uint64_t offset, std::uint64_t length) {
  return set(offset, length, std::byte{0}, Stored::kErased);
}

bool ModelDisk::set(std::uint64_t offset, std::uint64_t length, std::byte value, Stored how) {
  if (offset + length > faults.range_error) return false;
  std::ranges::fill(std::span(bytes_).subspan(offset, length), value);
  touch(offset, length, how);
  return true;
}

void ModelDisk::touch(std::uint64_t offset, std::uint64_t length, Stored how) {
  if (length == 0) return;
  for (auto sector = offset / kSector; sector <= (offset + length - 1) / kSector; ++sector) {
    touched_[sector] = true;
    stored_[sector] = how;
  }
}

void ModelDisk::reset() {
  faults = {};
  flushes_ = 0;
  for (std::size_t sector = 0; sector < kSectors; ++sector) {
    if (!touched_[sector]) continue;
    std::memcpy(bytes_.data() + sector * kSector, kContents.data() + sector * kSector, kSector);
    touched_[sector] = false;
    stored_[sector] = Stored::kWritten;
  }
}

std::optional<std::size_t> ModelDisk::first_difference(const ModelDisk& other) const {
  for (std::size_t sector = 0; sector < kSectors; ++sector) {
    if (!touched_[sector] && !other.touched_[sector]) continue;
    const auto at = sector * kSector;
    if (stored_[sector] != other.stored_[sector] ||
        std::memcmp(bytes_.data() + at, other.bytes_.data() + at, kSector) != 0)
      return sector;
  }
  return std::nullopt;
}

}  // namespace guestproof::testing
