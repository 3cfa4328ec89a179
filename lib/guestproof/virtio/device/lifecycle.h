// The life of a virtio device, whatever the transport: status, feature negotiation, queue
// configuration, configuration space, notifications of the driver, reset, saved state. A transport
// turns register accesses into calls of Lifecycle; DeviceLifecycle<M> is one for a device and a
// kind of guest memory.
//
// What the driver may do when (§3.1); anything else is refused, has no effect, and gives the VMM a
// DeviceError:
// - Status bits are set in the order ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK, one or several at
//   a time, and never cleared but by writing 0, which resets. FAILED can be set at any time and
//   stops the device; DEVICE_NEEDS_RESET is the device's, what the driver writes there is ignored.
// - Driver features are written with DRIVER set, before FEATURES_OK. FEATURES_OK does not stick
//   when a feature was not offered, VIRTIO_F_VERSION_1 is missing, or the device cannot work with
//   the combination.
// - A queue is configured between FEATURES_OK and DRIVER_OK, or after a reset of that queue; not
//   while it is enabled. Disabling a queue (virtio-mmio's QueueReady) stops it for good: it is
//   configured again after a reset of it or of the device.
// - DRIVER_OK starts the device. If an enabled queue does not lie in guest memory the device starts
//   nothing and says DEVICE_NEEDS_RESET.
// - The configuration space is read at any time, and written from FEATURES_OK on;
//   what the device says so of (VirtioDevice::writes_early) before that, too.
// - A queue is kicked from DRIVER_OK on, while it is enabled. A kick is only noted; work() serves.
//   A device that needs a reset, or whose driver has FAILED, serves nothing.
//
// A transport whose driver can keep the device away from guest memory says when that is so
// (set_memory_access()). The device then neither reads nor writes it; everything else goes on:
// registers, configuration space, resets, saving, notifications by other means than memory. The
// device can be started meanwhile: of the queues' areas it is only checked that they lie in guest
// memory. Kicks count, and are served once memory is in reach again.
//
// Thread-safety: none. The VMM serialises register accesses (any vCPU) with work(), host_ready(),
// save() and restore() (the device's thread); see Host.
// Specification: virtio 1.3 §2.1, §2.2, §2.4 to §2.6, §3.1.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "guestproof/virtio/device/device.h"

namespace guestproof::virtio {

/// The VMM around a device, as the device sees it.
class Host {
 public:
  Host() = default;
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  virtual ~Host() = default;

  /// Lifecycle::work() has something to do. Called by the thread whose register access made it so.
  virtual void wake() = 0;
  /// A request on a queue was refused or failed, and its buffers were returned; for logs and
  /// counters.
  virtual void refused(std::uint16_t queue, const Error& why) = 0;
};

/// The features of rings and queues that this library has: what a life cycle offers unless told
/// otherwise.
inline constexpr std::uint64_t kRingFeatures =
    feature_bit(VIRTIO_F_INDIRECT_DESC) | feature_bit(VIRTIO_F_EVENT_IDX) |
    feature_bit(VIRTIO_F_VERSION_1) | feature_bit(VIRTIO_F_RING_PACKED) |
    feature_bit(VIRTIO_F_IN_ORDER) | feature_bit(VIRTIO_F_NOTIFICATION_DATA) |
    feature_bit(VIRTIO_F_RING_RESET);

/// The virtqueue of an available buffer notification (§4.1.5.2, §4.2.3.3): all of `value`, or with
/// VIRTIO_F_NOTIFICATION_DATA its lower 16 bits; what is above them is not looked at.
[[nodiscard]] std::uint32_t notified_queue(std::uint64_t features, std::uint32_t value);

/// What the rings need to know of negotiated features.
[[nodiscard]] QueueFeatures queue_features(std::uint64_t features);

class Lifecycle {
 public:
  Lifecycle(const Lifecycle&) = delete;
  Lifecycle& operator=(const Lifecycle&) = delete;
  virtual ~Lifecycle() = default;

  /// The transport's interrupts; they outlive this, or are taken away again with nullptr: then
  /// notifications go nowhere.
  void connect(Interrupts* interrupts) { interrupts_ = interrupts; }

  [[nodiscard]] std::uint32_t device_id() const { return device_id_; }

  /// Features that are offered, and those that the driver has written: bit n is feature number n.
  [[nodiscard]] std::uint64_t device_features() const { return offered_; }
  [[nodiscard]] std::uint64_t driver_features() const { return accepted_; }
  /// Bits 32·word to 32·word + 31. Errors: kFeaturesClosed (status), kFeatureWord (not 0 or 1, and
  /// bits that are not 0).
  [[nodiscard]] Result<void> set_driver_features(std::uint32_t word, std::uint32_t bits);

  [[nodiscard]] std::uint8_t status() const { return status_; }
  /// Errors: kStatusUnknown, kStatusCleared, kStatusOrder, kStatusFailed (the driver has given up);
  /// for FEATURES_OK kFeaturesNotOffered, kVersion1, kFeatureNeeds; for DRIVER_OK the
  /// QueueConfigError of the queue that cannot be started. Of several bits those before the refused
  /// one are set.
  [[nodiscard]] Result<void> set_status(std::uint8_t value);
  /// What writing 0 to the status does, but for the transport's own registers: to reset those, too,
  /// write 0 to its status.
  void reset();
  /// Started, and neither given up by the driver nor in need of a reset.
  [[nodiscard]] bool running() const;

  /// Whether the device may touch guest memory; at first it may. When it may no longer, what is
  /// going on ends first: on return nothing of the device or its back end touches guest memory, and
  /// the driver was notified of what was finished; that takes as long as the back end does. When it
  /// may again, every queue counts as kicked.
  void set_memory_access(bool allowed);
  /// running(), and guest memory is in reach: work() and host_ready() serve.
  [[nodiscard]] bool serving() const { return running() && memory_access_; }

  [[nodiscard]] std::uint16_t queue_count() const {
    return static_cast<std::uint16_t>(queues_.size());
  }
  /// How a queue is configured; null when there is none of this index.
  [[nodiscard]] const QueueConfig* queue_config(std::uint32_t index) const {
    return index < queues_.size() ? &queues_[index].config : nullptr;
  }

  // Errors of all: kQueueIndex, kQueueLocked (status, or the queue is not to be configured now),
  // QueueConfigError.

  /// Errors besides: kQueueSize (more than 16 bits).
  [[nodiscard]] Result<void> set_queue_size(std::uint32_t index, std::uint32_t size);
  [[nodiscard]] Result<void> set_descriptor_area(std::uint32_t index, GuestAddress address);
  [[nodiscard]] Result<void> set_driver_area(std::uint32_t index, GuestAddress address);
  [[nodiscard]] Result<void> set_device_area(std::uint32_t index, GuestAddress address);
  /// After a reset of the queue it starts at once.
  [[nodiscard]] Result<void> enable_queue(std::uint32_t index);
  /// The device uses the queue no longer. Errors: kQueueIndex.
  [[nodiscard]] Result<void> disable_queue(std::uint32_t index);
  /// §2.6.1: disabled, and back to its first configuration, whatever state the device is in.
  /// Errors: kQueueIndex, kRingResetNotNegotiated.
  [[nodiscard]] Result<void> reset_queue(std::uint32_t index);

  /// An available buffer notification. Errors: kQueueIndex, kNotRunning, kQueueNotReady; it is
  /// ignored then.
  [[nodiscard]] Result<void> kick(std::uint32_t index);

  /// Changes when the driver reads from a configuration space that is another than when it last did
  /// (§2.5, §4.1.4.3.1): as many changes as there may be between two of its looks, and though a
  /// transport shows 8 bits, it sees that there was one.
  [[nodiscard]] std::uint32_t config_generation() const { return generation_; }
  [[nodiscard]] std::uint32_t config_bytes() const {
    return static_cast<std::uint32_t>(config().size());
  }
  /// The bytes from `offset` on; those past its end read as 0. Errors: kConfigRange (offset of the
  /// first byte that is not there, size), when there was such a one.
  [[nodiscard]] Result<void> read_config(std::uint64_t offset, std::span<std::byte> out);
  /// Errors: kConfigRange, kConfigEarly, kConfigReadOnly, kConfigValue; nothing is changed.
  [[nodiscard]] Result<void> write_config(std::uint64_t offset, std::span<const std::byte> in);

  /// A turn at every queue that was kicked. True: there is more to do, call again. Errors: why the
  /// device needs a reset from now on.
  [[nodiscard]] Result<bool> work();
  /// −1, or a file descriptor that is readable when host_ready() is to be called. Look at it only
  /// while serving(); Host::wake() says when that may be so again.
  [[nodiscard]] virtual int host_fd() const = 0;
  /// As work(), for the device's back end. While guest memory is out of reach it is only noted, and
  /// work() makes up for it.
  [[nodiscard]] Result<bool> host_ready();

  /// Everything that the driver can see, and what the device remembers, as bytes; see
  /// lifecycle.cc for their layout. The transport's own registers are not among them, and are to be
  /// saved after this: what is going on is finished first, and the driver notified. Errors: the
  /// device's.
  [[nodiscard]] Result<std::vector<std::byte>> save();
  /// Goes on from there: every queue counts as kicked, so that the transport's registers are to be
  /// restored before this, or before work() is called. Whether guest memory is in reach stays as it
  /// is: it is the transport's to save and to restore. Errors: DeviceStateError, QueueStateError,
  /// the device's; it is reset then.
  [[nodiscard]] Result<void> restore(std::span<const std::byte> bytes);

 protected:
  Lifecycle(std::uint32_t device_id, std::uint64_t offered,
            std::span<const std::uint16_t> queue_sizes, Host& host);

  // For the device.

  void notify_used(std::uint16_t queue);
  void again(std::uint16_t queue);
  void config_changed();
  void refused(std::uint16_t queue, const Error& why) { host_.refused(queue, why); }

 private:
  // What DeviceLifecycle adds: the device, and the queues themselves.

  [[nodiscard]] virtual Result<void> check_features(std::uint64_t features) const = 0;
  [[nodiscard]] virtual std::span<const std::byte> config() const = 0;
  [[nodiscard]] virtual bool writes_early(std::uint32_t offset, std::size_t length) const = 0;
  [[nodiscard]] virtual Result<void> change_config(std::uint32_t offset,
                                                   std::span<const std::byte> in) = 0;
  [[nodiscard]] virtual Result<void> activate_queue(std::uint16_t index) = 0;
  virtual void stop_queue(std::uint16_t index) = 0;
  virtual void start_device() = 0;
  virtual void settle_device() = 0;
  virtual void reset_device() = 0;
  [[nodiscard]] virtual Result<bool> serve(std::uint16_t index) = 0;
  [[nodiscard]] virtual Result<bool> serve_host() = 0;
  [[nodiscard]] virtual Result<void> save_device(std::vector<std::byte>& out) = 0;
  [[nodiscard]] virtual Result<void> restore_device(std::span<const std::byte> bytes) = 0;
  [[nodiscard]] virtual Result<QueueState> save_queue(std::uint16_t index) const = 0;
  [[nodiscard]] virtual Result<void> restore_queue(std::uint16_t index,
                                                   const QueueState& state) = 0;

  struct Queue {
    QueueConfig config;
    bool kicked = false;
    bool stopped = false;  // disabled: waits for a reset
    bool renewed = false;  // reset by itself while the device runs
  };

  [[nodiscard]] Result<Queue*> find(std::uint32_t index);
  [[nodiscard]] Result<Queue*> configurable(std::uint32_t index);
  [[nodiscard]] Result<void> take_step(std::uint8_t step);
  [[nodiscard]] Result<void> accept_features(std::uint64_t features) const;
  /// Back to its first configuration, in the layout that these features ask for.
  static void renew(QueueConfig& config, std::uint64_t features);
  [[nodiscard]] Result<void> start();
  /// There is something for work().
  void wake();
  [[nodiscard]] std::unexpected<Error> needs_reset(const Error& why);
  /// The driver gets to see the configuration space as it is now.
  void show_config();
  /// Of the rings, once they are negotiated.
  [[nodiscard]] QueueFeatures slot_features() const;
  [[nodiscard]] Result<void> save_queue_slot(std::uint16_t index,
                                             std::vector<std::byte>& out) const;
  [[nodiscard]] Result<void> resume(std::span<const std::byte> bytes);
  [[nodiscard]] Result<void> resume_queue(std::uint16_t index, std::span<const std::byte> bytes);

  std::uint32_t device_id_;
  std::uint64_t offered_;
  std::uint64_t accepted_ = 0;
  std::uint8_t status_ = 0;
  bool started_ = false;  // the device was, and was not reset since
  bool memory_access_ = true;
  bool host_waits_ = false;  // host_ready() was called while guest memory was out of reach
  std::uint32_t generation_ = 0;
  std::vector<std::byte> shown_config_;  // when the driver last read from it; empty: never
  std::vector<Queue> queues_;
  Host& host_;
  Interrupts* interrupts_ = nullptr;
};

/// The life cycle of `device` in `memory`; all three outlive it, and the device is no one else's.
/// `ring_features`: a part of kRingFeatures, VIRTIO_F_VERSION_1 always.
template <GuestMemory M>
class DeviceLifecycle final : public Lifecycle, private Driver<M> {
 public:
  DeviceLifecycle(VirtioDevice<M>& device, const M& memory, Host& host,
                  std::uint64_t ring_features = kRingFeatures)
      : Lifecycle(
            device.device_id(),
            device.features() | (ring_features & kRingFeatures) | feature_bit(VIRTIO_F_VERSION_1),
            device.queue_sizes(), host),
        device_(device),
        memory_(memory),
        rings_(std::make_unique<VirtQueue<M>[]>(queue_count())) {
    device.attach(*this);
  }
  ~DeviceLifecycle() override { device_.reset(); }

  [[nodiscard]] int host_fd() const override { return device_.host_fd(); }

  // For tests that look at what the device works on.
  [[nodiscard]] VirtQueue<M>& queue(std::uint16_t index) override { return rings_[index]; }

 private:
  // Driver
  [[nodiscard]] std::uint64_t features() const override {
    return (status() & VIRTIO_STATUS_FEATURES_OK) != 0 ? driver_features() : 0;
  }
  void notify_used(std::uint16_t queue) override { Lifecycle::notify_used(queue); }
  void again(std::uint16_t queue) override { Lifecycle::again(queue); }
  void config_changed() override { Lifecycle::config_changed(); }
  void refused(std::uint16_t queue, const Error& why) override { Lifecycle::refused(queue, why); }

  // Lifecycle
  [[nodiscard]] Result<void> check_features(std::uint64_t features) const override {
    return device_.check_features(features);
  }
  [[nodiscard]] std::span<const std::byte> config() const override { return device_.config(); }
  [[nodiscard]] bool writes_early(std::uint32_t offset, std::size_t length) const override {
    return device_.writes_early(offset, length);
  }
  [[nodiscard]] Result<void> change_config(std::uint32_t offset,
                                           std::span<const std::byte> in) override {
    return device_.write_config(offset, in);
  }
  [[nodiscard]] Result<void> activate_queue(std::uint16_t index) override {
    return rings_[index].activate(memory_, *queue_config(index), queue_features(features()));
  }
  void stop_queue(std::uint16_t index) override {
    device_.stop_queue(index);
    rings_[index].reset();
  }
  void start_device() override { device_.start(); }
  void settle_device() override { device_.settle(); }
  void reset_device() override {
    device_.reset();
    for (std::uint16_t i = 0; i < queue_count(); ++i) rings_[i].reset();
  }
  [[nodiscard]] Result<bool> serve(std::uint16_t index) override { return device_.serve(index); }
  [[nodiscard]] Result<bool> serve_host() override { return device_.host_ready(); }
  [[nodiscard]] Result<void> save_device(std::vector<std::byte>& out) override {
    return device_.save(out);
  }
  [[nodiscard]] Result<void> restore_device(std::span<const std::byte> bytes) override {
    return device_.restore(bytes);
  }
  [[nodiscard]] Result<QueueState> save_queue(std::uint16_t index) const override {
    return rings_[index].save();
  }
  [[nodiscard]] Result<void> restore_queue(std::uint16_t index, const QueueState& state) override {
    return rings_[index].restore(memory_, state, queue_config(index)->max_size(),
                                 queue_features(features()));
  }

  VirtioDevice<M>& device_;
  const M& memory_;
  std::unique_ptr<VirtQueue<M>[]> rings_;
};

}  // namespace guestproof::virtio
