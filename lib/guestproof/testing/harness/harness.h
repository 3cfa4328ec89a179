// Runs a scenario program against a device under test and the reference model in lockstep, with the
// oracles on.
//
// A harness for a device derives from Harness and says how the device serves a queue, how the model
// does, and what a `request` record builds. Everything else a guest can do to a queue (descriptors,
// rings, races, features, areas, reset, save and restore) is here. After every step the oracles
// look:
// - fetch-once: no byte was fetched more often than the model, which reads everything once, did;
// - confinement: the device wrote only into its used rings and the device-writable buffers of
//   chains it held, and gave a back end no other bytes of the host than those that guest memory
//   gave it for that;
// - liveness: the steps of one turn are bounded, a kick is served in as many turns as it takes, and
//   every chain taken was given back or the queue is broken;
// - model-agreement: memory, dirty pages, queue state and notifications are what the model says;
// - round-trip: saved state decodes to what was saved, and the device goes on from it.
//
// Thread-safety: none; a harness is used for many programs one after the other.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guestproof/testing/harness/runner.h"
#include "guestproof/testing/harness/world.h"
#include "guestproof/testing/model/queue_model.h"
#include "guestproof/testing/scenario/record.h"
#include "guestproof/virtio/queue/turn.h"
#include "guestproof/virtio/queue/virt_queue.h"

namespace guestproof::testing {

using WatchedQueue = virtio::VirtQueue<WatchedMemory>;
using WatchedChain = virtio::Chain<WatchedQueue>;

/// One virtqueue: the device's, the model's, and the guest's own notes about it.
struct Lane {
  ModelQueueSetup pending;  // what the next activate takes
  WatchedQueue own;
  WatchedQueue* queue = &own;  // the device's; a device that has queues of its own puts one here
  QueueModel model;
  std::uint64_t available = 0;    // chains made available; in a packed ring descriptors
  std::uint16_t next_free = 0;    // descriptor; in a packed ring Buffer ID
  std::uint32_t activations = 0;  // chains taken before the last one are stale
  bool fresh = false;             // something was made available since the last kick
  std::uint16_t flags = 0;        // kQueue…, of the last time it was set up
};

/// A request as a driver thinks of it: readable bytes, then room for an answer.
struct RequestShape {
  std::span<const std::byte> header;   // written to memory and given as readable
  std::uint32_t readable_data = 0;     // bytes of readable data after it
  std::span<const std::byte> payload;  // written to where they begin; the rest lies there as it is
  std::uint32_t writable_data = 0;     // bytes of writable room
  std::uint32_t writable_tail = 0;     // and after that (a status byte, say)
  std::uint8_t cut = 0;     // bits 0-1: more pieces of the header, 2-4: of the data, 5: of the tail
  std::uint16_t flags = 0;  // kRequest…
  std::optional<GuestAddress> data;  // where the data lies, if not where it comes next
};

class Harness : public Runner {
 public:
  /// `features`: kQueue… flags of the queues that a program starts with.
  explicit Harness(std::size_t queues, std::uint16_t features = kQueueIndirect);

  [[nodiscard]] const World& world() const { return world_; }

 protected:
  static constexpr std::uint16_t kMaxSize = 64;
  static constexpr std::uint16_t kDefaultSize = 16;

  // What a device's harness says.

  /// Back to a fresh device.
  virtual void reset_device() {}
  /// Configures and activates the device's queue with what is pending.
  [[nodiscard]] virtual Result<void> activate_device(Lane& lane);
  /// Restores the device's queue from what was saved of one, perhaps patched.
  [[nodiscard]] virtual Result<void> restore_device(Lane& lane, std::span<const std::byte> saved,
                                                    virtio::QueueFeatures features);
  /// Builds a request on a queue; usually through publish_request().
  virtual void request(Lane& lane, const Record& record) = 0;
  using Turn = virtio::Turn;
  /// The device under test takes a turn of `looks` looks at what is available. A broken queue ends
  /// it with an empty Turn.
  [[nodiscard]] virtual Turn serve(Lane& lane, std::uint32_t looks) = 0;
  /// The model does the same.
  [[nodiscard]] virtual Turn serve_model(Lane& lane, std::uint32_t looks) = 0;
  // How the guest gets at the device, and the host at its state. A device that is reached through a
  // transport does all of these its own way.

  /// Back to the default device and queues; memory stays.
  virtual void start_over();
  /// What a program has saved before it saves anything.
  virtual void save_first();
  /// Activates the lane's queue with what is pending.
  virtual void activate(Lane& lane);
  /// Notifies the device, which takes turns of `budget` looks (0: enough for a full queue).
  virtual void kick(Lane& lane, std::uint32_t budget);
  virtual void save(Lane& lane);
  virtual void restore(Lane& lane);
  virtual void remap(Lane& lane);

  /// The model sends a used buffer notification.
  virtual void model_notifies(Lane&) {}
  virtual void backend(const Record&) {}
  virtual void take(Lane&, const Record&) {}
  virtual void complete(const Record&) {}
  virtual void access(const Record&) {}
  /// What the device and the model keep outside guest memory must agree too.
  virtual void compare_outside_memory() {}
  /// Chains that the device took from this lane and keeps on purpose.
  [[nodiscard]] virtual std::size_t held(const Lane&) const { return 0; }

  // What they use.

  [[nodiscard]] World& world() { return world_; }
  [[nodiscard]] Lane& lane(std::size_t index) { return *lanes_[index % lanes_.size()]; }
  [[nodiscard]] std::size_t lanes() const { return lanes_.size(); }
  /// Writes descriptors (and an indirect table, when asked) for a request and makes it available.
  void publish_request(Lane& lane, const RequestShape& shape);
  /// The record's address, or nothing for Space::kAuto.
  [[nodiscard]] std::optional<GuestAddress> address_of(const Lane& lane,
                                                       const Record& record) const;
  /// The model's side of taking a chain: what the device may write to from now on in this step.
  [[nodiscard]] std::optional<ModelChain> model_take(Lane& lane);
  void permit(const ModelChain& chain);
  /// The model's turn, as virtio/queue/turn.h describes one; `serve(chain)` gives the used
  /// length, or nothing for a chain that it keeps or has put back.
  template <class Ready, class Serve>
  [[nodiscard]] Turn model_turn(Lane& lane, std::uint32_t looks, Ready&& ready, Serve&& serve) {
    lane.model.disable_kicks();
    for (std::uint32_t look = 0; look < looks; ++look) {
      if (!ready()) return end_turn(lane);
      if (const auto chain = model_take(lane)) {
        const std::optional<std::uint32_t> used = serve(*chain);
        if (used) lane.model.give_back(*chain, *used);
        continue;
      }
      if (!lane.model.active() || !lane.model.broken().none()) return {};
      if (!lane.model.enable_kicks()) return end_turn(lane);
      lane.model.disable_kicks();
    }
    return end_turn(lane, true);
  }
  template <class Serve>
  [[nodiscard]] Turn model_turn(Lane& lane, std::uint32_t looks, Serve&& serve) {
    return model_turn(lane, looks, [] { return true; }, serve);
  }
  /// The end of a model's turn: a used buffer notification, when the driver wants one.
  [[nodiscard]] Turn end_turn(Lane& lane, bool more = false) {
    const bool notify = lane.model.needs_notification();
    if (notify) model_notifies(lane);
    return {.notify = notify, .more = more};
  }
  /// Where the lane's queue will be at the next activate: in memory of its own, which is cleared.
  void lay_out(Lane& lane, std::uint16_t size, std::uint16_t flags);
  /// Of this lane only: whatever was taken before is stale from now on.
  static void begin_activation(Lane& lane);
  /// The guest goes on in a queue that was restored.
  void resume_lane(Lane& lane);
  /// The saved state.
  [[nodiscard]] std::vector<std::byte>& saved() { return saved_; }
  void count_activation(bool done) { depth_.count(done ? activations_ : refusals_); }
  void count_notification() { depth_.count(notifications_); }
  void count_kick() { depth_.count(kicks_); }
  void count_save() { depth_.count(saves_); }
  void count_restore(bool done) { depth_.count(done ? restores_ : refused_restores_); }
  /// Compares a chain that the device holds with the model's, buffer by buffer.
  static void compare_chain(const WatchedChain& chain, const ModelChain& model);
  /// What serve() says of a turn: counts the error that ended it, or with `more` that it was cut
  /// off.
  [[nodiscard]] Turn counted(const Result<Turn>& turn, Depth::Index more) {
    if (!turn) count(turn.error());
    if (turn && turn->more) depth_.count(more);
    return turn.value_or(Turn{});
  }
  /// Counts the fault of a chain that was taken.
  void count_fault(const WatchedChain& chain) {
    if (chain.fault()) count(*chain.fault());
  }
  /// One step: logs cleared, both sides run, oracles asked.
  template <class Device, class Model>
  void step(Device&& device, Model&& model) {
    world_.clear_logs();
    permitted_.clear();
    for (const auto& l : lanes_) permit_rings(*l);
    model();
    world_.device().limit_steps(step_limit(), &spins);
    device();
    world_.device().limit_steps(0, nullptr);
    check_oracles();
  }

 private:
  void start_program() override;
  [[nodiscard]] bool may_go_on() const override;
  void execute(const Record& record) override;
  void finish_program() override;
  void guest_writes(Lane& lane, const Record& record);
  void write_descriptor(GuestAddress where, const Record& record, const Lane& lane);
  void link_descriptor(const Lane& lane, const Record& record);
  void publish(Lane& lane, std::uint16_t head);
  void move_available(Lane& lane, std::uint16_t distance);
  void ask_for_event(const Lane& lane, std::uint16_t distance);
  [[nodiscard]] GuestAddress packed_descriptor(const Lane& lane, std::uint64_t position) const;
  /// The descriptor at this position of a packed ring as available, or not, in its turn.
  [[nodiscard]] std::uint16_t packed_flags(const Lane& lane, std::uint64_t position,
                                           std::uint64_t flags) const;
  void publish_packed(Lane& lane, std::uint16_t id);
  void publish_packed_request(Lane& lane, std::span<const virtio::VirtqDesc> descriptors);
  [[nodiscard]] std::uint64_t packed_available(const Lane& lane) const;
  void setup_queue(Lane& lane, std::uint16_t size, std::uint16_t flags);
  void keep(const virtio::QueueState& state);
  void patch(const Record& record);

  void permit_rings(const Lane& lane);
  /// How many accesses to guest memory one step may take.
  [[nodiscard]] std::uint64_t step_limit() const;
  [[noreturn]] static void spins();
  void check_oracles();
  void check_agreement();

  World world_;
  std::uint16_t features_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<MemoryRange> permitted_;  // where the device may write in this step
  std::vector<std::byte> saved_;
  std::vector<MemoryRange> buffers_;  // of the request that is being built
  std::vector<virtio::VirtqDesc> descriptors_;
  std::uint32_t header_cursor_ = 0;
  std::uint32_t data_cursor_ = 0;
  std::uint32_t indirect_cursor_ = 0;
  bool asked_ = false;  // the program made something available

  Depth::Index kicks_, activations_, refusals_, saves_, restores_, refused_restores_,
      notifications_, indirects_;
};

}  // namespace guestproof::testing
