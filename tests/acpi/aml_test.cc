#include "guestproof/acpi/aml.h"

#include <gtest/gtest.h>

namespace guestproof::acpi::aml {
namespace {

Code bytes(std::initializer_list<unsigned> values) {
  Code code;
  for (const auto value : values) code.push_back(static_cast<std::byte>(value));
  return code;
}

TEST(AmlTest, PackageLengthCountsItself) {
  EXPECT_EQ(package_length(0), bytes({0x01}));
  EXPECT_EQ(package_length(0x3e), bytes({0x3f}));
  EXPECT_EQ(package_length(0x3f), bytes({0x41, 0x04}));  // 0x41 bytes
  EXPECT_EQ(package_length(0xffd), bytes({0x4f, 0xff}));
  EXPECT_EQ(package_length(0xffe), bytes({0x81, 0x00, 0x01}));  // 0x1001
  EXPECT_EQ(package_length(0xffffc), bytes({0x8f, 0xff, 0xff}));
  EXPECT_EQ(package_length(0xffffd), bytes({0xc1, 0x00, 0x00, 0x01}));
  EXPECT_EQ(package_length(kMaxPackageBytes), bytes({0xcf, 0xff, 0xff, 0xff}));
}

TEST(AmlTest, IntegersTakeWhatTheyNeed) {
  EXPECT_EQ(integer(0), bytes({0x00}));
  EXPECT_EQ(integer(1), bytes({0x01}));
  EXPECT_EQ(integer(2), bytes({0x0a, 2}));
  EXPECT_EQ(integer(0xff), bytes({0x0a, 0xff}));
  EXPECT_EQ(integer(0x100), bytes({0x0b, 0x00, 0x01}));
  EXPECT_EQ(integer(0x10000), bytes({0x0c, 0, 0, 1, 0}));
  EXPECT_EQ(integer(0x1'0000'0000), bytes({0x0e, 0, 0, 0, 0, 1, 0, 0, 0}));
}

TEST(AmlTest, PathsHaveSegmentsOfFour) {
  EXPECT_EQ(path("GED"), bytes({'G', 'E', 'D', '_'}));
  EXPECT_EQ(path("\\_SB"), bytes({'\\', '_', 'S', 'B', '_'}));
  EXPECT_EQ(path("\\_SB.COM1"), bytes({'\\', 0x2e, '_', 'S', 'B', '_', 'C', 'O', 'M', '1'}));
  EXPECT_EQ(path("A.B.C"),
            bytes({0x2f, 3, 'A', '_', '_', '_', 'B', '_', '_', '_', 'C', '_', '_', '_'}));
}

TEST(AmlTest, EisaIdentifiersAreCompressed) {
  EXPECT_EQ(eisa_id("PNP0501"), bytes({0x0c, 0x41, 0xd0, 0x05, 0x01}));
  EXPECT_EQ(eisa_id("PNP0A08"), bytes({0x0c, 0x41, 0xd0, 0x0a, 0x08}));
}

TEST(AmlTest, TermsNest) {
  EXPECT_EQ(string("hi"), bytes({0x0d, 'h', 'i', 0}));
  EXPECT_EQ(buffer(bytes({7, 8})), bytes({0x11, 0x05, 0x0a, 2, 7, 8}));
  EXPECT_EQ(package({integer(5), integer(0)}), bytes({0x12, 0x05, 2, 0x0a, 5, 0}));
  EXPECT_EQ(name("_UID", integer(1)), bytes({0x08, '_', 'U', 'I', 'D', 0x01}));
  EXPECT_EQ(scope("A", {integer(0)}), bytes({0x10, 0x06, 'A', '_', '_', '_', 0}));
  EXPECT_EQ(device("A", {integer(1)}), bytes({0x5b, 0x82, 0x06, 'A', '_', '_', '_', 1}));
  EXPECT_EQ(method("_EVT", 1, {notify("A", 0x80)}),
            bytes({0x14, 0x0d, '_', 'E', 'V', 'T', 0x09, 0x86, 'A', '_', '_', '_', 0x0a, 0x80}));
}

TEST(AmlTest, ResourcesEndWithATag) {
  EXPECT_EQ(resources({}), bytes({0x11, 0x05, 0x0a, 2, 0x79, 0}));
  EXPECT_EQ(io_ports(0x3f8, 8), bytes({0x47, 1, 0xf8, 0x03, 0xf8, 0x03, 1, 8}));
  EXPECT_EQ(memory32_fixed(0xd0000000, 0x1000),
            bytes({0x86, 9, 0, 1, 0, 0, 0, 0xd0, 0, 0x10, 0, 0}));
  EXPECT_EQ(interrupt(5, Trigger::kEdge), bytes({0x89, 6, 0, 0x03, 1, 5, 0, 0, 0}));
  EXPECT_EQ(interrupt(0x105, Trigger::kLevel), bytes({0x89, 6, 0, 0x09, 1, 5, 1, 0, 0}));
}

TEST(AmlTest, AddressRangesSayWhereTheyEnd) {
  EXPECT_EQ(word_bus_number(0, 1), bytes({0x88, 13, 0, 2, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}));
  EXPECT_EQ(word_io(0xc000, 0x4000),
            bytes({0x88, 13, 0, 1, 0x0c, 3, 0, 0, 0x00, 0xc0, 0xff, 0xff, 0, 0, 0x00, 0x40}));
  const auto memory = qword_memory(0x4000000000, 0x1000, Usage::kConsumed);
  EXPECT_EQ(memory.size(), 46u);
  EXPECT_EQ(Code(memory.begin(), memory.begin() + 6), bytes({0x8a, 43, 0, 0, 0x0d, 1}));
  EXPECT_EQ(Code(memory.begin() + 22, memory.begin() + 30),
            bytes({0xff, 0x0f, 0, 0, 0x40, 0, 0, 0}));
  EXPECT_EQ(qword_memory(0, 1, Usage::kProduced)[4], std::byte{0x0c});
}

}  // namespace
}  // namespace guestproof::acpi::aml
