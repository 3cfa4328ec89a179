// Transports and the life of a device, with an echo device of two queues behind them. Targets:
// mmio, and pci, where all is on PCI.
//
// A `request` record: `value` is eight readable bytes, `length` (modulo 2048) readable bytes
// follow, and there is room for `extra` (modulo 2048; 0: 16) bytes of answer. A `backend` record,
// by kind:
//   0  the driver's features, see device_harness.h
//   1  the host changes the configuration space
#pragma once

#include "guestproof/testing/echo_virtio.h"
#include "guestproof/testing/harness/device_harness.h"
#include "guestproof/testing/model/echo_model.h"

namespace guestproof::testing {

class EchoHarness : public DeviceHarness {
 protected:
  EchoHarness();
  ~EchoHarness() override { disconnect(); }

 private:
  void request(Lane& lane, const Record& record) override;
  [[nodiscard]] Turn serve_model(Lane& lane, std::uint32_t looks) override;
  void host_event(std::uint8_t kind, const Record& record) override;
  [[nodiscard]] std::uint8_t host_event_kinds() const override { return 1; }

  EchoVirtio<WatchedMemory> device_;
  EchoModel model_;
  Depth::Index requests_;
};

class MmioHarness final : public EchoHarness {
 public:
  [[nodiscard]] std::string_view name() const override { return "mmio"; }
};

class PciHarness final : public EchoHarness {
 public:
  PciHarness();

  [[nodiscard]] std::string_view name() const override { return "pci"; }

 private:
  [[nodiscard]] bool starts_on_pci() const override { return true; }
};

}  // namespace guestproof::testing
