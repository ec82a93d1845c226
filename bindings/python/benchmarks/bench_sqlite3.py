#!/usr/bin/env python3
"""snkv against the standard library's sqlite3 module, through Python: the same work, taking turns.

    bench_sqlite3.py [--rounds 7] [--entries 20000] [--folder DIR]

Both have a write-ahead log, sync normal and the same page size and cache. sqlite3 uses a table of
its own making (WITHOUT ROWID), one prepared statement for each kind of work, and no transaction
around reads and single writes. Each line has the median of the rounds; the ratio is what counts,
and the times of a loaded machine are worth nothing."""

import argparse
import os
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
try:
    import snkv
except ImportError:
    sys.path.pop(0)
    import snkv

PAGE = 4096
CACHE_PAGES = 2000


class Snkv:
    def __init__(self, folder):
        self.db = snkv.KVStore(os.path.join(folder, "snkv.db"), page_size=PAGE,
                               cache_size=CACHE_PAGES, wal_size_limit=1000)
        self.get = self.db.get
        self.put = self.db.put

    def fill(self, items):
        self.db.put_many(items)

    def put_in_transaction(self, items):
        self.db.begin(write=True)
        put = self.db.put
        for key, value in items:
            put(key, value)
        self.db.commit()

    def scan(self):
        count = 0
        for _ in self.db:
            count += 1
        return count


class Sqlite:
    def __init__(self, folder):
        path = os.path.join(folder, "sqlite3.db")
        self.db = sqlite3.connect(path, isolation_level=None)
        for pragma in (f"page_size={PAGE}", "journal_mode=WAL", "synchronous=NORMAL",
                       f"cache_size={CACHE_PAGES}", "wal_autocheckpoint=1000"):
            self.db.execute(f"PRAGMA {pragma}").fetchall()
        self.db.execute("CREATE TABLE kv(key BLOB NOT NULL PRIMARY KEY, value BLOB) WITHOUT ROWID")
        self.execute = self.db.execute

    def get(self, key):
        row = self.execute("SELECT value FROM kv WHERE key=?", (key,)).fetchone()
        return row[0] if row else None

    def put(self, key, value):
        self.execute("INSERT OR REPLACE INTO kv VALUES(?, ?)", (key, value))

    def fill(self, items):
        self.execute("BEGIN IMMEDIATE")
        self.db.executemany("INSERT OR REPLACE INTO kv VALUES(?, ?)", items)
        self.execute("COMMIT")

    def put_in_transaction(self, items):
        self.execute("BEGIN IMMEDIATE")
        put = self.put
        for key, value in items:
            put(key, value)
        self.execute("COMMIT")

    def scan(self):
        count = 0
        for _ in self.execute("SELECT key, value FROM kv ORDER BY key"):
            count += 1
        return count


def get_all(engine, keys):
    get = engine.get
    for key in keys:
        if get(key) is None:
            raise SystemExit("a key is missing")


def put_all(engine, items):
    put = engine.put
    for key, value in items:
        put(key, value)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--folder", help="where the files are made (default: a temporary one)")
    options = parser.parse_args()

    random.seed(1)
    entries = options.entries
    items = [(b"key:%08d" % i, b"v" * 100) for i in range(entries)]
    keys = [key for key, _ in items]
    random.shuffle(keys)
    few = [(key, b"w" * 100) for key in keys[: entries // 10]]
    work = {
        "get": lambda engine: get_all(engine, keys),
        "put": lambda engine: put_all(engine, few),
        "put in a transaction": lambda engine: engine.put_in_transaction(few),
        "put many": lambda engine: engine.fill(few),
        "scan": lambda engine: engine.scan(),
    }
    counts = {"get": entries, "scan": entries}

    folder = tempfile.mkdtemp(dir=options.folder)
    try:
        engines = {"snkv": Snkv(folder), "sqlite3": Sqlite(folder)}
        for engine in engines.values():
            engine.fill(items)
        times = {}
        for round_number in range(options.rounds):
            for name, run in work.items():
                order = list(engines) if round_number % 2 == 0 else list(engines)[::-1]
                for engine in order:
                    began = time.perf_counter()
                    run(engines[engine])
                    times.setdefault((name, engine), []).append(time.perf_counter() - began)
                print(f"\rround {round_number + 1} of {options.rounds}: {name:30}", end="",
                      file=sys.stderr, flush=True)
        print(file=sys.stderr)
        print(f"sqlite3 {sqlite3.sqlite_version}, Python {sys.version.split()[0]}, "
              f"{entries} entries of 100 bytes, {options.rounds} rounds")
        print(f"{'us each':22} {'snkv':>9} {'sqlite3':>9} {'ratio':>7} {'least':>7} {'most':>7}")
        for name in work:
            count = counts.get(name, len(few))
            ours, theirs = times[name, "snkv"], times[name, "sqlite3"]
            ratios = [b / a for a, b in zip(ours, theirs)]
            print(f"{name:22} {statistics.median(ours) / count * 1e6:9.2f} "
                  f"{statistics.median(theirs) / count * 1e6:9.2f} "
                  f"{statistics.median(ratios):7.2f} {min(ratios):7.2f} {max(ratios):7.2f}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
