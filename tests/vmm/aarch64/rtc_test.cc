#include "vmm/aarch64/rtc.h"

#include <gtest/gtest.h>
#include <time.h>

#include "guestproof/base/endian.h"

namespace guestproof::vmm::aarch64 {
namespace {

// PL031's registers.
constexpr std::uint64_t kData = 0x00, kMatch = 0x04, kMask = 0x10, kClear = 0x1c;

class RtcTest : public testing::Test, private InterruptLine {
 protected:
  std::uint32_t read(std::uint64_t offset) {
    le32 value{};
    EXPECT_TRUE(rtc->read(offset, std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }
  void write(std::uint64_t offset, std::uint32_t number) {
    const le32 value(number);
    EXPECT_TRUE(rtc->write(offset, std::as_bytes(std::span(&value, 1))));
  }

  std::unique_ptr<EventLoop> loop = EventLoop::create().value();
  std::unique_ptr<Rtc> rtc = Rtc::create(*this, *loop).value();
  bool high = false;

 private:
  void set(bool asserted) override {
    high = asserted;
    if (asserted) loop->stop();
  }
};

TEST_F(RtcTest, HasTheTimeOfTheHost) {
  const auto before = static_cast<std::uint32_t>(::time(nullptr));
  const auto now = read(kData);
  EXPECT_GE(now, before);
  EXPECT_LE(now, static_cast<std::uint32_t>(::time(nullptr)));
}

// Nobody looks at the clock until then.
TEST_F(RtcTest, AnAlarmInterruptsByItself) {
  write(kMask, 1);
  // Again where this thread was kept from setting it until it was over.
  std::uint32_t match = 0;
  do {
    match = read(kData) + 2;
    write(kMatch, match);
  } while (!high && read(kData) >= match);
  ASSERT_TRUE(loop->run());
  EXPECT_TRUE(high);
  write(kClear, 1);
  EXPECT_FALSE(high);
}

}  // namespace
}  // namespace guestproof::vmm::aarch64
