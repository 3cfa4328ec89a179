// A second opinion on the byte form of saved state: what state_codec.h says of headers and
// sections, read byte by byte. It shares no code with the library; sizes of structures are plain
// numbers.
//
// What is wrong is said in the order of the bytes, but a section's header is judged before the
// payload of the section ahead of it.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/testing/model/kvm_array_model.h"
#include "guestproof/testing/model/model_memory.h"

namespace guestproof::testing {

/// What a section may hold.
struct ModelSection {
  enum class Form : std::uint8_t {
    kStructure,  // `bytes` bytes, then zeros
    kEntries,    // of `bytes` bytes each
    kArray,      // struct kvm_cpuid2 and its entries
    kNested,     // struct kvm_nested_state, which says its size
    kRegisters,  // an id, and as many bytes as it says
  };
  std::uint32_t tag = 0;
  Form form = Form::kStructure;
  std::size_t bytes = 0;
  bool optional = false;
  std::optional<std::uint32_t> id = {};  // what a structure begins with: of an interrupt controller
};

/// What a vCPU and a machine of x86_64 are made of, and a vCPU of riscv64.
[[nodiscard]] std::span<const ModelSection> model_vcpu_x86_64();
[[nodiscard]] std::span<const ModelSection> model_vm_x86_64();
[[nodiscard]] std::span<const ModelSection> model_vcpu_riscv64();

class KvmStateModel {
 public:
  using Bytes = std::vector<std::uint8_t>;

  /// All zeros: structures of zeros, lists of nothing, and nothing that is optional.
  KvmStateModel(std::uint16_t machine, std::uint32_t kind, std::span<const ModelSection> fields);

  [[nodiscard]] std::span<const ModelSection> fields() const { return fields_; }
  /// The payload of a field; nothing when it is not there.
  void set(std::uint32_t tag, std::optional<Bytes> payload);

  [[nodiscard]] Bytes encode() const;
  /// What is wrong; the state is then as it was.
  [[nodiscard]] ModelError decode(std::span<const std::uint8_t> bytes);

 private:
  struct Found {
    std::uint32_t tag = 0;
    std::span<const std::uint8_t> payload;
  };
  [[nodiscard]] ModelError check_header(std::span<const std::uint8_t> bytes) const;
  /// The sections up to the first whose frame is wrong, and what is wrong with it.
  [[nodiscard]] static ModelError frames(std::span<const std::uint8_t> bytes,
                                         std::vector<Found>& found);

  std::uint16_t machine_;
  std::uint32_t kind_;
  std::span<const ModelSection> fields_;
  std::map<std::uint32_t, Bytes> sections_;
};

}  // namespace guestproof::testing
