#include "guestproof/ring0/guest.h"

#include <cstdarg>
#include <cstdio>

#include "guestproof/base/invariant.h"

namespace guestproof::ring0 {

constinit thread_local const Guest* this_guest = nullptr;

namespace {

void write(RecordKind kind, std::span<const std::span<const std::byte>> parts) {
  GUESTPROOF_INVARIANT(this_guest != nullptr);  // kprintf() and the checks are for ring 0
  while (!this_guest->channel->try_put(this_guest->vcpu, kind, parts)) {
    if (this_guest->on_host)
      this_guest->channel->drain();
    else
      call(Call::kDrain);
  }
}

}  // namespace

void kprintf(const char* format, ...) {
  std::array<char, Text::kCapacity> letters;
  std::va_list arguments;
  va_start(arguments, format);
  const auto length = std::vsnprintf(letters.data(), letters.size(), format, arguments);
  va_end(arguments);
  const auto used = length < 0 ? 0 : std::min(static_cast<std::size_t>(length), letters.size() - 1);
  Text text;
  text << std::string_view(letters.data(), used);
  if (static_cast<std::size_t>(length) > used) text << Text::kCut;
  const std::array parts{bytes_of(text.view())};
  write(RecordKind::kText, parts);
}

void report_failure(const char* file, int line, const Text& text) {
  const std::string_view name(file);
  const FailureRecord record{static_cast<std::uint32_t>(line),
                             static_cast<std::uint32_t>(name.size()), 0};
  const std::array parts{bytes_of(record), bytes_of(name), bytes_of(text.view())};
  write(RecordKind::kFailure, parts);
}

void report_skip(const Text& reason) {
  const std::array parts{bytes_of(reason.view())};
  write(RecordKind::kSkip, parts);
}

void stop() {
  GUESTPROOF_INVARIANT(this_guest != nullptr);
  if (this_guest->on_host) throw StoppedOnHost();
  while (true) call(Call::kStopped);
}

}  // namespace guestproof::ring0
