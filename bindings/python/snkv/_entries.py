"""The operations on entries that KVStore, ColumnFamily, Transaction and Snapshot share."""

from __future__ import annotations

from typing import Iterable, List, Mapping, Optional, Tuple, Union
from typing import Iterator as IteratorOf

from . import _snkv
from ._batch import WriteBatch
from ._iterator import Iterator
from ._types import BytesLike

_BYTES = (str, bytes, bytearray, memoryview)


class Reader:
    """Reading. What has expired is absent, except in `count`."""

    __slots__ = ("_entries", "__weakref__")

    _entries: _snkv.Entries

    def get(self, key: BytesLike, default: Optional[bytes] = None) -> Optional[bytes]:
        """The value of `key`, or `default` if it is absent."""
        return self._entries.get(key, default)

    def exists(self, key: BytesLike) -> bool:
        """Whether `key` is present; does not read the value."""
        return self._entries.exists(key)

    def get_many(self, keys: Iterable[BytesLike]) -> List[Optional[bytes]]:
        """The values of several keys as of one moment, None for absent ones. Faster than single
        gets."""
        return self._entries.get_many(keys)

    def ttl(self, key: BytesLike) -> Optional[float]:
        """The seconds until `key` expires, None if it does not, 0.0 if it has expired and was not purged
        yet; NotFoundError if it is absent."""
        return self._entries.ttl(key)

    def count(self, prefix: Optional[BytesLike] = None) -> int:
        """The number of entries (whose keys start with `prefix`). Reads pages, not entries.

        Expired entries that were not purged yet are included: see `count_live`.
        """
        return self._entries.count(prefix)

    def count_live(self) -> int:
        """The number of entries that have not expired."""
        return self._entries.count_live()

    def iterator(
        self,
        *,
        reverse: bool = False,
        prefix: Optional[BytesLike] = None,
    ) -> Iterator:
        """An Iterator over all entries, or those whose keys start with `prefix`, in the order of
        the keys, or the opposite one."""
        return Iterator(self._entries.iterator(prefix, None, None, reverse, False))

    def prefix_iterator(self, prefix: BytesLike) -> Iterator:
        """`iterator(prefix=prefix)`."""
        return Iterator(self._entries.iterator(prefix, None, None, False, False))

    def reverse_iterator(self) -> Iterator:
        """`iterator(reverse=True)`."""
        return Iterator(self._entries.iterator(None, None, None, True, False))

    def reverse_prefix_iterator(self, prefix: BytesLike) -> Iterator:
        """`iterator(prefix=prefix, reverse=True)`."""
        return Iterator(self._entries.iterator(prefix, None, None, True, False))

    def range(self, low: BytesLike, high: BytesLike, *, reverse: bool = False) -> Iterator:
        """An Iterator over the entries with low <= key < high."""
        return Iterator(self._entries.iterator(None, low, high, reverse, False))

    def keys(
        self, *, reverse: bool = False, prefix: Optional[BytesLike] = None
    ) -> IteratorOf[bytes]:
        """The keys, in order. Does not read values."""
        raw = self._entries.iterator(prefix, None, None, reverse, True)
        return iter(raw.following_key, None)

    def values(
        self, *, reverse: bool = False, prefix: Optional[BytesLike] = None
    ) -> IteratorOf[bytes]:
        """The values, in the order of their keys."""
        raw = self._entries.iterator(prefix, None, None, reverse, False)
        return iter(raw.following_value, None)

    def items(
        self, *, reverse: bool = False, prefix: Optional[BytesLike] = None
    ) -> IteratorOf[Tuple[bytes, bytes]]:
        """(key, value), in the order of the keys."""
        raw = self._entries.iterator(prefix, None, None, reverse, False)
        return iter(raw.following, None)

    def __getitem__(self, key: BytesLike) -> bytes:
        return self._entries.get_or_raise(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, _BYTES) and self._entries.exists(key)

    def __iter__(self) -> IteratorOf[Tuple[bytes, bytes]]:
        return self.items()


class Writer(Reader):
    """Writing. Outside of a transaction each call is a transaction of its own, committed when it
    returns."""

    __slots__ = ()

    def put(self, key: BytesLike, value: BytesLike, ttl: Optional[float] = None) -> None:
        """Stores `value` under `key`, replacing what was there, its expiry included.

        ttl -- seconds until the entry expires; None: never.
        """
        self._entries.put(key, value, ttl)

    def delete(self, key: BytesLike) -> None:
        """Removes `key`; NotFoundError if it is absent."""
        self._entries.delete(key)

    def put_if_absent(
        self, key: BytesLike, value: BytesLike, ttl: Optional[float] = None
    ) -> bool:
        """Stores the entry only if `key` is absent, or has expired; tells whether it did."""
        return self._entries.put_if_absent(key, value, ttl)

    def compare_and_swap(
        self,
        key: BytesLike,
        expected: Optional[BytesLike],
        desired: BytesLike,
        ttl: Optional[float] = None,
    ) -> bool:
        """Stores `desired` only if the value is `expected` (None: if `key` is absent); tells
        whether it did."""
        return self._entries.compare_and_swap(key, expected, desired, ttl)

    def increment(self, key: BytesLike, delta: int = 1, ttl: Optional[float] = None) -> int:
        """Adds to the integer under `key`, 0 if it is absent; the sum. The value is decimal text.
        The expiry stays, unless `ttl` is given."""
        return self._entries.increment(key, delta, ttl)

    def get_and_put(
        self, key: BytesLike, value: BytesLike, ttl: Optional[float] = None
    ) -> Optional[bytes]:
        """Stores `value` and gives what was there before."""
        return self._entries.get_and_put(key, value, ttl)

    def pop(self, key: BytesLike, default: Optional[bytes] = None) -> Optional[bytes]:
        """Removes `key` and gives its value, or `default` if it was absent."""
        value = self._entries.get_and_delete(key)
        return default if value is None else value

    def expire(self, key: BytesLike, ttl: float) -> None:
        """Makes `key` expire after `ttl` seconds; NotFoundError if it is absent."""
        self._entries.expire(key, ttl)

    def persist(self, key: BytesLike) -> None:
        """Makes `key` stay for ever; NotFoundError if it is absent."""
        self._entries.persist(key)

    def purge_expired(self, limit: int = 0) -> int:
        """Removes expired entries, at most `limit` of them (0: all); the number removed."""
        return self._entries.purge_expired(limit)

    def clear(self) -> None:
        """Removes all entries. Iterators stay valid: they go on with what they saw."""
        self._entries.clear()

    def delete_range(self, low: BytesLike, high: BytesLike) -> int:
        """Removes the entries with low <= key < high; the number removed."""
        return self._entries.delete_range(low, high)

    def delete_prefix(self, prefix: BytesLike) -> int:
        """Removes the entries whose keys start with `prefix`; the number removed."""
        return self._entries.delete_prefix(prefix)

    def put_many(
        self,
        items: Union[Mapping[BytesLike, BytesLike], Iterable[Tuple[BytesLike, BytesLike]]],
        ttl: Optional[float] = None,
    ) -> None:
        """Stores many entries, all or none: a mapping, or pairs of key and value."""
        self._entries.put_many(items.items() if isinstance(items, Mapping) else items, ttl)

    def write(self, batch: WriteBatch) -> None:
        """Carries out the operations of a batch, all or none."""
        self._entries.write(batch._raw)

    def __setitem__(
        self, key: Union[BytesLike, Tuple[BytesLike, Optional[float]]], value: BytesLike
    ) -> None:
        if isinstance(key, tuple):
            if len(key) != 2:
                raise TypeError("an index is a key, or a key and a ttl")
            self._entries.put(key[0], value, key[1])
        else:
            self._entries.put(key, value, None)

    def __delitem__(self, key: BytesLike) -> None:
        self._entries.delete(key)


class ColumnFamily(Writer):
    """A key space of its own in a store: a table of the same name in the file.

        with db.create_column_family("users") as users:
            users["alice"] = "admin"

    A family that is obtained from the store serves all threads, and belongs to the transaction that
    the calling thread has begun, if there is one; one that is obtained from a Transaction or
    Snapshot belongs to that. After the family was dropped every use raises an Error, also when
    there is a new one of that name.
    """

    __slots__ = ("_name",)

    def __init__(self, raw: _snkv.Entries) -> None:
        self._entries = raw
        self._name = raw.name()

    @property
    def name(self) -> str:
        """The name of the family."""
        return self._name

    def close(self) -> None:
        """Lets go of the store. Later uses raise ClosedError. Does not delete anything."""
        self._entries = _CLOSED

    def __enter__(self) -> "ColumnFamily":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<snkv.ColumnFamily {self._name!r}>"


#: What a family holds after it was closed: each call raises ClosedError.
_CLOSED = _snkv.Entries.closed()
