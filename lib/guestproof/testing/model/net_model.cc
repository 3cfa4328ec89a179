#include "guestproof/testing/model/net_model.h"

#include <algorithm>

namespace guestproof::testing {
namespace {

// Feature numbers, §5.1.3.
enum : unsigned {
  kCsum = 0,
  kGuestCsum = 1,
  kCtrlGuestOffloads = 2,
  kMtu = 3,
  kMac = 5,
  kGuestTso4 = 7,
  kGuestTso6 = 8,
  kGuestEcn = 9,
  kGuestUfo = 10,
  kHostTso4 = 11,
  kHostTso6 = 12,
  kHostEcn = 13,
  kHostUfo = 14,
  kMrgRxbuf = 15,
  kStatus = 16,
  kCtrlVq = 17,
  kCtrlRx = 18,
  kCtrlVlan = 19,
  kCtrlRxExtra = 20,
  kGuestAnnounce = 21,
  kMq = 22,
  kCtrlMacAddr = 23,
  kGuestUso4 = 54,
  kGuestUso6 = 55,
  kHostUso = 56,
};
constexpr std::uint64_t bit(unsigned n) { return std::uint64_t{1} << n; }
constexpr std::uint64_t kGuestBits = bit(kGuestCsum) | bit(kGuestTso4) | bit(kGuestTso6) |
                                     bit(kGuestEcn) | bit(kGuestUfo) | bit(kGuestUso4) |
                                     bit(kGuestUso6);
constexpr std::uint64_t kLongest = 65597;
constexpr std::size_t kMacsOfATable = 64;

struct Needs {
  unsigned feature, one, other;
};
constexpr Needs kRequirements[] = {
    {kGuestTso4, kGuestCsum, kGuestCsum},
    {kGuestTso6, kGuestCsum, kGuestCsum},
    {kGuestEcn, kGuestTso4, kGuestTso6},
    {kGuestUfo, kGuestCsum, kGuestCsum},
    {kGuestUso4, kGuestCsum, kGuestCsum},
    {kGuestUso6, kGuestCsum, kGuestCsum},
    {kHostTso4, kCsum, kCsum},
    {kHostTso6, kCsum, kCsum},
    {kHostEcn, kHostTso4, kHostTso6},
    {kHostUfo, kCsum, kCsum},
    {kHostUso, kCsum, kCsum},
    {kCtrlRx, kCtrlVq, kCtrlVq},
    {kCtrlVlan, kCtrlVq, kCtrlVq},
    {kGuestAnnounce, kCtrlVq, kCtrlVq},
    {kMq, kCtrlVq, kCtrlVq},
    {kCtrlMacAddr, kCtrlVq, kCtrlVq},
};

std::uint64_t number_of(const NetModel::Mac& mac) {
  std::uint64_t out = 0;
  for (const auto byte : mac) out = out << 8 | byte;
  return out;
}
}  // namespace

NetModel::NetModel(const Offer& offer, ModelNetwork& network,
                   std::function<void(const ModelError&)> refuse)
    : offer_(offer), network_(network), refuse_(std::move(refuse)), pairs_(offer.max_pairs) {
  NetModel::reset();
}

std::vector<std::uint16_t> NetModel::queue_sizes() const {
  return std::vector<std::uint16_t>(2U * offer_.max_pairs + 1, 256);
}

ModelError NetModel::check_features(std::uint64_t features) const {
  for (const auto& [feature, one, other] : kRequirements)
    if ((features & bit(feature)) != 0 && (features & (bit(one) | bit(other))) == 0)
      return {"device.feature_needs", feature, one};
  return {};
}

std::vector<std::uint8_t> NetModel::config() const {
  ModelBytes out(20);
  std::ranges::copy(has(kMac) ? mac_ : offer_.mac, out.begin());
  if ((offer_.features & bit(kStatus)) != 0)
    put_number(out, 6, 2, (link_up ? 1U : 0U) | (announcing ? 2U : 0U));
  put_number(out, 8, 2, offer_.max_pairs);
  put_number(out, 10, 2, offer_.mtu);
  put_number(out, 12, 4, 0xffffffff);
  put_number(out, 16, 1, offer_.duplex);
  return out;
}

void NetModel::start(std::uint64_t features) {
  reset();
  features_ = features;
  offloads_ = features & kGuestBits;
  tell_network();
}

void NetModel::tell_network() {
  for (int call = 0; call < 2; ++call) {
    const auto failed = set_network(pairs_in_use_, offloads_);
    if (!failed.none()) refuse_(failed);
  }
}

void NetModel::stop_queue(std::size_t queue) {
  if (queue / 2 >= pairs_.size()) return;
  auto& pair = pairs_[queue / 2];
  if (queue % 2 != 0) {
    pair.blocked = false;
  } else {
    pair.waiting.reset();
    pair.room.clear();
  }
}

void NetModel::reset() {
  features_ = 0;
  offloads_ = 0;
  pairs_in_use_ = 1;
  looked_at = 1;
  mac_ = offer_.mac;
  mac_set_ = false;
  announcing = false;
  modes_ = {};
  unicast_ = multicast_ = {};
  vlans_.clear();
  for (auto& pair : pairs_) pair = {};
}

std::vector<std::uint8_t> NetModel::save() const {
  ModelBytes out(1304);
  std::ranges::copy(mac_, out.begin());
  for (std::size_t i = 0; i < 6; ++i)
    if (modes_[i]) out[6] |= static_cast<std::uint8_t>(1U << i);
  out[7] = static_cast<std::uint8_t>((mac_set_ ? 1 : 0) | (announcing ? 2 : 0) | (link_up ? 4 : 0) |
                                     (unicast_.overflow ? 8 : 0) | (multicast_.overflow ? 16 : 0));
  put_number(out, 8, 8, offloads_);
  put_number(out, 16, 2, pairs_in_use_);
  put_number(out, 18, 2, unicast_.macs.size());
  put_number(out, 20, 2, multicast_.macs.size());
  for (std::size_t i = 0; i < unicast_.macs.size(); ++i)
    std::ranges::copy(unicast_.macs[i], out.begin() + 24 + static_cast<std::ptrdiff_t>(6 * i));
  for (std::size_t i = 0; i < multicast_.macs.size(); ++i)
    std::ranges::copy(multicast_.macs[i], out.begin() + 408 + static_cast<std::ptrdiff_t>(6 * i));
  for (const auto vlan : vlans_) out[792 + vlan / 8] |= static_cast<std::uint8_t>(1U << vlan % 8);
  return out;
}

ModelError NetModel::restore(std::span<const std::uint8_t> bytes) {
  const auto wrong = [](std::uint64_t value, std::uint64_t at) {
    return ModelError{"device_state.device", value, at};
  };
  if (bytes.size() != 1304) return wrong(bytes.size(), std::min<std::size_t>(bytes.size(), 1304));
  const auto field = [&](std::size_t at, std::size_t size) {
    return number_in(bytes.subspan(at, size));
  };
  const bool rx = has(kCtrlRx);
  const unsigned modes = (rx ? 3U : 0U) | (has(kCtrlRxExtra) ? 0x3cU : 0U);
  const unsigned flags =
      4U | (has(kCtrlMacAddr) ? 1U : 0U) | (has(kGuestAnnounce) ? 2U : 0U) | (rx ? 24U : 0U);
  if ((bytes[6] & ~modes) != 0) return wrong(bytes[6], 6);
  if ((bytes[7] & ~flags) != 0) return wrong(bytes[7], 7);
  if (field(22, 2) != 0) return wrong(field(22, 2), 22);
  Mac mac;
  std::ranges::copy(bytes.first(6), mac.begin());
  if ((bytes[7] & 1) != 0 ? (mac[0] & 1) != 0 : mac != offer_.mac) return wrong(number_of(mac), 0);
  const auto pairs = field(16, 2);
  if (pairs < 1 || pairs > (has(kMq) ? offer_.max_pairs : 1U)) return wrong(pairs, 16);
  const auto offloads = field(8, 8);
  if (has(kCtrlGuestOffloads) ? !bad_offloads(offloads, features_).none()
                              : offloads != (features_ & kGuestBits))
    return wrong(offloads, 8);
  for (const std::size_t at : {18U, 20U})
    if (field(at, 2) > (rx ? kMacsOfATable : 0)) return wrong(field(at, 2), at);
  Table tables[2];
  for (std::size_t t = 0; t < 2; ++t) {
    const auto count = field(18 + 2 * t, 2);
    const auto at = t == 0 ? 24U : 408U;
    tables[t].overflow = (bytes[7] >> (3 + t) & 1) != 0;
    if (tables[t].overflow && count != 0) return wrong(count, 18 + 2 * t);
    std::optional<ModelError> kind, beyond;
    for (std::size_t i = 0; i < kMacsOfATable; ++i) {
      Mac each;
      std::ranges::copy(bytes.subspan(at + 6 * i, 6), each.begin());
      if (i < count && (each[0] & 1U) != t && !kind) kind = wrong(number_of(each), at);
      if (i >= count && number_of(each) != 0 && !beyond) beyond = wrong(number_of(each), at);
      if (i < count) tables[t].macs.push_back(each);
    }
    if (kind) return *kind;
    if (beyond) return *beyond;
  }
  std::set<unsigned> vlans;
  for (unsigned i = 0; i < 4096; ++i)
    if ((bytes[792 + i / 8] >> i % 8 & 1) != 0) vlans.insert(i);
  if (!vlans.empty() && !has(kCtrlVlan)) return wrong(vlans.size(), 792);
  mac_ = mac;
  for (std::size_t i = 0; i < 6; ++i) modes_[i] = (bytes[6] >> i & 1) != 0;
  mac_set_ = (bytes[7] & 1) != 0;
  announcing = (bytes[7] & 2) != 0;
  link_up = (bytes[7] & 4) != 0;
  offloads_ = offloads;
  pairs_in_use_ = looked_at = pairs;
  unicast_ = tables[0];
  multicast_ = tables[1];
  vlans_ = vlans;
  if (features_ != 0) tell_network();
  return {};
}

ModelError NetModel::set_network(std::size_t pairs, std::uint64_t offloads) {
  if (network_.fails) return {"system.write"};
  network_.pairs = pairs;
  network_.offloads = offloads;
  return {};
}

NetModel::Role NetModel::role(std::size_t queue) const {
  if (queue == 2U * (has(kMq) ? offer_.max_pairs : 1U))
    return has(kCtrlVq) ? Role::kControl : Role::kNone;
  if (queue / 2 >= pairs_in_use_) return Role::kNone;
  return queue % 2 == 0 ? Role::kReceive : Role::kTransmit;
}

void NetModel::unblock() {
  for (auto& pair : pairs_) pair.blocked = false;
}

NetModel::Header NetModel::header_of(std::span<const std::uint8_t> bytes) {
  const auto half = [&](std::size_t at) {
    return static_cast<std::uint16_t>(number_in(bytes.subspan(at, 2)));
  };
  return {bytes[0], bytes[1], half(2), half(4), half(6), half(8)};
}

ModelBytes NetModel::bytes_of(const Header& header, std::uint16_t buffers) {
  ModelBytes out(12);
  out[0] = header.flags;
  out[1] = header.gso;
  put_number(out, 2, 2, header.hdr_len);
  put_number(out, 4, 2, header.gso_size);
  put_number(out, 6, 2, header.start);
  put_number(out, 8, 2, header.offset);
  put_number(out, 10, 2, buffers);
  return out;
}

ModelError NetModel::check(Header& header, bool transmitted, std::uint64_t length) const {
  const auto on = [&](unsigned host, unsigned guest) {
    return transmitted ? has(host) : (offloads_ >> guest & 1) != 0;
  };
  const bool needs = (header.flags & 1) != 0;
  const auto csum_end = std::uint64_t{header.start} + header.offset + 2;
  const unsigned kind = header.gso & 0x7f;
  const bool ecn = (header.gso & 0x80) != 0;
  const bool plain = header.gso == 0;
  if (length < 14) return {"net.frame_short", length, 14};
  if (needs && !on(kCsum, kGuestCsum)) return {"net.checksum_not_negotiated", header.flags};
  if (needs && csum_end > length) return {"net.checksum_range", csum_end, length};
  if (!plain) {
    const bool tcp = kind == 1 || kind == 4;
    if (!tcp && (ecn || (kind != 3 && kind != 5))) return {"net.gso_type", header.gso};
    bool allowed = false;
    if (kind == 1) allowed = on(kHostTso4, kGuestTso4);
    if (kind == 4) allowed = on(kHostTso6, kGuestTso6);
    if (kind == 3) allowed = on(kHostUfo, kGuestUfo);
    if (kind == 5) allowed = on(kHostUso, kGuestUso4) || on(kHostUso, kGuestUso6);
    if (ecn && !on(kHostEcn, kGuestEcn)) allowed = false;
    if (!allowed) return {"net.gso_not_negotiated", header.gso};
    if (!needs) return {"net.gso_without_checksum", header.gso};
    if (header.gso_size == 0) return {"net.gso_size", header.gso};
    if (header.hdr_len > length) return {"net.header_length", header.hdr_len, length};
  }
  const auto longest =
      plain && has(kMtu) ? std::min<std::uint64_t>(kLongest, offer_.mtu + 22ULL) : kLongest;
  if (length > longest) return {"net.frame_long", length, longest};
  const bool good = !transmitted && (header.flags & 2) != 0 && on(kCsum, kGuestCsum);
  if (!needs) header.start = header.offset = 0;
  if (plain) header.hdr_len = header.gso_size = 0;
  header.flags = static_cast<std::uint8_t>((needs ? 1 : 0) | (good ? 2 : 0));
  return {};
}

void NetModel::transmit(const WatchedMemory& memory, std::size_t pair, const ModelChain& chain) {
  auto& ring = *rings_[2 * pair + 1];
  bool again = false;
  const auto refusal = transmitted(memory, pair, chain, again);
  if (again) {
    pairs_[pair].blocked = true;
    static_cast<void>(ring.put_back(chain));
    return;
  }
  if (!refusal.none()) refuse_(refusal);
  ring.give_back(chain, 0);
}

ModelError NetModel::transmitted(const WatchedMemory& memory, std::size_t pair,
                                 const ModelChain& chain, bool& again) {
  const ModelMemory bytes(memory);
  const auto length = chain.readable_bytes();
  if (!chain.fault.none()) return chain.fault;
  if (chain.writable_bytes() != 0) return {"net.tx_writable", chain.writable_bytes()};
  if (length < 12) return {"net.tx_header", length, 12};
  ModelBytes raw(12);
  if (const auto got = chain.read(bytes, 0, raw); got != 12)
    return no_memory(memory, chain.readable, got);
  auto header = header_of(raw);
  if (const auto refusal = check(header, true, length - 12); !refusal.none()) return refusal;
  ModelBytes frame(length - 12);
  if (const auto got = chain.read(bytes, 12, frame); got != frame.size())
    return no_memory(memory, chain.readable, 12 + got);
  if (!link_up) return {"net.link_down", frame.size()};
  if (network_.fails || pair >= network_.pairs) return {"system.write"};
  if (network_.takes == 0) {
    again = true;
    return {};
  }
  if (network_.takes != UINT64_MAX) --network_.takes;
  auto all = bytes_of(header, 0);
  all.insert(all.end(), frame.begin(), frame.end());
  network_.sent.push_back({pair, all});
  return {};
}

bool NetModel::wants(const ModelBytes& frame) const {
  Mac to;
  std::copy_n(frame.begin(), 6, to.begin());
  if (modes_[0]) return true;
  if (has(kCtrlVlan) && frame[12] == 0x81 && frame[13] == 0x00) {
    if (frame.size() < 16) return false;
    if (!vlans_.contains((frame[14] & 0x0fU) << 8 | frame[15])) return false;
  }
  const bool everybody = std::ranges::all_of(to, [](std::uint8_t b) { return b == 0xff; });
  const auto in = [&](const Table& table) {
    return table.overflow || std::ranges::find(table.macs, to) != table.macs.end();
  };
  if (everybody) return !modes_[5];
  if ((to[0] & 1) != 0) {
    if (modes_[3]) return false;
    return !has(kCtrlRx) || modes_[1] || in(multicast_);
  }
  if (modes_[4]) return false;
  const bool knows = has(kMac) || mac_set_;
  return !has(kCtrlRx) || modes_[2] || !knows || to == mac_ || in(unicast_);
}

bool NetModel::find_frame(std::size_t pair, std::uint32_t& looks) {
  auto& waiting = pairs_[pair].waiting;
  while (!waiting && looks != 0) {
    if (network_.fails || pair >= network_.pairs) {
      refuse_({"system.write"});
      return false;
    }
    auto& arriving = network_.arriving[pair];
    if (arriving.empty()) return false;
    auto bytes = arriving.front();
    arriving.pop_front();
    --looks;
    // One byte more than the longest is seen of a longer one.
    if (bytes.size() > 12 + kLongest + 1) bytes.resize(12 + kLongest + 1);
    ModelBytes raw(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(
                                                      std::min<std::size_t>(12, bytes.size())));
    Frame frame{{}, {bytes.begin() + static_cast<std::ptrdiff_t>(raw.size()), bytes.end()}};
    raw.resize(12);
    frame.header = header_of(raw);
    const auto refusal = check(frame.header, false, frame.bytes.size());
    if (!refusal.none())
      refuse_(refusal);
    else if (link_up && wants(frame.bytes))
      waiting = frame;
    else
      ++unwanted;
  }
  return waiting.has_value();
}

ModelError NetModel::unusable(const WatchedMemory& memory, const ModelChain& chain) const {
  if (!chain.fault.none()) return chain.fault;
  if (chain.readable_bytes() != 0) return {"net.rx_readable", chain.readable_bytes()};
  if (chain.writable_bytes() < 12) return {"net.rx_header", chain.writable_bytes(), 12};
  const ModelMemory bytes(memory);
  for (const auto& piece : chain.writable)
    if (const auto there = bytes.reachable(piece.address, piece.length, true);
        there != piece.length)
      return no_memory(memory, piece.address + there);
  return {};
}

void NetModel::receive(const WatchedMemory& memory, std::size_t index, const ModelChain& chain) {
  auto& pair = pairs_[index];
  auto& ring = *rings_[2 * index];
  if (const auto refusal = unusable(memory, chain); !refusal.none()) {
    refuse_(refusal);
    if (!pair.room.empty()) pair.waiting.reset();
    for (const auto& each : pair.room) ring.give_back(each, 0);
    pair.room.clear();
    return ring.give_back(chain, 0);
  }
  pair.room.push_back(chain);
  std::uint64_t room = 0;
  for (const auto& each : pair.room) room += each.writable_bytes();
  const auto needed = 12 + pair.waiting->bytes.size();
  if (room < needed) {
    if (has(kMrgRxbuf) && pair.room.size() < ring.setup().size) return;
    refuse_({"net.rx_room", needed, room});
    return drop(index);
  }
  auto all = bytes_of(pair.waiting->header, static_cast<std::uint16_t>(pair.room.size()));
  all.insert(all.end(), pair.waiting->bytes.begin(), pair.waiting->bytes.end());
  // All of it is there before the first buffer is returned; a driver can let them overlap the ring.
  std::size_t done = 0;
  std::vector<std::uint32_t> parts;
  for (const auto& each : pair.room) {
    const auto part = std::min<std::uint64_t>(each.writable_bytes(), all.size() - done);
    each.write(ModelMemory(memory), 0, std::span(all).subspan(done, part));
    done += part;
    parts.push_back(static_cast<std::uint32_t>(part));
  }
  for (std::size_t i = 0; i < parts.size(); ++i) ring.give_back(pair.room[i], parts[i]);
  pair.room.clear();
  pair.waiting.reset();
}

void NetModel::put_back(std::size_t index) {
  auto& room = pairs_[index].room;
  for (; !room.empty(); room.pop_back())
    static_cast<void>(rings_[2 * index]->put_back(room.back()));
}

void NetModel::put_back_rooms() {
  for (std::size_t i = 0; i < pairs_.size(); ++i) put_back(i);
}

void NetModel::drop(std::size_t index) {
  put_back(index);
  pairs_[index].waiting.reset();
}

void NetModel::control(const WatchedMemory& memory, const ModelChain& chain) {
  auto& ring = *rings_[2U * (has(kMq) ? offer_.max_pairs : 1U)];
  const ModelMemory bytes(memory);
  ModelError nowhere;
  if (!chain.fault.none())
    nowhere = chain.fault;
  else if (chain.writable_bytes() == 0)
    nowhere = {"net_control.no_ack", chain.readable_bytes()};
  else if (bytes.reachable(chain.writable[0].address, 1, true) != 1)
    nowhere = no_memory(memory, chain.writable[0].address);
  if (!nowhere.none()) {
    refuse_(nowhere);
    return ring.give_back(chain, 0);
  }
  const auto refusal = command(memory, chain);
  if (!refusal.none()) refuse_(refusal);
  const std::array<std::uint8_t, 1> ack{static_cast<std::uint8_t>(refusal.none() ? 0 : 1)};
  chain.write(bytes, 0, ack);
  ring.give_back(chain, 1);
}

ModelError NetModel::bad_offloads(std::uint64_t offloads, std::uint64_t features) const {
  if ((offloads & ~(features & kGuestBits)) != 0)
    return {"net_control.offloads", offloads, features & kGuestBits};
  const auto unmet = check_features(offloads);
  if (unmet.none()) return {};
  return {"net_control.offload_needs", unmet.value, unmet.limit};
}

ModelError NetModel::command(const WatchedMemory& memory, const ModelChain& chain) {
  struct Command {
    unsigned type, command, feature;
    int length;
  };
  static constexpr Command kAll[] = {
      {0, 0, kCtrlRx, 1},           {0, 1, kCtrlRx, 1},        {0, 2, kCtrlRxExtra, 1},
      {0, 3, kCtrlRxExtra, 1},      {0, 4, kCtrlRxExtra, 1},   {0, 5, kCtrlRxExtra, 1},
      {1, 0, kCtrlRx, -1},          {1, 1, kCtrlMacAddr, 6},   {2, 0, kCtrlVlan, 2},
      {2, 1, kCtrlVlan, 2},         {3, 0, kGuestAnnounce, 0}, {4, 0, kMq, 2},
      {5, 0, kCtrlGuestOffloads, 8}};
  const ModelMemory bytes(memory);
  if (chain.readable_bytes() < 2) return {"net_control.header", chain.readable_bytes(), 2};
  ModelBytes head(2);
  if (const auto got = chain.read(bytes, 0, head); got != 2)
    return no_memory(memory, chain.readable, got);
  const auto* const known = std::ranges::find_if(
      kAll, [&](const Command& c) { return c.type == head[0] && c.command == head[1]; });
  if (known == std::end(kAll)) return {"net_control.command", head[0], head[1]};
  if (!has(known->feature)) return {"net_control.not_negotiated", head[0], known->feature};
  if (known->length < 0) return mac_tables(memory, chain);
  const auto length = chain.readable_bytes() - 2;
  if (length != static_cast<std::uint64_t>(known->length))
    return {"net_control.length", length, static_cast<std::uint64_t>(known->length)};
  ModelBytes data(length);
  if (const auto got = chain.read(bytes, 2, data); got != length)
    return no_memory(memory, chain.readable, 2 + got);
  const auto value = number_in(data);
  switch (head[0]) {
    case 0:
      if (value > 1) return {"net_control.switch", value, 1};
      modes_[head[1]] = value == 1;
      return {};
    case 1: {
      Mac mac;
      std::ranges::copy(data, mac.begin());
      if ((mac[0] & 1) != 0) return {"net_control.mac_kind", number_of(mac)};
      mac_ = mac;
      mac_set_ = true;
      return {};
    }
    case 2:
      if (value >= 4096) return {"net_control.vlan", value, 4096};
      if (head[1] == 0)
        vlans_.insert(static_cast<unsigned>(value));
      else
        vlans_.erase(static_cast<unsigned>(value));
      return {};
    case 3:
      announcing = false;
      return {};
    case 4:
      if (value < 1 || value > offer_.max_pairs)
        return {"net_control.pairs", value, offer_.max_pairs};
      if (const auto failed = set_network(value, network_.offloads); !failed.none()) return failed;
      pairs_in_use_ = value;
      looked_at = std::min<std::size_t>(looked_at, value);
      for (auto i = value; i < pairs_.size(); ++i) drop(i);
      return {};
    default:
      if (const auto bad = bad_offloads(value, features_); !bad.none()) return bad;
      if (const auto failed = set_network(network_.pairs, value); !failed.none()) return failed;
      offloads_ = value;
      return {};
  }
}

ModelError NetModel::mac_tables(const WatchedMemory& memory, const ModelChain& chain) {
  const ModelMemory bytes(memory);
  const auto end = chain.readable_bytes();
  std::uint64_t at = 2;
  Table tables[2];
  for (auto& table : tables) {
    if (end - at < 4) return {"net_control.length", end - at, 4};
    ModelBytes count(4);
    if (const auto got = chain.read(bytes, at, count); got != 4)
      return no_memory(memory, chain.readable, at + got);
    at += 4;
    const auto entries = number_in(count);
    if (entries * 6 > end - at) return {"net_control.table", entries, (end - at) / 6};
    table.overflow = entries > kMacsOfATable;
    if (!table.overflow) {
      ModelBytes macs(entries * 6);
      if (const auto got = chain.read(bytes, at, macs); got != macs.size())
        return no_memory(memory, chain.readable, at + got);
      for (std::size_t i = 0; i < entries; ++i) {
        Mac mac;
        std::copy_n(macs.begin() + static_cast<std::ptrdiff_t>(6 * i), 6, mac.begin());
        table.macs.push_back(mac);
      }
    }
    at += entries * 6;
  }
  if (at != end) return {"net_control.length", end - at, 0};
  for (unsigned t = 0; t < 2; ++t)
    for (const auto& mac : tables[t].macs)
      if ((mac[0] & 1U) != t) return {"net_control.mac_kind", number_of(mac)};
  unicast_ = tables[0];
  multicast_ = tables[1];
  return {};
}

}  // namespace guestproof::testing
