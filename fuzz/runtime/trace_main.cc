// What a program does to a device, as text for who repeats it on another implementation:
// `guest_trace DEVICE FILE...`. For every file, in order:
//
//   program FILE
//   behind OFFSET BYTES               so it is behind the device (a disk) when the program begins
//   offer FEATURES                    of the device, hexadecimal as all numbers below
//   guest ADDRESS BYTES               the guest has written to memory
//   write OFFSET WIDTH VALUE          the driver writes a register; what the device does about it
//   device ADDRESS BYTES              ... is in memory
//   disk OFFSET BYTES                 ... is behind it
//   settled STATUS INTERRUPT          ... and can be compared; `busy` in their place: later
//   read OFFSET WIDTH VALUE           the driver reads a register, and gets this
//   host KIND VALUE                   the back end does something: see the device's harness
//   arrives PAIR BYTES                ... that is, a frame arrives, with its header
//   sends PAIR BYTES                  the device has sent a frame, with its header
//   only REASON                       the program cannot be repeated
//
// Exit codes: 0, 1 bad usage or an unreadable file, 2 an oracle had something to say.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "guestproof/testing/harness/block_device_harness.h"
#include "guestproof/testing/harness/device_trace.h"
#include "guestproof/testing/harness/net_harness.h"
#include "guestproof/testing/harness/rng_harness.h"

namespace {

using namespace guestproof;
using namespace guestproof::testing;

int complain(const std::string& what) {
  std::fprintf(stderr, "guest_trace: %s\n", what.c_str());
  return 1;
}

void print_bytes(const char* what, const TraceStep& step) {
  std::printf("%s %llx ", what, static_cast<unsigned long long>(step.at));
  for (const auto byte : step.bytes) std::printf("%02x", std::to_integer<unsigned>(byte));
  std::printf("\n");
}

void print_access(const char* what, const TraceStep& step) {
  std::printf("%s %llx %zu %llx\n", what, static_cast<unsigned long long>(step.at), step.width,
              static_cast<unsigned long long>(step.value));
}

void print_numbers(const char* what, const TraceStep& step) {
  std::printf("%s %llx %llx\n", what, static_cast<unsigned long long>(step.at),
              static_cast<unsigned long long>(step.value));
}

void print(const TraceStep& step) {
  using What = TraceStep::What;
  switch (step.what) {
    case What::kBehind:
      return print_bytes("behind", step);
    case What::kOffer:
      std::printf("offer %llx\n", static_cast<unsigned long long>(step.value));
      return;
    case What::kGuest:
      return print_bytes("guest", step);
    case What::kWrite:
      return print_access("write", step);
    case What::kDevice:
      return print_bytes("device", step);
    case What::kDisk:
      return print_bytes("disk", step);
    case What::kSettled:
      return print_numbers("settled", step);
    case What::kBusy:
      std::printf("settled busy\n");
      return;
    case What::kRead:
      return print_access("read", step);
    case What::kHost:
      return print_numbers("host", step);
    case What::kArrives:
      return print_bytes("arrives", step);
    case What::kSends:
      return print_bytes("sends", step);
    case What::kOnly:
      std::printf("only %s\n", step.reason.c_str());
      return;
  }
}

/// A device under test; `disk` is what is behind it, if anything; programs are `adapted` to it.
struct Subject {
  std::unique_ptr<DeviceHarness> harness;
  const ModelDisk* disk = nullptr;
  void (*adapt)(Program& program) = [](Program&) {};
};

Subject make_rng() { return {.harness = std::make_unique<RngHarness>(std::byte{0xee})}; }

Subject make_block_device() {
  auto harness = std::make_unique<BlockDeviceHarness>(std::byte{0});
  const auto* disk = &harness->disk();
  return {.harness = std::move(harness), .disk = disk};
}

/// On a network that carries frames and no headers: no checksums or segments are left to anybody.
virtio::net::Config plain_network() {
  auto config = net_config(1);
  config.features &= ~(virtio::net::kHostOffloads | virtio::net::kGuestOffloads);
  config.duplex = virtio::net::kDuplexFull;
  return config;
}

Subject make_net() { return {.harness = std::make_unique<NetHarness>(plain_network())}; }

/// Programs for two pairs and a control queue: the second pair's queues are the first's here.
void use_one_pair(Program& program) {
  for (auto& record : program) {
    const auto queue = record.queue % 5;
    record.queue = queue == 4 ? std::uint8_t{2} : static_cast<std::uint8_t>(queue % 2);
  }
}

Subject make_net_control() {
  return {.harness = std::make_unique<NetControlHarness>(plain_network()), .adapt = use_one_pair};
}

const std::map<std::string_view, Subject (*)()> kDevices{{"block_device", make_block_device},
                                                         {"net", make_net},
                                                         {"net_ctrl", make_net_control},
                                                         {"rng", make_rng}};

}  // namespace

int main(int argc, char** argv) {
  const auto device = argc < 3 ? kDevices.end() : kDevices.find(argv[1]);
  if (device == kDevices.end())
    return complain("usage: guest_trace block_device|net|net_ctrl|rng FILE...");
  const auto subject = device->second();
  DeviceTracer tracer(*subject.harness, subject.disk, print);
  for (int i = 2; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (!file.is_open() || file.bad()) return complain(std::string(argv[i]) + ": cannot be read");
    std::printf("program %s\n", argv[i]);
    auto program = program_of(std::as_bytes(std::span(bytes)));
    subject.adapt(program);
    if (const auto violation = tracer.run(program)) {
      complain(std::string(argv[i]) + ": " + violation->sentence);
      return 2;
    }
  }
  return 0;
}
