#include "guestproof/fdt/writer.h"

#include <gtest/gtest.h>

#include <string>

#include "print.h"

namespace guestproof::fdt {
namespace {

/// The big-endian number of 4 bytes at an offset.
std::uint32_t number(std::span<const std::byte> blob, std::size_t at) {
  std::uint32_t value = 0;
  for (const auto byte : blob.subspan(at, 4))
    value = value << 8 | std::to_integer<std::uint32_t>(byte);
  return value;
}

std::string text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Error refusal(const Writer& tree) { return tree.finish().error(); }

TEST(FdtWriterTest, TheHeaderSaysWhereEverythingIs) {
  Writer tree;
  tree.reserve(GuestAddress(0x1000), 0x2000);
  tree.begin("").cells("reg", {1, 0x0203'0405}).flag("g").end();
  const auto blob = tree.finish().value();

  EXPECT_EQ(number(blob, 0), 0xd00dfeedu);
  EXPECT_EQ(number(blob, 4), blob.size());
  EXPECT_EQ(number(blob, 8), 72u);   // structure
  EXPECT_EQ(number(blob, 16), 40u);  // reservations
  EXPECT_EQ(number(blob, 20), 17u);
  EXPECT_EQ(number(blob, 24), 16u);
  EXPECT_EQ(number(blob, 12), 72u + number(blob, 36));  // strings
  EXPECT_EQ(number(blob, 32), 4u);
  EXPECT_EQ(text(std::span(blob).last(4)), std::string("reg\0", 4));
  EXPECT_EQ(number(blob, 44), 0x1000u);
  EXPECT_EQ(number(blob, 52), 0x2000u);
  EXPECT_EQ(number(blob, 60) | number(blob, 68), 0u);
}

TEST(FdtWriterTest, TheStructureIsMadeOfTokens) {
  Writer tree;
  tree.begin("").cells("reg", {1, 0x0203'0405}).flag("g");
  tree.begin("ab@12").text("reg", "xyz").end().end();
  const auto blob = tree.finish().value();

  const std::uint32_t expected[] = {
      1, 0,                                                          // root
      3, 8,           0,           1,           0x0203'0405,         // reg, at 0 of the strings
      3, 0,           2,                                             // g, the end of reg
      1, 0x6162'4031, 0x3200'0000,                                   // ab@12
      3, 4,           0,           0x7879'7a00, 2,           2, 9};  // reg = "xyz"
  for (std::size_t i = 0; i < std::size(expected); ++i)
    EXPECT_EQ(number(blob, 56 + 4 * i), expected[i]) << i;
  EXPECT_EQ(number(blob, 36), sizeof(expected));
}

TEST(FdtWriterTest, ValuesAreBigEndianAndPadded) {
  Writer tree;
  const std::string odd = "abcde";
  tree.begin("")
      .quads("q", {0x0102'0304'0506'0708})
      .texts("t", {"a", "", "b"})
      .bytes("b", std::as_bytes(std::span(odd)))
      .end();
  const auto blob = tree.finish().value();

  EXPECT_EQ(number(blob, 56 + 20), 0x0102'0304u);
  EXPECT_EQ(number(blob, 56 + 24), 0x0506'0708u);
  EXPECT_EQ(number(blob, 56 + 32), 5u);
  EXPECT_EQ(number(blob, 56 + 40), 0x6100'0062u);
  EXPECT_EQ(number(blob, 56 + 52), 5u);
  EXPECT_EQ(number(blob, 56 + 60), 0x6162'6364u);
  EXPECT_EQ(number(blob, 56 + 64), 0x6500'0000u);
}

TEST(FdtWriterTest, NestingIsChecked) {
  EXPECT_EQ(refusal(Writer()), Error(FdtError::kOpenNodes, 0, 0));
  EXPECT_EQ(refusal(Writer().begin("")), Error(FdtError::kOpenNodes, 1, 1));
  EXPECT_EQ(refusal(Writer().end()), Error(FdtError::kNoNode, 0, 0));
  EXPECT_EQ(refusal(Writer().begin("").flag("a").end().end()), Error(FdtError::kNoNode, 1, 1));
  EXPECT_EQ(refusal(Writer().begin("").end().flag("a")), Error(FdtError::kNoNode, 1, 0));
  EXPECT_EQ(refusal(Writer().begin("").end().begin("").end()), Error(FdtError::kRoot, 2, 1));
  EXPECT_EQ(refusal(Writer().begin("root").end()), Error(FdtError::kRoot, 1, 1));
  EXPECT_EQ(refusal(Writer().begin("").begin("a").end().flag("b").end()),
            Error(FdtError::kLateProperty, 1, 1));
}

TEST(FdtWriterTest, NamesOfNodesAreChecked) {
  const auto with = [](std::string_view name) {
    return Writer().begin("").begin(name).end().end().finish();
  };
  const std::string longest(31, 'a'), longer(32, 'a');

  for (const std::string_view name : {"a", "A9,._+-", "pcie@50000000", "x@a,b"})
    EXPECT_TRUE(with(name)) << name;
  EXPECT_TRUE(with(longest + "@12345678"));
  for (const std::string_view name :
       {"", "1", "@1", "a@", "a@1@2", "a b", "a@?", "-a", "a/b", "a~"})
    EXPECT_EQ(with(name).error(), Error(FdtError::kNodeName, 2, 31)) << name;
  EXPECT_EQ(with(longer).error(), Error(FdtError::kNodeName, 2, 31));
  EXPECT_EQ(refusal(Writer().begin("").begin("a").end().begin("a").end().end()),
            Error(FdtError::kSameNode, 3));
}

TEST(FdtWriterTest, NamesOfPropertiesAreChecked) {
  const auto with = [](std::string_view name) {
    return Writer().begin("").flag(name).end().finish();
  };
  for (const std::string_view name : {"#address-cells", "linux,initrd-end", "1", "a?b+c._"})
    EXPECT_TRUE(with(name)) << name;
  for (const std::string_view name : {"", "a b", "a@1", "a/b"})
    EXPECT_EQ(with(name).error(), Error(FdtError::kPropertyName, 1, 31)) << name;
  EXPECT_EQ(with(std::string(32, 'a')).error(), Error(FdtError::kPropertyName, 1, 31));
  EXPECT_EQ(refusal(Writer().begin("").flag("a").flag("a").end()),
            Error(FdtError::kSameProperty, 2, 1));
  EXPECT_TRUE(Writer().begin("").flag("a").begin("b").flag("a").end().end().finish());
}

TEST(FdtWriterTest, TextsHaveNoZeroInside) {
  EXPECT_EQ(refusal(Writer().begin("").text("a", std::string_view("b\0c", 3)).end()),
            Error(FdtError::kText, 1));
}

TEST(FdtWriterTest, ReservedMemoryIsChecked) {
  const auto reserve = [](std::uint64_t base, std::uint64_t size) {
    return Writer()
        .reserve(GuestAddress(0x1000), 0x1000)
        .reserve(GuestAddress(base), size)
        .begin("")
        .end();
  };
  EXPECT_TRUE(reserve(0x2000, 0x1000).finish());
  EXPECT_TRUE(reserve(UINT64_MAX, 1).finish());
  EXPECT_EQ(refusal(reserve(0x3000, 0)), Error(FdtError::kReserved, 0x3000, 0));
  EXPECT_EQ(refusal(reserve(UINT64_MAX, 2)), Error(FdtError::kReserved, UINT64_MAX, 2));
  EXPECT_EQ(refusal(reserve(0x1fff, 1)), Error(FdtError::kReservedTwice, 0x1fff, 0x1000));
}

TEST(FdtWriterTest, TheFirstFaultIsTold) {
  EXPECT_EQ(refusal(Writer().begin("").flag("a b").begin("?").flag("?").end().end().end()),
            Error(FdtError::kPropertyName, 1, 31));
}

TEST(FdtWriterTest, ATreeStaysInItsRoom) {
  const auto tree = Writer().begin("").text("a", "b").end();
  const auto size = tree.finish().value().size();
  const std::vector<std::byte> much(kMaxBytes + 1);

  EXPECT_TRUE(tree.finish(size));
  EXPECT_EQ(tree.finish(size - 1).error(), Error(FdtError::kRoom, size, size - 1));
  EXPECT_EQ(refusal(Writer().begin("").bytes("a", much).end()),
            Error(FdtError::kRoom, kMaxBytes + 1, kMaxBytes));
  EXPECT_EQ(Writer()
                .begin("")
                .bytes("a", std::span(much).subspan(1))
                .end()
                .finish(SIZE_MAX)
                .error()
                .as<FdtError>(),
            FdtError::kRoom);
}

TEST(FdtErrorTest, SaysWhatWasWrongWithValueAndLimit) {
  EXPECT_EQ(Error(FdtError::kSameProperty, 2, 1).message(),
            "property 2 has the name of another one of node 1");
  EXPECT_EQ(Error(FdtError::kReservedTwice).name(), "fdt.reserved_twice");
}

}  // namespace
}  // namespace guestproof::fdt
