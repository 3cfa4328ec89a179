// A driver in ring 0 of guestproof-vmm's machine does to its devices what scenario programs do to
// a device under test, over MMIO and over PCI. The program has run before on a device and its model
// in this process, with all oracles on; what it did, and what came of it, is its trace
// (testing/harness/device_trace.h). The device of the machine, with its threads, its ioeventfds and
// its interrupts, has to come to the same after every step: registers, rings and buffers
// (model-agreement), all memory besides (confinement), in some time (liveness).

#include <sys/mman.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "guestproof/testing/harness/block_device_harness.h"
#include "guestproof/testing/harness/device_trace.h"
#include "guestproof/testing/harness/rng_harness.h"
#include "ring0/driver_registers.h"
#include "ring0/in_vmm.h"

/// The machine's source of entropy gives what the harness's does. (The C library's, which asks the
/// kernel, is replaced for this program.)
extern "C" ::ssize_t getrandom(void* buffer, std::size_t length, unsigned) {
  std::memset(buffer, 0xee, length);
  return static_cast<::ssize_t>(length);
}

namespace guestproof::ring0 {
namespace {

using namespace virtio::mmio;
using testing::TraceStep;
using What = TraceStep::What;

/// What a program can reach of memory.
constexpr std::uint64_t kReach = 0x21000;
/// Looks at a device that has not come to where it should be; a second or more.
constexpr int kPatience = 20'000;

struct Trace {
  std::string name;
  std::vector<TraceStep> steps;
};

/// What the harness's programs of these folders of the corpus do. Those that only the harness can
/// do, for reasons that the trace has, are not among them.
std::vector<Trace> traces(testing::DeviceHarness& harness, const testing::ModelDisk* disk,
                          std::initializer_list<const char*> corpora) {
  std::vector<Trace> all;
  for (const auto* corpus : corpora) {
    const auto folder = std::filesystem::path(GUESTPROOF_CORPUS) / corpus / "seeds";
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(file), {}};
      Trace trace{std::string(corpus) + '/' + entry.path().filename().string(), {}};
      bool only = false;
      testing::DeviceTracer tracer(harness, disk, [&](const TraceStep& step) {
        only = only || step.what == What::kOnly || step.what == What::kHost ||
               step.what == What::kBusy;
        trace.steps.push_back(step);
      });
      const auto violation = tracer.run(testing::program_of(std::as_bytes(std::span(bytes))));
      EXPECT_FALSE(violation) << trace.name << ": " << violation->sentence;
      if (!only) all.push_back(std::move(trace));
    }
  }
  std::ranges::sort(all, {}, &Trace::name);
  return all;
}

/// True when a split ring gets more than one answer between two looks, or the ring is packed: a
/// disk that works on several requests answers them in the order in which they end.
bool is_answered_at_once(const Trace& trace) {
  std::array<std::byte, kReach> memory{};
  std::array<std::uint64_t, 2> used{};      // of queues: where the used ring is
  std::array<std::uint16_t, 2> answered{};  // used.idx
  std::uint64_t queue = 0, word = 0;
  for (const auto& step : trace.steps) {
    if (step.what == What::kGuest || step.what == What::kDevice)
      std::ranges::copy(step.bytes, memory.begin() + static_cast<std::ptrdiff_t>(step.at));
    if (step.what == What::kWrite) {
      if (step.at == kDriverFeaturesSelOffset) word = step.value;
      const bool packed = step.at == kDriverFeaturesOffset && word == 1 && (step.value & 4) != 0;
      if (step.at == kQueueSelOffset) queue = step.value;
      if (packed || queue >= used.size()) return true;
      if (step.at == kQueueDeviceLowOffset) used[queue] = step.value;
      if (step.at == kQueueReadyOffset) answered[queue] = 0;
    }
    if (step.what != What::kSettled) continue;
    for (std::size_t i = 0; i < used.size(); ++i) {
      if (used[i] == 0 || used[i] + 4 > kReach) continue;
      std::uint16_t now = 0;
      std::memcpy(&now, memory.data() + used[i] + 2, sizeof now);
      if (static_cast<std::uint16_t>(now - answered[i]) > 1) return true;
      answered[i] = now;
    }
  }
  return false;
}

/// One program, in ring 0.
class Replay {
 public:
  Replay(const char* name, DriverRegisters& registers, bool interrupts)
      : name_(name), registers_(registers), interrupts_(interrupts) {}

  /// False: the transport, or the device, has not what the program needs.
  [[nodiscard]] bool run(std::span<const TraceStep> steps) {
    outb(Bell::kPort, 0);
    std::memset(const_cast<std::byte*>(phys<std::byte>(0)), 0, kReach);
    registers_.write(kStatusOffset, 0);
    for (int i = 0; i < kPatience && registers_.read(kStatusOffset) != 0; ++i) {
    }
    offered_ = features();
    for (const auto& step : steps)
      if (step.what == What::kOffer) expected_offer_ = step.value;
    for (const auto& step : steps) {
      if (!take(step)) return false;
      if (failed_) return true;
    }
    return true;
  }

 private:
  std::uint64_t features() {
    std::uint64_t all = 0;
    for (std::uint32_t word = 0; word < 2; ++word) {
      registers_.write(kDeviceFeaturesSelOffset, word);
      all |= registers_.read(kDeviceFeaturesOffset) << 32 * word;
    }
    registers_.write(kDeviceFeaturesSelOffset, 0);
    return all;
  }

  [[nodiscard]] bool take(const TraceStep& step) {
    switch (step.what) {
      case What::kGuest:
        for (std::size_t i = 0; i < step.bytes.size(); ++i)
          *phys<std::byte>(step.at + i) = step.bytes[i];
        [[fallthrough]];
      case What::kDevice:
        std::ranges::copy(step.bytes, expected_.begin() + static_cast<std::ptrdiff_t>(step.at));
        return true;
      case What::kWrite:
        return write(step);
      case What::kRead:
        return read(step);
      case What::kSettled:
        settle(step);
        return true;
      default:
        return true;
    }
  }

  [[nodiscard]] bool write(const TraceStep& step) {
    auto value = step.value;
    if (step.at == kDriverFeaturesSelOffset) word_ = value;
    if (step.at == kDriverFeaturesOffset && word_ < 2)
      value &= ~((expected_offer_ & ~offered_) >> 32 * word_);
    const auto to = registers_.target(step.at, step.width, true, value);
    if (to) write_physical(to->address, to->width, value);
    return to.has_value();
  }

  [[nodiscard]] bool read(const TraceStep& step) {
    const auto from = registers_.target(step.at, step.width, false, 0);
    if (!from) return false;
    auto is = read_physical(from->address, from->width);
    // Only changes of the generation mean something; what is offered may be less.
    if (step.at == kConfigGenerationOffset || step.at == kDeviceFeaturesOffset) return true;
    if (is != step.value)
      fail() << "the register at " << step.at << " reads " << is << ", not " << step.value;
    return true;
  }

  void settle(const TraceStep& step) {
    const auto there = [&] {
      return registers_.read(kStatusOffset) == step.at &&
             (!interrupts_ || registers_.read(kInterruptStatusOffset) == step.value) &&
             difference() == kReach;
    };
    for (int i = 0; i < kPatience; ++i)
      if (there()) return;
    if (const auto at = difference(); at != kReach)
      fail() << "memory at " << at << " has " << *phys<std::uint8_t>(at) << ", not "
             << std::to_integer<unsigned>(expected_[at]);
    else
      fail() << "the status is " << registers_.read(kStatusOffset) << ", not " << step.at;
  }

  /// The first address at which memory is not as it should be; kReach: none.
  [[nodiscard]] std::uint64_t difference() const {
    const auto* memory = const_cast<const std::byte*>(phys<std::byte>(0));
    if (std::memcmp(memory, expected_.data(), kReach) == 0) return kReach;
    return static_cast<std::uint64_t>(
        std::mismatch(expected_.begin(), expected_.end(), memory).first - expected_.begin());
  }

  /// What is streamed into it, after the program's name.
  struct Failing {
    explicit Failing(const char* name) { text << name << ": "; }
    ~Failing() { K_ADD_FAILURE() << text; }
    Failing(const Failing&) = delete;
    Failing& operator=(const Failing&) = delete;
    template <class T>
    Failing& operator<<(const T& value) {
      show_or_say(value);
      return *this;
    }
    void show_or_say(const char* words) { text << words; }
    template <std::integral T>
    void show_or_say(T number) {
      text << "0x" << Text::Hex{static_cast<std::uint64_t>(number)};
    }
    Text text;
  };
  [[nodiscard]] Failing fail() {
    failed_ = true;
    return Failing(name_);
  }

  const char* name_;
  DriverRegisters& registers_;
  bool interrupts_;
  std::array<std::byte, kReach> expected_{};
  std::uint64_t offered_ = 0, expected_offer_ = 0;
  std::uint64_t word_ = 0;
  bool failed_ = false;
};

/// Replays all, and says how many; `least` of them must have been.
void replay_all(std::span<const Trace> traces, DriverRegisters& registers, bool interrupts,
                std::size_t least) {
  std::size_t done = 0;
  for (const auto& trace : traces) {
    static Replay replay("", registers, interrupts);  // its memory is too large for the stack
    new (&replay) Replay(trace.name.c_str(), registers, interrupts);
    done += replay.run(trace.steps);
  }
  kprintf("%zu of %zu programs\n", done, traces.size());
  K_EXPECT_GE(done, least);
}

class Drivers : public ::testing::TestWithParam<vmm::Transport> {
 protected:
  [[nodiscard]] vmm::Config machine() const {
    auto config = small_machine();
    config.transport = GetParam();
    return config;
  }
  /// In ring 0.
  static void replay(vmm::Transport transport, std::span<const Trace> traces,
                     std::size_t least_on_mmio, std::size_t least_on_pci) {
    if (transport == vmm::Transport::kMmio) {
      MmioRegisters registers(vmm::layout::kMmioBase);
      K_ASSERT_EQ(registers.read(kMagicValueOffset), 0x74726976U);
      return replay_all(traces, registers, true, least_on_mmio);
    }
    PciRegisters registers;
    K_ASSERT_TRUE(registers.find());
    replay_all(traces, registers, false, least_on_pci);
  }

  const Options patient{timeout(std::chrono::minutes(3))};
};

TEST_P(Drivers, Entropy) {
  testing::RngHarness harness(std::byte{0xee});
  auto all = traces(harness, nullptr, {"rng", "mmio"});
  // The rings are the same on every transport.
  if (GetParam() == vmm::Transport::kMmio)
    std::ranges::move(traces(harness, nullptr, {"queue", "queue_packed"}), std::back_inserter(all));
  auto config = machine();
  config.rngs = 1;
  run_in_vmm(config, [&, transport = GetParam()] { replay(transport, all, 200, 50); },
             {.options = patient});
}

/// Programs that see how the harness's disk is made, which the machine's is not.
const std::map<std::string_view, std::string_view> kOfTheHarnesssDisk{
    {"block/get_id", "it has another name"},
    {"block/joined_id", "it has another name"},
    {"block/no_interrupt", "it has another name"},
    {"block/not_active", "it has a second queue"},
    {"block/refused_activation", "it has a second queue"},
    {"block_device/both_queues", "it has a second queue"},
    {"block/header_in_two_places", "its logical blocks have 1024 bytes"},
    {"block/split_data", "it takes fewer segments"},
    {"block_device/too_many_buffers", "it takes fewer segments"},
    {"block_device/a_buffer_too_long", "it takes smaller segments"},
    {"block/segments_across_regions", "it discards fewer sectors at a time"},
    {"block/segments_of_no_sectors", "it discards fewer sectors at a time"},
    {"block/split_segments", "it discards fewer sectors at a time"},
    {"block/secure_erase", "it erases securely"},
    {"block/head_index", "it has answered the request before the queue breaks"},
};

/// A disk in memory, of the harness's model.
class Disk {
 public:
  Disk() : file_(std::vector<std::byte>(testing::ModelDisk::kBytes)) { forget(); }
  [[nodiscard]] std::string path() const { return file_.path(); }
  void forget() const {
    std::vector<std::byte> content(testing::ModelDisk::kBytes);
    static_cast<void>(testing::ModelDisk().read(0, content));
    std::ofstream(path(), std::ios::binary | std::ios::in)
        .write(reinterpret_cast<const char*>(content.data()),
               static_cast<std::streamsize>(content.size()));
  }

 private:
  MemoryFile file_;
};

TEST_P(Drivers, Block) {
  testing::BlockDeviceHarness harness(std::byte{0});
  auto all = traces(harness, &harness.disk(), {"block_device", "block"});
  for (const auto& [name, reason] : kOfTheHarnesssDisk)
    EXPECT_EQ(std::erase_if(all, [&](const Trace& each) { return each.name == name; }), 1U) << name;
  std::erase_if(all, is_answered_at_once);
  const Disk disk;
  auto config = machine();
  config.blocks = {{disk.path(), false}};
  run_in_vmm(config, [&, transport = GetParam()] { replay(transport, all, 50, 45); },
             {.options = patient, .on_bell = [&] { disk.forget(); }});
}

INSTANTIATE_TEST_SUITE_P(Transports, Drivers,
                         ::testing::Values(vmm::Transport::kMmio, vmm::Transport::kPci),
                         [](const auto& each) {
                           return each.param == vmm::Transport::kMmio ? "Mmio" : "Pci";
                         });

}  // namespace
}  // namespace guestproof::ring0
