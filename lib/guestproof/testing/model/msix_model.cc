#include "guestproof/testing/model/msix_model.h"

#include <utility>

namespace guestproof::testing {
void MsixModel::reset() {
  table_.assign(16 * vectors_, 0);
  for (std::size_t vector = 0; vector < vectors_; ++vector) table_[16 * vector + 12] = 1;
  pending_.assign(vectors_, false);
  flags_ = 0;
}

std::size_t MsixModel::bytes_of(Structure structure) const {
  if (structure == Structure::kTable) return 16 * vectors_;
  std::size_t bytes = 0;
  while (8 * bytes < vectors_) bytes += 8;
  return bytes;
}

ModelError MsixModel::refusal(Structure structure, std::uint64_t offset, std::size_t width) const {
  const bool whole = (width == 4 && offset % 4 == 0) || (width == 8 && offset % 8 == 0);
  if (!whole) return {"msix.access", offset, width};
  const auto size = bytes_of(structure);
  if (offset >= size)
    return {structure == Structure::kTable ? "msix.table_end" : "msix.pba_end", offset, size};
  return {};
}

MsixModel::Answer MsixModel::read(Structure structure, std::uint64_t offset,
                                  std::size_t width) const {
  Answer answer{Bytes(width, 0xff), refusal(structure, offset, width)};
  if (!answer.error.none()) return answer;
  for (std::size_t i = 0; i < width; ++i) {
    if (structure == Structure::kTable) {
      answer.bytes[i] = table_[offset + i];
      continue;
    }
    answer.bytes[i] = 0;
    for (std::size_t bit = 0; bit < 8; ++bit) {
      const auto vector = 8 * (offset + i) + bit;
      if (vector < vectors_ && pending_[vector])
        answer.bytes[i] = static_cast<std::uint8_t>(answer.bytes[i] | 1U << bit);
    }
  }
  return answer;
}

ModelError MsixModel::write(Structure structure, std::uint64_t offset, const Bytes& bytes) {
  if (const auto error = refusal(structure, offset, bytes.size()); !error.none()) return error;
  if (structure == Structure::kPending) return {"msix.pba_read_only", offset, 0};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto value = bytes[i];
    const auto place = (offset + i) % 16;
    if (place == 0) value &= 0xfc;
    if (place == 12) value &= 0x01;
    if (place > 12) value = 0;
    table_[offset + i] = value;
  }
  deliver();
  return {};
}

void MsixModel::control(unsigned flags) {
  flags_ = flags;
  deliver();
}

bool MsixModel::may_go(std::size_t vector) const {
  const bool enabled = (flags_ & 1) != 0, masked = (flags_ & 2) != 0, master = (flags_ & 4) != 0;
  return enabled && !masked && master && table_[16 * vector + 12] == 0;
}

void MsixModel::deliver() {
  for (std::size_t vector = 0; vector < vectors_; ++vector) {
    if (!pending_[vector] || !may_go(vector)) continue;
    pending_[vector] = false;
    messages_.push_back({number_in(table_, 16 * vector, 8),
                         static_cast<std::uint32_t>(number_in(table_, 16 * vector + 8, 4))});
  }
}

ModelError MsixModel::raise(std::size_t vector) {
  if (vector >= vectors_) return {"msix.vector", vector, vectors_};
  if ((flags_ & 1) == 0) return {"msix.disabled", vector, 0};
  pending_[vector] = true;
  deliver();
  return {};
}

ModelError MsixModel::withdraw(std::size_t vector) {
  if (vector >= vectors_) return {"msix.vector", vector, vectors_};
  pending_[vector] = false;
  return {};
}

MsixModel::Bytes MsixModel::encode() const {
  Bytes bytes;
  append_number(bytes, 4, 0x584d5047);
  append_number(bytes, 2, 1);
  append_number(bytes, 2, vectors_);
  append_number(bytes, 4, 16 + 16 * vectors_ + bytes_of(Structure::kPending));
  append_number(bytes, 2, flags_);
  append_number(bytes, 2, 0);
  bytes.insert(bytes.end(), table_.begin(), table_.end());
  for (std::size_t at = 0; at < bytes_of(Structure::kPending); at += 8) {
    const auto word = read(Structure::kPending, at, 8).bytes;
    bytes.insert(bytes.end(), word.begin(), word.end());
  }
  return bytes;
}

ModelError MsixModel::decode(std::span<const std::uint8_t> bytes) {
  const auto size = 16 + 16 * vectors_ + bytes_of(Structure::kPending);
  if (bytes.size() != size) return {"pci_state.bytes", bytes.size(), size};
  const auto field = [&](std::size_t at, std::size_t width) { return number_in(bytes, at, width); };
  if (field(0, 4) != 0x584d5047) return {"pci_state.magic", field(0, 4), 0x584d5047};
  if (field(4, 2) != 1) return {"pci_state.version", field(4, 2), 1};
  if (field(6, 2) != vectors_) return {"pci_state.msix_vectors", field(6, 2), vectors_};
  if (field(8, 4) != size) return {"pci_state.length", field(8, 4), size};
  if (field(12, 2) > 7) return {"pci_state.msix_flags", field(12, 2), 7};
  if (field(14, 2) != 0) return {"pci_state.reserved", field(14, 2), 0};

  MsixModel other(vectors_);
  other.flags_ = static_cast<unsigned>(field(12, 2));
  other.table_.assign(bytes.begin() + 16, bytes.begin() + 16 + static_cast<long>(16 * vectors_));
  for (std::size_t vector = 0; vector < vectors_; ++vector) {
    const auto low = field(16 + 16 * vector, 4), control = field(16 + 16 * vector + 12, 4);
    if (low % 4 != 0) return {"pci_state.msix_address", low, vector};
    if (control > 1) return {"pci_state.msix_vector_control", control, vector};
  }
  for (std::size_t vector = 0; vector < 8 * bytes_of(Structure::kPending); ++vector) {
    if ((bytes[16 + 16 * vectors_ + vector / 8] >> vector % 8 & 1) == 0) continue;
    if (vector >= vectors_) return {"pci_state.msix_pending", vector, vectors_};
    if (other.may_go(vector)) return {"pci_state.msix_deliverable", vector, 0};
    other.pending_[vector] = true;
  }
  flags_ = other.flags_;
  table_ = other.table_;
  pending_ = other.pending_;
  return {};
}

std::vector<ModelMessage> MsixModel::take_messages() { return std::exchange(messages_, {}); }

}  // namespace guestproof::testing
