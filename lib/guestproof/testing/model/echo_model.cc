#include "guestproof/testing/model/echo_model.h"

#include <algorithm>

namespace guestproof::testing {

std::uint32_t echo_model(const WatchedMemory& memory, const ModelChain& chain) {
  constexpr std::uint64_t kLimit = 4096;
  const ModelMemory bytes(memory);
  std::vector<std::uint8_t> question(std::min(chain.readable_bytes(), kLimit));
  if (chain.read(bytes, 0, question) != question.size()) return 0;
  std::uint32_t sum = 0;
  for (const auto byte : question) sum += byte;
  std::vector<std::uint8_t> answer(std::min(chain.writable_bytes(), kLimit));
  for (std::size_t i = 0; i < answer.size(); ++i)
    answer[i] = static_cast<std::uint8_t>(sum + i * 7);
  return static_cast<std::uint32_t>(chain.write(bytes, 0, answer));
}

ModelError EchoModel::write_config(std::uint64_t offset, std::span<const std::uint8_t> bytes) {
  if (offset < 4) return {"device.config_read_only", offset};
  if (offset + bytes.size() > 8) return {"device.config_read_only", 8};
  std::ranges::copy(bytes, config_.begin() + static_cast<std::ptrdiff_t>(offset));
  return {};
}

void EchoModel::reset() { std::fill(config_.begin() + 4, config_.begin() + 8, std::uint8_t{0}); }

ModelError EchoModel::restore(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != 8) return {"device_state.device", bytes.size(), 8};
  std::ranges::copy(bytes, config_.begin());
  return {};
}

void EchoModel::tell(std::uint32_t value) { put_number(config_, 0, 4, value); }

}  // namespace guestproof::testing
