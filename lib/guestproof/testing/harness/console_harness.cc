#include "guestproof/testing/harness/console_harness.h"

#include <errno.h>

#include <algorithm>

namespace guestproof::testing {
namespace {

constexpr std::size_t kControlReceive = 2, kControlTransmit = 3;

std::size_t receive_queue(std::size_t id) { return id == 0 ? 0 : 2 * id + 2; }

void append_number(std::vector<std::byte>& out, std::uint64_t number, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) out.push_back(static_cast<std::byte>(number >> 8 * i));
}

}  // namespace

Result<std::size_t> ScriptedEnd::write(std::span<const std::byte> in) {
  if (fails) return fail(SystemError::kWrite, EIO);
  // Not all that there is room for at once.
  const auto taken = std::min<std::uint64_t>({in.size(), room, 1500});
  for (const auto byte : in.first(taken)) output.push_back(std::to_integer<std::uint8_t>(byte));
  if (room != UINT64_MAX) room -= taken;
  return taken;
}

Result<std::size_t> ScriptedEnd::read(std::span<std::byte> out) {
  if (fails) return fail(SystemError::kRead, EIO);
  const auto given = std::min<std::uint64_t>(out.size(), input);
  for (auto& byte : out.first(given)) byte = std::byte{next_++};
  input -= given;
  return given;
}

ScriptedEnd::Answer ScriptedEnd::put(std::uint8_t byte) {
  if (fails) return Answer::kFails;
  if (room == 0) return Answer::kNotNow;
  if (room != UINT64_MAX) --room;
  output.push_back(byte);
  return Answer::kDone;
}

ScriptedEnd::Answer ScriptedEnd::get(std::uint8_t& byte) {
  if (fails) return Answer::kFails;
  if (input == 0) return Answer::kNotNow;
  --input;
  byte = next_++;
  return Answer::kDone;
}

void ScriptedEnd::reset() {
  room = UINT64_MAX;
  input = 0;
  fails = false;
  next_ = 0;
  output.clear();
  heard.clear();
}

ConsoleHarness::ConsoleHarness()
    : DeviceHarness(2 * kPorts + 2),
      device_({{.port = &ends_[0], .console = true}, {.port = &ends_[1], .name = "log"}}),
      model_([this] { return lifecycle_model().features(); },
             [this] {
               std::vector<ConsoleModel::Port> ports(kPorts);
               for (std::size_t id = 0; id < kPorts; ++id) ports[id].end = &model_ends_[id];
               ports[0].console = true;
               ports[1].name = "log";
               return ports;
             }()) {
  connect(device_, model_);
  fresh_ = lifecycle().save().value();
  to_guest_ = depth_.add("bytes:to_guest");
  from_guest_ = depth_.add("bytes:from_guest");
  blocked_ = depth_.add("bytes:blocked");
  shared_ = depth_.add("bytes:share_of_a_turn");
  sent_ = depth_.add("control:sent");
  opened_ = depth_.add("port:opened_or_closed");
  emergencies_ = depth_.add("port:emergency");
  depth_.add_errors<virtio::console::ConsoleError>();
}

void ConsoleHarness::reset_device() {
  GUESTPROOF_INVARIANT(lifecycle().restore(fresh_));
  const auto bytes = std::span(reinterpret_cast<const std::uint8_t*>(fresh_.data()), fresh_.size());
  GUESTPROOF_INVARIANT(lifecycle_model().restore(bytes).none());
  for (auto* ends : {&ends_, &model_ends_})
    for (auto& end : *ends) end.reset();
}

void ConsoleHarness::request(Lane& lane, const Record& record) {
  RequestShape shape;
  shape.cut = record.width;
  shape.flags = record.flags;
  shape.data = address_of(lane, record);
  payload_.clear();
  const bool raw = (record.flags & kRequestRaw) != 0;
  const auto length = [&](std::uint32_t usual, std::uint32_t modulus) {
    return record.length == 0 && !raw ? usual : record.length % modulus;
  };
  const auto queue = index_of(lane);
  if (queue == kControlReceive) {
    shape.writable_data = length(64, 257);
  } else if (queue == kControlTransmit) {
    append_number(payload_, record.next, 4);
    append_number(payload_, record.kind % 10U, 2);
    append_number(payload_, record.value ^ 1, 2);
    shape.readable_data = raw ? record.length % 4097 : 8;
  } else if (queue % 2 == 0) {
    shape.writable_data = length(64, 8193);
  } else {
    shape.readable_data = length(16, 16385);
    if (record.value != 0) append_number(payload_, record.value, 8);
  }
  if (raw) (queue % 2 == 0 ? shape.readable_data : shape.writable_data) = record.extra % 256;
  shape.payload = payload_;
  publish_request(lane, shape);
}

bool ConsoleHarness::broken() {
  for (std::size_t i = 0; i < lanes(); ++i)
    if (!lane(i).model.broken().none()) return true;
  return false;
}

bool ConsoleHarness::give_input(std::size_t id) {
  auto& queue = lane(receive_queue(id));
  if (!queue.model.active()) return false;
  return model_turn(
             queue, queue.model.setup().size + 1U,
             [&] {
               ModelError why;
               const bool ready = model_.refill(id, why);
               if (!why.none()) expect_refusal(why);
               return ready;
             },
             [&](const ModelChain& chain) {
               const auto given = model_.give_input(world().model(), chain, id);
               if (!given.why.none()) expect_refusal(given.why);
               if (given.used != 0) depth_.count(to_guest_);
               return given.used;
             })
      .more;
}

bool ConsoleHarness::take_output(std::size_t id) {
  auto& queue = lane(receive_queue(id) + 1);
  if (!queue.model.active()) return false;
  std::uint64_t left = 65536;
  const bool more =
      model_turn(
          queue, queue.model.setup().size + 1U,
          [&] { return model_.may_transmit(id) && !model_.ports[id].blocked && left != 0; },
          [&](const ModelChain& chain) -> std::optional<std::uint32_t> {
            const auto passed = model_.take_output(world().model(), chain, id, left);
            if (!passed.why.none()) expect_refusal(passed.why);
            if (passed.all) return 0U;
            depth_.count(left == 0 ? shared_ : blocked_);
            GUESTPROOF_INVARIANT(queue.model.put_back(chain));
            return std::nullopt;
          })
          .more;
  return !broken() && (more || left == 0);
}

bool ConsoleHarness::give_messages() {
  auto& queue = lane(kControlReceive);
  if (!queue.model.active()) return false;
  return model_turn(
             queue, queue.model.setup().size + 1U, [&] { return !model_.message().empty(); },
             [&](const ModelChain& chain) {
               const auto given = model_.give_message(world().model(), chain);
               if (!given.why.none()) expect_refusal(given.why);
               if (given.used != 0) depth_.count(sent_);
               return given.used;
             })
      .more;
}

bool ConsoleHarness::take_messages() {
  auto& queue = lane(kControlTransmit);
  bool more = model_turn(queue, queue.model.setup().size + 1U, [&](const ModelChain& chain) {
                const auto why = model_.take_message(world().model(), chain);
                if (!why.none()) expect_refusal(why);
                return 0U;
              }).more;
  if (broken()) return false;
  more |= give_messages();
  for (std::size_t id = 0; id < kPorts && !broken(); ++id) {
    if (model_.changed.erase(id) == 0) continue;
    bool again = give_input(id);
    if (!broken()) again |= take_output(id);
    if (again && !broken()) model_.changed.insert(id);
    more |= again;
  }
  return more && !broken();
}

bool ConsoleHarness::refuse_all(std::size_t queue) {
  auto& only = lane(queue);
  return model_turn(only, only.model.setup().size + 1U,
                    [&](const ModelChain& chain) {
                      expect_refusal(chain.fault.none() ? ModelError{"console.no_queue", queue,
                                                                     lifecycle_model().accepted}
                                                        : chain.fault);
                      return 0U;
                    })
      .more;
}

DeviceHarness::Turn ConsoleHarness::serve_model(Lane& lane, std::uint32_t) {
  const auto queue = index_of(lane);
  const auto id = queue < 2 ? 0 : queue / 2 - 1;
  const bool more = [&] {
    if (queue >= 2 && !model_.multiport()) return refuse_all(queue);
    if (queue == kControlReceive) return give_messages();
    if (queue == kControlTransmit) return take_messages();
    return queue % 2 == 0 ? give_input(id) : take_output(id);
  }();
  return {.notify = false, .more = more};
}

DeviceHarness::Turn ConsoleHarness::serve_host_model() {
  bool more = model_.multiport() && give_messages();
  for (std::size_t id = 0; id < kPorts && !broken(); ++id) {
    more |= give_input(id);
    if (std::exchange(model_.ports[id].blocked, false) && !broken()) more |= take_output(id);
  }
  return {.notify = false, .more = more && !broken()};
}

void ConsoleHarness::host_event(std::uint8_t kind, const Record& record) {
  const auto id = record.value % kPorts;
  const auto n = record.value / kPorts;
  const auto cols = static_cast<std::uint16_t>(n), rows = static_cast<std::uint16_t>(n >> 16);
  for (auto* ends : {&ends_, &model_ends_}) {
    auto& end = (*ends)[id];
    if (kind == 0) end.input = n % 8192;
    if (kind == 1) end.room = n % 8192;
    if (kind == 2) end.room = UINT64_MAX;
    if (kind == 2 || kind == 3) end.fails = kind == 3;
  }
  if (kind == 4)
    step([&] { n % 2 == 0 ? device_.unplug(id) : device_.plug(id); },
         [&] { n % 2 == 0 ? model_.unplug(id) : model_.plug(id); });
  if (kind == 5)
    step([&] { device_.set_host_open(id, n % 2 != 0); },
         [&] { model_.set_host_open(id, n % 2 != 0); });
  if (kind == 6)
    step([&] { device_.resize(id, cols, rows); },
         [&] {
           model_.resize(id, cols, rows);
           if (id == 0) lifecycle_model().config_changed();
         });
  if (kind != 1 && kind != 3) host_ready();
}

void ConsoleHarness::compare_devices() {
  for (std::size_t id = 0; id < kPorts; ++id) {
    auto &end = ends_[id], &model = model_ends_[id];
    if (end.output != model.output)
      violated(kModelAgreement, "port " + std::to_string(id) + " got other bytes than the model's");
    if (end.heard != model.heard)
      violated(kModelAgreement,
               "port " + std::to_string(id) + " heard other things than the model's");
    if (end.input != model.input)
      violated(kModelAgreement,
               "port " + std::to_string(id) + " gave more or less than the model's");
    if (!end.output.empty()) depth_.count(from_guest_);
    for (const auto& word : end.heard)
      depth_.count(word == "opened" || word == "closed" ? opened_ : emergencies_);
    for (auto* both : {&end, &model}) {
      both->output.clear();
      both->heard.clear();
    }
  }
}

}  // namespace guestproof::testing
