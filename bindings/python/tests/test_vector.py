"""snkv.vector: everything is checked against exact answers that numpy calculates."""

import gc
import glob
import json
import os
import threading

import pytest

np = pytest.importorskip("numpy")

import snkv  # noqa: E402
from snkv import KVStore  # noqa: E402
from snkv.vector import (  # noqa: E402
    SearchResult,
    VectorIndexError,
    VectorStore,
    drop_collection,
    list_collections,
)

DIM = 16
SEED = 20261125


def some_vectors(count, dim=DIM, seed=SEED):
    return np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)


def exact(space, query, vectors):
    if space == "l2":
        return ((vectors - query) ** 2).sum(axis=1)
    if space == "cosine":
        return 1 - vectors @ query / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(query))
    if space == "l1":
        return np.abs(vectors - query).sum(axis=1)
    return -(vectors @ query)


@pytest.fixture
def vs(path):
    with VectorStore(path, DIM) as store:
        yield store


@pytest.mark.parametrize("space", ["l2", "cosine", "ip", "l1"])
@pytest.mark.parametrize("dtype", ["f32", "f16", "i8"])
def test_search_is_right(path, space, dtype):
    vectors = some_vectors(500)
    with VectorStore(path, DIM, space=space, dtype=dtype) as vs:
        vs.vector_put_batch((f"{i:03}", str(i), vector) for i, vector in enumerate(vectors))
        assert len(vs) == 500
        for query in some_vectors(5, seed=SEED + 1):
            distances = exact(space, query, vectors)
            best = np.argsort(distances, kind="stable")[:10]
            hits = vs.search(query, top_k=10, rerank=True, exact=True)
            assert [hit.key for hit in hits] == [b"%03d" % i for i in best]
            assert [hit.value for hit in hits] == [b"%d" % i for i in best]
            assert np.allclose([hit.distance for hit in hits], distances[best], atol=1e-4)
            assert all(type(hit) is SearchResult and hit.metadata is None for hit in hits)
            found = {hit.key for hit in vs.search(query, top_k=10)}
            assert len(found & {hit.key for hit in hits}) >= 7
            near = vs.search(query, 10, rerank=True, max_distance=float(distances[best[4]]) + 1e-4)
            assert [hit.key for hit in near] == [b"%03d" % i for i in best[:5]]


def test_put_and_get(vs):
    vector = some_vectors(1)[0]
    assert vs.vector_put("a", "value", vector, metadata={"tag": "x"}) is None
    got = vs.vector_get(b"a")
    assert got.dtype == np.float32 and got.shape == (DIM,) and np.array_equal(got, vector)
    assert vs.get("a") == b"value"
    assert vs.get_metadata("a") == {"tag": "x"}
    with pytest.raises(snkv.NotFoundError):
        vs.vector_get("missing")
    assert vs.get("missing") is None
    assert vs.get("missing", b"default") == b"default"
    vs.vector_put("a", "other", vector * 2)
    assert len(vs) == 1
    assert vs.get_metadata("a") == {"tag": "x"}
    assert np.array_equal(vs.vector_get("a"), vector * 2)
    vs.vector_put("a", "other", vector, metadata={})
    assert vs.get_metadata("a") is None
    vs.vector_put("a", None, vector)
    assert vs.get("a") == b"other"
    # What was given out has a memory of its own.
    del got, vs
    gc.collect()


def test_metadata_of_every_type(vs):
    metadata = {
        "text": "\u00fcber", "int": 2**60, "negative": -5, "float": 0.5, "true": True, "none": None,
        "list": [1, "a", [2]], "object": {"inner": {"x": 1}}, "": "empty name",
    }
    vs.vector_put("a", "", some_vectors(1)[0], metadata=metadata)
    assert vs.get_metadata("a") == metadata
    assert vs.get_metadata("a")["true"] is True
    for wrong in ({"a": object()}, {"a": float("nan")}, {"a": {1, 2}}):
        with pytest.raises(ValueError):
            vs.vector_put("b", "", some_vectors(1)[0], metadata=wrong)
    for wrong in (1, "text", [1]):
        with pytest.raises(TypeError):
            vs.vector_put("b", "", some_vectors(1)[0], metadata=wrong)
    assert len(vs) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda v: v.tolist(),
        lambda v: v.astype(np.float64),
        lambda v: v.astype(np.float16),
        lambda v: np.repeat(v, 2)[::2],
        lambda v: memoryview(v),
        lambda v: tuple(float(x) for x in v),
    ],
)
def test_array_likes(vs, make):
    vector = np.arange(DIM, dtype=np.float32)
    vs.vector_put("a", "", make(vector))
    assert np.array_equal(vs.vector_get("a"), vector)
    assert vs.search(make(vector), 1)[0].distance == 0


def test_bad_vectors(vs):
    good = some_vectors(1)[0]
    vs.vector_put("a", "value", good)
    bad = [good[:-1], np.append(good, 1), [], good.reshape(4, 4), 1.0, [[1], [2, 3]], ["x"] * DIM,
           np.full(DIM, np.nan), np.full(DIM, np.inf)]
    for vector in bad:
        with pytest.raises(ValueError) as caught:
            vs.vector_put("b", "value", vector)
        assert isinstance(caught.value, snkv.Error)
        with pytest.raises(ValueError):
            vs.vector_put_batch([("c", "value", good), ("b", "value", vector)])
        with pytest.raises(ValueError):
            vs.search(vector)
        with pytest.raises(ValueError):
            vs.search_keys(vector)
    for wrong in (None, object()):
        with pytest.raises((TypeError, ValueError)):
            vs.vector_put("b", "value", wrong)
    assert len(vs) == 1 and "c" not in vs


def test_bad_arguments_of_searches(vs):
    query = some_vectors(1)[0]
    vs.vector_put("a", "value", query)
    for call in (
        lambda: vs.search(query, 0), lambda: vs.search(query, -1), lambda: vs.search_keys(query, 0),
        lambda: vs.search(query, oversample=0), lambda: vs.search(query, filter={"a": {"$no": 1}}),
        lambda: vs.search(query, filter={"$or": 1}), lambda: vs.search_batch(query),
        lambda: vs.search_batch(query.reshape(2, DIM // 2)), lambda: vs.vector_put("", "", query),
        lambda: vs.vector_put("b", "", query, ttl=0),
        lambda: vs.vector_put("b", "", query, ttl=float("nan")),
        lambda: vs.vector_put_batch([("b", "value")]),
        lambda: vs.vector_put_batch([("b", "", query)], ttl=-1),
    ):
        with pytest.raises(ValueError):
            call()
    for call in (
        lambda: vs.search(query, 1.5), lambda: vs.search(query, "1"), lambda: vs.search(query, filter=1),
        lambda: vs.vector_put(1, "", query), lambda: vs.vector_put("b", 1, query),
        lambda: vs.search(query, max_distance="far"), lambda: vs.vector_put_batch([1]),
    ):
        with pytest.raises((TypeError, ValueError)):
            call()
    assert len(vs) == 1


def test_opening(tmp_path):
    path = tmp_path / "store.db"
    for options in (
        {"space": "manhattan"}, {"dtype": "f64"}, {"connectivity": 0}, {"expansion_add": 0},
        {"expansion_search": 0}, {"name": ""}, {"name": "snkv_x"},
    ):
        with pytest.raises(ValueError):
            VectorStore(path, DIM, **options)
    for dim in (0, -1):
        with pytest.raises(ValueError):
            VectorStore(path, dim)
    for wrong in ({"dim": "16"}, {"dim": 1.5}, {"dim": 16, "no_such_option": 1}):
        with pytest.raises(TypeError):
            VectorStore(path, **wrong)
    with VectorStore(path, DIM, space="cosine", expansion_search=100) as vs:
        vs.vector_put("a", "value", some_vectors(1)[0])
    for options in ({"dim": 8, "space": "cosine"}, {"dim": DIM, "space": "l2"},
                    {"dim": DIM, "space": "cosine", "dtype": "i8"}):
        with pytest.raises(ValueError) as caught:
            VectorStore(path, **options)
        assert caught.value.code in ("dimension_mismatch", "metric_mismatch", "dtype_mismatch")
    with VectorStore(path, DIM, space="cosine", page_size=4096, busy_timeout=100) as vs:
        assert vs.vector_info()["expansion_search"] == 100
        assert len(vs) == 1
    with VectorStore(path, DIM, space="cosine", expansion_search=200) as vs:
        assert vs.vector_info()["expansion_search"] == 200


def test_reopening(path):
    vectors = some_vectors(300)
    with VectorStore(path, DIM) as vs:
        vs.put_array([f"{i}" for i in range(300)], vectors, values=[f"{i}" for i in range(300)])
        vs.save()
        before = vs.search(vectors[7], 5)
    with VectorStore(path, DIM) as vs:
        assert vs.search(vectors[7], 5) == before
    with KVStore(path) as db:
        assert db["7"] == b"7"


def test_put_array(vs):
    vectors = some_vectors(100)
    seen = []
    vs.put_array([f"{i}" for i in range(100)], vectors, metadata=[{"i": i} for i in range(100)],
                 progress=lambda done, total: seen.append((done, total)))
    assert seen and len(vs) == 100
    assert vs.get_metadata("42") == {"i": 42}
    assert np.array_equal(vs.vector_get("42"), vectors[42])
    assert vs.search(vectors[42], 1)[0].value == b""
    with pytest.raises(ValueError):
        vs.put_array(["a"], vectors)
    with pytest.raises(ValueError):
        vs.put_array(["a", "b"], vectors[:2], values=["1"])
    with pytest.raises(snkv.Error) as caught:
        vs.put_array([f"x{i}" for i in range(100)], vectors, progress=lambda *_: False)
    assert caught.value.code == "aborted"
    assert len(vs) == 100


def test_batches(vs):
    a, b, c = some_vectors(3)
    vs.vector_put_batch([("a", "1", a), ("b", "2", b, {"tag": "x"}), ("a", "3", c)])
    assert len(vs) == 2
    assert vs.get("a") == b"3" and np.array_equal(vs.vector_get("a"), c)
    vs.vector_put_batch([("d", "4", a)], ttl=3600)
    assert 3599 < vs.kv.ttl("d") <= 3600
    vs.vector_put_batch([])
    assert len(vs) == 3


FILTERS = [
    ({"category": "news"}, lambda m: m["category"] == "news"),
    ({"category": "news", "score": 3}, lambda m: m["category"] == "news" and m["score"] == 3),
    ({"score": {"$eq": 3}}, lambda m: m["score"] == 3),
    ({"score": {"$ne": 3}}, lambda m: m["score"] != 3),
    ({"score": {"$gt": 3}}, lambda m: m["score"] > 3),
    ({"score": {"$gte": 3}}, lambda m: m["score"] >= 3),
    ({"score": {"$lt": 3}}, lambda m: m["score"] < 3),
    ({"score": {"$lte": 3}}, lambda m: m["score"] <= 3),
    ({"score": {"$gt": 1, "$lt": 4}}, lambda m: 1 < m["score"] < 4),
    ({"score": {"$between": [2, 3]}}, lambda m: 2 <= m["score"] <= 3),
    ({"score": {"$in": [1, 4]}}, lambda m: m["score"] in (1, 4)),
    ({"score": {"$nin": [1, 4]}}, lambda m: m["score"] not in (1, 4)),
    ({"rare": {"$exists": True}}, lambda m: "rare" in m),
    ({"rare": {"$exists": False}}, lambda m: "rare" not in m),
    ({"tags": {"$contains": "t1"}}, lambda m: "t1" in m["tags"]),
    ({"category": {"$prefix": "ne"}}, lambda m: m["category"].startswith("ne")),
    ({"category": {"$contains": "or"}}, lambda m: "or" in m["category"]),
    ({"score": {"$not": {"$gt": 2}}}, lambda m: not m["score"] > 2),
    ({"$and": [{"score": 1}, {"category": "sport"}]},
     lambda m: m["score"] == 1 and m["category"] == "sport"),
    ({"$or": [{"score": 1}, {"category": "sport"}]},
     lambda m: m["score"] == 1 or m["category"] == "sport"),
    ({"$not": {"category": "news"}}, lambda m: m["category"] != "news"),
    ({"place.city": "Graz"}, lambda m: m["place"]["city"] == "Graz"),
    ({}, lambda m: True),
    (lambda m: m["score"] == 3, lambda m: m["score"] == 3),
]


@pytest.fixture(scope="module")
def filtered():
    vectors = some_vectors(200)
    documents = [
        {"category": ("news", "sport", "nearby")[i % 3], "score": i % 5, "tags": [f"t{i % 4}", "all"],
         "place": {"city": ("Graz", "Wien")[i % 2]}, **({"rare": None} if i % 50 == 0 else {})}
        for i in range(200)
    ]
    with VectorStore(None, DIM) as vs:
        vs.put_array([f"{i:03}" for i in range(200)], vectors, metadata=documents)
        yield vs, vectors, documents


@pytest.mark.parametrize("condition, matches", FILTERS)
def test_filters(filtered, condition, matches):
    vs, vectors, documents = filtered
    query = some_vectors(1, seed=SEED + 2)[0]
    distances = exact("l2", query, vectors)
    right = [i for i in np.argsort(distances, kind="stable") if matches(documents[i])]
    assert right
    hits = vs.search(query, top_k=20, filter=condition, exact=True)
    assert [hit.key for hit in hits] == [b"%03d" % i for i in right[:20]]
    assert [hit.metadata for hit in hits] == [documents[i] for i in right[:20]]
    # All that match are found, however many are asked for.
    assert len(vs.search(query, top_k=500, filter=condition)) == len(right)
    assert len(vs.search_keys(query, 500, filter=condition)) == len(right)
    if not callable(condition):
        assert vs.count(condition) == len(right)


def test_a_function_that_raises(filtered):
    vs, vectors, _ = filtered
    calls = []

    def fail(metadata):
        calls.append(metadata)
        raise ZeroDivisionError("mine")

    for search in (vs.search, vs.search_keys):
        with pytest.raises(ZeroDivisionError, match="mine"):
            search(vectors[0], filter=fail)
    with pytest.raises(ZeroDivisionError, match="mine"):
        vs.search_batch(vectors[:10], filter=fail)
    assert calls


def test_a_function_is_given_a_dict_without_metadata(vs):
    vs.vector_put("a", "", some_vectors(1)[0])
    seen = []
    assert vs.search(some_vectors(1)[0], filter=lambda m: seen.append(m) or True)[0].metadata is None
    assert seen and all(m == {} for m in seen)


def test_batches_of_queries(filtered):
    vs, vectors, _ = filtered
    queries = some_vectors(30, seed=SEED + 3)
    one_by_one = [vs.search(query, 5, filter={"score": 1}) for query in queries]
    assert vs.search_batch(queries, 5, filter={"score": 1}) == one_by_one
    assert vs.search_keys_batch(queries, 5) == [vs.search_keys(query, 5) for query in queries]
    assert vs.search_batch(np.empty((0, DIM), dtype=np.float32)) == []
    assert vs.search_batch(queries, 3, filter=lambda m: m["score"] == 1) == [
        hits[:3] for hits in one_by_one
    ]


def test_an_empty_store(vs):
    query = some_vectors(1)[0]
    assert vs.search(query) == []
    assert vs.search_keys(query) == []
    assert vs.search_batch([query, query]) == [[], []]
    assert len(vs) == 0 and bool(vs)
    assert vs.vector_stats()["fill_ratio"] == 0


def test_delete(vs):
    vectors = some_vectors(10)
    vs.put_array([f"{i}" for i in range(10)], vectors, values=["v"] * 10)
    assert vs.delete("3") is None
    del vs["4"]
    for key in ("3", "4", "missing"):
        with pytest.raises(snkv.NotFoundError):
            vs.delete(key)
    assert len(vs) == 8
    assert {hit.key for hit in vs.search(vectors[3], 10)} == {
        b"%d" % i for i in range(10) if i not in (3, 4)
    }
    vs["plain"] = "value"
    vs.delete("plain")
    assert "plain" not in vs
    assert list(vs.keys(batch=3)) == [b"0", b"1", b"2", b"5", b"6", b"7", b"8", b"9"]
    vs.clear()
    assert len(vs) == 0 and vs.get("1") is None


def test_delete_if(vs):
    vs.put_array([f"{i}" for i in range(10)], some_vectors(10),
                 metadata=[{"i": i} for i in range(10)])
    assert vs.delete_if({"i": {"$gte": 7}}) == 3
    assert len(vs) == 7
    with pytest.raises(ValueError):
        vs.delete_if({"i": {"$no": 1}})
    with pytest.raises(TypeError):
        vs.delete_if(None)


def test_dict_style_is_about_values(vs):
    vector = some_vectors(1)[0]
    vs.vector_put("a", "value", vector)
    vs["a"] = "changed"
    assert vs["a"] == b"changed" and "a" in vs
    assert np.array_equal(vs.vector_get("a"), vector)
    vs["plain"] = "value"
    assert len(vs) == 1
    with pytest.raises(KeyError):
        vs["missing"]
    assert [hit.key for hit in vs.search(vector)] == [b"a"]


def test_ttl(vs):
    vectors = some_vectors(3)
    vs.vector_put("long", "value", vectors[0], ttl=3600)
    vs.vector_put("short", "value", vectors[1], ttl=0.02)
    vs.vector_put("ever", "value", vectors[2])
    for _ in range(1000):
        if len(vs) == 2:
            break
        threading.Event().wait(0.01)
    assert {hit.key for hit in vs.search(vectors[1], 10)} == {b"long", b"ever"}
    assert vs.get("short") is None
    with pytest.raises(snkv.NotFoundError):
        vs.vector_get("short")
    assert vs.vector_stats()["vec_cf_count"] == 3
    assert vs.vector_purge_expired() == 1
    assert vs.vector_purge_expired() == 0
    with pytest.raises(snkv.NotFoundError):
        vs.delete("short")
    assert vs.vector_stats()["vec_cf_count"] == 2


def test_statistics(path):
    with VectorStore(path, DIM, space="cosine", connectivity=8, expansion_add=50) as vs:
        vs.put_array(["a", "b"], some_vectors(2))
        stats = vs.vector_stats()
        assert stats["dim"] == DIM and stats["space"] == "cosine" and stats["dtype"] == "f32"
        assert stats["connectivity"] == 8 and stats["expansion_add"] == 50
        assert stats["expansion_search"] == 64
        assert stats["count"] == 2 and stats["vec_cf_count"] == 2
        assert stats["capacity"] >= 2 and 0 < stats["fill_ratio"] <= 1
        assert stats["has_metadata"] is False and stats["sidecar_enabled"] is True
        vs.vector_put("c", "", some_vectors(1)[0], metadata={"a": 1})
        assert vs.vector_stats()["has_metadata"] is True
        assert vs.vector_info()["count"] == 3
        assert vs.memory()["memory_bytes"] > 0
        vs.compact()
    with VectorStore(None, DIM) as vs:
        assert vs.vector_stats()["sidecar_enabled"] is False


def damage(path, *statements):
    """With nobody having the file open, and so that the next one to open it reads all rows."""
    sqlite3 = pytest.importorskip("sqlite3")
    for saved in glob.glob(path + "-vectors-*"):
        os.remove(saved)
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0
    connection.close()


def item(key, value):
    return (
        f"UPDATE snkv_vector_1_items SET value = CAST({value} AS BLOB) "
        f"WHERE key = CAST('{key}' AS BLOB)"
    )


@pytest.fixture
def damaged(path):
    """k3 cannot be used, and k7 has lost its metadata."""
    with VectorStore(path, DIM) as vs:
        vs.put_array([f"k{i}" for i in range(300)], some_vectors(300), ["value"] * 300,
                     [{"n": i} for i in range(300)])
    damage(path, item("k3", "x'00'"), item("k7", "substr(value, 1, 20) || '{'"))
    return path


def test_verify_and_repair(damaged):
    with VectorStore(damaged, DIM) as vs:
        assert vs.vector_stats()["damaged"] == vs.vector_info()["damaged"] == 2
        assert len(vs.search(some_vectors(1)[0], top_k=300)) == 298
        with pytest.raises(snkv.CorruptError, match="k3"):
            vs.vector_get("k3")
        seen = []
        found = vs.verify(progress=lambda done, total: seen.append((done, total)))
        assert seen and seen[-1][1] == 300
        assert list(found) == [
            "entries", "damaged", "removed", "without_metadata", "orphans", "rows"
        ]
        assert found["entries"] == 300 and found["damaged"] == 2
        assert found["removed"] == found["without_metadata"] == 0
        assert [key for key, _ in found["rows"]] == [b"k3", b"k7"]
        assert all(isinstance(what, str) and len(what) > 5 for _, what in found["rows"])
        assert vs.vector_stats()["damaged"] == 2

        mended = vs.repair()
        assert mended["damaged"] == 2 and mended["rows"] == found["rows"]
        assert mended["removed"] == mended["without_metadata"] == 1
        assert vs.vector_stats()["damaged"] == 0 and len(vs) == 299
        assert vs.get("k3") == b"value" and vs.get_metadata("k7") is None
        with pytest.raises(snkv.NotFoundError):
            vs.vector_get("k3")
        assert vs.verify()["damaged"] == 0 and vs.repair()["removed"] == 0
    with VectorStore(damaged, DIM) as vs:
        assert len(vs.search(some_vectors(1)[0], top_k=300)) == 299


@pytest.mark.parametrize("call", [VectorStore.verify, VectorStore.repair])
def test_a_check_that_does_not_come_to_its_end(damaged, call):
    with VectorStore(damaged, DIM) as vs:
        with pytest.raises(snkv.Error) as caught:
            call(vs, progress=lambda done, total: False)
        assert caught.value.code == "aborted"

        def fail(done, total):
            raise ZeroDivisionError("mine")

        with pytest.raises(ZeroDivisionError, match="mine"):
            call(vs, progress=fail)
        with pytest.raises(TypeError):
            call(vs, progress=1)
        assert vs.vector_stats()["damaged"] == 2

        def use(done, total):
            assert vs.get("k1") == b"value"
            with pytest.raises(snkv.LockedError):
                vs.vector_put("k1", "other", some_vectors(1)[0])

        assert call(vs, progress=use)["damaged"] == 2
        vs.drop_vector_index()
        with pytest.raises(VectorIndexError):
            call(vs)
    with pytest.raises(snkv.ClosedError):
        call(vs)


def test_damage_of_the_collection_itself(path):
    with VectorStore(path, DIM) as vs:
        vs.put_array(["a", "b"], some_vectors(2))
    damage(path, "UPDATE snkv_vector_1_vectors SET key = x'000000ff' WHERE key = x'00000000'")
    with VectorStore(path, DIM) as vs:
        found = vs.verify()
        assert found["damaged"] == 1 and found["orphans"] == 1
        assert vs.repair()["orphans"] == 1
        assert vs.verify() == {**found, "entries": 1, "damaged": 0, "orphans": 0, "rows": []}


def test_reserved_names_of_collections(path):
    for name in ("__x", "_snkv_x"):
        with pytest.raises(snkv.InvalidArgumentError, match="reserved"):
            VectorStore(path, DIM, name=name)
    assert not os.path.exists(path)
    with KVStore(path) as db, pytest.raises(snkv.InvalidArgumentError, match="reserved"):
        drop_collection(db, "__x")
    # One that another interface has made.
    for name in ("one", "two"):
        VectorStore(path, DIM, name=name).close()
    damage(path, "UPDATE snkv_vectors SET key = CAST('__x' AS BLOB) WHERE key = CAST('two' AS BLOB)")
    with KVStore(path) as db:
        assert list_collections(db) == ["one"]


def test_options_of_the_store(path, tmp_path):
    with VectorStore(path, DIM) as vs:
        vs.vector_put("a", "value", some_vectors(1)[0])
        assert vs.kv.file == os.path.realpath(path)
    os.link(path, tmp_path / "other.db")
    with pytest.raises(snkv.InvalidArgumentError, match="has 2 names"):
        VectorStore(path, DIM)
    with VectorStore(path, DIM, allow_hard_links=True) as vs:
        assert vs.get("a") == b"value"


def test_dropping_the_index(path):
    vector = some_vectors(1)[0]
    with VectorStore(path, DIM) as vs:
        vs.vector_put("a", "value", vector, metadata={"x": 1})
        vs.drop_vector_index()
        for use in (
            lambda: vs.search(vector), lambda: vs.search_keys(vector), lambda: vs.vector_get("a"),
            lambda: vs.vector_put("b", "", vector), lambda: vs.vector_put_batch([("b", "", vector)]),
        ):
            with pytest.raises(VectorIndexError) as caught:
                use()
            assert "dropped" in str(caught.value)
        assert vs.get("a") == b"value" and vs["a"] == b"value"
        vs.delete("a")
        assert vs.get("a") is None


def test_several_collections_in_one_file(path):
    with VectorStore(path, 2, name="one") as one:
        one.vector_put("a", "1", [1, 0])
        with pytest.raises(snkv.NotFoundError):
            one.kv["a"]
        assert one.kv.open_column_family("one")["a"] == b"1"
        assert list_collections(one.kv) == ["one"]
    with VectorStore(path, 3) as two:
        two.vector_put("b", "2", [1, 0, 0])
        assert two.kv["b"] == b"2"
        assert list_collections(two.kv) == ["default", "one"]
        assert drop_collection(two.kv, "one") is True
        assert drop_collection(two.kv, "one") is False
        assert list_collections(two.kv) == ["default"]


def test_two_handles(path):
    with VectorStore(path, DIM) as one, VectorStore(path, DIM) as two:
        vectors = some_vectors(2)
        one.vector_put("a", "1", vectors[0])
        assert two.search(vectors[0])[0].key == b"a"
        two.vector_put("b", "2", vectors[1])
        two.delete("a")
        assert [hit.key for hit in one.search(vectors[0])] == [b"b"]


def test_a_closed_store(path):
    vector = some_vectors(1)[0]
    vs = VectorStore(path, DIM)
    vs.vector_put("a", "value", vector)
    vs.close()
    vs.close()
    for use in (
        lambda: vs.search(vector), lambda: vs.search_keys(vector), lambda: vs.search_batch([vector]),
        lambda: vs.vector_put("b", "", vector), lambda: vs.vector_put_batch([("b", "", vector)]),
        lambda: vs.vector_get("a"), lambda: vs.get("a"), lambda: vs["a"], lambda: len(vs),
        lambda: vs.get_metadata("a"), vs.vector_stats, vs.vector_info, vs.vector_purge_expired,
        vs.drop_vector_index, vs.compact, vs.save, vs.clear, lambda: vs.delete("a"),
        lambda: list(vs.keys()),
    ):
        with pytest.raises(snkv.ClosedError):
            use()


def test_many_threads(path):
    vectors = some_vectors(400)
    with VectorStore(path, DIM) as vs:
        vs.put_array([f"{i}" for i in range(200)], vectors[:200])
        errors = []

        def write():
            for i in range(200, 300):
                vs.vector_put(f"{i}", "value", vectors[i], metadata={"i": i})

        def read():
            try:
                for i in range(100):
                    assert vs.search(vectors[i], 1, exact=True)[0].key == b"%d" % i
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=target) for target in (write, read, read, read)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert not errors
        assert len(vs) == 300


def test_the_default_collection_is_that_of_the_c_interface(path):
    """Values of the collection "default" are those of the default family, as JSON and SQL show
    them."""
    with VectorStore(path, DIM) as vs:
        vs.vector_put("a", json.dumps({"x": 1}), some_vectors(1)[0])
    with KVStore(path) as db:
        assert json.loads(db["a"]) == {"x": 1}
        assert db.list_column_families() == []


def test_no_copies_of_float32_arrays():
    from snkv import vector as module

    array = some_vectors(3)
    assert module._vectors(array, 2) is array
    assert np.shares_memory(module._vectors(array[1], 1), array)
