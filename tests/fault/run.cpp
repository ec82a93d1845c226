#include "fault/run.hpp"

#include "support/files.hpp"

#include <snkv/column.hpp>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace snkv::test {
namespace {

constexpr const char* suffixes[] = {"", "-wal", "-journal", "-shm"};

std::string describe(const Model& model) {
  std::string out;
  for (const auto& [name, entries] : model) {
    out.append(" ").append(name).append("{");
    for (const auto& [key, entry] : entries) {
      out.append(key).append("=").append(std::to_string(entry.value.size()));
      out.append(entry.expires_at ? "! " : " ");
    }
    out.append("}");
  }
  return out;
}

/// What is different, for people.
std::string difference(const Model& is, const Model& should) {
  Model only_is, only_should;
  for (const auto& [name, entries] : is) {
    const auto other = should.find(name);
    if (other == should.end()) only_is[name];
    for (const auto& [key, entry] : entries) {
      if (other != should.end()) {
        const auto at = other->second.find(key);
        if (at != other->second.end() && at->second == entry) continue;
      }
      only_is[name][key] = entry;
    }
  }
  for (const auto& [name, entries] : should) {
    const auto other = is.find(name);
    if (other == is.end()) only_should[name];
    for (const auto& [key, entry] : entries) {
      if (other != is.end()) {
        const auto at = other->second.find(key);
        if (at != other->second.end() && at->second == entry) continue;
      }
      only_should[name][key] = entry;
    }
  }
  std::string out = "it has";
  return out.append(describe(only_is)).append(" and should have").append(describe(only_should));
}

}  // namespace

Run::Run(const Base& base, std::string file, const Fault& what)
    : fault(what),
      path(std::move(file)),
      in_memory_(base.in_memory),
      states_{base.contents},
      secrets_(1, base.encrypted ? base.secret : no_secret) {
  options.journal = base.journal;
  options.sync = Sync::full;
  options.page_size = 4096;
  options.cache_size = 40 * 4096;  // small, so that large transactions spill
  options.busy_timeout = std::chrono::milliseconds(2);
  options.clock = clock.source();
  for (const char* suffix : suffixes) std::filesystem::remove(path + suffix);
  for (const auto& [suffix, bytes] : base.files) write_file(path + suffix, bytes);
}

void Run::open_before() {
  auto opened = open_file(path, options);
  if (must(opened, "opening before the scenario")) store = *opened;
}

Result<Store> Run::open_file(const std::string& file, const Options& how) {
  for (std::size_t i = 0; i < secrets_.size(); ++i) {
    const char letter = secrets_[i];
    auto opened = letter == no_secret ? Store::open(file, how)
                                      : Store::open_encrypted(file, test_key(letter), how);
    const bool other = !opened && i + 1 < secrets_.size() &&
                       (opened.error() == Errc::auth_failed ||
                        (opened.error() == Errc::invalid_argument && letter != no_secret));
    if (other) continue;
    secrets_ = letter;
    return opened;
  }
  return Unexpected(Error(Errc::auth_failed, "open", "nothing opens it"));
}

void Run::fill_before(const Model& contents) {
  auto opened = Store::open_in_memory(options);
  if (!must(opened, "opening before the scenario")) return;
  store = *opened;
  for (const auto& [name, entries] : contents) {
    ColumnFamily family = *store.column_family(name);
    for (const auto& [key, entry] : entries) {
      PutOptions put;
      if (entry.expires_at) put.expires_at = TimePoint(std::chrono::milliseconds(*entry.expires_at));
      must(family.put(key, entry.value, put), "filling");
    }
  }
}

void Run::closing() {
  const Paused paused;
  states_.insert(states_.end(), unsettled_.begin(), unsettled_.end());
  unsettled_.clear();
}

void Run::complain(std::string what) {
  const Paused paused;
  complaints_.append("  ").append(what).append("\n");
}

void Run::judge(const Error& error, Errc also) {
  if (error.code() == also && also != Errc::ok) return;
  if (faults_delivered() == 0) return complain("failed without a fault: " + error.message());
  // A transaction that a fault has hit says so until it is rolled back.
  if (error == Errc::rollback_required) return;
  if (!makes_sense(fault.kind, error.code())) complain("error makes no sense: " + error.message());
}

bool Run::plausible(std::string_view family, std::string_view key, const BytesView* value) const {
  return std::any_of(states_.begin(), states_.end(), [&](const Model& model) {
    const auto entries = model.find(family);
    if (entries == model.end()) return value == nullptr;
    const auto at = entries->second.find(key);
    const bool live = at != entries->second.end() &&
                      (!at->second.expires_at || *at->second.expires_at > clock.now());
    return live ? value != nullptr && *value == BytesView(at->second.value) : value == nullptr;
  });
}

void Run::scan(Range& range, const ModelFamily& contents, bool backwards) {
  std::vector<const ModelFamily::value_type*> wanted;
  {
    const Paused paused;
    for (const auto& entry : contents) {
      if (!entry.second.expires_at || *entry.second.expires_at > clock.now()) {
        wanted.push_back(&entry);
      }
    }
    if (backwards) std::reverse(wanted.begin(), wanted.end());
  }
  std::size_t at = 0;
  for (const auto [key, value] : range) {
    if (at == wanted.size()) return complain("the scan found too many entries");
    if (key != BytesView(wanted[at]->first) || value != BytesView(wanted[at]->second.value)) {
      return complain("the scan found a wrong entry");
    }
    ++at;
  }
  if (ok(range.status())) expect(at == wanted.size(), "the scan ended early and told nobody");
  const Paused paused;
  wanted = {};
}

bool Run::observe_family(const ColumnFamily& family, ModelFamily& out) {
  auto forward = family.all();
  for (const auto [key, value] : forward) out[key.str()].value = value.str();
  if (!must(forward.status(), "scanning forwards")) return false;
  auto back = family.all().reversed();
  auto at = out.rbegin();
  for (const auto [key, value] : back) {
    if (at == out.rend() || key != BytesView(at->first) || value != BytesView(at->second.value)) {
      complain("backwards the scan finds something else");
      return false;
    }
    ++at;
  }
  if (!must(back.status(), "scanning backwards")) return false;
  if (at != out.rend()) complain("backwards the scan ends early");
  for (auto& [key, entry] : out) {
    auto left = family.ttl(key);
    if (!must(left, "ttl")) return false;
    if (*left) entry.expires_at = clock.now() + (*left)->count();
  }
  auto live = family.count_live();
  if (!must(live, "count_live")) return false;
  if (*live != out.size()) complain("count_live disagrees with the scan");
  return true;
}

bool Run::observe(const Store& from, Model& out) {
  auto names = from.list_column_families();
  if (!must(names, "list_column_families")) return false;
  for (const std::string& name : *names) {
    auto family = from.open_column_family(name);
    if (!must(family, "open_column_family") || !observe_family(*family, out[name])) return false;
  }
  auto columns = Columns(from).list();
  if (!must(columns, "list columns")) return false;
  for (const ColumnInfo& info : *columns) {
    std::string bytes;
    const auto gather = [&]<class T>(T*) {
      auto column = Column<T>::open_existing(from, info.name);
      if (!must(column, "open_column")) return false;
      auto loop = column->all();
      for (const auto& element : loop) {
        if constexpr (std::same_as<T, std::string>) {
          bytes += element;
        } else {
          bytes.append(reinterpret_cast<const char*>(&element), sizeof element);
        }
      }
      return must(loop.status(), "iterate column");
    };
    if (!(info.element_size == 0 ? gather(static_cast<std::string*>(nullptr))
                                 : gather(static_cast<std::int64_t*>(nullptr)))) {
      return false;
    }
    out[":" + info.name]["all"] = {bytes};
  }
  return true;
}

Model Run::visible(const Model& model) const {
  Model out = model;
  for (auto& [name, entries] : out) {
    std::erase_if(entries, [&](const auto& entry) {
      return entry.second.expires_at && *entry.second.expires_at <= clock.now();
    });
  }
  return out;
}

void Run::check_contents(const char* when) {
  Model seen;
  if (!observe(store, seen)) return complain(std::string("(") + when + ")");
  const auto same = [&](const Model& model) { return visible(model) == seen; };
  const auto found = std::find_if(states_.begin(), states_.end(), same);
  if (found == states_.end()) {
    complain(std::string("wrong contents ") + when + ": " +
             difference(seen, visible(states_.front())));
    return;
  }
  // What was open before is now known.
  states_ = {*found};
}

void Run::check_usable() {
  auto stats = store.stats();
  if (must(stats, "stats") && stats->snapshots != 0) complain("a snapshot was left open");
  if (!must(store.put("~new", "value"), "put afterwards")) return;
  states_.front()["default"]["~new"] = {"value"};
  auto value = store.get("~new");
  if (must(value, "get afterwards") && *value != BytesView("value")) complain("get is wrong");
  auto transaction = store.begin();
  if (!must(transaction, "begin afterwards")) return;
  const std::string large(9000, 'L');
  must(transaction->put("~large", large), "put in a transaction afterwards");
  if (must(transaction->commit(), "commit afterwards")) {
    states_.front()["default"]["~large"] = {large};
  }
  must(store.verify(), "verify");
}

// ---- Files beside the store ----

std::string Run::beside(std::string_view name) const {
  std::string out = path;
  return out.append(".").append(name);
}

void Run::make_file(std::string_view name, std::string_view bytes) {
  write_file(beside(name), bytes);
  expect_file(name, std::string(bytes));
}

void Run::expect_file(std::string_view name, std::optional<std::string> bytes) {
  const Paused paused;
  std::erase_if(files_, [&](const FileBeside& file) { return file.name == name; });
  files_.push_back({std::string(name), std::move(bytes), {}, {}});
}

void Run::expect_file_or(std::string_view name, const std::string& bytes) {
  const Paused paused;
  const auto at = std::find_if(files_.begin(), files_.end(),
                               [&](const FileBeside& file) { return file.name == name; });
  if (at == files_.end()) {
    files_.push_back({std::string(name), {}, {}, bytes});
  } else {
    at->or_bytes = bytes;
  }
}

void Run::expect_copy(std::string_view name, bool made) {
  const Paused paused;
  expect_copy_of(name, made ? states_ : std::vector<Model>());
}

void Run::expect_copy_of(std::string_view name, std::vector<Model> states) {
  const Paused paused;
  std::erase_if(files_, [&](const FileBeside& file) { return file.name == name; });
  files_.push_back({std::string(name), {}, std::move(states), {}});
}

void Run::check_copy(const std::string& name, const std::vector<Model>& states) {
  Options as_made = options;
  as_made.create_if_missing = false;
  auto copy = open_file(beside(name), as_made);
  if (!must(copy, "opening the copy")) return;
  must(copy->verify(), "verify of the copy");
  Model seen;
  if (!observe(*copy, seen)) return complain("(in the copy)");
  const bool known = std::any_of(states.begin(), states.end(), [&](const Model& model) {
    return visible(model) == seen;
  });
  if (!known) complain("wrong contents of the copy: " + difference(seen, visible(states.front())));
  must(copy->close(), "closing the copy");
}

void Run::check_files() {
  for (const FileBeside& file : files_) {
    const auto has = [&](const std::optional<std::string>& bytes) {
      return bytes && size_of(beside(file.name)) == bytes->size() && read_file(beside(file.name)) == *bytes;
    };
    const bool is_other = has(file.or_bytes);
    if (!file.copy_of.empty()) {
      check_copy(file.name, file.copy_of);
    } else if (file.bytes && !is_other && !has(file.bytes)) {
      complain("wrong bytes in the file " + file.name);
    }
    if (!file.bytes && file.copy_of.empty() && !is_other) continue;
    if (!std::filesystem::remove(beside(file.name))) complain("missing: the file " + file.name);
  }
  const std::filesystem::path own(path);
  const std::string prefix = own.filename().string() + ".";
  std::vector<std::filesystem::path> left;
  for (const auto& entry : std::filesystem::directory_iterator(own.parent_path())) {
    if (entry.path().filename().string().starts_with(prefix)) left.push_back(entry.path());
  }
  for (const std::filesystem::path& file : left) {
    complain("left behind: the file " + file.filename().string());
    std::filesystem::remove(file);
  }
}

void Run::verify() {
  check_files();
  options.read_only = false;
  if (store.path().empty() && !in_memory_) {
    closing();
    auto opened = open_file(path, options);
    if (!must(opened, "opening afterwards")) return;
    store = *opened;
  }
  check_contents("afterwards");
  check_usable();
  check_contents("after the checks");
  if (!must(store.close(), "close") || in_memory_) return;
  open_before();
  check_contents("after opening again");
  must(store.verify(), "verify after opening again");
  must(store.close(), "close again");
}

}  // namespace snkv::test
