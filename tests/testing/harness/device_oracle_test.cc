// What a harness of whole devices says of a device that is wrong, or of a host that meddles; and
// what it tells who watches a right one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "guestproof/testing/harness/balloon_harness.h"
#include "guestproof/testing/harness/block_device_harness.h"
#include "guestproof/testing/harness/console_harness.h"
#include "guestproof/testing/harness/echo_harness.h"
#include "guestproof/testing/harness/net_harness.h"
#include "guestproof/testing/harness/rng_harness.h"
#include "guestproof/testing/harness/vsock_device_harness.h"
#include "guestproof/testing/scenario/text.h"

namespace guestproof::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using virtio::DeviceStateError;

/// Gives every chain back as it is. It has a byte that its driver may read, and no state.
class PlainDevice : public virtio::VirtioDevice<WatchedMemory> {
 public:
  [[nodiscard]] std::uint32_t device_id() const override { return 7; }
  [[nodiscard]] std::uint64_t features() const override { return 0; }
  [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override {
    static constexpr std::array<std::uint16_t, 1> kSizes{64};
    return kSizes;
  }
  void attach(virtio::Driver<WatchedMemory>& driver) override { driver_ = &driver; }
  [[nodiscard]] std::span<const std::byte> config() const override { return config_; }
  void start() override {}
  [[nodiscard]] Result<bool> serve(std::uint16_t queue) override {
    return virtio::take_turn(driver(), queue, [](WatchedChain) -> Result<void> { return {}; });
  }
  void stop_queue(std::uint16_t) override {}
  void settle() override {}
  void reset() override {}
  [[nodiscard]] Result<void> save(std::vector<std::byte>&) override { return {}; }
  [[nodiscard]] Result<void> restore(std::span<const std::byte> bytes) override {
    if (bytes.empty()) return {};
    return fail(DeviceStateError::kDevice, std::to_integer<std::uint8_t>(bytes.front()));
  }

 protected:
  [[nodiscard]] virtio::Driver<WatchedMemory>& driver() { return *driver_; }
  std::array<std::byte, 1> config_{std::byte{5}};

 private:
  virtio::Driver<WatchedMemory>* driver_ = nullptr;
};

class PlainModel : public DeviceModel {
 public:
  [[nodiscard]] std::uint32_t device_id() const override { return 7; }
  [[nodiscard]] std::uint64_t features() const override { return 0; }
  [[nodiscard]] std::vector<std::uint16_t> queue_sizes() const override { return {64}; }
  [[nodiscard]] std::vector<std::uint8_t> config() const override { return {5}; }
};

/// A `backend` record of kind 1 is the host's: what it does is a test's.
class PlainHarness final : public DeviceHarness {
 public:
  using Host = std::function<void(PlainHarness&)>;
  using DeviceHarness::host_ready;
  using DeviceHarness::lifecycle;
  using DeviceHarness::lifecycle_model;

  PlainHarness(PlainDevice& device, DeviceModel& model, Host host)
      : DeviceHarness(1), host_(std::move(host)) {
    connect(device, model);
  }
  ~PlainHarness() override { disconnect(); }
  [[nodiscard]] std::string_view name() const override { return "plain"; }

 private:
  void request(Lane& lane, const Record& record) override {
    RequestShape shape;
    shape.writable_data = 16;
    shape.flags = record.flags;
    publish_request(lane, shape);
  }
  [[nodiscard]] Turn serve_model(Lane& lane, std::uint32_t looks) override {
    return model_turn(lane, looks, [](const ModelChain&) { return 0U; });
  }
  void host_event(std::uint8_t, const Record&) override { host_(*this); }
  [[nodiscard]] std::uint8_t host_event_kinds() const override { return 1; }

  Host host_;
};

std::string told(const std::optional<Violation>& violation) {
  return violation ? std::string(violation->oracle) + ": " + violation->sentence : "none";
}

template <class Device = PlainDevice, class Model = PlainModel>
std::string verdict(std::string_view text, PlainHarness::Host host = {}) {
  Device device;
  Model model;
  PlainHarness harness(device, model, std::move(host));
  return told(harness.run(parse_text(text).value()));
}

TEST(DeviceOracle, HasNothingToSayOfAGoodDevice) {
  EXPECT_EQ(verdict("request flags=kick\nsave\nbackend kind=1\nremap\nrequest flags=kick\n"
                    "access kind=1 next=2\nactivate flags=pci\nrequest",
                    [](PlainHarness& harness) { harness.host_ready(); }),
            "none");
}

TEST(DeviceOracle, KnowsThatAPlainDeviceHasNoState) {
  // What follows the queue in the saved state, with the length of all of it (in byte 40) right.
  PlainDevice device;
  PlainModel model;
  PlainHarness harness(device, model, [](PlainHarness& self) {
    auto state = self.lifecycle().save().value();
    state.push_back(std::byte{9});
    state[8] = static_cast<std::byte>(state.size());
    const auto done = self.lifecycle().restore(state);
    compare_errors(kRoundTrip, "restoring", done ? std::nullopt : std::optional(done.error()),
                   self.lifecycle_model().restore(
                       {reinterpret_cast<const std::uint8_t*>(state.data()), state.size()}));
    EXPECT_EQ(done.error(), Error(DeviceStateError::kDevice, 9));
  });
  EXPECT_EQ(told(harness.run(parse_text("backend kind=1\nactivate\n").value())), "none");
}

struct OtherConfig : PlainDevice {
  OtherConfig() { config_[0] = std::byte{6}; }
};
TEST(DeviceOracle, SeesAConfigurationSpaceThatIsNotTheModels) {
  EXPECT_EQ(verdict<OtherConfig>("access kind=1 next=2 length=1"),
            "model-agreement: a read at 0x100 gets other bytes than the model's");
}

struct Insatiable : PlainDevice {
  Result<bool> serve(std::uint16_t queue) override {
    const auto done = PlainDevice::serve(queue);
    return done ? Result<bool>(true) : done;
  }
};
TEST(DeviceOracle, SeesATurnTooMany) {
  EXPECT_EQ(verdict<Insatiable>("request flags=kick"),
            "liveness: the device wants another turn, the model does not");
}

struct Forgetful : PlainDevice {
  Result<bool> serve(std::uint16_t queue) override {
    const auto done = PlainDevice::serve(queue);
    return done ? Result<bool>(false) : done;
  }
};
TEST(DeviceOracle, SeesATurnTooFew) {
  // The available index moves on while the device looks: it has had its share before it is done.
  EXPECT_THAT(verdict<Forgetful>("queue index=0\nrequest\nrace address=avail+2 nth=2 value=2\n"
                                 "race address=avail+2 nth=3 value=3\nkick"),
              HasSubstr("the model wants another turn, the device does not"));
}

struct Evasive : PlainDevice {
  Result<bool> serve(std::uint16_t queue) override {
    const auto done = PlainDevice::serve(queue);
    return done ? done : fail(SystemError::kRead, EIO);
  }
};
TEST(DeviceOracle, SeesADeviceThatGivesUpForAReasonOfItsOwn) {
  EXPECT_THAT(verdict<Evasive>("entry index=0 next=99\navail next=1\nkick"),
              StartsWith("liveness: the device gives up for another reason than a broken queue: "));
}

TEST(DeviceOracle, SeesADeviceThatIsWokenForNothing) {
  EXPECT_EQ(verdict("backend kind=1\naccess kind=1 next=2",
                    [](PlainHarness& harness) { EXPECT_TRUE(harness.lifecycle().kick(0)); }),
            "liveness: the device is woken for nothing");
}

TEST(DeviceOracle, SeesADeviceThatIsNotWoken) {
  EXPECT_EQ(
      verdict("backend kind=1\naccess kind=1 next=2",
              [](PlainHarness& harness) { EXPECT_TRUE(harness.lifecycle_model().kick(0).none()); }),
      "liveness: the device is not woken");
}

struct Complaining : PlainDevice {
  Result<bool> serve(std::uint16_t queue) override {
    driver().refused(queue, Error(SystemError::kRead, EIO));
    return PlainDevice::serve(queue);
  }
};
TEST(DeviceOracle, SeesARefusalThatIsNotTheModels) {
  EXPECT_EQ(verdict<Complaining>("request flags=kick"),
            "model-agreement: the device refused 1 requests, the model 0");
}

struct Noisy : PlainDevice {
  Result<bool> serve(std::uint16_t queue) override {
    driver().notify_used(queue);
    return PlainDevice::serve(queue);
  }
};
TEST(DeviceOracle, SeesAnInterruptTooMany) {
  EXPECT_EQ(verdict<Noisy>("flags flags=no_interrupt\nrequest flags=kick"),
            "model-agreement: InterruptStatus is 0x1, the model's 0x0");
  EXPECT_EQ(verdict<Noisy>("activate flags=pci\nrequest flags=kick"),
            "model-agreement: PCI: what happens is message function 0x0 number 0 0xfee00004 0x1, "
            "message function 0x0 number 0 0xfee00004 0x1; for the model it is message function "
            "0x0 number 0 0xfee00004 0x1");
}

struct Unsavable : PlainDevice {
  Result<void> save(std::vector<std::byte>&) override { return fail(SystemError::kRead, EIO); }
};
TEST(DeviceOracle, SeesASaveThatFails) {
  EXPECT_THAT(verdict<Unsavable>("save"), StartsWith("round-trip: saving fails: "));
}

struct Hoarding : PlainDevice {
  Result<void> save(std::vector<std::byte>& out) override {
    out.push_back(std::byte{1});
    return {};
  }
};
TEST(DeviceOracle, SeesAStateThatIsNotTheModels) {
  EXPECT_EQ(verdict<Hoarding>("save"),
            "round-trip: the saved state differs from the model's in byte 40")
      << "the length of all";
}

struct Unrestorable : PlainDevice {
  Result<void> restore(std::span<const std::byte>) override {
    return fail(DeviceStateError::kDevice, 1, 2);
  }
};
struct UnrestorableModel : PlainModel {
  ModelError restore(std::span<const std::uint8_t>) override {
    return {"device_state.device", 1, 2};
  }
};
TEST(DeviceOracle, SeesAStateThatIsNotTakenBack) {
  EXPECT_THAT(verdict<Unrestorable>("save"), StartsWith("round-trip: restoring: for the device"));
  const auto both = verdict<Unrestorable, UnrestorableModel>("save");
  EXPECT_EQ(both, "round-trip: what was just saved cannot be restored");
}

/// Does one thing more than it should each time the host does something.
template <class H>
class Meddling final : public H {
 public:
  using Meddle = std::function<void(Meddling&)>;
  using H::H;
  Meddle meddle;

  auto& storage() { return H::storage(); }
  auto& slow_storage() { return H::slow_storage(); }
  auto& host() { return H::host(); }

 private:
  void host_event(std::uint8_t kind, const Record& record) override {
    H::host_event(kind, record);
    meddle(*this);
  }
};

using MeddlingBlock = Meddling<BlockDeviceHarness>;
std::string block_verdict(MeddlingBlock::Meddle meddle) {
  MeddlingBlock harness;
  harness.meddle = std::move(meddle);
  return told(harness.run(parse_text("backend kind=1\nrequest flags=kick").value()));
}

TEST(BlockDeviceOracle, HasNothingToSayOfAGoodDevice) {
  EXPECT_EQ(block_verdict([](MeddlingBlock&) {}), "none");
}

TEST(BlockDeviceOracle, SeesASectorThatShouldNotHaveChanged) {
  EXPECT_EQ(block_verdict([](MeddlingBlock& harness) {
              const std::byte wrong{0};
              harness.storage().disk.write(9 * 512, std::span(&wrong, 1));
            }),
            "model-agreement: sector 9 of the disk is not what the model says");
}

TEST(BlockDeviceOracle, SeesAFlushTooMany) {
  EXPECT_EQ(block_verdict([](MeddlingBlock& harness) { EXPECT_TRUE(harness.storage().flush()); }),
            "model-agreement: flushes: 1 of the device, 0 of the model");
}

void submit_a_flush(MeddlingBlock& harness) {
  auto& disk = harness.slow_storage();
  disk.slow = true;
  EXPECT_FALSE(disk.submit({.token = 99}).has_value());
  disk.slow = false;
}

TEST(BlockDeviceOracle, SeesAnOperationTooMany) {
  EXPECT_EQ(block_verdict(submit_a_flush),
            "model-agreement: operations in flight: 1 of the device, 0 of the model");
}

TEST(BlockDeviceOracle, SeesAnOperationThatIsNeverBegun) {
  EXPECT_EQ(block_verdict([](MeddlingBlock& harness) {
              submit_a_flush(harness);
              harness.slow_storage().fail_all(Error(SystemError::kSync, EIO));
            }),
            "liveness: an operation was submitted and never begun");
}

using MeddlingVsock = Meddling<VsockDeviceHarness>;
std::string vsock_verdict(MeddlingVsock::Meddle meddle) {
  MeddlingVsock harness;
  harness.meddle = std::move(meddle);
  return told(harness.run(parse_text("backend kind=1 value=5\nrequest flags=kick").value()));
}

TEST(VsockDeviceOracle, HasNothingToSayOfAGoodDevice) {
  EXPECT_EQ(vsock_verdict([](MeddlingVsock&) {}), "none");
}

TEST(VsockDeviceOracle, SeesASocketTooMany) {
  EXPECT_EQ(vsock_verdict([](MeddlingVsock& harness) { EXPECT_TRUE(harness.host().connect(9)); }),
            "model-agreement: the device has opened 2 sockets, the model 1");
}

TEST(VsockDeviceOracle, SeesASocketInAnotherState) {
  EXPECT_EQ(vsock_verdict([](MeddlingVsock& harness) {
              harness.host().finish_writing(virtio::vsock::HostSocket{0});
            }),
            "model-agreement: of socket 0, whether writing is finished is not the model's");
}

/// Writes down what it hears.
class Recorder final : public DeviceObserver {
 public:
  std::vector<std::string> heard;
  std::set<int> fds;  // of the device's back end

  void writing_register(std::uint64_t offset, std::span<const std::byte> bytes) override {
    heard.push_back("writing " + hex(offset) + " " + text_of(bytes));
  }
  void register_read(std::uint64_t offset, std::span<const std::byte> bytes) override {
    heard.push_back("read " + hex(offset) + " " + text_of(bytes));
  }
  void settled(const virtio::Lifecycle& device, std::uint32_t interrupt_status,
               bool busy) override {
    fds.insert(device.host_fd());
    heard.push_back("settled " + hex(device.status()) + " " + hex(interrupt_status) +
                    (busy ? " busy" : ""));
  }
  void host_event(std::uint8_t kind, const Record& record) override {
    heard.push_back("host " + std::to_string(kind) + " " + hex(record.value));
  }
  void frame_sent(std::uint16_t pair, std::span<const std::byte> bytes) override {
    heard.push_back("sent on " + std::to_string(pair) + " " + text_of(bytes.last(2)));
  }
  void frame_arrives(std::uint16_t pair, std::span<const std::byte> bytes) override {
    heard.push_back("arrives on " + std::to_string(pair) + " " + text_of(bytes.first(14)));
  }
  void refused(const Error& why) override { heard.push_back("refused " + std::string(why.name())); }

  /// What came after the driver had brought the device up, up to `most`.
  [[nodiscard]] std::vector<std::string> afterwards(std::size_t most) const {
    const auto up =
        std::ranges::find_if(heard, [](const auto& line) { return line.starts_with("settled"); });
    const auto after = std::span(heard).subspan(static_cast<std::size_t>(up - heard.begin()) + 1);
    return {after.begin(),
            after.begin() + static_cast<std::ptrdiff_t>(std::min(most, after.size()))};
  }

 private:
  static std::string text_of(std::span<const std::byte> bytes) {
    std::string text;
    for (const auto byte : bytes)
      text += (text.empty() ? "" : ":") + hex(std::to_integer<unsigned>(byte));
    return text;
  }
};

TEST(DeviceObserver, HearsWhatADriverDoesAndGets) {
  Recorder recorder;
  MmioHarness harness;
  harness.watch(&recorder);
  const auto text =
      "access index=0x30 value=1\naccess kind=1 index=0x44\naccess index=0x44 length=3\n"
      "backend kind=1 value=5\naccess kind=1 index=0x60\naccess kind=1 next=2 length=1";
  EXPECT_EQ(told(harness.run(parse_text(text).value())), "none");
  EXPECT_THAT(recorder.heard.front(), "writing 0x70 0x0:0x0:0x0:0x0");
  EXPECT_THAT(recorder.afterwards(12),
              ElementsAre("writing 0x30 0x1:0x0:0x0:0x0", "settled 0xf 0x0",  //
                          "read 0x44 0x1:0x0:0x0:0x0", "settled 0xf 0x0",     //
                          "writing 0x44 0x0:0x0:0x0", "refused device.access_width",
                          "settled 0xf 0x0", "host 0 0x5", "read 0x60 0x2:0x0:0x0:0x0",
                          "settled 0xf 0x2", "read 0x100 0x5", "settled 0xf 0x2"));
}

TEST(DeviceObserver, HearsThatADiskIsBusyAndSeesWhatIsOnIt) {
  Recorder recorder;
  BlockDeviceHarness harness;
  harness.watch(&recorder);
  const auto text = "backend kind=8 value=1\nrequest kind=1 length=512 flags=kick\ncomplete";
  EXPECT_EQ(told(harness.run(parse_text(text).value())), "none");
  EXPECT_THAT(recorder.heard, ::testing::Contains("settled 0xf 0x0 busy"));
  EXPECT_EQ(recorder.heard.back(), "settled 0xf 0x1");
  EXPECT_TRUE(harness.disk().first_difference(ModelDisk()).has_value());
}

TEST(DeviceObserver, HearsOfFramesInBothDirections) {
  Recorder recorder;
  NetControlHarness harness;
  harness.watch(&recorder);
  const auto text = "request queue=1 kind=192 length=62 flags=kick\nbackend kind=1 value=0x1010000";
  EXPECT_EQ(told(harness.run(parse_text(text).value())), "none");
  EXPECT_THAT(recorder.afterwards(6),
              ElementsAre("writing 0x50 0x1:0x0:0x0:0x0", "sent on 0 0xa4:0xab", "settled 0xf 0x1",
                          "host 0 0x1010000",
                          "arrives on 1 0x0:0x0:0x0:0x0:0x0:0x0:0x0:0x0:0x0:0x0:0x0:0x0:0xff:0xff",
                          "settled 0xf 0x1"));
}

// Back ends of a scenario act when it says so: there is nothing to wait for, but for what a network
// in memory is said to have.
TEST(DeviceObserver, SeesWhatTheHostHasToWaitFor) {
  std::vector<std::unique_ptr<DeviceHarness>> harnesses;
  harnesses.push_back(std::make_unique<PciHarness>());
  harnesses.push_back(std::make_unique<RngHarness>());
  harnesses.push_back(std::make_unique<BalloonHarness>());
  harnesses.push_back(std::make_unique<ConsoleHarness>());
  harnesses.push_back(std::make_unique<BlockDeviceHarness>());
  harnesses.push_back(std::make_unique<VsockDeviceHarness>());
  harnesses.push_back(std::make_unique<NetHarness>());
  for (const auto& harness : harnesses) {
    Recorder recorder;
    harness->watch(&recorder);
    EXPECT_EQ(told(harness->run({})), "none") << harness->name();
    harness->watch(nullptr);
    EXPECT_EQ(recorder.fds, std::set{harness->name() == "net" ? 12 : -1}) << harness->name();
  }
}

}  // namespace
}  // namespace guestproof::testing
