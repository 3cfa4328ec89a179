// Is this machine's KVM good enough? A guest of some fifty instructions does what stock kernels
// need and says after each step one letter; every other outcome is one sentence on stdout and exit
// code 1. Raw ioctls and nothing of the library: this decides whether the library's tests can run
// at all. `scripts/dev with-kvm` compiles it when it is first needed.
//
// The guest begins in 64-bit mode with paging and ends with `hlt`:
//   0x1000 PML4, 0x2000 PDPT, 0x3000 page directory: one page of 2 MiB that maps to itself,
//   user-accessible 0x4000 GDT, 0x5000 IDT with one gate (int3), 0x8000 code, 0x9000 data, stacks
//   below 0xf000 (kernel) and 0xe000 (user)
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr unsigned kPatience = 5;  // seconds; the guest needs some microseconds

[[noreturn]] void bad(const std::string& sentence) {
  std::puts(sentence.c_str());
  std::exit(1);
}

int ask(int fd, unsigned long request, const char* name, unsigned long argument = 0) {
  const int answer = ioctl(fd, request, argument);
  if (answer < 0) bad(std::string(name) + " fails: " + std::strerror(errno));
  return answer;
}

template <typename T>
int ask(int fd, unsigned long request, const char* name, T* argument) {
  return ask(fd, request, name, reinterpret_cast<unsigned long>(argument));
}

int open_kvm() {
  const int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm < 0) bad(std::string("/dev/kvm cannot be opened: ") + std::strerror(errno));
  const int version = ask(kvm, KVM_GET_API_VERSION, "KVM_GET_API_VERSION");
  if (version != KVM_API_VERSION)
    bad("/dev/kvm has API version " + std::to_string(version) + ", not 12");
  return kvm;
}

#if defined(__x86_64__)

constexpr uint64_t kMemory = 0x10000, kCode = 0x8000, kGdt = 0x4000, kIdt = 0x5000;
constexpr uint16_t kPort = 0x10;

struct Step {
  char letter;
  const char* what;
};
constexpr Step kSteps[] = {{'m', "wrmsr and rdmsr"},
                           {'c', "cpuid"},
                           {'x', "cmpxchg16b"},
                           {'s', "xsetbv, xsave and xrstor"},
                           {'b', "int3"},
                           {'o', "rep outsb"},
                           {'u', "iretq to user mode and syscall"}};

extern "C" const char guest_code[], guest_breakpoint[], guest_end[];
asm(R"(
  .pushsection .rodata
guest_code:
  mov $0xc0000102, %ecx        # KERNEL_GS_BASE
  mov $0x1234, %eax
  xor %edx, %edx
  wrmsr
  xor %eax, %eax
  rdmsr
  cmp $0x1234, %eax
  jne guest_failed
  mov $'m', %al
  out %al, $0x10

  xor %eax, %eax
  cpuid
  test %eax, %eax
  jz guest_failed
  mov $'c', %al
  out %al, $0x10

  mov $0x9000, %edi
  xor %eax, %eax
  xor %edx, %edx
  mov $1, %ebx
  mov $2, %ecx
  lock cmpxchg16b (%rdi)
  jnz guest_failed
  cmpq $2, 8(%rdi)
  jne guest_failed
  mov $'x', %al
  out %al, $0x10

  xor %ecx, %ecx
  mov $3, %eax                 # x87 and SSE
  xor %edx, %edx
  xsetbv
  mov $0xabcd, %ebx
  movd %ebx, %xmm0
  mov $0x9040, %edi
  xsave (%rdi)
  pxor %xmm0, %xmm0
  xrstor (%rdi)
  movd %xmm0, %eax
  cmp %ebx, %eax
  jne guest_failed
  mov $'s', %al
  out %al, $0x10

  xor %ebx, %ebx
  int3
  cmp $1, %ebx
  jne guest_failed
  mov $'b', %al
  out %al, $0x10

  lea guest_text(%rip), %rsi
  mov $0x10, %dx
  mov $1, %ecx
  cld
  rep outsb

  mov $0xc0000080, %ecx        # EFER: syscall
  rdmsr
  or $1, %eax
  wrmsr
  mov $0xc0000081, %ecx        # STAR: the segments of kernel and user
  xor %eax, %eax
  mov $0x00180008, %edx
  wrmsr
  mov $0xc0000082, %ecx        # LSTAR: where syscall goes
  lea guest_syscall(%rip), %rax
  xor %edx, %edx
  wrmsr
  pushq $0x23
  pushq $0xe000
  pushq $2
  pushq $0x2b
  lea guest_user(%rip), %rax
  push %rax
  iretq
guest_user:
  syscall
guest_failed:
  mov $'!', %al
  out %al, $0x10
  hlt
guest_syscall:
  mov $'u', %al
  out %al, $0x10
  hlt
guest_breakpoint:
  inc %ebx
  iretq
guest_text:
  .ascii "o"
guest_end:
  .popsection
)");

template <typename T>
void put(std::byte* memory, uint64_t address, const T& value) {
  std::memcpy(memory + address, &value, sizeof(value));
}

void fill(std::byte* memory) {
  put<uint64_t>(memory, 0x1000, 0x2000 | 7);  // present, writable, user
  put<uint64_t>(memory, 0x2000, 0x3000 | 7);
  put<uint64_t>(memory, 0x3000, 0x0000 | 0x87);  // and large
  const uint64_t gdt[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff,
                          0, 0x00cff3000000ffff, 0x00affb000000ffff};
  put(memory, kGdt, gdt);
  const uint64_t handler = kCode + (guest_breakpoint - guest_code);
  put<uint64_t>(memory, kIdt + 3 * 16,
                handler | 0x8 << 16 | 0x8e00ULL << 32);  // int3: interrupt gate, segment 8
  std::memcpy(memory + kCode, guest_code, guest_end - guest_code);
}

kvm_segment segment(uint16_t selector, uint8_t type, bool code) {
  return {.base = 0,
          .limit = 0xffffffff,
          .selector = selector,
          .type = type,
          .present = 1,
          .dpl = 0,
          .db = !code,
          .s = 1,
          .l = code,
          .g = 1,
          .avl = 0,
          .unusable = 0,
          .padding = 0};
}

void set_registers(int vcpu) {
  kvm_sregs sregs;
  ask(vcpu, KVM_GET_SREGS, "KVM_GET_SREGS", &sregs);
  sregs.cs = segment(0x08, 11, true);
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = segment(0x10, 3, false);
  sregs.gdt = {.base = kGdt, .limit = 6 * 8 - 1, .padding = {}};
  sregs.idt = {.base = kIdt, .limit = 4 * 16 - 1, .padding = {}};
  sregs.cr0 = 0x80010033;  // PG, WP, NE, ET, MP, PE
  sregs.cr3 = 0x1000;
  sregs.cr4 = 0x40620;  // OSXSAVE, OSXMMEXCPT, OSFXSR, PAE
  sregs.efer = 0x500;   // LMA, LME
  ask(vcpu, KVM_SET_SREGS, "KVM_SET_SREGS", &sregs);
  kvm_regs regs{};
  regs.rip = kCode;
  regs.rsp = 0xf000;
  regs.rflags = 2;
  ask(vcpu, KVM_SET_REGS, "KVM_SET_REGS", &regs);
}

// The size in the ioctl's number is that of the header alone; to C++ the declaration of Linux 6.1
// is 4 bytes longer.
constexpr unsigned long kGetSupportedCpuid = _IOWR(KVMIO, 0x05, uint64_t);
constexpr unsigned long kSetCpuid2 = _IOW(KVMIO, 0x90, uint64_t);

void set_cpuid(int kvm, int vcpu) {
  constexpr uint32_t kEntries = 256;
  std::vector<uint32_t> cpuid(2 + kEntries * sizeof(kvm_cpuid_entry2) / sizeof(uint32_t));
  cpuid[0] = kEntries;
  ask(kvm, kGetSupportedCpuid, "KVM_GET_SUPPORTED_CPUID", cpuid.data());
  ask(vcpu, kSetCpuid2, "KVM_SET_CPUID2", cpuid.data());
}

[[noreturn]] void stopped(size_t steps, const std::string& how) {
  bad("its guest does not get past " + std::string(kSteps[steps].what) + " (" + how + ")");
}

// What the guest has written to the port when it halts.
void run(int vcpu, const kvm_run& page) {
  size_t steps = 0;
  while (true) {
    ask(vcpu, KVM_RUN, "KVM_RUN");
    if (page.exit_reason == KVM_EXIT_HLT && steps == std::size(kSteps)) return;
    if (steps == std::size(kSteps)) bad("its guest goes on after its end");
    if (page.exit_reason != KVM_EXIT_IO)
      stopped(steps, "KVM_EXIT reason " + std::to_string(page.exit_reason));
    const auto* data = reinterpret_cast<const char*>(&page) + page.io.data_offset;
    if (page.io.port != kPort || page.io.count != 1 || *data != kSteps[steps].letter)
      stopped(steps, "wrong result");
    ++steps;
  }
}

void try_guest(int kvm, int vm) {
  void* memory = mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) bad("there is no memory for its guest");
  fill(static_cast<std::byte*>(memory));
  kvm_userspace_memory_region region{0, 0, 0, kMemory, reinterpret_cast<uint64_t>(memory)};
  ask(vm, KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION", &region);
  const int vcpu = ask(vm, KVM_CREATE_VCPU, "KVM_CREATE_VCPU");
  set_cpuid(kvm, vcpu);
  set_registers(vcpu);
  const int size = ask(kvm, KVM_GET_VCPU_MMAP_SIZE, "KVM_GET_VCPU_MMAP_SIZE");
  void* page = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
  if (page == MAP_FAILED) bad("the page of its vCPU cannot be mapped");
  run(vcpu, *static_cast<const kvm_run*>(page));
}

#else

// No KVM of another architecture is known that emulates: one that makes a vCPU is believed.
void try_guest(int, int vm) { ask(vm, KVM_CREATE_VCPU, "KVM_CREATE_VCPU"); }

#endif

}  // namespace

int main() {
  alarm(kPatience);
  const int kvm = open_kvm();
  try_guest(kvm, ask(kvm, KVM_CREATE_VM, "KVM_CREATE_VM"));
}
