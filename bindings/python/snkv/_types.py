"""Types that several modules use."""

from __future__ import annotations

from typing import Callable, Optional, Union

#: What keys and values are given as. They always come back as bytes.
BytesLike = Union[str, bytes, bytearray, memoryview]

#: Called now and then with how much is done of how much. False stops the call.
Progress = Callable[[int, int], Optional[bool]]
