// Values from files and to files.
#include "support/blob.hpp"
#include "support/catch.hpp"
#include "support/encrypted.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

TEST_CASE("a file goes in and out unchanged", "[blob]") {
  const std::size_t size = GENERATE(0u, 1u, 3000u, 262'144u, 3'000'001u);
  CAPTURE(size);
  const TempDir dir;
  const TempDir out;
  Store store = must(open_store(dir.file("a.db")));
  write_file(out.file("in"), patterned(size));
  REQUIRE(must(store.put_file("k", out.file("in"))) == size);
  REQUIRE(must(store.get("k")) == patterned(size));
  REQUIRE(must(store.get_to_file("k", out.file("out"))) == size);
  REQUIRE(read_file(out.file("out")) == patterned(size));

  // Over an existing file, whose permissions stay.
  write_file(out.file("old"), "something else");
  REQUIRE(::chmod(out.file("old").c_str(), 0600) == 0);
  REQUIRE_OK(store.get_to_file("k", out.file("old")));
  REQUIRE(read_file(out.file("old")) == patterned(size));
  struct ::stat info {};
  REQUIRE(::stat(out.file("old").c_str(), &info) == 0);
  REQUIRE((info.st_mode & 0777) == 0600);

  REQUIRE_OK(store.put_file("declared", out.file("in"), {.size = size}));
  REQUIRE_ERROR(store.put_file("declared", out.file("in"), {.size = size + 1}),
                Errc::invalid_argument, "put_file");
  REQUIRE(must(store.get("declared")) == patterned(size));
  REQUIRE(files_in(out.path()) == std::vector<std::string>{"in", "old", "out"});
}

TEST_CASE("files that cannot be read or written are refused", "[blob]") {
  const TempDir dir;
  const TempDir out;
  Store store = must(open_store(dir.file("a.db")));
  REQUIRE_OK(store.put("k", "value"));
  REQUIRE_ERROR(store.put_file("k", out.file("missing")), Errc::cant_open, "put_file");
  REQUIRE_ERROR(store.put_file("k", out.path().string()), Errc::cant_open, "put_file");
  REQUIRE_ERROR(store.put_file("k", ""), Errc::invalid_argument, "put_file");
  REQUIRE_ERROR(store.put_file("k", std::string_view("a\0b", 3)), Errc::invalid_argument,
                "put_file");
  REQUIRE_ERROR(store.put_file("", out.file("missing")), Errc::invalid_argument, "put_file");
  REQUIRE_ERROR(store.get_to_file("k", out.path().string()), Errc::cant_open, "get_to_file");
  REQUIRE_ERROR(store.get_to_file("k", out.file("no/such/folder")), Errc::cant_open, "get_to_file");
  REQUIRE_ERROR(store.get_to_file("k", ""), Errc::invalid_argument, "get_to_file");
  REQUIRE_ERROR(store.get_to_file("missing", out.file("x")), Errc::not_found, "get_to_file");
  REQUIRE(must(store.get("k")) == "value");
  REQUIRE(files_in(out.path()).empty());

  const Error error = store.put_file("k", out.file("missing")).error();
  REQUIRE(error.message().find("k") != std::string::npos);
  REQUIRE(error.message().find(out.file("missing")) != std::string::npos);
}

TEST_CASE("the files of the store are not touched", "[blob]") {
  const auto journal = GENERATE(Journal::wal, Journal::rollback);
  const TempDir dir;
  const TempDir out;
  std::filesystem::create_symlink(dir.file("a.db"), out.file("link"));
  Store store = must(open_store(out.file("link"), {.journal = journal}));
  REQUIRE_OK(store.put("k", "value"));
  std::filesystem::create_hard_link(dir.file("a.db"), out.file("hard"));
  std::filesystem::create_symlink(dir.file("a.db-wal"), out.file("wal"));
  const std::string names[] = {dir.file("a.db"),         dir.file("a.db-wal"), dir.file("a.db-shm"),
                               dir.file("a.db-journal"), out.file("link"),     out.file("hard"),
                               dir.file("./a.db")};
  for (const std::string& name : names) {
    CAPTURE(name);
    REQUIRE_ERROR(store.put_file("k", name), Errc::invalid_argument, "put_file");
    REQUIRE_ERROR(store.get_to_file("k", name), Errc::invalid_argument, "get_to_file");
  }
  REQUIRE(must(store.get("k")) == "value");
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("files inside transactions and snapshots", "[blob]") {
  const TempDir dir;
  const TempDir out;
  Store store = must(open_store(dir.file("a.db")));
  write_file(out.file("in"), patterned(100'000));
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put_file("k", out.file("in")));
  REQUIRE_OK(transaction.get_to_file("k", out.file("out")));
  REQUIRE_ERRC(store.get_to_file("k", out.file("other")), Errc::not_found);
  REQUIRE_OK(transaction.commit());
  REQUIRE(read_file(out.file("out")) == patterned(100'000));
  Snapshot snapshot = must(store.snapshot());
  REQUIRE_OK(store.put("k", "new"));
  REQUIRE_OK(snapshot.get_to_file("k", out.file("snap")));
  REQUIRE(read_file(out.file("snap")) == patterned(100'000));
}

TEST_CASE("progress is told, and can stop", "[blob]") {
  const bool in_transaction = GENERATE(false, true);
  const TempDir dir;
  const TempDir out;
  Store store = must(open_store(dir.file("a.db")));
  REQUIRE_OK(store.put("k", "old"));
  const std::string value = patterned(2'000'000);
  write_file(out.file("in"), value);
  write_file(out.file("out"), "old");
  std::uint64_t seen = 0;
  const Progress watch = [&](std::uint64_t done, std::uint64_t total) {
    REQUIRE(done > seen);
    REQUIRE(total == value.size());
    seen = done;
    return true;
  };
  const Progress stop = [](std::uint64_t done, std::uint64_t) { return done < 1'000'000; };
  const Progress fail = [](std::uint64_t, std::uint64_t) -> bool { throw 1; };

  Transaction transaction;
  EntryWriter* writer = &store;
  if (in_transaction) {
    transaction = must(store.begin());
    writer = &transaction;
  }
  REQUIRE_ERROR(writer->put_file("k", out.file("in"), {}, stop), Errc::aborted, "put_file");
  REQUIRE_ERROR(writer->put_file("k", out.file("in"), {}, fail), Errc::aborted, "put_file");
  REQUIRE(must(writer->get("k")) == "old");
  REQUIRE_OK(writer->put_file("k", out.file("in"), {}, watch));
  REQUIRE(seen == value.size());
  REQUIRE_ERROR(writer->get_to_file("k", out.file("out"), stop), Errc::aborted, "get_to_file");
  REQUIRE_ERROR(writer->get_to_file("k", out.file("out"), fail), Errc::aborted, "get_to_file");
  REQUIRE(read_file(out.file("out")) == "old");
  seen = 0;
  REQUIRE_OK(writer->get_to_file("k", out.file("out"), watch));
  REQUIRE(seen == value.size());
  REQUIRE(read_file(out.file("out")) == value);
  if (in_transaction) REQUIRE_OK(transaction.commit());
  REQUIRE(files_in(out.path()) == std::vector<std::string>{"in", "out"});
  // Of what was given up, no page stayed in use.
  REQUIRE(must(store.get("k")) == value);
  REQUIRE(must(store.erase("k")));
  const Stats stats = must(store.stats());
  REQUIRE(stats.db_pages - stats.free_pages < 20);
}
