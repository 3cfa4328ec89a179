// What machine there is to be. A front end of any kind fills a Config; command_line.h is one.
//
// Thread-safety: values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vmm/complaint.h"

namespace guestproof::vmm {

/// What the interrupt controllers of the machine are made for, and many more than its users have
/// asked for.
inline constexpr std::uint32_t kMaxVcpus = 32;
/// Slots of a PCI bus, less its host bridge.
inline constexpr std::size_t kMaxDevices = 31;
/// A kernel does not unpack itself in less.
inline constexpr std::uint64_t kMinMemoryMib = 32;
/// 1 TiB: page tables and tables of the firmware are sized for it.
inline constexpr std::uint64_t kMaxMemoryMib = 1 << 20;

struct KernelConfig {
  std::string path;
  /// Before it the kernel is given kernel_help().arguments (board.h).
  std::string cmdline;
  /// Of a bzImage where its first byte goes, in place of where it wants to be; of an arm64 Image
  /// its base, a multiple of 2 MiB, in place of the start of RAM; an ELF file, which says itself
  /// where it goes, may not go below.
  std::optional<std::uint64_t> load_address;
};

struct BlockConfig {
  std::string path;
  bool read_only = false;
};

using MacAddress = std::array<std::uint8_t, 6>;

struct NetConfig {
  std::string tap;
  bool create = false;                           // it is not there yet, and goes with the machine
  std::optional<MacAddress> mac = std::nullopt;  // from the kernel's, when there is none
  std::uint16_t pairs = 1;
};

struct VsockConfig {
  std::uint64_t cid = 3;
  std::string path;  // of the Unix socket, see virtio/device/vsock/unix_sockets.h
};

/// A port of a virtio console beside the serial line: a pair of files, pipes or terminals.
struct ConsoleConfig {
  std::string input = "";   // "": nothing to read
  std::string output = "";  // "": what is written is dropped
};

struct BalloonConfig {
  std::uint64_t target_mib = 0;
};

enum class Transport : std::uint8_t { kMmio, kPci };

struct Config {
  std::uint64_t memory_mib = 256;
  bool huge_pages = false;
  std::uint32_t vcpus = 1;
  KernelConfig kernel;
  std::string initrd;  // "": none
  std::vector<BlockConfig> blocks;
  std::vector<NetConfig> nets;
  std::vector<VsockConfig> vsocks;
  std::vector<ConsoleConfig> consoles;
  std::uint32_t rngs = 0;
  std::vector<BalloonConfig> balloons;
  Transport transport = Transport::kMmio;

  [[nodiscard]] std::size_t devices() const {
    return blocks.size() + nets.size() + vsocks.size() + consoles.size() + rngs + balloons.size();
  }
  /// What no machine can be made of is refused, whichever front end it came from.
  [[nodiscard]] Outcome<void> check() const;
};

}  // namespace guestproof::vmm
