"""The self-test of the drop-in for gevent-websocket: what a connection makes of bytes, and what it answers.

Floor 5.
"""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from geventwebsocket.websocket import WebSocket

from wscodec import encode_frame

__all__ = ["check"]

_KEY = b"\1\2\3\4"
# Frames that a client sends, what `receive` makes of them, and the bytes that are sent.
_READS: list[tuple[list[tuple[int, bytes, bool]], Any, bytes]] = [
    ([(1, b"h\xc3\xa9llo", True)], "h\xe9llo", b""),
    ([(1, b"", True)], "", b""),
    ([(2, b"\xff\0\1\2\3", True)], b"\xff\0\1\2\3", b""),
    ([(1, b"h\xc3", False), (9, b"p", True), (0, b"\xa9", True)], "h\xe9", b"\x8a\1p"),
    ([(1, b"a\xff", False)], None, b"\x88\0"),
    ([(1, b"\xed\xa0", False)], None, b"\x88\0"),
    ([(1, b"a\xc3", True)], None, b"\x88\0"),
    ([(8, b"\x03\xe8a\xff", True)], None, b"\x88\0"),
    ([(0, b"a", True)], None, b"\x88\0"),
]


def check() -> None:
    """Raise an exception where gevent-websocket is not as it was when this was written; ours is in place."""
    for frames, expected, answer in _READS:
        stream = b"".join(encode_frame(opcode, data, fin=fin, masking_key=_KEY) for opcode, data, fin in frames)
        found = _received(stream)
        if found != (expected, answer):
            raise AssertionError(f"{found!r} instead of {(expected, answer)!r}")


def _received(data: bytes) -> tuple[Any, bytes]:
    """Return what `receive` makes of a stream, and what is sent meanwhile."""
    sent: list[bytes] = []
    stream = SimpleNamespace(read=io.BytesIO(data).read, write=sent.append)
    handler = SimpleNamespace(
        logger=SimpleNamespace(debug=lambda text: None),
        server=SimpleNamespace(application=SimpleNamespace(current_app=SimpleNamespace(on_close=lambda *reason: None))),
    )
    ws = WebSocket({}, stream, handler)
    message = ws.receive()
    ws.closed = True  # it would send a Close frame when it is collected
    return message, b"".join(sent)
