#include "vmm/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sys/file.h>

#include <cstring>
#include <utility>

#include "guestproof/base/invariant.h"
#include "guestproof/virtio/device/balloon/discard_backend.h"
#include "guestproof/virtio/device/balloon/virtio_balloon.h"
#include "guestproof/virtio/device/block/uring/uring_backend.h"
#include "guestproof/virtio/device/block/virtio_blk.h"
#include "guestproof/virtio/device/console/fd_port.h"
#include "guestproof/virtio/device/console/virtio_console.h"
#include "guestproof/virtio/device/net/tap_backend.h"
#include "guestproof/virtio/device/net/virtio_net.h"
#include "guestproof/virtio/device/rng/entropy.h"
#include "guestproof/virtio/device/rng/virtio_rng.h"
#include "guestproof/virtio/device/vsock/unix_sockets.h"
#include "guestproof/virtio/device/vsock/virtio_vsock.h"
#include "vmm/files.h"
#include "vmm/log.h"

namespace guestproof::vmm {
namespace {

namespace block = virtio::block;
namespace net = virtio::net;
namespace console = virtio::console;

/// Moves `part` to where it stays as long as the device; the device gets a reference to it.
template <class T>
T& keep(Device& device, T part) {
  auto kept = std::make_shared<T>(std::move(part));
  auto& there = *kept;
  device.behind.push_back(std::move(kept));
  return there;
}
template <class T>
T& keep(Device& device, std::unique_ptr<T> part) {
  auto& there = *part;
  device.behind.push_back(std::shared_ptr<T>(std::move(part)));
  return there;
}

Outcome<Device> make_block(const BlockConfig& config) {
  Device made{fmt::format("--block {}", config.path), {}, nullptr, nullptr};
  auto file = open_file("--block", config.path, config.read_only ? O_RDONLY : O_RDWR);
  if (!file) return std::unexpected(file.error());
  // Two machines on one disk destroy it. The lock goes with the open file, however this ends.
  if (::flock(file->get(), (config.read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0)
    return cannot(fmt::format("--block: '{}' {}.", config.path,
                              errno == EWOULDBLOCK ? "is used already, here or by another process"
                                                   : std::strerror(errno)));
  auto backend = block::FileBackend::create(std::move(*file));
  if (!backend) return cannot(made.name, backend.error());
  const auto topology = backend->topology();
  auto storage = block::make_file_storage(std::move(*backend));
  if (storage.without_uring)
    log(made.name + ": every access is waited for: " + storage.without_uring->message() + ".");
  auto& async = keep(made, std::move(storage.backend));
  auto device = block::VirtioBlk<MappedMemory>::create(block::Offer::of(async, topology), async);
  if (!device) return cannot(made.name, device.error());
  made.device = std::move(*device);
  return made;
}

/// All that the tap can do. Frames that another interface of the host segments are for it.
net::Config net_config(const NetConfig& config, const net::TapBackend& tap) {
  net::Config out;
  out.max_pairs = config.pairs;
  out.features = tap.offloads() | virtio::feature_bit(net::VIRTIO_NET_F_MRG_RXBUF) |
                 virtio::feature_bit(net::VIRTIO_NET_F_STATUS) |
                 virtio::feature_bit(net::VIRTIO_NET_F_CTRL_VQ) |
                 virtio::feature_bit(net::VIRTIO_NET_F_CTRL_RX) |
                 virtio::feature_bit(net::VIRTIO_NET_F_CTRL_MAC_ADDR) |
                 virtio::feature_bit(net::VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
  if (config.mac) {
    out.mac = *config.mac;
    out.features |= virtio::feature_bit(net::VIRTIO_NET_F_MAC);
  }
  if (config.pairs > 1) out.features |= virtio::feature_bit(net::VIRTIO_NET_F_MQ);
  return out;
}

Outcome<Device> make_net(const NetConfig& config) {
  Device made{fmt::format("--net {}", config.tap), {}, nullptr, nullptr};
  if (!config.create && ::if_nametoindex(config.tap.c_str()) == 0)
    return cannot(
        fmt::format("--net: there is no interface '{}'; create=on makes it for as long as "
                    "the machine runs.",
                    config.tap));
  auto opened = net::TapBackend::open(config.tap, config.pairs);
  if (!opened) return cannot(made.name, opened.error());
  auto& tap = keep(made, std::move(*opened));
  const auto offer = net_config(config, tap);
  if (const auto ok = net::check_backend(offer, tap); !ok) return cannot(made.name, ok.error());
  made.device = std::make_unique<net::VirtioNet<MappedMemory>>(offer, tap);
  return made;
}

Outcome<Device> make_vsock(const VsockConfig& config) {
  Device made{fmt::format("--vsock {}", config.path), {}, nullptr, nullptr};
  auto listening = virtio::vsock::UnixSockets::listen(config.path);
  if (!listening) return cannot(made.name, listening.error());
  auto& sockets = keep(made, std::move(*listening));
  made.device = std::make_unique<virtio::vsock::VirtioVsock<MappedMemory>>(config.cid, sockets);
  return made;
}

Outcome<Device> make_console(const ConsoleConfig& config) {
  Device made{"--console", {}, nullptr, nullptr};
  Fd input, output;
  if (!config.input.empty()) {
    auto opened = open_input("--console", config.input);
    if (!opened) return std::unexpected(opened.error());
    input = std::move(*opened);
  }
  if (!config.output.empty()) {
    auto opened = open_file("--console", config.output, O_WRONLY | O_CREAT | O_APPEND);
    if (!opened) return std::unexpected(opened.error());
    output = std::move(*opened);
  }
  auto created = console::FdPort::create(std::move(input), std::move(output),
                                         console::FdPort::WhenFull::kWait);
  if (!created) return cannot(made.name, created.error());
  auto polling = console::PortPoll::create();
  if (!polling) return cannot(made.name, polling.error());
  auto& port = keep(made, std::move(*created));
  auto& poll = keep(made, std::move(*polling));
  std::vector<console::PortOffer> ports{{.port = &port, .name = "console", .console = true}};
  made.device = std::make_unique<console::VirtioConsole<MappedMemory>>(
      std::move(ports), console::kConsoleFeatures, &poll);
  return made;
}

Device make_rng() {
  Device made{"--rng", {}, nullptr, nullptr};
  auto& entropy = keep(made, std::make_unique<virtio::rng::KernelEntropy>());
  made.device = std::make_unique<virtio::rng::VirtioRng<MappedMemory>>(entropy);
  return made;
}

Device make_balloon(const BalloonConfig& config, const MappedMemory& memory) {
  Device made{"--balloon", {}, nullptr, nullptr};
  auto& backend = keep(made, std::make_unique<virtio::balloon::DiscardBackend>(memory));
  // Without statistics and hints, which nobody here asks for.
  const auto features = virtio::feature_bit(virtio::balloon::VIRTIO_BALLOON_F_DEFLATE_ON_OOM) |
                        virtio::feature_bit(virtio::balloon::VIRTIO_BALLOON_F_PAGE_REPORTING);
  auto balloon = std::make_unique<virtio::balloon::VirtioBalloon<MappedMemory>>(backend, features);
  constexpr std::uint64_t kPagesPerMib = 256;
  made.begin = [&device = *balloon, pages = config.target_mib * kPagesPerMib] {
    device.set_target(static_cast<std::uint32_t>(pages));
  };
  made.device = std::move(balloon);
  return made;
}

}  // namespace

Outcome<std::vector<Device>> make_devices(const Config& config, const MappedMemory& memory) {
  std::vector<Device> devices;
  const auto add_each = [&](const auto& configs, auto make) -> Outcome<void> {
    for (const auto& each : configs) {
      auto device = make(each);
      if (!device) return std::unexpected(device.error());
      devices.push_back(std::move(*device));
    }
    return {};
  };
  if (const auto ok = add_each(config.blocks, make_block); !ok) return std::unexpected(ok.error());
  if (const auto ok = add_each(config.nets, make_net); !ok) return std::unexpected(ok.error());
  if (const auto ok = add_each(config.vsocks, make_vsock); !ok) return std::unexpected(ok.error());
  if (const auto ok = add_each(config.consoles, make_console); !ok)
    return std::unexpected(ok.error());
  for (std::uint32_t i = 0; i < config.rngs; ++i) devices.push_back(make_rng());
  for (const auto& each : config.balloons) devices.push_back(make_balloon(each, memory));
  return devices;
}

}  // namespace guestproof::vmm
