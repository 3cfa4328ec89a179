#include "guestproof/testing/harness/cmdline_harness.h"

namespace guestproof::testing {

CmdlineHarness::CmdlineHarness() {
  appended_ = depth_.add("cmdline:appended");
  nothing_ = depth_.add("cmdline:nothing_appended");
  depth_.add_errors<loader::CmdlineError>();
  add_memory_errors();
}

void CmdlineHarness::choose(std::uint16_t index) {
  const auto limit = index % 4096 == 0 ? 2047 : index % 4096U;
  cmdline_ = loader::Cmdline(limit);
  model_ = CmdlineModel(limit);
}

std::string CmdlineHarness::piece(const Record& record) {
  std::string text(record.length % 2200, ' ');
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(record.value >> 8 * (i % 8));
    const bool raw = record.kind % 3 == 1 || (record.kind % 3 == 2 && i + 1 == text.size());
    text[i] = static_cast<char>(raw ? byte : 'a' + byte % 26);
  }
  return text;
}

void CmdlineHarness::request(const Record& record) {
  const auto text = piece(record);
  worked(text.size() + cmdline_.text().size());
  if (agree("appending", cmdline_.append(text), model_.append(text)))
    depth_.count(text.empty() ? nothing_ : appended_);
  if (cmdline_.text() != model_.text())
    violated(kModelAgreement, "the command line is \"" + cmdline_.text() + "\", for the model \"" +
                                  model_.text() + "\"");
}

void CmdlineHarness::act(const Record& record) {
  if (record.op() == Opcode::kAccess) load_at(number(record), record.length);
}

void CmdlineHarness::load(std::uint8_t) { load_at(kStart, 4096); }

void CmdlineHarness::load_at(std::uint64_t base, std::uint64_t room) {
  ModelError model;
  Result<void> done;
  step([&] { done = loader::load(world().device(), cmdline_, {GuestAddress(base), room}); },
       [&] { model = model_.load(model_memory(), base, room); });
  if (agree("loading", done, model)) loaded();
}

}  // namespace guestproof::testing
