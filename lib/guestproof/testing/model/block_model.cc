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
  auto work = begin(memory, chain);
  while (wants_disk(work)) operate(memory, work, UINT64_MAX);
  return finish(memory, work);
}

BlockModelWork BlockModel::begin(const WatchedMemory& memory, const ModelChain& chain) {
  BlockModelWork work;
  work.chain = chain;
  work.answer.error = find_place(memory, work);
  if (work.place) work.answer.error = handle(memory, work);
  return work;
}

ModelError BlockModel::find_place(const WatchedMemory& memory, Work& work) {
  const auto& chain = work.chain;
  if (!chain.fault.none()) return chain.fault;
  const auto writable = chain.writable_bytes();
  if (writable == 0) return {"block.no_status", chain.readable_bytes(), 0};
  const auto& last = chain.writable.back();
  const auto place = last.address + last.length - 1;
  if (place < last.address) return {"memory.address_overflow"};
  if (ModelMemory(memory).reachable(place, 1, true) == 0) return no_memory(memory, place);
  work.place = place;
  work.writable = writable - 1;
  return {};
}

ModelError BlockModel::handle(const WatchedMemory& memory, Work& work) {
  const auto given = work.chain.readable_bytes();
  if (given < kHeaderBytes) return {"block.header_too_short", given, kHeaderBytes};
  work.readable = given - kHeaderBytes;
  std::array<std::uint8_t, kHeaderBytes> header{};
  const auto got = work.chain.read(ModelMemory(memory), 0, header);
  if (got != kHeaderBytes) return no_memory(memory, work.chain.readable, got);
  work.type = static_cast<std::uint32_t>(number_in(std::span(header).first(4)));
  work.sector = number_in(std::span(header).last(8));
  work.answer.type = work.type;
  if (auto refused = check(work); !refused.none()) return refused;
  work.answer.executed = true;
  return prepare(memory, work);
}

/// What there is to do before the disk has anything to do.
ModelError BlockModel::prepare(const WatchedMemory& memory, Work& work) {
  if (work.type == kIn) {
    const auto good = reachable(memory, work.chain.writable, work.writable);
    if (good < work.writable) return no_memory(memory, work.chain.writable, good);
  } else if (work.type == kOut) {
    data_.resize(work.readable);
    const auto got = work.chain.read(ModelMemory(memory), kHeaderBytes, data_);
    if (got < work.readable) return no_memory(memory, work.chain.readable, kHeaderBytes + got);
  } else if (work.type == kGetId) {
    std::array<std::uint8_t, 20> id{};
    std::ranges::copy(setup.id, id.begin());
    work.written = work.chain.write(ModelMemory(memory), 0, id);
    if (work.written != id.size()) return no_memory(memory, work.chain.writable, work.written);
  } else if (changes_ranges(work.type)) {
    auto refused = read_segments(memory, work);
    if (refused.none()) refused = check_segments(work);
    work.answer.executed = refused.none() || refused.name.starts_with("memory.");
    return refused;
  }
  return {};
}

bool BlockModel::wants_disk(const Work& work) const {
  if (!work.answer.error.none()) return false;
  const auto bytes = work.type == kIn ? work.writable : work.type == kOut ? work.readable : 0;
  if (changes_ranges(work.type)) {
    for (auto i = work.next_segment; i < work.segments.size(); ++i)
      if (work.segments[i].sectors != 0) return true;
  } else if (work.answer.bytes < bytes) {
    return true;
  }
  // Without the flush feature, or with the cache switched off, a change is stable once it is
  // answered.
  const bool through = !setup.flush || setup.write_through;
  const bool changes = work.type == kOut || changes_ranges(work.type);
  return !work.flushed && (work.type == kFlush || (changes && through));
}

void BlockModel::operate(const WatchedMemory& memory, Work& work, std::uint64_t most) {
  auto& segment = work.next_segment;
  while (segment < work.segments.size() && work.segments[segment].sectors == 0) ++segment;
  const auto bytes = work.type == kIn ? work.writable : work.type == kOut ? work.readable : 0;
  if (segment < work.segments.size()) {
    work.answer.error = change(work);
  } else if (!changes_ranges(work.type) && work.answer.bytes < bytes) {
    work.answer.error = transfer(memory, work, most);
  } else {
    work.flushed = true;
    if (!disk.flush()) work.answer.error = {"system.sync"};
  }
}

BlockModelAnswer BlockModel::finish(const WatchedMemory& memory, Work& work) {
  auto& answer = work.answer;
  if (!work.place) return answer;
  if (work.type == kIn && answer.executed && !answer.error.none()) {
    // Zeroes for what could not be read, as far as there is memory.
    data_.assign(work.writable - answer.bytes, 0);
    work.written = answer.bytes + work.chain.write(ModelMemory(memory), answer.bytes, data_);
  }
  answer.status = status_for(answer.error);
  ModelMemory(memory).put_number(*work.place, 1, *answer.status);
  // The status is the last byte: it counts only when there is no gap before it.
  const bool no_gap = work.written == work.writable;
  answer.used = static_cast<std::uint32_t>(no_gap ? work.writable + 1 : work.written);
  return answer;
}

ModelError BlockModel::check(const Work& work) const {
  const auto type = work.type;
  const bool ranges = changes_ranges(type);
  if (type != kIn && type != kOut && type != kFlush && type != kGetId && !ranges)
    return {"block.unsupported_type", type, 0};
  if (type == kFlush && !setup.flush) return {"block.feature_not_negotiated", type, 9};
  if (ranges && !ranges_of(setup, type)) {
    const std::uint64_t feature = type == kDiscard ? 13 : type == kWriteZeroes ? 14 : 16;
    return {"block.feature_not_negotiated", type, feature};
  }
  if ((type == kOut || ranges) && setup.read_only) return {"block.read_only", type, 0};
  if ((type == kIn || type == kGetId) && work.readable != 0)
    return {"block.unexpected_readable", work.readable, 0};
  if ((type == kOut || ranges) && work.writable != 0)
    return {"block.unexpected_writable", work.writable, 0};

  if (type == kIn || type == kOut) return check_sectors(work);
  if (type == kFlush && work.sector != 0) return {"block.flush_sector", work.sector, 0};
  if (type == kGetId && work.writable != 20) return {"block.id_length", work.writable, 20};
  if (ranges) {
    if (work.readable == 0 || work.readable % kSegmentBytes != 0)
      return {"block.segments_length", work.readable, kSegmentBytes};
    const auto maximum = ranges_of(setup, type)->max_segments;
    if (work.readable / kSegmentBytes > maximum)
      return {"block.too_many_segments", work.readable / kSegmentBytes, maximum};
  }
  return {};
}

ModelError BlockModel::check_sectors(const Work& work) const {
  const auto bytes = work.type == kIn ? work.writable : work.readable;
  if (bytes % 512 != 0) return {"block.data_length", bytes, 512};
  if (past_capacity(work.sector, bytes / 512, setup.capacity))
    return {"block.beyond_capacity", work.sector, setup.capacity};
  if (!setup.seg_max && !setup.size_max) return {};
  const auto lengths = work.type == kIn ? parts(work.chain.writable, 0, bytes)
                                        : parts(work.chain.readable, kHeaderBytes, bytes);
  if (setup.seg_max && lengths.size() > *setup.seg_max)
    return {"block.seg_max", lengths.size(), *setup.seg_max};
  const auto longest = lengths.empty() ? 0 : std::ranges::max(lengths);
  if (setup.size_max && longest > *setup.size_max)
    return {"block.size_max", longest, *setup.size_max};
  return {};
}

/// Storage takes the data of an OUT when it moves them; a byte that is in two buffers, or that the
/// guest changes meanwhile, is what it is then.
ModelError BlockModel::transfer(const WatchedMemory& memory, Work& work, std::uint64_t most) {
  const bool reads = work.type == kIn;
  const auto all = reads ? work.writable : work.readable;
  auto& bytes = work.answer.bytes;
  data_.resize(std::min(most, all - bytes));
  const auto offset = work.sector * 512 + bytes;
  ModelDisk::Transfer moved;
  if (reads) {
    moved = disk.read(offset, std::as_writable_bytes(std::span(data_)));
    work.chain.write(ModelMemory(memory), bytes, std::span(data_).first(moved.bytes));
    work.written += moved.bytes;
  } else {
    look(memory, work.chain, kHeaderBytes + bytes, data_);
    moved = disk.write(offset, std::as_bytes(std::span(data_)));
  }
  bytes += moved.bytes;
  if (moved.bytes != 0) return {};
  if (moved.stop == ModelDisk::Stop::kEnd) return {"block.no_progress", bytes, all};
  return {reads ? "system.read" : "system.write"};
}

ModelError BlockModel::read_segments(const WatchedMemory& memory, Work& work) {
  data_.resize(work.readable);
  const auto got = work.chain.read(ModelMemory(memory), kHeaderBytes, data_);
  if (got < work.readable) return no_memory(memory, work.chain.readable, kHeaderBytes + got);
  for (std::size_t at = 0; at < data_.size(); at += kSegmentBytes) {
    const auto raw = std::span(data_).subspan(at, kSegmentBytes);
    work.segments.push_back(
        {number_in(raw.first(8)), number_in(raw.subspan(8, 4)), number_in(raw.last(4))});
  }
  return {};
}

ModelError BlockModel::change(Work& work) {
  const auto& segment = work.segments[work.next_segment++];
  const auto offset = segment.sector * 512, length = segment.sectors * 512;
  const bool unmap = segment.flags != 0 && setup.may_unmap;
  const bool done = work.type == kDiscard       ? disk.discard(offset, length)
                    : work.type == kWriteZeroes ? disk.write_zeroes(offset, length, unmap)
                                                : disk.secure_erase(offset, length);
  if (!done) return {"system.allocate"};
  work.answer.bytes += length;
  return {};
}

ModelError BlockModel::check_segments(const Work& work) const {
  const std::uint64_t known = work.type == kWriteZeroes ? 1 : 0;
  for (const auto& segment : work.segments)
    if ((segment.flags | known) != known) return {"block.segment_flags", segment.flags, known};
  const auto maximum = ranges_of(setup, work.type)->max_sectors;
  for (const auto& segment : work.segments) {
    if (segment.sectors > maximum) return {"block.segment_sectors", segment.sectors, maximum};
    if (past_capacity(segment.sector, segment.sectors, setup.capacity))
      return {"block.beyond_capacity", segment.sector, setup.capacity};
  }
  std::uint64_t all = 0;
  for (const auto& segment : work.segments) all += segment.sectors;
  if (all > setup.capacity) return {"block.segments_total", all, setup.capacity};
  return {};
}

}  // namespace guestproof::testing
