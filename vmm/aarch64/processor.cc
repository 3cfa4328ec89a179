#include "vmm/processor.h"

#include <fmt/format.h>

#include <array>

#include "vmm/aarch64/vcpu.h"

namespace guestproof::vmm {

std::string position(const kvm::Vcpu& vcpu) {
  const auto pc = vcpu.get_one_reg<std::uint64_t>(aarch64::kPc);
  return pc ? fmt::format("pc {:#x}", *pc) : "";
}

// KVM translates no addresses here, so only a processor without an MMU says where it reads from.
std::vector<std::byte> instruction(const kvm::Vcpu& vcpu, const MappedMemory& ram) {
  constexpr std::uint64_t kMmu = 1;  // SCTLR_EL1.M
  const auto pc = vcpu.get_one_reg<std::uint64_t>(aarch64::kPc);
  const auto control = vcpu.get_one_reg<std::uint64_t>(aarch64::kSctlr);
  std::vector<std::byte> bytes(4);
  if (!pc || !control || (*control & kMmu) != 0 || !read_bytes(ram, GuestAddress(*pc), bytes))
    return {};
  return bytes;
}

}  // namespace guestproof::vmm
