"""Uvicorn on this codec: `uvicorn app:app --ws wscodec.dropin.uvicorn:WebSocketProtocol`, or `Config(ws=...)`.

`install()` makes it what `--ws auto` means, Uvicorn's default. Uvicorn reads the HTTP request and hands it over; the
application is told by ASGI's rules for WebSockets.

Floor 5.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from uvicorn.config import WS_PROTOCOLS, Config
from uvicorn.logging import TRACE_LOG_LEVEL
from uvicorn.protocols.utils import ClientDisconnected, get_client_addr, get_path_with_query_string, get_remote_addr

from wscodec import CloseCode, ConnectionClosed, HandshakeError, ServerHandshake
from wscodec.asyncio import Headers, Request, ServerConnection

from ._patching import Entry, Patch
from ._uvicorn import Message, adopter_of, disconnect, new_handshake, scope_of, unexpected
from ._uvicorn_check import check

__all__ = ["WebSocketProtocol", "install", "installed", "uninstall"]

# What the client may send before the application has accepted: it should wait for that.
_EARLY_SIZE = 1 << 16
# How long a client has to answer the Close frame of a server that goes away, in seconds.
_SHUTDOWN_TIMEOUT = 1


class WebSocketProtocol(asyncio.Protocol):
    """One WebSocket of an application; Uvicorn makes it and hands it the request.

    Until the application accepts, it is the protocol of the transport. From then on the connection itself is, and this
    object passes messages between that and the application.
    """

    __slots__ = (
        "_early",
        "_ended",
        "_handshake",
        "_loop",
        "_lost",
        "_over",
        "_refusal",
        "_settled",
        "_told",
        "_write_paused",
        "_ws",
        "app",
        "app_state",
        "config",
        "logger",
        "scope",
        "server_state",
        "transport",
    )

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
        self._handshake: ServerHandshake | None = new_handshake(config)  # until the request is answered
        self._loop = _loop or asyncio.get_running_loop()
        self._ws: ServerConnection | None = None
        self._early = b""
        self._told = False  # the application, that there is a client
        self._over = False  # the application has said its last word
        self._ended: Message | None = None  # what the application is told at the end, once that is known
        self._lost = self._write_paused = False
        self._refusal: tuple[int, Headers, bytes] | None = None
        self._settled: asyncio.Event | None = None

    # What Uvicorn and the event loop call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport of the HTTP connection."""
        self.transport = cast(asyncio.Transport, transport)
        self.server_state.connections.add(self)
        self._trace("WebSocket connection made")

    def data_received(self, data: bytes) -> None:
        """Take the request, and keep what comes behind it until the application has accepted."""
        handshake = self._handshake
        if handshake is None:
            return
        if handshake.request is not None:
            self._early += data
            if len(self._early) > _EARLY_SIZE:
                self.transport.pause_reading()
            return
        try:
            request = handshake.receive(data)
        except HandshakeError as error:
            self._answer(error.status, error.response)
            return
        if request is not None:
            self._begin(handshake, request)

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
        self._trace("WebSocket connection lost")

    def discard(self, ws: ServerConnection) -> None:
        """Do what `connection_lost` does: the connection calls this in its place once it has the transport."""
        self.logger.info("connection closed")
        self.connection_lost(None)

    def shutdown(self) -> None:
        """Close the connection, for the server goes away."""
        if self._ws is not None:
            self._end(CloseCode.SERVICE_RESTART)
            self._loop.call_later(_SHUTDOWN_TIMEOUT, self.transport.abort)
            return
        if self._handshake is not None:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, b"Internal Server Error")
        self.transport.close()

    # What the application calls.

    async def receive(self) -> Message:
        """Return the next message for the application."""
        ws = self._ws
        if ws is None or self._ended is not None or not self._told:
            return await self._receive_otherwise()
        try:
            data = await ws.recv()
        except ConnectionClosed:
            self._ended = self._disconnected()
            return self._ended
        return {"type": "websocket.receive", "text" if type(data) is str else "bytes": data}

    async def send(self, message: Message) -> None:
        """Take a message of the application.

        Raises:
            ClientDisconnected: the client is gone, or the server is about to be.
            RuntimeError: the message may not come now.
            ValueError: it says what can't be sent, such as a close code that has no place in a Close frame.
        """
        ws = self._ws
        if ws is None or self._ended is not None or message["type"] != "websocket.send":
            await self._send_otherwise(message)
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

    # How a connection begins, and how the application ends.

    def _begin(self, handshake: ServerHandshake, request: Request) -> None:
        """Run the application."""
        offered = handshake.offered_subprotocols
        self.scope = scope_of(request, offered, self.transport, self.config, self.app_state)
        task = self._loop.create_task(self._run())
        task.add_done_callback(self.server_state.tasks.discard)
        self.server_state.tasks.add(task)

    async def _run(self) -> None:
        """Run the application to its end, and close what it leaves open."""
        code = CloseCode.NORMAL_CLOSURE
        try:
            result = await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except BaseException:
            self.logger.exception("Exception in ASGI application\n")
            code = CloseCode.INTERNAL_ERROR
        else:
            if self._handshake is not None and not self._lost:
                self.logger.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                self.logger.error("ASGI callable should return None, but returned '%s'.", result)
        if self._ws is not None:
            self._end(code)
        elif self._handshake is not None:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, b"Internal Server Error")

    def _accept(self, message: Message) -> None:
        handshake = self._handshake
        assert handshake is not None
        answer = handshake.accept(
            subprotocol=message.get("subprotocol") or None,
            headers=[*self.server_state.default_headers, *message.get("headers", [])],
        )
        self._handshake = None
        self._log("[accepted]")
        self.transport.write(answer)
        self.transport.resume_reading()
        early, self._early = handshake.trailing + self._early, b""
        self._ws = adopter_of(self.config).adopt(
            self.transport,
            subprotocol=handshake.subprotocol,
            compression=handshake.compression,
            trailing=early,
            write_paused=self._write_paused,
            registry=self,
        )
        self.logger.info("connection open")
        self._wake()

    # What is neither receiving nor sending a message.

    async def _receive_otherwise(self) -> Message:
        if not self._told:
            self._told = True
            return {"type": "websocket.connect"}
        while self._ws is None and not self._lost and self._ended is None:
            # An application may wait for this in several tasks.
            if self._settled is None:
                self._settled = asyncio.Event()
            await self._settled.wait()
        if self._ws is not None and self._ended is None:
            return await self.receive()
        return self._disconnected()

    def _disconnected(self) -> Message:
        """Return what the application is told at the end."""
        if self._ended is not None:
            return self._ended
        if self._ws is None:
            return disconnect(CloseCode.ABNORMAL_CLOSURE)
        return disconnect(self._ws.close_code or CloseCode.ABNORMAL_CLOSURE, self._ws.close_reason or "")

    async def _send_otherwise(self, message: Message) -> None:
        if self._over:
            raise RuntimeError(
                f"Unexpected ASGI message '{message['type']}', after sending 'websocket.close' "
                "or response already completed."
            )
        if self._ws is not None:
            kinds = ("websocket.send", "websocket.close")
            if message["type"] not in kinds:
                raise unexpected(message, kinds)
            if self._ended is not None:
                raise ClientDisconnected
            self._close(message)
            return
        if self.transport.get_protocol() is not self:
            # The event loop runs tasks eagerly, and Uvicorn has not handed the transport over.
            await asyncio.sleep(0)
        if self._handshake is None or self._lost or self.transport.is_closing():
            raise ClientDisconnected
        if self._refusal is not None:
            self._step(message, {"websocket.http.response.body": self._go_on_refusing})
            return
        self._step(
            message,
            {
                "websocket.accept": self._accept,
                "websocket.close": self._forbid,
                "websocket.http.response.start": self._begin_refusing,
            },
        )

    def _step(self, message: Message, steps: dict[str, Callable[[Message], None]]) -> None:
        """Do what a message says, if it is one of those that may come now."""
        if message["type"] not in steps:
            raise unexpected(message, tuple(steps))
        steps[message["type"]](message)

    def _close(self, message: Message) -> None:
        code = message.get("code")
        self._end(CloseCode.NORMAL_CLOSURE if code is None else code, message.get("reason") or "")
        self._over = True

    def _end(self, code: int, reason: str | None = None) -> None:
        """Begin the closing handshake, if it has not begun; ValueError for a code that can't be sent."""
        ws = self._ws
        assert ws is not None
        was_open = ws.close_code is None and self._ended is None
        ws.close_nowait(code, reason or "")
        if was_open:
            self._ended = disconnect(code, reason)

    # Answers that are no 101.

    def _forbid(self, message: Message) -> None:
        self._log("403")
        self._refuse(HTTPStatus.FORBIDDEN, b"")
        self._over = True

    def _begin_refusing(self, message: Message) -> None:
        status = message["status"]
        if not 200 <= status < 600:
            raise RuntimeError(f"Invalid HTTP status code '{status}' in response.")
        self._refusal = (status, Headers(message.get("headers", [])), b"")
        self._log(str(status))

    def _go_on_refusing(self, message: Message) -> None:
        assert self._refusal is not None
        status, headers, body = self._refusal
        body += message.get("body", b"")
        self._refusal = (status, headers, body)
        if not message.get("more_body", False):
            self._refuse(status, body, headers)
            self._over = True

    def _refuse(self, status: int, body: bytes, headers: Headers = Headers()) -> None:  # noqa: B008
        """Answer the request with a plain HTTP response, and take it that the client is gone."""
        assert self._handshake is not None
        # The response is sent in one piece, so its length is known here.
        framing = ("content-length", "transfer-encoding", "connection")
        pairs = [(name, value) for name, value in headers if name.lower() not in framing]
        defaults = Headers([*self.server_state.default_headers, (b"content-type", b"text/plain; charset=utf-8")])
        pairs += [(name, value) for name, value in defaults if name not in headers]
        answer = self._handshake.reject(status, pairs, body)
        self._ended = disconnect(CloseCode.ABNORMAL_CLOSURE)
        self._answer(status, answer)
        self._wake()

    def _answer(self, status: int, answer: bytes) -> None:
        self._handshake = None
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()
            self.logger.info("connection rejected (%d)", status)

    # Small things.

    def _wake(self) -> None:
        """Have `receive` look again: it is settled what becomes of the request."""
        if self._settled is not None:
            self._settled.set()

    def _log(self, outcome: str) -> None:
        path = get_path_with_query_string(cast(Any, self.scope))
        self.logger.info('%s - "WebSocket %s" %s', get_client_addr(cast(Any, self.scope)), path, outcome)

    def _trace(self, text: str) -> None:
        if self.logger.isEnabledFor(TRACE_LOG_LEVEL):
            client = get_remote_addr(self.transport) or self.scope.get("client")
            prefix = f"{client[0]}:{client[1]} - " if client else ""
            self.logger.log(TRACE_LOG_LEVEL, "%s%s", prefix, text)


def install() -> bool:
    """Have `--ws auto`, Uvicorn's default, mean this class: for servers that load their settings from now on.

    It is tried on this version of Uvicorn first. Where something is not as it was, a warning says so, once, and Uvicorn
    stays as it is. Servers that are told another `ws` keep that.

    Returns:
        Whether it is in place.
    """
    return _patch.install()


def uninstall() -> None:
    """Have `--ws auto` mean what it did, for servers that load their settings from now on."""
    _patch.uninstall()


def installed() -> bool:
    """Return whether `--ws auto` means this class."""
    return _patch.installed()


_patch = Patch(
    "uvicorn",
    (0, 30),
    (1,),
    [Entry(WS_PROTOCOLS, "auto", f"{__name__}:{WebSocketProtocol.__name__}")],
    functools.partial(check, WebSocketProtocol),
)
