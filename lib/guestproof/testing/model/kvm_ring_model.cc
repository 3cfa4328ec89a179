#include "guestproof/testing/model/kvm_ring_model.h"

#include <algorithm>

namespace guestproof::testing {
ModelError CoalescedRingModel::refusal(std::uint64_t size) {
  if (size < 32) return {"kvm_page.ring_length", size, 32};  // two indices and one entry
  return {};
}

CoalescedRingModel::Taken CoalescedRingModel::take() const {
  const auto first = memory_.number(0, 4);
  const auto last = memory_.number(4, 4);
  for (const auto index : {first, last})
    if (index >= entries_) return {{"kvm_page.ring_index", index, entries_}, std::nullopt};
  if (first == last) return {};

  std::array<std::uint8_t, 24> entry{};
  GUESTPROOF_INVARIANT(memory_.read(8 + 24 * first, entry) == entry.size());
  const auto at = std::span<const std::uint8_t>(entry);
  ModelCoalescedWrite write{.address = number_in(at.first(8)),
                            .length = number_in(at.subspan(8, 4)),
                            .pio = number_in(at.subspan(12, 4)) != 0};
  if (write.length < 1 || write.length > 8)
    return {{"kvm_page.mmio_length", write.length, 8}, std::nullopt};
  std::copy_n(entry.begin() + 16, write.length, write.bytes.begin());
  memory_.put_number(0, 4, first + 1 == entries_ ? 0 : first + 1);
  return {{}, write};
}

ModelError DirtyRingModel::refusal(std::uint64_t size) {
  for (std::uint64_t entries = 1; entries <= size / 16; entries *= 2)
    if (16 * entries == size) return {};
  return {"kvm_page.dirty_ring_size", size, 16};
}

DirtyRingModel::Taken DirtyRingModel::take() {
  const auto entry = 16 * position_;
  const auto flags = memory_.number(entry, 4);
  if (flags == 0 || flags == 2) return {};  // KVM's, or not given back to KVM yet
  if (flags != 1) return {{"kvm_page.dirty_flags", flags, 1}, std::nullopt};
  const ModelDirtyPage page{memory_.number(entry + 4, 4), memory_.number(entry + 8, 8)};
  memory_.put_number(entry, 4, 2);
  position_ = (position_ + 1) % entries_;
  return {{}, page};
}

DirtyRingModel::Drained DirtyRingModel::drain() {
  Drained drained;
  for (std::uint64_t i = 0; i < entries_; ++i) {
    const auto taken = take();
    drained.error = taken.error;
    if (!taken.page) break;
    drained.pages.push_back(*taken.page);
  }
  return drained;
}

}  // namespace guestproof::testing
