// A scripted kernel: what a test wants ioctl(2) to be asked, and what it answers.
//
//   FakeKvm kernel;
//   kernel.expect(vm.fd(), 0x4008AE61, Wire().u32(5).u32(1)).fails(ENXIO);
//   EXPECT_EQ(vm.set_irq_line(5, true).error(), Error(Ioctl::kIrqLine, ENXIO));
//
// While one lives, every ioctl(2) of the program comes here: fake_kvm.cc defines the function
// itself, which works in static programs, under sanitizers and below a linker's --wrap=ioctl.
// Calls come in the order in which they were expected. What was not expected fails the test, and so
// do an expected call that never came and a file descriptor that is left open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/base/fd.h"

namespace guestproof::kvm {

/// Bytes as the kernel has them, written down field by field in their order.
class Wire {
 public:
  Wire& u8(std::uint8_t value) { return number(value, 1); }
  Wire& u16(std::uint16_t value) { return number(value, 2); }
  Wire& u32(std::uint32_t value) { return number(value, 4); }
  Wire& u64(std::uint64_t value) { return number(value, 8); }
  Wire& u32s(std::initializer_list<std::uint32_t> values);
  Wire& zeros(std::size_t count);
  /// As many bytes, none like its neighbours: for structures that are passed on as they are.
  Wire& pattern(std::size_t count);
  /// Eight bytes that may be anything: an address in this process.
  Wire& pointer();

  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  /// Whether this is what stands there; pointer() is not looked at.
  [[nodiscard]] bool describes(const std::byte* memory) const;

 private:
  Wire& number(std::uint64_t value, std::size_t size);

  std::vector<std::byte> bytes_;
  std::vector<bool> any_;
};

/// An object of which every byte is Wire().pattern()'s.
template <class T>
[[nodiscard]] T patterned() {
  T object;
  std::memcpy(&object, Wire().pattern(sizeof(T)).bytes().data(), sizeof(T));
  return object;
}

/// A call that is to come, and its answer: 0 unless it is said otherwise.
class ExpectedCall {
 public:
  ExpectedCall& returns(int value);
  ExpectedCall& fails(int error);
  /// What the kernel leaves where the argument points to, from `offset` on.
  ExpectedCall& writes(const Wire& bytes, std::size_t offset = 0);
  /// What else the kernel does with what the argument points to.
  ExpectedCall& does(std::function<void(std::byte* argument)> action);

 private:
  friend class FakeKvm;

  int fd_ = -1;
  unsigned long request_ = 0;
  std::optional<unsigned long> value_;
  std::optional<Wire> wire_;
  std::vector<std::function<void(std::byte*)>> actions_;
  int result_ = 0;
  int error_ = 0;
};

class FakeKvm {
 public:
  /// For a call on a descriptor that is not known before.
  static constexpr int kAnyFd = -2;

  FakeKvm();
  FakeKvm(const FakeKvm&) = delete;
  FakeKvm& operator=(const FakeKvm&) = delete;
  ~FakeKvm();

  /// A call with an argument that the kernel does not read.
  ExpectedCall& expect(int fd, unsigned long request);
  /// A call whose argument is this number.
  ExpectedCall& expect(int fd, unsigned long request, unsigned long value);
  /// A call whose argument points to these bytes.
  ExpectedCall& expect(int fd, unsigned long request, const Wire& bytes);

  /// What ioctl(2) does.
  int call(int fd, unsigned long request, unsigned long argument);

 private:
  std::deque<ExpectedCall> expected_;
  std::size_t descriptors_;
};

/// How many file descriptors this process has open.
[[nodiscard]] std::size_t open_descriptors();

/// A file of `size` zeros, open and in memory only: what KVM's descriptors are mapped and read as.
[[nodiscard]] Fd memory_file(std::size_t size);

}  // namespace guestproof::kvm
