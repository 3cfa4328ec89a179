// The saved registers, little-endian:
//
//   offset size field                       offset size field
//   0      4    magic "GPVP"                16     2    queue_select
//   4      2    version (1)                 18     2    config_msix_vector
//   6      2    queues                      20     1    ISR status
//   8      4    device_feature_select       21     3    reserved, 0
//   12     4    driver_feature_select       24     2n   queue_msix_vector of each queue
#include "guestproof/virtio/transport/pci/transport.h"

#include <algorithm>
#include <array>
#include <bit>

#include "guestproof/base/bytes.h"
#include "guestproof/virtio/transport/pci/registers.h"

namespace guestproof::virtio {
namespace {

using namespace pci_transport;

constexpr std::uint32_t kStateMagic = 0x50565047;  // "GPVP"
constexpr std::uint16_t kStateVersion = 1;
constexpr std::size_t kStateHeaderBytes = 24;
constexpr std::uint8_t kIsrCauses = kIsrQueue | kIsrConfiguration;

/// As many as the notify structure has places for.
constexpr std::size_t kMaxQueues = kPageBytes / kNotifyStride;

/// The class of a device (PCI Code and ID Assignment): base class, sub-class, interface.
std::uint32_t class_of(std::uint32_t device_id) {
  switch (device_id) {
    case VIRTIO_ID_NET:
      return 0x020000;  // Ethernet controller
    case VIRTIO_ID_BLOCK:
      return 0x018000;  // other mass storage controller
    case VIRTIO_ID_CONSOLE:
      return 0x078000;  // other communication controller
    case VIRTIO_ID_BALLOON:
      return 0x050000;  // RAM
    default:
      return 0xff0000;  // fits no class
  }
}

/// struct virtio_pci_cap behind its two header bytes, with an optional tail.
template <std::size_t kTail>
std::array<std::byte, kCapBytes - 2 + kTail> capability(std::uint8_t type, std::uint32_t offset,
                                                        std::uint32_t length,
                                                        std::uint32_t tail = 0) {
  std::array<std::byte, kCapBytes - 2 + kTail> body{};
  const std::span bytes(body);
  body[0] = std::byte{kCapBytes + kTail};
  body[1] = std::byte{type};
  body[kCapBar - 2] = std::byte{kStructureBar};
  store(bytes.subspan(kCapOffset - 2, 4), offset);
  store(bytes.subspan(kCapLength - 2, 4), length);
  if constexpr (kTail != 0) store(bytes.subspan(kCapTail - 2, kTail), tail);
  return body;
}

Result<std::uint8_t> add_window(pci::ConfigSpace::Builder& builder) {
  auto body = capability<4>(VIRTIO_PCI_CAP_PCI_CFG, 0, 0);
  std::array<std::byte, body.size()> writable{};
  writable[kCapBar - 2] = std::byte{0xff};
  std::fill_n(writable.begin() + (kCapOffset - 2), 8, std::byte{0xff});
  const auto at = builder.add_capability(pci::kCapabilityVendor, body, writable);
  if (!at) return at;
  if (const auto set = builder.set_window(static_cast<std::uint8_t>(*at + kCapTail)); !set)
    return std::unexpected(set.error());
  return at;
}

Result<void> add_structures(pci::ConfigSpace::Builder& builder, const Lifecycle& lifecycle) {
  const auto add = [&](const auto& body) -> Result<void> {
    const auto at = builder.add_capability(pci::kCapabilityVendor, body);
    if (!at) return std::unexpected(at.error());
    return {};
  };
  const auto notify_bytes = static_cast<std::uint32_t>(kNotifyStride * lifecycle.queue_count());
  if (auto ok = add(capability<0>(VIRTIO_PCI_CAP_COMMON_CFG, kCommonAt, kCommonBytes)); !ok)
    return ok;
  if (auto ok = add(capability<0>(VIRTIO_PCI_CAP_ISR_CFG, kIsrAt, 1)); !ok) return ok;
  if (lifecycle.config_bytes() != 0) {
    auto ok = add(capability<0>(VIRTIO_PCI_CAP_DEVICE_CFG, kDeviceAt, lifecycle.config_bytes()));
    if (!ok) return ok;
  }
  return add(capability<4>(VIRTIO_PCI_CAP_NOTIFY_CFG, kNotifyAt, notify_bytes, kNotifyStride));
}

Result<void> add_bars(pci::ConfigSpace::Builder& builder, std::uint16_t vectors) {
  const auto table = pci::msix_table_bytes(vectors);
  const auto size = std::bit_ceil(table + pci::msix_pba_bytes(vectors));
  auto ok =
      builder.add_bar(kStructureBar, {.kind = pci::BarKind::kMemory64, .size = kStructureBytes});
  if (!ok) return ok;
  // At least a page, so that a guest has the table without anything else.
  ok = builder.add_bar(kMsixBar, {.kind = pci::BarKind::kMemory32,
                                  .size = std::max<std::uint64_t>(size, kPageBytes)});
  if (!ok) return ok;
  const auto msix = builder.add_msix({.vectors = vectors,
                                      .table_bar = kMsixBar,
                                      .table_offset = 0,
                                      .pba_bar = kMsixBar,
                                      .pba_offset = static_cast<std::uint32_t>(table)});
  if (!msix) return std::unexpected(msix.error());
  return {};
}

/// The width of a field of the common structure; 0 where none begins.
std::size_t width_at(std::uint64_t offset) {
  if (offset < kConfigMsixVector) return offset % 4 == 0 ? 4 : 0;
  if (offset == kDeviceStatus || offset == kConfigGeneration) return 1;
  if (offset >= kQueueDesc && offset < kQueueNotifConfigData) return offset % 8 == 0 ? 8 : 0;
  return offset < kCommonBytes && offset % 2 == 0 ? 2 : 0;
}

/// A half of a 64-bit field.
bool is_half(std::uint64_t offset, std::size_t width) {
  return width == 4 && offset % 4 == 0 && offset >= kQueueDesc && offset < kQueueNotifConfigData;
}

Result<void> check_field(std::uint64_t offset, std::size_t width) {
  const auto wanted = width_at(offset);
  if (is_half(offset, width) || (wanted != 0 && width == wanted)) return {};
  if (wanted == 0) return fail(DeviceError::kRegister, offset);
  return fail(DeviceError::kAccessWidth, width, wanted);
}

/// While the function's registers are accessed its bus looks at the pin by itself.
class Accessing {
 public:
  explicit Accessing(bool& flag) : flag_(flag), before_(std::exchange(flag, true)) {}
  Accessing(const Accessing&) = delete;
  Accessing& operator=(const Accessing&) = delete;
  ~Accessing() { flag_ = before_; }

 private:
  bool& flag_;
  bool before_;
};

}  // namespace

Result<std::unique_ptr<PciTransport>> PciTransport::create(Lifecycle& lifecycle,
                                                           pci::MsiSink& messages,
                                                           InterruptLine& pin) {
  if (lifecycle.queue_count() > kMaxQueues)
    return fail(DeviceError::kQueueIndex, lifecycle.queue_count(), kMaxQueues);
  if (lifecycle.config_bytes() > kPageBytes)
    return fail(DeviceError::kConfigRange, lifecycle.config_bytes(), kPageBytes);
  const auto id = static_cast<std::uint16_t>(kDeviceIdBase + lifecycle.device_id());
  pci::ConfigSpace::Builder builder({.vendor = kVendorId,
                                     .device = id,
                                     .revision = 1,  // §4.1.2.1: modern
                                     .class_code = class_of(lifecycle.device_id()),
                                     .subsystem_vendor = kVendorId,
                                     .subsystem = id});
  auto ok = builder.set_interrupt_pin(1);
  if (ok) ok = add_bars(builder, static_cast<std::uint16_t>(lifecycle.queue_count() + 1));
  if (ok) ok = add_structures(builder, lifecycle);
  if (!ok) return std::unexpected(ok.error());
  const auto window = add_window(builder);
  if (!window) return std::unexpected(window.error());
  return std::unique_ptr<PciTransport>(
      new PciTransport(lifecycle, builder.build(), *window, messages, pin));
}

PciTransport::PciTransport(Lifecycle& lifecycle, const pci::ConfigSpace& config,
                           std::uint8_t window, pci::MsiSink& messages, InterruptLine& pin)
    : lifecycle_(lifecycle),
      function_(config, *this, messages),
      pin_(pin),
      window_(window),
      config_vector_(VIRTIO_MSI_NO_VECTOR),
      queue_vectors_(lifecycle.queue_count(), VIRTIO_MSI_NO_VECTOR) {
  lifecycle_.set_memory_access(false);
  lifecycle_.connect(this);
}

void PciTransport::used_buffers(std::uint16_t queue) { notify(kIsrQueue, queue_vectors_[queue]); }

void PciTransport::configuration_changed() { notify(kIsrConfiguration, config_vector_); }

void PciTransport::notify(std::uint8_t cause, std::uint16_t vector) {
  const bool msix = function_.msix()->control().enabled;
  // The configuration's bit is set in either case (§4.1.4.5.1).
  if (!msix || cause == kIsrConfiguration) set_isr(static_cast<std::uint8_t>(isr_ | cause));
  // A vector of the table, and enabled: what is left to fail is nothing.
  if (msix && vector != VIRTIO_MSI_NO_VECTOR) static_cast<void>(function_.raise(vector));
}

void PciTransport::set_isr(std::uint8_t causes) {
  isr_ = causes;
  function_.set_interrupt(causes != 0);
  if (!accessed_) pin_.set(causes != 0);
}

Result<void> PciTransport::read_bar(unsigned bar, std::uint64_t offset, std::span<std::byte> data) {
  const Accessing now(accessed_);
  std::ranges::fill(data, std::byte{0});
  if (bar != kStructureBar) return fail(DeviceError::kRegister, offset);
  const auto in_page = offset % kPageBytes;
  switch (offset - in_page) {
    case kCommonAt: {
      const auto value = read_common(in_page, data.size());
      if (!value) return std::unexpected(value.error());
      store(data, *value);
      return {};
    }
    case kIsrAt:
      if (in_page != 0) return fail(DeviceError::kRegister, offset);
      if (data.size() != 1) return fail(DeviceError::kAccessWidth, data.size(), 1);
      data[0] = std::byte{isr_};
      set_isr(0);
      return {};
    case kDeviceAt:
      return lifecycle_.read_config(in_page, data);
    default:
      return fail(DeviceError::kRegister, offset);  // a notification reads as nothing
  }
}

Result<void> PciTransport::write_bar(unsigned bar, std::uint64_t offset,
                                     std::span<const std::byte> data) {
  const Accessing now(accessed_);
  if (bar != kStructureBar) return fail(DeviceError::kRegister, offset);
  const auto in_page = offset % kPageBytes;
  switch (offset - in_page) {
    case kCommonAt:
      return write_common(in_page, data.size(), load(data));
    case kDeviceAt:
      return lifecycle_.write_config(in_page, data);
    case kNotifyAt:
      return write_notify(in_page, data.size());
    default:
      return fail(DeviceError::kRegister, offset);
  }
}

Result<std::uint64_t> PciTransport::read_common(std::uint64_t offset, std::size_t width) const {
  if (const auto ok = check_field(offset, width); !ok) return std::unexpected(ok.error());
  if (is_half(offset, width)) return read_queue(offset & ~std::uint64_t{7}) >> 8 * (offset % 8);
  const auto word = [](std::uint64_t features, std::uint32_t select) {
    return select > 1 ? 0 : features >> 32 * select & 0xffffffff;
  };
  switch (offset) {
    case kDeviceFeatureSelect:
      return device_feature_select_;
    case kDeviceFeature:
      return word(lifecycle_.device_features(), device_feature_select_);
    case kDriverFeatureSelect:
      return driver_feature_select_;
    case kDriverFeature:
      return word(lifecycle_.driver_features(), driver_feature_select_);
    case kConfigMsixVector:
      return config_vector_;
    case kNumQueues:
      return lifecycle_.queue_count();
    case kDeviceStatus:
      return lifecycle_.status();
    case kConfigGeneration:
      return lifecycle_.config_generation() & 0xff;
    case kQueueSelect:
      return queue_select_;
    default:
      return read_queue(offset);
  }
}

std::uint64_t PciTransport::read_queue(std::uint64_t offset) const {
  const auto* queue = lifecycle_.queue_config(queue_select_);
  if (queue == nullptr) return 0;
  switch (offset) {
    case kQueueSize:
      return queue->size();
    case kQueueMsixVector:
      return queue_vectors_[queue_select_];
    case kQueueEnable:
      return queue->ready() ? 1 : 0;
    case kQueueNotifyOff:
    case kQueueNotifConfigData:
      return queue_select_;
    case kQueueDesc:
      return queue->descriptor_table().raw();
    case kQueueDriver:
      return queue->available_ring().raw();
    case kQueueDevice:
      return queue->used_ring().raw();
    default:
      return 0;  // queue_reset, which is done; there is no administration queue
  }
}

Result<void> PciTransport::write_common(std::uint64_t offset, std::size_t width,
                                        std::uint64_t value) {
  if (const auto ok = check_field(offset, width); !ok) return ok;
  switch (offset) {
    case kDeviceFeatureSelect:
      device_feature_select_ = static_cast<std::uint32_t>(value);
      return {};
    case kDriverFeatureSelect:
      driver_feature_select_ = static_cast<std::uint32_t>(value);
      return {};
    case kDriverFeature:
      return lifecycle_.set_driver_features(driver_feature_select_,
                                            static_cast<std::uint32_t>(value));
    case kConfigMsixVector:
      return set_vector(config_vector_, value);
    case kDeviceStatus:
      return set_status(static_cast<std::uint8_t>(value));
    case kQueueSelect:
      queue_select_ = static_cast<std::uint16_t>(value);
      return {};
    default:
      if (offset >= kQueueDesc && offset < kQueueNotifConfigData)
        return write_area(offset, width, value);
      return write_queue(offset, value);
  }
}

Result<void> PciTransport::write_queue(std::uint64_t offset, std::uint64_t value) {
  switch (offset) {
    case kQueueSize:
      return lifecycle_.set_queue_size(queue_select_, static_cast<std::uint32_t>(value));
    case kQueueMsixVector:
      if (queue_select_ >= queue_vectors_.size())
        return fail(DeviceError::kQueueIndex, queue_select_, queue_vectors_.size());
      return set_vector(queue_vectors_[queue_select_], value);
    case kQueueEnable:
      if (value != 1) return fail(DeviceError::kRegisterValue, value, 1);
      return lifecycle_.enable_queue(queue_select_);
    case kQueueReset:
      if (value != 1) return fail(DeviceError::kRegisterValue, value, 1);
      return reset_queue();
    default:
      return fail(DeviceError::kRegister, offset);
  }
}

Result<void> PciTransport::write_area(std::uint64_t offset, std::size_t width,
                                      std::uint64_t value) {
  if (width == 4) {
    const auto whole = read_queue(offset & ~std::uint64_t{7});
    value =
        offset % 8 == 0 ? (whole & 0xffffffff00000000) | value : (whole & 0xffffffff) | value << 32;
  }
  const GuestAddress address(value);
  switch (offset & ~std::uint64_t{7}) {
    case kQueueDesc:
      return lifecycle_.set_descriptor_area(queue_select_, address);
    case kQueueDriver:
      return lifecycle_.set_driver_area(queue_select_, address);
    default:
      return lifecycle_.set_device_area(queue_select_, address);
  }
}

Result<void> PciTransport::write_notify(std::uint64_t offset, std::size_t width) {
  if (width != 2 && width != 4) return fail(DeviceError::kAccessWidth, width, kNotifyStride);
  if (offset % kNotifyStride != 0) return fail(DeviceError::kRegister, kNotifyAt + offset);
  return lifecycle_.kick(static_cast<std::uint32_t>(offset / kNotifyStride));
}

Result<void> PciTransport::set_vector(std::uint16_t& vector, std::uint64_t value) {
  const auto vectors = function_.msix()->vectors();
  const bool there = value < vectors || value == VIRTIO_MSI_NO_VECTOR;
  vector = there ? static_cast<std::uint16_t>(value) : VIRTIO_MSI_NO_VECTOR;
  if (there) return {};
  return fail(DeviceError::kRegisterValue, value, vectors);
}

Result<void> PciTransport::reset_queue() {
  if (const auto reset = lifecycle_.reset_queue(queue_select_); !reset) return reset;
  const auto vector = std::exchange(queue_vectors_[queue_select_], VIRTIO_MSI_NO_VECTOR);
  // No more notifications of this queue (§2.6.1.1), unless the message may be somebody else's, too.
  const bool shared =
      config_vector_ == vector || std::ranges::find(queue_vectors_, vector) != queue_vectors_.end();
  if (!shared) static_cast<void>(function_.withdraw(vector));
  return {};
}

Result<void> PciTransport::set_status(std::uint8_t value) {
  const auto set = lifecycle_.set_status(value);
  if (value != 0) return set;
  device_feature_select_ = driver_feature_select_ = 0;
  queue_select_ = 0;
  config_vector_ = VIRTIO_MSI_NO_VECTOR;
  std::ranges::fill(queue_vectors_, VIRTIO_MSI_NO_VECTOR);
  set_isr(0);
  // What was to be said of buffers that are the driver's again is not said any more.
  for (std::uint16_t i = 0; i < function_.msix()->vectors(); ++i)
    static_cast<void>(function_.withdraw(i));
  return set;
}

Result<PciTransport::Window> PciTransport::window(unsigned at, std::size_t width) const {
  const auto bytes = function_.config().bytes().subspan(window_);
  const auto bar = static_cast<unsigned>(load(bytes.subspan(kCapBar, 1)));
  const auto offset = static_cast<std::uint32_t>(load(bytes.subspan(kCapOffset, 4)));
  const auto length = static_cast<std::uint32_t>(load(bytes.subspan(kCapLength, 4)));
  if (length != 1 && length != 2 && length != 4)
    return fail(DeviceError::kRegisterValue, length, 4);
  if (offset % length != 0) return fail(DeviceError::kRegister, offset);
  if (bar != kStructureBar && bar != kMsixBar) return fail(DeviceError::kRegisterValue, bar);
  if (offset >= function_.config().bar(bar).size) return fail(DeviceError::kRegister, offset);
  if (at != 0 || width < length) return fail(DeviceError::kAccessWidth, width, length);
  return Window{bar, offset, length};
}

Result<void> PciTransport::read_window(unsigned at, std::span<std::byte> data) {
  std::ranges::fill(data, std::byte{0});
  const auto place = window(at, data.size());
  if (!place) return std::unexpected(place.error());
  return function_.read_bar(place->bar, place->offset, data.first(place->length));
}

Result<void> PciTransport::write_window(unsigned at, std::span<const std::byte> data) {
  const auto place = window(at, data.size());
  if (!place) return std::unexpected(place.error());
  return function_.write_bar(place->bar, place->offset, data.first(place->length));
}

void PciTransport::bus_master_changed(bool on) {
  const Accessing now(accessed_);
  lifecycle_.set_memory_access(on);
}

std::vector<std::byte> PciTransport::save() const {
  std::vector<std::byte> bytes(kStateHeaderBytes + 2 * queue_vectors_.size());
  const std::span out(bytes);
  store(out.subspan(0, 4), kStateMagic);
  store(out.subspan(4, 2), kStateVersion);
  store(out.subspan(6, 2), queue_vectors_.size());
  store(out.subspan(8, 4), device_feature_select_);
  store(out.subspan(12, 4), driver_feature_select_);
  store(out.subspan(16, 2), queue_select_);
  store(out.subspan(18, 2), config_vector_);
  store(out.subspan(20, 1), isr_);
  for (std::size_t i = 0; i < queue_vectors_.size(); ++i)
    store(out.subspan(kStateHeaderBytes + 2 * i, 2), queue_vectors_[i]);
  return bytes;
}

Result<void> PciTransport::restore(std::span<const std::byte> bytes) {
  const auto size = kStateHeaderBytes + 2 * queue_vectors_.size();
  if (bytes.size() != size) return fail(DeviceStateError::kBytes, bytes.size(), size);
  const auto field = [&](std::size_t at, std::size_t width) {
    return load(bytes.subspan(at, width));
  };
  if (field(0, 4) != kStateMagic) return fail(DeviceStateError::kMagic, field(0, 4), kStateMagic);
  if (field(4, 2) != kStateVersion)
    return fail(DeviceStateError::kVersion, field(4, 2), kStateVersion);
  if (field(6, 2) != queue_vectors_.size())
    return fail(DeviceStateError::kQueueCount, field(6, 2), queue_vectors_.size());
  if (field(21, 3) != 0) return fail(DeviceStateError::kReserved, field(21, 3));
  if (field(20, 1) > kIsrCauses)
    return fail(DeviceStateError::kInterruptStatus, field(20, 1), kIsrCauses);
  const auto vectors = function_.msix()->vectors();
  const auto known = [&](std::uint64_t vector) {
    return vector < vectors || vector == VIRTIO_MSI_NO_VECTOR;
  };
  if (!known(field(18, 2))) return fail(DeviceStateError::kVector, field(18, 2), vectors);
  for (std::size_t i = 0; i < queue_vectors_.size(); ++i)
    if (const auto vector = field(kStateHeaderBytes + 2 * i, 2); !known(vector))
      return fail(DeviceStateError::kVector, vector, vectors);

  device_feature_select_ = static_cast<std::uint32_t>(field(8, 4));
  driver_feature_select_ = static_cast<std::uint32_t>(field(12, 4));
  queue_select_ = static_cast<std::uint16_t>(field(16, 2));
  config_vector_ = static_cast<std::uint16_t>(field(18, 2));
  set_isr(static_cast<std::uint8_t>(field(20, 1)));
  for (std::size_t i = 0; i < queue_vectors_.size(); ++i)
    queue_vectors_[i] = static_cast<std::uint16_t>(field(kStateHeaderBytes + 2 * i, 2));
  return {};
}

}  // namespace guestproof::virtio
