/// \file
/// The whole C interface in one header, as SNKV's single-header library had it. The library is
/// linked, so `SNKV_IMPLEMENTATION` may be defined and means nothing.
#ifndef SNKV_C_SNKV_H
#define SNKV_C_SNKV_H

#include "kvstore.h"
#include "kvstore_vec.h"

#endif
