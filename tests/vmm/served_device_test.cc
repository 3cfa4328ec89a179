#include "vmm/served_device.h"

#include <gtest/gtest.h>

#include <thread>

#include "guestproof/testing/driver.h"

namespace guestproof::vmm {
namespace {

/// Returns what it is given; has a back end that becomes ready when the test says so.
class Echo final : public virtio::VirtioDevice<MappedMemory> {
 public:
  [[nodiscard]] std::uint32_t device_id() const override { return 0x4543; }
  [[nodiscard]] std::uint64_t features() const override { return 0; }
  [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return kSizes; }
  void attach(virtio::Driver<MappedMemory>& driver) override { driver_ = &driver; }
  void start() override {}
  [[nodiscard]] Result<bool> serve(std::uint16_t queue) override {
    return virtio::take_turn(*driver_, queue, [&](auto chain) -> Result<void> {
      if (chain.fault()) driver_->refused(queue, *chain.fault());
      return chain.complete(0);
    });
  }
  void stop_queue(std::uint16_t) override {}
  void settle() override {}
  void reset() override {}
  [[nodiscard]] int host_fd() const override { return event.get(); }
  [[nodiscard]] Result<bool> host_ready() override {
    static_cast<void>(event.take());
    return ++host_turns % 2 == 1;  // each event takes two turns
  }
  [[nodiscard]] Result<void> save(std::vector<std::byte>&) override { return {}; }
  [[nodiscard]] Result<void> restore(std::span<const std::byte>) override { return {}; }

  EventFd event = EventFd::create().value();
  std::atomic<int> host_turns = 0;

 private:
  static constexpr std::array<std::uint16_t, 1> kSizes{16};
  virtio::Driver<MappedMemory>* driver_ = nullptr;
};

class ServedDeviceTest : public ::testing::Test {
 protected:
  ServedDeviceTest() {
    auto made = std::make_unique<Echo>();
    echo = made.get();
    Device device{"--echo", {}, std::move(made), [this] { ++begun; }};
    served = ServedDevice::create(std::move(device), memory, lock, *loop).value();
    serving = std::thread([this] { EXPECT_TRUE(loop->run()); });
  }
  ~ServedDeviceTest() override { end_loop(); }
  void end_loop() {
    loop->stop();
    if (serving.joinable()) serving.join();
  }
  void bring_up() {
    served->access([&] {
      auto& life = served->lifecycle();
      EXPECT_TRUE(life.set_status(3));
      EXPECT_TRUE(life.set_driver_features(1, 1));
      EXPECT_TRUE(life.set_status(11));
      EXPECT_TRUE(life.set_queue_size(0, layout.size));
      EXPECT_TRUE(life.set_descriptor_area(0, layout.descriptor_table));
      EXPECT_TRUE(life.set_driver_area(0, layout.available_ring));
      EXPECT_TRUE(life.set_device_area(0, layout.used_ring));
      EXPECT_TRUE(life.enable_queue(0));
      return life.set_status(15);
    });
  }
  /// Waits for the loop's thread; a test that waits for ever is ended by its time limit.
  template <class Condition>
  void until(Condition&& condition) {
    while (true) {
      const std::scoped_lock locked(lock);
      if (condition()) return;
    }
  }

  MappedMemory memory = MappedMemory::Builder().anonymous(GuestAddress(0), 0x10000).build().value();
  guestproof::testing::QueueLayout layout =
      guestproof::testing::QueueLayout::at(GuestAddress(0x1000), 8);
  guestproof::testing::Driver<MappedMemory> driver{memory, layout};
  std::mutex lock;
  std::unique_ptr<EventLoop> loop = EventLoop::create().value();
  int begun = 0;
  Echo* echo = nullptr;
  std::unique_ptr<ServedDevice> served;
  std::thread serving;
};

TEST_F(ServedDeviceTest, BeginsOnce) { EXPECT_EQ(begun, 1); }

TEST_F(ServedDeviceTest, ServesWhatIsKicked) {
  bring_up();
  driver.add_chain({{GuestAddress(0x4000), 8, true}});
  EXPECT_TRUE(served->access([&] { return served->lifecycle().kick(0); }));
  until([&] { return driver.take_used().has_value(); });
}

TEST_F(ServedDeviceTest, ListensToTheBackEndWhenItRunsAgain) {
  echo->event.notify();
  bring_up();
  until([&] { return echo->host_turns == 2; });
  EXPECT_TRUE(served->access([&] { return served->lifecycle().set_status(0); }));
  echo->event.notify();
  bring_up();
  until([&] { return echo->host_turns == 4; });
}

TEST_F(ServedDeviceTest, ListensToTheBackEndNoLongerThanItRuns) {
  echo->event.notify();
  bring_up();
  until([&] { return echo->host_turns == 2; });
  EXPECT_TRUE(served->access([&] { return served->lifecycle().set_status(0); }));
  end_loop();  // what it was told before this it has heard
  EXPECT_TRUE(loop->watch(echo->event.get(), [] {})) << "it is still watched";
}

TEST_F(ServedDeviceTest, TellsOfRefusalsAFewTimes) {
  bring_up();
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 20; ++i) {
    driver.add_chain({{GuestAddress(0x4000), 8, true}});
    ASSERT_TRUE(write_object(memory, GuestAddress(0x1000 + 14 + 16 * (i % 8)), le16(99)));
    ASSERT_TRUE(write_object(memory, GuestAddress(0x1000 + 12 + 16 * (i % 8)), le16(1)));
    EXPECT_TRUE(served->access([&] { return served->lifecycle().kick(0); }));
    until([&] { return driver.take_used().has_value(); });
  }
  const auto said = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(said, '\n')), 17u) << said;
  EXPECT_NE(said.find("guestproof-vmm: --echo: queue 0: "), std::string::npos) << said;
  EXPECT_NE(said.find("--echo: what it does from now on is not told."), std::string::npos);
}

TEST_F(ServedDeviceTest, TellsOfABrokenQueue) {
  bring_up();
  ::testing::internal::CaptureStderr();
  ASSERT_TRUE(write_object(memory, GuestAddress(layout.available_ring.raw() + 2), le16(99)));
  EXPECT_TRUE(served->access([&] { return served->lifecycle().kick(0); }));
  until([&] { return (served->lifecycle().status() & 0x40) != 0; });
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("--echo: it needs a reset: "),
            std::string::npos);
}

}  // namespace
}  // namespace guestproof::vmm
