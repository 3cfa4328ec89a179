#include "guestproof/virtio/device/console/virtio_console.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "guestproof/virtio/device/console/fd_port.h"
#include "virtio/device/guest.h"

namespace guestproof::virtio::console {
namespace {

using Memory = testing::WatchedMemory;

/// Takes as many bytes as it has room for, and gives those of `input`.
class ScriptedPort final : public ConsolePort {
 public:
  [[nodiscard]] Result<std::size_t> write(std::span<const std::byte> in) override {
    if (fails) return fail(SystemError::kWrite, EIO);
    const auto taken = std::min({in.size(), room, most});
    output.append(reinterpret_cast<const char*>(in.data()), taken);
    room -= taken;
    return taken;
  }
  [[nodiscard]] Result<std::size_t> read(std::span<std::byte> out) override {
    if (fails) return fail(SystemError::kRead, EIO);
    const auto given = std::min(out.size(), input.size());
    std::ranges::copy(std::as_bytes(std::span(input).first(given)), out.begin());
    input.erase(0, given);
    return given;
  }
  void emergency(std::byte character) override { emergencies += static_cast<char>(character); }
  void guest_opened(bool open) override { opened = open; }
  /// What came since this was last asked.
  [[nodiscard]] std::string take() { return std::exchange(output, {}); }

  std::string input, output, emergencies;
  std::size_t room = SIZE_MAX;
  std::size_t most = SIZE_MAX;  // at once
  bool fails = false;
  bool opened = false;
};

constexpr std::uint64_t kSize = feature_bit(VIRTIO_CONSOLE_F_SIZE);
constexpr std::uint64_t kMultiport = feature_bit(VIRTIO_CONSOLE_F_MULTIPORT);
constexpr std::uint64_t kEmergency = feature_bit(VIRTIO_CONSOLE_F_EMERG_WRITE);
constexpr std::uint16_t kRx = 0, kTx = 1, kControlRx = 2, kControlTx = 3, kRx1 = 4, kTx1 = 5;

class ConsoleTest : public ::testing::TestWithParam<RingLayout> {
 protected:
  static constexpr GuestAddress kData{0x9000};
  static constexpr GuestAddress kRoom{0xa000};
  static constexpr GuestAddress kControl{0xb000};
  static constexpr GuestAddress kNowhere{0x666000};
  static constexpr std::array kRegions{Memory::RegionSpec{GuestAddress(0), 0x40000}};

  void SetUp() override { lifecycle.connect(&interrupts); }
  /// One port, as a driver without VIRTIO_CONSOLE_F_MULTIPORT has it.
  void start_one() { guest.start(kSize, {kRx, kTx}); }
  /// Two ports, up to DEVICE_READY, PORT_READY and PORT_OPEN of both.
  void start_both() {
    guest.start(kMultiport | kSize, {0, 1, 2, 3, 4, 5});
    tell(0, VIRTIO_CONSOLE_DEVICE_READY);
    messages();
    for (const std::uint32_t id : {0U, 1U}) {
      tell(id, VIRTIO_CONSOLE_PORT_READY);
      tell(id, VIRTIO_CONSOLE_PORT_OPEN);
    }
    messages();
    ASSERT_TRUE(host.take().empty());
  }
  /// A control message of the driver; what was refused.
  std::vector<Error> tell(std::uint32_t id, std::uint16_t event, std::uint16_t value = 1) {
    guest.write(kControl, std::vector<ConsoleControl>{{.id = id, .event = event, .value = value}});
    EXPECT_EQ(guest.serve(kControlTx, {{kControl, sizeof(ConsoleControl)}}), 0U);
    return host.take();
  }
  /// The messages that the device has for a driver who gives one buffer after the other: ids and
  /// events.
  std::vector<std::pair<std::uint32_t, std::uint16_t>> messages() {
    std::vector<std::pair<std::uint32_t, std::uint16_t>> out;
    for (;;) {
      if (!buffer_given) guest.add(kControlRx, {{kControl, 256, true}});
      guest.kick(kControlRx);
      const auto used = guest.used(kControlRx);
      buffer_given = !used;
      if (!used) return out;
      EXPECT_GE(*used, sizeof(ConsoleControl));
      const auto bytes = guest.text(kControl, sizeof(ConsoleControl));
      ConsoleControl message;
      std::memcpy(static_cast<void*>(&message), bytes.data(), sizeof message);
      out.emplace_back(message.id, message.event);
    }
  }
  /// A transmit buffer with this text; nothing if it was not returned.
  std::optional<std::uint32_t> transmit(std::uint16_t queue, const std::string& text) {
    guest.write(kData, text);
    return guest.serve(queue, {{kData, static_cast<std::uint32_t>(text.size())}});
  }
  /// A receive buffer of this length; what it got.
  std::optional<std::string> receive(std::uint16_t queue, std::uint32_t length = 64) {
    const auto used = guest.serve(queue, {{kRoom, length, true}});
    if (!used) return std::nullopt;
    return guest.text(kRoom, *used);
  }
  void host_ready() {
    auto more = lifecycle.host_ready();
    while (more && *more) more = lifecycle.host_ready();
    ASSERT_TRUE(more);
  }
  Result<void> write_config(std::uint32_t offset, std::string_view text) {
    return lifecycle.write_config(offset, std::as_bytes(std::span(text)));
  }

  Memory memory{kRegions};
  ScriptedPort ends[2];
  ListeningHost host;
  CountingInterrupts interrupts;
  VirtioConsole<Memory> device{
      {{.port = &ends[0], .console = true}, {.port = &ends[1], .name = "log"}}};
  DeviceLifecycle<Memory> lifecycle{device, memory, host};
  Guest guest{lifecycle, memory, GetParam()};
  bool buffer_given = false;
};
INSTANTIATE_TEST_SUITE_P(Rings, ConsoleTest,
                         ::testing::Values(RingLayout::kSplit, RingLayout::kPacked), format_name);

using Events = std::vector<std::pair<std::uint32_t, std::uint16_t>>;

TEST_P(ConsoleTest, HasTwoQueuesForEachPortAndTwoForControl) {
  EXPECT_EQ(lifecycle.device_id(), 3U);
  EXPECT_EQ(lifecycle.queue_count(), 6);
  EXPECT_EQ(lifecycle.config_bytes(), 12U);
  EXPECT_EQ(lifecycle.host_fd(), -1);
  le32 ports;
  ASSERT_TRUE(lifecycle.read_config(4, std::as_writable_bytes(std::span(&ports, 1))));
  EXPECT_EQ(ports, 2U);
  ScriptedPort end;
  VirtioConsole<Memory> small({{.port = &end}}, kSize);
  EXPECT_EQ(small.queue_sizes().size(), 2U);
  EXPECT_EQ(small.features(), kSize);
}

TEST_P(ConsoleTest, BytesOfTheGuestReachThePort) {
  start_one();
  EXPECT_EQ(transmit(kTx, "hello"), 0U);
  guest.write(kData, "in pieces");
  EXPECT_EQ(guest.serve(kTx, {{kData, 4}, {GuestAddress(kData.raw() + 4), 5}}), 0U);
  EXPECT_EQ(ends[0].take(), "helloin pieces");
  EXPECT_EQ(guest.serve(kTx, {{kData, 0}}), 0U);
  EXPECT_TRUE(host.take().empty());
}

TEST_P(ConsoleTest, ABufferWaitsForAPortThatTakesNoMoreAndNoByteIsLostOrRepeated) {
  start_one();
  ends[0].room = 3;
  ends[0].most = 2;
  EXPECT_EQ(transmit(kTx, "abcdefgh"), std::nullopt);
  EXPECT_EQ(ends[0].take(), "abc");
  guest.kick(kTx);
  EXPECT_EQ(ends[0].take(), "");
  ends[0].room = 4;
  host_ready();
  EXPECT_EQ(ends[0].take(), "defg");
  EXPECT_EQ(guest.used(kTx), std::nullopt);
  ends[0].room = SIZE_MAX;
  host_ready();
  EXPECT_EQ(ends[0].take(), "h");
  EXPECT_EQ(guest.used(kTx), 0U);
  EXPECT_EQ(transmit(kTx, "next"), 0U);
  EXPECT_EQ(ends[0].take(), "next");
}

TEST_P(ConsoleTest, ABlockedBufferIsSavedWithHowMuchOfItWent) {
  start_one();
  ends[0].room = 3;
  EXPECT_EQ(transmit(kTx, "abcdefgh"), std::nullopt);
  const auto saved = lifecycle.save().value();
  ends[0].room = SIZE_MAX;
  ASSERT_TRUE(lifecycle.restore(saved));
  guest.work();
  EXPECT_EQ(ends[0].take(), "abcdefgh");
  EXPECT_EQ(guest.used(kTx), 0U);
}

TEST_P(ConsoleTest, ABlockedBufferThatShrinksIsRefused) {
  start_one();
  ends[0].room = 6;
  guest.write(kData, "abcdefgh");
  EXPECT_EQ(guest.serve(kTx, {{kData, 8}}), std::nullopt);
  guest.write(GuestAddress(Guest::kRings + 0x1000 * kTx + 8), std::vector<le32>{5});
  ends[0].room = SIZE_MAX;
  host_ready();
  EXPECT_EQ(host.take(), std::vector{Error(ConsoleError::kTransmitChanged, 5, 6)});
  EXPECT_EQ(guest.used(kTx), 0U);
  EXPECT_EQ(transmit(kTx, "next"), 0U);
  EXPECT_EQ(ends[0].take(), "abcdefnext");
}

TEST_P(ConsoleTest, AResetOfTheQueueForgetsWhatWentOfABuffer) {
  start_one();
  ends[0].room = 3;
  EXPECT_EQ(transmit(kTx, "abcdefgh"), std::nullopt);
  ASSERT_TRUE(lifecycle.reset_queue(kTx));
  guest.set_up(kTx);
  ends[0].room = SIZE_MAX;
  EXPECT_EQ(transmit(kTx, "xyz"), 0U);
  EXPECT_EQ(ends[0].take(), "abcxyz");
}

TEST_P(ConsoleTest, NoTurnPassesOnMoreThanItsShare) {
  start_one();
  const GuestAddress data{0x10000};
  guest.add(kTx, {{data, 3 * kTurnBytes / 2}});
  ASSERT_TRUE(lifecycle.kick(kTx));
  EXPECT_TRUE(lifecycle.work().value());
  EXPECT_EQ(ends[0].output.size(), kTurnBytes);
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_EQ(ends[0].output.size(), 3 * kTurnBytes / 2);
  EXPECT_EQ(guest.used(kTx), 0U);
}

TEST_P(ConsoleTest, TransmitBuffersOfTheWrongShapeAreReturned) {
  start_one();
  guest.write(kData, "abcd");
  EXPECT_EQ(guest.serve(kTx, {{kData, 4}, {kRoom, 4, true}}), 0U);
  EXPECT_EQ(host.take(), std::vector{Error(ConsoleError::kWritable, 4)});
  EXPECT_EQ(ends[0].take(), "");
  EXPECT_EQ(guest.serve(kTx, {{kData, 4}, {kNowhere, 4}, {kData, 4}}), 0U);
  EXPECT_EQ(host.take().at(0), MemoryError::kUnmapped);
  EXPECT_EQ(ends[0].take(), "abcd");
}

TEST_P(ConsoleTest, APortThatFailsDropsTheBufferAndIsReported) {
  start_one();
  ends[0].fails = true;
  EXPECT_EQ(transmit(kTx, "abc"), 0U);
  EXPECT_EQ(host.take(), std::vector{Error(SystemError::kWrite, EIO)});
  EXPECT_EQ(receive(kRx), std::nullopt);
  EXPECT_EQ(host.take(), std::vector{Error(SystemError::kRead, EIO)});
  ends[0].fails = false;
  EXPECT_EQ(transmit(kTx, "def"), 0U);
  EXPECT_EQ(ends[0].take(), "def");
}

TEST_P(ConsoleTest, BytesForTheGuestFillItsBuffers) {
  start_one();
  ends[0].input = "hello world";
  EXPECT_EQ(receive(kRx, 5), "hello");
  EXPECT_EQ(receive(kRx, 64), " world");
  EXPECT_EQ(receive(kRx, 64), std::nullopt);
  ends[0].input = "more";
  host_ready();
  EXPECT_EQ(guest.used(kRx), 4U);
  EXPECT_EQ(guest.text(kRoom, 4), "more");
}

TEST_P(ConsoleTest, NoByteForTheGuestIsLostInABadBuffer) {
  start_one();
  ends[0].input = "abcdefgh";
  EXPECT_EQ(guest.serve(kRx, {{kData, 4}, {kRoom, 4, true}}), 0U);
  EXPECT_EQ(host.take(), std::vector{Error(ConsoleError::kReadable, 4)});
  EXPECT_EQ(guest.serve(kRx, {{kRoom, 0, true}}), 0U);
  EXPECT_EQ(host.take(), std::vector{Error(ConsoleError::kNoRoom)});
  EXPECT_EQ(guest.serve(kRx, {{kRoom, 3, true}, {kNowhere, 9, true}}), 3U);
  EXPECT_EQ(host.take().at(0), MemoryError::kUnmapped);
  EXPECT_EQ(guest.text(kRoom, 3), "abc");
  EXPECT_EQ(receive(kRx), "defgh");
}

TEST_P(ConsoleTest, OnlyAPageIsReadAheadAndKeptOverResetAndRestore) {
  start_one();
  ends[0].input = std::string(5000, 'a');
  host_ready();
  host_ready();
  EXPECT_EQ(ends[0].input.size(), 5000 - kInputBytes);
  start_one();
  EXPECT_EQ(ends[0].input.size(), 5000 - kInputBytes);
  ends[0].input.clear();
  const auto saved = lifecycle.save().value();
  EXPECT_EQ(receive(kRx, 5000).value_or("").size(), kInputBytes);
  ASSERT_TRUE(lifecycle.restore(saved));
  EXPECT_EQ(lifecycle.save().value(), saved);
}

TEST_P(ConsoleTest, PortsAreAnnouncedAndDescribed) {
  guest.start(kMultiport, {0, 1, 2, 3, 4, 5});
  EXPECT_EQ(messages(), Events{});
  EXPECT_TRUE(tell(0, VIRTIO_CONSOLE_DEVICE_READY).empty());
  EXPECT_EQ(guest.used(kControlRx), 8U);
  buffer_given = false;
  EXPECT_EQ(messages(), (Events{{1, VIRTIO_CONSOLE_DEVICE_ADD}}));
  device.resize(0, 132, 50);
  EXPECT_TRUE(tell(0, VIRTIO_CONSOLE_PORT_READY).empty());
  EXPECT_EQ(guest.used(kControlRx), 8U);
  buffer_given = false;
  EXPECT_EQ(messages(), (Events{{0, VIRTIO_CONSOLE_RESIZE}, {0, VIRTIO_CONSOLE_PORT_OPEN}}));
}

TEST_P(ConsoleTest, MessagesWaitForBuffersThatHoldThem) {
  guest.start(kMultiport, {0, 1, 2, 3, 4, 5});
  EXPECT_TRUE(tell(0, VIRTIO_CONSOLE_DEVICE_READY).empty());
  EXPECT_EQ(guest.serve(kControlRx, {{kControl, 7, true}}), 0U);
  EXPECT_EQ(host.take(), std::vector{Error(ConsoleError::kControlRoom, 7, 8)});
  EXPECT_EQ(guest.serve(kControlRx, {{kControl, 4, true}, {kNowhere, 4, true}}), 0U);
  EXPECT_EQ(host.take().at(0), MemoryError::kUnmapped);
  EXPECT_EQ(guest.text(kControl, 4), std::string(4, '\0'));
  EXPECT_EQ(guest.serve(kControlRx, {{kData, 4}, {kControl, 8, true}}), 0U);
  EXPECT_EQ(host.take(), std::vector{Error(ConsoleError::kReadable, 4)});
  EXPECT_EQ(messages(), (Events{{0, VIRTIO_CONSOLE_DEVICE_ADD}, {1, VIRTIO_CONSOLE_DEVICE_ADD}}));
}

TEST_P(ConsoleTest, MessagesOfTheWrongShapeAreReturned) {
  guest.start(kMultiport, {0, 1, 2, 3, 4, 5});
  EXPECT_EQ(guest.serve(kControlTx, {{kControl, 7}}), 0U);
  EXPECT_EQ(host.take(), std::vector{Error(ConsoleError::kControlLength, 7, 8)});
  EXPECT_EQ(guest.serve(kControlTx, {{kControl, 8}, {kControl, 8, true}}), 0U);
  EXPECT_EQ(host.take(), std::vector{Error(ConsoleError::kWritable, 8)});
  EXPECT_EQ(guest.serve(kControlTx, {{kNowhere, 8}}), 0U);
  EXPECT_EQ(host.take().at(0), MemoryError::kUnmapped);
  EXPECT_EQ(tell(7, VIRTIO_CONSOLE_PORT_OPEN), std::vector{Error(ConsoleError::kPortId, 7, 2)});
  guest.write(kControl, std::vector<ConsoleControl>{{.id = 0, .event = 0, .value = 1}});
  EXPECT_EQ(guest.serve(kControlTx, {{kControl, 100}}), 0U);
  EXPECT_TRUE(host.take().empty());
}

TEST_P(ConsoleTest, EveryPortHasItsOwnBytes) {
  start_both();
  EXPECT_EQ(transmit(kTx1, "one"), 0U);
  EXPECT_EQ(transmit(kTx, "zero"), 0U);
  EXPECT_EQ(ends[0].take(), "zero");
  EXPECT_EQ(ends[1].take(), "one");
  ends[1].input = "in";
  EXPECT_EQ(receive(kRx1), "in");
}

TEST_P(ConsoleTest, BuffersWaitUntilTheirPortIsReadyAndInputUntilItIsOpen) {
  guest.start(kMultiport, {0, 1, 2, 3, 4, 5});
  EXPECT_TRUE(tell(0, VIRTIO_CONSOLE_DEVICE_READY).empty());
  messages();
  ends[1].input = "early";
  EXPECT_EQ(transmit(kTx1, "out"), std::nullopt);
  EXPECT_EQ(receive(kRx1), std::nullopt);
  EXPECT_TRUE(tell(1, VIRTIO_CONSOLE_PORT_READY).empty());
  EXPECT_EQ(guest.used(kTx1), 0U);
  EXPECT_EQ(ends[1].take(), "out");
  EXPECT_EQ(guest.used(kRx1), std::nullopt);
  EXPECT_FALSE(ends[1].opened);
  EXPECT_TRUE(tell(1, VIRTIO_CONSOLE_PORT_OPEN).empty());
  EXPECT_TRUE(ends[1].opened);
  EXPECT_EQ(guest.used(kRx1), 5U);
  EXPECT_TRUE(tell(1, VIRTIO_CONSOLE_PORT_OPEN, 0).empty());
  ends[1].input = "late";
  EXPECT_EQ(receive(kRx1), std::nullopt);
}

TEST_P(ConsoleTest, AHostsEndThatIsClosedTakesAndGivesNothing) {
  start_both();
  device.set_host_open(1, false);
  host_ready();
  EXPECT_EQ(guest.used(kControlRx), 8U);
  EXPECT_EQ(transmit(kTx1, "lost"), 0U);
  EXPECT_EQ(host.take(), std::vector{Error(ConsoleError::kHostClosed, 1)});
  ends[1].input = "waits";
  EXPECT_EQ(receive(kRx1), std::nullopt);
  device.set_host_open(1, true);
  host_ready();
  EXPECT_EQ(guest.used(kRx1), 5U);
  EXPECT_EQ(ends[1].take(), "");
}

TEST_P(ConsoleTest, APortGoesAndComesBack) {
  start_both();
  ends[1].input = "dropped";
  host_ready();
  device.unplug(1);
  EXPECT_FALSE(ends[1].opened);
  device.plug(1);
  host_ready();
  EXPECT_EQ(guest.used(kControlRx), 8U);
  buffer_given = false;
  EXPECT_EQ(messages(), (Events{{1, VIRTIO_CONSOLE_DEVICE_ADD}}));
  EXPECT_TRUE(tell(1, VIRTIO_CONSOLE_PORT_READY).empty());
  EXPECT_TRUE(tell(1, VIRTIO_CONSOLE_PORT_OPEN).empty());
  EXPECT_EQ(receive(kRx1), std::nullopt);
}

TEST_P(ConsoleTest, QueuesOfOtherPortsDoNotExistWithoutMultiport) {
  guest.start(0, {0, 1, 2, 5});
  EXPECT_EQ(transmit(kTx1, "x"), 0U);
  EXPECT_EQ(host.take(),
            std::vector{Error(ConsoleError::kNoQueue, kTx1, lifecycle.driver_features())});
  EXPECT_EQ(guest.serve(kControlRx, {{kControl, 8, true}}), 0U);
  EXPECT_EQ(host.take().size(), 1U);
  EXPECT_EQ(transmit(kTx, "y"), 0U);
  EXPECT_EQ(ends[0].take(), "y");
}

TEST_P(ConsoleTest, TheSizeOfPortZeroIsInTheConfigurationSpace) {
  start_one();
  device.resize(0, 80, 25);
  EXPECT_EQ(interrupts.config, 1);
  std::array<le16, 2> size;
  ASSERT_TRUE(lifecycle.read_config(0, std::as_writable_bytes(std::span(size))));
  EXPECT_EQ(size[0], 80);
  EXPECT_EQ(size[1], 25);
  device.resize(1, 1, 1);
  EXPECT_EQ(interrupts.config, 1);
}

TEST_P(ConsoleTest, AnEmergencyWriteWorksAtAnyTime) {
  lifecycle.reset();
  EXPECT_TRUE(write_config(8, std::string_view("A\0\0\0", 4)));
  EXPECT_TRUE(write_config(8, "B"));
  start_one();
  EXPECT_TRUE(write_config(8, "C"));
  EXPECT_EQ(ends[0].emergencies, "ABC");
  EXPECT_EQ(write_config(9, "D").error(), Error(DeviceError::kConfigReadOnly, 9));
  EXPECT_EQ(write_config(0, "D").error(), Error(DeviceError::kConfigReadOnly, 0));
  lifecycle.reset();
  EXPECT_EQ(write_config(9, "D").error(), DeviceError::kConfigEarly);
  EXPECT_EQ(ends[0].emergencies, "ABC");
}

TEST_P(ConsoleTest, WithoutTheFeatureThereIsNoEmergencyWrite) {
  VirtioConsole<Memory> quiet({{.port = &ends[0]}}, kSize);
  DeviceLifecycle<Memory> life(quiet, memory, host);
  const std::array<std::byte, 1> character{std::byte{'A'}};
  EXPECT_EQ(life.write_config(8, character).error(), DeviceError::kConfigEarly);
  EXPECT_EQ(kEmergency & life.device_features(), 0U);
}

TEST_P(ConsoleTest, PortsAndTheirStatesAreSaved) {
  start_both();
  device.resize(0, 80, 25);
  ends[1].input = "kept";
  host_ready();
  device.set_host_open(1, false);
  const auto saved = lifecycle.save().value();
  device.resize(0, 1, 1);
  device.unplug(1);
  ASSERT_TRUE(lifecycle.restore(saved));
  EXPECT_TRUE(ends[1].opened);
  EXPECT_EQ(lifecycle.save().value(), saved);
  guest.work();
  EXPECT_EQ(receive(kRx1), "kept");
  EXPECT_EQ(host.take().size(), 0U);
}

TEST_P(ConsoleTest, StatesThatDoNotFitAreRefused) {
  start_both();
  const auto saved = lifecycle.save().value();
  constexpr std::size_t kOwn = 4 + 2 * 24;
  const auto own = saved.size() - kOwn;
  const auto restored = [&](std::vector<std::byte> bytes) {
    bytes[8] = std::byte(bytes.size());
    bytes[9] = std::byte(bytes.size() >> 8);
    const auto done = lifecycle.restore(bytes);
    EXPECT_FALSE(done);
    return done ? Error(ConsoleError::kNoRoom) : done.error();
  };
  const auto with = [&](std::size_t offset, std::uint8_t value) {
    auto bytes = saved;
    bytes.at(own + offset) = std::byte{value};
    return restored(bytes);
  };
  EXPECT_EQ(with(0, 3), Error(DeviceStateError::kDevice, 3, 2));
  EXPECT_EQ(with(2, 2), Error(DeviceStateError::kReserved, 2));
  EXPECT_EQ(with(3, 1), Error(DeviceStateError::kReserved, 1));
  EXPECT_EQ(with(4, 9), Error(DeviceStateError::kDevice, 9, 0));
  EXPECT_EQ(with(6, 15), Error(DeviceStateError::kReserved, 15));
  EXPECT_EQ(with(7, 1), DeviceStateError::kReserved);
  EXPECT_EQ(with(13, 17), Error(DeviceStateError::kDevice, 17 << 8, 0));
  EXPECT_EQ(with(12, 99), Error(DeviceStateError::kBytes, 24, 99));
  EXPECT_EQ(with(16, 1), DeviceStateError::kReserved);
  auto longer = saved;
  longer.push_back(std::byte{});
  EXPECT_EQ(restored(longer), Error(DeviceStateError::kLength, 1, 0));
  auto shorter = saved;
  shorter.pop_back();
  EXPECT_EQ(restored(shorter), Error(DeviceStateError::kBytes, 23, 24));
  ASSERT_TRUE(lifecycle.restore(saved));
}

/// Whether host_fd() asks for host_ready().
bool asks(int fd) {
  ::pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&wait, 1, 0) == 1;
}

TEST_P(ConsoleTest, ItsFileDescriptorIsReadableForWhatTheDeviceCanUse) {
  std::array<int, 2> in, out;
  ASSERT_EQ(::pipe(in.data()), 0);
  ASSERT_EQ(::pipe(out.data()), 0);
  const Fd to_guest(in[1]), from_guest(out[0]);
  auto end = FdPort::create(Fd(in[0]), Fd(out[1]), FdPort::WhenFull::kWait).value();
  auto poll = PortPoll::create().value();
  VirtioConsole<Memory> console({{.port = end.get()}}, 0, &poll);
  DeviceLifecycle<Memory> life(console, memory, host);
  Guest user(life, memory, GetParam());
  ASSERT_EQ(::write(to_guest.get(), "typed", 5), 5);
  EXPECT_FALSE(asks(life.host_fd()));
  user.start(0, {kRx, kTx});
  EXPECT_TRUE(asks(life.host_fd()));
  ASSERT_FALSE(life.host_ready().value());
  EXPECT_FALSE(asks(life.host_fd()));
  EXPECT_EQ(user.serve(kRx, {{kRoom, 64, true}}), 5U);
  EXPECT_EQ(user.text(kRoom, 5), "typed");

  std::vector<char> drain(1 << 20);
  user.add(kTx, {{GuestAddress(0x10000), 0x20000}});
  user.kick(kTx);
  EXPECT_EQ(user.used(kTx), std::nullopt);
  EXPECT_FALSE(asks(life.host_fd()));
  ssize_t drained = ::read(from_guest.get(), drain.data(), drain.size());
  EXPECT_TRUE(asks(life.host_fd()));
  while (life.host_ready().value()) {
  }
  EXPECT_EQ(user.used(kTx), 0U);
  drained += ::read(from_guest.get(), drain.data(), drain.size());
  EXPECT_EQ(drained, 0x20000);
  EXPECT_FALSE(asks(life.host_fd()));
}

// What the host typed kept the descriptor readable for ever, and the VMM's loop busy, while there
// was no receive queue to give it to.
TEST_P(ConsoleTest, ItsFileDescriptorIsNotReadableForInputWithoutAQueue) {
  std::array<int, 2> in;
  ASSERT_EQ(::pipe(in.data()), 0);
  const Fd to_guest(in[1]);
  auto end = FdPort::create(Fd(in[0]), Fd(), FdPort::WhenFull::kWait).value();
  auto poll = PortPoll::create().value();
  VirtioConsole<Memory> console({{.port = end.get()}}, 0, &poll);
  DeviceLifecycle<Memory> life(console, memory, host);
  Guest user(life, memory, GetParam());
  user.start(0, {kRx, kTx});
  ASSERT_TRUE(life.disable_queue(kRx));
  ASSERT_EQ(::write(to_guest.get(), "typed", 5), 5);
  EXPECT_FALSE(asks(life.host_fd()));
  EXPECT_EQ(life.host_ready(), false);
  EXPECT_FALSE(asks(life.host_fd()));

  life.reset();
  user.start(0, {kTx});
  EXPECT_FALSE(asks(life.host_fd()));
  life.reset();
  user.start(0, {kRx, kTx});
  EXPECT_TRUE(asks(life.host_fd()));
  EXPECT_EQ(user.serve(kRx, {{kRoom, 64, true}}), 5U);
}

}  // namespace
}  // namespace guestproof::virtio::console
