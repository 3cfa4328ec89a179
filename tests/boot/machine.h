// guestproof-vmm as a process, with a stock kernel in it: started, talked to on its console, waited
// for. What `scripts/dev with-kvm --guest` gives is where the kernels come from.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "guestproof/base/fd.h"
#include "scratch.h"

namespace guestproof::boot {

using namespace std::chrono_literals;

/// Emulated, a boot takes 10 s on an idle host, and several times as long on a busy one.
inline constexpr std::chrono::seconds kPatience{150};

/// A stock kernel with what its first process is made of.
struct Stock {
  std::filesystem::path folder;  // where all are
  std::filesystem::path kernel;
  std::filesystem::path busybox;
  std::vector<std::filesystem::path> modules;  // in the order in which they are loaded
};
/// "cloud-6.1". REQUIRES: the test runs with --guest of that name; else it fails.
[[nodiscard]] Stock stock(std::string_view name);

/// An initrd whose first process is a shell that has /proc, /sys, /dev, busybox's commands, the
/// modules loaded, and then runs the script; after it the machine is powered off. `programs` are
/// put into /bin.
void write_initrd(const std::string& path, const Stock& stock, std::string_view script,
                  const std::vector<std::filesystem::path>& programs = {});

/// Calls on the socket fail after kPatience, whoever has died meanwhile.
void limit_waiting(const Fd& peer);
/// The next client, with that limit; none after kPatience.
[[nodiscard]] Fd accept_soon(const Fd& service);
/// All that a peer sends until it is done; a failure of the test where it does not say so.
[[nodiscard]] std::string read_all(const Fd& peer);

class Machine {
 public:
  explicit Machine(std::vector<std::string> arguments);
  /// Ends the process when it is still there.
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  /// Reads the console until `text` has come; false when the process ends, or kPatience is over.
  [[nodiscard]] bool wait_for(std::string_view text) { return wait_for(text, console_); }
  /// Its standard error, the same way.
  [[nodiscard]] bool wait_for_error(std::string_view text) { return wait_for(text, errors_); }
  void type(std::string_view text) const;
  void signal(int number) const;
  /// The exit code, or 128 + the signal that ended it; −1 when it has not ended after kPatience.
  [[nodiscard]] int wait();

  /// All that came until now.
  [[nodiscard]] const std::string& console() const { return console_; }
  [[nodiscard]] const std::string& errors() const { return errors_; }
  /// What stands on the console behind `name=`, on a line that is complete; empty when it does not.
  [[nodiscard]] std::string value(std::string_view name) const;
  /// Waits until it does; as wait_for().
  [[nodiscard]] bool wait_for_value(std::string_view name);
  /// What the process has of the host's memory, in MiB.
  [[nodiscard]] std::uint64_t resident_mib() const;

 private:
  [[nodiscard]] bool wait_for(std::string_view text, const std::string& where);
  /// False when both ends are closed or the deadline has passed.
  [[nodiscard]] bool read_some(std::chrono::steady_clock::time_point deadline);

  ::pid_t child_ = -1;
  Fd input_, output_, complaints_;
  std::string console_, errors_;
};

}  // namespace guestproof::boot
