"""snkv, an embedded key-value and vector store in one file.

    from snkv import KVStore

    with KVStore("mydb.db") as db:
        db["hello"] = "world"
        print(db["hello"])              # b'world'

Keys and values are str (kept as UTF-8), bytes, bytearray or memoryview, and come back as bytes.
Vectors are in snkv.vector, which needs numpy, and the asyncio forms of all calls in snkv.aio.
"""

from ._batch import WriteBatch
from ._constants import (
    CHECKPOINT_FULL,
    CHECKPOINT_PASSIVE,
    CHECKPOINT_RESTART,
    CHECKPOINT_TRUNCATE,
    JOURNAL_DELETE,
    JOURNAL_WAL,
    NO_TTL,
    SYNC_FULL,
    SYNC_NORMAL,
    SYNC_OFF,
)
from ._entries import ColumnFamily
from ._errors import (
    AuthError,
    BusyError,
    ClosedError,
    CorruptError,
    Error,
    InvalidArgumentError,
    LockedError,
    NotFoundError,
    ReadOnlyError,
)
from ._iterator import Iterator
from ._scopes import Savepoint, Snapshot, Transaction
from ._snkv import VERSION as __version__
from ._store import KVStore

__all__ = [
    "AuthError",
    "BusyError",
    "CHECKPOINT_FULL",
    "CHECKPOINT_PASSIVE",
    "CHECKPOINT_RESTART",
    "CHECKPOINT_TRUNCATE",
    "ClosedError",
    "ColumnFamily",
    "CorruptError",
    "Error",
    "InvalidArgumentError",
    "Iterator",
    "JOURNAL_DELETE",
    "JOURNAL_WAL",
    "KVStore",
    "LockedError",
    "NO_TTL",
    "NotFoundError",
    "ReadOnlyError",
    "SYNC_FULL",
    "SYNC_NORMAL",
    "SYNC_OFF",
    "Savepoint",
    "Snapshot",
    "Transaction",
    "WriteBatch",
    "__version__",
]
