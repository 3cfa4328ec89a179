#include "guestproof/platform/pl031.h"

#include <array>

#include "guestproof/base/bytes.h"
#include "guestproof/platform/registers.h"
#include "guestproof/platform/state.h"

namespace guestproof::platform {
namespace {

// Registers (table 3-1).
enum Register : std::uint64_t {
  kRtcDr = 0x000,
  kRtcMr = 0x004,
  kRtcLr = 0x008,
  kRtcCr = 0x00c,
  kRtcImsc = 0x010,
  kRtcRis = 0x014,
  kRtcMis = 0x018,
  kRtcIcr = 0x01c,
  kIdentification = 0xfe0,  // RTCPeriphID0 to 3, RTCPCellID0 to 3
};
/// Part 0x031 of designer 0x41, revision 1.
constexpr std::array<std::uint32_t, 8> kIdentity{0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

/// A counter that is so far ahead of what it was, or further, has gone back.
constexpr std::uint32_t kBackwards = 0x8000'0000;

constexpr std::uint32_t kMagic = 0x54525047;  // "GPRT"
constexpr std::size_t kStateBytes = 28;

}  // namespace

Pl031::Pl031(WallClock& clock, InterruptLine& line) : clock_(&clock), line_(&line) {
  state_.seen = now();
}

std::uint32_t Pl031::now() const {
  return static_cast<std::uint32_t>(clock_->seconds()) + state_.offset;
}

void Pl031::look() {
  const auto counter = now();
  // The match is one of the values from the one after `seen` to this one. A clock that went back
  // by less than half of its range has passed none.
  const auto passed = counter - state_.seen;
  if (passed < kBackwards && state_.match - state_.seen - 1 < passed) state_.raised = true;
  state_.seen = counter;
}

void Pl031::settle() {
  const bool level = state_.raised && state_.mask;
  if (level != level_) line_->set(level_ = level);
}

void Pl031::tick() {
  look();
  settle();
}

std::optional<std::uint32_t> Pl031::until_alarm() {
  tick();
  if (!state_.mask || state_.raised) return std::nullopt;
  // One that was just cleared, or is half of the range away, comes when the counter has gone round,
  // or back: nobody waits for that, and look() would not see it in one step.
  const auto wait = state_.match - state_.seen;
  if (wait == 0 || wait >= kBackwards) return std::nullopt;
  return wait;
}

Result<void> Pl031::read(std::uint64_t offset, std::span<std::byte> data) {
  tick();
  auto value = Result<std::uint32_t>(0);
  if (const auto ok = check_register(offset, data.size(), 4, kPl031Bytes); !ok)
    value = std::unexpected(ok.error());
  else
    value = read_register(offset);
  if (value) {
    store(data, *value);
    return {};
  }
  answer_nothing(data);
  return std::unexpected(value.error());
}

Result<void> Pl031::write(std::uint64_t offset, std::span<const std::byte> data) {
  look();
  auto ok = check_register(offset, data.size(), 4, kPl031Bytes);
  if (ok) ok = write_register(offset, static_cast<std::uint32_t>(load(data)));
  settle();
  return ok;
}

Result<std::uint32_t> Pl031::read_register(std::uint64_t offset) const {
  switch (offset) {
    case kRtcDr:
      return state_.seen;
    case kRtcMr:
      return state_.match;
    case kRtcLr:
      return state_.load;
    case kRtcCr:
      return 1;  // it runs, and nothing stops it
    case kRtcImsc:
      return state_.mask;
    case kRtcRis:
      return state_.raised;
    case kRtcMis:
      return state_.raised && state_.mask;
    case kRtcIcr:
      return fail(PlatformError::kWriteOnly, offset);
    default:
      break;
  }
  if (offset >= kIdentification) return kIdentity[(offset - kIdentification) / 4];
  return fail(PlatformError::kOffset, offset, kPl031Bytes);
}

Result<void> Pl031::write_register(std::uint64_t offset, std::uint32_t value) {
  switch (offset) {
    case kRtcMr:
      state_.match = value;
      if (value == state_.seen) state_.raised = true;
      return {};
    case kRtcLr:
      state_.load = value;
      state_.offset += value - state_.seen;
      state_.seen = value;
      if (state_.match == state_.seen) state_.raised = true;
      return {};
    case kRtcCr:
      return {};
    case kRtcImsc:
      state_.mask = (value & 1) != 0;
      return {};
    case kRtcIcr:
      if ((value & 1) != 0) state_.raised = false;
      return {};
    case kRtcDr:
    case kRtcRis:
    case kRtcMis:
      return fail(PlatformError::kReadOnly, offset);
    default:
      break;
  }
  if (offset >= kIdentification) return fail(PlatformError::kReadOnly, offset);
  return fail(PlatformError::kOffset, offset, kPl031Bytes);
}

std::vector<std::byte> Pl031::encode() const {
  auto bytes = state_with_header(kMagic, kStateBytes);
  const std::span out(bytes);
  store(out.subspan(8, 4), state_.offset);
  store(out.subspan(12, 4), state_.match);
  store(out.subspan(16, 4), state_.load);
  store(out.subspan(20, 4), state_.seen);
  out[24] = std::byte{state_.mask};
  out[25] = std::byte{state_.raised};
  return bytes;
}

Result<Pl031::State> Pl031::decode(std::span<const std::byte> bytes) {
  if (const auto ok = check_state_header(bytes, kMagic, kStateBytes); !ok)
    return std::unexpected(ok.error());
  const auto field = [&](std::size_t at, std::size_t width) {
    return static_cast<std::uint32_t>(load(bytes.subspan(at, width)));
  };
  if (field(24, 1) > 1) return fail(PlatformStateError::kMask, field(24, 1), 1);
  if (field(25, 1) > 1) return fail(PlatformStateError::kRaised, field(25, 1), 1);
  if (field(26, 2) != 0) return fail(PlatformStateError::kReserved, field(26, 2), 26);
  return State{field(8, 4),  field(12, 4),      field(16, 4),
               field(20, 4), field(24, 1) == 1, field(25, 1) == 1};
}

void Pl031::reset() {
  state_ = {};
  state_.seen = now();
  settle();
}

void Pl031::restore(const State& state) {
  state_ = state;
  tick();
}

}  // namespace guestproof::platform
