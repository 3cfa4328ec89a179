// Snapshots: a guest that is interrupted half way goes on in a new machine, from bytes.
#include "guestproof/kvm/state.h"
#include "kvm/guest.h"

namespace guestproof::kvm {
namespace {

class StateKvm : public GuestTest {
 protected:
  [[nodiscard]] Result<VcpuState> save(const Vcpu& from) const {
#if defined(__x86_64__)
    return save_vcpu(from, value_of(kvm.msr_index_list()));
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

TEST_F(StateKvm, WhatWasRestoredIsSavedAgainAsTheSameBytes) {
  boot(Program().done());
#if defined(__x86_64__)
  ASSERT_OK(vcpu->set_cpuid2(value_of(kvm.supported_cpuid())));
#endif
  auto first = value_of(save(*vcpu));
  auto other = value_of(kvm.create_vm());
  auto copy = value_of(other.create_vcpu(0));
  ASSERT_OK(restore_vcpu(copy, first));
  auto second = value_of(save(copy));
#if defined(__x86_64__)
  // Time goes on; what counts it differs: the TSC, and Hyper-V's run time and reference time.
  const auto counts_time = [](const kvm_msr_entry& msr) {
    return msr.index == 0x10 || msr.index == 0x40000010 || msr.index == 0x40000020;
  };
  std::erase_if(first.msrs, counts_time);
  std::erase_if(second.msrs, counts_time);
  EXPECT_EQ(second.encode(), first.encode());
#else
  ASSERT_EQ(second.registers.size(), first.registers.size());
  std::size_t differ = 0;
  for (std::size_t i = 0; i < first.registers.size(); ++i)
    differ += first.registers[i] != second.registers[i];
  EXPECT_LE(differ, 3U);  // counters and the time
#endif
}

#if defined(__x86_64__)
TEST_F(StateKvm, WhatAMachineKeepsOfAPcGoesOverToANewOne) {
  ASSERT_OK(vm.create_irqchip());
  ASSERT_OK(vm.create_pit2());
  auto pic = value_of(vm.get_irqchip(KVM_IRQCHIP_PIC_MASTER));
  pic.chip.pic.imr = 0x5a;
  ASSERT_OK(vm.set_irqchip(pic));
  const auto bytes = value_of(save_vm(vm)).encode();

  const auto other = value_of(kvm.create_vm());
  ASSERT_OK(other.create_irqchip());
  ASSERT_OK(other.create_pit2());
  ASSERT_OK(restore_vm(other, value_of(VmState::decode(bytes))));
  EXPECT_EQ(value_of(other.get_irqchip(KVM_IRQCHIP_PIC_MASTER)).chip.pic.imr, 0x5a);
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
#endif

}  // namespace
}  // namespace guestproof::kvm
