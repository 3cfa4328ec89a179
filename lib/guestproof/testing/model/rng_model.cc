#include "guestproof/testing/model/rng_model.h"

#include <array>

namespace guestproof::testing {

ModelError RngModel::refill() {
  if (!bytes_.empty()) return {};
  const auto given = source_(256);
  bytes_.assign(given.bytes.begin(), given.bytes.end());
  return given.error;
}

bool RngModel::ready() { return !refill().none() || !bytes_.empty(); }

RngModel::Answer RngModel::serve(const WatchedMemory& memory, const ModelChain& chain) {
  Answer answer;
  if (!chain.fault.none()) {
    answer.error = chain.fault;
  } else if (chain.readable_bytes() != 0) {
    answer.error = {"rng.readable", chain.readable_bytes()};
  } else if (chain.writable_bytes() == 0) {
    answer.error = {"rng.no_room"};
  } else {
    const ModelMemory bytes(memory);
    // Byte by byte: that is all that a request is.
    while (answer.used < 65536 && answer.used < chain.writable_bytes()) {
      answer.error = refill();
      if (bytes_.empty()) break;
      const std::array<std::uint8_t, 1> next{bytes_.front()};
      if (chain.write(bytes, answer.used, next) == 0) {
        answer.error = no_memory(memory, chain.writable, answer.used);
        break;
      }
      bytes_.pop_front();
      ++answer.used;
    }
  }
  return answer;
}

}  // namespace guestproof::testing
