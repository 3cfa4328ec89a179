# The library as its users get it: installed, found and linked by a project of their own.
find_package(PkgConfig REQUIRED)
set(consumer_flags "${CMAKE_CXX_FLAGS}")
if(GUESTPROOF_SANITIZER)
  string(APPEND consumer_flags " -fsanitize=${GUESTPROOF_SANITIZER}")
endif()
if(GUESTPROOF_COVERAGE)
  string(APPEND consumer_flags " -fprofile-instr-generate")
endif()
foreach(how listing find_package subdirectory pkg_config)
  add_test(NAME install.${how} COMMAND ${CMAKE_COMMAND} -D HOW=${how} -D BUILD=${PROJECT_BINARY_DIR}
    -D SOURCE=${PROJECT_SOURCE_DIR} -D SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/install.${how}
    -D COMPILER=${CMAKE_CXX_COMPILER} -D LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER} -D FLAGS=${consumer_flags}
    -D PKG_CONFIG=${PKG_CONFIG_EXECUTABLE} -P ${CMAKE_CURRENT_LIST_DIR}/check.cmake)
  set_tests_properties(install.${how} PROPERTIES LABELS tool TIMEOUT 120)
endforeach()
