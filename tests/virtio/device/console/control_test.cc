#include "guestproof/virtio/device/console/control.h"

#include <gtest/gtest.h>

#include <cstring>

#include "guestproof/virtio/device/error.h"
#include "print.h"

namespace guestproof::virtio::console {
namespace {

class NotingPort final : public ConsolePort {
 public:
  [[nodiscard]] Result<std::size_t> write(std::span<const std::byte> in) override {
    return in.size();
  }
  [[nodiscard]] Result<std::size_t> read(std::span<std::byte>) override { return 0U; }
  void guest_opened(bool open) override { opened.push_back(open); }
  std::vector<bool> opened;
};

/// A message to the driver, as the tests write it.
struct Message {
  std::uint32_t id;
  std::uint16_t event;
  std::uint16_t value = 0;
  std::string rest = "";
  friend bool operator==(const Message&, const Message&) = default;
};
void PrintTo(const Message& message, std::ostream* out) {
  *out << "port " << message.id << " event " << message.event << " value " << message.value << " '"
       << message.rest << "'";
}
using Messages = std::vector<Message>;
constexpr std::uint16_t kAdd = VIRTIO_CONSOLE_DEVICE_ADD, kRemove = VIRTIO_CONSOLE_DEVICE_REMOVE,
                        kReady = VIRTIO_CONSOLE_PORT_READY, kOpen = VIRTIO_CONSOLE_PORT_OPEN,
                        kName = VIRTIO_CONSOLE_PORT_NAME, kResize = VIRTIO_CONSOLE_RESIZE,
                        kConsole = VIRTIO_CONSOLE_CONSOLE_PORT,
                        kDeviceReady = VIRTIO_CONSOLE_DEVICE_READY;

class PortControlTest : public ::testing::Test {
 protected:
  Result<std::optional<std::size_t>> receive(std::uint32_t id, std::uint16_t event,
                                             std::uint16_t value = 1) {
    return control.receive({.id = id, .event = event, .value = value});
  }
  /// What is sent until there is nothing to say.
  Messages send() {
    Messages out;
    for (auto bytes = control.next(); !bytes.empty(); bytes = control.next()) {
      ConsoleControl head;
      std::memcpy(static_cast<void*>(&head), bytes.data(), sizeof head);
      out.push_back({head.id, head.event, head.value,
                     std::string(reinterpret_cast<const char*>(bytes.data()) + sizeof head,
                                 bytes.size() - sizeof head)});
      control.sent();
    }
    return out;
  }
  /// The driver is told of all ports, and is ready for this one.
  Messages bring_up(std::uint32_t id) {
    EXPECT_TRUE(receive(0, kDeviceReady));
    send();
    EXPECT_TRUE(receive(id, kReady));
    return send();
  }

  NotingPort ends[3];
  PortControl control{{{.port = &ends[0], .console = true},
                       {.port = &ends[1], .name = "log", .host_open = false},
                       {.port = &ends[2], .plugged = false}}};
};

TEST_F(PortControlTest, ADriverThatIsReadyIsToldOfEveryPort) {
  EXPECT_TRUE(send().empty());
  EXPECT_EQ(receive(99, kDeviceReady).value(), std::optional<std::size_t>());
  EXPECT_TRUE(control.device_ready());
  EXPECT_EQ(send(), (Messages{{0, kAdd}, {1, kAdd}}));
  EXPECT_EQ(control.port(0).state, PortControl::State::kAdded);
  EXPECT_EQ(control.port(2).state, PortControl::State::kAbsent);
}

TEST_F(PortControlTest, AReadyPortIsDescribed) {
  EXPECT_EQ(bring_up(0), (Messages{{0, kConsole, 1}, {0, kOpen, 1}}));
  control.resize(0, 80, 25);
  EXPECT_EQ(send(), (Messages{{0, kResize, 0, std::string("\x50\0\x19\0", 4)}}));
  EXPECT_EQ(receive(1, kReady).value(), 1U);
  EXPECT_EQ(send(), (Messages{{1, kName, 0, "log"}}));
}

TEST_F(PortControlTest, ASizeThatIsKnownIsToldWhenThePortIsReady) {
  control.resize(0, 80, 25);
  control.resize(1, 80, 25);
  const auto told = bring_up(0);
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(told[1].event, kResize);
  EXPECT_TRUE(receive(1, kReady));
  EXPECT_EQ(send().size(), 1U);
}

TEST_F(PortControlTest, ASizeOfRowsOnlyIsOne) {
  control.resize(0, 0, 25);
  const auto told = bring_up(0);
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(told[1], (Message{0, kResize, 0, std::string("\0\0\x19\0", 4)}));
}

TEST_F(PortControlTest, TheGuestOpensAndCloses) {
  bring_up(1);
  EXPECT_EQ(receive(1, kOpen, 1).value(), 1U);
  EXPECT_TRUE(control.port(1).guest_open);
  EXPECT_EQ(receive(1, kOpen, 1).value(), 1U);
  EXPECT_EQ(receive(1, kOpen, 0).value(), 1U);
  EXPECT_EQ(ends[1].opened, (std::vector{true, false}));
}

TEST_F(PortControlTest, TheHostsEndIsToldAsItIsAtLast) {
  bring_up(1);
  control.set_host_open(1, true);
  control.set_host_open(1, false);
  control.set_host_open(1, true);
  EXPECT_EQ(send(), (Messages{{1, kOpen, 1}}));
  control.set_host_open(1, false);
  EXPECT_EQ(send(), (Messages{{1, kOpen, 0}}));
}

TEST_F(PortControlTest, MessagesThatNoDriverSendsAreRefused) {
  for (const std::uint16_t event : {kAdd, kRemove, kConsole, kResize, kName, std::uint16_t{8}})
    EXPECT_EQ(receive(0, event).error(), Error(ConsoleError::kEvent, event));
  EXPECT_EQ(receive(0, kReady, 2).error(), Error(ConsoleError::kValue, 2, kReady));
  EXPECT_EQ(receive(3, kReady).error(), Error(ConsoleError::kPortId, 3, 3));
  EXPECT_EQ(receive(UINT32_MAX, kOpen).error(), Error(ConsoleError::kPortId, UINT32_MAX, 3));
}

TEST_F(PortControlTest, MessagesAtTheWrongTimeAreRefused) {
  EXPECT_EQ(receive(0, kReady).error(), Error(ConsoleError::kPortAbsent, 0));
  EXPECT_TRUE(receive(0, kDeviceReady));
  EXPECT_EQ(receive(0, kReady).error(), Error(ConsoleError::kPortAbsent, 0));
  EXPECT_EQ(receive(0, kDeviceReady).error(), Error(ConsoleError::kOrder, kDeviceReady));
  send();
  EXPECT_EQ(receive(0, kOpen).error(), Error(ConsoleError::kOrder, kOpen, 0));
  EXPECT_TRUE(receive(0, kReady));
  EXPECT_EQ(receive(0, kReady).error(), Error(ConsoleError::kOrder, kReady, 0));
  EXPECT_EQ(receive(2, kReady).error(), Error(ConsoleError::kPortAbsent, 2));
}

TEST_F(PortControlTest, ADriverThatFailsIsHeardOfAndMayTryTheDeviceAgain) {
  EXPECT_EQ(receive(0, kDeviceReady, 0).error(), Error(ConsoleError::kDriverFailed, kDeviceReady));
  EXPECT_TRUE(send().empty());
  EXPECT_TRUE(receive(0, kDeviceReady));
  send();
  EXPECT_EQ(receive(1, kReady, 0).error(), Error(ConsoleError::kDriverFailed, kReady, 1));
  EXPECT_EQ(control.port(1).state, PortControl::State::kFailed);
  EXPECT_TRUE(send().empty());
  EXPECT_EQ(receive(1, kReady).error(), Error(ConsoleError::kOrder, kReady, 1));
}

TEST_F(PortControlTest, APortComesAndGoes) {
  bring_up(1);
  EXPECT_TRUE(receive(1, kOpen));
  control.plug(1);
  EXPECT_TRUE(send().empty());
  control.plug(2);
  EXPECT_EQ(send(), (Messages{{2, kAdd}}));
  control.unplug(1);
  EXPECT_EQ(ends[1].opened, (std::vector{true, false}));
  EXPECT_EQ(receive(1, kOpen).error(), ConsoleError::kPortAbsent);
  control.plug(1);
  control.unplug(1);
  control.plug(1);
  EXPECT_EQ(send(), (Messages{{1, kRemove}, {1, kAdd}}));
  EXPECT_TRUE(receive(1, kReady));
}

TEST_F(PortControlTest, WhatTheDriverDoesNotKnowOfGoesWithoutAWord) {
  control.plug(2);
  control.unplug(0);
  EXPECT_TRUE(receive(0, kDeviceReady));
  control.unplug(2);
  EXPECT_EQ(send(), (Messages{{1, kAdd}}));
}

TEST_F(PortControlTest, AResetForgetsTheDriverAndKeepsTheHost) {
  bring_up(0);
  EXPECT_TRUE(receive(0, kOpen));
  control.plug(2);
  control.reset();
  EXPECT_EQ(ends[0].opened, (std::vector{true, false}));
  EXPECT_TRUE(send().empty());
  EXPECT_TRUE(receive(0, kDeviceReady));
  EXPECT_EQ(send(), (Messages{{0, kAdd}, {1, kAdd}, {2, kAdd}}));
}

TEST_F(PortControlTest, OnlyStatesThatADriverCanReachAreRestored) {
  using Port = PortControl::Port;
  using State = PortControl::State;
  const auto refusal = [&](bool ready, const Port& first) {
    std::vector<Port> ports{first, {}, {}};
    return control.restore(ready, ports);
  };
  const auto wrong = [](std::uint64_t value) { return Error(DeviceStateError::kDevice, value, 0); };
  const auto pending = [](unsigned messages) { return static_cast<std::uint8_t>(messages); };
  EXPECT_TRUE(refusal(false, {}));
  EXPECT_TRUE(refusal(false, {.plugged = true}));
  EXPECT_TRUE(refusal(true, {.pending = pending(3), .plugged = true}));
  EXPECT_TRUE(refusal(true, {.state = State::kReady, .pending = pending(0x34), .plugged = true}));
  EXPECT_EQ(refusal(true, {.state = State(4), .plugged = true}).error(), wrong(4));
  EXPECT_EQ(refusal(false, {.state = State::kAdded, .plugged = true}).error(), wrong(1));
  EXPECT_EQ(refusal(true, {.state = State::kReady}).error(), wrong(2));
  EXPECT_EQ(refusal(false, {.pending = pending(2), .plugged = true}).error(), wrong(0));
  EXPECT_EQ(refusal(true, {.pending = pending(2)}).error(), wrong(2));
  EXPECT_EQ(refusal(true, {.plugged = true}).error(), wrong(0));
  EXPECT_EQ(refusal(true, {.state = State::kAdded, .pending = pending(4), .plugged = true}).error(),
            wrong(4));
  EXPECT_EQ(refusal(true, {.state = State::kReady, .pending = pending(8), .plugged = true}).error(),
            wrong(8));
  EXPECT_EQ(
      refusal(true, {.state = State::kReady, .pending = pending(64), .plugged = true}).error(),
      wrong(64));
  EXPECT_EQ(refusal(true, {.state = State::kAdded, .plugged = true, .guest_open = true}).error(),
            wrong(1));
  EXPECT_TRUE(refusal(true, {.state = State::kReady, .plugged = true, .guest_open = true}));
  EXPECT_EQ(ends[0].opened, std::vector{true});
}

TEST(ConsolePortTest, NeedNotCareWhoHasOpenedItNorBeWaitedFor) {
  class Plain final : public ConsolePort {
   public:
    [[nodiscard]] Result<std::size_t> write(std::span<const std::byte> in) override {
      return in.size();
    }
    [[nodiscard]] Result<std::size_t> read(std::span<std::byte>) override { return 0U; }
  } port;
  PortControl control({{.port = &port}});
  ASSERT_TRUE(control.receive({.id = 0, .event = kDeviceReady, .value = 1}));
  control.sent();
  ASSERT_TRUE(control.receive({.id = 0, .event = kReady, .value = 1}));
  EXPECT_EQ(control.receive({.id = 0, .event = kOpen, .value = 1}).value(), 0U);
  EXPECT_TRUE(control.port(0).guest_open);
  EXPECT_EQ(port.input_fd(), -1);
  EXPECT_EQ(port.output_fd(), -1);
}

}  // namespace
}  // namespace guestproof::virtio::console
