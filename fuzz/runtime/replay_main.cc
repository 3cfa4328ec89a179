// Replays inputs without an engine: `<target>_replay FILE|FOLDER...`, a folder's files in the order
// of their paths: the harness lives on, and what an input reaches can depend on those before it.
// Each input is copied into a heap block of exactly its size. Exit codes: 0 all ran clean, 1 bad
// usage, an unreadable file, or nothing to replay (an empty corpus must not pass); an oracle's
// verdict aborts.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "fuzz/runtime/target.h"

namespace {

namespace fs = std::filesystem;

int complain(const std::string& what) {
  std::fprintf(stderr, "replay: %s\n", what.c_str());
  return 1;
}

bool replay_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  if (!file.good() && !file.eof()) return false;
  if (!file.is_open()) return false;
  const auto exact = std::make_unique<std::byte[]>(bytes.size());
  if (!bytes.empty()) std::memcpy(exact.get(), bytes.data(), bytes.size());
  guestproof::fuzz::run_input({exact.get(), bytes.size()});
  return true;
}

std::vector<fs::path> files_below(const fs::path& path, std::error_code& error) {
  if (!fs::is_directory(path, error)) return {path};
  std::vector<fs::path> files;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end;
       it.increment(error))
    if (it->is_regular_file(error)) files.push_back(it->path());
  std::ranges::sort(files);
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return complain("usage: " + std::string(argv[0]) + " FILE|FOLDER...");
  std::size_t replayed = 0;
  for (int i = 1; i < argc; ++i) {
    std::error_code error;
    for (const auto& path : files_below(argv[i], error)) {
      if (!replay_file(path)) return complain("cannot read " + path.string());
      ++replayed;
    }
    if (error) return complain(std::string(argv[i]) + ": " + error.message());
  }
  if (replayed == 0) return complain("no input found: an empty corpus proves nothing");
  std::printf("replayed %zu inputs on %s\n", replayed,
              std::string(guestproof::fuzz::runner().name()).c_str());
  return 0;
}
