/// \file
/// snkv: an embedded, ordered, transactional key-value store in one SQLite file. This header brings in
/// all of it. Where to start reading: store.hpp, then entries.hpp, range.hpp, transaction.hpp.
#pragma once

#include <snkv/blob.hpp>
#include <snkv/bytes.hpp>
#include <snkv/column_family.hpp>
#include <snkv/encryption.hpp>
#include <snkv/entries.hpp>
#include <snkv/error.hpp>
#include <snkv/expected.hpp>
#include <snkv/iterator.hpp>
#include <snkv/options.hpp>
#include <snkv/pinned_value.hpp>
#include <snkv/range.hpp>
#include <snkv/result.hpp>
#include <snkv/snapshot.hpp>
#include <snkv/sql.hpp>
#include <snkv/sql_value.hpp>
#include <snkv/stats.hpp>
#include <snkv/store.hpp>
#include <snkv/transaction.hpp>
#include <snkv/version.hpp>
#include <snkv/watch.hpp>
#include <snkv/write_batch.hpp>
