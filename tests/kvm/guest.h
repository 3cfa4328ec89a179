// A machine with one vCPU and a little memory, for tests on a real KVM.
#pragma once

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <gtest/gtest.h>
#include <time.h>

#include <cstdlib>
#include <optional>

#include "guestproof/kvm/kvm.h"
#include "kvm/program.h"

/// Skips the test, visibly, where the KVM at hand lacks something.
#define GUESTPROOF_REQUIRE(condition, what) \
  if (!(condition)) GTEST_SKIP() << "this KVM has no " << (what)

namespace guestproof::kvm {

inline constexpr std::uint64_t kRamSize = 0x20000;

template <class T>
[[nodiscard]] T value_of(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().message();
    std::abort();
  }
  return std::move(*result);
}

/// Success, or what was wrong.
template <class T>
[[nodiscard]] ::testing::AssertionResult succeeded(const Result<T>& result) {
  if (result) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << result.error().name() << ": " << result.error().message();
}
#define EXPECT_OK(expression) EXPECT_TRUE(::guestproof::kvm::succeeded(expression))
#define ASSERT_OK(expression) ASSERT_TRUE(::guestproof::kvm::succeeded(expression))

/// `io` fails with that errno.
template <class T>
[[nodiscard]] ::testing::AssertionResult refused(const Result<T>& result, Ioctl ioctl, int number) {
  if (result) return ::testing::AssertionFailure() << "succeeded";
  if (result.error() == Error(ioctl, static_cast<std::uint64_t>(number)))
    return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << result.error().name() << ": " << result.error().message();
}

class GuestTest : public ::testing::Test {
 protected:
  GuestTest() : kvm(value_of(Kvm::open())), vm(value_of(kvm.create_vm())) {
    ram.emplace(value_of(MappedMemory::Builder().anonymous(GuestAddress(kRam), kRamSize).build()));
  }

  /// The guest's memory as slot 0.
  void map_ram(std::uint32_t flags = 0) { ASSERT_OK(vm.map(*ram, 0, flags)); }
  /// Memory, a vCPU, and the program at the start of memory, ready to run.
  void boot(const Program& program) {
    map_ram();
    vcpu.emplace(value_of(vm.create_vcpu(0)));
    reset(*vcpu);
    load(program);
  }
  void load(const Program& program) {
    ASSERT_LE(program.code().size(), kRamSize);
    std::memcpy(host(0), program.code().data(), program.code().size());
  }
  /// Ready to run what is at the start of memory.
  void reset(const Vcpu& cpu) const;
  [[nodiscard]] static Exit run(Vcpu& cpu) { return value_of(cpu.run()); }
  [[nodiscard]] Exit run() { return run(*vcpu); }
  /// The next exit, when it is a T.
  template <class T>
  [[nodiscard]] T run_to() {
    const auto exit = run();
    EXPECT_TRUE(std::holds_alternative<T>(exit)) << "exit " << exit.index();
    return std::holds_alternative<T>(exit) ? std::get<T>(exit) : T{};
  }
  /// Runs until the program says that it is done.
  void run_to_done() { EXPECT_EQ(run_to<MmioWrite>().address, kDone); }

  [[nodiscard]] std::byte* host(std::uint64_t offset) {
    return ram->regions().front().host() + offset;
  }
  [[nodiscard]] std::uint32_t word(std::uint64_t offset) {
    return volatile_access::load<std::uint32_t>(host(offset));
  }
  [[nodiscard]] bool has(Capability capability) const {
    return value_of(vm.check_extension(capability)) > 0;
  }

  // In the order in which they are made: memory is unmapped after the machine is gone.
  Kvm kvm;
  std::optional<MappedMemory> ram;
  Vm vm;
  std::optional<Vcpu> vcpu;
};

/// Waits until `condition()` is true, some seconds at most: KVM does some things later, from its
/// own threads.
template <class Condition>
[[nodiscard]] bool eventually(Condition&& condition) {
  for (int tries = 0; tries < 5000; ++tries) {
    if (condition()) return true;
    const ::timespec pause{0, 1'000'000};
    ::nanosleep(&pause, nullptr);
  }
  return false;
}

[[nodiscard]] inline std::uint32_t little(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
  return value;
}

#if defined(__x86_64__)

/// KVM runs on a processor that QEMU emulates (which has less than the real ones).
[[nodiscard]] inline bool on_emulated_processor() {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  __cpuid(0x40000000, eax, ebx, ecx, edx);
  return ebx == 0x54474354;  // "TCGT"
}

inline void GuestTest::reset(const Vcpu& cpu) const {
  auto sregs = value_of(cpu.get_sregs());
  for (auto* segment : {&sregs.cs, &sregs.ds, &sregs.es, &sregs.fs, &sregs.gs, &sregs.ss}) {
    segment->base = 0;
    segment->limit = 0xffffffff;
    segment->g = 1;
    segment->db = 1;
    segment->s = 1;
    segment->present = 1;
    segment->type = segment == &sregs.cs ? 11 : 3;
    segment->selector = segment == &sregs.cs ? 8 : 16;
  }
  sregs.cr0 |= 1;  // protected mode
  ASSERT_OK(cpu.set_sregs(sregs));
  kvm_regs regs{};
  regs.rip = kRam;
  regs.rsp = kRam + kRamSize;
  regs.rflags = 2;
  ASSERT_OK(cpu.set_regs(regs));
}

#elif defined(__aarch64__)

/// X0…X30, SP, PC, PSTATE, as KVM numbers them.
[[nodiscard]] inline std::uint64_t core_register(std::size_t offset) {
  return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | offset / sizeof(std::uint32_t);
}
inline const std::uint64_t kPc = core_register(offsetof(kvm_regs, regs.pc));

inline void GuestTest::reset(const Vcpu& cpu) const {
  ASSERT_OK(cpu.init(value_of(vm.preferred_target())));
  ASSERT_OK(cpu.set_one_reg(kPc, std::uint64_t{kRam}));
}

#else

inline constexpr std::uint64_t kPc =
    KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_CORE | KVM_REG_RISCV_CORE_REG(regs.pc);

inline void GuestTest::reset(const Vcpu& cpu) const {
  ASSERT_OK(cpu.set_one_reg(kPc, std::uint64_t{kRam}));
}

#endif

}  // namespace guestproof::kvm
