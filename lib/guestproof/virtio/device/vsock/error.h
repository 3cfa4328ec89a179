// What can be wrong with a vsock packet, with a connection, and with the host's end of it. A packet
// with an error costs the driver that packet, never the queue: its chain is returned with used
// length 0.
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
  kEventReadable,
  kEventRoom,
};
const ErrorDomain& error_domain(VsockError);

/// A packet that does not fit its connection: it is answered with RST (a RST never is).
enum class ConnectionError : std::uint16_t {
  kUnknown,
  kNotEstablished,
  kEstablished,
  kAfterShutdown,
  kNoCredit,
  kForwardCount,
  kTooMany,
};
const ErrorDomain& error_domain(ConnectionError);

/// The host's end of connections. The value is errno, but for kPath and kConnectText.
enum class SocketError : std::uint16_t {
  kPath,
  kSocket,
  kBind,
  kEpoll,
  kConnect,
  kRead,
  kWrite,
  kConnectText,
};
const ErrorDomain& error_domain(SocketError);

}  // namespace guestproof::virtio::vsock
