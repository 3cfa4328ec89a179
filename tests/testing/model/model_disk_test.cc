#include "guestproof/testing/model/model_disk.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace guestproof::testing {
namespace {

using Stop = ModelDisk::Stop;
using Bytes = std::vector<std::byte>;

Bytes contents(const ModelDisk& disk) {
  ModelDisk sound = disk;
  sound.faults = {};
  Bytes bytes(ModelDisk::kBytes);
  EXPECT_EQ(sound.read(0, bytes).bytes, bytes.size());
  return bytes;
}

Bytes filled(std::size_t size, int value) { return Bytes(size, static_cast<std::byte>(value)); }

TEST(ModelDisk, NoTwoSectorsAreAlike) {
  const auto bytes = contents(ModelDisk());
  for (std::size_t a = 0; a < bytes.size(); a += ModelDisk::kSector)
    for (std::size_t b = 0; b < a; b += ModelDisk::kSector)
      EXPECT_FALSE(std::equal(&bytes[a], &bytes[a] + ModelDisk::kSector, &bytes[b])) << a << b;
}

TEST(ModelDisk, KeepsWhatIsWritten) {
  ModelDisk disk;
  auto expected = contents(disk);
  EXPECT_EQ(disk.write(700, filled(600, 9)).bytes, 600u);
  std::fill_n(expected.begin() + 700, 600, std::byte{9});
  EXPECT_EQ(contents(disk), expected);
}

TEST(ModelDisk, TransfersStopAtTheFaultyByte) {
  ModelDisk disk;
  disk.faults.read_error = 700;
  disk.faults.write_error = 800;
  Bytes out(1024);
  EXPECT_EQ(disk.read(0, out).bytes, 700u);
  EXPECT_EQ(disk.read(0, out).stop, Stop::kError);
  EXPECT_EQ(disk.read(700, out).bytes, 0u);
  EXPECT_EQ(disk.read(0, std::span(out).first(700)).stop, Stop::kNone);
  EXPECT_EQ(disk.write(512, out).bytes, 288u);
  EXPECT_EQ(disk.write(512, out).stop, Stop::kError);
}

TEST(ModelDisk, TransfersStopWhereTheStorageEnds) {
  ModelDisk disk;
  disk.faults.end = 700;
  Bytes out(1024);
  EXPECT_EQ(disk.read(512, out).bytes, 188u);
  EXPECT_EQ(disk.read(512, out).stop, Stop::kEnd);
  EXPECT_EQ(disk.write(1024, out).bytes, 0u);
  EXPECT_EQ(disk.write(1024, out).stop, Stop::kEnd);
}

TEST(ModelDisk, NoBytesMeetNoFault) {
  ModelDisk disk;
  disk.faults = {.read_error = 0, .write_error = 0, .range_error = 0, .end = 0};
  EXPECT_EQ(disk.read(512, {}).stop, Stop::kNone);
  EXPECT_EQ(disk.write(512, {}).stop, Stop::kNone);
}

TEST(ModelDisk, ARangeChangesAsAWholeOrNotAtAll) {
  ModelDisk disk;
  const auto before = contents(disk);
  disk.faults.range_error = 1023;
  EXPECT_FALSE(disk.discard(512, 512));
  EXPECT_FALSE(disk.write_zeroes(512, 512, true));
  EXPECT_FALSE(disk.secure_erase(512, 512));
  EXPECT_EQ(contents(disk), before);
  EXPECT_TRUE(disk.discard(0, 512));
  EXPECT_NE(contents(disk), before);
}

TEST(ModelDisk, DiscardedSectorsReadAsTheyAreSetTo) {
  ModelDisk disk;
  EXPECT_TRUE(disk.discard(512, 512));
  disk.discarded = std::byte{0};
  EXPECT_TRUE(disk.discard(1024, 512));
  const auto bytes = contents(disk);
  EXPECT_EQ(Bytes(bytes.begin() + 512, bytes.begin() + 1024), filled(512, 0xdd));
  EXPECT_EQ(Bytes(bytes.begin() + 1024, bytes.begin() + 1536), filled(512, 0));
}

TEST(ModelDisk, TellsApartHowASectorIsStored) {
  ModelDisk zeroed, unmapped, erased;
  EXPECT_TRUE(zeroed.write_zeroes(1024, 512, false));
  EXPECT_TRUE(unmapped.write_zeroes(1024, 512, true));
  EXPECT_TRUE(erased.secure_erase(1024, 512));
  EXPECT_EQ(contents(zeroed), contents(unmapped));
  EXPECT_EQ(zeroed.first_difference(unmapped), 2u);
  EXPECT_EQ(zeroed.first_difference(erased), 2u);
  EXPECT_EQ(zeroed.first_difference(zeroed), std::nullopt);
}

TEST(ModelDisk, ADifferenceIsSeenFromBothSides) {
  ModelDisk a, b;
  a.write(5 * 512 + 511, filled(1, 0));
  EXPECT_EQ(a.first_difference(b), 5u);
  EXPECT_EQ(b.first_difference(a), 5u);
}

TEST(ModelDisk, FlushesAreCountedWhetherTheyFailOrNot) {
  ModelDisk disk;
  EXPECT_TRUE(disk.flush());
  disk.faults.flush_error = true;
  EXPECT_FALSE(disk.flush());
  EXPECT_EQ(disk.flushes(), 2u);
}

TEST(ModelDisk, ResetBringsEverythingBack) {
  ModelDisk disk;
  const ModelDisk fresh;
  disk.faults.range_error = 10000;
  EXPECT_TRUE(disk.discard(512, 1024));
  EXPECT_TRUE(disk.flush());
  disk.write(8191, filled(2, 1));
  disk.reset();
  EXPECT_EQ(contents(disk), contents(fresh));
  EXPECT_EQ(disk.first_difference(fresh), std::nullopt);
  EXPECT_EQ(disk.flushes(), 0u);
  EXPECT_TRUE(disk.discard(9728, 512));
}

}  // namespace
}  // namespace guestproof::testing
