"""The exceptions of snkv.

    Error
    |-- NotFoundError         also a KeyError
    |-- BusyError
    |-- LockedError
    |-- ReadOnlyError
    |-- CorruptError
    |-- AuthError
    |-- InvalidArgumentError  also a ValueError
    `-- ClosedError

    VectorIndexError          in snkv.vector; no Error, as in SNKV

Everything else that can happen is an Error itself; its `code` says what it is.
"""

from __future__ import annotations

from typing import Dict, Type


class _Details(Exception):
    """An exception with the message of the library.

    code       short name of the kind of error, "io_error" say: see include/snkv/error.hpp
    operation  the operation that failed
    extended   the result code of the SQLite engine, 0 if it has not to do with the error
    """

    def __init__(
        self, message: str = "", *, code: str = "", operation: str = "", extended: int = 0
    ) -> None:
        super().__init__(message)
        self.code = code
        self.operation = operation
        self.extended = extended

    # KeyError, which NotFoundError is as well, would show the message in quotes.
    __str__ = Exception.__str__

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return (_rebuild, (type(self), str(self), self.code, self.operation, self.extended))


class Error(_Details):
    """Base class of the errors of stores."""


class NotFoundError(Error, KeyError):
    """The key, or the column family, does not exist or has expired."""


class BusyError(Error):
    """Another writer held the lock for longer than busy_timeout."""


class LockedError(Error):
    """This thread has a transaction open that is in the way."""


class ReadOnlyError(Error):
    """A write to a store that is open for reading, a snapshot, or a transaction for reading."""


class CorruptError(Error):
    """The file is damaged."""


class AuthError(Error):
    """A wrong password, or an encrypted store that was opened without one."""


class InvalidArgumentError(Error, ValueError):
    """An argument is out of its range: an empty key, a ttl that is not positive."""


class ClosedError(Error):
    """The store, or what was made from it, is closed."""


class VectorIndexError(_Details):
    """The index of a collection of vectors was dropped. As in SNKV, it is no Error."""


_CLASSES: Dict[str, Type[_Details]] = {
    "not_found": NotFoundError,
    "busy": BusyError,
    "locked": LockedError,
    "read_only": ReadOnlyError,
    "corrupt": CorruptError,
    "tampered": CorruptError,
    "log_mismatch": CorruptError,
    "auth_failed": AuthError,
    "invalid_argument": InvalidArgumentError,
    "too_large": InvalidArgumentError,
    "dimension_mismatch": InvalidArgumentError,
    "metric_mismatch": InvalidArgumentError,
    "dtype_mismatch": InvalidArgumentError,
    "bad_vector": InvalidArgumentError,
    "closed": ClosedError,
    "index_dropped": VectorIndexError,
}


def _rebuild(
    cls: Type[_Details], message: str, code: str, operation: str, extended: int
) -> _Details:
    return cls(message, code=code, operation=operation, extended=extended)


def from_code(code: str, message: str, operation: str, extended: int) -> Exception:
    """The exception for an error of the library."""
    if code == "no_memory":
        return MemoryError(message)
    return _rebuild(_CLASSES.get(code, Error), message, code, operation, extended)
