/// \file
/// `import_original` of core_abi.hpp: a store made of a database of SNKV's C library.
#include "core/file_system.hpp"
#include "core/format.hpp"
#include "core/original.hpp"
#include "core/progress.hpp"
#include "core/store_state.hpp"
#include "core/unfinished_file.hpp"

#include <snkv/detail/core_abi.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace snkv::core {
namespace {

constexpr const char* operation = "import_original";

/// How much is written in one transaction.
constexpr std::uint64_t entries_at_once = 4096;
constexpr std::uint64_t bytes_at_once = 8u << 20;

/// What is made of a private database is private, and what has a secret is, too.
FileAccess access_to(std::string_view from, bool encrypted) {
  struct stat own {};
  if (encrypted || ::stat(std::string(from).c_str(), &own) != 0) return {};
  ::mode_t mode = (own.st_mode & 0666) | 0600;
  if (own.st_gid != ::getegid()) mode &= ~::mode_t{0060} | ((mode & 06) << 3);
  return {.mode = mode, .by_umask = true};
}

/// The store while it is being made, beside the place where it will be; goes away in the end.
class UnfinishedStore {
 public:
  UnfinishedStore() = default;
  UnfinishedStore(const UnfinishedStore&) = delete;
  UnfinishedStore& operator=(const UnfinishedStore&) = delete;
  ~UnfinishedStore() { target = Target(); }

  [[nodiscard]] Error open(std::string_view from, std::string_view to, const ImportedStore& wanted) {
    const bool encrypted = wanted.secret != nullptr;
    Error error = file_.create(operation, std::string(to), access_to(from, encrypted), Contents::any);
    if (error.failed()) return error;
    Options options;
    options.page_size = wanted.options.page_size;
    options.cache_size = wanted.options.cache_size;
    options.clock = wanted.options.clock;
    // What a power cut leaves is of no use anyway.
    options.sync = Sync::off;
    if (!encrypted) return open_store(file_.path(), options, target);
    return open_encrypted(file_.path(), *wanted.secret, options, wanted.encryption, target);
  }

 private:
  UnfinishedFile file_;

 public:
  Target target;
};

/// Writes entries, many in one transaction.
class Loader {
 public:
  Loader(const Target& store, std::string family) : store_(store), family_(std::move(family)) {}
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;
  ~Loader() {
    if (transaction_.scope != nullptr) abandon(transaction_);
  }

  [[nodiscard]] Error put(const OriginalCursor& entry) {
    if (transaction_.scope == nullptr) {
      if (Error error = begin(store_, {}, transaction_); error.failed()) return error;
      Error error = family(transaction_, family_, FamilyMode::open, in_transaction_);
      if (error.failed()) return error;
    }
    PutOptions options;
    if (entry.expires_at) options.expires_at = TimePoint(std::chrono::milliseconds(*entry.expires_at));
    Error error = core::put(in_transaction_, entry.key, entry.value, options);
    if (error.failed()) return error;
    bytes_ += entry.key.size() + entry.value.size();
    if (++entries_ < entries_at_once && bytes_ < bytes_at_once) return {};
    return flush();
  }

  [[nodiscard]] Error flush() {
    if (transaction_.scope == nullptr) return {};
    Error error = commit(transaction_);
    if (error.failed()) return error;
    in_transaction_ = Target();
    transaction_ = Target();
    entries_ = 0;
    bytes_ = 0;
    return {};
  }

 private:
  const Target& store_;
  std::string family_;
  Target transaction_;
  Target in_transaction_;
  std::uint64_t entries_ = 0;
  std::uint64_t bytes_ = 0;
};

/// A name like `name` that may be one: with underscores for what is no printable ASCII, and a number.
std::string similar_name(const std::string& name, unsigned attempt) {
  std::string similar = "_";
  for (const char c : name.substr(0, max_family_name_size - 16)) {
    similar += c >= ' ' && c <= '~' ? c : '_';
  }
  return fmt::format("{}_{}", similar, attempt);
}

class Import {
 public:
  Import(const Original& original, const Target& store, ProgressReport& progress, ImportReport& report)
      : original_(original), store_(store), progress_(progress), report_(report) {}

  [[nodiscard]] Error families(const std::shared_ptr<const Original>& original) {
    for (const std::string& name : original_families(original_)) {
      std::string made;
      if (Error error = make_family(name, made); error.failed()) return error;
      if (Error error = entries(original, name, std::move(made)); error.failed()) return error;
      ++report_.families;
    }
    return {};
  }

 private:
  [[nodiscard]] Error make_family(const std::string& name, std::string& made) {
    made = name;
    if (name == format::default_family && report_.families == 0) return {};
    Target family_target;
    Error error = family(store_, name, FamilyMode::create, family_target);
    for (unsigned attempt = 2; error == Errc::invalid_argument || error == Errc::exists; ++attempt) {
      made = similar_name(name, attempt);
      error = family(store_, made, FamilyMode::create, family_target);
    }
    if (!error.failed() && made != name) report_.renamed.emplace_back(name, made);
    return error;
  }

  [[nodiscard]] Error entries(const std::shared_ptr<const Original>& original,
                              const std::string& name, std::string made) {
    OriginalCursor* opened = nullptr;
    if (Error error = open_original_cursor(original, name, opened); error.failed()) return error;
    const std::unique_ptr<OriginalScan> scan(static_cast<OriginalScan*>(opened));
    Loader loader(store_, std::move(made));
    for (std::uint64_t seen = 0;; ++seen) {
      if (Error error = scan->next(operation); error.failed()) return error;
      if (!scan->valid) break;
      if (seen % 1024 == 0 && !report_progress(*scan)) return progress_.error(operation);
      if (scan->expires_at && *scan->expires_at <= store_.store->now()) {
        ++report_.expired;
        continue;
      }
      if (Error error = loader.put(*scan); error.failed()) return error;
      ++report_.entries;
      report_.expiring += scan->expires_at ? 1 : 0;
      report_.bytes += scan->key.size() + scan->value.size();
    }
    if (Error error = loader.flush(); error.failed()) return error;
    const bool go_on = report_progress(*scan);
    pages_before_ += scan->pages_read();
    return go_on ? Error() : progress_.error(operation);
  }

  [[nodiscard]] bool report_progress(const OriginalScan& scan) {
    const std::uint64_t pages = original_.file.pages();
    return progress_.report(std::min(pages_before_ + scan.pages_read(), pages), 2 * pages);
  }

  const Original& original_;
  const Target& store_;
  ProgressReport& progress_;
  ImportReport& report_;
  std::uint64_t pages_before_ = 0;
};

Error check_free(const std::string& path) {
  if (path.empty()) return Error(Errc::invalid_argument, operation, "the path is empty");
  struct stat found {};
  if (::lstat(path.c_str(), &found) == 0) return Error(Errc::exists, operation, path);
  return {};
}

Error import_into(std::string_view from, std::string_view to, BytesView password,
                  const ImportedStore& wanted, const ImportAlso& also, const Progress& progress,
                  ImportReport& report) {
  // Found out again in the end; but why read everything first.
  if (Error error = check_free(std::string(to)); error.failed()) return error;
  std::shared_ptr<const Original> original;
  if (Error error = open_original(from, password, original); error.failed()) return error;
  if (original->cipher.encrypted() && wanted.secret == nullptr && !wanted.decrypt) {
    return Error(Errc::invalid_argument, operation,
                 fmt::format("{} is encrypted: give a secret for the new store, or say that it shall not be "
                             "encrypted",
                             from));
  }
  report.unknown = original_unknown_families(*original);
  for (OriginalVectors& vectors : original_vectors(*original)) {
    report.vectors.push_back(std::move(vectors.vectors));
  }

  UnfinishedStore store;
  if (Error error = store.open(from, to, wanted); error.failed()) return error;
  ProgressReport shown(progress);
  Error error = Import(*original, store.target, shown, report).families(original);
  if (!error.failed()) error = also(original, store.target);
  if (error.failed()) return error;

  const std::uint64_t pages = original->file.pages();
  const Progress copying = [&](std::uint64_t done, std::uint64_t total) {
    return shown.report(pages + (total == 0 ? pages : done * pages / total), 2 * pages);
  };
  error = backup(store.target, to, {}, copying);
  return error.failed() && shown.stopped() ? shown.error(operation) : error;
}

}  // namespace

Error import_original(std::string_view from, std::string_view to, BytesView password,
                      const ImportedStore& wanted, const ImportAlso& also, const Progress& progress,
                      ImportReport& report) {
  try {
    ImportReport found;
    Error error = import_into(from, to, password, wanted, also, progress, found);
    if (!error.failed()) report = std::move(found);
    return error;
  } catch (...) {
    return error_of_exception(operation);
  }
}

}  // namespace snkv::core
