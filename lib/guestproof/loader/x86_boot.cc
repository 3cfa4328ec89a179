#include "guestproof/loader/x86_boot.h"

#include "guestproof/base/invariant.h"

namespace guestproof::loader::x86 {
namespace {

constexpr std::uint16_t kCodeSelector = 0x10, kDataSelector = 0x18, kTaskSelector = 0x20;

/// Intel SDM vol. 3 tables 3-1 and 3-2: accessed, and busy, as a processor that runs has them.
constexpr std::uint8_t kReadExecute = 0xb, kReadWrite = 0x3, kBusyTask = 0xb;

constexpr Segment flat(std::uint16_t selector, std::uint8_t type, bool long_mode) {
  return {.limit = UINT32_MAX,
          .selector = selector,
          .type = type,
          .db = !long_mode,
          .s = true,
          .l = long_mode,
          .g = true};
}

std::uint64_t descriptor(const Segment& segment) {
  const std::uint64_t limit = segment.g ? segment.limit >> 12 : segment.limit;
  const std::uint64_t access = segment.type | (segment.s ? 1U << 4 : 0) |
                               unsigned{segment.dpl} << 5 | (segment.present ? 1U << 7 : 0);
  const std::uint64_t flags =
      (segment.l ? 1U << 1 : 0) | (segment.db ? 1U << 2 : 0) | (segment.g ? 1U << 3 : 0);
  return (limit & 0xffff) | (segment.base & 0xff'ffff) << 16 | access << 40 |
         (limit >> 16 & 0xf) << 48 | flags << 52 | (segment.base >> 24 & 0xff) << 56;
}

}  // namespace

BootState boot_state(const LoadedKernel& kernel) {
  GUESTPROOF_INVARIANT(kernel.protocol != KernelProtocol::kArm64);
  const bool long_mode = kernel.protocol == KernelProtocol::kLinux64;
  BootState state;
  state.rip = kernel.entry.raw();
  state.rflags = kRflagsReserved;
  state.cr0 = kCr0Pe | kCr0Et;
  state.code = flat(kCodeSelector, kReadExecute, long_mode);
  state.data = flat(kDataSelector, kReadWrite, false);
  // As the PVH specification has it; nobody switches tasks.
  state.task = {.limit = 0x67, .selector = kTaskSelector, .type = kBusyTask};
  state.gdt = {kGdt.base.raw(), sizeof(make_gdt(state)) - 1};
  if (long_mode) {
    state.cr0 |= kCr0Pg;
    state.cr3 = kPageTables.base.raw();
    state.cr4 = kCr4Pae;
    state.efer = kEferLme | kEferLma;
    state.rsp = kBootStack.base.raw() + kBootStack.size;
    state.rsi = kZeroPage.base.raw();
  } else {
    state.rbx = kStartInfo.base.raw();
  }
  return state;
}

std::array<le64, 6> make_gdt(const BootState& state) {
  return {0, 0, descriptor(state.code), descriptor(state.data), descriptor(state.task), 0};
}

void fill_page_tables(PageTables& tables) {
  constexpr std::uint64_t kPresentWritable = 3, kLargePage = 1 << 7, kPage = 4096;
  const auto page = [](std::size_t number) {
    return kPageTables.base.raw() + number * kPage + kPresentWritable;
  };
  tables = {};
  tables[0][0] = page(1);
  for (std::size_t directory = 0; directory < 4; ++directory) {
    tables[1][directory] = page(2 + directory);
    for (std::size_t entry = 0; entry < 512; ++entry)
      tables[2 + directory][entry] = std::uint64_t{directory} << 30 | std::uint64_t{entry} << 21 |
                                     kPresentWritable | kLargePage;
  }
}

}  // namespace guestproof::loader::x86
