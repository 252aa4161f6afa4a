"""The self-test of the drop-in for Uvicorn: one request on its way from Uvicorn to an application.

Floor 5.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ._uvicorn import Message, adopter_of, disconnect

__all__ = ["check"]

_REQUEST = (
    b"GET /a%20b?c=d HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
)
_TOLD = {"type": "websocket", "path": "/a b", "query_string": b"c=d", "subprotocols": ["chat"], "state": {"s": 1}}


def check(ours: Any) -> None:
    """The self-test: raise an exception where Uvicorn is not as it was when this was written.

    It runs no event loop, for there may be one that runs.

    Args:
        ours: the class that `ws="auto"` is to mean, and does.
    """
    with contextlib.ExitStack() as silence:
        for name in ("uvicorn.error", "uvicorn.asgi"):
            silence.enter_context(_without_trace(logging.getLogger(name)))
        _check(ours)


@contextlib.contextmanager
def _without_trace(logger: logging.Logger) -> Iterator[None]:
    """Have a logger leave out what is below DEBUG: it would tell of a connection that nobody made."""
    level = logger.level
    if logger.getEffectiveLevel() < logging.DEBUG:
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.setLevel(level)


def _check(ours: Any) -> None:
    told: list[Message] = []

    async def app(scope: Message, receive: Any, send: Any) -> None:
        told.append({name: scope[name] for name in _TOLD})
        told.extend([await receive(), await receive()])

    config = Config(app, http=H11Protocol, lifespan="off", interface="asgi3", log_config=None, proxy_headers=False)
    config.load()
    _expect(config.ws_protocol_class, ours)
    adopter_of(config)
    loop = _Loop()
    config.ws_protocol_class = functools.partial(ours, _loop=loop)
    state = ServerState()
    transport = _Transport()
    protocol = H11Protocol(config, state, {"s": 1}, _loop=loop)
    protocol.connection_made(transport)
    protocol.data_received(_REQUEST)
    found: Any = transport.get_protocol()
    _expect((type(found), state.connections, state.tasks), (ours, {found}, {loop}))
    found.connection_lost(None)
    loop.run()
    _expect(told, [_TOLD, {"type": "websocket.connect"}, disconnect(1006)])
    _expect(state.connections, set())


class _Loop:
    """An event loop for one coroutine that never waits; it is the coroutine's task, too."""

    def create_task(self, coroutine: Coroutine[Any, Any, None], **settings: Any) -> _Loop:
        self._coroutine = coroutine
        return self

    def add_done_callback(self, callback: Callable[..., object]) -> None:
        pass

    def run(self) -> None:
        try:
            self._coroutine.send(None)
        except StopIteration:
            return
        raise AssertionError("the application waits")


class _Transport(asyncio.Transport):
    """A connection to nobody, which ends as soon as the request has been read."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 80), "peername": ("127.0.0.1", 1)})
        self._protocol: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def is_closing(self) -> bool:
        return True


def _expect(found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{found!r} instead of {expected!r}")
