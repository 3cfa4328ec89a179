// The tiny virtual machine of a test: its memory, and a vCPU for each that was asked for.
//
// Thread-safety: none while it is made; then each vCPU is its thread's.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/kvm/kvm.h"
#include "guestproof/ring0/area.h"
#include "guestproof/ring0/mirror.h"
#include "guestproof/ring0/options.h"
#include "guestproof/ring0/supervisor.h"

namespace guestproof::ring0 {

inline constexpr std::size_t kStackSize = 8 << 20;

/// What a guest's processor has, at most.
struct Processor {
  unsigned address_bits = 0;  // of guest-physical addresses
  std::uint64_t vectors = 0;  // of Supervisor::Start
};
/// Errors: kvm's; kAddressWidth.
[[nodiscard]] Result<Processor> processor_of(const kvm::Kvm& kvm);

class Machine {
 public:
  /// Errors: kvm's; SystemError::kMap; kAddressWidth; Supervisor::build()'s.
  [[nodiscard]] static Result<std::unique_ptr<Machine>> create(const kvm::Kvm& kvm,
                                                               const Options& options);

  [[nodiscard]] std::vector<kvm::Vcpu>& vcpus() { return vcpus_; }
  [[nodiscard]] Supervisor& supervisor() { return *supervisor_; }
  [[nodiscard]] Mirror& mirror() { return *mirror_; }
  /// The vCPU is to call `entry(argument)` on its stack; thread-local variables are the calling
  /// thread's. Errors: kvm's.
  [[nodiscard]] Result<void> start(std::uint32_t vcpu, std::uint64_t entry,
                                   std::uint64_t argument) const;
  [[nodiscard]] std::span<const std::byte> stack(std::uint32_t vcpu) const {
    return stacks_[vcpu].bytes();
  }

 private:
  explicit Machine(kvm::Vm vm) : vm_(std::move(vm)) {}
  [[nodiscard]] Result<void> add_memory(const Options& options, unsigned address_bits);
  [[nodiscard]] Result<void> add_vcpu(kvm::Vcpu vcpu);
  [[nodiscard]] Result<void> add_slot(std::uint64_t address, const Area& memory);

  kvm::Vm vm_;
  std::uint64_t vectors_ = 0;  // of Supervisor::Start
  std::uint32_t slots_ = 0;
  std::vector<Area> areas_;  // the window, the supervisor's, RAM
  std::vector<Area> stacks_;
  std::optional<Supervisor> supervisor_;
  std::optional<Mirror> mirror_;
  std::vector<kvm::Vcpu> vcpus_;
};

}  // namespace guestproof::ring0
