#include "vmm/processor.h"

#include <fmt/format.h>

#include <span>

namespace guestproof::vmm {

std::string position(const kvm::Vcpu& vcpu) {
  const auto regs = vcpu.get_regs();
  return regs ? fmt::format("rip {:#x}", regs->rip) : "";
}

std::vector<std::byte> instruction(const kvm::Vcpu& vcpu, const MappedMemory& ram) {
  const auto regs = vcpu.get_regs();
  if (!regs) return {};
  std::vector<std::byte> bytes(15);  // the longest that there is
  std::size_t known = 0;
  for (; known < bytes.size(); ++known) {
    const auto place = vcpu.translate(regs->rip + known);
    if (!place || place->valid == 0) break;
    const auto byte = std::span(bytes).subspan(known, 1);
    if (!read_bytes(ram, GuestAddress(place->physical_address), byte)) break;
  }
  bytes.resize(known);
  return bytes;
}

}  // namespace guestproof::vmm
