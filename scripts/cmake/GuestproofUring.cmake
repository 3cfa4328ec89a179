# Where the compiler's programs can be linked with liburing, guestproof_virtio_device_block_uring uses it; elsewhere (a
# foreign architecture, say) the same library answers that there is no io_uring. GUESTPROOF_HAS_LIBURING, and
# GUESTPROOF_URING_LIBRARY, which is empty without.
include(CheckCXXSourceCompiles)

block(SCOPE_FOR VARIABLES PROPAGATE GUESTPROOF_HAS_LIBURING)
  set(CMAKE_REQUIRED_LIBRARIES uring)
  set(CMAKE_REQUIRED_QUIET ON)
  if(GUESTPROOF_STATIC)
    set(CMAKE_REQUIRED_LINK_OPTIONS -static)
  endif()
  check_cxx_source_compiles("#include <liburing.h>\nint main() { io_uring ring; return io_uring_queue_init(1, &ring, 0); }"
    GUESTPROOF_HAS_LIBURING)
endblock()

set(GUESTPROOF_URING_LIBRARY)
if(GUESTPROOF_HAS_LIBURING)
  set(GUESTPROOF_URING_LIBRARY uring)
endif()
