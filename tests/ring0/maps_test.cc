#include "guestproof/ring0/maps.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <string>

#include "scratch.h"

namespace guestproof::ring0 {
namespace {

HostMapping mapping(std::string_view line) { return parse_mapping(line).value(); }

TEST(ParseMapping, TellsAddressesAndRights) {
  EXPECT_EQ(mapping("55d0c8a00000-55d0c8a21000 rw-p 00000000 00:00 0   [heap]"),
            (HostMapping{0x55d0c8a00000, 0x55d0c8a21000, true, true, false}));
  EXPECT_EQ(mapping("1000-2000 r-xs 00000000 fe:01 77 /a name"),
            (HostMapping{0x1000, 0x2000, true, false, true}));
  EXPECT_EQ(mapping("1000-2000 ---p 0 0:0 0"), (HostMapping{0x1000, 0x2000, false, false, false}));
}

TEST(ParseMapping, RefusesWhatIsNone) {
  const auto refused = [](std::string_view line) {
    const auto mapping = parse_mapping(line);
    return mapping ? std::string("taken") : mapping.error().message();
  };
  EXPECT_EQ(refused(""),
            "a line of /proc/self/maps, of 0 letters, makes no sense from letter 0 on");
  for (const auto* line :
       {"x", "1000", "1000-", "1000 2000", "1000-2000", "1000-2000rw-p", "1000-2000 rw",
        "2000-1000 rw-p", "1000-1000 rw-p", "11111111111111111-2 rw-p"})
    EXPECT_NE(refused(line), "taken") << line;
}

TEST(AddressMap, FindsThisProcesssMappings) {
  void* const page = ::mmap(nullptr, 0x3000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_EQ(::mprotect(static_cast<char*>(page) + 0x1000, 0x1000, PROT_NONE), 0);
  const auto begin = reinterpret_cast<std::uint64_t>(page);
  const auto map = AddressMap::open().value();
  const auto found = map.find(begin + 0x10).value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->end, begin + 0x1000);
  EXPECT_TRUE(found->read && !found->write && !found->execute);
  EXPECT_FALSE(map.find(begin + 0x1fff).value()->read);
  ::munmap(page, 0x3000);
  EXPECT_FALSE(map.find(begin + 0x1000).value()) << "it is asked anew each time";
  EXPECT_FALSE(map.find(0).value());
  EXPECT_FALSE(map.find(UINT64_MAX).value());
}

TEST(AddressMap, FindsWhatIsBehindLongNamesAndManyLines) {
  std::string text;
  for (std::uint64_t i = 1; i < 500; ++i) {
    std::array<char, 64> line{};
    std::snprintf(line.data(), line.size(), "%lx-%lx r--p 00000000 00:00 0 /", i * 0x2000,
                  i * 0x2000 + 0x1000);
    text += line.data() + std::string(i * 7 % 4200, 'n') + '\n';
  }
  const Scratch scratch;
  const auto map = AddressMap::open(scratch.file("maps", text).c_str()).value();
  for (std::uint64_t i = 1; i < 500; ++i) {
    EXPECT_EQ(map.find(i * 0x2000 + 0xfff).value()->begin, i * 0x2000);
    EXPECT_FALSE(map.find(i * 0x2000 + 0x1000).value());
  }
}

TEST(AddressMap, RefusesWhatIsNone) {
  const Scratch scratch;
  EXPECT_EQ(AddressMap::open(scratch.path("nothing").c_str()).error(), SystemError::kOpen);
  const auto map = AddressMap::open(scratch.file("maps", "nonsense\n").c_str()).value();
  EXPECT_EQ(map.find(1).error(), Ring0Error::kMapsLine);
}

}  // namespace
}  // namespace guestproof::ring0
