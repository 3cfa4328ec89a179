// The address space of this process, as the kernel tells it (proc(5), /proc/PID/maps).
//
// It is asked while a guest is stopped in the middle of anything, malloc() too, whose locks and
// thread-local state are the guest's and this process's in common: nothing here allocates.
//
// Thread-safety: find() by any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "guestproof/base/fd.h"
#include "guestproof/ring0/error.h"

namespace guestproof::ring0 {

/// [begin, end), in bytes, whole pages, and what may be done there.
struct HostMapping {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool read = false;
  bool write = false;
  bool execute = false;

  friend bool operator==(const HostMapping&, const HostMapping&) = default;
};

/// `55d0c8a00000-55d0c8a21000 rw-p 00000000 00:00 0   [heap]`. Errors: kMapsLine, with where in the
/// line it is no such thing.
[[nodiscard]] Result<HostMapping> parse_mapping(std::string_view line);

class AddressMap {
 public:
  /// Errors: SystemError::kOpen.
  [[nodiscard]] static Result<AddressMap> open(const char* path = "/proc/self/maps");
  /// The mapping that has the address; none when nothing is there. Errors: SystemError::kRead,
  /// kMapsLine.
  [[nodiscard]] Result<std::optional<HostMapping>> find(std::uint64_t address) const;

 private:
  explicit AddressMap(Fd fd) : fd_(std::move(fd)) {}

  Fd fd_;
};

}  // namespace guestproof::ring0
