// A second opinion on virtio over PCI: the structures of virtio 1.3 §4.1.4 field by field, on a bus
// that is a model too, with the policies that virtio/transport/pci/transport.h states. It shares no
// code with the library.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "guestproof/testing/model/lifecycle_model.h"
#include "guestproof/testing/model/pci_model.h"

namespace guestproof::testing {

class VirtioPciModel final : private ModelInterrupts, private ModelPciOwner {
 public:
  using Bytes = PciModel::Bytes;
  using Answer = PciModel::Answer;

  /// On bus 0 behind a host bridge, as this device; BARs may be in the bus's two windows of memory.
  VirtioPciModel(LifecycleModel& lifecycle, std::uint8_t device, const ModelWindow& low,
                 const ModelWindow& high);
  VirtioPciModel(const VirtioPciModel&) = delete;
  VirtioPciModel& operator=(const VirtioPciModel&) = delete;
  ~VirtioPciModel() { lifecycle_.connect(nullptr); }

  /// The bus, on which the device is function kPlace.
  [[nodiscard]] PciModel& bus() { return bus_; }
  [[nodiscard]] const PciModel& bus() const { return bus_; }
  static constexpr std::size_t kPlace = 1;

  [[nodiscard]] std::uint8_t isr() const { return isr_; }
  [[nodiscard]] std::size_t vectors() const { return queue_vectors_.size() + 1; }
  /// Where capabilities are in configuration space.
  [[nodiscard]] unsigned msix_capability() const { return 0x40; }
  [[nodiscard]] unsigned window_capability() const { return window_at_; }

  /// The bytes that virtio/transport/pci/transport.cc describes.
  [[nodiscard]] Bytes save() const;
  [[nodiscard]] ModelError restore(std::span<const std::uint8_t> bytes);

 private:
  [[nodiscard]] ModelBusSpec spec(std::uint8_t device, const ModelWindow& low,
                                  const ModelWindow& high);

  void used_buffers(std::size_t queue) override { notify(1, queue_vectors_[queue]); }
  void configuration_changed() override { notify(2, config_vector_); }
  void notify(std::uint8_t cause, std::uint16_t vector);
  void set_isr(std::uint8_t value);

  [[nodiscard]] Answer read_bar(unsigned bar, std::uint64_t offset, std::size_t width) override;
  [[nodiscard]] ModelError write_bar(unsigned bar, std::uint64_t offset,
                                     const Bytes& bytes) override;
  [[nodiscard]] Answer read_window(unsigned at, std::size_t width) override;
  [[nodiscard]] ModelError write_window(unsigned at, const Bytes& bytes) override;
  void master(bool on) override { lifecycle_.set_memory_access(on); }

  [[nodiscard]] std::uint64_t common(unsigned field) const;
  [[nodiscard]] ModelError set_common(unsigned field, std::uint64_t value);
  [[nodiscard]] ModelError set_half(unsigned at, std::uint64_t value);
  [[nodiscard]] ModelError set_area(unsigned field, std::uint64_t address);
  [[nodiscard]] ModelError set_vector(std::uint16_t& vector, std::uint64_t value);
  [[nodiscard]] ModelError set_status(std::uint64_t value);
  [[nodiscard]] ModelError reset_queue();

  struct Target {
    unsigned bar = 0;
    std::uint64_t offset = 0;
    std::size_t length = 0;
    ModelError error;
  };
  /// What an access to the window is one of.
  [[nodiscard]] Target target(unsigned at, std::size_t width);

  LifecycleModel& lifecycle_;
  unsigned window_at_ = 0;
  std::uint64_t routing_id_;
  std::uint64_t msix_bar_bytes_ = 0x1000;
  std::uint32_t device_feature_select_ = 0;
  std::uint32_t driver_feature_select_ = 0;
  std::uint16_t queue_select_ = 0;
  std::uint8_t isr_ = 0;
  std::uint16_t config_vector_ = 0xffff;
  std::vector<std::uint16_t> queue_vectors_;
  PciModel bus_;
};

}  // namespace guestproof::testing
