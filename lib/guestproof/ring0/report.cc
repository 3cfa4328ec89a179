#include "guestproof/ring0/report.h"

#include <regex.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "guestproof/ring0/end.h"
#include "guestproof/ring0/exceptions.h"
#include "guestproof/ring0/findings.h"
#include "guestproof/ring0/register_file.h"
#include "guestproof/ring0/symbols.h"
#include "guestproof/ring0/text.h"

namespace guestproof::ring0 {
namespace {

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The object that a record begins with, and what follows it. Nothing when the record is too short.
template <class T>
std::optional<std::pair<T, std::span<const std::byte>>> split(const Record& record) {
  if (record.bytes.size() < sizeof(T)) return std::nullopt;
  T object;
  std::memcpy(&object, record.bytes.data(), sizeof object);
  return std::pair(object, std::span<const std::byte>(record.bytes).subspan(sizeof object));
}

std::string bytes_text(std::span<const std::uint8_t> bytes) {
  Text text;
  for (const auto byte : bytes) text << ' ' << Text::Hex{byte, 2};
  return std::string(text.view());
}

/// Whether the regular expression is found in the text; what is wrong with it.
struct Match {
  bool found = false;
  std::string complaint{};
};

Match match(const std::string& regex, const std::string& text) {
  ::regex_t compiled;
  if (const int wrong = ::regcomp(&compiled, regex.c_str(), REG_EXTENDED | REG_NOSUB); wrong != 0) {
    std::array<char, 200> why{};
    ::regerror(wrong, &compiled, why.data(), why.size());
    return {.complaint = '\'' + regex + "' is no extended regular expression: " + why.data()};
  }
  const bool found = ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  ::regfree(&compiled);
  return {found};
}

std::string frame_text(std::size_t index, const Symbol& symbol) {
  std::string text = "  #" + std::to_string(index) + ' ';
  text += symbol.function.empty() ? "?" : symbol.function;
  if (symbol.line != 0)
    text += " at " + symbol.file + ':' + std::to_string(symbol.line);
  else if (!symbol.module.empty())
    text += " in " + symbol.module + '+' + hex(symbol.offset);
  return text + '\n';
}

/// What called the test is no news to its author. Where its file is known that tells; the
/// function's name may be that of what was inlined into it.
bool is_ours(const Symbol& symbol) {
  if (symbol.function.contains("_Ring0::TestBody()")) return true;
  if (symbol.line != 0)
    return symbol.file.ends_with("guestproof/ring0/test.h") ||
           symbol.file.ends_with("guestproof/ring0/host.cc");
  return symbol.function.starts_with("void guestproof::ring0::run<") ||
         symbol.function.starts_with("guestproof::ring0::run<") ||
         symbol.function == "guestproof::ring0::enter(void*)";
}

/// That there is a line, and it is not an instruction's by name (guest.h).
bool has_place(const Symbol& symbol) {
  return symbol.line != 0 && !symbol.file.ends_with("guestproof/ring0/guest.h");
}

/// The line is not the C or C++ library's, or another's whose source is not at hand.
bool is_at_hand(const Symbol& symbol) {
  return has_place(symbol) && !symbol.file.starts_with("/usr/") &&
         ::access(symbol.file.c_str(), F_OK) == 0;
}

/// Where a user looks first; of symbols from the innermost one on.
std::optional<Place> place_of(std::span<const Symbol> symbols) {
  auto found = std::ranges::find_if(symbols, is_at_hand);
  if (found == symbols.end()) found = std::ranges::find_if(symbols, has_place);
  if (found == symbols.end()) return std::nullopt;
  return Place{found->file, found->line};
}

std::string access_name(const EndRecord& end) {
  return std::to_string(end.value) + (end.value == 1 ? " byte" : " bytes") +
         (end.kind == EndKind::kRead ? " of " : " to ") + name_of(end.port, end.address);
}

/// What happened, for a test that did not expect it.
std::string describe(const EndRecord& end, std::string_view text) {
  switch (end.kind) {
    case EndKind::kReturned:
      return "The test returned";
    case EndKind::kStopped:
      return "The test was stopped";
    case EndKind::kVector:
      return "The test ended with " + exception_name(end.vector, end.value);
    case EndKind::kHalt:
      return "The test ended with hlt";
    case EndKind::kTripleFault:
      return "The test ended with a triple fault";
    case EndKind::kTimeout:
      return "The test had not ended in time; it was here";
    case EndKind::kRead:
      return "The test read " + access_name(end) + ", which nobody answers";
    case EndKind::kWrite:
      return "The test wrote " + access_name(end) + " (" + hex(end.data) +
             "), which nobody expects";
    case EndKind::kInstruction:
      return "KVM cannot execute the instruction";
    case EndKind::kExit:
      return "The test ended with KVM's exit " + std::to_string(end.vector);
    case EndKind::kHost:
      return (end.started ? "The test could not go on: " : "The test could not be run: ") +
             std::string(text);
  }
  return "The test ended in a way that has no name";
}

/// Whether it is what the test's options ask for; what they ask for.
struct Wanted {
  bool met = false;
  std::string what;  // empty: to return
};

Wanted compare(const Options& options, const EndRecord& end) {
  if (options.vector) {
    const auto& [vector, value, address] = *options.vector;
    std::string what = exception_name(vector, value);
    if (address) what += " at " + hex(*address);
    const bool met = end.kind == EndKind::kVector && end.vector == vector &&
                     end.value == value.value_or(end.value) &&
                     end.address == address.value_or(end.address);
    return {met, what};
  }
  if (options.halt) return {end.kind == EndKind::kHalt, "hlt"};
  if (options.triple_fault) return {end.kind == EndKind::kTripleFault, "a triple fault"};
  return {end.kind == EndKind::kReturned, ""};
}

}  // namespace

struct Reporter::Ending {
  EndRecord end;
  std::string text;
  std::vector<std::uint64_t> frames;
};

Reporter::Stack Reporter::look_at(const Ending& ending) {
  // Return addresses are behind their calls; so is RIP behind hlt.
  auto lookups = ending.frames;
  for (std::size_t i = ending.end.kind == EndKind::kHalt ? 0 : 1; i < lookups.size(); ++i)
    --lookups[i];
  const auto symbols = symbolise(lookups);
  const auto finding = finding_in(symbols);
  Stack stack;
  std::vector<Symbol> shown;
  bool over = false;
  for (std::size_t i = finding ? finding->frame : 0; i < symbols.size() && !over; ++i) {
    const auto ours = std::ranges::find_if(symbols[i], is_ours);
    over = ours != symbols[i].end();
    for (const auto& symbol : std::span(symbols[i].begin(), ours)) {
      stack.frames += frame_text(i, symbol);
      shown.push_back(symbol);
    }
  }
  stack.place =
      place_of(std::span(shown).subspan(std::min<std::size_t>(finding ? 1 : 0, shown.size())));
  stack.more = finding ? finding->text : explain(ending.end);
  return stack;
}

Reporter::Reporter(const Options& options, Place place, Listener& listener)
    : options_(options), place_(std::move(place)), listener_(listener) {}

void Reporter::fail(const Place& place, const std::string& text) {
  ++failures_;
  if (options_.failure) {
    const auto [found, complaint] = match(*options_.failure, text);
    matched_ = matched_ || found;
    if (found) return;
    if (!complaint.empty()) listener_.failed(place_, complaint);
  }
  failed_ = true;
  listener_.failed(place, text);
}

void Reporter::take(const Record& record) {
  if (record.kind == RecordKind::kBacktrace) return take_backtrace(record);
  tell_end();
  switch (record.kind) {
    case RecordKind::kText:
      return listener_.printed(text_of(record.bytes));
    case RecordKind::kFailure:
      return take_failure(record);
    case RecordKind::kSkip:
      skipped_ = true;
      return listener_.skipped(place_, std::string(text_of(record.bytes)));
    case RecordKind::kEnd:
      return take_end(record);
    case RecordKind::kBacktrace:
      break;
  }
  fail(place_, "The ring of records has a record of the unknown kind " +
                   std::to_string(static_cast<std::uint32_t>(record.kind)));
}

void Reporter::take_failure(const Record& record) {
  const auto parts = split<FailureRecord>(record);
  if (!parts || parts->first.file_length > parts->second.size())
    return fail(place_, "The ring of records has a failure that is cut off");
  const auto& [failure, rest] = *parts;
  const std::string text(text_of(rest.subspan(failure.file_length)));
  if (failure.file_length != 0)
    return fail(
        {std::string(text_of(rest.first(failure.file_length))), static_cast<int>(failure.line)},
        text);
  if (failure.pc == 0) return fail(place_, text);
  const auto [known, is_new] = places_.try_emplace(failure.pc);
  if (is_new) known->second = place_of(symbolise(std::array{failure.pc}).front());
  fail(known->second.value_or(place_), text);
}

void Reporter::take_end(const Record& record) {
  const auto parts = split<EndRecord>(record);
  if (!parts) return fail(place_, "The ring of records has an end that is cut off");
  ended_ = true;
  ending_ = std::make_shared<Ending>(Ending{parts->first, std::string(text_of(parts->second)), {}});
}

void Reporter::take_backtrace(const Record& record) {
  if (!ending_) return;
  ending_->frames.resize(record.bytes.size() / sizeof(std::uint64_t));
  if (!ending_->frames.empty())
    std::memcpy(ending_->frames.data(), record.bytes.data(),
                ending_->frames.size() * sizeof(std::uint64_t));
  tell_end();
}

void Reporter::tell_end() {
  const auto ending = std::exchange(ending_, nullptr);
  if (!ending) return;
  const auto& end = ending->end;
  const auto wanted = compare(options_, end);
  if (wanted.met) return;
  if (end.kind == EndKind::kStopped) {
    // A check that failed has said so.
    if (!failed_ && !matched_ && !skipped_)
      fail(place_, "The test was stopped, and no check has failed.");
    return;
  }

  auto text = describe(end, ending->text);
  if (!wanted.what.empty()) text += ", and was to end with " + wanted.what;
  if (end.kind == EndKind::kReturned || end.kind == EndKind::kHost) return fail(place_, text + '.');
  text += ".\n";

  const auto [frames, place, more] = look_at(*ending);
  if (!more.empty()) text += more + '\n';
  const auto bytes =
      std::span(end.instruction)
          .first(std::min<std::size_t>(end.instruction_length, end.instruction.size()));
  if (end.kind == EndKind::kInstruction && end.emulates) {
    auto reason = "this KVM emulates guest code, and cannot execute" + bytes_text(bytes);
    if (const auto name = instruction_name(bytes); !name.empty()) reason += " (" + name + ')';
    if (place) reason += ", at " + place->file + ':' + std::to_string(place->line);
    skipped_ = true;
    return listener_.skipped(place_, reason);
  }
  text += "Registers of vCPU " + std::to_string(end.vcpu) + ":\n" + to_string(end.state);
  if (!bytes.empty()) text += "Instruction:" + bytes_text(bytes) + '\n';
  if (!frames.empty()) text += "Backtrace:\n" + frames;
  text.pop_back();
  fail(place.value_or(place_), text);
}

void Reporter::finish(std::string_view how, bool clean) {
  tell_end();
  const std::string process = "The process that ran the test ended ";
  if (!ended_ && !skipped_)
    fail(place_, process + "before the test did: " + std::string(how) + '.');
  else if (!clean)
    fail(place_, process + "behind the test: " + std::string(how) + '.');
  if (options_.failure && !matched_ && !failed_ && !skipped_)
    listener_.failed(place_,
                     "The test was to fail with '" + *options_.failure + "', and did not fail.");
}

}  // namespace guestproof::ring0
