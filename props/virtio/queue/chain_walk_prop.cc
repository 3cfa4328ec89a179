// The chain walk against a naive walker written from virtio 1.3 §2.7.5, on descriptor tables that a
// hostile driver filled. They share guest memory's bytes and no code.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "guestproof/testing/driver.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/queue/split_queue.h"

namespace guestproof::virtio {
namespace {

using testing::QueueLayout;
using testing::WatchedMemory;

constexpr std::uint64_t kRings = 0;
constexpr std::uint64_t kBorder = 0x1000;  // two regions touch here
constexpr std::uint64_t kEnd = 0x2000;     // of the second region
// Indirect tables: across the border, up to the end, and up to the end of the address space.
constexpr std::uint64_t kTable = 0x100;  // bytes
constexpr std::uint64_t kAcross = kBorder - kTable / 2;
constexpr std::uint64_t kLast = kEnd - kTable;
constexpr std::uint64_t kTop = UINT64_MAX - kTable + 1;
constexpr std::array kRegions{
    WatchedMemory::RegionSpec{GuestAddress(kRings), kBorder - kRings},
    WatchedMemory::RegionSpec{GuestAddress(kBorder), kEnd - kBorder},
    WatchedMemory::RegionSpec{GuestAddress(UINT64_MAX - 0xfff), 0x1000},
};

struct Piece {
  std::uint64_t address;
  std::uint64_t length;
  bool operator==(const Piece&) const = default;
};

struct Walked {
  std::string fault;  // the enumerator's name, empty for a good chain
  std::vector<Piece> readable;
  std::vector<Piece> writable;
};

/// Guest memory as the specification sees it: bytes at addresses.
class NaiveWalker {
 public:
  NaiveWalker(const WatchedMemory& memory, std::uint16_t size, bool indirect_negotiated)
      : guest_(memory.guest()), size_(size), negotiated_(indirect_negotiated) {}

  Walked walk(std::uint16_t head) {
    Walked result;
    result.fault = collect(head, result);
    if (!result.fault.empty()) result.readable.clear(), result.writable.clear();
    return result;
  }

 private:
  struct Descriptor {
    std::uint64_t addr = 0;
    std::uint64_t len = 0;
    std::uint64_t flags = 0;
    std::uint64_t next = 0;
  };

  std::string collect(std::uint64_t index, Walked& result) {
    std::uint64_t table = kRings;
    std::uint64_t entries = size_;
    bool inside = false;
    std::uint64_t bytes = 0;
    for (int count = 0; count < size_;) {
      const auto found = read(table, index);
      if (!found) return "indirect_unmapped";
      const auto& d = *found;
      if (d.flags & 4) {
        if (!negotiated_) return "indirect_not_negotiated";
        if (inside) return "indirect_nested";
        if (d.flags & 1) return "indirect_with_next";
        if (d.len < 16 || d.len % 16 != 0) return "indirect_length";
        inside = true, table = d.addr, entries = d.len / 16, index = 0;
        continue;
      }
      if (!(d.flags & 2) && seen_writable_) return "readable_after_writable";
      seen_writable_ = d.flags & 2;
      bytes += d.len;
      if (bytes > 0x1'0000'0000) return "total_length";
      if (d.len != 0) (d.flags & 2 ? result.writable : result.readable).push_back({d.addr, d.len});
      ++count;
      if (!(d.flags & 1)) return "";
      if (d.next >= entries) return "next_index";
      index = d.next;
    }
    return "too_long";
  }

  /// Sixteen bytes, one by one; nothing when one of them is not in memory.
  std::optional<Descriptor> read(std::uint64_t table, std::uint64_t index) {
    std::array<std::uint64_t, 16> b{};
    for (std::uint64_t i = 0; i < 16; ++i) {
      const auto offset = 16 * index + i;
      if (offset > UINT64_MAX - table) return std::nullopt;
      const auto byte = read_object<std::uint8_t>(guest_, GuestAddress(table + offset));
      if (!byte) return std::nullopt;
      b[i] = *byte;
    }
    const auto number = [&](int at, int length) {
      std::uint64_t value = 0;
      for (int i = length; i-- > 0;) value = value * 256 + b[static_cast<std::size_t>(at + i)];
      return value;
    };
    return Descriptor{number(0, 8), number(8, 4), number(12, 2), number(14, 2)};
  }

  WatchedMemory::GuestView guest_;
  std::uint16_t size_;
  bool negotiated_;
  bool seen_writable_ = false;
};

/// Addresses where something can go wrong, and some where nothing does.
rc::Gen<std::uint64_t> address() {
  return rc::gen::oneOf(
      rc::gen::inRange(kAcross, kAcross + kTable), rc::gen::inRange(kLast, kEnd + 8),
      rc::gen::elementOf(std::vector<std::uint64_t>{kRings, kAcross, kBorder - 16, kBorder - 8,
                                                    kEnd - 16, kEnd, kTop, UINT64_MAX - 15,
                                                    UINT64_MAX}));
}

rc::Gen<std::uint32_t> length() {
  return rc::gen::oneOf(
      rc::gen::elementOf(std::vector<std::uint32_t>{
          0, 1, 15, 16, 17, 32, 64, 256, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff}),
      rc::gen::inRange<std::uint32_t>(0, 600));
}

/// Mostly what continues a chain, so that walks get deep.
rc::Gen<std::uint16_t> flags() {
  return rc::gen::weightedElement<std::uint16_t>({{8, 1},  // NEXT
                                                  {4, 3},  // NEXT | WRITE
                                                  {2, 0},
                                                  {2, 2},
                                                  {3, 4},  // INDIRECT
                                                  {1, 6},
                                                  {1, 5},
                                                  {1, 0xfff9}});
}

struct Table {
  Table(const WatchedMemory& memory, const QueueLayout& layout)
      : guest(memory.guest()), driver(guest, layout) {}

  void fill(std::uint64_t where, std::uint16_t entries) {
    for (std::uint16_t i = 0; i < entries; ++i)
      driver.write_descriptor_at(GuestAddress(where + 16ULL * i), GuestAddress(*address()),
                                 *length(), *flags(), *next_of(i, entries));
  }
  static rc::Gen<std::uint16_t> next_of(std::uint16_t index, std::uint16_t entries) {
    return rc::gen::oneOf(
        rc::gen::just(static_cast<std::uint16_t>(index + 1)),
        rc::gen::inRange<std::uint16_t>(0, static_cast<std::uint16_t>(entries + 1)));
  }

  WatchedMemory::GuestView guest;
  testing::Driver<WatchedMemory::GuestView> driver;
};

std::vector<Piece> pieces(std::span<const Buffer> buffers) {
  std::vector<Piece> result;
  for (const auto& buffer : buffers) result.push_back({buffer.address.raw(), buffer.length});
  return result;
}

RC_GTEST_PROP(ChainWalk, AgreesWithANaiveWalkerOnHostileTables, ()) {
  const auto size = static_cast<std::uint16_t>(1 << *rc::gen::inRange(0, 5));
  const auto head = *rc::gen::inRange<std::uint16_t>(0, size);
  const bool indirect = *rc::gen::weightedElement<bool>({{9, true}, {1, false}});
  const WatchedMemory memory(kRegions);
  const auto layout = QueueLayout::at(GuestAddress(kRings), size);
  Table table(memory, layout);
  for (const auto where : {kAcross, kLast, kTop}) table.fill(where, kTable / 16);
  table.fill(kRings, size);
  table.driver.publish(head);
  SplitQueue<WatchedMemory> queue;
  RC_ASSERT(queue.activate(memory, layout.config(), {.indirect = indirect}).has_value());

  const auto chain = std::move(queue.pop().value().value());

  const auto expected = NaiveWalker(memory, size, indirect).walk(head);
  RC_TAG(expected.fault);
  RC_ASSERT((chain.fault() ? chain.fault()->name() : "") ==
            (expected.fault.empty() ? "" : "chain." + expected.fault));
  RC_ASSERT(pieces(chain.readable()) == expected.readable);
  RC_ASSERT(pieces(chain.writable()) == expected.writable);
  RC_ASSERT(memory.writes().empty());
}

}  // namespace
}  // namespace guestproof::virtio
