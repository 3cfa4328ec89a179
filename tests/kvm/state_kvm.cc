// Snapshots: a guest that is interrupted half way goes on in a new machine, from bytes. What is
// saved has no value that a new vCPU has by itself, so that nothing can stay behind unseen.
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "guestproof/kvm/state.h"
#include "kvm/guest.h"

namespace guestproof::kvm {
namespace {

/// Parts of a state by name, as bytes.
using Parts = std::map<std::string, std::vector<std::byte>>;
using Names = std::set<std::string>;

template <class T>
void add(Parts& parts, const std::string& name, const T& part) {
  const auto bytes = std::as_bytes(std::span(&part, 1));
  parts[name].assign(bytes.begin(), bytes.end());
}
template <class T>
void add(Parts& parts, const std::string& name, const std::optional<T>& part) {
  if (part) add(parts, name, *part);
}

std::string named(const std::string& kind, std::uint64_t number) {
  std::ostringstream name;
  name << kind << " 0x" << std::hex << number;
  return name.str();
}

#if defined(__x86_64__)

std::string msr_name(std::uint32_t index) { return named("MSR", index); }

Parts parts_of(const VcpuState& state) {
  Parts parts;
  const auto cpuid = state.cpuid.bytes();
  parts["cpuid"].assign(cpuid.begin(), cpuid.end());
  add(parts, "tsc_khz", state.tsc_khz);
  add(parts, "sregs", state.sregs);
  add(parts, "regs", state.regs);
  add(parts, "xcrs", state.xcrs);
  const auto xsave = std::as_bytes(std::span(state.xsave.words));
  parts["xsave"].assign(xsave.begin(), xsave.end());
  add(parts, "debugregs", state.debugregs);
  for (const auto& msr : state.msrs) add(parts, msr_name(msr.index), msr.data);
  add(parts, "events", state.events);
  add(parts, "mp_state", state.mp_state);
  add(parts, "lapic", state.lapic);
  if (state.nested) {
    const auto nested = state.nested->bytes();
    parts["nested"].assign(nested.begin(), nested.end());
  }
  return parts;
}

Parts parts_of(const VmState& state) {
  Parts parts;
  add(parts, "pic_master", state.pic_master);
  add(parts, "pic_slave", state.pic_slave);
  add(parts, "ioapic", state.ioapic);
  if (auto pit = state.pit) {
    for (auto& channel : pit->channels) channel.count_load_time = 0;  // the new machine's own
    add(parts, "pit", *pit);
  }
  return parts;  // the clock goes on
}

/// The TSC, and Hyper-V's run time and reference time.
const Names kCountsTime{msr_name(0x10), msr_name(0x40000010), msr_name(0x40000020)};

#else

std::string register_name(std::uint64_t id) { return named("register", id); }

Parts parts_of(const VcpuState& state) {
  Parts parts;
  for (const auto& one : state.registers) parts[register_name(one.id)] = one.value;
  add(parts, "mp_state", state.mp_state);
#if defined(__aarch64__)
  add(parts, "events", state.events);
  add(parts, "target", state.target);
#endif
  return parts;
}

#if defined(__aarch64__)
const Names kCountsTime{register_name(KVM_REG_ARM_TIMER_CNT),
                        register_name(KVM_REG_ARM_PTIMER_CNT)};
#else
const Names kCountsTime{register_name(KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_TIMER |
                                      KVM_REG_RISCV_TIMER_REG(time))};
#endif

#endif

/// The names of the parts that are not the same, or that only one of the two has.
template <class State>
Names differences(const State& a, const State& b) {
  const auto left = parts_of(a);
  const auto right = parts_of(b);
  Names names;
  const auto compare = [&names](const Parts& from, const Parts& with) {
    for (const auto& [name, bytes] : from)
      if (const auto other = with.find(name); other == with.end() || other->second != bytes)
        names.insert(name);
  };
  compare(left, right);
  compare(right, left);
  return names;
}

Names without(Names names, const Names& others) {
  std::erase_if(names, [&](const auto& name) { return others.contains(name); });
  return names;
}

class StateKvm : public GuestTest {
 protected:
  [[nodiscard]] Result<VcpuState> save(const Vcpu& from) const {
#if defined(__x86_64__)
    return save_vcpu(from, state_msrs(value_of(kvm.msr_index_list())));
#elif defined(__aarch64__)
    return save_vcpu(from, value_of(vm.preferred_target()));
#else
    return save_vcpu(from);
#endif
  }
};

TEST_F(StateKvm, ExecutionGoesOnInANewMachine) {
  boot(Program().load(4, kDevice).done().store_loaded(4, kRam + 0x4000).done());
#if defined(__x86_64__)
  ASSERT_OK(vcpu->set_cpuid2(value_of(kvm.supported_cpuid())));
#endif
  vcpu->page().data(run_to<MmioRead>()).store<std::uint32_t>(0, 0xcafe4321);
  run_to_done();
  // An exit is finished at the next run, which must not go further.
  vcpu->page().request_exit(true);
  (void)run_to<Intr>();
  const auto bytes = value_of(save(*vcpu)).encode();

  auto other = value_of(kvm.create_vm());
  ASSERT_OK(other.map(*ram));
  auto continued = value_of(other.create_vcpu(0));
  ASSERT_OK(restore_vcpu(continued, value_of(VcpuState::decode(bytes))));
  const auto exit = run(continued);
  ASSERT_TRUE(std::holds_alternative<MmioWrite>(exit)) << exit.index();
  EXPECT_EQ(std::get<MmioWrite>(exit).address, kDone);
  EXPECT_EQ(word(0x4000), 0xcafe4321U);
}

#if defined(__x86_64__)

void set_msr(const Vcpu& cpu, std::uint32_t index, std::uint64_t value) {
  const std::array entries{kvm_msr_entry{.index = index, .reserved = 0, .data = value}};
  EXPECT_OK(cpu.set_msrs(value_of(Msrs::of(entries))));
}

/// Gives every part a value that a new vCPU has not.
Names change(const Vcpu& cpu) {
  auto sregs = value_of(cpu.get_sregs());
  sregs.cr2 = 0xdead0000;
  sregs.gs.base = 0x4000;
  EXPECT_OK(cpu.set_sregs(sregs));
  auto regs = value_of(cpu.get_regs());
  regs.rax = 0x1122334455667788;
  regs.r15 = 15;
  EXPECT_OK(cpu.set_regs(regs));
  auto xcrs = value_of(cpu.get_xcrs());
  xcrs.xcrs[0].value = 3;  // x87 and SSE
  EXPECT_OK(cpu.set_xcrs(xcrs));
  auto xsave = value_of(cpu.get_xsave2());
  // SDM volume 1, 13.4: XMM1 lies at byte 176; bit 1 of the header at byte 512 says it is in use.
  xsave.words[512 / 4] |= 2;
  xsave.words[176 / 4] = 0x12345678;
  EXPECT_OK(cpu.set_xsave(xsave));
  auto debugregs = value_of(cpu.get_debugregs());
  for (std::size_t i = 0; i < std::size(debugregs.db); ++i) debugregs.db[i] = 0x1000 * (i + 1);
  debugregs.dr7 |= 1;  // the first is on
  EXPECT_OK(cpu.set_debugregs(debugregs));
  auto lapic = value_of(cpu.get_lapic());
  lapic.regs[0x320] = 0x77;  // the timer's vector
  EXPECT_OK(cpu.set_lapic(lapic));
  auto events = value_of(cpu.get_vcpu_events());
  events.nmi.pending = 1;
  EXPECT_OK(cpu.set_vcpu_events(events));
  EXPECT_OK(cpu.set_mp_state({.mp_state = KVM_MP_STATE_HALTED}));
  Names changed{"sregs", "regs", "xcrs", "xsave", "debugregs", "lapic", "events", "mp_state"};
  // SYSENTER_EIP, PAT, STAR, LSTAR, KERNEL_GS_BASE
  for (const std::uint32_t index : {0x176U, 0x277U, 0xc0000081U, 0xc0000082U, 0xc0000102U}) {
    set_msr(cpu, index, 0x0004'0506);
    changed.insert(msr_name(index));
  }
  // What KVM does not list: memory types, a machine check bank.
  set_msr(cpu, 0x2ff, 0xc06);
  set_msr(cpu, 0x405, 0x8000'0000'0000'0005);
  changed.insert({msr_name(0x2ff), msr_name(0x405)});
  return changed;
}

/// As a hypervisor leaves an AMD processor in which it is about to run a guest: SVM is on, global
/// interrupts are off. Nothing, where the processor is another or guests have no SVM.
Names change_nested(const Vcpu& cpu) {
  auto nested = cpu.get_nested_state();
  if (!nested || nested->header().format != KVM_STATE_NESTED_FORMAT_SVM) return {};
  constexpr std::uint64_t kSvme = 1 << 12;
  auto sregs = value_of(cpu.get_sregs());
  sregs.efer |= kSvme;
  if (!cpu.set_sregs(sregs)) return {};
  std::vector<std::byte> bytes(nested->bytes().begin(), nested->bytes().end());
  auto header = nested->header();
  header.flags &= static_cast<std::uint16_t>(~KVM_STATE_NESTED_GIF_SET);
  std::memcpy(bytes.data(), &header, offsetof(kvm_nested_state, hdr));
  EXPECT_OK(cpu.set_nested_state(value_of(NestedState::from_bytes(bytes))));
  return {"nested"};
}

TEST_F(StateKvm, WhatWasRestoredIsSavedAgainAsTheSameBytes) {
  const auto cpuid = value_of(kvm.supported_cpuid());
  ASSERT_OK(vm.create_irqchip());
  boot(Program().done());
  ASSERT_OK(vcpu->set_cpuid2(cpuid));
  auto changed = change(*vcpu);
  changed.merge(change_nested(*vcpu));
  if (has(Capability::kTscControl)) {
    ASSERT_OK(vcpu->set_tsc_khz(value_of(vcpu->get_tsc_khz()) / 2));
    changed.insert("tsc_khz");
  }
  auto first = value_of(save(*vcpu));

  auto other = value_of(kvm.create_vm());
  ASSERT_OK(other.create_irqchip());
  auto copy = value_of(other.create_vcpu(0));
  EXPECT_TRUE(differences(value_of(save(copy)), first).contains("cpuid"));
  ASSERT_OK(copy.set_cpuid2(cpuid));
  EXPECT_EQ(without(changed, differences(value_of(save(copy)), first)), Names{}) << "not changed";

  ASSERT_OK(restore_vcpu(copy, first));
  auto second = value_of(save(copy));
  EXPECT_EQ(without(differences(second, first), kCountsTime), Names{});
  const auto counts_time = [](const kvm_msr_entry& msr) {
    return kCountsTime.contains(msr_name(msr.index));
  };
  std::erase_if(first.msrs, counts_time);
  std::erase_if(second.msrs, counts_time);
  EXPECT_EQ(second.encode(), first.encode());
}

TEST_F(StateKvm, WhatAProcessorIsGoesOver) {
  boot(Program().done());
  ASSERT_OK(vcpu->set_cpuid2(value_of(kvm.supported_cpuid())));
  const auto state = value_of(save(*vcpu));
  const auto other = value_of(kvm.create_vm());
  const auto copy = value_of(other.create_vcpu(0));
  ASSERT_OK(restore_vcpu(copy, state));
  EXPECT_FALSE(differences(value_of(save(copy)), state).contains("cpuid"));
}

TEST_F(StateKvm, WhatAMachineKeepsOfAPcGoesOverToANewOne) {
  constexpr std::uint64_t kHour = 3'600'000'000'000;
  ASSERT_OK(vm.create_irqchip());
  ASSERT_OK(vm.create_pit2());
  auto pic = value_of(vm.get_irqchip(KVM_IRQCHIP_PIC_MASTER));
  pic.chip.pic.imr = 0x5a;
  ASSERT_OK(vm.set_irqchip(pic));
  pic = value_of(vm.get_irqchip(KVM_IRQCHIP_PIC_SLAVE));
  pic.chip.pic.imr = 0xa5;
  ASSERT_OK(vm.set_irqchip(pic));
  auto ioapic = value_of(vm.get_irqchip(KVM_IRQCHIP_IOAPIC));
  ioapic.chip.ioapic.redirtbl[3].fields.vector = 0x33;
  ASSERT_OK(vm.set_irqchip(ioapic));
  auto pit = value_of(vm.get_pit2());
  pit.channels[2].count = 0x1234;
  ASSERT_OK(vm.set_pit2(pit));
  kvm_clock_data clock{};
  clock.clock = kHour;
  ASSERT_OK(vm.set_clock(clock));
  const auto state = value_of(save_vm(vm));
  ASSERT_TRUE(state.clock.has_value());
  EXPECT_GE(state.clock->clock, kHour);

  const auto other = value_of(kvm.create_vm());
  ASSERT_OK(other.create_irqchip());
  ASSERT_OK(other.create_pit2());
  const Names all{"pic_master", "pic_slave", "ioapic", "pit"};
  EXPECT_EQ(differences(value_of(save_vm(other)), state), all);
  EXPECT_LT(value_of(other.get_clock()).clock, kHour);

  ASSERT_OK(restore_vm(other, value_of(VmState::decode(state.encode()))));
  EXPECT_EQ(differences(value_of(save_vm(other)), state), Names{});
  const auto now = value_of(other.get_clock()).clock;
  EXPECT_GE(now, state.clock->clock);
  EXPECT_LT(now, state.clock->clock + kHour / 60);
}

TEST_F(StateKvm, AMachineWithoutAControllerHasNone) {
  const auto state = value_of(save_vm(vm));
  EXPECT_FALSE(state.pic_master.has_value());
  EXPECT_FALSE(state.pit.has_value());
  EXPECT_TRUE(state.clock.has_value());
}

TEST_F(StateKvm, ALocalApicGoesOver) {
  ASSERT_OK(vm.create_irqchip());
  boot(Program().done());
  auto lapic = value_of(vcpu->get_lapic());
  lapic.regs[0xf1] |= 1;
  ASSERT_OK(vcpu->set_lapic(lapic));
  const auto state = value_of(save(*vcpu));
  ASSERT_TRUE(state.lapic.has_value());

  const auto other = value_of(kvm.create_vm());
  ASSERT_OK(other.create_irqchip());
  const auto copy = value_of(other.create_vcpu(0));
  ASSERT_OK(restore_vcpu(copy, state));
  EXPECT_EQ(value_of(copy.get_lapic()).regs[0xf1] & 1, 1);
}

#else

/// Gives registers of each kind a value that a new vCPU has not.
Names change(const Vcpu& cpu) {
#if defined(__aarch64__)
  const std::array registers{
      core_register(offsetof(kvm_regs, regs.regs) + 5 * sizeof(std::uint64_t)),
      core_register(offsetof(kvm_regs, sp_el1)),
      core_register(offsetof(kvm_regs, elr_el1)),
      std::uint64_t{ARM64_SYS_REG(3, 0, 13, 0, 4)},  // TPIDR_EL1
      std::uint64_t{ARM64_SYS_REG(3, 0, 12, 0, 0)},  // VBAR_EL1
      std::uint64_t{KVM_REG_ARM_TIMER_CVAL},
  };
#else
  constexpr std::uint64_t kKind = KVM_REG_RISCV | KVM_REG_SIZE_U64;
  const std::array registers{
      kKind | KVM_REG_RISCV_CORE | KVM_REG_RISCV_CORE_REG(regs.s2),
      kKind | KVM_REG_RISCV_CSR | KVM_REG_RISCV_CSR_REG(sscratch),
      kKind | KVM_REG_RISCV_CSR | KVM_REG_RISCV_CSR_REG(scause),
      kKind | KVM_REG_RISCV_FP_D | KVM_REG_RISCV_FP_D_REG(f[0]),
  };
#endif
  Names changed{"mp_state"};
  for (const std::uint64_t id : registers) {
    EXPECT_OK(cpu.set_one_reg(id, std::uint64_t{0x1234'5678'9abc'd800}));
    changed.insert(register_name(id));
  }
#if defined(__aarch64__)
  constexpr std::uint64_t kV0 = KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE |
                                offsetof(kvm_regs, fp_regs.vregs) / sizeof(std::uint32_t);
  const std::array<std::uint64_t, 2> vector{1, 2};
  EXPECT_OK(cpu.set_one_reg(kV0, std::as_bytes(std::span(vector))));
  kvm_vcpu_events events{};
  events.exception.serror_pending = 1;
  EXPECT_OK(cpu.set_vcpu_events(events));
  changed.merge(Names{register_name(kV0), "events"});
#endif
  EXPECT_OK(cpu.set_mp_state({.mp_state = KVM_MP_STATE_STOPPED}));
  return changed;
}

TEST_F(StateKvm, WhatWasRestoredIsSavedAgainAsTheSameBytes) {
  boot(Program().done());
  const auto changed = change(*vcpu);
  const auto first = value_of(save(*vcpu));
  auto other = value_of(kvm.create_vm());
  auto copy = value_of(other.create_vcpu(0));
  reset(copy);
  EXPECT_EQ(without(changed, differences(value_of(save(copy)), first)), Names{}) << "not changed";

  ASSERT_OK(restore_vcpu(copy, first));
  EXPECT_EQ(without(differences(value_of(save(copy)), first), kCountsTime), Names{});
}

#if defined(__aarch64__)
TEST_F(StateKvm, HowLongVectorsAreGoesOver) {
  GUESTPROOF_REQUIRE(has(Capability::kArmSve), "KVM_CAP_ARM_SVE");
  constexpr std::uint64_t kZ0 = KVM_REG_ARM64_SVE_ZREG(0, 0);
  const std::array<std::uint64_t, KVM_ARM64_SVE_VLS_WORDS> only_128_bits{1};
  std::array<std::uint64_t, 32> z0{0x1111, 0x2222};  // no more of it is there
  auto target = value_of(vm.preferred_target());
  target.features[0] |= 1U << KVM_ARM_VCPU_SVE;
  vcpu.emplace(value_of(vm.create_vcpu(0)));
  ASSERT_OK(vcpu->init(target));
  auto lengths = only_128_bits;
  ASSERT_OK(vcpu->get_one_reg(KVM_REG_ARM64_SVE_VLS, std::as_writable_bytes(std::span(lengths))));
  GUESTPROOF_REQUIRE(lengths != only_128_bits, "SVE with more than one vector length");
  ASSERT_OK(vcpu->set_one_reg(KVM_REG_ARM64_SVE_VLS, std::as_bytes(std::span(only_128_bits))));
  ASSERT_OK(vcpu->finalize(KVM_ARM_VCPU_SVE));
  ASSERT_OK(vcpu->set_one_reg(kZ0, std::as_bytes(std::span(z0))));
  const auto state = value_of(save_vcpu(*vcpu, target));

  const auto other = value_of(kvm.create_vm());
  const auto copy = value_of(other.create_vcpu(0));
  ASSERT_OK(restore_vcpu(copy, state));
  ASSERT_OK(copy.get_one_reg(KVM_REG_ARM64_SVE_VLS, std::as_writable_bytes(std::span(lengths))));
  EXPECT_EQ(lengths, only_128_bits);
  z0 = {};
  ASSERT_OK(copy.get_one_reg(kZ0, std::as_writable_bytes(std::span(z0))));
  EXPECT_EQ(z0[1], 0x2222U);
  EXPECT_EQ(without(differences(value_of(save_vcpu(copy, target)), state), kCountsTime), Names{});
}
#endif
#endif

}  // namespace
}  // namespace guestproof::kvm
