// Backtraces as sanitizers' runtimes leave them: clang's without lines, GCC's with.
#include "guestproof/ring0/findings.h"

#include <gmock/gmock.h>

namespace guestproof::ring0 {
namespace {

using Frames = std::vector<std::vector<Symbol>>;

Symbol named(std::string function, std::string file = "") {
  return {.function = std::move(function), .file = std::move(file), .line = 1};
}

std::string told(const Frames& frames) {
  const auto finding = finding_in(frames);
  return finding ? std::to_string(finding->frame) + ": " + finding->text : "none";
}

TEST(Findings, OfAnAccess) {
  EXPECT_EQ(told({{named("__sanitizer::internal_write(int, void const*, unsigned long)")},
                  {named("__sanitizer::Printf(char const*, ...)")},
                  {named("__asan::ReportGenericError(unsigned long, bool)")},
                  {named("__asan_report_load4")},
                  {named("user(int*)")},
                  {named("__asan_memcpy")}}),
            "3: AddressSanitizer has found an error (__asan_report_load4); its own report would "
            "take a kernel.");
}

TEST(Findings, OfAFunctionOfTheLibrary) {
  const std::string asan = "/build/gcc-12/libsanitizer/asan/asan.cpp";
  EXPECT_EQ(told({{named("__sanitizer::internal_write(int)", asan)},
                  {named("__asan::ScopedInErrorReport::ScopedInErrorReport(bool)", asan),
                   named("__asan::ReportGenericError(unsigned long)", asan)},
                  {named("memcpy", asan)},
                  {named("user(int*)", "/src/test.cc")}}),
            "2: AddressSanitizer has found an error (memcpy); its own report would take a kernel.");
}

TEST(Findings, OfUndefinedBehaviour) {
  EXPECT_EQ(told({{named("tcgetattr")},
                  {named("__sanitizer::ColorizeReports()")},
                  {named("void handleIntegerOverflowImpl<__ubsan::Value>(__ubsan::Value)")},
                  {named("__ubsan_handle_add_overflow")},
                  {named("user(int)")}}),
            "3: UndefinedBehaviorSanitizer has found an error (__ubsan_handle_add_overflow); its "
            "own report would take a kernel.");
}

TEST(Findings, OfTheOutermostFrame) {
  EXPECT_EQ(told({{named("__asan_report_store1")}}),
            "0: AddressSanitizer has found an error (__asan_report_store1); its own report would "
            "take a kernel.");
}

TEST(Findings, ACallForMemoryIsNone) {
  EXPECT_EQ(told({{named("__sanitizer::internal_mmap(void*)")},
                  {named("__asan::asan_memalign(unsigned long)")},
                  {named("operator new(unsigned long)")},
                  {named("user(int)")}}),
            "none");
}

TEST(Findings, CodeWithoutASanitizerHasNone) {
  EXPECT_EQ(told({{named("user(int)")}, {named("main")}}), "none");
  EXPECT_EQ(told({}), "none");
}

}  // namespace
}  // namespace guestproof::ring0
