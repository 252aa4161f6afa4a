"""The bytes of an open connection: reading, writing, flow control and the end (RFC 6455 §5.5.1, §7).

What is sent in one tick of the event loop goes out in one write at its end. While the transport has enough
to write, bytes stay in the sans-IO connection, which knows how to answer many pings with one pong.

Floor 4.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import ClassVar, TypeAlias
from weakref import WeakKeyDictionary

from .._backend import ChannelLane
from ..connection import Connection
from ..deflate import AgreedDeflate
from ..events import Event, Fragment
from ..spec import QUEUE_SIZE, Role, State
from ._options import Options, end_output

__all__ = ["Channel", "Item"]

Item: TypeAlias = "str | bytes | Fragment"
Waiter: TypeAlias = "asyncio.Future[None]"
# Those who wait, in their order: shared while there are none, and left in one step, however many there are.
Waiters: TypeAlias = "dict[Waiter, None] | tuple[()]"

# How much of `close_timeout` the application has to answer what came before the peer's Close frame: not all,
# for the peer may well have the same timeout.
_PATIENCE = 0.5

# How long that is, in seconds, where there is no `close_timeout`.
_PATIENCE_WITHOUT_TIMEOUT = 5

# One read buffer for each event loop. All that is in it is taken before the loop reads again.
_BUFFER_SIZE = 1 << 18
_buffers: WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview] = WeakKeyDictionary()


class Channel(ChannelLane, asyncio.Protocol, asyncio.BufferedProtocol):
    """One open connection as its event loop sees it.

    Subclasses say what to do with what arrives, and when it ends; see the last methods.
    """

    __slots__ = ("_answered", "_eof", "_going_on", "_options", "_round", "_timer", "_write_waiters")

    _role: ClassVar[Role]
    _connection: Connection
    _loop: asyncio.AbstractEventLoop
    _transport: asyncio.Transport | None

    def __init__(
        self, transport: asyncio.Transport, options: Options, compression: AgreedDeflate | None = None
    ) -> None:
        connection = Connection(
            self._role,
            max_size=options.max_size,
            max_fragments=options.max_fragments,
            streaming=options.streaming,
            compression=compression,
            burst_size=QUEUE_SIZE,
        )
        super().__init__(
            transport,
            asyncio.get_running_loop(),
            connection,
            options.outbox,
            options.on_messages,
            options.queue_high,
            options.write_high,
            sys.maxsize if compression is None else compression.background_size,
        )
        self._options = options
        self._round: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._write_waiters: Waiters = ()
        self._eof = False
        self._going_on = False
        self._answered = False

    def _start(self, trailing: bytes, write_paused: bool) -> None:
        """Take the transport over from the opening handshake.

        Args:
            trailing: what the peer sent behind its part of the handshake.
            write_paused: whether the transport has enough to write already.
        """
        assert self._transport is not None
        options = self._options
        self._transport.set_write_buffer_limits(options.write_high, options.write_low)
        self._transport.set_protocol(self)
        self._write_paused = write_paused
        if options.ping_interval is not None and not self._closing:
            self._wake_at(self._loop.time() + options.ping_interval)
        if trailing:
            self.data_received(trailing)
        self._push()
        if not self._write_paused:
            self._wake_writers()

    # What the event loop calls. It reads into our buffer where it takes us for a BufferedProtocol, as asyncio's do;
    # uvloop takes us for a Protocol, for it has such a buffer itself.

    def _shared_buffer(self) -> memoryview:
        """Return the read buffer of the event loop."""
        buffer = _buffers.get(self._loop)
        if buffer is None:
            buffer = _buffers[self._loop] = memoryview(bytearray(_BUFFER_SIZE))
        return buffer

    def _deliver_by_rules(self, events: list[Event]) -> None:
        """Deliver what came with control frames or an offence, while closing, or ahead of what is held back."""
        connection = self._connection
        controls = connection.controls
        items = self._take_controls(controls, events) if controls else events
        if items:
            # What a callback sends in answer goes out ahead of the Close frame.
            self._held = self._held or connection.close_owed
            self._deliver(items)
        self._go_on_closing()
        self._push()
        if connection.held_back:
            self._regulate()

    def eof_received(self) -> bool:
        """Take the end of the peer's bytes; go on writing where our Close frame is still to be written."""
        self._eof = True
        transport = self._transport
        assert transport is not None
        if self._connection.held_back:  # over TLS, the end may come with the bytes before it, though reading is paused
            self._take_the_rest()
        connection = self._connection
        unwritten = connection.close_owed or (connection.finished and connection.unsent_size > 0)
        keep_open: bool = unwritten and transport.can_write_eof()
        self._begin_closing()
        if not keep_open:
            self._held = False
            self._flush()
            self._connection.eof()
            self._on_end()
        return keep_open

    def pause_writing(self) -> None:
        """Keep what is sent from now on."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Write what was kept."""
        self._write_paused = False
        self._heard = True  # the peer has read something: it lives
        self._flush()
        if not self._write_paused:
            self._wake_writers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake everybody who waits, and let go of everything."""
        if self._transport is None:
            return
        self._closing = True
        self._held = False
        self._stop_timer()
        self._on_lost()

    # Writing.

    def _flush_by_rules(self) -> None:
        """Do what `_flush` does where writing may have to wait, or is followed by more."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        connection = self._connection
        chunks = connection.chunks_before_close() if self._held else connection.chunks_to_send()
        if len(chunks) > 1:
            transport.writelines(chunks)
            if not self._write_paused:
                # Python 3.12.0 to 3.12.8, 3.13.0 and 3.13.1 don't look at the limits themselves (CVE-2024-12254).
                transport.set_write_buffer_limits(self._options.write_high, self._options.write_low)
        elif chunks:
            transport.write(chunks[0])
        if self._reading_paused:
            self._regulate()
        if self._closing:
            self._shut_down()

    async def _drain(self) -> None:
        """Wait until the transport takes more; ConnectionClosed where it never will."""
        while self._write_paused and self._transport is not None:
            waiter = self._loop.create_future()
            waiters = self._write_waiters = self._write_waiters or {}
            waiters[waiter] = None
            try:
                await waiter
            finally:
                del waiters[waiter]
                if not waiters:
                    self._write_waiters = ()
        if self._transport is None:
            raise self._connection.closed_error()

    def _wake_writers(self) -> None:
        for waiter in self._write_waiters:
            if not waiter.done():
                waiter.set_result(None)

    # Reading.

    def _regulate(self) -> None:
        """Stop reading above the limits, and go on below their low marks.

        While closing we read all that comes, since the peer's Close frame is behind it.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        held_back = self._connection.held_back
        if not self._reading_paused and (held_back or (not self._closing and self._is_flooded())):
            self._reading_paused = True
            transport.pause_reading()
        if not self._reading_paused or not (self._closing or self._is_drained()):
            return
        if not held_back:
            self._reading_paused = False
            transport.resume_reading()
        elif not self._going_on:
            # One burst a tick, so that other connections have their turn.
            self._going_on = True
            self._loop.call_soon(self._go_on_reading)

    def _go_on_reading(self) -> None:
        """Take the next burst of what was held back."""
        self._going_on = False
        if self._connection.held_back and (self._closing or self._is_drained()):
            self.data_received(b"")
            self._regulate()

    def _take_the_rest(self) -> None:
        """Take what was held back as far as there is room: nothing follows, and what does not fit is lost (1006)."""
        while self._connection.held_back and not self._is_queue_full():
            self.data_received(b"")

    def _is_flooded(self) -> bool:
        return self._is_queue_full() or self._connection.unsent_size > self._options.write_high

    def _is_drained(self) -> bool:
        options = self._options
        return (
            self._unread <= options.queue_low
            and self._queue_size <= QUEUE_SIZE
            and self._connection.unsent_size <= options.write_low
        )

    # The end.

    def _go_on_closing(self) -> None:
        """Do what the state of the closing handshake asks for, after bytes or a call that may have changed it."""
        connection = self._connection
        if connection.state is State.OPEN:
            return
        if not self._closing:
            # The answers to messages that came before the peer's Close frame, or its offence, go out first.
            self._held = connection.close_owed and (self._unread > 0 or connection.message_begun)
            self._answered = not self._unread
            self._begin_closing()
        if connection.close_code is not None:
            self._on_end()
        if not connection.close_owed:
            self._shut_down()

    def _begin_closing(self) -> None:
        """From here on there is a deadline, no keepalive, and no limit to reading."""
        if self._closing:
            return
        self._closing = True
        self._start_deadline(_PATIENCE if self._held else 1)
        self._regulate()

    def _on_answered(self) -> None:
        """Let the Close frame go that waits for the application, behind what a thread compresses."""
        self._answered = True
        if not self._connection.message_begun:
            self._release_close()

    def _release_close(self) -> None:
        """Let the Close frame go that waits for the application."""
        if self._held:
            self._held = False
            self._start_deadline(1)
            self._push()

    def _start_deadline(self, share: float) -> None:
        """Give the closing handshake that share of its time; where that has no limit, the application has one."""
        self._stop_timer()
        timeout = self._options.close_timeout
        if timeout is not None:
            self._timer = self._loop.call_later(timeout * share, self._on_deadline)
        elif self._held:
            self._timer = self._loop.call_later(_PATIENCE_WITHOUT_TIMEOUT, self._on_deadline)

    def _wake_at(self, when: float) -> None:
        """Have `_keep_alive` called at about `when`, by the clock of the loop."""
        self._round = self._options.rounds.add(self._loop, when, self)

    def _stop_timer(self) -> None:
        if self._round is not None:
            self._options.rounds.discard(self._round, self)
            self._round = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_deadline(self) -> None:
        if self._held:
            self._held = False
            self._start_deadline(1 - _PATIENCE)
            self._push()
        else:
            self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _close_transport(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    def _shut_down(self) -> None:
        """End our side of TCP once neither side has anything more to say.

        The server ends its output and discards input until the client does the same: a socket that is closed
        with input unread would be reset, and the client might never see our Close frame. The client lets the
        server go first (RFC 6455 §7.1.1).
        """
        transport = self._transport
        connection = self._connection
        if transport is None or transport.is_closing() or not connection.finished or connection.unsent_size:
            return
        if self._eof:
            # Not at once: one of asyncio's that is closed within `resume_writing` calls `connection_lost` twice.
            self._loop.call_soon(self._close_transport)
        elif self._role is Role.SERVER:
            end_output(transport)

    # What subclasses say.

    def _take_controls(self, controls: Sequence[Event], events: list[Event]) -> list[Item]:
        raise NotImplementedError

    def _keep_alive(self, doubted: bool) -> None:
        raise NotImplementedError

    def _fail(self, reason: str) -> None:
        raise NotImplementedError

    def _on_end(self) -> None:
        raise NotImplementedError

    def _on_lost(self) -> None:
        raise NotImplementedError
