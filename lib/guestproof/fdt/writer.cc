#include "guestproof/fdt/writer.h"

#include <algorithm>

#include "guestproof/base/checked.h"

namespace guestproof::fdt {
namespace {

using Bytes = std::vector<std::byte>;

// §5.2, §5.4.
constexpr std::uint32_t kMagic = 0xd00dfeed;
constexpr std::uint32_t kVersion = 17;
constexpr std::uint32_t kLastCompatibleVersion = 16;
constexpr std::uint32_t kBeginNode = 1;
constexpr std::uint32_t kEndNode = 2;
constexpr std::uint32_t kProperty = 3;
constexpr std::uint32_t kEnd = 9;
constexpr std::size_t kHeaderBytes = 40;
constexpr std::size_t kReservationBytes = 16;

/// Big-endian.
void put(Bytes& bytes, std::uint64_t number, std::size_t width) {
  for (std::size_t i = width; i-- > 0;)
    bytes.push_back(static_cast<std::byte>(number >> 8 * i & 0xff));
}

void put(Bytes& bytes, std::span<const std::byte> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

/// With its zero byte.
void put(Bytes& bytes, std::string_view text) {
  put(bytes, std::as_bytes(std::span(text)));
  bytes.push_back(std::byte{0});
}

void align(Bytes& bytes) {
  while (bytes.size() % 4 != 0) bytes.push_back(std::byte{0});
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool has_only(std::string_view text, std::string_view special) {
  return std::ranges::all_of(text, [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || special.find(c) != std::string_view::npos;
  });
}

/// Table 2.1; the unit address has the same characters (§2.2.1.1).
bool is_node_name(std::string_view name) {
  constexpr std::string_view kSpecial = ",._+-";
  const auto at = name.find('@');
  const auto first = name.substr(0, at);
  if (first.empty() || first.size() > kMaxNameLength || !is_letter(first[0])) return false;
  if (!has_only(first, kSpecial)) return false;
  return at == std::string_view::npos ||
         (at + 1 < name.size() && has_only(name.substr(at + 1), kSpecial));
}

/// Table 2.2.
bool is_property_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameLength && has_only(name, ",._+?#-");
}

/// False when it was there already.
bool add(std::vector<std::string>& names, std::string_view name) {
  if (std::ranges::find(names, name) != names.end()) return false;
  names.emplace_back(name);
  return true;
}

}  // namespace

void Writer::refuse(FdtError code, std::uint64_t value, std::uint64_t limit) {
  if (!error_) error_ = Error(code, value, limit);
}

Writer& Writer::reserve(GuestAddress base, std::uint64_t size) {
  if (size == 0 || !checked_add(base.raw(), size - 1)) {
    refuse(FdtError::kReserved, base.raw(), size);
  } else if (const auto* other = reserved_.insert(base.raw(), base.raw() + (size - 1), {})) {
    refuse(FdtError::kReservedTwice, base.raw(), other->base);
  } else {
    put(reservations_, base.raw(), 8);
    put(reservations_, size, 8);
  }
  return *this;
}

Writer& Writer::begin(std::string_view name) {
  if (error_) return *this;
  ++nodes_;
  if (open_.empty()) {
    if (nodes_ > 1 || !name.empty()) refuse(FdtError::kRoot, nodes_, 1);
  } else if (!is_node_name(name)) {
    refuse(FdtError::kNodeName, nodes_, kMaxNameLength);
  } else if (!add(open_.back().children, name)) {
    refuse(FdtError::kSameNode, nodes_);
  }
  put(structure_, kBeginNode, 4);
  put(structure_, name);
  align(structure_);
  open_.push_back({nodes_});
  return *this;
}

Writer& Writer::end() {
  if (open_.empty()) {
    refuse(FdtError::kNoNode, nodes_, properties_);
    return *this;
  }
  open_.pop_back();
  put(structure_, kEndNode, 4);
  return *this;
}

bool Writer::check_property(std::string_view name) {
  if (error_) return false;
  ++properties_;
  if (open_.empty()) {
    refuse(FdtError::kNoNode, nodes_, properties_ - 1);
  } else if (!is_property_name(name)) {
    refuse(FdtError::kPropertyName, properties_, kMaxNameLength);
  } else if (!open_.back().children.empty()) {
    refuse(FdtError::kLateProperty, properties_, open_.back().number);
  } else if (!add(open_.back().properties, name)) {
    refuse(FdtError::kSameProperty, properties_, open_.back().number);
  }
  return !error_;
}

std::size_t Writer::string_offset(std::string_view name) {
  const auto with_end = std::string(name) + '\0';
  const auto found = strings_.find(with_end);  // also as the end of a longer one
  if (found != std::string::npos) return found;
  strings_ += with_end;
  return strings_.size() - with_end.size();
}

Writer& Writer::bytes(std::string_view name, std::span<const std::byte> value) {
  if (!check_property(name)) return *this;
  if (value.size() > kMaxBytes) {
    refuse(FdtError::kRoom, value.size(), kMaxBytes);
    return *this;
  }
  put(structure_, kProperty, 4);
  put(structure_, value.size(), 4);
  put(structure_, string_offset(name), 4);
  put(structure_, value);
  align(structure_);
  return *this;
}

Writer& Writer::cells(std::string_view name, std::span<const std::uint32_t> values) {
  Bytes value;
  for (const auto number : values) put(value, number, 4);
  return bytes(name, value);
}

Writer& Writer::quads(std::string_view name, std::initializer_list<std::uint64_t> values) {
  Bytes value;
  for (const auto number : values) put(value, number, 8);
  return bytes(name, value);
}

Writer& Writer::texts(std::string_view name, std::initializer_list<std::string_view> values) {
  Bytes value;
  for (const auto text : values) {
    if (text.find('\0') != std::string_view::npos) refuse(FdtError::kText, properties_ + 1U);
    put(value, text);
  }
  return bytes(name, value);
}

Result<Bytes> Writer::finish(std::size_t room) const {
  if (error_) return std::unexpected(*error_);
  if (!open_.empty() || nodes_ == 0) return fail(FdtError::kOpenNodes, open_.size(), nodes_);
  const auto structure_at = kHeaderBytes + reservations_.size() + kReservationBytes;
  const auto structure_bytes = structure_.size() + 4;
  const auto strings_at = structure_at + structure_bytes;
  const auto size = strings_at + strings_.size();
  const auto limit = std::min(room, kMaxBytes);
  if (size > limit) return fail(FdtError::kRoom, size, limit);

  Bytes blob;
  for (const std::uint64_t field :
       {std::uint64_t{kMagic}, std::uint64_t{size}, std::uint64_t{structure_at},
        std::uint64_t{strings_at}, std::uint64_t{kHeaderBytes}, std::uint64_t{kVersion},
        std::uint64_t{kLastCompatibleVersion}, std::uint64_t{0}, std::uint64_t{strings_.size()},
        std::uint64_t{structure_bytes}})
    put(blob, field, 4);
  put(blob, reservations_);
  put(blob, 0, 8);  // the reservation that is none ends them
  put(blob, 0, 8);
  put(blob, structure_);
  put(blob, kEnd, 4);
  put(blob, std::as_bytes(std::span(strings_)));
  return blob;
}

}  // namespace guestproof::fdt
