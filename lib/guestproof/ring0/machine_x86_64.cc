#if defined(__x86_64__)

#include <algorithm>

#include "guestproof/ring0/machine.h"

namespace guestproof::ring0 {
namespace {

// Intel SDM vol. 2, CPUID.
constexpr std::uint32_t kLeafXsave = 0xd;
constexpr std::uint32_t kLeafAddressSizes = 0x80000008;
constexpr unsigned kAddressBitsOfOld = 36;

const kvm_cpuid_entry2* find(const kvm::CpuId& cpuid, std::uint32_t leaf, std::uint32_t subleaf) {
  const auto entries = cpuid.entries();
  const auto entry = std::ranges::find_if(entries, [&](const kvm_cpuid_entry2& each) {
    return each.function == leaf &&
           ((each.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) == 0 || each.index == subleaf);
  });
  return entry == entries.end() ? nullptr : &*entry;
}

unsigned address_bits(const kvm::CpuId& supported) {
  const auto* sizes = find(supported, kLeafAddressSizes, 0);
  return sizes == nullptr ? kAddressBitsOfOld : std::max(sizes->eax & 0xff, kAddressBitsOfOld);
}

/// What this process has enabled, as far as a guest can have it: its code was chosen for that.
std::uint64_t common_xcr0(const kvm::CpuId& supported) {
  if (!__builtin_cpu_supports("avx")) return 0;
  const auto* xsave = find(supported, kLeafXsave, 0);
  if (xsave == nullptr) return 0;
  std::uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (std::uint64_t{high} << 32 | low) & (std::uint64_t{xsave->edx} << 32 | xsave->eax);
}

/// Leaves that have subleaves are told apart by them.
kvm_cpuid_entry2 entry_of(const Cpuid& wanted, const kvm::CpuId& supported) {
  kvm_cpuid_entry2 entry{};
  entry.function = wanted.leaf;
  entry.index = wanted.subleaf;
  const auto* before = find(supported, wanted.leaf, wanted.subleaf);
  if (before != nullptr) entry.flags = before->flags;
  if (wanted.subleaf != 0) entry.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
  entry.eax = wanted.registers[0];
  entry.ebx = wanted.registers[1];
  entry.ecx = wanted.registers[2];
  entry.edx = wanted.registers[3];
  return entry;
}

Result<kvm::CpuId> with(kvm::CpuId cpuid, const std::vector<Cpuid>& wanted) {
  for (const auto& each : wanted) {
    const auto entry = entry_of(each, cpuid);
    cpuid.retain([&](const kvm_cpuid_entry2& other) {
      return other.function != entry.function || other.index != entry.index;
    });
    if (const auto ok = cpuid.push_back(entry); !ok) return std::unexpected(ok.error());
  }
  return cpuid;
}

/// Accesses of these are the host's.
Result<void> divert(const kvm::Vm& vm, const std::vector<Msr>& msrs) {
  if (msrs.empty()) return {};
  const auto ok = vm.enable_capability(kvm::Capability::kX86UserSpaceMsr,
                                       {KVM_MSR_EXIT_REASON_FILTER, 0, 0, 0});
  if (!ok) return ok;
  std::vector<kvm::MsrFilterRange> ranges;
  ranges.reserve(msrs.size());
  for (const auto& msr : msrs)
    ranges.push_back({KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE, msr.index, 1, {0}});
  return vm.set_msr_filter(ranges);
}

}  // namespace

Result<Processor> processor_of(const kvm::Kvm& kvm) {
  const auto supported = kvm.supported_cpuid();
  if (!supported) return std::unexpected(supported.error());
  return Processor{address_bits(*supported), common_xcr0(*supported)};
}

Result<std::unique_ptr<Machine>> Machine::create(const kvm::Kvm& kvm, const Options& options) {
  auto vm = kvm.create_vm();
  if (!vm) return std::unexpected(vm.error());
  const auto processor = processor_of(kvm);
  if (!processor) return std::unexpected(processor.error());
  const auto supported = kvm.supported_cpuid();
  if (!supported) return std::unexpected(supported.error());
  std::unique_ptr<Machine> machine(new Machine(std::move(*vm)));
  if (const auto ok = divert(machine->vm_, options.msrs); !ok) return std::unexpected(ok.error());
  if (const auto ok = machine->add_memory(options, processor->address_bits); !ok)
    return std::unexpected(ok.error());
  machine->vectors_ = processor->vectors;
  for (const auto& function : options.on_vm) function(machine->vm_);
  const auto cpuid = with(*supported, options.cpuids);
  if (!cpuid) return std::unexpected(cpuid.error());
  for (std::uint32_t i = 0; i < options.vcpu_count; ++i) {
    auto vcpu = machine->vm_.create_vcpu(i);
    if (!vcpu) return std::unexpected(vcpu.error());
    if (const auto ok = vcpu->set_cpuid2(*cpuid); !ok) return std::unexpected(ok.error());
    if (const auto ok = machine->add_vcpu(std::move(*vcpu)); !ok)
      return std::unexpected(ok.error());
  }
  return machine;
}

}  // namespace guestproof::ring0

#endif
