#include "guestproof/testing/harness/vsock_harness.h"

#include <algorithm>
#include <array>
#include <string>

namespace guestproof::testing {
namespace {

using namespace virtio::vsock;
using virtio::ChainError;
using virtio::QueueError;

constexpr std::array<std::string_view, 7> kOpNames{
    "request", "response", "rst", "shutdown", "rw", "credit_update", "credit_request"};
constexpr std::uint32_t kHeader = sizeof(VsockHdr);

/// Data in which no two neighbours, and no two places less than 251 bytes apart, look the same.
constexpr auto kPattern = [] {
  std::array<std::byte, 2048 + 256> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(1 + i * 7 % 251);
  return bytes;
}();
std::span<const std::byte> pattern(std::uint64_t seed, std::size_t length) {
  return std::span(kPattern).subspan(seed % 256, length);
}

std::uint16_t op_of_kind(std::uint8_t kind) {
  const auto op = (kind & 15) % 9;
  return static_cast<std::uint16_t>(op == 0   ? VIRTIO_VSOCK_OP_RW
                                    : op == 5 ? VIRTIO_VSOCK_OP_INVALID
                                              : op);
}

VsockHdr header_of(const Record& record, std::uint64_t guest_cid) {
  const bool raw = (record.flags & kRequestRaw) != 0;
  const auto part = [&](int at) { return raw ? record.value >> at & 0xffff : 0; };
  VsockHdr header;
  header.src_cid = guest_cid ^ part(0) ^ part(16) << 32;
  header.dst_cid = kHostCid ^ part(32) ^ part(48) << 32;
  header.src_port = static_cast<std::uint32_t>(record.value);
  header.dst_port = static_cast<std::uint32_t>(record.value >> 32);
  header.type = static_cast<std::uint16_t>((1 + (record.kind >> 4)) % 16);
  header.op = op_of_kind(record.kind);
  header.flags = record.extra & 15U;
  header.buf_alloc = std::uint32_t{record.extra};
  header.fwd_cnt = std::uint32_t{record.next};
  return header;
}

bool same(const VsockPeer::Answer& ours, const ModelVsockPacket& models) {
  const auto& header = ours.header;
  return header.src_cid == models.src_cid && header.dst_cid == models.dst_cid &&
         header.src_port == models.src_port && header.dst_port == models.dst_port &&
         header.type == models.type && header.op == models.op && header.flags == models.flags &&
         header.buf_alloc == models.buf_alloc && header.fwd_cnt == models.fwd_cnt &&
         std::ranges::equal(ours.rest(), std::as_bytes(std::span(models.data)));
}

}  // namespace

VsockHarness::VsockHarness() : Harness(2) {
  const auto add = [&](const char* kind, std::span<const std::string_view> names) {
    const auto first = depth_.names().size();
    for (const auto name : names) depth_.add(kind + std::string(name));
    return first;
  };
  ops_ = add("op:", kOpNames);
  types_ = add("type:", std::array<std::string_view, 2>{"stream", "seqpacket"});
  rx_ops_ = add("rx:", kOpNames);
  data_ = depth_.add("data:any");
  same_descriptor_ = depth_.add("data:same_descriptor");
  following_descriptor_ = depth_.add("data:following_descriptor");
  split_header_ = depth_.add("header:split");
  resets_ = depth_.add("answer:rst");
  full_ = depth_.add("answer:queue_full");
  rx_data_ = depth_.add("rx:data");
  rx_cut_ = depth_.add("rx:cut_to_fit");
  // Nor is there an event queue.
  depth_.add_errors<VsockError>({VsockError::kEventReadable, VsockError::kEventRoom});
  // Every chain is returned before the next is taken, and packets ask for no more than there is.
  depth_.add_errors<QueueError>({QueueError::kHeadInFlight, QueueError::kStaleChain,
                                 QueueError::kUsedLength, QueueError::kChainsInFlight,
                                 QueueError::kNotTakenLast});
  depth_.add_errors<ChainError>({ChainError::kReadPastEnd, ChainError::kWritePastEnd});
  // Regions are made once, and none ends where the addresses do.
  depth_.add_errors<MemoryError>({MemoryError::kAddressOverflow, MemoryError::kNotContiguous,
                                  MemoryError::kRegionEmpty, MemoryError::kRegionUnaligned,
                                  MemoryError::kRegionOverlap, MemoryError::kRegionPastEnd,
                                  MemoryError::kFileTooSmall, MemoryError::kNoRegions});
}

void VsockHarness::reset_device() {
  peer_.reset();
  model_.reset();
  data_cursor_ = 0;
}

void VsockHarness::request(Lane& lane, const Record& record) {
  if (is_tx(lane))
    request_tx(lane, record);
  else
    request_rx(lane, record);
}

GuestAddress VsockHarness::place_data(const Lane& lane, const Record& record,
                                      std::uint32_t length) {
  if (const auto address = address_of(lane, record)) return *address;
  const auto space = fixed_space(Space::kData);
  if (data_cursor_ + length > space.size) data_cursor_ = 0;
  const auto at = space.base + data_cursor_;
  data_cursor_ += (length + 63) / 64 * 64;
  return GuestAddress(at);
}

void VsockHarness::request_tx(Lane& lane, const Record& record) {
  const bool raw = (record.flags & kRequestRaw) != 0;
  const auto extent = raw ? static_cast<std::int16_t>(record.index) : 0;
  const auto missing = static_cast<std::uint32_t>(std::clamp(-extent, 0, int{kHeader}));
  auto header = header_of(record, model_.guest_cid());
  header.len = raw ? std::uint32_t{record.length} : record.length % (limits_.tx_data + 1);

  RequestShape shape;
  shape.header = std::as_bytes(std::span(&header, 1)).first(kHeader - missing);
  shape.readable_data = raw ? std::max(extent, 0) % 2048U : std::uint32_t{header.len};
  shape.writable_data = raw ? record.next % 64U : 0;
  shape.cut = record.width;
  shape.flags = record.flags;
  shape.data = place_data(lane, record, kHeader + shape.readable_data + shape.writable_data);
  const bool join = (record.flags & kRequestJoinHeader) != 0;
  world().write(GuestAddress(shape.data->raw() + (join ? shape.header.size() : 0)),
                pattern(record.value, shape.readable_data));
  publish_request(lane, shape);
}

void VsockHarness::request_rx(Lane& lane, const Record& record) {
  static constexpr std::array<std::byte, 64> kZeroes{};
  const bool raw = (record.flags & kRequestRaw) != 0;
  const auto room = record.length == 0 ? 512 : record.length % 2048;
  RequestShape shape;
  shape.header = std::span(kZeroes).first(raw ? record.index % 64U : 0);
  shape.writable_data = raw ? record.length % 4096 : kHeader + room;
  shape.cut = record.width;
  shape.flags = record.flags;
  shape.data = place_data(lane, record, shape.writable_data);
  publish_request(lane, shape);
}

Harness::Turn VsockHarness::serve(Lane& lane, std::uint32_t) {
  const bool tx = is_tx(lane);
  std::size_t position = 0;
  do {
    lane.queue->disable_kicks();
    // A receive buffer is taken when there is something to put into it.
    while (tx || peer_.answers() != 0) {
      auto popped = lane.queue->pop();
      if (!popped) {
        count(popped.error());
        return {};
      }
      if (!*popped) break;
      if (position == served_.size())
        violated(kModelAgreement, "the device took a chain that the model did not");
      const auto& expected = served_[position++];
      compare_chain(**popped, expected.chain);
      count_fault(**popped);
      if (tx)
        transmit(**popped, expected);
      else
        receive(**popped, expected);
    }
  } while (lane.queue->enable_kicks() && (tx || peer_.answers() != 0));
  if (position != served_.size())
    violated(kLiveness, "the device left a chain that the model served");
  return {.notify = lane.queue->needs_notification()};
}

Harness::Turn VsockHarness::serve_model(Lane& lane, std::uint32_t) {
  const bool tx = is_tx(lane);
  served_.clear();
  do {
    lane.model.disable_kicks();
    while (tx || !model_.answers().empty()) {
      auto chain = model_take(lane);
      if (!chain && (!lane.model.active() || !lane.model.broken().none())) return {};
      if (!chain) break;
      auto served = tx ? transmit_model(*chain) : receive_model(*chain);
      lane.model.give_back(*chain, served.used);
      served.chain = std::move(*chain);
      served_.push_back(std::move(served));
    }
  } while (lane.model.enable_kicks() && (tx || !model_.answers().empty()));
  return {.notify = lane.model.needs_notification()};
}

VsockHarness::Served VsockHarness::transmit_model(const ModelChain& chain) {
  Served served;
  if (chain.fault.none()) served.error = model_.transmit(world().model(), chain);
  return served;
}

VsockHarness::Served VsockHarness::receive_model(const ModelChain& chain) {
  Served served;
  if (!chain.fault.none()) return served;
  const auto received = model_.receive(world().model(), chain);
  served.error = received.error;
  served.used = received.used;
  return served;
}

void VsockHarness::transmit(WatchedChain& chain, const Served& expected) {
  const bool full = peer_.answers() == VsockModel::kAnswers;
  const auto packet = peer_.transmit(chain);
  if (!packet) {
    compare_error(packet.error(), expected);
    if (wants_reset(packet.error())) depth_.count(resets_);
  } else {
    compare_error(std::nullopt, expected);
    count_packet(*packet, chain);
  }
  if (full) depth_.count(full_);
  finish(chain, 0);
}

void VsockHarness::receive(WatchedChain& chain, const Served& expected) {
  const auto op = peer_.answer(0).header.op;
  const auto before = peer_.answer(0).rest().size();
  const auto answers = peer_.answers();
  const auto used = peer_.receive(chain);
  compare_error(used ? std::nullopt : std::optional(used.error()), expected);
  finish(chain, used ? *used : 0);
  if (!used) return;
  depth_.count(rx_ops_ + op - 1);
  if (before != 0) depth_.count(rx_data_);
  if (peer_.answers() == answers) depth_.count(rx_cut_);
}

void VsockHarness::compare_error(const std::optional<Error>& error, const Served& expected) {
  const bool good_chain = expected.chain.fault.none();
  compare_errors(kModelAgreement, "a packet", error,
                 good_chain ? expected.error : expected.chain.fault);
  if (error && good_chain) count(*error);
}

void VsockHarness::finish(WatchedChain& chain, std::uint32_t used) {
  if (const auto done = chain.complete(used); !done)
    violated(kModelAgreement, "a chain cannot be returned: " + done.error().message());
}

void VsockHarness::count_packet(const VsockHdr& header, const WatchedChain& chain) {
  depth_.count(ops_ + header.op - 1);
  depth_.count(types_ + header.type - 1);
  if (header.op == VIRTIO_VSOCK_OP_SHUTDOWN) depth_.count(resets_);
  const auto front = chain.readable().front().length;
  if (front < kHeader) depth_.count(split_header_);
  if (header.len == 0) return;
  depth_.count(data_);
  std::uint64_t end = 0;  // of the descriptor that the header ends in
  for (const auto& buffer : chain.readable())
    if (end < kHeader) end += buffer.length;
  if (end > kHeader) depth_.count(same_descriptor_);
  if (end < kHeader + header.len) depth_.count(following_descriptor_);
}

void VsockHarness::backend(const Record& record) {
  switch (record.kind % 3) {
    case 0: {
      VsockHdr header;
      header.op = static_cast<std::uint16_t>(1 + (record.value & 7) % 7);
      header.type =
          (record.value & 8) != 0 ? VIRTIO_VSOCK_TYPE_SEQPACKET : VIRTIO_VSOCK_TYPE_STREAM;
      header.src_port = 1024;
      const auto data = pattern(record.value, (record.value >> 16) % (limits_.tx_data + 1));
      ModelVsockPacket packet;
      packet.op = header.op;
      packet.type = header.type;
      packet.src_port = header.src_port;
      packet.data.resize(data.size());
      std::ranges::copy(data, std::as_writable_bytes(std::span(packet.data)).begin());
      peer_.send(header, data);
      model_.send(std::move(packet));
      break;
    }
    case 1:
      peer_.negotiate(record.value);
      model_.negotiate(record.value);
      break;
    default: {
      const auto set = peer_.set_guest_cid(record.value);
      if (!set) count(set.error());
      if (set.has_value() != model_.set_guest_cid(record.value))
        violated(kModelAgreement, "only one of device and model accepts a guest CID");
    }
  }
}

void VsockHarness::compare_outside_memory() {
  if (!std::ranges::equal(peer_.sink(), std::as_bytes(std::span(model_.sink()))) ||
      peer_.taken() != model_.taken())
    violated(kModelAgreement, "the device took other data than the model");
  if (peer_.guest_buf_alloc() != model_.guest_buf_alloc() ||
      peer_.guest_fwd_cnt() != model_.guest_fwd_cnt())
    violated(kModelAgreement, "the device read another credit than the model");
  if (peer_.answers() != model_.answers().size())
    violated(kModelAgreement, std::to_string(peer_.answers()) +
                                  " packets wait for the driver, the model has " +
                                  std::to_string(model_.answers().size()));
  for (std::size_t i = 0; i < peer_.answers(); ++i)
    if (!same(peer_.answer(i), model_.answers()[i]))
      violated(kModelAgreement,
               "packet " + std::to_string(i) + " that waits for the driver is not the model's");
}

}  // namespace guestproof::testing
