# Install rules: library, headers, CMake package and pkg-config file. All of them are relocatable.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(_snkv_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/snkv")

set(_snkv_installed_targets snkv snkv_c)
target_include_directories(snkv_c PUBLIC "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/snkv/c>")
# Vectors are there only with hnswlib and, for collections, nlohmann_json.
foreach(target IN ITEMS snkv_hnswlib snkv_vector_index snkv_vector snkv_vector_header_only)
  if(TARGET ${target})
    list(APPEND _snkv_installed_targets ${target})
  endif()
endforeach()
set(_snkv_pc_hnswlib "")
if(TARGET snkv_hnswlib AND SNKV_HNSWLIB_INSTALLED)
  # Apart from other headers, so that no other hnswlib is hidden from those who do not ask for ours.
  install(DIRECTORY "${SNKV_HNSWLIB_INCLUDE_DIR}/hnswlib"
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/snkv/third_party"
    FILES_MATCHING PATTERN "*.h" PATTERN "LICENSE")
  set(_snkv_pc_hnswlib "-isystem \${includedir}/snkv/third_party ")
endif()
install(TARGETS ${_snkv_installed_targets}
  EXPORT snkvTargets
  FILE_SET HEADERS)
install(EXPORT snkvTargets NAMESPACE snkv:: DESTINATION "${_snkv_package_dir}")

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/snkvConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/snkvConfig.cmake"
  INSTALL_DESTINATION "${_snkv_package_dir}")
# While the major version is 0, each minor version may break its clients.
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/snkvConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(
  FILES
    "${PROJECT_BINARY_DIR}/snkvConfig.cmake"
    "${PROJECT_BINARY_DIR}/snkvConfigVersion.cmake"
    "${PROJECT_SOURCE_DIR}/cmake/FindSodium.cmake"
    "${PROJECT_SOURCE_DIR}/cmake/SnkvCheckExpected.cmake"
  DESTINATION "${_snkv_package_dir}")

# pkg-config files name directories relative to themselves, except absolute ones.
foreach(dir IN ITEMS LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
    set(_snkv_pc_${dir} "${CMAKE_INSTALL_${dir}}")
  else()
    set(_snkv_pc_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  endif()
endforeach()
file(RELATIVE_PATH _snkv_pc_up
  "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" _snkv_pc_up "${_snkv_pc_up}")
set(_snkv_pc_prefix "\${pcfiledir}/${_snkv_pc_up}")
# The static library is the default, and `pkg-config --libs` alone has to link it.
set(_snkv_pc_libs "-pthread -lm")
set(_snkv_pc_cflags "-pthread")
set(_snkv_pc_requires "Requires: libsodium")
if(BUILD_SHARED_LIBS)
  set(_snkv_pc_libs "")
  set(_snkv_pc_cflags "-DSNKV_SHARED")
  set(_snkv_pc_requires "")
endif()
configure_file(
  "${PROJECT_SOURCE_DIR}/cmake/snkv.pc.in" "${PROJECT_BINARY_DIR}/snkv.pc" @ONLY)
set(_snkv_pc_files "${PROJECT_BINARY_DIR}/snkv.pc" "${PROJECT_BINARY_DIR}/snkv-c.pc")
if(TARGET snkv_vector)
  configure_file(
    "${PROJECT_SOURCE_DIR}/cmake/snkv-vector.pc.in" "${PROJECT_BINARY_DIR}/snkv-vector.pc" @ONLY)
  list(APPEND _snkv_pc_files "${PROJECT_BINARY_DIR}/snkv-vector.pc")
endif()
# For C programs, which do not link the C++ library by themselves.
set(_snkv_pc_c_libs "")
set(_snkv_pc_c_requires "")
if(NOT BUILD_SHARED_LIBS)
  set(_snkv_pc_c_libs "-lstdc++")
  set(_snkv_pc_c_requires "Requires: snkv")
endif()
configure_file(
  "${PROJECT_SOURCE_DIR}/cmake/snkv-c.pc.in" "${PROJECT_BINARY_DIR}/snkv-c.pc" @ONLY)
install(FILES ${_snkv_pc_files}
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
