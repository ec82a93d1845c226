"""Iterator, an ordered cursor that is a Python iterator too."""

from __future__ import annotations

from typing import Iterator as IteratorOf
from typing import Tuple

from . import _snkv
from ._types import BytesLike


class Iterator:
    """An ordered cursor over entries, as of the moment when it was made.

    As a Python iterator it yields (key, value), ascending or, if it is a reverse one, descending.
    It can also be moved by hand:

        it.first()              # it.last() and it.prev(), for a reverse one
        while not it.eof:
            use(it.key, it.value)
            it.next()

    A reverse iterator can also go forward, with first and next; a forward one goes forward only.
    Until it is positioned it stands on the first entry in its direction. Both ways of using it may
    be mixed: a for loop begins with the current entry.

    It stays valid while others write, clear or drop, but it holds back the recycling of the
    write-ahead log: close it, or let it go, when it is no longer needed. One thread at a time moves
    it.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: _snkv.Iterator) -> None:
        self._raw = raw

    def first(self) -> "Iterator":
        """Goes to the smallest key."""
        self._raw.first()
        return self

    def last(self) -> "Iterator":
        """Goes to the largest key; Error for a forward iterator."""
        self._raw.last()
        return self

    def next(self) -> None:
        """Goes to the next larger key. Does nothing at the end."""
        self._raw.next()

    def prev(self) -> None:
        """Goes to the next smaller key. Does nothing at the end; Error for a forward iterator."""
        self._raw.prev()

    def seek(self, key: BytesLike) -> "Iterator":
        """Goes to the first key that is >= `key`; a reverse iterator goes to the last one that is
        <=.

        An iterator over a prefix does not leave it: eof is true instead.
        """
        self._raw.seek(key)
        return self

    @property
    def eof(self) -> bool:
        """Whether there is no current entry, because an end was passed."""
        return self._raw.eof()

    @property
    def key(self) -> bytes:
        """The current key; NotFoundError at the end."""
        return self._raw.key()

    @property
    def value(self) -> bytes:
        """The current value; NotFoundError at the end."""
        return self._raw.value()

    def item(self) -> Tuple[bytes, bytes]:
        """The current (key, value); NotFoundError at the end."""
        return self._raw.item()

    def __iter__(self) -> IteratorOf[Tuple[bytes, bytes]]:
        # The same entries as from __next__, but without a call of Python code for each.
        return iter(self._raw.following, None)

    def __next__(self) -> Tuple[bytes, bytes]:
        return self._raw.following()

    def close(self) -> None:
        """Lets go of the store. Later uses raise ClosedError."""
        self._raw.close()

    def __enter__(self) -> "Iterator":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
