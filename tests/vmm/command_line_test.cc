#include "vmm/command_line.h"

#include <gtest/gtest.h>

#include "scratch.h"
#include "vmm/board.h"

namespace guestproof::vmm {
namespace {

using Words = std::vector<std::string>;

Config config(const Words& words) {
  const auto parsed = parse_command_line(words);
  EXPECT_TRUE(parsed) << parsed.error().sentence;
  const auto* found = parsed ? std::get_if<Config>(&*parsed) : nullptr;
  return found != nullptr ? *found : Config();
}
std::string complaint(const Words& words, ExitCode code = ExitCode::kUsage) {
  const auto parsed = parse_command_line(words);
  EXPECT_FALSE(parsed);
  if (parsed) return "";
  EXPECT_EQ(parsed.error().code, code);
  return parsed.error().sentence;
}
/// With a kernel, which every machine has.
Words with_kernel(Words words) {
  words.insert(words.begin(), {"--kernel", "path=vmlinuz"});
  return words;
}

/// A file that goes with the test.
class ConfigFile : public testing::Test {
 protected:
  void write(std::string_view text) const { static_cast<void>(scratch.file("config", text)); }

  Scratch scratch;
  std::string path = scratch.file("config", "");
};

// The lines of the reference VMM's own documentation.
TEST(CommandLine, TakesWhatTheReferenceTakes) {
  const auto all = config(
      {"--kernel", "path=/boot/vmlinux,cmdline=console=ttyS0 pci=off,kernel_load_addr=1048576",
       "--memory", "size_mib=1024", "--vcpu", "num=2", "--block", "path=/tmp/rootfs.img", "--net",
       "tap=vmtap0"});
  EXPECT_EQ(all.kernel.path, "/boot/vmlinux");
  EXPECT_EQ(all.kernel.cmdline, "console=ttyS0 pci=off");
  EXPECT_EQ(all.kernel.load_address, 0x100000u);
  EXPECT_EQ(all.memory_mib, 1024u);
  EXPECT_EQ(all.vcpus, 2u);
  ASSERT_EQ(all.blocks.size(), 1u);
  EXPECT_EQ(all.blocks[0].path, "/tmp/rootfs.img");
  ASSERT_EQ(all.nets.size(), 1u);
  EXPECT_EQ(all.nets[0].tap, "vmtap0");
}

TEST(CommandLine, HasDefaults) {
  const auto least = config({"--kernel", "path=vmlinuz"});
  EXPECT_EQ(least.memory_mib, 256u);
  EXPECT_EQ(least.vcpus, 1u);
  EXPECT_EQ(least.kernel.cmdline, "console=ttyS0");
  EXPECT_EQ(least.kernel.load_address, std::nullopt);
  EXPECT_EQ(least.transport, Transport::kMmio);
  EXPECT_EQ(least.devices(), 0u);
}

TEST(CommandLine, HasEveryDevice) {
  const auto all = config(with_kernel({"--initrd",    "path=initrd",
                                       "--memory",    "size_mib=64,hugepages=on",
                                       "--block",     "path=a",
                                       "--block",     "path=b,readonly=on",
                                       "--net",       "tap=t,mac=02:00:00:00:aa:BB,pairs=2",
                                       "--vsock",     "path=s,cid=9",
                                       "--console",   "input=i,output=o",
                                       "--console",   "output=p",
                                       "--rng",       "num=2",
                                       "--rng",       "num=1",
                                       "--balloon",   "target_mib=32",
                                       "--transport", "type=pci"}));
  EXPECT_EQ(all.initrd, "initrd");
  EXPECT_TRUE(all.huge_pages);
  EXPECT_FALSE(all.blocks.at(0).read_only);
  EXPECT_TRUE(all.blocks.at(1).read_only);
  EXPECT_EQ(all.nets.at(0).mac, (MacAddress{2, 0, 0, 0, 0xaa, 0xbb}));
  EXPECT_EQ(all.nets.at(0).pairs, 2);
  EXPECT_EQ(all.vsocks.at(0).path, "s");
  EXPECT_EQ(all.vsocks.at(0).cid, 9u);
  EXPECT_EQ(all.consoles.at(0).input, "i");
  EXPECT_EQ(all.consoles.at(0).output, "o");
  EXPECT_EQ(all.consoles.at(1).input, "");
  EXPECT_EQ(all.rngs, 3u);
  EXPECT_EQ(all.balloons.at(0).target_mib, 32u);
  EXPECT_EQ(all.transport, Transport::kPci);
  EXPECT_EQ(all.devices(), 10u);
}

TEST(CommandLine, HelpNamesEveryOptionAndExitCode) {
  const auto parsed = parse_command_line(Words{"--help"});
  ASSERT_TRUE(parsed);
  const auto& text = std::get<HelpText>(*parsed).text;
  for (const char* word :
       {"--kernel", "--initrd",       "--memory", "--vcpu",    "--block",     "--net",
        "--vsock",  "--console",      "--rng",    "--balloon", "--transport", "--config",
        "Ctrl-A x", "Exit codes: 0 ", "; 1 ",     "; 2 ",      "; 3 ",        "; 4 ",
        "; 10 ",    "; 11 ",          "; 12 ",    "; 13 "})
    EXPECT_NE(text.find(word), std::string::npos) << word;
  EXPECT_NE(text.find("A kernel is " + std::string(kernel_help().formats) + "."),
            std::string::npos);
  EXPECT_NE(text.find('"' + std::string(kernel_help().arguments) + '"'), std::string::npos);
}

TEST(CommandLine, ComplainsInOneSentence) {
  EXPECT_EQ(complaint({}), "--kernel is required, with path=FILE.");
  EXPECT_EQ(complaint({"--kernel", "cmdline=quiet"}), "--kernel: path= is missing.");
  EXPECT_NE(complaint({"--bogus"}).find("--bogus"), std::string::npos);
  EXPECT_NE(complaint({"vmlinuz"}).find("vmlinuz"), std::string::npos);
  EXPECT_NE(complaint({"--kernel"}).find("--kernel"), std::string::npos);
  EXPECT_NE(complaint({"--kernel", "path=a", "--kernel", "path=b"}).find("--kernel"),
            std::string::npos);
  EXPECT_EQ(complaint(with_kernel({"--vcpu", "num=0"})), "--vcpu: num=0 is not from 1 to 32.");
  EXPECT_EQ(complaint(with_kernel({"--vcpu", "num=33"})), "--vcpu: num=33 is not from 1 to 32.");
  EXPECT_EQ(complaint(with_kernel({"--vcpu", "num=256"})), "--vcpu: num=256: the most is 255.");
  EXPECT_EQ(complaint(with_kernel({"--memory", "size_mib=31"})),
            "--memory: size_mib=31 is not from 32 to 1048576.");
  EXPECT_EQ(complaint(with_kernel({"--memory", "size_mib=1048577"})),
            "--memory: size_mib=1048577 is not from 32 to 1048576.");
  EXPECT_EQ(complaint(with_kernel({"--memory", "size_mib=33,hugepages=on"})),
            "--memory: size_mib=33 is no number of huge pages, which are of 2 MiB.");
  EXPECT_EQ(complaint(with_kernel({"--transport", "type=isa"})),
            "--transport: type=isa: it is neither mmio nor pci.");
  EXPECT_EQ(complaint(with_kernel({"--net", "tap=a", "--net", "tap=a"})),
            "--net: tap=a is given twice.");
  EXPECT_EQ(complaint(with_kernel({"--vsock", "path=a,cid=2"})),
            "--vsock: cid=2 is not from 3 to 4294967294.");
  EXPECT_EQ(complaint(with_kernel({"--vsock", "path=a,cid=4294967295"})),
            "--vsock: cid=4294967295 is not from 3 to 4294967294.");
  EXPECT_EQ(complaint(with_kernel({"--vsock", "path=a", "--vsock", "path=b"})),
            "--vsock is given twice; a guest has one address, and so one device.");
  EXPECT_EQ(complaint(with_kernel({"--net", "tap=a,pairs=0"})),
            "--net: pairs=0 is not from 1 to 32.");
  EXPECT_EQ(complaint(with_kernel({"--net", "tap=a,pairs=33"})),
            "--net: pairs=33 is not from 1 to 32.");
  EXPECT_EQ(complaint(with_kernel({"--net", "tap=tap%d"})),
            "--net: tap=tap%d: there may be no % in a name.");
  EXPECT_EQ(complaint(with_kernel({"--balloon", "target_mib=1", "--balloon", "target_mib=1"})),
            "--balloon is given twice; Linux drives one.");
  EXPECT_EQ(complaint(with_kernel({"--balloon", "target_mib=257"})),
            "--balloon: target_mib=257 is more than the memory's 256.");
  EXPECT_EQ(complaint(with_kernel({"--rng", "num=31", "--rng", "num=1"})),
            "32 virtio devices are given; there is room for 31.");
}

TEST(CommandLine, AnAddressOfAnInterfaceIsOfOne) {
  for (const char* mac : {"2", "02:00:00:00:00", "02:00:00:00:00:0g", "02-00-00-00-00-01",
                          "01:00:00:00:00:01", "02:00:00:00:00:01:", "00:00:00:00:00:00"})
    EXPECT_EQ(complaint(with_kernel({"--net", std::string("tap=a,mac=") + mac})),
              std::string("--net: mac=") + mac +
                  ": it is not the address of one interface, such as 02:00:00:00:00:01.");
}

TEST_F(ConfigFile, SaysTheSame) {
  write(R"({"kernel": {"path": "k", "cmdline": "quiet, please"}, "vcpu": {"num": 3},
            "block": [{"path": "a"}, {"path": "b", "readonly": true}], "net": {"tap": "t"}})");
  const auto all = config({"--config", path});
  EXPECT_EQ(all.kernel.path, "k");
  EXPECT_EQ(all.kernel.cmdline, "quiet, please");
  EXPECT_EQ(all.vcpus, 3u);
  EXPECT_EQ(all.blocks.size(), 2u);
  EXPECT_TRUE(all.blocks.at(1).read_only);
  EXPECT_EQ(all.nets.at(0).tap, "t");
}

TEST_F(ConfigFile, GivesWayToTheCommandLineOptionByOption) {
  write(
      R"({"kernel": {"path": "k"}, "vcpu": {"num": 3}, "block": [{"path": "a"}, {"path": "b"}]})");
  const auto all = config({"--config", path, "--block", "path=c", "--vcpu", "num=1"});
  EXPECT_EQ(all.kernel.path, "k");
  EXPECT_EQ(all.vcpus, 1u);
  ASSERT_EQ(all.blocks.size(), 1u);
  EXPECT_EQ(all.blocks[0].path, "c");
}

TEST_F(ConfigFile, ComplainsWithItsName) {
  const auto say = [&](std::string_view text) {
    write(text);
    const auto sentence = complaint({"--config", path});
    EXPECT_TRUE(sentence.starts_with(path + ": ") || sentence.starts_with("--")) << sentence;
    return sentence.starts_with(path) ? sentence.substr(path.size() + 2) : sentence;
  };
  EXPECT_EQ(say("{"), "it is not JSON, on line 1 at the latest.");
  EXPECT_EQ(say("{\"kernel\":\n  {\"path\" \"k\"}}"), "it is not JSON, on line 2 at the latest.");
  EXPECT_EQ(say(R"({"vcpu": {"num": 1e999}})"), "there is a number in it that is too large.");
  EXPECT_EQ(say(R"({"net": {"tap": true}})"), "--net: tap=on: it is no string.");
  EXPECT_EQ(say(R"({"kernel": {"path": 1}})"), "--kernel: path=1: it is no string.");
  EXPECT_EQ(say(R"({"kernel": [[[[1]]]]})"), "there is more in each other than 3 levels.");
  EXPECT_EQ(say(std::string(500000, '[')), "there is more in each other than 3 levels.");
  EXPECT_EQ(say(R"({"kernel": {"path": "a\u0000b"}})"),
            std::string("--kernel: path=a") + '\0' + "b: there is a NUL in it.");
  EXPECT_EQ(say("[]"), "it is array, and not an object.");
  EXPECT_EQ(say(R"({"kernle": {}})"), "there is no option 'kernle'.");
  EXPECT_EQ(say(R"({"kernel": "k"})"), "'kernel' is string, and not an object with keys.");
  EXPECT_EQ(say(R"({"kernel": [{"path": "k"}]})"),
            "'kernel' is array, and not an object with keys.");
  EXPECT_EQ(say(R"({"vcpu": {"num": -1}})"),
            "vcpu: the value of 'num', -1, is no string, no whole number from 0 on, and neither "
            "true nor false.");
  EXPECT_EQ(say(R"({"vcpu": {"num": 1}, "vcpu": {"num": 2}})"), "'vcpu' is given twice.");
  EXPECT_EQ(say(R"({"vcpu": {"num": 1, "num": 2}})"), "'num' is given twice.");
  EXPECT_EQ(say(R"({"kernel": {"path": "k"}, "vcpu": {"nmu": 1}})"),
            "--vcpu: there is no key 'nmu'; the keys are num.");
}

TEST_F(ConfigFile, HasToBeAFile) {
  EXPECT_EQ(complaint({"--config", path}, ExitCode::kSetup), "--config: '" + path + "' is empty.");
  EXPECT_EQ(complaint({"--config", ""}, ExitCode::kSetup),
            "--config: cannot open '': No such file or directory.");
  EXPECT_EQ(complaint({"--config", "/nonexistent/a"}, ExitCode::kSetup),
            "--config: cannot open '/nonexistent/a': No such file or directory.");
  EXPECT_EQ(complaint({"--config", "/"}, ExitCode::kSetup), "--config: '/' is no regular file.");
  write(std::string((1 << 20) + 1, ' '));
  EXPECT_EQ(complaint({"--config", path}, ExitCode::kSetup),
            "--config: '" + path + "' has 1048577 bytes, and the most is 1048576.");
}

}  // namespace
}  // namespace guestproof::vmm
