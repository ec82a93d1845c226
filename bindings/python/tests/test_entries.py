"""Operations on entries, alike for a store, a family, and a transaction."""

import time

import pytest

import snkv
from snkv import KVStore, WriteBatch


@pytest.fixture(
    params=["store", "memory", "family", "default", "transaction", "thread's transaction"]
)
def entries(request, path):
    with KVStore(None if request.param == "memory" else path) as db:
        if request.param == "family":
            yield db.create_column_family("family")
        elif request.param == "default":
            yield db.default_column_family()
        elif request.param == "transaction":
            with db.transaction() as transaction:
                yield transaction
        elif request.param == "thread's transaction":
            db.begin(write=True)
            yield db
            db.rollback()
        else:
            yield db


def test_put_get_delete(entries):
    assert entries.put("key", "value") is None
    assert entries.get("key") == b"value"
    assert entries.get(b"missing") is None
    assert entries.get(b"missing", b"default") == b"default"
    assert entries.exists("key") is True
    assert entries.exists("missing") is False
    assert entries.delete("key") is None
    assert entries.get("key") is None
    with pytest.raises(snkv.NotFoundError):
        entries.delete("key")


def test_dict_style(entries):
    entries["key"] = "value"
    assert entries["key"] == b"value"
    assert "key" in entries
    del entries["key"]
    assert "key" not in entries
    for missing in (lambda: entries["key"], lambda: entries.__delitem__("key")):
        with pytest.raises(KeyError) as caught:
            missing()
        assert isinstance(caught.value, snkv.NotFoundError)
        assert isinstance(caught.value, snkv.Error)
    assert 1 not in entries
    entries["key", 60] = "value"
    assert 59 < entries.ttl("key") <= 60
    entries["key", None] = "value"
    assert entries.ttl("key") is None
    with pytest.raises(TypeError):
        entries["key", 1, 2] = "value"


@pytest.mark.parametrize(
    "given", ["text", b"text", bytearray(b"text"), memoryview(b"text"), memoryview(b"t.e.x.t")[::2]]
)
def test_types_of_keys_and_values(entries, given):
    entries[given] = given
    assert entries["text"] == b"text"
    assert type(entries["text"]) is bytes
    assert given in entries
    assert list(entries) == [(b"text", b"text")]
    assert type(next(iter(entries))[0]) is bytes


def test_text_is_utf8(entries):
    entries["\u00fcber\u4e2d\U0001f600"] = "\u00e9"
    assert list(entries) == [("\u00fcber\u4e2d\U0001f600".encode(), b"\xc3\xa9")]
    with pytest.raises(UnicodeEncodeError):
        entries["\ud800"] = "lone surrogate"


@pytest.mark.parametrize("wrong", [None, 1, 1.5, ["a"], ("a", "b", "c"), {"a": 1}, object(), str])
def test_wrong_types(entries, wrong):
    calls = [
        lambda: entries.get(wrong),
        lambda: entries.put(wrong, "value"),
        lambda: entries.put("key", wrong),
        lambda: entries.delete(wrong),
        lambda: entries.exists(wrong),
        lambda: entries.ttl(wrong),
        lambda: entries.put_if_absent(wrong, "value"),
        lambda: entries.put_if_absent("key", wrong),
        lambda: entries.prefix_iterator(wrong).close() if wrong is not None else entries.get(None),
        lambda: entries.iterator().seek(wrong),
        lambda: entries.range(wrong, "z"),
        lambda: entries.get_many([wrong]),
        lambda: entries.put_many([("key", wrong)]),
        lambda: entries.delete_prefix(wrong),
        lambda: entries.increment(wrong),
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()
    assert entries.count() == 0


@pytest.mark.parametrize("wrong", ["1", [1], object()])
def test_wrong_types_of_ttl(entries, wrong):
    with pytest.raises(TypeError):
        entries.put("key", "value", ttl=wrong)
    with pytest.raises(TypeError):
        entries.put_if_absent("key", "value", ttl=wrong)
    assert entries.count() == 0


@pytest.mark.parametrize("wrong", [0, -1, -0.5, float("nan"), float("inf"), float("-inf"), 1e300])
def test_bad_ttl(entries, wrong):
    for call in (entries.put, entries.put_if_absent, entries.get_and_put):
        with pytest.raises(ValueError) as caught:
            call("key", "value", ttl=wrong)
        assert isinstance(caught.value, snkv.Error)
    assert entries.count() == 0


def test_bad_keys_and_values(entries):
    with pytest.raises(snkv.InvalidArgumentError, match="put: "):
        entries[""] = "value"
    with pytest.raises(ValueError, match="get: "):
        entries.get(b"")
    with pytest.raises(snkv.InvalidArgumentError) as caught:
        entries[b"k" * 65537] = "value"
    assert caught.value.code == "too_large"
    entries[b"k" * 65536] = ""
    assert entries[b"k" * 65536] == b""


def test_binary_and_large(entries):
    key = bytes(range(256))
    for size in (0, 1, 4000, 100_000, 3_000_000):
        value = bytes(range(256)) * (size // 256) + b"\x00" * (size % 256)
        entries[key] = value
        assert entries[key] == value


def test_ttl(entries):
    entries.put("long", "2", ttl=3600)
    entries.put("half", "2", ttl=0.5)
    entries.put("ever", "3")
    assert 3599 < entries.ttl("long") <= 3600
    assert isinstance(entries.ttl("long"), float)
    assert entries.ttl("half") <= 0.5
    assert entries.ttl("ever") is None
    entries.put("long", "2")
    assert entries.ttl("long") is None
    with pytest.raises(snkv.NotFoundError):
        entries.ttl("missing")


def test_expired_is_absent(db):
    db.put("key", "value", ttl=0.01)
    db.put("other", "value")
    deadline = time.monotonic() + 10
    while db.exists("key") and time.monotonic() < deadline:
        time.sleep(0.005)
    assert db.get("key") is None
    assert "key" not in db
    with pytest.raises(snkv.NotFoundError):
        db["key"]
    assert db.ttl("key") == 0.0
    assert list(db.keys()) == [b"other"]
    assert db.count() == 2
    assert db.count_live() == 1
    assert db.put_if_absent("key", "again") is True
    db.put("gone", "value", ttl=0.001)
    time.sleep(0.01)
    assert db.purge_expired() == 1
    assert db.count() == 2
    assert db.stats()["ttl_purged"] == 1


def test_expire_and_persist(entries):
    entries["key"] = "value"
    entries.expire("key", 100)
    assert 99 < entries.ttl("key") <= 100
    entries.persist("key")
    assert entries.ttl("key") is None
    with pytest.raises(snkv.NotFoundError):
        entries.expire("missing", 1)
    with pytest.raises(snkv.NotFoundError):
        entries.persist("missing")
    with pytest.raises(TypeError):
        entries.expire("key", None)
    with pytest.raises(ValueError):
        entries.expire("key", 0)


def test_put_if_absent(entries):
    assert entries.put_if_absent("key", "first") is True
    assert entries.put_if_absent("key", "second") is False
    assert entries["key"] == b"first"
    assert entries.put_if_absent("other", "value", ttl=60) is True
    assert 59 < entries.ttl("other") <= 60


def test_compare_and_swap(entries):
    assert entries.compare_and_swap("key", None, "1") is True
    assert entries.compare_and_swap("key", None, "2") is False
    assert entries.compare_and_swap("key", "2", "3") is False
    assert entries.compare_and_swap("key", "1", "2", ttl=60) is True
    assert entries["key"] == b"2"
    assert entries.ttl("key") is not None


def test_increment(entries):
    assert entries.increment("counter") == 1
    assert entries.increment("counter", 41) == 42
    assert entries.increment("counter", -2) == 40
    assert entries["counter"] == b"40"
    entries["text"] = "no number"
    with pytest.raises(snkv.InvalidArgumentError):
        entries.increment("text")


def test_get_and_put_and_pop(entries):
    assert entries.get_and_put("key", "1") is None
    assert entries.get_and_put("key", "2") == b"1"
    assert entries.pop("key") == b"2"
    assert entries.pop("key") is None
    assert entries.pop("key", b"default") == b"default"


def test_many(entries):
    entries.put_many({"a": "1", b"b": b"2"})
    entries.put_many(((f"k{i}", str(i)) for i in range(10)), ttl=60)
    assert entries.get_many(["a", "missing", b"b", "k9"]) == [b"1", None, b"2", b"9"]
    assert entries.get_many([]) == []
    assert entries.ttl("k0") is not None and entries.ttl("a") is None
    assert entries.count() == 12
    assert entries.count("k") == 10
    with pytest.raises(ValueError):
        entries.put_many([("a", "b", "c")])
    with pytest.raises(TypeError):
        entries.put_many([1])
    with pytest.raises(ZeroDivisionError):
        entries.put_many((str(1 // i), "value") for i in (1, 0))
    assert entries.count() == 12


def test_deletes_of_many(entries):
    entries.put_many((f"{letter}{i}", "") for letter in "abc" for i in range(5))
    assert entries.delete_prefix("a") == 5
    assert entries.delete_range("b1", "b3") == 2
    assert entries.count() == 8
    with pytest.raises(snkv.InvalidArgumentError):
        entries.delete_range("z", "a")
    entries.clear()
    assert entries.count() == 0


def test_batch(entries):
    batch = WriteBatch()
    assert not batch
    assert batch.put("a", "1").put("b", "2", ttl=60).delete("a") is batch
    batch.put("c1", "").put("c2", "").delete_range("c1", "c2")
    assert batch
    entries["old"] = "value"
    entries.write(WriteBatch().clear())
    entries.write(WriteBatch(bytes(batch)))
    assert list(entries) == [(b"b", b"2"), (b"c2", b"")]
    assert entries.ttl("b") is not None
    batch.reset()
    assert not batch
    with pytest.raises(snkv.InvalidArgumentError):
        entries.write(WriteBatch(b"nonsense"))
    with pytest.raises(snkv.InvalidArgumentError):
        entries.write(WriteBatch().put("a", "1").put("", "1"))
    assert entries.get("a") is None
    with pytest.raises(TypeError):
        batch.put(1, "value")
    with pytest.raises(TypeError):
        WriteBatch("text")


def test_batch_over_families(db):
    db.create_column_family("one")
    db.write(WriteBatch().put("a", "1").in_family("one").put("b", "2").in_family("").put("c", "3"))
    assert list(db) == [(b"a", b"1"), (b"c", b"3")]
    assert list(db.open_column_family("one")) == [(b"b", b"2")]
    with pytest.raises(snkv.NotFoundError):
        db.write(WriteBatch().put("d", "4").in_family("missing").put("e", "5"))
    assert db.count() == 2
    with pytest.raises(TypeError):
        WriteBatch().in_family(b"bytes")


def test_keys_values_items(entries):
    entries.put_many({"a1": "1", "a2": "2", "b": "3"})
    assert list(entries.keys()) == [b"a1", b"a2", b"b"]
    assert list(entries.values(reverse=True)) == [b"3", b"2", b"1"]
    assert list(entries.items(prefix="a")) == [(b"a1", b"1"), (b"a2", b"2")]
    assert list(entries.keys(prefix="a", reverse=True)) == [b"a2", b"a1"]
    assert dict(entries.items()) == {b"a1": b"1", b"a2": b"2", b"b": b"3"}


def test_a_buffer_that_changes_meanwhile_is_copied(db):
    key = bytearray(b"key")
    db[key] = key
    key[:] = b"KEY"
    assert list(db) == [(b"key", b"key")]
