// The split queue as a state machine: whatever driver and device do to each other, in any order,
// the queue does what a naive model, written from virtio 1.3 §2.7, says. The model shares no code
// with the library.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <rapidcheck/state.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "guestproof/testing/driver.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/queue/split_queue.h"

namespace guestproof::virtio {
namespace {

using testing::BufferSpec;
using testing::WatchedMemory;
using Guest = WatchedMemory::GuestView;
using Queue = SplitQueue<WatchedMemory>;

constexpr std::uint16_t kSize = 8;
constexpr std::array kRegions{WatchedMemory::RegionSpec{GuestAddress(0), 0x2000}};
constexpr GuestAddress kRings{0x400};
constexpr GuestAddress kTables{0x800};  // one indirect table for each head
constexpr GuestAddress kData{0x1000};

// ---- The model ------------------------------------------------------------------------------

struct ModelChain {
  std::uint32_t readable = 0;
  std::uint32_t writable = 0;
  bool malformed = false;
};

struct Returned {
  std::uint32_t head = 0;
  std::uint32_t length = 0;
  bool operator==(const Returned&) const = default;
};

/// Queue, driver and guest memory in plain numbers. Indices run on for ever; what guest memory
/// holds of them is their low 16 bits.
struct Model {
  bool event_index = false;
  // What the driver wrote.
  std::uint64_t available = 0;
  std::map<std::uint64_t, std::uint16_t> ring;  // slot (modulo the size) to head
  std::array<ModelChain, kSize> table;          // what the chain of each head is
  std::uint16_t used_event = 0;
  bool no_interrupt = false;
  // Where the device is.
  std::uint64_t next = 0;       // the next chain to take
  std::uint64_t announced = 0;  // the available index when it was last read
  std::uint64_t returned = 0;
  std::uint64_t signalled = 0;  // returned, at the last question for a notification
  std::vector<std::uint16_t> held;
  std::map<std::uint64_t, Returned> used;  // slot (modulo the size) to element
  std::string broken;

  [[nodiscard]] bool is_held(std::uint16_t head) const {
    return std::ranges::find(held, head) != held.end();
  }
  /// Neither available nor held: the driver may use it.
  [[nodiscard]] bool is_free(std::uint16_t head) const {
    for (auto i = next; i != available; ++i)
      if (ring.at(i % kSize) == head) return false;
    return !is_held(head);
  }
  [[nodiscard]] bool has_room() const { return available - next < kSize; }

  void make_available(std::uint16_t head) { ring[available++ % kSize] = head; }

  /// Takes the next chain: its head, nothing, or broken.
  std::optional<std::uint16_t> take() {
    if (!broken.empty()) return std::nullopt;
    if (next == announced) {
      if (available - next > kSize) return refuse("queue.avail_index");
      announced = available;
    }
    if (next == announced) return std::nullopt;
    const auto head = ring.at(next % kSize);
    if (head >= kSize) return refuse("queue.head_index");
    if (is_held(head)) return refuse("queue.head_in_flight");
    ++next;
    held.push_back(head);
    return head;
  }

  std::optional<std::uint16_t> refuse(const char* why) {
    broken = why;
    return std::nullopt;
  }

  [[nodiscard]] std::uint32_t writable(std::uint16_t head) const {
    return table[head].malformed ? 0 : table[head].writable;
  }

  void give_back(std::size_t which, std::uint32_t length) {
    used[returned++ % kSize] = {held[which], length};
    held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
  }

  /// §2.7.7: since the last question, was an element written that the driver wants to hear of?
  bool notify() {
    const auto since = std::exchange(signalled, returned);
    if (since == returned) return false;
    if (!event_index) return !no_interrupt;
    for (auto index = since; index != returned; ++index)
      if (index % 65536 == used_event) return true;
    return false;
  }
};

// ---- The system -----------------------------------------------------------------------------

struct System {
  explicit System(const Model& start)
      : guest(memory.guest()), driver(guest, testing::QueueLayout::at(kRings, kSize)) {
    features = {.event_index = start.event_index, .indirect = true};
    driver.set_available_index(static_cast<std::uint16_t>(start.next));
    put_used_index(start.returned);
    auto state = QueueState::of(driver.layout().config());
    state.features = features;
    state.next_avail = state.next_used = static_cast<std::uint16_t>(start.next);
    state.signalled_used = static_cast<std::uint16_t>(start.signalled);
    RC_ASSERT(queue.restore(memory, state, kSize, features).has_value());
  }

  void put_used_index(std::uint64_t index) {
    const auto where = GuestAddress(driver.layout().used_ring.raw() + kUsedIdxOffset);
    RC_ASSERT(write_object(guest, where, le16(static_cast<std::uint16_t>(index))).has_value());
  }

  /// What everybody can see is what the model says.
  void must_agree_with(const Model& model) const {
    RC_ASSERT((queue.broken() ? queue.broken()->name() : "") == model.broken);
    RC_ASSERT(queue.in_flight() == model.held.size());
    RC_ASSERT(driver.used_index() == static_cast<std::uint16_t>(model.returned));
    for (const auto& [slot, element] : model.used) {
      const auto found = driver.used_entry(static_cast<std::uint16_t>(slot));
      RC_ASSERT((Returned{found.id, found.len} == element));
    }
    for (const auto& write : memory.writes()) {
      const auto offset = write.address.offset_from(driver.layout().used_ring).value();
      RC_ASSERT(offset + write.length <= used_ring_bytes(kSize));
    }
  }

  WatchedMemory memory{kRegions};
  Guest guest;
  testing::Driver<Guest> driver;
  QueueFeatures features;
  Queue queue;
  std::vector<Chain<Queue>> held;  // in the model's order
};

// ---- What can happen ------------------------------------------------------------------------

using Command = rc::state::Command<Model, System>;

// RC_PRE and RC_ASSERT take && and || apart and evaluate both sides, unless in parentheses.

/// The driver makes a chain of one buffer of each direction available; either may be empty. Every
/// head has an indirect table of its own.
struct PublishChain : Command {
  std::uint16_t head = *rc::gen::inRange<std::uint16_t>(0, kSize);
  ModelChain chain{.readable = *rc::gen::inRange<std::uint32_t>(0, 40),
                   .writable = *rc::gen::inRange<std::uint32_t>(0, 40),
                   .malformed = *rc::gen::weightedElement<bool>({{4, false}, {1, true}})};

  void checkPreconditions(const Model& model) const override {
    RC_PRE((model.has_room() && model.is_free(head)));
  }
  void apply(Model& model) const override {
    model.table[head] = chain;
    model.make_available(head);
  }
  void run(const Model& before, System& system) const override {
    const GuestAddress table(kTables.raw() + 32ULL * head);
    const GuestAddress second(table.raw() + 16);
    const std::uint16_t past_the_table = 2;
    system.driver.write_descriptor_at(table, kData, chain.readable, VIRTQ_DESC_F_NEXT,
                                      chain.malformed ? past_the_table : 1);
    system.driver.write_descriptor_at(second, kData, chain.writable, VIRTQ_DESC_F_WRITE, 0);
    system.driver.write_descriptor(head, table, 32, VIRTQ_DESC_F_INDIRECT, 0);
    system.driver.publish(head);
    system.must_agree_with(nextState(before));
  }
  void show(std::ostream& out) const override {
    out << "PublishChain(" << head << ", " << chain.readable << ", " << chain.writable
        << (chain.malformed ? ", malformed)" : ")");
  }
};

/// The driver makes a head available that is in flight, or that is none.
struct PublishHostileHead : Command {
  std::uint16_t head = *rc::gen::elementOf(std::vector<std::uint16_t>{0, 2, kSize, 0xffff});

  void checkPreconditions(const Model& model) const override {
    RC_PRE((model.has_room() && (head >= kSize || model.is_held(head))));
  }
  void apply(Model& model) const override { model.make_available(head); }
  void run(const Model& before, System& system) const override {
    system.driver.publish(head);
    system.must_agree_with(nextState(before));
  }
  void show(std::ostream& out) const override { out << "PublishHostileHead(" << head << ")"; }
};

/// The driver moves the available index further than the ring is long.
struct JumpIndex : Command {
  std::uint64_t ahead = *rc::gen::inRange<std::uint64_t>(kSize + 1, 200);

  void checkPreconditions(const Model& model) const override {
    RC_PRE((model.broken.empty() && model.next == model.available));
  }
  void apply(Model& model) const override { model.available = model.next + ahead; }
  void run(const Model& before, System& system) const override {
    system.driver.set_available_index(static_cast<std::uint16_t>(nextState(before).available));
  }
  void show(std::ostream& out) const override { out << "JumpIndex(" << ahead << ")"; }
};

struct SetWishes : Command {
  bool no_interrupt = *rc::gen::arbitrary<bool>();
  int distance = *rc::gen::inRange(-2, 6);  // of the event index from the used index

  void apply(Model& model) const override {
    model.no_interrupt = no_interrupt;
    model.used_event =
        static_cast<std::uint16_t>(static_cast<int>(model.returned % 65536) + distance);
  }
  void run(const Model& before, System& system) const override {
    system.driver.set_available_flags(no_interrupt ? VIRTQ_AVAIL_F_NO_INTERRUPT : 0);
    system.driver.set_used_event(nextState(before).used_event);
  }
  void show(std::ostream& out) const override {
    out << "SetWishes(" << no_interrupt << ", " << distance << ")";
  }
};

struct Pop : Command {
  void apply(Model& model) const override { model.take(); }
  void run(const Model& before, System& system) const override {
    auto after = before;
    const auto expected = after.take();
    auto popped = system.queue.pop();
    RC_ASSERT(popped.has_value() == after.broken.empty());
    if (popped) {
      RC_ASSERT(popped->has_value() == expected.has_value());
      if (expected) check(**popped, *expected, after.table[*expected]);
      if (expected) system.held.push_back(std::move(**popped));
    }
    system.must_agree_with(after);
  }
  static void check(const Chain<Queue>& chain, std::uint16_t head, const ModelChain& expected) {
    RC_ASSERT(chain.head() == head);
    RC_ASSERT(chain.fault().has_value() == expected.malformed);
    RC_ASSERT(chain.readable_bytes() == (expected.malformed ? 0 : expected.readable));
    RC_ASSERT(chain.writable_bytes() == (expected.malformed ? 0 : expected.writable));
  }
  void show(std::ostream& out) const override { out << "Pop"; }
};

/// The device returns one of the chains it holds, perhaps with a length that it may not claim.
struct Complete : Command {
  std::size_t pick = *rc::gen::inRange<std::size_t>(0, kSize);
  std::uint32_t length = *rc::gen::inRange<std::uint32_t>(0, 45);

  void checkPreconditions(const Model& model) const override { RC_PRE(!model.held.empty()); }
  [[nodiscard]] std::size_t which(const Model& model) const { return pick % model.held.size(); }
  [[nodiscard]] bool allowed(const Model& model) const {
    return length <= model.writable(model.held[which(model)]);
  }
  void apply(Model& model) const override {
    if (allowed(model)) model.give_back(which(model), length);
  }
  void run(const Model& before, System& system) const override {
    const auto chain = system.held.begin() + static_cast<std::ptrdiff_t>(which(before));
    const auto done = chain->complete(length);
    RC_ASSERT(done.has_value() == allowed(before));
    if (done)
      system.held.erase(chain);
    else
      RC_ASSERT(done.error() == QueueError::kUsedLength);
    system.must_agree_with(nextState(before));
  }
  void show(std::ostream& out) const override {
    out << "Complete(" << pick << ", " << length << ")";
  }
};

struct Drop : Command {
  std::size_t pick = *rc::gen::inRange<std::size_t>(0, kSize);

  void checkPreconditions(const Model& model) const override { RC_PRE(!model.held.empty()); }
  void apply(Model& model) const override { model.give_back(pick % model.held.size(), 0); }
  void run(const Model& before, System& system) const override {
    system.held.erase(system.held.begin() + static_cast<std::ptrdiff_t>(pick % before.held.size()));
    system.must_agree_with(nextState(before));
  }
  void show(std::ostream& out) const override { out << "Drop(" << pick << ")"; }
};

struct AskNotification : Command {
  void apply(Model& model) const override { model.notify(); }
  void run(const Model& before, System& system) const override {
    auto after = before;
    RC_ASSERT(system.queue.needs_notification() == after.notify());
    RC_ASSERT(!system.queue.needs_notification());
  }
  void show(std::ostream& out) const override { out << "AskNotification"; }
};

struct EnableKicks : Command {
  void run(const Model& before, System& system) const override {
    system.queue.disable_kicks();
    const bool came = system.queue.enable_kicks();
    RC_ASSERT(came == (before.broken.empty() && before.next != before.available));
    if (!before.broken.empty()) return;
    if (before.event_index)
      RC_ASSERT(system.driver.available_event() == static_cast<std::uint16_t>(before.next));
    RC_ASSERT(system.driver.used_flags() == 0u);
  }
  void show(std::ostream& out) const override { out << "EnableKicks"; }
};

/// Through the bytes of a snapshot and back; nobody may notice.
struct SaveAndRestore : Command {
  void checkPreconditions(const Model& model) const override {
    // Restoring looks at the index at once; the model only when it takes the next chain.
    RC_PRE(
        (model.held.empty() && (!model.broken.empty() || model.available - model.next <= kSize)));
  }
  void apply(Model& model) const override {
    model.announced = model.next;
    if (!model.broken.empty()) model.broken = "queue.saved_broken";
  }
  void run(const Model& before, System& system) const override {
    const auto saved = system.queue.save();
    RC_ASSERT(saved.has_value());
    const auto state = QueueState::decode(saved->encode());
    RC_ASSERT(state.has_value());
    RC_ASSERT(system.queue.restore(system.memory, *state, kSize, system.features).has_value());
    system.must_agree_with(nextState(before));
  }
  void show(std::ostream& out) const override { out << "SaveAndRestore"; }
};

/// The driver resets the queue and starts it again; the device still holds its chains meanwhile.
struct Reset : Command {
  void apply(Model& model) const override {
    Model fresh;
    fresh.event_index = model.event_index;
    fresh.table = model.table;
    model = fresh;
  }
  void run(const Model& before, System& system) const override {
    system.memory.clear_log();
    system.queue.reset();
    for (auto& chain : system.held) RC_ASSERT(chain.complete(0).error() == QueueError::kStaleChain);
    RC_ASSERT(system.memory.writes().empty());
    system.held.clear();
    system.driver.set_available_index(0);
    system.driver.set_available_flags(0);
    system.driver.set_used_event(0);
    system.put_used_index(0);
    RC_ASSERT(system.queue.activate(system.memory, system.driver.layout().config(), system.features)
                  .has_value());
    system.must_agree_with(nextState(before));
  }
  void show(std::ostream& out) const override { out << "Reset"; }
};

/// A queue at rest, its indices anywhere, often just before they wrap.
Model any_start() {
  Model model;
  model.event_index = *rc::gen::arbitrary<bool>();
  model.next = *rc::gen::oneOf(rc::gen::just<std::uint64_t>(0),
                               rc::gen::inRange<std::uint64_t>(65530, 65536),
                               rc::gen::inRange<std::uint64_t>(0, 65536));
  model.available = model.announced = model.returned = model.signalled = model.next;
  return model;
}

RC_GTEST_PROP(SplitQueue, DoesWhatTheModelSays, ()) {
  const auto start = any_start();
  System system(start);
  rc::state::check(
      start, system,
      rc::state::gen::execOneOfWithArgs<PublishChain, PublishChain, PublishHostileHead, JumpIndex,
                                        SetWishes, Pop, Pop, Complete, Complete, Drop,
                                        AskNotification, EnableKicks, SaveAndRestore, Reset>());
}

}  // namespace
}  // namespace guestproof::virtio
