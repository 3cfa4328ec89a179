// A device's turn at its queue: it serves what is available, and stops in time.
//
// A driver makes chains available again as soon as it has them back, and another processor of a
// hostile guest can do so for ever: a loop until the queue is empty need not end. A turn ends after
// a number of looks. Whoever runs the device then does what else its thread has to do, and gives it
// another turn:
//
//   auto turn = take_turn(queue, whole_queue(queue), serve);
//   if (!turn) return needs_reset(turn.error());
//   if (turn->notify) interrupt();
//   if (turn->more) again();                   // post the kick's event once more, say
//
// Kicks are off during a turn, and stay off when there is more: the driver does not tell of what it
// adds then, so the next turn must come without a kick. When there is no more they are on. The
// interrupt is decided at the end of every turn, so that a driver waits for no more than one.
//
// Thread-safety: that of the queue; turns of several threads at one queue are independent.
// Specification: virtio 1.3 §2.7.7 and §2.7.10 (notifications both ways).
#pragma once

#include <concepts>
#include <cstdint>
#include <utility>

#include "guestproof/base/invariant.h"
#include "guestproof/virtio/queue/chain.h"

namespace guestproof::virtio {

struct Turn {
  bool notify = false;  // the driver is to be notified of what was returned
  bool more = false;    // the looks were used up; chains may be left
};

/// The looks of a turn that serves all that a queue can hold at once, and finds it empty then: what
/// was available when a turn began is served in it, and only a driver that adds chains meanwhile
/// makes a second one necessary.
template <class Queue>
[[nodiscard]] std::uint32_t whole_queue(const Queue& queue) {
  return std::uint32_t{queue.size()} + 1;
}

/// Looks for a chain at most `looks` times (at least 1), each time only if `ready()`, and calls
/// `serve(chain)` with each that it finds; the chain is dropped, and so returned with length 0,
/// unless `serve` completes or keeps it. A look that finds none counts: a guest could let the
/// device see chains come that are gone when it takes them. When it is not ready, say because it
/// has nothing to give to the driver, the turn ends with kicks off: another one comes when it is.
/// Errors: QueueError, the queue is broken until reset; those of `serve`, which end the turn. Kicks
/// are off after an error.
template <class Queue, std::predicate Ready, class Serve>
[[nodiscard]] Result<Turn> take_turn(Queue& queue, std::uint32_t looks, Ready&& ready,
                                     Serve&& serve) {
  GUESTPROOF_INVARIANT(looks != 0);
  queue.disable_kicks();
  for (; looks != 0; --looks) {
    if (!ready()) return Turn{.notify = queue.needs_notification(), .more = false};
    auto popped = queue.pop();
    if (!popped) return std::unexpected(popped.error());
    if (*popped) {
      if (const auto done = serve(std::move(**popped)); !done) return std::unexpected(done.error());
    } else if (!queue.enable_kicks()) {
      return Turn{.notify = queue.needs_notification(), .more = false};
    } else {
      queue.disable_kicks();  // chains came in between
    }
  }
  return Turn{.notify = queue.needs_notification(), .more = true};
}

/// Always ready.
template <class Queue, class Serve>
[[nodiscard]] Result<Turn> take_turn(Queue& queue, std::uint32_t looks, Serve&& serve) {
  return take_turn(queue, looks, [] { return true; }, std::forward<Serve>(serve));
}

}  // namespace guestproof::virtio
