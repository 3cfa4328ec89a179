// A board under test: a 16550, an i8042, ACPI's registers, pvpanic and a PL031, on a bus of ports
// and one of memory. Target: platform.
//
//   ports    0x60 to 0x64 i8042, 0x3F8 to 0x3FF 16550, 0x505 pvpanic, 0x600 to 0x602 ACPI
//   memory   0x8FFFFFF8 to 0x8FFFFFFF the same 16550, behind it to 0x90000FFF PL031
//
// `queue` begins a board as built, on a clock that stands at 0x60000000, 0xFFFFFFF0 or 0 (index
// modulo 3). A `request` is what a driver does:
//
//   kind  what                                             kind  what
//   0     sets FIFO control (`index`) and interrupts       5     sets the divisor `value`
//         (`next`), sends                                  6     gives the i8042 the command
//         `value` `length` modulo 20 bytes of `value`                    and the byte `length`,
//         reads
//   1     receives all that is there                       7     writes `value` into the sleep
//   2     handles interrupts until there is none                 control register
//   3     sets modem control to `value`, sends `length`    8     enables the clock's interrupt and
//         modulo 20 bytes of `extra`, reads status               sets its alarm `value` seconds
//         ahead
//   4     probes the 16550 as Linux does                   9     sets the clock to `value`
//
// `access` reads 0 to 9 bytes (`length` modulo 10), or writes `value` (odd `kind`), where `kind`
// halved, modulo 7, says: register `index` modulo 16 of 0 the 16550, 1 the i8042 (from two ports
// before it on), 2 ACPI's (likewise), 3 the PL031 (`index` itself); 4 port `index`, 5 at `index`
// before the end of all addresses, 6 pvpanic (from two ports before it on, as 1). `backend`, `kind`
// modulo 4: the host 0 gives `value` modulo 64 bytes of input, 1 lets `value` seconds pass (also
// back), ticks, and asks when the next alarm is, which must interrupt then and not before, 2
// presses the power button, 3 resets all devices.
#pragma once

#include <memory>

#include "guestproof/platform/acpi_registers.h"
#include "guestproof/platform/i8042.h"
#include "guestproof/platform/pl031.h"
#include "guestproof/platform/pv_panic.h"
#include "guestproof/platform/serial_16550.h"
#include "guestproof/testing/harness/saved_harness.h"
#include "guestproof/testing/model/platform_model.h"

namespace guestproof::testing {

class PlatformHarness : public SavedHarness {
 public:
  PlatformHarness();
  ~PlatformHarness() override;

  [[nodiscard]] std::string_view name() const override { return "platform"; }

 private:
  class Board;  // the devices, the buses, and the world around them

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

  std::uint64_t read(bool ports, std::uint64_t address, std::size_t width);
  void write(bool ports, std::uint64_t address, const Bytes& data);
  std::uint64_t serial(std::uint64_t offset);
  void set_serial(std::uint64_t offset, std::uint64_t value);
  void set_clock(std::uint64_t offset, std::uint64_t value);

  void send(const Bytes& bytes);
  void receive();
  void handle_interrupts();
  void probe();
  void command(std::uint64_t command, std::uint64_t byte);
  void host(const Record& record);
  void input(const Bytes& bytes);
  void pass(std::uint64_t seconds);

  /// Both say the same of a step, and everybody around saw the same.
  void agree(std::string_view what, const Result<void>& done, const ModelError& model);

  std::unique_ptr<Board> board_;
  std::unique_ptr<PlatformModel> model_;
  Depth::Index sent_, taken_, full_, room_, received_, interrupts_[16], reset_asked_, off_asked_,
      panicked_, alarm_, pressed_, reset_;
};

}  // namespace guestproof::testing
