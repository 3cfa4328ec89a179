// Runs a scenario program against a loader and its model in lockstep: both load into a memory of
// their own, which starts full of something.
//
// A harness for one loader derives from LoaderHarness. Oracles at every load:
// - model-agreement: both refuse the same for the same reason, and find and write the same;
// - confinement: nothing is written but what the model writes, and nothing at all when it refuses;
// - fetch-once: nothing of guest memory is read; liveness: the accesses of one load are bounded.
//
//   low   0x000ff000  4 KiB  ┐ touch              more  0x00110000 16 KiB
//   start 0x00100000 32 KiB  │                    end   0xffffe000  8 KiB, up to 4 GiB
//   next  0x00108000 16 KiB  │                    high  0x100000000 4 KiB, touches it
//   rom   0x0010c000  4 KiB  ┘ read-only
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "guestproof/loader/image.h"
#include "guestproof/testing/harness/oracles.h"
#include "guestproof/testing/harness/runner.h"
#include "guestproof/testing/harness/world.h"
#include "guestproof/testing/model/kernel_images.h"
#include "guestproof/testing/model/kernel_model.h"

namespace guestproof::testing {

class LoaderHarness : public Runner {
 protected:
  using Bytes = std::vector<std::uint8_t>;

  static constexpr std::uint64_t kStart = 0x100000, kStartBytes = 0x8000;

  LoaderHarness();

  // What a loader's harness says.

  /// Begins anew, with the `index`th kind of what is loaded.
  virtual void choose(std::uint16_t index) = 0;
  /// Changes it.
  virtual void request(const Record& record) = 0;
  /// The other opcodes that this loader has a use for.
  virtual void act(const Record&) {}
  /// Loads, by step().
  virtual void load(std::uint8_t queue) = 0;

  // What they use.

  [[nodiscard]] World& world() { return world_; }
  [[nodiscard]] ModelMemory model_memory() const { return ModelMemory(world_.model()); }
  /// The record's value, from the place that `next` modulo 8 says: 0, 1 MiB, the start of `next`,
  /// its end, the end of `more`, 4 GiB, 2^52, 2^64.
  [[nodiscard]] static std::uint64_t number(const Record& record);
  /// One load: the model's, the loader's, oracles.
  template <class Device, class Model>
  void step(Device&& device, Model&& model) {
    world_.clear_logs();
    model();
    world_.device().limit_steps(kStepLimit, &spins);
    device();
    world_.device().limit_steps(0, nullptr);
    check_confinement(world_, world_.model().writes(), "what the model loads");
    check_fetches(world_);
    check_bytes(world_);
    check_dirty_pages(world_);
  }
  void compare(std::string_view what, const ModelFacts& device, const ModelFacts& model) const;
  /// Counts what was refused, or that nothing was.
  template <class T>
  bool agree(std::string_view what, const Result<T>& done, const ModelError& model) {
    compare_errors(kModelAgreement, what, error_of(done), model);
    if (!done) refused(done.error());
    return done.has_value();
  }
  void loaded() { depth_.count(loads_); }
  /// Of guest memory, a load meets these two.
  void add_memory_errors();
  [[nodiscard]] static ModelFacts facts_of(const loader::LoadedKernel& kernel);
  /// That many bytes were looked at: a program ends when they are many.
  void worked(std::uint64_t bytes) { work_ += bytes; }

 private:
  /// Each of 64 segments and its zeros, over all borders of regions.
  static constexpr std::uint64_t kStepLimit = 1024;
  static constexpr std::uint64_t kWorkLimit = std::uint64_t{1} << 22;

  void start_program() override;
  [[nodiscard]] bool may_go_on() const override;
  void execute(const Record& record) override;
  void finish_program() override;

  [[noreturn]] static void spins();
  void refused(const Error& error);

  World world_;
  bool fresh_ = true;  // something was changed since the last load
  std::uint64_t work_ = 0;
  Depth::Index loads_, refusals_;
};

/// A loader of files. `request` sets a field, see the target's header, to number(); `patch` changes
/// 1 to 8 bytes, or cuts and stretches the file as everywhere; `area` says where it is loaded:
/// `which` 0 at `value`, 1 at `value` pages from the default, 2 at `value` from the end of `more`.
class ImageHarness : public LoaderHarness {
 protected:
  /// The `index`th kind of image.
  [[nodiscard]] virtual Bytes make(std::uint16_t index) const = 0;
  /// The field that a request is about. It may lie past the end of a file that was cut.
  [[nodiscard]] virtual ImageField field(const Record& record) const = 0;
  [[nodiscard]] virtual std::uint64_t default_address() const { return kStart; }

  /// A copy of exactly its size: AddressSanitizer sees what is read past it.
  [[nodiscard]] const Bytes& file() {
    exact_ = Bytes(image_);
    worked(exact_.size());
    return exact_;
  }
  [[nodiscard]] static std::span<const std::byte> bytes_of(const Bytes& file) {
    return std::as_bytes(std::span(file));
  }
  /// Of a part of the file: where it begins. REQUIRES: a part of it.
  [[nodiscard]] static std::uint64_t offset_in(const Bytes& file, std::span<const std::byte> part) {
    return static_cast<std::uint64_t>(part.data() - bytes_of(file).data());
  }
  [[nodiscard]] std::uint64_t address() const { return address_; }

 private:
  void choose(std::uint16_t index) override;
  void request(const Record& record) override;
  void act(const Record& record) override;

  Bytes image_, exact_;
  std::uint64_t address_ = 0;
};

}  // namespace guestproof::testing
