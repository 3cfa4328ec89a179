#include "guestproof/loader/cmdline.h"

#include <algorithm>

namespace guestproof::loader {

Result<void> Cmdline::append(std::string_view piece) {
  const auto bad = std::ranges::find_if(piece, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  });
  if (bad != piece.end())
    return fail(CmdlineError::kControlCharacter, static_cast<unsigned char>(*bad),
                static_cast<std::uint64_t>(bad - piece.begin()));
  if (piece.empty()) return {};
  const auto length = text_.size() + (text_.empty() ? 0 : 1) + piece.size();
  if (length > limit_) return fail(CmdlineError::kTooLong, length, limit_);
  if (!text_.empty()) text_ += ' ';
  text_ += piece;
  return {};
}

}  // namespace guestproof::loader
