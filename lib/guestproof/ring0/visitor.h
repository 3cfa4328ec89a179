// A test in ring 0 as the guest of somebody else's virtual machine: the body runs in what a virtual
// machine monitor makes, instead of in a machine of its own.
//
//   serve_and_report(options, [&](const Channel& channel) {   // in a copy of this process
//     Visitor visitor(body, channel);
//     auto vm = MyMonitor(kernel file: visitor.kernel(), ports kTrap to kTrap + 7: visitor);
//     visitor.move_in(vm, ...);                          // memory slots behind the machine's own
//     visitor.on_end = [&] { vm.stop(); };
//     vm.run();
//   }, place, listener);
//
// Options other than expectations of the end are the monitor's to fulfil. One vCPU runs the test.
//
// Thread-safety: read() and write() by the vCPU's thread; the rest before the machine runs.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <thread>

#include "guestproof/bus/bus.h"
#include "guestproof/ring0/host.h"
#include "guestproof/ring0/kernel.h"
#include "guestproof/ring0/traps.h"

namespace guestproof::ring0 {

#if defined(__x86_64__)

class Visitor final : public BusDevice {
 public:
  /// Both outlive it. Errors: kvm's; SystemError::kMap; kPageTables.
  [[nodiscard]] static Result<std::unique_ptr<Visitor>> create(const Body& body,
                                                               const Channel& channel);
  ~Visitor();
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;

  /// A file for the machine to boot.
  [[nodiscard]] std::vector<std::byte> kernel(KernelEntry entry) const;
  /// Adds to the machine what the test needs. Slots from `first_slot` on, and the upper half of the
  /// guest-physical addresses, are not the machine's own; `ranges` are, and phys() shows them.
  /// Errors: kvm's.
  [[nodiscard]] Result<void> move_in(kvm::Vm& vm, std::uint32_t first_slot,
                                     std::vector<PhysicalRange> ranges);

  /// What the kernel could load itself, but QEMU's emulation of KVM's machines forgets: XCR0.
  /// Errors: kvm's kSetXcrs.
  [[nodiscard]] Result<void> start(const kvm::Vcpu& vcpu) const;

  /// The test has ended. Called once, by the vCPU's thread.
  std::function<void()> on_end;
  /// The machine has ended; `why` when it did so by itself.
  void moved_out(std::string_view why);

  // BusDevice: ports kTrap to kTrap + 7.
  [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<std::byte> data) override;
  [[nodiscard]] Result<void> write(std::uint64_t offset, std::span<const std::byte> data) override;

 private:
  Visitor(const Body& body, const Channel& channel);
  void be_thread(std::promise<std::uint64_t>& pointer);
  void trapped(std::uint64_t written);
  void called(Call what);
  void end(EndRecord record, std::string_view text = {});

  const Body& body_;
  const Channel& channel_;
  Guest guest_;
  std::optional<Area> window_, memory_, stack_;
  std::optional<Supervisor> supervisor_;
  std::optional<Mirror> mirror_;
  std::optional<Traps> traps_;
  std::uint64_t physical_ = 0;
  Arrival arrival_;
  bool ended_ = false;
  // Whose thread-local variables the guest has: it does nothing else.
  std::atomic<bool> leaving_ = false;
  std::thread thread_;
};

#endif

}  // namespace guestproof::ring0
