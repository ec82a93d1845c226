"""Iterators: as Python iterators, by hand, both mixed, and what happens beside them."""

import gc

import pytest

import snkv
from snkv import KVStore

KEYS = [b"a", b"p1", b"p2", b"p3", b"z"]


@pytest.fixture(params=["store", "family", "transaction", "snapshot"])
def entries(request, path):
    """Where KEYS are, each with itself as its value."""
    with KVStore(path) as db:
        writer = db.create_column_family("family") if request.param == "family" else db
        writer.put_many((key, key) for key in KEYS)
        if request.param == "transaction":
            with db.transaction() as transaction:
                yield transaction
        elif request.param == "snapshot":
            with db.snapshot() as snapshot:
                yield snapshot
        else:
            yield writer


def keys(iterator):
    return [key for key, _ in iterator]


def test_as_python_iterators(entries):
    assert keys(entries) == KEYS
    assert keys(entries.iterator()) == KEYS
    assert keys(entries.iterator(reverse=True)) == KEYS[::-1]
    assert keys(entries.iterator(prefix="p")) == KEYS[1:4]
    assert keys(entries.iterator(prefix=b"p", reverse=True)) == KEYS[3:0:-1]
    assert keys(entries.prefix_iterator("p")) == KEYS[1:4]
    assert keys(entries.reverse_iterator()) == KEYS[::-1]
    assert keys(entries.reverse_prefix_iterator("p")) == KEYS[3:0:-1]
    assert keys(entries.prefix_iterator("nothing")) == []
    assert keys(entries.range("p1", "p3")) == [b"p1", b"p2"]
    assert keys(entries.range("p1", "p3", reverse=True)) == [b"p2", b"p1"]
    assert keys(entries.range("b", "a")) == []
    with entries.iterator() as it:
        assert next(it) == (b"a", b"a")
        assert iter(it) is not None
        assert keys(it) == KEYS[1:]
        with pytest.raises(StopIteration):
            next(it)
        with pytest.raises(StopIteration):
            next(it)


def test_by_hand(entries):
    it = entries.iterator()
    seen = []
    assert it.first() is it
    while not it.eof:
        seen.append((it.key, it.value))
        assert it.item() == seen[-1]
        it.next()
    assert seen == [(key, key) for key in KEYS]
    it.next()
    assert it.eof
    for at_end in (lambda: it.key, lambda: it.value, it.item):
        with pytest.raises(snkv.Error):
            at_end()
    it.close()

    it = entries.reverse_iterator()
    seen = []
    assert it.last() is it
    while not it.eof:
        seen.append(it.key)
        it.prev()
    assert seen == KEYS[::-1]
    assert it.first().key == b"a"


def test_it_stands_on_the_first_entry_by_itself(entries):
    assert entries.iterator().key == b"a"
    assert entries.reverse_iterator().key == b"z"
    assert entries.prefix_iterator("p").key == b"p1"
    assert entries.reverse_prefix_iterator("p").item() == (b"p3", b"p3")
    it = entries.iterator()
    it.next()
    assert it.key == b"p1"
    it = entries.reverse_iterator()
    it.prev()
    assert it.key == b"p3"


def test_seek(entries):
    it = entries.iterator()
    assert it.seek("p2") is it
    assert it.key == b"p2"
    assert it.seek("p15").key == b"p2"
    assert it.seek("zz").eof
    assert it.seek("").key == b"a"
    reverse = entries.iterator(reverse=True)
    assert reverse.seek("p15").key == b"p1"
    assert reverse.seek("zz").key == b"z"
    assert reverse.seek("A").eof
    prefix = entries.iterator(prefix="p")
    assert prefix.seek("p3").key == b"p3"
    assert prefix.seek("z").eof
    assert prefix.seek("a").key == b"p1"
    assert entries.iterator(prefix="p", reverse=True).seek("z").key == b"p3"
    assert entries.iterator(prefix="p", reverse=True).seek("a").eof


def test_loops_and_hands_mixed(entries):
    it = entries.iterator()
    for key, _ in it:
        if key == b"p1":
            break
    # The current entry is the one that the loop had last.
    assert it.item() == (b"p1", b"p1")
    it.next()
    assert it.key == b"p2"
    assert keys(it) == [b"p2", b"p3", b"z"]
    assert it.eof
    assert keys(it.seek("p3")) == [b"p3", b"z"]
    reverse = entries.reverse_iterator()
    assert next(reverse)[0] == b"z"
    reverse.prev()
    assert keys(reverse) == [b"p3", b"p2", b"p1", b"a"]
    reverse.last()
    next(reverse)
    reverse.prev()
    assert reverse.key == b"p3"


def test_long_scans_in_both_directions(db):
    expected = [(b"%06d" % i, b"v" * (i % 300)) for i in range(3000)]
    db.put_many(expected)
    assert list(db) == expected
    assert list(db.iterator(reverse=True)) == expected[::-1]
    assert list(db.keys()) == [key for key, _ in expected]
    assert list(db.values(reverse=True)) == [value for _, value in expected[::-1]]
    # By hand out of what was read ahead, at every position of a batch.
    it = db.iterator()
    for i in range(600):
        assert next(it) == expected[i]
        assert it.item() == expected[i]
        it.next()
        assert it.item() == expected[i + 1]
    large = b"x" * 200_000
    db.put_many((b"l%d" % i, large) for i in range(5))
    assert [len(value) for _, value in db.prefix_iterator("l")] == [200_000] * 5


def test_one_view_while_others_write(db):
    db.put_many((key, key) for key in KEYS)
    it = db.iterator()
    assert next(it)[0] == b"a"
    db.delete("p2")
    db["p15"] = "new"
    db.clear()
    assert keys(it) == KEYS[1:]
    assert it.seek("p2").key == b"p2"
    assert list(db) == []


def test_deleting_in_a_loop(db):
    db.put_many((f"{i:04}", "") for i in range(1000))
    for key, _ in db:
        if int(key) % 2:
            del db[key]
    assert db.count() == 500


def test_one_of_a_transaction_sees_its_writes(db):
    db.put_many({"a": "1", "c": "3"})
    db.begin(write=True)
    it = db.iterator()
    assert next(it)[0] == b"a"
    db["b"] = "2"
    assert keys(it) == [b"b", b"c"]
    assert it.seek("b").value == b"2"
    db.rollback()
    with pytest.raises(snkv.Error):
        it.first()
    assert db.get("b") is None


def test_one_outlives_its_store(path):
    db = KVStore(path)
    db.put_many((f"{i:04}", "value") for i in range(2000))
    started, fresh = db.iterator(), db.iterator()
    loop = db.keys()
    next(started)
    next(loop)
    db.close()
    uses = [
        lambda: next(started),
        lambda: next(loop),
        lambda: next(fresh),
        lambda: list(started),
        lambda: started.key,
        lambda: started.value,
        lambda: started.item(),
        lambda: started.eof,
        started.first,
        started.last,
        started.next,
        started.prev,
        lambda: started.seek("1"),
    ]
    for use in uses:
        with pytest.raises(snkv.ClosedError, match="closed"):
            use()
    started.close()
    started.close()


def test_one_keeps_a_forgotten_store_open(path):
    it = KVStore(path).iterator()
    gc.collect()
    assert it.eof
    db = KVStore(path)
    db["a"] = "1"
    it = db.iterator()
    del db
    gc.collect()
    assert list(it) == [(b"a", b"1")]


def test_closed_iterator(db):
    db["a"] = "1"
    with db.iterator() as it:
        pass
    for use in (it.first, lambda: next(it), lambda: it.key, lambda: it.eof):
        with pytest.raises(snkv.ClosedError):
            use()


def test_dropped_family(db):
    family = db.create_column_family("family")
    family.put_many({"a": "1", "b": "2"})
    it = family.iterator()
    next(it)
    db.drop_column_family("family")
    assert keys(it) == [b"b"]
    with pytest.raises(snkv.Error) as caught:
        family.iterator()
    assert caught.value.code == "dropped"
