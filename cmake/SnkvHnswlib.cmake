# hnswlib 0.8.0 or later, whose graph carries the vector index: headers only. Defines the target snkv::hnswlib.
# From, in this order: -DSNKV_HNSWLIB_DIR=<folder with hnswlib/hnswlib.h>, an installed package, the headers of
# the system, the npm package hnswlib-node, whose copy is that of the release.

include(GNUInstallDirs)
include(SnkvFetchNpm)

# stop_condition.h came with 0.8.0; Debian 12 and 13 have 0.6.2.
set(_snkv_hnswlib_mark hnswlib/stop_condition.h)
set(SNKV_HNSWLIB_INSTALLED OFF)  # whether the headers are installed beside ours

if(SNKV_HNSWLIB_DIR)
  get_filename_component(_snkv_hnswlib_include "${SNKV_HNSWLIB_DIR}" ABSOLUTE BASE_DIR "${CMAKE_SOURCE_DIR}")
  if(NOT EXISTS "${_snkv_hnswlib_include}/${_snkv_hnswlib_mark}")
    message(FATAL_ERROR
      "snkv: SNKV_HNSWLIB_DIR=${SNKV_HNSWLIB_DIR} has no ${_snkv_hnswlib_mark}: it has to be the folder in "
      "which there is hnswlib/hnswlib.h, of version 0.8.0 or later.")
  endif()
  set(SNKV_HNSWLIB_INSTALLED ON)
else()
  find_path(SNKV_HNSWLIB_SYSTEM_INCLUDE "${_snkv_hnswlib_mark}")
  mark_as_advanced(SNKV_HNSWLIB_SYSTEM_INCLUDE)
  if(SNKV_HNSWLIB_SYSTEM_INCLUDE)
    set(_snkv_hnswlib_include "${SNKV_HNSWLIB_SYSTEM_INCLUDE}")
  else()
    snkv_fetch_npm(
      SPEC hnswlib-node@3.0.0
      SHA256 4a8074485e5abe659d23e9998d97a00226db056ca466ada6eedbc512a4c4df01
      SUBDIR src
      FILES
        hnswlib/LICENSE=b40930bbcf80744c86c46a12bc9da056641d722716c378f5659b9e555ef833e1
        hnswlib/bruteforce.h=da1f179e99d8e5a4c39b5db0c681bccf3c63e797aaa4982620519f8e001cb2c6
        hnswlib/hnswalg.h=0fb2c1b1d3aae1ea959b536f96844f3f3ae6a2f32ce063f2c31f93d84a7e5c32
        hnswlib/hnswlib.h=54403db81f55fd28246114c5c9f683e663a2a55ad64903b56578c73e6db5ad2c
        hnswlib/space_ip.h=6a89b5275527fe3592a9b02ea4fc50293fdc68cbd9f7c1ec13683581e1ebbaf7
        hnswlib/space_l2.h=c599d024657896412250b4fde1a95e39f8bc55cccd263f36c8948fa35779edf1
        hnswlib/stop_condition.h=930da73eead77dff0c8c9f3281c5d12250051c90ef98fcfbab8f5f307bdae8d9
        hnswlib/visited_list_pool.h=8e5bab8d12b5ef26e3b603b656b8a1acba6738498d1d98f44c9fdb1cb0e25110
      INSTEAD "-DSNKV_HNSWLIB_DIR=<folder with hnswlib/hnswlib.h of hnswlib 0.8.0>"
      OUTPUT _snkv_hnswlib_include)
    set(SNKV_HNSWLIB_INSTALLED ON)
  endif()
endif()
message(STATUS "snkv: hnswlib in ${_snkv_hnswlib_include}")

add_library(snkv_hnswlib INTERFACE)
add_library(snkv::hnswlib ALIAS snkv_hnswlib)
set_target_properties(snkv_hnswlib PROPERTIES EXPORT_NAME hnswlib)
set(SNKV_HNSWLIB_INCLUDE_DIR "${_snkv_hnswlib_include}")
# As a system header, with warnings of its own. Where it is one of the system's, it is found without.
if(SNKV_HNSWLIB_INSTALLED)
  target_include_directories(snkv_hnswlib SYSTEM INTERFACE
    "$<BUILD_INTERFACE:${_snkv_hnswlib_include}>"
    "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/snkv/third_party>")
else()
  target_include_directories(snkv_hnswlib SYSTEM INTERFACE "${_snkv_hnswlib_include}")
endif()
