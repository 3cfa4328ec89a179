#include "guestproof/base/error.h"

#include <charconv>
#include <cstring>

namespace guestproof {
namespace {

constexpr std::array kSystemEntries{
    ErrorEntry{SystemError::kOpen, "open", "opening a file failed: {errno}"},
    ErrorEntry{SystemError::kStat, "stat", "asking for a file's size failed: {errno}"},
    ErrorEntry{SystemError::kRead, "read", "reading failed: {errno}"},
    ErrorEntry{SystemError::kWrite, "write", "writing failed: {errno}"},
    ErrorEntry{SystemError::kSync, "sync", "flushing a file to its device failed: {errno}"},
    ErrorEntry{SystemError::kAllocate, "allocate", "changing a file's allocation failed: {errno}"},
    ErrorEntry{SystemError::kMap, "map", "mapping memory failed: {errno}"},
    ErrorEntry{SystemError::kTruncate, "truncate", "setting a file's size failed: {errno}"},
    ErrorEntry{SystemError::kMemfd, "memfd", "creating a memory file failed: {errno}"},
    ErrorEntry{SystemError::kEventFd, "eventfd", "creating an eventfd failed: {errno}"},
    ErrorEntry{SystemError::kRing, "ring", "creating an io_uring failed: {errno}"},
    ErrorEntry{SystemError::kSubmit, "submit", "submitting to an io_uring failed: {errno}"},
    ErrorEntry{SystemError::kDiscard, "discard", "discarding memory failed: {errno}"},
    ErrorEntry{SystemError::kWatch, "watch", "waiting for a file failed: {errno}"},
};
static_assert(error_entries_are_dense(kSystemEntries));
constexpr ErrorDomain kSystemDomain{"system", kSystemEntries};

void append_number(std::string& out, std::uint64_t number, int base) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number, base).ptr;
  if (base == 16) out += "0x";
  out.append(digits, end);
}

/// Appends the expansion of one placeholder (without its braces). The domains' own tables are the
/// only callers.
void append_placeholder(std::string& out, std::string_view placeholder, const Error& error) {
  if (placeholder == "errno") {
    const char* text = ::strerrordesc_np(static_cast<int>(error.value()));
    out += text != nullptr ? text : "unknown error";
    return;
  }
  const auto number = placeholder.starts_with("limit") ? error.limit() : error.value();
  append_number(out, number, placeholder.ends_with(":x") ? 16 : 10);
}

}  // namespace

const ErrorDomain& error_domain(SystemError) { return kSystemDomain; }

std::string Error::name() const {
  return std::string(domain_->name) + "." + std::string(domain_->entries[code_].name);
}

std::string Error::message() const {
  std::string out;
  std::string_view rest = domain_->entries[code_].sentence;
  while (!rest.empty()) {
    const auto open = rest.find('{');
    out += rest.substr(0, open);
    if (open == std::string_view::npos) break;
    const auto close = rest.find('}', open);
    append_placeholder(out, rest.substr(open + 1, close - open - 1), *this);
    rest.remove_prefix(close + 1);
  }
  return out;
}

}  // namespace guestproof
