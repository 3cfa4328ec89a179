// A second opinion on the devices of a board and the buses that they are on: 16550, i8042, ACPI's
// registers, pvpanic, PL031. Registers as lists and flags, and what is due is worked out anew after
// every step. Written from the documents that guestproof/platform/*.h name, and the policies there;
// it shares no code with the library.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "guestproof/testing/model/model_memory.h"

namespace guestproof::testing {

/// What the world around the board sees.
struct PlatformEvents {
  std::vector<std::uint8_t> sent;  // bytes of the serial port
  std::vector<char> requests;      // 'r' reset, 'o' power off, 'p' panic
  std::vector<int> levels;         // of a line: 1 serial, 2 clock, 3 button; negative when it falls
  unsigned rooms = 0;              // times that the host heard of room for input

  friend bool operator==(const PlatformEvents&, const PlatformEvents&) = default;
};

class SerialModel {
 public:
  explicit SerialModel(PlatformEvents& events) : events_(&events) {}

  [[nodiscard]] std::uint8_t read(std::uint64_t at);
  [[nodiscard]] ModelError write(std::uint64_t at, std::uint8_t value);
  [[nodiscard]] std::size_t space() const;
  [[nodiscard]] std::size_t take(std::span<const std::uint8_t> bytes);
  void reset();
  /// After each step: the line, and the host.
  void settle();

  void encode(std::vector<std::uint8_t>& bytes) const;
  /// REQUIRES: 36 bytes with a good header.
  [[nodiscard]] ModelError decode(std::span<const std::uint8_t> bytes);

 private:
  struct Modem {
    bool cts, dsr, ri, dcd;
  };
  [[nodiscard]] Modem modem() const;
  [[nodiscard]] unsigned due() const;  // the IIR without the FIFO bits
  [[nodiscard]] std::size_t depth() const { return fifos_ ? 16 : 1; }

  PlatformEvents* events_;
  std::deque<std::uint8_t> waiting_;
  bool fifos_ = false;
  unsigned fcr_ = 0, ier_ = 0, lcr_ = 0, mcr_ = 0, scr_ = 0, low_ = 12, high_ = 0;
  bool overrun_ = false, thr_ = false;
  bool d_cts_ = false, d_dsr_ = false, ri_ended_ = false, d_dcd_ = false;
  bool line_ = false;
  bool had_room_ = true;
};

class KeyboardModel {
 public:
  explicit KeyboardModel(PlatformEvents& events) : events_(&events) {}

  [[nodiscard]] std::uint8_t read(bool data);
  [[nodiscard]] ModelError write(bool data, std::uint8_t value);
  void reset() { *this = KeyboardModel(*events_); }
  void encode(std::vector<std::uint8_t>& bytes) const;
  /// REQUIRES: 12 bytes with a good header.
  [[nodiscard]] ModelError decode(std::span<const std::uint8_t> bytes);

 private:
  void answer(unsigned byte, bool timeout = false);

  PlatformEvents* events_;
  unsigned mode_ = 0x74, buffer_ = 0, wanted_ = 0;
  bool full_ = false, was_command_ = false, timeout_ = false;
};

class ClockModel {
 public:
  ClockModel(PlatformEvents& events, const std::uint64_t& seconds)
      : events_(&events), seconds_(&seconds) {
    reset();
  }

  [[nodiscard]] ModelError read(std::uint64_t at, std::uint64_t& value) const;
  [[nodiscard]] ModelError write(std::uint64_t at, std::uint64_t value);
  /// The time is looked at, before and after each step.
  void look();
  void settle();
  void reset();
  /// -1: none.
  [[nodiscard]] std::int64_t until_alarm() const;
  void encode(std::vector<std::uint8_t>& bytes) const;
  /// REQUIRES: 28 bytes with a good header.
  [[nodiscard]] ModelError decode(std::span<const std::uint8_t> bytes);

 private:
  PlatformEvents* events_;
  const std::uint64_t* seconds_;
  std::uint64_t ahead_ = 0, match_ = 0, load_ = 0, seen_ = 0;  // all modulo 2^32
  bool enabled_ = false, due_ = false, line_ = false;
};

class PlatformModel {
 public:
  using Bytes = std::vector<std::uint8_t>;

  PlatformModel() = default;
  PlatformModel(const PlatformModel&) = delete;
  PlatformModel& operator=(const PlatformModel&) = delete;

  // Accesses; a read gives what is read. `ports` says which bus.

  [[nodiscard]] ModelError read(bool ports, std::uint64_t address, Bytes& data);
  [[nodiscard]] ModelError write(bool ports, std::uint64_t address, const Bytes& data);

  /// How many of the bytes the serial port takes.
  [[nodiscard]] std::size_t input(const Bytes& bytes);
  [[nodiscard]] std::size_t input_space() const { return serial_.space(); }
  void press();
  void pass(std::uint64_t seconds);  // wraps: time may go back
  void tick();
  [[nodiscard]] std::int64_t until_alarm();
  void reset();

  [[nodiscard]] Bytes encode() const;
  /// What is refused; the state is then as it was.
  [[nodiscard]] ModelError decode(std::span<const std::uint8_t> bytes);

  /// What happened since the last time.
  [[nodiscard]] PlatformEvents take_events();

 private:
  enum class Who : std::uint8_t { kNobody, kSerial, kKeyboard, kAcpi, kClock, kPanic };
  [[nodiscard]] static ModelError find(bool ports, std::uint64_t address, std::size_t width,
                                       Who& who, std::uint64_t& offset);
  [[nodiscard]] static ModelError refusal(Who who, std::uint64_t offset, std::size_t width);
  [[nodiscard]] ModelError write_acpi(std::uint64_t offset, unsigned value);
  [[nodiscard]] ModelError write_panic(unsigned value);

  PlatformEvents events_;
  std::uint64_t seconds_ = 0;
  SerialModel serial_{events_};
  KeyboardModel keyboard_{events_};
  ClockModel clock_{events_, seconds_};
};

}  // namespace guestproof::testing
