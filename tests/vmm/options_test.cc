#include "vmm/options.h"

#include <gtest/gtest.h>

namespace guestproof::vmm {
namespace {

std::vector<std::pair<std::string, std::string>> parts(std::string_view text) {
  const auto option = parse_option("--block", text);
  EXPECT_TRUE(option) << option.error().sentence;
  std::vector<std::pair<std::string, std::string>> out;
  if (option)
    for (const auto& each : option->values) out.emplace_back(each.key, each.value);
  return out;
}
std::string complaint(std::string_view text) {
  const auto option = parse_option("--block", text);
  EXPECT_FALSE(option);
  return option ? "" : option.error().sentence;
}
/// What else is said of a part that is none.
const std::string kHint = "; a value with a comma is put between double quotes.";
using Parts = std::vector<std::pair<std::string, std::string>>;

TEST(Options, AreKeysAndValuesBetweenCommas) {
  EXPECT_EQ(parts("path=a"), (Parts{{"path", "a"}}));
  EXPECT_EQ(parts("path=a,readonly=on"), (Parts{{"path", "a"}, {"readonly", "on"}}));
  EXPECT_EQ(parts("path="), (Parts{{"path", ""}}));
}

TEST(Options, OnlyTheFirstEqualsSignSeparates) {
  EXPECT_EQ(parts("cmdline=root=/dev/vda rw"), (Parts{{"cmdline", "root=/dev/vda rw"}}));
}

TEST(Options, QuotesHoldCommas) {
  EXPECT_EQ(parts(R"(cmdline="console=ttyS0,115200 quiet",path=b)"),
            (Parts{{"cmdline", "console=ttyS0,115200 quiet"}, {"path", "b"}}));
  EXPECT_EQ(parts(R"(path=a","b)"), (Parts{{"path", "a,b"}}));
  EXPECT_EQ(parts(R"(path="a\"b\\c\d")"), (Parts{{"path", R"(a"b\c\d)"}}));
  EXPECT_EQ(parts(R"(path=a\,b=c)"), (Parts{{"path", R"(a\)"}, {"b", "c"}}));
}

TEST(Options, SayWhatIsNoOption) {
  EXPECT_EQ(complaint("path"), "--block path: 'path' is not key=value" + kHint);
  EXPECT_EQ(complaint(""), "--block : '' is not key=value" + kHint);
  EXPECT_EQ(complaint("=a"), "--block =a: '=a' is not key=value" + kHint);
  EXPECT_EQ(complaint("path=a,"), "--block path=a,: '' is not key=value" + kHint);
  EXPECT_EQ(complaint(R"(path="a)"), R"(--block path="a: a double quote is not closed.)");
  EXPECT_EQ(complaint(R"(path="a\)"), R"(--block path="a\: a double quote is not closed.)");
}

class Reading : public testing::Test {
 protected:
  OptionReader& read(std::string_view text) {
    option = parse_option("--net", text).value();
    return reader.emplace(option);
  }
  std::string finished() {
    const auto done = reader->finish();
    return done ? "" : done.error().sentence;
  }

  Option option;
  std::optional<OptionReader> reader;
};

TEST_F(Reading, GivesWhatIsThere) {
  auto& from = read("tap=gp0,pairs=0x10,up=on,quiet=off");
  EXPECT_EQ(from.required_text("tap"), "gp0");
  EXPECT_EQ(from.number("pairs", 16), 16u);
  EXPECT_EQ(from.flag("up"), true);
  EXPECT_EQ(from.flag("quiet"), false);
  EXPECT_EQ(from.text("mac"), std::nullopt);
  EXPECT_EQ(from.number("mtu", 9), std::nullopt);
  EXPECT_EQ(from.flag("down"), std::nullopt);
  EXPECT_EQ(finished(), "");
}

TEST_F(Reading, ComplainsAboutNumbers) {
  static_cast<void>(read("n=12a").number("n", 99));
  EXPECT_EQ(finished(), "--net: n=12a: it is no number.");
  static_cast<void>(read("n=-1").number("n", 99));
  EXPECT_EQ(finished(), "--net: n=-1: it is no number.");
  static_cast<void>(read("n=0x").number("n", 99));
  EXPECT_EQ(finished(), "--net: n=0x: it is no number.");
  static_cast<void>(read("n=18446744073709551616").number("n", UINT64_MAX));
  EXPECT_EQ(finished(), "--net: n=18446744073709551616: it is no number.");
  static_cast<void>(read("n=100").number("n", 99));
  EXPECT_EQ(finished(), "--net: n=100: the most is 99.");
}

TEST_F(Reading, ComplainsOnceAndFirst) {
  auto& from = read("a=x,b=y");
  static_cast<void>(from.flag("a"));
  static_cast<void>(from.number("b", 9));
  static_cast<void>(from.required_text("c"));
  EXPECT_EQ(finished(), "--net: a=x: it is neither on nor off.");
}

TEST_F(Reading, ComplainsAboutWhatIsMissingTwiceOrEmpty) {
  static_cast<void>(read("a=b").required_text("tap"));
  EXPECT_EQ(finished(), "--net: tap= is missing.");
  static_cast<void>(read("tap=a,tap=b").text("tap"));
  EXPECT_EQ(finished(), "--net: tap=b: it is given twice.");
  static_cast<void>(read("tap=").text("tap"));
  EXPECT_EQ(finished(), "--net: tap=: it is empty.");
  EXPECT_EQ(read("tap=").text("tap", OptionReader::Empty::kAllowed), "");
  EXPECT_EQ(finished(), "");
}

TEST_F(Reading, NamesTheKeysThatThereAre) {
  auto& from = read("tap=a,mca=b");
  static_cast<void>(from.text("tap"));
  static_cast<void>(from.text("mac"));
  EXPECT_EQ(finished(), "--net: there is no key 'mca'; the keys are tap, mac.");
}

}  // namespace
}  // namespace guestproof::vmm
