// Runs the tests of one program that needs a KVM. With KVM_REQUIRED=1 in the environment none may
// be skipped; KVM_REQUIRED=machine asks for a KVM only, which need not be capable of everything.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>

namespace {

class NoSkips : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& test) override {
    if (test.result()->Skipped()) ADD_FAILURE() << "skipped, and KVM_REQUIRED is set";
  }
};

bool all_is_required() {
  const char* given = std::getenv("KVM_REQUIRED");
  const std::string_view value = given != nullptr ? given : "";
  return !value.empty() && value != "0" && value != "machine";
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (all_is_required()) testing::UnitTest::GetInstance()->listeners().Append(new NoSkips);
  return RUN_ALL_TESTS();
}
