// Columns, and values that are changed where they are. `Run::observe` has a column as a family
// ":name".
#include "fault/run.hpp"

#include "support/patterned.hpp"

#include <snkv/blob_editor.hpp>
#include <snkv/column.hpp>

#include <algorithm>
#include <cstring>
#include <numeric>

namespace snkv::test {
namespace {

using Numbers = std::vector<std::int64_t>;

Numbers numbers(std::size_t count, std::int64_t from = 0) {
  Numbers out(count);
  std::iota(out.begin(), out.end(), from);
  return out;
}

std::string bytes_of_all(const Numbers& elements) {
  return std::string(reinterpret_cast<const char*>(elements.data()),
                     elements.size() * sizeof(std::int64_t));
}

/// What a change does to the model of the column "n".
auto becomes(const Numbers& elements) {
  return [bytes = bytes_of_all(elements)](Model& m) { m[":n"]["all"] = {bytes}; };
}

std::optional<Column<std::int64_t>> make(Run& run, Numbers& model) {
  auto column = Column<std::int64_t>::open(run.store, "n");
  if (!run.wrote(column, becomes({}))) return {};
  model = numbers(6000);
  if (!run.wrote(column->extend(model), becomes(model))) return {};
  return *column;
}

/// The same as a change of whatever is there: an operation that failed may have been final.
template <class Change>
auto changes(Change change) {
  return [change](Model& m) {
    std::string& bytes = m[":n"]["all"].value;
    Numbers elements(bytes.size() / sizeof(std::int64_t));
    if (!bytes.empty()) std::memcpy(elements.data(), bytes.data(), bytes.size());
    change(elements);
    bytes = bytes_of_all(elements);
  };
}

void extend(Run& run) {
  Numbers model;
  auto column = make(run, model);
  if (!column) return;
  run.wrote(column->append(5), changes([](Numbers& all) { all.push_back(5); }));
  const Numbers more = numbers(3000, 50);
  run.wrote(column->extend(more),
            changes([&](Numbers& all) { all.insert(all.end(), more.begin(), more.end()); }));
}

void change_in_the_middle(Run& run) {
  Numbers model;
  auto column = make(run, model);
  if (!column) return;
  run.wrote(column->insert(10, -1),
            changes([](Numbers& all) { all.insert(all.begin() + 10, -1); }));
  run.wrote(column->replace(1000, Numbers(2000, 9)),
            changes([](Numbers& all) { std::fill_n(all.begin() + 1000, 2000, 9); }));
  run.wrote(column->erase(100, 4000),
            changes([](Numbers& all) { all.erase(all.begin() + 100, all.begin() + 4000); }));
  run.wrote(column->resize(700), changes([](Numbers& all) { all.resize(700); }));
  run.wrote(column->clear(), changes([](Numbers& all) { all.clear(); }));
}

void texts(Run& run) {
  auto column = Column<std::string>::open(run.store, "t");
  const auto becomes_text = [](std::string all) {
    return [bytes = std::move(all)](Model& m) { m[":t"]["all"] = {bytes}; };
  };
  if (!run.wrote(column, becomes_text(""))) return;
  const std::vector<std::string> elements{"one|", std::string(20'000, 'L') + "|", "three|"};
  const std::string all = elements[0] + elements[1] + elements[2];
  if (!run.wrote(column->extend(elements), becomes_text(all))) return;
  run.wrote(column->set(1, "2|"), becomes_text(elements[0] + "2|" + elements[2]));
  std::string more;
  for (int i = 0; i < 500; ++i) more += std::string(39, 'x') + "|";
  run.wrote(column->insert(0, std::vector<std::string>(500, std::string(39, 'x') + "|")),
            [&](Model& m) { m[":t"]["all"].value.insert(0, more); });
}

void in_transaction(Run& run) {
  Numbers model;
  auto column = make(run, model);
  if (!column) return;
  auto transaction = run.store.begin();
  if (!run.ok(transaction)) return;
  auto inside = column->in(*transaction);
  for (std::int64_t i = 0; i < 9000; ++i) {
    if (!run.ok(inside.append(i))) return;
    model.push_back(i);
  }
  {
    auto savepoint = transaction->savepoint();
    if (!run.ok(savepoint)) return;
    if (!run.ok(inside.append(77)) || !run.ok(inside.size())) return;
    if (!run.ok(savepoint->rollback())) return;
  }
  if (!run.ok(transaction->put("beside", "column"))) return;
  auto committed = transaction->commit();
  if (!committed && committed.error() == Errc::busy) committed = transaction->commit();
  run.wrote(committed, [&](Model& m) {
    becomes(model)(m);
    m["default"]["beside"] = {"column"};
  });
}

void read(Run& run) {
  Numbers model;
  auto column = make(run, model);
  if (!column) return;
  const auto slice = column->slice(10, 5900, 7);
  if (run.ok(slice)) run.expect(slice->at(1) == 17, "a wrong slice");
  auto loop = column->chunks();
  std::int64_t next = 0;
  for (const std::span<const std::int64_t> piece : loop) {
    for (const std::int64_t n : piece) run.expect(n == next++, "a wrong element");
  }
  if (run.ok(loop.status())) run.expect(next == 6000, "a short loop");
}

void catalog(Run& run) {
  Numbers model;
  auto column = make(run, model);
  if (!column) return;
  const bool renamed = run.wrote(Columns(run.store).rename("n", "m"), [](Model& m) {
    auto node = m.extract(":n");
    if (node.empty()) return;
    node.key() = ":m";
    m.insert(std::move(node));
  });
  run.ok(Columns(run.store).list());
  if (renamed) run.wrote(Columns(run.store).drop("m"), [](Model& m) { m.erase(":m"); });
}

void edit_value(Run& run) {
  std::string value = patterned(30'000, 61);
  if (!run.wrote(run.store.put("edited", value),
                 [&](Model& m) { m["default"]["edited"] = {value}; }))
    return;
  auto editor = BlobEditor::open(run.store, "edited");
  if (!run.ok(editor)) return;
  if (!run.ok(editor->write_at(9'000, "changed"))) return;
  if (!run.ok(editor->append(patterned(9'000, 3)))) return;
  if (!run.ok(editor->truncate(20'001))) return;
  auto finished = editor->finish();
  if (!finished && finished.error() == Errc::busy) finished = editor->finish();
  value.replace(9'000, 7, "changed");
  value.resize(20'001);
  run.wrote(finished, [&](Model& m) { m["default"]["edited"] = {value}; });
}

}  // namespace

std::vector<Scenario> column_scenarios() {
  return {
      {"column_extend", "wal", extend},
      {"column_extend_rollback", "rollback", extend},
      {"column_extend_memory", "memory", extend},
      {"column_change", "wal", change_in_the_middle},
      {"column_change_rollback", "rollback", change_in_the_middle},
      {"column_texts", "wal", texts},
      {"column_in_transaction", "wal", in_transaction},
      {"column_in_transaction_rollback", "rollback", in_transaction},
      {"column_read", "wal", read},
      {"column_read_memory", "memory", read},
      {"column_catalog", "wal", catalog},
      {"blob_edit", "wal", edit_value},
      {"blob_edit_rollback", "rollback", edit_value},
  };
}

}  // namespace snkv::test
