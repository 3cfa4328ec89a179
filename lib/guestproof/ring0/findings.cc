#include "guestproof/ring0/findings.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace guestproof::ring0 {
namespace {

/// Where there is an error, and not, say, a call for memory.
constexpr std::array<std::string_view, 3> kReporters{"__asan_report_", "__asan::Report",
                                                     "__ubsan_handle_"};
constexpr std::array<std::string_view, 5> kNames{"__asan", "__ubsan", "__sanitizer",
                                                 "__interceptor_", "___interceptor_"};
constexpr std::array<std::string_view, 2> kFolders{"/libsanitizer/", "/compiler-rt/lib/"};

bool reports(const Symbol& symbol) {
  return std::ranges::any_of(
      kReporters, [&](std::string_view name) { return symbol.function.starts_with(name); });
}

bool is_runtime(const Symbol& symbol) {
  return std::ranges::any_of(kNames,
                             [&](auto name) { return symbol.function.starts_with(name); }) ||
         std::ranges::any_of(kFolders, [&](auto name) { return symbol.file.contains(name); });
}

}  // namespace

std::optional<SanitizerFinding> finding_in(std::span<const std::vector<Symbol>> frames) {
  const auto reporter = std::ranges::find_if(
      frames, [](const auto& inlined) { return std::ranges::any_of(inlined, reports); });
  if (reporter == frames.end()) return std::nullopt;
  const auto behind = std::find_if_not(reporter + 1, frames.end(), [](const auto& inlined) {
    return std::ranges::any_of(inlined, is_runtime);
  });
  const auto outermost = behind - 1;
  const auto& function = outermost->back().function;
  const bool undefined = std::ranges::any_of(*reporter, [](const Symbol& symbol) {
    return symbol.function.starts_with("__ubsan_handle_");
  });
  return SanitizerFinding{(undefined ? "UndefinedBehaviorSanitizer" : "AddressSanitizer") +
                              (" has found an error (" + function.substr(0, function.find('('))) +
                              "); its own report would take a kernel.",
                          static_cast<std::size_t>(outermost - frames.begin())};
}

}  // namespace guestproof::ring0
