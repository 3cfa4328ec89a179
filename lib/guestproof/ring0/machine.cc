#include "guestproof/ring0/machine.h"

#include "guestproof/memory/mapped_memory.h"

namespace guestproof::ring0 {

Result<void> Machine::add_slot(std::uint64_t address, const Area& memory) {
  kvm_userspace_memory_region region{};
  region.slot = slots_;
  region.guest_phys_addr = address;
  region.memory_size = memory.bytes().size();
  region.userspace_addr = memory.begin();
  if (const auto ok = vm_.set_memory_region(region); !ok) return ok;
  ++slots_;
  return {};
}

// The upper half of the guest-physical addresses is ours: the supervisor's memory, and behind it
// what the guest touches of the process.
Result<void> Machine::add_memory(const Options& options, unsigned address_bits) {
  auto window = Area::reserve(kWindow, kWindowSize);
  if (!window) return std::unexpected(window.error());
  areas_.push_back(std::move(*window));
  const auto half = 1ULL << (address_bits - 1);
  auto memory = Area::create(Supervisor::kSize);
  if (!memory) return std::unexpected(memory.error());
  if (const auto ok = add_slot(half, *memory); !ok) return ok;
  supervisor_.emplace(memory->bytes(), half, options.user);
  areas_.push_back(std::move(*memory));
  if (const auto ok = supervisor_->build(options.vcpu_count); !ok) return ok;
  for (const auto& [base, size] : options.memory) {
    auto ram = Area::create(size);
    if (!ram) return std::unexpected(ram.error());
    if (const auto ok = add_slot(base, *ram); !ok) return ok;
    areas_.push_back(std::move(*ram));
  }
  auto map = AddressMap::open();
  if (!map) return std::unexpected(map.error());
  const auto slots = vm_.check_extension(kvm::Capability::kNrMemslots);
  if (!slots) return std::unexpected(slots.error());
  mirror_.emplace(Mirror::Place{.vm = vm_,
                                .first_slot = slots_,
                                .slots = static_cast<std::uint32_t>(*slots),
                                .physical = supervisor_->control() + host_page_size(),
                                .physical_end = 2 * half,
                                .user = options.user},
                  supervisor_->tables(), std::move(*map), options.ranges());
  return {};
}

Result<void> Machine::start(std::uint32_t vcpu, std::uint64_t entry, std::uint64_t argument) const {
  return supervisor_->start(vcpus_[vcpu], vcpu,
                            {.entry = entry,
                             .argument = argument,
                             .stack = stacks_[vcpu].end(),
                             .vectors = vectors_,
                             .thread = thread_pointer()});
}

Result<void> Machine::add_vcpu(kvm::Vcpu vcpu) {
  auto stack = Area::create(kStackSize);
  if (!stack) return std::unexpected(stack.error());
  stacks_.push_back(std::move(*stack));
  vcpus_.push_back(std::move(vcpu));
  return {};
}

}  // namespace guestproof::ring0
