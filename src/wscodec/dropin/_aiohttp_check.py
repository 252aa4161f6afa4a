"""The self-test of the drop-in for aiohttp: what aiohttp's reader and writer and ours make of the same.

Floor 5.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from aiohttp import ClientSession, WSMsgType
from aiohttp.web import WebSocketResponse
from aiohttp.web_ws import WebSocketDataQueue

from wscodec import encode_frame

from ._aiohttp_reader import HostReader, ServerReader
from ._aiohttp_transport import HostWriter, Writer

__all__ = ["check"]

_KEY = b"\1\2\3\4"
_LIMIT = 300  # of a message, and half of a queue's
# What the self-test has read, each a connection: opcode, payload, FIN, and how many bytes come in a read.
_STREAMS: list[tuple[list[tuple[int, bytes, bool]], int]] = [
    ([(1, b"hello", True), (2, b"\0\1", True), (9, b"p", True), (1, "h\xe9".encode() * 99, True)], 1000),
    ([(1, b"h\xc3", False), (9, b"", True), (0, b"\xa9", False), (0, b"", True), (8, b"\3\xe8ok", True)], 3),
    ([(2, b"x" * 200, True)] * 9, 1000),
    ([(2, b"x", True), (1, b"x" * 299, True), (1, b"x" * 300, True)], 100),
    ([(1, b"a", True), (1, b"\xff", True)], 1000),
    ([(1, b"a\xff" * 99, True)], 100),
    ([(1, b"a", False), (1, b"b", True)], 1000),
    ([(0, b"a", True)], 1000),
    ([(3, b"a", True)], 1),
]
# Where aiohttp makes readers and writers, by names of its modules.
_USES: list[tuple[type[Any], str, str]] = [
    (WebSocketResponse, "_pre_start", "WebSocketWriter"),
    (WebSocketResponse, "_post_start", "WebSocketReader"),
    (ClientSession, "_ws_connect", "WebSocketWriter"),
    (ClientSession, "_ws_connect", "WebSocketReader"),
]


class _Protocol:
    """What a queue and a writer ask of a connection, of its transport, and of its event loop."""

    def __init__(self) -> None:
        self.transport: Any = self
        self.written = b""
        self._loop = self
        self._calls: list[Callable[[], None]] = []
        self._reading_paused = self._paused = False

    def pause_reading(self) -> None:
        self._reading_paused = True

    def resume_reading(self) -> None:
        self._reading_paused = False

    def call_soon(self, call: Callable[[], None]) -> None:
        self._calls.append(call)

    def run(self) -> None:
        while self._calls:
            self._calls.pop()()

    def is_closing(self) -> bool:
        return False

    def write(self, data: Any) -> None:
        self.written += data

    def writelines(self, pieces: Sequence[Any]) -> None:
        self.written += b"".join(pieces)

    def close(self) -> None:
        self.written += b"closed"


def check(writer: type[Writer], readers: Sequence[type[ServerReader]]) -> None:
    """The self-test: raise an exception where aiohttp is not as it was when this was written.

    Args:
        writer: ours.
        readers: ours, if they are to be in place.
    """
    for owner, method, name in _USES:
        if name not in getattr(owner, method).__code__.co_names:
            raise LookupError(f"{owner.__name__}.{method} does not ask for {name}")
    for frames, size in _STREAMS:
        for ours in readers:
            key = _KEY if ours.masked else None
            stream = b"".join(encode_frame(code, data, fin=fin, masking_key=key) for code, data, fin in frames)
            reads = [stream[start : start + size] for start in range(0, len(stream), size)]
            _expect(_told(ours, reads), _told(HostReader, reads))
    _expect(_sent(writer), _sent(HostWriter))


def _told(kind: type[Any], reads: list[bytes]) -> list[Any]:
    """Return the messages that a reader makes of reads, and the error that they end with."""
    told: list[Any] = []
    options = {"decode_text": True} if hasattr(WebSocketResponse, "_parser") else {}
    queue = WebSocketDataQueue(_Protocol(), _LIMIT, loop=None)
    reader = kind(queue, _LIMIT, compress=False, **options)
    results = [reader.feed_data(data) for data in reads]
    while queue._buffer:
        message = _result(queue.read())
        told.append((type(message), *message))
    error = queue.exception()
    told.append((results[-1][0], type(error), getattr(error, "code", None), str(error)))
    return told


def _sent(kind: type[HostWriter]) -> bytes:
    """Return what a writer has written when the connection is closed."""
    protocol = _Protocol()
    writer = kind(protocol, protocol.transport)
    for data in (b"a", b"b" * 200, b"c" * 70_000, bytearray(b"d"), b"e"):
        _result(writer.send_frame(data, WSMsgType.BINARY))
    protocol.run()
    _result(writer.send_frame(b"f", WSMsgType.TEXT))
    _result(writer.close(1000, b"bye"))
    protocol.transport.close()
    return protocol.written


def _result(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns, which has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError("a coroutine waits that did not")


def _expect(found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{found!r} instead of {expected!r}")
