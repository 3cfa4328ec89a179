// A second opinion on virtqueues, split and packed: a naive device side written from virtio 1.3
// §2.7 and §2.8 and from the policies that the headers in virtio/queue/ state, for comparison. It
// shares no code with them: only guest memory's bytes.
//
// It is slow and obvious on purpose. Where it and the library differ, one of them is wrong.
//
// Thread-safety: none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "guestproof/testing/model/model_memory.h"

namespace guestproof::testing {

struct ModelPiece {
  std::uint64_t address = 0;
  std::uint64_t length = 0;
};

/// Why the byte at an address cannot be had, when it cannot: a MemoryError.
[[nodiscard]] ModelError no_memory(const WatchedMemory& memory, std::uint64_t address);
/// The same of byte `position` of the pieces. REQUIRES: they have as many.
[[nodiscard]] ModelError no_memory(const WatchedMemory& memory,
                                   const std::vector<ModelPiece>& pieces, std::uint64_t position);

struct ModelChain {
  std::uint16_t head = 0;    // or Buffer ID
  std::uint16_t slots = 1;   // descriptors of a packed ring
  std::uint64_t number = 0;  // how many were taken before it and not put back
  ModelError fault;          // a ChainError
  std::vector<ModelPiece> readable;
  std::vector<ModelPiece> writable;

  [[nodiscard]] std::uint64_t readable_bytes() const { return sum(readable); }
  [[nodiscard]] std::uint64_t writable_bytes() const { return sum(writable); }

  /// Bytes [from, from + out.size()) of the readable part; how many could be read.
  std::size_t read(const ModelMemory& memory, std::uint64_t from,
                   std::span<std::uint8_t> out) const;
  /// Bytes [from, from + in.size()) of the writable part; how many could be written.
  std::size_t write(const ModelMemory& memory, std::uint64_t from,
                    std::span<const std::uint8_t> in) const;

 private:
  static std::uint64_t sum(const std::vector<ModelPiece>& pieces);
};

/// Why the first `bytes` bytes of a chain's writable part cannot all be written, when they cannot.
[[nodiscard]] ModelError obstacle(const WatchedMemory& memory, const ModelChain& chain,
                                  std::uint64_t bytes);

struct ModelQueueSetup {
  std::uint16_t size = 0;
  std::uint64_t desc = 0;
  std::uint64_t avail = 0;
  std::uint64_t used = 0;
  bool event_index = false;
  bool indirect = false;
  bool packed = false;
  bool in_order = false;

  /// Bytes of the areas at avail and used.
  [[nodiscard]] std::uint64_t avail_bytes() const { return packed ? 4 : 6 + 2ULL * size; }
  [[nodiscard]] std::uint64_t used_bytes() const { return packed ? 4 : 6 + 8ULL * size; }
};

class QueueModel {
 public:
  /// Why a setup cannot be activated: a QueueConfigError.
  [[nodiscard]] static ModelError refusal(const WatchedMemory& memory, const ModelQueueSetup& setup,
                                          std::uint16_t max_size);

  /// REQUIRES: refusal() has none.
  void activate(const WatchedMemory& memory, const ModelQueueSetup& setup);
  void reset();
  /// Starts from saved bytes (the layout in virtio/queue/state.h) when they are a valid state of a
  /// queue with this maximum size and the features in `negotiated`. If they are not, why: a
  /// QueueStateError or QueueConfigError, and the model is inactive.
  [[nodiscard]] ModelError restore(const WatchedMemory& memory, std::span<const std::byte> bytes,
                                   std::uint16_t max_size, const ModelQueueSetup& negotiated);

  /// What must be saved of this queue, in the same layout. REQUIRES: active(), nothing in flight.
  [[nodiscard]] std::array<std::byte, 48> save(std::uint16_t max_size) const;

  [[nodiscard]] bool active() const { return active_; }
  /// The QueueError that broke the queue.
  [[nodiscard]] const ModelError& broken() const { return broken_; }
  [[nodiscard]] const ModelQueueSetup& setup() const { return setup_; }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_.size(); }
  /// Chains among those in flight that were given back before their turn.
  [[nodiscard]] std::size_t kept_back() const;
  /// Where the next chain will be taken from, and where the next one is returned: of a split queue
  /// the free-running indices, of a packed one the ring's descriptors counted on without wrapping.
  [[nodiscard]] std::uint64_t next_avail() const { return next_avail_; }
  [[nodiscard]] std::uint64_t next_used() const { return next_used_; }

  [[nodiscard]] std::optional<ModelChain> take();
  void give_back(const ModelChain& chain, std::uint32_t written);
  /// False when another one was taken after it.
  [[nodiscard]] bool put_back(const ModelChain& chain);
  [[nodiscard]] bool needs_notification();
  [[nodiscard]] bool enable_kicks();
  void disable_kicks();

 private:
  struct InFlight {
    ModelChain chain;
    std::optional<std::uint32_t> written;  // kept back
  };

  [[nodiscard]] bool available(std::uint64_t position) const;
  [[nodiscard]] std::optional<ModelChain> take_split();
  [[nodiscard]] std::optional<ModelChain> take_packed();
  [[nodiscard]] bool may_be_taken(std::uint16_t head);
  [[nodiscard]] ModelChain walk(std::uint16_t head) const;
  /// The chain from the descriptor at `next_avail_` on; nothing when its end cannot be found.
  [[nodiscard]] std::optional<ModelChain> walk_packed();
  void walk_packed_table(std::uint64_t table, std::uint64_t length, ModelChain& chain) const;
  void publish(const ModelChain& chain, std::uint32_t written);
  [[nodiscard]] bool wants_notification_split(std::uint64_t passed) const;
  [[nodiscard]] bool wants_notification_packed(std::uint64_t passed) const;
  [[nodiscard]] std::uint16_t saved_position(std::uint64_t position) const;
  [[nodiscard]] std::uint64_t turn() const;

  const WatchedMemory* memory_ = nullptr;
  ModelQueueSetup setup_;
  bool active_ = false;
  ModelError broken_;
  std::uint64_t next_avail_ = 0;
  std::uint64_t seen_ = 0;  // split
  std::uint64_t next_used_ = 0;
  std::uint64_t used_since_asked_ = 0;
  std::uint64_t taken_ = 0;
  std::vector<InFlight> in_flight_;  // in the order of taking
};

}  // namespace guestproof::testing
