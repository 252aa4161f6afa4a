"""Pings: those that the application asks for, and those that find out whether the peer lives (RFC 6455 §5.5.2).

Floor 4.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Sequence
from itertools import takewhile

from .._typing import Buffer
from ..deflate import AgreedDeflate
from ..errors import ConcurrencyError
from ..events import Close as CloseEvent
from ..events import Event, Ping, Pong
from ..spec import CloseCode
from ._options import Options
from .transport import Channel, Item

__all__ = ["LiveChannel"]

_PAYLOAD_SIZE = 4

# Some event loops run timers ahead of reading: before a silent peer is given up, the loop reads once more.
_DOUBT = 0.001


class LiveChannel(Channel):
    """A channel that pings.

    There is no timer or task of its own for it: `Rounds` wakes all connections of a server.
    """

    __slots__ = ("_backlog", "_own_ping", "_pinged_at", "_pings", "latency")

    def __init__(
        self, transport: asyncio.Transport, options: Options, compression: AgreedDeflate | None = None
    ) -> None:
        super().__init__(transport, options, compression)
        self._pings: dict[bytes, tuple[asyncio.Future[float], float]] | None = None
        self._own_ping: tuple[bytes, float] | None = None
        self._pinged_at: float | None = None
        self._backlog = 0
        self.latency = 0.0

    async def ping(self, data: str | Buffer | None = None) -> Awaitable[float]:
        """Send a Ping frame.

        Args:
            data: its payload, at most 125 bytes; None for a random one.

        Returns:
            A future of the time until its Pong frame comes, in seconds. A pong for a later ping will do.

        Raises:
            ConnectionClosed: our Close frame is out, or the connection is closed; also through the future.
            ConcurrencyError: another ping with that payload is on its way.
            ValueError: `data` has more than 125 bytes.

        RFC 6455 §5.5.2, §5.5.3.
        """
        payload = _to_bytes(os.urandom(_PAYLOAD_SIZE) if data is None else data)
        pings = {} if self._pings is None else self._pings
        if payload in pings:
            raise ConcurrencyError("a ping with that payload is on its way already")
        self._connection.ping(payload)
        self._pings = pings
        waiter = self._loop.create_future()
        pings[payload] = (waiter, time.perf_counter())
        self._push()
        if self._write_paused:
            await self._drain()
        return waiter

    async def pong(self, data: str | Buffer = b"") -> None:
        """Send a Pong frame that nobody asked for.

        Args:
            data: its payload, at most 125 bytes.

        Raises:
            ConnectionClosed: our Close frame is out, or the connection is closed.
            ValueError: `data` has more than 125 bytes.

        RFC 6455 §5.5.3.
        """
        self._connection.pong(_to_bytes(data))
        self._push()
        if self._write_paused:
            await self._drain()

    def _take_controls(self, controls: Sequence[Event], events: list[Event]) -> list[Item]:
        """Match pongs with pings, and return what is for the application."""
        for control in controls:
            if isinstance(control, Pong):
                self._take_pong(control.payload)
        if len(controls) == len(events):
            return []
        return [event for event in events if not isinstance(event, (Ping, Pong, CloseEvent))]

    def _take_pong(self, payload: bytes) -> None:
        """Settle the ping with that payload and those before it; a pong that matches none is dropped."""
        now = time.perf_counter()
        if self._own_ping is not None and payload == self._own_ping[0]:
            self.latency = now - self._own_ping[1]
            self._own_ping = None
        pings = self._pings
        if not pings or payload not in pings:
            return
        self.latency = now - pings[payload][1]
        for other in [*takewhile(payload.__ne__, pings), payload]:
            waiter, sent_at = pings.pop(other)
            if not waiter.done():
                waiter.set_result(now - sent_at)

    def _keep_alive(self, doubted: bool) -> None:
        """Send the next ping, or give the peer up: what the timer calls."""
        self._round = None
        if self._closing:
            return
        interval, timeout = self._options.ping_interval, self._options.ping_timeout
        assert interval is not None
        now = self._loop.time()
        pinged_at = self._pinged_at
        if pinged_at is None or self._is_alive():
            next_at = now if pinged_at is None else pinged_at + interval
            if now < next_at:
                self._wake_at(next_at)
                return
        elif timeout is not None:
            if now < pinged_at + timeout:
                self._wake_at(pinged_at + timeout)
                return
            if doubted:
                self._give_up()
            else:
                self._timer = self._loop.call_later(_DOUBT, self._keep_alive, True)
            return
        self._send_keepalive(now)
        self._wake_at(now + (interval if timeout is None else min(interval, timeout)))

    def _is_alive(self) -> bool:
        """Tell whether the peer has sent or taken a byte since the last ping; where it had nothing to take, we have to
        listen, too, to say that it hasn't."""
        if self._heard:
            return True
        if self._backlog:
            return self._transport is not None and self._transport.get_write_buffer_size() < self._backlog
        return self._reading_paused and self._unread > 0

    def _send_keepalive(self, now: float) -> None:
        payload = os.urandom(_PAYLOAD_SIZE)
        self._connection.ping(payload)
        self._flush()
        self._own_ping = (payload, time.perf_counter())
        self._pinged_at = now
        self._heard = False
        self._backlog = 0 if self._transport is None else self._transport.get_write_buffer_size()

    def _give_up(self) -> None:
        """Fail the connection without waiting for anything: the peer is thought to be gone."""
        self._connection.fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
        self._closing = True
        self._flush()
        self._on_end()
        # Behind the writes of this tick, which some event loops hold back until its end.
        self._loop.call_soon(self._abort)

    def _drop_pings(self) -> None:
        """Tell everybody who waits for a pong."""
        pings, self._pings = self._pings, None
        self._own_ping = None
        for waiter, _ in (pings or {}).values():
            if not waiter.done():
                waiter.set_exception(self._connection.closed_error())
                waiter.exception()  # nobody need be waiting


def _to_bytes(data: str | Buffer) -> bytes:
    """Return the payload of a control frame; TypeError for what is neither text nor bytes."""
    return data.encode() if isinstance(data, str) else bytes(memoryview(data))
