// Saved state of vCPUs and machines under test. Target: kvm_state.
//
// `queue` begins an empty state of the kind at `index`: on x86_64 a vCPU, a machine and a vCPU that
// is its registers (as riscv64 has them); elsewhere the last only. A `request` sets the field at
// `kind` to one made of `value`, with `length` modulo 64 entries (`index`: which sizes registers
// have); raw takes away what is optional. Of the saved bytes, `entry` gives the section at `index`
// the tag `next`, and `publish` drops the section at `index`, if there is one; both, and `avail`,
// make the length in the header right, to which `avail` adds `next` zeros.
#pragma once

#include <memory>
#include <optional>

#include "guestproof/testing/harness/saved_harness.h"
#include "guestproof/testing/model/kvm_state_model.h"

namespace guestproof::testing {

class KvmStateHarness : public SavedHarness {
 public:
  KvmStateHarness();
  ~KvmStateHarness() override;

  [[nodiscard]] std::string_view name() const override { return "kvm_state"; }

  /// A state of any kind.
  class State {
   public:
    virtual ~State() = default;
    /// REQUIRES: a tag of this kind, with a payload that is right for it.
    virtual void set(std::uint32_t tag,
                     const std::optional<std::vector<std::uint8_t>>& payload) = 0;
    [[nodiscard]] virtual std::vector<std::byte> encode() const = 0;
    [[nodiscard]] virtual Result<void> decode(std::span<const std::byte> bytes) = 0;
  };

 private:
  void choose(std::uint16_t index) override;
  void request(const Record& record) override;
  void act(const Record& record) override;
  [[nodiscard]] Bytes encode() const override;
  [[nodiscard]] Bytes model_encode() const override { return model_.encode(); }
  [[nodiscard]] Result<void> decode(std::span<const std::byte> bytes) override;
  [[nodiscard]] ModelError model_decode(std::span<const std::uint8_t> bytes) override {
    return model_.decode(bytes);
  }

  struct Section {
    std::size_t at = 0;
    std::size_t bytes = 0;  // with its header and padding
  };
  /// The section at that place of the saved bytes.
  [[nodiscard]] std::optional<Section> section(std::size_t position);
  [[nodiscard]] static Bytes payload_of(const ModelSection& field, const Record& record);
  static void put_number(Bytes& bytes, std::size_t at, std::uint32_t number);

  std::unique_ptr<State> state_;
  KvmStateModel model_;
  Depth::Index first_kind_, set_, taken_away_;
};

}  // namespace guestproof::testing
