"""The reader of the drop-in for aiohttp: whole messages are read here, everything else by aiohttp's own reader.

Floor 5.
"""

from __future__ import annotations

from typing import Any, Final

from aiohttp import WSMessage, WSMsgType
from aiohttp.http import WebSocketReader as HostReader

from wscodec import Header, InvalidUtf8, Opcode, parse_header
from wscodec.assembly import WholeMessage
from wscodec.events import Event
from wscodec.frames import NO_LIMIT, FrameReader, take_messages
from wscodec.spec import CONTROL, FIN, OPCODE

__all__ = ["ClientReader", "HostReader", "ServerReader"]

# What is read before the queue is looked at again, in bytes: 2,700 messages at most.
_WINDOW: Final = 1 << 14
_PLAIN: Final = (FIN | Opcode.TEXT, FIN | Opcode.BINARY)
_NOT_TEXT: Final = b"\x81\x01\xff"
_FINE: Final = (False, b"")
_FAILED: Final = (True, b"")

_new = tuple.__new__  # a NamedTuple's own way of being made takes twice as long
_TEXT, _BINARY = WSMsgType.TEXT, WSMsgType.BINARY


class ServerReader(HostReader):  # type: ignore[misc]
    """Reads a client's frames into aiohttp's queue of messages.

    A frame that is a whole message and not compressed is read here. All other frames are handed to aiohttp's reader as
    they come, and what is wrong is told by it. It is also what waits where the queue is full: it gets the beginning of
    the next frame, of which it takes no notice until messages are taken out of the queue.

    Args:
        queue: for the messages.
        max_msg_size: messages have to be shorter, in bytes; 0 for no limit.
        options: what aiohttp's reader takes besides. Messages must be decoded, and permessage-deflate not agreed on.
    """

    masked = True

    def __init__(self, queue: Any, max_msg_size: int, **options: Any) -> None:
        super().__init__(queue, max_msg_size, **options)
        self._messages = queue
        self._put = queue.feed_data
        self._longest = max_msg_size - 1 if max_msg_size else NO_LIMIT
        self._waits = hasattr(queue, "_stalled_reader")  # since 3.14
        self._between = True  # whether nothing is under way, here or in aiohttp's reader
        self._rest = b""  # not looked at yet
        self._frames = FrameReader()
        self._header: Header | None = None  # of a frame that is not all there, and is read here
        self._message = WholeMessage(Opcode.BINARY)
        self._given = 0  # bytes of a header that aiohttp's reader has already
        self._theirs = 0  # bytes of a payload that it has still to get
        self._in_fragments = False  # whether it has the beginning of a message
        self._failed = False

    def feed_data(self, data: bytes | bytearray | memoryview) -> tuple[bool, bytes]:
        """Take the next bytes of the stream; an error goes into the queue.

        Returns:
            Whether that is the end, and what was not read.
        """
        if type(data) is not bytes:
            data = bytes(data)
        position = 0
        if self._between and len(data) <= _WINDOW:
            ready: list[Event] = []
            position = take_messages(data, 0, self.masked, self._longest, ready)
            self._put_all(ready)
            if position == len(data):
                return _FINE
        if self._failed:
            return True, data
        if self._waiting():
            self._give(b"")
        if self._rest:
            data, self._rest = self._rest + data, b""
        self._feed(data, position)
        self._between = not (
            self._rest
            or self._frames.held
            or self._header is not None
            or self._theirs
            or self._in_fragments
            or self._failed
            or self._waiting()
        )
        return _FAILED if self._failed else _FINE

    def _feed(self, data: bytes, position: int) -> None:
        """Read from `position` on, as far as the queue takes messages."""
        end = len(data)
        while position < end and not self._failed:
            if self._waiting():
                self._rest = data[position:]
                return
            if self._header is not None:
                position = self._take_piece(data, position)
            elif self._theirs:
                position = self._pass_on(data, position)
            else:
                start, position = position, self._take_window(data, position)
                if position == start:
                    position = self._take_header(data, position)

    # Whole messages

    def _take_window(self, data: bytes, position: int) -> int:
        """Take the plain messages of the next few kilobytes, or a longer one; return where they end."""
        if self._frames.held or self._in_fragments or self._is_full():
            return position
        header = parse_header(data, position)
        if header is None:
            return position
        end = position + max(_WINDOW, header.size + header.length)
        ready: list[Event] = []
        with memoryview(data)[position:end] as window:
            position += take_messages(window, 0, self.masked, self._longest, ready)
        self._put_all(ready)
        return position

    def _put_all(self, messages: list[Event]) -> None:
        for message in messages:
            if type(message) is str:
                size = len(message) if message.isascii() else len(message.encode())
                self._put(_new(WSMessage, (_TEXT, message, "")), size)
            else:
                self._put(_new(WSMessage, (_BINARY, message, "")), len(message))  # type: ignore[arg-type]

    # Frames in pieces

    def _take_header(self, data: bytes, position: int) -> int:
        """Take a header, or what there is of it, and decide whose the frame is; return the position behind it."""
        head = self._frames.preview(data, position)
        ours = not (head[0] not in _PLAIN or self._given or self._in_fragments or self._is_full())
        header, position = self._frames.read_header(head, position)
        if header is None:
            if not ours:
                self._give(head[self._given :])
                self._given = len(head)
            return position
        if ours and (header.masking_key is not None) is self.masked and header.length <= self._longest:
            self._header = header
            self._message = WholeMessage(header.opcode)
            return position if header.length else self._take_piece(data, position)
        self._follow(head[0])
        self._theirs = header.length
        given, self._given = self._given, 0
        self._give(head[given : header.size])
        return position

    def _take_piece(self, data: bytes, position: int) -> int:
        """Take what there is of a payload, and return the position behind it."""
        header = self._header
        assert header is not None
        ready: list[Event] = []
        try:
            position += self._message.read(self._frames, data, position, True, ready)
        except InvalidUtf8:
            self._give(_NOT_TEXT)
            return position
        for message in ready:
            kind = _TEXT if type(message) is str else _BINARY
            self._put(_new(WSMessage, (kind, message, "")), header.length)
            self._header = None
        return position

    # What is aiohttp's

    def _follow(self, first: int) -> None:
        """Note what the first byte of a frame says of the message that aiohttp's reader has."""
        if first & CONTROL:
            return
        if not first & FIN:
            self._in_fragments = True
        elif first & OPCODE == Opcode.CONTINUATION:
            self._in_fragments = False

    def _pass_on(self, data: bytes, position: int) -> int:
        """Hand on what there is of a payload, and return the position behind it."""
        piece = data[position : position + self._theirs]
        self._theirs -= len(piece)
        self._give(piece)
        return position + len(piece)

    def _give(self, data: bytes) -> None:
        self._failed = super().feed_data(data)[0]

    def _is_full(self) -> bool:
        """Return whether the queue has as much as it is meant to have."""
        return self._waits and self._messages._size > self._messages._limit

    def _waiting(self) -> bool:
        """Return whether aiohttp's reader waits for the queue."""
        return self._waits and self._messages._stalled_reader is not None


class ClientReader(ServerReader):
    """Reads a server's frames."""

    masked = False
