// The console device as it stands in guest memory and in its configuration space: layouts and
// constants.
// Specification: virtio 1.3 §5.3.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guestproof/base/endian.h"

namespace guestproof::virtio::console {

/// Feature bit numbers, §5.3.3.
inline constexpr unsigned VIRTIO_CONSOLE_F_SIZE = 0;
inline constexpr unsigned VIRTIO_CONSOLE_F_MULTIPORT = 1;
inline constexpr unsigned VIRTIO_CONSOLE_F_EMERG_WRITE = 2;

/// struct virtio_console_config, §5.3.4.
struct ConsoleConfig {
  le16 cols;          // 0
  le16 rows;          // 2
  le32 max_nr_ports;  // 4
  le32 emerg_wr;      // 8
};
static_assert(sizeof(ConsoleConfig) == 12 && offsetof(ConsoleConfig, rows) == 2 &&
              offsetof(ConsoleConfig, max_nr_ports) == 4 && offsetof(ConsoleConfig, emerg_wr) == 8);

/// struct virtio_console_control, §5.3.6.2.
struct ConsoleControl {
  le32 id;     // 0
  le16 event;  // 4
  le16 value;  // 6
};
static_assert(sizeof(ConsoleControl) == 8 && offsetof(ConsoleControl, event) == 4 &&
              offsetof(ConsoleControl, value) == 6);

/// ConsoleControl::event, §5.3.6.2.
inline constexpr std::uint16_t VIRTIO_CONSOLE_DEVICE_READY = 0;
inline constexpr std::uint16_t VIRTIO_CONSOLE_DEVICE_ADD = 1;
inline constexpr std::uint16_t VIRTIO_CONSOLE_DEVICE_REMOVE = 2;
inline constexpr std::uint16_t VIRTIO_CONSOLE_PORT_READY = 3;
inline constexpr std::uint16_t VIRTIO_CONSOLE_CONSOLE_PORT = 4;
inline constexpr std::uint16_t VIRTIO_CONSOLE_RESIZE = 5;
inline constexpr std::uint16_t VIRTIO_CONSOLE_PORT_OPEN = 6;
inline constexpr std::uint16_t VIRTIO_CONSOLE_PORT_NAME = 7;

/// struct virtio_console_resize, §5.3.6.2: what follows a RESIZE.
struct ConsoleResize {
  le16 cols;  // 0
  le16 rows;  // 2
};
static_assert(sizeof(ConsoleResize) == 4 && offsetof(ConsoleResize, rows) == 2);

}  // namespace guestproof::virtio::console
