#if defined(__aarch64__)

#include <algorithm>

#include "guestproof/ring0/machine.h"

namespace guestproof::ring0 {
namespace {

constexpr unsigned kDefaultAddressBits = 40;  // of machines that are not asked for more or fewer
constexpr unsigned kFewestAddressBits = 36;

Result<kvm::Vcpu> make_vcpu(const kvm::Vm& vm, std::uint32_t index, bool scalable_vectors) {
  auto vcpu = vm.create_vcpu(index);
  if (!vcpu) return vcpu;
  auto target = vm.preferred_target();
  if (!target) return std::unexpected(target.error());
  if (scalable_vectors) target->features[0] |= 1U << KVM_ARM_VCPU_SVE;
  if (const auto ok = vcpu->init(*target); !ok) return std::unexpected(ok.error());
  if (scalable_vectors)
    if (const auto ok = vcpu->finalize(KVM_ARM_VCPU_SVE); !ok) return std::unexpected(ok.error());
  return vcpu;
}

}  // namespace

Result<Processor> processor_of(const kvm::Kvm& kvm) {
  const auto limit = kvm.host_ipa_limit();
  if (!limit) return std::unexpected(limit.error());
  const auto bits = *limit == 0 ? kDefaultAddressBits
                                : std::min(static_cast<unsigned>(*limit), kDefaultAddressBits);
  if (bits < kFewestAddressBits) return fail(Ring0Error::kAddressWidth, bits, kFewestAddressBits);
  const auto scalable_vectors = kvm.check_extension(kvm::Capability::kArmSve);
  if (!scalable_vectors) return std::unexpected(scalable_vectors.error());
  return Processor{bits, *scalable_vectors > 0 ? 1U : 0U};
}

Result<std::unique_ptr<Machine>> Machine::create(const kvm::Kvm& kvm, const Options& options) {
  const auto processor = processor_of(kvm);
  if (!processor) return std::unexpected(processor.error());
  auto vm = processor->address_bits == kDefaultAddressBits
                ? kvm.create_vm()
                : kvm.create_vm_with_ipa_size(processor->address_bits);
  if (!vm) return std::unexpected(vm.error());
  std::unique_ptr<Machine> machine(new Machine(std::move(*vm)));
  if (const auto ok = machine->add_memory(options, processor->address_bits); !ok)
    return std::unexpected(ok.error());
  machine->vectors_ = processor->vectors;
  for (const auto& function : options.on_vm) function(machine->vm_);
  for (std::uint32_t i = 0; i < options.vcpu_count; ++i) {
    auto vcpu = make_vcpu(machine->vm_, i, machine->vectors_ != 0);
    if (!vcpu) return std::unexpected(vcpu.error());
    if (const auto ok = machine->add_vcpu(std::move(*vcpu)); !ok)
      return std::unexpected(ok.error());
  }
  return machine;
}

}  // namespace guestproof::ring0

#endif
