#include "guestproof/base/invariant.h"

#include <cstdio>
#include <cstdlib>

namespace guestproof {

void invariant_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, condition);
  std::abort();
}

}  // namespace guestproof
