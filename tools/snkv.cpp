/// \file
/// The command-line tool. Exit codes: 0, 1 for an error, 2 for a misuse, 128 and the number of the signal that
/// stopped it.
#include "arguments.hpp"
#include "interruption.hpp"
#include "password.hpp"
#include "progress_bar.hpp"

#include <snkv/column.hpp>
#include <snkv/import.hpp>
#include <snkv/import_kohakuvault.hpp>
#include <snkv/snkv.hpp>
#if defined(SNKV_TOOL_VECTORS)
#include <snkv/vector.hpp>
#include <snkv/vector/import.hpp>
#endif

#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

namespace snkv::tool {
namespace {

constexpr const char* usage = R"(usage: snkv <command> ...

  info FILE                          what a store has in it
  families FILE                      the names of its column families
  columns FILE                       its columns: name, type, elements, bytes
  list FILE [--family F] [--prefix P] [--limit N]
                                     keys and values, one entry a line; bytes that are not printable
                                     as \xNN
  get FILE KEY [--family F]          the value of a key, as it is
  verify FILE                        reads everything and checks it
  restore BACKUP FILE                puts a copy of a backup in the place of a store that nobody has open
  encrypt FILE                       encrypts a store that nobody has open
  decrypt FILE                       the opposite
  change-password FILE               of an encrypted store
  rotate-key FILE                    encrypts everything anew with another key
  import-original FILE NEW [--plain] [--refused stop|skip]
                                     makes the store NEW of a database that SNKV's C library wrote;
                                     NEW is encrypted if a new password is given, and of an encrypted
                                     FILE in any case, unless --plain says that it shall not be. Vectors
                                     and metadata that cannot be taken over stop it, or are left out and
                                     listed
  import-kohakuvault FILE STORE      puts the dictionaries and columns of a file of KohakuVault into the store
                                     STORE, which is made if there is none
  import-hnswlib INDEX FILE [--collection NAME] [--metric cosine|l2|ip] [--dtype f32|f16|i8]
                                     puts the vectors of an index file of hnswlib into the new collection
                                     NAME (vectors) of the store FILE, which is made if there is none; keys
                                     are the labels
  repair-vectors FILE                removes rows of vectors and metadata that are damaged

Passwords: of an encrypted store or database the first line of the file in --password-file ("-" is
standard input), or $SNKV_PASSWORD; a new one of --new-password-file, or $SNKV_NEW_PASSWORD. Else
the terminal is asked.

SIGINT (Ctrl-C), SIGTERM and SIGHUP stop verify, encrypt, decrypt, rotate-key and the imports cleanly, and
it is told what is left. A second one ends the tool at once: the store is whole all the same, and
what is unfinished is removed when it is opened for writing the next time. Exit codes: 0; 1 for an error;
2 for a misuse; 128 and its number for a signal.
)";

/// Thrown by `must`.
struct Failure {
  Error error;
};

template <class T>
T must(Result<T> result) {
  if (!result) throw Failure{std::move(result).error()};
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

/// The same for what can be stopped; `left` is what is told then.
template <class T>
T must_unless_stopped(Result<T> result, std::string_view left) {
  if (!result && result.error() == Errc::aborted && stop_signal() != 0) {
    throw Stopped{stop_signal(), std::string(left)};
  }
  return must(std::move(result));
}

/// Asks for a password only if one is needed.
Store open(const Arguments& arguments, const std::string& path) {
  const Options options{.create_if_missing = false, .read_only = true};
  auto plain = Store::open(path, options);
  if (plain || !(plain.error() == Errc::auth_failed)) return must(std::move(plain));
  return must(Store::open_encrypted(path, password(arguments, old_password), options));
}

ColumnFamily family(const Store& store, const std::string& name) {
  return must(store.open_column_family(name));
}

/// Text as it is, other bytes as \xNN, so that an entry is one line.
std::string printable(BytesView bytes) {
  std::string out;
  for (const char c : bytes.view()) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= ' ' && byte != 0x7f && c != '\\') {
      out += c;
    } else {
      char code[8];
      std::snprintf(code, sizeof(code), "\\x%02x", byte);
      out += code;
    }
  }
  return out;
}

void info(const Arguments& arguments) {
  const Store store = open(arguments, arguments.values(1)[0]);
  const Stats stats = must(store.stats());
  const SpaceReport space = must(store.space());
  std::printf("pages          %llu of %u bytes, %llu unused\n",
              static_cast<unsigned long long>(stats.db_pages), stats.page_size,
              static_cast<unsigned long long>(stats.free_pages));
  std::printf("file           %llu bytes\n", static_cast<unsigned long long>(space.file_bytes));
  std::printf("log            %llu bytes\n", static_cast<unsigned long long>(space.wal_bytes));
  for (const std::string& name : must(store.list_column_families())) {
    const FamilyStats entries = must(family(store, name).family_stats());
    std::printf("family         %s: %llu entries, %llu of them with an expiry\n",
                printable(name).c_str(), static_cast<unsigned long long>(entries.entries),
                static_cast<unsigned long long>(entries.expiring));
  }
}

void families(const Arguments& arguments) {
  for (const std::string& name : must(open(arguments, arguments.values(1)[0]).list_column_families())) {
    std::puts(printable(name).c_str());
  }
}

void columns(const Arguments& arguments) {
  const Store store = open(arguments, arguments.values(1)[0]);
  for (const ColumnInfo& column : must(Columns(store).list())) {
    std::printf("%s\t%s\t%llu\t%llu\n", printable(column.name).c_str(), printable(column.type).c_str(),
                static_cast<unsigned long long>(column.length), static_cast<unsigned long long>(column.bytes));
  }
}

void list(const Arguments& arguments) {
  const Store store = open(arguments, arguments.values(1)[0]);
  const unsigned long limit = arguments.number("limit", 0);
  auto entries = family(store, arguments.option("family", "default")).prefix(arguments.option("prefix"));
  unsigned long shown = 0;
  for (auto [key, value] : entries) {
    std::printf("%s\t%s\n", printable(key).c_str(), printable(value).c_str());
    if (++shown == limit) return;
  }
  must(entries.status());
}

void get(const Arguments& arguments) {
  const auto& values = arguments.values(2);
  const Store store = open(arguments, values[0]);
  const Bytes value = must(family(store, arguments.option("family", "default")).get(values[1]));
  std::fwrite(value.data(), 1, value.size(), stdout);
}

#if defined(SNKV_TOOL_VECTORS)
void print(const std::string& collection, const VectorCheckReport& report) {
  for (const VectorDamage& row : report.rows) {
    std::printf("collection %s: %s%s%s\n", printable(collection).c_str(),
                printable(row.key).c_str(), row.key.empty() ? "" : ": ", row.what.c_str());
  }
  if (report.damaged > report.rows.size()) {
    std::printf("collection %s: %llu more\n", printable(collection).c_str(),
                static_cast<unsigned long long>(report.damaged - report.rows.size()));
  }
}

/// How many rows of all collections are damaged.
std::uint64_t verify_vectors(const Store& store) {
  std::uint64_t damaged = 0;
  VectorCollections collections(store);
  for (const std::string& name : must(collections.list())) {
    const auto vectors = must(collections.open(name, {.auto_save = false}));
    const VectorCheckReport report = must(vectors.verify());
    print(name, report);
    damaged += report.damaged;
  }
  return damaged;
}

void repair_vectors(const Arguments& arguments) {
  const std::string& path = arguments.values(1)[0];
  const Options options{.create_if_missing = false};
  auto opened = Store::open(path, options);
  if (!opened && opened.error() == Errc::auth_failed) {
    opened = Store::open_encrypted(path, password(arguments, old_password), options);
  }
  const Store store = must(std::move(opened));
  VectorCollections collections(store);
  for (const std::string& name : must(collections.list())) {
    auto vectors = must(collections.open(name));
    const VectorCheckReport report = must(vectors.repair());
    print(name, report);
    std::printf("collection %s: %llu entries removed, %llu without metadata now\n",
                printable(name).c_str(), static_cast<unsigned long long>(report.removed),
                static_cast<unsigned long long>(report.without_metadata));
  }
}
#endif

void verify(const Arguments& arguments) {
  const Store store = open(arguments, arguments.values(1)[0]);
  ProgressBar bar("verifying");
  const VerifyReport report =
      must_unless_stopped(store.verify(std::ref(bar)), "not everything was checked");
#if defined(SNKV_TOOL_VECTORS)
  if (const std::uint64_t damaged = verify_vectors(store); damaged != 0) {
    throw Failure{Error(Errc::corrupt, "verify",
                        std::to_string(damaged) + " rows of vectors are damaged; see repair-vectors")};
  }
#endif
  std::printf("%llu entries in %llu families, all in order\n",
              static_cast<unsigned long long>(report.entries),
              static_cast<unsigned long long>(report.families));
  if (report.journals_waiting > 0) {
    std::printf("%llu journals of write buffers have writes that are not in the store yet\n",
                static_cast<unsigned long long>(report.journals_waiting));
  }
}

constexpr const char* unchanged = " is as it was, and nothing is left beside it";

void restore(const Arguments& arguments) {
  const auto& values = arguments.values(2);
  ProgressBar bar("restoring");
  must(Store::restore(values[0], values[1], std::ref(bar)));
}

void encrypt(const Arguments& arguments) {
  const std::string& path = arguments.values(1)[0];
  // Found out again in the end; but why ask for a password first.
  if (must(Store::is_encrypted(path))) throw Misuse{path + " is encrypted already"};
  const Secret secret = password(arguments, new_password);
  ProgressBar bar("encrypting");
  must_unless_stopped(Store::encrypt_existing(path, secret, std::ref(bar)), path + unchanged);
}

void decrypt(const Arguments& arguments) {
  const std::string& path = arguments.values(1)[0];
  if (!must(Store::is_encrypted(path))) throw Misuse{path + " is not encrypted"};
  const Secret secret = password(arguments, old_password);
  ProgressBar bar("decrypting");
  must_unless_stopped(Store::remove_encryption(path, secret, std::ref(bar)), path + unchanged);
}

/// Opens an encrypted store to change its keys with the secret.
Store open_to_change(const std::string& path, const Secret& secret) {
  return must(Store::open_encrypted(path, secret, {.create_if_missing = false}));
}

void change_password(const Arguments& arguments) {
  const Secret current = password(arguments, old_password);
  Store store = open_to_change(arguments.values(1)[0], current);
  must(store.change_password(current, password(arguments, new_password)));
}

void rotate_key(const Arguments& arguments) {
  const Secret secret = password(arguments, old_password);
  Store store = open_to_change(arguments.values(1)[0], secret);
  ProgressBar bar("encrypting");
  must_unless_stopped(store.rotate_key(secret, std::ref(bar)),
                      "a part has the new key, which opens with the same secret; call rotate-key again");
}

/// What is to open the store that is made of a database; none if it shall not be encrypted.
std::optional<Secret> secret_of_copy(const Arguments& arguments, const std::string& database,
                                     BytesView password_of_database) {
  if (arguments.flag("plain")) {
    if (arguments.option(new_password.option).empty()) return std::nullopt;
    throw Misuse{"a new password, and --plain"};
  }
  std::string given = given_password(arguments, new_password);
  if (!given.empty()) return Secret::password_from(given);
  // Opened now, so that nobody is asked for a new password whose old one was wrong.
  if (!must(OriginalStore::open(database, password_of_database)).is_encrypted()) return std::nullopt;
  try {
    return password(arguments, new_password);
  } catch (const Misuse& misuse) {
    throw Misuse{database + " is encrypted: " + misuse.text + "; or --plain for a store that is not"};
  }
}

void take_over(const Arguments& arguments) {
  const auto& values = arguments.values(2);
  ImportOptions options;
  const Secret of_database = Secret::password(given_password(arguments, old_password));
  options.password = of_database.bytes();
  const std::optional<Secret> of_store = secret_of_copy(arguments, values[0], options.password);
  if (of_store) options.secret = &*of_store;
  options.decrypt = arguments.flag("plain");
  std::uint64_t vectors = 0;
  SkippedEntries skipped;
  const std::string refused = arguments.option("refused", "stop");
  if (refused != "stop" && refused != "skip") throw Misuse{"--refused is stop or skip"};
#if defined(SNKV_TOOL_VECTORS)
  options.also = [&](const OriginalStore& original, Store& store) -> Result<void> {
    auto imported = import_original_vectors(
        original, store,
        {.refused = refused == "skip" ? Refused::skip : Refused::stop, .skipped = &skipped});
    if (!imported) return Unexpected(std::move(imported).error());
    vectors = *imported;
    return {};
  };
#endif
  ImportReport report;
  {
    ProgressBar bar("importing");
    report = must_unless_stopped(import_original(values[0], values[1], options, std::ref(bar)),
                                 "there is no " + values[1] + ", nor anything beside it");
  }
  for (const auto& [name, made] : report.renamed) {
    std::printf("family %s is called %s\n", printable(name).c_str(), printable(made).c_str());
  }
  for (const std::string& name : report.unknown) {
    std::printf("family %s is of a kind that is not known here; its entries were taken over as they are\n",
                printable(name).c_str());
  }
#if !defined(SNKV_TOOL_VECTORS)
  for (const std::string& name : report.vectors) {
    std::printf("the vectors in family %s were left out: this build has none\n", printable(name).c_str());
  }
#endif
  for (const SkippedEntry& entry : skipped.first) {
    std::printf("%s has no vector now: %s\n", printable(entry.key).c_str(), entry.reason.c_str());
  }
  if (skipped.count > 0) {
    std::printf("%llu vectors were left out\n", static_cast<unsigned long long>(skipped.count));
  }
  std::printf("%llu entries in %llu families, %llu vectors; %llu that had expired were left out\n",
              static_cast<unsigned long long>(report.entries),
              static_cast<unsigned long long>(report.families),
              static_cast<unsigned long long>(vectors),
              static_cast<unsigned long long>(report.expired));
}

/// Removes a store that was made for what then failed, when it is closed.
class NewFile {
 public:
  explicit NewFile(std::string path) : path_(std::move(path)), is_new_(!std::filesystem::exists(path_)) {}
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    std::error_code ignored;
    if (is_new_ && std::uncaught_exceptions() > 0) std::filesystem::remove(path_, ignored);
  }

 private:
  std::string path_;
  bool is_new_;
};

#if defined(SNKV_TOOL_VECTORS)
void take_over_hnswlib(const Arguments& arguments) {
  const auto& values = arguments.values(2);
  const std::string name = arguments.option("collection", std::string(default_collection));
  VectorStoreOptions options;
  options.metric = parse_metric(arguments.option("metric", "cosine"));
  options.dtype = parse_element_type(arguments.option("dtype", "f32"));
  if (!options.metric) throw Misuse{"--metric is cosine, l2 or ip"};
  if (!options.dtype) throw Misuse{"--dtype is f32, f16 or i8"};
  const NewFile file(values[1]);
  auto opened = Store::open(values[1]);
  if (!opened && opened.error() == Errc::auth_failed) {
    opened = Store::open_encrypted(values[1], password(arguments, old_password));
  }
  VectorCollections collections(must(std::move(opened)));
  ProgressBar bar("importing");
  const auto made = must_unless_stopped(
      collections.import_hnswlib(name, values[0], {}, options, {.progress = std::ref(bar)}),
      "there is no collection " + name);
  std::printf("%llu vectors in collection %s\n", static_cast<unsigned long long>(must(made.size())),
              printable(name).c_str());
}
#endif

void take_over_kohakuvault(const Arguments& arguments) {
  const auto& values = arguments.values(2);
  const NewFile file(values[1]);
  auto opened = Store::open(values[1]);
  if (!opened && opened.error() == Errc::auth_failed) {
    opened = Store::open_encrypted(values[1], password(arguments, old_password));
  }
  Store store = must(std::move(opened));
  const KohakuVaultReport report = must(import_kohakuvault(values[0], store));
  std::printf("%llu entries, %llu columns with %llu elements\n", static_cast<unsigned long long>(report.entries),
              static_cast<unsigned long long>(report.columns), static_cast<unsigned long long>(report.elements));
  for (const std::string& table : report.skipped) {
    std::printf("left out       %s\n", printable(table).c_str());
  }
}

int run(int count, char** arguments) {
  const std::string_view command = count < 2 ? "" : arguments[1];
  const auto with = [&](std::initializer_list<std::string_view> options,
                        std::initializer_list<std::string_view> flags = {}) {
    return Arguments(count - 2, arguments + 2, options, flags);
  };
  if (command == "info") {
    info(with({"password-file"}));
  } else if (command == "families") {
    families(with({"password-file"}));
  } else if (command == "columns") {
    columns(with({"password-file"}));
  } else if (command == "import-kohakuvault") {
    take_over_kohakuvault(with({"password-file"}));
  } else if (command == "list") {
    list(with({"family", "prefix", "limit", "password-file"}));
  } else if (command == "get") {
    get(with({"family", "password-file"}));
  } else if (command == "verify") {
    verify(with({"password-file"}));
  } else if (command == "restore") {
    restore(with({}));
  } else if (command == "encrypt") {
    encrypt(with({"new-password-file"}));
  } else if (command == "decrypt") {
    decrypt(with({"password-file"}));
  } else if (command == "change-password") {
    change_password(with({"password-file", "new-password-file"}));
  } else if (command == "rotate-key") {
    rotate_key(with({"password-file"}));
  } else if (command == "import-original") {
    take_over(with({"password-file", "new-password-file", "refused"}, {"plain"}));
#if defined(SNKV_TOOL_VECTORS)
  } else if (command == "import-hnswlib") {
    take_over_hnswlib(with({"collection", "metric", "dtype", "password-file"}));
  } else if (command == "repair-vectors") {
    repair_vectors(with({"password-file"}));
#endif
  } else if (command == "help" || command == "--help") {
    std::fputs(usage, stdout);
  } else {
    std::fputs(usage, stderr);
    return 2;
  }
  // What could not be written is an error.
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace snkv::tool

int main(int count, char** arguments) {
  try {
    return snkv::tool::run(count, arguments);
  } catch (const snkv::tool::Failure& failure) {
    std::cerr << "snkv: " << failure.error.message() << '\n';
    return 1;
  } catch (const snkv::tool::Stopped& stopped) {
    std::cerr << "snkv: stopped by signal " << stopped.signal << ": " << stopped.left << '\n';
    return 128 + stopped.signal;
  } catch (const snkv::tool::Misuse& misuse) {
    std::cerr << "snkv: " << misuse.text << "; see snkv help\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "snkv: " << error.what() << '\n';
    return 1;
  }
}
