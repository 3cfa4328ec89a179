// A second opinion on a PCI bus: every function's 256 bytes with a rule for each bit, the whole
// list of BARs looked through at every access and placed anew after every step. Written from PCI
// 3.0 and the policies in guestproof/pci's headers, with registers as plain numbers; it shares no
// code with the library.
//
// Thread-safety: none.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/testing/model/msix_model.h"

namespace guestproof::testing {

struct ModelBar {
  enum class Kind : std::uint8_t { kMemory32, kMemory64, kPorts };
  unsigned index = 0;
  Kind kind = Kind::kMemory32;
  std::uint64_t size = 0;
  bool prefetchable = false;
};

struct ModelMsixPlace {
  std::uint16_t vectors = 0;  // 0: no MSI-X
  std::uint8_t table_bar = 0;
  std::uint32_t table_offset = 0;
  std::uint8_t pending_bar = 0;
  std::uint32_t pending_offset = 0;
};

/// A vendor-specific capability; the last doubleword is a window to the owner, if there is one.
struct ModelCapability {
  std::vector<std::uint8_t> body;
  std::vector<std::uint8_t> writable;
  bool window = false;
};

/// What is behind a function's BARs and in its window.
class ModelPciOwner {
 public:
  [[nodiscard]] virtual MsixModel::Answer read_bar(unsigned bar, std::uint64_t offset,
                                                   std::size_t width) = 0;
  [[nodiscard]] virtual ModelError write_bar(unsigned bar, std::uint64_t offset,
                                             const MsixModel::Bytes& bytes) = 0;
  [[nodiscard]] virtual MsixModel::Answer read_window(unsigned at, std::size_t width) = 0;
  [[nodiscard]] virtual ModelError write_window(unsigned at, const MsixModel::Bytes& bytes) = 0;
  /// Bus Master was set or cleared.
  virtual void master(bool on) = 0;

 protected:
  ~ModelPciOwner() = default;
};

struct ModelFunctionSpec {
  std::uint8_t device = 0;
  std::uint8_t function = 0;
  std::uint16_t vendor_id = 0;
  std::uint16_t device_id = 0;
  std::uint32_t class_code = 0;
  std::uint8_t revision = 0;
  std::uint16_t subsystem_vendor_id = 0;
  std::uint16_t subsystem_id = 0;
  bool multi_function = false;
  std::uint8_t pin = 0;  // 0: none
  std::vector<ModelBar> bars;
  ModelMsixPlace msix;
  std::vector<ModelCapability> capabilities;
  ModelPciOwner* owner = nullptr;  // null: model_owner_byte()
};

struct ModelWindow {
  std::uint64_t base = 0;
  std::uint64_t size = 0;
};
struct ModelBusSpec {
  std::array<ModelWindow, 2> memory;
  ModelWindow ports;
  std::vector<ModelFunctionSpec> functions;  // by device and function; first of all the bridge
};

/// What the owners, the VMM and the interrupt controller see, in order.
struct ModelPciEvent {
  enum class Kind : std::uint8_t {
    kUnmapped,
    kMapped,
    kLine,
    kMessage,
    kBarRead,
    kBarWritten,
    kWindowRead,
    kWindowWritten,
    kMaster
  };
  Kind kind = Kind::kLine;
  unsigned routing_id = 0;  // not of lines and messages
  unsigned which = 0;       // BAR, line
  std::uint64_t a = 0;      // base, offset, address
  std::uint64_t b = 0;      // size, value, level, data; whether it is set

  friend bool operator==(const ModelPciEvent&, const ModelPciEvent&) = default;
};

/// What an owner that only notes accesses answers to a read at an offset of a BAR (of its window:
/// BAR 6).
[[nodiscard]] std::uint8_t model_owner_byte(unsigned bar, std::uint64_t offset);

class PciModel {
 public:
  using Bytes = std::vector<std::uint8_t>;
  using Answer = MsixModel::Answer;

  explicit PciModel(const ModelBusSpec& spec);

  [[nodiscard]] Answer read_ecam(std::uint64_t offset, std::size_t width);
  [[nodiscard]] ModelError write_ecam(std::uint64_t offset, const Bytes& bytes);
  [[nodiscard]] Answer read_port(std::uint64_t port, std::size_t width);
  [[nodiscard]] ModelError write_port(std::uint64_t port, const Bytes& bytes);
  [[nodiscard]] Answer read(bool ports, std::uint64_t address, std::size_t width);
  [[nodiscard]] ModelError write(bool ports, std::uint64_t address, const Bytes& bytes);

  // Functions by their place in the specification.

  /// Inside a BAR, wherever that is.
  [[nodiscard]] Answer read_bar(std::size_t function, unsigned bar, std::uint64_t offset,
                                std::size_t width);
  [[nodiscard]] ModelError write_bar(std::size_t function, unsigned bar, std::uint64_t offset,
                                     const Bytes& bytes);
  [[nodiscard]] bool msix_enabled(std::size_t function) const;
  [[nodiscard]] ModelError raise(std::size_t function, std::size_t vector);
  [[nodiscard]] ModelError withdraw(std::size_t function, std::size_t vector);
  void set_interrupt(std::size_t function, bool pending);
  void report(std::size_t function, unsigned errors);
  void reset();
  /// Where a BAR answers; nothing when it does not.
  [[nodiscard]] std::optional<std::uint64_t> base_of(std::size_t function, unsigned bar) const;

  [[nodiscard]] Bytes encode() const;
  [[nodiscard]] ModelError decode(std::span<const std::uint8_t> bytes);

  /// What happened since the last time.
  [[nodiscard]] std::vector<ModelPciEvent> take_events();

 private:
  struct Function {
    ModelFunctionSpec spec;
    unsigned routing_id = 0;
    Bytes initial, config, writable, clearable, own;
    std::size_t msix_at = 0;
    std::size_t window_at = 0;  // 0: none
    std::optional<MsixModel> msix;
  };
  struct Placed {
    std::size_t function = 0;
    ModelBar bar;
    std::uint64_t base = 0;
    [[nodiscard]] bool has(std::uint64_t address) const {
      return address >= base && address - base < bar.size;
    }
    friend bool operator==(const Placed& a, const Placed& b) {
      return a.function == b.function && a.bar.index == b.bar.index && a.base == b.base;
    }
  };

  [[nodiscard]] static Function built(const ModelFunctionSpec& spec);
  [[nodiscard]] Function* function_at(std::uint64_t ecam_offset);
  [[nodiscard]] static ModelError config_refusal(std::uint64_t offset, std::size_t width);
  [[nodiscard]] std::optional<std::uint64_t> wanted(const Function& function,
                                                    const ModelBar& bar) const;
  [[nodiscard]] bool in_a_window(const ModelBar& bar, std::uint64_t base) const;
  /// Why no BAR of that function may be where it is programmed; nothing when all may.
  ModelError place_bars(std::size_t function);
  void observe_bars();
  void observe_lines();
  void observe_msix(Function& function);
  /// Bus Master is about to become, or has become, this.
  void observe_master(const Function& function, bool on);
  [[nodiscard]] ModelError port_refusal(std::uint64_t port, std::size_t width) const;
  [[nodiscard]] std::uint64_t port_offset(std::uint64_t port) const;
  [[nodiscard]] const Placed* find(bool ports, std::uint64_t address) const;
  [[nodiscard]] ModelError bar_refusal(bool ports, std::uint64_t address, std::size_t width) const;
  /// The MSI-X structure that all of these bytes are in. Nothing when none of them is in any; an
  /// error when some are.
  struct MsixPart {
    std::optional<MsixModel::Structure> structure;
    std::uint64_t offset = 0;
    ModelError error;
  };
  [[nodiscard]] static MsixPart msix_part(const Function& function, unsigned bar,
                                          std::uint64_t offset, std::size_t width);
  [[nodiscard]] ModelError take_function(std::span<const std::uint8_t> bytes,
                                         Function& function) const;

  ModelBusSpec spec_;
  std::vector<Function> functions_;
  std::vector<Placed> placed_;
  std::vector<Placed> observed_;
  std::array<bool, 4> levels_{};
  std::uint32_t address_ = 0;
  std::vector<ModelPciEvent> events_;
};

}  // namespace guestproof::testing
