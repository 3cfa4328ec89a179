// Whole devices restored from what they saved with one byte of their own part changed, every byte
// of it: whatever it becomes, device and model agree on whether that is a state, and go on alike.
#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>

#include "guestproof/testing/harness/balloon_harness.h"
#include "guestproof/testing/harness/block_device_harness.h"
#include "guestproof/testing/harness/console_harness.h"
#include "guestproof/testing/harness/net_harness.h"
#include "guestproof/testing/harness/vsock_device_harness.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

struct SavedDevice {
  std::string_view name;
  std::unique_ptr<DeviceHarness> (*make)();
  std::size_t queues;
  std::size_t bytes;      // of the device's own part
  std::string_view text;  // what has happened before it is saved
};
void PrintTo(const SavedDevice& saved, std::ostream* out) { *out << saved.name; }

template <class H>
std::unique_ptr<DeviceHarness> make() {
  return std::make_unique<H>();
}

// Ports 0 and 1 of a console, up to where port 1 is open.
constexpr std::string_view kOpenPort =
    "request queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\nrequest queue=2\n"
    "kick queue=2\nrequest queue=3 flags=kick\nrequest queue=3 kind=3 next=1 flags=kick\n"
    "request queue=3 kind=6 next=1 flags=kick\nbackend kind=1 value=41\n";
constexpr std::string_view kConsolePort =
    "request queue=2\nrequest queue=2\nkick queue=2\nrequest queue=3 flags=kick\n"
    "request queue=3 kind=3 next=0 flags=kick\n";
// A driver that has written nothing but a status of 0.
constexpr std::string_view kUntouched = "access index=0x70 value=0\n";
constexpr std::string_view kTables =
    "request queue=4 kind=6 index=2 next=3\nrequest queue=4 kind=8 value=77\n"
    "request queue=4 kind=5 value=1 flags=kick\n";

constexpr SavedDevice kSavedDevices[] = {
    {"console", make<ConsoleHarness>, 6, 72, kOpenPort},
    {"console_with_messages", make<ConsoleHarness>, 6, 52, kConsolePort},
    {"console_without_ports", make<ConsoleHarness>, 6, 52, "backend kind=0 value=2\nactivate\n"},
    {"console_untouched", make<ConsoleHarness>, 6, 52, kUntouched},
    {"console_with_a_port_gone", make<ConsoleHarness>, 6, 52,
     "request queue=3 flags=kick\nbackend kind=5 value=1\n"},
    {"balloon", make<BalloonHarness>, 5, 64, "request flags=kick\n"},
    {"block_device", make<BlockDeviceHarness>, 2, 72, ""},
    {"block_device_untouched", make<BlockDeviceHarness>, 2, 72, kUntouched},
    {"vsock_device", make<VsockDeviceHarness>, 3, 8, ""},
    {"net", make<NetControlHarness>, 5, 1304, kTables},
    {"net_with_full_tables", make<NetControlHarness>, 5, 24,
     "request queue=4 kind=6 index=65 next=66 flags=kick\n"},
    {"net_untouched", make<NetControlHarness>, 5, 24, kUntouched},
    {"net_without_commands", make<NetControlHarness>, 5, 1304,
     "backend kind=0 value=0xfe0004\nactivate\n"},
    {"net_of_one_pair", make<NetHarness>, 3, 24, "request queue=1 flags=kick\n"},
};

class SavedDevices : public ::testing::TestWithParam<SavedDevice> {};

// Before the device's own part: the registers of MMIO (32 bytes), the header of the life cycle
// (32), each queue (56).
std::size_t own_part(std::size_t queues) { return 32 + 32 + 56 * queues; }

/// What a byte becomes. Far behind are addresses and bits, one like the other.
std::vector<std::uint64_t> values(std::size_t byte) {
  if (byte < 72) return {0, 1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0xff};
  return {byte % 2, 0xff};
}

TEST_P(SavedDevices, AgreeWithTheirModelsOnEveryByte) {
  const auto& [name, make, queues, bytes, text] = GetParam();
  const auto harness = make();
  auto program = parse_text(std::string(text) + "save\npatch width=1\nrestore\n").value();
  auto& patch = program[program.size() - 2];
  for (std::size_t byte = 0; byte < bytes; ++byte) {
    patch.index = static_cast<std::uint16_t>(own_part(queues) + byte);
    for (const std::uint64_t value : values(byte)) {
      patch.value = value;
      const auto violation = harness->run(program);
      ASSERT_FALSE(violation) << "byte " << byte << " = " << value << ": " << violation->sentence;
    }
  }
  EXPECT_NE(count_of(harness->depth(), "guest:restore_refused"), 0u);
}

std::string device_name(const ::testing::TestParamInfo<SavedDevice>& tested) {
  return std::string(tested.param.name);
}
INSTANTIATE_TEST_SUITE_P(All, SavedDevices, ::testing::ValuesIn(kSavedDevices), device_name);

// A device's own part of another length never gets past the life cycle, which knows how long all of
// it is: these are asked directly.
struct Unheard final : virtio::Host {
  void wake() override {}
  void refused(std::uint16_t, const Error&) override {}
};

void agree_on_every_length(virtio::VirtioDevice<WatchedMemory>& device, DeviceModel& model) {
  const World world;
  Unheard host;
  const virtio::DeviceLifecycle<WatchedMemory> lifecycle(device, world.device(), host);
  std::vector<std::byte> state;
  ASSERT_TRUE(device.save(state));
  const auto all = state.size();
  state.resize(all + 1);
  for (std::size_t length = 0; length <= all + 1; ++length) {
    const auto bytes = std::span(state).first(length);
    const auto done = device.restore(bytes);
    EXPECT_EQ(done.has_value(), length == all) << length;
    compare_errors(
        kRoundTrip, "restoring", done ? std::nullopt : std::optional(done.error()),
        model.restore({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}));
  }
}

TEST(SavedDevicesTest, ANetworkDeviceAndItsModelAgreeOnEveryLength) {
  const virtio::net::Config config{
      .mac = {2, 0, 0, 0, 0, 1}, .features = virtio::net::kNetFeatures, .max_pairs = 2};
  MemoryNetwork network(2);
  virtio::net::VirtioNet<WatchedMemory> device(config, network);
  ModelNetwork model_network;
  NetModel model({.mac = config.mac, .features = config.features, .max_pairs = 2}, model_network,
                 [](const ModelError&) {});
  agree_on_every_length(device, model);
}

TEST(SavedDevicesTest, AConsoleAndItsModelAgreeOnEveryLength) {
  ScriptedEnd end, model_end;
  virtio::console::VirtioConsole<WatchedMemory> device({{.port = &end, .console = true}});
  std::vector<ConsoleModel::Port> ports(1);
  ports[0].end = &model_end;
  ports[0].console = true;
  ConsoleModel model([] { return 0; }, std::move(ports));
  agree_on_every_length(device, model);
}

}  // namespace
}  // namespace guestproof::testing
