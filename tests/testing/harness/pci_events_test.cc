// What a bus and its model make happen is compared event by event, and told in words.
#include "guestproof/testing/harness/pci_events.h"

#include <gtest/gtest.h>

#include "guestproof/testing/harness/runner.h"

namespace guestproof::testing {
namespace {

using Kind = ModelPciEvent::Kind;

/// A model on which nothing happens.
PciModel idle_model() {
  return PciModel(
      {.memory = {{{0xe000'0000, 0x1000'0000}, {}}},
       .ports = {},
       .functions = {{.class_code = 0x060000, .bars = {}, .msix = {}, .capabilities = {}}}});
}

std::string sentence(PciEvents& events, PciModel& model) {
  try {
    static_cast<void>(events.take("a write", model));
  } catch (const ViolationFound& found) {
    EXPECT_EQ(found.violation.oracle, kModelAgreement);
    return found.violation.sentence;
  }
  return "";
}

TEST(PciEvents, AreThoseOfTheModel) {
  auto model = idle_model();
  PciEvents events;
  EXPECT_EQ(sentence(events, model), "");
}

TEST(PciEvents, AreToldWhereTheModelHasNone) {
  auto model = idle_model();
  PciEvents events;
  events.set_level(3, true);
  events.deliver({.address = 0xfee00000, .data = 7});
  EXPECT_EQ(sentence(events, model),
            "a write: what happens is line function 0x0 number 3 0x0 0x1, message function 0x0 "
            "number 0 0xfee00000 0x7; for the model it is nothing");
  EXPECT_EQ(sentence(events, model), "") << "they were taken";
}

TEST(PciEvents, HaveANameEach) {
  const std::pair<Kind, std::string_view> names[] = {{Kind::kUnmapped, "unmapped"},
                                                     {Kind::kMapped, "mapped"},
                                                     {Kind::kLine, "line"},
                                                     {Kind::kMessage, "message"},
                                                     {Kind::kBarRead, "bar_read"},
                                                     {Kind::kBarWritten, "bar_written"},
                                                     {Kind::kWindowRead, "window_read"},
                                                     {Kind::kWindowWritten, "window_written"}};
  auto model = idle_model();
  for (const auto& [kind, name] : names) {
    PciEvents events;
    events.add({.kind = kind, .routing_id = 0x10, .which = 2, .a = 0x1000, .b = 0x20});
    EXPECT_EQ(sentence(events, model), "a write: what happens is " + std::string(name) +
                                           " function 0x10 number 2 0x1000 0x20; for the model "
                                           "it is nothing");
  }
}

}  // namespace
}  // namespace guestproof::testing
