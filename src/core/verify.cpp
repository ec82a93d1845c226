/// \file
/// The function of core_abi.hpp that checks a store against everything that the file format
/// promises.
#include "base/printable.hpp"
#include "btree/record.hpp"
#include "core/columns/column_check.hpp"
#include "core/columns/column_state.hpp"
#include "core/database_header.hpp"
#include "core/family_seal.hpp"
#include "core/format.hpp"
#include "core/journals.hpp"
#include "core/page_check.hpp"
#include "core/pinned_reader.hpp"
#include "core/progress.hpp"
#include "core/read_path.hpp"
#include "core/run.hpp"
#include "core/schema.hpp"
#include "core/store_state.hpp"

#include <snkv/detail/core_abi.hpp>

#include <fmt/format.h>
#include <algorithm>
#include <string>
#include <vector>

namespace snkv::core {
namespace {

constexpr const char* operation = "verify";

/// What is wrong, the first of it.
class Findings {
 public:
  void add(std::string what) {
    ++count_;
    if (count_ > most) return;
    if (!text_.empty()) text_ += "; ";
    text_ += what;
  }
  /// What is wrong with a value of an encrypted store.
  void add_tampered(std::string what) {
    tampered_ = true;
    add(std::move(what));
  }
  [[nodiscard]] bool tampered() const noexcept { return tampered_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  /// No more of them would be named.
  [[nodiscard]] bool enough() const noexcept { return count_ >= most; }
  [[nodiscard]] Error error(Errc code) const {
    return Error(code, operation, enough() ? text_ + "; and perhaps more" : text_);
  }

 private:
  static constexpr std::size_t most = 20;
  std::string text_;
  std::size_t count_ = 0;
  bool tampered_ = false;
};

/// Counts bytes read as pages for the progress function; the engine's own check is the first half.
class Pace {
 public:
  Pace(ProgressReport& report, std::uint64_t pages, std::uint64_t page_size) noexcept
      : report_(report), pages_(pages), page_size_(page_size) {}

  [[nodiscard]] bool engine(std::uint64_t steps) noexcept {
    // Its steps are pages, and then pieces of work on rows that nobody can count beforehand.
    return report_.report(std::min(steps * engine_steps, pages_), 2 * pages_);
  }
  [[nodiscard]] bool read(std::uint64_t bytes) noexcept {
    bytes_ += bytes;
    if (bytes_ < next_) return true;
    next_ = bytes_ + 256 * page_size_;
    return report_.report(pages_ + std::min(bytes_ / page_size_, pages_), 2 * pages_);
  }
  [[nodiscard]] bool finish() noexcept { return report_.report(2 * pages_, 2 * pages_); }
  [[nodiscard]] bool asked_to_stop() const noexcept { return report_.stopped(); }
  [[nodiscard]] Error stopped() const { return report_.error(operation); }

  static constexpr int engine_steps = 1000;

 private:
  ProgressReport& report_;
  const std::uint64_t pages_;
  const std::uint64_t page_size_;
  std::uint64_t bytes_ = 0;
  std::uint64_t next_ = 0;
};

/// Damage that the engine meets is a finding; anything else stops the check.
bool is_damage(int rc) {
  const Errc code = btree::errc_of(rc);
  return code == Errc::corrupt || code == Errc::not_a_store;
}

// ---- One family ----

class FamilyCheck {
 public:
  FamilyCheck(StoreState& store, snkv_bt* bt, const Catalog& catalog, const FamilyEntry& family,
              Findings& findings, Pace& pace, VerifyReport& report)
      : store_(store),
        bt_(bt),
        catalog_(catalog),
        family_(family),
        keys_(catalog.keys()),
        findings_(findings),
        pace_(pace),
        report_(report) {}

  [[nodiscard]] Error run() {
    Error error = rows();
    if (!error.failed()) error = is_column_family(family_.family->name) ? column() : chunks();
    if (!error.failed() && rows_complete_) error = expiries();
    return error;
  }

 private:
  struct LargeReference {
    std::int64_t id;
    std::uint64_t size;
  };

  void found(std::string_view what) {
    findings_.add(fmt::format("family {}: {}", base::printable(family_.family->name), what));
  }
  /// Turns what the engine said about a tree into a finding or an error.
  [[nodiscard]] Error engine_said(int rc, const char* tree) {
    if (!is_damage(rc)) return btree::engine_error(operation, rc, tree);
    found(fmt::format("{}: {}", tree, snkv_bt_errstr(rc)));
    return {};
  }

  [[nodiscard]] Error rows();
  [[nodiscard]] Error row(const Row& row, btree::Cursor& expiries);
  [[nodiscard]] Error sealed_value(const Row& row);
  [[nodiscard]] Error row_expiry(const Row& row, btree::Cursor& expiries);
  [[nodiscard]] Error chunks();
  [[nodiscard]] Error column();
  void reference_without_chunks(const LargeReference& reference);
  void check_references();
  [[nodiscard]] Error expiries();
  [[nodiscard]] int expiry_entry(snkv_bt_cursor* entries, snkv_bt_cursor* rows);
  [[nodiscard]] std::string key_of(std::int64_t large_id);

  StoreState& store_;
  snkv_bt* bt_;
  const Catalog& catalog_;
  const FamilyEntry& family_;
  const KeyRing* keys_;
  Findings& findings_;
  Pace& pace_;
  VerifyReport& report_;
  Bytes opened_;
  std::vector<LargeReference> references_;  // from rows; sorted by id once all are known
  std::uint64_t indexed_ = 0;               // rows that expire and are in the index
  bool rows_complete_ = false;
};

Error FamilyCheck::rows() {
  btree::Cursor cursor;
  btree::Cursor expiries;
  int valid = 0;
  int rc = cursor.open(bt_, family_.root, SNKV_BT_ROWS, false);
  if (rc == SNKV_BT_OK && family_.expiry_root != 0) {
    rc = expiries.open(bt_, family_.expiry_root, SNKV_BT_EXPIRY, false);
  }
  if (rc == SNKV_BT_OK) rc = snkv_bt_first(cursor.get(), &valid);
  Bytes scratch;
  Bytes previous;
  while (rc == SNKV_BT_OK && valid != 0 && !findings_.enough()) {
    Row current;
    rc = read_row(cursor.get(), scratch, current);
    if (rc != SNKV_BT_OK && !is_damage(rc)) break;
    if (rc != SNKV_BT_OK) {
      found(previous.empty()
                ? std::string("the first row cannot be read")
                : fmt::format("the row after {} cannot be read", base::printable(previous)));
      rc = SNKV_BT_OK;
    } else {
      if (!previous.empty() && current.key <= BytesView(previous)) {
        found(fmt::format("key {} is not larger than the one before it",
                          base::printable(current.key)));
      }
      if (Error error = row(current, expiries); error.failed()) return error;
      if (!pace_.read(current.key.size() + current.value.size() + 8)) return pace_.stopped();
      previous.resize_for_overwrite(0);
      previous.resize_for_overwrite(current.key.size());
      std::copy(current.key.span().begin(), current.key.span().end(), previous.begin());
    }
    rc = snkv_bt_next(cursor.get(), &valid);
  }
  if (rc != SNKV_BT_OK) return engine_said(rc, "the tree of rows");
  rows_complete_ = valid == 0;
  return {};
}

Error FamilyCheck::row(const Row& row, btree::Cursor& expiries) {
  ++report_.entries;
  report_.bytes += row.key.size() + row.large_size;
  if (row.large_id == 0) {
    const std::size_t extra = keys_ == nullptr ? 0 : KeyRing::overhead;
    report_.bytes += row.value.size() - std::min(row.value.size(), extra);
  }
  if (keys_ != nullptr) {
    if (Error error = sealed_value(row); error.failed()) return error;
  }
  if (row.key.empty() || row.key.size() > max_key_size) {
    found(fmt::format("a key has {} bytes", row.key.size()));
  }
  if (row.large_id != 0) {
    ++report_.large_values;
    references_.push_back({row.large_id, row.large_size});
    if (row.large_id < 0 || row.value.empty() != (keys_ == nullptr) ||
        row.large_size == 0) {
      found(fmt::format("the row of {} has a malformed large value", base::printable(row.key)));
    }
  }
  return row.expires_at ? row_expiry(row, expiries) : Error();
}

/// Opens the value of a row, all of it.
Error FamilyCheck::sealed_value(const Row& row) {
  const ReadView view{bt_, &family_, 0, nullptr, keys_};
  LargeValue large;
  Error error = large_of(operation, view, row, large);
  if (!error.failed() && large.id == 0) {
    error = copy_value(operation, view, row, opened_);
  } else if (!error.failed()) {
    const std::uint64_t piece = 16 * std::uint64_t{large.chunk_size};
    for (std::uint64_t at = 0; at < large.size && !error.failed(); at += piece) {
      const auto amount = static_cast<std::size_t>(std::min(piece, large.size - at));
      opened_.resize_for_overwrite(amount);
      error = read_large_part(operation, view, row.key, large, at, opened_.data(), amount);
      if (!error.failed() && !pace_.read(amount)) return pace_.stopped();
    }
  }
  if (!(error == Errc::tampered)) return error;
  findings_.add_tampered(fmt::format("family {}: {} is not what was put there",
                                     base::printable(family_.family->name), error.detail()));
  return {};
}

Error FamilyCheck::row_expiry(const Row& row, btree::Cursor& expiries) {
  int order = 1;
  if (expiries.is_open()) {
    const int rc = snkv_bt_seek_expiry(expiries.get(), *row.expires_at, row.key.data(),
                                       static_cast<std::uint32_t>(row.key.size()), &order);
    if (rc != SNKV_BT_OK) return engine_said(rc, "the index of expiries");
    if (snkv_bt_valid(expiries.get()) == 0) order = 1;
  }
  if (order == 0) {
    ++indexed_;
  } else {
    found(fmt::format("the expiry {} of {} is not in the index", *row.expires_at,
                      base::printable(row.key)));
  }
  return {};
}

/// The key of a large value, for a finding. O(entries).
std::string FamilyCheck::key_of(std::int64_t large_id) {
  btree::Cursor cursor;
  int valid = 0;
  int rc = cursor.open(bt_, family_.root, SNKV_BT_ROWS, false);
  if (rc == SNKV_BT_OK) rc = snkv_bt_first(cursor.get(), &valid);
  Bytes scratch;
  while (rc == SNKV_BT_OK && valid != 0) {
    Row current;
    rc = read_row(cursor.get(), scratch, current);
    if (rc == SNKV_BT_OK && current.large_id == large_id) return base::printable(current.key);
    if (rc == SNKV_BT_OK || is_damage(rc)) rc = snkv_bt_next(cursor.get(), &valid);
  }
  return "?";
}

void FamilyCheck::check_references() {
  std::sort(references_.begin(), references_.end(),
            [](const LargeReference& a, const LargeReference& b) { return a.id < b.id; });
  for (std::size_t i = 1; i < references_.size(); ++i) {
    if (references_[i].id == references_[i - 1].id) {
      found(fmt::format("two rows have the large value {}, that of {}", references_[i].id,
                        key_of(references_[i].id)));
    }
  }
}

void FamilyCheck::reference_without_chunks(const LargeReference& reference) {
  found(fmt::format("the large value {} of {} is missing", reference.id, key_of(reference.id)));
}

/// The side table of a column has its chunks instead.
Error FamilyCheck::column() {
  const FamilyEntry* const names = catalog_.find(columns_family);
  const std::string name =
      column_of_family({bt_, names, store_.now(), &store_, keys_}, family_.family->name);
  const ColumnFindings findings{[&](const std::string& what, bool tampered) {
                                  if (tampered) return findings_.add_tampered(what);
                                  findings_.add(what);
                                },
                                [&](std::uint64_t bytes) {
                                  report_.bytes += bytes;
                                  return pace_.read(bytes);
                                }};
  Error error = check_column(operation, {bt_, &family_, store_.now(), &store_, keys_}, name, findings);
  return error == Errc::aborted ? pace_.stopped() : error;
}

/// Goes through chunks and references in parallel: both are in order of ids.
Error FamilyCheck::chunks() {
  check_references();
  auto reference = references_.begin();
  btree::Cursor cursor;
  int valid = 0;
  int rc = SNKV_BT_OK;
  if (family_.large_root != 0) {
    rc = cursor.open(bt_, family_.large_root, SNKV_BT_ROWID, false);
    if (rc == SNKV_BT_OK) rc = snkv_bt_first(cursor.get(), &valid);
  }
  const std::uint32_t extra = keys_ == nullptr ? 0 : KeyRing::overhead;
  constexpr std::int64_t index_mask = (std::int64_t{1} << format::chunk_bits) - 1;
  while (rc == SNKV_BT_OK && valid != 0 && !findings_.enough()) {
    // The chunks of one value.
    const std::int64_t id = snkv_bt_rowid(cursor.get()) >> format::chunk_bits;
    std::int64_t expected = 0;
    std::int64_t gap = -1;
    std::uint64_t bytes = 0;
    std::uint32_t full = 0;
    std::uint32_t last = 0;
    bool malformed = false;
    while (rc == SNKV_BT_OK && valid != 0 &&
           snkv_bt_rowid(cursor.get()) >> format::chunk_bits == id) {
      const std::int64_t index = snkv_bt_rowid(cursor.get()) & index_mask;
      if (index != expected && gap < 0) gap = expected;
      const void* data = nullptr;
      std::uint32_t local = 0;
      std::uint32_t size = 0;
      rc = snkv_bt_payload(cursor.get(), &data, &local, &size);
      if (rc != SNKV_BT_OK) break;
      btree::ColumnExtent extents[2];
      // All chunks but the last are as large as the first: that is how a position is found.
      if (!btree::parse_record({data, local}, size, extents) || extents[1].serial_type < 12 ||
          extents[1].size == 0 || last != full || (full != 0 && extents[1].size > full)) {
        malformed = true;
      }
      last = extents[1].size;
      if (full == 0) full = last;
      bytes += last - std::min(last, extra);
      expected = index + 1;
      if (!pace_.read(last)) return pace_.stopped();
      rc = snkv_bt_next(cursor.get(), &valid);
    }
    if (rc != SNKV_BT_OK) break;
    for (; reference != references_.end() && reference->id < id; ++reference) {
      reference_without_chunks(*reference);
    }
    if (reference == references_.end() || reference->id != id) {
      if (rows_complete_) found(fmt::format("the large value {} belongs to no row", id));
      continue;
    }
    const std::uint64_t size = reference->size;
    for (; reference != references_.end() && reference->id == id;) ++reference;
    const auto broken = [&](std::string_view why) {
      found(fmt::format("the large value {} of {} {}", id, key_of(id), why));
    };
    if (gap >= 0) {
      broken(fmt::format("lacks chunk {}", gap));
    } else if (bytes != size) {
      broken(fmt::format("has {} bytes in its chunks, {} in its row", bytes, size));
    } else if (malformed) {
      broken("has a malformed chunk");
    }
  }
  if (rc != SNKV_BT_OK) return engine_said(rc, "the tree of large values");
  for (; reference != references_.end() && !findings_.enough(); ++reference) {
    reference_without_chunks(*reference);
  }
  return {};
}

/// One entry of the index must have its row.
int FamilyCheck::expiry_entry(snkv_bt_cursor* entries, snkv_bt_cursor* rows) {
  const void* data = nullptr;
  std::uint32_t local = 0;
  std::uint32_t size = 0;
  int rc = snkv_bt_payload(entries, &data, &local, &size);
  if (rc != SNKV_BT_OK) return rc;
  Bytes record;
  if (!record.try_resize_for_overwrite(size)) return SNKV_BT_NOMEM;
  rc = snkv_bt_read(entries, 0, size, record.data());
  if (rc != SNKV_BT_OK) return rc;
  btree::ColumnExtent extents[2];
  if (!btree::parse_record(record, size, extents)) return SNKV_BT_CORRUPT;
  const btree::Column at = btree::decode_column(extents[0], record.data());
  const BytesView key = btree::decode_column(extents[1], record.data()).bytes;
  int order = 0;
  rc = snkv_bt_seek(rows, key.data(), static_cast<std::uint32_t>(key.size()), &order);
  if (rc != SNKV_BT_OK) return rc;
  Bytes scratch;
  Row row;
  if (order == 0 && snkv_bt_valid(rows) != 0) rc = read_row(rows, scratch, row);
  if (rc == SNKV_BT_OK && row.expires_at != at.integer) {
    found(fmt::format("the index has the expiry {} of {}, whose row does not", at.integer,
                      base::printable(key)));
  }
  return rc;
}

/// Every row has been found in the index: if that has no more entries, there is nothing else in it.
Error FamilyCheck::expiries() {
  if (family_.expiry_root == 0) return {};
  btree::Cursor entries;
  btree::Cursor rows;
  std::uint64_t count = 0;
  int valid = 0;
  int rc = entries.open(bt_, family_.expiry_root, SNKV_BT_EXPIRY, false);
  if (rc == SNKV_BT_OK) rc = snkv_bt_count(entries.get(), &count);
  if (rc == SNKV_BT_OK && count == indexed_) return {};
  if (rc == SNKV_BT_OK) rc = rows.open(bt_, family_.root, SNKV_BT_ROWS, false);
  if (rc == SNKV_BT_OK) rc = snkv_bt_first(entries.get(), &valid);
  while (rc == SNKV_BT_OK && valid != 0 && !findings_.enough()) {
    rc = expiry_entry(entries.get(), rows.get());
    if (rc == SNKV_BT_OK) rc = snkv_bt_next(entries.get(), &valid);
  }
  return rc == SNKV_BT_OK ? Error() : engine_said(rc, "the index of expiries");
}

// ---- The store ----

/// The engine's own check of pages, cells and column types.
Error engine_check(btree::Connection& connection, const Schema& schema, Findings& findings, Pace& pace) {
  const auto report = [](void* context, std::uint64_t steps, std::uint64_t) noexcept -> int {
    return static_cast<Pace*>(context)->engine(steps) ? 0 : 1;
  };
  struct Reporting {
    snkv_bt* bt;
    ~Reporting() { snkv_bt_on_progress(bt, 0, nullptr, nullptr); }
  } reporting{connection.get()};
  snkv_bt_on_progress(reporting.bt, Pace::engine_steps, report, &pace);
  std::vector<std::string> lines;
  Error error = check_pages(operation, connection, schema, lines);
  if (error.failed()) return pace.asked_to_stop() ? pace.stopped() : error;
  for (std::string& line : lines) findings.add(std::move(line));
  return {};
}

Error check_meta(snkv_bt* bt, const Catalog& catalog, Findings& findings) {
  DatabaseHeader header;
  if (const int rc = header.read(bt); rc != SNKV_BT_OK) return btree::engine_error(operation, rc);
  if (const Error error = header.check(operation, true); error.failed()) {
    findings.add(fmt::format("the header {}", error.detail()));
  }
  Meta meta;
  if (Error error = read_meta(operation, bt, catalog.meta_root(), meta); error.failed()) {
    if (!is_damage(error.extended())) return error;
    findings.add(fmt::format("snkv_meta: {}", error.detail()));
    return {};
  }
  const std::int64_t expected = catalog.keys() == nullptr       ? format::version
                                : catalog.keys()->binds_names() ? format::bound_version
                                                                : format::encrypted_version;
  const std::int64_t version = meta.format_version.value_or(-1);
  if (version != expected || header.user_version() != version) {
    findings.add(fmt::format("snkv_meta: format_version is {}, user_version is {}", version,
                             header.user_version()));
  }
  if (!meta.store_id || meta.store_id->size() != KeyRing::StoreId().size()) {
    findings.add("snkv_meta: store_id is missing or malformed");
  }
  const std::int64_t next_id = meta.next_family_id.value_or(-1);
  const FamilyList& families = catalog.families();
  if (!families.empty() && next_id <= families.back().family->id) {
    findings.add(fmt::format("snkv_meta: next_family_id is {}, but family {} has the id {}",
                             next_id, base::printable(families.back().family->name),
                             families.back().family->id));
  }
  return {};
}

void check_families(const Catalog& catalog, Findings& findings) {
  const FamilyEntry* first = catalog.find(format::default_family_id);
  if (first == nullptr || first->family->name != format::default_family) {
    findings.add(fmt::format("there is no family {}", format::default_family));
  }
  const FamilyList& families = catalog.families();
  for (std::size_t i = 1; i < families.size(); ++i) {
    if (families[i].family->id != families[i - 1].family->id) continue;
    findings.add(fmt::format("families {} and {} have the same id",
                             base::printable(families[i - 1].family->name),
                             base::printable(families[i].family->name)));
  }
}

/// What an encrypted store is known by that is not in its values.
Error check_names(snkv_bt* bt, const Catalog& catalog, Findings& findings) {
  const KeyRing* const keys = catalog.keys();
  if (keys == nullptr || !keys->binds_names()) return {};
  for (const FamilyEntry& entry : catalog.families()) {
    if (!entry.forged.empty()) findings.add_tampered(entry.forged + " was changed");
  }
  std::int64_t next = 0;
  Error error = read_next_family_id(operation, bt, catalog, next);
  if (error == Errc::tampered) {
    findings.add_tampered(error.detail() + " was changed");
    error = {};
  }
  NameTags tags;
  if (!error.failed()) error = tags.read(operation, bt, catalog.meta_root());
  if (error.failed()) return error;
  for (const std::uint32_t id : tags.without_family(catalog)) {
    findings.add_tampered(fmt::format("snkv_meta: there is no column family with the id {} any more", id));
  }
  return {};
}

/// Side tables of families that are gone.
void check_side_tables(const Schema& schema, const Catalog& catalog, Findings& findings) {
  for (const SchemaRow& row : schema.rows()) {
    const bool is_side = row.name.starts_with("snkv_large_") || row.name.starts_with("snkv_expiry_");
    if (row.type != "table" || !is_side) continue;
    const bool owned = std::any_of(catalog.families().begin(), catalog.families().end(),
                                   [&](const FamilyEntry& entry) {
                                     return row.name == format::large_table_name(entry.family->id) ||
                                            row.name == format::expiry_table_name(entry.family->id);
                                   });
    if (!owned) findings.add(fmt::format("table {} belongs to no family", base::printable(row.name)));
  }
}

Error verify_snapshot(StoreState& store, btree::Connection& connection, ProgressReport& progress,
                      VerifyReport& report) {
  const btree::Lock lock(connection);
  const btree::MixedReadTransaction transaction(lock);
  if (transaction.rc() != SNKV_BT_OK) {
    return btree::engine_error(operation, transaction.rc(), "beginning a read transaction");
  }
  std::shared_ptr<const Catalog> catalog;
  Error error = Catalog::load(operation, lock.get(), transaction.cookie(), store.cipher.get(),
                              catalog);
  if (error.failed()) return error;
  std::uint32_t pages = 0;
  std::uint32_t free_pages = 0;
  snkv_bt_pages(lock.get(), &pages, &free_pages);
  Pace pace(progress, pages, snkv_bt_page_size(lock.get()));

  Findings findings;
  Schema schema;
  error = schema.load(operation, lock.get());
  if (!error.failed()) error = engine_check(connection, schema, findings, pace);
  // What follows would say the same again, less clearly.
  if (!error.failed() && !findings.empty()) error = findings.error(Errc::corrupt);
  if (!error.failed()) error = check_meta(lock.get(), *catalog, findings);
  if (!error.failed()) error = check_names(lock.get(), *catalog, findings);
  if (error.failed()) return error;
  check_side_tables(schema, *catalog, findings);
  check_families(*catalog, findings);

  Findings alterations;
  for (const FamilyEntry& family : catalog->families()) {
    ++report.families;
    if (!family.altered.empty()) {
      alterations.add(family.altered);  // its trees may be of any kind
      continue;
    }
    if (!family.forged.empty()) continue;  // told by check_names
    FamilyCheck check(store, lock.get(), *catalog, family, findings, pace, report);
    error = check.run();
    if (error.failed()) return error;
    if (findings.enough()) break;
  }
  if (!findings.empty()) {
    return findings.error(findings.tampered() ? Errc::tampered : Errc::corrupt);
  }
  if (!alterations.empty()) return alterations.error(Errc::schema_mismatch);
  error = count_waiting_journals(operation, lock.get(), *catalog, store, report.journals_waiting);
  if (error.failed()) return error;
  return pace.finish() ? Error() : pace.stopped();
}

}  // namespace

Error verify(const Target& target, const Progress& progress, VerifyReport& out) {
  return guarded(operation, target, [&]() -> Error {
    PinnedReader reader;
    if (Error error = reader.open(operation, target.store); error.failed()) return error;
    ProgressReport report(progress, *target.store, kind_beside_read(*target.store));
    VerifyReport read;
    Error error = verify_snapshot(*target.store, reader.connection(), report, read);
    if (!error.failed()) out = read;
    return error;
  });
}

}  // namespace snkv::core
