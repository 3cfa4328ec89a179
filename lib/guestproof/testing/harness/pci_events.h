// What a PCI bus makes happen around it, noted as the model of one says it.
//
// Thread-safety: none.
#pragma once

#include <string_view>
#include <vector>

#include "guestproof/pci/bus.h"
#include "guestproof/testing/model/pci_model.h"

namespace guestproof::testing {

class PciEvents final : public pci::BarObserver, public pci::IntxSink, public pci::MsiSink {
 public:
  void unmapped(pci::Slot slot, unsigned bar, const pci::BarRange& range) override;
  void mapped(pci::Slot slot, unsigned bar, const pci::BarRange& range) override;
  void set_level(unsigned line, bool high) override;
  void deliver(const pci::MsiMessage& message) override;
  void add(const ModelPciEvent& event) { all_.push_back(event); }

  /// What happened since the last time, if it is what the model expects. Throws ViolationFound.
  [[nodiscard]] std::vector<ModelPciEvent> take(std::string_view what, PciModel& model);

 private:
  std::vector<ModelPciEvent> all_;
};

}  // namespace guestproof::testing
