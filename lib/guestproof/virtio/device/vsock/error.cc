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
};
static_assert(error_entries_are_dense(kEntries));
constexpr ErrorDomain kDomain{"vsock", kEntries};

}  // namespace

const ErrorDomain& error_domain(VsockError) { return kDomain; }

}  // namespace guestproof::virtio::vsock
