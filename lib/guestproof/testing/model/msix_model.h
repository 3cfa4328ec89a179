// A second opinion on MSI-X: a table of plain bytes, a list of what is pending, and after every
// step a look at every vector. Written from PCI 3.0 §6.8.2 and the policies in
// guestproof/pci/msix.h; it shares no code with the library.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "guestproof/testing/model/model_memory.h"

namespace guestproof::testing {

struct ModelMessage {
  std::uint64_t address = 0;
  std::uint32_t data = 0;

  friend bool operator==(const ModelMessage&, const ModelMessage&) = default;
};

class MsixModel {
 public:
  using Bytes = std::vector<std::uint8_t>;
  enum class Structure : std::uint8_t { kTable, kPending };
  struct Answer {
    Bytes bytes;
    ModelError error;
  };

  explicit MsixModel(std::size_t vectors) : vectors_(vectors) { reset(); }

  [[nodiscard]] std::size_t vectors() const { return vectors_; }
  [[nodiscard]] std::size_t bytes_of(Structure structure) const;

  [[nodiscard]] Answer read(Structure structure, std::uint64_t offset, std::size_t width) const;
  [[nodiscard]] ModelError write(Structure structure, std::uint64_t offset, const Bytes& bytes);
  /// Flags: 1 enabled, 2 masked, 4 bus master.
  void control(unsigned flags);
  [[nodiscard]] unsigned flags() const { return flags_; }
  [[nodiscard]] ModelError raise(std::size_t vector);
  [[nodiscard]] ModelError withdraw(std::size_t vector);
  [[nodiscard]] bool pending(std::size_t vector) const { return pending_[vector]; }
  void reset();

  [[nodiscard]] Bytes encode() const;
  /// What is refused; the state is then as it was.
  [[nodiscard]] ModelError decode(std::span<const std::uint8_t> bytes);

  /// What was delivered since the last time.
  [[nodiscard]] std::vector<ModelMessage> take_messages();

 private:
  [[nodiscard]] ModelError refusal(Structure structure, std::uint64_t offset,
                                   std::size_t width) const;
  [[nodiscard]] bool may_go(std::size_t vector) const;
  void deliver();

  std::size_t vectors_;
  Bytes table_;
  std::vector<bool> pending_;
  unsigned flags_ = 0;
  std::vector<ModelMessage> messages_;
};

}  // namespace guestproof::testing
