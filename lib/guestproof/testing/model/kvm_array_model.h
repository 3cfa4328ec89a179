// A second opinion on KVM's variable-length structures: a header with a count, then entries, as
// plain bytes. Written from Documentation/virt/kvm/api.rst with offsets and sizes as plain numbers;
// it shares no code with the library. The limits are the library's policy.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "guestproof/testing/model/model_memory.h"

namespace guestproof::testing {

struct ModelArrayLayout {
  std::string_view name;
  std::size_t count_offset = 0;
  std::size_t count_bytes = 0;
  std::size_t entries_offset = 0;
  std::size_t entry_bytes = 0;
  std::size_t limit = 0;  // entries
};
inline constexpr ModelArrayLayout kModelIrqRouting{"irq_routing", 0, 4, 8, 48, 1024};
inline constexpr ModelArrayLayout kModelCpuId{"cpuid", 0, 4, 8, 40, 256};
inline constexpr ModelArrayLayout kModelMsrs{"msrs", 0, 4, 8, 16, 256};
inline constexpr ModelArrayLayout kModelMsrList{"msr_list", 0, 4, 4, 4, 1024};
inline constexpr ModelArrayLayout kModelPmuEventFilter{"pmu_event_filter", 4, 4, 32, 8, 300};
inline constexpr ModelArrayLayout kModelRegList{"reg_list", 0, 8, 8, 8, 4096};

class KvmArrayModel {
 public:
  using Bytes = std::vector<std::uint8_t>;

  /// No entries.
  explicit KvmArrayModel(const ModelArrayLayout& layout)
      : layout_(&layout), header_(layout.entries_offset) {}

  [[nodiscard]] const ModelArrayLayout& layout() const { return *layout_; }
  [[nodiscard]] std::size_t size() const { return entries_.size() / layout_->entry_bytes; }
  [[nodiscard]] Bytes bytes() const;
  void set_entry(std::size_t position, const Bytes& entry);

  /// All of these say what is refused; the array is then as it was.
  [[nodiscard]] ModelError push_back(const Bytes& entry);
  [[nodiscard]] ModelError zeroed(std::size_t count);
  [[nodiscard]] ModelError parse(std::span<const std::uint8_t> bytes);
  /// The kernel's count for an array of `room` entries, all of them 0; refused, the array is empty.
  [[nodiscard]] ModelError accept(std::size_t room, std::uint64_t count);

  void retain(const std::function<bool(std::uint8_t first_byte)>& keep);

 private:
  const ModelArrayLayout* layout_;
  Bytes header_;
  Bytes entries_;
};

}  // namespace guestproof::testing
