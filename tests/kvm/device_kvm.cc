// Devices inside KVM, and their attributes.
#include <errno.h>

#include "kvm/guest.h"

namespace guestproof::kvm {
namespace {

class DeviceKvm : public GuestTest {};

TEST_F(DeviceKvm, ADeviceThatThereIsNotIsRefused) {
  EXPECT_TRUE(refused(vm.create_device(0x7fffffff), Ioctl::kCreateDevice, ENODEV));
  EXPECT_TRUE(refused(vm.test_device(0x7fffffff), Ioctl::kCreateDevice, ENODEV));
}

#if defined(__x86_64__)
TEST_F(DeviceKvm, VfiosSideOfKvmTakesGroups) {
  GUESTPROOF_REQUIRE(vm.test_device(KVM_DEV_TYPE_VFIO).has_value(), "KVM_DEV_TYPE_VFIO");
  const auto device = value_of(vm.create_device(KVM_DEV_TYPE_VFIO));
  const Attribute add{KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD};
  EXPECT_OK(device.has(add));
  EXPECT_FALSE(device.set(add, std::int32_t{-1}).has_value());
  EXPECT_EQ(device.set(add, std::int32_t{-1}).error().name(), "kvm.KVM_SET_DEVICE_ATTR");
}
#elif defined(__aarch64__)
class GicKvm : public DeviceKvm {
 protected:
  void SetUp() override {
    GUESTPROOF_REQUIRE(vm.test_device(KVM_DEV_TYPE_ARM_VGIC_V3).has_value(),
                       "KVM_DEV_TYPE_ARM_VGIC_V3");
    boot(Program().done());
    gic.emplace(value_of(vm.create_device(KVM_DEV_TYPE_ARM_VGIC_V3)));
  }
  void initialise() {
    const Attribute address{KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST};
    ASSERT_OK(gic->set(address, std::uint64_t{0x08000000}));
    const Attribute redistributors{KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST};
    ASSERT_OK(gic->set(redistributors, std::uint64_t{0x080a0000}));
    ASSERT_OK(gic->set({KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0}, std::uint32_t{64}));
    ASSERT_OK(gic->set({KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT}));
  }
  /// GICD_ISPENDR1: pending interrupts 32 to 63.
  [[nodiscard]] std::uint32_t pending() const {
    return value_of(gic->get<std::uint32_t>({KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x204}));
  }
  std::optional<Device> gic;
};

TEST_F(GicKvm, AttributesThatThereAreAreSaidToBe) {
  EXPECT_OK(gic->has({KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST}));
  EXPECT_TRUE(refused(gic->has({99, 0}), Ioctl::kHasDeviceAttr, ENXIO));
}

TEST_F(GicKvm, ALineThatWasRaisedIsPending) {
  initialise();
  constexpr std::uint32_t kSpi = 1U << KVM_ARM_IRQ_TYPE_SHIFT;
  EXPECT_EQ(pending(), 0U);
  ASSERT_OK(vm.set_irq_line(kSpi | 33, true));
  EXPECT_EQ(pending(), 2U);
}

TEST_F(GicKvm, AnEventfdRaisesALine) {
  GUESTPROOF_REQUIRE(has(Capability::kIrqfd), "KVM_CAP_IRQFD");
  initialise();
  const auto event = value_of(EventFd::create());
  ASSERT_OK(vm.register_irqfd(event, 3));
  event.notify();
  // Shared interrupts begin at 32; an edge is latched until the guest takes it.
  EXPECT_TRUE(eventually([&] { return (pending() & 8) != 0; }));
  EXPECT_OK(vm.unregister_irqfd(event, 3));
}

TEST_F(GicKvm, TheTimersInterruptIsAnAttributeOfTheVcpu) {
  const Attribute timer{KVM_ARM_VCPU_TIMER_CTRL, KVM_ARM_VCPU_TIMER_IRQ_VTIMER};
  ASSERT_OK(vcpu->has(timer));
  EXPECT_EQ(value_of(vcpu->get<std::int32_t>(timer)), 27);
  ASSERT_OK(vcpu->set(timer, std::int32_t{26}));
  EXPECT_EQ(value_of(vcpu->get<std::int32_t>(timer)), 26);
}
#endif

}  // namespace
}  // namespace guestproof::kvm
