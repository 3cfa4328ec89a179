#include "guestproof/ring0/traps.h"

#include <malloc.h>

#include <array>
#include <cstdlib>

#include "guestproof/base/invariant.h"
#include "guestproof/memory/mapped_memory.h"
#include "guestproof/ring0/address_sanitizer.h"
#include "guestproof/ring0/backtrace.h"
#include "guestproof/ring0/guest.h"

namespace guestproof::ring0 {
namespace {

constexpr std::size_t kFrames = 64;  // of a backtrace
/// The same fault again after it was served: the guest has page tables of its own, say.
constexpr unsigned kFaultsInVain = 8;

}  // namespace

Result<std::optional<EndRecord>> Traps::serve(TrapFrame& frame) {
  if (const auto call = system_call_of(frame))
    if (const auto value = serve_address_sanitizer(*call)) {
      answer(frame, *value);
      return std::nullopt;
    }
  const auto trap = trap_of(frame);
  EndRecord end{.kind = EndKind::kVector,
                .vector = trap.vector,
                .address = trap.address,
                .value = trap.value,
                .fault = trap.fault,
                .state = state_of(frame)};
  if (!trap.fault) return end;
  const auto resolved = mirror_.resolve(trap.address, trap.access);
  if (!resolved) return std::unexpected(resolved.error());
  times_ = address_ == trap.address && pc_ == trap.pc ? times_ + 1 : 0;
  address_ = trap.address;
  pc_ = trap.pc;
  if (*resolved == Resolution::kMapped && times_ < kFaultsInVain) return std::nullopt;
  end.forbidden = *resolved != Resolution::kNothing;
  end.overflow = trap.address < stack_ && stack_ - trap.address <= host_page_size();
  return end;
}

void write_end(const Channel& channel, std::uint32_t ring, EndRecord end, std::string_view text) {
  end.instruction_length = static_cast<std::uint32_t>(read_code(end.state.pc, end.instruction));
  const std::array parts{bytes_of(end), bytes_of(text)};
  channel.put(ring, RecordKind::kEnd, parts);
  if (end.state.pc == 0) return;
  std::array<std::uint64_t, kFrames> frames;
  const auto count = backtrace(end.state, frames);
  const std::array addresses{std::as_bytes(std::span(frames).first(count))};
  channel.put(ring, RecordKind::kBacktrace, addresses);
}

void warm_up() {
  // What is made ready of the heap stays there.
  ::mallopt(M_MMAP_THRESHOLD, 2 * kHeap);
  ::mallopt(M_TRIM_THRESHOLD, 4 * kHeap);
  void* volatile heap = std::malloc(kHeap);  // a compiler sees no use of it
  std::free(heap);
  bool caught = false;
  try {
    throw 0;
  } catch (int) {
    caught = true;
  }
  GUESTPROOF_INVARIANT(caught);
}

}  // namespace guestproof::ring0
