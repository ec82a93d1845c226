// Values in pieces, and those from and to files.
#include "fault/run.hpp"

#include "support/patterned.hpp"

#include <algorithm>
#include <array>

namespace snkv::test {
namespace {

using namespace std::chrono_literals;

const std::string value = patterned(30'000, 61);
const std::string small = patterned(700, 62);
const std::string other = patterned(25'000, 63);

/// Writes `bytes` in pieces that are no chunks.
bool write_pieces(Run& run, BlobWriter& writer, std::string_view bytes, std::size_t piece = 7'000) {
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    if (!run.ok(writer.write(bytes.substr(at, piece)))) return false;
  }
  return true;
}

/// Once more after `busy`, as documented.
Result<void> finish(BlobWriter& writer) {
  auto finished = writer.finish();
  if (!finished && finished.error() == Errc::busy) finished = writer.finish();
  return finished;
}

/// One that could be written to the end is finished.
void write_value(Run& run, const char* key, const std::string& bytes, const BlobOptions& options) {
  auto writer = run.store.blob_writer(key, options);
  if (!run.ok(writer) || !write_pieces(run, *writer, bytes)) return;
  run.wrote(finish(*writer), [&](Model& m) {
    ModelEntry entry{bytes};
    if (options.ttl) entry.expires_at = run.clock.now() + options.ttl->count();
    m["default"][key] = entry;
  });
}

void known_size(Run& run) { write_value(run, "blob", value, {.size = value.size()}); }
void unknown_size(Run& run) { write_value(run, "blob", value, {.ttl = 9s}); }
void over_large(Run& run) { write_value(run, "large1", other, {}); }
void of_one_chunk(Run& run) { write_value(run, "key030", small, {.size = small.size()}); }

/// Back and forth, so that chunks are read again.
void positioned(Run& run) {
  auto writer = run.store.blob_writer("blob");
  if (!run.ok(writer) || !write_pieces(run, *writer, value)) return;
  if (!run.ok(writer->write_at(100, "first"))) return;
  if (!run.ok(writer->write_at(20'000, "middle")) || !run.ok(writer->write_at(4'000, small)))
    return;
  if (!run.ok(writer->write_at(29'998, "end"))) return;
  run.wrote(finish(*writer), [](Model& m) {
    std::string bytes = value;
    bytes.replace(100, 5, "first");
    bytes.replace(20'000, 6, "middle");
    bytes.replace(4'000, small.size(), small);
    bytes.replace(29'998, 2, "end");
    m["default"]["blob"] = {bytes};
  });
}

void put_after(Run& run) {
  run.wrote(run.store.put("after", small), [](Model& m) { m["default"]["after"] = {small}; });
}

void cancelled(Run& run) {
  auto writer = run.store.blob_writer("large1");
  if (!run.ok(writer)) return;
  write_pieces(run, *writer, value);
  writer->cancel();
  run.expect(!writer->finish().has_value(), "a cancelled value was finished");
  put_after(run);
}

void abandoned(Run& run) {
  {
    auto writer = run.store.blob_writer("blob", {.size = value.size()});
    if (run.ok(writer)) write_pieces(run, *writer, std::string_view(value).substr(0, 15'000));
  }
  put_after(run);
}

/// After a failure nothing but cancelling is left, and nothing stays.
void goes_on(Run& run) {
  {
    auto writer = run.store.blob_writer("blob");
    if (run.ok(writer)) {
      bool all = true;
      for (int i = 0; i < 4; ++i) all = run.ok(writer->write(value)) && all;
      const auto finished = finish(*writer);
      run.expect(all || !finished, "a value was finished of which a part was refused");
      run.wrote(finished, [](Model& m) { m["default"]["blob"] = {value + value + value + value}; });
    }
  }
  put_after(run);
}

void in_transaction(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t) || !run.ok(t->put("before", small))) return;
  auto one = t->blob_writer("one");
  auto two = t->blob_writer("large2");
  auto never = t->blob_writer("large1");
  if (!run.ok(one) || !run.ok(two) || !run.ok(never)) return;
  if (!write_pieces(run, *one, value) || !write_pieces(run, *never, value)) return;
  if (!write_pieces(run, *two, other) || !run.ok(two->finish()) || !run.ok(one->finish())) return;
  // What is not finished is cancelled by the commit.
  run.wrote(t->commit(), [](Model& m) {
    m["default"]["before"] = {small};
    m["default"]["one"] = {value};
    m["default"]["large2"] = {other};
  });
}

/// A writer from before a savepoint that is rolled back to is lost, with all it has written.
void in_savepoint(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t)) return;
  auto writer = t->blob_writer("one");
  if (!run.ok(writer) || !write_pieces(run, *writer, value)) return;
  auto savepoint = t->savepoint();
  if (!run.ok(savepoint) || !write_pieces(run, *writer, value)) return;
  if (!run.ok(savepoint->rollback())) return;
  run.expect(!writer->finish().has_value(), "a value that was rolled back was finished");
  auto again = t->blob_writer("two");
  if (!run.ok(again) || !write_pieces(run, *again, other) || !run.ok(again->finish())) return;
  run.wrote(t->commit(), [](Model& m) { m["default"]["two"] = {other}; });
}

// ---- Reading ----

/// Whether what a reader gives is this part of the value.
void check_part(Run& run, BlobReader& reader, const std::string& whole, std::size_t offset,
                std::size_t amount) {
  std::array<std::byte, 9'000> buffer;
  const auto got = reader.read_at(offset, std::span(buffer).first(amount));
  if (!run.ok(got)) return;
  const std::string_view wanted = std::string_view(whole).substr(offset, amount);
  run.expect(BytesView(buffer.data(), *got) == BytesView(wanted), "a part of a value is wrong");
}

template <class Reads>
void read_positioned(Run& run, const Reads& from, const char* key) {
  auto reader = from.blob_reader(key);
  if (!run.ok(reader)) return;
  const std::string& whole = run.state().at("default").find(key)->second.value;
  run.expect(reader->size() == whole.size(), "the size of a value is wrong");
  for (const std::size_t offset : {std::size_t{0}, whole.size() / 2, whole.size() - 10}) {
    check_part(run, *reader, whole, offset, 9'000);
  }
  check_part(run, *reader, whole, whole.size() / 3, 1);
}

void read_parts(Run& run) {
  read_positioned(run, run.store, "large1");
  read_positioned(run, run.store, "key030");
}

void read_in_sequence(Run& run) {
  auto reader = run.store.blob_reader("large1");
  if (!run.ok(reader)) return;
  const std::string& whole = run.state().at("default").at("large1").value;
  std::array<std::byte, 3'000> buffer;
  std::size_t at = 0;
  for (;;) {
    const auto got = reader->read(buffer);
    if (!run.ok(got)) return;
    if (*got == 0) break;
    run.expect(
        BytesView(buffer.data(), *got) == BytesView(std::string_view(whole).substr(at, *got)),
        "a piece of a value is wrong");
    at += *got;
  }
  run.expect(at == whole.size(), "the value ended early and told nobody");
}

void read_in_snapshot(Run& run) {
  auto view = run.store.snapshot();
  if (!run.ok(view)) return;
  run.wrote(run.store.erase("large2"), [](Model& m) { m["default"].erase("large2"); });
  read_positioned(run, *view, "large1");
}

void read_in_transaction(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t)) return;
  if (!run.ok(t->put("a", value))) return;
  read_positioned(run, *t, "large1");
  run.wrote(t->commit(), [](Model& m) { m["default"]["a"] = {value}; });
}

void pinned(Run& run) {
  for (const char* key : {"key030", "large1"}) {
    const auto value_of = run.store.get_pinned(key);
    if (!run.ok(value_of)) continue;
    const BytesView view = value_of->view();
    run.expect(run.plausible("default", key, &view), "get_pinned gave a wrong value");
  }
}

// ---- Files ----

void import_prepare(Run& run) {
  run.open_before();
  run.make_file("import", value);
}

void put_file(Run& run) {
  std::string path;
  {
    const Paused paused;
    path = run.beside("import");
  }
  const auto size = run.store.put_file("large1", path, {.ttl = 8s});
  run.wrote(size, [&](Model& m) { m["default"]["large1"] = {value, run.clock.now() + 8'000}; });
  put_after(run);
}

void put_file_in_transaction(Run& run) {
  std::string path;
  {
    const Paused paused;
    path = run.beside("import");
  }
  auto t = run.store.begin();
  if (!run.ok(t) || !run.ok(t->put("before", small))) return;
  if (!run.ok(t->put_file("imported", path))) return;
  run.wrote(t->commit(), [](Model& m) {
    m["default"]["before"] = {small};
    m["default"]["imported"] = {value};
  });
}

void put_file_aborted(Run& run) {
  std::string path;
  {
    const Paused paused;
    path = run.beside("import");
  }
  const auto stop = [](std::uint64_t, std::uint64_t) { return false; };
  const auto size = run.store.put_file("imported", path, {}, stop);
  run.expect(!size, "put_file went on when it was told to stop");
  run.ok(size, Errc::aborted);
  put_after(run);
}

void export_prepare(Run& run) {
  run.open_before();
  run.make_file("export", "what was there before");
}

template <const char* const& key>
void get_to_file(Run& run) {
  std::string path;
  {
    const Paused paused;
    path = run.beside("export");
  }
  const auto size = run.store.get_to_file(key, path);
  const bool done = run.ok(size);
  const Paused paused;
  const std::string& whole = run.state().at("default").find(key)->second.value;
  if (!done) {
    if (size.error() == Errc::io_error) run.expect_file_or("export", whole);
    return;
  }
  run.expect(*size == whole.size(), "get_to_file tells a wrong size");
  run.expect_file("export", whole);
}
const char* const large_key = "large1";
const char* const small_key = "key030";

void get_to_file_aborted(Run& run) {
  std::string path;
  {
    const Paused paused;
    path = run.beside("export");
  }
  const auto stop = [](std::uint64_t, std::uint64_t) { return false; };
  const auto size = run.store.get_to_file("large1", path, stop);
  run.expect(!size, "get_to_file went on when it was told to stop");
  run.ok(size, Errc::aborted);
}

}  // namespace

std::vector<Scenario> blob_scenarios() {
  return {
      {"blob_known_size", "wal", known_size},
      {"blob_known_size_rollback", "rollback", known_size},
      {"blob_known_size_memory", "memory", known_size},
      {"blob_unknown_size", "wal", unknown_size},
      {"blob_over_large", "wal", over_large},
      {"blob_over_large_hot_log", "hot log", over_large},
      {"blob_of_one_chunk", "wal", of_one_chunk},
      {"blob_positioned", "wal", positioned},
      {"blob_positioned_rollback", "rollback", positioned},
      {"blob_cancelled", "wal", cancelled},
      {"blob_abandoned", "wal", abandoned},
      {"blob_abandoned_rollback", "rollback", abandoned},
      {"blob_goes_on", "wal", goes_on},
      {"blob_goes_on_memory", "memory", goes_on},
      {"blob_in_transaction", "wal", in_transaction},
      {"blob_in_transaction_rollback", "rollback", in_transaction},
      {"blob_in_savepoint", "wal", in_savepoint},
      {"blob_read_parts", "wal", read_parts},
      {"blob_read_parts_memory", "memory", read_parts},
      {"blob_read_in_sequence", "wal", read_in_sequence},
      {"blob_read_in_sequence_rollback", "rollback", read_in_sequence},
      {"blob_read_in_snapshot", "wal", read_in_snapshot},
      {"blob_read_in_transaction", "wal", read_in_transaction},
      {"get_pinned", "wal", pinned},
      {"put_file", "wal", put_file, false, import_prepare},
      {"put_file_rollback", "rollback", put_file, false, import_prepare},
      {"put_file_in_transaction", "wal", put_file_in_transaction, false, import_prepare},
      {"put_file_aborted", "wal", put_file_aborted, false, import_prepare},
      {"get_to_file", "wal", get_to_file<large_key>},
      {"get_to_file_over", "wal", get_to_file<large_key>, false, export_prepare},
      {"get_to_file_small", "rollback", get_to_file<small_key>, false, export_prepare},
      {"get_to_file_aborted", "wal", get_to_file_aborted, false, export_prepare},
  };
}

}  // namespace snkv::test
