// What becomes of an Arm machine whose kernel is a few instructions.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "guestproof/kvm/kvm.h"
#include "guestproof/testing/model/kernel_images.h"
#include "vmm/aarch64/vcpu.h"
#include "vmm/vm_fixture.h"

namespace guestproof::vmm::aarch64 {
namespace {

namespace arm64_image = guestproof::testing::arm64_image;

class ArmVmTest : public VmFixture {
 protected:
  /// A kernel that does this, without an MMU, and then nothing.
  void set_code(std::vector<std::uint32_t> code) {
    constexpr std::size_t kHeader = 64;
    auto image = arm64_image::make();
    const std::uint32_t over_the_header = 0x14000000 | kHeader / 4;  // b
    std::memcpy(image.data(), &over_the_header, 4);
    code.push_back(0x14000000);  // b to itself
    ASSERT_LE(kHeader + 4 * code.size(), image.size());
    std::memcpy(image.data() + kHeader, code.data(), 4 * code.size());
    set_kernel(image);
  }
  End run(std::vector<std::uint32_t> code) {
    set_code(std::move(code));
    return VmFixture::run();
  }
};

TEST_F(ArmVmTest, PowersOffAndIsResetByPsci) {
  const auto off = run({0x52b08000, 0x72800100,  // mov w0, #0x84000008: SYSTEM_OFF
                        0xd4000002});            // hvc #0
  EXPECT_EQ(off.code, ExitCode::kPowerOff);
  EXPECT_EQ(off.sentence, "");
  const auto reset = run({0x52b08000, 0x72800120,  // mov w0, #0x84000009: SYSTEM_RESET
                          0xd4000002});            // hvc #0
  EXPECT_EQ(reset.code, ExitCode::kReset);
  EXPECT_EQ(reset.sentence, "");
}

TEST_F(ArmVmTest, SaysThatTheGuestPanicked) {
  EXPECT_EQ(run({0xd2a80201, 0xf2840001,  // mov x1, #0x40102000: pvpanic
                 0x52800022,              // mov w2, #1
                 0x39000022})             // strb w2, [x1]
                .code,
            ExitCode::kPanic);
}

// The processor does not say what such a one does where there is no memory.
TEST_F(ArmVmTest, NamesTheInstructionThatKvmCannotTakeApart) {
  const auto end = run({0xd2aa0001,    // mov x1, #0x50000000
                        0xb8004422});  // str w2, [x1], #4
  EXPECT_EQ(end.code, ExitCode::kEmulation);
  EXPECT_TRUE(end.sentence.starts_with("vCPU 0: nobody knows how 0x50000000 was accessed"))
      << end.sentence;
  EXPECT_TRUE(end.sentence.ends_with(", by the instruction 22 44 00 b8, at pc 0x80001044"))
      << end.sentence;
}

TEST_F(ArmVmTest, IsStoppedByAnotherThread) {
  set_code({});
  config.vcpus = 2;
  const auto vm = create();
  ASSERT_TRUE(vm);
  std::thread other([&] {
    EXPECT_FALSE(vm->press_power_button());
    vm->stop({ExitCode::kStopped, "enough"});
  });
  const auto end = vm->run();
  other.join();
  EXPECT_EQ(end.code, ExitCode::kStopped);
  EXPECT_EQ(end.sentence, "enough");
}

TEST_F(ArmVmTest, HasAsManyProcessorsAsThereMayBe) {
  config.vcpus = kMaxVcpus;
  EXPECT_EQ(run({0x52b08000, 0x72800100, 0xd4000002}).code, ExitCode::kPowerOff);
}

TEST(ArmVcpus, AreToldApartByTheirAffinities) {
  const auto kvm = kvm::Kvm::open();
  ASSERT_TRUE(kvm) << kvm.error().message();
  const auto vm = kvm->create_vm();
  ASSERT_TRUE(vm) << vm.error().message();
  const auto vcpus = make_vcpus(*vm, 18);
  ASSERT_TRUE(vcpus) << vcpus.error().message();
  const auto all = affinities(*vcpus).value();
  ASSERT_EQ(all.size(), 18u);
  EXPECT_EQ(all[1], 1u);
  EXPECT_EQ(all[15], 15u);
  EXPECT_EQ(all[17], 0x101u);
}

}  // namespace
}  // namespace guestproof::vmm::aarch64
