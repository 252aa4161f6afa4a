"""`connect`: a WebSocket client on asyncio.

Floor 4.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl as tls
from collections.abc import Callable, Sequence
from typing import Any, cast

from ..errors import BadStatus, HandshakeError
from ..handshake import ClientHandshake
from ..headers import HeadersLike
from ..spec import DEFAULT_MAX_FRAGMENTS, DEFAULT_MAX_SIZE
from ..uri import WebSocketURI, parse_uri
from ._options import CompressionLike, LoggerLike, Opening, Options, check_time, closing_code, set_nodelay
from .connection import ClientConnection

__all__ = ["connect", "unix_connect"]


@functools.cache
def _default_context() -> tls.SSLContext:
    """Return the TLS context of all connections that bring none: making one takes 20 ms and a megabyte."""
    return tls.create_default_context()


class Connecting(asyncio.Protocol):
    """Sends the request, reads the response, and hands the transport to a ClientConnection.

    Attributes:
        opened: a future of that connection.
        refusal: the server's answer where it is not 101, while its body goes on.
    """

    __slots__ = ("_handshake", "_options", "_transport", "_write_paused", "opened", "refusal")

    def __init__(self, handshake: ClientHandshake, options: Options) -> None:
        self._handshake = handshake
        self._options = options
        self._transport: asyncio.Transport | None = None
        self._write_paused = False
        self.opened: asyncio.Future[ClientConnection] = asyncio.get_running_loop().create_future()
        self.refusal: BadStatus | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        set_nodelay(transport)
        self._transport.write(self._handshake.request())

    def data_received(self, data: bytes) -> None:
        """Take bytes of the response; what comes behind it is the connection's."""
        if self.opened.done():
            return
        try:
            response = self._handshake.receive(data)
        except BadStatus as error:
            self.refusal = error.with_traceback(None)
            if self._handshake.body_ended:
                self._fail(error)
        except HandshakeError as error:
            self._fail(error)
        else:
            if response is not None:
                self._open()

    def eof_received(self) -> None:
        """Take the end of the server's bytes."""
        try:
            self._handshake.eof()
        except HandshakeError as error:
            self._fail(error)

    def pause_writing(self) -> None:
        """Remember it for the connection."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Remember it for the connection."""
        self._write_paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Say why there is no connection."""
        if exc is not None:
            self._fail(self.refusal or exc)
        self.eof_received()
        self._transport = None

    def abort(self) -> None:
        """Cut the connection, which nobody waits for any more."""
        self.opened.cancel()
        if not self.opened.cancelled() and self.opened.exception() is None:
            ws = self.opened.result()
            ws._abort()
            # Where uvloop is cancelled in the tick of `connection_made`, it closes the transport and tells nobody.
            ws.connection_lost(None)
        if self._transport is not None:
            self._transport.abort()

    def _open(self) -> None:
        transport = self._transport
        assert transport is not None
        ws = ClientConnection(transport, self._options, self._handshake.compression)
        ws.response = self._handshake.response
        ws.subprotocol = self._handshake.subprotocol
        self._transport = None
        self.opened.set_result(ws)
        ws._start(self._handshake.trailing, self._write_paused)

    def _fail(self, error: Exception) -> None:
        if not self.opened.done():
            self.opened.set_exception(error.with_traceback(None))


class connect(Opening[ClientConnection]):
    """Connect to a WebSocket server: `ws = await connect(uri)`, or `async with connect(uri) as ws`.

    There are no proxies (`proxy` is None), and redirects and reconnecting (`async for ws in connect(...)`) are not
    supported.

    Args:
        uri: such as "wss://example.com/chat". A user name and password in it are sent as Basic authentication.
        origin: the Origin header, or None.
        subprotocols: what we speak, best first.
        compression: "deflate" offers permessage-deflate with the defaults of `PerMessageDeflate`; one of those is
            offered as it says; None offers nothing.
        additional_headers: more headers for the request.
        user_agent_header: the User-Agent header, or None.
        on_messages, on_open, on_close: callbacks in place of `recv`, as `serve` takes them.
        logger: instead of "wscodec.client".
        open_timeout: for TCP, TLS and the opening handshake together, in seconds.
        ping_interval, ping_timeout, close_timeout, max_size, max_fragments, max_queue, write_limit, streaming:
            as `serve` takes them.
        ssl: a TLS context for a wss URI; without it, one default context serves the whole process.
        server_hostname: whose certificate to expect, instead of the URI's host.
        kwargs: as `loop.create_connection` takes them; host and port override the URI's, sock replaces them.

    Raises:
        ValueError, TypeError: a setting makes no sense, as in `serve`, or `uri` is not a WebSocket URI.
        OSError: TCP or TLS failed.
        TimeoutError: `open_timeout` is over.
        HandshakeError: the server refused us, or its response is wrong.
    """

    def __init__(
        self,
        uri: str,
        *,
        origin: str | None = None,
        subprotocols: Sequence[str] | None = None,
        compression: CompressionLike = "deflate",
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = "wscodec",
        proxy: str | None = None,
        on_messages: Callable[[ClientConnection, list[Any]], object] | None = None,
        on_open: Callable[[ClientConnection], object] | None = None,
        on_close: Callable[[ClientConnection], object] | None = None,
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
        ssl: tls.SSLContext | bool | None = None,
        server_hostname: str | None = None,
        **kwargs: Any,
    ) -> None:
        if proxy is not None:
            raise ValueError("there are no proxies: leave it None")
        check_time("open_timeout", open_timeout)
        self._uri = uri
        self._options = Options.of(
            logger or logging.getLogger("wscodec.client"), max_queue, write_limit, compression,
            ping_interval=ping_interval, ping_timeout=ping_timeout, close_timeout=close_timeout,
            max_size=max_size, max_fragments=max_fragments, streaming=streaming,
            on_messages=on_messages, on_open=on_open, on_close=on_close,
        )  # fmt: skip
        self._handshake_settings: dict[str, Any] = {
            "origin": origin,
            "subprotocols": subprotocols,
            "compression": self._options.compression,
            "headers": additional_headers or (),
            "user_agent": user_agent_header,
        }
        self._open_timeout = open_timeout
        self._ssl = ssl
        self._server_hostname = server_hostname
        self._unix = kwargs.pop("unix", False)
        self._kwargs = kwargs

    async def _open(self) -> ClientConnection:
        uri = parse_uri(self._uri)
        arguments = self._arguments(uri)
        connecting = Connecting(ClientHandshake(uri, **self._handshake_settings), self._options)
        loop = asyncio.get_running_loop()
        create = loop.create_unix_connection if self._unix else loop.create_connection
        ws = None
        try:
            async with asyncio.timeout(self._open_timeout):
                await create(lambda: connecting, **arguments)
                ws = await connecting.opened
                return ws
        except TimeoutError as error:
            if connecting.refusal is not None:
                raise connecting.refusal from None
            raise TimeoutError("timed out during the opening handshake") from error
        finally:
            if ws is None:
                connecting.abort()

    async def _close(self, opened: ClientConnection, error: BaseException | None) -> None:
        await opened.close(closing_code(error))

    def _arguments(self, uri: WebSocketURI) -> dict[str, Any]:
        """Return the arguments of `loop.create_connection`; ValueError where TLS is asked for and refused."""
        arguments = dict(self._kwargs)
        if uri.secure:
            if self._ssl is False:
                raise ValueError("a wss URI needs TLS")
            arguments["ssl"] = _default_context() if self._ssl in (None, True) else self._ssl
            arguments["server_hostname"] = self._server_hostname or uri.host
        elif self._ssl:
            raise ValueError("a ws URI has no TLS: write wss")
        if not self._unix and arguments.get("sock") is None:
            arguments.setdefault("host", uri.host)
            arguments.setdefault("port", uri.port)
        return arguments


def unix_connect(path: Any = None, uri: str = "ws://localhost/", **kwargs: Any) -> connect:
    """Connect to a WebSocket server on a Unix socket.

    Args:
        path: of the socket.
        uri: for the Host header and the path of the request; wss for TLS.
        kwargs: as `connect` takes them.
    """
    if path is not None:
        kwargs["path"] = path
    return connect(uri, unix=True, **kwargs)
