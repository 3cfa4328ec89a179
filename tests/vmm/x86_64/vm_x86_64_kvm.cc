// What becomes of an x86 machine whose kernel is a few instructions.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "guestproof/testing/model/kernel_images.h"
#include "vmm/vm_fixture.h"

namespace guestproof::vmm::x86_64 {
namespace {

namespace bzimage = guestproof::testing::bzimage_image;

class VmTest : public VmFixture {
 protected:
  /// A kernel that does this in long mode.
  void set_code(std::initializer_list<std::uint8_t> code) {
    constexpr std::size_t kEntry = bzimage::kKernel + 0x200;
    auto image = bzimage::make();
    ASSERT_LE(kEntry + code.size(), bzimage::kKernel + bzimage::kPayload);
    std::ranges::copy(code, image.begin() + kEntry);
    set_kernel(image);
  }
  End run(std::initializer_list<std::uint8_t> code) {
    set_code(code);
    return VmFixture::run();
  }
};

/// Standard output, in a file for as long as this lives.
class Captured {
 public:
  explicit Captured(const std::string& path) : before_(::dup(STDOUT_FILENO)) {
    const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    EXPECT_EQ(::dup2(file.get(), STDOUT_FILENO), STDOUT_FILENO);
  }
  ~Captured() { ::dup2(before_.get(), STDOUT_FILENO); }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;

 private:
  Fd before_;
};

TEST_F(VmTest, PowersOff) {
  const auto end = run({0x66, 0xba, 0x01, 0x06,  // mov dx, 0x601: ACPI's sleep control register
                        0xb0, 0x34,              // mov al, S5 and SLP_EN
                        0xee});                  // out dx, al
  EXPECT_EQ(end.code, ExitCode::kPowerOff);
  EXPECT_EQ(end.sentence, "");
}

TEST_F(VmTest, IsResetByAcpiAndByTheKeyboardController) {
  EXPECT_EQ(run({0x66, 0xba, 0x00, 0x06,  // mov dx, 0x600: ACPI's reset register
                 0xb0, 0x01,              // mov al, 1
                 0xee})                   // out dx, al
                .code,
            ExitCode::kReset);
  EXPECT_EQ(run({0xb0, 0xfe,   // mov al, pulse the reset line
                 0xe6, 0x64})  // out 0x64, al
                .code,
            ExitCode::kReset);
}

TEST_F(VmTest, SaysThatTheGuestPanicked) {
  EXPECT_EQ(run({0x66, 0xba, 0x05, 0x05,  // mov dx, 0x505: pvpanic
                 0xb0, 0x01,              // mov al, 1
                 0xee})                   // out dx, al
                .code,
            ExitCode::kPanic);
}

TEST_F(VmTest, TellsATripleFault) {
  const auto end = run({0x0f, 0x0b});  // ud2, and there is no handler
  EXPECT_EQ(end.code, ExitCode::kTripleFault);
  EXPECT_EQ(end.sentence, "vCPU 0: triple fault");
}

TEST_F(VmTest, NamesTheInstructionThatKvmCannotExecute) {
  const auto end = run({0xb8, 0x00, 0x00, 0x00, 0xd8,  // mov eax, 0xd8000000, where nothing is
                        0xdb, 0x28});                  // fld tbyte [rax]
  EXPECT_EQ(end.code, ExitCode::kEmulation);
  EXPECT_TRUE(end.sentence.starts_with("vCPU 0: KVM cannot execute the instruction db 28"))
      << end.sentence;
  EXPECT_TRUE(end.sentence.ends_with(", at rip 0x100205")) << end.sentence;
}

TEST_F(VmTest, ManyBytesOfOneInstructionAreSent) {
  {
    const Captured captured(scratch.path("out"));
    const auto end = run({0x66, 0xba, 0xf8, 0x03,                    // mov dx, 0x3f8: COM1
                          0x48, 0x8d, 0x35, 0x10, 0x00, 0x00, 0x00,  // lea rsi, [text]
                          0xb9, 0x05, 0x00, 0x00, 0x00,              // mov ecx, 5
                          0xfc, 0xf3, 0x6e,                          // cld; rep outsb
                          0x66, 0xba, 0x01, 0x06, 0xb0, 0x34, 0xee,  // power off
                          0xf4,                                      // hlt
                          'h',  'e',  'l',  'l',  'o'});
    EXPECT_EQ(end.code, ExitCode::kPowerOff) << end.sentence;
  }
  EXPECT_EQ(contents(scratch.path("out")), "hello");
}

TEST_F(VmTest, IsStoppedByAnotherThread) {
  set_code({0xeb, 0xfe});  // jmp to itself
  config.vcpus = 2;
  const auto vm = create();
  ASSERT_TRUE(vm);
  std::thread other([&] {
    EXPECT_TRUE(vm->press_power_button());  // nobody listens
    vm->stop({ExitCode::kStopped, "enough"});
  });
  const auto end = vm->run();
  other.join();
  EXPECT_EQ(end.code, ExitCode::kStopped);
  EXPECT_EQ(end.sentence, "enough");
}

}  // namespace
}  // namespace guestproof::vmm::x86_64
