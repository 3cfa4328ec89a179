// A second opinion on the life of a device, whatever its type and transport: written from virtio
// 1.3 §2.1, §2.2, §2.5, §2.6, §3.1 and from the policies that virtio/device/lifecycle.h states, for
// comparison. It shares no code with it.
//
// It is slow and obvious on purpose. Where it and the library differ, one of them is wrong.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/testing/model/queue_model.h"

namespace guestproof::testing {

/// What a type of device adds.
class DeviceModel {
 public:
  DeviceModel() = default;
  DeviceModel(const DeviceModel&) = delete;
  DeviceModel& operator=(const DeviceModel&) = delete;
  virtual ~DeviceModel() = default;

  [[nodiscard]] virtual std::uint32_t device_id() const = 0;
  /// Of its type.
  [[nodiscard]] virtual std::uint64_t features() const = 0;
  [[nodiscard]] virtual std::vector<std::uint16_t> queue_sizes() const = 0;
  [[nodiscard]] virtual ModelError check_features(std::uint64_t) const { return {}; }
  [[nodiscard]] virtual std::vector<std::uint8_t> config() const { return {}; }
  [[nodiscard]] virtual ModelError write_config(std::uint64_t offset,
                                                std::span<const std::uint8_t>) {
    return {"device.config_read_only", offset};
  }
  /// Whether these bytes may be written before FEATURES_OK.
  [[nodiscard]] virtual bool writes_early(std::uint64_t /*offset*/, std::size_t /*length*/) const {
    return false;
  }
  virtual void start(std::uint64_t /*features*/) {}
  virtual void stop_queue(std::size_t /*queue*/) {}
  virtual void reset() {}
  /// What the device adds to saved state, and takes back; before that it has been started if it
  /// was.
  [[nodiscard]] virtual std::vector<std::uint8_t> save() const { return {}; }
  [[nodiscard]] virtual ModelError restore(std::span<const std::uint8_t> bytes) {
    if (bytes.empty()) return {};
    return {"device_state.device", bytes.front()};
  }
};

/// How the life cycle notifies: the model of a transport.
class ModelInterrupts {
 public:
  virtual void used_buffers(std::size_t queue) = 0;
  virtual void configuration_changed() = 0;

 protected:
  ~ModelInterrupts() = default;
};

class LifecycleModel {
 public:
  /// `rings`: one per queue of the device. All outlive this.
  LifecycleModel(DeviceModel& device, const WatchedMemory& memory, std::vector<QueueModel*> rings);

  struct Queue {
    std::uint16_t max_size = 0;
    ModelQueueSetup setup;
    bool ready = false;
    bool stopped = false;
    bool renewed = false;
    bool kicked = false;
    bool activated = false;  // since somebody last asked
  };
  enum class Area : std::uint8_t { kDescriptor, kDriver, kDevice };

  [[nodiscard]] std::uint64_t offered() const;
  [[nodiscard]] ModelError set_driver_features(std::uint64_t word, std::uint64_t bits);
  [[nodiscard]] ModelError set_status(std::uint64_t value);
  [[nodiscard]] ModelError set_queue_size(std::uint64_t index, std::uint64_t size);
  [[nodiscard]] ModelError set_area(std::uint64_t index, Area area, std::uint64_t address);
  [[nodiscard]] ModelError enable_queue(std::uint64_t index);
  [[nodiscard]] ModelError disable_queue(std::uint64_t index);
  [[nodiscard]] ModelError reset_queue(std::uint64_t index);
  [[nodiscard]] ModelError kick(std::uint64_t index);
  [[nodiscard]] ModelError read_config(std::uint64_t offset, std::span<std::uint8_t> out);
  [[nodiscard]] ModelError write_config(std::uint64_t offset, std::span<const std::uint8_t> in);

  /// The bytes that virtio/device/lifecycle.cc describes. REQUIRES: no chain is in flight.
  [[nodiscard]] std::vector<std::uint8_t> save();
  [[nodiscard]] ModelError restore(std::span<const std::uint8_t> bytes);

  /// What was negotiated; 0 before FEATURES_OK.
  [[nodiscard]] std::uint64_t features() const { return (status & 8) != 0 ? accepted : 0; }
  [[nodiscard]] bool running() const;
  /// Running, and allowed to touch guest memory.
  [[nodiscard]] bool serving() const { return running() && memory_access; }
  void set_memory_access(bool allowed);
  /// The device's back end has something. True: it is to be looked at now.
  [[nodiscard]] bool hear_host();
  void reset();
  /// nullptr: nobody hears of notifications.
  void connect(ModelInterrupts* interrupts) { interrupts_ = interrupts; }
  /// A used buffer notification.
  void notify_used(std::size_t queue);
  /// The device wants to look at a queue as if it had been kicked.
  void again(std::size_t queue) {
    if (running()) queues[queue].kicked = true;
  }
  /// A queue broke, or could not be started.
  void needs_reset();
  void config_changed();

  [[nodiscard]] DeviceModel& device() { return device_; }
  [[nodiscard]] std::uint32_t device_id() const { return device_.device_id(); }

  /// Ends what the device does when guest memory goes out of reach; to be set by who drives it.
  std::function<void()> settle;

  bool memory_access = true;
  bool host_waits = false;  // it had something while guest memory was out of reach
  std::uint8_t status = 0;
  std::uint64_t accepted = 0;
  bool started = false;
  std::uint32_t generation = 0;
  std::vector<Queue> queues;

 private:
  [[nodiscard]] bool has(unsigned feature) const { return (accepted >> feature & 1) != 0; }
  [[nodiscard]] ModelError may_configure(std::uint64_t index) const;
  [[nodiscard]] ModelError accept() const;
  [[nodiscard]] ModelError start();
  [[nodiscard]] ModelError activate(std::size_t index);
  void stop(std::size_t index);
  /// The driver reads from the configuration space, or may have.
  void look_at_config();
  void renew(Queue& queue) const;
  [[nodiscard]] ModelQueueSetup ring_features() const;
  [[nodiscard]] ModelError resume(std::span<const std::uint8_t> bytes);
  [[nodiscard]] ModelError resume_queue(std::size_t index, std::span<const std::uint8_t> bytes);

  DeviceModel& device_;
  const WatchedMemory& memory_;
  std::vector<QueueModel*> rings_;
  ModelInterrupts* interrupts_ = nullptr;
  std::optional<std::vector<std::uint8_t>> config_seen_;
};

}  // namespace guestproof::testing
