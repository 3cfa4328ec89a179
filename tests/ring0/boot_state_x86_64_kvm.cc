// What a kernel finds that guestproof-vmm boots: the processor, what lies in memory, and the
// machine around it, asserted from inside.

#include "guestproof/loader/x86_layout.h"
#include "ring0/in_vmm.h"
#include "ring0/told.h"

namespace guestproof::ring0 {
namespace {

namespace x86 = loader::x86;
using vmm::layout::kLocalApicBase;

constexpr std::uint64_t kPresent = 1, kLarge = 1 << 7, kAddress = 0x000f'ffff'ffff'f000;
// Intel SDM vol. 4, table 2-2.
constexpr std::uint32_t kApicBase = 0x1b, kMtrrDefType = 0x2ff;
constexpr std::uint64_t kApicEnabled = 1 << 11, kBootProcessor = 1 << 8;

std::uint64_t word(std::uint64_t address) { return *phys<std::uint64_t>(address); }

/// Where a virtual address of the boot's page tables leads; UINT64_MAX: nowhere.
std::uint64_t walk(std::uint64_t root, std::uint64_t address) {
  auto table = root & kAddress;
  for (const unsigned shift : {39U, 30U, 21U, 12U}) {
    const auto entry = word(table + (address >> shift & 511) * 8);
    const auto inside = (1ULL << shift) - 1;
    if ((entry & kPresent) == 0) return UINT64_MAX;
    if (shift == 12 || (shift != 39 && (entry & kLarge) != 0))
      return (entry & kAddress & ~inside) | (address & inside);
    table = entry & kAddress;
  }
  return UINT64_MAX;
}

// The 64-bit boot protocol of Linux (Documentation/arch/x86/boot.rst).

TEST(LinuxBoot, Registers) {
  run_in_vmm(small_machine(), [] {
    K_EXPECT_EQ(at_entry().cr0, 0x80000011U) << "PG, ET, PE";
    K_EXPECT_EQ(at_entry().cr3, x86::kPageTables.base.raw());
    K_EXPECT_EQ(at_entry().cr4, 0x20U) << "PAE";
    K_EXPECT_EQ(at_entry().efer, 0x500U) << "LMA, LME";
    K_EXPECT_EQ(at_entry().rflags, 2U) << "interrupts are off";
    K_EXPECT_EQ(at_entry().rsi, x86::kZeroPage.base.raw());
    K_EXPECT_EQ(at_entry().rsp, x86::kBootStack.base.raw() + x86::kBootStack.size);
    K_EXPECT_EQ(at_entry().rsp % 16, 0U);
    for (const auto value : {at_entry().rax, at_entry().rbx, at_entry().rcx, at_entry().rdx,
                             at_entry().rdi, at_entry().rbp})
      K_EXPECT_EQ(value, 0U);
  });
}

TEST(LinuxBoot, Segments) {
  run_in_vmm(small_machine(), [] {
    K_EXPECT_EQ(at_entry().cs, 0x10U) << "__BOOT_CS";
    for (const auto selector :
         {at_entry().ds, at_entry().es, at_entry().fs, at_entry().gs, at_entry().ss})
      K_EXPECT_EQ(selector, 0x18U) << "__BOOT_DS";
    K_EXPECT_EQ(at_entry().gdtr.base, x86::kGdt.base.raw());
    K_ASSERT_GE(at_entry().gdtr.limit, at_entry().tr + 15);
    K_EXPECT_EQ(at_entry().idtr.limit, 0) << "an exception would stop the machine";

    const auto code = word(at_entry().gdtr.base + 0x10);
    K_EXPECT_EQ(code >> 40 & 0x9a, 0x9aU) << "present, of ring 0, executable, readable";
    K_EXPECT_EQ(code >> 53 & 3, 1U) << "64-bit";
    const auto data = word(at_entry().gdtr.base + 0x18);
    K_EXPECT_EQ(data >> 40 & 0x9a, 0x92U) << "present, of ring 0, writable";
    const auto task = word(at_entry().gdtr.base + at_entry().tr);
    K_EXPECT_EQ(task >> 40 & 0x9f, 0x8bU) << "a task, busy";
  });
}

TEST(LinuxBoot, PageTablesLeadFourGigabytesToThemselves) {
  run_in_vmm(small_machine(), [] {
    for (std::uint64_t address = 0; address < 1ULL << 32; address += 0x1ff'f123)
      K_ASSERT_EQ(walk(at_entry().cr3, address), address);
    K_EXPECT_EQ(walk(at_entry().cr3, 0xffff'ffff), 0xffff'ffffU);
    K_EXPECT_EQ(walk(at_entry().cr3, 1ULL << 32), UINT64_MAX);
    K_EXPECT_EQ(walk(at_entry().cr3, 0x7fff'ffff'f000), UINT64_MAX);
  });
}

TEST(LinuxBoot, ZeroPageAndMemoryMap) {
  auto config = small_machine();
  config.kernel.cmdline = "a word of ours";
  run_in_vmm(config, [] {
    const auto zero_page = at_entry().rsi;
    const auto byte = [](std::uint64_t address) { return *phys<std::uint8_t>(address); };
    K_EXPECT_EQ(*phys<std::uint32_t>(zero_page + 0x202), 0x53726448U) << "HdrS";
    const auto cmdline = *phys<std::uint32_t>(zero_page + 0x228);
    std::array<char, 256> text{};
    for (std::size_t i = 0; i + 1 < text.size() && byte(cmdline + i) != 0; ++i)
      text[i] = static_cast<char>(byte(cmdline + i));
    K_EXPECT_TRUE(std::string_view(text.data()).ends_with("a word of ours")) << text.data();
    // struct boot_e820_entry: 20 bytes each, at 0x2d0; how many at 0x1e8.
    std::uint64_t ram = 0;
    const auto count = byte(zero_page + 0x1e8);
    K_ASSERT_GT(count, 0);
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto entry = zero_page + 0x2d0 + i * 20;
      const auto base = word(entry), size = word(entry + 8);
      if (*phys<std::uint32_t>(entry + 16) != 1) continue;
      K_EXPECT_LE(base + size, 64U << 20);
      ram += size;
    }
    K_EXPECT_GT(ram, 63U << 20);
  });
}

// The PVH entry (xen/docs/misc/pvh.pandoc).

TEST(PvhBoot, Registers) {
  run_in_vmm(small_machine(),
             [] {
               K_EXPECT_EQ(at_entry().cr0, 0x11U) << "ET, PE";
               K_EXPECT_EQ(at_entry().cr4, 0U);
               K_EXPECT_EQ(at_entry().efer, 0U);
               K_EXPECT_EQ(at_entry().rflags, 2U);
               K_EXPECT_EQ(at_entry().rbx, x86::kStartInfo.base.raw());
               K_EXPECT_EQ(*phys<std::uint32_t>(at_entry().rbx), 0x336ec578U) << "hvm_start_info";
               K_EXPECT_GE(*phys<std::uint32_t>(at_entry().rbx + 4), 1U) << "with a memory map";
               const auto code = word(at_entry().gdtr.base + at_entry().cs);
               K_EXPECT_EQ(code >> 53 & 3, 2U) << "32-bit";
               K_EXPECT_EQ(code & 0xffff, 0xffffU) << "flat";
               const auto data = word(at_entry().gdtr.base + at_entry().ds);
               K_EXPECT_EQ(data >> 53 & 3, 2U);
             },
             {.entry = KernelEntry::kPvh});
}

// What both have.

TEST(Processor, FloatingPointIsAsAfterReset) {
  run_in_vmm(small_machine(), [] {
    K_EXPECT_EQ(at_entry().fcw, 0x37fU);
    K_EXPECT_EQ(at_entry().mxcsr, 0x1f80U);
  });
}

TEST(Processor, ModelSpecificRegisters) {
  run_in_vmm(small_machine(), [] {
    K_EXPECT_EQ(rdmsr(kMtrrDefType), 0x806U) << "enabled, write-back";
    K_EXPECT_EQ(rdmsr(kApicBase) & ~std::uint64_t{0xfff}, kLocalApicBase);
    K_EXPECT_EQ(rdmsr(kApicBase) & (kApicEnabled | kBootProcessor), kApicEnabled | kBootProcessor);
  });
}

TEST(Processor, LocalApicIsWiredAsTheMpTableSays) {
  run_in_vmm(small_machine(), [] {
    K_EXPECT_EQ(*phys<std::uint32_t>(kLocalApicBase + 0x20) >> 24, 0U) << "its identifier";
    K_EXPECT_EQ(*phys<std::uint32_t>(kLocalApicBase + 0x350) >> 8 & 7, 7U) << "LINT0: ExtINT";
    K_EXPECT_EQ(*phys<std::uint32_t>(kLocalApicBase + 0x360) >> 8 & 7, 4U) << "LINT1: NMI";
  });
}

TEST(Processor, SaysThatItIsAGuestsAndHowMany) {
  auto config = small_machine();
  config.vcpus = 3;
  run_in_vmm(config, [] {
    K_EXPECT_EQ(cpuid(1).ecx >> 31, 1U) << "a hypervisor's";
    K_EXPECT_EQ(cpuid(1).ebx >> 16 & 0xff, 3U);
    K_EXPECT_EQ(cpuid(0xb, 1).ebx, 3U);
    const auto vendor = cpuid(0x40000000);
    K_EXPECT_EQ(vendor.ebx, 0x4b4d564bU) << "KVMK";
    K_EXPECT_EQ(vendor.ecx, 0x564b4d56U) << "VMKV";
  });
}

TEST(Machine, HasItsChips) {
  run_in_vmm(small_machine(), [] {
    K_EXPECT_EQ(inb(0x3f8 + 5), 0x60) << "COM1 can transmit";
    outb(0x3f8 + 7, 0x5a);
    K_EXPECT_EQ(inb(0x3f8 + 7), 0x5a) << "its scratch register";
    K_EXPECT_EQ(inb(0x505), 3) << "pvpanic: it takes panics and crash kernels";
    K_EXPECT_EQ(inb(0x1234), 0xff) << "nobody";
    K_EXPECT_EQ(inl(0x1234), 0xffffffffU);
  });
}

TEST(Machine, HasNoMemoryWhereThereIsNone) {
  run_in_vmm(small_machine(), [] {
    K_EXPECT_EQ(*phys<std::uint32_t>(vmm::layout::kEcamBase - 4), 0xffffffffU);
    *phys<std::uint32_t>(vmm::layout::kEcamBase - 4) = 0;
    K_EXPECT_EQ(*phys<std::uint32_t>(vmm::layout::kEcamBase - 4), 0xffffffffU);
  });
}

TEST(Machine, TellsAFailureAsAMachineOfTheTestsOwnDoes) {
  Told told;
  auto body = [] { K_EXPECT_EQ(at_entry().cs, 0U) << "as it must"; };
  const Body called{[](void* argument) { (*static_cast<decltype(body)*>(argument))(); }, &body};
  serve_and_report(
      Options(),
      [&](const Channel& channel) { serve_in_vmm(small_machine(), {}, called, channel); },
      Place{"here", 1}, told);
  EXPECT_EQ(failure(told),
            "Expected equality of these values:\n  at_entry().cs\n    Which is: 16 (0x10)\n  0U\n"
            "    Which is: 0\nas it must");
}

TEST(Machine, TellsAnEndOfItsOwn) {
  Told told;
  auto body = [] { outb(0x64, 0xfe); };  // the keyboard controller's reset line
  const Body called{[](void* argument) { (*static_cast<decltype(body)*>(argument))(); }, &body};
  serve_and_report(
      Options(),
      [&](const Channel& channel) { serve_in_vmm(small_machine(), {}, called, channel); },
      Place{"here", 1}, told);
  EXPECT_THAT(failure(told), ::testing::HasSubstr("the machine ended"));
}

}  // namespace
}  // namespace guestproof::ring0
