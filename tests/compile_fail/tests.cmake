# What must not compile. Each source is compiled twice: as it is, which must work, and with MUST_NOT_COMPILE, which adds
# the wrong line and must fail. The first keeps the second from failing for another reason.
file(GLOB cases CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.cc)
separate_arguments(compile_flags UNIX_COMMAND "${CMAKE_CXX_FLAGS}")
foreach(case IN LISTS cases)
  cmake_path(GET case STEM name)
  set(compile ${CMAKE_CXX_COMPILER} -std=c++23 -Wall -Wextra -Werror ${compile_flags} -I${PROJECT_SOURCE_DIR}/lib
    -fsyntax-only ${case})
  add_test(NAME compile_fail.${name}.right COMMAND ${compile})
  add_test(NAME compile_fail.${name}.wrong COMMAND ${compile} -DMUST_NOT_COMPILE)
  set_tests_properties(compile_fail.${name}.wrong PROPERTIES WILL_FAIL TRUE)
  set_tests_properties(compile_fail.${name}.right compile_fail.${name}.wrong PROPERTIES LABELS unit TIMEOUT 60)
endforeach()

# Tests in ring 0 refuse the sanitizers that cannot follow them, each with a sentence; without one the source compiles.
if(TARGET guestproof_ring0)
  find_program(GUESTPROOF_GCC g++)
  find_program(GUESTPROOF_CLANG clang++-19)
  foreach(case gcc::right gcc:thread:ThreadSanitizer clang::right clang:thread:ThreadSanitizer clang:memory:MemorySanitizer)
    string(REGEX MATCH "(.*):(.*):(.*)" case ${case})
    set(name compile_fail.ring0.${CMAKE_MATCH_1}.${CMAKE_MATCH_3})
    string(TOUPPER GUESTPROOF_${CMAKE_MATCH_1} compiler)
    if(${compiler})
      set(compile ${${compiler}} -std=c++23 -I${PROJECT_SOURCE_DIR}/lib -fsyntax-only
        ${PROJECT_SOURCE_DIR}/tests/ring0/instrumented/refused.cc)
    else()
      set(compile ${CMAKE_COMMAND} -E echo "skipped: there is no compiler for ${name}")
    endif()
    if(CMAKE_MATCH_2)
      add_test(NAME ${name} COMMAND ${compile} -fsanitize=${CMAKE_MATCH_2})
      set_tests_properties(${name} PROPERTIES
        PASS_REGULAR_EXPRESSION "error: .*guestproof::ring0 cannot be built with ${CMAKE_MATCH_3}: ")
    else()
      add_test(NAME ${name} COMMAND ${compile})
    endif()
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 60 SKIP_REGULAR_EXPRESSION "^skipped: ")
  endforeach()
endif()
