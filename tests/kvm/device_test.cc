#include "guestproof/kvm/device.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include "kvm/fake_kvm.h"
#include "print.h"

namespace guestproof::kvm {
namespace {

constexpr unsigned long kSetDeviceAttr = 0x4018AEE1;
constexpr unsigned long kGetDeviceAttr = 0x4018AEE2;
constexpr unsigned long kHasDeviceAttr = 0x4018AEE3;

constexpr Attribute kAttribute{.group = 3, .number = 0x1122334455667788, .flags = 7};

/// struct kvm_device_attr: flags, group, attr, addr.
Wire attribute_with_pointer() { return Wire().u32(7).u32(3).u64(0x1122334455667788).pointer(); }
Wire attribute_without_pointer() { return Wire().u32(7).u32(3).u64(0x1122334455667788).u64(0); }

/// What stands at the attribute's address, as a number.
std::uint32_t& value_at(std::byte* argument) {
  std::uint64_t address = 0;
  std::memcpy(&address, argument + 16, sizeof address);
  return *reinterpret_cast<std::uint32_t*>(address);
}

class DeviceTest : public testing::Test {
 protected:
  FakeKvm kernel_;
  Device device_ = Device::adopt(memory_file(0));
};

TEST_F(DeviceTest, HasAskedForAnAttribute) {
  kernel_.expect(device_.fd(), kHasDeviceAttr, attribute_without_pointer());
  EXPECT_TRUE(device_.has(kAttribute).has_value());
  kernel_.expect(device_.fd(), kHasDeviceAttr).fails(ENXIO);
  EXPECT_EQ(device_.has(kAttribute).error(), Error(Ioctl::kHasDeviceAttr, ENXIO));
}

TEST_F(DeviceTest, SetLetsTheKernelReadTheValue) {
  std::uint32_t seen = 0;
  kernel_.expect(device_.fd(), kSetDeviceAttr, attribute_with_pointer())
      .does([&](std::byte* argument) { seen = value_at(argument); });
  EXPECT_TRUE(device_.set(kAttribute, std::uint32_t{0xcafe}).has_value());
  EXPECT_EQ(seen, 0xcafeU);
  kernel_.expect(device_.fd(), kSetDeviceAttr).fails(EBUSY);
  EXPECT_EQ(device_.set(kAttribute, std::uint32_t{1}).error(), Error(Ioctl::kSetDeviceAttr, EBUSY));
}

TEST_F(DeviceTest, AnOrderCarriesNoValue) {
  kernel_.expect(device_.fd(), kSetDeviceAttr, attribute_without_pointer());
  EXPECT_TRUE(device_.set(kAttribute).has_value());
  kernel_.expect(device_.fd(), kSetDeviceAttr).fails(EINVAL);
  EXPECT_EQ(device_.set(kAttribute).error(), Error(Ioctl::kSetDeviceAttr, EINVAL));
}

TEST_F(DeviceTest, GetShowsTheKernelTheQuestionAndHandsOutItsAnswer) {
  std::uint32_t question = 0;
  kernel_.expect(device_.fd(), kGetDeviceAttr, attribute_with_pointer())
      .does([&](std::byte* argument) {
        question = value_at(argument);
        value_at(argument) = 0xf00d;
      });
  EXPECT_EQ(device_.get(kAttribute, std::uint32_t{0xcafe}), 0xf00dU);
  EXPECT_EQ(question, 0xcafeU);
  kernel_.expect(device_.fd(), kGetDeviceAttr).fails(ENXIO);
  EXPECT_EQ(device_.get<std::uint32_t>(kAttribute).error(), Error(Ioctl::kGetDeviceAttr, ENXIO));
}

TEST_F(DeviceTest, AMovedDeviceTakesTheDescriptorAlong) {
  const int raw = device_.fd();
  const Device moved = std::move(device_);
  EXPECT_EQ(moved.fd(), raw);
  EXPECT_EQ(device_.fd(), -1);  // NOLINT(bugprone-use-after-move): it owns nothing now
}

TEST_F(DeviceTest, AReleasedDescriptorStaysOpen) {
  const int raw = device_.fd();
  const Fd released = std::move(device_).release();
  EXPECT_EQ(released.get(), raw);
  EXPECT_EQ(device_.fd(), -1);  // NOLINT(bugprone-use-after-move): it owns nothing now
  EXPECT_NE(::fcntl(raw, F_GETFD), -1);
}

}  // namespace
}  // namespace guestproof::kvm
