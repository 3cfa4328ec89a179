# guestproof_tests(unit test) and guestproof_tests(replay replay) in tests/, guestproof_tests(prop prop) in props/: every
# *_test.cc, *_replay.cc or *_prop.cc below the folder is one program (tests/virtio/queue/chain_test.cc →
# virtio_queue_chain_test), every case in it one ctest with that label. MAIN: a library with the programs' main(), instead
# of GoogleTest's. The build targets `unit`, `prop` and `replay` are all programs of a label. ABROAD: the sources (by
# regular expressions) that are worth their time on other architectures too. The static presets have these programs
# only, and every other preset lists them, one ctest each, to be run from the folders of the foreign presets.
# A build under ThreadSanitizer has the programs that start threads, the others show it nothing; a fuzz build leaves out
# the seeds, which it replays; a build for coverage leaves out vmm/ and ring0/, which are not measured.
if(CMAKE_CROSSCOMPILING)
  include(GuestproofGoogleTest)
else()
  # The library's folder sees it, too: guestproof_ring0 gives it to its users.
  find_package(GTest REQUIRED GLOBAL)
endif()
include(GoogleTest)

# What most of a test program's compilation goes into is read once: every program takes over this one's headers.
add_library(guestproof_test_headers OBJECT EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/tests/headers.cc)
target_precompile_headers(guestproof_test_headers PRIVATE <algorithm> <array> <chrono> <filesystem> <functional> <map> <set>
  <string> <thread> <variant> <vector> <gtest/gtest.h> <gmock/gmock.h>)

# What a test program is built with; the same for all, as precompiled headers ask for.
function(guestproof_test_options target)
  # No program that starts threads has a harness or a model in it.
  if(GUESTPROOF_SANITIZER STREQUAL "thread")
    set(testing guestproof_testing)
  else()
    set(testing guestproof_testing_harness)
  endif()
  target_link_libraries(${target} PRIVATE ${testing} guestproof_virtio_device_block guestproof_virtio_device_block_uring guestproof_virtio_device_vsock guestproof_kvm guestproof_warnings guestproof_instrument ${ARGN} GTest::gmock)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${target} PRIVATE GUESTPROOF_CORPUS="${PROJECT_SOURCE_DIR}/corpus")
  # They are compiled for seconds and run for milliseconds. The rest is what ccache asks for.
  target_compile_options(${target} PRIVATE -O0 $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>
    $<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>)
endfunction()
guestproof_test_options(guestproof_test_headers)

function(guestproof_tests label suffix)
  cmake_parse_arguments(arg "" "MAIN" "LIBRARIES;ABROAD" ${ARGN})
  string(JOIN "|" abroad ${arg_ABROAD})
  if(NOT arg_MAIN)
    set(arg_MAIN GTest::gtest_main)
  endif()
  if(NOT TARGET ${label})
    add_custom_target(${label})
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} *_${suffix}.cc)
  foreach(source IN LISTS sources)
    string(REGEX REPLACE "\\.cc$" "" name ${source})
    string(REPLACE "/" "_" name ${name})
    if(abroad AND source MATCHES "${abroad}")
      guestproof_emulated_tests(${label} ${name})
    elseif(GUESTPROOF_STATIC)
      continue()
    endif()
    if(GUESTPROOF_ENGINE AND source MATCHES "_seeds_test")
      continue()
    endif()
    if((source MATCHES "^vmm/" AND (GUESTPROOF_COVERAGE OR NOT TARGET guestproof_vmm))
        OR (source MATCHES "^ring0/" AND (GUESTPROOF_COVERAGE OR NOT TARGET guestproof_ring0)))
      continue()
    endif()
    if(source MATCHES "^vmm/x86_64/" AND NOT CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
      continue()
    endif()
    if(GUESTPROOF_SANITIZER STREQUAL "thread")
      file(STRINGS ${source} threads REGEX "std::(jthread|thread|async)" LIMIT_COUNT 1)
      if(NOT threads)
        continue()
      endif()
    endif()
    guestproof_test_program(${label} ${name} ${source} ${arg_LIBRARIES} ${arg_MAIN})
    target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST NO_PRETTY_VALUES PROPERTIES LABELS ${label} TIMEOUT 120)
  endforeach()
endfunction()

# guestproof_test_program(unit base_fd_test base/fd_test.cc GTest::gtest_main): a program that links all of the library.
function(guestproof_test_program label name source)
  if(NOT TARGET ${label})
    add_custom_target(${label})
  endif()
  add_executable(${name} ${source})
  guestproof_test_options(${name} ${ARGN})
  target_precompile_headers(${name} REUSE_FROM guestproof_test_headers)
  add_dependencies(${label} ${name})
endfunction()

# guestproof_emulated_tests(unit base_fd_test): the programs of the foreign presets, which `scripts/dev test` builds;
# without them a bare ctest shows these tests as skipped.
function(guestproof_emulated_tests label program)
  if(GUESTPROOF_STATIC)
    return()
  endif()
  foreach(arch aarch64 riscv64)
    add_test(NAME ${label}-${arch}.${program}
      COMMAND ${PROJECT_SOURCE_DIR}/scripts/emulate ${arch} ${PROJECT_SOURCE_DIR}/build/${arch}/tests/${program})
    set_tests_properties(${label}-${arch}.${program} PROPERTIES LABELS ${label}-${arch} TIMEOUT 300 SKIP_RETURN_CODE 125)
  endforeach()
endfunction()
