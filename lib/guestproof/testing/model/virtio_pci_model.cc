#include "guestproof/testing/model/virtio_pci_model.h"

#include <algorithm>

namespace guestproof::testing {
namespace {

constexpr std::uint16_t kNoVector = 0xffff;

// The common structure, §4.1.4.3.
struct Field {
  unsigned offset;
  std::size_t width;
};
constexpr Field kFields[] = {{0x00, 4}, {0x04, 4}, {0x08, 4}, {0x0c, 4}, {0x10, 2},
                             {0x12, 2}, {0x14, 1}, {0x15, 1}, {0x16, 2}, {0x18, 2},
                             {0x1a, 2}, {0x1c, 2}, {0x1e, 2}, {0x20, 8}, {0x28, 8},
                             {0x30, 8}, {0x38, 2}, {0x3a, 2}, {0x3c, 2}, {0x3e, 2}};

/// Whether an access is one of half an address.
bool is_half(std::uint64_t at, std::size_t width) {
  return width == 4 &&
         (at == 0x20 || at == 0x24 || at == 0x28 || at == 0x2c || at == 0x30 || at == 0x34);
}

ModelError field_refusal(std::uint64_t at, std::size_t width) {
  if (is_half(at, width)) return {};
  for (const auto& field : kFields) {
    if (field.offset != at) continue;
    if (field.width != width) return {"device.access_width", width, field.width};
    return {};
  }
  return {"device.register", at};
}

std::uint32_t class_code(std::uint32_t device_id) {
  if (device_id == 1) return 0x020000;
  if (device_id == 2) return 0x018000;
  if (device_id == 3) return 0x078000;
  if (device_id == 5) return 0x050000;
  return 0xff0000;
}

/// struct virtio_pci_cap, §4.1.4, without its first two bytes.
PciModel::Bytes capability(unsigned type, std::uint64_t offset, std::uint64_t length,
                           bool with_tail, std::uint64_t tail) {
  PciModel::Bytes body;
  append_number(body, 1, with_tail ? 20 : 16);
  append_number(body, 1, type);
  append_number(body, 1, 0);  // BAR
  append_number(body, 3, 0);  // id, padding
  append_number(body, 4, offset);
  append_number(body, 4, length);
  if (with_tail) append_number(body, 4, tail);
  return body;
}

}  // namespace

VirtioPciModel::VirtioPciModel(LifecycleModel& lifecycle, std::uint8_t device,
                               const ModelWindow& low, const ModelWindow& high)
    : lifecycle_(lifecycle),
      routing_id_(std::uint64_t{device} * 8),
      queue_vectors_(lifecycle.queues.size(), kNoVector),
      bus_(spec(device, low, high)) {
  lifecycle_.set_memory_access(false);
  lifecycle_.connect(this);
}

ModelBusSpec VirtioPciModel::spec(std::uint8_t device, const ModelWindow& low,
                                  const ModelWindow& high) {
  const auto queues = lifecycle_.queues.size();
  const auto config = lifecycle_.device().config().size();
  const auto id = static_cast<std::uint16_t>(0x1040 + lifecycle_.device_id());
  while (msix_bar_bytes_ < 16 * vectors() + (vectors() + 63) / 64 * 8) msix_bar_bytes_ *= 2;

  ModelFunctionSpec bridge;
  bridge.vendor_id = 0x1b36;
  bridge.device_id = 8;
  bridge.class_code = 0x060000;
  ModelFunctionSpec own;
  own.device = device;
  own.vendor_id = own.subsystem_vendor_id = 0x1af4;
  own.device_id = own.subsystem_id = id;
  own.class_code = class_code(lifecycle_.device_id());
  own.revision = 1;
  own.pin = 1;
  own.bars = {{0, ModelBar::Kind::kMemory64, 0x4000, false},
              {2, ModelBar::Kind::kMemory32, msix_bar_bytes_, false}};
  own.msix = {static_cast<std::uint16_t>(vectors()), 2, 0, 2,
              static_cast<std::uint32_t>(16 * vectors())};
  own.capabilities.push_back({capability(1, 0, 64, false, 0), {}});
  own.capabilities.push_back({capability(3, 0x1000, 1, false, 0), {}});
  if (config != 0) own.capabilities.push_back({capability(4, 0x2000, config, false, 0), {}});
  own.capabilities.push_back({capability(2, 0x3000, 4 * queues, true, 4), {}});
  Bytes writable(18);
  writable[2] = 0xff;
  std::fill_n(writable.begin() + 6, 8, std::uint8_t{0xff});
  own.capabilities.push_back({capability(5, 0, 0, true, 0), writable, true});
  own.owner = this;

  window_at_ = 0x4c + 16 * (config != 0 ? 3 : 2) + 20;
  ModelBusSpec bus;
  bus.memory = {low, high};
  bus.functions = {bridge, own};
  return bus;
}

void VirtioPciModel::notify(std::uint8_t cause, std::uint16_t vector) {
  const bool by_message = bus_.msix_enabled(kPlace);
  if (cause == 2 || !by_message) set_isr(static_cast<std::uint8_t>(isr_ | cause));
  if (by_message && vector != kNoVector) static_cast<void>(bus_.raise(kPlace, vector));
}

void VirtioPciModel::set_isr(std::uint8_t value) {
  isr_ = value;
  bus_.set_interrupt(kPlace, value != 0);
}

VirtioPciModel::Answer VirtioPciModel::read_bar(unsigned bar, std::uint64_t offset,
                                                std::size_t width) {
  Answer answer{Bytes(width, 0), {}};
  const auto at = offset % 0x1000;
  if (bar == 0 && offset < 0x1000) {
    answer.error = field_refusal(at, width);
    if (!answer.error.none()) return answer;
    const auto field = is_half(at, width) ? at / 8 * 8 : at;
    const auto value = common(static_cast<unsigned>(field)) >> 8 * (at - field);
    put_number(answer.bytes, 0, width, value);
  } else if (bar == 0 && offset == 0x1000) {
    if (width != 1) {
      answer.error = {"device.access_width", width, 1};
      return answer;
    }
    answer.bytes[0] = isr_;
    set_isr(0);
  } else if (bar == 0 && offset >= 0x2000 && offset < 0x3000) {
    answer.error = lifecycle_.read_config(at, answer.bytes);
  } else {
    answer.error = {"device.register", offset};
  }
  return answer;
}

ModelError VirtioPciModel::write_bar(unsigned bar, std::uint64_t offset, const Bytes& bytes) {
  const auto at = offset % 0x1000;
  if (bar == 0 && offset < 0x1000) {
    if (const auto why = field_refusal(at, bytes.size()); !why.none()) return why;
    if (is_half(at, bytes.size())) return set_half(static_cast<unsigned>(at), number_in(bytes));
    return set_common(static_cast<unsigned>(at), number_in(bytes));
  }
  if (bar == 0 && offset >= 0x2000 && offset < 0x3000) return lifecycle_.write_config(at, bytes);
  if (bar == 0 && offset >= 0x3000) {
    if (bytes.size() != 2 && bytes.size() != 4) return {"device.access_width", bytes.size(), 4};
    if (at % 4 != 0) return {"device.register", offset};
    return lifecycle_.kick(at / 4);
  }
  return {"device.register", offset};
}

std::uint64_t VirtioPciModel::common(unsigned field) const {
  const auto word = [](std::uint64_t features, std::uint32_t select) -> std::uint64_t {
    if (select == 0) return features & 0xffffffff;
    if (select == 1) return features >> 32;
    return 0;
  };
  switch (field) {
    case 0x00:
      return device_feature_select_;
    case 0x04:
      return word(lifecycle_.offered(), device_feature_select_);
    case 0x08:
      return driver_feature_select_;
    case 0x0c:
      return word(lifecycle_.accepted, driver_feature_select_);
    case 0x10:
      return config_vector_;
    case 0x12:
      return lifecycle_.queues.size();
    case 0x14:
      return lifecycle_.status;
    case 0x15:
      return lifecycle_.generation % 256;
    case 0x16:
      return queue_select_;
    default:
      break;
  }
  if (queue_select_ >= lifecycle_.queues.size()) return 0;
  const auto& queue = lifecycle_.queues[queue_select_];
  switch (field) {
    case 0x18:
      return queue.setup.size;
    case 0x1a:
      return queue_vectors_[queue_select_];
    case 0x1c:
      return queue.ready ? 1 : 0;
    case 0x1e:
    case 0x38:
      return queue_select_;
    case 0x20:
      return queue.setup.desc;
    case 0x28:
      return queue.setup.avail;
    case 0x30:
      return queue.setup.used;
    default:
      return 0;
  }
}

ModelError VirtioPciModel::set_common(unsigned field, std::uint64_t value) {
  switch (field) {
    case 0x00:
      device_feature_select_ = static_cast<std::uint32_t>(value);
      return {};
    case 0x08:
      driver_feature_select_ = static_cast<std::uint32_t>(value);
      return {};
    case 0x0c:
      return lifecycle_.set_driver_features(driver_feature_select_, value);
    case 0x10:
      return set_vector(config_vector_, value);
    case 0x14:
      return set_status(value);
    case 0x16:
      queue_select_ = static_cast<std::uint16_t>(value);
      return {};
    case 0x18:
      return lifecycle_.set_queue_size(queue_select_, value);
    case 0x1a:
      if (queue_select_ >= queue_vectors_.size())
        return {"device.queue_index", queue_select_, queue_vectors_.size()};
      return set_vector(queue_vectors_[queue_select_], value);
    case 0x1c:
      if (value == 1) return lifecycle_.enable_queue(queue_select_);
      return {"device.register_value", value, 1};
    case 0x20:
    case 0x28:
    case 0x30:
      return set_area(field, value);
    case 0x3a:
      if (value == 1) return reset_queue();
      return {"device.register_value", value, 1};
    default:
      return {"device.register", field};
  }
}

ModelError VirtioPciModel::set_half(unsigned at, std::uint64_t value) {
  const auto field = at / 8 * 8;
  const auto before = common(field);
  if (at == field) return set_area(field, before / 0x1'0000'0000 * 0x1'0000'0000 + value);
  return set_area(field, before % 0x1'0000'0000 + value * 0x1'0000'0000);
}

ModelError VirtioPciModel::set_area(unsigned field, std::uint64_t address) {
  using Area = LifecycleModel::Area;
  const auto area = field == 0x20   ? Area::kDescriptor
                    : field == 0x28 ? Area::kDriver
                                    : Area::kDevice;
  return lifecycle_.set_area(queue_select_, area, address);
}

ModelError VirtioPciModel::set_vector(std::uint16_t& vector, std::uint64_t value) {
  vector = kNoVector;
  if (value != kNoVector && value >= vectors()) return {"device.register_value", value, vectors()};
  vector = static_cast<std::uint16_t>(value);
  return {};
}

ModelError VirtioPciModel::set_status(std::uint64_t value) {
  const auto why = lifecycle_.set_status(value);
  if (value != 0) return why;
  device_feature_select_ = driver_feature_select_ = 0;
  queue_select_ = 0;
  config_vector_ = kNoVector;
  for (auto& vector : queue_vectors_) vector = kNoVector;
  set_isr(0);
  for (std::size_t i = 0; i < vectors(); ++i) static_cast<void>(bus_.withdraw(kPlace, i));
  return why;
}

ModelError VirtioPciModel::reset_queue() {
  if (const auto why = lifecycle_.reset_queue(queue_select_); !why.none()) return why;
  const auto vector = queue_vectors_[queue_select_];
  queue_vectors_[queue_select_] = kNoVector;
  bool others = config_vector_ == vector;
  for (const auto other : queue_vectors_) others |= other == vector;
  if (!others) static_cast<void>(bus_.withdraw(kPlace, vector));
  return {};
}

VirtioPciModel::Target VirtioPciModel::target(unsigned at, std::size_t width) {
  const auto field = [&](unsigned offset, std::size_t bytes) {
    return number_in(bus_.read_ecam(routing_id_ * 0x1000 + window_at_ + offset, bytes).bytes);
  };
  Target to{static_cast<unsigned>(field(4, 1)), field(8, 4), field(12, 4), {}};
  const bool possible = to.length == 1 || to.length == 2 || to.length == 4;
  if (!possible)
    to.error = {"device.register_value", to.length, 4};
  else if (to.offset % to.length != 0)
    to.error = {"device.register", to.offset};
  else if (to.bar != 0 && to.bar != 2)
    to.error = {"device.register_value", to.bar};
  else if (to.offset >= (to.bar == 0 ? 0x4000 : msix_bar_bytes_))
    to.error = {"device.register", to.offset};
  else if (at != 0 || width < to.length)
    to.error = {"device.access_width", width, to.length};
  return to;
}

VirtioPciModel::Answer VirtioPciModel::read_window(unsigned at, std::size_t width) {
  const auto to = target(at, width);
  if (!to.error.none()) return {Bytes(width, 0), to.error};
  auto answer = bus_.read_bar(kPlace, to.bar, to.offset, to.length);
  answer.bytes.resize(width);
  return answer;
}

ModelError VirtioPciModel::write_window(unsigned at, const Bytes& bytes) {
  const auto to = target(at, bytes.size());
  if (!to.error.none()) return to.error;
  return bus_.write_bar(kPlace, to.bar, to.offset,
                        {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(to.length)});
}

VirtioPciModel::Bytes VirtioPciModel::save() const {
  Bytes out;
  append_number(out, 4, 0x50565047);
  append_number(out, 2, 1);
  append_number(out, 2, queue_vectors_.size());
  append_number(out, 4, device_feature_select_);
  append_number(out, 4, driver_feature_select_);
  append_number(out, 2, queue_select_);
  append_number(out, 2, config_vector_);
  append_number(out, 4, isr_);
  for (const auto vector : queue_vectors_) append_number(out, 2, vector);
  return out;
}

ModelError VirtioPciModel::restore(std::span<const std::uint8_t> bytes) {
  const auto queues = queue_vectors_.size();
  if (bytes.size() != 24 + 2 * queues) return {"device_state.bytes", bytes.size(), 24 + 2 * queues};
  const auto field = [&](std::size_t at, std::size_t width) {
    return number_in(bytes.subspan(at, width));
  };
  if (field(0, 4) != 0x50565047) return {"device_state.magic", field(0, 4), 0x50565047};
  if (field(4, 2) != 1) return {"device_state.version", field(4, 2), 1};
  if (field(6, 2) != queues) return {"device_state.queue_count", field(6, 2), queues};
  if (field(21, 3) != 0) return {"device_state.reserved", field(21, 3)};
  if (field(20, 1) > 3) return {"device_state.interrupt_status", field(20, 1), 3};
  const auto check = [&](std::uint64_t vector) -> ModelError {
    if (vector < vectors() || vector == kNoVector) return {};
    return {"device_state.vector", vector, vectors()};
  };
  if (const auto why = check(field(18, 2)); !why.none()) return why;
  for (std::size_t i = 0; i < queues; ++i)
    if (const auto why = check(field(24 + 2 * i, 2)); !why.none()) return why;

  device_feature_select_ = static_cast<std::uint32_t>(field(8, 4));
  driver_feature_select_ = static_cast<std::uint32_t>(field(12, 4));
  queue_select_ = static_cast<std::uint16_t>(field(16, 2));
  config_vector_ = static_cast<std::uint16_t>(field(18, 2));
  for (std::size_t i = 0; i < queues; ++i)
    queue_vectors_[i] = static_cast<std::uint16_t>(field(24 + 2 * i, 2));
  set_isr(static_cast<std::uint8_t>(field(20, 1)));
  return {};
}

}  // namespace guestproof::testing
