"""The package in short, for interpreters and environments without pytest."""

import asyncio
import os
import tempfile

import snkv
from snkv import KVStore, aio

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "smoke.db")
    with KVStore(path) as db:
        db["hello"] = "world"
        db["token", 60] = b"\x00\xff"
        assert db["hello"] == b"world"
        assert list(db) == [(b"hello", b"world"), (b"token", b"\x00\xff")]
        with db.transaction() as t:
            t.create_column_family("users")["alice"] = "admin"
        assert db.open_column_family("users")["alice"] == b"admin"
        try:
            db["missing"]
        except KeyError as error:
            assert isinstance(error, snkv.NotFoundError)
        else:
            raise AssertionError("a missing key was found")

    async def work():
        async with aio.open(path) as async_db:
            assert await async_db.get("hello") == b"world"

    asyncio.run(work())

try:
    import numpy
except ImportError:
    vectors = "without vectors, because numpy is missing"
else:
    from snkv.vector import VectorStore

    with VectorStore(None, 2) as vs:
        vs.vector_put("a", "value", numpy.array([1, 0], dtype="f4"))
        vs.vector_put("b", "value", [0, 1])
        assert vs.search([1, 0.1], 1)[0].key == b"a"
    vectors = "with vectors"

print("snkv", snkv.__version__, "from", os.path.dirname(snkv.__file__), vectors)
