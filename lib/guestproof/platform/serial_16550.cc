#include "guestproof/platform/serial_16550.h"

#include <algorithm>
#include <utility>

#include "guestproof/base/bytes.h"
#include "guestproof/platform/registers.h"
#include "guestproof/platform/state.h"

namespace guestproof::platform {
namespace {

// Registers (table 2), by their offsets; the first two are the divisor's while LCR has DLAB.
enum Register : std::uint8_t {
  kData = 0,  // RBR, THR
  kIer = 1,
  kIirFcr = 2,
  kLcr = 3,
  kMcr = 4,
  kLsr = 5,
  kMsr = 6,
  kScr = 7,
};

constexpr std::uint8_t kIerReceived = 0x01;
constexpr std::uint8_t kIerTransmitterEmpty = 0x02;
constexpr std::uint8_t kIerLineStatus = 0x04;
constexpr std::uint8_t kIerModemStatus = 0x08;
constexpr std::uint8_t kIerBits = 0x0f;

constexpr std::uint8_t kIirModemStatus = 0x00;
constexpr std::uint8_t kIirNone = 0x01;
constexpr std::uint8_t kIirTransmitterEmpty = 0x02;
constexpr std::uint8_t kIirReceived = 0x04;
constexpr std::uint8_t kIirLineStatus = 0x06;
constexpr std::uint8_t kIirTimeout = 0x0c;
constexpr std::uint8_t kIirFifos = 0xc0;

constexpr std::uint8_t kFcrEnable = 0x01;
constexpr std::uint8_t kFcrClearReceiver = 0x02;
constexpr std::uint8_t kFcrKept = 0xc9;  // enable, DMA mode, trigger level

constexpr std::uint8_t kLcrDlab = 0x80;
constexpr std::uint8_t kMcrLoopback = 0x10;
constexpr std::uint8_t kMcrBits = 0x1f;

constexpr std::uint8_t kLsrDataReady = 0x01;
constexpr std::uint8_t kLsrOverrun = 0x02;
constexpr std::uint8_t kLsrTransmitterEmpty = 0x60;  // THRE, TEMT

constexpr std::uint8_t kMsrCts = 0x10;
constexpr std::uint8_t kMsrDsr = 0x20;
constexpr std::uint8_t kMsrRi = 0x40;
constexpr std::uint8_t kMsrDcd = 0x80;
constexpr std::uint8_t kMsrChanges = 0x0f;
constexpr std::uint8_t kMsrRiEnded = 0x04;

constexpr std::uint32_t kMagic = 0x45535047;  // "GPSE"
constexpr std::size_t kFifoAt = 20;
constexpr std::size_t kStateBytes = kFifoAt + kSerialFifoBytes;

/// Bytes that wait before input is more than a time-out (§8.4).
std::size_t trigger_level(std::uint8_t fcr) {
  static constexpr std::array<std::size_t, 4> kLevels{1, 4, 8, 14};
  return (fcr & kFcrEnable) != 0 ? kLevels[fcr >> 6] : 1;
}

}  // namespace

std::size_t Serial16550::capacity(std::uint8_t fcr) {
  return (fcr & kFcrEnable) != 0 ? kSerialFifoBytes : 1;
}

std::size_t Serial16550::input_space() const {
  return (state_.mcr & kMcrLoopback) != 0 ? 0 : capacity(state_.fcr) - state_.received;
}

Result<void> Serial16550::read(std::uint64_t offset, std::span<std::byte> data) {
  if (const auto ok = check_register(offset, data.size(), 1, kSerialRegisters); !ok) {
    answer_nothing(data);
    return ok;
  }
  const auto space = input_space();
  data[0] = std::byte{read_register(offset)};
  settle(space);
  return {};
}

Result<void> Serial16550::write(std::uint64_t offset, std::span<const std::byte> data) {
  if (const auto ok = check_register(offset, data.size(), 1, kSerialRegisters); !ok) return ok;
  if (offset == kLsr || offset == kMsr) return fail(PlatformError::kReadOnly, offset);
  const auto space = input_space();
  write_register(offset, std::to_integer<std::uint8_t>(data[0]));
  settle(space);
  return {};
}

void Serial16550::update_line() {
  const bool level = identify() != kIirNone;
  if (level != level_) line_->set(level_ = level);
}

void Serial16550::settle(std::size_t space_before) {
  update_line();
  if (space_before == 0 && input_space() != 0) host_->room();
}

std::uint8_t Serial16550::read_register(std::uint64_t offset) {
  const bool divisor = (state_.lcr & kLcrDlab) != 0;
  switch (offset) {
    case kData:
      return divisor ? static_cast<std::uint8_t>(state_.divisor & 0xff) : receive();
    case kIer:
      return divisor ? static_cast<std::uint8_t>(state_.divisor >> 8) : state_.ier;
    case kIirFcr:
      return read_identification();
    case kLcr:
      return state_.lcr;
    case kMcr:
      return state_.mcr;
    case kLsr:
      return (state_.received != 0 ? kLsrDataReady : 0) | kLsrTransmitterEmpty |
             std::exchange(state_.lsr_errors, 0);
    case kMsr:
      return modem_inputs() | std::exchange(state_.msr_changes, 0);
    default:
      return state_.scr;
  }
}

std::uint8_t Serial16550::read_identification() {
  const auto pending = identify();
  if (pending == kIirTransmitterEmpty) state_.thr_empty = false;
  return (state_.fcr & kFcrEnable) != 0 ? pending | kIirFifos : pending;
}

void Serial16550::write_register(std::uint64_t offset, std::uint8_t value) {
  const bool divisor = (state_.lcr & kLcrDlab) != 0;
  switch (offset) {
    case kData:
      if (!divisor) return transmit(value);
      state_.divisor = static_cast<std::uint16_t>((state_.divisor & 0xff00) | value);
      break;
    case kIer:
      if (!divisor) return set_interrupt_enable(value);
      state_.divisor = static_cast<std::uint16_t>((state_.divisor & 0x00ff) | value << 8);
      break;
    case kIirFcr:
      return set_fifo_control(value);
    case kLcr:
      state_.lcr = value;
      break;
    case kMcr:
      return set_modem_control(value);
    default:
      state_.scr = value;
  }
}

std::uint8_t Serial16550::receive() {
  if (state_.received == 0) return 0;
  const auto byte = std::to_integer<std::uint8_t>(state_.fifo[0]);
  std::ranges::copy(std::span(state_.fifo).subspan(1), state_.fifo.begin());
  state_.fifo[--state_.received] = std::byte{0};
  return byte;
}

void Serial16550::transmit(std::uint8_t value) {
  // The byte takes the interrupt away, and is gone at once: an input that looks at edges sees one.
  state_.thr_empty = false;
  update_line();
  state_.thr_empty = true;
  const std::byte byte{value};
  if ((state_.mcr & kMcrLoopback) == 0) return host_->sent(byte);
  const auto room = capacity(state_.fcr);
  if (state_.received < room) {
    state_.fifo[state_.received++] = byte;
    return;
  }
  // A FIFO keeps what it has, the single register has the last (§8.5).
  state_.lsr_errors |= kLsrOverrun;
  if (room == 1) state_.fifo[0] = byte;
}

void Serial16550::set_interrupt_enable(std::uint8_t value) {
  // Whoever enables the interrupt for an empty transmitter gets it, as it is empty.
  if ((value & ~state_.ier & kIerTransmitterEmpty) != 0) state_.thr_empty = true;
  state_.ier = value & kIerBits;
}

void Serial16550::set_fifo_control(std::uint8_t value) {
  const auto kept = (value & kFcrEnable) != 0 ? value & kFcrKept : 0;
  const bool turned = ((value ^ state_.fcr) & kFcrEnable) != 0;
  const bool cleared = (value & kFcrEnable) != 0 && (value & kFcrClearReceiver) != 0;
  if (turned || cleared) {
    state_.received = 0;
    state_.fifo = {};
  }
  state_.fcr = static_cast<std::uint8_t>(kept);
}

std::uint8_t Serial16550::modem_inputs() const {
  if ((state_.mcr & kMcrLoopback) == 0) return kMsrCts | kMsrDsr | kMsrDcd;
  // DTR, RTS, OUT1 and OUT2 arrive at DSR, CTS, RI and DCD (§8.7).
  return static_cast<std::uint8_t>(
      ((state_.mcr & 0x01) != 0 ? kMsrDsr : 0) | ((state_.mcr & 0x02) != 0 ? kMsrCts : 0) |
      ((state_.mcr & 0x04) != 0 ? kMsrRi : 0) | ((state_.mcr & 0x08) != 0 ? kMsrDcd : 0));
}

void Serial16550::set_modem_control(std::uint8_t value) {
  const auto before = modem_inputs();
  state_.mcr = value & kMcrBits;
  const auto after = modem_inputs();
  const auto changed = (before ^ after) >> 4 & ~kMsrRiEnded;
  const auto ring_ended = (before & ~after & kMsrRi) != 0 ? kMsrRiEnded : 0;
  state_.msr_changes = static_cast<std::uint8_t>(state_.msr_changes | changed | ring_ended);
}

std::uint8_t Serial16550::identify() const {
  const auto enabled = [&](std::uint8_t bit) { return (state_.ier & bit) != 0; };
  if (enabled(kIerLineStatus) && state_.lsr_errors != 0) return kIirLineStatus;
  if (enabled(kIerReceived) && state_.received != 0)
    return state_.received >= trigger_level(state_.fcr) ? kIirReceived : kIirTimeout;
  if (enabled(kIerTransmitterEmpty) && state_.thr_empty) return kIirTransmitterEmpty;
  if (enabled(kIerModemStatus) && state_.msr_changes != 0) return kIirModemStatus;
  return kIirNone;
}

std::size_t Serial16550::enqueue(std::span<const std::byte> bytes) {
  const auto taken = std::min(bytes.size(), input_space());
  std::ranges::copy(bytes.first(taken), std::span(state_.fifo).subspan(state_.received).begin());
  state_.received = static_cast<std::uint8_t>(state_.received + taken);
  settle(input_space());
  return taken;
}

std::vector<std::byte> Serial16550::encode() const {
  auto bytes = state_with_header(kMagic, kStateBytes);
  const std::span out(bytes);
  out[8] = std::byte{state_.ier};
  out[9] = std::byte{state_.fcr};
  out[10] = std::byte{state_.lcr};
  out[11] = std::byte{state_.mcr};
  out[12] = std::byte{state_.scr};
  out[13] = std::byte{state_.lsr_errors};
  out[14] = std::byte{state_.msr_changes};
  out[15] = std::byte{state_.thr_empty};
  store(out.subspan(16, 2), state_.divisor);
  out[18] = std::byte{state_.received};
  std::ranges::copy(state_.fifo, out.subspan(kFifoAt).begin());
  return bytes;
}

Result<Serial16550::State> Serial16550::decode(std::span<const std::byte> bytes) {
  if (const auto ok = check_state_header(bytes, kMagic, kStateBytes); !ok)
    return std::unexpected(ok.error());
  const auto field = [&](std::size_t at) { return std::to_integer<std::uint8_t>(bytes[at]); };
  State state{.ier = field(8),
              .fcr = field(9),
              .lcr = field(10),
              .mcr = field(11),
              .scr = field(12),
              .lsr_errors = field(13),
              .msr_changes = field(14),
              .thr_empty = field(15) == 1,
              .divisor = static_cast<std::uint16_t>(load(bytes.subspan(16, 2))),
              .received = field(18)};
  if ((state.ier & ~kIerBits) != 0)
    return fail(PlatformStateError::kInterruptEnable, state.ier, kIerBits);
  if ((state.fcr & ~kFcrKept) != 0 || (state.fcr != 0 && (state.fcr & kFcrEnable) == 0))
    return fail(PlatformStateError::kFifoControl, state.fcr, kFcrKept);
  if ((state.mcr & ~kMcrBits) != 0)
    return fail(PlatformStateError::kModemControl, state.mcr, kMcrBits);
  if ((state.lsr_errors & ~kLsrOverrun) != 0)
    return fail(PlatformStateError::kLineErrors, state.lsr_errors, kLsrOverrun);
  if ((state.msr_changes & ~kMsrChanges) != 0)
    return fail(PlatformStateError::kModemChanges, state.msr_changes, kMsrChanges);
  if (field(15) > 1) return fail(PlatformStateError::kTransmitterEmpty, field(15), 1);
  if (state.received > capacity(state.fcr))
    return fail(PlatformStateError::kReceived, state.received, capacity(state.fcr));
  if (field(19) != 0) return fail(PlatformStateError::kReserved, field(19), 19);
  for (auto at = kFifoAt + state.received; at < kStateBytes; ++at)
    if (field(at) != 0) return fail(PlatformStateError::kReserved, field(at), at);
  std::ranges::copy(bytes.subspan(kFifoAt), state.fifo.begin());
  return state;
}

void Serial16550::restore(const State& state) {
  const auto space = input_space();
  state_ = state;
  settle(space);
}

}  // namespace guestproof::platform
