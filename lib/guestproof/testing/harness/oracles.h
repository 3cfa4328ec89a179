// What oracles ask of a world after a step, whatever the device under test is. Each throws
// ViolationFound.
//
// Thread-safety: none.
#pragma once

#include <span>
#include <string_view>

#include "guestproof/testing/harness/runner.h"
#include "guestproof/testing/harness/world.h"

namespace guestproof::testing {

/// fetch-once: the device fetched no byte more often than the model, which reads everything once.
void check_fetches(const World& world);
/// confinement: the device wrote only into `permitted`, which `places` says in words.
void check_confinement(const World& world, std::span<const MemoryRange> permitted,
                       std::string_view places);
/// model-agreement: both memories hold the same bytes.
void check_bytes(const World& world);
/// model-agreement: what the model wrote is marked dirty for the device, and nothing that the
/// device did not write.
void check_dirty_pages(const World& world);

}  // namespace guestproof::testing
