// How failing expectations show the library's values. To be included by every test that compares
// them.
#pragma once

#include <ios>
#include <ostream>

#include "guestproof/base/error.h"
#include "guestproof/memory/guest_address.h"

namespace guestproof {

inline void PrintTo(const Error& error, std::ostream* out) {
  *out << error.name() << " (" << error.message() << ")";
}

inline void PrintTo(GuestAddress address, std::ostream* out) {
  const auto flags = out->flags();
  *out << std::hex << std::showbase << address.raw();
  out->flags(flags);
}

}  // namespace guestproof
