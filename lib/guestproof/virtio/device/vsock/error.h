// What can be wrong with a vsock packet. A packet with an error costs the driver that packet, never
// the queue: its chain is returned with used length 0.
#pragma once

#include "guestproof/base/error.h"

namespace guestproof::virtio::vsock {

enum class VsockError : std::uint16_t {
  kGuestCid,
  kTxWritable,
  kTxHeader,
  kTxDataLimit,
  kTxDataLength,
  kRxReadable,
  kRxHeader,
  kRxDataLimit,
  kRxDataLength,
  kSrcCidReserved,
  kDstCidReserved,
  kSrcCid,
  kDstCid,
  kType,
  kOp,
};
const ErrorDomain& error_domain(VsockError);

}  // namespace guestproof::virtio::vsock
