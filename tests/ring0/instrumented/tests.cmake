# Programs that are instrumented by compilers of their own are built on the host, before the program that starts them
# goes to where there is a KVM.
set(folder ${CMAKE_CURRENT_BINARY_DIR}/ring0_instrumented)
target_compile_definitions(ring0_instrumented_x86_64_kvm PRIVATE GUESTPROOF_SOURCE="${PROJECT_SOURCE_DIR}"
  GUESTPROOF_INSTRUMENTED="${folder}")
add_test(NAME kvm.ring0_instrumented.build COMMAND ${CMAKE_COMMAND} -D SOURCE=${PROJECT_SOURCE_DIR} -D SCRATCH=${folder}
  -D LIBRARIES=$<TARGET_FILE_DIR:guestproof_ring0> -D LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER} -P ${CMAKE_CURRENT_LIST_DIR}/build.cmake)
set_tests_properties(kvm.ring0_instrumented.build PROPERTIES LABELS kvm TIMEOUT 600 COST 110
  SKIP_REGULAR_EXPRESSION "skipped: " FIXTURES_SETUP ring0_instrumented)
set_tests_properties(kvm.ring0_instrumented_x86_64_kvm PROPERTIES FIXTURES_REQUIRED ring0_instrumented)
