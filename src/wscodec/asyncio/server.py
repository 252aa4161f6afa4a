"""`serve`: a WebSocket server on asyncio.

Floor 4.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import socket
import ssl as tls
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any

from ..control import close_payload
from ..errors import ConnectionClosed
from ..handshake import Request, Response
from ..headers import OriginsLike, allowed_origins
from ..spec import DEFAULT_MAX_FRAGMENTS, DEFAULT_MAX_SIZE, CloseCode, State
from ._accepting import Accepting, Admission
from ._options import CompressionLike, LoggerLike, Opening, Options, check_time
from .connection import ServerConnection

__all__ = ["Server", "serve", "unix_serve"]

# How many ticks of the event loop there may be from `accept` to `connection_made`.
_ACCEPT_TICKS = 4

# The same for all: a name of its own for each would cost an idle connection 60 bytes.
_TASK_NAME = "wscodec handler"

Handler = Callable[[ServerConnection], Awaitable[None]]


class Server:
    """A running server, as `serve` returns it."""

    def __init__(self, handler: Handler | None, options: Options) -> None:
        self.options = options
        self._handler = None if handler is None else _coroutine_function(handler)
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._handshakes: set[Accepting] = set()
        self._connections: set[ServerConnection] = set()
        self._tasks: dict[asyncio.Task[None], ServerConnection] = {}
        self._handled = self._on_handled  # one object for all tasks
        self._closing: asyncio.Task[None] | None = None
        self._emptied: asyncio.Future[None] | None = None
        self._closed = asyncio.Event()

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The sockets that the server listens on."""
        return () if self._server is None else tuple(self._server.sockets)

    @property
    def connections(self) -> set[ServerConnection]:
        """The open connections, closing ones included."""
        return set(self._connections)

    @property
    def is_open(self) -> bool:
        """Whether new connections are let in."""
        return self._closing is None

    def is_serving(self) -> bool:
        """Tell whether the server accepts connections."""
        return self._server is not None and self._server.is_serving()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop of the server."""
        return self._loop

    async def start_serving(self) -> None:
        """Start to accept connections, where `serve` was told `start_serving=False`."""
        assert self._server is not None
        await self._server.start_serving()

    async def serve_forever(self) -> None:
        """Serve until the server is closed; where this is cancelled, close it first."""
        await self.start_serving()
        try:
            await self.wait_closed()
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise

    def close(self, close_connections: bool = True, code: int = CloseCode.GOING_AWAY, reason: str = "") -> None:
        """Begin to shut down: accept no more, answer open handshakes with 503, close the connections.

        Args:
            close_connections: False leaves the connections to end by themselves.
            code, reason: for their Close frames.

        Raises:
            ValueError: the code may not be sent; then nothing has changed.

        RFC 6455 §7.4.1.
        """
        close_payload(code, reason)  # to complain now, and not behind the caller's back
        if self._closing is not None:
            return
        assert self._server is not None
        self._server.close()
        self._closing = self._loop.create_task(self._close(close_connections, code, reason))
        self.options.logger.info("server closing")

    async def wait_closed(self) -> None:
        """Wait until the server has been closed, all connections have ended, and all handlers have returned.

        Handlers that still run when `close_timeout` is over are cancelled.
        """
        await self._closed.wait()

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()
        await self.wait_closed()

    # What handshakes and connections call.

    def add(self, handshake: Accepting) -> None:
        """Know of a handshake."""
        self._handshakes.add(handshake)

    def open(self, ws: ServerConnection) -> None:
        """Know of a connection, and run its handler."""
        self._connections.add(ws)
        ws._registry = self
        if self._handler is None:
            return
        try:
            task = self._loop.create_task(self._handler(ws), name=_TASK_NAME)
        except BaseException as error:  # one that can't be called with a connection alone
            ws._on_callback_error(error)
            return
        self._tasks[task] = ws
        task.add_done_callback(self._handled)

    def discard(self, what: Any) -> None:
        """Forget a handshake or a connection that has ended."""
        self._handshakes.discard(what)
        self._connections.discard(what)
        self._check_empty()

    def _check_empty(self) -> None:
        if self._emptied is not None and self._is_empty() and not self._emptied.done():
            self._emptied.set_result(None)

    def _is_empty(self) -> bool:
        return not (self._handshakes or self._connections or self._tasks)

    def _on_handled(self, task: asyncio.Task[None]) -> None:
        """Close the connection whose handler has ended, whatever it did; the server lives on."""
        ws = self._tasks.pop(task)
        code = CloseCode.NORMAL_CLOSURE
        if task.cancelled() and task.cancelling():
            code = CloseCode.GOING_AWAY
        elif (error := _failure_of(task)) is not None:
            code = CloseCode.INTERNAL_ERROR
            if not isinstance(error, ConnectionClosed) or ws.state is State.OPEN:
                ws.logger.error("connection handler failed", exc_info=error)
        ws.close_nowait(code)
        self._check_empty()

    async def _close(self, close_connections: bool, code: int, reason: str) -> None:
        assert self._server is not None
        self._emptied = self._loop.create_future()
        try:
            for _ in range(_ACCEPT_TICKS):
                await asyncio.sleep(0)
            for handshake in tuple(self._handshakes):
                handshake.refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            if close_connections:
                for ws in tuple(self._connections):
                    ws.close_nowait(code, reason)
            if not self._is_empty():
                await self._wait_until_empty(close_connections)
            with contextlib.suppress(TimeoutError):  # TLS handshakes may go on for a while
                await asyncio.wait_for(self._server.wait_closed(), self.options.close_timeout)
        finally:
            self._closed.set()

    async def _wait_until_empty(self, close_connections: bool) -> None:
        """Wait for connections and handlers, at the end with less patience."""
        assert self._emptied is not None
        if close_connections and self.options.close_timeout is not None:
            done, _ = await asyncio.wait((self._emptied,), timeout=self.options.close_timeout)
            if not done:
                for task in self._tasks:
                    task.cancel()
        await self._emptied


class serve(Opening[Server]):
    """Start a WebSocket server: `server = await serve(...)`, or `async with serve(...) as server`.

    Either `handler` or `on_messages` says what to do with a connection. There is no hook on the 101
    response.

    Args:
        handler: a coroutine function, run in a task of its own for each connection. Where it returns, the
            connection is closed with 1000, where it raises, with 1011 and a word to the log.
        host, port: where to listen, as `loop.create_server` takes them.
        on_messages: called as `on_messages(ws, messages)` with all messages of one read, in the same tick, and
            with no task in between. It sends with `ws.send_nowait` or `ws.send_many`.
        on_open, on_close: called as `on_open(ws)` and `on_close(ws)` when a connection was opened and has ended.
        origins: who may connect: "same" for pages whose host and port, with http or https, are those of the Host
            header, and for clients that send no Origin; a collection of origins, with None for clients that send
            none; None for anyone. Behind a proxy that writes a Host of its own, as nginx does unless it is told
            `proxy_set_header Host $http_host`, "same" refuses every page: have Host passed on, or list the origins.
        subprotocols: what we speak, best first.
        select_subprotocol: called as `select_subprotocol(ws, offered)`, chooses from the client's offers instead.
        compression: "deflate" accepts permessage-deflate where a client offers it, with the defaults of
            `PerMessageDeflate`; one of those has it as it says; None refuses it.
        process_request: called as `process_request(ws, request)`, or awaited, on each request, be it a WebSocket
            handshake or not; a Response, such as from `ws.respond`, is the answer, None goes on.
        server_header: the Server header, or None.
        logger: instead of "wscodec.server". What the application raises is an error there; that the server listens or
            closes, and why it refuses a handshake, is information.
        open_timeout: for the opening handshake, from accept on and with TLS, in seconds.
        ping_interval: between pings, in seconds; None for no pings.
        ping_timeout: how long a peer that we pinged may be silent, in seconds.
        close_timeout: for the closing handshake, in seconds; then TCP is cut. Where a peer closes and a message of its
            is still unread, our Close frame waits for the application to answer, for half of this at most (5 seconds
            where it is None): a handler that never receives makes the peer's `close()` take so long.
        max_size: of a message, in bytes; None for no limit.
        max_fragments: the most frames that a message may come in.
        max_queue: how many messages may wait unread before we stop reading, or (high, low); None for no limit.
        write_limit: how many bytes may wait unsent before `send` waits, or (high, low).
        streaming: whether messages are handed on in parts, see `recv_streaming`; `on_messages` gets `Fragment`s.
        ssl, sock, kwargs: as `loop.create_server` takes them.

    Raises:
        ValueError, TypeError: a setting makes no sense; times are finite and above 0, or None.
        OSError: we can't listen there.
    """

    def __init__(
        self,
        handler: Handler | None = None,
        host: str | Sequence[str] | None = None,
        port: int | None = None,
        *,
        on_messages: Callable[[ServerConnection, list[Any]], object] | None = None,
        on_open: Callable[[ServerConnection], object] | None = None,
        on_close: Callable[[ServerConnection], object] | None = None,
        origins: OriginsLike = "same",
        subprotocols: Sequence[str] | None = None,
        select_subprotocol: Callable[[ServerConnection, Sequence[str]], str | None] | None = None,
        compression: CompressionLike = "deflate",
        process_request: (
            Callable[[ServerConnection, Request], Response | Awaitable[Response | None] | None] | None
        ) = None,
        server_header: str | None = "wscodec",
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_size: int | None = DEFAULT_MAX_SIZE,
        max_fragments: int | None = DEFAULT_MAX_FRAGMENTS,
        max_queue: int | tuple[int, int] | None = 16,
        write_limit: int | tuple[int, int] = 32768,
        streaming: bool = False,
        logger: LoggerLike | None = None,
        **kwargs: Any,
    ) -> None:
        if (handler is None) == (on_messages is None):
            raise TypeError("say either handler or on_messages")
        check_time("open_timeout", open_timeout)
        self._handler = handler
        self._options = Options.of(
            logger or logging.getLogger("wscodec.server"), max_queue, write_limit, compression,
            ping_interval=ping_interval, ping_timeout=ping_timeout, close_timeout=close_timeout,
            max_size=max_size, max_fragments=max_fragments, streaming=streaming,
            on_messages=on_messages, on_open=on_open, on_close=on_close,
        )  # fmt: skip
        self._admission = Admission(
            allowed_origins(origins), subprotocols, select_subprotocol,
            process_request, self._options.compression, server_header, open_timeout,
        )  # fmt: skip
        self._admission.handshake()  # to complain now about what can't be sent
        self._unix = kwargs.pop("unix", False)
        self._kwargs = kwargs
        if not self._unix:
            self._kwargs.update(host=host, port=port)
        if isinstance(kwargs.get("ssl"), tls.SSLContext) and open_timeout is not None:
            kwargs.setdefault("ssl_handshake_timeout", open_timeout)

    async def _open(self) -> Server:
        server = Server(self._handler, self._options)
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if self._unix else loop.create_server
        server._server = await create(lambda: Accepting(server, self._admission), **self._kwargs)
        self._options.logger.info("server listening on %s", ", ".join(map(_name, server.sockets)))
        return server

    async def _close(self, opened: Server, error: BaseException | None) -> None:
        opened.close()
        await opened.wait_closed()


def unix_serve(handler: Handler | None = None, path: Any = None, **kwargs: Any) -> serve:
    """Start a WebSocket server on a Unix socket.

    Args:
        handler, kwargs: as `serve` takes them.
        path: of the socket.
    """
    if path is not None:
        kwargs["path"] = path
    return serve(handler, unix=True, **kwargs)


def _coroutine_function(handler: Handler) -> Callable[[ServerConnection], Coroutine[Any, Any, None]]:
    """Return `handler`, or where that is no coroutine function, one that awaits what it returns."""
    if inspect.iscoroutinefunction(handler):
        return handler

    async def call(ws: ServerConnection) -> None:
        await handler(ws)

    return call


def _failure_of(task: asyncio.Task[None]) -> BaseException | None:
    """Return what a handler has raised; a CancelledError, too, since nobody has cancelled it."""
    try:
        return task.exception()
    except asyncio.CancelledError as error:
        return error


def _name(sock: socket.socket) -> str:
    """Return the address of a listening socket for the log."""
    address = sock.getsockname()
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)
