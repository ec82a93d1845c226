"""The coroutines of snkv.aio."""

import asyncio
import os
import threading

import pytest

import snkv
from snkv import KVStore, aio


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 120))


def test_calls_are_coroutines(path, tmp_path):
    async def work():
        async with aio.open(path) as db:
            await db.put("a", "1")
            assert await db.get("a") == b"1"
            assert await db.get("missing", b"default") == b"default"
            await db.put_many({"b": "2", "c": "3"})
            assert await db.count() == 3
            await db.delete("c")
            with pytest.raises(snkv.NotFoundError):
                await db.delete("c")
            await asyncio.gather(*(db.put(f"k{i}", "value") for i in range(50)))
            assert [key async for key, _ in db.prefix_iterator("k4")] == [
                b"k4", *(b"k4%d" % i for i in range(10))
            ]
            assert len([item async for item in db]) == 52
            await db.sync()
            await db.integrity_check()
            await db.backup(tmp_path / "copy.db")
            assert (await db.stats())["puts"] == 51  # those of the batch are none
            family = await db.create_column_family("family")
            await family.put("a", "2")
            assert await family.get("a") == b"2"
            assert await db.list_column_families() == ["family"]
        with pytest.raises(snkv.ClosedError):
            await db.get("a")
        db = await aio.open(path)
        assert await db.get("a") == b"1"
        await db.close()

    run(work())


def test_restoring(path, tmp_path):
    async def work():
        async with aio.open(path) as db:
            await db.put("a", "1")
            await db.backup(tmp_path / "copy.db")
            assert db.file == os.path.realpath(path)
        await aio.restore(tmp_path / "copy.db", tmp_path / "new.db")
        async with aio.open(tmp_path / "new.db") as db:
            assert await db.get("a") == b"1"
            with pytest.raises(snkv.BusyError):
                await aio.restore(tmp_path / "copy.db", tmp_path / "new.db")

    run(work())


def test_checking_vectors(path):
    np = pytest.importorskip("numpy")

    async def work():
        async with aio.open_vectors(path, 2) as vs:
            await vs.vector_put("a", "value", np.array([1, 2]))
            assert (await vs.verify())["entries"] == 1
            assert (await vs.repair())["removed"] == 0

    run(work())


def test_calls_run_in_other_threads(db):
    seen = []

    async def work():
        await aio.wrap(db).verify(progress=lambda *_: seen.append(threading.get_ident()))

    run(work())
    assert seen and threading.get_ident() not in seen


def test_long_scans(db):
    db.put_many((f"{i:04}", str(i)) for i in range(1000))

    async def work():
        async_db = aio.wrap(db)
        assert [item async for item in async_db] == list(db)
        assert [item async for item in async_db.iterator(reverse=True)] == list(db)[::-1]
        async for key, _ in async_db.range("0100", "0200"):
            assert key == b"0100"
            break

    run(work())


def test_transactions(db):
    async def work():
        async_db = aio.wrap(db)
        async with async_db.transaction() as t:
            await t.put("a", "1")
            assert await t.get("a") == b"1"
            assert await async_db.get("a") is None
        assert await async_db.get("a") == b"1"
        with pytest.raises(ZeroDivisionError):
            async with async_db.transaction() as t:
                await t.put("a", "2")
                1 / 0
        assert await async_db.get("a") == b"1"
        async with async_db.transaction() as t:
            await t.put("a", "3")
            await t.rollback()
        assert await async_db.get("a") == b"1"

    run(work())


def test_other_writers_wait_for_a_transaction(path):
    async def work():
        async with aio.open(path, busy_timeout=60_000) as db:

            async def add():
                async with db.transaction() as t:
                    before = int(await t.get("counter", b"0"))
                    await asyncio.sleep(0)
                    await t.put("counter", str(before + 1))

            await asyncio.gather(*(add() for _ in range(20)))
            assert await db.get("counter") == b"20"

    run(work())


def test_a_busy_store(path):
    async def work():
        async with aio.open(path) as db:
            async with db.transaction() as t:
                await t.put("a", "1")
                with pytest.raises(snkv.BusyError):
                    await db.put("a", "2")
                with pytest.raises(snkv.BusyError):
                    async with db.transaction():
                        pass

    run(work())


def test_snapshots(db):
    async def work():
        async_db = aio.wrap(db)
        await async_db.put("a", "1")
        async with async_db.snapshot() as snap:
            await async_db.put("a", "2")
            assert await snap.get("a") == b"1"
        with pytest.raises(snkv.ClosedError):
            await snap.get("a")

    run(work())


def test_what_belongs_to_threads_is_refused(db):
    for name in ("begin", "commit", "rollback", "savepoint"):
        with pytest.raises(AttributeError, match="transaction"):
            getattr(aio.wrap(db), name)
    with pytest.raises(AttributeError):
        aio.wrap(db).no_such_call
    assert aio.wrap(db).path == db.path
    assert aio.wrap(db).wrapped is db


def test_failing_to_open(tmp_path):
    async def work():
        with pytest.raises(snkv.Error):
            await aio.open(tmp_path)
        with pytest.raises(snkv.Error):
            async with aio.open(tmp_path):
                pass

    run(work())
