// What can be wrong with an access to PCI, with a function or bus as it is built, and with saved
// state.
#pragma once

#include "guestproof/base/error.h"

namespace guestproof::pci {

/// An access that was answered without effect, or a BAR that answers nowhere. Nothing is broken by
/// it.
enum class PciError : std::uint16_t {
  kWidth,
  kStraddle,
  kOffset,
  kAbsent,
  kPort,
  kAddressDisabled,
  kNoBar,
  kDecodeOff,
  kBarOutside,
  kBarOverlap,
  kUnmapped,
  kBarEnd,
  kMsixPart,
  kNoMsix,
};
const ErrorDomain& error_domain(PciError);

/// An access to an MSI-X structure, or an interrupt, that had no effect.
enum class MsixError : std::uint16_t {
  kVectors,
  kAccess,
  kTableEnd,
  kPbaEnd,
  kPbaReadOnly,
  kVector,
  kDisabled,
};
const ErrorDomain& error_domain(MsixError);

/// What a function or a bus cannot be built of.
enum class PciBuildError : std::uint16_t {
  kBarIndex,
  kBarTaken,
  kBarSize,
  kCapabilityBody,
  kCapabilityMask,
  kCapabilityRoom,
  kWindow,
  kWindowTwice,
  kPin,
  kMsixTwice,
  kMsixVectors,
  kMsixBar,
  kMsixAlign,
  kMsixRange,
  kMsixOverlap,
  kSlot,
  kSlotTaken,
  kSingleFunction,
  kAddressWindow,
};
const ErrorDomain& error_domain(PciBuildError);

/// A field of saved state that cannot be.
enum class PciStateError : std::uint16_t {
  kBytes,
  kMagic,
  kVersion,
  kLength,
  kReserved,
  kFunctions,
  kConfigAddress,
  kSlot,
  kReadOnly,
  kMsixLength,
  kMsixVectors,
  kMsixFlags,
  kMsixAddress,
  kMsixVectorControl,
  kMsixPending,
  kMsixDeliverable,
  kMsixControl,
};
const ErrorDomain& error_domain(PciStateError);

}  // namespace guestproof::pci
