// The guest's RAM, in the windows that the architecture's layout has for it.
//
// Thread-safety: functions.
#pragma once

#include <vector>

#include "guestproof/loader/image.h"
#include "guestproof/memory/mapped_memory.h"
#include "vmm/config.h"

namespace guestproof::vmm {

/// In the order of addresses; the first windows are full.
[[nodiscard]] std::vector<loader::GuestRange> ram_ranges(std::uint64_t bytes);

/// Nothing is touched before the guest does. Complaints: kSetup: the host does not give so much.
[[nodiscard]] Outcome<MappedMemory> make_ram(const Config& config);

}  // namespace guestproof::vmm
