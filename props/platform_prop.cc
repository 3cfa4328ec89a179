// Any scenario program at all leaves a board in agreement with its model; the serial port loses no
// input; what is decoded encodes to the bytes that it came from.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "any_program.h"
#include "guestproof/base/bytes.h"
#include "guestproof/testing/harness/platform_harness.h"

namespace guestproof::testing {

namespace {

RC_GTEST_PROP(PlatformScenario, BoardAndModelAgree, ()) { agrees<PlatformHarness>(); }

class Host : public platform::SerialHost, public InterruptLine {
 public:
  void sent(std::byte) override {}
  void room() override { waits = false; }
  void set(bool asserted) override { high = asserted; }
  bool waits = false;
  bool high = false;
};

/// As a driver does that is woken by interrupts only.
std::string handle(platform::Serial16550& port, const Host& host, std::size_t patience) {
  std::string got;
  std::array<std::byte, 1> byte;
  for (; host.high && patience > 0; --patience) {
    RC_ASSERT(port.read(0, byte).has_value());
    got.push_back(std::to_integer<char>(byte[0]));
  }
  return got;
}

RC_GTEST_PROP(Serial16550Input, ArrivesWholeAndInOrder, (std::string input, std::uint8_t fcr)) {
  Host host;
  platform::Serial16550 port(host, host);
  RC_ASSERT(port.write(2, std::array{std::byte{fcr}}).has_value());
  RC_ASSERT(port.write(1, std::array{std::byte{1}}).has_value());
  std::string got;
  std::size_t given = 0;
  for (int i = 0; got.size() < input.size() && i < 1000; ++i) {
    if (!host.waits) {
      const auto rest = std::span(input).subspan(given);
      const auto some = rest.first(*rc::gen::inRange<std::size_t>(0, rest.size() + 1));
      const auto taken = port.enqueue(std::as_bytes(some));
      host.waits = taken < some.size();
      given += taken;
    }
    got += handle(port, host, *rc::gen::inRange<std::size_t>(0, 20));
  }
  got += handle(port, host, 16);

  RC_ASSERT(got == input.substr(0, given));
  RC_ASSERT(!host.waits);
}

/// Bytes of a saved state, some of them others.
template <class Device>
void round_trip(std::vector<std::byte> bytes) {
  for (auto changes = *rc::gen::inRange(0, 4); changes > 0; --changes) {
    const auto at = *rc::gen::inRange<std::size_t>(8, bytes.size());
    bytes[at] = std::byte{*rc::gen::arbitrary<std::uint8_t>()};
  }
  const auto state = Device::decode(bytes);
  if (!state) return;
  struct Nobody : Host, platform::MachineControl {
    void request(platform::MachineRequest) override {}
  } nobody;
  if constexpr (std::is_same_v<Device, platform::I8042>) {
    Device device(nobody);
    device.restore(*state);
    RC_ASSERT(device.encode() == bytes);
  } else {
    Device device(nobody, nobody);
    device.restore(*state);
    RC_ASSERT(device.encode() == bytes);
  }
}

RC_GTEST_PROP(PlatformState, WhatIsDecodedEncodesToTheSame, ()) {
  Host host;
  round_trip<platform::Serial16550>(platform::Serial16550(host, host).encode());
  struct : platform::MachineControl {
    void request(platform::MachineRequest) override {}
  } machine;
  round_trip<platform::I8042>(platform::I8042(machine).encode());
}

}  // namespace
}  // namespace guestproof::testing
