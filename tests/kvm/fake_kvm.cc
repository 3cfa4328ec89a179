#include "kvm/fake_kvm.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <filesystem>
#include <iterator>

namespace guestproof::kvm {
namespace {

FakeKvm* the_kernel = nullptr;

std::byte* pointed_to(unsigned long argument) { return reinterpret_cast<std::byte*>(argument); }

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const auto byte : bytes) {
    constexpr auto* kDigits = "0123456789abcdef";
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

}  // namespace

Wire& Wire::number(std::uint64_t value, std::size_t size) {
  // All of KVM's architectures here are little-endian.
  for (std::size_t i = 0; i < size; ++i) bytes_.push_back(static_cast<std::byte>(value >> (8 * i)));
  any_.resize(bytes_.size(), false);
  return *this;
}

Wire& Wire::u32s(std::initializer_list<std::uint32_t> values) {
  for (const auto value : values) u32(value);
  return *this;
}

Wire& Wire::zeros(std::size_t count) {
  bytes_.resize(bytes_.size() + count);
  any_.resize(bytes_.size(), false);
  return *this;
}

Wire& Wire::pattern(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) bytes_.push_back(static_cast<std::byte>(i * 7 + i / 251));
  any_.resize(bytes_.size(), false);
  return *this;
}

Wire& Wire::pointer() {
  bytes_.resize(bytes_.size() + 8);
  any_.resize(bytes_.size(), true);
  return *this;
}

bool Wire::describes(const std::byte* memory) const {
  for (std::size_t i = 0; i < bytes_.size(); ++i)
    if (!any_[i] && memory[i] != bytes_[i]) return false;
  return true;
}

ExpectedCall& ExpectedCall::returns(int value) {
  result_ = value;
  return *this;
}

ExpectedCall& ExpectedCall::fails(int error) {
  result_ = -1;
  error_ = error;
  return *this;
}

ExpectedCall& ExpectedCall::writes(const Wire& bytes, std::size_t offset) {
  return does([bytes, offset](std::byte* argument) {
    std::ranges::copy(bytes.bytes(), argument + offset);
  });
}

ExpectedCall& ExpectedCall::does(std::function<void(std::byte* argument)> action) {
  actions_.push_back(std::move(action));
  return *this;
}

FakeKvm::FakeKvm() : descriptors_(open_descriptors()) { the_kernel = this; }

FakeKvm::~FakeKvm() {
  the_kernel = nullptr;
  for (const auto& call : expected_)
    ADD_FAILURE() << "ioctl " << std::hex << call.request_ << " was expected and did not come";
  EXPECT_EQ(open_descriptors(), descriptors_) << "descriptors that were left open";
}

ExpectedCall& FakeKvm::expect(int fd, unsigned long request) {
  auto& call = expected_.emplace_back();
  call.fd_ = fd;
  call.request_ = request;
  return call;
}

ExpectedCall& FakeKvm::expect(int fd, unsigned long request, unsigned long value) {
  auto& call = expect(fd, request);
  call.value_ = value;
  return call;
}

ExpectedCall& FakeKvm::expect(int fd, unsigned long request, const Wire& bytes) {
  // The number itself says how many bytes the kernel copies; more follow in an array.
  EXPECT_GE(bytes.size(), _IOC_SIZE(request)) << "a test that does not look at all of it";
  auto& call = expect(fd, request);
  call.wire_ = bytes;
  return call;
}

int FakeKvm::call(int fd, unsigned long request, unsigned long argument) {
  errno = ENOTTY;
  if (expected_.empty()) {
    ADD_FAILURE() << "ioctl " << std::hex << request << " was not expected";
    return -1;
  }
  const auto expected = std::move(expected_.front());
  expected_.pop_front();
  const int expected_fd = expected.fd_ == kAnyFd ? fd : expected.fd_;
  EXPECT_EQ(fd, expected_fd) << "ioctl " << std::hex << request;
  EXPECT_EQ(request, expected.request_) << std::hex << request << ", not " << expected.request_;
  if (request != expected.request_) return -1;
  EXPECT_EQ(argument, expected.value_.value_or(argument));
  if (expected.wire_ && !expected.wire_->describes(pointed_to(argument)))
    ADD_FAILURE() << "ioctl " << std::hex << request << " was given\n"
                  << hex({pointed_to(argument), expected.wire_->size()}) << ", not\n"
                  << hex(expected.wire_->bytes());
  for (const auto& action : expected.actions_) action(pointed_to(argument));
  errno = expected.error_;
  return expected.result_;
}

std::size_t open_descriptors() {
  namespace fs = std::filesystem;
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()));
}

Fd memory_file(std::size_t size) {
  Fd file(::memfd_create("kvm", MFD_CLOEXEC));
  EXPECT_EQ(::ftruncate(file.get(), static_cast<::off_t>(size)), 0);
  return file;
}

}  // namespace guestproof::kvm

extern "C" int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list arguments;
  va_start(arguments, request);
  const auto argument = va_arg(arguments, unsigned long);
  va_end(arguments);
  if (guestproof::kvm::the_kernel != nullptr)
    return guestproof::kvm::the_kernel->call(fd, request, argument);
  return static_cast<int>(::syscall(SYS_ioctl, fd, request, argument));
}
