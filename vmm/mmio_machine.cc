#include <array>
#include <optional>

#include "guestproof/virtio/transport/mmio/transport.h"
#include "vmm/interrupts.h"
#include "vmm/layout.h"
#include "vmm/virtio_machine.h"

namespace guestproof::vmm {
namespace {

/// A device behind its registers.
class Window final : public BusDevice {
 public:
  Window(std::unique_ptr<ServedDevice> served, std::unique_ptr<std::mutex> lock, SharedGsi& gsi)
      : lock_(std::move(lock)),
        served_(std::move(served)),
        line_(gsi),
        gsi_(gsi.gsi()),
        transport_(served_->lifecycle(), line_) {}

  [[nodiscard]] std::uint32_t gsi() const { return gsi_; }

  // What was refused is the guest's to notice.
  [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<std::byte> data) override {
    return served_->access([&] { return transport_.read(offset, data); });
  }
  [[nodiscard]] Result<void> write(std::uint64_t offset, std::span<const std::byte> data) override {
    return served_->access([&] { return transport_.write(offset, data); });
  }

 private:
  std::unique_ptr<std::mutex> lock_;
  std::unique_ptr<ServedDevice> served_;
  GsiLine line_;
  std::uint32_t gsi_;
  virtio::MmioTransport transport_;
};

class MmioMachine final : public VirtioMachine {
 public:
  MmioMachine(std::vector<std::unique_ptr<SharedGsi>> gsis,
              std::vector<std::unique_ptr<Window>> windows)
      : gsis_(std::move(gsis)), windows_(std::move(windows)) {}

  void add_to(Bus::Builder& memory, Bus::Builder&) override {
    for (std::size_t i = 0; i < windows_.size(); ++i)
      memory.add(base_of(i), layout::kMmioStride, *windows_[i]);
  }
  [[nodiscard]] VirtioDescription describe() const override {
    VirtioDescription description;
    for (std::size_t i = 0; i < windows_.size(); ++i)
      description.windows.push_back(
          {.base = base_of(i), .size = layout::kMmioStride, .gsi = windows_[i]->gsi()});
    return description;
  }

 private:
  static std::uint64_t base_of(std::size_t index) {
    return layout::kMmioBase + index * layout::kMmioStride;
  }

  std::vector<std::unique_ptr<SharedGsi>> gsis_;
  std::vector<std::unique_ptr<Window>> windows_;
};

}  // namespace

Outcome<std::unique_ptr<VirtioMachine>> make_mmio_machine(std::vector<Device> devices,
                                                          const MappedMemory& memory,
                                                          const kvm::Vm& vm, EventLoop& loop) {
  std::vector<std::unique_ptr<SharedGsi>> gsis;
  gsis.reserve(layout::kDeviceGsis);
  for (std::uint32_t i = 0; i < layout::kDeviceGsis; ++i)
    gsis.push_back(std::make_unique<SharedGsi>(vm, layout::kDeviceGsi + i));
  std::vector<std::unique_ptr<Window>> windows;
  windows.reserve(devices.size());
  for (auto& device : devices) {
    auto lock = std::make_unique<std::mutex>();
    auto served = ServedDevice::create(std::move(device), memory, *lock, loop);
    if (!served) return failed("virtio", served.error());
    auto& gsi = *gsis[windows.size() % gsis.size()];
    windows.push_back(std::make_unique<Window>(std::move(*served), std::move(lock), gsi));
  }
  return std::make_unique<MmioMachine>(std::move(gsis), std::move(windows));
}

}  // namespace guestproof::vmm
