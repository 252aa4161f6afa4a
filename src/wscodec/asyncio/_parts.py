"""Messages that are sent or received in parts.

Floor 4.
"""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import Any

from .._typing import Message, Parts

__all__ = ["Decoding", "convert", "has_size", "is_in_parts", "iterate"]


def is_in_parts(message: Any) -> bool:
    """Tell whether `message` is an iterable of parts; a buffer, which may be iterable too, is a message itself."""
    if isinstance(message, (str, bytes, bytearray, memoryview, Mapping)):
        return False
    if isinstance(message, AsyncIterable):
        return True
    if not isinstance(message, Iterable):
        return False
    try:
        memoryview(message).release()  # type: ignore[arg-type]
    except TypeError:
        return True
    return False


def has_size(message: Any, size: int) -> bool:
    """Tell whether `message` is a whole message of so many bytes or more; one that is prepared isn't."""
    if isinstance(message, str):
        # A character has four bytes at most.
        return len(message) >= size or (len(message) * 4 >= size and len(message.encode(errors="replace")) >= size)
    try:
        with memoryview(message) as view:
            return view.nbytes >= size
    except TypeError:
        return False


async def iterate(parts: Parts) -> AsyncIterator[Message]:
    """Yield the parts of either kind of iterable."""
    if isinstance(parts, AsyncIterable):
        async for part in parts:
            yield part
    else:
        for part in parts:
            yield part


class Decoding:
    """Turns the parts of a message into str where `text` is True, into bytes where it is False, else leaves them.

    A character may be spread over several parts.
    """

    __slots__ = ("_decoder", "_text")

    def __init__(self, text: bool | None) -> None:
        self._text = text
        self._decoder = codecs.getincrementaldecoder("utf-8")() if text else None

    def part(self, data: Any, fin: bool = False) -> Any:
        """Return one part; UnicodeDecodeError, a ValueError, where bytes are no UTF-8."""
        if self._text is None or self._text is isinstance(data, str):
            return data
        if self._decoder is None:
            return data.encode()
        return self._decoder.decode(bytes(memoryview(data)), fin)


def convert(message: str | bytes, text: bool) -> str | bytes:
    """Return a whole message as str or as bytes; UnicodeDecodeError where bytes are no UTF-8."""
    if text:
        return message if isinstance(message, str) else message.decode()
    return message.encode() if isinstance(message, str) else message
