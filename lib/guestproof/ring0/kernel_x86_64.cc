#if defined(__x86_64__)

#include <elf.h>

#include <cstring>
#include <span>

#include "guestproof/base/invariant.h"
#include "guestproof/ring0/address.h"
#include "guestproof/ring0/kernel.h"

// Five pages at kKernelBase: this code; data, which are an Arrival (0x000), an EntryState (0x100),
// and GDT and GDTR for the way into 64-bit mode (0xf00, 0xf20); three levels of page tables for it.
// Addresses are absolute.
asm(R"(
  .pushsection .rodata
  .balign 16
  .global guestproof_ring0_kernel, guestproof_ring0_kernel_pvh, guestproof_ring0_kernel_end
  .set arrival, 0x101000
  .set state, 0x101100
  .set stack, 0x101f00
  .set gdtr, 0x101f20
  .set tables, 0x102000
  # EFER and selectors, the same in both modes.
  .macro guestproof_ring0_keep_rest
  mov $0xc0000080, %ecx
  rdmsr
  mov %eax, state+0xa0
  mov %edx, state+0xa4
  mov %cs, %eax
  mov %eax, state+0xa8
  mov %ds, %eax
  mov %eax, state+0xb0
  mov %es, %eax
  mov %eax, state+0xb8
  mov %fs, %eax
  mov %eax, state+0xc0
  mov %gs, %eax
  mov %eax, state+0xc8
  mov %ss, %eax
  mov %eax, state+0xd0
  str %eax
  mov %eax, state+0xd8
  .endm
guestproof_ring0_kernel:
  .code64
  mov %rax, state+0x00
  mov %rbx, state+0x08
  mov %rcx, state+0x10
  mov %rdx, state+0x18
  mov %rsi, state+0x20
  mov %rdi, state+0x28
  mov %rbp, state+0x30
  mov %rsp, state+0x38
  mov %r8, state+0x40
  mov %r9, state+0x48
  mov %r10, state+0x50
  mov %r11, state+0x58
  mov %r12, state+0x60
  mov %r13, state+0x68
  mov %r14, state+0x70
  mov %r15, state+0x78
  mov $stack, %esp
  pushfq
  pop %rax
  mov %rax, state+0x80
  mov %cr0, %rax
  mov %rax, state+0x88
  mov %cr3, %rax
  mov %rax, state+0x90
  mov %cr4, %rax
  mov %rax, state+0x98
  sgdt state+0xe0
  sidt state+0xf0
  guestproof_ring0_keep_rest
guestproof_ring0_kernel_arrive:
  mov $0xc0000080, %ecx        # EFER
  mov arrival+0x18, %eax
  mov arrival+0x1c, %edx
  wrmsr
  mov arrival+0x10, %rax
  mov %rax, %cr4
  mov arrival+0x08, %rax
  mov %rax, %cr3
  mov arrival+0x00, %rax
  mov %rax, %cr0
  stmxcsr state+0x100
  fnstcw state+0x108
  lgdt arrival+0x50
  lidt arrival+0x5a
  pushq $8
  pushq $(1f - guestproof_ring0_kernel + 0x100000)
  lretq
1:
  mov arrival+0x20, %eax
  mov arrival+0x24, %edx
  test %eax, %eax
  jz 1f
  xor %ecx, %ecx
  xsetbv
1:
  mov $0x10, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %fs
  mov %eax, %gs
  mov %eax, %ss
  ltr arrival+0x48
  mov $0xc0000100, %ecx        # FS_BASE
  mov arrival+0x28, %eax
  mov arrival+0x2c, %edx
  wrmsr
  mov arrival+0x30, %rsp
  mov arrival+0x38, %rdi
  jmp *arrival+0x40
  .code32
guestproof_ring0_kernel_pvh:
  mov %eax, state+0x00
  mov %ebx, state+0x08
  mov %ecx, state+0x10
  mov %edx, state+0x18
  mov %esi, state+0x20
  mov %edi, state+0x28
  mov %ebp, state+0x30
  mov %esp, state+0x38
  mov $stack, %esp
  pushf
  pop %eax
  mov %eax, state+0x80
  mov %cr0, %eax
  mov %eax, state+0x88
  mov %cr3, %eax
  mov %eax, state+0x90
  mov %cr4, %eax
  mov %eax, state+0x98
  sgdt state+0xe0
  sidt state+0xf0
  guestproof_ring0_keep_rest
  mov %cr4, %eax
  or $0x20, %eax               # PAE
  mov %eax, %cr4
  mov $tables, %eax
  mov %eax, %cr3
  mov $0xc0000080, %ecx
  rdmsr
  or $0x100, %eax              # LME
  wrmsr
  mov %cr0, %eax
  or $0x80000001, %eax         # PG, PE
  mov %eax, %cr0
  lgdt gdtr
  ljmp $8, $(guestproof_ring0_kernel_arrive - guestproof_ring0_kernel + 0x100000)
  .code64
guestproof_ring0_kernel_end:
  .purgem guestproof_ring0_keep_rest
  .popsection
)");
extern "C" const std::byte guestproof_ring0_kernel[];
extern "C" const std::byte guestproof_ring0_kernel_pvh[];
extern "C" const std::byte guestproof_ring0_kernel_end[];

namespace guestproof::ring0 {
namespace {

static_assert(kKernelBase == 0x100000, "the code has it, and what is behind it, as numbers");
static_assert(offsetof(Arrival, task) == 0x48 && offsetof(Arrival, gdtr) == 0x50 &&
              offsetof(Arrival, idtr) == 0x5a);
static_assert(offsetof(EntryState, rflags) == 0x80 && offsetof(EntryState, tr) == 0xd8 &&
              offsetof(EntryState, gdtr) == 0xe0 && offsetof(EntryState, idtr) == 0xf0 &&
              offsetof(EntryState, mxcsr) == 0x100);

constexpr std::uint64_t kData = kPageSize, kWayGdt = kData + 0xf00, kWayGdtr = kData + 0xf20;
constexpr std::uint64_t kTables = 2 * kPageSize;

// Xen's note of the PVH entry (xen/include/public/elfnote.h).
constexpr std::uint32_t kXenElfNotePhys32Entry = 18;
struct PvhNote {
  std::uint32_t name_size = 4;
  std::uint32_t size = 8;
  std::uint32_t type = kXenElfNotePhys32Entry;
  std::array<char, 4> name{'X', 'e', 'n', 0};
  std::uint64_t entry = 0;
};
static_assert(sizeof(PvhNote) == 24);

struct Headers {
  ::Elf64_Ehdr file{};
  ::Elf64_Phdr load{};
  ::Elf64_Phdr note{};
  PvhNote pvh;
};
static_assert(sizeof(Headers) <= kPageSize);

Headers headers(KernelEntry entry) {
  Headers made;
  std::memcpy(made.file.e_ident, ELFMAG, SELFMAG);
  made.file.e_ident[EI_CLASS] = ELFCLASS64;
  made.file.e_ident[EI_DATA] = ELFDATA2LSB;
  made.file.e_ident[EI_VERSION] = EV_CURRENT;
  made.file.e_type = ET_EXEC;
  made.file.e_machine = EM_X86_64;
  made.file.e_version = EV_CURRENT;
  made.file.e_entry = kKernelBase;
  made.file.e_phoff = offsetof(Headers, load);
  made.file.e_ehsize = sizeof made.file;
  made.file.e_phentsize = sizeof made.load;
  made.file.e_phnum = entry == KernelEntry::kPvh ? 2 : 1;
  made.load.p_type = PT_LOAD;
  made.load.p_offset = kPageSize;
  made.load.p_vaddr = made.load.p_paddr = kKernelBase;
  made.load.p_filesz = made.load.p_memsz = kKernelSize;
  made.load.p_align = kPageSize;
  made.note.p_type = PT_NOTE;
  made.note.p_offset = offsetof(Headers, pvh);
  made.note.p_filesz = made.note.p_memsz = sizeof made.pvh;
  made.note.p_align = 4;
  made.pvh.entry = kKernelBase + static_cast<std::uint64_t>(guestproof_ring0_kernel_pvh -
                                                            guestproof_ring0_kernel);
  return made;
}

}  // namespace

std::vector<std::byte> kernel_image(const Arrival& arrival, KernelEntry entry) {
  std::vector<std::byte> file(kPageSize + kKernelSize);
  put(file, 0, headers(entry));
  const auto image = std::span(file).subspan(kPageSize);
  const std::span code(guestproof_ring0_kernel, guestproof_ring0_kernel_end);
  GUESTPROOF_INVARIANT(code.size() <= kData);
  std::memcpy(image.data(), code.data(), code.size());
  put(image, kData, arrival);
  // A 64-bit code segment, and a page of 2 MiB that leads to itself.
  put(image, kWayGdt, std::array<std::uint64_t, 2>{0, 0x00af9b000000ffff});
  put(image, kWayGdtr, DescriptorTable{15, kKernelBase + kWayGdt});
  put(image, kTables, kKernelBase + kTables + kPageSize + 3);
  put(image, kTables + kPageSize, kKernelBase + kTables + 2 * kPageSize + 3);
  put(image, kTables + 2 * kPageSize, std::uint64_t{0x83});
  return file;
}

}  // namespace guestproof::ring0

#endif
