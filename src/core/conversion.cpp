/// \file
/// The functions of core_abi.hpp that encrypt a store which is not, and the opposite: a new file is written
/// and takes the place of the old one, so that nothing stays behind in its pages.
#include "base/printable.hpp"
#include "core/family_seal.hpp"
#include "core/file_system.hpp"
#include "core/columns/column_reader.hpp"
#include "core/format.hpp"
#include "core/key_header.hpp"
#include "core/old_files.hpp"
#include "core/progress.hpp"
#include "core/read_path.hpp"
#include "core/schema.hpp"
#include "core/store_state.hpp"
#include "core/unfinished_file.hpp"
#include "core/write_path.hpp"

#include <snkv/detail/core_abi.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace snkv::core {
namespace {

Options conversion_options() {
  Options options;
  options.create_if_missing = false;
  options.journal = Journal::rollback;
  options.keep_reads = false;
  options.allow_hard_links = true;  // refused below, with the reason that holds here
  return options;
}

/// The old store, for nobody else: neither to be written nor to be read.
class Source {
 public:
  Source(const char* operation, std::string_view path)
      : operation_(operation), store_(std::string(path), false, conversion_options()) {}
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  ~Source() {
    if (store_.writer.is_open()) snkv_bt_rollback(store_.writer.get());
    store_.writer.close();
    if (file_ >= 0) ::close(file_);  // which drops all locks, hence last
  }

  [[nodiscard]] Error open(const Unlock* unlock) {
    // Changing the mode takes the file to itself, and brings all of it into one file.
    if (Error error = store_.open(unlock); error.failed()) return error;
    if (Error error = lock(); error.failed()) return error;
    file_ = ::open(store_.file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat info {};
    if (file_ < 0 || ::fstat(file_, &info) != 0) return system_error(operation_, store_.file);
    if (info.st_nlink > 1) {
      return Error(Errc::invalid_argument, operation_,
                   fmt::format("{} has another name, which would stay with the old contents",
                               store_.file));
    }
    snkv_bt* const bt = store_.writer.get();
    const btree::Lock lock(store_.writer);
    return Catalog::load(operation_, bt, snkv_bt_cookie(bt), store_.cipher.get(), catalog_);
  }

  /// Refuses what a copy would lose, or leave in clear.
  [[nodiscard]] Error check_schema() {
    for (const FamilyEntry& entry : catalog_->families()) {
      if (Error error = check_name(operation_, entry); error.failed()) return error;
      if (!entry.altered.empty()) return Error(Errc::schema_mismatch, operation_, entry.altered);
    }
    Schema schema;
    if (Error error = schema.load(operation_, store_.writer.get()); error.failed()) return error;
    for (const SchemaRow& row : schema.rows()) {
      if (row.name.starts_with("sqlite_") || is_ours(row.name)) continue;
      return Error(Errc::schema_mismatch, operation_,
                   fmt::format("the {} {} is not the library's: it has to be dropped first", row.type,
                               base::printable(row.name)));
    }
    return {};
  }

  [[nodiscard]] int count(std::uint64_t& entries) {
    entries = 0;
    for (const FamilyEntry& entry : catalog_->families()) {
      btree::Cursor cursor;
      std::uint64_t some = 0;
      int rc = cursor.open(store_.writer.get(), entry.root, SNKV_BT_ROWS, false);
      if (rc == SNKV_BT_OK) rc = snkv_bt_count(cursor.get(), &some);
      if (rc != SNKV_BT_OK) return rc;
      entries += some;
    }
    return SNKV_BT_OK;
  }

  /// Side files can be made again, and must not outlive the contents they were made of. Earlier versions put
  /// them beside the path that the store was opened with, which may be a link.
  [[nodiscard]] Error remove_side_files() {
    const Contents contents = store_.cipher == nullptr ? Contents::secret : Contents::any;
    Error error = core::remove_side_files(operation_, store_.file, contents);
    if (error.failed() || store_.path == store_.file) return error;
    return core::remove_side_files(operation_, store_.path, contents);
  }

  /// Overwrites the contents, which have no name any more. Who has the file open still finds no store in
  /// it. What cannot be overwritten cannot be helped either.
  void overwrite() noexcept { overwrite_contents(file_); }

  [[nodiscard]] StoreState& store() noexcept { return store_; }
  [[nodiscard]] const Catalog& catalog() const noexcept { return *catalog_; }

 private:
  /// Nobody else reads or writes from now on, and there is no log.
  [[nodiscard]] Error lock() {
    for (int attempt = 0; attempt < 2; ++attempt) {
      int rc = store_.writer.execute("BEGIN EXCLUSIVE");
      std::int64_t others = 0;
      if (rc == SNKV_BT_OK) {
        rc = store_.writer.query_int64(
            "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode<>'delete'", others);
      }
      if (rc == SNKV_BT_OK && others == 0) return check_no_log();
      if (rc == SNKV_BT_OK) rc = store_.writer.execute("ROLLBACK");
      // Somebody has begun a log anew, or the disk refused to put it away, of which the engine told
      // nothing. The second time tells.
      if (rc == SNKV_BT_OK) rc = store_.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)");
      if (rc == SNKV_BT_OK) rc = store_.writer.execute("PRAGMA journal_mode=DELETE");
      if (rc != SNKV_BT_OK) return store_.writer.sql_error(operation_, rc);
    }
    return Error(Errc::busy, operation_, "somebody else has opened the store");
  }

  /// A log that could not be removed, of which the engine does not tell either, would be taken for that of
  /// the new file, and undo the conversion.
  [[nodiscard]] Error check_no_log() const {
    for (const char* suffix : {"-wal", "-journal"}) {
      const std::string log = store_.file + suffix;
      struct stat info {};
      if (::stat(log.c_str(), &info) == 0 && info.st_size > 0) {
        return Error(Errc::io_error, operation_, fmt::format("{} could not be removed", log));
      }
    }
    return {};
  }

  [[nodiscard]] bool is_ours(std::string_view name) const {
    if (name == "snkv_meta") return true;
    const auto& families = catalog_->families();
    return std::any_of(families.begin(), families.end(), [&](const FamilyEntry& entry) {
      const std::uint32_t id = entry.family->id;
      return name == entry.family->name || name == format::large_table_name(id) ||
             name == format::expiry_table_name(id);
    });
  }

  const char* operation_;
  StoreState store_;
  std::shared_ptr<const Catalog> catalog_;
  int file_ = -1;
};

/// Copies entries into a new store, many in one transaction.
class Copy {
 public:
  Copy(const char* operation, Source& source, StoreState& target, ProgressReport& report)
      : operation_(operation), source_(source), target_(target), report_(report) {}
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;
  ~Copy() {
    if (open_) target_.session.rollback();
  }

  [[nodiscard]] Error run() {
    if (const int rc = source_.count(total_); rc != SNKV_BT_OK) {
      return btree::engine_error(operation_, rc);
    }
    if (!report_.report(0, total_)) return report_.error(operation_);
    for (const FamilyEntry& entry : source_.catalog().families()) {
      if (Error error = family(entry); error.failed()) return error;
    }
    if (Error error = numbers(); error.failed()) return error;
    if (Error error = commit(); error.failed()) return error;
    return report_.report(total_, total_) ? Error() : report_.error(operation_);
  }

 private:
  [[nodiscard]] Error begin() {
    if (open_) return {};
    Error error = target_.session.begin(operation_);
    open_ = !error.failed();
    return error;
  }
  [[nodiscard]] Error commit() {
    if (!open_) return {};
    Error error = target_.session.commit(operation_);
    open_ = error == Errc::busy;
    bytes_ = 0;
    return error;
  }

  [[nodiscard]] Error family(const FamilyEntry& from) {
    const Family& name = *from.family;
    if (Error error = begin(); error.failed()) return error;
    if (name.id != format::default_family_id) {
      const btree::Lock lock(target_.writer);
      Error error = make_family(operation_, target_.session, name.name, name.id);
      if (error.failed()) return error;
    }
    const ReadView view{source_.store().writer.get(), &from, 0, &source_.store(),
                        source_.catalog().keys()};
    btree::Cursor cursor;
    int valid = 0;
    int rc = cursor.open(view.bt, from.root, SNKV_BT_ROWS, false);
    if (rc == SNKV_BT_OK) rc = snkv_bt_first(cursor.get(), &valid);
    while (rc == SNKV_BT_OK && valid != 0) {
      Row row;
      rc = read_row(cursor.get(), scratch_, row);
      if (rc != SNKV_BT_OK) break;
      if (Error error = entry(view, name, row); error.failed()) return error;
      ++done_;
      if (bytes_ >= bytes_at_once || done_ % entries_at_once == 0) {
        if (Error error = commit(); error.failed()) return error;
        if (!report_.report(std::min(done_, total_), total_)) return report_.error(operation_);
        if (Error error = begin(); error.failed()) return error;
      }
      rc = snkv_bt_next(cursor.get(), &valid);
    }
    if (rc != SNKV_BT_OK) return btree::engine_error(operation_, rc, name.name);
    cursor.close();
    return is_column_family(name.name) && from.large_root != 0 ? column(view, name) : Error();
  }

  /// The rows of a column, which keep their numbers: a column has the same layout sealed and in clear.
  [[nodiscard]] Error column(ReadView view, const Family& name) {
    btree::Cursor cursor;
    ColumnState state;
    view.now = source_.store().now();
    int rc = cursor.open(view.bt, view.family->root, SNKV_BT_ROWS, false);
    if (rc != SNKV_BT_OK) return btree::engine_error(operation_, rc, name.name);
    Error error = read_column_state(operation_, name.name, view, cursor.get(), state);
    if (!error.failed()) error = begin();
    if (error.failed()) return error;
    {
      const btree::Lock lock(target_.writer);
      error = target_.session.create_table(operation_, format::large_table_sql(name.id), name.id);
      if (error.failed()) return error;
    }
    ColumnRows rows(operation_, name.name, view.bt, *view.family, view.keys, state.tag);
    int valid = 0;
    rc = cursor.open(view.bt, view.family->large_root, SNKV_BT_ROWID, false);
    if (rc == SNKV_BT_OK) rc = snkv_bt_first(cursor.get(), &valid);
    for (; rc == SNKV_BT_OK && valid != 0; rc = snkv_bt_next(cursor.get(), &valid)) {
      const auto row = static_cast<std::uint64_t>(snkv_bt_rowid(cursor.get()));
      BytesView content;
      if (error = rows.read(row, buffer_, content); error.failed()) return error;
      const btree::Lock lock(target_.writer);
      const FamilyEntry* tables = nullptr;
      error = target_.session.resolve(operation_, name, true, tables);
      if (error.failed()) return error;
      const WriteContext context{operation_, target_.session, name};
      error = ColumnRowWriter(context, name.name, *tables).write(state.tag, row, content);
      if (error.failed()) return error;
      bytes_ += content.size();
      if (bytes_ < bytes_at_once) continue;
      if (error = commit(); error.failed()) return error;
      if (!report_.report(std::min(done_, total_), total_)) return report_.error(operation_);
      if (error = begin(); error.failed()) return error;
    }
    return rc == SNKV_BT_OK ? Error() : btree::engine_error(operation_, rc, name.name);
  }

  [[nodiscard]] Error entry(const ReadView& view, const Family& family, const Row& row) {
    const WriteContext context{operation_, target_.session, family};
    NewEntry out{row.key, {}, row.expires_at};
    bytes_ += row.key.size() + row.value.size();
    if (row.large_id == 0) {
      Error error = row_value(operation_, view, row, buffer_, out.value);
      return error.failed() ? error : put_entry(context, out);
    }
    // In pieces, because all of it may be more than there is memory.
    LargeValue from;
    Error error = large_of(operation_, view, row, from);
    if (!error.failed()) error = begin_large_value(context, row.key, out.large);
    out.large.size = row.large_size;
    out.large.chunk_size = largest_chunk(target_.session);
    for (std::uint64_t index = 0; !error.failed(); ++index) {
      const std::uint64_t at = index * out.large.chunk_size;
      if (at >= row.large_size) return put_entry(context, out);
      const auto amount = static_cast<std::size_t>(
          std::min<std::uint64_t>(out.large.chunk_size, row.large_size - at));
      if (!buffer_.try_resize_for_overwrite(amount)) return Error(Errc::no_memory, operation_, "");
      error = read_large_part(operation_, view, row.key, from, at, buffer_.data(), amount);
      if (!error.failed()) error = write_chunk(context, row.key, out.large, index, buffer_);
      bytes_ += amount;
    }
    return error;
  }

  /// What keeps ids of families from being used again.
  [[nodiscard]] Error numbers() {
    std::int64_t next = 0;
    Error error = read_next_family_id(operation_, source_.store().writer.get(), source_.catalog(), next);
    if (!error.failed()) error = begin();
    if (error.failed()) return error;
    const btree::Lock lock(target_.writer);
    target_.session.close_cursors();
    return write_next_family_id(operation_, target_.writer, target_.session.keys(), next);
  }

  static constexpr std::uint64_t entries_at_once = 4096;
  static constexpr std::uint64_t bytes_at_once = 8u << 20;

  const char* operation_;
  Source& source_;
  StoreState& target_;
  ProgressReport& report_;
  Bytes scratch_;
  Bytes buffer_;
  std::uint64_t bytes_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
  bool open_ = false;
};

Error convert(const char* operation, std::string_view path, const Unlock* from, const Unlock* to,
              const Progress& progress) {
  ProgressReport report(progress);
  Source source(operation, path);
  Error error = source.open(from);
  if (error == Errc::auth_failed && from == nullptr) {
    return Error(Errc::invalid_argument, operation, error.detail());
  }
  if (!error.failed()) error = source.check_schema();
  UnfinishedFile file;
  if (!error.failed()) {
    // What it is now, or what it becomes when it changes places with the store, is plain text.
    error = file.create(operation, source.store().file, FileAccess::of(source.store()), Contents::secret);
  }
  if (error.failed()) return error;
  {
    Options options = conversion_options();
    options.sync = Sync::off;  // it is synced as a whole
    options.page_size = snkv_bt_page_size(source.store().writer.get());
    options.create_if_missing = true;
    StoreState target(file.path(), false, std::move(options));
    error = target.open(to);
    // If it fails, all of it goes away. A journal would only be more that has to be overwritten.
    if (!error.failed()) error = target.keep_no_journal(operation);
    if (!error.failed()) error = Copy(operation, source, target, report).run();
  }
  if (!error.failed()) error = source.remove_side_files();
  bool exchanged = false;
  if (!error.failed()) error = file.exchange(operation, exchanged);
  if (!error.failed() && !exchanged) source.overwrite();
  return error;
}

/// No exception gets out; messages name the operation.
template <class Body>
Error contained(const char* operation, Body&& body) {
  try {
    Error error = body();
    if (!error.failed()) return error;
    return Error(error.code(), operation, error.detail(), error.extended());
  } catch (const std::bad_alloc&) {
    return Error(Errc::no_memory, operation, "");
  } catch (const std::system_error&) {
    return Error(Errc::no_memory, operation, "");
  }
}

}  // namespace

Error encrypt_existing(std::string_view path, const Secret& secret, const EncryptionOptions& options,
                       const Progress& progress) {
  constexpr const char* operation = "encrypt_existing";
  return contained(operation, [&]() -> Error {
    Error error = KeyHeader::check_secret(operation, secret);
    if (!error.failed()) error = KeyHeader::check_options(operation, options);
    const Unlock to{secret, options};
    return error.failed() ? error : convert(operation, path, nullptr, &to, progress);
  });
}

Error remove_encryption(std::string_view path, const Secret& secret,
                        const EncryptionOptions& options, const Progress& progress) {
  constexpr const char* operation = "remove_encryption";
  return contained(operation, [&]() -> Error {
    const Unlock from{secret, options};
    return convert(operation, path, &from, nullptr, progress);
  });
}

}  // namespace snkv::core
