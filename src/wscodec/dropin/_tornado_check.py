"""The self-test of the drop-in for tornado: what tornado and ours make of the same bytes, over real streams.

Floor 5.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from types import SimpleNamespace
from typing import Any

from tornado.iostream import IOStream
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, WebSocketHandler, _WebSocketParams
from tornado.websocket import WebSocketProtocol13 as HostProtocol

from wscodec import FrameDecoder, Role, encode_frame

from ._aside import run_aside

__all__ = ["check"]

_LIMIT = 200
_PATIENCE = 10  # seconds, where something waits for what never comes
_COMPRESSED = b"\xf2\x48\xcd\xc9\xc9\x07\0"  # "Hello", as in RFC 7692 §7.2.3.1

# What a protocol reads: for each connection one write of the peer's after the other, as frames to be masked.
_STREAMS = [
    [[(1, b"hello"), (2, b"\0\1"), (9, b"p"), (1, "h\xe9".encode())], [(1, b"hello"), (8, b"\x03\xe8bye")]],
    [[(1, b"x" * _LIMIT), (2, b"")], [(2, bytes(_LIMIT + 1)), (1, b"too late")]],
    [[(1, b"a"), (1, b"\xff"), (1, b"too late")]],
    [[(1, b"end"), (1, b"still read")], [(8, b"")]],
    [[(1, b"a"), (3, b"reserved")]],
]
_FRAGMENTS = [(False, 1, b"h"), (True, 9, b""), (False, 0, b"\xc3"), (True, 0, b"\xa9"), (True, 8, b"\x03\xe9")]


def check(ours: Any) -> None:
    """The self-test: raise an exception where tornado is not as it was when this was written.

    Args:
        ours: the protocol that is to take the place of tornado's, and is in place.
    """
    _check_places(ours)
    run_aside(_compare(ours))


def _check_places(ours: Any) -> None:
    """See that handlers and clients ask for their protocol where they did, and a protocol for what it reads."""
    for name in ("_receive_frame", "_read_bytes", "_handle_message", "_run_callback"):
        if not hasattr(HostProtocol, name):
            raise LookupError(f"there is no WebSocketProtocol13.{name}")
    params = _WebSocketParams()
    request = SimpleNamespace(headers={"Sec-WebSocket-Version": "13"})
    handler = SimpleNamespace(request=request, get_compression_options=lambda: None, **vars(params))
    client = SimpleNamespace(params=params)
    for owner, made in ((WebSocketHandler, handler), (WebSocketClientConnection, client)):
        if type(owner.get_websocket_protocol(made)) is not ours:
            raise LookupError("a connection does not ask for its protocol where it did")


async def _compare(ours: Any) -> None:
    for client in (False, True):
        key = None if client else b"\1\2\3\4"
        streams = [[_frames(write, key) for write in writes] for writes in _STREAMS]
        pieces = [encode_frame(opcode, data, fin=fin, masking_key=key) for fin, opcode, data in _FRAGMENTS]
        compressed = encode_frame(1, _COMPRESSED, rsv1=True, masking_key=key)
        cut = [compressed + compressed[:3], compressed[3:9], compressed[9:] + pieces[-1]]
        for writes in (*streams, pieces, cut, [streams[0][0][:-1]]):
            deflate = writes is cut
            expected = await _told(HostProtocol, client, deflate, writes)
            found = await _told(ours, client, deflate, writes)
            if found != expected:
                raise AssertionError(f"{found!r} instead of {expected!r}")


def _frames(frames: list[tuple[int, bytes]], key: bytes | None) -> bytes:
    return b"".join(encode_frame(opcode, payload, masking_key=key) for opcode, payload in frames)


class _Handler:
    """What a protocol tells; messages are sent back, and "end" ends the connection."""

    def __init__(self) -> None:
        self.protocol: Any = None
        self.told: list[Any] = []

    def on_message(self, message: str | bytes) -> Any:
        self.told.append(message)
        if message == "end":
            self.protocol.close(1001, "bye")
            return None
        return self.protocol.write_message(message, isinstance(message, bytes))

    def on_ping(self, data: bytes) -> None:
        self.told.append(("ping", data))

    def on_pong(self, data: bytes) -> None:
        self.told.append(("pong", data))

    def on_ws_connection_close(self, code: int | None, reason: str | None) -> None:
        self.told.append((code, reason))

    def log_exception(self, *error: Any) -> None:
        self.told.append(error[0])


async def _told(kind: Any, client: bool, deflate: bool, writes: list[bytes]) -> list[Any]:
    """Return what a handler is told, what is sent back, and how many bytes there were."""
    near, far = socket.socketpair()
    far.settimeout(_PATIENCE)
    with far:
        handler = _Handler()
        handler.protocol = protocol = kind(handler, client, _WebSocketParams(max_message_size=_LIMIT))
        protocol.stream = IOStream(near)
        if deflate:
            protocol._create_compressors("client" if client else "server", {})
        reading = asyncio.ensure_future(protocol._receive_frame_loop())
        with contextlib.suppress(OSError):  # it may have closed the connection
            for data in writes:
                far.sendall(data)
                for _ in range(5):
                    await asyncio.sleep(0)
            far.shutdown(socket.SHUT_WR)
        await asyncio.wait_for(reading, _PATIENCE)
        sizes = (protocol._message_bytes_in, protocol._message_bytes_out, protocol._wire_bytes_out)
        try:
            protocol.write_message("late")
        except WebSocketClosedError as error:
            handler.told.append(type(error))
        return [handler.told, sizes, FrameDecoder(Role.SERVER if client else Role.CLIENT).feed(_received(far))]


def _received(far: socket.socket) -> bytes:
    """Return what has come, on a connection that the other end has closed."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := far.recv(1 << 16):
            data += piece
    return data
