#include "guestproof/virtio/device/net/error.h"

namespace guestproof::virtio::net {
namespace {

constexpr std::array kNetEntries{
    ErrorEntry{NetError::kTxWritable, "tx_writable",
               "a frame to send has {value} device-writable bytes"},
    ErrorEntry{NetError::kTxHeader, "tx_header",
               "a frame to send of {value} bytes with its header, the header has {limit}"},
    ErrorEntry{NetError::kTxParts, "tx_parts",
               "a frame to send in more than {limit} parts of host memory"},
    ErrorEntry{NetError::kRxReadable, "rx_readable",
               "a receive buffer has {value} device-readable bytes"},
    ErrorEntry{NetError::kRxHeader, "rx_header",
               "a receive buffer of {value} bytes, a frame's header has {limit}"},
    ErrorEntry{
        NetError::kRxRoom, "rx_room",
        "a received frame of {value} bytes with its header, the driver's buffers have {limit}"},
    ErrorEntry{NetError::kFrameShort, "frame_short",
               "a frame of {value} bytes, an Ethernet header has {limit}"},
    ErrorEntry{NetError::kFrameLong, "frame_long",
               "a frame of {value} bytes, the maximum is {limit}"},
    ErrorEntry{NetError::kChecksumNotNegotiated, "checksum_not_negotiated",
               "a frame without checksum (flags {value:x}), which was not negotiated"},
    ErrorEntry{NetError::kChecksumRange, "checksum_range",
               "the checksum ends at byte {value} of a frame of {limit}"},
    ErrorEntry{NetError::kGsoType, "gso_type", "gso_type {value:x} does not exist"},
    ErrorEntry{NetError::kGsoNotNegotiated, "gso_not_negotiated",
               "gso_type {value:x} was not negotiated"},
    ErrorEntry{NetError::kGsoWithoutChecksum, "gso_without_checksum",
               "gso_type {value:x} in a header without VIRTIO_NET_HDR_F_NEEDS_CSUM"},
    ErrorEntry{NetError::kGsoSize, "gso_size", "gso_type {value:x} with a gso_size of 0"},
    ErrorEntry{NetError::kHeaderLength, "header_length",
               "hdr_len is {value} in front of a frame of {limit} bytes"},
    ErrorEntry{NetError::kLinkDown, "link_down", "a frame of {value} bytes while the link is down"},
};
static_assert(error_entries_are_dense(kNetEntries));
constexpr ErrorDomain kNetDomain{"net", kNetEntries};

constexpr std::array kControlEntries{
    ErrorEntry{NetControlError::kNoAck, "no_ack",
               "a command of {value} bytes has no device-writable byte for its ack"},
    ErrorEntry{NetControlError::kHeader, "header",
               "a command of {value} bytes, its class and command have {limit}"},
    ErrorEntry{NetControlError::kCommand, "command",
               "there is no command {limit} of class {value}"},
    ErrorEntry{NetControlError::kNotNegotiated, "not_negotiated",
               "a command of class {value} without its feature, bit {limit}"},
    ErrorEntry{NetControlError::kLength, "length",
               "a command with {value} bytes of data, not {limit}"},
    ErrorEntry{NetControlError::kTable, "table",
               "a table of {value} MAC addresses, there are bytes for {limit}"},
    ErrorEntry{NetControlError::kSwitch, "switch", "a mode is set to {value}, not 0 or {limit}"},
    ErrorEntry{NetControlError::kMacKind, "mac_kind",
               "the MAC address {value:x} is of the wrong kind, unicast or multicast"},
    ErrorEntry{NetControlError::kVlan, "vlan", "VLAN {value}, there are {limit}"},
    ErrorEntry{NetControlError::kPairs, "pairs", "{value} virtqueue pairs, not from 1 to {limit}"},
    ErrorEntry{NetControlError::kOffloads, "offloads",
               "offloads {value:x}, those negotiated are {limit:x}"},
    ErrorEntry{NetControlError::kOffloadNeeds, "offload_needs",
               "offload {value} is to be on, and {limit}, which it needs, is not"},
};
static_assert(error_entries_are_dense(kControlEntries));
constexpr ErrorDomain kControlDomain{"net_control", kControlEntries};

constexpr std::array kConfigEntries{
    ErrorEntry{NetConfigError::kFeatures, "features",
               "features {value:x} are offered, this device has {limit:x}"},
    ErrorEntry{NetConfigError::kFeatureNeeds, "feature_needs",
               "feature {value} is offered without feature {limit}, which it needs"},
    ErrorEntry{NetConfigError::kMac, "mac", "the MAC address {value:x} is a multicast address"},
    ErrorEntry{NetConfigError::kPairs, "pairs", "{value} virtqueue pairs, not from 1 to {limit}"},
    ErrorEntry{NetConfigError::kMtu, "mtu", "an MTU of {value}, the minimum is {limit}"},
    ErrorEntry{NetConfigError::kSpeed, "speed",
               "a speed of {value} Mbit/s, the maximum is {limit}"},
    ErrorEntry{NetConfigError::kBackendPairs, "backend_pairs",
               "{value} virtqueue pairs, the back end has {limit}"},
    ErrorEntry{NetConfigError::kBackendOffloads, "backend_offloads",
               "offloads {value:x} are offered, the back end has {limit:x}"},
};
static_assert(error_entries_are_dense(kConfigEntries));
constexpr ErrorDomain kConfigDomain{"net_config", kConfigEntries};

constexpr std::array kTapEntries{
    ErrorEntry{TapError::kName, "name",
               "an interface name of {value} bytes, the maximum is {limit}"},
    ErrorEntry{TapError::kInterface, "interface", "making a tap interface failed: {errno}"},
    ErrorEntry{TapError::kFlags, "flags",
               "an interface with flags {value:x}, a tap back end needs {limit:x}"},
    ErrorEntry{TapError::kHeader, "header", "setting the header of a tap failed: {errno}"},
    ErrorEntry{TapError::kOffloads, "offloads", "setting the offloads of a tap failed: {errno}"},
    ErrorEntry{TapError::kQueue, "queue", "enabling or disabling a tap's queue failed: {errno}"},
    ErrorEntry{TapError::kPoll, "poll", "watching a tap failed: {errno}"},
};
static_assert(error_entries_are_dense(kTapEntries));
constexpr ErrorDomain kTapDomain{"tap", kTapEntries};

}  // namespace

const ErrorDomain& error_domain(NetError) { return kNetDomain; }
const ErrorDomain& error_domain(NetControlError) { return kControlDomain; }
const ErrorDomain& error_domain(NetConfigError) { return kConfigDomain; }
const ErrorDomain& error_domain(TapError) { return kTapDomain; }

}  // namespace guestproof::virtio::net
