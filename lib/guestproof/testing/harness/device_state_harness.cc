#include "guestproof/testing/harness/device_state_harness.h"

#include <algorithm>
#include <array>

#include "guestproof/testing/harness/balloon_harness.h"
#include "guestproof/testing/harness/block_device_harness.h"
#include "guestproof/testing/harness/console_harness.h"
#include "guestproof/testing/harness/echo_harness.h"
#include "guestproof/testing/harness/net_harness.h"
#include "guestproof/testing/harness/rng_harness.h"
#include "guestproof/testing/harness/vsock_device_harness.h"

namespace guestproof::testing {
namespace {

constexpr std::array<std::string_view, 3> kCounted{"guest:save", "guest:restore",
                                                   "guest:restore_refused"};

}  // namespace

DeviceStateHarness::DeviceStateHarness() {
  add(std::make_unique<MmioHarness>());
  add(std::make_unique<RngHarness>());
  add(std::make_unique<BalloonHarness>());
  add(std::make_unique<ConsoleHarness>());
  add(std::make_unique<BlockDeviceHarness>());
  add(std::make_unique<VsockDeviceHarness>());
  add(std::make_unique<NetHarness>());
  current_ = &devices_.front();
}

void DeviceStateHarness::add(std::unique_ptr<DeviceHarness> harness) {
  Device device{std::move(harness), {}};
  const auto& names = device.harness->depth().names();
  for (const auto counted : kCounted) {
    const auto at = std::ranges::find(names, counted);
    GUESTPROOF_INVARIANT(at != names.end());
    const auto ours = depth_.add(std::string(device.harness->name()) +
                                 std::string(counted.substr(counted.find(':'))));
    device.counters.push_back({static_cast<Depth::Index>(at - names.begin()), ours});
  }
  devices_.push_back(std::move(device));
}

void DeviceStateHarness::start_program() {
  current_ = &devices_.front();
  tried_ = false;
  start_program_of(*current_->harness);
}

bool DeviceStateHarness::may_go_on() const { return may_go_on_with(*current_->harness); }

void DeviceStateHarness::execute(const Record& record) {
  if (record.op() == Opcode::kTake) {
    current_ = &devices_[record.index % devices_.size()];
    start_program_of(*current_->harness);
    return;
  }
  execute_with(*current_->harness, record);
  count_new();
}

void DeviceStateHarness::finish_program() {
  if (!tried_) {
    Record save;
    save.opcode = static_cast<std::uint8_t>(Opcode::kSave);
    execute(save);
  }
  finish_program_of(*current_->harness);
}

void DeviceStateHarness::count_new() {
  for (auto& counter : current_->counters) {
    const auto now = current_->harness->depth().value(counter.theirs);
    if (now == counter.seen) continue;
    tried_ = true;
    for (; counter.seen != now; ++counter.seen) depth_.count(counter.ours);
  }
}

}  // namespace guestproof::testing
