"""Messages under assembly: frames' payloads put together, or handed on as they come (RFC 6455 sections 5.4, 8.1).

Floor 3.
"""

from __future__ import annotations

from typing import Protocol

from ._backend import Payload, Utf8Validator, decode_utf8
from .errors import InvalidUtf8
from .events import Event, Fragment
from .frames import FrameReader
from .spec import Opcode

__all__ = ["Assembly", "StreamedMessage", "WholeMessage"]


class Assembly(Protocol):
    """A message under assembly.

    Attributes:
        fragments: how many frames there were so far; counted by the caller.
        size: of what arrived, in bytes.
    """

    fragments: int
    size: int

    def add(self, piece: bytes, fin: bool, events: list[Event]) -> None:
        """Take the next piece of payload and append what there is to be told to `events`."""

    def read(self, reader: FrameReader, data: bytes | memoryview, position: int, fin: bool, events: list[Event]) -> int:
        """Do the same with the piece that `reader` reads from `data`, and return the piece's size."""


class WholeMessage:
    """A message under assembly: its text is validated as it arrives, and its size is that of what arrived."""

    __slots__ = ("_payload", "fragments", "size")

    def __init__(self, opcode: int) -> None:
        self._payload = Payload(opcode == Opcode.TEXT)
        self.fragments = 0
        self.size = 0

    def add(self, piece: bytes, fin: bool, events: list[Event]) -> None:
        """Take the payload of the next frame; with the last one, append the message to `events`."""
        self.size += self._payload.take(piece, 0, len(piece), None, 0)
        self._judge(fin, events)

    def read(self, reader: FrameReader, data: bytes | memoryview, position: int, fin: bool, events: list[Event]) -> int:
        """Do the same with the piece that `reader` reads from `data`, and return the piece's size."""
        size = reader.read_into(self._payload, data, position)
        self.size += size
        self._judge(fin and not reader.remaining, events)
        return size

    def _judge(self, done: bool, events: list[Event]) -> None:
        """Refuse text that is not UTF-8, or ends within a character where the message ends (§8.1)."""
        message = self._payload.finish() if done else None
        if message is not None:
            events.append(message)
        elif done or not self._payload.valid:
            raise InvalidUtf8("a text message is not UTF-8")


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
        self.size += len(piece)
        if self._validator is None:
            self._append(piece, fin, events)
            return
        if not self._validator.feed(piece) or (fin and not self._validator.complete):
            raise InvalidUtf8("a text message is not UTF-8")
        text = self._held + piece
        end = len(text) if self._validator.complete else unfinished(text)
        self._held = text[end:]
        self._append(decode_utf8(text[:end]), fin, events)

    def read(self, reader: FrameReader, data: bytes | memoryview, position: int, fin: bool, events: list[Event]) -> int:
        """Do the same with the piece that `reader` reads from `data`, and return the piece's size."""
        piece = reader.read_payload(data, position)
        self.add(piece, fin and not reader.remaining, events)
        return len(piece)

    def _append(self, data: str | bytes, fin: bool, events: list[Event]) -> None:
        if data or fin:
            events.append(Fragment(data, fin))


def unfinished(text: bytes) -> int:
    """Return where the unfinished character at the end of `text` begins, in bytes."""
    start = len(text) - 1
    while text[start] & 0xC0 == 0x80:
        start -= 1
    return start
