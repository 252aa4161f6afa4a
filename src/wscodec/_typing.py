"""Types that several modules name.

Floor 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from typing import Protocol

    class Buffer(Protocol):
        """Any object with the buffer protocol; the C-contiguous ones are accepted at run time."""

        def __buffer__(self, flags: int, /) -> memoryview: ...

else:
    Buffer: TypeAlias = Any

Message: TypeAlias = "str | Buffer"
