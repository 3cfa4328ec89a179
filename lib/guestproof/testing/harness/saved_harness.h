// Runs a scenario program against values that are saved as bytes and come back from bytes that
// anybody may have written, and their model in lockstep.
//
// A harness for one family of values derives from SavedHarness. A program changes a value, saves
// it, patches the bytes and restores from them. Oracles:
// - model-agreement: after every change the value is the model's; what is refused is refused by
//   both; of a restore the world around sees what the model's does;
// - round-trip: what was saved is the model's bytes and decodes; what was restored saves to the
//   bytes that it came from, or is refused by both.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "guestproof/testing/harness/runner.h"

namespace guestproof::testing {

class SavedHarness : public Runner {
 protected:
  using Bytes = std::vector<std::uint8_t>;

  SavedHarness();

  // What a family's harness says.

  /// The `index`th kind of value, empty.
  virtual void choose(std::uint16_t index) = 0;
  /// Puts something into the value.
  virtual void request(const Record& record) = 0;
  /// The other opcodes that the family has a use for. What changes the value compares.
  virtual void act(const Record& record) = 0;
  /// The value's bytes and the model's.
  [[nodiscard]] virtual Bytes encode() const = 0;
  [[nodiscard]] virtual Bytes model_encode() const = 0;
  /// The value is what these bytes mean, or as it was.
  [[nodiscard]] virtual Result<void> decode(std::span<const std::byte> bytes) = 0;
  [[nodiscard]] virtual ModelError model_decode(std::span<const std::uint8_t> bytes) = 0;
  /// Compares what the world around the value has seen of a restore.
  virtual void compare_restored_world() {}

  // What they use.

  void compare(std::string_view oracle, std::string_view what) const;
  /// The bytes that the next restore takes.
  [[nodiscard]] Bytes& saved() { return saved_; }
  /// The number's bytes, over and over, with the position added every 8.
  [[nodiscard]] static Bytes pattern(std::uint64_t number, std::size_t length);

 private:
  /// More makes a program slow and finds nothing.
  static constexpr std::uint64_t kWorkLimit = std::uint64_t{1} << 18;  // bytes compared

  void start_program() override;
  [[nodiscard]] bool may_go_on() const override { return work_ < kWorkLimit; }
  void execute(const Record& record) override;
  void finish_program() override;

  void save();
  void restore();

  Bytes saved_;
  bool asked_ = false;  // the program changed, saved or restored a value
  mutable std::uint64_t work_ = 0;

  Depth::Index saves_, restores_, refusals_;
};

}  // namespace guestproof::testing
