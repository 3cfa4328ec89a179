#include "guestproof/virtio/device/vsock/error.h"

namespace guestproof::virtio::vsock {
namespace {

constexpr std::array kEntries{
    ErrorEntry{VsockError::kGuestCid, "guest_cid",
               "guest CID {value:x} is reserved; a guest's CID is at least 3 and below {limit:x}"},
    ErrorEntry{VsockError::kTxWritable, "tx_writable",
               "a transmitted packet with {value} device-writable bytes (the limit is {limit})"},
    ErrorEntry{VsockError::kTxHeader, "tx_header",
               "a transmitted packet of {value} bytes, its header alone has {limit}"},
    ErrorEntry{VsockError::kTxDataLimit, "tx_data_limit",
               "a transmitted packet's header announces {value} bytes of data, the device takes at "
               "most {limit}"},
    ErrorEntry{VsockError::kTxDataLength, "tx_data_length",
               "a transmitted packet's header announces {value} bytes of data, its chain holds "
               "{limit}"},
    ErrorEntry{VsockError::kRxReadable, "rx_readable",
               "a receive buffer with {value} device-readable bytes (the limit is {limit})"},
    ErrorEntry{VsockError::kRxHeader, "rx_header",
               "a receive buffer of {value} bytes, a packet's header alone has {limit}"},
    ErrorEntry{VsockError::kRxDataLimit, "rx_data_limit",
               "{value} bytes of data for a packet that takes at most {limit}"},
    ErrorEntry{VsockError::kRxDataLength, "rx_data_length",
               "{value} bytes of data for a receive buffer that has room for {limit}"},
    ErrorEntry{VsockError::kSrcCidReserved, "src_cid_reserved",
               "header field src_cid is {value:x}; its upper 32 bits are reserved (at most "
               "{limit:x})"},
    ErrorEntry{VsockError::kDstCidReserved, "dst_cid_reserved",
               "header field dst_cid is {value:x}; its upper 32 bits are reserved (at most "
               "{limit:x})"},
    ErrorEntry{VsockError::kSrcCid, "src_cid",
               "header field src_cid is {value}, the guest's CID is {limit}"},
    ErrorEntry{VsockError::kDstCid, "dst_cid",
               "header field dst_cid is {value}, the host's CID is {limit}"},
    ErrorEntry{VsockError::kType, "type",
               "header field type is {value}, which is unknown or not negotiated (the last known "
               "is {limit})"},
    ErrorEntry{VsockError::kOp, "op",
               "header field op is {value}, which is unknown (they run from 1 to {limit})"},
    ErrorEntry{VsockError::kEventReadable, "event_readable",
               "an event buffer with {value} device-readable bytes (the limit is {limit})"},
    ErrorEntry{VsockError::kEventRoom, "event_room",
               "an event buffer of {value} bytes, an event has {limit}"},
};
static_assert(error_entries_are_dense(kEntries));
constexpr ErrorDomain kDomain{"vsock", kEntries};

constexpr std::array kConnectionEntries{
    ErrorEntry{ConnectionError::kUnknown, "unknown", "op {value} for a connection that is unknown"},
    ErrorEntry{ConnectionError::kNotEstablished, "not_established",
               "op {value} for a connection that the guest has not accepted yet"},
    ErrorEntry{ConnectionError::kEstablished, "established",
               "op {value} for a connection that is established"},
    ErrorEntry{ConnectionError::kAfterShutdown, "after_shutdown",
               "{value} bytes of data after a SHUTDOWN that said there would be no more"},
    ErrorEntry{ConnectionError::kNoCredit, "no_credit",
               "{value} bytes of data for a buffer that has room for {limit}"},
    ErrorEntry{ConnectionError::kForwardCount, "forward_count",
               "header field fwd_cnt is {value}, past the {limit} bytes that were sent"},
    ErrorEntry{ConnectionError::kTooMany, "too_many",
               "a connection more than {value} (the limit is {limit})"},
};
static_assert(error_entries_are_dense(kConnectionEntries));
constexpr ErrorDomain kConnectionDomain{"vsock_connection", kConnectionEntries};

constexpr std::array kSocketEntries{
    ErrorEntry{SocketError::kPath, "path",
               "a socket's path of {value} bytes (the limit is {limit})"},
    ErrorEntry{SocketError::kSocket, "socket", "creating a socket failed: {errno}"},
    ErrorEntry{SocketError::kBind, "bind", "listening at a socket's path failed: {errno}"},
    ErrorEntry{SocketError::kEpoll, "epoll", "waiting for sockets failed: {errno}"},
    ErrorEntry{SocketError::kConnect, "connect", "connecting to a socket failed: {errno}"},
    ErrorEntry{SocketError::kRead, "read", "reading from a socket failed: {errno}"},
    ErrorEntry{SocketError::kWrite, "write", "writing to a socket failed: {errno}"},
    ErrorEntry{SocketError::kConnectText, "connect_text",
               "{value} bytes that are no \"CONNECT port\" (it has at most {limit})"},
};
static_assert(error_entries_are_dense(kSocketEntries));
constexpr ErrorDomain kSocketDomain{"vsock_socket", kSocketEntries};

}  // namespace

const ErrorDomain& error_domain(VsockError) { return kDomain; }
const ErrorDomain& error_domain(ConnectionError) { return kConnectionDomain; }
const ErrorDomain& error_domain(SocketError) { return kSocketDomain; }

}  // namespace guestproof::virtio::vsock
