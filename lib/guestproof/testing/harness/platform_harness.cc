#include "guestproof/testing/harness/platform_harness.h"

#include <algorithm>
#include <array>
#include <utility>

namespace guestproof::testing {
namespace {

using platform::PlatformError;
using platform::PlatformStateError;

constexpr std::uint64_t kSerialPort = 0x3f8;
constexpr std::uint64_t kSerialMemory = 0x8fff'fff8;
constexpr std::uint64_t kAcpiPort = 0x600;
constexpr std::uint64_t kPanicPort = 0x505;
constexpr std::uint64_t kClock = 0x9000'0000;
constexpr std::array<std::uint64_t, 3> kClockStarts{0x6000'0000, 0xffff'fff0, 0};
constexpr std::size_t kSerialBytes = 36;
constexpr std::size_t kKeyboardBytes = 12;

/// As PlatformEvents has it.
constexpr char letter(platform::MachineRequest request) {
  switch (request) {
    case platform::MachineRequest::kPowerOff:
      return 'o';
    case platform::MachineRequest::kPanic:
      return 'p';
    case platform::MachineRequest::kReset:
      break;
  }
  return 'r';
}

}  // namespace

class PlatformHarness::Board final : private platform::SerialHost,
                                     private platform::MachineControl,
                                     private platform::WallClock {
 public:
  class Line : public InterruptLine {
   public:
    Line(PlatformEvents& events, int number) : events_(&events), number_(number) {}
    void set(bool asserted) override { events_->levels.push_back(asserted ? number_ : -number_); }

   private:
    PlatformEvents* events_;
    int number_;
  };

  explicit Board(std::uint64_t start) : now(start) {}

  /// Whether the clock interrupts when so many seconds have passed and nobody looked before. Asked
  /// of a copy, so that the board does not notice.
  [[nodiscard]] bool alarm_after(std::uint64_t seconds) {
    PlatformEvents seen;
    Line line(seen, 2);
    platform::Pl031 copy(*this, line);
    copy.restore(platform::Pl031::decode(clock.encode()).value());
    now += seconds;
    copy.tick();
    now -= seconds;
    return seen.levels == std::vector{2};
  }

  PlatformEvents events;
  std::uint64_t now;

 private:
  void sent(std::byte byte) override { events.sent.push_back(std::to_integer<std::uint8_t>(byte)); }
  void room() override { ++events.rooms; }
  void request(platform::MachineRequest what) override { events.requests.push_back(letter(what)); }
  std::uint64_t seconds() override { return now; }

  Line serial_line_{events, 1}, clock_line_{events, 2}, button_line_{events, 3};

 public:
  platform::Serial16550 serial{*this, serial_line_};
  platform::I8042 keyboard{*this};
  platform::AcpiRegisters acpi{*this, button_line_};
  platform::PvPanic panic{*this};
  platform::Pl031 clock{*this, clock_line_};
  Bus ports = Bus::Builder(AddressSpace::kPorts)
                  .add(platform::kI8042Port, platform::kI8042Ports, keyboard)
                  .add(kAcpiPort, platform::kAcpiRegisters, acpi)
                  .add(kPanicPort, platform::kPvPanicPorts, panic)
                  .add(kSerialPort, platform::kSerialRegisters, serial)
                  .build()
                  .value();
  Bus memory = Bus::Builder(AddressSpace::kMemory)
                   .add(kClock, platform::kPl031Bytes, clock)
                   .add(kSerialMemory, platform::kSerialRegisters, serial)
                   .build()
                   .value();
};

PlatformHarness::PlatformHarness() {
  sent_ = depth_.add("platform:sent");
  taken_ = depth_.add("platform:input_taken");
  full_ = depth_.add("platform:input_waits");
  room_ = depth_.add("platform:room_again");
  received_ = depth_.add("platform:received");
  interrupts_[0] = depth_.add("platform:interrupt_modem");
  interrupts_[2] = depth_.add("platform:interrupt_empty");
  interrupts_[4] = depth_.add("platform:interrupt_input");
  interrupts_[6] = depth_.add("platform:interrupt_overrun");
  interrupts_[12] = depth_.add("platform:interrupt_timeout");
  reset_asked_ = depth_.add("platform:reset_asked");
  off_asked_ = depth_.add("platform:power_off_asked");
  panicked_ = depth_.add("platform:panic_reported");
  alarm_ = depth_.add("platform:alarm");
  pressed_ = depth_.add("platform:button_pressed");
  reset_ = depth_.add("platform:reset");
  depth_.add_errors<BusError>({});
  depth_.add_errors<PlatformError>({});
  depth_.add_errors<PlatformStateError>({});
}

PlatformHarness::~PlatformHarness() = default;

void PlatformHarness::choose(std::uint16_t index) {
  const auto start = kClockStarts[index % kClockStarts.size()];
  board_ = std::make_unique<Board>(start);
  model_ = std::make_unique<PlatformModel>();
  model_->pass(start);
  model_->reset();
}

SavedHarness::Bytes PlatformHarness::encode() const {
  Bytes bytes;
  for (const auto& part :
       {board_->serial.encode(), board_->keyboard.encode(), board_->clock.encode()})
    for (const auto byte : part) bytes.push_back(std::to_integer<std::uint8_t>(byte));
  return bytes;
}

Result<void> PlatformHarness::decode(std::span<const std::byte> bytes) {
  // Each part in a copy of exactly its size: AddressSanitizer sees what is read past it.
  const auto part = [&](std::size_t at, std::size_t size) {
    at = std::min(at, bytes.size());
    const auto of = bytes.subspan(at, std::min(size, bytes.size() - at));
    return std::vector<std::byte>(of.begin(), of.end());
  };
  const auto serial = platform::Serial16550::decode(part(0, kSerialBytes));
  if (!serial) return std::unexpected(serial.error());
  const auto keyboard = platform::I8042::decode(part(kSerialBytes, kKeyboardBytes));
  if (!keyboard) return std::unexpected(keyboard.error());
  const auto clock = platform::Pl031::decode(part(kSerialBytes + kKeyboardBytes, bytes.size()));
  if (!clock) return std::unexpected(clock.error());
  board_->serial.restore(*serial);
  board_->keyboard.restore(*keyboard);
  board_->clock.restore(*clock);
  return {};
}

void PlatformHarness::agree(std::string_view what, const Result<void>& done,
                            const ModelError& model) {
  compare_errors(kModelAgreement, what, error_of(done), model);
  if (!done) count(done.error());
  const auto events = std::exchange(board_->events, {});
  if (events != model_->take_events())
    violated(kModelAgreement, std::string(what) +
                                  ": the host sees something else than the model's (" +
                                  std::to_string(events.sent.size()) + " bytes, " +
                                  std::to_string(events.requests.size()) + " requests, " +
                                  std::to_string(events.levels.size()) + " changes of lines, " +
                                  std::to_string(events.rooms) + " times room)");
  if (!events.sent.empty()) depth_.count(sent_);
  if (events.rooms != 0) depth_.count(room_);
  for (const char request : events.requests)
    depth_.count(request == 'r' ? reset_asked_ : request == 'o' ? off_asked_ : panicked_);
  for (const int level : events.levels)
    if (level == 2) depth_.count(alarm_);
}

std::uint64_t PlatformHarness::read(bool ports, std::uint64_t address, std::size_t width) {
  Bytes data(width, 0x5a);
  const auto done = (ports ? board_->ports : board_->memory)
                        .read(address, std::as_writable_bytes(std::span(data)));
  Bytes expected(width);
  const auto error = model_->read(ports, address, expected);
  agree("a read", done, error);
  if (data != expected)
    violated(kModelAgreement, "at " + hex(address) + " something else is read than the model's");
  return number_in(std::span(data).first(std::min<std::size_t>(width, 8)));
}

void PlatformHarness::write(bool ports, std::uint64_t address, const Bytes& data) {
  const auto done =
      (ports ? board_->ports : board_->memory).write(address, std::as_bytes(std::span(data)));
  agree("a write", done, model_->write(ports, address, data));
}

std::uint64_t PlatformHarness::serial(std::uint64_t offset) {
  return read(true, kSerialPort + offset, 1);
}
void PlatformHarness::set_serial(std::uint64_t offset, std::uint64_t value) {
  write(true, kSerialPort + offset, pattern(value, 1));
}
void PlatformHarness::set_clock(std::uint64_t offset, std::uint64_t value) {
  write(false, kClock + offset, pattern(value, 4));
}

void PlatformHarness::send(const Bytes& bytes) {
  for (const auto byte : bytes) set_serial(0, byte);
}

void PlatformHarness::receive() {
  // As many as any FIFO holds; with DLAB it is the divisor that is read.
  for (int i = 0; i < 17 && (serial(5) & 1) != 0; ++i) {
    serial(0);
    depth_.count(received_);
  }
}

void PlatformHarness::handle_interrupts() {
  for (int i = 0; i < 8; ++i) {
    const auto pending = serial(2) & 0x0f;
    if (pending == 1) return;
    depth_.count(interrupts_[pending]);
    if (pending == 6) serial(5);
    if (pending == 4 || pending == 12) receive();
    if (pending == 0) serial(6);
  }
}

void PlatformHarness::probe() {
  for (const auto& [offset, value] : {std::pair{1, 0}, {1, 0x0f}, {1, 0}, {4, 0x1a}}) {
    set_serial(static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(value));
    serial(1);
    serial(6);
  }
  for (const auto& [offset, value] : {std::pair{4, 0}, {3, 0xbf}, {2, 0}, {3, 0}, {2, 1}}) {
    set_serial(static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(value));
    serial(2);
  }
}

void PlatformHarness::command(std::uint64_t command, std::uint64_t byte) {
  write(true, 0x64, pattern(command, 1));
  write(true, 0x60, pattern(byte, 1));
  read(true, 0x64, 1);
  read(true, 0x60, 1);
  read(true, 0x64, 1);
}

void PlatformHarness::request(const Record& record) {
  const auto value = record.value;
  switch (record.kind % 10) {
    case 0:
      set_serial(2, record.index);
      set_serial(1, record.next);
      send(pattern(value, record.length % 20));
      break;
    case 1:
      receive();
      break;
    case 2:
      handle_interrupts();
      break;
    case 3:
      set_serial(4, value);
      send(pattern(record.extra, record.length % 20));
      serial(5);
      serial(6);
      break;
    case 4:
      probe();
      break;
    case 5:
      set_serial(3, 0x80);
      set_serial(0, value);
      set_serial(1, value >> 8);
      serial(0);
      serial(1);
      set_serial(3, 0x03);
      break;
    case 6:
      command(value, record.length);
      break;
    case 7:
      write(true, kAcpiPort + 1, pattern(value, 1));
      break;
    case 8:
      set_clock(0x10, 1);
      set_clock(0x04, read(false, kClock, 4) + value);
      read(false, kClock + 0x14, 4);
      break;
    default:
      set_clock(0x08, value);
      read(false, kClock, 4);
  }
}

void PlatformHarness::input(const Bytes& bytes) {
  const auto taken = board_->serial.enqueue(std::as_bytes(std::span(bytes)));
  const auto expected = model_->input(bytes);
  agree("input", {}, {});
  if (taken != expected || board_->serial.input_space() != model_->input_space())
    violated(kModelAgreement, std::to_string(taken) + " bytes of input are taken, by the model " +
                                  std::to_string(expected) + ", or others have room");
  depth_.count(taken < bytes.size() ? full_ : taken_);
}

void PlatformHarness::pass(std::uint64_t seconds) {
  board_->now += seconds;
  model_->pass(seconds);
  board_->clock.tick();
  model_->tick();
  agree("a tick", {}, {});
  const auto wait = board_->clock.until_alarm();
  const auto expected = model_->until_alarm();
  agree("the time of the alarm", {}, {});
  if ((wait ? static_cast<std::int64_t>(*wait) : -1) != expected)
    violated(kModelAgreement, "the alarm is expected at another time than the model's");
  if (wait && (board_->alarm_after(*wait - 1U) || !board_->alarm_after(*wait)))
    violated(kModelAgreement, "the alarm does not interrupt in " + std::to_string(*wait) +
                                  " seconds, which is when it is said to");
}

void PlatformHarness::host(const Record& record) {
  switch (record.kind % 4) {
    case 0:
      return input(pattern(record.value, record.value % 64));
    case 1:
      return pass(record.value);
    case 2:
      board_->acpi.press_power_button();
      model_->press();
      depth_.count(pressed_);
      return agree("the button", {}, {});
    default:
      board_->serial.reset();
      board_->keyboard.reset();
      board_->clock.reset();
      model_->reset();
      depth_.count(reset_);
      return agree("reset", {}, {});
  }
}

void PlatformHarness::act(const Record& record) {
  if (record.op() == Opcode::kBackend) {
    host(record);
  } else if (record.op() == Opcode::kAccess) {
    const std::uint64_t index = record.index;
    const auto where = record.kind / 2 % 7;
    const std::array addresses{kSerialMemory + index % 16,
                               platform::kI8042Port - 2 + index % 16,
                               kAcpiPort - 2 + index % 16,
                               kClock + index,
                               index,
                               UINT64_MAX - index,
                               kPanicPort - 2 + index % 16};
    const bool ports = where == 1 || where == 2 || where == 4 || where == 6;
    if ((record.kind & 1) != 0)
      write(ports, addresses[where], pattern(record.value, record.length % 10));
    else
      read(ports, addresses[where], record.length % 10);
  }
  compare(kModelAgreement, "a step");
}

}  // namespace guestproof::testing
