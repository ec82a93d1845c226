"""Transactions of threads, transactions that are objects, snapshots, savepoints."""

import threading

import pytest

import snkv
from snkv import KVStore


def in_thread(call):
    """What `call` gives or raises when another thread makes it."""
    outcome = {}

    def run():
        try:
            outcome["value"] = call()
        except Exception as error:
            outcome["value"] = error

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    return outcome["value"]


def test_commit_and_rollback(db):
    assert db.begin(write=True) is None
    db["a"] = "1"
    assert db["a"] == b"1"
    assert db.commit() is None
    db.begin(write=True)
    db["b"] = "2"
    del db["a"]
    assert db.rollback() is None
    assert list(db) == [(b"a", b"1")]


def test_a_transaction_for_reading(db):
    db["a"] = "1"
    db.begin()
    assert in_thread(lambda: db.put("a", "2")) is None
    assert db["a"] == b"1"
    db.begin()
    assert db["a"] == b"1"
    with pytest.raises(snkv.ReadOnlyError):
        db["b"] = "2"
    with pytest.raises(snkv.ReadOnlyError):
        db.create_column_family("family")
    with pytest.raises(snkv.ReadOnlyError):
        db.drop_column_family("family")
    with pytest.raises(snkv.ReadOnlyError):
        db.savepoint()
    db.commit()
    assert db["a"] == b"2"
    db.begin()
    db.rollback()
    # One for reading gives way to one for writing.
    db.begin()
    db.begin(write=True)
    db["a"] = "3"
    db.commit()
    assert db["a"] == b"3"


def test_misuse(db):
    with pytest.raises(snkv.Error, match="no transaction"):
        db.savepoint()
    db.begin(write=True)
    with pytest.raises(snkv.LockedError):
        db.begin(write=True)
    with pytest.raises(snkv.LockedError):
        db.transaction()
    with pytest.raises(snkv.LockedError):
        db.checkpoint()
    db["a"] = "1"
    db.commit()
    assert db["a"] == b"1"


def test_a_transaction_belongs_to_its_thread(db):
    db["a"] = "1"
    db.begin(write=True)
    db["a"] = "2"
    assert in_thread(lambda: db["a"]) == b"1"
    assert isinstance(in_thread(lambda: db.put("b", "1")), snkv.BusyError)
    for end in (db.commit, db.rollback):
        error = in_thread(end)
        assert isinstance(error, snkv.Error) and "another one has" in str(error)
    db.commit()
    assert in_thread(lambda: db["a"]) == b"2"


def test_a_thread_that_ends_rolls_back(db):
    def leave():
        db.begin(write=True)
        db["a"] = "1"

    assert in_thread(leave) is None
    assert db.get("a") is None
    db["b"] = "2"
    db.begin(write=True)
    db.commit()


def test_transactions_of_two_stores_in_one_thread(tmp_path):
    with KVStore(tmp_path / "one") as one, KVStore(tmp_path / "two") as two:
        one.begin(write=True)
        two.begin(write=True)
        one["a"] = "1"
        two["a"] = "2"
        one.rollback()
        two.commit()
        assert one.get("a") is None and two["a"] == b"2"


def test_close_rolls_back(path):
    db = KVStore(path)
    db.begin(write=True)
    db["a"] = "1"
    db.close()
    with pytest.raises(snkv.ClosedError):
        db.commit()
    with KVStore(path) as db:
        assert db.get("a") is None
        assert in_thread(lambda: db.begin(write=True)) is None


def test_two_handles(path):
    with KVStore(path) as one, KVStore(path) as two:
        one.begin(write=True)
        one["a"] = "1"
        with pytest.raises(snkv.BusyError) as caught:
            two["a"] = "2"
        assert caught.value.code == "busy"
        assert two.get("a") is None
        one.commit()
        assert two["a"] == b"1"
        two["a"] = "2"
        assert one["a"] == b"2"


def test_transaction_object(db):
    with db.transaction() as t:
        t["a"] = "1"
        assert t["a"] == b"1"
        assert db.get("a") is None
        with pytest.raises(snkv.LockedError):
            db["b"] = "2"
    assert db["a"] == b"1"
    with pytest.raises(ZeroDivisionError):
        with db.transaction() as t:
            t["a"] = "2"
            1 / 0
    assert db["a"] == b"1"
    for use in (lambda: t["a"], t.commit, t.rollback, t.savepoint, lambda: t.put("a", "1"),
                t.list_column_families):
        with pytest.raises(snkv.ClosedError):
            use()
    with db.transaction() as t:
        t["a"] = "3"
        t.commit()
    with db.transaction() as t:
        t["a"] = "4"
        t.rollback()
    assert db["a"] == b"3"


def test_a_transaction_object_can_be_handed_around(db):
    t = db.transaction()
    assert in_thread(lambda: t.put("a", "1")) is None
    assert in_thread(t.commit) is None
    assert db["a"] == b"1"


def test_a_forgotten_transaction_object_rolls_back(db):
    t = db.transaction()
    t["a"] = "1"
    del t
    assert db.get("a") is None
    db["a"] = "2"


def test_families_in_a_transaction(db):
    family = db.create_column_family("family")
    family["a"] = "1"
    db.begin(write=True)
    family["a"] = "2"
    other = db.create_column_family("other")
    other["b"] = "1"
    assert family["a"] == b"2"
    assert in_thread(lambda: family["a"]) == b"1"
    assert db.list_column_families() == ["family", "other"]
    db.rollback()
    assert family["a"] == b"1"
    with pytest.raises(snkv.Error) as caught:
        other["b"]
    assert caught.value.code == "dropped"

    db.begin(write=True)
    other = db.create_column_family("other")
    other["b"] = "1"
    db.commit()
    assert other["b"] == b"1"
    other["b"] = "2"

    with db.transaction() as t:
        mine = t.open_column_family("other")
        mine["b"] = "3"
        assert other["b"] == b"2"
        t.create_column_family("third")["c"] = "1"
        t.drop_column_family("family")
        assert t.default_column_family().count() == 0
    assert other["b"] == b"3"
    assert db.list_column_families() == ["other", "third"]
    with pytest.raises(snkv.ClosedError):
        mine["b"]


def test_a_new_family_of_the_same_name_is_another_one(db):
    old = db.create_column_family("family")
    old["a"] = "1"
    db.begin(write=True)
    db.drop_column_family("family")
    new = db.create_column_family("family")
    for use in (lambda: old.get("a"), lambda: old.put("a", "ghost")):
        with pytest.raises(snkv.Error) as caught:
            use()
        assert caught.value.code == "dropped"
    new["a"] = "2"
    db.commit()
    with pytest.raises(snkv.Error):
        old["a"] = "ghost"
    assert new["a"] == b"2"


def test_savepoints(db):
    db.begin(write=True)
    db["a"] = "1"
    outer = db.savepoint()
    db["a"] = "2"
    inner = db.savepoint()
    db["a"] = "3"
    inner.rollback()
    assert db["a"] == b"2"
    db["a"] = "4"
    inner.rollback()
    inner.release()
    with pytest.raises(snkv.ClosedError):
        inner.rollback()
    outer.rollback()
    assert db["a"] == b"1"
    db["a"] = "5"
    outer.release()
    db.commit()
    assert db["a"] == b"5"
    with pytest.raises(snkv.ClosedError):
        outer.rollback()


def test_savepoints_as_blocks(db):
    with db.transaction() as t:
        t["a"] = "1"
        with t.savepoint():
            t["b"] = "2"
        with pytest.raises(ZeroDivisionError):
            with t.savepoint():
                t["c"] = "3"
                1 / 0
        with t.savepoint() as savepoint:
            t["d"] = "4"
            savepoint.rollback()
        t["e"] = "5"
    assert list(db.keys()) == [b"a", b"b", b"e"]


def test_a_forgotten_savepoint_changes_nothing(db):
    db.begin(write=True)
    db.savepoint()
    db["a"] = "1"
    db.savepoint()
    db.commit()
    assert db["a"] == b"1"


def test_the_end_of_an_outer_savepoint_ends_the_inner_one(db):
    db.begin(write=True)
    outer = db.savepoint()
    inner = db.savepoint()
    outer.release()
    with pytest.raises(snkv.ClosedError):
        inner.rollback()
    db.rollback()


def test_snapshot(db):
    db["a"] = "1"
    family = db.create_column_family("family")
    family["b"] = "1"
    with db.snapshot() as snap:
        db["a"] = "2"
        db.drop_column_family("family")
        assert snap["a"] == b"1"
        assert snap.list_column_families() == ["family"]
        then = snap.open_column_family("family")
        assert then["b"] == b"1"
        assert list(snap) == [(b"a", b"1")]
        assert snap.get_many(["a", "b"]) == [b"1", None]
        with pytest.raises(snkv.ReadOnlyError):
            then["b"] = "2"
        with pytest.raises(snkv.NotFoundError):
            snap.open_column_family("missing")
        assert not hasattr(snap, "put")
    for use in (lambda: snap["a"], lambda: then["b"], lambda: list(snap), snap.list_column_families):
        with pytest.raises(snkv.ClosedError):
            use()
    snap.close()
