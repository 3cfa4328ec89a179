#include "guestproof/testing/model/kvm_array_model.h"

namespace guestproof::testing {

KvmArrayModel::Bytes KvmArrayModel::bytes() const {
  auto bytes = header_;
  for (std::size_t i = 0; i < layout_->count_bytes; ++i)
    bytes[layout_->count_offset + i] =
        static_cast<std::uint8_t>(std::uint64_t{entries_.size()} >> 8 * i);
  for (const auto& entry : entries_) bytes.insert(bytes.end(), entry.begin(), entry.end());
  return bytes;
}

ModelError KvmArrayModel::push_back(const Bytes& entry) {
  if (entries_.size() == layout_->limit)
    return {"kvm_call.too_many_entries", entries_.size() + 1, layout_->limit};
  entries_.push_back(entry);
  return {};
}

ModelError KvmArrayModel::zeroed(std::size_t count) {
  if (count > layout_->limit) return {"kvm_call.too_many_entries", count, layout_->limit};
  header_.assign(layout_->entries_offset, 0);
  entries_.assign(count, Bytes(layout_->entry_bytes));
  return {};
}

ModelError KvmArrayModel::parse(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < layout_->entries_offset)
    return {"kvm_call.state_length", bytes.size(), layout_->entries_offset};
  std::uint64_t count = 0;
  for (std::size_t i = layout_->count_bytes; i-- > 0;)
    count = count << 8 | bytes[layout_->count_offset + i];
  if (count > layout_->limit) return {"kvm_call.too_many_entries", count, layout_->limit};
  const auto length = layout_->entries_offset + count * layout_->entry_bytes;
  if (bytes.size() != length) return {"kvm_call.state_length", bytes.size(), length};
  const auto header = bytes.first(layout_->entries_offset);
  header_.assign(header.begin(), header.end());
  entries_.clear();
  for (auto rest = bytes.subspan(layout_->entries_offset); !rest.empty();
       rest = rest.subspan(layout_->entry_bytes)) {
    const auto entry = rest.first(layout_->entry_bytes);
    entries_.emplace_back(entry.begin(), entry.end());
  }
  return {};
}

ModelError KvmArrayModel::accept(std::size_t room, std::uint64_t count) {
  const bool fits = count <= room;
  header_.assign(layout_->entries_offset, 0);
  entries_.assign(fits ? count : 0, Bytes(layout_->entry_bytes));
  if (!fits) return {"kvm_call.entry_count", count, room};
  return {};
}

void KvmArrayModel::retain(const std::function<bool(std::uint8_t)>& keep) {
  std::vector<Bytes> kept;
  for (const auto& entry : entries_)
    if (keep(entry[0])) kept.push_back(entry);
  entries_ = kept;
}

}  // namespace guestproof::testing
