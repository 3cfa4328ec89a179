# The library as a package: `find_package(guestproof COMPONENTS virtio_queue)` gives guestproof::virtio_queue, and
# `pkg-config guestproof` gives all of the library. The guest's side (testing/) and tests in ring 0 (ring0/, where the
# build has it) have an install component, an export set and a pkg-config file each, so that a host's package need not
# carry them. Nothing else is installed.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(GUESTPROOF_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/guestproof)

# guestproof_install_library(guestproof_virtio_queue ...): called by guestproof_library(), with the libraries of the
# system that the target needs.
function(guestproof_install_library target)
  set(set guestproof)
  if(target MATCHES "^guestproof_(testing|ring0)")
    set(set guestproof-${CMAKE_MATCH_1})
  endif()
  install(TARGETS ${target} EXPORT ${set}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${set}
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT ${set})
  # A linker wants users before what they use: the libraries come in the reverse order of their declaration.
  list(TRANSFORM ARGN PREPEND -l)
  string(JOIN " " options -l${target} ${ARGN})
  get_property(libs GLOBAL PROPERTY GUESTPROOF_PKGCONFIG_${set})
  set_property(GLOBAL PROPERTY GUESTPROOF_PKGCONFIG_${set} "${options} ${libs}")
  set_property(GLOBAL APPEND PROPERTY GUESTPROOF_LIBRARIES_${set} ${target})
endfunction()

# guestproof_install_package(): once, after all libraries.
function(guestproof_install_package)
  foreach(set guestproof guestproof-testing guestproof-ring0)
    get_property(GUESTPROOF_LIBS GLOBAL PROPERTY GUESTPROOF_PKGCONFIG_${set})
    if(NOT GUESTPROOF_LIBS)
      continue()
    endif()
    install(EXPORT ${set} NAMESPACE guestproof:: FILE ${set}-targets.cmake
      DESTINATION ${GUESTPROOF_PACKAGE_DIR} COMPONENT ${set})
    file(RELATIVE_PATH GUESTPROOF_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
    configure_file(${PROJECT_SOURCE_DIR}/scripts/cmake/${set}.pc.in ${set}.pc @ONLY)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${set}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT ${set})
  endforeach()
  write_basic_package_version_file(guestproof-config-version.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_SOURCE_DIR}/scripts/cmake/guestproof-config.cmake
      ${CMAKE_CURRENT_BINARY_DIR}/guestproof-config-version.cmake
    DESTINATION ${GUESTPROOF_PACKAGE_DIR} COMPONENT guestproof)
endfunction()
