#include "guestproof/fdt/error.h"

namespace guestproof::fdt {
namespace {

constexpr std::array kEntries{
    ErrorEntry{
        FdtError::kRoot, "root",
        "node {value} is another root, or a root that has a name; the tree has {limit} roots"},
    ErrorEntry{FdtError::kNodeName, "node_name",
               "node {value} has a name that no node can have, or of more than {limit} characters"},
    ErrorEntry{FdtError::kSameNode, "same_node",
               "node {value} has the name of another one in its node"},
    ErrorEntry{FdtError::kNoNode, "no_node",
               "after node {value} and property {limit} something is written outside of all nodes"},
    ErrorEntry{FdtError::kOpenNodes, "open_nodes",
               "{value} nodes are still open, or there is none; the tree has {limit} nodes"},
    ErrorEntry{FdtError::kPropertyName, "property_name",
               "property {value} has a name that no property can have, or of more than {limit} "
               "characters"},
    ErrorEntry{FdtError::kSameProperty, "same_property",
               "property {value} has the name of another one of node {limit}"},
    ErrorEntry{FdtError::kLateProperty, "late_property",
               "property {value} comes after a node inside of its own, which was node {limit}"},
    ErrorEntry{FdtError::kText, "text", "property {value} has a text with a zero byte in it"},
    ErrorEntry{FdtError::kReserved, "reserved",
               "{limit:x} bytes of reserved memory at {value:x} are none, or too many"},
    ErrorEntry{FdtError::kReservedTwice, "reserved_twice",
               "reserved memory at {value:x} meets that at {limit:x}"},
    ErrorEntry{FdtError::kRoom, "room", "a device tree of {value} bytes; {limit} are possible"},
};
static_assert(error_entries_are_dense(kEntries));
constexpr ErrorDomain kDomain{"fdt", kEntries};

}  // namespace

const ErrorDomain& error_domain(FdtError) { return kDomain; }

}  // namespace guestproof::fdt
