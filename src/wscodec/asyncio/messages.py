"""Receiving and sending messages, whole or in parts (RFC 6455 §5.4, §6).

Floor 4.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Self

from .._typing import Message, Parts
from ..deflate import AgreedDeflate
from ..deflating import Deflation
from ..encoder import PreparedMessage
from ..errors import ConcurrencyError, ConnectionClosed, ConnectionClosedOK
from ..events import Fragment
from ._options import Options
from ._parts import Decoding, convert, has_size, is_in_parts, iterate
from ._threads import threads
from .keepalive import LiveChannel
from .transport import Waiter

__all__ = ["MessageChannel"]


class MessageChannel(LiveChannel):
    """A channel for messages."""

    __slots__ = ("_in_parts", "_parts")

    # Those who wait until another message is complete, if one is being sent in several steps.
    _sending: deque[Waiter] | None

    def __init__(
        self, transport: asyncio.Transport, options: Options, compression: AgreedDeflate | None = None
    ) -> None:
        super().__init__(transport, options, compression)
        self._parts: list[str | bytes] | None = None
        self._in_parts = False

    async def _recv_by_rules(self, decode: bool | None) -> str | bytes:
        """Do what `recv` does where it may have to wait, or has to convert or to put a message together."""
        if not self._unread or self._waiter is not None or self._in_parts:
            await self._wait_for_item(first=True)
        item = self._dequeue()
        message = await self._whole(item) if isinstance(item, Fragment) else item
        return message if decode is None else convert(message, decode)

    async def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[str | bytes]:
        """Yield the next message in parts; without `streaming`, there is one part. Read it to its end.

        Args:
            decode: as in `recv`.

        Raises:
            ConnectionClosed, ConcurrencyError, UnicodeDecodeError: as in `recv`.

        RFC 6455 §5.4, §6.2.
        """
        await self._wait_for_item(first=True)
        decoding = Decoding(decode)
        begun, self._parts = self._parts or [], None
        item = self._dequeue()
        if not isinstance(item, Fragment):
            yield decoding.part(item, True)
            return
        self._in_parts = True
        for part in begun:
            yield decoding.part(part)
        while True:
            self._in_parts = not item.fin
            yield decoding.part(item.data, item.fin)
            if item.fin:
                return
            await self._wait_for_item(first=False)
            next_item = self._dequeue()
            assert isinstance(next_item, Fragment)
            item = next_item

    def __aiter__(self) -> Self:
        return self

    async def _anext_by_rules(self) -> str | bytes:
        """Do what `__anext__` does where it may have to wait, or to put a message together."""
        try:
            # Not through `_recv_by_rules`: each coroutine that waits costs an idle connection 230 bytes.
            if not self._unread or self._waiter is not None or self._in_parts:
                await self._wait_for_item(first=True)
            item = self._dequeue()
            return await self._whole(item) if isinstance(item, Fragment) else item
        except ConnectionClosedOK:
            raise StopAsyncIteration from None

    async def _wait_for_item(self, *, first: bool) -> None:
        """Wait until there is something in the queue, the `first` of a message; errors as in `recv`."""
        if self._waiter is not None and self._waiter.done():
            await asyncio.sleep(0)  # a call that was cancelled, or has its message, ends in this tick
        if self._waiter is not None:
            raise ConcurrencyError("another task is receiving")
        if first and self._in_parts:
            raise ConcurrencyError("a message is being received in parts")
        if self._options.on_messages is not None:
            raise ConcurrencyError("messages go to on_messages")
        while not self._unread:
            if self._connection.close_code is not None:
                # The application has answered all that came before the peer's Close frame.
                self._on_answered()
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
            await self._wait_for_item(first=False)
            next_item = self._dequeue()
            assert isinstance(next_item, Fragment)
            item = next_item
            parts.append(item.data)
        self._parts = None
        return "".join(parts) if isinstance(item.data, str) else b"".join(parts)  # type: ignore[arg-type]

    async def _send_by_rules(
        self, message: Message | PreparedMessage | Parts, text: bool | None, compress: bool
    ) -> None:
        """Do what `send` does where it may have to wait, or the message is not plain."""
        if not isinstance(message, (str, bytes)) and is_in_parts(message):
            await self._send_parts(message, text, compress)  # type: ignore[arg-type]
        elif compress and has_size(message, self._background_size):
            await self._send_large(message, text)  # type: ignore[arg-type]
        elif self._sending is not None:
            await self._take_turn()
            try:
                self._connection.send(message, text=text, compress=compress)  # type: ignore[arg-type]
            finally:
                self._end_turn()
        else:
            self._connection.send(message, text=text, compress=compress)  # type: ignore[arg-type]
        self._push()
        if self._write_paused:
            await self._drain()

    def _send_at_once(self, message: PreparedMessage) -> None:
        """Send, and write without waiting for the end of the tick; errors as in `send_nowait`."""
        self._connection.send(message)
        if not self._flush_scheduled:
            self._flush()

    async def _take_turn(self) -> None:
        """Wait until no other message is being sent in several steps, and those that came first are sent.

        Where the connection is lost, there is nothing to wait for, and sending says so.
        """
        if self._transport is None:
            return
        if self._sending is None:
            self._sending = deque()
            return
        waiter = self._loop.create_future()
        self._sending.append(waiter)
        try:
            await waiter
        except BaseException:
            if not waiter.cancelled() and waiter.done():
                self._end_turn()  # it was ours already
            raise

    def _end_turn(self) -> None:
        """Hand the turn on to whoever has waited longest."""
        waiters = self._sending
        while waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._sending = None

    def _end_turns(self) -> None:
        """Have all go on who wait for their turn: the connection is lost, and sending says so."""
        while self._sending is not None:
            self._end_turn()

    async def _send_large(self, message: Message, text: bool | None) -> None:
        """Send a message that a thread compresses; one that was begun is sent even if this is cancelled."""
        await self._take_turn()
        try:
            deflation = self._connection.begin_send(message, text=text)
        except BaseException:
            self._end_turn()
            raise
        sent = self._loop.create_future()
        try:
            job = self._loop.run_in_executor(threads(), deflation.run)
        except RuntimeError:  # no thread can be started: then here
            self._end_large(deflation, sent)
        else:
            job.add_done_callback(lambda _: self._end_large(deflation, sent))
        await sent

    def _end_large(self, deflation: Deflation, sent: Waiter) -> None:
        """Send what a thread has compressed, and tell the one who waits for it, if there still is one."""
        try:
            self._connection.end_send(deflation)
            self._push()
        except BaseException as error:
            if not sent.done():
                sent.set_exception(error)
                sent.exception()  # nobody need be waiting
        else:
            if not sent.done():
                sent.set_result(None)
        finally:
            self._end_turn()
        if self._held and self._answered:
            # Behind what the one who waits sends next, without waiting for more.
            self._loop.call_soon(self._on_answered)

    async def _send_parts(self, parts: Parts, text: bool | None, compress: bool) -> None:
        """Send a fragmented message; where it can't be ended, the connection has to fail."""
        await self._take_turn()
        last: Message | None = None
        try:
            decoding = Decoding(text)
            async for part in iterate(parts):
                data = decoding.part(part)
                self._connection.send_fragment(data, fin=False, compress=compress)
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
        finally:
            self._end_turn()
