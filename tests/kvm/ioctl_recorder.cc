// Notes which of KVM's ioctls each test calls, and whether they are granted: what docs/kvm-api.md
// says of tests is from here (scripts/dev kvm-api). A program is linked with --wrap=ioctl, so that
// its calls come by; what they do is not changed. Lines `KVM_NAME granted Suite.Case` (or refused)
// and `ran Suite.Case` (or skipped) go to $GUESTPROOF_OUT/ioctls/ARCHITECTURE/PROGRAM.txt when that
// is set.
#include <errno.h>
#include <gtest/gtest.h>

#include <cstdarg>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <string>

#include "guestproof/kvm/ioctls.h"

namespace {

#if defined(__x86_64__)
constexpr auto* kArchitecture = "x86_64";
#elif defined(__aarch64__)
constexpr auto* kArchitecture = "aarch64";
#else
constexpr auto* kArchitecture = "riscv64";
#endif

const char* name_of(unsigned long request) {
  switch (request) {
#define GUESTPROOF_KVM_IOCTL(enumerator, name) \
  case name:                                   \
    return #name;
    GUESTPROOF_KVM_IOCTLS(GUESTPROOF_KVM_IOCTL)
#undef GUESTPROOF_KVM_IOCTL
    default:
      return nullptr;
  }
}

std::string full_name(const testing::TestInfo& test) {
  return std::string(test.test_suite_name()) + "." + test.name();
}

class Recorder : public testing::EmptyTestEventListener {
 public:
  void note(unsigned long request, bool granted) {
    const auto* name = name_of(request);
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    if (name == nullptr || test == nullptr) return;
    const std::scoped_lock lock(mutex_);
    lines_.insert(std::string(name) + (granted ? " granted " : " refused ") + full_name(*test));
  }

  void OnTestEnd(const testing::TestInfo& test) override {
    lines_.insert((test.result()->Skipped() ? "skipped " : "ran ") + full_name(test));
  }

  void OnTestProgramEnd(const testing::UnitTest&) override {
    const char* out = std::getenv("GUESTPROOF_OUT");
    if (out == nullptr) return;
    const auto folder = std::filesystem::path(out) / "ioctls" / kArchitecture;
    std::filesystem::create_directories(folder);
    std::ofstream file(folder / (std::string(program_invocation_short_name) + ".txt"));
    for (const auto& line : lines_) file << line << '\n';
  }

 private:
  std::mutex mutex_;
  std::set<std::string> lines_;
};

Recorder& recorder() {
  static auto* the = [] {
    auto* made = new Recorder;  // GoogleTest ends its life
    testing::UnitTest::GetInstance()->listeners().Append(made);
    return made;
  }();
  return *the;
}
[[maybe_unused]] const auto& kFromTheStart = recorder();

}  // namespace

// The linker's names for ioctl(2) and for what takes its place.
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl50-cpp)
extern "C" int __real_ioctl(int fd, unsigned long request, unsigned long argument);

extern "C" int __wrap_ioctl(int fd, unsigned long request, ...) {
  va_list more;
  va_start(more, request);
  const auto argument = va_arg(more, unsigned long);
  va_end(more);
  const int answer = __real_ioctl(fd, request, argument);
  const int error = errno;
  recorder().note(request, answer >= 0);
  errno = error;
  return answer;
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl50-cpp)
