// An MSI-X table and its pending bits under test. Target: msix.
//
// `queue` begins a table of 3, 1, 64, 65, 130 or 2048 vectors (index modulo 6), fresh and disabled.
// A `request` is what a driver or a device does for the vector `index` modulo their number (raw:
// for `index`), its message made of `value` and `length`, by quadwords, or by doublewords when
// `extra` is odd:
//
//   kind  what                                          kind  what
//   0     enables MSI-X, programs it and raises it      3     programs it and leaves it masked
//   1     programs it, unmasked                         4     unmasks it
//   2     masks it                                      5     resets the function
//
// `access` reads `length` modulo 17 bytes at offset `index` plus `next` times 2^16, or writes them
// from `value` (kind 1), of the table (kind 2: of the pending bits); `activate` sets the control to
// the flags in `index` (1 enabled, 2 masked, 4 bus master), `publish` raises the vector `index`,
// `complete` withdraws it.
#pragma once

#include "guestproof/pci/msix.h"
#include "guestproof/testing/harness/saved_harness.h"
#include "guestproof/testing/model/msix_model.h"

namespace guestproof::testing {

class MsixHarness : public SavedHarness {
 public:
  MsixHarness();

  [[nodiscard]] std::string_view name() const override { return "msix"; }

 private:
  class Messages : public pci::MsiSink {
   public:
    void deliver(const pci::MsiMessage& message) override {
      all.push_back({message.address, message.data});
    }
    std::vector<ModelMessage> all;
  };

  void choose(std::uint16_t index) override;
  void request(const Record& record) override;
  void act(const Record& record) override;
  [[nodiscard]] Bytes encode() const override;
  [[nodiscard]] Bytes model_encode() const override { return model_.encode(); }
  [[nodiscard]] Result<void> decode(std::span<const std::byte> bytes) override;
  [[nodiscard]] ModelError model_decode(std::span<const std::uint8_t> bytes) override {
    return model_.decode(bytes);
  }

  void read(MsixModel::Structure structure, std::uint64_t offset, std::size_t width);
  void write(MsixModel::Structure structure, std::uint64_t offset, const Bytes& bytes);
  /// A register of a vector's entry, as a driver writes it.
  void program(std::uint64_t vector, const Record& record, bool masked);
  void set_mask(std::uint64_t vector, bool masked);
  void control(unsigned flags);
  void raise(std::uint16_t vector);
  void withdraw(std::uint16_t vector);
  /// Both say the same of a step, and delivered the same.
  void agree(std::string_view what, const Result<void>& done, const ModelError& model);

  Messages messages_;
  pci::Msix msix_;
  MsixModel model_;
  Depth::Index read_, written_, pending_read_, delivered_, freed_, pending_, withdrawn_, reset_,
      controlled_;
};

}  // namespace guestproof::testing
