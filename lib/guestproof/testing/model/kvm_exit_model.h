// A second opinion on the page that KVM_RUN shares: written from Documentation/virt/kvm/api.rst
// with offsets as plain numbers, so that a wrong layout shows. It shares no code with the library
// and does not look into <linux/kvm.h>.
//
// Policies that the library's headers state and the documentation leaves open: what of the page is
// refused, and that every structure of the union is read whole, once.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "guestproof/testing/model/model_memory.h"

namespace guestproof::testing {

/// An exit as its kind, its numbers in the order of the documentation, and its bytes; or what is
/// wrong with the page.
struct ModelExit {
  ModelError error;
  std::string_view kind;
  std::vector<std::uint64_t> numbers;
  std::vector<std::uint8_t> bytes;
};

/// Bytes of the page.
struct ModelField {
  std::uint64_t offset = 0;
  std::size_t bytes = 0;
};

class KvmExitModel {
 public:
  /// REQUIRES: the mapping lies at address 0 of the memory.
  KvmExitModel(const WatchedMemory& memory, std::uint64_t mapping)
      : memory_(memory), mapping_(mapping) {}

  /// What is wrong with a mapping of this size.
  [[nodiscard]] static ModelError refusal(std::uint64_t mapping);

  [[nodiscard]] ModelExit decode() const;

  /// The bytes of an exit's data: of io_out, io_in and mmio_read.
  [[nodiscard]] std::vector<std::uint8_t> data(const ModelExit& exit) const;
  /// Writes the first bytes of that data.
  void put_data(const ModelExit& exit, std::span<const std::uint8_t> bytes) const;
  /// Answers an exit that has a place for it, in two words where there are two; does nothing for
  /// the others.
  void answer(const ModelExit& exit, std::uint64_t first, std::uint64_t second) const;
  /// Makes the guest's MSR access fault; does nothing for other exits.
  void refuse(const ModelExit& exit) const;

  /// Fields that the host reads and writes at any time.
  [[nodiscard]] std::vector<std::uint8_t> get(const ModelField& field) const;
  void put(const ModelField& field, std::span<const std::uint8_t> bytes) const;
  [[nodiscard]] static ModelField request_interrupt_window() { return {0, 1}; }
  [[nodiscard]] static ModelField immediate_exit() { return {1, 1}; }
  [[nodiscard]] static ModelField ready_for_interrupt_injection() { return {12, 1}; }
  [[nodiscard]] static ModelField if_flag() { return {13, 1}; }
  [[nodiscard]] static ModelField flags() { return {14, 2}; }
  [[nodiscard]] static ModelField cr8() { return {16, 8}; }
  [[nodiscard]] static ModelField apic_base() { return {24, 8}; }
  [[nodiscard]] static ModelField valid_registers() { return {288, 8}; }
  [[nodiscard]] static ModelField dirty_registers() { return {296, 8}; }
  /// struct kvm_sync_regs, which differs between architectures.
  [[nodiscard]] static ModelField sync_registers();

 private:
  ModelMemory memory_;
  std::uint64_t mapping_;
};

}  // namespace guestproof::testing
