#include "guestproof/testing/harness/device_trace.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "guestproof/base/bytes.h"
#include "guestproof/base/invariant.h"

namespace guestproof::testing {

using What = TraceStep::What;

void DeviceTracer::Snapshot::take_changes(What what,
                                          const std::function<void(const TraceStep&)>& take) {
  for (std::size_t i = 0; i < now_.size();) {
    if (now_[i] == last_[i]) {
      ++i;
      continue;
    }
    // A few bytes that stayed the same are cheaper than another step.
    std::size_t end = i + 1;
    for (std::size_t at = end; at < now_.size() && at < end + 8; ++at)
      if (now_[at] != last_[at]) end = at + 1;
    const auto changed = std::span(now_).subspan(i, end - i);
    take({.what = what, .at = base_ + i, .bytes = {changed.begin(), changed.end()}});
    i = end;
  }
  last_ = now_;
}

DeviceTracer::DeviceTracer(DeviceHarness& harness, const ModelDisk* disk,
                           std::function<void(const TraceStep&)> take)
    : harness_(harness), disk_(disk), take_(std::move(take)) {
  harness_.watch(this);
}

std::optional<Violation> DeviceTracer::run(const Program& program) {
  tell_limits(program);
  forget();
  return harness_.run(program);
}

/// A program begins, in memory that is all 0 and with a new disk.
void DeviceTracer::forget() {
  memory_.clear();
  if (disk_ != nullptr) {
    stored_.emplace(0, ModelDisk::kBytes);
    static_cast<void>(ModelDisk().read(0, stored_->now()));
    stored_->take_changes(What::kBehind, take_);
  }
  for (const auto& region : std::as_const(harness_).world().device().regions())
    if (region.base.raw() < kPlainMemory) memory_.emplace_back(region.base.raw(), region.size);
  offered_ = false;
}

/// What is the harness's own, or cannot be timed from outside.
void DeviceTracer::tell_limits(const Program& program) {
  for (const auto& record : program) switch (record.op()) {
      case Opcode::kRace:
        only("races cannot be timed from outside");
        break;
      case Opcode::kSave:
      case Opcode::kPatch:
      case Opcode::kRestore:
        only("saved state is each implementation's own");
        break;
      case Opcode::kQueue:
      case Opcode::kActivate:
        if ((record.flags & kQueuePci) != 0) only("MMIO is repeated");
        break;
      default:
        if (record.space() == Space::kTop)
          only("there is no memory at the top of the address space");
    }
}

void DeviceTracer::tell_memory(What who) {
  for (auto& snapshot : memory_) {
    GUESTPROOF_INVARIANT(read_bytes(std::as_const(harness_).world().device().guest(),
                                    GuestAddress(snapshot.base()), snapshot.now()));
    snapshot.take_changes(who, take_);
  }
}

void DeviceTracer::tell_access(What what, std::uint64_t offset, std::span<const std::byte> bytes) {
  take_({.what = what, .at = offset, .width = bytes.size(), .value = load(bytes)});
  if (bytes.size() != 1 && bytes.size() != 2 && bytes.size() != 4 && bytes.size() != 8)
    only("an access of this width is none of a processor's");
}

void DeviceTracer::writing_register(std::uint64_t offset, std::span<const std::byte> bytes) {
  tell_memory(What::kGuest);
  tell_access(What::kWrite, offset, bytes);
}

void DeviceTracer::register_read(std::uint64_t offset, std::span<const std::byte> bytes) {
  tell_memory(What::kGuest);
  tell_access(What::kRead, offset, bytes);
}

void DeviceTracer::settled(const virtio::Lifecycle& device, std::uint32_t interrupt_status,
                           bool busy) {
  if (!std::exchange(offered_, true))
    take_({.what = What::kOffer, .value = device.device_features()});
  tell_memory(What::kDevice);
  if (disk_ != nullptr) {
    auto healthy = *disk_;
    healthy.faults = {};
    static_cast<void>(healthy.read(0, stored_->now()));
    stored_->take_changes(What::kDisk, take_);
  }
  if (busy)
    take_({.what = What::kBusy});
  else
    take_({.what = What::kSettled, .at = device.status(), .value = interrupt_status});
}

void DeviceTracer::host_event(std::uint8_t kind, const Record& record) {
  tell_memory(What::kGuest);
  take_({.what = What::kHost, .at = kind, .value = record.value});
}

void DeviceTracer::frame_sent(std::uint16_t pair, std::span<const std::byte> bytes) {
  take_({.what = What::kSends, .at = pair, .bytes = {bytes.begin(), bytes.end()}});
}

void DeviceTracer::frame_arrives(std::uint16_t pair, std::span<const std::byte> bytes) {
  take_({.what = What::kArrives, .at = pair, .bytes = {bytes.begin(), bytes.end()}});
}

void DeviceTracer::refused(const Error& why) {
  const auto name = why.name();
  const bool about_memory = name.starts_with("memory.") || name.ends_with("_range");
  if (about_memory && why.value() < kPlainMemory)
    only("memory is where the other has none, or the other way around");
}

}  // namespace guestproof::testing
