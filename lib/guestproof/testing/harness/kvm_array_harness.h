// KVM's variable-length structures under test, each kind that the architecture has. Target:
// kvm_fam.
//
// `queue` begins an empty array of the kind at `index`; `activate` makes it `index` entries of
// zeros. A `request` pushes 1 + length modulo 64 entries (raw: modulo 2048) made of `value`;
// `entry` changes the one at `index` to one made of `next`; `complete` keeps the entries for which
// (first byte + index) modulo (2 + length modulo 4) is not 0; `publish` is the kernel's count
// `index` in an array that was given room for `queue` entries.
#pragma once

#include <memory>

#include "guestproof/testing/harness/saved_harness.h"
#include "guestproof/testing/model/kvm_array_model.h"

namespace guestproof::testing {

class KvmArrayHarness : public SavedHarness {
 public:
  KvmArrayHarness();
  ~KvmArrayHarness() override;

  [[nodiscard]] std::string_view name() const override { return "kvm_fam"; }

  /// An array of any kind.
  class Array {
   public:
    virtual ~Array() = default;
    [[nodiscard]] virtual std::span<const std::byte> bytes() const = 0;
    [[nodiscard]] virtual std::size_t size() const = 0;
    [[nodiscard]] virtual Result<void> push_back(std::span<const std::uint8_t> entry) = 0;
    virtual void set_entry(std::size_t position, std::span<const std::uint8_t> entry) = 0;
    [[nodiscard]] virtual Result<void> zeroed(std::size_t count) = 0;
    [[nodiscard]] virtual Result<void> accept(std::size_t room, std::uint64_t count) = 0;
    virtual void retain(const std::function<bool(std::uint8_t)>& keep) = 0;
    [[nodiscard]] virtual Result<void> parse(std::span<const std::byte> bytes) = 0;
  };

 private:
  void choose(std::uint16_t index) override;
  void request(const Record& record) override;
  void act(const Record& record) override;
  [[nodiscard]] Bytes encode() const override;
  [[nodiscard]] Bytes model_encode() const override { return model_.bytes(); }
  [[nodiscard]] Result<void> decode(std::span<const std::byte> bytes) override;
  [[nodiscard]] ModelError model_decode(std::span<const std::uint8_t> bytes) override {
    return model_.parse(bytes);
  }

  /// Counts what device and model have to say of a step.
  void agree(std::string_view what, const Result<void>& done, const ModelError& model);
  void retain(const Record& record);

  std::unique_ptr<Array> array_;
  KvmArrayModel model_;
  Depth::Index first_kind_, pushed_, changed_, retained_, zeroed_, counted_;
};

}  // namespace guestproof::testing
