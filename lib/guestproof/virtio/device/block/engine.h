// The block device's engine: takes requests from queues, keeps several of them in flight on a back
// end, and answers each when the storage has.
//
// The answer to a request, after the checks of request.h:
// - IN. If a data buffer is not writable guest memory, nothing is read. Otherwise the sectors are
//   read; a short read goes on where it stopped. If reading fails, or the storage ends early
//   (kNoProgress), what was not read is filled with zeroes, up to the first bad address.
// - OUT. If a data buffer is not in guest memory, nothing is written. Otherwise as IN; what was
//   written before a failure stays written.
// - FLUSH. A flush.
// - GET_ID. The 20 bytes, up to the first bad address.
// - DISCARD, WRITE_ZEROES, SECURE_ERASE. Segment by segment in order, up to the first that fails; a
//   segment of 0 sectors is no operation. WRITE_ZEROES may unmap when the segment's flag and
//   write_zeroes_may_unmap are both set; without the latter the flag only loses its effect (the
//   device MAY deallocate, §5.2.6.2).
// - In write-through mode, a request of the four types that change data is followed by a flush
//   before it is answered (§5.2.6.2: the write is stable once it is completed). A failure of it is
//   the request's failure. The mode is write-through without VIRTIO_BLK_F_FLUSH, and with
//   VIRTIO_BLK_F_CONFIG_WCE while `writeback` is 0; it counts what it is when the data have been
//   moved: a write during which it changed need not be stable.
// - Any failure: IOERR, except those that status_of() calls UNSUPP. Success is OK, and only when
//   all of the request was done.
//
// The used length is the number of leading device-writable bytes that were written: n bytes of
// writable data, and the status byte only if they are all of the writable data. So it is W for a
// successful IN and for an IN whose data buffers are good; 1 for a request without writable data;
// 0 for a refused request with writable data and for a FLUSH with such: their status byte is
// written all the same (§2.7.8: a device may write more than it says).
//
// Order. A request has one operation in the storage at a time. Requests that are in flight together
// are not ordered: they are answered as the storage is done with them, and of two that touch the
// same sectors either may come first. What a request changed and was answered for is seen by every
// request that is taken afterwards, and stable once a FLUSH that is taken afterwards is answered
// OK. The status is the last byte that is written, and the chain is returned after it.
//
// Reset, queue reset, save, a change of the memory map: drain() comes first. Requests in flight end
// as if nothing had happened; the storage knows no way back, and its last byte may arrive at any
// moment until then. A chain that was reset all the same (Chain::stale()) is not answered: what is
// in the storage goes on to its end, and nothing of guest memory is touched for it any more but by
// that. Destroying the engine drains it.
//
// Thread-safety: none; one thread has the engine, its queues and its back end.
// Specification: virtio 1.3 §5.2.6.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "guestproof/virtio/device/block/async_backend.h"
#include "guestproof/virtio/device/block/config.h"
#include "guestproof/virtio/device/block/execution.h"
#include "guestproof/virtio/device/block/request.h"
#include "guestproof/virtio/queue/chain.h"
#include "guestproof/virtio/queue/turn.h"

namespace guestproof::virtio::block {

/// Requests in flight at once, on all queues together. Disks and the kernel's queues for them are
/// busy with fewer, and a driver with longer queues than this only waits in its own memory. It
/// bounds what a guest makes the host keep: each request has a list of iovecs as long as its chain
/// has parts.
inline constexpr std::uint32_t kMaxInFlight = 128;

/// Bytes, moved or in ranges that were changed, of the requests that are answered in one turn of a
/// queue: where the storage answers at once, 256 requests of 4 GiB would keep the device's thread
/// for hours. A disk takes a second for so many at most, and a turn costs next to nothing beside
/// them. One request may have more.
inline constexpr std::uint64_t kTurnBytes = 64 << 20;

/// What became of one request.
struct Outcome {
  std::optional<std::uint32_t> type;   // nothing when the header could not be read
  std::optional<std::uint8_t> status;  // as written; nothing when there was no place for it
  std::optional<Error> error;          // nothing when the status is OK
  std::uint16_t queue = 0;             // the number that take() was given
  std::uint64_t bytes = 0;  // moved from (IN) or to (OUT) the back end, or ranges executed
  std::uint32_t used = 0;   // the used length
};

/// `config` may be had on `backend`. Errors: BlockConfigError.
[[nodiscard]] Result<void> check_backend(const Config& config, const AsyncBackend& backend);

template <class Queue>
class Engine {
 public:
  /// `backend` must outlive the engine, and so must the queues that it serves. Errors:
  /// BlockConfigError.
  [[nodiscard]] static Result<Engine> create(const Config& config, AsyncBackend& backend) {
    if (const auto ok = check_backend(config, backend); !ok) return std::unexpected(ok.error());
    return Engine(config, backend);
  }
  Engine(Engine&&) noexcept = default;
  Engine& operator=(Engine&&) = delete;
  ~Engine() {
    drain([](const Outcome&) {});
  }

  [[nodiscard]] const Config& config() const { return config_; }
  /// The field `writeback`; it means nothing without VIRTIO_BLK_F_CONFIG_WCE.
  void set_write_back(bool on) { write_back_ = on; }

  [[nodiscard]] std::uint32_t in_flight() const {
    return static_cast<std::uint32_t>(slots_.size() - free_.size());
  }
  /// How many requests may join them.
  [[nodiscard]] std::uint32_t room() const {
    return std::min(kMaxInFlight, backend_->depth()) - in_flight();
  }

  // Everywhere below, `observe(outcome)` sees every request whose chain was returned. One that
  // fails is not an error of the members: the outcome has its error, also kStaleChain for a chain
  // that a reset took back.

  /// Takes one request of the queue with this number, which may be answered at once. dispatch() is
  /// to follow. REQUIRES: room() != 0.
  template <std::invocable<const Outcome&> Observe>
  void take(Chain<Queue> chain, Observe&& observe, std::uint16_t number = 0);
  /// What was taken begins. Errors: SystemError::kSubmit, the device needs a reset.
  [[nodiscard]] Result<void> dispatch() { return backend_->dispatch(); }

  /// Takes available chains in a turn of `looks` looks (turn.h, which says what becomes of kicks
  /// and what the caller owes when there is more); the turn ends after kTurnBytes, too. It is ready
  /// while there is room(): when there is none at the end, the queue needs another turn once a
  /// reap() has made some. Errors: QueueError, the queue is broken until reset and the device needs
  /// one; as dispatch().
  template <std::invocable<const Outcome&> Observe>
  [[nodiscard]] Result<Turn> serve(Queue& queue, std::uint32_t looks, Observe&& observe,
                                   std::uint16_t number = 0);
  /// A turn for the whole queue.
  [[nodiscard]] Result<Turn> serve(Queue& queue) {
    return serve(queue, whole_queue(queue), [](const Outcome&) {});
  }

  /// Goes on with what the storage has done; to be called when the back end's completion_fd() is
  /// readable. Who returned chains asks the queues whether they need a notification. Errors: as
  /// dispatch().
  template <std::invocable<const Outcome&> Observe>
  [[nodiscard]] Result<void> reap(Observe&& observe);
  /// Waits until nothing is in flight.
  template <std::invocable<const Outcome&> Observe>
  void drain(Observe&& observe);

 private:
  using Memory = typename Queue::Memory;

  /// A request from the moment its chain was taken until it is returned.
  struct Work {
    Work(Chain<Queue> taken, const Config& config, std::uint16_t number)
        : chain(std::move(taken)), queue(number), request(parse(chain, config)) {}

    Chain<Queue> chain;
    std::uint16_t queue;
    Result<Request<Memory>> request;
    std::uint64_t answer_bytes = 0;  // the request's, before anything was written
  };
  struct Slot {
    explicit Slot(std::uint32_t number) : index(number), execution(number) {}

    std::uint32_t index;
    std::optional<Work> work;
    Execution execution;  // its token is the index
  };

  Engine(const Config& config, AsyncBackend& backend) : config_(config), backend_(&backend) {}

  [[nodiscard]] Slot& free_slot();
  [[nodiscard]] Execution::Policy policy() const;

  // What comes before the storage's work, by type. `request.writable` is left behind what was
  // written to the guest.
  [[nodiscard]] Result<void> prepare(Request<Memory>& request, Execution& execution) const;
  [[nodiscard]] Result<void> find_targets(const Request<Memory>& request,
                                          std::vector<::iovec>& parts) const;
  [[nodiscard]] Result<void> find_sources(const Request<Memory>& request,
                                          std::vector<::iovec>& parts) const;
  [[nodiscard]] Result<void> read_segments(
      Request<Memory>& request, std::vector<VirtioBlkDiscardWriteZeroes>& segments) const;

  void begin(Slot& slot);
  /// Submits until there is something to wait for, or the request is done.
  template <class Observe>
  void run(Slot& slot, Observe& observe);
  /// The result of an operation that was submitted.
  void absorb(Slot& slot, const OperationResult& result);
  template <class Observe>
  void reap_once(Observe& observe);
  template <class Observe>
  void finish(Slot& slot, Observe& observe);
  [[nodiscard]] Outcome answer(Work& work, const Execution& execution) const;

  Config config_;
  AsyncBackend* backend_;
  bool write_back_ = true;
  // As many as were ever in flight together; they stay where they are, and are used again.
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::uint32_t> free_;
};

template <class Queue>
template <std::invocable<const Outcome&> Observe>
void Engine<Queue>::take(Chain<Queue> chain, Observe&& observe, std::uint16_t number) {
  Slot& slot = free_slot();
  slot.work.emplace(std::move(chain), config_, number);
  begin(slot);
  run(slot, observe);
}

template <class Queue>
template <std::invocable<const Outcome&> Observe>
Result<Turn> Engine<Queue>::serve(Queue& queue, std::uint32_t looks, Observe&& observe,
                                  std::uint16_t number) {
  std::uint64_t bytes = 0;
  const auto count = [&](const Outcome& outcome) {
    bytes += outcome.bytes;
    observe(outcome);
  };
  auto turn = take_turn(
      queue, looks, [&] { return room() != 0 && bytes < kTurnBytes; },
      [&](Chain<Queue> chain) -> Result<void> {
        take(std::move(chain), count, number);
        return {};
      });
  if (turn) turn->more |= bytes >= kTurnBytes;
  // Also what was taken before the queue broke.
  if (const auto begun = dispatch(); turn && !begun) return std::unexpected(begun.error());
  return turn;
}

template <class Queue>
template <std::invocable<const Outcome&> Observe>
Result<void> Engine<Queue>::reap(Observe&& observe) {
  reap_once(observe);
  return dispatch();
}

template <class Queue>
template <std::invocable<const Outcome&> Observe>
void Engine<Queue>::drain(Observe&& observe) {
  while (in_flight() != 0) {
    // When nothing can be submitted any more, what is in flight ends all the same.
    static_cast<void>(dispatch());
    backend_->wait();
    reap_once(observe);
  }
}

template <class Queue>
auto Engine<Queue>::free_slot() -> Slot& {
  if (free_.empty()) {
    GUESTPROOF_INVARIANT(room() != 0);
    free_.reserve(slots_.size() + 1);
    slots_.push_back(std::make_unique<Slot>(static_cast<std::uint32_t>(slots_.size())));
    return *slots_.back();
  }
  const auto index = free_.back();
  free_.pop_back();
  return *slots_[index];
}

template <class Queue>
Execution::Policy Engine<Queue>::policy() const {
  const bool through =
      !config_.has(VIRTIO_BLK_F_FLUSH) || (config_.has(VIRTIO_BLK_F_CONFIG_WCE) && !write_back_);
  return {.write_through = through, .may_unmap = config_.write_zeroes_may_unmap};
}

template <class Queue>
void Engine<Queue>::begin(Slot& slot) {
  auto& request = slot.work->request;
  const bool known = request && request->header;
  slot.execution.begin(known ? std::uint32_t{request->header->type} : VIRTIO_BLK_T_GET_ID,
                       known ? std::uint64_t{request->header->sector} : 0);
  if (!request) return slot.execution.fail_with(request.error());
  slot.work->answer_bytes = request->answer_bytes();
  if (request->refusal) return slot.execution.fail_with(*request->refusal);
  if (const auto done = prepare(*request, slot.execution); !done)
    slot.execution.fail_with(done.error());
}

template <class Queue>
template <class Observe>
void Engine<Queue>::run(Slot& slot, Observe& observe) {
  while (const auto* operation = slot.execution.next(policy())) {
    const auto result = backend_->submit(*operation);
    if (!result) return;
    absorb(slot, *result);
  }
  finish(slot, observe);
}

template <class Queue>
template <class Observe>
void Engine<Queue>::reap_once(Observe& observe) {
  std::array<Completion, 16> batch;
  for (auto count = batch.size(); count == batch.size();) {
    count = backend_->reap(batch);
    for (const auto& completion : std::span(batch).first(count)) {
      Slot& slot = *slots_.at(completion.token);
      GUESTPROOF_INVARIANT(slot.work);
      absorb(slot, completion.result);
      run(slot, observe);
    }
  }
}

template <class Queue>
template <class Observe>
void Engine<Queue>::finish(Slot& slot, Observe& observe) {
  auto& work = *slot.work;
  auto outcome = answer(work, slot.execution);
  if (const auto returned = work.chain.complete(outcome.used); !returned)
    outcome.error = returned.error();
  slot.work.reset();
  free_.push_back(slot.index);
  observe(outcome);
}

template <class Queue>
Outcome Engine<Queue>::answer(Work& work, const Execution& execution) const {
  Outcome outcome;
  outcome.error = execution.error();
  outcome.queue = work.queue;
  outcome.bytes = execution.bytes();
  if (!work.request) return outcome;
  auto& request = *work.request;
  if (request.header) outcome.type = request.header->type;
  if (work.chain.stale()) return outcome;
  // What could not be read. Where an address is bad the filling stops: there is nothing to fill,
  // and the error is known.
  if (outcome.error && outcome.type == VIRTIO_BLK_T_IN && !request.refusal)
    static_cast<void>(request.writable.fill(request.answer_bytes(), std::byte{0}));
  outcome.status = outcome.error ? status_of(*outcome.error) : VIRTIO_BLK_S_OK;
  request.status.store(0, *outcome.status);
  const auto written = work.answer_bytes - request.answer_bytes();
  // Fits: an answer with data has a header before it, and a chain has at most 2^32 bytes.
  outcome.used = static_cast<std::uint32_t>(written == work.answer_bytes ? written + 1 : written);
  return outcome;
}

template <class Queue>
Result<void> Engine<Queue>::prepare(Request<Memory>& request, Execution& execution) const {
  switch (request.header->type) {
    case VIRTIO_BLK_T_IN:
      return find_targets(request, execution.parts());
    case VIRTIO_BLK_T_OUT:
      return find_sources(request, execution.parts());
    case VIRTIO_BLK_T_FLUSH:
      return {};
    case VIRTIO_BLK_T_GET_ID:
      return request.writable.write(std::as_bytes(std::span(config_.id)));
    default:
      return read_segments(request, execution.segments());
  }
}

template <class Queue>
Result<void> Engine<Queue>::find_targets(const Request<Memory>& request,
                                         std::vector<::iovec>& parts) const {
  auto data = request.writable;
  return data.visit_slices(request.answer_bytes(), [&](const typename Memory::Slice& slice) {
    parts.push_back(slice.io_target());
  });
}

template <class Queue>
Result<void> Engine<Queue>::find_sources(const Request<Memory>& request,
                                         std::vector<::iovec>& parts) const {
  auto data = request.readable;
  return data.visit_slices(data.remaining(), [&](const typename Memory::Slice& slice) {
    parts.push_back(slice.io_source());
  });
}

template <class Queue>
Result<void> Engine<Queue>::read_segments(
    Request<Memory>& request, std::vector<VirtioBlkDiscardWriteZeroes>& segments) const {
  segments.resize(request.readable.remaining() / sizeof(VirtioBlkDiscardWriteZeroes));
  if (const auto read = request.readable.read(std::as_writable_bytes(std::span(segments))); !read)
    return read;
  return check_segments(request.header->type, segments, config_);
}

/// The pages of what was read are dirty from now on.
template <class Queue>
void Engine<Queue>::absorb(Slot& slot, const OperationResult& result) {
  const auto before = slot.execution.bytes();
  slot.execution.took(result);
  auto& work = *slot.work;
  if (work.request->header->type != VIRTIO_BLK_T_IN || work.chain.stale()) return;
  static_cast<void>(work.request->writable.visit_slices(
      slot.execution.bytes() - before,
      [](const typename Memory::Slice& slice) { slice.written_by_io(); }));
}

}  // namespace guestproof::virtio::block
