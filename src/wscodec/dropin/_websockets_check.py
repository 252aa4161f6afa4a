"""The self-test of the drop-in for websockets: what websockets and ours make of the same bytes.

Floor 5.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from websockets.asyncio.connection import Connection
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.protocol import Protocol, Side

from wscodec import backend

from ._aside import run_aside
from ._websockets_asyncio import host_recv, host_send, recv, send
from ._websockets_frames import host_parse, host_send_binary, host_send_text, parse, send_binary, send_text

__all__ = ["check"]

_HELLO = b"\x81\x05hello"
_MASKED = b"\x81\x85\1\2\3\4" + bytes(map(int.__xor__, b"hello", b"\1\2\3\4\1"))
_COMPRESSED = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\0"  # "Hello", as in RFC 7692 §7.2.3.1
# What the self-test has a client and a server read: for each connection what comes in one read after the other.
_TO_CLIENT: list[tuple[bytes, ...]] = [
    (_HELLO + b"\x82\x03\0\1\2\x89\x01p\x8a\0",),
    (b"\x01\x03h\xc3", b"\xa9", b"\x80\x02!?", _COMPRESSED[:4], _COMPRESSED[4:] + b"\x88\x04\x03\xe8ok" + _HELLO),
    (b"\x82\x7e\0\x7e" + bytes(100), bytes(26) + b"\x88", b"\x02\x0f\xa0"),
    (b"\x82\x7e\0\x05hello" + _HELLO,),
    (b"\x88\0" + _HELLO,),
    (b"\x88\x01\0",),
    (b"\x80\0",),
    (b"\x01\x01a", _HELLO),
    (_HELLO + b"\x83\0",),
    (b"\x09\0",),
    (b"\xa1\0",),
    (b"\x82\x7f\0\0\0\0\0\1\0\0",),
    (b"\x01\x7e\x01\0" + bytes(256), b"\x00\x7e\x03\0" + bytes(768)),
    (b"\x81\x05he",),
    (_MASKED,),
]
_TO_SERVER: list[tuple[bytes, ...]] = [(_MASKED[:3], _MASKED[3:7], _MASKED[7:] + _MASKED), (_HELLO,)]
_MAX_SIZE = 1000  # bytes, so that some of it is too big


class _HostProtocol(Protocol):  # type: ignore[misc]
    parse = host_parse
    send_binary = host_send_binary
    send_text = host_send_text


class _OurProtocol(Protocol):  # type: ignore[misc]
    parse = parse
    send_binary = send_binary
    send_text = send_text


class _HostConnection(Connection):  # type: ignore[misc]
    recv = host_recv
    send = host_send


class _OurConnection(Connection):  # type: ignore[misc]
    recv = recv
    send = send


def check() -> None:
    """The self-test: raise an exception where websockets is not as it was when this was written.

    Its masking is compiled: next to that, ours would be slower where it is not.
    """
    if backend != "compiled":
        raise LookupError("the compiled modules of wscodec are not in use")
    for side, streams in ((Side.CLIENT, _TO_CLIENT), (Side.SERVER, _TO_SERVER)):
        for reads in streams:
            _expect(_told(_OurProtocol, side, reads), _told(_HostProtocol, side, reads))
    _expect(_sent(_OurProtocol, Side.SERVER), _sent(_HostProtocol, Side.SERVER))
    server = _protocol(_HostProtocol, Side.SERVER)
    server.receive_data(b"".join(_sent(_OurProtocol, Side.CLIENT)))
    _expect([(event.opcode, event.data) for event in server.events_received()], [(1, b"hello"), (9, b"p"), (8, b"")])
    _expect(*run_aside(_talks()))


def _protocol(kind: Any, side: Any) -> Any:
    """Return a protocol that agreed on permessage-deflate, and logs nothing."""
    protocol = kind(side, max_size=_MAX_SIZE, logger=logging.Logger("self-test", logging.CRITICAL))
    protocol.extensions = [PerMessageDeflate(False, False, 12, 12)]
    return protocol


def _told(kind: Any, side: Any, reads: Iterable[bytes]) -> tuple[Any, ...]:
    """Return what a protocol makes of what it reads."""
    protocol = _protocol(kind, side)
    writes: list[bytes] = []
    for data in reads:
        protocol.receive_data(data)
        writes += protocol.data_to_send()
    protocol.receive_eof()
    events = [(event.opcode, event.data, event.fin) for event in protocol.events_received()]
    # Not the bytes: each frame of a client has another masking key.
    lengths = [len(data) for data in [*writes, *protocol.data_to_send()]]
    error = protocol.parser_exc
    return events, lengths, protocol.state, protocol.close_code, type(error), str(error)


def _sent(kind: Any, side: Any) -> list[bytes]:
    """Return what a protocol writes."""
    protocol = _protocol(kind, side)
    protocol.send_text(b"hello")
    protocol.send_ping(b"p")
    protocol.send_close()
    writes: list[bytes] = protocol.data_to_send()
    return writes


async def _talks() -> tuple[Any, Any]:
    """Return what comes of a connection with ours, and of one without."""
    return _talk(_OurConnection), _talk(_HostConnection)


def _talk(kind: Any) -> tuple[Any, ...]:
    """Return what a connection says of what it reads, and what it writes. It needs a loop that runs."""
    transport = _Transport()
    connection = kind(_HostProtocol(Side.SERVER, logger=logging.Logger("self-test", logging.CRITICAL)))
    connection.connection_made(transport)
    connection.data_received(_MASKED + b"\x82" + _MASKED[1:] + b"\x01" + _MASKED[1:] + b"\x80" + _MASKED[1:])
    received = [_at_once(connection.recv()) for _ in range(3)]
    _at_once(connection.send("h\xe9"))
    _at_once(connection.send([b"a", b"b"]))
    return received, transport.written


def _at_once(call: Any) -> Any:
    """Return what a coroutine returns that has nothing to wait for."""
    try:
        call.send(None)
    except StopIteration as result:
        return result.value
    call.close()
    raise AssertionError(f"{call.__qualname__} waits")


class _Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[Any] = []

    def write(self, data: Any) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing: it never waits."""


def _expect(found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{found!r} instead of {expected!r}")
