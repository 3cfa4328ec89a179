// A device inside KVM (an interrupt controller, VFIO's KVM side, ...): its attributes
// (Documentation/virt/kvm/devices).
//
// Thread-safety: all members may be called from any thread.
#pragma once

#include "guestproof/base/fd.h"
#include "guestproof/kvm/ioctls.h"

namespace guestproof::kvm {

/// Which attribute: of which group, which one. The pairs are per device, KVM_DEV_….
struct Attribute {
  std::uint32_t group = 0;
  std::uint64_t number = 0;
  std::uint32_t flags = 0;
};

// Attributes that a vCPU or a VM has, too; Device, Vcpu and Vm call these.

/// Errors: kHasDeviceAttr (ENXIO: there is no such attribute).
[[nodiscard]] Result<void> has_attribute(int fd, const Attribute& attribute);
/// The kernel reads what `value` points to, as much as the attribute says. Errors: kSetDeviceAttr.
[[nodiscard]] Result<void> set_attribute(int fd, const Attribute& attribute, const void* value);
/// The kernel writes what `value` points to, as much as the attribute says. Errors: kGetDeviceAttr.
[[nodiscard]] Result<void> get_attribute(int fd, const Attribute& attribute, void* value);

class Device {
 public:
  /// Takes over a descriptor that KVM_CREATE_DEVICE made.
  [[nodiscard]] static Device adopt(Fd fd) { return Device(std::move(fd)); }
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Gives the descriptor away.
  [[nodiscard]] Fd release() && { return std::move(fd_); }

  /// Errors: kHasDeviceAttr.
  [[nodiscard]] Result<void> has(const Attribute& attribute) const {
    return has_attribute(fd(), attribute);
  }
  /// For attributes that are an order and carry nothing. Errors: kSetDeviceAttr.
  [[nodiscard]] Result<void> set(const Attribute& attribute) const {
    return set_attribute(fd(), attribute, nullptr);
  }
  /// REQUIRES: T is what the attribute is documented to have. Errors: kSetDeviceAttr.
  template <class T>
    requires(!std::is_pointer_v<T>)
  [[nodiscard]] Result<void> set(const Attribute& attribute, const T& value) const {
    return set_attribute(fd(), attribute, &value);
  }
  /// REQUIRES: T is what the attribute is documented to have; `value` is what the kernel finds
  /// there, for attributes that are asked a question. Errors: kGetDeviceAttr.
  template <class T>
  [[nodiscard]] Result<T> get(const Attribute& attribute, T value = {}) const {
    if (const auto done = get_attribute(fd(), attribute, &value); !done)
      return std::unexpected(done.error());
    return value;
  }

 private:
  explicit Device(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace guestproof::kvm
