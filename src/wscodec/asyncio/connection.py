"""The connection object of either side: what is known of it, its callbacks and its end.

Floor 4.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import asdict, dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Protocol

from .._http import parse_request
from ..deflate import AgreedDeflate
from ..errors import ConnectionClosed
from ..handshake import Headers, Request, Response
from ..headers import HeadersLike
from ..spec import CloseCode, Role, State
from ..stats import Stats
from ._options import STOPS, LoggerLike, Options, closing_code
from .messages import MessageChannel
from .transport import Waiters

__all__ = ["ClientConnection", "ConnectionStats", "ServerConnection", "WebSocket"]


@dataclass(frozen=True, slots=True)
class ConnectionStats(Stats):
    """What a connection has received and sent so far, and what waits on this side of the network.

    Attributes:
        unread_messages: that wait for `recv`.
        unwritten_size: bytes that wait in the transport, behind those of `unsent_size`.
        latency: how long the pong for the latest ping took, in seconds; 0 before there was one.
    """

    unread_messages: int
    unwritten_size: int
    latency: float


class Registry(Protocol):
    """Who is told when a connection is closed."""

    def discard(self, ws: Any, /) -> None:
        """Forget `ws`."""


class WebSocket(MessageChannel):
    """A WebSocket connection. `serve` and `connect` make it; an application may put attributes of its own on it.

    Attributes:
        response: the server's response, on a client.
        subprotocol: what the handshake agreed on, or None.
        latency: how long the pong for the latest ping took, in seconds; 0 before there was one.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_addresses",
        "_close_waiters",
        "_head",
        "_id",
        "_registry",
        "_request",
        "response",
        "subprotocol",
    )

    def __init__(
        self, transport: asyncio.Transport, options: Options, compression: AgreedDeflate | None = None
    ) -> None:
        super().__init__(transport, options, compression)
        self._head = b""
        self._request: Request | None = None
        self.response: Response | None = None
        self.subprotocol: str | None = None
        self._id: uuid.UUID | None = None
        self._addresses: tuple[Any, Any] = (None, None)
        self._registry: Registry | None = None
        self._close_waiters: Waiters = ()

    # Facts.

    @property
    def request(self) -> Request | None:
        """The client's request, on a server."""
        # It is kept as the bytes that it came as, a tenth of what the parsed one takes, until somebody asks.
        if self._request is None and self._head:
            self._request = parse_request(self._head)
            self._head = b""
        return self._request

    @property
    def id(self) -> uuid.UUID:
        """A random name for this connection, such as for logs."""
        if self._id is None:
            self._id = uuid.uuid4()
        return self._id

    @property
    def logger(self) -> LoggerLike:
        """The logger of the server or of the client, shared by its connections."""
        return self._options.logger

    @property
    def stats(self) -> ConnectionStats:
        """What was received and sent so far, and what waits."""
        return ConnectionStats(
            **asdict(self._connection.stats),
            unread_messages=self._unread,
            unwritten_size=0 if self._transport is None else self._transport.get_write_buffer_size(),
            latency=self.latency,
        )

    @property
    def state(self) -> State:
        """OPEN, CLOSING or CLOSED (RFC 6455 §4.1, §7.1.3, §7.1.4)."""
        return self._connection.state

    @property
    def close_code(self) -> int | None:
        """The close code that the connection ended with, or None (RFC 6455 §7.1.5)."""
        return self._connection.close_code

    @property
    def close_reason(self) -> str | None:
        """The reason that goes with `close_code` (RFC 6455 §7.1.6)."""
        return self._connection.close_reason

    @property
    def local_address(self) -> Any:
        """Our address as `socket.getsockname` has it."""
        return self._addresses[0] if self._transport is None else self._transport.get_extra_info("sockname")

    @property
    def remote_address(self) -> Any:
        """The peer's address as `socket.getpeername` has it."""
        return self._addresses[1] if self._transport is None else self._transport.get_extra_info("peername")

    @property
    def transport(self) -> asyncio.Transport | None:
        """The asyncio transport, such as for `get_extra_info("peercert")`; None once it is closed."""
        return self._transport

    # Closing.

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the connection and wait until it is closed: for `close_timeout` at most, then it is cut.

        Args:
            code: the close code; 1000, 3000 to 4999 are for applications.
            reason: in words; cut at 123 bytes.

        Raises:
            ValueError: the code may not be sent.

        RFC 6455 §7.1.2.
        """
        self.close_nowait(code, reason)
        await self.wait_closed()

    def close_nowait(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Begin to close the connection, such as in a callback; as `close`, without waiting."""
        self._connection.close(code, reason)
        if self._transport is None:
            return
        self._release_close()
        self._begin_closing()
        self._push()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, TCP and all."""
        if self._transport is None:
            return
        waiter = self._loop.create_future()
        waiters = self._close_waiters = self._close_waiters or {}
        waiters[waiter] = None
        try:
            await waiter
        finally:
            del waiters[waiter]
            if not waiters:
                self._close_waiters = ()

    async def __aenter__(self) -> WebSocket:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection: with 1000, or 1011 after an exception, or 1001 after a cancellation."""
        await self.close(closing_code(error))

    # What the layers below call.

    def _call(self, callback: Any) -> None:
        """Call the application."""
        try:
            callback(self)
        except BaseException as error:
            self._on_callback_error(error)

    def _on_callback_error(self, error: BaseException) -> None:
        """Fail the connection, for the application has raised; not where it has only met the end."""
        if isinstance(error, STOPS):
            raise error
        if isinstance(error, ConnectionClosed) and self._connection.state is not State.OPEN:
            return
        self.logger.error("callback failed", exc_info=error)
        self._fail("")

    def _on_error(self, error: Exception) -> None:
        """Report what went wrong in a callback of ours."""
        self._loop.call_exception_handler(
            {"message": "writing failed", "exception": error, "transport": self._transport, "protocol": self}
        )

    def _fail(self, reason: str) -> None:
        """Fail the connection with 1011."""
        self._connection.fail(CloseCode.INTERNAL_ERROR, reason)
        self._held = False
        self._begin_closing()
        self._on_end()
        self._push()

    def _start(self, trailing: bytes, write_paused: bool) -> None:
        if self._options.on_open is not None:
            self._call(self._options.on_open)
        super()._start(trailing, write_paused)

    def _on_end(self) -> None:
        """Wake the task that receives: nothing more will come."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _on_lost(self) -> None:
        self._abandon()
        if self._registry is not None:
            self._call(self._registry.discard)
            self._registry = None
        if self._options.on_close is not None:
            self._call(self._options.on_close)

    def _abandon(self) -> None:
        """Take it that there is no connection any more, or that there won't be any."""
        self._addresses = (self.local_address, self.remote_address)
        self._closing = True
        self._connection.eof()
        self._transport = None
        self._drop_pings()
        for waiter in self._close_waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._wake_writers()
        self._end_turns()
        self._on_end()


class ServerConnection(WebSocket):
    """A connection that a client made to us."""

    __slots__ = ()

    _role = Role.SERVER

    def respond(
        self, status: int, text: str | bytes, headers: HeadersLike = (("Content-Type", "text/plain; charset=utf-8"),)
    ) -> Response:
        """Return a plain HTTP response for `process_request` to return.

        Args:
            status: such as `http.HTTPStatus.OK`.
            text: the body; a str is sent as UTF-8.
            headers: more headers.

        RFC 9110 §15.
        """
        body = text.encode() if isinstance(text, str) else bytes(text)
        return Response(int(status), HTTPStatus(status).phrase, Headers(headers), body)


class ClientConnection(WebSocket):
    """A connection that we made to a server."""

    __slots__ = ()

    _role = Role.CLIENT
