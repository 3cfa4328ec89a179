#include "vmm/devices.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "guestproof/virtio/device/wire.h"
#include "scratch.h"

namespace guestproof::vmm {
namespace {

class DevicesTest : public ::testing::Test {
 protected:
  std::string disk(std::size_t bytes) { return scratch.file("disk", std::string(bytes, 'x')); }
  std::vector<Device> make() {
    auto made = make_devices(config, memory);
    EXPECT_TRUE(made) << made.error().sentence;
    return made ? std::move(*made) : std::vector<Device>();
  }
  std::string complaint() {
    const auto made = make_devices(config, memory);
    EXPECT_FALSE(made);
    if (made) return "";
    EXPECT_EQ(made.error().code, ExitCode::kSetup);
    return made.error().sentence;
  }

  Scratch scratch;
  Config config;
  MappedMemory memory = MappedMemory::Builder().anonymous(GuestAddress(0), 1 << 20).build().value();
};

TEST_F(DevicesTest, AreInTheOrderOfTheirOptions) {
  config.blocks = {{.path = disk(4096)}};
  config.vsocks = {{.path = scratch.path("vsock")}};
  config.consoles = {{.output = scratch.path("console")}};
  config.rngs = 2;
  config.balloons = {{.target_mib = 0}};
  std::vector<std::uint32_t> ids;
  for (const auto& each : make()) ids.push_back(each.device->device_id());
  using namespace virtio;
  EXPECT_EQ(ids,
            (std::vector<std::uint32_t>{VIRTIO_ID_BLOCK, VIRTIO_ID_SOCKET, VIRTIO_ID_CONSOLE,
                                        VIRTIO_ID_ENTROPY, VIRTIO_ID_ENTROPY, VIRTIO_ID_BALLOON}));
}

TEST_F(DevicesTest, ADiskIsOneMachinesOwnUnlessAllReadIt) {
  config.blocks = {{.path = disk(4096)}};
  const Fd other(::open(config.blocks[0].path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::flock(other.get(), LOCK_SH), 0);
  EXPECT_EQ(complaint(), "--block: '" + config.blocks[0].path +
                             "' is used already, here or by another process.");
  config.blocks[0].read_only = true;
  EXPECT_EQ(make().size(), 1u);
}

TEST_F(DevicesTest, ADiskIsGivenOnce) {
  const auto path = disk(4096);
  config.blocks = {{.path = path}, {.path = path}};
  EXPECT_EQ(complaint(), "--block: '" + path + "' is used already, here or by another process.");
}

TEST_F(DevicesTest, AConsolesFileIsItsOwnersAlone) {
  config.consoles = {{.output = scratch.path("console")}};
  EXPECT_EQ(make().size(), 1u);
  namespace fs = std::filesystem;
  EXPECT_EQ(fs::status(scratch.path("console")).permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(DevicesTest, AFifoKeepsNobodyWaiting) {
  const auto fifo = scratch.path("fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  config.blocks = {{.path = fifo, .read_only = true}};
  EXPECT_TRUE(complaint().starts_with("--block " + fifo + ": ")) << complaint();
  config.blocks.clear();
  config.consoles = {{.output = fifo}};
  EXPECT_EQ(complaint(), "--console: cannot open '" + fifo + "': No such device or address.");
}

TEST_F(DevicesTest, ADiskHasToBeOne) {
  const auto folder = scratch.path("");
  config.blocks = {{.path = folder, .read_only = true}};
  EXPECT_TRUE(complaint().starts_with("--block " + folder + ": ")) << complaint();
  config.blocks = {{.path = scratch.path("none")}};
  EXPECT_EQ(complaint(),
            "--block: cannot open '" + config.blocks[0].path + "': No such file or directory.");
}

TEST_F(DevicesTest, SocketsAndConsolesNeedTheirFiles) {
  config.vsocks = {{.path = scratch.path("no/vsock")}};
  EXPECT_TRUE(complaint().starts_with("--vsock " + config.vsocks[0].path + ": ")) << complaint();
  config.vsocks.clear();
  config.consoles = {{.input = scratch.path("none")}};
  EXPECT_TRUE(complaint().starts_with("--console: cannot open '")) << complaint();
  config.consoles = {{.output = scratch.path("no/file")}};
  EXPECT_TRUE(complaint().starts_with("--console: cannot open '")) << complaint();
}

TEST_F(DevicesTest, AnInterfaceThatCannotBeHadIsNamed) {
  config.nets = {{.tap = "a name that no interface can have", .create = true}};
  EXPECT_TRUE(complaint().starts_with("--net a name that no interface can have: ")) << complaint();
}

TEST_F(DevicesTest, AnInterfaceIsNotMadeByMistake) {
  config.nets = {{.tap = "gp-nobodys"}};
  EXPECT_EQ(complaint(),
            "--net: there is no interface 'gp-nobodys'; create=on makes it for as long as the "
            "machine runs.");
}

}  // namespace
}  // namespace guestproof::vmm
