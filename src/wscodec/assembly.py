"""Messages under assembly: frames' payloads put together, or handed on as they come (RFC 6455 sections 5.4, 8.1).

Floor 3.
"""

from __future__ import annotations

from typing import Protocol

from ._backend import Utf8Validator, decode_utf8
from .errors import InvalidUtf8
from .events import Event, Fragment
from .spec import Opcode

__all__ = ["Assembly", "StreamedMessage", "WholeMessage"]


# Pieces smaller than this are put together at once: each as an object of its own would take a multiple of its size.
_SMALL = 4096
_BLOCK = 65536


class Assembly(Protocol):
    """A message under assembly.

    Attributes:
        fragments: how many frames there were so far; counted by the caller.
        size: of what arrived, in bytes; counted by the caller.
    """

    fragments: int
    size: int

    def add(self, piece: bytes, fin: bool, events: list[Event]) -> None:
        """Take the next piece of payload and append what there is to be told to `events`."""


class WholeMessage:
    """A message under assembly: its text is validated as it arrives, and its size is that of what arrived."""

    __slots__ = ("_pieces", "_small", "_validator", "fragments", "size")

    def __init__(self, opcode: int) -> None:
        # A buffer that grows would be copied again and again, and leave the allocator with holes.
        self._pieces: list[bytes | bytearray] = []
        self._small: bytearray | None = None
        self._validator = Utf8Validator() if opcode == Opcode.TEXT else None
        self.fragments = 0
        self.size = 0

    def add(self, piece: bytes, fin: bool, events: list[Event]) -> None:
        """Take the next piece of payload; with the last one, append the message to `events`."""
        validate(self._validator, piece, fin)
        if len(piece) >= _SMALL:
            self._small = None
            self._pieces.append(piece)
        elif self._small is not None and len(self._small) < _BLOCK:
            self._small += piece
        else:
            self._small = bytearray(piece)
            self._pieces.append(self._small)
        if fin:
            payload = b"".join(self._pieces)
            events.append(payload if self._validator is None else decode_utf8(payload))


class StreamedMessage:
    """A message handed on piece by piece; of its text, at most an unfinished character is held."""

    __slots__ = ("_held", "_validator", "fragments", "size")

    def __init__(self, opcode: int) -> None:
        self._held = b""
        self._validator = Utf8Validator() if opcode == Opcode.TEXT else None
        self.fragments = 0
        self.size = 0

    def add(self, piece: bytes, fin: bool, events: list[Event]) -> None:
        """Take the next piece of payload and append what there is of it to `events`."""
        validate(self._validator, piece, fin)
        if self._validator is None:
            self._append(piece, fin, events)
            return
        text = self._held + piece
        end = len(text) if self._validator.complete else unfinished(text)
        self._held = text[end:]
        self._append(decode_utf8(text[:end]), fin, events)

    def _append(self, data: str | bytes, fin: bool, events: list[Event]) -> None:
        if data or fin:
            events.append(Fragment(data, fin))


def validate(validator: Utf8Validator | None, piece: bytes, fin: bool) -> None:
    """Refuse a piece of text that is not UTF-8, or ends within a character where the message ends (§8.1)."""
    if validator is None:
        return
    if not validator.feed(piece) or (fin and not validator.complete):
        raise InvalidUtf8("a text message is not UTF-8")


def unfinished(text: bytes) -> int:
    """Return where the unfinished character at the end of `text` begins, in bytes."""
    start = len(text) - 1
    while text[start] & 0xC0 == 0x80:
        start -= 1
    return start
