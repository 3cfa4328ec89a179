#include "guestproof/testing/harness/saved_harness.h"

#include <algorithm>

namespace guestproof::testing {

SavedHarness::SavedHarness() {
  saves_ = depth_.add("value:saved");
  restores_ = depth_.add("value:restored");
  refusals_ = depth_.add("value:restore_refused");
}

SavedHarness::Bytes SavedHarness::pattern(std::uint64_t number, std::size_t length) {
  Bytes bytes(length);
  for (std::size_t i = 0; i < length; ++i)
    bytes[i] = static_cast<std::uint8_t>((number >> 8 * (i % 8)) + i / 8);
  return bytes;
}

void SavedHarness::compare(std::string_view oracle, std::string_view what) const {
  const auto value = encode(), model = model_encode();
  work_ += value.size() + 64;
  if (value == model) return;
  const auto at = std::ranges::mismatch(value, model).in1 - value.begin();
  violated(oracle, std::string(what) + ": the value has " + std::to_string(value.size()) +
                       " bytes, the model's " + std::to_string(model.size()) +
                       ", and they differ from byte " + std::to_string(at) + " on");
}

void SavedHarness::start_program() {
  asked_ = false;
  work_ = 0;
  choose(0);
  saved_ = model_encode();
}

void SavedHarness::finish_program() {
  if (asked_) return;
  request(Record{});
  save();
}

void SavedHarness::execute(const Record& record) {
  switch (record.op()) {
    case Opcode::kReset:
      choose(0);
      break;
    case Opcode::kQueue:
      choose(record.index);
      break;
    case Opcode::kRequest:
      request(record);
      asked_ = true;
      compare(kModelAgreement, "a request");
      break;
    case Opcode::kSave:
      save();
      break;
    case Opcode::kPatch:
      patch_bytes(saved_, record);
      break;
    case Opcode::kRestore:
      restore();
      break;
    default:
      act(record);
  }
}

void SavedHarness::save() {
  asked_ = true;
  depth_.count(saves_);
  saved_ = encode();
  compare(kRoundTrip, "saving");
  restore();
}

void SavedHarness::restore() {
  asked_ = true;
  // A copy of exactly its size: AddressSanitizer sees what is read past it.
  const auto exact = saved_;
  const auto restored = decode(std::as_bytes(std::span(exact)));
  compare_errors(kRoundTrip, "restoring", error_of(restored), model_decode(saved_));
  compare_restored_world();
  depth_.count(restored ? restores_ : refusals_);
  if (!restored) return count(restored.error());
  compare(kRoundTrip, "what was restored");
}

}  // namespace guestproof::testing
