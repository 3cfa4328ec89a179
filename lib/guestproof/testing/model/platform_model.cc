#include "guestproof/testing/model/platform_model.h"

#include <algorithm>
#include <utility>

namespace guestproof::testing {
namespace {

constexpr std::uint64_t k32 = 0xffff'ffff;

struct Range {
  std::uint64_t first, last;
  int who;  // of Who
  bool ports;
};
// The memory of the serial port ends where the clock's begins.
constexpr Range kRanges[] = {
    {0x60, 0x64, 2, true},
    {0x3f8, 0x3ff, 1, true},
    {0x505, 0x505, 5, true},
    {0x600, 0x602, 3, true},
    {0x8fff'fff8, 0x8fff'ffff, 1, false},
    {0x9000'0000, 0x9000'0fff, 4, false},
};

ModelError check_header(std::span<const std::uint8_t> bytes, std::uint64_t magic,
                        std::size_t size) {
  if (bytes.size() != size) return {"platform_state.bytes", bytes.size(), size};
  if (number_in(bytes, 0, 4) != magic)
    return {"platform_state.magic", number_in(bytes, 0, 4), magic};
  if (number_in(bytes, 4, 2) != 1) return {"platform_state.version", number_in(bytes, 4, 2), 1};
  if (number_in(bytes, 6, 2) != size)
    return {"platform_state.length", number_in(bytes, 6, 2), size};
  return {};
}

void append_header(std::vector<std::uint8_t>& bytes, std::uint64_t magic, std::size_t size) {
  append_number(bytes, 4, magic);
  append_number(bytes, 2, 1);
  append_number(bytes, 2, size);
}

constexpr std::uint64_t kSerialMagic = 0x45535047, kKeyboardMagic = 0x424b5047,
                        kClockMagic = 0x54525047;
constexpr std::size_t kSerialBytes = 36, kKeyboardBytes = 12, kClockBytes = 28;

}  // namespace

// The serial port.

SerialModel::Modem SerialModel::modem() const {
  if (mcr_ < 16) return {true, true, false, true};
  return {mcr_ / 2 % 2 == 1, mcr_ % 2 == 1, mcr_ / 4 % 2 == 1, mcr_ / 8 % 2 == 1};
}

std::size_t SerialModel::space() const { return mcr_ >= 16 ? 0 : depth() - waiting_.size(); }

unsigned SerialModel::due() const {
  const bool overrun = overrun_ && ier_ / 4 % 2 == 1;
  const bool input = !waiting_.empty() && ier_ % 2 == 1;
  const bool empty = thr_ && ier_ / 2 % 2 == 1;
  const bool changed = (d_cts_ || d_dsr_ || ri_ended_ || d_dcd_) && ier_ / 8 == 1;
  std::size_t level = 1;
  if (fcr_ >= 0xc0)
    level = 14;
  else if (fcr_ >= 0x80)
    level = 8;
  else if (fcr_ >= 0x40)
    level = 4;
  if (overrun) return 6;
  if (input) return waiting_.size() < level ? 12 : 4;
  if (empty) return 2;
  return changed ? 0 : 1;
}

void SerialModel::settle() {
  const bool now = due() != 1;
  if (now != line_) events_->levels.push_back(now ? 1 : -1);
  line_ = now;
  const bool room = space() > 0;
  if (room && !had_room_) ++events_->rooms;
  had_room_ = room;
}

std::uint8_t SerialModel::read(std::uint64_t at) {
  const bool dlab = lcr_ >= 128;
  unsigned value = 0;
  if (at == 0 && dlab) value = low_;
  if (at == 0 && !dlab && !waiting_.empty()) {
    value = waiting_.front();
    waiting_.pop_front();
  }
  if (at == 1) value = dlab ? high_ : ier_;
  if (at == 2) {
    value = due() + (fifos_ ? 0xc0U : 0U);
    if (due() == 2) thr_ = false;
  }
  if (at == 3) value = lcr_;
  if (at == 4) value = mcr_;
  if (at == 5) {
    value = 0x60U + (waiting_.empty() ? 0U : 1U) + (overrun_ ? 2U : 0U);
    overrun_ = false;
  }
  if (at == 6) {
    const auto now = modem();
    value = (now.cts ? 16U : 0U) + (now.dsr ? 32U : 0U) + (now.ri ? 64U : 0U) +
            (now.dcd ? 128U : 0U) + (d_cts_ ? 1U : 0U) + (d_dsr_ ? 2U : 0U) +
            (ri_ended_ ? 4U : 0U) + (d_dcd_ ? 8U : 0U);
    d_cts_ = d_dsr_ = ri_ended_ = d_dcd_ = false;
  }
  if (at == 7) value = scr_;
  return static_cast<std::uint8_t>(value);
}

ModelError SerialModel::write(std::uint64_t at, std::uint8_t value) {
  const bool dlab = lcr_ >= 128;
  if (at == 5 || at == 6) return {"platform.read_only", at, 0};
  if (at == 0 && dlab) low_ = value;
  if (at == 0 && !dlab) {
    // Full for a moment: the line falls if that was all that it was high for.
    thr_ = false;
    if (line_ && due() == 1) {
      events_->levels.push_back(-1);
      line_ = false;
    }
    thr_ = true;
    if (mcr_ < 16) {
      events_->sent.push_back(value);
    } else if (waiting_.size() < depth()) {
      waiting_.push_back(value);
    } else {
      overrun_ = true;
      if (!fifos_) waiting_ = {value};
    }
  }
  if (at == 1 && dlab) high_ = value;
  if (at == 1 && !dlab) {
    const bool before = ier_ / 2 % 2 == 1, after = value / 2 % 2 == 1;
    if (after && !before) thr_ = true;
    ier_ = value % 16;
  }
  if (at == 2) {
    const bool on = value % 2 == 1;
    if (on != fifos_ || (on && value / 2 % 2 == 1)) waiting_.clear();
    fifos_ = on;
    fcr_ = on ? value & 0xc9U : 0;
  }
  if (at == 3) lcr_ = value;
  if (at == 4) {
    const auto before = modem();
    mcr_ = value % 32;
    const auto after = modem();
    if (before.cts != after.cts) d_cts_ = true;
    if (before.dsr != after.dsr) d_dsr_ = true;
    if (before.ri && !after.ri) ri_ended_ = true;
    if (before.dcd != after.dcd) d_dcd_ = true;
  }
  if (at == 7) scr_ = value;
  return {};
}

std::size_t SerialModel::take(std::span<const std::uint8_t> bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && space() > 0) waiting_.push_back(bytes[taken++]);
  had_room_ = space() > 0;
  return taken;
}

void SerialModel::reset() {
  const bool line = line_, room = had_room_;
  *this = SerialModel(*events_);
  line_ = line;
  had_room_ = room;
}

void SerialModel::encode(std::vector<std::uint8_t>& bytes) const {
  append_header(bytes, kSerialMagic, kSerialBytes);
  for (const auto field : {ier_, fcr_, lcr_, mcr_, scr_, overrun_ ? 2U : 0U})
    append_number(bytes, 1, field);
  append_number(
      bytes, 1,
      (d_cts_ ? 1U : 0U) + (d_dsr_ ? 2U : 0U) + (ri_ended_ ? 4U : 0U) + (d_dcd_ ? 8U : 0U));
  for (const auto field : {thr_ ? 1U : 0U, low_, high_}) append_number(bytes, 1, field);
  append_number(bytes, 1, waiting_.size());
  append_number(bytes, 1, 0);
  bytes.insert(bytes.end(), waiting_.begin(), waiting_.end());
  bytes.resize(bytes.size() + 16 - waiting_.size());
}

ModelError SerialModel::decode(std::span<const std::uint8_t> bytes) {
  const auto fcr = bytes[9];
  const bool fifos = fcr % 2 == 1;
  const std::size_t room = fifos ? 16 : 1;
  if (bytes[8] > 15) return {"platform_state.interrupt_enable", bytes[8], 15};
  if ((fcr & 0x36) != 0 || (!fifos && fcr != 0)) return {"platform_state.fifo_control", fcr, 0xc9};
  if (bytes[11] > 31) return {"platform_state.modem_control", bytes[11], 31};
  if (bytes[13] != 0 && bytes[13] != 2) return {"platform_state.line_errors", bytes[13], 2};
  if (bytes[14] > 15) return {"platform_state.modem_changes", bytes[14], 15};
  if (bytes[15] > 1) return {"platform_state.transmitter_empty", bytes[15], 1};
  if (bytes[18] > room) return {"platform_state.received", bytes[18], room};
  if (bytes[19] != 0) return {"platform_state.reserved", bytes[19], 19};
  for (std::size_t at = 20U + bytes[18]; at < 36; ++at)
    if (bytes[at] != 0) return {"platform_state.reserved", bytes[at], at};

  ier_ = bytes[8];
  fcr_ = fcr;
  fifos_ = fifos;
  lcr_ = bytes[10];
  mcr_ = bytes[11];
  scr_ = bytes[12];
  overrun_ = bytes[13] != 0;
  d_cts_ = bytes[14] % 2 == 1;
  d_dsr_ = bytes[14] / 2 % 2 == 1;
  ri_ended_ = bytes[14] / 4 % 2 == 1;
  d_dcd_ = bytes[14] / 8 == 1;
  thr_ = bytes[15] == 1;
  low_ = bytes[16];
  high_ = bytes[17];
  waiting_.assign(bytes.begin() + 20, bytes.begin() + 20 + bytes[18]);
  return {};
}

// The keyboard controller.

void KeyboardModel::answer(unsigned byte, bool timeout) {
  buffer_ = byte;
  full_ = true;
  timeout_ = timeout;
}

std::uint8_t KeyboardModel::read(bool data) {
  if (!data)
    return static_cast<std::uint8_t>((full_ ? 1U : 0U) + (mode_ / 4 % 2 == 1 ? 4U : 0U) +
                                     (was_command_ ? 8U : 0U) + 16U + (timeout_ ? 64U : 0U));
  full_ = timeout_ = false;
  return static_cast<std::uint8_t>(buffer_);
}

ModelError KeyboardModel::write(bool data, std::uint8_t value) {
  was_command_ = !data;
  if (data) {
    switch (std::exchange(wanted_, 0U)) {
      case 0x60:
        mode_ = value % 128;
        return {};
      case 0xd1:
        if (value % 2 == 0) events_->requests.push_back('r');
        return {};
      case 0xd2:
      case 0xd3:
        answer(value);
        return {};
      default:
        answer(0xfe, true);
        return {"platform.no_device", value, 0};
    }
  }
  wanted_ = 0;
  switch (value) {
    case 0x60:
    case 0xd1:
    case 0xd2:
    case 0xd3:
    case 0xd4:
      wanted_ = value;
      return {};
    case 0x20:
      answer(mode_);
      return {};
    case 0xa7:
      mode_ |= 32U;
      return {};
    case 0xa8:
      mode_ &= 0x5fU;
      return {};
    case 0xa9:
    case 0xab:
      answer(1);
      return {};
    case 0xaa:
      answer(0x55);
      return {};
    case 0xad:
      mode_ |= 16U;
      return {};
    case 0xae:
      mode_ &= 0x6fU;
      return {};
    case 0xd0:
      answer(3);
      return {};
    default:
      break;
  }
  if (value < 0xf0) return {"platform.command", value, 0};
  if (value % 2 == 0) events_->requests.push_back('r');
  return {};
}

void KeyboardModel::encode(std::vector<std::uint8_t>& bytes) const {
  append_header(bytes, kKeyboardMagic, kKeyboardBytes);
  for (const auto field :
       {mode_, buffer_, (full_ ? 1U : 0U) + (was_command_ ? 8U : 0U) + (timeout_ ? 64U : 0U),
        wanted_})
    append_number(bytes, 1, field);
}

ModelError KeyboardModel::decode(std::span<const std::uint8_t> bytes) {
  const auto mode = bytes[8], status = bytes[10], wanted = bytes[11];
  if (mode > 127) return {"platform_state.command_byte", mode, 127};
  if (status != 0 && status != 1 && status != 8 && status != 9 && status != 65 && status != 73)
    return {"platform_state.status", status, 73};
  if (wanted != 0 && wanted != 0x60 && (wanted < 0xd1 || wanted > 0xd4))
    return {"platform_state.expected", wanted, 0};
  mode_ = mode;
  buffer_ = bytes[9];
  full_ = status % 2 == 1;
  was_command_ = status / 8 % 2 == 1;
  timeout_ = status / 64 == 1;
  wanted_ = wanted;
  return {};
}

// The clock.

void ClockModel::look() {
  const auto counter = (*seconds_ + ahead_) & k32;
  const auto passed = (counter - seen_) & k32;
  // Is the match one of the values after the last one, up to this one?
  const auto distance = (match_ - seen_) & k32;
  if (passed <= k32 / 2 && distance != 0 && distance <= passed) due_ = true;
  seen_ = counter;
}

void ClockModel::settle() {
  const bool now = due_ && enabled_;
  if (now != line_) events_->levels.push_back(now ? 2 : -2);
  line_ = now;
}

void ClockModel::reset() {
  ahead_ = match_ = load_ = 0;
  enabled_ = due_ = false;
  seen_ = *seconds_ & k32;
}

std::int64_t ClockModel::until_alarm() const {
  if (!enabled_ || due_) return -1;
  // The smallest number above 0 that, added to what was seen, gives the match modulo 2^32. From
  // half of that on a counter goes back for look(), and never gets there.
  const auto wait = match_ > seen_ ? match_ - seen_ : k32 + 1 - seen_ + match_;
  return wait <= k32 / 2 ? static_cast<std::int64_t>(wait) : -1;
}

ModelError ClockModel::read(std::uint64_t at, std::uint64_t& value) const {
  static constexpr std::uint8_t kIdentity[] = {0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
  if (at >= 0xfe0) {
    value = kIdentity[(at - 0xfe0) / 4];
    return {};
  }
  const std::uint64_t registers[] = {
      seen_, match_, load_, 1, enabled_ ? 1U : 0U, due_ ? 1U : 0U, due_ && enabled_ ? 1U : 0U};
  if (at == 0x1c) return {"platform.write_only", at, 0};
  if (at > 0x1c) return {"platform.offset", at, 0x1000};
  value = registers[at / 4];
  return {};
}

ModelError ClockModel::write(std::uint64_t at, std::uint64_t value) {
  if (at == 0 || at == 0x14 || at == 0x18 || at >= 0xfe0) return {"platform.read_only", at, 0};
  if (at > 0x1c) return {"platform.offset", at, 0x1000};
  if (at == 4) match_ = value;
  if (at == 8) {
    load_ = value;
    ahead_ = (value - *seconds_) & k32;
    seen_ = value;
  }
  if ((at == 4 || at == 8) && match_ == seen_) due_ = true;
  if (at == 0x10) enabled_ = value % 2 == 1;
  if (at == 0x1c && value % 2 == 1) due_ = false;
  return {};
}

void ClockModel::encode(std::vector<std::uint8_t>& bytes) const {
  append_header(bytes, kClockMagic, kClockBytes);
  for (const auto field : {ahead_, match_, load_, seen_}) append_number(bytes, 4, field);
  append_number(bytes, 1, enabled_ ? 1 : 0);
  append_number(bytes, 1, due_ ? 1 : 0);
  append_number(bytes, 2, 0);
}

ModelError ClockModel::decode(std::span<const std::uint8_t> bytes) {
  if (bytes[24] > 1) return {"platform_state.mask", bytes[24], 1};
  if (bytes[25] > 1) return {"platform_state.raised", bytes[25], 1};
  if (number_in(bytes, 26, 2) != 0) return {"platform_state.reserved", number_in(bytes, 26, 2), 26};
  ahead_ = number_in(bytes, 8, 4);
  match_ = number_in(bytes, 12, 4);
  load_ = number_in(bytes, 16, 4);
  seen_ = number_in(bytes, 20, 4);
  enabled_ = bytes[24] == 1;
  due_ = bytes[25] == 1;
  return {};
}

// The board.

ModelError PlatformModel::find(bool ports, std::uint64_t address, std::size_t width, Who& who,
                               std::uint64_t& offset) {
  who = Who::kNobody;
  if (width < 1 || width > 8) return {"bus.width", width, 8};
  for (const auto& range : kRanges) {
    if (range.ports != ports || address < range.first || address > range.last) continue;
    if (range.last - address < width - 1) return {"bus.range_end", address, range.last};
    who = static_cast<Who>(range.who);
    offset = address - range.first;
    return {};
  }
  return {"bus.unmapped", address, width};
}

ModelError PlatformModel::refusal(Who who, std::uint64_t offset, std::size_t width) {
  const std::size_t right = who == Who::kClock ? 4 : 1;
  if (width != right) return {"platform.width", width, right};
  if (who == Who::kClock && offset % 4 != 0) return {"platform.offset", offset, 0x1000};
  if (who == Who::kKeyboard && offset != 0 && offset != 4) return {"platform.offset", offset, 5};
  return {};
}

ModelError PlatformModel::read(bool ports, std::uint64_t address, Bytes& data) {
  Who who{};
  std::uint64_t offset = 0, value = 0;
  auto error = find(ports, address, data.size(), who, offset);
  if (who == Who::kClock) tick();
  if (error.none()) error = refusal(who, offset, data.size());
  if (error.none()) {
    if (who == Who::kSerial) value = serial_.read(offset);
    if (who == Who::kKeyboard) value = keyboard_.read(offset == 0);
    if (who == Who::kClock) error = clock_.read(offset, value);
    if (who == Who::kPanic) value = 3;
  }
  serial_.settle();
  for (std::size_t i = 0; i < data.size(); ++i)
    data[i] = error.none() ? static_cast<std::uint8_t>(value >> 8 * i) : 0xff;
  return error;
}

ModelError PlatformModel::write_acpi(std::uint64_t offset, unsigned value) {
  if (offset == 0) {
    if (value != 1) return {"platform.reset_value", value, 1};
    events_.requests.push_back('r');
  }
  if (offset == 1 && value / 32 % 2 == 1) {
    const auto type = value / 4 % 8;
    if (type != 5) return {"platform.sleep_type", type, 5};
    events_.requests.push_back('o');
  }
  return {};
}

ModelError PlatformModel::write_panic(unsigned value) {
  if (value % 4 == 0) return {"platform.panic_event", value, 3};
  if (value % 2 == 1) events_.requests.push_back('p');
  return {};
}

ModelError PlatformModel::write(bool ports, std::uint64_t address, const Bytes& data) {
  Who who{};
  std::uint64_t offset = 0;
  auto error = find(ports, address, data.size(), who, offset);
  if (who == Who::kClock) clock_.look();
  if (error.none()) error = refusal(who, offset, data.size());
  if (error.none()) {
    if (who == Who::kSerial) error = serial_.write(offset, data[0]);
    if (who == Who::kKeyboard) error = keyboard_.write(offset == 0, data[0]);
    if (who == Who::kAcpi) error = write_acpi(offset, data[0]);
    if (who == Who::kPanic) error = write_panic(data[0]);
    if (who == Who::kClock) error = clock_.write(offset, number_in(data));
  }
  serial_.settle();
  clock_.settle();
  return error;
}

std::size_t PlatformModel::input(const Bytes& bytes) {
  const auto taken = serial_.take(bytes);
  serial_.settle();
  return taken;
}

void PlatformModel::press() {
  events_.levels.push_back(3);
  events_.levels.push_back(-3);
}

void PlatformModel::pass(std::uint64_t seconds) { seconds_ += seconds; }

void PlatformModel::tick() {
  clock_.look();
  clock_.settle();
}

std::int64_t PlatformModel::until_alarm() {
  tick();
  return clock_.until_alarm();
}

void PlatformModel::reset() {
  serial_.reset();
  serial_.settle();
  keyboard_.reset();
  clock_.reset();
  clock_.settle();
}

PlatformModel::Bytes PlatformModel::encode() const {
  Bytes bytes;
  serial_.encode(bytes);
  keyboard_.encode(bytes);
  clock_.encode(bytes);
  return bytes;
}

ModelError PlatformModel::decode(std::span<const std::uint8_t> bytes) {
  const auto part = [&](std::size_t at, std::size_t size) {
    at = std::min(at, bytes.size());
    return bytes.subspan(at, std::min(size, bytes.size() - at));
  };
  const auto serial = part(0, kSerialBytes), keyboard = part(36, kKeyboardBytes),
             clock = part(48, SIZE_MAX);
  // Each is tried on one that nobody sees.
  PlatformEvents none;
  SerialModel other_serial(none);
  KeyboardModel other_keyboard(none);
  ClockModel other_clock(none, seconds_);
  if (auto error = check_header(serial, kSerialMagic, kSerialBytes); !error.none()) return error;
  if (auto error = other_serial.decode(serial); !error.none()) return error;
  if (auto error = check_header(keyboard, kKeyboardMagic, kKeyboardBytes); !error.none())
    return error;
  if (auto error = other_keyboard.decode(keyboard); !error.none()) return error;
  if (auto error = check_header(clock, kClockMagic, kClockBytes); !error.none()) return error;
  if (auto error = other_clock.decode(clock); !error.none()) return error;
  static_cast<void>(serial_.decode(serial));
  static_cast<void>(keyboard_.decode(keyboard));
  static_cast<void>(clock_.decode(clock));
  serial_.settle();
  tick();
  return {};
}

PlatformEvents PlatformModel::take_events() { return std::exchange(events_, {}); }

}  // namespace guestproof::testing
