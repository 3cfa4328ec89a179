#include "guestproof/kvm/ioctls.h"

#include <errno.h>
#include <sys/ioctl.h>

#include <algorithm>

namespace guestproof::kvm {
namespace {

constexpr std::array kEntries{
#define GUESTPROOF_KVM_IOCTL(enumerator, name) \
  ErrorEntry{Ioctl::enumerator, #name, #name ": {errno}"},
    GUESTPROOF_KVM_IOCTLS(GUESTPROOF_KVM_IOCTL)
#undef GUESTPROOF_KVM_IOCTL
};
static_assert(error_entries_are_dense(kEntries));
constexpr ErrorDomain kDomain{"kvm", kEntries};

constexpr std::array kRequests{
#define GUESTPROOF_KVM_IOCTL(enumerator, name) static_cast<unsigned long>(name),
    GUESTPROOF_KVM_IOCTLS(GUESTPROOF_KVM_IOCTL)
#undef GUESTPROOF_KVM_IOCTL
};

}  // namespace

const ErrorDomain& error_domain(Ioctl) { return kDomain; }

unsigned long request_of(Ioctl ioctl) { return kRequests[static_cast<std::size_t>(ioctl)]; }

Result<int> call(int fd, Ioctl ioctl, unsigned long argument) {
  const int answer = ::ioctl(fd, request_of(ioctl), argument);
  if (answer < 0) return fail(ioctl, static_cast<std::uint64_t>(errno));
  return answer;
}

Result<void> order(int fd, Ioctl ioctl, unsigned long argument) {
  if (const auto done = call(fd, ioctl, argument); !done) return std::unexpected(done.error());
  return {};
}

Result<void> enable_capability(int fd, Capability capability,
                               const std::array<std::uint64_t, 4>& arguments, std::uint32_t flags) {
  kvm_enable_cap request{};
  request.cap = static_cast<std::uint32_t>(capability);
  request.flags = flags;
  std::ranges::copy(arguments, request.args);
  return set(fd, Ioctl::kEnableCap, request);
}

}  // namespace guestproof::kvm
