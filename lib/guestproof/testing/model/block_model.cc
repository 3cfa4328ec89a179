#include "guestproof/testing/model/block_model.h"

#include <algorithm>

namespace guestproof::testing {
namespace {

constexpr std::uint32_t kIn = 0;
constexpr std::uint32_t kOut = 1;
constexpr std::uint32_t kFlush = 4;
constexpr std::uint32_t kGetId = 8;
constexpr std::uint32_t kDiscard = 11;
constexpr std::uint32_t kWriteZeroes = 13;
constexpr std::uint32_t kSecureErase = 14;
constexpr std::uint64_t kHeaderBytes = 16;
constexpr std::uint64_t kSegmentBytes = 16;

std::uint64_t number(std::span<const std::uint8_t> bytes) {
  std::uint64_t value = 0;
  for (auto i = bytes.size(); i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

bool changes_ranges(std::uint32_t type) {
  return type == kDiscard || type == kWriteZeroes || type == kSecureErase;
}

const std::optional<BlockModelSetup::Ranges>& ranges_of(const BlockModelSetup& setup,
                                                        std::uint32_t type) {
  if (type == kDiscard) return setup.discard;
  if (type == kWriteZeroes) return setup.write_zeroes;
  return setup.secure_erase;
}

bool past_capacity(std::uint64_t sector, std::uint64_t sectors, std::uint64_t capacity) {
  return sector > capacity || sectors > capacity - sector;
}

/// How many of the first `bytes` bytes can be written before the first that cannot.
std::uint64_t reachable(const WatchedMemory& memory, const std::vector<ModelPiece>& pieces,
                        std::uint64_t bytes) {
  std::uint64_t good = 0;
  for (const auto& piece : pieces) {
    const auto wanted = std::min(piece.length, bytes - good);
    const auto there = ModelMemory(memory).reachable(piece.address, wanted, true);
    good += there;
    if (there < wanted) break;
  }
  return good;
}

/// The lengths of the parts of the pieces that hold bytes [from, from + bytes).
std::vector<std::uint64_t> parts(const std::vector<ModelPiece>& pieces, std::uint64_t from,
                                 std::uint64_t bytes) {
  std::vector<std::uint64_t> lengths;
  std::uint64_t position = 0;
  for (const auto& piece : pieces) {
    const auto begin = std::max(position, from);
    const auto end = std::min(position + piece.length, from + bytes);
    if (begin < end) lengths.push_back(end - begin);
    position += piece.length;
  }
  return lengths;
}

/// What the bytes [from, from + out.size()) of the readable pieces are now, without a fetch.
/// REQUIRES: they are in memory.
void look(const WatchedMemory& memory, const ModelChain& chain, std::uint64_t from,
          std::span<std::uint8_t> out) {
  for (const auto& piece : chain.readable) {
    const auto skip = std::min(from, piece.length);
    from -= skip;
    const auto part = out.first(std::min<std::uint64_t>(out.size(), piece.length - skip));
    GUESTPROOF_INVARIANT(read_bytes(memory.guest(), GuestAddress(piece.address + skip),
                                    std::as_writable_bytes(part)));
    out = out.subspan(part.size());
  }
}

std::uint8_t status_for(const ModelError& error) {
  if (error.none()) return 0;
  const bool unsupported = error.name == "block.unsupported_type" ||
                           error.name == "block.feature_not_negotiated" ||
                           error.name == "block.segment_flags";
  return unsupported ? 2 : 1;
}

}  // namespace

BlockModelAnswer BlockModel::serve(const WatchedMemory& memory, const ModelChain& chain) {
  BlockModelAnswer answer;
  if (!chain.fault.none()) {
    answer.error = chain.fault;
    return answer;
  }
  const auto writable = chain.writable_bytes();
  if (writable == 0) {
    answer.error = {"block.no_status", chain.readable_bytes(), 0};
    return answer;
  }
  const auto& last = chain.writable.back();
  const auto place = last.address + last.length - 1;
  if (place < last.address) {
    answer.error = {"memory.address_overflow"};
    return answer;
  }
  if (ModelMemory(memory).reachable(place, 1, true) == 0) {
    answer.error = no_memory(memory, place);
    return answer;
  }

  Request request{.memory = memory, .chain = chain, .writable = writable - 1};
  answer.error = handle(request, answer);
  answer.status = status_for(answer.error);
  ModelMemory(memory).put_number(place, 1, *answer.status);
  // The status is the last byte: it counts only when there is no gap before it.
  const bool no_gap = request.written == request.writable;
  answer.used = static_cast<std::uint32_t>(no_gap ? writable : request.written);
  return answer;
}

ModelError BlockModel::handle(Request& request, BlockModelAnswer& answer) {
  const auto given = request.chain.readable_bytes();
  if (given < kHeaderBytes) return {"block.header_too_short", given, kHeaderBytes};
  request.readable = given - kHeaderBytes;
  std::array<std::uint8_t, kHeaderBytes> header{};
  const auto got = request.chain.read(ModelMemory(request.memory), 0, header);
  if (got != kHeaderBytes) return no_memory(request.memory, request.chain.readable, got);
  request.type = static_cast<std::uint32_t>(number(std::span(header).first(4)));
  request.sector = number(std::span(header).last(8));
  answer.type = request.type;
  if (auto refused = check(request); !refused.none()) return refused;
  return execute(request, answer);
}

ModelError BlockModel::check(const Request& request) const {
  const auto type = request.type;
  const bool ranges = changes_ranges(type);
  if (type != kIn && type != kOut && type != kFlush && type != kGetId && !ranges)
    return {"block.unsupported_type", type, 0};
  if (type == kFlush && !setup.flush) return {"block.feature_not_negotiated", type, 9};
  if (ranges && !ranges_of(setup, type)) {
    const std::uint64_t feature = type == kDiscard ? 13 : type == kWriteZeroes ? 14 : 16;
    return {"block.feature_not_negotiated", type, feature};
  }
  if ((type == kOut || ranges) && setup.read_only) return {"block.read_only", type, 0};
  if ((type == kIn || type == kGetId) && request.readable != 0)
    return {"block.unexpected_readable", request.readable, 0};
  if ((type == kOut || ranges) && request.writable != 0)
    return {"block.unexpected_writable", request.writable, 0};

  if (type == kIn || type == kOut) return check_sectors(request);
  if (type == kFlush && request.sector != 0) return {"block.flush_sector", request.sector, 0};
  if (type == kGetId && request.writable != 20) return {"block.id_length", request.writable, 20};
  if (ranges) {
    if (request.readable == 0 || request.readable % kSegmentBytes != 0)
      return {"block.segments_length", request.readable, kSegmentBytes};
    const auto maximum = ranges_of(setup, type)->max_segments;
    if (request.readable / kSegmentBytes > maximum)
      return {"block.too_many_segments", request.readable / kSegmentBytes, maximum};
  }
  return {};
}

ModelError BlockModel::check_sectors(const Request& request) const {
  const auto bytes = request.type == kIn ? request.writable : request.readable;
  if (bytes % 512 != 0) return {"block.data_length", bytes, 512};
  if (past_capacity(request.sector, bytes / 512, setup.capacity))
    return {"block.beyond_capacity", request.sector, setup.capacity};
  if (!setup.seg_max && !setup.size_max) return {};
  const auto lengths = request.type == kIn ? parts(request.chain.writable, 0, bytes)
                                           : parts(request.chain.readable, kHeaderBytes, bytes);
  if (setup.seg_max && lengths.size() > *setup.seg_max)
    return {"block.seg_max", lengths.size(), *setup.seg_max};
  const auto longest = lengths.empty() ? 0 : std::ranges::max(lengths);
  if (setup.size_max && longest > *setup.size_max)
    return {"block.size_max", longest, *setup.size_max};
  return {};
}

ModelError BlockModel::execute(Request& request, BlockModelAnswer& answer) {
  answer.executed = true;
  if (request.type == kIn) return in(request, answer);
  if (request.type == kOut) return out(request, answer);
  if (request.type == kGetId) return get_id(request);
  if (changes_ranges(request.type)) return change(request, answer);
  return disk.flush() ? ModelError{} : ModelError{"system.sync"};
}

ModelError BlockModel::in(Request& request, BlockModelAnswer& answer) {
  const auto wanted = request.writable;
  const auto good = reachable(request.memory, request.chain.writable, wanted);
  data_.assign(good, 0);
  ModelError error;
  if (good < wanted) {
    error = no_memory(request.memory, request.chain.writable, good);
  } else {
    const auto moved = disk.read(request.sector * 512, std::as_writable_bytes(std::span(data_)));
    answer.bytes = moved.bytes;
    if (moved.stop == ModelDisk::Stop::kError) error = {"system.read"};
    if (moved.stop == ModelDisk::Stop::kEnd) error = {"block.no_progress", moved.bytes, wanted};
  }
  request.written = request.chain.write(ModelMemory(request.memory), 0, data_);
  return error;
}

ModelError BlockModel::out(const Request& request, BlockModelAnswer& answer) {
  data_.resize(request.readable);
  const auto got = request.chain.read(ModelMemory(request.memory), kHeaderBytes, data_);
  if (got < request.readable)
    return no_memory(request.memory, request.chain.readable, kHeaderBytes + got);
  // Storage takes the data once all of it was found; a byte that is in two buffers may have changed
  // when it was found the second time.
  look(request.memory, request.chain, kHeaderBytes, data_);
  const auto moved = disk.write(request.sector * 512, std::as_bytes(std::span(data_)));
  answer.bytes = moved.bytes;
  if (moved.stop == ModelDisk::Stop::kError) return {"system.write"};
  if (moved.stop == ModelDisk::Stop::kEnd)
    return {"block.no_progress", moved.bytes, request.readable};
  return settle();
}

ModelError BlockModel::get_id(Request& request) const {
  std::array<std::uint8_t, 20> id{};
  std::ranges::copy(setup.id, id.begin());
  request.written = request.chain.write(ModelMemory(request.memory), 0, id);
  if (request.written == id.size()) return {};
  return no_memory(request.memory, request.chain.writable, request.written);
}

ModelError BlockModel::change(const Request& request, BlockModelAnswer& answer) {
  data_.resize(request.readable);
  const auto got = request.chain.read(ModelMemory(request.memory), kHeaderBytes, data_);
  if (got < request.readable)
    return no_memory(request.memory, request.chain.readable, kHeaderBytes + got);
  segments_.clear();
  for (std::size_t at = 0; at < data_.size(); at += kSegmentBytes) {
    const auto raw = std::span(data_).subspan(at, kSegmentBytes);
    segments_.push_back({number(raw.first(8)), number(raw.subspan(8, 4)), number(raw.last(4))});
  }
  if (auto refused = check_segments(request.type); !refused.none()) {
    answer.executed = false;
    return refused;
  }
  for (const auto& segment : segments_) {
    const auto offset = segment.sector * 512, length = segment.sectors * 512;
    if (length == 0) continue;
    const bool done = request.type == kDiscard ? disk.discard(offset, length)
                      : request.type == kWriteZeroes
                          ? disk.write_zeroes(offset, length, segment.flags != 0 && setup.may_unmap)
                          : disk.secure_erase(offset, length);
    if (!done) return {"system.allocate"};
    answer.bytes += length;
  }
  return settle();
}

ModelError BlockModel::check_segments(std::uint32_t type) const {
  const std::uint64_t known = type == kWriteZeroes ? 1 : 0;
  for (const auto& segment : segments_)
    if ((segment.flags | known) != known) return {"block.segment_flags", segment.flags, known};
  const auto maximum = ranges_of(setup, type)->max_sectors;
  for (const auto& segment : segments_) {
    if (segment.sectors > maximum) return {"block.segment_sectors", segment.sectors, maximum};
    if (past_capacity(segment.sector, segment.sectors, setup.capacity))
      return {"block.beyond_capacity", segment.sector, setup.capacity};
  }
  std::uint64_t all = 0;
  for (const auto& segment : segments_) all += segment.sectors;
  if (all > setup.capacity) return {"block.segments_total", all, setup.capacity};
  return {};
}

/// Without the flush feature a change is stable once it is answered.
ModelError BlockModel::settle() {
  if (setup.flush || disk.flush()) return {};
  return {"system.sync"};
}

}  // namespace guestproof::testing
