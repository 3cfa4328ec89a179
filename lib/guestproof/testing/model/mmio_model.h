// A second opinion on virtio over MMIO: the register table of virtio 1.3 §4.2.2, register by
// register, and the policies that virtio/transport/mmio/transport.h states. It shares no code with
// the library.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "guestproof/testing/model/lifecycle_model.h"

namespace guestproof::testing {

class MmioModel final : private ModelInterrupts {
 public:
  explicit MmioModel(LifecycleModel& lifecycle) : lifecycle_(lifecycle) {
    lifecycle_.set_memory_access(true);
    lifecycle_.connect(this);
  }
  MmioModel(const MmioModel&) = delete;
  MmioModel& operator=(const MmioModel&) = delete;
  ~MmioModel() { lifecycle_.connect(nullptr); }

  [[nodiscard]] ModelError read(std::uint64_t offset, std::span<std::uint8_t> out);
  [[nodiscard]] ModelError write(std::uint64_t offset, std::span<const std::uint8_t> in);

  /// The bytes that virtio/transport/mmio/transport.cc describes.
  [[nodiscard]] std::vector<std::uint8_t> save() const;
  [[nodiscard]] ModelError restore(std::span<const std::uint8_t> bytes);

  [[nodiscard]] std::uint32_t interrupt_status() const { return interrupt_status_; }
  /// How often the line was asserted by a notification.
  [[nodiscard]] std::uint64_t notifications() const { return notifications_; }

  // The registers that are the transport's own.
  std::uint32_t device_features_sel = 0;
  std::uint32_t driver_features_sel = 0;
  std::uint32_t queue_sel = 0;
  std::uint32_t shm_sel = 0;

 private:
  void used_buffers(std::size_t) override { notify(1); }
  void configuration_changed() override { notify(2); }
  void notify(std::uint32_t cause);
  [[nodiscard]] ModelError write_register(std::uint64_t offset, std::uint32_t value);

  LifecycleModel& lifecycle_;
  std::uint32_t interrupt_status_ = 0;
  std::uint64_t notifications_ = 0;
};

}  // namespace guestproof::testing
