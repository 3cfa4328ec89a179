// What a listener is told of a body that runs in ring 0, for tests of what a user sees.
#pragma once

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "guestproof/ring0/test.h"

namespace guestproof::ring0 {

struct Told : Listener {
  struct Failure {
    Place place;
    std::string text;
  };

  void printed(std::string_view text) override { output += text; }
  void failed(const Place& place, const std::string& text) override {
    failures.push_back({place, text});
  }
  void skipped(const Place&, const std::string& text) override { reason = text; }

  std::string output;
  std::vector<Failure> failures;
  std::string reason;  // of a skip
};

/// As run() of test.h does it.
template <class F>
[[nodiscard]] Told tell(const Options& options, F body) {
  Told told;
  const Body called{[](void* argument) { (*static_cast<F*>(argument))(); },
                    static_cast<void*>(&body)};
  serve_and_report(
      options,
      [&](const Channel& channel) {
        GoogleTestForwarder::start(channel);
        serve(options, called, channel);
      },
      Place{"the test", 1}, told);
  return told;
}

/// The only failure's text.
[[nodiscard]] inline std::string failure(const Told& told) {
  EXPECT_EQ(told.failures.size(), 1U);
  EXPECT_EQ(told.reason, "");
  return told.failures.empty() ? "" : told.failures.front().text;
}
/// Its first line.
[[nodiscard]] inline std::string headline(const Told& told) {
  const auto text = failure(told);
  return text.substr(0, text.find('\n'));
}

#define EXPECT_PASSES(...)                                                                \
  do {                                                                                    \
    const auto passes_told = (__VA_ARGS__);                                               \
    EXPECT_EQ(passes_told.reason, "");                                                    \
    EXPECT_EQ(passes_told.failures.size(), 0U)                                            \
        << (passes_told.failures.empty() ? std::string() : passes_told.failures[0].text); \
  } while (false)

}  // namespace guestproof::ring0
