// The processor that boots an x86 kernel, as data: its registers, its descriptors and its page
// tables.
//
// Nothing here knows KVM: a VMM copies the fields into kvm_sregs and kvm_regs, and leaves all that
// does not stand here as KVM has it after reset (other segments hold `data`; the LDT is unusable).
//
// Thread-safety: functions of their arguments; loading writes guest memory that nobody uses yet.
//
// Specification: Linux, Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"; Xen,
// docs/misc/pvh.pandoc; Intel SDM vol. 3 §2.5, §3.4.5 (segment descriptors), §4.5 (4-level paging).
#pragma once

#include <array>
#include <cstdint>

#include "guestproof/base/error.h"
#include "guestproof/loader/image.h"
#include "guestproof/loader/wire.h"
#include "guestproof/loader/x86_layout.h"

namespace guestproof::loader::x86 {

/// A segment register with its hidden part; the names are kvm_segment's.
struct Segment {
  std::uint64_t base = 0;
  std::uint32_t limit = 0;  // in bytes
  std::uint16_t selector = 0;
  std::uint8_t type = 0;
  bool present = true;
  std::uint8_t dpl = 0;
  bool db = false;
  bool s = false;
  bool l = false;
  bool g = false;

  friend bool operator==(const Segment&, const Segment&) = default;
};

struct DescriptorTable {
  std::uint64_t base = 0;
  std::uint16_t limit = 0;

  friend bool operator==(const DescriptorTable&, const DescriptorTable&) = default;
};

struct BootState {
  std::uint64_t rip = 0;
  std::uint64_t rsp = 0;
  std::uint64_t rsi = 0;  // the zero page
  std::uint64_t rbx = 0;  // hvm_start_info
  std::uint64_t rflags = 0;
  std::uint64_t cr0 = 0;
  std::uint64_t cr3 = 0;
  std::uint64_t cr4 = 0;
  std::uint64_t efer = 0;
  Segment code;  // CS
  Segment data;  // DS, ES, FS, GS, SS
  Segment task;  // TR
  DescriptorTable gdt;
  DescriptorTable idt;  // of no entries: interrupts are off, and an exception stops the machine

  friend bool operator==(const BootState&, const BootState&) = default;
};

/// CR0, CR4, EFER and RFLAGS, Intel SDM vol. 3 §2.5, §2.2.1, vol. 1 §3.4.3.
inline constexpr std::uint64_t kCr0Pe = 1 << 0;
inline constexpr std::uint64_t kCr0Et = 1 << 4;
inline constexpr std::uint64_t kCr0Pg = std::uint64_t{1} << 31;
inline constexpr std::uint64_t kCr4Pae = 1 << 5;
inline constexpr std::uint64_t kEferLme = 1 << 8;
inline constexpr std::uint64_t kEferLma = 1 << 10;
inline constexpr std::uint64_t kRflagsReserved = 1 << 1;

/// For KernelProtocol::kLinux64 and kPvh. REQUIRES: one of these.
[[nodiscard]] BootState boot_state(const LoadedKernel& kernel);

/// Null, unused, code, data and a task segment of 16 bytes: Linux asks for code and data to be
/// where they are (__BOOT_CS 0x10, __BOOT_DS 0x18).
[[nodiscard]] std::array<le64, 6> make_gdt(const BootState& state);

/// 4 GiB, each address mapped to itself by pages of 2 MiB, which every processor has.
using PageTables = std::array<std::array<le64, 512>, 6>;
static_assert(sizeof(PageTables) == kPageTables.size);
void fill_page_tables(PageTables& tables);

/// Writes the GDT, and for kLinux64 the page tables. Errors: MemoryError; nothing is written unless
/// both lie in RAM.
template <GuestMemory M>
[[nodiscard]] Result<void> load(const M& memory, const BootState& state) {
  const bool paged = (state.cr0 & kCr0Pg) != 0;
  auto done = check_ram(memory, kGdt);
  if (done && paged) done = check_ram(memory, kPageTables);
  if (done) done = write_object(memory, kGdt.base, make_gdt(state));
  if (done && paged) {
    PageTables tables;
    fill_page_tables(tables);
    done = write_object(memory, kPageTables.base, tables);
  }
  return done;
}

}  // namespace guestproof::loader::x86
