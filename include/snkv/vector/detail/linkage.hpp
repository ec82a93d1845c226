/// \file
/// Where the code behind collections is: compiled in the library `snkv::vector`, or, in programs that link
/// `snkv::vector_header_only`, in the headers.
#pragma once

#include <snkv/detail/export.hpp>

#if defined(SNKV_VECTOR_HEADER_ONLY)
#define SNKV_VECTOR_CODE inline
#else
#define SNKV_VECTOR_CODE SNKV_API
#endif
