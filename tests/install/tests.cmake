# The library as its users get it: installed, found and linked by a project of their own. install.ring0 runs a program of
# theirs on a KVM, which install.ring0_build builds before, where we are.
find_package(PkgConfig REQUIRED)
set(consumer_flags "${CMAKE_CXX_FLAGS}")
if(GUESTPROOF_SANITIZER)
  string(APPEND consumer_flags " -fsanitize=${GUESTPROOF_SANITIZER}")
endif()
if(GUESTPROOF_COVERAGE)
  string(APPEND consumer_flags " -fprofile-instr-generate")
endif()
function(guestproof_install_test name how)
  add_test(NAME install.${name} COMMAND ${CMAKE_COMMAND} -D HOW=${how} -D BUILD=${PROJECT_BINARY_DIR}
    -D SOURCE=${PROJECT_SOURCE_DIR} -D SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/install.${how}
    -D COMPILER=${CMAKE_CXX_COMPILER} -D LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER} -D FLAGS=${consumer_flags}
    -D PKG_CONFIG=${PKG_CONFIG_EXECUTABLE} -D RING0=$<TARGET_EXISTS:guestproof_ring0>
    -P ${CMAKE_CURRENT_LIST_DIR}/check.cmake)
  set_tests_properties(install.${name} PROPERTIES LABELS tool TIMEOUT 120)
endfunction()
foreach(how listing find_package subdirectory pkg_config)
  guestproof_install_test(${how} ${how})
endforeach()

# Coverage is measured by programs that the build target `kvm` has built; this one comes of a test.
if(TARGET guestproof_ring0 AND NOT GUESTPROOF_COVERAGE)
  guestproof_install_test(ring0_build ring0)
  guestproof_kvm_test(install.ring0 kvm ${CMAKE_SYSTEM_PROCESSOR}
    ${CMAKE_CURRENT_BINARY_DIR}/install.ring0/kernel/kernel_tests)
  set_tests_properties(install.ring0_build PROPERTIES FIXTURES_SETUP ring0_example COST 200)
  # There is a KVM when the program runs, so that a case at least has to.
  set_tests_properties(install.ring0 PROPERTIES FIXTURES_REQUIRED ring0_example
    FAIL_REGULAR_EXPRESSION "\\[  PASSED  \\] 0 tests")
  # `scripts/dev test -L kvm` builds no more than this target; installed is this much.
  get_property(host GLOBAL PROPERTY GUESTPROOF_LIBRARIES_guestproof)
  get_property(ring0 GLOBAL PROPERTY GUESTPROOF_LIBRARIES_guestproof-ring0)
  add_dependencies(kvm ${host} ${ring0})
endif()
