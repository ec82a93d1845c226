"""Transaction, Snapshot and Savepoint."""

from __future__ import annotations

from types import TracebackType
from typing import List, Optional, Type

from . import _snkv
from ._entries import ColumnFamily, Reader, Writer


class Savepoint:
    """A point in a transaction to go back to.

        with db.savepoint():
            db["a"] = "1"
            raise ValueError        # undoes what was written since the savepoint, and only that
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: _snkv.Savepoint) -> None:
        self._raw = raw

    def rollback(self) -> None:
        """Undoes everything since the savepoint, which stays."""
        self._raw.rollback()

    def release(self) -> None:
        """Keeps everything since the savepoint as a part of the transaction, and ends the
        savepoint."""
        self._raw.release()

    def __enter__(self) -> "Savepoint":
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if exc_type is not None:
            self.rollback()
        self.release()


class _Scope:
    """What transactions and snapshots share."""

    __slots__ = ()

    _scope: _snkv.Scope

    def open_column_family(self, name: str) -> ColumnFamily:
        """The family `name`, seen from here; NotFoundError."""
        return ColumnFamily(self._scope.open_family(name))

    def default_column_family(self) -> ColumnFamily:
        """The family that the operations here go to."""
        return ColumnFamily(self._scope.default_family())

    def list_column_families(self) -> List[str]:
        """The names of the families that were created."""
        return self._scope.list_families()


class Transaction(_Scope, Writer):
    """Several operations that happen together or not at all.

        with db.transaction() as t:
            t["a"] = "1"
            t["b"] = "2"

    commits at the end of the block, or rolls back if it is left by an exception. Unlike what
    `KVStore.begin` starts, it does not belong to a thread: what is to be a part of it is called on
    it. A transaction keeps other writers waiting.
    """

    __slots__ = ("_scope",)

    def __init__(self, scope: _snkv.Scope) -> None:
        self._scope = scope
        self._entries = scope.default_family()

    def commit(self) -> None:
        """Makes everything permanent and visible to others."""
        self._scope.commit()

    def rollback(self) -> None:
        """Undoes everything and ends the transaction."""
        self._scope.rollback()

    def savepoint(self) -> Savepoint:
        """A point to go back to."""
        return Savepoint(self._scope.savepoint())

    def create_column_family(self, name: str) -> ColumnFamily:
        """A new family, made as a part of the transaction."""
        return ColumnFamily(self._scope.create_family(name))

    def drop_column_family(self, name: str) -> None:
        """Removes a family as a part of the transaction."""
        self._scope.drop_family(name)

    def __enter__(self) -> "Transaction":
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if not self._scope.is_open():
            return
        if exc_type is None:
            self.commit()
        else:
            self.rollback()


class Snapshot(_Scope, Reader):
    """An unchanging view of the store as of one commit.

        with db.snapshot() as snap:
            before = snap["key"]

    It holds back the recycling of the write-ahead log: keep it short.
    """

    __slots__ = ("_scope",)

    def __init__(self, scope: _snkv.Scope) -> None:
        self._scope = scope
        self._entries = scope.default_family()

    def close(self) -> None:
        """Ends it. Later uses raise ClosedError."""
        self._scope.end()

    def __enter__(self) -> "Snapshot":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
