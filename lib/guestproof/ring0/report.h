// What GoogleTest, or another runner, is told of a test in ring 0.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "guestproof/ring0/options.h"
#include "guestproof/ring0/records.h"

namespace guestproof::ring0 {

struct Place {
  std::string file;
  int line = 0;
};

/// Who is told, in the order in which it happened.
class Listener {
 public:
  virtual ~Listener() = default;
  /// By kprintf().
  virtual void printed(std::string_view text) = 0;
  virtual void failed(const Place& place, const std::string& text) = 0;
  virtual void skipped(const Place& place, const std::string& reason) = 0;
};

/// Makes sentences of the records of one test.
class Reporter {
 public:
  static constexpr std::size_t kMostFailures = 1000;

  /// `place`: of what has no place of its own. All outlive it.
  Reporter(const Options& options, Place place, Listener& listener);

  void take(const Record& record);
  /// There were kMostFailures: nothing more is worth to be told.
  [[nodiscard]] bool has_enough() const { return failures_ >= kMostFailures; }
  /// The process that ran the test has ended: how, and whether as it should.
  void finish(std::string_view how, bool clean);

 private:
  void take_failure(const Record& record);
  void take_end(const Record& record);
  void take_backtrace(const Record& record);
  struct Ending;
  /// What is known of an end besides its registers.
  struct Stack {
    std::string frames;
    std::optional<Place> place;
    std::string more;
  };
  [[nodiscard]] static Stack look_at(const Ending& ending);
  void tell_end();
  void fail(const Place& place, const std::string& text);

  const Options& options_;
  Place place_;
  Listener& listener_;
  std::shared_ptr<Ending> ending_;                        // whose backtrace is to come
  std::map<std::uint64_t, std::optional<Place>> places_;  // of addresses of code
  std::size_t failures_ = 0;
  bool ended_ = false;
  bool skipped_ = false;
  bool failed_ = false;
  bool matched_ = false;
};

}  // namespace guestproof::ring0
