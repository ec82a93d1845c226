/// \file
/// Takes over a file of KohakuVault.
#pragma once

#include <snkv/kohakuvault_report.hpp>
#include <snkv/store.hpp>

#include <string_view>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

/// Copies the dictionaries and columns of the KohakuVault file `from` into a store, in one
/// transaction: all of them or nothing. The file is only read; a writer may have it open.
///
/// - A dictionary (a table with a key and a value) becomes a column family of the same name. Of a
/// value that
///   has KohakuVault's header of ten bytes the header goes, and is counted; MessagePack, CBOR and
///   JSON stay what they are, and so does pickle, which nobody should load. Numbers in 8 bytes stay
///   8 bytes: whether they are integers or not the file does not say.
/// - A column becomes a column of the same name: `i64` and `f64` as they are, `vec:f32:768` as
/// `f32[768]`,
///   `bytes:N` as `bytes[N]`, `bytes`, `msgpack`, `cbor` and arrays of any shape as `bytes`, `str`
///   of all encodings as `string`, in UTF-8 and without the NULs that fill it up.
/// - Other tables are left out, and named in the report: vectors and documents.
///
/// Errors: `cant_open`, `not_a_store` (no database), `exists` (a family or column of a name is
/// there already), `invalid_argument` (no table of KohakuVault, a name that a family cannot have),
/// `corrupt` with the column and the element (chunks that are missing or too short, an element
/// outside of its chunk, a text that is none, a type that is not known), and what a transaction may
/// give. The log grows by the size of the contents.
[[nodiscard]] inline Result<KohakuVaultReport> import_kohakuvault(std::string_view from,
                                                                  Store& to) {
  KohakuVaultReport report;
  Error error = core::import_kohakuvault(facade::Door::target(to), from, report);
  return facade::as_result(std::move(error), std::move(report));
}

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
