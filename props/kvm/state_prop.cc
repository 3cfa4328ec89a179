// Saved state of vCPUs and machines: what was encoded decodes to the same, and what anybody else
// wrote is refused or encodes to what it means.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <vector>

#include "guestproof/kvm/state.h"

namespace guestproof::kvm {
namespace {

using Bytes = std::vector<std::byte>;

std::byte any_byte() { return std::byte{*rc::gen::arbitrary<std::uint8_t>()}; }

/// Any bytes at all in a structure.
template <class T>
void scramble(T& object) {
  const auto seed = *rc::gen::arbitrary<std::uint32_t>();
  std::uint32_t state = seed | 1;
  for (auto& byte : std::as_writable_bytes(std::span(&object, 1))) {
    state = state * 1664525 + 1013904223;
    byte = std::byte(state >> 24);
  }
}

VcpuState any_vcpu() {
  VcpuState state;
  scramble(state.regs);
  scramble(state.sregs);
  scramble(state.events);
  scramble(state.mp_state);
  state.tsc_khz = *rc::gen::arbitrary<std::uint32_t>();
  state.xsave.words = *rc::gen::arbitrary<std::vector<std::uint32_t>>();
  state.msrs.resize(*rc::gen::inRange<std::size_t>(0, 20));
  for (auto& msr : state.msrs) scramble(msr);
  state.cpuid = CpuId::zeroed(*rc::gen::inRange<std::size_t>(0, 20)).value();
  for (auto& entry : state.cpuid.entries()) scramble(entry);
  if (*rc::gen::arbitrary<bool>()) scramble(state.lapic.emplace());
  return state;
}

std::optional<kvm_irqchip> any_chip(std::uint32_t id) {
  if (!*rc::gen::arbitrary<bool>()) return std::nullopt;
  kvm_irqchip chip;
  scramble(chip);
  chip.chip_id = id;
  return chip;
}

VmState any_vm() {
  VmState state;
  if (*rc::gen::arbitrary<bool>()) scramble(state.clock.emplace());
  state.pic_master = any_chip(KVM_IRQCHIP_PIC_MASTER);
  state.pic_slave = any_chip(KVM_IRQCHIP_PIC_SLAVE);
  state.ioapic = any_chip(KVM_IRQCHIP_IOAPIC);
  if (*rc::gen::arbitrary<bool>()) scramble(state.pit.emplace());
  return state;
}

RC_GTEST_PROP(VcpuState, DecodesToWhatWasEncoded, ()) {
  const auto state = any_vcpu();
  const auto decoded = VcpuState::decode(state.encode());
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(decoded->encode() == state.encode());
  RC_ASSERT(decoded->cpuid == state.cpuid && decoded->xsave == state.xsave);
  RC_ASSERT(decoded->lapic.has_value() == state.lapic.has_value());
  RC_ASSERT(std::memcmp(&decoded->regs, &state.regs, sizeof state.regs) == 0);
}

RC_GTEST_PROP(VmState, DecodesToWhatWasEncoded, ()) {
  const auto state = any_vm();
  const auto decoded = VmState::decode(state.encode());
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(decoded->encode() == state.encode());
  RC_ASSERT(decoded->pit.has_value() == state.pit.has_value());
}

RC_GTEST_PROP(VmState, ChangedIsRefusedOrEncodesToItsBytes, ()) {
  auto bytes = any_vm().encode();
  const int changes = *rc::gen::inRange(1, 4);
  for (int i = 0; i < changes; ++i)
    bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] = any_byte();
  const auto decoded = VmState::decode(bytes);
  RC_TAG(decoded ? std::string("taken") : decoded.error().name());
  if (decoded) RC_ASSERT(decoded->encode() == bytes);
}

RC_GTEST_PROP(VcpuState, CutAnywhereIsRefused, ()) {
  auto bytes = any_vcpu().encode();
  bytes.resize(*rc::gen::inRange<std::size_t>(0, bytes.size()));
  bytes.shrink_to_fit();
  RC_ASSERT(!VcpuState::decode(bytes).has_value());
}

RC_GTEST_PROP(VcpuState, AnyBytesAtAllAreRefused, (const std::vector<std::uint8_t>& bytes)) {
  RC_ASSERT(!VcpuState::decode(std::as_bytes(std::span(bytes))).has_value());
}

}  // namespace
}  // namespace guestproof::kvm
