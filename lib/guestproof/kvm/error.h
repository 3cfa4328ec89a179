// What this library itself refuses: what a page shared with KVM says and cannot mean, arrays that
// do not fit, saved state that is not whole. (What the kernel refuses is an Ioctl, see ioctls.h.)
#pragma once

#include "guestproof/base/error.h"

namespace guestproof::kvm {

/// kvm_run, the coalesced ring and the dirty ring: memory that another party writes.
enum class PageError : std::uint16_t {
  kRunSize,
  kIoDirection,
  kIoSize,
  kIoCount,
  kIoOffset,
  kMmioLength,
  kMmioDirection,
  kDataCount,
  kInstructionLength,
  kHypervType,
  kXenType,
  kRingIndex,
  kRingLength,
  kDirtyFlags,
  kDirtyRingSize,
};
const ErrorDomain& error_domain(PageError);

/// Arguments that would be wrong before the kernel sees them, and answers of the kernel that do not
/// fit.
enum class CallError : std::uint16_t {
  kApiVersion,
  kTooManyEntries,
  kEntryCount,
  kUnknownSlot,
  kBitmapLength,
  kDatamatch,
  kRegisterSize,
  kStateLength,
  kExitPending,
  kMsrRefused,
  kMsrBitmap,
  kStatistics,
  kStatisticsName,
};
const ErrorDomain& error_domain(CallError);

}  // namespace guestproof::kvm
