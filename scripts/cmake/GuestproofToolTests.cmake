# ctests that are no C++ programs: the checks of the tree, the tool's own tests, the corpus through the sanitizer builds.
# What takes long starts first (COST), so that nothing is left to run alone in the end.

# guestproof_tool_tests(): every check of `scripts/dev check` is a ctest, the table of KVM's ioctls, the comparison with
# QEMU's devices, and every file of scripts/tests.
function(guestproof_tool_tests)
  foreach(check format layers mirror headers words corpora scripts tidy)
    add_test(NAME check.${check} COMMAND ${PROJECT_SOURCE_DIR}/scripts/dev check ${check})
    set_tests_properties(check.${check} PROPERTIES LABELS tool TIMEOUT 900 COST 500)
  endforeach()
  add_test(NAME check.kvm_api COMMAND ${PROJECT_SOURCE_DIR}/scripts/dev kvm-api)
  set_tests_properties(check.kvm_api PROPERTIES LABELS tool TIMEOUT 900 COST 500)
  add_test(NAME check.qemu_diff COMMAND ${PROJECT_SOURCE_DIR}/scripts/dev qemu-diff --trace-program $<TARGET_FILE:guest_trace>)
  set_tests_properties(check.qemu_diff PROPERTIES LABELS tool TIMEOUT 900 COST 500 SKIP_RETURN_CODE 125)
  file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/scripts/tests/test_*.py)
  foreach(file IN LISTS files)
    cmake_path(GET file STEM name)
    add_test(NAME tool.${name} COMMAND /usr/bin/python3 -m pytest -q -p no:cacheprovider -o faulthandler_timeout=600 ${file})
    set_tests_properties(tool.${name} PROPERTIES LABELS tool TIMEOUT 900 COST 500)
  endforeach()
endfunction()

# guestproof_sanitizer_replay(queue): corpus/queue through that target's libFuzzer programs. They are built by other
# presets, which `scripts/dev test` sees to; without them a bare ctest shows these tests as skipped.
function(guestproof_sanitizer_replay target)
  foreach(sanitizer asan ubsan)
    set(name replay.${sanitizer}.${target})
    add_test(NAME ${name}
      COMMAND ${PROJECT_SOURCE_DIR}/scripts/replay
        ${PROJECT_SOURCE_DIR}/build/fuzz-libfuzzer-${sanitizer}/fuzz/${target}_fuzz ${PROJECT_SOURCE_DIR}/corpus/${target})
    set_tests_properties(${name} PROPERTIES LABELS replay TIMEOUT 300 SKIP_RETURN_CODE 125)
  endforeach()
endfunction()
