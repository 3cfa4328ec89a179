// Accesses of a guest allocate nothing, whatever they are.
#include <gtest/gtest.h>

#include "count_allocations.h"
#include "guestproof/pci/bus.h"

namespace guestproof::pci {
namespace {

/// Nobody who notes anything.
class Nobody : public FunctionOwner, public MsiSink, public BarObserver, public IntxSink {
 public:
  Result<void> read_bar(unsigned, std::uint64_t, std::span<std::byte>) override { return {}; }
  Result<void> write_bar(unsigned, std::uint64_t, std::span<const std::byte>) override {
    return {};
  }
  Result<void> read_window(unsigned, std::span<std::byte>) override { return {}; }
  Result<void> write_window(unsigned, std::span<const std::byte>) override { return {}; }
  void bus_master_changed(bool) override {}
  void deliver(const MsiMessage&) override {}
  void unmapped(Slot, unsigned, const BarRange&) override {}
  void mapped(Slot, unsigned, const BarRange&) override { ++mappings; }
  void set_level(unsigned, bool) override {}
  int mappings = 0;
};

ConfigSpace config() {
  ConfigSpace::Builder builder({.vendor = 0x1af4, .device = 0x1042});
  EXPECT_TRUE(builder.set_interrupt_pin(1));
  EXPECT_TRUE(builder.add_bar(0, {BarKind::kMemory32, 0x1000}));
  EXPECT_TRUE(builder.add_bar(1, {BarKind::kMemory32, 0x1000}));
  EXPECT_TRUE(builder.add_msix({2, 1, 0, 1, 0x800}));
  return builder.build();
}

TEST(PciAllocationTest, AccessesOfAGuestAllocateNothing) {
  Nobody nobody;
  Function first(config(), nobody, nobody), second(config(), nobody, nobody);
  auto bus =
      Bus::create({.memory = {{{0xe000'0000, 0x10'0000}, {}}}, .io = {}}, nobody, nobody).value();
  ASSERT_TRUE(bus.add({1, 0}, first));
  ASSERT_TRUE(bus.add({2, 0}, second));

  const auto before = allocations;
  std::array<std::byte, 4> data;
  for (const std::uint64_t slot : {0x8000, 0x10000}) {
    for (std::uint64_t at = 0; at < 0x100; at += 4) {
      store(data, at == kCommand ? 7 : 0xe000'0000 + 0x1000 * at + slot);
      static_cast<void>(bus.write_ecam(slot + at, data));
      static_cast<void>(bus.read_ecam(slot + at, data));
    }
    for (std::uint64_t address = 0xe000'0000; address < 0xe010'0000; address += 0x400) {
      static_cast<void>(bus.write(false, address, data));
      static_cast<void>(bus.read(false, address, data));
    }
  }
  store(data, 0x8000'0800);
  static_cast<void>(bus.write_port(0xcf8, data));
  static_cast<void>(bus.read_port(0xcfc, data));
  static_cast<void>(first.raise(1));
  EXPECT_EQ(allocations, before);
  EXPECT_GT(nobody.mappings, 0);
}

}  // namespace
}  // namespace guestproof::pci
