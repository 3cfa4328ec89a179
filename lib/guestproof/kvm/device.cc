#include "guestproof/kvm/device.h"

namespace guestproof::kvm {
namespace {

kvm_device_attr wire(const Attribute& attribute, const void* value) {
  return {.flags = attribute.flags,
          .group = attribute.group,
          .attr = attribute.number,
          .addr = reinterpret_cast<std::uintptr_t>(value)};
}

}  // namespace

Result<void> has_attribute(int fd, const Attribute& attribute) {
  return kvm::set(fd, Ioctl::kHasDeviceAttr, wire(attribute, nullptr));
}

Result<void> set_attribute(int fd, const Attribute& attribute, const void* value) {
  return kvm::set(fd, Ioctl::kSetDeviceAttr, wire(attribute, value));
}

Result<void> get_attribute(int fd, const Attribute& attribute, void* value) {
  return kvm::set(fd, Ioctl::kGetDeviceAttr, wire(attribute, value));
}

}  // namespace guestproof::kvm
