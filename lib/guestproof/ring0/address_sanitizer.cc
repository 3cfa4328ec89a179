#include "guestproof/ring0/address_sanitizer.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

extern "C" {
[[gnu::weak]] void __asan_init();
[[gnu::weak]] void __sanitizer_start_switch_fiber(void** frames, const void* bottom,
                                                  std::size_t size);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* frames, const void** bottom,
                                                   std::size_t* size);
}

namespace guestproof::ring0 {
namespace {

constexpr std::array<std::uint64_t, 6> kServed{SYS_mmap,        SYS_munmap,      SYS_madvise,
                                               SYS_sigaltstack, SYS_sched_yield, SYS_futex};

}  // namespace

std::optional<std::uint64_t> serve_address_sanitizer(const SystemCall& call) {
  if (__asan_init == nullptr || std::ranges::find(kServed, call.number) == kServed.end())
    return std::nullopt;
  const auto& [a, b, c, d, e, f] = call.arguments;
  // The guest's errno is this thread's, and no system call's business.
  const int before = errno;
  const auto value = ::syscall(static_cast<long>(call.number), a, b, c, d, e, f);
  const auto answer = static_cast<std::uint64_t>(value < 0 ? -errno : value);
  errno = before;
  return answer;
}

void StackSwitch::enter_guest() {
  if (__sanitizer_start_switch_fiber == nullptr) return;
  __sanitizer_start_switch_fiber(&frames_of_host_, guest_.data(), guest_.size());
  const void* bottom = nullptr;
  std::size_t size = 0;
  __sanitizer_finish_switch_fiber(frames_of_guest_, &bottom, &size);
  host_ = {static_cast<const std::byte*>(bottom), size};
}

void StackSwitch::leave_guest() {
  if (__sanitizer_start_switch_fiber == nullptr) return;
  __sanitizer_start_switch_fiber(&frames_of_guest_, host_.data(), host_.size());
  __sanitizer_finish_switch_fiber(frames_of_host_, nullptr, nullptr);
}

}  // namespace guestproof::ring0
