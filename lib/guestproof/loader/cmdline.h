// A kernel's command line: pieces joined by spaces, up to what the kernel takes.
//
// Not here: quoting, and what arguments mean. A piece may hold several arguments.
//
// Thread-safety: none; a value of its owner.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "guestproof/base/error.h"
#include "guestproof/loader/error.h"
#include "guestproof/loader/image.h"

namespace guestproof::loader {

class Cmdline {
 public:
  /// COMMAND_LINE_SIZE of Linux on x86 and arm64 without its NUL, for kernels that do not say.
  static constexpr std::size_t kUsualLimit = 2047;

  /// `limit`: bytes without the NUL, as the setup header's cmdline_size.
  explicit Cmdline(std::size_t limit) : limit_(limit) {}

  /// After a space, unless it is the first; an empty piece adds nothing. Control characters (a NUL
  /// or a newline would end the line early) are refused, but for tabs. On an error the line is as
  /// it was. Errors: CmdlineError.
  [[nodiscard]] Result<void> append(std::string_view piece);

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::size_t limit_;
  std::string text_;
};

/// With its NUL. `room` is where it may lie. Errors: CmdlineError::kTooLong, MemoryError; nothing
/// is written then.
template <GuestMemory M>
[[nodiscard]] Result<void> load(const M& memory, const Cmdline& cmdline, const GuestRange& room) {
  const auto& text = cmdline.text();
  if (text.size() >= room.size)
    return fail(CmdlineError::kTooLong, text.size(), room.size == 0 ? 0 : room.size - 1);
  if (const auto ok = check_ram(memory, {room.base, text.size() + 1}); !ok) return ok;
  return write_bytes(memory, room.base, std::as_bytes(std::span(text.c_str(), text.size() + 1)));
}

}  // namespace guestproof::loader
