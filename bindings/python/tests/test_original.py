"""What programs that were written for SNKV's Python package rely on, and met something else here."""

import time

import pytest

import snkv
from snkv import KVStore


@pytest.fixture
def vector():
    return pytest.importorskip("snkv.vector")


# ---- Stores ----

def test_full_mutex_is_an_option(tmp_path):
    path = tmp_path / "x.db"
    for value in (0, 1, True, False):
        with KVStore(path, full_mutex=value) as db:
            db["a"] = "1"
    with KVStore.open_encrypted(tmp_path / "e.db", "pw", full_mutex=1) as db:
        db["a"] = "1"
    with pytest.raises(TypeError):
        KVStore(path, half_mutex=1)


def test_memory_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with KVStore(":memory:") as db:
        db["a"] = "1"
        assert db.path == ""
    with KVStore(b":memory:") as db:
        assert "a" not in db
    assert list(tmp_path.iterdir()) == []


def test_list_of_families_is_that_of_the_programs_own(db):
    assert db.list_column_families() == []
    db.create_column_family("users").close()
    assert db.list_column_families() == ["users"]
    with db.transaction() as t:
        t.create_column_family("other").close()
        assert t.list_column_families() == ["other", "users"]
    with db.snapshot() as snap:
        assert snap.list_column_families() == ["other", "users"]
    # It is there all the same.
    assert db.default_column_family().name == "default"


def test_commit_and_rollback_without_a_transaction(db):
    assert db.commit() is None
    assert db.rollback() is None
    db["a"] = "1"
    db.commit()
    db.rollback()
    assert db["a"] == b"1"
    db.begin(write=True)
    db["a"] = "2"
    db.commit()
    db.commit()
    assert db["a"] == b"2"
    db.close()
    for end in (db.commit, db.rollback):
        with pytest.raises(snkv.ClosedError):
            end()


def test_ttl_of_an_expired_key(db):
    family = db.create_column_family("f")
    for entries in (db, family):
        entries.put("gone", "x", ttl=0.001)
        entries.put("stays", "x")
        time.sleep(0.01)
        assert entries.ttl("gone") == 0.0
        assert entries.ttl("stays") is None
        assert "gone" not in entries and entries.get("gone") is None
        with pytest.raises(snkv.NotFoundError):
            entries.ttl("never there")
        entries.purge_expired()
        with pytest.raises(snkv.NotFoundError):
            entries.ttl("gone")
        with pytest.raises(snkv.NotFoundError):
            entries.ttl("gon")


def test_ttl_of_an_expired_key_in_a_transaction(db):
    db.put("gone", "x", ttl=0.001)
    time.sleep(0.01)
    with db.transaction() as t:
        assert t.ttl("gone") == 0.0
    with db.snapshot() as snap:
        assert snap.ttl("gone") == 0.0


def test_a_forward_iterator_goes_forward(db):
    db.put_many({"a": "1", "b": "2", "c": "3"})
    for it in (db.iterator(), db.prefix_iterator("")):
        for move in (it.last, it.prev):
            with pytest.raises(snkv.Error):
                move()
        # It stands where it stood.
        assert it.key == b"a"
        it.next()
        with pytest.raises(snkv.Error):
            it.prev()
        assert it.key == b"b"
    with db.reverse_iterator() as it:
        assert it.last().key == b"c"
        it.prev()
        assert it.key == b"b"


# ---- Vectors ----

def test_index_error_is_no_error_of_the_store(vector):
    assert issubclass(vector.VectorIndexError, Exception)
    assert not issubclass(vector.VectorIndexError, snkv.Error)
    with vector.VectorStore(None, 2) as vs:
        vs.vector_put("a", "1", [1, 0])
        vs.drop_vector_index()
        with pytest.raises(vector.VectorIndexError) as caught:
            vs.search([1, 0])
    assert caught.value.code == "index_dropped"


def test_metadata_of_what_is_not_there(vector):
    with vector.VectorStore(None, 2) as vs:
        assert vs.get_metadata("never there") is None
        vs.vector_put("a", "1", [1, 0], metadata={"x": 1})
        vs.vector_put("b", "1", [1, 0])
        vs["plain"] = "no vector"
        for key in ("never there", "b", "plain"):
            assert vs.get_metadata(key) is None
        vs.delete("a")
        assert vs.get_metadata("a") is None


def test_counts_and_statistics_after_the_index_was_dropped(vector, tmp_path):
    with vector.VectorStore(
        tmp_path / "x.db", 2, space="cosine", connectivity=8, expansion_add=50, dtype="f16"
    ) as vs:
        vs.vector_put("a", "1", [1, 0], metadata={"x": 1})
        before = vs.vector_stats()
        vs.drop_vector_index()
        assert len(vs) == 0 and vs.count() == 0
        assert vs.get_metadata("a") is None
        assert vs.vector_purge_expired() == 0
        after = vs.vector_stats()
        assert list(after) == list(before)
        assert (after["dim"], after["space"], after["dtype"]) == (2, "cosine", "f16")
        assert (after["connectivity"], after["expansion_add"]) == (8, 50)
        assert after["expansion_search"] == 64
        assert after["count"] == after["capacity"] == after["vec_cf_count"] == 0
        assert after["fill_ratio"] == 0.0
        assert after["has_metadata"] is False
        info = vs.vector_info()
        assert info == {name: after[name] for name in info}
        assert "a" in vs


def found(vs, filter):
    return sorted(hit.key.decode() for hit in vs.search([1, 0], top_k=100, filter=filter))


def test_filters_compare_as_python_does(vector):
    metadata = {
        "one": {"v": 1}, "float": {"v": 1.0}, "true": {"v": True}, "zero": {"v": 0},
        "false": {"v": False}, "null": {"v": None}, "text": {"v": "1"}, "other": {"w": 1},
    }
    with vector.VectorStore(None, 2) as vs:
        for key, value in metadata.items():
            vs.vector_put(key, "", [1, 0], metadata=value)
        vs.vector_put("nothing", "", [1, 0])
        for wanted in (1, 1.0, True, 0, False, -0.0, None, "1", 2):
            expected = sorted(key for key, m in [*metadata.items(), ("nothing", {})]
                              if m.get("v") == wanted)
            assert found(vs, {"v": wanted}) == expected, wanted
            assert vs.count({"v": wanted}) == len(expected)
            # Deeper down, and beside others.
            assert found(vs, {"$or": [{"v": wanted}]}) == expected
            assert found(vs, {"$and": [{"v": wanted}, {"v": {"$nin": ["x"]}}]}) == expected
        assert found(vs, {"v": 1, "w": None}) == ["float", "one", "true"]
        vs.vector_put("deep", "", [1, 0], metadata={"v": {"a": [1]}})
        assert found(vs, {"v": {"a": [1]}}) == ["deep"]
        # Operators are ours, and exact.
        assert found(vs, {"v": {"$eq": True}}) == ["true"]
        assert found(vs, {"v": {"$eq": None}}) == ["null"]
        assert vs.delete_if({"v": None}) == 3


def test_integers_of_any_size_in_metadata(vector, tmp_path):
    large = [2**63 - 1, -(2**63), 2**64 - 1, 2**64, 2**64 + 1, -(2**63) - 1, 10**40 + 7, 2**70]
    metadata = {"list": large, "deep": {"n": 10**30 + 1}, "text": "1" * 30, "float": 1e30, "n": 2**80 + 1}
    with vector.VectorStore(tmp_path / "x.db", 2) as vs:
        vs.vector_put("a", "", [1, 0], metadata=metadata)
        vs.vector_put("b", "", [1, 0], metadata={"n": 2**80})
    with vector.VectorStore(tmp_path / "x.db", 2) as vs:
        assert vs.get_metadata("a") == metadata
        assert isinstance(vs.get_metadata("a")["n"], int)
        hits = vs.search([1, 0], filter=lambda m: m["n"] == 2**80 + 1)
        assert [hit.key for hit in hits] == [b"a"] and hits[0].metadata == metadata
        assert found(vs, {"n": 2**80 + 1}) == ["a"]
        assert found(vs, {"n": {"$in": [2**80, 7]}}) == ["b"]
