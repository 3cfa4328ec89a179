// Coverage that a copy of this process has counted counts: what clang's source-based coverage has
// comes back to this process, what gcov has the copy adds to the files itself. Only the program's
// own, and not that of shared libraries.
//
// Thread-safety: none.
#pragma once

#include <utility>

#include "guestproof/ring0/area.h"

namespace guestproof::ring0 {

class Profile {
 public:
  /// Of the counters as they are now. Errors: SystemError::kMap.
  [[nodiscard]] static Result<Profile> create();
  /// In the copy, before it counts: what this process has counted it will write itself.
  static void begin();
  /// In the copy: what it has counted.
  void save() const;
  /// Here, when the copy has ended: adds it.
  void merge() const;

 private:
  explicit Profile(Area area) : area_(std::move(area)) {}

  Area area_;  // shared: counters as they were, then what was added; behind them the bitmap
};

}  // namespace guestproof::ring0
