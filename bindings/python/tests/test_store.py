"""Opening, families, maintenance, closing, and the exceptions."""

import os
import pathlib
import pickle
import threading

import pytest

import snkv
from snkv import KVStore


def test_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("text.db", b"bytes.db", pathlib.Path("path.db"), "\u00fcber.db"):
        with KVStore(path) as db:
            db["a"] = "1"
            assert db.path == os.fsdecode(path)
        assert os.path.exists(path)
    for wrong in (1, ["a"], object()):
        with pytest.raises(TypeError):
            KVStore(wrong)
    with pytest.raises(snkv.Error) as caught:
        KVStore(tmp_path)
    assert caught.value.code == "cant_open"
    with pytest.raises(snkv.InvalidArgumentError):
        KVStore("")


def test_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    os.symlink(tmp_path / "folder", "link")
    with KVStore("link/test.db") as db:
        assert db.path == "link/test.db"
        assert db.file == os.path.realpath(tmp_path / "folder" / "test.db")
        os.chdir("/")
        assert os.path.exists(db.file)
        monkeypatch.chdir(tmp_path)
    assert db.file == os.path.realpath("folder/test.db")  # of a closed one too
    with KVStore() as db:
        assert db.file == ""


def test_a_name_that_is_no_text(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.db"
    with KVStore(path) as db:
        assert db.path == db.file == os.fsdecode(path)
        assert "caf" in repr(db)
    assert os.path.exists(path)


def test_hard_links(path, tmp_path):
    with KVStore(path) as db:
        db["a"] = "1"
    os.link(path, tmp_path / "other.db")
    for options in ({}, {"read_only": True}, {"allow_hard_links": False}):
        with pytest.raises(snkv.InvalidArgumentError, match="has 2 names.*allow_hard_links"):
            KVStore(path, **options)
    with KVStore(path, allow_hard_links=True) as db:
        db["a"] = "2"
    os.remove(tmp_path / "other.db")
    with KVStore(path) as db:
        assert db["a"] == b"2"


def test_in_memory():
    with KVStore() as db, KVStore(None) as other:
        db["a"] = "1"
        assert db.path == ""
        assert other.count() == 0


def test_configuration(path):
    with KVStore(
        path,
        journal_mode=snkv.JOURNAL_DELETE,
        sync_level=snkv.SYNC_OFF,
        cache_size=10,
        page_size=16384,
        busy_timeout=10,
        read_only=False,
        wal_size_limit=5,
    ) as db:
        db["a"] = "1"
        assert not os.path.exists(path + "-wal")
        assert os.path.getsize(path) % 16384 == 0
    with KVStore(path, sync_level=snkv.SYNC_FULL) as db:
        assert db["a"] == b"1"
    with KVStore(path, cache_size=0, page_size=0) as db:
        assert db["a"] == b"1"
    with KVStore(path, page_size=512) as db:
        assert db["a"] == b"1"


@pytest.mark.parametrize(
    "option, values",
    [
        ("journal_mode", (-1, 2)),
        ("sync_level", (-1, 3)),
        ("cache_size", (-1, 2**40)),
        ("page_size", (-1, 1000, 256, 131072)),
        ("busy_timeout", (-1, 2**50)),
        ("wal_size_limit", (-1, 2**40)),
    ],
)
def test_bad_configuration(path, option, values):
    for value in values:
        with pytest.raises(ValueError) as caught:
            KVStore(path, **{option: value})
        assert isinstance(caught.value, snkv.Error)
    for wrong in ("1", None, 1.5):
        with pytest.raises(TypeError):
            KVStore(path, **{option: wrong})
    assert not os.path.exists(path)


def test_unknown_options(path):
    with pytest.raises(TypeError):
        KVStore(path, no_such_option=1)
    with pytest.raises(TypeError):
        KVStore(path, snkv.JOURNAL_WAL)


def test_the_default_page_size(path):
    with KVStore(path) as db:
        db["a"] = "1"
        db.checkpoint(snkv.CHECKPOINT_TRUNCATE)
        pages = db.stats()["db_pages"]
    assert os.path.getsize(path) == pages * 4096


def test_read_only(path):
    with pytest.raises(snkv.Error):
        KVStore(path, read_only=True)
    with KVStore(path) as db:
        db["a"] = "1"
    with KVStore(path, read_only=True) as db:
        assert db["a"] == b"1"
        for write in (lambda: db.put("b", "2"), db.clear, lambda: db.begin(write=True),
                      lambda: db.create_column_family("family")):
            with pytest.raises(snkv.ReadOnlyError):
                write()


def test_files_of_others(path):
    with open(path, "wb") as file:
        file.write(b"no database at all, but long enough to be one" * 100)
    with pytest.raises(snkv.Error) as caught:
        KVStore(path)
    assert caught.value.code == "not_a_store"


def test_damage(path):
    with KVStore(path) as db:
        db.put_many((f"{i:05}", "x" * 100) for i in range(2000))
        db.integrity_check()
        assert db.verify()["entries"] == 2000
    with open(path, "r+b") as file:
        file.seek(40 * 4096)
        file.write(b"\xff" * 4096)
    with KVStore(path) as db:
        with pytest.raises(snkv.CorruptError, match="integrity_check") as caught:
            db.integrity_check()
        assert caught.value.code == "corrupt"
        assert db.errmsg == str(caught.value)
        with pytest.raises(snkv.CorruptError):
            list(db)


def test_families(db):
    assert db.list_column_families() == []
    with db.create_column_family("users") as users:
        users["alice"] = "admin"
        assert users.name == "users"
    assert db.list_column_families() == ["users"]
    with pytest.raises(snkv.Error) as caught:
        db.create_column_family("users")
    assert caught.value.code == "exists"
    with db.open_column_family("users") as users:
        assert users["alice"] == b"admin"
        assert "alice" not in db
    with pytest.raises(snkv.ClosedError):
        users["alice"]
    with pytest.raises(snkv.NotFoundError):
        db.open_column_family("missing")
    with pytest.raises(snkv.NotFoundError):
        db.drop_column_family("missing")
    with pytest.raises(snkv.Error):
        db.drop_column_family("default")
    db.drop_column_family("users")
    assert db.list_column_families() == []
    with db.default_column_family() as default:
        default["a"] = "1"
    assert db["a"] == b"1"
    with db.create_column_family("\u00e9t\u00e9 empty") as family:
        assert family.name == "\u00e9t\u00e9 empty"
    for wrong in (b"bytes", 1, None):
        with pytest.raises(TypeError):
            db.create_column_family(wrong)
    for bad in ("", "x" * 256, "nul\0", "snkv_x", "sqlite_x"):
        with pytest.raises(snkv.InvalidArgumentError):
            db.create_column_family(bad)


def test_the_default_family_has_a_name(db):
    db["a"] = "1"
    for name in ("default", "DEFAULT"):
        with pytest.raises(snkv.Error) as caught:
            db.create_column_family(name)
        assert caught.value.code == "exists"
    with db.open_column_family("default") as default:
        assert default["a"] == b"1"
    with pytest.raises(snkv.NotFoundError):
        db.open_column_family("DEFAULT")
    with pytest.raises(snkv.InvalidArgumentError):
        db.drop_column_family("default")
    assert db["a"] == b"1" and db.list_column_families() == []


@pytest.mark.parametrize("name", ["__", "__x", "__snkv_auth__", "_snkv_", "_snkv_vec_"])
def test_names_that_the_original_keeps_for_itself(db, name):
    """As in the C interface: tests/regress/original_programs_test.cpp."""
    uses = [
        db.create_column_family, db.open_column_family, db.drop_column_family,
        snkv.WriteBatch().in_family,
    ]
    with db.transaction() as t, db.snapshot() as snapshot:
        uses += [t.create_column_family, t.open_column_family, t.drop_column_family,
                 snapshot.open_column_family]
        for use in uses:
            with pytest.raises(snkv.InvalidArgumentError, match="reserved"):
                use(name)
    for free in ("_", "_x", "_snkv", "_vs_vec"):
        db.create_column_family(free).close()
    assert db.list_column_families() == ["_", "_snkv", "_vs_vec", "_x"]


def test_a_family_of_a_reserved_name_that_another_interface_has_made(path):
    sqlite3 = pytest.importorskip("sqlite3")
    with KVStore(path) as db:
        for name in ("made elsewhere", "users"):
            db.create_column_family(name).close()
    connection = sqlite3.connect(path)
    connection.execute('ALTER TABLE "made elsewhere" RENAME TO "__made elsewhere"')
    connection.close()
    with KVStore(path) as db, db.snapshot() as snapshot:
        assert db.list_column_families() == snapshot.list_column_families() == ["users"]
        with pytest.raises(snkv.InvalidArgumentError, match="reserved"):
            db.open_column_family("__made elsewhere")
        assert db.verify()["families"] == 3


def test_more_families_than_the_original_can_have(db):
    for i in range(100):
        db.create_column_family(f"family {i}").close()
    assert len(db.list_column_families()) == 100


def test_checkpoint(path):
    with KVStore(path) as db:
        db.put_many((f"{i}", "x" * 1000) for i in range(100))
        for mode in (snkv.CHECKPOINT_PASSIVE, snkv.CHECKPOINT_FULL, snkv.CHECKPOINT_RESTART):
            frames, copied = db.checkpoint(mode)
            assert frames == copied
        assert db.checkpoint(snkv.CHECKPOINT_TRUNCATE) == (0, 0)
        assert os.path.getsize(path + "-wal") == 0
        assert db.stats()["checkpoints"] == 4
        assert isinstance(db.checkpoint(), tuple)
        for bad in (-1, 4):
            with pytest.raises(ValueError):
                db.checkpoint(bad)
        with pytest.raises(TypeError):
            db.checkpoint("full")


@pytest.mark.parametrize("limit, automatic", [(0, False), (20, True)])
def test_wal_size_limit(path, limit, automatic):
    with KVStore(path, wal_size_limit=limit) as db:
        for i in range(200):
            db[f"{i}"] = "x" * 1000
        assert (db.stats()["checkpoints"] > 0) == automatic


def test_maintenance(db):
    db.put_many((f"{i:05}", "x" * 1000) for i in range(1000))
    assert db.sync() is None
    db.clear()
    db["a"] = "1"
    assert db.vacuum(10) == 10
    assert db.vacuum() > 100
    assert db.vacuum() == 0
    db.put("b", "2", ttl=0.001)
    db.create_column_family("family").put("c", "3", ttl=0.001)
    threading.Event().wait(0.01)
    assert db.purge_all_expired() == 2
    db.compact()
    space = db.space()
    assert set(space) == {"file_bytes", "live_bytes", "free_bytes", "wal_bytes"}
    for wrong in ("1", None, -1):
        with pytest.raises((TypeError, ValueError)):
            db.vacuum(wrong)


def test_backup(db, tmp_path):
    db.put_many((f"{i:05}", "x" * 1000) for i in range(2000))
    seen = []
    db.backup(tmp_path / "copy.db", progress=lambda done, total: seen.append((done, total)))
    assert seen and seen[-1][0] == seen[-1][1] > 100
    with KVStore(tmp_path / "copy.db") as copy:
        assert copy.count() == 2000
    with pytest.raises(snkv.Error) as caught:
        db.backup(tmp_path / "copy.db")
    assert caught.value.code == "exists"
    db.backup(tmp_path / "small.db", compact=True)
    with pytest.raises(TypeError):
        db.backup(tmp_path / "other.db", progress=1)
    with pytest.raises(TypeError):
        db.backup(1)


def files_in(folder):
    return sorted(entry.name for entry in os.scandir(folder))


@pytest.fixture
def backup(db, path, tmp_path):
    """Of a store that was changed since, and is closed."""
    db.put_many((f"{i:05}", "x" * 1000) for i in range(2000))
    db["a"] = "old"
    db.backup(tmp_path / "backup.db")
    db["a"] = "new"
    db.close()
    return tmp_path / "backup.db"


def test_restore(backup, path, tmp_path):
    with open(path + "-vectors-1", "w") as file:
        file.write("a saved index")
    seen = []

    def progress(done, total):
        seen.append((done, total))

    assert KVStore.restore(backup, path, progress=progress) is None
    assert seen and 0 < seen[-1][0] <= seen[-1][1]
    assert files_in(tmp_path) == ["backup.db", "test.db"]
    with KVStore(path) as db:
        assert db["a"] == b"old" and db.verify()["entries"] == 2001
        db["a"] = "newest"
    # Where there is none, and again, with paths of every kind.
    KVStore.restore(str(backup), os.fsencode(tmp_path / "other.db"))
    KVStore.restore(backup, path)
    for restored in (path, tmp_path / "other.db"):
        with KVStore(restored) as db:
            assert db["a"] == b"old"


def test_restore_refuses_what_it_must_not_touch(backup, path, tmp_path):
    (tmp_path / "text").write_text("no database at all\n" * 1000)
    os.link(backup, tmp_path / "linked.db")
    with pytest.raises(snkv.InvalidArgumentError):
        KVStore.restore(backup, path)  # it has two names: its log may lie beside the other one
    os.remove(tmp_path / "linked.db")
    with KVStore(path) as db:
        with pytest.raises(snkv.BusyError):
            KVStore.restore(backup, path)
        assert db["a"] == b"new"
    failures = {
        "cant_open": [(tmp_path / "missing.db", path), (backup, tmp_path)],
        "not_a_store": [(tmp_path / "text", path), (backup, tmp_path / "text")],
        "invalid_argument": [(path, path), (backup, ""), ("", path), (backup, ":memory:"),
                             (":memory:", path)],
    }
    for code, calls in failures.items():
        for call in calls:
            with pytest.raises(snkv.Error) as caught:
                KVStore.restore(*call)
            assert caught.value.code == code, call
    for wrong in ((None, path), (backup, None), (1, path), (backup, 1)):
        with pytest.raises(TypeError):
            KVStore.restore(*wrong)
    with pytest.raises(TypeError):
        KVStore.restore(backup, path, progress=1)
    with pytest.raises(TypeError):
        KVStore.restore(backup, path, lambda done, total: True)
    with pytest.raises(snkv.Error) as caught:
        KVStore.restore(backup, path, progress=lambda done, total: False)
    assert caught.value.code == "aborted"

    def fail(done, total):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        KVStore.restore(backup, path, progress=fail)
    with open(backup, "r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(snkv.CorruptError):
        KVStore.restore(backup, path)
    with KVStore(path) as db:
        assert db["a"] == b"new"
    assert files_in(tmp_path) == ["backup.db", "test.db", "text"]


def test_progress_can_stop_a_call(db, tmp_path):
    db.put_many((f"{i:05}", "x" * 1000) for i in range(2000))
    with pytest.raises(snkv.Error) as caught:
        db.backup(tmp_path / "copy.db", progress=lambda done, total: False)
    assert caught.value.code == "aborted"

    def fail(done, total):
        raise ZeroDivisionError("mine")

    for call in (lambda: db.backup(tmp_path / "copy.db", progress=fail),
                 lambda: db.verify(progress=fail), lambda: db.compact(progress=fail)):
        with pytest.raises(ZeroDivisionError, match="mine"):
            call()
    assert not os.path.exists(tmp_path / "copy.db")
    assert db.verify()["entries"] == 2000


def test_stats(db):
    db.stats_reset()
    assert db.stats()["puts"] == 0
    db["a"] = "12345"
    db.put("b", "1", ttl=60)
    db.put_if_absent("c", "1")
    db.get("a")
    db["b"]
    db.exists("c")
    "a" in db
    del db["c"]
    list(db)
    list(db.prefix_iterator("a"))
    try:
        db[""] = "value"
    except snkv.Error:
        pass
    stats = db.stats()
    assert set(stats) == {
        "puts", "gets", "deletes", "iterations", "errors", "bytes_read", "bytes_written",
        "wal_commits", "checkpoints", "ttl_expired", "ttl_purged", "db_pages",
    }
    assert stats["puts"] == 4  # the one that failed is one
    assert stats["gets"] == 2
    assert stats["deletes"] == 1
    assert stats["iterations"] == 2
    assert stats["errors"] == 1
    assert stats["bytes_read"] == 6
    assert stats["bytes_written"] == 10
    assert stats["wal_commits"] == 4
    assert stats["db_pages"] > 0
    db.stats_reset()
    after = db.stats()
    assert after.pop("db_pages") == stats["db_pages"]
    assert not any(after.values())


def test_errmsg(db):
    assert db.errmsg == ""
    db.get("missing")
    assert db.errmsg == ""
    with pytest.raises(snkv.Error) as caught:
        db[""] = "value"
    assert db.errmsg == str(caught.value)


def test_a_closed_store(path):
    db = KVStore(path)
    family = db.create_column_family("family")
    snapshot, transaction = db.snapshot(), db.transaction()
    assert not db.closed
    db.close()
    db.close()
    assert db.closed
    uses = [
        lambda: db.get("a"), lambda: db.put("a", "1"), lambda: db["a"], lambda: "a" in db,
        lambda: db.delete("a"), lambda: list(db), db.iterator, db.keys, db.clear, db.count,
        lambda: db.put_many({"a": "1"}), lambda: db.ttl("a"), db.purge_expired,
        db.begin, lambda: db.begin(True), db.commit, db.rollback, db.savepoint, db.transaction,
        db.snapshot, db.list_column_families, lambda: db.create_column_family("x"),
        lambda: db.open_column_family("family"), lambda: db.drop_column_family("family"),
        lambda: db.default_column_family().get("a"), db.sync, db.vacuum, db.integrity_check,
        db.checkpoint, db.stats, db.stats_reset, db.space, db.verify, db.compact,
        lambda: db.backup("x"), lambda: family.get("a"), lambda: family.put("a", "1"),
        lambda: snapshot.get("a"), lambda: transaction.get("a"), transaction.commit,
    ]
    for use in uses:
        with pytest.raises(snkv.ClosedError) as caught:
            use()
        assert "closed" in str(caught.value) or "ended" in str(caught.value)
    assert "closed" in repr(db)


def test_exceptions_have_what_the_library_says(db):
    with pytest.raises(snkv.NotFoundError) as caught:
        db["the key"]
    error = caught.value
    assert error.code == "not_found"
    assert error.operation == "get"
    assert error.extended == 0
    assert str(error) == "get: not found: 'the key'"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is snkv.NotFoundError
    assert (str(copy), copy.code) == (str(error), error.code)


def test_the_exception_tree():
    for name in ("NotFoundError", "BusyError", "LockedError", "ReadOnlyError", "CorruptError",
                 "AuthError", "InvalidArgumentError", "ClosedError"):
        assert issubclass(getattr(snkv, name), snkv.Error)
    assert issubclass(snkv.Error, Exception)
    assert issubclass(snkv.NotFoundError, KeyError)
    assert not issubclass(snkv.BusyError, KeyError)


def test_forked_child(db):
    db["a"] = "1"
    child = os.fork()
    if child == 0:
        try:
            db["a"]
        except snkv.Error as error:
            os._exit(0 if error.code == "forked" else 1)
        os._exit(2)
    assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 0
    assert db["a"] == b"1"
