#include "vmm/x86_64/kernel.h"

#include <gtest/gtest.h>

#include "guestproof/base/endian.h"
#include "guestproof/loader/boot_params.h"
#include "guestproof/loader/pvh.h"
#include "guestproof/testing/model/kernel_images.h"
#include "scratch.h"
#include "vmm/guest_ram.h"

namespace guestproof::vmm::x86_64 {
namespace {

namespace images = guestproof::testing;
namespace x86 = loader::x86;

/// What ACPI's tables are said to be.
constexpr GuestAddress kRsdp{0xe0000};

class KernelTest : public ::testing::Test {
 protected:
  KernelTest() {
    config.memory_mib = 64;
    config.kernel.cmdline = "console=ttyS0";
  }

  std::string file(const char* name, std::span<const std::uint8_t> bytes) {
    return scratch.file(name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  x86::BootState load() {
    const auto state = load_kernel(config, memory, kRsdp);
    EXPECT_TRUE(state) << state.error().sentence;
    return state.value_or(x86::BootState{});
  }
  std::string complaint() {
    const auto state = load_kernel(config, memory, kRsdp);
    EXPECT_FALSE(state);
    if (state) return "";
    EXPECT_EQ(state.error().code, ExitCode::kSetup);
    return state.error().sentence;
  }
  template <class T>
  T object(GuestAddress at) {
    return read_object<T>(memory, at).value();
  }
  /// What a processor that reloads CS finds in the descriptor table.
  std::uint64_t code_descriptor() { return object<std::array<le64, 6>>(x86::kGdt.base)[2]; }
  std::string text(GuestAddress at) {
    std::string out;
    for (char each; (each = object<char>(GuestAddress(at.raw() + out.size()))) != 0;) out += each;
    return out;
  }

  Scratch scratch;
  Config config;
  MappedMemory memory =
      MappedMemory::Builder().anonymous(GuestAddress(0), 64 << 20).build().value();
};

TEST_F(KernelTest, ABzImageIsEnteredInLongModeWithItsZeroPage) {
  config.kernel.path = file("kernel", images::bzimage_image::make());
  const auto state = load();
  EXPECT_EQ(state.rsi, x86::kZeroPage.base.raw());
  EXPECT_NE(state.efer & x86::kEferLma, 0u);
  EXPECT_EQ(code_descriptor(), 0x00af'9b00'0000'ffffu);
  const auto params = object<loader::BootParams>(x86::kZeroPage.base);
  EXPECT_EQ(params.acpi_rsdp_addr, kRsdp.raw());
  EXPECT_EQ(params.hdr.cmd_line_ptr, x86::kCmdline.base.raw());
  EXPECT_EQ(params.hdr.ramdisk_size, 0u);
  EXPECT_EQ(params.e820_entries, 3);
  EXPECT_EQ(text(x86::kCmdline.base), "reboot=k panic=-1 console=ttyS0");
}

TEST_F(KernelTest, ABzImageGoesWhereItIsToldTo) {
  config.kernel.path = file("kernel", images::bzimage_image::make());
  config.kernel.load_address = 0x200000;
  EXPECT_EQ(load().rip, 0x200200u);
}

// Was refused for being loaded below 1 MiB.
TEST_F(KernelTest, ABzImageThatPrefersNothingGoesToOneMebibyte) {
  auto image = images::bzimage_image::make();
  images::put(image, images::bzimage_image::pref_address, 0);
  config.kernel.path = file("kernel", image);
  EXPECT_EQ(load().rip, 0x100200u);
}

TEST_F(KernelTest, AnElfKernelIsEnteredByPvh) {
  config.kernel.path = file("kernel", images::elf_image::make());
  const auto state = load();
  EXPECT_EQ(state.rip, images::elf_image::kPvhAddress);
  EXPECT_EQ(state.rbx, x86::kStartInfo.base.raw());
  EXPECT_EQ(state.cr0 & x86::kCr0Pg, 0u);
  EXPECT_EQ(code_descriptor(), 0x00cf'9b00'0000'ffffu);
  const auto info = object<loader::HvmStartInfo>(x86::kStartInfo.base);
  EXPECT_EQ(info.rsdp_paddr, kRsdp.raw());
  EXPECT_EQ(info.cmdline_paddr, x86::kCmdline.base.raw());
  EXPECT_EQ(info.nr_modules, 0u);
  EXPECT_EQ(info.memmap_entries, 3u);
}

TEST_F(KernelTest, AnElfKernelMayNotGoBelowItsLoadAddress) {
  config.kernel.path = file("kernel", images::elf_image::make());
  config.kernel.load_address = 0x100000;
  static_cast<void>(load());
  config.kernel.load_address = 0x100001;
  EXPECT_EQ(complaint(), "--kernel: '" + config.kernel.path +
                             "' is loaded at 0x100000, below kernel_load_addr=0x100001.");
}

TEST_F(KernelTest, AnInitrdIsPutAtTheEndOfMemoryAndAnnounced) {
  const std::vector<std::uint8_t> initrd(5000, 0x5a);
  config.initrd = file("initrd", initrd);
  config.kernel.path = file("kernel", images::bzimage_image::make());
  static_cast<void>(load());
  const auto params = object<loader::BootParams>(x86::kZeroPage.base);
  EXPECT_EQ(params.hdr.ramdisk_image, (64u << 20) - 8192);
  EXPECT_EQ(params.hdr.ramdisk_size, 5000u);
  EXPECT_EQ(object<std::uint8_t>(GuestAddress((64 << 20) - 8192 + 4999)), 0x5a);
}

TEST_F(KernelTest, AnInitrdIsAModuleOfAnElfKernel) {
  config.initrd = file("initrd", std::vector<std::uint8_t>(5000, 0x5a));
  config.kernel.path = file("kernel", images::elf_image::make());
  static_cast<void>(load());
  const auto info = object<loader::HvmStartInfo>(x86::kStartInfo.base);
  EXPECT_EQ(info.nr_modules, 1u);
  const auto initrd = object<loader::HvmModlistEntry>(GuestAddress(info.modlist_paddr));
  EXPECT_EQ(initrd.paddr, (64u << 20) - 8192);
  EXPECT_EQ(initrd.size, 5000u);
  EXPECT_EQ(object<std::uint8_t>(GuestAddress((64 << 20) - 8192 + 4999)), 0x5a);
}

TEST_F(KernelTest, EachComplaintNamesItsFile) {
  config.kernel.path = scratch.path("none");
  EXPECT_EQ(complaint(),
            "--kernel: cannot open '" + config.kernel.path + "': No such file or directory.");
  config.kernel.path = file("kernel", std::vector<std::uint8_t>(4096, 7));
  EXPECT_TRUE(complaint().starts_with("--kernel: '" + config.kernel.path + "': "));
  const std::vector<std::uint8_t> magic{0x7f, 'E', 'L', 'F'};
  config.kernel.path = file("kernel", magic);
  EXPECT_TRUE(complaint().starts_with("--kernel: '" + config.kernel.path + "': "));
  config.kernel.path = file("kernel", images::bzimage_image::make());
  config.kernel.load_address = 0x4000000;
  EXPECT_TRUE(complaint().starts_with("--kernel: '" + config.kernel.path + "': "));
  config.kernel.load_address.reset();
  config.initrd = scratch.path("none");
  EXPECT_EQ(complaint(),
            "--initrd: cannot open '" + config.initrd + "': No such file or directory.");
  config.initrd = file("initrd", std::vector<std::uint8_t>(63 << 20));
  EXPECT_TRUE(complaint().starts_with("--initrd: '" + config.initrd + "': ")) << complaint();
  config.initrd.clear();
  config.kernel.cmdline = std::string(4096, 'x');
  EXPECT_TRUE(complaint().starts_with("--kernel: cmdline=: ")) << complaint();
}

}  // namespace
}  // namespace guestproof::vmm::x86_64
