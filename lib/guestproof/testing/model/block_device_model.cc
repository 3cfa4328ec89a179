#include "guestproof/testing/model/block_device_model.h"

namespace guestproof::testing {
namespace {

constexpr unsigned kSizeMax = 1, kSegMax = 2, kFlush = 9, kConfigWce = 11, kDiscard = 13,
                   kWriteZeroes = 14, kSecureErase = 16;

}  // namespace

std::vector<std::uint8_t> BlockDeviceModel::config() const {
  auto bytes = space_;
  bytes[kWriteback] = agreed(kConfigWce) && agreed(kFlush) && write_back_ ? 1 : 0;
  return bytes;
}

ModelError BlockDeviceModel::write_config(std::uint64_t offset,
                                          std::span<const std::uint8_t> bytes) {
  if (!agreed(kConfigWce) || offset != kWriteback || bytes.size() != 1)
    return {"device.config_read_only", offset};
  const std::uint64_t most = agreed(kFlush) ? 1 : 0;
  if (bytes[0] > most) return {"device.config_value", bytes[0], most};
  set_write_back(bytes[0] == 1);
  return {};
}

void BlockDeviceModel::set_write_back(bool on) {
  write_back_ = on;
  requests.setup.write_through = !on;
}

void BlockDeviceModel::start(std::uint64_t features) {
  const auto has = [&](unsigned feature) { return (features >> feature & 1) != 0; };
  auto& setup = requests.setup;
  setup = offered_;
  setup.flush = has(kFlush);
  setup.write_through = has(kConfigWce) && !write_back_;
  if (!has(kSizeMax)) setup.size_max.reset();
  if (!has(kSegMax)) setup.seg_max.reset();
  if (!has(kDiscard)) setup.discard.reset();
  if (!has(kWriteZeroes)) setup.write_zeroes.reset();
  if (!has(kSecureErase)) setup.secure_erase.reset();
}

void BlockDeviceModel::take(std::size_t queue, const ModelChain& chain) {
  run({.queue = queue, .work = requests.begin(host_.memory(), chain)});
}

void BlockDeviceModel::run(InFlight request) {
  host_.touches(request.work.chain);
  while (requests.wants_disk(request.work)) {
    if (slow) return pending_.push_back(std::move(request));
    requests.operate(host_.memory(), request.work, transfer_limit);
  }
  const auto answer = requests.finish(host_.memory(), request.work);
  answered_[request.queue] = true;
  host_.answered(request.queue, request.work.chain, answer);
}

void BlockDeviceModel::complete(std::size_t index) {
  auto request = std::move(pending_.at(index));
  pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(index));
  requests.operate(host_.memory(), request.work, transfer_limit);
  run(std::move(request));
}

void BlockDeviceModel::drain(BlockModelEnd why) {
  if (!pending_.empty()) host_.ends_early(why);
  while (!pending_.empty()) complete(0);
}

void BlockDeviceModel::notify_all() {
  for (std::size_t i = 0; i < sizes_.size(); ++i) notify(i);
}

void BlockDeviceModel::notify(std::size_t queue) {
  if (answered_[queue]) host_.notify(queue);
  answered_[queue] = false;
}

void BlockDeviceModel::stop_queue(std::size_t queue) {
  drain(BlockModelEnd::kQueueReset);
  waiting_[queue] = false;
  for (std::size_t i = 0; i < sizes_.size(); ++i)
    if (i != queue) notify(i);
  answered_[queue] = false;
  serve_waiting();
}

void BlockDeviceModel::serve_waiting() {
  for (std::size_t i = 0; i < sizes_.size(); ++i) {
    if (waiting_[i]) host_.again(i);
    waiting_[i] = false;
  }
}

void BlockDeviceModel::reset() {
  drain(BlockModelEnd::kReset);
  waiting_.assign(sizes_.size(), false);
  answered_.assign(sizes_.size(), false);
  write_back_ = true;
}

ModelError BlockDeviceModel::restore(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kConfigBytes) return {"device_state.bytes", bytes.size(), kConfigBytes};
  if (agreed(kConfigWce)) set_write_back(bytes[kWriteback] != 0);
  const auto own = config();
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (i >= own.size() || bytes[i] != own[i]) return {"device_state.device", bytes[i], i};
  return {};
}

}  // namespace guestproof::testing
