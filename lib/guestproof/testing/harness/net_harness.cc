#include "guestproof/testing/harness/net_harness.h"

#include <errno.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "guestproof/virtio/transport/mmio/registers.h"

namespace guestproof::testing {
namespace {

using namespace virtio::net;

constexpr MacAddress kOwn{0x02, 0, 0, 0, 0, 1};
std::vector<std::byte> bytes_of(const VirtioNetHdr& header) {
  const auto bytes = std::as_bytes(std::span(&header, 1));
  return {bytes.begin(), bytes.end()};
}

std::uint8_t byte_of(std::uint64_t value, unsigned n) {
  return static_cast<std::uint8_t>(value >> 8 * n);
}

VirtioNetHdr header_in(std::uint64_t value) {
  VirtioNetHdr header;
  header.flags = byte_of(value, 0);
  header.gso_type = byte_of(value, 1);
  header.hdr_len = byte_of(value, 2);
  header.gso_size = byte_of(value, 3);
  header.csum_start = byte_of(value, 4);
  header.csum_offset = byte_of(value, 5);
  return header;
}

VirtioNetHdr header_of_kind(unsigned kind) {
  constexpr std::array<std::uint8_t, 6> kTypes{
      VIRTIO_NET_HDR_GSO_NONE,  VIRTIO_NET_HDR_GSO_NONE,
      VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN,
      VIRTIO_NET_HDR_GSO_UDP,   VIRTIO_NET_HDR_GSO_UDP_L4};
  VirtioNetHdr header;
  if (kind == 0) return header;
  header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  header.gso_type = kTypes[kind];
  header.hdr_len = 54;
  header.gso_size = 1000;
  header.csum_start = 34;
  header.csum_offset = 16;
  return header;
}

/// An IPv4 frame for this address, with a VLAN tag when there is one.
std::vector<std::byte> frame(std::size_t size, const MacAddress& to, std::uint8_t tag = 0) {
  std::vector<std::byte> bytes(std::max<std::size_t>(size, 18));
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7);
  std::memcpy(bytes.data(), to.data(), to.size());
  bytes[12] = std::byte{(tag & 0x80) != 0 ? std::uint8_t{0x81} : std::uint8_t{0x08}};
  bytes[13] = std::byte{0};
  bytes[14] = std::byte{0};
  bytes[15] = std::byte{static_cast<std::uint8_t>(tag & 0x7f)};
  bytes.resize(size);
  return bytes;
}

MacAddress destination(std::uint8_t kind, std::uint8_t last) {
  switch (kind % 4) {
    case 0:
      return kOwn;
    case 1:
      return {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    case 2:
      return {0x02, 0, 0, 0, 0, last};
    default:
      return {0x01, 0, 0x5e, 0, 0, last};
  }
}

}  // namespace

Config net_config(std::uint16_t pairs) {
  const auto none = pairs > 1 ? 0 : virtio::feature_bit(VIRTIO_NET_F_MQ);
  return {.mac = kOwn, .features = kNetFeatures & ~none, .max_pairs = pairs, .mtu = 1500};
}

NetDeviceHarness::NetDeviceHarness(const Config& config)
    : NetDeviceParts(config),
      DeviceHarness(2U * config.max_pairs + 1),
      model_({.mac = config.mac,
              .features = config.features,
              .max_pairs = config.max_pairs,
              .mtu = config.mtu,
              .duplex = config.duplex},
             model_network_, [this](const ModelError& why) { expect_refusal(why); }) {
  model_network_.arriving.resize(config.max_pairs);
  std::vector<QueueModel*> rings;
  for (std::size_t i = 0; i < lanes(); ++i) rings.push_back(&lane(i).model);
  model_.attach(std::move(rings));
  connect(device_, model_);
  sent_ = depth_.add("frame:sent");
  waited_ = depth_.add("frame:sent_later");
  received_ = depth_.add("frame:received");
  merged_ = depth_.add("frame:merged");
  unwanted_ = depth_.add("frame:unwanted");
  commands_ = depth_.add("command:done");
  changes_ = depth_.add("config:changed");
}

template <class Change>
void NetDeviceHarness::changing(Change&& change) {
  const auto before = model_.config();
  change();
  if (model_.config() == before) return;
  lifecycle_model().config_changed();
  depth_.count(changes_);
}

void NetDeviceHarness::reset_device() {
  for (std::size_t i = 0; i < model_network_.arriving.size(); ++i)
    network_.drop_arriving(static_cast<std::uint16_t>(i));
  for (auto& queue : model_network_.arriving) queue.clear();
  network_.clear_sent();
  network_.unblock();
  network_.fail_with(std::nullopt);
  model_network_.sent.clear();
  model_network_.takes = UINT64_MAX;
  model_network_.fails = false;
  if (!model_.link_up) set_link(true, false);
}

void NetDeviceHarness::request(Lane& lane, const Record& record) {
  const auto index = index_of(lane);
  if (index == control()) return request_command(lane, record);
  return index % 2 == 0 ? request_room(lane, record) : request_frame(lane, record);
}

void NetDeviceHarness::request_room(Lane& lane, const Record& record) {
  RequestShape shape;
  shape.cut = record.width;
  shape.flags = record.flags;
  shape.data = address_of(lane, record);
  shape.writable_data = record.length == 0 ? 1600 : record.length % 2049;
  if ((record.flags & kRequestRaw) != 0) {
    shape.writable_data = std::min<std::uint32_t>(record.length, 100000);
    shape.readable_data = record.extra % 256;
  }
  publish_request(lane, shape);
}

void NetDeviceHarness::request_frame(Lane& lane, const Record& record) {
  const bool raw = (record.flags & kRequestRaw) != 0;
  auto header = bytes_of(raw ? header_in(record.value) : header_of_kind(record.kind % 6U));
  RequestShape shape;
  shape.cut = record.width;
  shape.flags = record.flags;
  shape.data = address_of(lane, record);
  shape.readable_data = std::max<std::uint32_t>(60, record.length % 2049);
  if (raw) {
    shape.readable_data = std::min<std::uint32_t>(record.length, 70000);
    shape.writable_data = record.extra % 256;
    header.resize(header.size() - record.next % 13);
  }
  const auto payload = frame(std::min<std::uint32_t>(shape.readable_data, 64), kOwn);
  shape.header = header;
  shape.payload = payload;
  publish_request(lane, shape);
}

void NetDeviceHarness::request_command(Lane& lane, const Record& record) {
  const auto kind = record.kind % 13U;
  VirtioNetCtrl head;
  std::vector<std::byte> data;
  const auto add = [&](std::uint64_t value, std::size_t bytes) {
    for (unsigned i = 0; i < bytes; ++i) data.push_back(std::byte{byte_of(value, i)});
  };
  const auto add_table = [&](std::size_t count, std::uint8_t to) {
    add(count, 4);
    for (std::size_t i = 0; i < count; ++i)
      for (const auto byte : destination(to, static_cast<std::uint8_t>(i))) add(byte, 1);
  };
  RequestShape shape;
  shape.writable_tail = 1;
  if ((record.flags & kRequestRaw) != 0) {
    head = {byte_of(record.value, 0), byte_of(record.value, 1)};
    for (unsigned i = 0; i < record.length % 512; ++i) add(byte_of(record.value, 2 + i % 6), 1);
    if (record.extra != 0) shape.writable_tail = (record.extra - 1U) % 16;
  } else if (kind < 6) {
    head = {VIRTIO_NET_CTRL_RX, static_cast<std::uint8_t>(kind)};
    add(record.value & 1, 1);
  } else if (kind == 6) {
    head = {VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET};
    add_table(record.index % 70, 2);
    add_table(record.next % 70, 3);
  } else if (kind == 7) {
    head = {VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET};
    add(0x02, 5);
    add(record.value, 1);
  } else if (kind == 8 || kind == 9) {
    head = {VIRTIO_NET_CTRL_VLAN, static_cast<std::uint8_t>(kind - 8)};
    add(record.value % kVlans, 2);
  } else if (kind == 10) {
    head = {VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK};
  } else if (kind == 11) {
    head = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET};
    add(1 + record.value % 2, 2);
  } else {
    head = {VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET};
    add(lifecycle_model().accepted & kGuestOffloads & ~record.value, 8);
  }
  std::array<std::byte, 2> header{std::byte{head.command_class}, std::byte{head.command}};
  const auto missing = (record.flags & kRequestRaw) != 0 ? record.next % 3U : 0U;
  shape.cut = record.width;
  shape.flags = record.flags;
  shape.data = address_of(lane, record);
  shape.header = std::span(header).first(header.size() - missing);
  shape.payload = data;
  shape.readable_data = static_cast<std::uint32_t>(data.size());
  publish_request(lane, shape);
}

template <class Ready, class Serve>
DeviceHarness::Turn NetDeviceHarness::turn(Lane& lane, Ready&& ready, Serve&& serve) {
  if (!lane.model.active()) return {};
  return model_turn(lane, lane.model.setup().size + 1U, ready,
                    [&](const ModelChain& chain) -> std::optional<std::uint32_t> {
                      serve(chain);
                      return std::nullopt;
                    });
}

DeviceHarness::Turn NetDeviceHarness::receive_turn(std::size_t pair) {
  auto& queue = lane(2 * pair);
  if (!queue.model.active()) return {};
  // Chains that were taken before this step are filled in it, perhaps.
  for (const auto& chain : model_.room(pair)) permit(chain);
  std::uint32_t looks = queue.model.setup().size + 1U;
  auto all = turn(
      queue,
      [&] {
        const auto unwanted = model_.unwanted;
        const bool found = model_.find_frame(pair, looks);
        if (model_.unwanted != unwanted) depth_.count(unwanted_);
        return found;
      },
      [&](const ModelChain& chain) {
        const bool first = model_.room(pair).empty();
        model_.receive(world().model(), pair, chain);
        if (model_.room(pair).empty()) depth_.count(first ? received_ : merged_);
      });
  if (queue.model.broken().none()) all.more |= looks == 0;
  return all;
}

DeviceHarness::Turn NetDeviceHarness::turn_of(std::size_t queue) {
  switch (model_.role(queue)) {
    case NetModel::Role::kReceive:
      return receive_turn(queue / 2);
    case NetModel::Role::kTransmit:
      return turn(
          lane(queue), [&] { return model_.may_transmit(queue / 2); },
          [&](const ModelChain& chain) {
            model_.transmit(world().model(), queue / 2, chain);
            depth_.count(model_.may_transmit(queue / 2) ? sent_ : waited_);
          });
    case NetModel::Role::kControl: {
      const auto own = turn(
          lane(queue), [] { return true; },
          [&](const ModelChain& chain) {
            changing([&] { model_.control(world().model(), chain); });
            depth_.count(commands_);
          });
      if (!lane(queue).model.broken().none()) return own;
      const auto others = turns_of_pairs(model_.looked_at, model_.pairs());
      if (!others.more) model_.looked_at = model_.pairs();
      return {.notify = own.notify, .more = own.more || others.more};
    }
    case NetModel::Role::kNone:
      break;
  }
  return {};
}

DeviceHarness::Turn NetDeviceHarness::turns_of_pairs(std::size_t begin, std::size_t end) {
  Turn all;
  for (auto pair = begin; pair < end; ++pair) {
    for (const auto queue : {2 * pair + 1, 2 * pair}) {
      const auto one = turn_of(queue);
      if (!lane(queue).model.broken().none()) return {};
      all.more |= one.more;
    }
  }
  return all;
}

DeviceHarness::Turn NetDeviceHarness::serve_model(Lane& lane, std::uint32_t) {
  return turn_of(index_of(lane));
}

DeviceHarness::Turn NetDeviceHarness::serve_host_model() {
  model_.unblock();
  return turns_of_pairs(0, model_.pairs());
}

void NetDeviceHarness::arrive(std::size_t pair, std::vector<std::byte> bytes) {
  pair %= model_network_.arriving.size();
  if (observer() != nullptr) observer()->frame_arrives(static_cast<std::uint16_t>(pair), bytes);
  ModelBytes copy;
  for (const auto byte : bytes) copy.push_back(std::to_integer<std::uint8_t>(byte));
  network_.arrive(static_cast<std::uint16_t>(pair), std::move(bytes));
  model_network_.arriving[pair].push_back(std::move(copy));
  host_ready();
}

void NetDeviceHarness::host_event(std::uint8_t kind, const Record& record) {
  const std::uint64_t value = record.value;
  const auto with_header = [](const VirtioNetHdr& header, const std::vector<std::byte>& what) {
    auto bytes = bytes_of(header);
    bytes.insert(bytes.end(), what.begin(), what.end());
    return bytes;
  };
  switch (kind) {
    case 0: {
      const auto length = (value & 0xffff) == 0 ? 60 : value % 0x10000 % 2048;
      const auto to = destination(byte_of(value, 3), byte_of(value, 4));
      return arrive(byte_of(value, 2), with_header({}, frame(length, to, byte_of(value, 5))));
    }
    case 1:
      return arrive(0, with_header(header_in(value), frame(60U + byte_of(value, 7), kOwn)));
    case 2: {
      std::vector<std::byte> bytes(value % 70000);
      const auto some = frame(std::min<std::size_t>(bytes.size(), 64), kOwn);
      if (bytes.size() > 12 + some.size())
        std::ranges::copy(some, bytes.begin() + sizeof(VirtioNetHdr));
      return arrive(0, std::move(bytes));
    }
    case 3:
      network_.block_after(value % 256);
      model_network_.takes = value % 256;
      return;
    case 4:
      network_.unblock();
      model_network_.takes = UINT64_MAX;
      return host_ready();
    case 5:
      model_network_.fails = (value & 1) != 0;
      network_.fail_with(model_network_.fails
                             ? std::optional<Error>(Error(SystemError::kWrite, EIO))
                             : std::nullopt);
      return;
    default:
      return set_link((value & 1) != 0, (value & 2) != 0);
  }
}

void NetDeviceHarness::set_link(bool up, bool announce) {
  step(
      [&] {
        device_.set_link(up);
        if (announce) static_cast<void>(device_.announce());
      },
      [&] {
        changing([&] { model_.link_up = up; });
        if (!announce || !model_.has(VIRTIO_NET_F_GUEST_ANNOUNCE) ||
            !model_.has(VIRTIO_NET_F_STATUS))
          return;
        changing([&] { model_.announcing = true; });
      });
}

void NetDeviceHarness::compare_devices() {
  const auto same = [](std::byte a, std::uint8_t b) {
    return std::to_integer<std::uint8_t>(a) == b;
  };
  const auto& sent = network_.sent();
  if (sent.size() != model_network_.sent.size())
    violated(kModelAgreement, "the device has sent " + std::to_string(sent.size()) +
                                  " frames, the model " +
                                  std::to_string(model_network_.sent.size()));
  for (std::size_t i = 0; i < sent.size(); ++i)
    if (sent[i].pair != model_network_.sent[i].pair ||
        !std::ranges::equal(sent[i].bytes, model_network_.sent[i].bytes, same))
      violated(kModelAgreement, "the device has sent another frame than the model");
  if (observer() != nullptr)
    for (const auto& frame : sent) observer()->frame_sent(frame.pair, frame.bytes);
  network_.clear_sent();
  model_network_.sent.clear();
  for (std::size_t i = 0; i < model_network_.arriving.size(); ++i)
    if (network_.arriving(static_cast<std::uint16_t>(i)) != model_network_.arriving[i].size())
      violated(kModelAgreement, "the device has not received as many frames as the model");
  if (network_.guest_offloads() != model_network_.offloads ||
      network_.pairs() != model_network_.pairs)
    violated(kModelAgreement, "the network was told other offloads or pairs than the model's");
}

NetHarness::NetHarness(const Config& config) : NetDeviceHarness(config) {
  depth_.add_errors<NetError>({NetError::kTxParts});
}

NetControlHarness::NetControlHarness(const Config& config) : NetDeviceHarness(config) {
  depth_.add_errors<NetControlError>();
}

void NetControlHarness::request(Lane& lane, const Record& record) {
  if (record.kind >= 192) return NetDeviceHarness::request(lane, record);
  request_command(this->lane(control()), record);
}

}  // namespace guestproof::testing
