/// \file
/// The C interface: a collection of vectors with values and metadata in a store.
#ifndef SNKV_C_KVSTORE_VEC_H
#define SNKV_C_KVSTORE_VEC_H

#include "kvstore.h"

#endif
