// Saved devices restored from bytes that somebody else wrote, of every type. Target: device_state.
//
// A program is one of the harness of a device (device_harness.h), whose opcodes mean what they mean
// there: 0 echo, 1 rng, 2 balloon, 3 console, 4 block, 5 vsock, 6 net. It begins with 0; a `take`
// record goes on with device `index` (modulo their number), from a fresh world. A program that
// saved and restored nothing saves in the end.
//
// Thread-safety: none.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "guestproof/testing/harness/device_harness.h"

namespace guestproof::testing {

class DeviceStateHarness final : public Runner {
 public:
  DeviceStateHarness();

  [[nodiscard]] std::string_view name() const override { return "device_state"; }

 private:
  void start_program() override;
  [[nodiscard]] bool may_go_on() const override;
  void execute(const Record& record) override;
  void finish_program() override;

  /// A device, and how often it has saved, restored and refused to, as its own harness counts.
  struct Device {
    std::unique_ptr<DeviceHarness> harness;
    struct Counter {
      Depth::Index theirs;
      Depth::Index ours;
      std::uint64_t seen = 0;
    };
    std::vector<Counter> counters;
  };
  void add(std::unique_ptr<DeviceHarness> harness);
  void count_new();

  std::vector<Device> devices_;
  Device* current_ = nullptr;
  bool tried_ = false;  // the program has saved or restored
};

}  // namespace guestproof::testing
