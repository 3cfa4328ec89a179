// What the host's side of a ring-0 test refuses: options that contradict each other, and what a
// guest that runs wild makes of the memory it shares with the host.
#pragma once

#include "guestproof/base/error.h"

namespace guestproof::ring0 {

enum class Ring0Error : std::uint16_t {
  kMapsLine,
  kVcpuCount,
  kTimeLimit,
  kRangeEmpty,
  kRangeEnd,
  kRangeOverlap,
  kRangeAlignment,
  kControlPort,
  kPortTwice,
  kMsrTwice,
  kTwoEnds,
  kTwoAnswers,
  kPrivilege,
  kAddressWidth,
  kPageTables,
  kTableEntry,
  kGuestPhysical,
  kSlots,
  kRingIndex,
  kRecordSize,
  kRecordLost,
  kTrapFrame,
};
const ErrorDomain& error_domain(Ring0Error);

}  // namespace guestproof::ring0
