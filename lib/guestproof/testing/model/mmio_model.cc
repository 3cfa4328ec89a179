#include "guestproof/testing/model/mmio_model.h"

#include <algorithm>
#include <array>

namespace guestproof::testing {

void MmioModel::notify(std::uint32_t cause) {
  interrupt_status_ |= cause;
  ++notifications_;
}

ModelError MmioModel::read(std::uint64_t offset, std::span<std::uint8_t> out) {
  if (offset >= 0x100) return lifecycle_.read_config(offset - 0x100, out);
  std::ranges::fill(out, std::uint8_t{0});
  if (out.size() != 4) return {"device.access_width", out.size(), 4};
  std::uint64_t value = 0;
  const bool queue = queue_sel < lifecycle_.queues.size();
  switch (offset) {
    case 0x000:
      value = 0x74726976;
      break;
    case 0x004:
      value = 2;
      break;
    case 0x008:
      value = lifecycle_.device_id();
      break;
    case 0x00c:
      value = 0;
      break;
    case 0x010:
      if (device_features_sel == 0) value = lifecycle_.offered() & 0xffffffff;
      if (device_features_sel == 1) value = lifecycle_.offered() >> 32;
      break;
    case 0x034:
      value = queue ? lifecycle_.queues[queue_sel].max_size : 0;
      break;
    case 0x044:
      value = queue && lifecycle_.queues[queue_sel].ready;
      break;
    case 0x060:
      value = interrupt_status_;
      break;
    case 0x070:
      value = lifecycle_.status;
      break;
    case 0x0b0:
    case 0x0b4:
    case 0x0b8:
    case 0x0bc:
      value = 0xffffffff;  // no device here shares memory
      break;
    case 0x0c0:
      break;
    case 0x0fc:
      value = lifecycle_.generation;
      break;
    default:
      return {"device.register", offset};
  }
  put_number(out, 0, 4, value);
  return {};
}

ModelError MmioModel::write(std::uint64_t offset, std::span<const std::uint8_t> in) {
  if (offset >= 0x100) return lifecycle_.write_config(offset - 0x100, in);
  if (in.size() != 4) return {"device.access_width", in.size(), 4};
  return write_register(offset, static_cast<std::uint32_t>(number_in(in)));
}

ModelError MmioModel::write_register(std::uint64_t offset, std::uint32_t value) {
  using Area = LifecycleModel::Area;
  const auto half = [&](Area area, std::uint64_t old, bool upper) {
    const auto address = upper ? std::uint64_t{value} << 32 | (old & 0xffffffff)
                               : (old & 0xffffffff00000000) | value;
    return lifecycle_.set_area(queue_sel, area, address);
  };
  const auto setup =
      queue_sel < lifecycle_.queues.size() ? lifecycle_.queues[queue_sel].setup : ModelQueueSetup{};
  switch (offset) {
    case 0x014:
      device_features_sel = value;
      return {};
    case 0x020:
      return lifecycle_.set_driver_features(driver_features_sel, value);
    case 0x024:
      driver_features_sel = value;
      return {};
    case 0x030:
      queue_sel = value;
      return {};
    case 0x038:
      return lifecycle_.set_queue_size(queue_sel, value);
    case 0x044:
      if (value == 1) return lifecycle_.enable_queue(queue_sel);
      if (value == 0) return lifecycle_.disable_queue(queue_sel);
      return {"device.register_value", value, 1};
    case 0x050:
      return lifecycle_.kick((lifecycle_.accepted >> 38 & 1) != 0 ? value % 65536 : value);
    case 0x064:
      interrupt_status_ &= ~value;
      return {};
    case 0x070: {
      const auto why = lifecycle_.set_status(value);
      if (value == 0)
        device_features_sel = driver_features_sel = queue_sel = shm_sel = interrupt_status_ = 0;
      return why;
    }
    case 0x080:
      return half(Area::kDescriptor, setup.desc, false);
    case 0x084:
      return half(Area::kDescriptor, setup.desc, true);
    case 0x090:
      return half(Area::kDriver, setup.avail, false);
    case 0x094:
      return half(Area::kDriver, setup.avail, true);
    case 0x0a0:
      return half(Area::kDevice, setup.used, false);
    case 0x0a4:
      return half(Area::kDevice, setup.used, true);
    case 0x0ac:
      shm_sel = value;
      return {};
    case 0x0c0:
      if (value == 1) return lifecycle_.reset_queue(queue_sel);
      return {"device.register_value", value, 1};
    default:
      return {"device.register", offset};
  }
}

std::vector<std::uint8_t> MmioModel::save() const {
  std::vector<std::uint8_t> out;
  for (const std::uint32_t field : {0x4d565047U, 1U, device_features_sel, driver_features_sel,
                                    queue_sel, shm_sel, interrupt_status_, 0U})
    append_number(out, 4, field);
  return out;
}

ModelError MmioModel::restore(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != 32) return {"device_state.bytes", bytes.size(), 32};
  std::array<std::uint32_t, 8> fields{};
  for (std::size_t i = 0; i < fields.size(); ++i)
    fields[i] = static_cast<std::uint32_t>(number_in(bytes, 4 * i, 4));
  if (fields[0] != 0x4d565047) return {"device_state.magic", fields[0], 0x4d565047};
  if (fields[1] != 1) return {"device_state.version", fields[1], 1};
  if (fields[7] != 0) return {"device_state.reserved", fields[7]};
  if (fields[6] > 3) return {"device_state.interrupt_status", fields[6], 3};
  device_features_sel = fields[2];
  driver_features_sel = fields[3];
  queue_sel = fields[4];
  shm_sel = fields[5];
  interrupt_status_ = fields[6];
  return {};
}

}  // namespace guestproof::testing
