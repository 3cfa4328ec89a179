// Runs the properties of one program. RapidCheck takes its parameters from RC_PARAMS
// ("seed=1 max_success=10000 ..."); seed and number of cases are fixed unless given there.
// RapidCheck prints what it uses.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

int main(int argc, char** argv) {
  const char* given = std::getenv("RC_PARAMS");
  std::string parameters = given != nullptr ? given : "";
  if (parameters.find("seed=") == std::string::npos) parameters += " seed=20260101";
  if (parameters.find("max_success=") == std::string::npos) parameters += " max_success=500";
  ::setenv("RC_PARAMS", parameters.c_str(), 1);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
