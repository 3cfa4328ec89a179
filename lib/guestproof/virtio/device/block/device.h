// The block device: serves requests from a queue on a back end.
//
// The answer to a request, after the checks of request.h:
// - IN. If a data buffer is not writable guest memory, nothing is read. Otherwise the sectors are
//   read; a short read goes on where it stopped. If reading fails, or the storage ends early
//   (kNoProgress), what was not read is filled with zeroes, up to the first bad address.
// - OUT. If a data buffer is not in guest memory, nothing is written. Otherwise as IN; what was
//   written before a failure stays written.
// - FLUSH. Back end flush().
// - GET_ID. The 20 bytes, up to the first bad address.
// - DISCARD, WRITE_ZEROES, SECURE_ERASE. Segment by segment in order, up to the first that fails; a
//   segment of 0 sectors is no call. WRITE_ZEROES may unmap when the segment's flag and
//   write_zeroes_may_unmap are both set; without the latter the flag only loses its effect (the
//   device MAY deallocate, §5.2.6.2).
// - Without VIRTIO_BLK_F_FLUSH, a request of the four types that change data is followed by a
//   flush() before it is answered (§5.2.6.2: the write is stable once it is completed). A failure
//   of it is the request's failure.
// - Any failure: IOERR, except those that status_of() calls UNSUPP. Success is OK, and only when
// all
//   of the request was done.
//
// The used length is the number of leading device-writable bytes that were written: n bytes of
// writable data, and the status byte only if they are all of the writable data. So it is W for a
// successful IN and for an IN whose data buffers are good; 1 for a request without writable data;
// 0 for a refused request with writable data and for a FLUSH with such: their status byte is
// written all the same (§2.7.8: a device may write more than it says).
//
// Thread-safety: none, it is one queue's; several devices may share a back end.
// Specification: virtio 1.3 §5.2.6.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "guestproof/virtio/device/block/backend.h"
#include "guestproof/virtio/device/block/config.h"
#include "guestproof/virtio/device/block/request.h"
#include "guestproof/virtio/queue/chain.h"
#include "guestproof/virtio/queue/turn.h"

namespace guestproof::virtio::block {

/// What became of one request.
struct Outcome {
  std::optional<std::uint32_t> type;   // nothing when the header could not be read
  std::optional<std::uint8_t> status;  // as written; nothing when there was no place for it
  std::optional<Error> error;          // nothing when the status is OK
  std::uint64_t bytes = 0;  // moved from (IN) or to (OUT) the back end, or ranges executed
  std::uint32_t used = 0;   // the used length
};

class Device {
 public:
  /// `backend` must outlive the device. Errors: BlockConfigError.
  [[nodiscard]] static Result<Device> create(const Config& config, Backend& backend);

  [[nodiscard]] const Config& config() const { return config_; }

  /// Serves one chain and returns it. A request that fails is not an error here: the outcome has
  /// its error. Errors: QueueError::kStaleChain (reset took the chain back, nothing was done).
  template <class Queue>
  [[nodiscard]] Result<Outcome> serve(Chain<Queue> chain);

  /// Serves available chains in a turn of `looks` looks (turn.h, which says what becomes of kicks
  /// and what the caller owes when there is more); `observe(outcome)` sees every one. Errors:
  /// QueueError; the queue is broken until reset and the device needs one.
  template <class Queue, std::invocable<const Outcome&> Observe>
  [[nodiscard]] Result<Turn> process(Queue& queue, std::uint32_t looks, Observe&& observe);
  /// A turn for the whole queue.
  template <class Queue>
  [[nodiscard]] Result<Turn> process(Queue& queue) {
    return process(queue, whole_queue(queue), [](const Outcome&) {});
  }

 private:
  enum class Direction : std::uint8_t { kFromBackend, kToBackend };

  Device(const Config& config, Backend& backend);

  // Each does the work of a type and says how it went; `request.writable` is left behind what was
  // written to the guest.
  template <GuestMemory M>
  [[nodiscard]] Result<void> execute(Request<M>& request, Outcome& outcome);
  template <GuestMemory M>
  [[nodiscard]] Result<void> read_sectors(Request<M>& request, Outcome& outcome);
  template <GuestMemory M>
  [[nodiscard]] Result<void> write_sectors(Request<M>& request, Outcome& outcome);
  template <GuestMemory M>
  [[nodiscard]] Result<void> change_segments(Request<M>& request, Outcome& outcome);

  /// All of iovecs_, from `offset` of the back end on; `moved` counts, on an error too.
  [[nodiscard]] Result<void> transfer(Direction direction, std::uint64_t offset,
                                      std::uint64_t& moved);
  [[nodiscard]] Result<void> change_segment(std::uint32_t type,
                                            const VirtioBlkDiscardWriteZeroes& segment);

  Config config_;
  Backend* backend_;
  // Kept from request to request, so that they rarely allocate.
  std::vector<::iovec> iovecs_;
  std::vector<VirtioBlkDiscardWriteZeroes> segments_;
};

template <class Queue>
Result<Outcome> Device::serve(Chain<Queue> chain) {
  Outcome outcome;
  if (auto request = parse(chain, config_); !request) {
    outcome.error = request.error();
  } else {
    const auto answer_bytes = request->answer_bytes();
    if (request->header) outcome.type = request->header->type;
    if (request->refusal)
      outcome.error = request->refusal;
    else if (const auto done = execute(*request, outcome); !done)
      outcome.error = done.error();
    outcome.status = outcome.error ? status_of(*outcome.error) : VIRTIO_BLK_S_OK;
    request->status.store(0, *outcome.status);
    const auto written = answer_bytes - request->answer_bytes();
    // Fits: an answer with data has a header before it, and a chain has at most 2^32 bytes.
    outcome.used = static_cast<std::uint32_t>(written == answer_bytes ? written + 1 : written);
  }
  if (const auto returned = chain.complete(outcome.used); !returned)
    return std::unexpected(returned.error());
  return outcome;
}

template <class Queue, std::invocable<const Outcome&> Observe>
Result<Turn> Device::process(Queue& queue, std::uint32_t looks, Observe&& observe) {
  return take_turn(queue, looks, [&](Chain<Queue> chain) -> Result<void> {
    const auto outcome = serve(std::move(chain));
    if (!outcome) return std::unexpected(outcome.error());
    observe(*outcome);
    return {};
  });
}

template <GuestMemory M>
Result<void> Device::execute(Request<M>& request, Outcome& outcome) {
  switch (request.header->type) {
    case VIRTIO_BLK_T_IN:
      return read_sectors(request, outcome);
    case VIRTIO_BLK_T_OUT:
      return write_sectors(request, outcome);
    case VIRTIO_BLK_T_FLUSH:
      return backend_->flush();
    case VIRTIO_BLK_T_GET_ID:
      return request.writable.write(std::as_bytes(std::span(config_.id)));
    default:
      return change_segments(request, outcome);
  }
}

template <GuestMemory M>
Result<void> Device::read_sectors(Request<M>& request, Outcome& outcome) {
  const auto wanted = request.answer_bytes();
  iovecs_.clear();
  auto data = request.writable;
  auto done = data.visit_slices(
      wanted, [&](const typename M::Slice& slice) { iovecs_.push_back(slice.io_target()); });
  if (done)
    done = transfer(Direction::kFromBackend, request.header->sector * kSectorBytes, outcome.bytes);
  static_cast<void>(request.writable.visit_slices(
      outcome.bytes, [](const typename M::Slice& slice) { slice.written_by_io(); }));
  // Where an address is bad the filling stops: there is nothing to fill, and the error is known.
  if (!done) static_cast<void>(request.writable.fill(wanted - outcome.bytes, std::byte{0}));
  return done;
}

template <GuestMemory M>
Result<void> Device::write_sectors(Request<M>& request, Outcome& outcome) {
  iovecs_.clear();
  const auto found = request.readable.visit_slices(
      request.readable.remaining(),
      [&](const typename M::Slice& slice) { iovecs_.push_back(slice.io_source()); });
  if (!found) return found;
  const auto done =
      transfer(Direction::kToBackend, request.header->sector * kSectorBytes, outcome.bytes);
  if (!done || config_.has(VIRTIO_BLK_F_FLUSH)) return done;
  return backend_->flush();
}

template <GuestMemory M>
Result<void> Device::change_segments(Request<M>& request, Outcome& outcome) {
  const auto type = request.header->type;
  segments_.resize(request.readable.remaining() / sizeof(VirtioBlkDiscardWriteZeroes));
  if (const auto read = request.readable.read(std::as_writable_bytes(std::span(segments_))); !read)
    return read;
  if (const auto ok = check_segments(type, segments_, config_); !ok) return ok;
  for (const auto& segment : segments_) {
    if (segment.num_sectors == 0) continue;
    if (const auto done = change_segment(type, segment); !done) return done;
    outcome.bytes += segment.num_sectors * kSectorBytes;
  }
  return config_.has(VIRTIO_BLK_F_FLUSH) ? Result<void>() : backend_->flush();
}

}  // namespace guestproof::virtio::block
