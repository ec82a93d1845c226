/// \file
/// hnswlib, included here and nowhere else. Its macros are put back as they were, and its warnings are its own.
/// A program that includes hnswlib itself gets the same copy; it must be 0.8.0 or later.
#pragma once

#if defined(__GNUC__)
#pragma GCC system_header
#endif

#if !__has_include(<hnswlib/stop_condition.h>)
#error "snkv needs hnswlib 0.8.0 or later on the include path, before any older one"
#endif

#pragma push_macro("HNSWERR")
#pragma push_macro("USE_SSE")
#pragma push_macro("USE_AVX")
#pragma push_macro("USE_AVX512")
#pragma push_macro("PORTABLE_ALIGN32")
#pragma push_macro("PORTABLE_ALIGN64")
#pragma push_macro("_XCR_XFEATURE_ENABLED_MASK")
#include <hnswlib/hnswlib.h>
#pragma pop_macro("_XCR_XFEATURE_ENABLED_MASK")
#pragma pop_macro("PORTABLE_ALIGN64")
#pragma pop_macro("PORTABLE_ALIGN32")
#pragma pop_macro("USE_AVX512")
#pragma pop_macro("USE_AVX")
#pragma pop_macro("USE_SSE")
#pragma pop_macro("HNSWERR")
