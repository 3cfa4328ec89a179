// The chains of one queue, whatever the format of its ring: which heads are in flight, in what
// order they were taken, and the records that hold what was read of them. Records are recycled, so
// that no allocation happens per chain; they outlive a reset, and a change of format, with the
// chains that are held over it.
//
// With VIRTIO_F_IN_ORDER (virtio 1.3 §2.7.9, §2.8.8) the queue returns chains in the order in which
// it took them: one that is completed before its turn is kept back here.
//
// Thread-safety: none; BasicQueue locks.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "guestproof/base/invariant.h"
#include "guestproof/virtio/queue/chain.h"

namespace guestproof::virtio {

class ChainPool {
 public:
  ChainPool() = default;
  ChainPool(const ChainPool&) = delete;
  ChainPool& operator=(const ChainPool&) = delete;
  /// REQUIRES: every chain that was taken has been completed, put back or dropped.
  ~ChainPool() { GUESTPROOF_INVARIANT(free_.size() == records_.size()); }

  /// For a ring of this size in which nothing is in flight.
  void start(std::uint16_t size, bool in_order) {
    in_order_ = in_order;
    order_.assign(in_order ? size : 0U, nullptr);
    in_flight_.assign((size + 63U) / 64, 0);
  }

  /// Nothing is in flight any more: chains that are held become stale.
  void reset() {
    // A chain that is kept back has no holder who would return its record.
    if (in_order_)
      for (; returned_ != taken_; ++returned_)
        if (ChainRecord* record = place(returned_); record->kept_back) free_.push_back(record);
    in_order_ = false;
    order_.clear();
    in_flight_.clear();
    in_flight_count_ = 0;
    taken_ = returned_ = 0;
    for (const auto& record : records_) record->revoke();
    // The room that one driver's long chains took is not kept for the next one's.
    for (ChainRecord* record : free_)
      if (record->buffers.capacity() > kKeptBuffers) record->buffers = {};
  }

  [[nodiscard]] std::uint32_t in_flight() const { return in_flight_count_; }
  /// REQUIRES: head < size.
  [[nodiscard]] bool in_flight(std::uint16_t head) const {
    return (in_flight_[head / 64] >> (head % 64) & 1) != 0;
  }
  [[nodiscard]] bool in_order() const { return in_order_; }

  /// A record that is still among the free ones.
  [[nodiscard]] ChainRecord& spare() {
    if (free_.empty()) [[unlikely]] {
      free_.reserve(records_.size() + 1);
      records_.push_back(std::make_unique<ChainRecord>());
      free_.push_back(records_.back().get());
    }
    return *free_.back();
  }

  /// The spare record's chain is in flight from now on. REQUIRES: its head was not.
  void claim(ChainRecord& record) {
    free_.pop_back();
    in_flight_[record.head / 64] |= std::uint64_t{1} << (record.head % 64);
    ++in_flight_count_;
    record.sequence = taken_;
    if (in_order_) {
      record.kept_back = false;
      order_[taken_ % order_.size()] = &record;
    }
    ++taken_;
  }

  /// Whether no chain was taken, and not put back, after this one.
  [[nodiscard]] bool taken_last(const ChainRecord& record) const {
    return record.sequence + 1 == taken_;
  }
  /// REQUIRES: taken_last().
  void put_back(ChainRecord& record) {
    --taken_;
    release(record);
  }

  /// The chain was returned to the driver.
  void release(ChainRecord& record) {
    in_flight_[record.head / 64] &= ~(std::uint64_t{1} << (record.head % 64));
    --in_flight_count_;
    free_.push_back(&record);
  }
  /// A stale chain's holder is done with it.
  void release_stale(ChainRecord& record) { free_.push_back(&record); }

  /// The chain is complete, and waits for those that were taken before it. REQUIRES: in_order().
  void keep_back(ChainRecord& record, std::uint32_t written) {
    record.kept_back = true;
    record.written = written;
  }
  /// The chain whose turn it is to be returned, when it is complete; null otherwise. REQUIRES:
  /// in_order(), the caller returns it.
  [[nodiscard]] ChainRecord* next_to_return() {
    if (returned_ == taken_ || !place(returned_)->kept_back) return nullptr;
    return place(returned_++);
  }

 private:
  // Buffers of a record that a reset leaves allocated: chains of usual length allocate nothing.
  static constexpr std::size_t kKeptBuffers = 64;

  // No two chains in flight have the same place: there are at most as many as the ring's size.
  [[nodiscard]] ChainRecord* place(std::uint64_t sequence) const {
    return order_[sequence % order_.size()];
  }

  std::vector<std::uint64_t> in_flight_;  // one bit per head
  std::uint32_t in_flight_count_ = 0;
  std::uint64_t taken_ = 0;     // chains, those not counted that were put back
  std::uint64_t returned_ = 0;  // chains; counted when they are returned in order
  bool in_order_ = false;
  std::vector<ChainRecord*> order_;  // by sequence; empty when the order of returning is free
  std::vector<ChainRecord*> free_;
  std::vector<std::unique_ptr<ChainRecord>> records_;
};

}  // namespace guestproof::virtio
