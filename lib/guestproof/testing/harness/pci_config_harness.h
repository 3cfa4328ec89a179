// A PCI bus under test: configuration space by ECAM and ports, BARs, interrupt lines, MSI-X behind
// BARs. Target: pci_config.
//
// `queue` begins a bus of the kind at `index` (modulo 3), as built: several devices that have all
// that there is; one device that has little, with windows that reach the top of all addresses; one
// with MSI-X in two BARs, and windows that hardly hold its BARs. A `request` is what a driver does,
// or a device, with the function at place `queue` (modulo their number, the host bridge is 0) and
// its BAR, vector or register `index`:
//
//   kind  what                                          kind  what
//   0     gives each BAR an address, enables all,       6     wants its pin asserted, if `value` is
//         reads from BAR `index`                              odd
//   1     sizes a BAR                                   7     reports the errors in `value`
//   2     writes `value` into a BAR                     8     reads and writes a register by ports
//   3     writes `value` into the command register      9     reads (odd `extra`: writes) 1 + `cut`
//   4     enables MSI-X, programs a vector, raises it         modulo 8 bytes at `length` of a BAR
//   5     raises a vector                               10    takes a vector back
//                                                       11    resets the bus
//
// `access` reads 0 to 16 bytes (`length` modulo 17), or writes `value` (odd `kind`), where `kind`
// halved, modulo 6, says: 0 register `index` of the function at place `next`; 1 at `index` plus
// `next` times 2^16 of the ECAM window; 2 port `index`, of the configuration mechanism; 3 and 4 at
// that number from 2 KiB before a window for memory on; 5 port `index`, of a BAR.
#pragma once

#include <memory>

#include "guestproof/pci/bus.h"
#include "guestproof/testing/harness/saved_harness.h"
#include "guestproof/testing/model/pci_model.h"

namespace guestproof::testing {

class PciConfigHarness : public SavedHarness {
 public:
  PciConfigHarness();
  ~PciConfigHarness() override;

  [[nodiscard]] std::string_view name() const override { return "pci_config"; }

 private:
  class System;  // a bus with all that is on it and around it

  void choose(std::uint16_t index) override;
  void request(const Record& record) override;
  void act(const Record& record) override;
  [[nodiscard]] Bytes encode() const override;
  [[nodiscard]] Bytes model_encode() const override { return model_->encode(); }
  [[nodiscard]] Result<void> decode(std::span<const std::byte> bytes) override;
  [[nodiscard]] ModelError model_decode(std::span<const std::uint8_t> bytes) override {
    return model_->decode(bytes);
  }
  void compare_restored_world() override { agree("restoring", {}, {}); }

  // A guest's access on both sides; oracles asked. A read gives the number that it got.

  enum class Way : std::uint8_t { kEcam, kConfigPort, kMemory, kPort };
  std::uint64_t read(Way way, std::uint64_t address, std::size_t width);
  void write(Way way, std::uint64_t address, const Bytes& bytes);
  void write(Way way, std::uint64_t address, std::size_t width, std::uint64_t value) {
    write(way, address, pattern(value, width));
  }
  /// Where a register of the function at a place is in the ECAM window.
  [[nodiscard]] std::uint64_t ecam(std::size_t place, std::uint64_t offset) const;

  void bring_up(std::size_t place, const Record& record);
  void size_bar(std::size_t place, std::uint64_t offset);
  void use_msix(std::size_t place, const Record& record);
  void use_ports(std::size_t place, const Record& record);
  void access_bar(std::size_t place, const Record& record);
  void raise(std::size_t place, std::uint16_t vector);

  /// Both say the same of a step, and everybody around saw the same.
  void agree(std::string_view what, const Result<void>& done, const ModelError& model);

  const ModelBusSpec* spec_ = nullptr;
  std::unique_ptr<System> system_;
  std::unique_ptr<PciModel> model_;
  Depth::Index first_way_, first_event_, sized_, delivered_, pending_, reset_;
};

}  // namespace guestproof::testing
