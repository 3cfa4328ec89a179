// The smallest device that uses a queue for what it is for: it reads a chain's bytes, sums them,
// and answers with a pattern made from the sum. For tests of queues and transports, and a first
// example of a device loop.
//
// Thread-safety: that of the queue.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "guestproof/virtio/queue/turn.h"

namespace guestproof::testing {

/// What is read of one chain and written to it at most: a chain may claim 4 GiB, a test has other
/// things to do.
inline constexpr std::uint64_t kEchoLimit = 4096;

/// Byte `i` of the answer to readable bytes that sum to `sum`.
constexpr std::byte echo_byte(std::uint32_t sum, std::uint64_t i) {
  return static_cast<std::byte>((sum + i * 7) & 0xff);
}

template <class Queue>
class EchoDevice {
 public:
  using Chain = virtio::Chain<Queue>;

  /// Takes a turn of `looks` looks at what is available; `taken(chain)` sees every chain first.
  /// Errors: a broken queue.
  template <class Observer>
  Result<virtio::Turn> process(Queue& queue, std::uint32_t looks, Observer&& taken) {
    return virtio::take_turn(queue, looks, [&](Chain chain) -> Result<void> {
      taken(std::as_const(chain));
      return chain.complete(answer(chain));
    });
  }

 private:
  /// The bytes written; 0 when the chain could not be read.
  static std::uint32_t answer(const Chain& chain) {
    auto reader = chain.reader();
    std::uint32_t sum = 0;
    std::array<std::byte, 64> piece;
    for (auto left = std::min(reader.remaining(), kEchoLimit); left != 0;) {
      const auto part = std::span(piece).first(std::min<std::uint64_t>(left, piece.size()));
      if (!reader.read(part)) return 0;
      for (const auto byte : part) sum += std::to_integer<std::uint32_t>(byte);
      left -= part.size();
    }
    return write_pattern(chain, sum);
  }

  static std::uint32_t write_pattern(const Chain& chain, std::uint32_t sum) {
    auto writer = chain.writer();
    const auto total = std::min(writer.remaining(), kEchoLimit);
    const auto before = writer.remaining();
    std::array<std::byte, 64> piece;
    for (std::uint64_t done = 0; done < total;) {
      const auto part = std::span(piece).first(std::min<std::uint64_t>(total - done, piece.size()));
      for (std::size_t i = 0; i < part.size(); ++i) part[i] = echo_byte(sum, done + i);
      // A buffer outside memory ends the answer; what was written before it counts.
      if (!writer.write(part)) break;
      done += part.size();
    }
    return static_cast<std::uint32_t>(before - writer.remaining());
  }
};

}  // namespace guestproof::testing
