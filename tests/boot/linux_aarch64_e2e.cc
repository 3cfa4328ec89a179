// A stock kernel on an Arm machine comes to user space, sees the machine that was asked for, and
// leaves it in each of the ways that there are.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdint>
#include <ctime>
#include <string>

#include "boot/machine.h"

namespace guestproof::boot {
namespace {

class Arm : public testing::Test {
 protected:
  std::vector<std::string> arguments(std::string_view script,
                                     const std::vector<std::string>& more = {}) {
    write_initrd(scratch.path("initrd"), guest, script);
    std::vector<std::string> all{
        "--kernel", "path=" + guest.kernel.string() + ",cmdline=console=ttyS0 quiet",
        "--initrd", "path=" + scratch.path("initrd"),
        "--memory", "size_mib=256"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  Stock guest = stock("arm64-6.1");
  Scratch scratch;
};

TEST_F(Arm, LinuxSeesTheMachineThatWasAskedFor) {
  const auto disk = scratch.file("disk", std::string(1 << 20, 'd'));
  Machine machine(arguments(R"sh(
echo "cpus=$(nproc)"
ram=0
for range in $(grep '^[0-9a-f].*: System RAM' /proc/iomem | cut -d' ' -f1); do
  ram=$((ram + 0x${range#*-} - 0x${range%-*} + 1))
done
echo "ram=$ram"
echo "devices=$(ls /sys/bus/virtio/devices | wc -l)"
echo "disk=$(sha256sum </dev/vda | cut -c1-64)"
echo written | dd of=/dev/vda bs=512 seek=7 conv=sync,fsync 2>/dev/null
echo "random=$(head -c 100 /dev/hwrng | wc -c)"
date -s '1999-01-01' >/dev/null
hwclock -s -u
echo "time=$(date +%s)"
)sh",
                            {"--vcpu", "num=2", "--block", "path=" + disk, "--rng", "num=1"}));
  const auto before = ::time(nullptr);
  EXPECT_EQ(machine.wait(), 0) << machine.console() << machine.errors();
  EXPECT_EQ(machine.value("cpus"), "2") << machine.console();
  EXPECT_EQ(machine.value("ram"), std::to_string(256 << 20));
  EXPECT_EQ(machine.value("devices"), "2");
  EXPECT_EQ(machine.value("disk"),
            "3cc61427921fb0d746017e0b26174cbb97aecfcb973187b01be3b1e376c058a7");
  EXPECT_EQ(machine.value("random"), "100");
  const auto time = std::stoll("0" + machine.value("time"));
  EXPECT_GE(time, before);
  EXPECT_LE(time, ::time(nullptr));
  EXPECT_EQ(contents(disk).substr(7 * 512, 8), "written\n");
}

TEST_F(Arm, VirtioIsOnPciToo) {
  const auto disk = scratch.file("disk", std::string(1 << 20, 'p'));
  Machine machine(arguments(R"sh(
echo "devices=$(ls /sys/bus/pci/devices | wc -l)"
echo "disk=$(tr -d p </dev/vda | wc -c)"
)sh",
                            {"--transport", "type=pci", "--block", "path=" + disk}));
  EXPECT_EQ(machine.wait(), 0) << machine.console() << machine.errors();
  EXPECT_EQ(machine.value("devices"), "2") << machine.console();  // the host bridge is one
  EXPECT_EQ(machine.value("disk"), "0");
}

TEST_F(Arm, ARebootIsAReset) {
  Machine machine(arguments("reboot -f"));
  EXPECT_EQ(machine.wait(), 10) << machine.console();
  EXPECT_EQ(machine.errors(), "");
}

TEST_F(Arm, SigtermStopsAMachineWithoutAPowerButton) {
  Machine machine(arguments("echo deaf=yes\nwhile :; do :; done"));
  ASSERT_TRUE(machine.wait_for_value("deaf")) << machine.console() << machine.errors();
  machine.signal(SIGTERM);
  EXPECT_EQ(machine.wait(), 4) << machine.console() << machine.errors();
  EXPECT_EQ(machine.errors(), "guestproof-vmm: stopped by a signal\n");
}

}  // namespace
}  // namespace guestproof::boot
