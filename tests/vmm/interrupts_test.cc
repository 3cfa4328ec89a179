#include "vmm/interrupts.h"

#include <gtest/gtest.h>

#include "kvm/fake_kvm.h"
#include "vmm/layout.h"

namespace guestproof::vmm {
namespace {

using kvm::Wire;

constexpr unsigned long kIrqLine = 0x4008AE61;
constexpr unsigned long kSignalMsi = 0x4020AEA5;

class InterruptsTest : public testing::Test {
 protected:
  /// The next call sets the input to this level; any other that comes fails the test.
  void expect_level(std::uint32_t gsi, bool level) {
    kernel.expect(vm.fd(), kIrqLine, Wire().u32(layout::irq_line(gsi)).u32(level))
        .does([this](std::byte*) { ++calls; });
  }

  kvm::FakeKvm kernel;
  kvm::Vm vm = kvm::Vm::adopt(kvm::memory_file(0), 4096);
  int calls = 0;
};

TEST_F(InterruptsTest, ASharedInputIsHighWhileOneOfItsDevicesIs) {
  SharedGsi gsi(vm, 5);
  GsiLine first(gsi), second(gsi);
  expect_level(5, true);
  first.set(true);
  EXPECT_EQ(calls, 1);
  second.set(true);
  first.set(false);
  expect_level(5, false);
  second.set(false);
  EXPECT_EQ(calls, 2);
}

TEST_F(InterruptsTest, ADeviceCountsOnceHoweverOftenItSaysSo) {
  SharedGsi gsi(vm, 5);
  GsiLine first(gsi), second(gsi);
  first.set(false);
  expect_level(5, true);
  first.set(true);
  first.set(true);
  EXPECT_EQ(calls, 1);
  expect_level(5, false);
  first.set(false);
  EXPECT_EQ(calls, 2);
  first.set(false);
  expect_level(5, true);
  second.set(true);
  EXPECT_EQ(calls, 3);
}

TEST_F(InterruptsTest, AnInputOfItsOwnFollowsItsDevice) {
  OwnGsi line(vm, 4);
  expect_level(4, true);
  line.set(true);
  EXPECT_EQ(calls, 1);
  expect_level(4, false);
  line.set(false);
  EXPECT_EQ(calls, 2);
}

TEST_F(InterruptsTest, AMessageIsDeliveredWhole) {
  MsiRoute route(vm);
  // Both halves of the address, the data, flags, a device's number, padding.
  kernel.expect(vm.fd(), kSignalMsi,
                Wire().u32(0xfee01000).u32(0x100).u32(0x4041).u32(0).u32(0).zeros(12));
  route.deliver({.address = 0x100'fee0'1000, .data = 0x4041});
}

}  // namespace
}  // namespace guestproof::vmm
