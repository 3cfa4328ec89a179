// Runs a scenario program against a reader of memory that is shared with KVM (the run page, a ring)
// and its model in lockstep. The memory is hostile: a program writes it at any place, and changes
// bytes while they are read.
//
// A harness for one such reader derives from PageHarness. The mapping that the reader is given lies
// at address 0 of a small memory; a program chooses its size. Oracles after every step:
// - fetch-once, confinement (nothing is written but what the model writes) and model-agreement;
// - liveness: the steps of one look are bounded.
//
// Thread-safety: none.
#pragma once

#include <cstdint>

#include "guestproof/testing/harness/oracles.h"
#include "guestproof/testing/harness/runner.h"
#include "guestproof/testing/harness/world.h"

namespace guestproof::testing {

class PageHarness : public Runner {
 public:
  [[nodiscard]] const World& world() const { return world_; }

 protected:
  static constexpr std::uint64_t kPage = 4096;
  static constexpr std::uint64_t kMemory = 4 * kPage;

  PageHarness();

  // What a reader's harness says.

  [[nodiscard]] virtual std::uint64_t default_size() const = 0;
  /// The size that `queue index=…` chooses; at most kMemory.
  [[nodiscard]] virtual std::uint64_t size_of(std::uint16_t index) const = 0;
  /// The reader gets a new mapping; the old one is gone. Gives what the reader and the model refuse
  /// it for.
  [[nodiscard]] virtual Result<void> map_reader(const WatchedMemory::Slice& mapping) = 0;
  [[nodiscard]] virtual ModelError map_model(std::uint64_t size) = 0;
  /// Where a space lies in the mapping.
  [[nodiscard]] virtual SpaceRange area(Space space) const = 0;
  /// KVM writes what the reader is there for; the reader is mapped.
  virtual void request(const Record& record) = 0;
  /// The reader and the model look; the reader is mapped.
  virtual void kick(std::uint32_t budget) = 0;
  /// The other opcodes that this reader has a use for; the reader is mapped.
  virtual void act(const Record& record) = 0;

  // What they use.

  [[nodiscard]] World& world() { return world_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// The record's address; `otherwise` for Space::kAuto.
  [[nodiscard]] std::uint64_t address_of(const Record& record, std::uint64_t otherwise) const;
  /// One step: logs cleared, both sides run, oracles asked.
  template <class Device, class Model>
  void step(Device&& device, Model&& model) {
    world_.clear_logs();
    model();
    world_.device().limit_steps(kStepLimit, &spins);
    device();
    world_.device().limit_steps(0, nullptr);
    check_confinement(world_, world_.model().writes(), "what the model answers with");
    check_fetches(world_);
    check_bytes(world_);
    check_dirty_pages(world_);
  }

 private:
  /// Four accesses to each entry of the largest ring, and as many bytes as there are.
  static constexpr std::uint64_t kStepLimit = 4 * kMemory / 16 + kMemory;

  void start_program() override;
  [[nodiscard]] bool may_go_on() const override;
  void execute(const Record& record) override;
  void finish_program() override;

  [[noreturn]] static void spins();
  void look(std::uint32_t budget);
  void map(std::uint64_t size);

  World world_;
  std::uint64_t size_ = 0;
  bool mapped_ = false;  // the reader accepted its mapping
  bool asked_ = false;   // the program made something of the page
  bool fresh_ = false;   // since the last look

  Depth::Index looks_, maps_, refused_maps_;
};

}  // namespace guestproof::testing
