#include "vmm/x86_64/vcpu.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace guestproof::vmm::x86_64 {
namespace {

using loader::x86::BootState;
using loader::x86::Segment;

// Intel SDM vol. 2, CPUID.
constexpr std::uint32_t kLeafFeatures = 1;
constexpr std::uint32_t kLeafCache = 4;
constexpr std::uint32_t kLeafTopology = 0xb;
constexpr std::uint32_t kLeafTopology2 = 0x1f;
constexpr std::uint32_t kLeafAmdSizes = 0x80000008;
constexpr std::uint32_t kLeafAmdCache = 0x8000001d;
constexpr std::uint32_t kLeafAmdTopology = 0x8000001e;
constexpr std::uint32_t kEcxDeadlineTimer = 1u << 24;
constexpr std::uint32_t kEcxHypervisor = 1u << 31;
constexpr std::uint32_t kEdxHtt = 1u << 28;

// Intel SDM vol. 3 §11.11.2.1 and §10.5.1.
constexpr std::uint32_t kMsrMtrrDefType = 0x2ff;
constexpr std::uint64_t kMtrrWriteBack = 1 << 11 | 6;  // MTRRs on, the default is write-back
constexpr std::size_t kApicLvtLint0 = 0x350;
constexpr std::size_t kApicLvtLint1 = 0x360;
constexpr std::uint32_t kDeliveryMode = 7u << 8;
constexpr std::uint32_t kDeliverNmi = 4u << 8;
constexpr std::uint32_t kDeliverExtInt = 7u << 8;

/// Bits of an APIC identifier that count the processors of a package.
std::uint32_t id_bits(std::uint32_t count) {
  return static_cast<std::uint32_t>(std::bit_width(count - 1));
}

/// Leaf 0xb: a thread in a core (sub-leaf 0), a core in the package (1), nothing more (2).
kvm_cpuid_entry2 topology(std::uint32_t index, std::uint32_t id, std::uint32_t count) {
  kvm_cpuid_entry2 entry{};
  entry.function = kLeafTopology;
  entry.index = index;
  entry.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
  entry.ecx = index;
  entry.edx = id;
  if (index == 0) {
    entry.ecx |= 1u << 8;
    entry.ebx = 1;
  } else if (index == 1) {
    entry.ecx |= 2u << 8;
    entry.eax = id_bits(count);
    entry.ebx = count;
  }
  return entry;
}

/// How many identifiers share a cache of the host, less 1: the last level is all processors',
/// others are one's.
std::uint32_t sharing(const kvm_cpuid_entry2& entry, std::uint32_t count) {
  const auto level = entry.eax >> 5 & 7;
  return level >= 3 ? std::bit_ceil(count) - 1 : 0;
}

void set_processor(kvm_cpuid_entry2& entry, std::uint32_t id, std::uint32_t count,
                   bool deadline_timer) {
  switch (entry.function) {
    case kLeafFeatures:
      entry.ebx = (entry.ebx & 0xffff) | count << 16 | id << 24;
      entry.ecx |= kEcxHypervisor;
      entry.ecx = deadline_timer ? entry.ecx | kEcxDeadlineTimer : entry.ecx & ~kEcxDeadlineTimer;
      entry.edx = count > 1 ? entry.edx | kEdxHtt : entry.edx & ~kEdxHtt;
      break;
    case kLeafCache:
      // Type 0 is no cache. The upper bits count the cores of the package.
      if ((entry.eax & 31) != 0)
        entry.eax = (entry.eax & 0x3fff) | sharing(entry, count) << 14 |
                    std::min(std::bit_ceil(count) - 1, 63U) << 26;
      break;
    case kLeafAmdCache:
      if ((entry.eax & 31) != 0)
        entry.eax = (entry.eax & ~(0xfffU << 14)) | sharing(entry, count) << 14;
      break;
    case kLeafAmdSizes:
      entry.ecx = (entry.ecx & ~0xf0ffu) | id_bits(count) << 12 | (count - 1);
      break;
    case kLeafAmdTopology:
      entry.eax = id;
      entry.ebx = id & 0xff;  // a thread for each core
      entry.ecx = 0;
      break;
    default:
      break;
  }
}

kvm_segment kvm_form(const Segment& segment) {
  kvm_segment out{};
  out.base = segment.base;
  out.limit = segment.limit;
  out.selector = segment.selector;
  out.type = segment.type;
  out.present = segment.present;
  out.dpl = segment.dpl;
  out.db = segment.db;
  out.s = segment.s;
  out.l = segment.l;
  out.g = segment.g;
  return out;
}

kvm_dtable kvm_form(const loader::x86::DescriptorTable& table) {
  kvm_dtable out{};
  out.base = table.base;
  out.limit = table.limit;
  return out;
}

void set_local_vector(kvm_lapic_state& lapic, std::size_t at, std::uint32_t mode) {
  std::uint32_t vector = 0;
  std::memcpy(&vector, lapic.regs + at, sizeof vector);
  vector = (vector & ~kDeliveryMode) | mode;
  std::memcpy(lapic.regs + at, &vector, sizeof vector);
}

}  // namespace

Result<kvm::CpuId> processor_cpuid(const kvm::CpuId& supported, std::uint32_t id,
                                   std::uint32_t count, bool deadline_timer) {
  auto cpuid = supported;
  // The host's topology is another, and KVM may give a part of it only.
  cpuid.retain([](const kvm_cpuid_entry2& entry) {
    return entry.function != kLeafTopology && entry.function != kLeafTopology2;
  });
  for (auto& entry : cpuid.entries()) set_processor(entry, id, count, deadline_timer);
  for (std::uint32_t index = 0; index < 3; ++index)
    if (const auto ok = cpuid.push_back(topology(index, id, count)); !ok)
      return std::unexpected(ok.error());
  return cpuid;
}

Result<void> set_boot_state(const kvm::Vcpu& vcpu, const BootState& state) {
  auto sregs = vcpu.get_sregs();
  if (!sregs) return std::unexpected(sregs.error());
  sregs->cr0 = state.cr0;
  sregs->cr3 = state.cr3;
  sregs->cr4 = state.cr4;
  sregs->efer = state.efer;
  sregs->cs = kvm_form(state.code);
  for (auto* data : {&sregs->ds, &sregs->es, &sregs->fs, &sregs->gs, &sregs->ss})
    *data = kvm_form(state.data);
  sregs->tr = kvm_form(state.task);
  sregs->gdt = kvm_form(state.gdt);
  sregs->idt = kvm_form(state.idt);
  if (const auto ok = vcpu.set_sregs(*sregs); !ok) return ok;
  kvm_regs regs{};
  regs.rip = state.rip;
  regs.rsp = state.rsp;
  regs.rsi = state.rsi;
  regs.rbx = state.rbx;
  regs.rflags = state.rflags;
  return vcpu.set_regs(regs);
}

Result<void> set_common_state(const kvm::Vcpu& vcpu) {
  auto msrs = kvm::Msrs::zeroed(1);
  if (!msrs) return std::unexpected(msrs.error());
  msrs->entries()[0].index = kMsrMtrrDefType;
  msrs->entries()[0].data = kMtrrWriteBack;
  if (const auto ok = vcpu.set_msrs(*msrs); !ok) return ok;
  auto lapic = vcpu.get_lapic();
  if (!lapic) return std::unexpected(lapic.error());
  set_local_vector(*lapic, kApicLvtLint0, kDeliverExtInt);
  set_local_vector(*lapic, kApicLvtLint1, kDeliverNmi);
  return vcpu.set_lapic(*lapic);
}

}  // namespace guestproof::vmm::x86_64
