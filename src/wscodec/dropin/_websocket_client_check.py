"""The self-test of the drop-in for websocket-client: what a connection makes of bytes, and what it writes.

Floor 5.
"""

from __future__ import annotations

import io
from typing import Any

from websocket import ABNF, WebSocket, WebSocketPayloadException, WebSocketProtocolException

__all__ = ["check"]

# What a server sends, and what `recv` makes of it: a message, or the class of an error.
_READS: list[tuple[bytes, Any]] = [
    (b"\x81\x06h\xc3\xa9llo", "h\xe9llo"),
    (b"\x82\x02\xff\0", b"\xff\0"),
    (b"\x01\x02h\xc3\x80\x02\xa9!", "h\xe9!"),
    (b"\x81\x02a\xff", WebSocketPayloadException),
    (b"\x81\x03\xed\xa0\x80", WebSocketPayloadException),
    (b"\x81\x02a\xc3", UnicodeDecodeError),
    (b"\x88\x05\x03\xe8ok\xff", WebSocketProtocolException),
    (b"\x80\0", WebSocketProtocolException),
]
# What a client sends: an opcode, the size of a payload, and whether the frame is the last one of its message.
_SENDS = [
    (ABNF.OPCODE_TEXT, 0, 1),
    (ABNF.OPCODE_PING, 125, 1),
    (ABNF.OPCODE_BINARY, 126, 0),
    (ABNF.OPCODE_CONT, 65_536, 1),
]
_KEY_SIZE = 4


def check() -> None:
    """Raise an exception where websocket-client is not as it was when this was written; ours is in place."""
    for data, expected in _READS:
        _expect(_received(data), expected)
    for opcode, size, fin in _SENDS:
        _expect_same_bytes(bytes(range(256)) * (size // 256) + bytes(range(size % 256)), opcode, fin)


def _received(data: bytes) -> Any:
    """Return what `recv` makes of a stream that ends where the message does."""
    stream = io.BytesIO(data)

    def read(size: int) -> bytes:
        piece = stream.read(size)
        if not piece:
            raise EOFError("it reads on")
        return piece

    ws = WebSocket()
    ws.frame_buffer.recv = read
    try:
        return ws.recv()
    except (WebSocketPayloadException, WebSocketProtocolException, UnicodeDecodeError) as error:
        return type(error)


def _expect_same_bytes(payload: bytes, opcode: int, fin: int) -> None:
    """See that a frame says the same when websocket-client writes it itself, as it does with a key of the user's."""
    ours = ABNF.create_frame(payload, opcode, fin).format()
    frame = ABNF.create_frame(payload, opcode, fin)
    header = len(ours) - len(payload) - _KEY_SIZE
    frame.get_mask_key = lambda size: ours[header : header + size]
    _expect(ours, frame.format())


def _expect(found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{found!r} instead of {expected!r}")
