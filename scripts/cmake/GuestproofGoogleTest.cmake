# GoogleTest for another architecture than the machine's own, for which Debian has its sources only: what
# find_package(GTest) would give, built from the package googletest.
set(googletest /usr/src/googletest)

add_library(googletest STATIC EXCLUDE_FROM_ALL ${googletest}/googletest/src/gtest-all.cc ${googletest}/googlemock/src/gmock-all.cc)
target_include_directories(googletest SYSTEM PUBLIC ${googletest}/googletest/include ${googletest}/googlemock/include
  PRIVATE ${googletest}/googletest ${googletest}/googlemock)
add_library(GTest::gtest ALIAS googletest)
add_library(GTest::gmock ALIAS googletest)

add_library(googletest_main STATIC EXCLUDE_FROM_ALL ${googletest}/googletest/src/gtest_main.cc)
target_link_libraries(googletest_main PUBLIC googletest)
add_library(GTest::gtest_main ALIAS googletest_main)
