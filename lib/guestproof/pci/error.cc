#include "guestproof/pci/error.h"

namespace guestproof::pci {
namespace {

constexpr std::array kPciEntries{
    ErrorEntry{PciError::kWidth, "width",
               "an access of {value} bytes; possible are 1 to {limit}, and in configuration space "
               "no 3"},
    ErrorEntry{PciError::kStraddle, "straddle",
               "{limit} bytes at configuration register {value:x} are not in one doubleword"},
    ErrorEntry{PciError::kOffset, "offset",
               "configuration register {value:x} of a function that has {limit:x} bytes of them"},
    ErrorEntry{PciError::kAbsent, "absent",
               "there is no function with routing identifier {value:x}"},
    ErrorEntry{PciError::kPort, "port",
               "{limit} bytes at port {value:x} are no access of configuration mechanism #1"},
    ErrorEntry{PciError::kAddressDisabled, "address_disabled",
               "configuration data while CONFIG_ADDRESS is {value:x}, without its enable bit"},
    ErrorEntry{PciError::kNoBar, "no_bar", "the function has no BAR {value}"},
    ErrorEntry{
        PciError::kDecodeOff, "decode_off",
        "the command register enables {value} (1 ports, 2 memory), which is not for BAR {limit}"},
    ErrorEntry{PciError::kBarOutside, "bar_outside",
               "{limit:x} bytes of a BAR at {value:x} are outside the bus's windows"},
    ErrorEntry{PciError::kBarOverlap, "bar_overlap",
               "a BAR at {value:x} is on top of the one at {limit:x}, which comes first"},
    ErrorEntry{PciError::kUnmapped, "unmapped", "no BAR answers at {value:x}"},
    ErrorEntry{PciError::kBarEnd, "bar_end",
               "an access at {value:x} passes the end of its BAR of {limit:x} bytes"},
    ErrorEntry{
        PciError::kMsixPart, "msix_part",
        "{limit} bytes at {value:x} are only in part in the MSI-X table or its pending bits"},
    ErrorEntry{PciError::kNoMsix, "no_msix", "vector {value} of a function without MSI-X"},
};
static_assert(error_entries_are_dense(kPciEntries));
constexpr ErrorDomain kPciDomain{"pci", kPciEntries};

constexpr std::array kMsixEntries{
    ErrorEntry{MsixError::kVectors, "vectors",
               "an MSI-X table of {value} vectors; from 1 to {limit} are possible"},
    ErrorEntry{MsixError::kAccess, "access",
               "{limit} bytes at offset {value:x} of an MSI-X structure: neither an aligned "
               "doubleword nor an aligned quadword"},
    ErrorEntry{MsixError::kTableEnd, "table_end",
               "offset {value:x} is past the {limit:x} bytes of the MSI-X table"},
    ErrorEntry{MsixError::kPbaEnd, "pba_end",
               "offset {value:x} is past the {limit:x} bytes of pending bits"},
    ErrorEntry{MsixError::kPbaReadOnly, "pba_read_only",
               "pending bits at offset {value:x} are read-only"},
    ErrorEntry{MsixError::kVector, "vector", "vector {value} of a table of {limit}"},
    ErrorEntry{MsixError::kDisabled, "disabled", "vector {value} while MSI-X is disabled"},
};
static_assert(error_entries_are_dense(kMsixEntries));
constexpr ErrorDomain kMsixDomain{"msix", kMsixEntries};

constexpr std::array kBuildEntries{
    ErrorEntry{PciBuildError::kBarIndex, "bar_index",
               "BAR {value} with all of its registers is not among the first {limit}"},
    ErrorEntry{PciBuildError::kBarTaken, "bar_taken", "the register of BAR {value} is in use"},
    ErrorEntry{PciBuildError::kBarSize, "bar_size",
               "a BAR of {value:x} bytes: no power of two, or not possible for its kind (up to "
               "{limit:x})"},
    ErrorEntry{PciBuildError::kCapabilityBody, "capability_body",
               "a capability with {value} bytes after its header; at most {limit}"},
    ErrorEntry{PciBuildError::kCapabilityMask, "capability_mask",
               "{value} bytes say what is writable of a capability of {limit}"},
    ErrorEntry{PciBuildError::kCapabilityRoom, "capability_room",
               "a capability of {value} bytes; {limit} are left"},
    ErrorEntry{
        PciBuildError::kWindow, "window",
        "a register window at {value:x}: no doubleword of a capability's (from {limit:x} on)"},
    ErrorEntry{PciBuildError::kWindowTwice, "window_twice",
               "a second register window at {value:x}, after the one at {limit:x}"},
    ErrorEntry{PciBuildError::kPin, "pin", "interrupt pin {value}, not one of 1 to {limit}"},
    ErrorEntry{PciBuildError::kMsixTwice, "msix_twice",
               "a second MSI-X capability, after the one at {value:x}"},
    ErrorEntry{PciBuildError::kMsixVectors, "msix_vectors",
               "an MSI-X capability for {value} vectors; from 1 to {limit} are possible"},
    ErrorEntry{PciBuildError::kMsixBar, "msix_bar", "BAR {value} for MSI-X is no memory BAR"},
    ErrorEntry{PciBuildError::kMsixAlign, "msix_align",
               "offset {value:x} of an MSI-X structure is not a multiple of {limit}"},
    ErrorEntry{PciBuildError::kMsixRange, "msix_range",
               "an MSI-X structure that ends at {value:x} of a BAR of {limit:x} bytes"},
    ErrorEntry{PciBuildError::kMsixOverlap, "msix_overlap",
               "the MSI-X table at {value:x} overlaps its pending bits at {limit:x}"},
    ErrorEntry{PciBuildError::kSlot, "slot",
               "routing identifier {value:x}: past 32 devices of 8 functions"},
    ErrorEntry{PciBuildError::kSlotTaken, "slot_taken",
               "there is a function with routing identifier {value:x} already"},
    ErrorEntry{PciBuildError::kSingleFunction, "single_function",
               "function {value:x} of a device whose function 0 is missing or says that it is the "
               "only one"},
    ErrorEntry{PciBuildError::kAddressWindow, "address_window",
               "a window of addresses at {value:x} that ends past {limit:x}, or meets another"},
};
static_assert(error_entries_are_dense(kBuildEntries));
constexpr ErrorDomain kBuildDomain{"pci_build", kBuildEntries};

constexpr std::array kStateEntries{
    ErrorEntry{PciStateError::kBytes, "bytes", "PCI state of {value} bytes, {limit} are needed"},
    ErrorEntry{PciStateError::kMagic, "magic", "PCI state field magic is {value:x}, not {limit:x}"},
    ErrorEntry{PciStateError::kVersion, "version",
               "PCI state field version is {value}; this library reads {limit}"},
    ErrorEntry{PciStateError::kLength, "length", "PCI state field length is {value}, not {limit}"},
    ErrorEntry{PciStateError::kReserved, "reserved",
               "PCI state field reserved is {value:x}, not 0"},
    ErrorEntry{PciStateError::kFunctions, "functions",
               "PCI state field functions is {value}; the bus has {limit}"},
    ErrorEntry{PciStateError::kConfigAddress, "config_address",
               "PCI state field config_address is {value:x}, with bits besides {limit:x}"},
    ErrorEntry{PciStateError::kSlot, "slot",
               "PCI state has function {value:x} where the bus has {limit:x}"},
    ErrorEntry{PciStateError::kReadOnly, "read_only",
               "PCI state changes read-only bits of configuration byte {value:x}, which is "
               "{limit:x}"},
    ErrorEntry{PciStateError::kMsixLength, "msix_length",
               "PCI state field msix_length is {value}, not {limit}"},
    ErrorEntry{PciStateError::kMsixVectors, "msix_vectors",
               "MSI-X state field vectors is {value}, not the table's {limit}"},
    ErrorEntry{PciStateError::kMsixFlags, "msix_flags",
               "MSI-X state field flags is {value:x}; the known flags are {limit:x}"},
    ErrorEntry{PciStateError::kMsixAddress, "msix_address",
               "MSI-X state has message address {value:x} for vector {limit}: not a multiple of 4"},
    ErrorEntry{
        PciStateError::kMsixVectorControl, "msix_vector_control",
        "MSI-X state has vector control {value:x} for vector {limit}: bits besides the mask"},
    ErrorEntry{PciStateError::kMsixPending, "msix_pending",
               "MSI-X state has vector {value} pending; the table has {limit}"},
    ErrorEntry{
        PciStateError::kMsixDeliverable, "msix_deliverable",
        "MSI-X state has vector {value} pending while nothing keeps it from being delivered"},
    ErrorEntry{PciStateError::kMsixControl, "msix_control",
               "MSI-X state has flags {value:x}, the function's registers say {limit:x}"},
};
static_assert(error_entries_are_dense(kStateEntries));
constexpr ErrorDomain kStateDomain{"pci_state", kStateEntries};

}  // namespace

const ErrorDomain& error_domain(PciError) { return kPciDomain; }
const ErrorDomain& error_domain(MsixError) { return kMsixDomain; }
const ErrorDomain& error_domain(PciBuildError) { return kBuildDomain; }
const ErrorDomain& error_domain(PciStateError) { return kStateDomain; }

}  // namespace guestproof::pci
