#include "guestproof/loader/mp_table.h"

#include <string>

#include "support.h"

namespace guestproof::loader {
namespace {

class MpTableTest : public ::testing::Test {
 protected:
  Image table() { return image_of(make_mp_table(machine, GuestAddress(0xf0000)).value()); }
  static std::string text(const Image& image, std::size_t offset, std::size_t length) {
    return {reinterpret_cast<const char*>(image.data()) + offset, length};
  }
  static unsigned sum(const Image& image, std::size_t begin, std::size_t end) {
    unsigned sum = 0;
    for (auto i = begin; i < end; ++i) sum += image[i];
    return sum & 0xff;
  }

  MpMachine machine{.processors = 2, .cpu_signature = 0x306c3, .feature_flags = 0x1783fbff};
};

TEST_F(MpTableTest, ThePointerFindsTheTable) {
  const auto bytes = table();
  EXPECT_EQ(text(bytes, 0, 4), "_MP_");
  EXPECT_EQ(number_at(bytes, {4, 4}), 0xf0010u);
  EXPECT_EQ(bytes[8], 1);
  EXPECT_EQ(bytes[9], 4);
  EXPECT_EQ(number_at(bytes, {11, 5}), 0u);
  EXPECT_EQ(sum(bytes, 0, 16), 0u);
}

TEST_F(MpTableTest, TheHeaderCountsBytesAndEntries) {
  const auto bytes = table();
  EXPECT_EQ(text(bytes, 16, 4), "PCMP");
  EXPECT_EQ(number_at(bytes, {20, 2}), bytes.size() - 16);
  EXPECT_EQ(bytes[22], 4);
  EXPECT_EQ(text(bytes, 24, 20), "GUESTPRFVM          ");
  EXPECT_EQ(number_at(bytes, {50, 2}), 2u + 2 + 16 + 2);
  EXPECT_EQ(number_at(bytes, {52, 4}), 0xfee0'0000u);
  EXPECT_EQ(number_at(bytes, {56, 4}), 0u);
  EXPECT_EQ(sum(bytes, 16, bytes.size()), 0u);
}

TEST_F(MpTableTest, HasEveryProcessor) {
  const auto bytes = table();
  EXPECT_EQ(number_at(bytes, {60, 4}), 0x03'14'00'00u);
  EXPECT_EQ(number_at(bytes, {64, 4}), 0x306c3u);
  EXPECT_EQ(number_at(bytes, {68, 4}), 0x1783fbffu);
  EXPECT_EQ(number_at(bytes, {80, 4}), 0x01'14'01'00u);
}

TEST_F(MpTableTest, HasTheBusAndTheIoApic) {
  const auto bytes = table();
  EXPECT_EQ(number_at(bytes, {100, 2}), 0x00'01u);
  EXPECT_EQ(text(bytes, 102, 6), "ISA   ");
  EXPECT_EQ(number_at(bytes, {108, 4}), 0x01'11'02'02u);
  EXPECT_EQ(number_at(bytes, {112, 4}), 0xfec0'0000u);
}

TEST_F(MpTableTest, InterruptsOfTheBusAreInputsOfTheSameNumber) {
  const auto bytes = table();
  for (std::uint64_t irq = 0; irq < 16; ++irq)
    EXPECT_EQ(number_at(bytes, {116 + 8 * irq, 8}), 3 | irq << 40 | 2ULL << 48 | irq << 56);
  EXPECT_EQ(number_at(bytes, {116 + 8 * 16, 8}), 0x00ff'0000'0000'0304u);
  EXPECT_EQ(number_at(bytes, {116 + 8 * 17, 8}), 0x01ff'0000'0000'0104u);
  EXPECT_EQ(bytes.size(), 116u + 8 * 18);
}

TEST_F(MpTableTest, RefusesWhatItCannotSay) {
  machine.processors = 254;
  EXPECT_EQ(table().size(), kMaxMpTableBytes);
  machine.processors = 255;
  EXPECT_EQ(make_mp_table(machine, GuestAddress(0xf0000)).error(),
            Error(MpTableError::kProcessors, 255, 254));
  machine.processors = 0;
  EXPECT_EQ(make_mp_table(machine, GuestAddress(0xf0000)).error(),
            Error(MpTableError::kProcessors, 0, 254));
  machine.processors = 1;
  EXPECT_EQ(make_mp_table(machine, GuestAddress(0xf0008)).error(),
            Error(MpTableError::kAddress, 0xf0008, 16));
  EXPECT_EQ(make_mp_table(machine, GuestAddress(0xffff'fff0)).error(),
            Error(MpTableError::kAddress, 0xffff'fff0, 16));
}

TEST_F(MpTableTest, LoadsAllOrNothing) {
  const auto memory = make_memory(GuestAddress(0xf0000), 0x1000);
  EXPECT_EQ(load(memory, machine, GuestAddress(0xf0ff0)).error().as<MemoryError>(),
            MemoryError::kUnmapped);
  EXPECT_EQ(read(memory, 0xf0000, 0x1000), Image(0x1000));
  ASSERT_TRUE(load(memory, machine));
  EXPECT_EQ(read(memory, 0xf0000, table().size()), table());
  machine.processors = 0;
  EXPECT_EQ(load(memory, machine).error().as<MpTableError>(), MpTableError::kProcessors);
}

}  // namespace
}  // namespace guestproof::loader
