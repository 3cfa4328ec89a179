# guestproof_kvm_tests() in tests/: every *_kvm.cc is a program (tests/kvm/host_kvm.cc → kvm_host_kvm) that needs a working
# KVM, and one ctest as a whole: where the host has none, `scripts/dev with-kvm` emulates a machine for it, which takes
# seconds. kvm.PROGRAM (label kvm) runs this build's; kvm-aarch64.PROGRAM and kvm-riscv64.PROGRAM those of the static
# presets of that name, which `scripts/dev test` builds. NAME_x86_64_kvm.cc is for that architecture alone, and so on.
# They are skipped where no KVM can be had. A source with a header of its own is no program. The build target `kvm` is all programs.
function(guestproof_kvm_tests)
  add_library(guestproof_kvm_main OBJECT kvm_main.cc)
  target_link_libraries(guestproof_kvm_main PRIVATE guestproof_warnings guestproof_instrument GTest::gtest)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} *_kvm.cc)
  foreach(source IN LISTS sources)
    string(REGEX REPLACE "\\.cc$" "" name ${source})
    if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${name}.h)
      continue()
    endif()
    string(REPLACE "/" "_" name ${name})
    set(only "")
    if(source MATCHES "_(x86_64|aarch64|riscv64)_kvm\\.cc$")
      set(only ${CMAKE_MATCH_1})
    endif()
    if(NOT only OR only STREQUAL CMAKE_SYSTEM_PROCESSOR)
      guestproof_test_program(kvm ${name} ${source} guestproof_kvm_main GTest::gtest)
      guestproof_kvm_test(kvm.${name} kvm ${CMAKE_SYSTEM_PROCESSOR} $<TARGET_FILE:${name}>)
    endif()
    foreach(arch aarch64 riscv64)
      if(NOT only OR only STREQUAL arch)
        guestproof_kvm_test(kvm-${arch}.${name} kvm-${arch} ${arch} ${PROJECT_SOURCE_DIR}/build/${arch}/tests/${name})
      endif()
    endforeach()
  endforeach()
  guestproof_kvm_claims(kvm ${CMAKE_SYSTEM_PROCESSOR})
  guestproof_kvm_claims(kvm-aarch64 aarch64)
  guestproof_kvm_claims(kvm-riscv64 riscv64)
endfunction()

# The static presets are there to be run from other builds' lists.
function(guestproof_kvm_test name label arch program)
  if(NOT GUESTPROOF_STATIC)
    add_test(NAME ${name} COMMAND ${PROJECT_SOURCE_DIR}/scripts/dev with-kvm --arch ${arch} --time 4m -- ${program})
    set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT 600 SKIP_RETURN_CODE 77
      ENVIRONMENT GUESTPROOF_OUT=${CMAKE_BINARY_DIR}/kvm)
    set_property(GLOBAL APPEND PROPERTY GUESTPROOF_TESTS_${label} ${name})
  endif()
endfunction()

# After all tests of the label: they have called what docs/kvm-api.md says they do.
function(guestproof_kvm_claims label arch)
  get_property(tests GLOBAL PROPERTY GUESTPROOF_TESTS_${label})
  if(tests)
    add_test(NAME ${label}.claims COMMAND ${PROJECT_SOURCE_DIR}/scripts/dev kvm-api --seen ${arch} --logs ${CMAKE_BINARY_DIR}/kvm)
    set_tests_properties(${label}.claims PROPERTIES LABELS ${label} TIMEOUT 60 DEPENDS "${tests}")
  endif()
endfunction()

# guestproof_e2e_tests(boot/machine.cc) in tests/: every *_e2e.cc is a program (tests/boot/kernels_e2e.cc →
# boot_kernels_e2e) that boots stock kernels in guestproof-vmm, and one ctest as a whole, e2e.boot_kernels, on the host's
# KVM or an emulated machine's. The sources given are linked into each. The build target `e2e` is all of them.
function(guestproof_e2e_tests)
  add_library(guestproof_e2e OBJECT ${ARGN})
  target_include_directories(guestproof_e2e PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(guestproof_e2e PRIVATE guestproof_base guestproof_warnings guestproof_instrument GTest::gtest)
  target_compile_definitions(guestproof_e2e PRIVATE GUESTPROOF_VMM="$<TARGET_FILE:guestproof-vmm>")
  # What guests run lies in an initrd, alone.
  add_executable(guest_vsock boot/guest/vsock.cc)
  set_target_properties(guest_vsock PROPERTIES OUTPUT_NAME vsock RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/guest)
  target_link_libraries(guest_vsock PRIVATE guestproof_warnings)
  target_link_options(guest_vsock PRIVATE -static)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} *_e2e.cc)
  foreach(source IN LISTS sources)
    string(REGEX REPLACE "_e2e\\.cc$" "" name ${source})
    string(REPLACE "/" "_" name ${name})
    guestproof_test_program(e2e ${name}_e2e ${source} guestproof_e2e GTest::gtest_main)
    target_compile_definitions(${name}_e2e PRIVATE GUESTPROOF_GUEST_VSOCK="$<TARGET_FILE:guest_vsock>")
    add_dependencies(${name}_e2e guestproof-vmm guest_vsock)
    add_test(NAME e2e.${name} COMMAND ${PROJECT_SOURCE_DIR}/scripts/dev with-kvm --arch x86_64 --guest cloud-6.1 --guest cloud-6.12
      --guest amd64-6.1 --time 15m -- $<TARGET_FILE:${name}_e2e>)
    set_tests_properties(e2e.${name} PROPERTIES LABELS e2e TIMEOUT 1500 SKIP_RETURN_CODE 77)
  endforeach()
endfunction()
