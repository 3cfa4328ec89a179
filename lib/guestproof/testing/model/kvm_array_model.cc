#include "guestproof/testing/model/kvm_array_model.h"

namespace guestproof::testing {

KvmArrayModel::Bytes KvmArrayModel::bytes() const {
  auto bytes = header_;
  put_number(bytes, layout_->count_offset, layout_->count_bytes, size());
  bytes.insert(bytes.end(), entries_.begin(), entries_.end());
  return bytes;
}

void KvmArrayModel::set_entry(std::size_t position, const Bytes& entry) {
  for (std::size_t i = 0; i < layout_->entry_bytes; ++i)
    entries_[position * layout_->entry_bytes + i] = entry[i];
}

ModelError KvmArrayModel::push_back(const Bytes& entry) {
  if (size() == layout_->limit) return {"kvm_call.too_many_entries", size() + 1, layout_->limit};
  entries_.insert(entries_.end(), entry.begin(), entry.end());
  return {};
}

ModelError KvmArrayModel::zeroed(std::size_t count) {
  if (count > layout_->limit) return {"kvm_call.too_many_entries", count, layout_->limit};
  header_.assign(layout_->entries_offset, 0);
  entries_.assign(count * layout_->entry_bytes, 0);
  return {};
}

ModelError KvmArrayModel::parse(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < layout_->entries_offset)
    return {"kvm_call.state_length", bytes.size(), layout_->entries_offset};
  const auto count = number_in(bytes, layout_->count_offset, layout_->count_bytes);
  if (count > layout_->limit) return {"kvm_call.too_many_entries", count, layout_->limit};
  const auto length = layout_->entries_offset + count * layout_->entry_bytes;
  if (bytes.size() != length) return {"kvm_call.state_length", bytes.size(), length};
  const auto header = bytes.first(layout_->entries_offset);
  header_.assign(header.begin(), header.end());
  const auto entries = bytes.subspan(layout_->entries_offset);
  entries_.assign(entries.begin(), entries.end());
  return {};
}

ModelError KvmArrayModel::accept(std::size_t room, std::uint64_t count) {
  const bool fits = count <= room;
  header_.assign(layout_->entries_offset, 0);
  entries_.assign(fits ? count * layout_->entry_bytes : 0, 0);
  if (!fits) return {"kvm_call.entry_count", count, room};
  return {};
}

void KvmArrayModel::retain(const std::function<bool(std::uint8_t)>& keep) {
  Bytes kept;
  for (std::size_t at = 0; at < entries_.size(); at += layout_->entry_bytes)
    if (keep(entries_[at]))
      for (std::size_t i = 0; i < layout_->entry_bytes; ++i) kept.push_back(entries_[at + i]);
  entries_ = kept;
}

}  // namespace guestproof::testing
