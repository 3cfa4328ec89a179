#include "vmm/aarch64/kernel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "guestproof/testing/model/kernel_images.h"
#include "scratch.h"
#include "vmm/aarch64/device_tree.h"
#include "vmm/aarch64/layout.h"

namespace guestproof::vmm::aarch64 {
namespace {

namespace arm64_image = guestproof::testing::arm64_image;

std::string_view text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class ArmKernel : public ::testing::Test {
 protected:
  ArmKernel() {
    config.memory_mib = 64;
    config.kernel.path = scratch.file("kernel", text(image));
    config.kernel.cmdline = "console=ttyS0";
  }
  std::string complaint() {
    const auto state = load_kernel(config, memory, {0}, {});
    EXPECT_FALSE(state);
    if (state) return "";
    EXPECT_EQ(state.error().code, ExitCode::kSetup);
    return state.error().sentence;
  }
  template <class T>
  std::vector<T> read(GuestAddress at, std::size_t count) {
    std::vector<T> out(count);
    EXPECT_TRUE(read_bytes(memory, at, std::as_writable_bytes(std::span(out))));
    return out;
  }

  Scratch scratch;
  const std::vector<std::uint8_t> image = arm64_image::make();
  Config config;
  MappedMemory memory =
      MappedMemory::Builder().anonymous(GuestAddress(layout::kRamBase), 64 << 20).build().value();
};

TEST_F(ArmKernel, IsEnteredWithItsDeviceTree) {
  config.initrd = scratch.file("initrd", std::string(5000, 'i'));
  VirtioDescription virtio;
  virtio.windows = {{.base = layout::kMmioBase, .size = layout::kMmioStride, .gsi = 8}};
  const auto state = load_kernel(config, memory, {0, 1}, virtio);
  ASSERT_TRUE(state) << state.error().sentence;
  EXPECT_EQ(state->pc, 0x8000'0000u + 0x1000);
  EXPECT_EQ(read<std::uint8_t>(GuestAddress(state->pc), image.size()), image);

  // The highest pages below the device tree.
  const loader::GuestRange initrd{GuestAddress(layout::kRamBase + (62 << 20) - 8192), 5000};
  EXPECT_EQ(read<char>(initrd.base, initrd.size), std::vector<char>(5000, 'i'));
  const auto tree = device_tree({.affinities = {0, 1},
                                 .ram = {GuestAddress(layout::kRamBase), 64 << 20},
                                 .cmdline = "panic=-1 console=ttyS0",
                                 .initrd = initrd,
                                 .virtio = virtio})
                        .value();
  EXPECT_EQ(state->x0, layout::kRamBase + (62 << 20));
  EXPECT_EQ(read<std::byte>(GuestAddress(state->x0), tree.size()), tree);
}

TEST_F(ArmKernel, GoesWhereItIsToldTo) {
  config.kernel.load_address = 0x8100'0000;
  EXPECT_EQ(load_kernel(config, memory, {0}, {}).value().pc, 0x8100'1000u);
}

TEST_F(ArmKernel, EachComplaintNamesItsFile) {
  const auto named = "--kernel: '" + config.kernel.path + "': ";
  config.kernel.load_address = 0x83e0'0000;
  EXPECT_EQ(complaint(),
            "--kernel: '" + config.kernel.path + "' reaches into the device tree, at 0x83e00000.");
  config.kernel.load_address = 0x8000'0001;  // not aligned
  EXPECT_TRUE(complaint().starts_with(named)) << complaint();
  config.kernel.load_address = 0x8400'0000;  // no RAM
  EXPECT_TRUE(complaint().starts_with(named)) << complaint();
  config.kernel.load_address.reset();
  config.kernel.path = scratch.file("kernel", std::string(4096, 'k'));
  EXPECT_TRUE(complaint().starts_with(named)) << complaint();
  config.kernel.path = scratch.file("kernel", text(image));
  config.initrd = scratch.file("initrd", std::string(62 << 20, 'i'));
  EXPECT_TRUE(complaint().starts_with("--initrd: '" + config.initrd + "': ")) << complaint();
  config.initrd.clear();
  config.kernel.cmdline = std::string(4096, 'x');
  EXPECT_TRUE(complaint().starts_with("--kernel: cmdline=: ")) << complaint();
}

}  // namespace
}  // namespace guestproof::vmm::aarch64
