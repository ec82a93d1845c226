"""KVStore, an open store."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional, Tuple, Type, TypeVar, Union

from . import _snkv
from ._constants import (
    CHECKPOINT_PASSIVE,
    JOURNAL_WAL,
    SYNC_NORMAL,
)
from ._entries import ColumnFamily, Writer
from ._scopes import Savepoint, Snapshot, Transaction
from ._types import BytesLike, Progress

PathLike = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]

T = TypeVar("T", bound="KVStore")


def _configuration(
    *,
    journal_mode: int = JOURNAL_WAL,
    sync_level: int = SYNC_NORMAL,
    cache_size: int = 2000,
    page_size: int = 4096,
    busy_timeout: int = 0,
    read_only: bool = False,
    wal_size_limit: int = 0,
    full_mutex: bool = False,
    allow_hard_links: bool = False,
) -> Dict[str, int]:
    return locals()


class KVStore(Writer):
    """A store in the file `path`, which is created if need be; in memory without a path, and with
    ":memory:".

    journal_mode      JOURNAL_WAL, or JOURNAL_DELETE
    sync_level        SYNC_NORMAL, SYNC_OFF or SYNC_FULL
    cache_size        page cache of one connection, in pages
    page_size         bytes; for new files only, and at least 4096
    busy_timeout      milliseconds to wait for other writers
    read_only         refuse every write
    wal_size_limit    checkpoint when the log has so many pages; 0: leave that to `checkpoint`, unless
                      the log grows beyond 64 MiB
    full_mutex        means nothing: a store serves all threads in any case
    allow_hard_links  open a file that has several names (hard links), which is refused otherwise:
                      the log lies beside the name that is used, so all who open the file have to use
                      the same one, or lose what they write

    The operations on entries go to the default column family. One store serves any number of
    threads: reads run in parallel, writes take turns.
    """

    __slots__ = ("_store",)

    def __init__(
        self,
        path: Optional[PathLike] = None,
        *,
        journal_mode: int = JOURNAL_WAL,
        sync_level: int = SYNC_NORMAL,
        cache_size: int = 2000,
        page_size: int = 4096,
        busy_timeout: int = 0,
        read_only: bool = False,
        wal_size_limit: int = 0,
        full_mutex: bool = False,
        allow_hard_links: bool = False,
    ) -> None:
        config = _configuration(
            journal_mode=journal_mode,
            sync_level=sync_level,
            cache_size=cache_size,
            page_size=page_size,
            busy_timeout=busy_timeout,
            read_only=read_only,
            wal_size_limit=wal_size_limit,
            full_mutex=full_mutex,
            allow_hard_links=allow_hard_links,
        )
        self._use(_snkv.Store.open(path, config))

    def _use(self, raw: _snkv.Store) -> None:
        self._store = raw
        self._entries = raw.default_family()

    # ---- Encryption ----

    @classmethod
    def open_encrypted(
        cls: Type[T],
        path: PathLike,
        password: BytesLike,
        *,
        progress: Optional[Progress] = None,
        **options: Any,
    ) -> T:
        """An encrypted store in the file `path`, which is created if need be; AuthError for a wrong
        password.

        A store that is not encrypted is encrypted first, of which `progress` tells: BusyError if
        anybody has it open, Error and no change after any other failure. Mind that a wrong path
        thereby encrypts the wrong store; with read_only nothing is changed.

        password  str (as UTF-8), bytes, or a bytearray that can be wiped afterwards; not empty
        options   as of KVStore

        Values are encrypted, keys are not. Making the key of a password takes a fraction of a
        second.
        """
        raw = _snkv.Store.open_encrypted(path, password, _configuration(**options), progress)
        store = cls.__new__(cls)
        store._use(raw)
        return store

    def is_encrypted(self) -> bool:
        """Whether the store is encrypted."""
        return self._store.is_encrypted()

    def reencrypt(self, new_password: BytesLike, *, progress: Optional[Progress] = None) -> None:
        """From now on `new_password` opens the store, whose values are all encrypted anew with
        another key, so that neither the old password nor a copy of the old file helps to read it.

        Other handles of the file raise AuthError until they are opened again. After a failure the
        old password counts. LockedError in a transaction of this thread.
        """
        self._store.reencrypt(new_password, progress)

    def remove_encryption(self, *, progress: Optional[Progress] = None) -> None:
        """Makes it a store that is not encrypted. Needs the file for itself: BusyError if another
        handle is open. After a failure the store is as it was.

        Ends what was made from the store, as `close` does: families, iterators, snapshots,
        collections of vectors. The store itself stays open. LockedError in a transaction of this
        thread.
        """
        before = self._store
        was_closed = before.is_closed()
        try:
            before.remove_encryption(progress)
        finally:
            if before.is_closed() and not was_closed:
                self._use(before.reopen())

    # ---- Transactions ----

    def begin(self, write: bool = False) -> None:
        """Begins a transaction: until `commit` or `rollback`, all calls of this thread on this
        store, and on families and iterators made from it, belong to it.

        write=False  an unchanging view; writes raise ReadOnlyError
        write=True   waits for other writers up to busy_timeout, then raises BusyError

        Calls of other threads do not belong to it: they see what is committed, and wait if they
        write. See `transaction` for one that can be handed around.
        """
        self._store.begin(write)

    def commit(self) -> None:
        """Makes the writes of this thread's transaction permanent and visible to others. Does nothing
        if there is none; Error if another thread has one."""
        self._store.commit()

    def rollback(self) -> None:
        """Undoes this thread's transaction. Does nothing if there is none; Error if another thread has
        one."""
        self._store.rollback()

    def savepoint(self) -> Savepoint:
        """A point in this thread's transaction to go back to."""
        return Savepoint(self._store.savepoint())

    def transaction(self) -> Transaction:
        """A write transaction that is an object of its own: `with db.transaction() as t: ...`."""
        return Transaction(self._store.transaction())

    def snapshot(self) -> Snapshot:
        """An unchanging view of the store as of its latest commit."""
        return Snapshot(self._store.snapshot())

    # ---- Column families ----

    def create_column_family(self, name: str) -> ColumnFamily:
        """A new family; Error if there is one of that name, and "default" always is there. Names that
        begin with "snkv_", "sqlite_", "__" or "_snkv_" are reserved: InvalidArgumentError, here and
        in the calls below, and the list leaves them out."""
        return ColumnFamily(self._store.create_family(name))

    def open_column_family(self, name: str) -> ColumnFamily:
        """A family that is there; NotFoundError if it is not."""
        return ColumnFamily(self._store.open_family(name))

    def default_column_family(self) -> ColumnFamily:
        """The family that the store's own operations go to."""
        return ColumnFamily(self._store.default_family())

    def list_column_families(self) -> List[str]:
        """The names of the families that were created, sorted; so not "default"."""
        return self._store.list_families()

    def drop_column_family(self, name: str) -> None:
        """Removes a family and all its entries. The default family cannot be dropped."""
        self._store.drop_family(name)

    # ---- Maintenance ----

    def sync(self) -> None:
        """Returns when every commit that has returned would survive a power cut."""
        self._store.sync()

    def vacuum(self, n_pages: int = 0) -> int:
        """Gives up to `n_pages` unused pages back to the file system (0: all); the number."""
        return self._store.vacuum(n_pages)

    def integrity_check(self) -> None:
        """Reads the whole file and checks its structure; CorruptError with the findings."""
        self._store.integrity_check()

    def verify(self, progress: Optional[Progress] = None) -> Dict[str, int]:
        """Like `integrity_check`, and checks every entry; counts what it has read."""
        return self._store.verify(progress)

    def checkpoint(self, mode: int = CHECKPOINT_PASSIVE) -> Tuple[int, int]:
        """Copies the write-ahead log into the file: (frames in the log, frames copied)."""
        return self._store.checkpoint(mode)

    def backup(
        self, path: PathLike, *, compact: bool = False, progress: Optional[Progress] = None
    ) -> None:
        """Writes a copy of the latest commit to the new file `path`, while others read and
        write."""
        self._store.backup(path, compact, progress)

    @staticmethod
    def restore(backup: PathLike, path: PathLike, *, progress: Optional[Progress] = None) -> None:
        """Puts a copy of the store in the file `backup` in the place of the one in the file `path`,
        or where there is none. (Copying a file by other means leaves the log of the old store
        beside it.)

        Nobody may have the old store open: BusyError. The backup is read as a whole first, stays as
        it is, and may be encrypted: CorruptError if it is damaged, Error ("not_a_store") if it, or
        what lies at `path`, is no store. `progress` is told pages. After any failure the old store
        is as it was; a crash at any moment leaves the old contents or the new ones, and when this
        returns the new ones are safe on the disk.
        """
        _snkv.Store.restore(backup, path, progress)

    def compact(self, progress: Optional[Progress] = None) -> None:
        """Rewrites the whole file without unused pages."""
        self._store.compact(progress)

    def purge_all_expired(self, limit: int = 0) -> int:
        """`purge_expired` for all column families; the number removed."""
        return self._store.purge_all_expired(limit)

    def stats(self) -> Dict[str, int]:
        """Counters since the store was opened, or `stats_reset`: puts, gets, deletes, iterations,
        errors, bytes_read, bytes_written, wal_commits, checkpoints, ttl_expired, ttl_purged; and
        db_pages, the number of pages now."""
        return self._store.stats()

    def stats_reset(self) -> None:
        """Sets the counters to zero."""
        self._store.stats_reset()

    def space(self) -> Dict[str, int]:
        """Where the space goes, in bytes: file_bytes, live_bytes, free_bytes, wal_bytes."""
        return self._store.space()

    @property
    def errmsg(self) -> str:
        """The message of the last error that a call on this store has raised, "" if there was
        none."""
        return self._store.last_message()

    # ---- Lifecycle ----

    @property
    def path(self) -> str:
        """The path the store was opened with; "" for one in memory."""
        return os.fsdecode(self._store.path())

    @property
    def file(self) -> str:
        """The file itself: an absolute path without links, as it was when the store was opened. What
        the library keeps beside a store is beside it. "" for a store in memory."""
        return os.fsdecode(self._store.file())

    @property
    def closed(self) -> bool:
        """Whether the store was closed."""
        return self._store.is_closed()

    def close(self) -> None:
        """Closes the store: rolls back open transactions, and ends iterators and snapshots, whose
        later uses raise ClosedError, as those of the store do. Doing it again does nothing."""
        self._store.close()

    def __enter__(self) -> "KVStore":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = " closed" if self.closed else ""
        return f"<snkv.KVStore {self.path or 'in memory'!r}{state}>"
