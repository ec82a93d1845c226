// The version of the snkv headers. CMakeLists.txt reads the three numbers below, so this file is
// the only place where a release changes them.
//
// Threads and lifetime: constants only.
#pragma once

#define SNKV_VERSION_MAJOR 0
#define SNKV_VERSION_MINOR 1
#define SNKV_VERSION_PATCH 0

#define SNKV_DETAIL_STRINGIFY_(x) #x
#define SNKV_DETAIL_STRINGIFY(x) SNKV_DETAIL_STRINGIFY_(x)

/// "major.minor.patch"
#define SNKV_VERSION_STRING                   \
  SNKV_DETAIL_STRINGIFY(SNKV_VERSION_MAJOR)   \
  "." SNKV_DETAIL_STRINGIFY(SNKV_VERSION_MINOR) "." SNKV_DETAIL_STRINGIFY(SNKV_VERSION_PATCH)

namespace snkv {

inline constexpr int version_major = SNKV_VERSION_MAJOR;
inline constexpr int version_minor = SNKV_VERSION_MINOR;
inline constexpr int version_patch = SNKV_VERSION_PATCH;
inline constexpr const char* version_string = SNKV_VERSION_STRING;

}  // namespace snkv
