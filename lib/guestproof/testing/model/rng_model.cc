#include "guestproof/testing/model/rng_model.h"

#include <algorithm>

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
    const ModelMemory plain(memory);
    const auto most = std::min<std::uint64_t>(65536, chain.writable_bytes());
    while (answer.used < most) {
      answer.error = refill();
      if (bytes_.empty()) break;
      const auto count = std::min<std::uint64_t>(bytes_.size(), most - answer.used);
      const auto end = bytes_.begin() + static_cast<std::ptrdiff_t>(count);
      const std::vector<std::uint8_t> next(bytes_.begin(), end);
      const auto done = chain.write(plain, answer.used, next);
      bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(done));
      answer.used += static_cast<std::uint32_t>(done);
      if (done == count) continue;
      answer.error = no_memory(memory, chain.writable, answer.used);
      break;
    }
  }
  return answer;
}

}  // namespace guestproof::testing
