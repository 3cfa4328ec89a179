#include "guestproof/memory/volatile_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace guestproof::volatile_access {
namespace {

using ::testing::ElementsAre;

/// 1, 2, 3, ... so that every byte's place shows in the value.
template <std::size_t N>
std::array<std::byte, N> counting_bytes() {
  std::array<std::byte, N> bytes;
  for (std::size_t i = 0; i < N; ++i) bytes[i] = static_cast<std::byte>(i + 1);
  return bytes;
}

struct Object16 {
  std::array<std::byte, 16> bytes;
};

TEST(VolatileAccessTest, LoadsEveryWidthAtOddAddresses) {
  const auto bytes = counting_bytes<32>();
  const auto* odd = bytes.data() + 1;

  EXPECT_EQ(load<std::uint8_t>(odd), 0x02u);
  EXPECT_EQ(load<std::uint16_t>(odd), 0x0302u);
  EXPECT_EQ(load<std::uint32_t>(odd), 0x05040302u);
  EXPECT_EQ(load<std::uint64_t>(odd), 0x0908070605040302u);
  EXPECT_EQ(load<Object16>(odd).bytes.front(), std::byte{0x02});
  EXPECT_EQ(load<Object16>(odd).bytes.back(), std::byte{0x11});
}

TEST(VolatileAccessTest, StoresEveryWidthAndNothingBeside) {
  std::array<std::byte, 20> bytes{};

  store(bytes.data() + 1, Object16{counting_bytes<16>()});
  store(bytes.data() + 1, std::uint8_t{0xff});

  EXPECT_EQ(bytes[0], std::byte{0});
  EXPECT_EQ(bytes[1], std::byte{0xff});
  EXPECT_EQ(bytes[2], std::byte{2});
  EXPECT_EQ(bytes[16], std::byte{16});
  EXPECT_EQ(bytes[17], std::byte{0});
}

TEST(VolatileAccessTest, OrderedFormsReadBackWhatTheyStored) {
  alignas(8) std::array<std::byte, 8> bytes{};

  store_release<std::uint16_t>(bytes.data() + 2, 0x1234);

  EXPECT_EQ(load_acquire<std::uint16_t>(bytes.data() + 2), 0x1234u);
  EXPECT_EQ(load_acquire<std::uint64_t>(bytes.data()), 0x12340000u);
}

TEST(VolatileAccessTest, CopiesExactlyTheLength) {
  const auto bytes = counting_bytes<4>();
  std::array<std::byte, 4> copy{};

  copy_out(copy.data(), bytes.data(), 3);
  EXPECT_THAT(copy, ElementsAre(std::byte{1}, std::byte{2}, std::byte{3}, std::byte{0}));

  std::array<std::byte, 4> target{};
  copy_in(target.data(), bytes.data(), 3);
  EXPECT_EQ(target, copy);
}

TEST(VolatileAccessTest, FillsExactlyTheLength) {
  std::array<std::byte, 4> bytes{};
  fill(bytes.data() + 1, 2, std::byte{7});
  EXPECT_THAT(bytes, ElementsAre(std::byte{0}, std::byte{7}, std::byte{7}, std::byte{0}));
}

// An empty slice has no host address; memset() may not be called with a null one.
TEST(VolatileAccessTest, NothingToCopyOrFillNeedsNoAddress) {
  copy_out(nullptr, nullptr, 0);
  copy_in(nullptr, nullptr, 0);
  fill(nullptr, 0, std::byte{7});
}

}  // namespace
}  // namespace guestproof::volatile_access
