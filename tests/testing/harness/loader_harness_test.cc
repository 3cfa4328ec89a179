// What the harness of loaders says of a loader that is wrong.
#include "guestproof/testing/harness/loader_harness.h"

#include <gtest/gtest.h>

namespace guestproof::testing {
namespace {

/// Loads nothing, in as many steps of the device as it is told to.
class IdleLoader final : public LoaderHarness {
 public:
  [[nodiscard]] std::string_view name() const override { return "boot_params"; }
  using LoaderHarness::compare;
  void take_steps(std::uint64_t steps) {
    step(
        [&] {
          for (std::uint64_t i = 0; i < steps; ++i)
            static_cast<void>(
                read_object<std::uint8_t>(world().device(), GuestAddress(kStart + i)));
        },
        [&] {
          std::vector<std::uint8_t> read(steps);
          model_memory().read(kStart, read);
        });
  }

 private:
  void choose(std::uint16_t) override {}
  void request(const Record&) override {}
  void load(std::uint8_t) override {}
};

std::string violation(auto&& what) {
  try {
    what();
  } catch (const ViolationFound& found) {
    return found.violation.sentence;
  }
  return "";
}

TEST(LoaderHarness, AgreesWithWhatIsTheSame) {
  const IdleLoader harness;
  const ModelFacts facts{{"entry", 0x100000}, {"size", 7}};
  EXPECT_EQ(violation([&] { harness.compare("a file", facts, facts); }), "");
}

TEST(LoaderHarness, SeesWhatWasFoundAndIsAnother) {
  const IdleLoader harness;
  EXPECT_NE(violation([&] {
              harness.compare("a file", {{"entry", 0x100000}}, {{"entry", 0x100001}});
            }).find("a file: entry is 0x100000, for the model entry is 0x100001"),
            std::string::npos);
}

TEST(LoaderHarness, SeesWhatWasNotFoundOrFoundForNothing) {
  const IdleLoader harness;
  const ModelFacts one{{"entry", 1}};
  EXPECT_NE(violation([&] {
              harness.compare("a file", one, {});
            }).find("a file: 1 things were found, the model finds 0"),
            std::string::npos);
  EXPECT_NE(violation([&] {
              harness.compare("a file", {}, one);
            }).find("a file: 0 things were found, the model finds 1"),
            std::string::npos);
}

TEST(LoaderHarness, SeesALoadThatDoesNotEnd) {
  IdleLoader harness;
  EXPECT_EQ(violation([&] { harness.take_steps(1000); }), "");
  EXPECT_NE(violation([&] { harness.take_steps(2000); }).find("one load takes more steps"),
            std::string::npos);
}

}  // namespace
}  // namespace guestproof::testing
