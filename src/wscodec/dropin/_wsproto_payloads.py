"""What the drop-in for wsproto has of its own for payloads: text in pieces, and a limit on what inflates.

Floor 5.
"""

from __future__ import annotations

from codecs import utf_8_decode
from typing import Any

from wsproto.frame_protocol import CloseReason, ParseFailed

from wscodec import decode_utf8
from wscodec.frames import NO_LIMIT
from wscodec.spec import RSV1

__all__ = ["TextDecoder", "limit_inflating"]


class TextDecoder:
    """Decodes a text that comes in pieces; a character that is cut waits for its other bytes."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def decode(self, piece: bytes, last: bool) -> str:
        """Return the characters that `piece` completes; ParseFailed for what is no UTF-8."""
        data = self._rest + piece if self._rest else piece
        end = len(data) if last else _end_of_whole(data)
        try:
            if end == len(data):
                text = decode_utf8(data)
                self._rest = b""
            else:
                text = decode_utf8(memoryview(data)[:end])
                self._rest = data[end:]
                utf_8_decode(self._rest)  # is it the beginning of a character?
        except UnicodeDecodeError:
            # Of a piece, other bytes are at fault than of a whole text.
            try:
                return utf_8_decode(data, "strict", last)[0]
            except UnicodeDecodeError as error:
                raise ParseFailed(str(error), CloseReason.INVALID_FRAME_PAYLOAD_DATA) from None
        return text


def _end_of_whole(data: bytes) -> int:
    """Return where the last character begins, if its first byte says that it has more bytes than are there."""
    size = len(data)
    for back in range(1, min(size, 3) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            width = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return size - back if width > back else size
        if byte < 0x80:
            break
    return size


class _Limited:
    """A decompressor of an extension, within a limit.

    Args:
        stream: the decompressor.
        limit: of a message, in bytes.

    Attributes:
        left: how much the message may still have, in bytes.
    """

    __slots__ = ("_limit", "_stream", "left")

    def __init__(self, stream: Any, limit: int) -> None:
        self._stream = stream
        self._limit = self.left = limit

    def decompress(self, data: bytes) -> bytes:
        """Inflate `data`; ParseFailed where the message is above the limit."""
        if self._stream.eof:
            data = b""  # zlib would keep all that comes behind the end of its stream
        # One byte more tells what is above the limit from what reaches it.
        inflated: bytes = self._stream.decompress(data, self.left + 1)
        self.left -= len(inflated)
        if self.left < 0:
            raise ParseFailed(f"a message inflates to more than {self._limit} bytes", CloseReason.MESSAGE_TOO_BIG)
        return inflated

    def flush(self) -> bytes:
        """Return what the decompressor still has: nothing, since its input is used up where nothing was raised."""
        return bytes(self._stream.flush())


def limit_inflating(extension: Any, limit: int, first: int) -> None:
    """Put the limit around the decompressor of a PerMessageDeflate; a compressed message has all of it for itself."""
    stream = extension._decompressor
    if stream is None or limit >= NO_LIMIT:
        return
    if type(stream) is not _Limited:
        extension._decompressor = stream = _Limited(stream, limit)
    if first & RSV1:
        stream.left = limit
