// A virtio device as its transport-independent life cycle (lifecycle.h) sees it: what it is, what
// it offers, what it does when the driver makes buffers available. To write a device, derive from
// VirtioDevice<M>; virtio/device/rng is the shortest example.
//
// A device never knows its transport, nor KVM. It hears of the driver through the calls below and
// speaks to it through Driver<M>. All its calls come one at a time, but not always from the same
// thread: what has threads of its own (a disk's I/O) says so through host_fd(), and does its work
// in host_ready().
//
// Thread-safety: none; a life cycle and its device are one unit, serialised by the VMM.
// Specification: virtio 1.3 §2.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "guestproof/virtio/device/error.h"
#include "guestproof/virtio/device/wire.h"
#include "guestproof/virtio/queue/turn.h"
#include "guestproof/virtio/queue/virt_queue.h"

namespace guestproof::virtio {

/// How notifications reach the driver (§2.3): a transport's interrupts.
class Interrupts {
 public:
  Interrupts() = default;
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
  virtual ~Interrupts() = default;

  /// A used buffer notification of a virtqueue.
  virtual void used_buffers(std::uint16_t queue) = 0;
  /// A configuration change notification.
  virtual void configuration_changed() = 0;
};

/// What a device knows of its driver, and its way to it. One for the device's whole life; features
/// and queues are the driver's choice while the device is started.
template <GuestMemory M>
class Driver {
 public:
  /// What was negotiated: bit n is feature number n. 0 before FEATURES_OK.
  [[nodiscard]] virtual std::uint64_t features() const = 0;
  /// By index in queue_sizes(). A queue that the driver did not enable is not active: pop() fails.
  /// REQUIRES: index < the number of queues.
  [[nodiscard]] virtual VirtQueue<M>& queue(std::uint16_t index) = 0;

  /// Sends a used buffer notification; the queue has said that one is wanted.
  virtual void notify_used(std::uint16_t queue) = 0;
  /// serve(queue) is to be called, as after a kick: the queue waited for something else to end.
  virtual void again(std::uint16_t queue) = 0;
  /// The device has changed its configuration space (§2.5): a notification when the driver is ready
  /// for one.
  virtual void config_changed() = 0;
  /// A request was refused or failed. The driver hears of it in its answer; this is for the VMM.
  virtual void refused(std::uint16_t queue, const Error& why) = 0;

  [[nodiscard]] bool has(unsigned feature) const { return (features() >> feature & 1) != 0; }

 protected:
  ~Driver() = default;
};

/// A turn of the whole queue (turn.h) with the notification that it ends in; true when there is
/// more to do. A queue that is not active has nothing to do.
template <GuestMemory M, std::predicate Ready, class Serve>
[[nodiscard]] Result<bool> take_turn(Driver<M>& driver, std::uint16_t index, Ready&& ready,
                                     Serve&& serve) {
  auto& queue = driver.queue(index);
  if (!queue.active()) return false;
  const auto turn =
      take_turn(queue, whole_queue(queue), std::forward<Ready>(ready), std::forward<Serve>(serve));
  if (!turn) return std::unexpected(turn.error());
  if (turn->notify) driver.notify_used(index);
  return turn->more;
}
template <GuestMemory M, class Serve>
[[nodiscard]] Result<bool> take_turn(Driver<M>& driver, std::uint16_t index, Serve&& serve) {
  return take_turn(driver, index, [] { return true; }, std::forward<Serve>(serve));
}

template <GuestMemory M>
class VirtioDevice {
 public:
  VirtioDevice() = default;
  VirtioDevice(const VirtioDevice&) = delete;
  VirtioDevice& operator=(const VirtioDevice&) = delete;
  virtual ~VirtioDevice() = default;

  // What it is. These do not change.

  /// VIRTIO_ID_….
  [[nodiscard]] virtual std::uint32_t device_id() const = 0;
  /// The features of its type that it offers (bits 0 to 23 and 50 to 127); those of the rings are
  /// the life cycle's.
  [[nodiscard]] virtual std::uint64_t features() const = 0;
  /// The largest size of each virtqueue, in the order of the specification's section on the device;
  /// powers of two up to 32768.
  [[nodiscard]] virtual std::span<const std::uint16_t> queue_sizes() const = 0;

  /// The driver there will be. Called once, before anything below.
  virtual void attach(Driver<M>& driver) = 0;

  /// Whether this subset of the offered features can be worked with (§2.2.2: features that need
  /// others). Errors: DeviceError::kFeatureNeeds (feature, the one that is missing).
  [[nodiscard]] virtual Result<void> check_features(std::uint64_t) const { return {}; }

  /// The device-specific configuration space as it is now; always of the same size.
  [[nodiscard]] virtual std::span<const std::byte> config() const { return {}; }
  /// The driver writes to it. REQUIRES: offset + bytes.size() ≤ config().size(). Errors:
  /// DeviceError::kConfigReadOnly (nothing is changed).
  [[nodiscard]] virtual Result<void> write_config(std::uint32_t offset,
                                                  std::span<const std::byte>) {
    return fail(DeviceError::kConfigReadOnly, offset);
  }
  /// Whether the driver may write these bytes before FEATURES_OK, too.
  [[nodiscard]] virtual bool writes_early(std::uint32_t /*offset*/, std::size_t /*length*/) const {
    return false;
  }

  /// DRIVER_OK: features and queues are the driver's from now on. Not called again before reset().
  virtual void start() = 0;
  /// The driver made buffers available on a queue, or may have: a look that finds nothing is no
  /// error. True: there is more to do, call again. Errors:
  /// QueueError, the queue is broken: the device needs a reset.
  [[nodiscard]] virtual Result<bool> serve(std::uint16_t queue) = 0;
  /// The queue is going to be reset: on return nothing that the device or its back end does touches
  /// the queue's buffers any more. Held chains may be dropped or become stale.
  virtual void stop_queue(std::uint16_t queue) = 0;
  /// Back to before start(), whatever it was doing; as stop_queue() for every queue, but no chain
  /// is held on return: the queues may go before the device does. Called in every state.
  virtual void reset() = 0;

  /// A file descriptor that becomes readable when the back end has something for host_ready(); −1
  /// when there is none. It stays the same, and counts only while the device is started. What the
  /// device cannot use yet, for want of buffers say, does not keep it readable: who has several
  /// things to wait for, or has to stop waiting, gives an epoll(7) instance.
  [[nodiscard]] virtual int host_fd() const { return -1; }
  /// As serve(), for what came from the back end. REQUIRES: started.
  [[nodiscard]] virtual Result<bool> host_ready() { return false; }

  /// What is going on ends: requests in flight are finished and answered, what is kept on purpose
  /// is put back. On return no chain is in flight, and nothing that the device or its back end does
  /// touches guest memory before the next serve() or host_ready(). Called in every state; when
  /// nothing is going on it touches no guest memory itself.
  virtual void settle() = 0;
  /// Appends what the device itself has to remember, in a byte form of its own. REQUIRES: settled.
  /// Errors: the device cannot be saved now, and goes on.
  [[nodiscard]] virtual Result<void> save(std::vector<std::byte>& out) = 0;
  /// Takes what save() appended; features and queues are as they were then, and start() was called
  /// if the device was started. Errors: the bytes are not a state of this device; it is reset next.
  [[nodiscard]] virtual Result<void> restore(std::span<const std::byte> bytes) = 0;
};

}  // namespace guestproof::virtio
