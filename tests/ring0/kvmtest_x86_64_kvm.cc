// The examples of kvmtest (rust-x86's x86test), as they are written here.

#include "guestproof/ring0/test.h"

namespace guestproof::ring0 {
namespace {

// #[x86test(ioport(0x1, 0xfe))] fn check_inw_port_read: `inw` gives what the host offers.
RING0_TEST(Kvmtest, CheckInwPortRead, port(0x1).reads(0xfe)) {
  K_ASSERT_EQ(inw(0x1), 0xfe) << "`inw` instruction didn't read the correct value";
}

// #[x86test(ioport(0x1, 0xfe))] fn use_the_port: what is written has to be that, too.
RING0_TEST(Kvmtest, UseThePort, port(0x1).reads(0xfe).expects(0xfe)) {
  K_ASSERT_TRUE(inw(0x1) == 0xfe) << "`inw` instruction didn't read the correct value";
  outw(0x1, 0xfe);
}

// #[x86test(ram(0x30000000, 0x31000000))] fn print_works
RING0_TEST(Kvmtest, PrintWorks, ram(0x30000000, 0x1000000)) {
  kprintf("sprint!, ");
  kprintf("sprintln! works\n");
  *phys<std::uint32_t>(0x30000000) = 0x1234;
  *phys<std::uint32_t>(0x30fffffc) = 0x5678;
  K_EXPECT_EQ(*phys<std::uint32_t>(0x30000000), 0x1234U);
  K_EXPECT_EQ(*phys<std::uint32_t>(0x30fffffc), 0x5678U);
}

// #[x86test] #[should_panic] fn panic_test
RING0_TEST(Kvmtest, PanicTest, expect_failure("failed")) { K_FAIL() << "failed"; }

// #[x86test(should_halt)]
RING0_TEST(Kvmtest, ShouldHalt, expect_halt()) { hlt(); }

// What the crate's own tests do in ring 0 besides: model-specific and control registers, the time
// stamp counter, descriptor tables, random numbers.

RING0_TEST(Kvmtest, ControlRegisters) {
  K_EXPECT_EQ(read_cr0() & 0x80000001, 0x80000001U) << "PG, PE";
  K_EXPECT_EQ(read_cr3() & 0xfff, 0U);
  K_EXPECT_NE(read_cr3(), 0U);
  K_EXPECT_EQ(read_cr4() & 0x20, 0x20U) << "PAE";
  write_cr2(0x1234);
  K_EXPECT_EQ(read_cr2(), 0x1234U);
  write_cr8(5);
  K_EXPECT_EQ(read_cr8(), 5U);
}

RING0_TEST(Kvmtest, DescriptorTables) {
  const auto before = sidt();
  DescriptorTable other{15, 0x1000};
  lidt(other);
  K_EXPECT_EQ(sidt().limit, 15);
  K_EXPECT_EQ(sidt().base, 0x1000U);
  lidt(before);
  lgdt(sgdt());
  K_EXPECT_EQ(sidt().base, before.base);
}

RING0_TEST(Kvmtest, ModelSpecificRegisters) {
  constexpr std::uint32_t kEfer = 0xc0000080, kFsBase = 0xc0000100, kKernelGsBase = 0xc0000102;
  K_EXPECT_EQ(rdmsr(kEfer) & 0xd00, 0xd00U) << "NXE, LMA, LME";
  K_EXPECT_EQ(rdmsr(kFsBase), thread_pointer());
  wrmsr(kKernelGsBase, 0xffff'8000'1234'5678);
  K_EXPECT_EQ(rdmsr(kKernelGsBase), 0xffff'8000'1234'5678U);
}

RING0_TEST(Kvmtest, TimeStampCounterRuns) {
  const auto before = rdtsc();
  while (rdtsc() == before) {
  }
  K_EXPECT_GT(rdtsc(), before);
}

}  // namespace
}  // namespace guestproof::ring0
