/// \file
/// The command-line tool. Exit codes: 0, 1 for an error, 2 for a misuse.
#include "arguments.hpp"
#include "password.hpp"
#include "progress_bar.hpp"

#include <snkv/import.hpp>
#include <snkv/snkv.hpp>
#if defined(SNKV_TOOL_VECTORS)
#include <snkv/vector/import.hpp>
#endif

#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <initializer_list>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace snkv::tool {
namespace {

constexpr const char* usage = R"(usage: snkv <command> ...

  info FILE                          what a store has in it
  families FILE                      the names of its column families
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
  import-original FILE NEW [--new-password-file P]
                                     makes the store NEW of a database that SNKV's C library wrote;
                                     it is encrypted if P is given

Passwords: of an encrypted store or database the first line of the file in --password-file ("-" is
standard input), or $SNKV_PASSWORD; a new one of --new-password-file, or $SNKV_NEW_PASSWORD. Else
the terminal is asked.
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

void verify(const Arguments& arguments) {
  const Store store = open(arguments, arguments.values(1)[0]);
  ProgressBar bar("verifying");
  const VerifyReport report = must(store.verify(std::ref(bar)));
  std::printf("%llu entries in %llu families, all in order\n",
              static_cast<unsigned long long>(report.entries),
              static_cast<unsigned long long>(report.families));
}

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
  must(Store::encrypt_existing(path, secret, std::ref(bar)));
}

void decrypt(const Arguments& arguments) {
  const std::string& path = arguments.values(1)[0];
  if (!must(Store::is_encrypted(path))) throw Misuse{path + " is not encrypted"};
  const Secret secret = password(arguments, old_password);
  ProgressBar bar("decrypting");
  must(Store::remove_encryption(path, secret, std::ref(bar)));
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
  must(store.rotate_key(secret, std::ref(bar)));
}

void take_over(const Arguments& arguments) {
  const auto& values = arguments.values(2);
  ImportOptions options;
  const Secret of_database = Secret::password(given_password(arguments, old_password));
  options.password = of_database.bytes();
  std::optional<Secret> of_store;
  if (!arguments.option(new_password.option).empty()) {
    of_store = password(arguments, new_password);
    options.secret = &*of_store;
  }
  std::uint64_t vectors = 0;
#if defined(SNKV_TOOL_VECTORS)
  options.also = [&](const OriginalStore& original, Store& store) -> Result<void> {
    auto imported = import_original_vectors(original, store);
    if (!imported) return Unexpected(std::move(imported).error());
    vectors = *imported;
    return {};
  };
#endif
  ImportReport report;
  {
    ProgressBar bar("importing");
    report = must(import_original(values[0], values[1], options, std::ref(bar)));
  }
  for (const auto& [name, made] : report.renamed) {
    std::printf("family %s is called %s\n", printable(name).c_str(), printable(made).c_str());
  }
  std::printf("%llu entries in %llu families, %llu vectors; %llu that had expired were left out\n",
              static_cast<unsigned long long>(report.entries),
              static_cast<unsigned long long>(report.families),
              static_cast<unsigned long long>(vectors),
              static_cast<unsigned long long>(report.expired));
}

int run(int count, char** arguments) {
  const std::string_view command = count < 2 ? "" : arguments[1];
  const auto with = [&](std::initializer_list<std::string_view> options) {
    return Arguments(count - 2, arguments + 2, options);
  };
  if (command == "info") {
    info(with({"password-file"}));
  } else if (command == "families") {
    families(with({"password-file"}));
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
    take_over(with({"password-file", "new-password-file"}));
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
  } catch (const snkv::tool::Misuse& misuse) {
    std::cerr << "snkv: " << misuse.text << "; see snkv help\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "snkv: " << error.what() << '\n';
    return 1;
  }
}
