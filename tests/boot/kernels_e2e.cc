// Stock kernels on all shapes of machine come to user space, see the machine that was asked for,
// and power it off.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "boot/machine.h"

namespace guestproof::boot {
namespace {

/// RAM below it ends at 0xd0000000, which is where the gap for devices begins.
constexpr std::uint64_t kGapMib = 3328;

struct Shape {
  const char* kernel;
  std::uint64_t memory_mib;
  unsigned vcpus;
  const char* transport;
  const char* image = "kernel";
};

void PrintTo(const Shape& shape, std::ostream* out) {
  *out << shape.image << " of " << shape.kernel << ", " << shape.memory_mib << " MiB, "
       << shape.vcpus << " vCPUs, " << shape.transport;
}

class StockKernel : public testing::TestWithParam<Shape> {};

TEST_P(StockKernel, SeesTheMachineThatWasAskedFor) {
  const auto& shape = GetParam();
  const auto guest = stock(shape.kernel);
  const Scratch scratch;
  write_initrd(scratch.path("initrd"), guest, R"sh(
echo "cpus=$(grep -c ^processor /proc/cpuinfo)"
echo "packages=$(cat $(find /sys/devices/system/cpu/ -name physical_package_id) | sort -u | wc -l)"
echo "devices=$(ls /sys/bus/virtio/devices | wc -l)"
ram=0
cd /sys/firmware/memmap
for entry in *; do
  grep -q "System RAM" $entry/type && ram=$((ram + $(cat $entry/end) + 1 - $(cat $entry/start)))
done
echo "ram=$ram"
)sh");
  Machine machine({"--kernel",
                   "path=" + (guest.folder / shape.image).string() + ",cmdline=console=ttyS0 quiet",
                   "--initrd", "path=" + scratch.path("initrd"),                //
                   "--memory", "size_mib=" + std::to_string(shape.memory_mib),  //
                   "--vcpu", "num=" + std::to_string(shape.vcpus),              //
                   "--rng", "num=2",                                            //
                   "--transport", std::string("type=") + shape.transport});
  EXPECT_EQ(machine.wait(), 0) << machine.console() << machine.errors();
  EXPECT_EQ(machine.value("cpus"), std::to_string(shape.vcpus)) << machine.console();
  EXPECT_EQ(machine.value("packages"), "1");
  EXPECT_EQ(machine.value("devices"), "2");
  // All of it but what is the firmware's: from 639 KiB to 1 MiB.
  EXPECT_EQ(machine.value("ram"), std::to_string((shape.memory_mib << 20) - (0x100000 - 0x9fc00)));
  EXPECT_EQ(machine.errors(), "");
}

// The MP table is what it knows its processors by then.
TEST(KernelWithoutAcpi, SeesItsProcessors) {
  const auto guest = stock("amd64-6.1");
  const Scratch scratch;
  write_initrd(scratch.path("initrd"), guest, R"sh(
echo "cpus=$(grep -c ^processor /proc/cpuinfo)"
echo "acpi=$(ls /sys/firmware/acpi 2>/dev/null | wc -l)"
reboot -f
)sh");
  Machine machine(
      {"--kernel",
       "path=" + (guest.folder / "vmlinux").string() + ",cmdline=console=ttyS0 quiet acpi=off",
       "--initrd", "path=" + scratch.path("initrd"), "--vcpu", "num=2"});
  EXPECT_EQ(machine.wait(), 10) << machine.console() << machine.errors();
  EXPECT_EQ(machine.value("cpus"), "2") << machine.console();
  EXPECT_EQ(machine.value("acpi"), "0");
}

// It tests memory as hard as it can, and its terminal is the serial line, in both directions.
TEST(Memtest, FindsNothingWrongAndIsLeft) {
  const auto guest = stock("memtest");
  Machine machine({"--kernel",
                   "path=" + guest.kernel.string() + R"(,cmdline="console=ttyS0,115200")",
                   "--memory", "size_mib=32"});
  // The last test, which takes minutes: every two seconds it says which one is on, so that others
  // may have come and gone.
  ASSERT_TRUE(machine.wait_for("#10 [")) << machine.console();
  for (auto at = machine.console().find("Errors: "); at != std::string::npos;
       at = machine.console().find("Errors: ", at + 1))
    EXPECT_EQ(machine.console().substr(at, 10), "Errors: 0 ") << machine.console();
  machine.type("\x1b");
  EXPECT_EQ(machine.wait(), 10) << machine.console() << machine.errors();
}

INSTANTIATE_TEST_SUITE_P(Shapes, StockKernel,
                         testing::Values(Shape{"cloud-6.1", 128, 1, "mmio"},
                                         Shape{"cloud-6.1", kGapMib - 1, 2, "pci"},
                                         Shape{"cloud-6.1", kGapMib, 1, "mmio"},
                                         Shape{"cloud-6.12", kGapMib + 1, 1, "pci"},
                                         Shape{"cloud-6.12", 256, 2, "mmio"},
                                         Shape{"amd64-6.1", 256, 4, "mmio"},
                                         Shape{"amd64-6.1", 256, 1, "pci", "vmlinux"}));

}  // namespace
}  // namespace guestproof::boot
