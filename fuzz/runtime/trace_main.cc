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
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "guestproof/testing/harness/block_device_harness.h"
#include "guestproof/testing/harness/net_harness.h"
#include "guestproof/testing/harness/rng_harness.h"

namespace {

using namespace guestproof;
using namespace guestproof::testing;

/// The other implementation's memory: all of it can be read and written.
constexpr std::uint64_t kPlainMemory = 16 << 20;

int complain(const std::string& what) {
  std::fprintf(stderr, "guest_trace: %s\n", what.c_str());
  return 1;
}

std::uint64_t number_of(std::span<const std::byte> bytes) {
  le64 number;
  std::memcpy(&number, bytes.data(), std::min(bytes.size(), sizeof(number)));
  return number;
}

void print_bytes(const char* what, std::uint64_t address, std::span<const std::byte> bytes) {
  std::printf("%s %llx ", what, static_cast<unsigned long long>(address));
  for (const auto byte : bytes) std::printf("%02x", std::to_integer<unsigned>(byte));
  std::printf("\n");
}

/// Bytes as they were when somebody last looked.
class Snapshot {
 public:
  Snapshot(std::uint64_t base, std::size_t size) : base_(base), last_(size), now_(size) {}

  [[nodiscard]] std::uint64_t base() const { return base_; }
  [[nodiscard]] std::span<std::byte> now() { return now_; }
  void print_changes(const char* what) {
    for (std::size_t i = 0; i < now_.size();) {
      if (now_[i] == last_[i]) {
        ++i;
        continue;
      }
      // A few bytes that stayed the same are cheaper than another line.
      std::size_t end = i + 1;
      for (std::size_t at = end; at < now_.size() && at < end + 8; ++at)
        if (now_[at] != last_[at]) end = at + 1;
      print_bytes(what, base_ + i, std::span(now_).subspan(i, end - i));
      i = end;
    }
    last_ = now_;
  }

 private:
  std::uint64_t base_;
  std::vector<std::byte> last_, now_;
};

/// A device under test; `disk` is what is behind it, if anything; programs are `adapted` to it.
struct Subject {
  std::unique_ptr<DeviceHarness> harness;
  const ModelDisk* disk = nullptr;
  void (*adapt)(Program& program) = [](Program&) {};
};

class Tracer final : public DeviceObserver {
 public:
  explicit Tracer(const Subject& subject)
      : world_(std::as_const(*subject.harness).world()), disk_(subject.disk) {}

  /// A program begins, in memory that is all 0 and with a new disk.
  void forget() {
    memory_.clear();
    if (disk_ != nullptr) {
      stored_.emplace(0, ModelDisk::kBytes);
      static_cast<void>(ModelDisk().read(0, stored_->now()));
      stored_->print_changes("behind");
    }
    for (const auto& region : world_.device().regions())
      if (region.base.raw() < kPlainMemory) memory_.emplace_back(region.base.raw(), region.size);
    offered_ = false;
  }

  void writing_register(std::uint64_t offset, std::span<const std::byte> bytes) override {
    print_memory("guest");
    print_access("write", offset, bytes);
  }
  void register_read(std::uint64_t offset, std::span<const std::byte> bytes) override {
    print_memory("guest");
    print_access("read", offset, bytes);
  }
  void settled(const virtio::Lifecycle& device, std::uint32_t interrupt_status,
               bool busy) override {
    if (!std::exchange(offered_, true))
      std::printf("offer %llx\n", static_cast<unsigned long long>(device.device_features()));
    print_memory("device");
    if (disk_ != nullptr) {
      auto healthy = *disk_;
      healthy.faults = {};
      static_cast<void>(healthy.read(0, stored_->now()));
      stored_->print_changes("disk");
    }
    if (busy)
      std::printf("settled busy\n");
    else
      std::printf("settled %x %x\n", unsigned{device.status()}, interrupt_status);
  }
  void host_event(std::uint8_t kind, const Record& record) override {
    print_memory("guest");
    std::printf("host %x %llx\n", unsigned{kind}, static_cast<unsigned long long>(record.value));
  }
  void frame_sent(std::uint16_t pair, std::span<const std::byte> bytes) override {
    print_bytes("sends", pair, bytes);
  }
  void frame_arrives(std::uint16_t pair, std::span<const std::byte> bytes) override {
    print_bytes("arrives", pair, bytes);
  }
  void refused(const Error& why) override {
    const auto name = why.name();
    const bool about_memory = name.starts_with("memory.") || name.ends_with("_range");
    if (about_memory && why.value() < kPlainMemory)
      std::printf("only memory is where the other has none, or the other way around\n");
  }

 private:
  void print_memory(const char* who) {
    for (auto& snapshot : memory_) {
      GUESTPROOF_INVARIANT(
          read_bytes(world_.device().guest(), GuestAddress(snapshot.base()), snapshot.now()));
      snapshot.print_changes(who);
    }
  }
  static void print_access(const char* what, std::uint64_t offset,
                           std::span<const std::byte> bytes) {
    std::printf("%s %llx %zu %llx\n", what, static_cast<unsigned long long>(offset), bytes.size(),
                static_cast<unsigned long long>(number_of(bytes)));
    if (bytes.size() != 1 && bytes.size() != 2 && bytes.size() != 4 && bytes.size() != 8)
      std::printf("only an access of this width is none of a processor's\n");
  }

  const World& world_;
  const ModelDisk* disk_;
  std::optional<Snapshot> stored_;
  std::vector<Snapshot> memory_;
  bool offered_ = false;
};

/// What is the harness's own, or cannot be timed from outside.
void print_limits(const Program& program) {
  for (const auto& record : program) switch (record.op()) {
      case Opcode::kRace:
        std::printf("only races cannot be timed from outside\n");
        break;
      case Opcode::kSave:
      case Opcode::kPatch:
      case Opcode::kRestore:
        std::printf("only saved state is each implementation's own\n");
        break;
      case Opcode::kQueue:
      case Opcode::kActivate:
        if ((record.flags & kQueuePci) != 0) std::printf("only MMIO is repeated\n");
        break;
      default:
        if (record.space() == Space::kTop)
          std::printf("only there is no memory at the top of the address space\n");
    }
}

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
  Tracer tracer(subject);
  subject.harness->watch(&tracer);
  for (int i = 2; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (!file.is_open() || file.bad()) return complain(std::string(argv[i]) + ": cannot be read");
    std::printf("program %s\n", argv[i]);
    auto program = program_of(std::as_bytes(std::span(bytes)));
    subject.adapt(program);
    print_limits(program);
    tracer.forget();
    if (const auto violation = subject.harness->run(program)) {
      complain(std::string(argv[i]) + ": " + violation->sentence);
      return 2;
    }
  }
  return 0;
}
