"""WriteBatch, a list of writes that is made without a store."""

from __future__ import annotations

from typing import Optional

from . import _snkv
from ._types import BytesLike


class WriteBatch:
    """Writes that `write` of a store, family or transaction carries out, all or none.

    Can be kept or sent as bytes: `WriteBatch(bytes(batch))` is the same batch.
    """

    __slots__ = ("_raw",)

    def __init__(self, data: Optional[bytes] = None) -> None:
        self._raw = _snkv.WriteBatch() if data is None else _snkv.WriteBatch(data)

    def put(self, key: BytesLike, value: BytesLike, ttl: Optional[float] = None) -> "WriteBatch":
        """As `put` of a store. The ttl runs from when the batch is carried out."""
        self._raw.put(key, value, ttl)
        return self

    def delete(self, key: BytesLike) -> "WriteBatch":
        """Removes `key`, if it is there."""
        self._raw.delete(key)
        return self

    def delete_range(self, low: BytesLike, high: BytesLike) -> "WriteBatch":
        """Removes the entries with low <= key < high."""
        self._raw.delete_range(low, high)
        return self

    def clear(self) -> "WriteBatch":
        """Removes all entries of the family."""
        self._raw.clear_family()
        return self

    def in_family(self, name: str) -> "WriteBatch":
        """What follows goes to the family `name`; "": back to the one that `write` is called on."""
        self._raw.in_family(name)
        return self

    def reset(self) -> None:
        """Forgets all operations."""
        self._raw.reset()

    def __bool__(self) -> bool:
        return not self._raw.empty()

    def __bytes__(self) -> bytes:
        return self._raw.data()
