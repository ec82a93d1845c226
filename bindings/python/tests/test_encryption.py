"""Encrypted stores: SNKV's calls, what they do to a file, and what goes wrong."""

import asyncio
import os
import subprocess
import sys
import threading

import pytest

import snkv
from snkv import AuthError, KVStore, aio

SECRET = b"a canary that is on no disk: 7f3a91"


def file_has(path, what):
    """Whether the bytes are in the file, or in one beside it."""
    folder, name = os.path.split(path)
    for each in os.listdir(folder):
        if each.startswith(name):
            with open(os.path.join(folder, each), "rb") as file:
                if what in file.read():
                    return True
    return False


@pytest.fixture
def plain(path):
    """The path of a store that is not encrypted."""
    with KVStore(path) as db:
        db["key"] = SECRET
        db.put("token", SECRET, ttl=3600)
        with db.create_column_family("family") as family:
            family["big"] = SECRET * 1000
    assert file_has(path, SECRET)
    return path


@pytest.fixture
def encrypted(path):
    """The path of a store that "old" opens."""
    with KVStore.open_encrypted(path, "old") as db:
        db["key"] = SECRET
    return path


def check_contents(db):
    assert db["key"] == SECRET
    assert 3500 < db.ttl("token") <= 3600
    assert db.open_column_family("family")["big"] == SECRET * 1000


def test_a_new_store(path):
    with KVStore.open_encrypted(path, b"hunter2") as db:
        assert type(db) is KVStore
        assert db.is_encrypted() is True
        assert db.path == os.path.abspath(path)
        db["key"] = SECRET
        with db.transaction() as t:
            t.put("token", SECRET, ttl=3600)
            t.create_column_family("family")["big"] = SECRET * 1000
        check_contents(db)
        assert [key for key, value in db if value == SECRET] == [b"key", b"token"]
        db.integrity_check()
        assert not file_has(path, SECRET)
    assert not file_has(path, SECRET)
    assert not file_has(path, b"hunter2")
    for password in ("hunter2", b"hunter2", bytearray(b"hunter2"), memoryview(b"hunter2")):
        with KVStore.open_encrypted(path, password) as db:
            check_contents(db)


def test_is_encrypted(db):
    assert db.is_encrypted() is False
    db.close()
    with pytest.raises(snkv.ClosedError):
        db.is_encrypted()


def test_wrong_passwords(encrypted):
    for wrong in ("ol", "old ", "OLD", b"\x00"):
        with pytest.raises(AuthError) as caught:
            KVStore.open_encrypted(encrypted, wrong)
        assert caught.value.code == "auth_failed" and isinstance(caught.value, snkv.Error)
    with pytest.raises(AuthError):
        KVStore(encrypted)
    with pytest.raises(snkv.InvalidArgumentError):
        KVStore.open_encrypted(encrypted, "")
    for wrong in (None, 1, ["old"]):
        with pytest.raises(TypeError):
            KVStore.open_encrypted(encrypted, wrong)
    with pytest.raises(TypeError):
        KVStore.open_encrypted(encrypted, "old", no_such_option=1)
    with pytest.raises(UnicodeEncodeError):
        KVStore.open_encrypted(encrypted, "\ud800")
    with KVStore.open_encrypted(encrypted, "old") as db:
        assert db["key"] == SECRET


def test_only_files_are_encrypted():
    with pytest.raises(snkv.InvalidArgumentError):
        KVStore.open_encrypted(None, "password")


def test_a_plain_store_is_encrypted(plain):
    calls = []
    with KVStore.open_encrypted(plain, "new", progress=lambda *at: calls.append(at)) as db:
        assert db.is_encrypted()
        check_contents(db)
        assert calls and calls[-1][0] == calls[-1][1]
    assert not file_has(plain, SECRET)
    with pytest.raises(AuthError):
        KVStore(plain)
    with KVStore.open_encrypted(plain, "new") as db:
        check_contents(db)


def test_a_plain_store_stays_plain_when_something_is_wrong(plain):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(snkv.InvalidArgumentError):
        KVStore.open_encrypted(plain, "")
    with pytest.raises(snkv.InvalidArgumentError):
        KVStore.open_encrypted(plain, "new", read_only=True)
    with pytest.raises(KeyboardInterrupt):
        KVStore.open_encrypted(plain, "new", progress=stop)
    with pytest.raises(snkv.Error) as caught:
        KVStore.open_encrypted(plain, "new", progress=lambda done, total: False)
    assert caught.value.code == "aborted"
    with KVStore(plain) as db:
        with pytest.raises(snkv.BusyError):
            KVStore.open_encrypted(plain, "new")
        assert not db.is_encrypted()
        check_contents(db)


def test_no_store_is_encrypted_when_it_is_no_store(path):
    with open(path, "wb") as file:
        file.write(b"not a store" * 1000)
    with pytest.raises(snkv.Error) as caught:
        KVStore.open_encrypted(path, "password")
    assert caught.value.code == "not_a_store"
    with open(path, "rb") as file:
        assert file.read() == b"not a store" * 1000


def test_reencrypt(encrypted):
    copy = encrypted + ".copy"
    with KVStore.open_encrypted(encrypted, "old") as db:
        db.backup(copy)
        iterator = db.iterator()
        iterator.first()
        db.reencrypt("new")
        assert db.is_encrypted() and db["key"] == SECRET
        iterator.close()
        db["later"] = SECRET
        # The password that counts is the new one here, too.
        db.reencrypt(bytearray(b"newest"))
        assert db["later"] == SECRET
    for old in ("old", "new"):
        with pytest.raises(AuthError):
            KVStore.open_encrypted(encrypted, old)
    with KVStore.open_encrypted(encrypted, "newest") as db:
        assert dict(db) == {b"key": SECRET, b"later": SECRET}
    with KVStore.open_encrypted(copy, "old") as db:
        assert dict(db) == {b"key": SECRET}


def test_other_handles_after_reencrypt(encrypted):
    with KVStore.open_encrypted(encrypted, "old") as db:
        with KVStore.open_encrypted(encrypted, "old") as other:
            db.reencrypt("new")
            with pytest.raises(AuthError):
                other["key"]
        assert db["key"] == SECRET


@pytest.mark.parametrize("call", ["reencrypt", "remove_encryption"])
def test_what_changes_of_encryption_need(encrypted, tmp_path, call):
    arguments = ("new",) if call == "reencrypt" else ()
    with KVStore(tmp_path / "plain.db") as db:
        with pytest.raises(snkv.InvalidArgumentError):
            getattr(db, call)(*arguments)
    with KVStore.open_encrypted(encrypted, "old", read_only=True) as db:
        with pytest.raises(snkv.ReadOnlyError):
            getattr(db, call)(*arguments)
        assert db["key"] == SECRET
    with KVStore.open_encrypted(encrypted, "old") as db:
        for write in (True, False):
            db.begin(write=write)
            with pytest.raises(snkv.LockedError):
                getattr(db, call)(*arguments)
            db.rollback()
        if call == "reencrypt":
            with pytest.raises(snkv.InvalidArgumentError):
                db.reencrypt("")
            with pytest.raises(TypeError):
                db.reencrypt(None)
        with pytest.raises(snkv.Error) as caught:
            getattr(db, call)(*arguments, progress=lambda done, total: False)
        assert caught.value.code == "aborted"
        # As before, and still usable.
        assert db.is_encrypted() and db["key"] == SECRET
    with pytest.raises(snkv.ClosedError):
        getattr(db, call)(*arguments)
    assert db.closed
    with KVStore.open_encrypted(encrypted, "old") as db:
        assert db["key"] == SECRET
        db["other"] = "value"


def test_remove_encryption(plain):
    with KVStore.open_encrypted(plain, "password", busy_timeout=10) as db:
        family = db.open_column_family("family")
        iterator = db.iterator()
        db.remove_encryption()
        assert not db.is_encrypted() and not db.closed
        check_contents(db)
        db["more"] = "value"
        # What was made before has ended, like after `close`.
        with pytest.raises(snkv.ClosedError):
            family["big"]
        with pytest.raises(snkv.ClosedError):
            iterator.first()
        with pytest.raises(snkv.InvalidArgumentError):
            db.remove_encryption()
    assert file_has(plain, SECRET)
    with KVStore(plain) as db:
        check_contents(db)
        assert db["more"] == b"value"


def test_remove_encryption_of_a_file_in_use(encrypted):
    with KVStore.open_encrypted(encrypted, "old") as other:
        with KVStore.open_encrypted(encrypted, "old") as db:
            with pytest.raises(snkv.BusyError):
                db.remove_encryption()
            assert db.is_encrypted() and db["key"] == SECRET
            other.close()
            db.remove_encryption()
            assert db["key"] == SECRET


def test_another_folder(encrypted, monkeypatch, tmp_path):
    monkeypatch.chdir(os.path.dirname(encrypted))
    with KVStore.open_encrypted(os.path.basename(encrypted), "old") as db:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        db.remove_encryption()
        assert db["key"] == SECRET
    assert os.listdir(".") == []


def test_subclasses(path):
    class Mine(KVStore):
        pass

    with Mine.open_encrypted(path, "password") as db:
        assert type(db) is Mine


def test_threads_use_one_encrypted_store(encrypted):
    wrong = []
    with KVStore.open_encrypted(encrypted, "old", busy_timeout=10_000) as db:
        def work(number):
            try:
                for i in range(50):
                    db[f"{number}:{i}"] = SECRET
                    assert db[f"{number}:{i}"] == SECRET
            except Exception as error:  # noqa: BLE001
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        db.reencrypt("new")
        for thread in threads:
            thread.join()
        assert not wrong
        assert db.count() == 201


def test_another_process(encrypted):
    code = (
        "import sys, snkv\n"
        "with snkv.KVStore.open_encrypted(sys.argv[1], 'old') as db: db['from'] = 'there'\n"
    )
    with KVStore.open_encrypted(encrypted, "old") as db:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.check_call([sys.executable, "-c", code, encrypted], env=environment)
        assert db["from"] == b"there"


def test_coroutines(encrypted):
    async def work():
        async with aio.open_encrypted(encrypted, "old") as db:
            assert await db.is_encrypted()
            assert await db.get("key") == SECRET
            await db.remove_encryption()
            assert await db.get("key") == SECRET
        other = await aio.open_encrypted(encrypted + ".other", "a")
        await other.close()
        with pytest.raises(AuthError):
            await aio.open_encrypted(encrypted + ".other", "b")

    asyncio.run(asyncio.wait_for(work(), 120))


def test_hard_links(encrypted, tmp_path):
    os.link(encrypted, tmp_path / "linked.db")
    with pytest.raises(snkv.InvalidArgumentError, match="has 2 names"):
        KVStore.open_encrypted(encrypted, "old")
    with KVStore.open_encrypted(encrypted, "old", allow_hard_links=True) as db:
        # Another file in its place would leave the other name with the old one.
        with pytest.raises(snkv.InvalidArgumentError):
            db.remove_encryption()
        assert db.is_encrypted() and db.get("key") == SECRET


def test_restoring_an_encrypted_backup(encrypted, tmp_path):
    with KVStore.open_encrypted(encrypted, "old") as db:
        db.backup(tmp_path / "backup.db")
        db["key"] = "new"
        db.reencrypt("new")
    KVStore.restore(tmp_path / "backup.db", encrypted)  # needs no password
    with pytest.raises(AuthError):
        KVStore.open_encrypted(encrypted, "new")
    with KVStore.open_encrypted(encrypted, "old") as db:
        assert db.get("key") == SECRET


# ---- Vectors ----


def test_vectors(path):
    np = pytest.importorskip("numpy")
    from snkv.vector import VectorStore

    vector = np.frombuffer(b"a vector that is on no disk, 32b.", dtype=np.uint8)[:32].copy()
    vector = vector.view(np.float32)
    with VectorStore(path, 8, password="old") as vs:
        vs.vector_put("key", SECRET, vector, metadata={"tag": SECRET.decode()})
        assert vs.kv.is_encrypted()
        vs.save()
    for what in (SECRET, vector.tobytes()):
        assert not file_has(path, what)
    for password, expected in ((None, AuthError), ("wrong", AuthError), ("", ValueError)):
        with pytest.raises(expected):
            VectorStore(path, 8, password=password)
    with VectorStore(path, 8, password=b"old") as vs:
        vs.kv.reencrypt("new")
        hit, = vs.search(vector, 1, filter={"tag": SECRET.decode()})
        assert hit.key == b"key" and hit.value == SECRET and hit.metadata["tag"] == SECRET.decode()
        assert np.array_equal(vs.vector_get("key"), vector)
    with VectorStore(path, 8, password="new") as vs:
        assert len(vs) == 1
        vs.kv.remove_encryption()
        with pytest.raises(snkv.ClosedError):
            vs.search(vector, 1)
    with VectorStore(path, 8) as vs:
        assert np.array_equal(vs.vector_get("key"), vector)


def test_vectors_that_were_plain(path):
    np = pytest.importorskip("numpy")
    from snkv.vector import VectorStore

    vectors = np.random.default_rng(1).standard_normal((100, 8)).astype(np.float32)
    with VectorStore(path, 8) as vs:
        vs.put_array([str(i) for i in range(100)], vectors)
        vs.save()
    assert file_has(path, vectors[7].tobytes())
    with VectorStore(path, 8, password="password") as vs:
        assert vs.search(vectors[7], 1)[0].key == b"7"
    assert not file_has(path, vectors[7].tobytes())
