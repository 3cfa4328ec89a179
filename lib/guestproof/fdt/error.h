// What a device tree cannot be built of.
#pragma once

#include "guestproof/base/error.h"

namespace guestproof::fdt {

/// Nodes and properties are counted in the order in which they were written, from 1 on.
enum class FdtError : std::uint16_t {
  kRoot,
  kNodeName,
  kSameNode,
  kNoNode,
  kOpenNodes,
  kPropertyName,
  kSameProperty,
  kLateProperty,
  kText,
  kReserved,
  kReservedTwice,
  kRoom,
};
const ErrorDomain& error_domain(FdtError);

}  // namespace guestproof::fdt
