// The ways in which a machine ends, each with its exit code.
#include <gtest/gtest.h>
#include <signal.h>

#include <string>

#include "boot/machine.h"

namespace guestproof::boot {
namespace {

class Life : public testing::Test {
 protected:
  std::vector<std::string> arguments(std::string_view script, std::string cmdline = "") {
    write_initrd(scratch.path("initrd"), guest, script);
    return {"--kernel", "path=" + guest.kernel.string() + ",cmdline=console=ttyS0 quiet " + cmdline,
            "--initrd", "path=" + scratch.path("initrd"),
            "--memory", "size_mib=192"};
  }

  Stock guest = stock("cloud-6.1");
  Scratch scratch;
};

TEST_F(Life, PowerOffIsSuccess) {
  Machine machine(arguments(""));
  EXPECT_EQ(machine.wait(), 0) << machine.console();
  EXPECT_EQ(machine.errors(), "");
}

TEST_F(Life, ARebootOverTheKeyboardControllerIsAReset) {
  Machine machine(arguments("reboot -f"));
  EXPECT_EQ(machine.wait(), 10) << machine.console();
}

// Linux goes on to the keyboard controller when ACPI's register does not help: that it does is seen
// by tests/vmm/x86_64/vm_x86_64_kvm.cc.
TEST_F(Life, ARebootOverAcpiIsAReset) {
  Machine machine(arguments("reboot -f", "reboot=a"));
  EXPECT_EQ(machine.wait(), 10) << machine.console();
}

TEST_F(Life, ATripleFaultIsToldFromThat) {
  Machine machine(arguments("reboot -f", "reboot=t"));
  EXPECT_EQ(machine.wait(), 11) << machine.console();
  EXPECT_NE(machine.errors().find("vCPU 0: triple fault\n"), std::string::npos) << machine.errors();
}

// The kernel reboots after it, as after any other.
TEST_F(Life, APanicIsToldFromAReset) {
  Machine machine(arguments("echo 1 >/proc/sys/kernel/sysrq\necho c >/proc/sysrq-trigger"));
  EXPECT_EQ(machine.wait(), 12) << machine.console() << machine.errors();
  EXPECT_NE(machine.console().find("Kernel panic - not syncing: sysrq triggered crash"),
            std::string::npos)
      << machine.console();
}

// What a service manager does: the guest hears of it and shuts down by itself.
TEST_F(Life, SigtermPressesThePowerButton) {
  Machine machine(arguments(R"sh(
echo "button=$(cat /sys/class/input/input0/name)"
exec 3</dev/input/event0
echo "listening=yes"
dd bs=24 count=1 <&3 2>/dev/null >/pressed
echo "pressed=$(wc -c </pressed)"
)sh"));
  ASSERT_TRUE(machine.wait_for_value("listening")) << machine.console() << machine.errors();
  machine.signal(SIGTERM);
  EXPECT_EQ(machine.wait(), 0) << machine.console() << machine.errors();
  EXPECT_EQ(machine.value("button"), "Power Button");
  EXPECT_EQ(machine.value("pressed"), "24");
}

TEST_F(Life, ASecondSigtermStopsAGuestThatDoesNotListen) {
  Machine machine(arguments("echo deaf=yes\nwhile :; do :; done"));
  ASSERT_TRUE(machine.wait_for_value("deaf")) << machine.console() << machine.errors();
  machine.signal(SIGTERM);
  ASSERT_TRUE(machine.wait_for_error("the power button is pressed"));
  machine.signal(SIGTERM);
  EXPECT_EQ(machine.wait(), 4) << machine.console() << machine.errors();
  EXPECT_NE(machine.errors().find("stopped by another signal"), std::string::npos)
      << machine.errors();
}

// More than the serial port's FIFO holds, all at once.
TEST_F(Life, NoInputIsLost) {
  Machine machine(arguments(R"sh(
stty -F /dev/console -icanon -echo
echo "ready=yes"
head -c 3000 </dev/console >/typed
echo "typed=$(sha256sum </typed | cut -c1-64)"
i=0
while [ $i -lt 300 ]; do echo "line $((i % 10)) .."; i=$((i + 1)); done >/expected
echo "expected=$(sha256sum </expected | cut -c1-64)"
)sh"));
  ASSERT_TRUE(machine.wait_for_value("ready")) << machine.console() << machine.errors();
  std::string text;
  for (int i = 0; i < 300; ++i) text += "line " + std::to_string(i % 10) + " ..\n";
  ASSERT_EQ(text.size(), 3000u);
  machine.type(text);
  ASSERT_EQ(machine.wait(), 0) << machine.console() << machine.errors();
  EXPECT_EQ(machine.value("typed"), machine.value("expected"));
}

}  // namespace
}  // namespace guestproof::boot
