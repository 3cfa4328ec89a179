#include "guestproof/kvm/state_codec.h"

#include <elf.h>

#include "guestproof/base/bytes.h"
#include "guestproof/base/checked.h"
#include "guestproof/base/invariant.h"
#include "guestproof/kvm/abi.h"

namespace guestproof::kvm {
namespace {

constexpr std::array kEntries{
    ErrorEntry{StateError::kBytes, "bytes", "saved state of {value} bytes, not of {limit} or more"},
    ErrorEntry{StateError::kMagic, "magic", "saved state begins with {value:x}, not {limit:x}"},
    ErrorEntry{StateError::kVersion, "version",
               "saved state of version {value}; this library reads {limit}"},
    ErrorEntry{StateError::kArchitecture, "architecture",
               "saved state of ELF machine {value}; this is {limit}"},
    ErrorEntry{StateError::kKind, "kind", "saved state of kind {value}, not {limit}"},
    ErrorEntry{StateError::kLength, "length",
               "saved state says it has {value} bytes; {limit} were given, or it is too long"},
    ErrorEntry{StateError::kSectionHeader, "section_header",
               "{value} bytes of saved state are left, and a section begins with {limit}"},
    ErrorEntry{StateError::kSectionLength, "section_length",
               "a section says it has {value} bytes; {limit} are left"},
    ErrorEntry{StateError::kSectionOrder, "section_order",
               "section {value} does not come after section {limit}"},
    ErrorEntry{StateError::kPadding, "padding", "the padding of section {value} is not 0"},
    ErrorEntry{StateError::kMissing, "missing", "section {value} is missing"},
    ErrorEntry{StateError::kUnknown, "unknown",
               "section {value} is unknown; what it holds would be lost"},
    ErrorEntry{StateError::kShort, "short",
               "a structure of {limit} bytes was saved with {value} only"},
    ErrorEntry{StateError::kTail, "tail",
               "section {value} goes on after its structure of {limit} bytes, and not with zeros"},
    ErrorEntry{StateError::kUneven, "uneven",
               "section {value} is no whole number of entries of {limit} bytes"},
    ErrorEntry{StateError::kRegisterSize, "register_size",
               "a register of {value} bytes; {limit} are left, or the widest has fewer"},
    ErrorEntry{StateError::kChipId, "chip_id",
               "an interrupt controller with the id {value} where that of id {limit} was saved"},
};
static_assert(error_entries_are_dense(kEntries));
constexpr ErrorDomain kDomain{"kvm_state", kEntries};

constexpr std::uint32_t kMagic = 0x534b5047;  // "GPKS"
constexpr std::uint16_t kVersion = 1;
#if defined(__x86_64__)
constexpr std::uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr std::uint16_t kMachine = EM_AARCH64;
#else
constexpr std::uint16_t kMachine = EM_RISCV;
#endif

struct Header {
  le32 magic;         // 0
  le16 version;       // 4
  le16 architecture;  // 6
  le32 kind;          // 8
  le32 length;        // 12
};
static_assert(sizeof(Header) == kStateHeaderBytes);

struct SectionHeader {
  le32 tag;     // 0
  le32 length;  // 4
};
static_assert(sizeof(SectionHeader) == kSectionHeaderBytes);

constexpr std::size_t padded(std::size_t length) { return (length + 7) / 8 * 8; }

/// REQUIRES: bytes.size() >= sizeof(T).
template <class T>
T front(std::span<const std::byte> bytes) {
  T object;
  std::memcpy(static_cast<void*>(&object), bytes.data(), sizeof object);
  return object;
}

std::size_t register_bytes(std::uint64_t id) {
  return std::size_t{1} << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

}  // namespace

const ErrorDomain& error_domain(StateError) { return kDomain; }

Encoder::Encoder(StateKind kind) {
  append_object(bytes_, Header{kMagic, kVersion, kMachine, static_cast<std::uint32_t>(kind), 0});
}

void Encoder::section(std::uint32_t tag, std::span<const std::byte> payload) {
  append_object(bytes_, SectionHeader{tag, static_cast<std::uint32_t>(payload.size())});
  bytes_.insert(bytes_.end(), payload.begin(), payload.end());
  bytes_.resize(padded(bytes_.size()));
}

void Encoder::registers(std::uint32_t tag, const std::vector<Register>& registers) {
  std::vector<std::byte> payload;
  for (const auto& one : registers) {
    GUESTPROOF_INVARIANT(one.value.size() == register_bytes(one.id));
    append_object(payload, le64(one.id));
    payload.insert(payload.end(), one.value.begin(), one.value.end());
    payload.resize(padded(payload.size()));
  }
  section(tag, payload);
}

std::vector<std::byte> Encoder::finish() && {
  const auto length = le32(static_cast<std::uint32_t>(bytes_.size()));
  std::memcpy(bytes_.data() + offsetof(Header, length), &length, sizeof length);
  return std::move(bytes_);
}

Decoder::Decoder(std::span<const std::byte> bytes, StateKind kind) : rest_(bytes) {
  if (check_header(kind)) ahead_ = read_section();
}

bool Decoder::check_header(StateKind kind) {
  const auto size = rest_.size();
  if (size < sizeof(Header)) return refuse(StateError::kBytes, size, sizeof(Header)), false;
  const auto header = front<Header>(rest_);
  const auto wanted = static_cast<std::uint32_t>(kind);
  if (header.magic != kMagic)
    refuse(StateError::kMagic, header.magic, kMagic);
  else if (header.version != kVersion)
    refuse(StateError::kVersion, header.version, kVersion);
  else if (header.architecture != kMachine)
    refuse(StateError::kArchitecture, header.architecture, kMachine);
  else if (header.kind != wanted)
    refuse(StateError::kKind, header.kind, wanted);
  else if (header.length != size || size > kMaxStateBytes)
    refuse(StateError::kLength, header.length, size);
  rest_ = rest_.subspan(sizeof(Header));
  return !error_;
}

std::optional<Decoder::Section> Decoder::read_section() {
  if (error_ || rest_.empty()) return std::nullopt;
  const auto left = rest_.size();
  if (left < sizeof(SectionHeader)) {
    refuse(StateError::kSectionHeader, left, sizeof(SectionHeader));
    return std::nullopt;
  }
  const auto header = front<SectionHeader>(rest_);
  const std::size_t length = header.length;
  const auto room = left - sizeof(SectionHeader);
  if (padded(length) > room) {
    refuse(StateError::kSectionLength, length, room);
    return std::nullopt;
  }
  if (header.tag <= last_tag_) {
    refuse(StateError::kSectionOrder, header.tag, last_tag_);
    return std::nullopt;
  }
  last_tag_ = header.tag;
  const auto whole = rest_.subspan(sizeof(SectionHeader), padded(length));
  rest_ = rest_.subspan(sizeof(SectionHeader) + padded(length));
  const auto padding = whole.subspan(length);
  if (std::ranges::any_of(padding, [](std::byte b) { return b != std::byte{0}; })) {
    refuse(StateError::kPadding, header.tag, 0);
    return std::nullopt;
  }
  return Section{header.tag, whole.first(length)};
}

std::optional<std::span<const std::byte>> Decoder::next(std::uint32_t tag) {
  if (error_ || !ahead_ || ahead_->tag > tag) return std::nullopt;
  if (ahead_->tag < tag) {
    refuse(StateError::kUnknown, ahead_->tag, tag);
    return std::nullopt;
  }
  const auto payload = ahead_->payload;
  ahead_ = read_section();
  return payload;
}

std::optional<std::span<const std::byte>> Decoder::required(std::uint32_t tag) {
  const auto payload = next(tag);
  if (!payload) refuse(StateError::kMissing, tag, 0);
  return payload;
}

void Decoder::registers(std::uint32_t tag, std::vector<Register>& registers) {
  const auto payload = required(tag);
  if (!payload) return;
  registers.clear();
  for (auto rest = *payload; !rest.empty();) {
    if (rest.size() < sizeof(le64)) return refuse(StateError::kUneven, tag, sizeof(le64));
    const std::uint64_t id = front<le64>(rest);
    rest = rest.subspan(sizeof(le64));
    const auto size = register_bytes(id);
    if (size > kMaxRegisterBytes || padded(size) > rest.size())
      return refuse(StateError::kRegisterSize, size, rest.size());
    const auto value = rest.first(size);
    const auto padding = rest.first(padded(size)).subspan(size);
    if (std::ranges::any_of(padding, [](std::byte b) { return b != std::byte{0}; }))
      return refuse(StateError::kPadding, tag, 0);
    registers.push_back({id, {value.begin(), value.end()}});
    rest = rest.subspan(padded(size));
  }
}

Result<void> Decoder::finish() && {
  if (!error_ && ahead_) refuse(StateError::kUnknown, ahead_->tag, 0);
  if (error_) return std::unexpected(*error_);
  return {};
}

}  // namespace guestproof::kvm
