// Arm's real-time clock: seconds since 1970, and an alarm.
//
// The counter is the host's clock plus what the guest has loaded. The alarm is due when the counter
// reaches the match register; that is noticed at every access and at tick(), which the host calls
// when the seconds that until_alarm() says have passed.
//
// Registers have 4 bytes; any other access is refused, reads get all ones.
//
// Thread-safety: none; the owner serialises accesses and ticks.
// Specification: ARM PrimeCell Real Time Clock (PL031) TRM r1p3, §3.3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/base/interrupt_line.h"
#include "guestproof/bus/bus.h"
#include "guestproof/platform/error.h"

namespace guestproof::platform {

inline constexpr std::uint64_t kPl031Bytes = 0x1000;

class WallClock {
 public:
  /// Since the beginning of 1970; the low 32 bits count. May go back.
  [[nodiscard]] virtual std::uint64_t seconds() = 0;

 protected:
  ~WallClock() = default;
};

class Pl031 final : public BusDevice {
 public:
  /// `clock` and `line` must outlive the device.
  Pl031(WallClock& clock, InterruptLine& line);

  // The guest's side. Errors: kWidth, kOffset, kReadOnly, kWriteOnly.

  [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<std::byte> data) override;
  [[nodiscard]] Result<void> write(std::uint64_t offset, std::span<const std::byte> data) override;

  // The host's side.

  void tick();
  /// Seconds, at least one, until an alarm that would interrupt; nothing when there is none, or
  /// none within 2^31 seconds.
  [[nodiscard]] std::optional<std::uint32_t> until_alarm();
  /// As built.
  void reset();

  // Saved state: the header of state.h with magic "GPRT", then:
  //
  //   offset size field                    offset size field
  //   8      4    offset, from the clock   20     4    seen, the counter when it was looked at
  //   12     4    match                    24     1    mask, 1: the alarm interrupts
  //   16     4    load                     25     1    raised, 1: the alarm is due
  //                                        26     2    reserved, 0

  struct State {
    std::uint32_t offset = 0;
    std::uint32_t match = 0;
    std::uint32_t load = 0;
    std::uint32_t seen = 0;
    bool mask = false;
    bool raised = false;
  };
  [[nodiscard]] std::vector<std::byte> encode() const;
  /// Errors: PlatformStateError, for the field that it is named after.
  [[nodiscard]] static Result<State> decode(std::span<const std::byte> bytes);
  /// The line gets the level that belongs to it; an alarm that passed in between is due. REQUIRES:
  /// decoded.
  void restore(const State& state);

 private:
  [[nodiscard]] std::uint32_t now() const;
  [[nodiscard]] Result<std::uint32_t> read_register(std::uint64_t offset) const;
  [[nodiscard]] Result<void> write_register(std::uint64_t offset, std::uint32_t value);
  /// What has come due since the last look.
  void look();
  void settle();

  WallClock* clock_;
  InterruptLine* line_;
  State state_;
  bool level_ = false;
};

}  // namespace guestproof::platform
