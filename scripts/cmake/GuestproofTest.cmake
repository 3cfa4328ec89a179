# guestproof_tests(unit test) and guestproof_tests(replay replay) in tests/, guestproof_tests(prop prop) in props/: every
# *_test.cc, *_replay.cc or *_prop.cc below the folder is one program (tests/virtio/queue/chain_test.cc →
# virtio_queue_chain_test), every case in it one ctest with that label. MAIN: a library with the programs' main(), instead
# of GoogleTest's. The build targets `unit`, `prop` and `replay` are all programs of a label.
find_package(GTest REQUIRED)
include(GoogleTest)

function(guestproof_tests label suffix)
  cmake_parse_arguments(arg "" "MAIN" "LIBRARIES" ${ARGN})
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
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE guestproof_testing_harness guestproof_virtio_device_block guestproof_virtio_device_vsock guestproof_warnings guestproof_instrument ${arg_LIBRARIES} ${arg_MAIN} GTest::gmock)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    target_compile_definitions(${name} PRIVATE GUESTPROOF_CORPUS="${PROJECT_SOURCE_DIR}/corpus")
    add_dependencies(${label} ${name})
    gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST NO_PRETTY_VALUES PROPERTIES LABELS ${label} TIMEOUT 120)
  endforeach()
endfunction()
