#include "guestproof/testing/harness/runner.h"

#include <algorithm>
#include <utility>

namespace guestproof::testing {

void patch_bytes(std::vector<std::uint8_t>& bytes, const Record& record) {
  if ((record.index & 0x8000) != 0) return bytes.resize(record.index & 0x7fff);
  if (bytes.empty()) return;
  for (std::size_t i = 0; i < 1 + (record.width + 7U) % 8; ++i)
    bytes[(record.index + i) % bytes.size()] = static_cast<std::uint8_t>(record.value >> 8 * i);
}

std::string hex(std::uint64_t number) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  do {
    out.insert(out.begin(), kDigits[number % 16]);
    number /= 16;
  } while (number != 0);
  return "0x" + out;
}

void violated(std::string_view oracle, std::string sentence) {
  throw ViolationFound{{oracle, std::move(sentence)}};
}

void compare_errors(std::string_view oracle, std::string_view what,
                    const std::optional<Error>& device, const ModelError& model) {
  const auto name = device ? device->name() : std::string();
  const bool by_name = device && (device->as<MemoryError>() || device->as<SystemError>());
  if (name == model.name &&
      (!device || by_name || (device->value() == model.value && device->limit() == model.limit)))
    return;
  const auto say = [](std::string_view error, std::uint64_t value, std::uint64_t limit) {
    return error.empty() ? "is fine"
                         : "fails with " + std::string(error) + ", value " + hex(value) +
                               " and limit " + hex(limit);
  };
  violated(oracle, std::string(what) + ": for the device it " +
                       say(name, device ? device->value() : 0, device ? device->limit() : 0) +
                       ", for the model it " + say(model.name, model.value, model.limit));
}

std::optional<Violation> Runner::run(std::span<const Record> program) {
  try {
    start_program();
    for (const auto& record : program.first(std::min(program.size(), kMaxRecords))) {
      if (!may_go_on()) break;
      execute(canonical(record));
    }
    finish_program();
    return std::nullopt;
  } catch (const ViolationFound& found) {
    return found.violation;
  }
}

}  // namespace guestproof::testing
