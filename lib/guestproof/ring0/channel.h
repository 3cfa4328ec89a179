// What the process of the tests shares with the copy of it that runs one: rings of records, and two
// bells for when a ring is full.
//
// Thread-safety: put() by one thread for each ring.
#pragma once

#include <memory>
#include <span>

#include "guestproof/base/fd.h"
#include "guestproof/ring0/area.h"
#include "guestproof/ring0/records.h"

namespace guestproof::ring0 {

class Channel {
 public:
  /// Errors: SystemError::kMap, kEventFd.
  [[nodiscard]] static Result<Channel> create(std::uint32_t rings);

  [[nodiscard]] std::span<Ring> rings() const { return rings_; }

  // The copy's side.

  /// Appends the record. False: there is no room until the reader has read.
  [[nodiscard]] bool try_put(std::uint32_t ring, RecordKind kind,
                             std::span<const std::span<const std::byte>> parts) const;
  /// Appends the record, when there is room at last.
  void put(std::uint32_t ring, RecordKind kind,
           std::span<const std::span<const std::byte>> parts) const;
  /// Wakes the reader, and waits a moment for it to have read.
  void drain() const;

  // The reader's side.

  /// Readable when a ring is full.
  [[nodiscard]] int full() const { return full_.get(); }
  /// All rings were read.
  void drained() const;

 private:
  Channel(Area area, std::span<Ring> rings, EventFd full, EventFd room)
      : area_(std::move(area)), rings_(rings), full_(std::move(full)), room_(std::move(room)) {}

  Area area_;
  std::span<Ring> rings_;
  // Of the copy, whose guests may change it, too: how many records each ring has had.
  std::unique_ptr<std::uint32_t[]> sequences_ = std::make_unique<std::uint32_t[]>(rings_.size());
  EventFd full_;
  EventFd room_;
};

}  // namespace guestproof::ring0
