// Scenario programs in properties: RapidCheck makes them of the opcodes that make sense for a
// target, shrinks them record by record, and shows them as text.
#pragma once

#include <rapidcheck/gtest.h>

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

#include "guestproof/testing/harness/runner.h"
#include "guestproof/testing/scenario/mutate.h"
#include "guestproof/testing/scenario/text.h"

namespace guestproof::testing {

inline void showValue(const Record& record, std::ostream& out) { out << to_text(record); }

[[nodiscard]] inline rc::Gen<Program> any_program(std::string_view target) {
  return rc::gen::container<Program>(rc::gen::map(
      rc::gen::arbitrary<std::uint32_t>(),
      [target](std::uint32_t seed) { return Mutator(vocabulary(target), seed).random_record(); }));
}

/// The property that no oracle has anything to say, whatever the program.
inline void agrees(Runner& harness) {
  const auto program = *any_program(harness.name());
  const auto violation = harness.run(program);
  if (violation)
    RC_FAIL(std::string(violation->oracle) + ": " + violation->sentence + "\n" + to_text(program));
}

template <class Harness>
void agrees() {
  static Harness harness;
  agrees(harness);
}

}  // namespace guestproof::testing
