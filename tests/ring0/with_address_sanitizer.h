// Makes of the one source that includes it a program that seems to be built with AddressSanitizer.
#pragma once

#if !defined(__SANITIZE_ADDRESS__)
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GUESTPROOF_TEST_HAS_ASAN 1
#endif
#endif
#if !defined(GUESTPROOF_TEST_HAS_ASAN)
extern "C" void __asan_init() {}  // NOLINT
#endif
#endif
