// Calls that fill or take a FlexArray.
#pragma once

#include "guestproof/kvm/flex_array.h"
#include "guestproof/kvm/ioctls.h"

namespace guestproof::kvm {

/// An array that the kernel fills and counts. Errors: the ioctl (E2BIG: it has more than Array's
/// limit), kEntryCount.
template <class Array>
[[nodiscard]] Result<Array> filled(int fd, Ioctl ioctl) {
  auto array = Array::zeroed(Array::kLimit);
  if (!array) return array;
  if (const auto done = call_with(fd, ioctl, array->header()); !done)
    return std::unexpected(done.error());
  if (const auto ok = array->accept_count(Array::kLimit); !ok) return std::unexpected(ok.error());
  return array;
}

#if defined(__x86_64__)
/// KVM_GET_MSRS and KVM_SET_MSRS: the kernel stops at the first MSR that it refuses, and returns
/// how many came before it. Errors: the ioctl, kMsrRefused.
template <class Array>
[[nodiscard]] Result<void> for_all_msrs(int fd, Ioctl ioctl, Array& msrs) {
  const auto done = call_with(fd, ioctl, msrs.header());
  if (!done) return std::unexpected(done.error());
  const auto count = static_cast<std::size_t>(*done);
  if (count < msrs.size()) return fail(CallError::kMsrRefused, msrs.entries()[count].index, count);
  return {};
}
#endif

}  // namespace guestproof::kvm
