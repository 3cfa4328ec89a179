// Saved state as bytes. The files in golden/ were written by the version in their names and are
// read for ever; GUESTPROOF_WRITE_GOLDEN=1 writes those that are missing.
#include "guestproof/kvm/state.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "kvm/fake_kvm.h"
#include "print.h"

namespace guestproof::kvm {
namespace {

using Bytes = std::vector<std::byte>;

#if defined(__x86_64__)
constexpr const char* kArchitecture = "x86_64";
constexpr std::uint16_t kMachine = 62;
#elif defined(__aarch64__)
constexpr const char* kArchitecture = "aarch64";
constexpr std::uint16_t kMachine = 183;
#else
constexpr const char* kArchitecture = "riscv64";
constexpr std::uint16_t kMachine = 243;
#endif

/// Bytes that differ from their neighbours, so that a field in the wrong place shows.
template <class T>
T pattern(unsigned seed) {
  std::array<std::byte, sizeof(T)> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(seed + 7 * i);
  return std::bit_cast<T>(bytes);
}

template <class T>
T value_of(Result<T> result) {
  EXPECT_TRUE(result.has_value()) << result.error().message();
  return std::move(*result);
}

VcpuState vcpu_state() {
  VcpuState state;
#if defined(__x86_64__)
  const std::array leaves{pattern<kvm_cpuid_entry2>(1), pattern<kvm_cpuid_entry2>(2)};
  state.cpuid = value_of(CpuId::of(leaves));
  state.tsc_khz = 2'400'000;
  state.sregs = pattern<kvm_sregs>(3);
  state.regs = pattern<kvm_regs>(4);
  state.xcrs = pattern<kvm_xcrs>(5);
  state.xsave.words.assign(1024, 0x06060606);
  state.debugregs = pattern<kvm_debugregs>(7);
  state.msrs = {pattern<kvm_msr_entry>(8), pattern<kvm_msr_entry>(9), pattern<kvm_msr_entry>(10)};
  state.events = pattern<kvm_vcpu_events>(11);
  state.mp_state = {.mp_state = KVM_MP_STATE_HALTED};
  state.lapic = pattern<kvm_lapic_state>(12);
  auto nested = pattern<std::array<std::byte, 160>>(13);
  const std::uint32_t size = 160;
  std::memcpy(nested.data() + 4, &size, sizeof size);
  state.nested = value_of(NestedState::from_bytes(nested));
#else
  state.mp_state = {.mp_state = KVM_MP_STATE_STOPPED};
  const auto word = pattern<std::array<std::byte, 8>>(14);
  const auto vector = pattern<std::array<std::byte, 16>>(15);
  state.registers = {{KVM_REG_SIZE_U8 | 0x11, {std::byte{0x5a}}},
                     {KVM_REG_SIZE_U64 | 0x22, {word.begin(), word.end()}},
                     {KVM_REG_SIZE_U128 | 0x33, {vector.begin(), vector.end()}}};
#if defined(__aarch64__)
  state.target = pattern<kvm_vcpu_init>(16);
  state.events = pattern<kvm_vcpu_events>(17);
#endif
#endif
  return state;
}

Bytes golden(const std::string& name, const Bytes& current) {
  const std::filesystem::path path = std::filesystem::path(GUESTPROOF_CORPUS) /
                                     "../tests/kvm/golden" / (name + "_" + kArchitecture + "_v1");
  if (std::getenv("GUESTPROOF_WRITE_GOLDEN") != nullptr && !std::filesystem::exists(path))
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(current.data()),
               static_cast<std::streamsize>(current.size()));
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

TEST(VcpuStateGolden, WhatVersionOneWroteIsRead) {
  const auto state = vcpu_state();
  const auto bytes = golden("vcpu", state.encode());
  EXPECT_EQ(value_of(VcpuState::decode(bytes)).encode(), state.encode());
  EXPECT_EQ(bytes, state.encode());
}

/// A state that holds what it must, as bytes to be changed.
class VcpuStateTest : public testing::Test {
 protected:
  [[nodiscard]] Error refusal() const {
    const auto state = VcpuState::decode(bytes_);
    EXPECT_FALSE(state.has_value());
    return state ? Error(StateError::kBytes) : state.error();
  }
  void put(std::size_t at, std::uint32_t value) { std::memcpy(&bytes_[at], &value, sizeof value); }
  [[nodiscard]] std::uint32_t get(std::size_t at) const {
    std::uint32_t value = 0;
    std::memcpy(&value, &bytes_[at], sizeof value);
    return value;
  }
  /// The header's length is made right again.
  void resize(std::size_t size) {
    bytes_.resize(size);
    put(12, static_cast<std::uint32_t>(size));
  }
  /// Where the section of that tag begins.
  [[nodiscard]] std::size_t section(std::uint32_t tag) const {
    for (std::size_t at = kStateHeaderBytes; at < bytes_.size();
         at += kSectionHeaderBytes + (get(at + 4) + 7) / 8 * 8)
      if (get(at) == tag) return at;
    ADD_FAILURE() << "no section " << tag;
    return kStateHeaderBytes;
  }
  /// Zeros put in before `at`.
  void insert(std::size_t at, std::size_t count) {
    bytes_.insert(bytes_.begin() + static_cast<std::ptrdiff_t>(at), count, std::byte{0});
    put(12, static_cast<std::uint32_t>(bytes_.size()));
  }
  static constexpr std::uint32_t kMpState = 10;

  Bytes bytes_ = vcpu_state().encode();
};

TEST_F(VcpuStateTest, EveryCutIsRefused) {
  const auto whole = bytes_;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    bytes_.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(VcpuState::decode(bytes_).has_value()) << size;
  }
}

TEST_F(VcpuStateTest, TheHeaderIsCheckedFieldByField) {
  const auto whole = bytes_;
  put(0, 0x534b5048);
  EXPECT_EQ(refusal(), Error(StateError::kMagic, 0x534b5048, 0x534b5047));
  bytes_ = whole;
  bytes_[4] = std::byte{2};
  EXPECT_EQ(refusal(), Error(StateError::kVersion, 2, 1));
  bytes_ = whole;
  bytes_[6] = std::byte{1};
  EXPECT_EQ(refusal(), Error(StateError::kArchitecture, 1, kMachine));
  bytes_ = whole;
  put(8, 2);
  EXPECT_EQ(refusal(), Error(StateError::kKind, 2, 1));
  bytes_ = whole;
  put(12, 5);
  EXPECT_EQ(refusal(), Error(StateError::kLength, 5, bytes_.size()));
  bytes_.resize(kStateHeaderBytes - 1);
  EXPECT_EQ(refusal(), Error(StateError::kBytes, kStateHeaderBytes - 1, kStateHeaderBytes));
}

TEST_F(VcpuStateTest, MoreThanAMebibyteIsNoStateOfOneVcpu) {
  resize(kMaxStateBytes + 8);
  EXPECT_EQ(refusal(), Error(StateError::kLength, kMaxStateBytes + 8, kMaxStateBytes + 8));
}

TEST_F(VcpuStateTest, AStructureThatGoesOnWithZerosIsOfANewerKernel) {
  const auto at = section(kMpState);
  insert(at + kSectionHeaderBytes + 8, 8);
  put(at + 4, sizeof(kvm_mp_state) + 12);
  EXPECT_EQ(value_of(VcpuState::decode(bytes_)).encode(), vcpu_state().encode());
}

TEST_F(VcpuStateTest, AStructureThatGoesOnWithAnythingElseWouldLoseIt) {
  const auto at = section(kMpState);
  insert(at + kSectionHeaderBytes + 8, 8);
  put(at + 4, sizeof(kvm_mp_state) + 12);
  bytes_[at + kSectionHeaderBytes + 15] = std::byte{1};
  EXPECT_EQ(refusal(), Error(StateError::kTail, kMpState, sizeof(kvm_mp_state)));
}

TEST_F(VcpuStateTest, AStructureThatIsCutIsRefused) {
  put(section(kMpState) + 4, sizeof(kvm_mp_state) - 1);
  put(section(kMpState) + kSectionHeaderBytes, 0);
  EXPECT_EQ(refusal(), Error(StateError::kShort, sizeof(kvm_mp_state) - 1, sizeof(kvm_mp_state)));
}

TEST_F(VcpuStateTest, PaddingThatIsNotZeroIsRefused) {
  put(section(kMpState) + kSectionHeaderBytes + 4, 1);
  EXPECT_EQ(refusal(), Error(StateError::kPadding, kMpState));
}

TEST_F(VcpuStateTest, ASectionLongerThanWhatIsLeftIsRefused) {
  const auto at = section(kMpState);
  put(at + 4, 0xffffffff);
  EXPECT_EQ(refusal(), Error(StateError::kSectionLength, 0xffffffff,
                             bytes_.size() - at - kSectionHeaderBytes));
}

TEST_F(VcpuStateTest, ATagThatComesTwiceIsRefused) {
  const auto at = section(kMpState);
  insert(at, 16);
  put(at, kMpState);
  put(at + 4, 4);
  EXPECT_EQ(refusal(), Error(StateError::kSectionOrder, kMpState, kMpState));
}

TEST_F(VcpuStateTest, AnUnknownTagWouldBeLost) {
  const auto end = bytes_.size();
  resize(end + kSectionHeaderBytes);
  put(end, 1000);
  EXPECT_EQ(refusal(), Error(StateError::kUnknown, 1000));
}

TEST_F(VcpuStateTest, BytesAtTheEndThatAreNoSectionAreRefused) {
  resize(bytes_.size() + 7);
  EXPECT_EQ(refusal(), Error(StateError::kSectionHeader, 7, kSectionHeaderBytes));
}

TEST_F(VcpuStateTest, AMissingSectionIsNamed) {
  const auto at = section(kMpState);
  bytes_.erase(bytes_.begin() + static_cast<std::ptrdiff_t>(at),
               bytes_.begin() + static_cast<std::ptrdiff_t>(at + 16));
  resize(bytes_.size());
  EXPECT_EQ(refusal(), Error(StateError::kMissing, kMpState));
}

#if defined(__x86_64__)

TEST_F(VcpuStateTest, WhatAVcpuMayLackMayBeAbsent) {
  auto state = vcpu_state();
  state.lapic.reset();
  state.nested.reset();
  const auto again = value_of(VcpuState::decode(state.encode()));
  EXPECT_FALSE(again.lapic.has_value());
  EXPECT_FALSE(again.nested.has_value());
}

TEST_F(VcpuStateTest, ACountOfCpuidLeavesThatDoesNotFitIsRefused) {
  const auto at = section(1) + kSectionHeaderBytes;
  put(at, 3);
  EXPECT_EQ(refusal().name(), "kvm_call.state_length");
  put(at, 0xffffffff);
  EXPECT_EQ(refusal(), Error(CallError::kTooManyEntries, 0xffffffff, kCpuIdLimit));
}

TEST_F(VcpuStateTest, ANestedStateOfAnotherSizeThanItSaysIsRefused) {
  put(section(12) + kSectionHeaderBytes + 4, 161);
  EXPECT_EQ(refusal(), Error(CallError::kStateLength, 160, 161));
}

TEST_F(VcpuStateTest, MsrsThatAreNoWholeNumberAreRefused) {
  const auto at = section(8);
  put(at + 4, 3 * sizeof(kvm_msr_entry) - 8);
  bytes_.erase(bytes_.begin() + static_cast<std::ptrdiff_t>(at + 8),
               bytes_.begin() + static_cast<std::ptrdiff_t>(at + 16));
  resize(bytes_.size());
  EXPECT_EQ(refusal(), Error(StateError::kUneven, 8, sizeof(kvm_msr_entry)));
}

/// The calls of saving and restoring, in their order, against a scripted kernel.
class VcpuStepsTest : public testing::Test {
 protected:
  static constexpr std::array kSave{
      Ioctl::kGetMpState, Ioctl::kGetCpuid2,      Ioctl::kGetTscKhz, Ioctl::kGetRegs,
      Ioctl::kGetSregs,   Ioctl::kGetXsave2,      Ioctl::kGetXcrs,   Ioctl::kGetDebugregs,
      Ioctl::kGetLapic,   Ioctl::kGetNestedState, Ioctl::kGetMsrs,   Ioctl::kGetVcpuEvents};
  static constexpr std::array kRestore{
      Ioctl::kSetCpuid2, Ioctl::kSetTscKhz, Ioctl::kSetSregs,      Ioctl::kSetNestedState,
      Ioctl::kSetRegs,   Ioctl::kSetXcrs,   Ioctl::kSetXsave,      Ioctl::kSetDebugregs,
      Ioctl::kSetLapic,  Ioctl::kSetMsrs,   Ioctl::kSetVcpuEvents, Ioctl::kSetMpState};

  /// Those before `failing` are granted, that one is not, and none comes after it.
  void expect(std::span<const Ioctl> calls, std::size_t failing) {
    for (std::size_t i = 0; i < calls.size() && i <= failing; ++i) {
      auto& call = kernel_.expect(vcpu_.fd(), request_of(calls[i]));
      if (i == failing)
        call.fails(EIO);
      else if (calls[i] == Ioctl::kGetMsrs || calls[i] == Ioctl::kSetMsrs)
        call.returns(3);
    }
  }
  [[nodiscard]] static MsrList three_msrs() {
    const std::array<std::uint32_t, 3> list{1, 2, 3};
    return value_of(MsrList::of(list));
  }

  FakeKvm kernel_;
  Vcpu vcpu_ = value_of(Vcpu::adopt(memory_file(0x3000), {.run = 0x3000}));
};

TEST_F(VcpuStepsTest, ACallThatFailsIsTheLastOfSaving) {
  for (std::size_t failing = 0; failing < kSave.size(); ++failing) {
    expect(kSave, failing);
    EXPECT_EQ(save_vcpu(vcpu_, three_msrs()).error(), Error(kSave[failing], EIO)) << failing;
  }
}

TEST_F(VcpuStepsTest, ACallThatFailsIsTheLastOfRestoring) {
  for (std::size_t failing = 0; failing < kRestore.size(); ++failing) {
    expect(kRestore, failing);
    EXPECT_EQ(restore_vcpu(vcpu_, vcpu_state()).error(), Error(kRestore[failing], EIO)) << failing;
  }
}

TEST_F(VcpuStepsTest, EverythingIsRestoredInOrder) {
  expect(kRestore, kRestore.size());
  EXPECT_TRUE(restore_vcpu(vcpu_, vcpu_state()).has_value());
}

TEST_F(VcpuStepsTest, WhatTheSavedVcpuLackedIsNotSet) {
  auto state = vcpu_state();
  state.tsc_khz = 0;
  state.lapic.reset();
  state.nested.reset();
  state.msrs.clear();
  const std::array without{Ioctl::kSetCpuid2,     Ioctl::kSetSregs,  Ioctl::kSetRegs,
                           Ioctl::kSetXcrs,       Ioctl::kSetXsave,  Ioctl::kSetDebugregs,
                           Ioctl::kSetVcpuEvents, Ioctl::kSetMpState};
  expect(without, without.size());
  EXPECT_TRUE(restore_vcpu(vcpu_, state).has_value());
}

TEST_F(VcpuStepsTest, MsrsThatThisVcpuLacksAreLeftOut) {
  expect(std::span(kSave).first(8), kSave.size());
  kernel_.expect(vcpu_.fd(), request_of(Ioctl::kGetLapic)).fails(EINVAL);
  kernel_.expect(vcpu_.fd(), request_of(Ioctl::kGetNestedState)).fails(EINVAL);
  kernel_
      .expect(vcpu_.fd(), request_of(Ioctl::kGetMsrs),
              Wire().u32s({3, 0}).u32s({1, 0, 0, 0}).u32s({2, 0, 0, 0}).u32s({3, 0, 0, 0}))
      .returns(1);
  kernel_.expect(vcpu_.fd(), request_of(Ioctl::kGetMsrs), Wire().u32s({1, 0}).u32s({3, 0, 0, 0}))
      .returns(1);
  kernel_.expect(vcpu_.fd(), request_of(Ioctl::kGetVcpuEvents));
  const auto state = value_of(save_vcpu(vcpu_, three_msrs()));
  ASSERT_EQ(state.msrs.size(), 2U);
  EXPECT_EQ(state.msrs[1].index, 3U);
  EXPECT_FALSE(state.lapic.has_value());
}

TEST_F(VcpuStepsTest, AnExitThatIsNotCompletedIsNotSaved) {
  kernel_.expect(vcpu_.fd(), request_of(Ioctl::kRun)).does([this](std::byte*) {
    vcpu_.page().mapping().store(offsetof(kvm_run, exit_reason), std::uint32_t{KVM_EXIT_MMIO});
    vcpu_.page().mapping().store(offsetof(kvm_run, mmio.len), std::uint32_t{4});
  });
  ASSERT_TRUE(vcpu_.run().has_value());
  EXPECT_EQ(save_vcpu(vcpu_, three_msrs()).error(), CallError::kExitPending);
}

TEST(StateMsrs, AreTheListedOnesAndThoseThatKvmKeepsUnlisted) {
  const std::array<std::uint32_t, 3> listed{0x10, 0x2ff, 0xc0000080};
  const auto all = state_msrs(value_of(MsrList::of(listed)));
  EXPECT_TRUE(std::ranges::is_sorted(all.entries()));
  EXPECT_EQ(std::ranges::count(all.entries(), 0x2ffU), 1);
  for (const std::uint32_t index : {0x10U, 0x179U, 0x200U, 0x403U, 0x40000090U, 0xc0000080U})
    EXPECT_EQ(std::ranges::count(all.entries(), index), 1) << index;
}

TEST(StateMsrs, AreNeverMoreThanAListHolds) {
  std::vector<std::uint32_t> listed(kMsrListLimit);
  for (std::uint32_t i = 0; i < listed.size(); ++i) listed[i] = i;
  EXPECT_EQ(state_msrs(value_of(MsrList::of(listed))).size(), kMsrListLimit);
}

class EarlyMsrsTest : public VcpuStepsTest {
 protected:
  EarlyMsrsTest() {
    state_.msrs = {{.index = 0x10, .reserved = 0, .data = 1},
                   {.index = 0x480, .reserved = 0, .data = 2},
                   {.index = 0x3a, .reserved = 0, .data = 5},
                   {.index = 0x179, .reserved = 0, .data = 0x20}};
    expect(std::span(kRestore).first(3), kRestore.size());
  }
  ExpectedCall& expect_mce() {
    return kernel_.expect(vcpu_.fd(), request_of(Ioctl::kSetupMce), Wire().u64(0x20));
  }
  ExpectedCall& expect_early() {
    return kernel_.expect(vcpu_.fd(), request_of(Ioctl::kSetMsrs),
                          Wire().u32s({2, 0}).u32s({0x480, 0, 2, 0}).u32s({0x3a, 0, 5, 0}));
  }
  VcpuState state_ = vcpu_state();
};

TEST_F(EarlyMsrsTest, AreSetBeforeNestedState) {
  expect_mce();
  expect_early().returns(2);
  expect(std::span(kRestore).subspan(3, 6), kRestore.size());
  kernel_.expect(vcpu_.fd(), request_of(Ioctl::kSetMsrs), Wire().u32s({2, 0}).u32s({0x10, 0, 1, 0}))
      .returns(2);
  expect(std::span(kRestore).subspan(10), kRestore.size());
  EXPECT_TRUE(restore_vcpu(vcpu_, state_).has_value());
}

TEST_F(EarlyMsrsTest, BanksThatCannotBeSetUpEndTheRestoring) {
  expect_mce().fails(EINVAL);
  EXPECT_EQ(restore_vcpu(vcpu_, state_).error(), Error(Ioctl::kSetupMce, EINVAL));
}

TEST_F(EarlyMsrsTest, ARefusalEndsTheRestoring) {
  expect_mce();
  expect_early().fails(EIO);
  EXPECT_EQ(restore_vcpu(vcpu_, state_).error(), Error(Ioctl::kSetMsrs, EIO));
}

class RefusedMsrTest : public VcpuStepsTest {
 protected:
  /// The kernel refuses the second of three MSRs, and says that it has `value` now.
  void refuse_second(std::uint64_t value) {
    expect(std::span(kRestore).first(9), kRestore.size());
    kernel_.expect(vcpu_.fd(), request_of(Ioctl::kSetMsrs)).returns(1);
    kernel_.expect(vcpu_.fd(), request_of(Ioctl::kGetMsrs))
        .writes(Wire().u64(value), 8 + offsetof(kvm_msr_entry, data))
        .returns(1);
  }
  VcpuState state_ = vcpu_state();
};

TEST_F(RefusedMsrTest, IsNoLossWhereItHasTheValueAlready) {
  refuse_second(state_.msrs[1].data);
  kernel_.expect(vcpu_.fd(), request_of(Ioctl::kSetMsrs)).returns(1);
  kernel_.expect(vcpu_.fd(), request_of(Ioctl::kSetVcpuEvents));
  kernel_.expect(vcpu_.fd(), request_of(Ioctl::kSetMpState));
  EXPECT_TRUE(restore_vcpu(vcpu_, state_).has_value());
}

TEST_F(RefusedMsrTest, IsNamedWhereItsValueWouldBeLost) {
  refuse_second(state_.msrs[1].data + 1);
  EXPECT_EQ(restore_vcpu(vcpu_, state_).error(),
            Error(CallError::kMsrRefused, state_.msrs[1].index, 1));
}

kvm_irqchip chip(std::uint32_t id, unsigned seed) {
  auto chip = pattern<kvm_irqchip>(seed);
  chip.chip_id = id;
  return chip;
}

VmState vm_state() {
  VmState state;
  state.clock = pattern<kvm_clock_data>(20);
  state.pic_master = chip(KVM_IRQCHIP_PIC_MASTER, 21);
  state.pic_slave = chip(KVM_IRQCHIP_PIC_SLAVE, 22);
  state.ioapic = chip(KVM_IRQCHIP_IOAPIC, 23);
  state.pit = pattern<kvm_pit_state2>(24);
  return state;
}

TEST(VmStateGolden, WhatVersionOneWroteIsRead) {
  const auto state = vm_state();
  const auto bytes = golden("vm", state.encode());
  EXPECT_EQ(value_of(VmState::decode(bytes)).encode(), state.encode());
  EXPECT_EQ(bytes, state.encode());
}

TEST(VmStateTest, AMachineWithoutPartsIsAHeader) {
  const auto bytes = VmState{}.encode();
  EXPECT_EQ(bytes.size(), kStateHeaderBytes);
  EXPECT_FALSE(value_of(VmState::decode(bytes)).clock.has_value());
}

TEST(VmStateTest, AChipInThePlaceOfAnotherIsRefused) {
  auto state = vm_state();
  state.pic_slave->chip_id = KVM_IRQCHIP_IOAPIC;
  const auto decoded = VmState::decode(state.encode());
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error(), Error(StateError::kChipId, KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_SLAVE));
}

TEST(VmStateTest, AVcpusStateIsNotTakenForAMachines) {
  EXPECT_EQ(VmState::decode(vcpu_state().encode()).error(), Error(StateError::kKind, 1, 2));
}

class VmStepsTest : public testing::Test {
 protected:
  FakeKvm kernel_;
  Vm vm_ = Vm::adopt(memory_file(0), 0x3000);
};

TEST_F(VmStepsTest, ACallThatFailsIsTheLastOfSaving) {
  const std::array calls{Ioctl::kGetClock, Ioctl::kGetIrqchip, Ioctl::kGetIrqchip,
                         Ioctl::kGetIrqchip, Ioctl::kGetPit2};
  for (std::size_t failing = 0; failing < calls.size(); ++failing) {
    for (std::size_t i = 0; i < failing; ++i) kernel_.expect(vm_.fd(), request_of(calls[i]));
    kernel_.expect(vm_.fd(), request_of(calls[failing])).fails(EIO);
    EXPECT_EQ(save_vm(vm_).error(), Error(calls[failing], EIO)) << failing;
  }
}

TEST_F(VmStepsTest, ACallThatFailsIsTheLastOfRestoring) {
  const std::array calls{Ioctl::kSetIrqchip, Ioctl::kSetIrqchip, Ioctl::kSetIrqchip,
                         Ioctl::kSetPit2, Ioctl::kSetClock};
  for (std::size_t failing = 0; failing < calls.size(); ++failing) {
    for (std::size_t i = 0; i < failing; ++i) kernel_.expect(vm_.fd(), request_of(calls[i]));
    kernel_.expect(vm_.fd(), request_of(calls[failing])).fails(EIO);
    EXPECT_EQ(restore_vm(vm_, vm_state()).error(), Error(calls[failing], EIO)) << failing;
  }
}

TEST_F(VmStepsTest, AMachineWithoutPartsHasNoneToRestore) {
  EXPECT_TRUE(restore_vm(vm_, {}).has_value());
}

TEST_F(VmStepsTest, PartsThatTheMachineLacksAreAbsent) {
  kernel_.expect(vm_.fd(), request_of(Ioctl::kGetClock));
  for (int chip = 0; chip < 3; ++chip)
    kernel_.expect(vm_.fd(), request_of(Ioctl::kGetIrqchip)).fails(ENXIO);
  kernel_.expect(vm_.fd(), request_of(Ioctl::kGetPit2)).fails(ENXIO);
  const auto state = value_of(save_vm(vm_));
  EXPECT_TRUE(state.clock.has_value());
  EXPECT_FALSE(state.ioapic.has_value());
  EXPECT_FALSE(state.pit.has_value());
}

#else

class RegisterStateTest : public VcpuStateTest {
 protected:
  static constexpr std::uint32_t kRegisters = 13;
  [[nodiscard]] std::size_t first() const { return section(kRegisters) + kSectionHeaderBytes; }
};

TEST_F(RegisterStateTest, ARegisterWiderThanAnyIsRefused) {
  bytes_[first() + 6] = std::byte{0x90};  // 512 bytes
  EXPECT_EQ(refusal().name(), "kvm_state.register_size");
  EXPECT_EQ(refusal().value(), 512U);
}

TEST_F(RegisterStateTest, ARegisterThatReachesPastTheSectionIsRefused) {
  bytes_[first() + 6] = std::byte{0x80};  // 256 bytes
  EXPECT_EQ(refusal().name(), "kvm_state.register_size");
}

TEST_F(RegisterStateTest, PaddingBehindARegisterIsZero) {
  bytes_[first() + 8 + 1] = std::byte{1};
  EXPECT_EQ(refusal(), Error(StateError::kPadding, kRegisters));
}

#endif

}  // namespace
}  // namespace guestproof::kvm
