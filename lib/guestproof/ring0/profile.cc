#include "guestproof/ring0/profile.h"

#include <algorithm>
#include <span>

#include "guestproof/memory/mapped_memory.h"

// The linker's names of the ends of a section: there when anything is in it.
extern "C" {
[[gnu::weak, gnu::visibility("hidden")]] extern std::uint64_t __start___llvm_prf_cnts[];
[[gnu::weak, gnu::visibility("hidden")]] extern std::uint64_t __stop___llvm_prf_cnts[];
[[gnu::weak, gnu::visibility("hidden")]] extern std::uint8_t __start___llvm_prf_bits[];
[[gnu::weak, gnu::visibility("hidden")]] extern std::uint8_t __stop___llvm_prf_bits[];
// GCC's are there where a source that is counted has test.h.
[[gnu::weak]] void __gcov_dump();
[[gnu::weak]] void __gcov_reset();
}

namespace guestproof::ring0 {
namespace {

std::span<std::uint64_t> counters() { return {__start___llvm_prf_cnts, __stop___llvm_prf_cnts}; }
/// Which combinations of conditions there were (-fcoverage-mcdc).
std::span<std::uint8_t> bitmap() { return {__start___llvm_prf_bits, __stop___llvm_prf_bits}; }

std::uint64_t* counters_in(const Area& area) {
  return reinterpret_cast<std::uint64_t*>(area.bytes().data());
}
std::uint8_t* bitmap_in(const Area& area) {
  return reinterpret_cast<std::uint8_t*>(area.bytes().data() + counters().size_bytes());
}

}  // namespace

Result<Profile> Profile::create() {
  const auto page = host_page_size();
  const auto size = counters().size_bytes() + bitmap().size_bytes();
  auto area = Area::create((size + page) / page * page, Area::Sharing::kShared);
  if (!area) return std::unexpected(area.error());
  std::ranges::copy(counters(), counters_in(*area));
  return Profile(std::move(*area));
}

void Profile::begin() {
  if (__gcov_reset != nullptr) __gcov_reset();
}

void Profile::save() const {
  auto* at = counters_in(area_);
  for (const auto counter : counters()) {
    *at = counter - *at;
    ++at;
  }
  std::ranges::copy(bitmap(), bitmap_in(area_));
  if (__gcov_dump != nullptr) __gcov_dump();
}

void Profile::merge() const {
  const auto* at = counters_in(area_);
  for (auto& counter : counters()) counter += *at++;
  const auto* bits = bitmap_in(area_);
  for (auto& byte : bitmap()) byte |= *bits++;
}

}  // namespace guestproof::ring0
