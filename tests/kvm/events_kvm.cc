// What passes between guest and host without an exit: eventfds in, eventfds out, coalesced writes,
// interrupts.
#include <errno.h>

#include "kvm/guest.h"

namespace guestproof::kvm {
namespace {

class EventsKvm : public GuestTest {
 protected:
  EventFd event = value_of(EventFd::create());
};

class IoeventfdKvm : public EventsKvm {
 protected:
  void SetUp() override { GUESTPROOF_REQUIRE(has(Capability::kIoeventfd), "KVM_CAP_IOEVENTFD"); }
};

TEST_F(IoeventfdKvm, AWriteSignalsAndDoesNotExit) {
  boot(Program().store(4, kDevice, 1).store(4, kDevice, 2).done());
  ASSERT_OK(vm.register_ioeventfd(event, IoEvent::mmio(kDevice).of_length(4)));
  run_to_done();
  EXPECT_EQ(event.take(), 2U);
}

TEST_F(IoeventfdKvm, WithADatamatchOnlyThatValueSignals) {
  boot(Program().store(4, kDevice, 5).store(4, kDevice, 6).done());
  ASSERT_OK(vm.register_ioeventfd(event, IoEvent::mmio(kDevice).matching(std::uint32_t{5})));
  const auto other = run_to<MmioWrite>();
  EXPECT_EQ(little(other.data()), 6U);
  run_to_done();
  EXPECT_EQ(event.take(), 1U);
}

TEST_F(IoeventfdKvm, AWriteOfAnotherWidthThanTheDatamatchExits) {
  boot(Program().store(2, kDevice, 5).done());
  ASSERT_OK(vm.register_ioeventfd(event, IoEvent::mmio(kDevice).matching(std::uint32_t{5})));
  EXPECT_EQ(run_to<MmioWrite>().length, 2U);
  EXPECT_EQ(event.take(), std::nullopt);
}

TEST_F(IoeventfdKvm, SeveralValuesAtOneAddressHaveTheirOwnEvents) {
  const auto second = value_of(EventFd::create());
  boot(Program().store(2, kDevice, 1).store(2, kDevice, 2).store(2, kDevice, 2).done());
  ASSERT_OK(vm.register_ioeventfd(event, IoEvent::mmio(kDevice).matching(std::uint16_t{1})));
  ASSERT_OK(vm.register_ioeventfd(second, IoEvent::mmio(kDevice).matching(std::uint16_t{2})));
  run_to_done();
  EXPECT_EQ(event.take(), 1U);
  EXPECT_EQ(second.take(), 2U);
}

TEST_F(IoeventfdKvm, OfAnyLengthEveryWriteSignals) {
  GUESTPROOF_REQUIRE(has(Capability::kIoeventfdAnyLength), "KVM_CAP_IOEVENTFD_ANY_LENGTH");
  boot(Program().store(1, kDevice, 1).store(2, kDevice, 1).store(4, kDevice, 1).done());
  ASSERT_OK(vm.register_ioeventfd(event, IoEvent::mmio(kDevice)));
  run_to_done();
  EXPECT_EQ(event.take(), 3U);
}

TEST_F(IoeventfdKvm, UnregisteredItExitsAgain) {
  boot(Program().store(4, kDevice, 1).done());
  const auto io = IoEvent::mmio(kDevice).of_length(4);
  ASSERT_OK(vm.register_ioeventfd(event, io));
  ASSERT_OK(vm.unregister_ioeventfd(event, io));
  EXPECT_EQ(run_to<MmioWrite>().address, kDevice);
  EXPECT_TRUE(refused(vm.unregister_ioeventfd(event, io), Ioctl::kIoeventfd, ENOENT));
}

TEST_F(IoeventfdKvm, TwoForTheSameAccessAreRefused) {
  const auto second = value_of(EventFd::create());
  ASSERT_OK(vm.register_ioeventfd(event, IoEvent::mmio(kDevice).of_length(4)));
  EXPECT_TRUE(refused(vm.register_ioeventfd(second, IoEvent::mmio(kDevice).of_length(4)),
                      Ioctl::kIoeventfd, EEXIST));
}

TEST_F(IoeventfdKvm, ALengthThatNoAccessHasIsRefusedBeforeTheKernelSeesIt) {
  EXPECT_EQ(vm.register_ioeventfd(event, IoEvent::mmio(kDevice).of_length(3)).error(),
            Error(CallError::kDatamatch, 3, 8));
}

class CoalescedKvm : public EventsKvm {
 protected:
  void SetUp() override {
    GUESTPROOF_REQUIRE(has(Capability::kCoalescedMmio), "KVM_CAP_COALESCED_MMIO");
  }
};

TEST_F(CoalescedKvm, WritesAreQueuedInOrderUntilAnotherExit) {
  boot(Program().store(4, kDevice, 0x11).store(1, kDevice + 8, 0x22).done());
  ASSERT_OK(vm.register_coalesced_mmio({.address = kDevice, .size = 16}));
  run_to_done();
  const auto ring = value_of(vcpu->coalesced_ring());
  const auto first = value_of(ring.take());
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->address, kDevice);
  EXPECT_EQ(first->length, 4U);
  EXPECT_EQ(little(first->data()), 0x11U);
  const auto second = value_of(ring.take());
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->address, kDevice + 8);
  EXPECT_EQ(second->length, 1U);
  EXPECT_EQ(value_of(ring.take()), std::nullopt);
}

TEST_F(CoalescedKvm, AFullRingLetsTheNextWriteExit) {
  Program program;
  for (std::uint32_t i = 0; i < 400; ++i) program.store(4, kDevice, i);
  boot(program.done());
  ASSERT_OK(vm.register_coalesced_mmio({.address = kDevice, .size = 4}));
  const auto exit = run_to<MmioWrite>();
  EXPECT_EQ(exit.address, kDevice);
  const auto ring = value_of(vcpu->coalesced_ring());
  std::uint32_t next = 0;
  for (auto write = value_of(ring.take()); write; write = value_of(ring.take()))
    EXPECT_EQ(little(write->data()), next++);
  // Kernels before 6.11 count the free places wrongly and call a half-full ring full.
  EXPECT_GT(next, 1U);
  EXPECT_LT(next, ring.capacity());
  EXPECT_EQ(little(exit.data()), next);
}

TEST_F(CoalescedKvm, UnregisteredAZonesWritesExit) {
  boot(Program().store(4, kDevice, 1).done());
  const CoalescedZone zone{.address = kDevice, .size = 16};
  ASSERT_OK(vm.register_coalesced_mmio(zone));
  ASSERT_OK(vm.unregister_coalesced_mmio(zone));
  EXPECT_EQ(run_to<MmioWrite>().address, kDevice);
}

#if defined(__x86_64__)

TEST_F(IoeventfdKvm, APortSignals) {
  boot(Program().raw<std::uint8_t>({0xe6, 0x80, 0xe6, 0x81, 0xf4}));  // out al; out al; hlt
  ASSERT_OK(vm.register_ioeventfd(event, IoEvent::pio(0x80).of_length(1)));
  EXPECT_EQ(run_to<IoOut>().port, 0x81);
  EXPECT_EQ(event.take(), 1U);
}

TEST_F(CoalescedKvm, PortWritesAreQueuedAsSuch) {
  GUESTPROOF_REQUIRE(has(Capability::kCoalescedPio), "KVM_CAP_COALESCED_PIO");
  boot(Program().raw<std::uint8_t>({0xe6, 0x80, 0xf4}));
  ASSERT_OK(vm.register_coalesced_mmio({.address = 0x80, .size = 1, .pio = true}));
  (void)run_to<Hlt>();
  const auto write = value_of(value_of(vcpu->coalesced_ring()).take());
  ASSERT_TRUE(write.has_value());
  EXPECT_TRUE(write->pio);
  EXPECT_EQ(write->address, 0x80U);
}

/// With PICs, IOAPIC and a local APIC inside KVM.
class InterruptsKvm : public EventsKvm {
 protected:
  static constexpr std::uint32_t kLine = 5;
  static constexpr std::uint8_t kLineBit = 1 << kLine;
  static constexpr std::uint8_t kVector = 0x51;

  InterruptsKvm() { EXPECT_OK(vm.create_irqchip()); }
  void boot_with_apic(const Program& program) {
    boot(program);
    auto lapic = value_of(vcpu->get_lapic());
    lapic.regs[0xf1] |= 1;  // software-enabled: the spurious vector register's bit 8
    ASSERT_OK(vcpu->set_lapic(lapic));
  }
  /// The lines of the master PIC that are level-triggered, and those that are masked: sets of bits.
  void set_pic(std::uint8_t level, std::uint8_t masked) const {
    auto pic = value_of(vm.get_irqchip(KVM_IRQCHIP_PIC_MASTER));
    pic.chip.pic.elcr = level;
    pic.chip.pic.imr = masked;
    ASSERT_OK(vm.set_irqchip(pic));
  }
  /// The line waits at the master PIC.
  [[nodiscard]] bool is_raised(std::uint32_t line) const {
    const auto pic = value_of(vm.get_irqchip(KVM_IRQCHIP_PIC_MASTER));
    return (pic.chip.pic.irr >> line & 1) != 0;
  }
  /// The vector waits at the local APIC.
  [[nodiscard]] bool is_requested(std::uint8_t vector) const {
    const auto lapic = value_of(vcpu->get_lapic());
    return (lapic.regs[0x200 + vector / 32 * 16 + vector % 32 / 8] >> vector % 8 & 1) != 0;
  }
  [[nodiscard]] static kvm_msi message() {
    kvm_msi msi{};
    msi.address_lo = 0xfee00000;
    msi.data = kVector;
    return msi;
  }
};

TEST_F(InterruptsKvm, ALineIsRaisedAndLowered) {
  set_pic(kLineBit, 0);  // an edge would be remembered
  ASSERT_OK(vm.set_irq_line(kLine, true));
  EXPECT_TRUE(is_raised(kLine));
  EXPECT_FALSE(is_raised(kLine - 1));
  ASSERT_OK(vm.set_irq_line(kLine, false));
  EXPECT_FALSE(is_raised(kLine));
}

TEST_F(InterruptsKvm, RaisingALineSaysWhatBecameOfIt) {
  boot_with_apic(Program().done());
  EXPECT_GT(value_of(vm.set_irq_line_status(kLine, true)), 0);
  EXPECT_TRUE(is_raised(kLine));
  // The guest has not taken the first edge when the second comes.
  (void)value_of(vm.set_irq_line_status(kLine, false));
  EXPECT_EQ(value_of(vm.set_irq_line_status(kLine, true)), 0);
  (void)value_of(vm.set_irq_line_status(kLine, false));
  set_pic(0, kLineBit);
  EXPECT_LT(value_of(vm.set_irq_line_status(kLine, true)), 0);
}

TEST_F(InterruptsKvm, ALevelWithAStatusIsRaisedAndLowered) {
  set_pic(kLineBit, 0);
  EXPECT_GT(value_of(vm.set_irq_line_status(kLine, true)), 0);
  EXPECT_TRUE(is_raised(kLine));
  (void)value_of(vm.set_irq_line_status(kLine, false));
  EXPECT_FALSE(is_raised(kLine));
}

TEST_F(InterruptsKvm, AnEventfdRaisesALine) {
  boot_with_apic(Program().done());
  ASSERT_OK(vm.register_irqfd(event, kLine));
  event.notify();
  EXPECT_TRUE(eventually([&] { return is_raised(kLine); }));
}

TEST_F(InterruptsKvm, AnUnregisteredEventfdRaisesNothing) {
  boot_with_apic(Program().done());
  ASSERT_OK(vm.register_irqfd(event, kLine));
  ASSERT_OK(vm.unregister_irqfd(event, kLine));
  event.notify();
  EXPECT_EQ(event.take(), 1U);  // nobody else took it
  EXPECT_FALSE(is_raised(kLine));
}

TEST_F(InterruptsKvm, OneEventfdForTwoLinesIsRefused) {
  ASSERT_OK(vm.register_irqfd(event, kLine));
  EXPECT_TRUE(refused(vm.register_irqfd(event, kLine + 1), Ioctl::kIrqfd, EBUSY));
}

TEST_F(InterruptsKvm, TheEndOfALevelInterruptIsToldToTheHost) {
  GUESTPROOF_REQUIRE(has(Capability::kIrqfdResample), "KVM_CAP_IRQFD_RESAMPLE");
  const auto resample = value_of(EventFd::create());
  // mov al, 0x20; out 0x20, al (end of interrupt); out 0x80, al
  boot_with_apic(Program().raw<std::uint8_t>({0xb0, 0x20, 0xe6, 0x20, 0xe6, 0x80, 0xf4}));
  // The state in which the processor has taken line 5 from the PIC.
  auto pic = value_of(vm.get_irqchip(KVM_IRQCHIP_PIC_MASTER));
  pic.chip.pic.isr = 1 << kLine;
  pic.chip.pic.irq_base = 0x20;
  pic.chip.pic.elcr = 1 << kLine;
  ASSERT_OK(vm.set_irqchip(pic));
  ASSERT_OK(vm.register_irqfd_with_resample(event, resample, kLine));
  (void)run_to<IoOut>();
  EXPECT_EQ(resample.take(), 1U);
}

TEST_F(InterruptsKvm, AMessageArrivesAtTheApic) {
  boot_with_apic(Program().done());
  EXPECT_TRUE(value_of(vm.signal_msi(message())));
  EXPECT_TRUE(is_requested(kVector));
}

TEST_F(InterruptsKvm, ARoutedMessageIsSentByAnEventfd) {
  boot_with_apic(Program().done());
  constexpr std::uint32_t kGsi = 40;
  const std::array routes{irqchip_route(kLine, KVM_IRQCHIP_PIC_MASTER, kLine),
                          msi_route(kGsi, 0xfee00000, kVector)};
  ASSERT_OK(vm.set_gsi_routing(value_of(IrqRouting::of(routes))));
  ASSERT_OK(vm.register_irqfd(event, kGsi));
  event.notify();
  EXPECT_TRUE(eventually([&] { return is_requested(kVector); }));
}

TEST_F(InterruptsKvm, MoreRoutesThanKvmHasAreRefused) {
  const auto most = static_cast<std::size_t>(value_of(vm.check_extension(Capability::kIrqRouting)));
  const auto too_many = std::min(most + 1, kIrqRoutingLimit + 1);
  auto routing = IrqRouting::zeroed(too_many);
  if (!routing)
    EXPECT_EQ(routing.error(), Error(CallError::kTooManyEntries, too_many, kIrqRoutingLimit));
  else
    EXPECT_TRUE(refused(vm.set_gsi_routing(*routing), Ioctl::kSetGsiRouting, EINVAL));
}

TEST_F(InterruptsKvm, ARouteToAPinThatThereIsNotIsRefused) {
  const std::array routes{irqchip_route(0, KVM_IRQCHIP_IOAPIC, 24)};
  EXPECT_TRUE(
      refused(vm.set_gsi_routing(value_of(IrqRouting::of(routes))), Ioctl::kSetGsiRouting, EINVAL));
}

TEST_F(InterruptsKvm, TheTimersStateIsWhatWasSet) {
  ASSERT_OK(vm.create_pit2(KVM_PIT_SPEAKER_DUMMY));
  auto pit = value_of(vm.get_pit2());
  pit.channels[2].count = 0x1234;
  ASSERT_OK(vm.set_pit2(pit));
  EXPECT_EQ(value_of(vm.get_pit2()).channels[2].count, 0x1234U);
}

TEST_F(InterruptsKvm, TicksThatWereMissedAreGivenLaterOrNot) {
  EXPECT_TRUE(refused(vm.set_pit_reinject(false), Ioctl::kReinjectControl, ENXIO));
  ASSERT_OK(vm.create_pit2());
  // KVM has no call that tells what was set, and no guest can see it for sure.
  EXPECT_OK(vm.set_pit_reinject(false));
}

TEST_F(InterruptsKvm, ASecondInterruptControllerIsRefused) {
  EXPECT_TRUE(refused(vm.create_irqchip(), Ioctl::kCreateIrqchip, EEXIST));
}

TEST_F(EventsKvm, AnInterruptIsInjectedWithoutAnInterruptController) {
  // sti; nop; loop — the interrupt's vector has no gate, so that taking it is a triple fault.
  boot(Program().raw<std::uint8_t>({0xfb, 0x90, 0xeb, 0xfe}));
  auto sregs = value_of(vcpu->get_sregs());
  sregs.idt.limit = 0;
  ASSERT_OK(vcpu->set_sregs(sregs));
  vcpu->page().request_interrupt_window(true);
  (void)run_to<IrqWindowOpen>();
  vcpu->page().request_interrupt_window(false);
  ASSERT_OK(vcpu->interrupt(0x30));
  (void)run_to<Shutdown>();
}

TEST_F(EventsKvm, AnNmiIsDelivered) {
  boot(Program().raw<std::uint8_t>({0xeb, 0xfe}));
  auto sregs = value_of(vcpu->get_sregs());
  sregs.idt.limit = 0;
  ASSERT_OK(vcpu->set_sregs(sregs));
  ASSERT_OK(vcpu->nmi());
  (void)run_to<Shutdown>();
}

TEST_F(EventsKvm, WithoutAControllerThereAreNoLines) {
  EXPECT_TRUE(refused(vm.set_irq_line(5, true), Ioctl::kIrqLine, ENXIO));
  EXPECT_TRUE(refused(vm.get_irqchip(0), Ioctl::kGetIrqchip, ENXIO));
}

#endif

}  // namespace
}  // namespace guestproof::kvm
