// The guest's physical addresses and interrupts on this architecture.
#pragma once

#if defined(__x86_64__)
#include "vmm/x86_64/layout.h"
#elif defined(__aarch64__)
#include "vmm/aarch64/layout.h"
#else
#error "there is no machine for this architecture"
#endif

namespace guestproof::vmm {
#if defined(__x86_64__)
namespace layout = x86_64::layout;
#elif defined(__aarch64__)
namespace layout = aarch64::layout;
#endif
}  // namespace guestproof::vmm
