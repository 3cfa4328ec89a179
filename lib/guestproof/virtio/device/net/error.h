// What can be wrong with frames, control commands, and the configuration of a network device.
#pragma once

#include "guestproof/base/error.h"

namespace guestproof::virtio::net {

/// A frame that is dropped, or a chain that cannot take one.
enum class NetError : std::uint16_t {
  kTxWritable,
  kTxHeader,
  kTxParts,
  kRxReadable,
  kRxHeader,
  kRxRoom,
  kFrameShort,
  kFrameLong,
  kChecksumNotNegotiated,
  kChecksumRange,
  kGsoType,
  kGsoNotNegotiated,
  kGsoWithoutChecksum,
  kGsoSize,
  kHeaderLength,
  kLinkDown,
};
const ErrorDomain& error_domain(NetError);

/// A command that is not executed.
enum class NetControlError : std::uint16_t {
  kNoAck,
  kHeader,
  kCommand,
  kNotNegotiated,
  kLength,
  kTable,
  kSwitch,
  kMacKind,
  kVlan,
  kPairs,
  kOffloads,
  kOffloadNeeds,
};
const ErrorDomain& error_domain(NetControlError);

/// What a host may not configure.
enum class NetConfigError : std::uint16_t {
  kFeatures,
  kFeatureNeeds,
  kMac,
  kPairs,
  kMtu,
  kSpeed,
  kBackendPairs,
  kBackendOffloads,
};
const ErrorDomain& error_domain(NetConfigError);

/// A tap that cannot be used; the value is errno, or for kName the length and its limit.
enum class TapError : std::uint16_t {
  kName,
  kInterface,
  kFlags,
  kHeader,
  kOffloads,
  kQueue,
  kPoll,
};
const ErrorDomain& error_domain(TapError);

}  // namespace guestproof::virtio::net
