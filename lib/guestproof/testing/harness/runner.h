// What runs scenario programs: a fuzz target's harness, as engines, replays and tests see it.
//
// A runner executes a program record by record and asks its oracles as it goes. What it runs and
// which oracles it has is its own affair; the names of the oracles are the same for all.
//
// Thread-safety: none; a runner is used for many programs one after the other.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "guestproof/testing/harness/depth.h"
#include "guestproof/testing/model/model_memory.h"
#include "guestproof/testing/scenario/record.h"

namespace guestproof::testing {

inline constexpr std::string_view kFetchOnce = "fetch-once";
inline constexpr std::string_view kConfinement = "confinement";
inline constexpr std::string_view kLiveness = "liveness";
inline constexpr std::string_view kModelAgreement = "model-agreement";
inline constexpr std::string_view kRoundTrip = "round-trip";

/// What an oracle has to say.
struct Violation {
  std::string_view oracle;
  std::string sentence;
};

/// Thrown through the device's frames by an oracle; run() catches it. (The library under test
/// throws nothing itself.)
struct ViolationFound {
  Violation violation;
};
[[noreturn]] void violated(std::string_view oracle, std::string sentence);

/// Compares name, value and limit; the name alone for errors of memory and of system calls, whose
/// value depends on how an access is cut. Throws ViolationFound.
void compare_errors(std::string_view oracle, std::string_view what,
                    const std::optional<Error>& device, const ModelError& model);

/// What `patch` does to saved bytes and to files: changes 1 to 8 of them, or lets them end
/// elsewhere.
void patch_bytes(std::vector<std::uint8_t>& bytes, const Record& record);

/// For an oracle's sentence: "0x1f".
[[nodiscard]] std::string hex(std::uint64_t number);

class Runner {
 public:
  Runner() = default;
  virtual ~Runner() = default;
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// The target's name, as in corpus/<name>; mutate.h has the opcodes that make sense for it.
  [[nodiscard]] virtual std::string_view name() const = 0;

  /// Runs one program from a fresh world. Nothing when no oracle had anything to say.
  [[nodiscard]] std::optional<Violation> run(std::span<const Record> program);

  [[nodiscard]] Depth& depth() { return depth_; }

 protected:
  /// Back to a fresh world.
  virtual void start_program() = 0;
  /// False when the program has made enough work.
  [[nodiscard]] virtual bool may_go_on() const = 0;
  /// `record` is canonical.
  virtual void execute(const Record& record) = 0;
  /// Does what a program that did nothing of note leaves to be done.
  virtual void finish_program() = 0;

  // For a runner that is made of others.

  static void start_program_of(Runner& other) { other.start_program(); }
  [[nodiscard]] static bool may_go_on_with(const Runner& other) { return other.may_go_on(); }
  static void execute_with(Runner& other, const Record& record) { other.execute(record); }
  static void finish_program_of(Runner& other) { other.finish_program(); }

  template <class T>
  [[nodiscard]] static std::optional<Error> error_of(const Result<T>& result) {
    return result ? std::nullopt : std::optional(result.error());
  }
  void count(const Error& error) { depth_.count(error); }

  Depth depth_;
};

}  // namespace guestproof::testing
