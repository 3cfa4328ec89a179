#include "vmm/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

namespace guestproof::vmm {
namespace {

/// The characters up to a comma outside quotes, or to the end; `text` is what is behind it. Nothing
/// when a quote is not closed.
std::optional<std::string> take_part(std::string_view& text) {
  std::string part;
  bool quoted = false;
  std::size_t at = 0;
  for (; at < text.size() && (quoted || text[at] != ','); ++at) {
    const bool escaped = quoted && text[at] == '\\' && at + 1 < text.size() &&
                         (text[at + 1] == '"' || text[at + 1] == '\\');
    if (escaped)
      part += text[++at];
    else if (text[at] == '"')
      quoted = !quoted;
    else
      part += text[at];
  }
  if (quoted) return std::nullopt;
  text.remove_prefix(std::min(at, text.size()));
  return part;
}

/// All of `text` as a number.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  if (hexadecimal) text.remove_prefix(2);
  std::uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, hexadecimal ? 16 : 10);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Outcome<Option> parse_option(std::string_view name, std::string_view text) {
  Option option{std::string(name), {}};
  auto left = text;
  while (true) {
    const auto part = take_part(left);
    if (!part) return wrong_usage(fmt::format("{} {}: a double quote is not closed.", name, text));
    const auto equals = part->find('=');
    if (equals == std::string::npos || equals == 0)
      return wrong_usage(
          fmt::format("{} {}: '{}' is not key=value; a value with a comma "
                      "is put between double quotes.",
                      name, text, *part));
    option.values.push_back({part->substr(0, equals), part->substr(equals + 1)});
    if (left.empty()) return option;
    left.remove_prefix(1);
  }
}

const KeyValue* OptionReader::find(std::string_view key, Empty empty) {
  known_.emplace_back(key);
  const KeyValue* found = nullptr;
  for (std::size_t i = 0; i < used_.size(); ++i) {
    const auto& each = option_.values[i];
    if (each.key != key) continue;
    used_[i] = true;
    if (found != nullptr) complain(key, each.value, "it is given twice");
    if (each.value.contains('\0')) complain(key, each.value, "there is a NUL in it");
    if (each.value.empty() && empty == Empty::kRefused) complain(key, each.value, "it is empty");
    found = &each;
  }
  return found;
}

std::optional<std::string> OptionReader::text(std::string_view key, Empty empty) {
  const auto* found = find(key, empty);
  if (found == nullptr) return std::nullopt;
  if (!found->is_text) complain(key, found->value, "it is no string");
  return found->value;
}

std::string OptionReader::required_text(std::string_view key) {
  const auto given = text(key);
  if (!given && !complaint_)
    complaint_ = Complaint{ExitCode::kUsage, fmt::format("{}: {}= is missing.", option_.name, key)};
  return given.value_or("");
}

std::optional<std::uint64_t> OptionReader::number(std::string_view key, std::uint64_t most) {
  const auto* given = find(key, Empty::kRefused);
  if (given == nullptr) return std::nullopt;
  const auto number = parse_number(given->value);
  if (!number) complain(key, given->value, "it is no number");
  if (number && *number > most) complain(key, given->value, fmt::format("the most is {}", most));
  return number;
}

std::optional<bool> OptionReader::flag(std::string_view key) {
  const auto* given = find(key, Empty::kRefused);
  if (given == nullptr) return std::nullopt;
  const auto& value = given->value;
  if (value != "on" && value != "off") complain(key, value, "it is neither on nor off");
  return value == "on";
}

void OptionReader::complain(std::string_view key, std::string_view value, std::string_view why) {
  if (complaint_) return;
  complaint_ =
      Complaint{ExitCode::kUsage, fmt::format("{}: {}={}: {}.", option_.name, key, value, why)};
}

Outcome<void> OptionReader::finish() {
  for (std::size_t i = 0; i < used_.size() && !complaint_; ++i)
    if (!used_[i])
      return wrong_usage(fmt::format("{}: there is no key '{}'; the keys are {}.", option_.name,
                                     option_.values[i].key, fmt::join(known_, ", ")));
  if (complaint_) return std::unexpected(*complaint_);
  return {};
}

}  // namespace guestproof::vmm
