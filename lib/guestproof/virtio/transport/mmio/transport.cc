// The saved registers, little-endian:
//
//   offset size field                       offset size field
//   0      4    magic "GPVM"                16     4    queue_sel
//   4      4    version (1)                 20     4    shm_sel
//   8      4    device_features_sel         24     4    interrupt_status
//   12     4    driver_features_sel         28     4    reserved, 0
#include "guestproof/virtio/transport/mmio/transport.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "guestproof/base/endian.h"
#include "guestproof/virtio/transport/mmio/registers.h"

namespace guestproof::virtio {
namespace {

using namespace mmio;

constexpr std::uint32_t kStateMagic = 0x4d565047;  // "GPVM"
constexpr std::uint32_t kStateVersion = 1;
constexpr std::uint32_t kInterruptCauses = kInterruptUsedBuffer | kInterruptConfigurationChange;

struct State {
  le32 magic;                // 0
  le32 version;              // 4
  le32 device_features_sel;  // 8
  le32 driver_features_sel;  // 12
  le32 queue_sel;            // 16
  le32 shm_sel;              // 20
  le32 interrupt_status;     // 24
  le32 reserved;             // 28
};
static_assert(sizeof(State) == kMmioStateBytes && offsetof(State, reserved) == 28);

constexpr std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
constexpr std::uint32_t high(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32);
}

GuestAddress with_low(GuestAddress address, std::uint32_t half) {
  return GuestAddress(std::uint64_t{high(address.raw())} << 32 | half);
}
GuestAddress with_high(GuestAddress address, std::uint32_t half) {
  return GuestAddress(std::uint64_t{half} << 32 | low(address.raw()));
}

/// Whether an access below the configuration space is one of a register.
Result<void> check_access(std::uint64_t offset, std::size_t bytes) {
  if (bytes != 4) return fail(DeviceError::kAccessWidth, bytes, 4);
  if (offset % 4 != 0) return fail(DeviceError::kRegister, offset);
  return {};
}

}  // namespace

MmioTransport::MmioTransport(Lifecycle& lifecycle, InterruptLine& line,
                             std::span<const SharedMemoryRegion> shared, std::uint32_t vendor_id)
    : lifecycle_(lifecycle),
      line_(line),
      shared_(shared.begin(), shared.end()),
      vendor_id_(vendor_id) {
  lifecycle_.set_memory_access(true);
  lifecycle_.connect(this);
}

void MmioTransport::used_buffers(std::uint16_t) { raise(kInterruptUsedBuffer); }
void MmioTransport::configuration_changed() { raise(kInterruptConfigurationChange); }

void MmioTransport::raise(std::uint32_t cause) {
  interrupt_status_ |= cause;
  line_.set(true);
}

Result<void> MmioTransport::read(std::uint64_t offset, std::span<std::byte> out) {
  if (offset >= kConfigOffset) return lifecycle_.read_config(offset - kConfigOffset, out);
  std::ranges::fill(out, std::byte{0});
  if (const auto ok = check_access(offset, out.size()); !ok) return ok;
  const auto value = read_register(static_cast<std::uint32_t>(offset));
  if (!value) return std::unexpected(value.error());
  const le32 wire(*value);
  std::memcpy(out.data(), &wire, sizeof wire);
  return {};
}

Result<std::uint32_t> MmioTransport::read_register(std::uint32_t offset) const {
  const auto* queue = lifecycle_.queue_config(queue_sel_);
  switch (offset) {
    case kMagicValueOffset:
      return kMagicValue;
    case kVersionOffset:
      return mmio::kVersion;
    case kDeviceIdOffset:
      return lifecycle_.device_id();
    case kVendorIdOffset:
      return vendor_id_;
    case kDeviceFeaturesOffset:
      return device_features_sel_ > 1
                 ? 0
                 : low(lifecycle_.device_features() >> (32 * device_features_sel_));
    case kQueueSizeMaxOffset:
      return queue != nullptr ? queue->max_size() : 0;
    case kQueueReadyOffset:
      return queue != nullptr && queue->ready() ? 1 : 0;
    case kInterruptStatusOffset:
      return interrupt_status_;
    case kStatusOffset:
      return lifecycle_.status();
    case kShmLenLowOffset:
    case kShmLenHighOffset:
    case kShmBaseLowOffset:
    case kShmBaseHighOffset:
      return read_shared(offset);
    case kQueueResetOffset:
      return 0;  // a reset is done when the write that asked for it is
    case kConfigGenerationOffset:
      return lifecycle_.config_generation();
    default:
      return fail(DeviceError::kRegister, offset);
  }
}

std::uint32_t MmioTransport::read_shared(std::uint32_t offset) const {
  const auto region =
      std::ranges::find_if(shared_, [&](const auto& r) { return r.id == shm_sel_; });
  if (region == shared_.end()) return 0xffffffff;
  const auto value = offset < kShmBaseLowOffset ? region->length : region->base.raw();
  return offset == kShmLenLowOffset || offset == kShmBaseLowOffset ? low(value) : high(value);
}

Result<void> MmioTransport::write(std::uint64_t offset, std::span<const std::byte> in) {
  if (offset >= kConfigOffset) return lifecycle_.write_config(offset - kConfigOffset, in);
  if (const auto ok = check_access(offset, in.size()); !ok) return ok;
  le32 wire;
  std::memcpy(static_cast<void*>(&wire), in.data(), sizeof wire);
  return write_register(static_cast<std::uint32_t>(offset), wire);
}

Result<void> MmioTransport::write_register(std::uint32_t offset, std::uint32_t value) {
  switch (offset) {
    case kDeviceFeaturesSelOffset:
      device_features_sel_ = value;
      return {};
    case kDriverFeaturesOffset:
      return lifecycle_.set_driver_features(driver_features_sel_, value);
    case kDriverFeaturesSelOffset:
      driver_features_sel_ = value;
      return {};
    case kQueueSelOffset:
      queue_sel_ = value;
      return {};
    case kQueueNotifyOffset:
      return lifecycle_.kick(notified_queue(lifecycle_.driver_features(), value));
    case kInterruptAckOffset:
      interrupt_status_ &= ~value;
      if (interrupt_status_ == 0) line_.set(false);
      return {};
    case kStatusOffset:
      return set_status(value);
    case kShmSelOffset:
      shm_sel_ = value;
      return {};
    default:
      return write_queue(offset, value);
  }
}

Result<void> MmioTransport::write_queue(std::uint32_t offset, std::uint32_t value) {
  const auto* queue = lifecycle_.queue_config(queue_sel_);
  const auto descriptor = queue != nullptr ? queue->descriptor_table() : GuestAddress();
  const auto driver = queue != nullptr ? queue->available_ring() : GuestAddress();
  const auto device = queue != nullptr ? queue->used_ring() : GuestAddress();
  switch (offset) {
    case kQueueSizeOffset:
      return lifecycle_.set_queue_size(queue_sel_, value);
    case kQueueReadyOffset:
      if (value > 1) return fail(DeviceError::kRegisterValue, value, 1);
      return value == 1 ? lifecycle_.enable_queue(queue_sel_)
                        : lifecycle_.disable_queue(queue_sel_);
    case kQueueDescLowOffset:
      return lifecycle_.set_descriptor_area(queue_sel_, with_low(descriptor, value));
    case kQueueDescHighOffset:
      return lifecycle_.set_descriptor_area(queue_sel_, with_high(descriptor, value));
    case kQueueDriverLowOffset:
      return lifecycle_.set_driver_area(queue_sel_, with_low(driver, value));
    case kQueueDriverHighOffset:
      return lifecycle_.set_driver_area(queue_sel_, with_high(driver, value));
    case kQueueDeviceLowOffset:
      return lifecycle_.set_device_area(queue_sel_, with_low(device, value));
    case kQueueDeviceHighOffset:
      return lifecycle_.set_device_area(queue_sel_, with_high(device, value));
    case kQueueResetOffset:
      if (value != 1) return fail(DeviceError::kRegisterValue, value, 1);
      return lifecycle_.reset_queue(queue_sel_);
    default:
      return fail(DeviceError::kRegister, offset);
  }
}

Result<void> MmioTransport::set_status(std::uint32_t value) {
  if (value > 0xff) return fail(DeviceError::kStatusUnknown, value, 0xff);
  const auto set = lifecycle_.set_status(static_cast<std::uint8_t>(value));
  if (value == 0) {
    device_features_sel_ = driver_features_sel_ = queue_sel_ = shm_sel_ = 0;
    if (std::exchange(interrupt_status_, 0) != 0) line_.set(false);
  }
  return set;
}

std::array<std::byte, kMmioStateBytes> MmioTransport::save() const {
  State state{};
  state.magic = kStateMagic;
  state.version = kStateVersion;
  state.device_features_sel = device_features_sel_;
  state.driver_features_sel = driver_features_sel_;
  state.queue_sel = queue_sel_;
  state.shm_sel = shm_sel_;
  state.interrupt_status = interrupt_status_;
  return std::bit_cast<std::array<std::byte, kMmioStateBytes>>(state);
}

Result<void> MmioTransport::restore(std::span<const std::byte> bytes) {
  if (bytes.size() != kMmioStateBytes)
    return fail(DeviceStateError::kBytes, bytes.size(), kMmioStateBytes);
  State state;
  std::memcpy(static_cast<void*>(&state), bytes.data(), sizeof state);
  if (state.magic != kStateMagic) return fail(DeviceStateError::kMagic, state.magic, kStateMagic);
  if (state.version != kStateVersion)
    return fail(DeviceStateError::kVersion, state.version, kStateVersion);
  if (state.reserved != 0) return fail(DeviceStateError::kReserved, state.reserved);
  if ((state.interrupt_status & ~kInterruptCauses) != 0)
    return fail(DeviceStateError::kInterruptStatus, state.interrupt_status, kInterruptCauses);
  device_features_sel_ = state.device_features_sel;
  driver_features_sel_ = state.driver_features_sel;
  queue_sel_ = state.queue_sel;
  shm_sel_ = state.shm_sel;
  interrupt_status_ = state.interrupt_status;
  line_.set(interrupt_status_ != 0);
  return {};
}

}  // namespace guestproof::virtio
