// What a program does to a whole device, step by step, for who repeats it on another
// implementation, or on ours in another place.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "guestproof/testing/harness/device_harness.h"
#include "guestproof/testing/model/model_disk.h"
#include "guestproof/testing/scenario/record.h"

namespace guestproof::testing {

/// The other implementation's memory, from 0 on: all of it can be read and written.
inline constexpr std::uint64_t kPlainMemory = 16 << 20;

struct TraceStep {
  enum class What : std::uint8_t {
    kBehind,   // `bytes` are behind the device (on a disk), from `at` on, when the program begins
    kOffer,    // `value`: features of the device
    kGuest,    // the guest has written `bytes` to memory, at `at`
    kWrite,    // the driver writes a register: `at`, `width`, `value`; what the device does
    kDevice,   // ... is in memory: `bytes`, at `at`
    kDisk,     // ... is behind it
    kSettled,  // ... and can be compared: `at` is the status, `value` the interrupt status
    kBusy,     // ... or later: the device waits for its back end
    kRead,     // the driver reads a register, and gets `value`
    kHost,     // the back end does something: `at` is its kind, `value`: see the device's harness
    kArrives,  // ... that is, `bytes`, a frame with its header, arrive for the pair of queues `at`
    kSends,    // the device has sent such a frame
    kOnly,     // the program cannot be repeated: `reason`
  };
  What what{};
  std::uint64_t at = 0;
  std::size_t width = 0;
  std::uint64_t value = 0;
  std::vector<std::byte> bytes{};
  std::string reason{};
};

class DeviceTracer final : public DeviceObserver {
 public:
  /// `disk`: what is behind the device, or nullptr. All outlive it. The harness is watched.
  DeviceTracer(DeviceHarness& harness, const ModelDisk* disk,
               std::function<void(const TraceStep&)> take);
  ~DeviceTracer() override { harness_.watch(nullptr); }

  /// Runs a program. What an oracle has to say is the harness's.
  [[nodiscard]] std::optional<Violation> run(const Program& program);

 private:
  /// Bytes as they were when somebody last looked.
  class Snapshot {
   public:
    Snapshot(std::uint64_t base, std::size_t size) : base_(base), last_(size), now_(size) {}
    [[nodiscard]] std::uint64_t base() const { return base_; }
    [[nodiscard]] std::span<std::byte> now() { return now_; }
    void take_changes(TraceStep::What what, const std::function<void(const TraceStep&)>& take);

   private:
    std::uint64_t base_;
    std::vector<std::byte> last_, now_;
  };

  // DeviceObserver
  void writing_register(std::uint64_t offset, std::span<const std::byte> bytes) override;
  void register_read(std::uint64_t offset, std::span<const std::byte> bytes) override;
  void settled(const virtio::Lifecycle& device, std::uint32_t interrupt_status, bool busy) override;
  void host_event(std::uint8_t kind, const Record& record) override;
  void frame_sent(std::uint16_t pair, std::span<const std::byte> bytes) override;
  void frame_arrives(std::uint16_t pair, std::span<const std::byte> bytes) override;
  void refused(const Error& why) override;

  void forget();
  void tell_limits(const Program& program);
  void tell_memory(TraceStep::What who);
  void tell_access(TraceStep::What what, std::uint64_t offset, std::span<const std::byte> bytes);
  void only(const char* reason) { take_({.what = TraceStep::What::kOnly, .reason = reason}); }

  DeviceHarness& harness_;
  const ModelDisk* disk_;
  std::function<void(const TraceStep&)> take_;
  std::optional<Snapshot> stored_;
  std::vector<Snapshot> memory_;
  bool offered_ = false;
};

}  // namespace guestproof::testing
