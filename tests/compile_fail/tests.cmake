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
