// Instructions of a piece of work, counted one by one: virtual machines seldom have counters for
// that, and unlike time the number is the same on a busy machine.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

namespace guestproof::bench {

/// How many instructions of user space `work` is, done once by a copy of this process. An
/// instruction that repeats itself (rep movs) counts each time. Nothing where a process may not
/// trace its child, or the child fails.
std::optional<std::uint64_t> instructions(const std::function<void()>& work);

}  // namespace guestproof::bench
