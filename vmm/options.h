// The values of command-line options: keys and values, "path=disk.img,readonly=on".
//
// The grammar is the reference VMM's of rust-vmm, with quotes added: parts are separated by commas,
// and a part's first '=' separates its key from its value. Between double quotes a comma, and after
// a backslash a double quote or a backslash, is a character like any other:
//
//   path=vmlinuz,cmdline="console=ttyS0,115200 root=/dev/vda"
//
// Thread-safety: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/complaint.h"

namespace guestproof::vmm {

struct KeyValue {
  std::string key;
  std::string value;
  /// What a configuration file has as a value of its own kind, true say, is no text.
  bool is_text = true;
};

/// One use of an option: "--block" and what it was given.
struct Option {
  std::string name;
  std::vector<KeyValue> values;
};

/// Errors: a part without a key or without '=', a quote that is not closed.
[[nodiscard]] Outcome<Option> parse_option(std::string_view name, std::string_view text);

/// Takes an option's values apart: each key is asked for once, and finish() complains about those
/// that nobody asked for. The first complaint is kept, so that callers need not look after each.
class OptionReader {
 public:
  explicit OptionReader(const Option& option) : option_(option), used_(option.values.size()) {}

  enum class Empty : std::uint8_t { kRefused, kAllowed };

  /// Nothing when the key is not given. Complaints: it is given twice, with nothing, or as no text.
  [[nodiscard]] std::optional<std::string> text(std::string_view key,
                                                Empty empty = Empty::kRefused);
  /// As text(). Complaints: it is missing.
  [[nodiscard]] std::string required_text(std::string_view key);
  /// Decimal, or hexadecimal after 0x. Complaints: no number, more than `most`.
  [[nodiscard]] std::optional<std::uint64_t> number(std::string_view key, std::uint64_t most);
  /// "on" or "off".
  [[nodiscard]] std::optional<bool> flag(std::string_view key);
  /// What is wrong with the value of `key`, when nothing was before.
  void complain(std::string_view key, std::string_view value, std::string_view why);

  /// The first complaint; else, of a key that the option does not have.
  [[nodiscard]] Outcome<void> finish();

 private:
  /// Of any kind; nothing when the key is not given.
  [[nodiscard]] const KeyValue* find(std::string_view key, Empty empty);

  const Option& option_;
  std::vector<bool> used_;
  std::vector<std::string> known_;
  std::optional<Complaint> complaint_;
};

}  // namespace guestproof::vmm
