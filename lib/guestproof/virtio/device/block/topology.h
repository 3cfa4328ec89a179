// The blocks that storage is made of: what a driver needs to know to ask for what costs little.
//
// Thread-safety: a value.
// Specification: virtio 1.3 §5.2.4, blk_size and struct virtio_blk_topology.
#pragma once

#include <cstdint>

namespace guestproof::virtio::block {

struct Topology {
  /// The smallest unit that can be addressed: a power of two, at least 512.
  std::uint32_t logical_block_bytes = 512;
  /// The unit that is written without being read first: a power of two, at least the logical one.
  std::uint32_t physical_block_bytes = 512;
  /// How many bytes the first logical block lies behind the start of a physical one.
  std::uint32_t alignment_bytes = 0;
  /// The smallest transfer that costs no more than it must, and the best one; 0 when unknown.
  std::uint32_t minimum_io_bytes = 0;
  std::uint32_t optimal_io_bytes = 0;

  friend bool operator==(const Topology&, const Topology&) = default;
};

}  // namespace guestproof::virtio::block
