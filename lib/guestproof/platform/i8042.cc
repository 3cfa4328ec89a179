#include "guestproof/platform/i8042.h"

#include <utility>

#include "guestproof/base/bytes.h"
#include "guestproof/platform/registers.h"
#include "guestproof/platform/state.h"

namespace guestproof::platform {
namespace {

constexpr std::uint64_t kData = 0;
constexpr std::uint64_t kCommand = 4;

// Status.
constexpr std::uint8_t kFull = 0x01;
constexpr std::uint8_t kSystemFlag = 0x04;  // of the command byte, too
constexpr std::uint8_t kLastWasCommand = 0x08;
constexpr std::uint8_t kUnlocked = 0x10;
constexpr std::uint8_t kTimeout = 0x40;
constexpr std::uint8_t kKept = kFull | kLastWasCommand | kTimeout;

// Commands.
constexpr std::uint8_t kReadCommandByte = 0x20;
constexpr std::uint8_t kWriteCommandByte = 0x60;
constexpr std::uint8_t kDisableMouse = 0xa7;
constexpr std::uint8_t kEnableMouse = 0xa8;
constexpr std::uint8_t kTestMouse = 0xa9;
constexpr std::uint8_t kSelfTest = 0xaa;
constexpr std::uint8_t kTestKeyboard = 0xab;
constexpr std::uint8_t kDisableKeyboard = 0xad;
constexpr std::uint8_t kEnableKeyboard = 0xae;
constexpr std::uint8_t kReadOutputPort = 0xd0;
constexpr std::uint8_t kWriteOutputPort = 0xd1;
constexpr std::uint8_t kWriteKeyboardBuffer = 0xd2;
constexpr std::uint8_t kWriteMouseBuffer = 0xd3;
constexpr std::uint8_t kWriteMouse = 0xd4;
constexpr std::uint8_t kPulse = 0xf0;  // and the bits that are not pulsed

constexpr std::uint8_t kKeyboardOff = 0x10;
constexpr std::uint8_t kMouseOff = 0x20;
constexpr std::uint8_t kCommandByteBits = 0x7f;

constexpr std::uint8_t kPassed = 0x55;
constexpr std::uint8_t kClockStuckLow = 0x01;
constexpr std::uint8_t kResend = 0xfe;
constexpr std::uint8_t kNotReset = 0x01;    // of the output port
constexpr std::uint8_t kOutputPort = 0x03;  // not reset, A20 open

constexpr std::uint32_t kMagic = 0x424b5047;  // "GPKB"
constexpr std::size_t kStateBytes = 12;

bool takes_a_byte(std::uint8_t command) {
  return command == kWriteCommandByte || (command >= kWriteOutputPort && command <= kWriteMouse);
}

}  // namespace

Result<void> I8042::read(std::uint64_t offset, std::span<std::byte> data) {
  auto ok = check_register(offset, data.size(), 1, kI8042Ports);
  if (ok && offset != kData && offset != kCommand)
    ok = fail(PlatformError::kOffset, offset, kI8042Ports);
  if (!ok) {
    answer_nothing(data);
    return ok;
  }
  data[0] = std::byte{offset == kData ? read_data() : read_status()};
  return {};
}

Result<void> I8042::write(std::uint64_t offset, std::span<const std::byte> data) {
  if (const auto ok = check_register(offset, data.size(), 1, kI8042Ports); !ok) return ok;
  const auto value = std::to_integer<std::uint8_t>(data[0]);
  if (offset == kData) return write_data(value);
  if (offset == kCommand) return write_command(value);
  return fail(PlatformError::kOffset, offset, kI8042Ports);
}

std::uint8_t I8042::read_data() {
  state_.status &= static_cast<std::uint8_t>(~(kFull | kTimeout));
  return state_.output;
}

std::uint8_t I8042::read_status() const {
  return state_.status | kUnlocked | (state_.command_byte & kSystemFlag);
}

void I8042::answer(std::uint8_t byte, std::uint8_t status) {
  state_.output = byte;
  state_.status = static_cast<std::uint8_t>((state_.status & kLastWasCommand) | kFull | status);
}

Result<void> I8042::write_data(std::uint8_t value) {
  state_.status &= static_cast<std::uint8_t>(~kLastWasCommand);
  switch (std::exchange(state_.expected, 0)) {
    case kWriteCommandByte:
      state_.command_byte = value & kCommandByteBits;
      return {};
    case kWriteOutputPort:
      if ((value & kNotReset) == 0) machine_->request(MachineRequest::kReset);
      return {};
    case kWriteKeyboardBuffer:
    case kWriteMouseBuffer:  // comes back as the keyboard's: there is no interface for a mouse
      answer(value);
      return {};
    default:
      answer(kResend, kTimeout);
      return fail(PlatformError::kNoDevice, value);
  }
}

Result<void> I8042::write_command(std::uint8_t command) {
  state_.status |= kLastWasCommand;
  state_.expected = takes_a_byte(command) ? command : 0;
  if (state_.expected != 0) return {};
  if (command >= kPulse) {
    if ((command & kNotReset) == 0) machine_->request(MachineRequest::kReset);
    return {};
  }
  switch (command) {
    case kReadCommandByte:
      answer(state_.command_byte);
      break;
    case kDisableMouse:
      state_.command_byte |= kMouseOff;
      break;
    case kEnableMouse:
      state_.command_byte &= static_cast<std::uint8_t>(~kMouseOff);
      break;
    case kSelfTest:
      answer(kPassed);
      break;
    case kTestMouse:
    case kTestKeyboard:
      answer(kClockStuckLow);
      break;
    case kDisableKeyboard:
      state_.command_byte |= kKeyboardOff;
      break;
    case kEnableKeyboard:
      state_.command_byte &= static_cast<std::uint8_t>(~kKeyboardOff);
      break;
    case kReadOutputPort:
      answer(kOutputPort);
      break;
    default:
      return fail(PlatformError::kCommand, command);
  }
  return {};
}

std::vector<std::byte> I8042::encode() const {
  auto bytes = state_with_header(kMagic, kStateBytes);
  bytes[8] = std::byte{state_.command_byte};
  bytes[9] = std::byte{state_.output};
  bytes[10] = std::byte{state_.status};
  bytes[11] = std::byte{state_.expected};
  return bytes;
}

Result<I8042::State> I8042::decode(std::span<const std::byte> bytes) {
  if (const auto ok = check_state_header(bytes, kMagic, kStateBytes); !ok)
    return std::unexpected(ok.error());
  const auto field = [&](std::size_t at) { return std::to_integer<std::uint8_t>(bytes[at]); };
  const State state{field(8), field(9), field(10), field(11)};
  if ((state.command_byte & ~kCommandByteBits) != 0)
    return fail(PlatformStateError::kCommandByte, state.command_byte, kCommandByteBits);
  if ((state.status & ~kKept) != 0 || (state.status & (kFull | kTimeout)) == kTimeout)
    return fail(PlatformStateError::kStatus, state.status, kKept);
  if (state.expected != 0 && !takes_a_byte(state.expected))
    return fail(PlatformStateError::kExpected, state.expected);
  return state;
}

}  // namespace guestproof::platform
