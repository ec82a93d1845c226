// Values that are changed in pieces where they are, against strings.
#include "support/catch.hpp"
#include "support/encrypted.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/blob_editor.hpp>
#include <snkv/snkv.hpp>

#include <chrono>
#include <random>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

TEST_CASE("a value is written, made longer and shorter where it is", "[blob]") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  std::string model = "begin";
  REQUIRE_OK(store.put("k", model));
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round, model.size());
    BlobEditor editor = must(BlobEditor::open(store, "k"));
    const std::string before = model;
    REQUIRE(editor.size() == model.size());
    for (int i = 0; i < 5; ++i) {
      const std::size_t at = random() % (model.size() + 1);
      const std::size_t amount = random() % 5 == 0 ? random() % 60'000 : random() % 300;
      const std::string piece(amount, static_cast<char>('a' + random() % 26));
      switch (random() % 4) {
        case 0:
          REQUIRE_OK(editor.append(piece));
          model += piece;
          break;
        case 1:
          REQUIRE_OK(editor.truncate(at));
          model.resize(at);
          break;
        default:
          REQUIRE_OK(editor.write_at(at, piece));
          model.replace(at, piece.size(), piece);
      }
      REQUIRE(editor.size() == model.size());
    }
    std::string part(100, '?');
    const std::size_t got =
        must(editor.read_at(model.size() / 2, std::as_writable_bytes(std::span(part))));
    REQUIRE(part.substr(0, got) == model.substr(model.size() / 2, 100));
    REQUIRE_ERRC(editor.write_at(model.size() + 1, "x"), Errc::invalid_argument);
    REQUIRE_ERRC(editor.truncate(model.size() + 1), Errc::invalid_argument);
    REQUIRE(must(store.get("k")) == BytesView(before));
    if (random() % 4 == 0) {
      editor.cancel();
      model = before;
    } else {
      REQUIRE_OK(editor.finish());
      REQUIRE_ERRC(editor.append("x"), Errc::closed);
    }
    REQUIRE(must(store.get("k")) == BytesView(model));
  }
  REQUIRE_OK(store.verify());
}

TEST_CASE("an editor in a transaction is a part of it", "[blob]") {
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db"), no_sync()));
  const std::string value = patterned(100'000);
  REQUIRE_OK(store.put("k", value, {.ttl = std::chrono::hours(1)}));
  const Snapshot before = must(store.snapshot());
  {
    Transaction transaction = must(store.begin());
    BlobEditor editor = must(BlobEditor::open(transaction, "k"));
    REQUIRE_OK(editor.write_at(50'000, "changed"));
    {
      Savepoint savepoint = must(transaction.savepoint());
      REQUIRE_OK(editor.truncate(10));
      REQUIRE(must(transaction.get("k")).size() == 10);
      REQUIRE_OK(savepoint.rollback());
    }
    REQUIRE_OK(editor.append("end"));
    REQUIRE_OK(transaction.put("k", "another"));
    REQUIRE_OK(editor.append(" one"));
    REQUIRE(must(transaction.get("k")) == BytesView("another one"));
    REQUIRE_OK(transaction.erase("k"));
    REQUIRE_ERRC(editor.append("x"), Errc::not_found);
  }
  REQUIRE(must(store.get("k")) == BytesView(value));
  {
    Transaction transaction = must(store.begin());
    BlobEditor editor = must(BlobEditor::open(transaction, "k"));
    REQUIRE_OK(editor.write_at(50'000, "changed"));
    REQUIRE_OK(editor.finish());
    REQUIRE_OK(transaction.commit());
    REQUIRE_ERRC(editor.append("x"), Errc::closed);
  }
  REQUIRE(must(store.get("k")).view().substr(50'000, 7) == "changed");
  REQUIRE(must(store.ttl("k")).has_value());
  REQUIRE(must(before.get("k")) == BytesView(value));
  REQUIRE_ERRC(BlobEditor::open(store, "missing"), Errc::not_found);
  REQUIRE_ERRC(BlobEditor::open(store, ""), Errc::invalid_argument);
  BlobEditor nothing;
  REQUIRE_ERRC(nothing.append("x"), Errc::closed);
  REQUIRE_ERRC(nothing.finish(), Errc::closed);
  REQUIRE_OK(store.verify());
}
