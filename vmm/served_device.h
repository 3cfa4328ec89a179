// A virtio device that is served: its life cycle, its part of the event loop, which does its work
// when the guest or the back end asks for it, and the lock that both sides take.
//
// Thread-safety: access() from any vCPU's thread; the rest by the event loop's.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "guestproof/base/fd.h"
#include "guestproof/virtio/device/lifecycle.h"
#include "vmm/devices.h"
#include "vmm/event_loop.h"

namespace guestproof::vmm {

class ServedDevice final : private virtio::Host {
 public:
  /// `lock` guards the device; devices that share a transport's bus share it. All outlive this.
  /// Errors: SystemError::kEventFd, kWatch.
  [[nodiscard]] static Result<std::unique_ptr<ServedDevice>> create(Device device,
                                                                    const MappedMemory& memory,
                                                                    std::mutex& lock,
                                                                    EventLoop& loop);

  ~ServedDevice();

  /// For a transport, under the lock.
  [[nodiscard]] virtio::Lifecycle& lifecycle() { return lifecycle_; }
  [[nodiscard]] const std::string& name() const { return device_.name; }

  /// A register access of the guest: `call()` under the lock.
  template <class Call>
  auto access(Call&& call) {
    const std::scoped_lock locked(lock_);
    auto done = call();
    notice_start();
    return done;
  }
  /// After an access that may have started or stopped the device, under the lock: the loop waits
  /// for the back end while the device runs, and no longer.
  void notice_start() {
    const bool before = std::exchange(ran_, lifecycle_.serving());
    if (ran_ != before) woken_.notify();
  }

 private:
  ServedDevice(Device device, const MappedMemory& memory, std::mutex& lock, EventLoop& loop,
               EventFd woken)
      : device_(std::move(device)),
        lock_(lock),
        loop_(loop),
        woken_(std::move(woken)),
        lifecycle_(*device_.device, memory, static_cast<virtio::Host&>(*this)) {}

  // virtio::Host
  void wake() override { woken_.notify(); }
  void refused(std::uint16_t queue, const Error& why) override;

  /// A turn of what the guest asked for, and of what is left of the back end's; others have theirs
  /// before the next one.
  void work();
  void host_ready();
  [[nodiscard]] bool keep_on(const Result<bool>& turn);
  /// Of what a guest can make happen as often as it likes, who looks for its fault has the first.
  void tell(const std::string& what);
  void watch_host();
  [[nodiscard]] Result<void> watch(int fd, void (ServedDevice::*handler)());

  Device device_;
  std::mutex& lock_;
  EventLoop& loop_;
  EventFd woken_;
  virtio::DeviceLifecycle<MappedMemory> lifecycle_;
  bool ran_ = false;
  bool host_waits_ = false;  // for another turn
  int watched_ = -1;         // the back end's descriptor, while it is waited for
  std::uint32_t told_ = 0;   // lines about this device
};

}  // namespace guestproof::vmm
