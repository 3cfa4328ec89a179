// The text tool: `scenario decode FILE` prints a saved scenario, `scenario encode FILE -o OUT`
// compiles text. Exit code 1 and one sentence on standard error when something is wrong.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "guestproof/testing/scenario/text.h"

namespace {

using namespace guestproof::testing;

int complain(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  return 1;
}

std::optional<std::string> contents(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.bad()) return std::nullopt;
  return text;
}

int decode(const char* path) {
  const auto bytes = contents(path);
  if (!bytes) return complain(std::string(path) + ": cannot be read");
  const auto text = to_text(program_of(std::as_bytes(std::span(*bytes))));
  const auto whole = bytes->size() / kRecordBytes;
  if (whole > kMaxRecords)
    std::printf("# only the first %zu of %zu records run\n", kMaxRecords, whole);
  if (bytes->size() % kRecordBytes != 0)
    std::printf("# the last %zu bytes are no record\n", bytes->size() % kRecordBytes);
  std::fputs(text.c_str(), stdout);
  return 0;
}

int encode(const char* path, const char* out) {
  const auto text = contents(path);
  if (!text) return complain(std::string(path) + ": cannot be read");
  const auto program = parse_text(*text);
  if (!program)
    return complain(std::string(path) + ":" + std::to_string(program.error().line) + ": " +
                    program.error().what);
  const auto bytes = bytes_of(*program);
  std::ofstream file(out, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  file.close();
  return file.fail() ? complain(std::string(out) + ": cannot be written") : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto is = [&](int position, std::string_view word) {
    return argc > position && word == argv[position];
  };
  if (argc == 3 && is(1, "decode")) return decode(argv[2]);
  if (argc == 5 && is(1, "encode") && is(3, "-o")) return encode(argv[2], argv[4]);
  return complain("usage: scenario decode FILE | scenario encode FILE -o OUT");
}
