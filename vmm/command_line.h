// The command line, and the configuration file that says the same in JSON.
//
//   guestproof-vmm --vcpu num=2 --block path=disk.img
//     --kernel path=vmlinuz,cmdline="console=ttyS0 root=/dev/vda"
//
// It takes what rust-vmm's reference VMM takes (--kernel --memory --vcpu --block --net, with the
// same keys), and more. A configuration file has an object for each option, an array of objects
// where the option may be repeated, and numbers, strings, true and false for values:
//
//   {"kernel": {"path": "vmlinuz"}, "vcpu": {"num": 2}, "block": [{"path": "disk.img"}]}
//
// What the command line says beside it counts instead of it, option by option.
//
// Thread-safety: none.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "vmm/config.h"

namespace guestproof::vmm {

/// In place of a command line that is not given.
inline constexpr std::string_view kDefaultCmdline = "console=ttyS0";

/// What --help says.
struct HelpText {
  std::string text;
};

/// `arguments` without the program's name. Complaints: kUsage; kSetup for a configuration file that
/// cannot be read.
[[nodiscard]] Outcome<std::variant<Config, HelpText>> parse_command_line(
    std::span<const std::string> arguments);

}  // namespace guestproof::vmm
