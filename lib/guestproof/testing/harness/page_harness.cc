#include "guestproof/testing/harness/page_harness.h"

#include <array>

namespace guestproof::testing {
namespace {

// A program that makes the reader work for longer than a few milliseconds is cut short.
constexpr std::uint64_t kWorkLimit = 50'000;

}  // namespace

PageHarness::PageHarness()
    : world_(std::array{WatchedMemory::RegionSpec{GuestAddress(0), kMemory, false}}) {
  looks_ = depth_.add("guest:kick");
  maps_ = depth_.add("guest:map");
  refused_maps_ = depth_.add("guest:map_refused");
}

void PageHarness::start_program() {
  world_.reset();
  asked_ = fresh_ = false;
  map(default_size());
}

bool PageHarness::may_go_on() const { return world_.device().work() <= kWorkLimit; }

void PageHarness::finish_program() {
  if (!mapped_) return;
  if (!asked_) request(Record{});
  if (fresh_ || !asked_) look(0);
}

void PageHarness::look(std::uint32_t budget) {
  depth_.count(looks_);
  fresh_ = false;
  kick(budget);
}

void PageHarness::map(std::uint64_t size) {
  size_ = size;
  const auto mapping = world_.device().find(GuestAddress(0), size, Access::kWrite);
  GUESTPROOF_INVARIANT(mapping && mapping->size() == size);
  const auto mapped = map_reader(*mapping);
  mapped_ = mapped.has_value();
  compare_errors(kModelAgreement, "the mapping", error_of(mapped), map_model(size));
  depth_.count(mapped_ ? maps_ : refused_maps_);
  if (!mapped) count(mapped.error());
}

std::uint64_t PageHarness::address_of(const Record& record, std::uint64_t otherwise) const {
  if (record.space() == Space::kAuto) return otherwise;
  if (record.space() == Space::kRaw) return record.value;
  return place(area(record.space()), record.edge(), record.address.offset).raw();
}

void PageHarness::execute(const Record& record) {
  const auto address = GuestAddress(address_of(record, area(Space::kHeader).base));
  switch (record.op()) {
    case Opcode::kQueue:
      map(size_of(record.index));
      break;
    case Opcode::kActivate:
      map(record.index % (kMemory + 1));
      break;
    case Opcode::kReset:
      world_.reset();
      map(default_size());
      break;
    case Opcode::kWrite:
      world_.write_number(address, record.value, 1 + (record.width + 7) % 8);
      asked_ = fresh_ = true;
      break;
    case Opcode::kFill:
      world_.fill(address, record.length % kMemory, std::byte(record.value & 0xff));
      asked_ = fresh_ = true;
      break;
    case Opcode::kRace:
      world_.race({address, static_cast<std::uint8_t>(record.width == 0 ? 2 : record.width),
                   std::byte(record.value & 0xff)});
      break;
    case Opcode::kRequest:
      if (!mapped_) break;
      request(record);
      asked_ = fresh_ = true;
      if ((record.flags & kRequestKick) == 0) break;
      [[fallthrough]];
    case Opcode::kKick:
      if (mapped_) look(record.op() == Opcode::kKick ? record.index % 8 : 0);
      break;
    default:
      if (mapped_) act(record);
  }
}

void PageHarness::spins() {
  violated(kLiveness, "one look takes more steps than what it looks at has bytes");
}

}  // namespace guestproof::testing
