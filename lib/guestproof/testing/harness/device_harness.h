// A whole device under test: from reset over negotiation to I/O, through a transport's registers.
//
// The device lives in a Lifecycle behind a transport (device_transport.h); beside it live models of
// all three, and everything that the guest or the host does happens to both. A program begins with
// a device that a driver has brought up: all features, all queues of 16 entries. What opcodes mean
// here, besides what docs/scenarios.md says of all:
//   queue, activate  the driver starts over: resets the device, negotiates the ring features that
//                    the record's flags name, and sets all queues up, this one as the record says;
//                    with the flag `pci` on virtio over PCI, without it over MMIO
//   kick             an available buffer notification; then the device works until it has nothing
//                    left to do
//   access           an access to the device: kind modulo 2: write, read; next and index: where,
//                    see device_transport.h; length: its width, from 1 to 8 bytes (0: what the
//                    place has, or 4); value: what is written. Afterwards the device works.
//   backend          kind 0: the driver turns the device features of `value` over, from the next
//                    start on; other kinds, modulo what the device has: see its harness
//   save, restore, patch  of the whole device and its transport
// On PCI the driver has set Bus Master; an `access` to the command register that clears it takes
// guest memory away from the device.
//
// A harness for a device derives from this, owns the device and its model, and connects them.
//
// Thread-safety: none.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/testing/harness/device_observer.h"
#include "guestproof/testing/harness/device_transport.h"
#include "guestproof/testing/harness/harness.h"
#include "guestproof/virtio/device/lifecycle.h"

namespace guestproof::testing {

class DeviceHarness : public Harness, private virtio::Host {
 public:
  /// From now on; it outlives this, or is taken away again with nullptr.
  void watch(DeviceObserver* observer) { observer_ = observer; }

 protected:
  using Harness::Harness;

  /// To be called once, when both exist. REQUIRES: as many queues as the harness has lanes.
  void connect(virtio::VirtioDevice<WatchedMemory>& device, DeviceModel& model);
  /// To be called by the destructor of who has the device: a life cycle ends by resetting it.
  void disconnect() {
    transport_.reset();
    lifecycle_.reset();
  }

  // What a device's harness says, besides request() and serve_model().

  /// The device's back end does something; `kind` counts from 0.
  virtual void host_event(std::uint8_t kind, const Record& record) = 0;
  [[nodiscard]] virtual std::uint8_t host_event_kinds() const = 0;
  /// True: all is on PCI, whatever a record's flags say.
  [[nodiscard]] virtual bool starts_on_pci() const { return false; }
  /// What the model does in host_ready(); as serve_model().
  [[nodiscard]] virtual Turn serve_host_model() { return {}; }
  enum class Settle : std::uint8_t { kSave, kMemoryAccess };
  /// The model is going to be saved, or to leave guest memory alone: it ends what it does, or puts
  /// back the chains that it keeps.
  virtual void settle_model(Settle) {}
  /// What the device and its model keep must agree.
  virtual void compare_devices() {}

  // What they use.

  /// Nobody: nullptr.
  [[nodiscard]] DeviceObserver* observer() { return observer_; }
  [[nodiscard]] virtio::Lifecycle& lifecycle() { return *lifecycle_; }
  [[nodiscard]] LifecycleModel& lifecycle_model() { return *lifecycle_model_; }
  [[nodiscard]] std::uint16_t index_of(const Lane& lane);
  /// host_ready() on both sides, until nothing is left to do.
  void host_ready();
  /// The model refused a request, or failed to do it: to be told for each, in order.
  void expect_refusal(const ModelError& why) { expected_refusals_.push_back(why); }

 private:
  // Harness
  void start_over() final;
  void save_first() final { saved().clear(); }
  void activate(Lane& lane) final;
  void kick(Lane& lane, std::uint32_t budget) final;
  void save(Lane& lane) final;
  void restore(Lane& lane) final;
  /// Its queues are the life cycle's.
  void remap(Lane&) final {}
  void backend(const Record& record) final;
  void access(const Record& record) final;
  void compare_outside_memory() final;
  // UNREACHABLE: kick() has the device work through its life cycle instead
  [[nodiscard]] Turn serve(Lane&, std::uint32_t) final { return {}; }
  void model_notifies(Lane& lane) final;

  // virtio::Host
  void wake() override { woken_ = true; }
  void refused(std::uint16_t queue, const Error& why) override;

  void connect_transport(bool pci);
  void bring_up();
  void run_script();
  // An access on both sides.
  void write(DeviceTransport::Place place, std::uint64_t value, std::size_t width);
  void read(DeviceTransport::Place place, std::size_t width);
  /// The device's thread: serves what was kicked.
  void work();
  [[nodiscard]] Turn work_model();
  /// A queue that broke makes the device need a reset. True when one did.
  bool end_model_turn();
  void judge_turn(const Result<bool>& done, const Turn& model);
  /// A driver that has activated a queue begins it anew.
  void notice_activations();
  void note(const Error& why);
  void settled();
  void compare_refusals();
  [[nodiscard]] DeviceModel& model_device() { return lifecycle_model_->device(); }

  std::optional<virtio::DeviceLifecycle<WatchedMemory>> lifecycle_;
  std::optional<LifecycleModel> lifecycle_model_;
  std::unique_ptr<DeviceTransport> transport_;
  bool pci_ = false;

  DeviceObserver* observer_ = nullptr;
  std::uint64_t wanted_features_ = 0;  // of the device's type
  std::uint64_t ring_features_ = 0;
  // Of a driver that brings the device up.
  DeviceTransport::Script script_;
  std::vector<ModelQueueSetup> queues_;
  bool woken_ = false;
  bool restored_ = false;  // by the last restore
  std::vector<ModelError> expected_refusals_;
  std::vector<Error> refusals_;

  Depth::Index accesses_ = 0, refused_accesses_ = 0, on_pci_ = 0, interrupts_ = 0, broken_ = 0,
               kept_away_ = 0;
};

}  // namespace guestproof::testing
