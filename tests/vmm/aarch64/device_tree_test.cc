#include "vmm/aarch64/device_tree.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "print.h"
#include "vmm/aarch64/layout.h"

namespace guestproof::vmm::aarch64 {
namespace {

/// "/cpus/cpu@0/reg" and its value, of every property.
class Properties {
 public:
  explicit Properties(std::span<const std::byte> blob)
      : blob_(blob), at_(number(8)), strings_(number(12)) {
    read("");
  }

  [[nodiscard]] std::vector<std::uint64_t> numbers(const std::string& path, std::size_t size) {
    std::vector<std::uint64_t> out;
    const auto value = all_.at(path);
    for (std::size_t i = 0; i < value.size(); ++i)
      if (i % size == 0)
        out.push_back(static_cast<unsigned char>(value[i]));
      else
        out.back() = out.back() << 8 | static_cast<unsigned char>(value[i]);
    return out;
  }
  [[nodiscard]] std::vector<std::uint64_t> cells(const std::string& path) {
    return numbers(path, 4);
  }
  [[nodiscard]] std::vector<std::uint64_t> quads(const std::string& path) {
    return numbers(path, 8);
  }
  [[nodiscard]] std::string text(const std::string& path) { return all_.at(path).c_str(); }
  [[nodiscard]] bool has(const std::string& path) const { return all_.contains(path); }

 private:
  [[nodiscard]] std::uint32_t number(std::size_t at) const {
    std::uint32_t value = 0;
    for (const auto byte : blob_.subspan(at, 4))
      value = value << 8 | std::to_integer<std::uint32_t>(byte);
    return value;
  }
  [[nodiscard]] std::string text_at(std::size_t at) const {
    return reinterpret_cast<const char*>(blob_.data() + at);
  }
  std::uint32_t next() {
    at_ += 4;
    return number(at_ - 4);
  }
  /// A node, from its first token to its last.
  void read(const std::string& parent) {
    EXPECT_EQ(next(), 1u);
    const auto name = text_at(at_);
    at_ += (name.size() + 4) / 4 * 4;
    const auto path = parent + name + "/";
    while (number(at_) != 2) {
      if (number(at_) == 1) {
        read(path);
        continue;
      }
      EXPECT_EQ(next(), 3u);
      const auto size = next();
      const auto property = text_at(strings_ + next());
      all_[path + property].assign(reinterpret_cast<const char*>(blob_.data() + at_), size);
      at_ += (size + 3) / 4 * 4;
    }
    at_ += 4;
  }

  std::span<const std::byte> blob_;
  std::size_t at_;
  std::size_t strings_;
  std::map<std::string, std::string> all_;
};

Machine machine() {
  return {.affinities = {0, 0x1'0000'0001},
          .ram = {GuestAddress(layout::kRamBase), 0x1234'5000},
          .cmdline = "panic=-1 console=ttyS0",
          .initrd = {},
          .virtio = {}};
}

Properties properties(const Machine& of) { return Properties(device_tree(of).value()); }

TEST(ArmDeviceTree, SaysWhatThereIs) {
  auto tree = properties(machine());
  EXPECT_EQ(tree.quads("/memory@80000000/reg"),
            (std::vector<std::uint64_t>{0x8000'0000, 0x1234'5000}));
  EXPECT_EQ(tree.text("/chosen/bootargs"), "panic=-1 console=ttyS0");
  EXPECT_EQ(tree.text("/chosen/stdout-path"), "/serial@40100000");
  EXPECT_EQ(tree.quads("/cpus/cpu@0/reg"), (std::vector<std::uint64_t>{0}));
  EXPECT_EQ(tree.quads("/cpus/cpu@100000001/reg"), (std::vector<std::uint64_t>{0x1'0000'0001}));
  EXPECT_EQ(tree.text("/psci/method"), "hvc");
  EXPECT_EQ(tree.quads("/interrupt-controller@3fff0000/reg"),
            (std::vector<std::uint64_t>{0x3fff'0000, 0x1'0000, 0x3fbf'0000, 2 * 0x2'0000}));
  EXPECT_EQ(tree.cells("/serial@40100000/interrupts"), (std::vector<std::uint64_t>{0, 0, 4}));
  EXPECT_EQ(tree.cells("/rtc@40101000/interrupts"), (std::vector<std::uint64_t>{0, 1, 4}));
  EXPECT_EQ(tree.cells("/rtc@40101000/clocks"), tree.cells("/clock/phandle"));
  EXPECT_EQ(tree.text("/pvpanic@40102000/compatible"), "qemu,pvpanic-mmio");
  EXPECT_FALSE(tree.has("/chosen/linux,initrd-start"));
}

TEST(ArmDeviceTree, SaysWhereTheInitrdIs) {
  auto of = machine();
  of.initrd = {GuestAddress(0x8f00'0000), 4321};
  auto tree = properties(of);
  EXPECT_EQ(tree.quads("/chosen/linux,initrd-start"), (std::vector<std::uint64_t>{0x8f00'0000}));
  EXPECT_EQ(tree.quads("/chosen/linux,initrd-end"),
            (std::vector<std::uint64_t>{0x8f00'0000 + 4321}));
}

TEST(ArmDeviceTree, HasANodeForEachVirtioWindow) {
  auto of = machine();
  of.virtio.windows = {{.base = 0x4000'0000, .size = 0x1000, .gsi = 8},
                       {.base = 0x4000'1000, .size = 0x1000, .gsi = 9}};
  auto tree = properties(of);
  EXPECT_EQ(tree.quads("/virtio_mmio@40001000/reg"),
            (std::vector<std::uint64_t>{0x4000'1000, 0x1000}));
  EXPECT_EQ(tree.cells("/virtio_mmio@40000000/interrupts"), (std::vector<std::uint64_t>{0, 8, 4}));
  EXPECT_EQ(tree.cells("/virtio_mmio@40001000/interrupts"), (std::vector<std::uint64_t>{0, 9, 4}));
}

TEST(ArmDeviceTree, HasAPciRootWithItsLines) {
  auto of = machine();
  auto& root = of.virtio.pci.emplace();
  root.ecam = layout::kEcamBase;
  root.memory[0] = {.base = 0x1'5000'0000, .size = 0x1000'0000};
  root.intx_gsi = {10, 11, 12, 13};
  auto tree = properties(of);
  EXPECT_EQ(tree.quads("/pcie@40200000/reg"), (std::vector<std::uint64_t>{0x4020'0000, 0x10'0000}));
  EXPECT_EQ(
      tree.cells("/pcie@40200000/ranges"),
      (std::vector<std::uint64_t>{0x0200'0000, 1, 0x5000'0000, 1, 0x5000'0000, 0, 0x1000'0000}));
  const auto map = tree.cells("/pcie@40200000/interrupt-map");
  const auto gic = tree.cells("/interrupt-controller@3fff0000/phandle")[0];
  ASSERT_EQ(map.size(), 16u * 8);
  for (std::uint64_t i = 0; i < 16; ++i) {
    const auto device = i / 4, pin = i % 4 + 1;
    const std::vector<std::uint64_t> entry{
        device << 11, 0, 0, pin, gic, 0, 10 + (device + pin - 1) % 4, 4};
    EXPECT_TRUE(std::equal(entry.begin(), entry.end(), map.begin() + static_cast<long>(8 * i)))
        << i;
  }
}

TEST(ArmDeviceTree, ACommandLineThatIsTooLongForItsRoomIsRefused) {
  auto of = machine();
  of.cmdline.assign(layout::kDeviceTreeBytes, 'x');
  const auto tree = device_tree(of);
  ASSERT_FALSE(tree);
  EXPECT_EQ(tree.error().limit(), layout::kDeviceTreeBytes);
}

}  // namespace
}  // namespace guestproof::vmm::aarch64
