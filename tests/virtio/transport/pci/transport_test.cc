#include "guestproof/virtio/transport/pci/transport.h"

#include <gmock/gmock.h>

#include "guestproof/virtio/transport/pci/registers.h"
#include "pci/fixture.h"
#include "virtio/device/lifecycle_fixture.h"

namespace guestproof::virtio {
namespace {

using namespace pci_transport;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr pci::Slot kSlot{3, 0};
constexpr std::uint64_t kStructures = 0x10'0000'0000;
constexpr std::uint64_t kTable = 0xe000'0000;
constexpr std::uint16_t kVectors = 3;

/// A driver's wish to have the pin, as a VMM passes it on.
class Pin final : public InterruptLine {
 public:
  explicit Pin(pci::Bus& bus) : bus_(bus) {}
  void set(bool asserted) override {
    wanted.push_back(asserted);
    bus_.set_interrupt(kSlot, asserted);
  }
  std::vector<bool> wanted;

 private:
  pci::Bus& bus_;
};

class PciTransportTest : public LifecycleFixture {
 protected:
  void SetUp() override {
    ASSERT_TRUE(bus.add(kSlot, transport->function()));
    place();
  }
  /// What firmware does.
  void place() {
    config_write(pci::kBar0, 4, kStructures & 0xffffffff);
    config_write(pci::kBar0 + 4, 4, kStructures >> 32);
    config_write(pci::kBar0 + 8, 4, kTable);
    config_write(pci::kCommand, 2, pci::kCommandMemory | pci::kCommandMaster);
    vmm.take();
  }

  [[nodiscard]] std::uint64_t config_read(std::uint64_t offset, std::size_t width) {
    return answer(width,
                  [&](auto data) {
                    return bus.read_ecam(std::uint64_t{kSlot.routing_id()} << 12 | offset, data);
                  })
        .value;
  }
  Result<void> config_write(std::uint64_t offset, std::size_t width, std::uint64_t value) {
    return bus.write_ecam(std::uint64_t{kSlot.routing_id()} << 12 | offset, bytes_of(value, width));
  }
  [[nodiscard]] Answer read(std::uint64_t offset, std::size_t width) {
    return answer(width, [&](auto data) { return bus.read(false, kStructures + offset, data); });
  }
  Result<void> write(std::uint64_t offset, std::size_t width, std::uint64_t value) {
    return bus.write(false, kStructures + offset, bytes_of(value, width));
  }

  /// Where the virtio capability of this type is, found as a driver finds it; 0 when it is not.
  [[nodiscard]] std::uint64_t capability(std::uint8_t type) {
    for (auto at = config_read(pci::kCapabilitiesPointer, 1); at != 0; at = config_read(at + 1, 1))
      if (config_read(at, 1) == pci::kCapabilityVendor && config_read(at + 3, 1) == type) return at;
    return 0;
  }

  void agree_by_registers(std::uint64_t features = kVersion1) {
    ASSERT_TRUE(write(kDeviceStatus, 1, kDriving));
    for (const std::uint32_t word : {0U, 1U}) {
      ASSERT_TRUE(write(kDriverFeatureSelect, 4, word));
      ASSERT_TRUE(write(kDriverFeature, 4, features >> 32 * word));
    }
    ASSERT_TRUE(write(kDeviceStatus, 1, kAgreed));
  }
  void set_up_by_registers(std::uint16_t index) {
    const auto& layout = layouts[index];
    ASSERT_TRUE(write(kQueueSelect, 2, index));
    ASSERT_TRUE(write(kQueueSize, 2, layout.size));
    ASSERT_TRUE(write(kQueueDesc, 8, layout.descriptor_table.raw()));
    ASSERT_TRUE(write(kQueueDriver, 8, layout.available_ring.raw()));
    ASSERT_TRUE(write(kQueueDevice, 8, layout.used_ring.raw()));
    ASSERT_TRUE(write(kQueueEnable, 2, 1));
  }
  void run_by_registers(std::uint64_t features = kVersion1) {
    agree_by_registers(features);
    set_up_by_registers(0);
    set_up_by_registers(1);
    ASSERT_TRUE(write(kDeviceStatus, 1, kRunning));
  }
  /// Vector n has the message (0xfee00000 + 4n, n), unmasked; the queues have the vectors 1 and 2.
  void use_msix(std::uint16_t control = pci::kMsixEnable) {
    for (std::uint16_t vector = 0; vector < kVectors; ++vector) {
      ASSERT_TRUE(bus.write(false, kTable + 16 * vector, bytes_of(0xfee00000 + 4 * vector, 8)));
      ASSERT_TRUE(bus.write(false, kTable + 16 * vector + 8, bytes_of(vector, 8)));
      ASSERT_TRUE(write(kQueueSelect, 2, vector));
      const auto at = vector < 2 ? kQueueMsixVector : kConfigMsixVector;
      ASSERT_TRUE(write(at, 2, vector < 2 ? vector + 1 : 0));
    }
    ASSERT_TRUE(write(kQueueSelect, 2, 0));
    ASSERT_TRUE(config_write(msix_at() + 2, 2, control));
  }
  [[nodiscard]] std::uint64_t msix_at() { return config_read(pci::kCapabilitiesPointer, 1); }
  [[nodiscard]] std::vector<std::uint32_t> messages() {
    std::vector<std::uint32_t> data;
    for (const auto& each : std::exchange(sink.all, {})) data.push_back(each.data);
    return data;
  }
  /// What the capability for configuration access names, and the access to it.
  void aim(std::uint64_t bar, std::uint64_t offset, std::uint64_t length) {
    const auto at = capability(VIRTIO_PCI_CAP_PCI_CFG);
    ASSERT_TRUE(config_write(at + kCapBar, 1, bar));
    ASSERT_TRUE(config_write(at + kCapOffset, 4, offset));
    ASSERT_TRUE(config_write(at + kCapLength, 4, length));
  }
  [[nodiscard]] Answer read_window(unsigned at, std::size_t width) {
    const auto offset = capability(VIRTIO_PCI_CAP_PCI_CFG) + kCapTail + at;
    return answer(width, [&](auto data) {
      return bus.read_ecam(std::uint64_t{kSlot.routing_id()} << 12 | offset, data);
    });
  }
  Result<void> write_window(unsigned at, std::size_t width, std::uint64_t value) {
    return config_write(capability(VIRTIO_PCI_CAP_PCI_CFG) + kCapTail + at, width, value);
  }

  pci::NotingVmm vmm;
  pci::NotingSink sink;
  pci::Bus bus =
      pci::Bus::create({.memory = {{{kTable, 0x1000'0000}, {kStructures, 1 << 30}}}, .io = {}}, vmm,
                       vmm)
          .value();
  Pin pin{bus};
  std::unique_ptr<PciTransport> transport = PciTransport::create(lifecycle, sink, pin).value();
};

TEST_F(PciTransportTest, SaysWhatItIs) {
  EXPECT_EQ(config_read(pci::kVendorId, 2), 0x1af4U);
  EXPECT_EQ(config_read(pci::kDeviceId, 2), 0x1040U + 42);
  EXPECT_EQ(config_read(pci::kRevisionId, 1), 1U);
  EXPECT_EQ(config_read(pci::kSubsystemId, 2), 0x1040U + 42);
  EXPECT_EQ(config_read(pci::kInterruptPin, 1), 1U);
}

TEST_F(PciTransportTest, ADriverFindsEveryStructure) {
  struct Found {
    std::uint64_t bar, offset, length;
    bool operator==(const Found&) const = default;
  };
  const auto find = [&](std::uint8_t type) {
    const auto at = capability(type);
    EXPECT_NE(at, 0U);
    return Found{config_read(at + kCapBar, 1), config_read(at + kCapOffset, 4),
                 config_read(at + kCapLength, 4)};
  };
  EXPECT_EQ(find(VIRTIO_PCI_CAP_COMMON_CFG), (Found{0, 0, 64}));
  EXPECT_EQ(find(VIRTIO_PCI_CAP_ISR_CFG), (Found{0, 0x1000, 1}));
  EXPECT_EQ(find(VIRTIO_PCI_CAP_DEVICE_CFG), (Found{0, 0x2000, 8}));
  EXPECT_EQ(find(VIRTIO_PCI_CAP_NOTIFY_CFG), (Found{0, 0x3000, 8}));
  EXPECT_EQ(config_read(capability(VIRTIO_PCI_CAP_NOTIFY_CFG) + kCapTail, 4), 4U);
  EXPECT_EQ(find(VIRTIO_PCI_CAP_PCI_CFG), (Found{0, 0, 0}));
  EXPECT_EQ(config_read(msix_at(), 1), pci::kCapabilityMsix);
  EXPECT_EQ(config_read(msix_at() + 2, 2), kVectors - 1U);
  EXPECT_EQ(config_read(msix_at() + 4, 4), 2U);
}

TEST_F(PciTransportTest, ADeviceWithoutConfigurationSpaceHasNoCapabilityForIt) {
  class Plain final : public VirtioDevice<Memory> {
   public:
    std::uint32_t device_id() const override { return VIRTIO_ID_BLOCK; }
    std::uint64_t features() const override { return 0; }
    std::span<const std::uint16_t> queue_sizes() const override { return {}; }
    void attach(Driver<Memory>&) override {}
    void start() override {}
    Result<bool> serve(std::uint16_t) override { return false; }
    void stop_queue(std::uint16_t) override {}
    void settle() override {}
    void reset() override {}
    Result<void> save(std::vector<std::byte>&) override { return {}; }
    Result<void> restore(std::span<const std::byte>) override { return {}; }
  } plain;
  DeviceLifecycle<Memory> life(plain, memory, host);
  const auto other = PciTransport::create(life, sink, pin);
  ASSERT_TRUE(other);
  ASSERT_TRUE(bus.add({4, 0}, (*other)->function()));
  const auto bytes = (*other)->function().config().bytes();
  EXPECT_EQ(load(bytes.subspan(pci::kClassCode, 3)), 0x018000U);
  std::vector<unsigned> types;
  for (auto at = load(bytes.subspan(pci::kCapabilitiesPointer, 1)); at != 0;
       at = load(bytes.subspan(at + 1, 1)))
    if (load(bytes.subspan(at, 1)) == pci::kCapabilityVendor)
      types.push_back(static_cast<unsigned>(load(bytes.subspan(at + 3, 1))));
  EXPECT_THAT(types, ElementsAre(VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_CAP_ISR_CFG,
                                 VIRTIO_PCI_CAP_NOTIFY_CFG, VIRTIO_PCI_CAP_PCI_CFG));
}

TEST_F(PciTransportTest, FeaturesAreReadWordByWord) {
  EXPECT_EQ(read(kDeviceFeature, 4), Answer{static_cast<std::uint32_t>(kRingFeatures | 3)});
  ASSERT_TRUE(write(kDeviceFeatureSelect, 4, 1));
  EXPECT_EQ(read(kDeviceFeature, 4), Answer{kRingFeatures >> 32});
  for (const std::uint32_t word : {2U, 33U, UINT32_MAX}) {
    ASSERT_TRUE(write(kDeviceFeatureSelect, 4, word));
    EXPECT_EQ(read(kDeviceFeature, 4), Answer{0});
  }
  agree_by_registers(kVersion1 | 2);
  EXPECT_EQ(read(kDriverFeature, 4), Answer{1});
  ASSERT_TRUE(write(kDriverFeatureSelect, 4, 0));
  EXPECT_EQ(read(kDriverFeature, 4), Answer{2});
}

TEST_F(PciTransportTest, ADriverBringsTheDeviceUp) {
  EXPECT_EQ(read(kNumQueues, 2), Answer{2});
  run_by_registers();
  EXPECT_EQ(read(kDeviceStatus, 1), Answer{kRunning});
  EXPECT_EQ(read(kQueueEnable, 2), Answer{1});
  EXPECT_EQ(read(kQueueSize, 2), Answer{16});
  EXPECT_EQ(read(kQueueNotifyOff, 2), Answer{1});
  EXPECT_EQ(read(kQueueDesc, 8), Answer{layouts[1].descriptor_table.raw()});
  EXPECT_EQ(read(kQueueDriver, 8), Answer{layouts[1].available_ring.raw()});
  EXPECT_EQ(read(kQueueDevice, 8), Answer{layouts[1].used_ring.raw()});
  EXPECT_EQ(lifecycle.queue(1).size(), 16);
}

TEST_F(PciTransportTest, AQueueThatThereIsNotHasZeros) {
  agree_by_registers();
  ASSERT_TRUE(write(kQueueSelect, 2, 2));
  for (const auto offset : {kQueueSize, kQueueMsixVector, kQueueEnable, kQueueNotifyOff})
    EXPECT_EQ(read(offset, 2), Answer{0});
  EXPECT_EQ(read(kQueueDesc, 8), Answer{0});
  EXPECT_EQ(write(kQueueSize, 2, 8).error(), Error(DeviceError::kQueueIndex, 2, 2));
  EXPECT_EQ(write(kQueueMsixVector, 2, 0).error(), Error(DeviceError::kQueueIndex, 2, 2));
  EXPECT_EQ(write(kQueueEnable, 2, 1).error(), Error(DeviceError::kQueueIndex, 2, 2));
}

TEST_F(PciTransportTest, AddressesComeWholeOrInHalves) {
  agree_by_registers();
  for (const auto offset : {kQueueDesc, kQueueDriver, kQueueDevice}) {
    ASSERT_TRUE(write(offset + 4, 4, 0x12));
    ASSERT_TRUE(write(offset, 4, 0x3450));
    EXPECT_EQ(read(offset, 8), Answer{0x12'0000'3450});
    EXPECT_EQ(read(offset, 4), Answer{0x3450});
    EXPECT_EQ(read(offset + 4, 4), Answer{0x12});
  }
  EXPECT_EQ(write(kQueueDesc, 4, 0x3458).error(), QueueConfigError::kDescriptorTableAlign);
  EXPECT_EQ(read(kQueueDesc, 8), Answer{0x12'0000'3450});
}

TEST_F(PciTransportTest, EveryFieldTakesItsOwnWidthOnly) {
  const auto width_of = [](std::uint64_t offset) -> std::size_t {
    if (offset < 0x10) return offset % 4 == 0 ? 4 : 0;
    if (offset == 0x14 || offset == 0x15) return 1;
    if (offset >= 0x20 && offset < 0x38) return offset % 8 == 0 ? 8 : 0;
    return offset % 2 == 0 && offset < 0x40 ? 2 : 0;
  };
  ASSERT_TRUE(write(kQueueSelect, 2, 1));
  for (std::uint64_t offset = 0; offset < 0x48; ++offset)
    for (std::size_t width = 1; width <= 8; ++width) {
      const bool half = width == 4 && offset % 4 == 0 && offset >= 0x20 && offset < 0x38;
      if (half || width == width_of(offset)) {
        EXPECT_FALSE(read(offset, width).error) << offset << " " << width;
        continue;
      }
      const auto before = transport->save();
      EXPECT_TRUE(read(offset, width).error) << offset << " " << width;
      EXPECT_EQ(read(offset, width).value, 0U) << offset << " " << width;
      EXPECT_FALSE(write(offset, width, UINT64_MAX)) << offset << " " << width;
      EXPECT_EQ(transport->save(), before) << offset << " " << width;
    }
  EXPECT_EQ(lifecycle.status(), 0);
}

TEST_F(PciTransportTest, ReadOnlyFieldsTakeNothing) {
  agree_by_registers();
  for (const auto offset :
       {kNumQueues, kQueueNotifyOff, kQueueNotifConfigData, kAdminQueueIndex, kAdminQueueNum})
    EXPECT_EQ(write(offset, 2, 0).error(), Error(DeviceError::kRegister, offset));
  EXPECT_EQ(write(kDeviceFeature, 4, 0).error(), Error(DeviceError::kRegister, kDeviceFeature));
  EXPECT_EQ(write(kConfigGeneration, 1, 0).error(),
            Error(DeviceError::kRegister, kConfigGeneration));
  EXPECT_EQ(read(kAdminQueueNum, 2), Answer{0});
}

TEST_F(PciTransportTest, QueueEnableAndQueueResetTakeOneOnly) {
  run_by_registers(kVersion1 | feature_bit(VIRTIO_F_RING_RESET));
  for (const std::uint64_t value : {0U, 2U, 0xffffU}) {
    EXPECT_EQ(write(kQueueEnable, 2, value).error(), Error(DeviceError::kRegisterValue, value, 1));
    EXPECT_EQ(write(kQueueReset, 2, value).error(), Error(DeviceError::kRegisterValue, value, 1));
  }
  EXPECT_EQ(read(kQueueEnable, 2), Answer{1});
}

TEST_F(PciTransportTest, TheDeviceStructureTakesEveryWidth) {
  EXPECT_EQ(read(kDeviceAt + 1, 3), Answer{0x040302});
  EXPECT_EQ(read(kDeviceAt + 6, 4), (Answer{0x0807, Error(DeviceError::kConfigRange, 8, 8)}));
  EXPECT_EQ(read(kDeviceAt + 0xff8, 8).value, 0U);
  agree_by_registers();
  ASSERT_TRUE(write(kDeviceAt + 5, 2, 0xbbaa));
  EXPECT_EQ(device.fields[5], std::byte{0xaa});
  EXPECT_EQ(write(kDeviceAt + 7, 2, 0).error(), Error(DeviceError::kConfigRange, 8, 8));
}

TEST_F(PciTransportTest, ANotificationIsAWriteAtTheQueuesPlace) {
  run_by_registers();
  ASSERT_TRUE(write(kNotifyAt + 4, 2, 0xffff));
  ASSERT_TRUE(write(kNotifyAt, 4, 0xffffffff));
  EXPECT_EQ(host.wakes, 2);
  EXPECT_EQ(write(kNotifyAt + 8, 2, 0).error(), Error(DeviceError::kQueueIndex, 2, 2));
  EXPECT_EQ(write(kNotifyAt + 2, 2, 1).error(), Error(DeviceError::kRegister, kNotifyAt + 2));
  EXPECT_EQ(write(kNotifyAt, 1, 0).error(), Error(DeviceError::kAccessWidth, 1, 4));
  EXPECT_EQ(write(kNotifyAt, 8, 0).error(), Error(DeviceError::kAccessWidth, 8, 4));
  EXPECT_EQ(read(kNotifyAt, 2), (Answer{0, Error(DeviceError::kRegister, kNotifyAt)}));
  EXPECT_EQ(host.wakes, 2);
}

TEST_F(PciTransportTest, WithoutMsixThePinIsAssertedUntilIsrIsRead) {
  run_by_registers();
  testing::Driver driver(guest, layouts[1]);
  driver.add_chain({{GuestAddress(0x4000), 4, true}});
  ASSERT_TRUE(write(kNotifyAt + 4, 2, 1));
  EXPECT_THAT(vmm.take(), IsEmpty());
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_THAT(vmm.take(), ElementsAre("high 3"));
  EXPECT_EQ(config_read(pci::kStatus, 2) & pci::kStatusInterrupt, pci::kStatusInterrupt);
  EXPECT_EQ(read(kIsrAt, 1), Answer{kIsrQueue});
  EXPECT_THAT(vmm.take(), ElementsAre("low 3"));
  EXPECT_EQ(read(kIsrAt, 1), Answer{0});
  EXPECT_EQ(config_read(pci::kStatus, 2) & pci::kStatusInterrupt, 0U);
  EXPECT_THAT(sink.all, IsEmpty());
}

TEST_F(PciTransportTest, ADriverThatForgetsBusMasterIsNotServedBeforeItSetsIt) {
  ASSERT_TRUE(config_write(pci::kCommand, 2, pci::kCommandMemory));
  memory.clear_log();
  run_by_registers();
  EXPECT_EQ(read(kDeviceStatus, 1), Answer{kRunning});
  testing::Driver driver(guest, layouts[1]);
  driver.add_chain({{GuestAddress(0x4000), 4, true}});
  ASSERT_TRUE(write(kNotifyAt + 4, 2, 1));
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_EQ(host.wakes, 0);
  EXPECT_THAT(memory.fetches(), IsEmpty());
  EXPECT_THAT(memory.writes(), IsEmpty());

  ASSERT_TRUE(config_write(pci::kCommand, 2, pci::kCommandMemory | pci::kCommandMaster));
  EXPECT_EQ(host.wakes, 1);
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_EQ(driver.used_index(), 1);
  EXPECT_EQ(read(kIsrAt, 1), Answer{kIsrQueue});
}

TEST_F(PciTransportTest, WhatEndsWithBusMasterIsNotifiedOfByThePin) {
  run_by_registers();
  device.notifies_last = true;
  ASSERT_TRUE(config_write(pci::kCommand, 2, pci::kCommandMemory));
  EXPECT_FALSE(lifecycle.serving());
  EXPECT_THAT(pin.wanted, IsEmpty());  // the bus looks at it
  EXPECT_THAT(vmm.take(), ElementsAre("high 3"));
  EXPECT_EQ(read(kIsrAt, 1), Answer{kIsrQueue});
}

TEST_F(PciTransportTest, WhatEndsWithBusMasterIsNotifiedOfByAMessageAndLaterOnesWait) {
  run_by_registers();
  use_msix();
  device.notifies_last = true;
  ASSERT_TRUE(config_write(pci::kCommand, 2, pci::kCommandMemory));
  EXPECT_THAT(messages(), ElementsAre(1U));
  device.driver->config_changed();
  EXPECT_THAT(messages(), IsEmpty());
  EXPECT_EQ(read(kIsrAt, 1), Answer{kIsrConfiguration});
  ASSERT_TRUE(config_write(pci::kCommand, 2, pci::kCommandMemory | pci::kCommandMaster));
  EXPECT_THAT(messages(), ElementsAre(0U));
}

TEST_F(PciTransportTest, AResetOfTheBusTakesMemoryFromTheDevice) {
  run_by_registers();
  bus.reset();
  EXPECT_TRUE(lifecycle.running());
  EXPECT_FALSE(lifecycle.serving());
}

TEST_F(PciTransportTest, ANewTransportBeginsWithoutBusMaster) {
  run_by_registers();
  transport.reset();
  EXPECT_TRUE(lifecycle.serving());
  transport = PciTransport::create(lifecycle, sink, pin).value();
  EXPECT_FALSE(lifecycle.serving());
}

TEST_F(PciTransportTest, BusMasterIsRestoredWithTheBus) {
  run_by_registers();
  const auto serving = std::pair(lifecycle.save().value(), bus.encode());
  ASSERT_TRUE(config_write(pci::kCommand, 2, pci::kCommandMemory));
  const auto kept_away = std::pair(lifecycle.save().value(), bus.encode());
  EXPECT_EQ(kept_away.first, serving.first);

  ASSERT_TRUE(lifecycle.restore(serving.first));
  EXPECT_EQ(host.wakes, 0);
  ASSERT_TRUE(bus.restore(serving.second));
  EXPECT_TRUE(lifecycle.serving());
  EXPECT_EQ(host.wakes, 1);
  ASSERT_TRUE(lifecycle.restore(kept_away.first));
  ASSERT_TRUE(bus.restore(kept_away.second));
  EXPECT_FALSE(lifecycle.serving());
  memory.clear_log();
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_THAT(memory.fetches(), IsEmpty());
}

TEST_F(PciTransportTest, TheIsrIsReadAsOneByte) {
  run_by_registers();
  device.driver->config_changed();
  for (const std::size_t width : {2U, 4U, 8U})
    EXPECT_EQ(read(kIsrAt, width), (Answer{0, Error(DeviceError::kAccessWidth, width, 1)}));
  EXPECT_EQ(read(kIsrAt + 1, 1), (Answer{0, Error(DeviceError::kRegister, kIsrAt + 1)}));
  EXPECT_EQ(write(kIsrAt, 1, 0).error(), Error(DeviceError::kRegister, kIsrAt));
  EXPECT_EQ(transport->isr_status(), kIsrConfiguration);
}

TEST_F(PciTransportTest, InAnAccessTheBusLooksAtThePinItself) {
  agree_by_registers();
  set_up_by_registers(0);
  ASSERT_TRUE(write(kQueueSelect, 2, 1));
  ASSERT_TRUE(write(kQueueDesc, 8, 0x10000));  // outside memory
  ASSERT_TRUE(write(kQueueDriver, 8, 0x20000));
  ASSERT_TRUE(write(kQueueDevice, 8, 0x30000));
  ASSERT_TRUE(write(kQueueEnable, 2, 1));
  EXPECT_FALSE(write(kDeviceStatus, 1, kRunning));
  EXPECT_THAT(pin.wanted, IsEmpty());
  EXPECT_THAT(vmm.take(), ElementsAre("high 3"));
  EXPECT_EQ(read(kIsrAt, 1), Answer{kIsrConfiguration});
  EXPECT_THAT(pin.wanted, IsEmpty());
  EXPECT_THAT(vmm.take(), ElementsAre("low 3"));
}

TEST_F(PciTransportTest, WithMsixEveryNotificationIsItsVectorsMessage) {
  run_by_registers();
  use_msix();
  device.driver->notify_used(1);
  device.driver->notify_used(0);
  device.driver->config_changed();
  EXPECT_THAT(messages(), ElementsAre(2U, 1U, 0U));
  EXPECT_THAT(vmm.take(), IsEmpty());
  EXPECT_EQ(read(kIsrAt, 1), Answer{kIsrConfiguration});
}

TEST_F(PciTransportTest, TheGenerationSaysThatTheConfigurationIsAnotherThanAtTheLastLook) {
  run_by_registers();
  EXPECT_EQ(read(kDeviceAt, 1), Answer{1});
  const auto generation = read(kConfigGeneration, 1);
  // As many changes as the field has values.
  for (int i = 0; i < 256; ++i) {
    device.fields[1] = static_cast<std::byte>(i + 1);
    device.driver->config_changed();
  }
  device.fields[1] = std::byte{77};
  EXPECT_EQ(read(kDeviceAt + 1, 1), Answer{77});
  EXPECT_NE(read(kConfigGeneration, 1), generation);
}

TEST_F(PciTransportTest, AMaskedVectorsMessageWaits) {
  run_by_registers();
  use_msix(pci::kMsixEnable | pci::kMsixFunctionMask);
  device.driver->notify_used(0);
  device.driver->notify_used(0);
  EXPECT_THAT(sink.all, IsEmpty());
  ASSERT_TRUE(config_write(msix_at() + 2, 2, pci::kMsixEnable));
  EXPECT_THAT(messages(), ElementsAre(1U));
}

TEST_F(PciTransportTest, WithoutAVectorThereIsNoMessage) {
  run_by_registers();
  use_msix();
  ASSERT_TRUE(write(kQueueMsixVector, 2, VIRTIO_MSI_NO_VECTOR));
  ASSERT_TRUE(write(kConfigMsixVector, 2, VIRTIO_MSI_NO_VECTOR));
  device.driver->notify_used(0);
  device.driver->config_changed();
  EXPECT_THAT(sink.all, IsEmpty());
  EXPECT_THAT(vmm.take(), IsEmpty());
}

TEST_F(PciTransportTest, AVectorOutsideTheTableBecomesNone) {
  use_msix();
  for (const std::uint64_t vector : {std::uint64_t{kVectors}, std::uint64_t{0xfffe}}) {
    ASSERT_TRUE(write(kQueueMsixVector, 2, 1));
    EXPECT_EQ(write(kQueueMsixVector, 2, vector).error(),
              Error(DeviceError::kRegisterValue, vector, kVectors));
    EXPECT_EQ(read(kQueueMsixVector, 2), Answer{VIRTIO_MSI_NO_VECTOR});
    EXPECT_FALSE(write(kConfigMsixVector, 2, vector));
    EXPECT_EQ(read(kConfigMsixVector, 2), Answer{VIRTIO_MSI_NO_VECTOR});
  }
}

TEST_F(PciTransportTest, DisablingMsixBringsThePinForWhatIsrHas) {
  run_by_registers();
  use_msix();
  device.driver->config_changed();
  EXPECT_THAT(vmm.take(), IsEmpty());
  ASSERT_TRUE(config_write(msix_at() + 2, 2, 0));
  EXPECT_THAT(vmm.take(), ElementsAre("high 3"));
  device.driver->notify_used(0);
  EXPECT_EQ(read(kIsrAt, 1), Answer{kIsrQueue | kIsrConfiguration});
  EXPECT_THAT(vmm.take(), ElementsAre("low 3"));
}

TEST_F(PciTransportTest, StatusZeroTakesBackRegistersAndInterrupts) {
  run_by_registers();
  use_msix(pci::kMsixEnable | pci::kMsixFunctionMask);
  device.driver->notify_used(1);
  device.driver->config_changed();
  ASSERT_TRUE(write(kQueueSelect, 2, 1));
  ASSERT_TRUE(write(kDeviceFeatureSelect, 4, 1));
  ASSERT_TRUE(write(kDeviceStatus, 1, 0));
  EXPECT_EQ(read(kDeviceStatus, 1), Answer{0});
  EXPECT_EQ(read(kIsrAt, 1), Answer{0});
  EXPECT_EQ(read(kQueueSelect, 2), Answer{0});
  EXPECT_EQ(read(kDeviceFeatureSelect, 4), Answer{0});
  EXPECT_EQ(read(kConfigMsixVector, 2), Answer{VIRTIO_MSI_NO_VECTOR});
  EXPECT_EQ(read(kQueueMsixVector, 2), Answer{VIRTIO_MSI_NO_VECTOR});
  ASSERT_TRUE(config_write(msix_at() + 2, 2, pci::kMsixEnable));
  EXPECT_THAT(sink.all, IsEmpty());
}

TEST_F(PciTransportTest, AQueueIsResetByItself) {
  run_by_registers(kVersion1 | feature_bit(VIRTIO_F_RING_RESET));
  use_msix(pci::kMsixEnable | pci::kMsixFunctionMask);
  device.driver->notify_used(0);
  device.driver->notify_used(1);
  ASSERT_TRUE(write(kQueueReset, 2, 1));
  EXPECT_EQ(read(kQueueReset, 2), Answer{0});
  EXPECT_EQ(read(kQueueEnable, 2), Answer{0});
  EXPECT_EQ(read(kQueueMsixVector, 2), Answer{VIRTIO_MSI_NO_VECTOR});
  EXPECT_FALSE(lifecycle.queue(0).active());
  ASSERT_TRUE(config_write(msix_at() + 2, 2, pci::kMsixEnable));
  EXPECT_THAT(messages(), ElementsAre(2U));
  set_up_by_registers(0);
  EXPECT_TRUE(lifecycle.queue(0).active());
}

TEST_F(PciTransportTest, AMessageThatQueuesShareSurvivesTheResetOfOne) {
  run_by_registers(kVersion1 | feature_bit(VIRTIO_F_RING_RESET));
  use_msix(pci::kMsixEnable | pci::kMsixFunctionMask);
  ASSERT_TRUE(write(kQueueMsixVector, 2, 2));  // as queue 1
  device.driver->notify_used(1);
  ASSERT_TRUE(write(kQueueReset, 2, 1));
  ASSERT_TRUE(config_write(msix_at() + 2, 2, pci::kMsixEnable));
  EXPECT_THAT(messages(), ElementsAre(2U));
}

TEST_F(PciTransportTest, AQueueThatCannotBeResetKeepsItsVector) {
  run_by_registers();
  use_msix();
  EXPECT_EQ(write(kQueueReset, 2, 1).error(), Error(DeviceError::kRingResetNotNegotiated, 0));
  EXPECT_EQ(read(kQueueMsixVector, 2), Answer{1});
}

TEST_F(PciTransportTest, ConfigurationAccessReachesEveryStructure) {
  aim(kStructureBar, kNumQueues, 2);
  EXPECT_EQ(read_window(0, 2), Answer{2});
  EXPECT_EQ(read_window(0, 4), Answer{2});
  aim(kStructureBar, kDeviceStatus, 1);
  ASSERT_TRUE(write_window(0, 1, kAck));
  EXPECT_EQ(read_window(0, 1), Answer{kAck});
  EXPECT_EQ(read(kDeviceStatus, 1), Answer{kAck});
  aim(kStructureBar, kDriverFeatureSelect, 4);
  ASSERT_TRUE(write_window(0, 4, 7));
  EXPECT_EQ(read(kDriverFeatureSelect, 4), Answer{7});
  aim(kMsixBar, 8, 4);
  ASSERT_TRUE(write_window(0, 4, 0x1234));
  EXPECT_EQ(read_window(0, 4), Answer{0x1234});
  run_by_registers();
  aim(kStructureBar, kNotifyAt, 2);
  ASSERT_TRUE(write_window(0, 2, 0));
  EXPECT_EQ(host.wakes, 1);
  device.driver->notify_used(0);
  aim(kStructureBar, kIsrAt, 1);
  EXPECT_EQ(read_window(0, 1), Answer{kIsrQueue});
  EXPECT_THAT(vmm.take(), ElementsAre("high 3", "low 3"));
}

TEST_F(PciTransportTest, ConfigurationAccessIsOfCapLengthBytesFromTheFirstOn) {
  aim(kStructureBar, kDeviceFeatureSelect, 4);
  for (const std::size_t width : {1U, 2U}) {
    EXPECT_EQ(read_window(0, width), (Answer{0, Error(DeviceError::kAccessWidth, width, 4)}));
    EXPECT_EQ(write_window(0, width, 1).error(), Error(DeviceError::kAccessWidth, width, 4));
  }
  aim(kStructureBar, kDeviceStatus, 1);
  EXPECT_EQ(read_window(2, 2), (Answer{0, Error(DeviceError::kAccessWidth, 2, 1)}));
  EXPECT_FALSE(write_window(1, 1, kAck));
  EXPECT_EQ(read(kDeviceStatus, 1), Answer{0});
  EXPECT_EQ(read(kDeviceFeatureSelect, 4), Answer{0});
}

TEST_F(PciTransportTest, ConfigurationAccessToNothingIsRefused) {
  const auto refusal = [&](std::uint64_t bar, std::uint64_t offset, std::uint64_t length) {
    aim(bar, offset, length);
    EXPECT_EQ(read_window(0, 4).value, 0U);
    const auto why = *read_window(0, 4).error;
    EXPECT_EQ(write_window(0, 4, 0).error(), why);
    return why;
  };
  for (const std::uint64_t length : {0U, 3U, 5U, 8U, UINT32_MAX})
    EXPECT_EQ(refusal(kStructureBar, 0, length), Error(DeviceError::kRegisterValue, length, 4));
  EXPECT_EQ(refusal(kStructureBar, 1, 2), Error(DeviceError::kRegister, 1));
  EXPECT_EQ(refusal(kStructureBar, 2, 4), Error(DeviceError::kRegister, 2));
  for (const std::uint64_t bar : {1U, 3U, 6U, 0xffU})
    EXPECT_EQ(refusal(bar, 0, 4), Error(DeviceError::kRegisterValue, bar));
  EXPECT_EQ(refusal(kStructureBar, kStructureBytes, 4),
            Error(DeviceError::kRegister, kStructureBytes));
  EXPECT_EQ(refusal(kMsixBar, 0x1000, 4), Error(DeviceError::kRegister, 0x1000));
  EXPECT_EQ(refusal(kStructureBar, 0xfffffffc, 4), Error(DeviceError::kRegister, 0xfffffffc));
}

TEST_F(PciTransportTest, WhatIsInNoStructureIsRefused) {
  for (const std::uint64_t offset : {0x40U, 0x1001U, 0x1ffcU}) {
    EXPECT_TRUE(read(offset, 1).error);
    EXPECT_FALSE(write(offset, 1, 1));
  }
}

TEST_F(PciTransportTest, BehindTheVectorsAndTheirBitsTheOtherBarHasNothing) {
  run_by_registers(kVersion1 | feature_bit(VIRTIO_F_RING_RESET));
  for (const std::uint64_t offset : {std::uint64_t{kQueueReset}, std::uint64_t{0x100}}) {
    const auto behind =
        answer(2, [&](auto data) { return bus.read(false, kTable + offset, data); });
    EXPECT_EQ(behind, (Answer{0, Error(DeviceError::kRegister, offset)}));
    EXPECT_EQ(bus.write(false, kTable + offset, bytes_of(1, 2)).error(),
              Error(DeviceError::kRegister, offset));
  }
  EXPECT_TRUE(lifecycle.queue(1).active());
}

TEST_F(PciTransportTest, RegistersAreSavedAndRestored) {
  run_by_registers();
  use_msix();
  ASSERT_TRUE(write(kQueueSelect, 2, 0xabcd));
  ASSERT_TRUE(write(kDeviceFeatureSelect, 4, 0x12345678));
  device.driver->config_changed();
  const auto bytes = transport->save();
  const auto whole = bus.encode();

  ASSERT_TRUE(write(kDeviceStatus, 1, 0));
  bus.reset();
  ASSERT_TRUE(bus.restore(whole));
  ASSERT_TRUE(transport->restore(bytes));
  EXPECT_EQ(transport->save(), bytes);
  EXPECT_EQ(bus.encode(), whole);
  EXPECT_EQ(read(kQueueSelect, 2), Answer{0xabcd});
  EXPECT_EQ(read(kConfigMsixVector, 2), Answer{0});
  EXPECT_EQ(read(kIsrAt, 1), Answer{kIsrConfiguration});
}

TEST_F(PciTransportTest, ARestoredIsrHasItsPin) {
  run_by_registers();
  device.driver->notify_used(0);
  const auto bytes = transport->save();
  ASSERT_EQ(read(kIsrAt, 1), Answer{kIsrQueue});
  vmm.take();
  ASSERT_TRUE(transport->restore(bytes));
  EXPECT_THAT(vmm.take(), ElementsAre("high 3"));
}

TEST_F(PciTransportTest, SavedRegistersThatAreNoneAreRefusedAndChangeNothing) {
  use_msix();
  const auto good = transport->save();
  ASSERT_EQ(good.size(), 28U);
  const auto refusal = [&](std::size_t offset) {
    auto bytes = good;
    bytes.at(offset) = std::byte{0x84};
    const auto restored = transport->restore(bytes);
    EXPECT_EQ(transport->save(), good);
    return restored.error();
  };
  EXPECT_EQ(refusal(0), DeviceStateError::kMagic);
  EXPECT_EQ(refusal(4), Error(DeviceStateError::kVersion, 0x84, 1));
  EXPECT_EQ(refusal(6), Error(DeviceStateError::kQueueCount, 0x84, 2));
  EXPECT_EQ(refusal(18), Error(DeviceStateError::kVector, 0x84, kVectors));
  EXPECT_EQ(refusal(20), Error(DeviceStateError::kInterruptStatus, 0x84, 3));
  EXPECT_EQ(refusal(23), Error(DeviceStateError::kReserved, 0x840000));
  EXPECT_EQ(refusal(24), Error(DeviceStateError::kVector, 0x84, kVectors));
  EXPECT_EQ(refusal(26), Error(DeviceStateError::kVector, 0x84, kVectors));
  EXPECT_EQ(transport->restore(std::span(good).first(27)).error(),
            Error(DeviceStateError::kBytes, 27, 28));
  EXPECT_EQ(transport->restore({}).error(), Error(DeviceStateError::kBytes, 0, 28));
}

}  // namespace
}  // namespace guestproof::virtio
