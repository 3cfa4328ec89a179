// What the person who started the machine has to be told: one sentence that names the option, file
// or interface and what is wrong with it, and the exit code that goes with it.
//
// Thread-safety: values.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "guestproof/base/error.h"
#include "vmm/exit_code.h"

namespace guestproof::vmm {

struct Complaint {
  ExitCode code = ExitCode::kUsage;
  std::string sentence;
};

template <class T>
using Outcome = std::expected<T, Complaint>;

/// The command line or the configuration file is wrong.
[[nodiscard]] inline std::unexpected<Complaint> wrong_usage(std::string sentence) {
  return std::unexpected(Complaint{ExitCode::kUsage, std::move(sentence)});
}
/// What it asks for cannot be had on this host.
[[nodiscard]] inline std::unexpected<Complaint> cannot(std::string sentence) {
  return std::unexpected(Complaint{ExitCode::kSetup, std::move(sentence)});
}
/// `what` says what was tried, "the disk 'a.img'" say.
[[nodiscard]] inline std::unexpected<Complaint> cannot(std::string_view what, const Error& why) {
  return cannot(std::string(what) + ": " + why.message() + ".");
}
/// The host fails at what it should do.
[[nodiscard]] inline std::unexpected<Complaint> failed(std::string_view what, const Error& why) {
  return std::unexpected(
      Complaint{ExitCode::kFailure, std::string(what) + ": " + why.message() + "."});
}

}  // namespace guestproof::vmm
