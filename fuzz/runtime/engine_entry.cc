// What libFuzzer and AFL++'s libFuzzer driver call. AFL++ ignores the mutator functions: it gets
// the same ones from afl_mutator.cc.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "fuzz/runtime/target.h"
#include "guestproof/testing/scenario/mutate.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  guestproof::fuzz::run_input(std::as_bytes(std::span(data, size)));
  return 0;
}

#ifdef GUESTPROOF_LIBFUZZER
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using guestproof::testing::kMaxRecords;
using guestproof::testing::kRecordBytes;
using guestproof::testing::Mutator;
using guestproof::testing::Program;
using guestproof::testing::program_of;
using guestproof::testing::vocabulary;

Program read_program(const std::uint8_t* data, std::size_t size) {
  return program_of(std::as_bytes(std::span(data, size)));
}

std::size_t write_program(const Program& program, std::uint8_t* out, std::size_t max_size) {
  const auto bytes = std::as_bytes(std::span(program))
                         .first(std::min(program.size(), max_size / kRecordBytes) * kRecordBytes);
  if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  return bytes.size();
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  if (max_size < kRecordBytes) return size;
  // Now and then the engine's own mutator, which knows the operands of comparisons it has seen.
  if (seed % 8 == 0 && size >= kRecordBytes) return LLVMFuzzerMutate(data, size, max_size);
  auto program = read_program(data, size);
  Mutator(vocabulary(guestproof::fuzz::runner().name()), seed)
      .mutate(program, std::min(kMaxRecords, max_size / kRecordBytes));
  return write_program(program, data, max_size);
}

extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* a, std::size_t a_size,
                                                 const std::uint8_t* b, std::size_t b_size,
                                                 std::uint8_t* out, std::size_t max_size,
                                                 unsigned seed) {
  if (max_size < kRecordBytes) return 0;
  Mutator mutator(vocabulary(guestproof::fuzz::runner().name()), seed);
  const auto child = mutator.cross(read_program(a, a_size), read_program(b, b_size),
                                   std::min(kMaxRecords, max_size / kRecordBytes));
  return write_program(child, out, max_size);
}
#endif
