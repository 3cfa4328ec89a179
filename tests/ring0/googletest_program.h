// Programs of GoogleTest that are started to read what they say: their output, and their reports in
// XML.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace guestproof::ring0 {

struct Ended {
  int code = -1;
  std::string output;
};

inline std::string read_all(int fd) {
  std::string all;
  std::array<char, 4096> buffer;
  while (true) {
    const auto count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return all;
    all.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

inline std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (auto& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

/// The program, in a folder, with these variables besides those that are no orders to GoogleTest or
/// to compilers' runtimes. Code 127: it could not be started.
inline Ended start(const std::string& program, std::vector<std::string> arguments,
                   std::vector<std::string> variables = {}, const std::string& folder = ".") {
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    if (!text.starts_with("GTEST_") && !text.starts_with("KVM_REQUIRED=") &&
        !text.starts_with("LLVM_PROFILE_FILE="))
      variables.emplace_back(text);
  }
  arguments.insert(arguments.begin(), program);
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  ::posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  ::pid_t child = 0;
  const int failed = ::posix_spawnp(&child, program.c_str(), &actions, nullptr,
                                    pointers(arguments).data(), pointers(variables).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  Ended ended{.code = 127, .output = read_all(ends[0])};
  ::close(ends[0]);
  int status = 0;
  if (failed == 0 && ::waitpid(child, &status, 0) == child)
    ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

/// A test, as the report in XML has it.
struct Case {
  std::string name;
  std::string file;
  std::string line;
  std::string status;
  std::string result;
  std::vector<std::string> failures{};
  std::vector<std::string> skips{};
};

inline std::string unescape(std::string text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kNames{{{"&lt;", "<"},
                                                                                 {"&gt;", ">"},
                                                                                 {"&quot;", "\""},
                                                                                 {"&apos;", "'"},
                                                                                 {"&#x0A;", "\n"},
                                                                                 {"&amp;", "&"}}};
  for (const auto& [name, letter] : kNames)
    for (auto at = text.find(name); at != text.npos; at = text.find(name, at + 1))
      text.replace(at, name.size(), letter);
  return text;
}

inline std::string attribute(std::string_view element, const std::string& name) {
  const auto at = element.find(' ' + name + "=\"");
  if (at == element.npos) return "";
  const auto value = element.substr(at + name.size() + 3);
  return unescape(std::string(value.substr(0, value.find('"'))));
}

/// The messages of a case's failures, or of its skips.
inline std::vector<std::string> messages(std::string_view element, std::string_view tag) {
  std::vector<std::string> all;
  for (auto at = element.find(tag); at != element.npos; at = element.find(tag, at + 1))
    all.push_back(attribute(element.substr(at), "message"));
  return all;
}

/// Those that were run.
inline std::vector<Case> cases_of(std::string_view xml) {
  constexpr std::string_view kTag = "<testcase ";
  std::vector<Case> all;
  for (auto at = xml.find(kTag); at != xml.npos; at = xml.find(kTag, at + 1)) {
    const auto element = xml.substr(at, xml.find(kTag, at + 1) - at);
    if (attribute(element, "status") != "run") continue;
    all.push_back({.name = attribute(element, "classname") + '.' + attribute(element, "name"),
                   .file = attribute(element, "file"),
                   .line = attribute(element, "line"),
                   .status = attribute(element, "status"),
                   .result = attribute(element, "result"),
                   .failures = messages(element, "<failure "),
                   .skips = messages(element, "<skipped ")});
  }
  return all;
}

}  // namespace guestproof::ring0
