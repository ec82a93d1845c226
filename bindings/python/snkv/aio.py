"""The calls of a store as coroutines, which do not keep the event loop waiting.

    from snkv import aio

    async with aio.open("mydb.db") as db:
        await db.put("hello", "world")
        print(await db.get("hello"))
        await db.backup("copy.db")

Every method of KVStore, ColumnFamily and VectorStore has a coroutine of the same name and
arguments, which carries it out in another thread. A coroutine that is cancelled leaves its call
running to the end.
"""

from __future__ import annotations

import asyncio
import functools
from concurrent.futures import Executor, ThreadPoolExecutor
from types import TracebackType
from typing import (
    Any,
    AsyncIterator,
    Callable,
    Generator,
    Generic,
    List,
    Optional,
    Tuple,
    Type,
    TypeVar,
)

from ._entries import ColumnFamily
from ._iterator import Iterator
from ._scopes import Transaction
from ._store import KVStore
from ._types import BytesLike

__all__ = [
    "AsyncObject",
    "AsyncTransaction",
    "open",
    "open_encrypted",
    "open_vectors",
    "restore",
    "wrap",
]

T = TypeVar("T")

#: What belongs to a thread has no use where each call may be another thread's.
_OF_THREADS = frozenset(("begin", "commit", "rollback", "savepoint"))

#: Iterators are for loops, here as there.
_ITERATORS = frozenset(
    ("iterator", "prefix_iterator", "reverse_iterator", "reverse_prefix_iterator", "range")
)

_FAMILIES = frozenset(("create_column_family", "open_column_family", "default_column_family"))


async def _run(
    executor: Optional[Executor], call: Callable[..., T], *args: Any, **kwargs: Any
) -> T:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(executor, functools.partial(call, *args, **kwargs))


class _Opening(Generic[T]):
    """What `open` gives: to be awaited, or entered with `async with`."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._object: Any = None

    def __await__(self) -> Generator[Any, None, T]:
        return self._make().__await__()

    async def __aenter__(self) -> T:
        self._object = await self._make()
        return await self._object.__aenter__()

    async def __aexit__(self, *exc_info: Any) -> None:
        await self._object.__aexit__(*exc_info)


class AsyncObject:
    """A KVStore, ColumnFamily, Snapshot or VectorStore whose methods are coroutines."""

    def __init__(self, target: Any, executor: Optional[Executor] = None) -> None:
        self._target = target
        self._executor = executor

    @property
    def wrapped(self) -> Any:
        """The object itself, whose calls wait."""
        return self._target

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or (name in _OF_THREADS and isinstance(self._target, KVStore)):
            raise AttributeError(
                f"{name} belongs to a thread: use transaction()" if name in _OF_THREADS else name
            )
        attribute = getattr(self._target, name)
        if not callable(attribute):
            return attribute
        if name in _ITERATORS:
            return functools.partial(self._iterate, attribute)

        @functools.wraps(attribute)
        async def call(*args: Any, **kwargs: Any) -> Any:
            result = await _run(self._executor, attribute, *args, **kwargs)
            return AsyncObject(result, self._executor) if name in _FAMILIES else result

        return call

    async def _iterate(
        self, make: Callable[..., Iterator], *args: Any, **kwargs: Any
    ) -> AsyncIterator[Tuple[bytes, bytes]]:
        iterator = await _run(self._executor, make, *args, **kwargs)
        try:
            while True:
                batch = await _run(self._executor, _next_ones, iterator)
                for item in batch:
                    yield item
                if len(batch) < _BATCH:
                    return
        finally:
            iterator.close()

    def __aiter__(self) -> AsyncIterator[Tuple[bytes, bytes]]:
        return self._iterate(self._target.iterator)

    def transaction(self) -> "AsyncTransaction":
        """`async with db.transaction() as t: await t.put(...)`; commits at the end of the block."""
        return AsyncTransaction(self._target)

    def snapshot(self) -> "_Opening[AsyncObject]":
        """`async with db.snapshot() as snap: await snap.get(...)`"""

        async def make() -> AsyncObject:
            return AsyncObject(await _run(self._executor, self._target.snapshot), self._executor)

        return _Opening(make)

    async def close(self) -> None:
        """Closes it."""
        await _run(self._executor, self._target.close)

    async def __aenter__(self) -> "AsyncObject":
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self.close()


_BATCH = 256


def _next_ones(iterator: Iterator) -> List[Tuple[bytes, bytes]]:
    out = []
    for item in iterator:
        out.append(item)
        if len(out) == _BATCH:
            break
    return out


class AsyncTransaction(AsyncObject):
    """A transaction for coroutines. It has a thread of its own, because the library tells by the
    thread who may write while it is open."""

    def __init__(self, store: KVStore) -> None:
        super().__init__(None, ThreadPoolExecutor(1, thread_name_prefix="snkv-transaction"))
        self._store = store

    async def __aenter__(self) -> "AsyncTransaction":
        try:
            self._target = await _run(self._executor, self._store.transaction)
        except BaseException:
            self._executor.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: Optional[Type[BaseException]] = None,
        exc: Optional[BaseException] = None,
        traceback: Optional[TracebackType] = None,
    ) -> None:
        target: Transaction = self._target
        try:
            await asyncio.shield(_run(self._executor, target.__exit__, exc_type, exc, traceback))
        finally:
            self._executor.shutdown(wait=False)

    async def close(self) -> None:
        """Rolls back, unless it has ended."""
        await self.__aexit__(GeneratorExit)


def wrap(target: Any, executor: Optional[Executor] = None) -> AsyncObject:
    """A store, family or VectorStore that is open, with coroutines for methods. `executor` carries
    the calls out; None: the event loop's."""
    return AsyncObject(target, executor)


def _opening(executor: Optional[Executor], call: Callable[..., Any]) -> "_Opening[AsyncObject]":
    async def make() -> AsyncObject:
        return AsyncObject(await _run(executor, call), executor)

    return _Opening(make)


def open(*args: Any, executor: Optional[Executor] = None, **kwargs: Any) -> "_Opening[AsyncObject]":
    """`KVStore(...)`: `async with aio.open("mydb.db") as db`, or `db = await
    aio.open("mydb.db")`."""
    return _opening(executor, functools.partial(KVStore, *args, **kwargs))


def open_encrypted(
    *args: Any, executor: Optional[Executor] = None, **kwargs: Any
) -> "_Opening[AsyncObject]":
    """`KVStore.open_encrypted(...)`, likewise."""
    return _opening(executor, functools.partial(KVStore.open_encrypted, *args, **kwargs))


async def restore(*args: Any, executor: Optional[Executor] = None, **kwargs: Any) -> None:
    """`KVStore.restore(...)`: `await aio.restore("backup.db", "mydb.db")`."""
    await _run(executor, KVStore.restore, *args, **kwargs)


def open_vectors(
    *args: Any, executor: Optional[Executor] = None, **kwargs: Any
) -> "_Opening[AsyncObject]":
    """`VectorStore(...)`, likewise."""
    from .vector import VectorStore

    return _opening(executor, functools.partial(VectorStore, *args, **kwargs))
