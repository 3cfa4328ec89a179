# Flags live on two interface targets and nowhere else: guestproof_warnings for our own code, guestproof_instrument for
# everything that the chosen sanitizer or coverage must see, guestproof_guidance for what guides the fuzzing engine.

# At -O3 GCC 12 has alarms that are none (stringop-overflow, restrict, maybe-uninitialized); every other build ends at one.
add_library(guestproof_warnings INTERFACE)
target_compile_options(guestproof_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
  $<$<AND:$<BOOL:${GUESTPROOF_DEVELOPER}>,$<NOT:$<CONFIG:Release>>>:-Werror>)

add_library(guestproof_instrument INTERFACE)
if(GUESTPROOF_SANITIZER OR GUESTPROOF_ENGINE)
  target_compile_options(guestproof_instrument INTERFACE -fno-omit-frame-pointer -gline-tables-only)
endif()
if(GUESTPROOF_SANITIZER)
  target_compile_options(guestproof_instrument INTERFACE -fsanitize=${GUESTPROOF_SANITIZER} -fno-sanitize-recover=all)
  target_link_options(guestproof_instrument INTERFACE -fsanitize=${GUESTPROOF_SANITIZER} -fno-sanitize-recover=all)
endif()
if(GUESTPROOF_COVERAGE)
  # Counters are atomic, because others are calculated from them by subtraction, and lie in the profile itself (%c in
  # LLVM_PROFILE_FILE), because what a process counted until it aborted counts.
  target_compile_options(guestproof_instrument INTERFACE -fprofile-instr-generate -fcoverage-mapping
    -fprofile-update=atomic "SHELL:-mllvm -runtime-counter-relocation")
  target_link_options(guestproof_instrument INTERFACE -fprofile-instr-generate -fcoverage-mapping)
endif()
if(GUESTPROOF_STATIC)
  target_link_options(guestproof_instrument INTERFACE -static)
endif()

# What guides the engine is apart: the harness, the models and the watching memory would only dilute it and slow it down.
add_library(guestproof_guidance INTERFACE)
if(GUESTPROOF_ENGINE STREQUAL "libfuzzer")
  target_compile_options(guestproof_guidance INTERFACE -fsanitize=fuzzer-no-link)
elseif(GUESTPROOF_ENGINE STREQUAL "afl")
  target_compile_options(guestproof_guidance INTERFACE -fsanitize-coverage=trace-pc-guard,trace-cmp)
elseif(GUESTPROOF_ENGINE)
  message(FATAL_ERROR "GUESTPROOF_ENGINE is '${GUESTPROOF_ENGINE}'; it may be libfuzzer, afl or empty")
endif()
