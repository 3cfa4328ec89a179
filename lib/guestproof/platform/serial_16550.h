// A serial port: the 16550A of a PC (COM1 at port 0x3F8), the `ns16550a` of a device tree.
//
// What the guest sends goes out at once: the transmitter is always empty, and each byte that is
// written takes the interrupt for that away and brings it back, where it is enabled. Input waits in
// the receiver's FIFO of 16 bytes (1 when FIFOs are off), and the host gives no more than there is
// room for: what enqueue() does not take, the host keeps until it hears of room(). Nothing is lost
// but what the guest clears. Input that is below the trigger level is a character time-out at once,
// as there is no time in which more of it could come.
//
// Interrupts by priority: an overrun, input, an empty transmitter, a change of the modem's lines
// (the last only in loopback, where the guest drives them). The line is high as long as one of them
// is pending. OUT2 of the modem control register does not gate it: that is wiring of a PC's board,
// which others do not have.
//
// Registers have 1 byte; any other access is refused, reads get all ones. Not here: baud rates and
// frames (registers without effect), breaks, parity, the 16650's and 16750's additions.
//
// Thread-safety: none; the owner serialises accesses and input.
// Specification: National Semiconductor PC16550D (June 1995), §8.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "guestproof/base/interrupt_line.h"
#include "guestproof/bus/bus.h"
#include "guestproof/platform/error.h"

namespace guestproof::platform {

inline constexpr std::uint64_t kSerialRegisters = 8;
inline constexpr std::size_t kSerialFifoBytes = 16;

/// What is at the other end. Must not use the port in these calls.
class SerialHost {
 public:
  /// The guest sends a byte.
  virtual void sent(std::byte byte) = 0;
  /// There is room for input again, after there was none.
  virtual void room() = 0;

 protected:
  ~SerialHost() = default;
};

class Serial16550 final : public BusDevice {
 public:
  /// `host` and `line` must outlive the port.
  Serial16550(SerialHost& host, InterruptLine& line) : host_(&host), line_(&line) {}

  // The guest's side. Errors: kWidth, kOffset, kReadOnly.

  [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<std::byte> data) override;
  [[nodiscard]] Result<void> write(std::uint64_t offset, std::span<const std::byte> data) override;

  // The host's side.

  /// Takes as many of the first bytes as there is room for, and says how many.
  [[nodiscard]] std::size_t enqueue(std::span<const std::byte> bytes);
  /// How many bytes enqueue() would take; none in loopback.
  [[nodiscard]] std::size_t input_space() const;
  /// As built.
  void reset() { restore({}); }

  // Saved state: the header of state.h with magic "GPSE", then:
  //
  //   offset size field                    offset size field
  //   8      1    ier                      15     1    thr_empty, 1: an interrupt for it is due
  //   9      1    fcr, as in effect        16     2    divisor
  //   10     1    lcr                      18     1    received, bytes that wait
  //   11     1    mcr                      19     1    reserved, 0
  //   12     1    scr                      20     16   these bytes, the first first, then zeros
  //   13     1    lsr_errors
  //   14     1    msr_changes

  struct State {
    std::uint8_t ier = 0;
    std::uint8_t fcr = 0;
    std::uint8_t lcr = 0;
    std::uint8_t mcr = 0;
    std::uint8_t scr = 0;
    std::uint8_t lsr_errors = 0;
    std::uint8_t msr_changes = 0;
    bool thr_empty = false;
    std::uint16_t divisor = 12;  // 9600 baud, as firmware leaves it
    std::uint8_t received = 0;
    std::array<std::byte, kSerialFifoBytes> fifo{};
  };
  [[nodiscard]] std::vector<std::byte> encode() const;
  /// Errors: PlatformStateError, for the field that it is named after.
  [[nodiscard]] static Result<State> decode(std::span<const std::byte> bytes);
  /// The line gets the level that belongs to it; room() is called when there is some and there was
  /// none. REQUIRES: decoded.
  void restore(const State& state);

 private:
  [[nodiscard]] std::uint8_t read_register(std::uint64_t offset);
  void write_register(std::uint64_t offset, std::uint8_t value);
  [[nodiscard]] std::uint8_t read_identification();
  [[nodiscard]] std::uint8_t receive();
  void transmit(std::uint8_t value);
  void set_interrupt_enable(std::uint8_t value);
  void set_fifo_control(std::uint8_t value);
  void set_modem_control(std::uint8_t value);
  [[nodiscard]] std::uint8_t modem_inputs() const;
  [[nodiscard]] std::uint8_t identify() const;
  [[nodiscard]] static std::size_t capacity(std::uint8_t fcr);
  void update_line();
  /// After a step: what line and host are to hear.
  void settle(std::size_t space_before);

  SerialHost* host_;
  InterruptLine* line_;
  State state_;
  bool level_ = false;
};

}  // namespace guestproof::platform
