// Runs a test's body in a virtual machine: the side of a copy of the process of the tests.
//
// Thread-safety: one test, once, in a process that has nothing else to do.
#pragma once

#include "guestproof/ring0/channel.h"
#include "guestproof/ring0/options.h"

namespace guestproof::ring0 {

/// What is called in ring 0.
struct Body {
  void (*function)(void* argument) = nullptr;
  void* argument = nullptr;
};

/// What a vCPU calls first, in ring 0, with a Body*.
void enter(void* body);

/// The test is over before there was a guest: an error of the host's side.
void refuse(const Channel& channel, std::string_view why);

/// Returns when the guest has ended and all is said, as records in the channel, that there is to
/// say of it.
void serve(const Options& options, const Body& body, const Channel& channel);

}  // namespace guestproof::ring0
