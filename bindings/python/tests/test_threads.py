"""One store, many Python threads. Counts and contents are checked, never times."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import snkv
from snkv import KVStore

THREADS = 8


def run(workers):
    with ThreadPoolExecutor(len(workers)) as pool:
        return [future.result(120) for future in [pool.submit(worker) for worker in workers]]


def test_writers_and_readers(db):
    def work(number):
        for i in range(100):
            db[f"{number}:{i}"] = str(i)
            assert db[f"{number}:{i}"] == str(i).encode()
        return db.count(f"{number}:")

    assert run([lambda n=n: work(n) for n in range(THREADS)]) == [100] * THREADS


def test_increments(db):
    run([lambda: [db.increment("counter") for _ in range(50)]] * THREADS)
    assert db["counter"] == b"%d" % (50 * THREADS)


def test_transactions_take_turns(path):
    with KVStore(path, busy_timeout=60_000) as db:

        def work():
            for _ in range(20):
                db.begin(write=True)
                db["counter"] = str(int(db.get("counter", b"0")) + 1)
                db.commit()

        run([work] * THREADS)
        assert db["counter"] == b"%d" % (20 * THREADS)


def test_one_iterator_in_many_threads(db):
    db.put_many((f"{i:05}", "value") for i in range(5000))
    it = db.iterator()

    def work():
        seen = []
        while True:
            try:
                seen.append(next(it)[0])
            except StopIteration:
                return seen

    seen = sum(run([work] * THREADS), [])
    assert sorted(seen) == [b"%05d" % i for i in range(5000)]


def test_one_transaction_in_many_threads(db):
    with db.transaction() as t:
        run([lambda n=n: [t.put(f"{n}:{i}", "") for i in range(100)] for n in range(THREADS)])
    assert db.count() == 100 * THREADS


def test_closing_beside_everything(path):
    for _ in range(5):
        db = KVStore(path)
        db.put_many((f"{i:04}", "value") for i in range(500))
        started = threading.Barrier(THREADS + 1)

        def work(number):
            started.wait(60)
            try:
                while True:
                    db[f"{number}"] = "value"
                    for _ in db:
                        pass
                    with db.snapshot() as snapshot:
                        snapshot.get("0001")
                    if number == 0:
                        db.begin(write=True)
                        db["a"] = "1"
                        db.commit()
            except snkv.ClosedError:
                return True
            except snkv.Error as error:
                # Whose transaction was rolled back by the closing, or another's was in the way.
                return error.code in ("busy", "closed")

        with ThreadPoolExecutor(THREADS) as pool:
            futures = [pool.submit(work, number) for number in range(THREADS)]
            started.wait(60)
            db.close()
            assert all(future.result(120) for future in futures)


def test_other_threads_run_during_a_long_call(db, tmp_path):
    """While a backup is in C++, another thread gets the interpreter: the backup ends only after
    it."""
    db.put_many((f"{i:05}", "x" * 1000) for i in range(2000))
    other_ran = threading.Event()
    inside = threading.Event()

    def progress(done, total):
        inside.set()
        # Called from inside of the call; another thread can only set this if it gets to run.
        return other_ran.wait(60)

    def other():
        inside.wait(60)
        assert db.count() == 2000
        other_ran.set()

    thread = threading.Thread(target=other)
    thread.start()
    db.backup(tmp_path / "copy.db", progress=progress)
    thread.join(60)
    assert other_ran.is_set()


def test_a_writer_that_waits_lets_others_run(path):
    """Waiting for another writer is done without the interpreter: else this would never end."""
    with KVStore(path, busy_timeout=60_000) as db:
        db.begin(write=True)
        db["a"] = "1"
        waiter = threading.Thread(target=lambda: db.put("a", "2"))
        waiter.start()
        while not waiter.is_alive():
            pass
        waiter.join(0.05)
        assert waiter.is_alive()
        db.commit()
        waiter.join(60)
        assert db["a"] == b"2"


def test_the_interpreter_is_free_during_a_restore(db, tmp_path):
    db.put_many((f"{i:05}", "x" * 1000) for i in range(2000))
    db.backup(tmp_path / "backup.db")
    ran = []
    gate = threading.Lock()

    def other():
        with gate:
            ran.append(True)

    thread = threading.Thread(target=other)
    before = sys.getswitchinterval()
    with gate:
        thread.start()
        # From now on a thread that runs Python is not interrupted: another one gets the interpreter
        # only where this one lets go of it.
        sys.setswitchinterval(100)
    try:
        for _ in range(50):  # the other one may be slow to wake up
            KVStore.restore(tmp_path / "backup.db", tmp_path / "restored.db")
            if ran:
                break
        assert ran
    finally:
        sys.setswitchinterval(before)
    thread.join(60)


def test_threads_with_stores_of_their_own(path):
    KVStore(path).close()

    def work(number):
        with KVStore(path, busy_timeout=60_000) as db:
            for i in range(25):
                db[f"{number}:{i}"] = "value"

    run([lambda n=n: work(n) for n in range(4)])
    with KVStore(path) as db:
        assert db.count() == 100


def test_errors_in_threads_are_their_own(db):
    def work(number):
        for _ in range(50):
            with pytest.raises(snkv.NotFoundError, match=f"'{number}'"):
                db[f"{number}"]

    run([lambda n=n: work(n) for n in range(THREADS)])
