#include "guestproof/testing/harness/pci_events.h"

#include <array>
#include <string>
#include <utility>

#include "guestproof/testing/harness/runner.h"

namespace guestproof::testing {
namespace {

using Kind = ModelPciEvent::Kind;

std::string text_of(const ModelPciEvent& event) {
  static constexpr std::array kNames{"unmapped",    "mapped",         "line",
                                     "message",     "bar_read",       "bar_written",
                                     "window_read", "window_written", "bus_master"};
  return std::string(kNames[static_cast<std::size_t>(event.kind)]) + " function " +
         hex(event.routing_id) + " number " + std::to_string(event.which) + " " + hex(event.a) +
         " " + hex(event.b);
}
std::string text_of(const std::vector<ModelPciEvent>& events) {
  std::string text;
  for (const auto& event : events) text += (text.empty() ? "" : ", ") + text_of(event);
  return text.empty() ? "nothing" : text;
}

}  // namespace

void PciEvents::unmapped(pci::Slot slot, unsigned bar, const pci::BarRange& range) {
  add({Kind::kUnmapped, slot.routing_id(), bar, range.base, range.size});
}
void PciEvents::mapped(pci::Slot slot, unsigned bar, const pci::BarRange& range) {
  add({Kind::kMapped, slot.routing_id(), bar, range.base, range.size});
}
void PciEvents::set_level(unsigned line, bool high) {
  add({Kind::kLine, 0, line, 0, high ? 1U : 0U});
}
void PciEvents::deliver(const pci::MsiMessage& message) {
  add({Kind::kMessage, 0, 0, message.address, message.data});
}

std::vector<ModelPciEvent> PciEvents::take(std::string_view what, PciModel& model) {
  auto events = std::exchange(all_, {});
  const auto expected = model.take_events();
  if (events != expected)
    violated(kModelAgreement, std::string(what) + ": what happens is " + text_of(events) +
                                  "; for the model it is " + text_of(expected));
  return events;
}

}  // namespace guestproof::testing
