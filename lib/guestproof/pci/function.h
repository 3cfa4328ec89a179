// One function: its configuration space, its MSI-X structures, and the owner that is behind its
// BARs.
//
// Not here: where its BARs are among others and its interrupt line, which its bus sees to (bus.h).
//
// Thread-safety: none; the owner of the bus serialises accesses and interrupts.
// Specification: PCI Local Bus 3.0 §6.2, §6.8.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/pci/config_space.h"
#include "guestproof/pci/msix.h"

namespace guestproof::pci {

/// An access to a BAR: 1 to 8 bytes.
inline constexpr std::size_t kMaxBarAccess = 8;

/// What is behind a function's BARs and its register window. A read fills `data`, also when it
/// refuses. In these calls an owner may use its function's side, but not the bus, which looks at
/// the interrupt pin when they have ended.
class FunctionOwner {
 public:
  /// The bytes are inside the BAR and none of them belongs to MSI-X.
  [[nodiscard]] virtual Result<void> read_bar(unsigned bar, std::uint64_t offset,
                                              std::span<std::byte> data) = 0;
  [[nodiscard]] virtual Result<void> write_bar(unsigned bar, std::uint64_t offset,
                                               std::span<const std::byte> data) = 0;
  /// 1, 2 or 4 bytes of the configuration doubleword that the owner answers itself; `at` says from
  /// which of its bytes on.
  [[nodiscard]] virtual Result<void> read_window(unsigned at, std::span<std::byte> data) = 0;
  [[nodiscard]] virtual Result<void> write_window(unsigned at, std::span<const std::byte> data) = 0;
  /// The driver, a reset or a restored state has changed the Bus Master bit of the command register
  /// (§6.2.2); at first it is clear. `on`: the function may access memory from now on. Otherwise
  /// this is the last moment for what it has to end: messages of MSI-X that it raises in this call
  /// are sent as before, later ones are pending until the bit is set.
  virtual void bus_master_changed(bool on) = 0;

 protected:
  ~FunctionOwner() = default;
};

class Function {
 public:
  /// A function that has its registers only. REQUIRES: no BAR, no MSI-X, no window.
  explicit Function(const ConfigSpace& config);
  /// `owner` and `sink` must outlive the function.
  Function(const ConfigSpace& config, FunctionOwner& owner, MsiSink& sink);

  [[nodiscard]] const ConfigSpace& config() const { return config_; }
  [[nodiscard]] const std::optional<Msix>& msix() const { return msix_; }

  // The guest's side. `data` is filled with the answer also when there is an error.

  /// Errors: those of ConfigSpace; the owner's, in its window.
  [[nodiscard]] Result<void> read_config(std::uint64_t offset, std::span<std::byte> data);
  [[nodiscard]] Result<void> write_config(std::uint64_t offset, std::span<const std::byte> data);
  /// REQUIRES: 1 to 8 bytes inside a BAR. Errors: kMsixPart, MsixError, the owner's.
  [[nodiscard]] Result<void> read_bar(unsigned bar, std::uint64_t offset,
                                      std::span<std::byte> data);
  [[nodiscard]] Result<void> write_bar(unsigned bar, std::uint64_t offset,
                                       std::span<const std::byte> data);

  // The device's side.

  /// Errors: kNoMsix; MsixError::kVector, kDisabled.
  [[nodiscard]] Result<MsixOutcome> raise(std::uint16_t vector);
  /// Errors: kNoMsix; MsixError::kVector.
  [[nodiscard]] Result<void> withdraw(std::uint16_t vector);
  /// The function wants its interrupt pin asserted, or no longer. Its bus notices after an access,
  /// such as one that the owner answers; at other times Bus::set_interrupt() is to be called.
  /// REQUIRES: an interrupt pin, when pending.
  void set_interrupt(bool pending) { config_.set_interrupt_status(pending); }
  /// Its pin is asserted: it has something pending, and the driver has neither disabled the pin nor
  /// enabled MSI-X (§6.8.3).
  [[nodiscard]] bool asserted() const;
  /// REQUIRES: of kStatusErrors.
  void report(std::uint16_t errors) { config_.report(errors); }
  /// As built: nothing decoded, nothing pending.
  void reset();

  // Saved state, little-endian:
  //
  //   offset size field                    offset size field
  //   0      4    magic "GPPF"             12     4    msix_length, 0 without MSI-X
  //   4      2    version (1)              16     256  configuration space
  //   6      2    reserved, 0              272    …    MSI-X (msix.h)
  //   8      4    length, of everything

  struct State {
    ConfigSpace config;
    std::optional<Msix> msix;
  };
  [[nodiscard]] std::size_t state_bytes() const;
  [[nodiscard]] std::vector<std::byte> encode() const;
  /// Errors: PciStateError, for the field that it is named after.
  [[nodiscard]] Result<State> decode(std::span<const std::byte> bytes) const;
  /// REQUIRES: decoded by this function.
  void restore(State&& state);

 private:
  enum class Part : std::uint8_t { kOwner, kTable, kPba };
  struct Place {
    Part part;
    std::uint64_t offset;
  };
  /// What of the function an access to a BAR is for. Errors: kMsixPart.
  [[nodiscard]] Result<Place> place_of(unsigned bar, std::uint64_t offset, std::size_t bytes) const;
  [[nodiscard]] bool in_window(std::uint64_t offset, std::size_t bytes) const;
  [[nodiscard]] static MsixControl msix_control(const ConfigSpace& config);
  /// Has `change()` give the function other registers, with this Bus Master bit among them; the
  /// owner hears of a bit that is cleared before it, of one that is set after it.
  template <class Change>
  void change(bool bus_master, Change&& change);

  ConfigSpace config_;
  std::optional<Msix> msix_;
  FunctionOwner* owner_ = nullptr;
  MsiSink* sink_ = nullptr;
  bool bus_master_ = false;  // as the owner knows it
};

}  // namespace guestproof::pci
