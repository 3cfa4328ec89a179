#include "guestproof/loader/x86_boot.h"

#include "support.h"

namespace guestproof::loader::x86 {
namespace {

BootState state_of(KernelProtocol protocol) {
  return boot_state({protocol, GuestAddress(0x1000200), {}});
}

TEST(X86BootTest, LongModeForTheLinuxProtocol) {
  const auto state = state_of(KernelProtocol::kLinux64);

  EXPECT_EQ(state.rip, 0x1000200u);
  EXPECT_EQ(state.rsi, 0x7000u);
  EXPECT_EQ(state.rsp, 0x8ff0u);
  EXPECT_EQ(state.rflags, 2u);
  EXPECT_EQ(state.cr0, 0x8000'0011u);
  EXPECT_EQ(state.cr3, 0x9000u);
  EXPECT_EQ(state.cr4, 0x20u);
  EXPECT_EQ(state.efer, 0x500u);
  EXPECT_EQ(
      state.code,
      (Segment{
          .limit = UINT32_MAX, .selector = 0x10, .type = 11, .s = true, .l = true, .g = true}));
  EXPECT_EQ(
      state.data,
      (Segment{
          .limit = UINT32_MAX, .selector = 0x18, .type = 3, .db = true, .s = true, .g = true}));
}

TEST(X86BootTest, ProtectedModeForPvh) {
  const auto state = state_of(KernelProtocol::kPvh);

  EXPECT_EQ(state.rip, 0x1000200u);
  EXPECT_EQ(state.rbx, 0x6000u);
  EXPECT_EQ(state.rsi, 0u);
  EXPECT_EQ(state.rflags, 2u);
  EXPECT_EQ(state.cr0, 0x11u);
  EXPECT_EQ(state.cr3, 0u);
  EXPECT_EQ(state.cr4, 0u);
  EXPECT_EQ(state.efer, 0u);
  EXPECT_EQ(
      state.code,
      (Segment{
          .limit = UINT32_MAX, .selector = 0x10, .type = 11, .db = true, .s = true, .g = true}));
  EXPECT_EQ(state.task, (Segment{.limit = 0x67, .selector = 0x20, .type = 11}));
}

// The words that every manual has for flat segments.
TEST(X86BootTest, DescriptorsSayWhatTheRegistersHold) {
  const auto state = state_of(KernelProtocol::kLinux64);
  const auto gdt = make_gdt(state);
  EXPECT_EQ(gdt[0], 0u);
  EXPECT_EQ(gdt[state.code.selector / 8], 0x00af'9b00'0000'ffffu);
  EXPECT_EQ(gdt[state.data.selector / 8], 0x00cf'9300'0000'ffffu);
  EXPECT_EQ(gdt[state.task.selector / 8], 0x0000'8b00'0000'0067u);
  EXPECT_EQ(make_gdt(state_of(KernelProtocol::kPvh))[2], 0x00cf'9b00'0000'ffffu);
  EXPECT_EQ(state.gdt, (DescriptorTable{0x500, 47}));
  EXPECT_EQ(state.idt, (DescriptorTable{0, 0}));
}

TEST(X86BootTest, DescriptorsHaveBasesAndPrivileges) {
  auto state = state_of(KernelProtocol::kPvh);
  state.data.base = 0x1234'5678;
  state.data.dpl = 3;
  state.data.present = false;
  EXPECT_EQ(make_gdt(state)[3], 0x12cf'7334'5678'ffffu);
}

/// What a processor makes of an address, by Intel SDM vol. 3 §4.5.
std::uint64_t translate(const MappedMemory& memory, std::uint64_t cr3, std::uint64_t address) {
  const auto entry = [&](std::uint64_t table, unsigned shift) {
    const auto at = table + (address >> shift & 511) * 8;
    const std::uint64_t found = read_object<le64>(memory, GuestAddress(at)).value();
    EXPECT_EQ(found & 3, 3u) << std::hex << address;
    return found;
  };
  const auto pdpt = entry(cr3, 39) & ~std::uint64_t{0xfff};
  const auto directory = entry(pdpt, 30) & ~std::uint64_t{0xfff};
  const auto page = entry(directory, 21);
  EXPECT_EQ(page & 0x80, 0x80u);
  return (page & ~std::uint64_t{0x1f'ffff}) | (address & 0x1f'ffff);
}

TEST(X86BootTest, FourGibibytesAreMappedToThemselves) {
  const auto memory = make_memory(GuestAddress(0), 0x10000);
  const auto state = state_of(KernelProtocol::kLinux64);
  fill(memory, 0xee);
  ASSERT_TRUE(load(memory, state));

  for (std::uint64_t address = 0; address < 0x1'0000'0000; address += 0x1f'f001)
    EXPECT_EQ(translate(memory, state.cr3, address), address);
  EXPECT_EQ(translate(memory, state.cr3, 0xffff'ffff), 0xffff'ffffu);
  EXPECT_EQ(read(memory, 0x9008, 0xff8), Image(0xff8)) << "more than the first 512 GiB";
  EXPECT_EQ(read(memory, 0xa020, 0xfe0), Image(0xfe0)) << "more than 4 GiB";
  EXPECT_EQ(read(memory, 0xf000, 0x1000), Image(0x1000, 0xee));
  EXPECT_EQ(read(memory, 0x600, 0x8a00), Image(0x8a00, 0xee));
}

TEST(X86BootTest, PvhHasNoPageTables) {
  const auto memory = make_memory(GuestAddress(0), 0x10000);
  ASSERT_TRUE(load(memory, state_of(KernelProtocol::kPvh)));
  EXPECT_EQ(number_at(read(memory, 0x500, 0x30), {0x10, 8}), 0x00cf'9b00'0000'ffffu);
  EXPECT_EQ(read(memory, 0x1000, 0xf000), Image(0xf000));
}

TEST(X86BootTest, LoadsNothingUnlessAllIsRam) {
  const auto low = make_memory(GuestAddress(0), 0xe000);
  EXPECT_EQ(load(low, state_of(KernelProtocol::kLinux64)).error().as<MemoryError>(),
            MemoryError::kUnmapped);
  EXPECT_EQ(read(low, 0, 0xe000), Image(0xe000));
  const auto high = make_memory(GuestAddress(0x1000), 0x10000);
  EXPECT_EQ(load(high, state_of(KernelProtocol::kPvh)).error().as<MemoryError>(),
            MemoryError::kUnmapped);
}

TEST(X86BootDeathTest, KnowsNoProtocolOfOtherMachines) {
  EXPECT_DEATH((void)state_of(KernelProtocol::kArm64), "kArm64");
}

}  // namespace
}  // namespace guestproof::loader::x86
