// Runs a test in ring 0, in a copy of this process: what it does to its memory, or to what serves
// it, is gone with the copy.
//
// Thread-safety: as fork(2): a copy has the calling thread only.
#pragma once

#include <functional>

#include "guestproof/ring0/host.h"
#include "guestproof/ring0/report.h"

namespace guestproof::ring0 {

/// Calls the body in ring 0 of a virtual machine, and tells the listener what came of it.
void run(const Options& options, const Body& body, const Place& place, Listener& listener);

/// Runs `server` in a copy of this process, and tells the listener of the records that are then in
/// the channel: for machines that are not ours (visitor.h).
void serve_and_report(const Options& options, const std::function<void(const Channel&)>& server,
                      const Place& place, Listener& listener);

}  // namespace guestproof::ring0
