// The queue itself under test: an echo device behind it, chains taken and given back out of order,
// state patched. Targets: queue, queue_packed (which starts with a packed ring), queue_state.
//
// Requests: `value` is eight readable bytes, `length` readable bytes follow, and there is room for
// `extra` bytes of answer (16 when 0).
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "guestproof/testing/echo_device.h"
#include "guestproof/testing/harness/harness.h"

namespace guestproof::testing {

class QueueHarness : public Harness {
 public:
  explicit QueueHarness(std::string_view target_name);

  [[nodiscard]] std::string_view name() const override { return name_; }

 protected:
  void reset_device() override { held_.clear(); }
  void request(Lane& lane, const Record& record) override;
  [[nodiscard]] Turn serve(Lane& lane, std::uint32_t looks) override;
  [[nodiscard]] Turn serve_model(Lane& lane, std::uint32_t looks) override;
  void take(Lane& lane, const Record& record) override;
  void complete(const Record& record) override;
  void access(const Record& record) override;
  [[nodiscard]] std::size_t held(const Lane& lane) const override;
  /// What the device does with a queue; tests of the oracles put faulty ones here.
  using Observer = std::function<void(const WatchedChain&)>;
  [[nodiscard]] virtual Result<Turn> process(WatchedQueue& queue, std::uint32_t looks,
                                             const Observer& taken) {
    return device_.process(queue, looks, taken);
  }

 private:
  struct Held {
    WatchedChain device;
    ModelChain model;
    Lane* lane;
    std::uint32_t activation;
  };
  /// What was learned of a chain does not change while it is held, unless a reset takes it back:
  /// then it has no bytes. True when it is stale.
  bool look_again(Held& held);
  void drop(std::size_t position);
  void put_back(std::size_t position);
  std::uint32_t model_answer(const ModelChain& chain) const;

  std::string_view name_;
  EchoDevice<WatchedQueue> device_;
  std::vector<ModelChain> served_;  // by the model, in this step
  std::vector<Held> held_;
  Depth::Index requests_, turns_, taken_, completed_, stale_, dropped_, put_back_, accesses_;
};

}  // namespace guestproof::testing
