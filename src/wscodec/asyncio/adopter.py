"""Connections whose opening handshake another server has done.

Floor 4.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from ..deflate import AgreedDeflate
from ..spec import DEFAULT_MAX_FRAGMENTS, DEFAULT_MAX_SIZE
from ._options import LoggerLike, Options, set_nodelay
from .connection import Registry, ServerConnection

__all__ = ["Adopter"]


class Adopter:
    """Takes WebSocket connections over from a server of another kind, such as one for HTTP.

    That server reads the request and writes the 101 response, such as by `ServerHandshake`. One adopter serves any
    number of connections, which then share a timer and a write at the end of each tick.

    Args:
        on_messages, on_open, on_close: callbacks, as `serve` takes them.
        ping_interval, ping_timeout, close_timeout, max_size, max_fragments, max_queue, write_limit, streaming, logger:
            as `serve` takes them.
    """

    def __init__(
        self,
        *,
        on_messages: Callable[[Any, list[Any]], object] | None = None,
        on_open: Callable[[Any], object] | None = None,
        on_close: Callable[[Any], object] | None = None,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_size: int | None = DEFAULT_MAX_SIZE,
        max_fragments: int | None = DEFAULT_MAX_FRAGMENTS,
        max_queue: int | tuple[int, int] | None = 16,
        write_limit: int | tuple[int, int] = 32768,
        streaming: bool = False,
        logger: LoggerLike | None = None,
    ) -> None:
        self._options = Options.of(
            logger or logging.getLogger("wscodec.server"), max_queue, write_limit, None,
            ping_interval=ping_interval, ping_timeout=ping_timeout, close_timeout=close_timeout,
            max_size=max_size, max_fragments=max_fragments, streaming=streaming,
            on_messages=on_messages, on_open=on_open, on_close=on_close,
        )  # fmt: skip

    def adopt(
        self,
        transport: asyncio.Transport,
        *,
        head: bytes = b"",
        subprotocol: str | None = None,
        compression: AgreedDeflate | None = None,
        trailing: bytes = b"",
        write_paused: bool = False,
        registry: Registry | None = None,
        prepare: Callable[[ServerConnection], object] | None = None,
    ) -> ServerConnection:
        """Take over a transport, to which the 101 response has been written.

        Args:
            transport: its protocol becomes the connection.
            head: the bytes of the request, for `ws.request`; they are kept until somebody asks for it.
            subprotocol, compression: what the handshake agreed on.
            trailing: what the client has sent behind its request.
            write_paused: whether the protocol until now was told to pause writing.
            registry: is told of the end by `registry.discard(ws)`, ahead of `on_close`.
            prepare: is called with the connection before anything else is.

        Returns:
            The connection. What came behind the request may have been delivered already.

        RFC 6455 §4.2.2.
        """
        set_nodelay(transport)
        ws = ServerConnection(transport, self._options, compression)
        ws._head = head
        ws._registry = registry
        ws.subprotocol = subprotocol
        if prepare is not None:
            prepare(ws)
        ws._start(trailing, write_paused)
        return ws
