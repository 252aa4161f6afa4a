"""Types that several modules name.

Floor 0.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:

    class Buffer(Protocol):
        """Any object with the buffer protocol; the C-contiguous ones are accepted at run time."""

        def __buffer__(self, flags: int, /) -> memoryview: ...

else:
    Buffer: TypeAlias = Any

Message: TypeAlias = "str | Buffer"
Parts: TypeAlias = "Iterable[Message] | AsyncIterable[Message]"


class Prepared(Protocol):
    """A message that was encoded before: a `PreparedMessage`."""

    frame: bytes
