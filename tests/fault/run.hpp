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
  Journal journal = Journal::wal;
  std::map<std::string, std::string> files{};  // by suffix: "", "-wal", "-journal"
  Model contents{{"default", {}}};
};

class Run {
 public:
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
  /// changed, except that an error of the system while committing leaves open whether it was.
  template <class R, class Effect>
  bool wrote(const R& result, Effect&& effect, Errc also = Errc::ok) {
    const Paused paused;
    const bool succeeded = ok(result, also);
    std::vector<Model> after = states_;
    for (Model& model : after) effect(model);
    if (succeeded) {
      states_ = std::move(after);
    } else if (!is_memory(fault.kind) && fault.kind != Kind::busy && fault.kind != Kind::open) {
      states_.insert(states_.end(), after.begin(), after.end());
    }
    return succeeded;
  }

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

  // ---- Afterwards, without faults ----

  /// The store of the scenario still works and is in one of the states; so is the file when it is opened
  /// again. Closes the store.
  void verify();

  [[nodiscard]] const std::string& complaints() const { return complaints_; }

 private:
  void judge(const Error& error, Errc also);
  void check_contents(const char* when);
  void check_usable();
  template <class R>
  bool must(const R& result, const char* what) {
    if (result) return true;
    complain(std::string(what) + ": " + result.error().message());
    return false;
  }
  [[nodiscard]] bool observe(Model& out);
  [[nodiscard]] bool observe_family(const ColumnFamily& family, ModelFamily& out);
  [[nodiscard]] Model visible(const Model& model) const;

  const bool in_memory_;
  std::vector<Model> states_;
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

[[nodiscard]] std::map<std::string, Base> make_bases(const std::string& folder);

}  // namespace snkv::test
