// Guest code of a few instructions, the same on every architecture: loads and stores at fixed
// addresses, and a store that tells the host that the program is done.
//
// It runs with paging off, in flat 32-bit mode on x86_64, at EL1 on aarch64, in VS-mode on riscv64.
// Addresses are below 2^31.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <vector>

namespace guestproof::kvm {

/// Where memory of a test's guest starts, and where nothing is: an access there is the host's.
inline constexpr std::uint64_t kRam = 0x10000000;
inline constexpr std::uint64_t kDevice = 0x0a000000;
inline constexpr std::uint64_t kDone = 0x0b000000;

class Program {
 public:
  /// A store of 1, 2 or 4 bytes.
  Program& store(unsigned width, std::uint64_t address, std::uint32_t value);
  /// A load of 1, 2 or 4 bytes, into the register that store_loaded() stores.
  Program& load(unsigned width, std::uint64_t address);
  Program& store_loaded(unsigned width, std::uint64_t address);
  /// For ever.
  Program& spin();
  /// A store to kDone; the program may be run again from there, and goes on.
  Program& done() { return store(4, kDone, 0); }
  /// Instructions as they are.
  template <class Word>
  Program& raw(std::initializer_list<Word> words) {
    for (const Word word : words) append(word);
    return *this;
  }

  [[nodiscard]] const std::vector<std::byte>& code() const { return code_; }

 private:
  template <class Word>
  void append(Word word) {
    code_.resize(code_.size() + sizeof word);
    std::memcpy(code_.data() + code_.size() - sizeof word, &word, sizeof word);
  }
  /// A number into a register, by number.
  void load_immediate(std::uint32_t reg, std::uint32_t value);
  /// Where the address register points to.
  Program& store_register(unsigned width, std::uint32_t reg);

  std::vector<std::byte> code_;
};

#if defined(__x86_64__)

inline Program& Program::store(unsigned width, std::uint64_t address, std::uint32_t value) {
  if (width == 2) append<std::uint8_t>(0x66);
  append<std::uint8_t>(width == 1 ? 0xc6 : 0xc7);  // mov [disp32], imm
  append<std::uint8_t>(0x05);
  append(static_cast<std::uint32_t>(address));
  if (width == 1) append(static_cast<std::uint8_t>(value));
  if (width == 2) append(static_cast<std::uint16_t>(value));
  if (width == 4) append(value);
  return *this;
}

inline Program& Program::load(unsigned width, std::uint64_t address) {
  if (width == 2) append<std::uint8_t>(0x66);
  append<std::uint8_t>(width == 1 ? 0xa0 : 0xa1);  // mov eax, moffs32
  append(static_cast<std::uint32_t>(address));
  return *this;
}

inline Program& Program::store_loaded(unsigned width, std::uint64_t address) {
  if (width == 2) append<std::uint8_t>(0x66);
  append<std::uint8_t>(width == 1 ? 0xa2 : 0xa3);  // mov moffs32, eax
  append(static_cast<std::uint32_t>(address));
  return *this;
}

inline Program& Program::spin() { return raw<std::uint8_t>({0xeb, 0xfe}); }

#elif defined(__aarch64__)

inline void Program::load_immediate(std::uint32_t reg, std::uint32_t value) {
  append(0xd2800000U | (value & 0xffff) << 5 | reg);  // movz x, #low
  append(0xf2a00000U | (value >> 16) << 5 | reg);     // movk x, #high, lsl 16
}

inline Program& Program::store(unsigned width, std::uint64_t address, std::uint32_t value) {
  load_immediate(1, static_cast<std::uint32_t>(address));
  load_immediate(3, value);
  return store_register(width, 3);
}

inline Program& Program::load(unsigned width, std::uint64_t address) {
  load_immediate(1, static_cast<std::uint32_t>(address));
  // ldrb, ldrh, ldr w2, [x1]
  append((width == 1 ? 0x39400000U : width == 2 ? 0x79400000U : 0xb9400000U) | 1U << 5 | 2U);
  return *this;
}

inline Program& Program::store_loaded(unsigned width, std::uint64_t address) {
  load_immediate(1, static_cast<std::uint32_t>(address));
  return store_register(width, 2);
}

inline Program& Program::store_register(unsigned width, std::uint32_t reg) {
  // strb, strh, str w, [x1]
  append((width == 1 ? 0x39000000U : width == 2 ? 0x79000000U : 0xb9000000U) | 1U << 5 | reg);
  return *this;
}

inline Program& Program::spin() { return raw<std::uint32_t>({0x14000000}); }

#else

inline void Program::load_immediate(std::uint32_t reg, std::uint32_t value) {
  // addiw adds a signed 12-bit number, which lui makes up for.
  append(((value + 0x800) & 0xfffff000U) | reg << 7 | 0x37U);    // lui
  append((value & 0xfff) << 20 | reg << 15 | reg << 7 | 0x1bU);  // addiw
}

inline Program& Program::store(unsigned width, std::uint64_t address, std::uint32_t value) {
  load_immediate(6, static_cast<std::uint32_t>(address));
  load_immediate(28, value);  // t3
  return store_register(width, 28);
}

inline Program& Program::load(unsigned width, std::uint64_t address) {
  load_immediate(6, static_cast<std::uint32_t>(address));  // t1
  const std::uint32_t function = width == 1 ? 4 : width == 2 ? 5 : 2;
  append(6U << 15 | function << 12 | 7U << 7 | 0x03U);  // lbu, lhu, lw t2, 0(t1)
  return *this;
}

inline Program& Program::store_loaded(unsigned width, std::uint64_t address) {
  load_immediate(6, static_cast<std::uint32_t>(address));
  return store_register(width, 7);
}

inline Program& Program::store_register(unsigned width, std::uint32_t reg) {
  const std::uint32_t function = width == 1 ? 0 : width == 2 ? 1 : 2;
  append(reg << 20 | 6U << 15 | function << 12 | 0x23U);  // sb, sh, sw reg, 0(t1)
  return *this;
}

inline Program& Program::spin() { return raw<std::uint32_t>({0x0000006f}); }

#endif

}  // namespace guestproof::kvm
