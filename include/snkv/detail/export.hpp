/// \file
/// Symbol visibility of the compiled core. Everything else of the library is hidden.
#pragma once

#if defined(_WIN32)
#if defined(SNKV_SHARED) && defined(SNKV_BUILDING_LIBRARY)
#define SNKV_API __declspec(dllexport)
#elif defined(SNKV_SHARED)
#define SNKV_API __declspec(dllimport)
#else
#define SNKV_API
#endif
#else
#define SNKV_API __attribute__((visibility("default")))
#endif
