// Run: one scenario under one fault. It keeps the states in which the store may be, judges what the
// operations return, and checks at the end that the store is in one of those states and still works.
#pragma once

#include "fault/faults.hpp"
#include "support/fake_clock.hpp"

#include <snkv/store.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace snkv::test {

struct ModelEntry {
  std::string value;
  std::optional<std::int64_t> expires_at{};
  friend bool operator==(const ModelEntry&, const ModelEntry&) = default;
};
using ModelFamily = std::map<std::string, ModelEntry, std::less<>>;
/// By family; "default" is always there.
using Model = std::map<std::string, ModelFamily, std::less<>>;

/// How a store looks before a scenario: its files, byte by byte, and its contents.
struct Base {
  std::string name;
  bool in_memory = false;
  bool encrypted = false;  // with `test_key(secret)`
  char secret = 'a';
  Journal journal = Journal::wal;
  std::map<std::string, std::string> files{};  // by suffix: "", "-wal", "-journal"
  Model contents{{"default", {}}};
};

/// The key of which each byte is the letter.
[[nodiscard]] inline Secret test_key(char letter) {
  return Secret::key(std::string(Secret::key_size, letter));
}

class Run {
 public:
  /// The letter of a store that is not encrypted.
  static constexpr char no_secret = '\0';

  Run(const Base& base, std::string path, const Fault& fault);

  const Fault fault;
  const std::string path;
  FakeClock clock;
  Options options;
  Store store;

  /// Opens the store with `options`, which is no part of the scenario.
  void open_before();
  /// Makes the store in memory and fills it as the base says.
  void fill_before(const Model& contents);

  // ---- In a scenario ----

  /// Whether the operation succeeded. If not, its error must make sense; `also` is an error that it may
  /// have without any fault.
  template <class R>
  bool ok(const R& result, Errc also = Errc::ok) {
    if (result) return true;
    const Paused paused;
    judge(result.error(), also);
    return false;
  }

  /// The same for an operation that changes the store as `effect(model)` does. If it failed nothing was
  /// changed. Two exceptions, for errors of the system: with a rollback journal a commit is final when
  /// the journal is gone, and what fails after that is told all the same; and a log may have a commit
  /// whose fsync failed, which is as good as any other for who opens the store anew (see `closing`).
  template <class R, class Effect>
  bool wrote(const R& result, Effect&& effect, Errc also = Errc::ok) {
    const Paused paused;
    const bool succeeded = ok(result, also);
    std::vector<Model> after = states_;
    for (Model& model : after) effect(model);
    if (succeeded) {
      states_ = std::move(after);
      unsettled_.clear();
    } else if (!is_memory(fault.kind) && fault.kind != Kind::busy && fault.kind != Kind::open) {
      std::vector<Model>& into = options.journal == Journal::wal ? unsettled_ : states_;
      into.insert(into.end(), after.begin(), after.end());
    }
    return succeeded;
  }

  /// A change of what opens the store: the letter of the new key. If it failed the old one still does, or
  /// the change was final and something after it failed.
  template <class R>
  void changed_secret(const R& result, char next) {
    const Paused paused;
    if (ok(result)) secrets_.clear();
    secrets_.push_back(next);
  }

  /// To be called before the last handle is closed under faults, and then opened anew.
  void closing();

  /// Something that must hold whatever fails.
  void expect(bool holds, const char* what) {
    if (!holds) complain(what);
  }
  void complain(std::string what);

  /// The first of the states: the only one before something failed.
  [[nodiscard]] const Model& state() const { return states_.front(); }
  /// Whether `value` is that of `key` in one of the states; nullptr for an absent key.
  [[nodiscard]] bool plausible(std::string_view family, std::string_view key,
                               const BytesView* value) const;
  /// Whether a complete scan, forwards or backwards, agrees with the state.
  void scan(Range& range, const ModelFamily& contents, bool backwards);

  // ---- Files beside the store ----

  /// The path of one. All that are there in the end must have been announced.
  [[nodiscard]] std::string beside(std::string_view name) const;
  /// Makes one, which is no part of the scenario.
  void make_file(std::string_view name, std::string_view bytes);
  /// In the end there must be a file with these bytes; or none, when there are none.
  void expect_file(std::string_view name, std::optional<std::string> bytes);
  /// Or the file has these bytes: what was to replace it did, and was not made safe on the disk.
  void expect_file_or(std::string_view name, const std::string& bytes);
  /// In the end there must be a copy of the store, in one of its states of this moment; or no file, when
  /// it was not made.
  void expect_copy(std::string_view name, bool made);
  void expect_copy_of(std::string_view name, std::vector<Model> states);

  // ---- Afterwards, without faults ----

  /// The store of the scenario still works and is in one of the states; so is the file when it is opened
  /// again. Closes the store.
  void verify();

  [[nodiscard]] const std::string& complaints() const { return complaints_; }

 private:
  void judge(const Error& error, Errc also);
  void check_contents(const char* when);
  void check_files();
  void check_copy(const std::string& name, const std::vector<Model>& states);
  void check_usable();
  template <class R>
  bool must(const R& result, const char* what) {
    if (result) return true;
    complain(std::string(what) + ": " + result.error().message());
    return false;
  }
  /// Opens a file with what may open it, of which one must, and no other.
  [[nodiscard]] Result<Store> open_file(const std::string& file, const Options& how);
  [[nodiscard]] bool observe(const Store& from, Model& out);
  [[nodiscard]] bool observe_family(const ColumnFamily& family, ModelFamily& out);
  [[nodiscard]] Model visible(const Model& model) const;

  struct FileBeside {
    std::string name;
    std::optional<std::string> bytes{};
    std::vector<Model> copy_of{};  // if it is to be a store
    std::optional<std::string> or_bytes{};
  };

  const bool in_memory_;
  std::vector<Model> states_;     // one of these it is in
  std::vector<Model> unsettled_;  // or in one of these, once it was closed
  std::vector<FileBeside> files_;
  std::string secrets_;  // letters; each may open the store
  std::string complaints_;
};

/// A scenario: what is done under the fault.
struct Scenario {
  const char* name;
  const char* base;
  /// The store is open already, unless `opens`.
  void (*act)(Run& run);
  bool opens = false;
  void (*prepare)(Run& run) = nullptr;  ///< changes options, or uses the store before the fault
};

/// The tables, by file.
[[nodiscard]] std::vector<Scenario> open_scenarios();
[[nodiscard]] std::vector<Scenario> write_scenarios();
[[nodiscard]] std::vector<Scenario> transaction_scenarios();
[[nodiscard]] std::vector<Scenario> read_scenarios();
[[nodiscard]] std::vector<Scenario> blob_scenarios();
[[nodiscard]] std::vector<Scenario> column_scenarios();
[[nodiscard]] std::vector<Scenario> copy_scenarios();
[[nodiscard]] std::vector<Scenario> family_scenarios();
[[nodiscard]] std::vector<Scenario> thread_scenarios();
[[nodiscard]] std::vector<Scenario> secret_scenarios();

[[nodiscard]] std::map<std::string, Base> make_bases(const std::string& folder);

}  // namespace snkv::test
