#include "guestproof/testing/model/kvm_state_model.h"

#include <algorithm>
#include <array>

namespace guestproof::testing {
namespace {

using Bytes = KvmStateModel::Bytes;
using View = std::span<const std::uint8_t>;
using enum ModelSection::Form;

constexpr std::uint32_t kMagic = 0x534b5047;

constexpr std::array kVcpuX86{
    ModelSection{1, kArray, 0, false},        ModelSection{2, kStructure, 4, false},
    ModelSection{3, kStructure, 312, false},  ModelSection{4, kStructure, 144, false},
    ModelSection{5, kStructure, 392, false},  ModelSection{6, kEntries, 4, false},
    ModelSection{7, kStructure, 128, false},  ModelSection{8, kEntries, 16, false},
    ModelSection{9, kStructure, 64, false},   ModelSection{10, kStructure, 4, false},
    ModelSection{11, kStructure, 1024, true}, ModelSection{12, kNested, 0, true}};
constexpr std::array kVmX86{
    ModelSection{1, kStructure, 48, true}, ModelSection{2, kStructure, 520, true, 0},
    ModelSection{3, kStructure, 520, true, 1}, ModelSection{4, kStructure, 520, true, 2},
    ModelSection{5, kStructure, 112, true}};
constexpr std::array kVcpuRiscv{ModelSection{10, kStructure, 4, false},
                                ModelSection{13, kRegisters, 0, false}};

bool zeros(View bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

std::size_t up_to_eight(std::size_t length) {
  while (length % 8 != 0) ++length;
  return length;
}

ModelError check_registers(std::uint32_t tag, View rest) {
  while (!rest.empty()) {
    if (rest.size() < 8) return {"kvm_state.uneven", tag, 8};
    const auto size = std::uint64_t{1} << (number_in(rest, 0, 8) >> 52 & 15);
    rest = rest.subspan(8);
    if (size > 256 || up_to_eight(size) > rest.size())
      return {"kvm_state.register_size", size, rest.size()};
    const auto whole = up_to_eight(size);
    if (!zeros(rest.subspan(size, whole - size))) return {"kvm_state.padding", tag, 0};
    rest = rest.subspan(whole);
  }
  return {};
}

ModelError check_nested(View payload) {
  if (payload.size() < 128 || payload.size() > 65536)
    return {"kvm_call.state_length", payload.size(), 65536};
  const auto says = number_in(payload, 4, 4);
  if (says != payload.size()) return {"kvm_call.state_length", payload.size(), says};
  return {};
}

ModelError check_payload(const ModelSection& field, View payload) {
  switch (field.form) {
    case kStructure:
      if (payload.size() < field.bytes) return {"kvm_state.short", payload.size(), field.bytes};
      if (!zeros(payload.subspan(field.bytes))) return {"kvm_state.tail", field.tag, field.bytes};
      return {};
    case kEntries:
      if (payload.size() % field.bytes != 0) return {"kvm_state.uneven", field.tag, field.bytes};
      return {};
    case kArray:
      return KvmArrayModel(kModelCpuId).parse(payload);
    case kNested:
      return check_nested(payload);
    case kRegisters:
      return check_registers(field.tag, payload);
  }
  return {};
}

Bytes empty(const ModelSection& field) {
  if (field.form == kArray) return KvmArrayModel(kModelCpuId).bytes();
  return Bytes(field.form == kStructure ? field.bytes : 0);
}

}  // namespace

std::span<const ModelSection> model_vcpu_x86_64() { return kVcpuX86; }
std::span<const ModelSection> model_vm_x86_64() { return kVmX86; }
std::span<const ModelSection> model_vcpu_riscv64() { return kVcpuRiscv; }

KvmStateModel::KvmStateModel(std::uint16_t machine, std::uint32_t kind,
                             std::span<const ModelSection> fields)
    : machine_(machine), kind_(kind), fields_(fields) {
  for (const auto& field : fields)
    if (!field.optional) sections_[field.tag] = empty(field);
}

void KvmStateModel::set(std::uint32_t tag, std::optional<Bytes> payload) {
  sections_.erase(tag);
  if (payload) sections_[tag] = *payload;
}

Bytes KvmStateModel::encode() const {
  Bytes sections;
  for (const auto& [tag, payload] : sections_) {
    append_number(sections, 4, tag);
    append_number(sections, 4, payload.size());
    sections.insert(sections.end(), payload.begin(), payload.end());
    sections.resize(up_to_eight(sections.size()));
  }
  Bytes bytes;
  append_number(bytes, 4, kMagic);
  append_number(bytes, 2, 1);
  append_number(bytes, 2, machine_);
  append_number(bytes, 4, kind_);
  append_number(bytes, 4, 16 + sections.size());
  bytes.insert(bytes.end(), sections.begin(), sections.end());
  return bytes;
}

ModelError KvmStateModel::check_header(View bytes) const {
  if (bytes.size() < 16) return {"kvm_state.bytes", bytes.size(), 16};
  const auto magic = number_in(bytes, 0, 4), version = number_in(bytes, 4, 2),
             machine = number_in(bytes, 6, 2), kind = number_in(bytes, 8, 4),
             length = number_in(bytes, 12, 4);
  if (magic != kMagic) return {"kvm_state.magic", magic, kMagic};
  if (version != 1) return {"kvm_state.version", version, 1};
  if (machine != machine_) return {"kvm_state.architecture", machine, machine_};
  if (kind != kind_) return {"kvm_state.kind", kind, kind_};
  if (length != bytes.size() || length > 1U << 20)
    return {"kvm_state.length", length, bytes.size()};
  return {};
}

ModelError KvmStateModel::frames(View bytes, std::vector<Found>& found) {
  std::uint64_t last = 0;
  for (auto rest = bytes.subspan(16); !rest.empty();) {
    if (rest.size() < 8) return {"kvm_state.section_header", rest.size(), 8};
    const auto tag = number_in(rest, 0, 4), length = number_in(rest, 4, 4);
    rest = rest.subspan(8);
    const auto whole = up_to_eight(length);
    if (whole > rest.size()) return {"kvm_state.section_length", length, rest.size()};
    if (tag <= last) return {"kvm_state.section_order", tag, last};
    if (!zeros(rest.subspan(length, whole - length))) return {"kvm_state.padding", tag, 0};
    found.push_back({static_cast<std::uint32_t>(tag), rest.first(length)});
    rest = rest.subspan(whole);
    last = tag;
  }
  return {};
}

ModelError KvmStateModel::decode(View bytes) {
  if (const auto wrong = check_header(bytes); !wrong.none()) return wrong;
  std::vector<Found> found;
  const auto broken = frames(bytes, found);
  if (found.empty() && !broken.none()) return broken;

  std::map<std::uint32_t, Bytes> sections;
  auto next = found.begin();
  for (const auto& field : fields_) {
    if (next == found.end() || next->tag > field.tag) {
      if (!field.optional) return {"kvm_state.missing", field.tag, 0};
      continue;
    }
    if (next->tag < field.tag) return {"kvm_state.unknown", next->tag, field.tag};
    const auto payload = next++->payload;
    if (next == found.end() && !broken.none()) return broken;
    if (const auto wrong = check_payload(field, payload); !wrong.none()) return wrong;
    // Zeros behind a structure are not kept.
    const auto kept = field.form == kStructure ? payload.first(field.bytes) : payload;
    sections[field.tag].assign(kept.begin(), kept.end());
  }
  if (next != found.end()) return {"kvm_state.unknown", next->tag, 0};
  for (const auto& field : fields_)
    if (field.id && sections.contains(field.tag) &&
        number_in(sections[field.tag], 0, 4) != *field.id)
      return {"kvm_state.chip_id", number_in(sections[field.tag], 0, 4), *field.id};
  sections_ = std::move(sections);
  return {};
}

}  // namespace guestproof::testing
