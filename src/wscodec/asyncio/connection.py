"""The connection object of either side: receive, send, ping, close.

Floor 4.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any

from .._typing import Message
from ..errors import ConcurrencyError, ConnectionClosed, ConnectionClosedOK
from ..events import Fragment
from ..handshake import Headers, Request, Response
from ..headers import HeadersLike
from ..spec import CloseCode, Role, State
from ._options import LoggerLike, Options, closing_code
from ._parts import Decoding, Parts, convert, is_in_parts, iterate
from .keepalive import LiveChannel
from .transport import Item, Waiter

__all__ = ["ClientConnection", "ServerConnection", "WebSocket"]


class WebSocket(LiveChannel):
    """A WebSocket connection. `serve` and `connect` make it; an application may put attributes of its own on it.

    Attributes:
        request: the client's request, on a server.
        response: the server's response, on a client.
        subprotocol: what the handshake agreed on, or None.
        latency: how long the pong for the latest ping took, in seconds; 0 before there was one.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_addresses",
        "_close_waiters",
        "_id",
        "_in_parts",
        "_parts",
        "_registry",
        "_sending",
        "request",
        "response",
        "subprotocol",
    )

    def __init__(self, transport: asyncio.Transport, options: Options) -> None:
        super().__init__(transport, options)
        self.request: Request | None = None
        self.response: Response | None = None
        self.subprotocol: str | None = None
        self._id: uuid.UUID | None = None
        self._addresses: tuple[Any, Any] = (None, None)
        self._registry: Registry | None = None
        self._close_waiters: Sequence[Waiter] = ()
        self._sending: asyncio.Lock | None = None
        self._parts: list[str | bytes] | None = None
        self._in_parts = False

    # Facts.

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

    # Receiving.

    async def recv(self, decode: bool | None = None) -> Any:
        """Return the next message.

        A cancelled call loses no message. With `streaming`, the message is put together here.

        Args:
            decode: True turns bytes into str, False str into bytes; None leaves a text message str and a binary
                one bytes.

        Raises:
            ConnectionClosed: there are no more messages.
            ConcurrencyError: another task is receiving, or messages go to `on_messages`.
            UnicodeDecodeError: `decode` is True, and the message is no UTF-8.

        RFC 6455 §6.2.
        """
        if not self._queue or self._waiter is not None or self._in_parts:
            await self._wait_for_item()
        item = self._dequeue()
        message = await self._whole(item) if type(item) is Fragment else item
        return message if decode is None else convert(message, decode)

    async def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Any]:
        """Yield the next message in parts; without `streaming`, there is one part. Read it to its end.

        Args:
            decode: as in `recv`.

        Raises:
            ConnectionClosed, ConcurrencyError, UnicodeDecodeError: as in `recv`.

        RFC 6455 §5.4, §6.2.
        """
        if not self._queue or self._waiter is not None or self._in_parts:
            await self._wait_for_item()
        decoding = Decoding(decode)
        begun, self._parts = self._parts or [], None
        item = self._dequeue()
        if type(item) is not Fragment:
            yield decoding.part(item, True)
            return
        for part in begun:
            yield decoding.part(part)
        while True:
            self._in_parts = not item.fin
            yield decoding.part(item.data, item.fin)
            if item.fin:
                return
            self._in_parts = False
            await self._wait_for_item()
            next_item = self._dequeue()
            assert type(next_item) is Fragment
            item = next_item

    def __aiter__(self) -> WebSocket:
        return self

    async def __anext__(self) -> Any:
        """Return the next message; the iteration ends where the connection was closed with 1000, 1001 or 1005."""
        try:
            return await self.recv()
        except ConnectionClosedOK:
            raise StopAsyncIteration from None

    async def _wait_for_item(self) -> None:
        """Wait until there is something in the queue; errors as in `recv`."""
        if self._waiter is not None:
            raise ConcurrencyError("another task is receiving")
        if self._in_parts:
            raise ConcurrencyError("a message is being received in parts")
        if self._options.on_messages is not None:
            raise ConcurrencyError("messages go to on_messages")
        while not self._queue:
            if self._connection.close_code is not None:
                # The application has answered all that came before the peer's Close frame.
                self._release_close()
                raise self._connection.closed_error()
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    async def _whole(self, item: Fragment) -> str | bytes:
        """Return the message that goes on with `item`; its parts survive a cancelled call."""
        if self._parts is None:
            self._parts = []
        parts = self._parts
        parts.append(item.data)
        while not item.fin:
            await self._wait_for_item()
            next_item = self._dequeue()
            assert type(next_item) is Fragment
            item = next_item
            parts.append(item.data)
        self._parts = None
        return "".join(parts) if isinstance(item.data, str) else b"".join(parts)  # type: ignore[arg-type]

    # Sending.

    async def send(self, message: Message | Parts, text: bool | None = None) -> None:
        """Send a message.

        It is queued before the first suspension, so that a cancelled call leaves the stream whole; the call
        waits where the peer reads too slowly.

        Args:
            message: a str, sent as text; a bytes-like object, sent as binary; or an iterable or asynchronous
                iterable of either, sent as a fragmented message, meanwhile other messages wait, and pings don't.
                An empty iterable sends nothing.
            text: True sends bytes as text, False sends a str as binary.

        Raises:
            ConnectionClosed: our Close frame is out, or the connection is closed.
            TypeError: `message` is none of these.
            ValueError: text that can't be UTF-8.

        RFC 6455 §5.4, §6.1.
        """
        if is_in_parts(message):
            await self._send_parts(message, text)  # type: ignore[arg-type]
        elif self._sending is not None and self._sending.locked():
            async with self._sending:
                self._connection.send(message, text=text)  # type: ignore[arg-type]
        else:
            self._connection.send(message, text=text)  # type: ignore[arg-type]
        self._push()
        if self._write_paused:
            await self._drain()

    def send_nowait(self, message: Message, text: bool | None = None) -> None:
        """Queue a message without waiting, such as in a callback; we stop reading where too much is unsent.

        Args:
            message: a str or a bytes-like object.
            text: as in `send`.

        Raises:
            ConnectionClosed, TypeError, ValueError: as in `send`.
            ConcurrencyError: a message is being sent in fragments.
        """
        self._connection.send(message, text=text)
        self._push()

    def send_many(self, messages: Sequence[Message]) -> None:
        """Queue several messages in one step; as `send_nowait` for each, but all of them or none."""
        self._connection.send_many(messages)
        self._push()

    async def _send_parts(self, parts: Parts, text: bool | None) -> None:
        """Send a fragmented message; where it can't be ended, the connection has to fail."""
        if self._sending is None:
            self._sending = asyncio.Lock()
        async with self._sending:
            decoding = Decoding(text)
            last: Message | None = None
            try:
                async for part in iterate(parts):
                    data = decoding.part(part)
                    self._connection.send_fragment(data, fin=False)
                    last = "" if isinstance(data, str) else b""
                    self._push()
                    if self._write_paused:
                        await self._drain()
                if last is not None:
                    # An incremental decoder speaks up here where the text ends within a character.
                    self._connection.send_fragment(decoding.part(b"", True) if text else last, fin=True)
            except BaseException as error:
                if last is not None and not isinstance(error, ConnectionClosed):
                    self._fail("a message was left unfinished")
                raise

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
        self._close_waiters = (*self._close_waiters, waiter)
        try:
            await waiter
        finally:
            self._close_waiters = tuple(other for other in self._close_waiters if other is not waiter)

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

    def _deliver(self, items: list[Item]) -> None:
        if self._options.on_messages is None:
            self._enqueue(items)
        else:
            self._call(self._options.on_messages, items)

    def _call(self, callback: Any, *args: Any) -> None:
        """Call the application; where it raises, the connection fails."""
        try:
            callback(self, *args)
        except Exception as error:
            if isinstance(error, ConnectionClosed) and self._connection.state is not State.OPEN:
                return
            self.logger.exception("callback failed")
            self._fail("")

    def _fail(self, reason: str) -> None:
        """Fail the connection with 1011."""
        self._connection.fail(CloseCode.INTERNAL_ERROR, reason)
        if self._transport is not None:
            self._held = False
            self._go_on_closing()
            self._push()

    def _on_end(self) -> None:
        """Wake the task that receives: nothing more will come."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _on_lost(self) -> None:
        if self._transport is not None:
            self._addresses = (self.local_address, self.remote_address)
        super()._on_lost()
        for waiter in self._close_waiters:
            if not waiter.done():
                waiter.set_result(None)
        if self._registry is not None:
            self._registry.discard(self)
            self._registry = None
            if self._options.on_close is not None:
                self._call(self._options.on_close)


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
