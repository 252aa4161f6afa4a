"""Uvicorn on this codec: `uvicorn app:app --ws wscodec.dropin.uvicorn:WebSocketProtocol`, or `Config(ws=...)`.

Uvicorn reads the HTTP request and hands it over; the application is told by ASGI's rules for WebSockets.

Floor 5.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from uvicorn.config import Config
from uvicorn.logging import TRACE_LOG_LEVEL
from uvicorn.protocols.utils import (
    ClientDisconnected,
    get_client_addr,
    get_local_addr,
    get_path_with_query_string,
    get_remote_addr,
    is_ssl,
)

from wscodec import ConnectionClosed, HandshakeError, PerMessageDeflate, ServerHandshake
from wscodec.asyncio import Adopter, Request, ServerConnection

__all__ = ["WebSocketProtocol"]

# What the client may send before the application has accepted: it should wait for that.
_EARLY_LIMIT = 1 << 16

Message = dict[str, Any]


class WebSocketProtocol(asyncio.Protocol):
    """One WebSocket of an application; Uvicorn makes it and hands it the request.

    Until the application accepts, it is the protocol of the transport. From then on the connection itself is, and this
    object passes messages between that and the application.
    """

    def __init__(
        self,
        config: Config,
        server_state: Any,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self.config = config
        self.app: Any = config.loaded_app
        self.app_state = app_state
        self.server_state = server_state
        self.logger = logging.getLogger("uvicorn.error")
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.scope: Message = {}
        # Uvicorn has read the request, and judged its size.
        self._handshake = ServerHandshake(
            server_header=None,
            compression=_deflate() if config.ws_per_message_deflate else None,
            max_line_size=sys.maxsize,
            max_head_size=sys.maxsize,
            max_headers=sys.maxsize,
        )
        self._loop = _loop or asyncio.get_running_loop()
        self._ws: ServerConnection | None = None
        self._early = b""
        self._told = False  # the application, that there is a client
        self._answered = False  # the request, in whatever way
        self._ended: tuple[int, str] | None = None  # by us: the code and the reason
        self._lost = self._write_paused = False
        self._refusal: tuple[int, list[tuple[str, str]], bytes] | None = None
        self._waiter: asyncio.Future[None] | None = None

    # What Uvicorn and the event loop call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport of the HTTP connection."""
        self.transport = cast(asyncio.Transport, transport)
        self.server_state.connections.add(self)
        self._trace("WebSocket connection made")

    def data_received(self, data: bytes) -> None:
        """Take the request, and keep what comes behind it until the application has accepted."""
        if self._answered:
            return
        if self._handshake.request is not None:
            self._early += data
            if len(self._early) > _EARLY_LIMIT:
                self.transport.pause_reading()
            return
        try:
            request = self._handshake.receive(data)
        except HandshakeError as error:
            self._answer(error.response)
            return
        if request is not None:
            self._begin(request)

    def pause_writing(self) -> None:
        """Remember it for the connection."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Remember it for the connection."""
        self._write_paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application that there is no client any more."""
        self._lost = True
        self.server_state.connections.discard(self)
        self._wake()
        if self._ws is not None:
            self.logger.info("connection closed")
        self._trace("WebSocket connection lost")

    def shutdown(self) -> None:
        """Close the connection, for the server goes away."""
        if self._ws is not None:
            self._end(1012)
            return
        if not self._answered and self._handshake.request is not None:
            self._refuse(500, b"Internal Server Error")
        self.transport.close()

    # What the application calls.

    async def receive(self) -> Message:
        """Return the next message for the application."""
        ws = self._ws
        if ws is None or self._ended is not None:
            return await self._receive_otherwise()
        try:
            data = await ws.recv()
        except ConnectionClosed:
            return self._disconnected()
        return {"type": "websocket.receive", "text" if type(data) is str else "bytes": data}

    async def send(self, message: Message) -> None:
        """Take a message of the application."""
        ws = self._ws
        if ws is None or self._ended is not None or message["type"] != "websocket.send":
            self._send_otherwise(message)
            return
        data = message.get("bytes")
        if data is None:
            data = message.get("text")
        if data is None:
            return
        try:
            await ws.send(data)
        except ConnectionClosed as error:
            raise ClientDisconnected from error

    # How a connection begins.

    def _begin(self, request: Request) -> None:
        """Run the application."""
        self.scope = self._scope(request)
        task = self._loop.create_task(self._run())
        task.add_done_callback(self.server_state.tasks.discard)
        self.server_state.tasks.add(task)

    def _scope(self, request: Request) -> Message:
        path, _, query = request.target.partition("?")
        root = self.config.root_path
        return {
            "type": "websocket",
            "asgi": {"version": self.config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(self.transport) else "ws",
            "server": get_local_addr(self.transport),
            "client": get_remote_addr(self.transport),
            "root_path": root,
            "path": root + unquote(path),
            "raw_path": (root + path).encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in request.headers],
            "subprotocols": list(self._handshake.offered_subprotocols),
            "state": self.app_state.copy(),
            "extensions": {"websocket.http.response": {}},
        }

    async def _run(self) -> None:
        """Run the application to its end, and close what it leaves open."""
        code = 1000
        try:
            result = await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except BaseException:
            self.logger.exception("Exception in ASGI application\n")
            code = 1011
        else:
            if not self._answered:
                self.logger.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                self.logger.error("ASGI callable should return None, but returned '%s'.", result)
        if not self._answered and not self._lost:
            self._refuse(500, b"Internal Server Error")
        if self._ws is not None:
            self._end(code)
        else:
            self.transport.close()

    def _accept(self, message: Message) -> None:
        self._log("[accepted]")
        headers = [*self.server_state.default_headers, *message.get("headers", [])]
        handshake = self._handshake
        answer = handshake.accept(
            subprotocol=message.get("subprotocol"),
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers],
        )
        self._answered = True
        if self.transport.is_closing():
            return
        self.transport.write(answer)
        self.transport.resume_reading()
        early, self._early = handshake.trailing + self._early, b""
        self._ws = _adopter(self.config).adopt(
            self.transport,
            subprotocol=handshake.subprotocol,
            compression=handshake.compression,
            trailing=early,
            write_paused=self._write_paused,
            prepare=self._prepare,
        )
        self.logger.info("connection open")
        self._wake()

    def _prepare(self, ws: ServerConnection) -> None:
        """Have the end of the connection told to us."""
        ws.asgi = self  # type: ignore[attr-defined]

    # What is neither receiving nor sending a message.

    async def _receive_otherwise(self) -> Message:
        if not self._told:
            self._told = True
            return {"type": "websocket.connect"}
        while self._ws is None and not self._lost and self._ended is None:
            self._waiter = self._loop.create_future()
            await self._waiter
        if self._ws is not None and self._ended is None:
            return await self.receive()
        return self._disconnected()

    def _disconnected(self) -> Message:
        """Return what the application is told at the end."""
        code, reason = self._ended or (1006, "")
        if self._ended is None and self._ws is not None:
            code, reason = self._ws.close_code or 1006, self._ws.close_reason or ""
        return {"type": "websocket.disconnect", "code": code, "reason": reason}

    def _send_otherwise(self, message: Message) -> None:
        if self._lost and self._ended is None:
            raise ClientDisconnected
        if self._refusal is not None:
            self._step(message, {"websocket.http.response.body": self._go_on_refusing})
        elif not self._answered:
            self._step(
                message,
                {
                    "websocket.accept": self._accept,
                    "websocket.close": self._forbid,
                    "websocket.http.response.start": self._begin_refusing,
                },
            )
        elif self._ended is None:
            self._step(message, {"websocket.send": self._drop, "websocket.close": self._close})
        else:
            raise RuntimeError(
                f"Unexpected ASGI message '{message['type']}', after sending 'websocket.close' "
                "or response already completed."
            )

    def _step(self, message: Message, steps: dict[str, Callable[[Message], None]]) -> None:
        """Do what a message says, if it is one of those that may come now."""
        step = steps.get(message["type"])
        if step is None:
            expected = " or ".join(f"'{kind}'" for kind in steps)
            raise RuntimeError(f"Expected ASGI message {expected}, but got '{message['type']}'.")
        step(message)

    def _drop(self, message: Message) -> None:
        """Take a message for a client that was gone when it was accepted."""
        raise ClientDisconnected

    def _close(self, message: Message) -> None:
        self._end(message.get("code", 1000), message.get("reason") or "")

    def _end(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake, if it has not begun."""
        if self._ended is not None:
            return
        ws = self._ws
        assert ws is not None
        if ws.close_code is None:
            self._ended = (code, reason)
        ws.close_nowait(code, reason)

    # Answers that are no 101.

    def _forbid(self, message: Message) -> None:
        self._log("403")
        self._refuse(403, b"")
        self.transport.close()

    def _begin_refusing(self, message: Message) -> None:
        status = message["status"]
        self._log(str(status))
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", [])]
        self._refusal = (status, headers, b"")

    def _go_on_refusing(self, message: Message) -> None:
        assert self._refusal is not None
        status, headers, body = self._refusal
        body += message.get("body", b"")
        self._refusal = (status, headers, body)
        if message.get("more_body", False):
            return
        self._refusal = None
        self._refuse(status, body, headers)
        self.transport.close()

    def _refuse(
        self, status: int, body: bytes, headers: list[tuple[str, str]] | tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Answer the request with a plain HTTP response, and take it that the client is gone."""
        self._ended = (1006, "")
        names = {name.lower() for name, _ in headers}
        kept = [(name, value) for name, value in headers if name.lower() not in ("content-length", "connection")]
        if "content-type" not in names:
            kept.append(("Content-Type", "text/plain; charset=utf-8"))
        self._answer(self._handshake.reject(status, kept, body))
        self._wake()

    def _answer(self, answer: bytes) -> None:
        self._answered = True
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()

    # Small things.

    def _wake(self) -> None:
        """Have `receive` look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _log(self, outcome: str) -> None:
        path = get_path_with_query_string(cast(Any, self.scope))
        self.logger.info('%s - "WebSocket %s" %s', get_client_addr(cast(Any, self.scope)), path, outcome)

    def _trace(self, text: str) -> None:
        if self.logger.isEnabledFor(TRACE_LOG_LEVEL):
            client = get_remote_addr(self.transport) or self.scope.get("client")
            self.logger.log(TRACE_LOG_LEVEL, "%s%s", "%s:%d - " % client if client else "", text)


_adopters: WeakKeyDictionary[Config, Adopter] = WeakKeyDictionary()


def _adopter(config: Config) -> Adopter:
    """Return what all connections of a server share."""
    adopter = _adopters.get(config)
    if adopter is None:
        adopter = _adopters[config] = Adopter(
            ping_interval=config.ws_ping_interval or None,
            ping_timeout=config.ws_ping_timeout or None,
            max_size=config.ws_max_size,
            max_queue=config.ws_max_queue or None,
            on_close=_tell,
            logger=logging.getLogger("uvicorn.error"),
        )
    return adopter


def _tell(ws: Any) -> None:
    """Tell the end of a connection to whoever adopted it."""
    ws.asgi.connection_lost(None)


@functools.cache
def _deflate() -> PerMessageDeflate:
    return PerMessageDeflate()
