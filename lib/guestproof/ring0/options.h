// What a test in ring 0 finds in its machine, and how it is to end: the arguments of RING0_TEST.
//
//   RING0_TEST(PortIo, ReadsWhatTheHostOffers, port(0x1).reads(0xfe)) { ... }
//   RING0_TEST(Exceptions, DivideByZero, expect_vector(0), timeout(500ms)) { ... }
//
// What an access has no answer for, and what is expected and does not happen, fails the test.
//
// Thread-safety: values; functions that they hold are called by the threads of vCPUs, one at a
// time.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "guestproof/kvm/vcpu.h"
#include "guestproof/kvm/vm.h"
#include "guestproof/ring0/error.h"
#include "guestproof/ring0/mirror.h"

namespace guestproof::ring0 {

/// A port, or addresses of a device, and who answers there.
struct Register {
  bool port = false;
  std::uint64_t base = 0;
  std::uint64_t size = 0;               // bytes
  std::vector<std::uint64_t> values{};  // of reads, the last one again and again
  std::optional<std::vector<std::uint64_t>>
      expected{};  // writes: these, in this order, and no more
  std::function<std::uint64_t(std::uint64_t offset, std::size_t width)> on_read{};
  std::function<void(std::uint64_t offset, std::size_t width, std::uint64_t value)> on_write{};
};

namespace options {

/// Common to port() and mmio(): each adds to what they made.
template <class Self>
class Answering {
  friend Self;

 public:
  /// Reads give these, one after the other, and the last one from then on. A value that is wider
  /// than the access fails the test.
  template <std::convertible_to<std::uint64_t>... T>
    requires(sizeof...(T) > 0)
  [[nodiscard]] Self reads(T... values) && {
    what_.values = std::vector<std::uint64_t>{static_cast<std::uint64_t>(values)...};
    return std::move(static_cast<Self&>(*this));
  }
  /// Reads call `function(offset, width)`, on the host; offset from the base, width in bytes.
  template <std::invocable<std::uint64_t, std::size_t> F>
  [[nodiscard]] Self reads(F function) && {
    what_.on_read = std::move(function);
    return std::move(static_cast<Self&>(*this));
  }
  /// Writes must be these, in this order, all of them and no others, at any offset and of any width
  /// that they fit into. Without arguments: none.
  template <std::convertible_to<std::uint64_t>... T>
  [[nodiscard]] Self expects(T... values) && {
    what_.expected = std::vector<std::uint64_t>{static_cast<std::uint64_t>(values)...};
    return std::move(static_cast<Self&>(*this));
  }
  /// Writes call `function(offset, width, value)`, on the host.
  template <std::invocable<std::uint64_t, std::size_t, std::uint64_t> F>
  [[nodiscard]] Self writes(F function) && {
    what_.on_write = std::move(function);
    return std::move(static_cast<Self&>(*this));
  }

  [[nodiscard]] Register take() && { return std::move(what_); }

 private:
  explicit Answering(Register what) : what_(std::move(what)) {}

  Register what_;
};

class Mmio : public Answering<Mmio> {
 public:
  Mmio(std::uint64_t base, std::uint64_t size)
      : Answering({.port = false, .base = base, .size = size}) {}
};

struct Ram {
  std::uint64_t base;
  std::uint64_t size;
};
struct Timeout {
  std::chrono::milliseconds value;
};
struct Vcpus {
  std::uint32_t count;
};
struct Failure {
  std::string regex;
};
struct Needs {
  kvm::Capability capability;
};
struct WithVm {
  std::function<void(kvm::Vm&)> function;
};
struct WithVcpu {
  std::function<void(kvm::Vcpu&, std::uint32_t index)> function;
};
/// Of the processor's privilege levels; 0 is the highest.
struct Privilege {
  unsigned level;
};

#if defined(__x86_64__)
class Port : public Answering<Port> {
 public:
  explicit Port(std::uint16_t number) : Answering({.port = true, .base = number, .size = 1}) {}
};
struct Halt {};
struct TripleFault {};
#endif

}  // namespace options

/// An exception that the test has to end with.
struct ExpectedVector {
  std::uint32_t vector = 0;
  std::optional<std::uint64_t> value;    // its error code (x86_64), its ISS (aarch64)
  std::optional<std::uint64_t> address;  // CR2, or FAR_EL1
};

// The options, by the names that tests use.

/// Guest-physical addresses [base, base + size) of a device, uncached, which phys() gives the
/// address of. Both are multiples of 4096.
[[nodiscard]] inline options::Mmio mmio(std::uint64_t base, std::uint64_t size) {
  return {base, size};
}
/// Memory of zeroes at guest-physical [base, base + size), which phys() gives the address of. Both
/// are multiples of 4096.
[[nodiscard]] inline options::Ram ram(std::uint64_t base, std::uint64_t size) {
  return {base, size};
}
/// A test that is not over after so long fails, and tells where it stood. 10 s without this.
[[nodiscard]] inline options::Timeout timeout(std::chrono::milliseconds value) { return {value}; }
/// So many vCPUs run the test at once, each on a stack of its own; vcpu() tells which. Up to
/// kMaxVcpus.
[[nodiscard]] inline options::Vcpus vcpus(std::uint32_t count) { return {count}; }
/// The test has to fail, with a text that this (an extended regular expression of POSIX) is found
/// in; when it does it passes.
[[nodiscard]] inline options::Failure expect_failure(std::string regex) {
  return {std::move(regex)};
}
/// The test is skipped where KVM has it not.
[[nodiscard]] inline options::Needs needs(kvm::Capability capability) { return {capability}; }
/// Calls `function(vm)` on the host when there is the machine, before its vCPUs: for what KVM can
/// do and no option has (interrupt controllers, clocks, ...). The machine outlives the test.
[[nodiscard]] inline options::WithVm with_vm(std::function<void(kvm::Vm&)> function) {
  return {std::move(function)};
}
/// Calls `function(vcpu, index)` on the host when the vCPU is ready to run the test, by its thread.
[[nodiscard]] inline options::WithVcpu with_vcpu(
    std::function<void(kvm::Vcpu&, std::uint32_t)> function) {
  return {std::move(function)};
}
/// The test has to end with an exception or interrupt: on x86_64 its vector, error code and CR2; on
/// aarch64 its class (ESR_EL1.EC), syndrome (ESR_EL1.ISS) and FAR_EL1. (On x86_64 `int n` pushes no
/// error code: of a vector that has one it is not what the processor would raise.)
[[nodiscard]] inline ExpectedVector expect_vector(std::uint32_t vector,
                                                  std::optional<std::uint64_t> value = {},
                                                  std::optional<std::uint64_t> address = {}) {
  return {vector, value, address};
}

#if defined(__x86_64__)
[[nodiscard]] inline options::Port port(std::uint16_t number) { return options::Port(number); }
/// The test has to end with hlt.
[[nodiscard]] inline options::Halt expect_halt() { return {}; }
[[nodiscard]] inline options::TripleFault expect_triple_fault() { return {}; }
/// 0, where tests run without this, or 3.
[[nodiscard]] inline options::Privilege cpl(unsigned level) { return {level}; }

/// Accesses of a model-specific register: reads give, and writes change, `value`; or `handler`
/// decides, on the host.
struct Msr {
  /// What the guest wants, and the answer of a read. A handler that returns false gives the guest a
  /// general protection fault.
  struct Access {
    bool write = false;
    std::uint64_t value = 0;
  };
  std::uint32_t index = 0;
  std::function<bool(Access&)> handler;
};
[[nodiscard]] Msr msr(std::uint32_t index, std::uint64_t value);
[[nodiscard]] inline Msr msr(std::uint32_t index, std::function<bool(Msr::Access&)> handler) {
  return {index, std::move(handler)};
}

/// What cpuid answers: EAX, EBX, ECX, EDX.
struct Cpuid {
  std::uint32_t leaf = 0;
  std::uint32_t subleaf = 0;
  std::array<std::uint32_t, 4> registers{};
};
[[nodiscard]] inline Cpuid cpuid(std::uint32_t leaf, std::uint32_t subleaf,
                                 std::array<std::uint32_t, 4> registers) {
  return {leaf, subleaf, registers};
}
#elif defined(__aarch64__)
/// 1, where tests run without this, or 0.
[[nodiscard]] inline options::Privilege el(unsigned level) { return {level}; }
#endif

inline constexpr std::uint32_t kMaxVcpus = 32;

/// All of a test's options.
class Options {
 public:
  template <class... O>
  explicit Options(O... each) {
    (add(std::move(each)), ...);
  }

  /// What contradicts itself. Errors: kVcpuCount, kTimeLimit, kRangeEmpty, kRangeEnd,
  /// kRangeOverlap, kRangeAlignment, kControlPort, kPortTwice, kMsrTwice, kTwoEnds, kTwoAnswers,
  /// kPrivilege.
  [[nodiscard]] Result<void> check() const;
  /// RAM and devices.
  [[nodiscard]] std::vector<PhysicalRange> ranges() const;

  std::vector<Register> registers;
  std::vector<options::Ram> memory;
  std::vector<kvm::Capability> needed;
  std::chrono::milliseconds time_limit{10'000};
  std::uint32_t vcpu_count = 1;
  bool user = false;
  std::optional<ExpectedVector> vector;
  bool halt = false;
  bool triple_fault = false;
  std::optional<std::string> failure;
  std::vector<std::function<void(kvm::Vm&)>> on_vm;
  std::vector<std::function<void(kvm::Vcpu&, std::uint32_t)>> on_vcpu;
#if defined(__x86_64__)
  std::vector<Msr> msrs;
  std::vector<Cpuid> cpuids;
#endif

 private:
  void add(options::Mmio&& range) { registers.push_back(std::move(range).take()); }
  void add(options::Ram&& range) { memory.push_back(range); }
  void add(options::Timeout&& limit) { time_limit = limit.value; }
  void add(options::Vcpus&& vcpus) { vcpu_count = vcpus.count; }
  void add(options::Failure&& expected) { failure = std::move(expected.regex); }
  void add(options::Needs&& needs) { needed.push_back(needs.capability); }
  void add(options::Privilege&& privilege) {
    level_ = privilege.level;
    user = level_ == kUserLevel;
  }
  void add(ExpectedVector&& expected) {
    vector = expected;
    ++expected_ends_;
  }
  void add(options::WithVm&& with) { on_vm.push_back(std::move(with.function)); }
  void add(options::WithVcpu&& with) { on_vcpu.push_back(std::move(with.function)); }
#if defined(__x86_64__)
  void add(options::Port&& port) { registers.push_back(std::move(port).take()); }
  void add(options::Halt&&) {
    halt = true;
    ++expected_ends_;
  }
  void add(options::TripleFault&&) {
    triple_fault = true;
    ++expected_ends_;
  }
  void add(Msr&& msr) { msrs.push_back(std::move(msr)); }
  void add(Cpuid&& cpuid) { cpuids.push_back(cpuid); }
#endif

#if defined(__aarch64__)
  static constexpr unsigned kUserLevel = 0, kKernelLevel = 1;
#else
  static constexpr unsigned kUserLevel = 3, kKernelLevel = 0;
#endif
  unsigned level_ = kKernelLevel;
  std::uint32_t expected_ends_ = 0;
};

}  // namespace guestproof::ring0
