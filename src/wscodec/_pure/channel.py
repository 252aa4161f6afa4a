"""The fast lane of a connection on an event loop in pure Python, the twin of `_channel.pyx`.

Floor 1.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from .._typing import Message, Parts, Prepared
from ..spec import LARGE
from .inbox import Inbox
from .lanes import ConnectionLane, is_plain

__all__ = ["ChannelLane", "Outbox", "write_frame"]

_C = TypeVar("_C", bound="ChannelLane")


class Outbox:
    """The channels that have something to write at the end of this tick of the event loop.

    All connections of a server share one, so that one callback serves them all.
    """

    __slots__ = ("_buffer", "_buffer_of", "_channels", "_loop")

    def __init__(self) -> None:
        self._buffer: memoryview | None = None
        self._buffer_of: Any = None
        self._channels: list[ChannelLane] = []
        self._loop: Any = None

    def _add(self, channel: ChannelLane) -> None:
        """Have a channel flushed at the end of the tick."""
        if not self._channels or self._loop is not channel._loop:
            # Another loop: that of the channels which are still there was stopped, and comes to them no more.
            self._channels, self._loop = [], channel._loop
            self._loop.call_soon(self._flush)
        self._channels.append(channel)

    def _flush(self) -> None:
        """Flush them all: one that fails keeps none of the others from it."""
        channels, self._channels = self._channels, []
        for channel in channels:
            channel._flush_scheduled = False
            try:
                channel._flush()
            except Exception as error:
                channel._on_error(error)


class ChannelLane(Inbox):
    """What a channel does with plain messages.

    Args:
        transport: to write to.
        loop: the event loop.
        connection: what the bytes mean.
        outbox: that of all connections that share the settings.
        on_messages: is called with the messages of each read; None to have them queued.
        queue_high: how many items may be queued before reading is paused.
        write_high: how many bytes may wait to be written in a tick.
        background_size: from how many bytes on a message is not sent at once, since that takes long.
    """

    __slots__ = (
        "_background_size",
        "_connection",
        "_flush_scheduled",
        "_heard",
        "_held",
        "_on_messages",
        "_outbox",
        "_sending",
        "_transport",
        "_write_high",
        "_write_paused",
    )

    def __init__(
        self,
        transport: Any,
        loop: Any,
        connection: ConnectionLane,
        outbox: Outbox,
        on_messages: Callable[[Any, list[Any]], object] | None,
        queue_high: int,
        write_high: int,
        background_size: int,
    ) -> None:
        # A decoder that takes no message at once hands out parts.
        super().__init__(loop, queue_high, on_messages is None and connection._decoder._run_limit >= 0)
        self._transport = transport
        self._connection = connection
        self._outbox = outbox
        self._on_messages = on_messages
        self._write_high = write_high
        self._background_size = background_size
        self._sending: Any = None
        self._flush_scheduled = self._held = False
        self._heard = True
        # Until the opening handshake is over, what is sent waits.
        self._write_paused = True

    def data_received(self, data: bytes) -> None:
        """Take the peer's bytes; what they say is delivered before this returns."""
        self._heard = True
        if self._on_messages is None:
            self._receive(bytes(data))
            return
        # What the callback sends goes out right behind it, not at the end of the tick.
        scheduled, self._flush_scheduled = self._flush_scheduled, True
        try:
            self._receive(bytes(data))
        finally:
            self._flush_scheduled = scheduled
        self._flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer that all connections of the event loop share: it is read before another is read into."""
        outbox = self._outbox
        if outbox._buffer is None or outbox._buffer_of is not self._loop:
            outbox._buffer, outbox._buffer_of = self._shared_buffer(), self._loop
        return outbox._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take the peer's bytes, so many of the buffer's first ones."""
        buffer = self.get_buffer(-1)
        if not 0 <= nbytes <= len(buffer):
            raise ValueError(f"the buffer has not {nbytes} bytes")
        self.data_received(bytes(buffer[:nbytes]))

    def _receive(self, data: bytes) -> None:
        """Take the peer's bytes and deliver what they say."""
        events = self._connection.receive(data)
        connection = self._connection
        if self._closing or connection._controls or connection.error is not None or connection._decoder._held_back:
            self._deliver_by_rules(events)
        elif events:
            self._deliver(events)

    def _deliver(self, items: list[Any]) -> None:
        """Hand items to the application, or keep them for it."""
        if self._on_messages is None:
            self._enqueue(items)
            return
        try:
            self._on_messages(self, items)
        except BaseException as error:
            self._on_callback_error(error)

    async def send(
        self, message: Message | Prepared | Parts, text: bool | None = None, *, compress: bool = True
    ) -> None:
        """Send a message.

        It is queued before the first suspension, so that a cancelled call leaves the stream whole; the call
        waits where the peer reads too slowly. A large message that is compressed is left to a thread: other
        messages wait for it, pings don't, and where the call is cancelled, it is sent all the same.

        Args:
            message: a str, sent as text; a bytes-like object, sent as binary; either prepared; or an iterable or
                asynchronous iterable of either, sent as a fragmented message, meanwhile other messages wait, and
                pings don't. An empty iterable sends nothing.
            text: True sends bytes as text, False sends a str as binary.
            compress: False sends it as it is, on a connection that compresses too.

        Raises:
            ConnectionClosed: our Close frame is out, or the connection is closed.
            TypeError: `message` is none of these.
            ValueError: text that can't be UTF-8.

        RFC 6455 §5.4, §6.1.
        """
        if text is not None or compress is not True or not self._takes(message):
            await self._send_by_rules(message, text, compress)
            return
        self._connection.send(message)  # type: ignore[arg-type]
        # Of a run of messages, the first has done this for the others.
        if not self._flush_scheduled or self._connection.unsent_size > self._write_high:
            self._push()
        if self._write_paused:
            await self._drain()

    def _takes(self, message: Any) -> bool:
        """Tell whether a message can be sent at once."""
        if not self._connection._speaking or self._sending is not None or self._write_paused:
            return False
        return is_plain(message) and len(message) < self._background_size

    def send_nowait(self, message: Message | Prepared, text: bool | None = None, *, compress: bool = True) -> None:
        """Queue a message without waiting, such as in a callback; we stop reading where too much is unsent.

        It is compressed at once, however large; and behind a large message that a thread compresses, it waits for that.

        Args:
            message: a str, a bytes-like object, or either prepared.
            text, compress: as in `send`.

        Raises:
            ConnectionClosed, TypeError, ValueError: as in `send`.
            ConcurrencyError: a message is being sent in fragments.
        """
        self._connection.send(message, text=text, compress=compress)
        self._push()

    def send_many(self, messages: Sequence[Message]) -> None:
        """Queue several messages in one step; as `send_nowait` for each, but all of them or none."""
        self._connection.send_many(messages)
        self._push()

    def _push(self) -> None:
        """See to it that what was sent goes out: at the end of this tick, or at once where it is much."""
        if self._connection.unsent_size > self._write_high:
            self._flush()
            if not self._reading_paused:
                self._regulate()
        elif not self._flush_scheduled:
            self._outbox._add(self)
            self._flush_scheduled = True

    def _flush(self) -> None:
        """Hand what was sent to the transport, unless it has enough to write."""
        if self._transport is None or self._write_paused:
            return
        if self._closing or self._held or self._reading_paused or self._connection.unsent_size >= LARGE:
            self._flush_by_rules()
        elif not self._transport.is_closing():
            data = self._connection.data_to_send()
            if data:
                self._transport.write(data)

    def _write(self, frame: bytes) -> bool:
        """Write a frame that was made before, if nothing waits and nothing has to be judged; else return False."""
        connection = self._connection
        if self._transport is None or self._write_paused or self._closing or self._transport.is_closing():
            return False
        if not connection._takes_frame(frame):
            return False
        connection._count_sent(frame, 1)
        self._transport.write(frame)
        return True

    def _shared_buffer(self) -> memoryview:
        raise NotImplementedError

    def _deliver_by_rules(self, events: list[Any]) -> None:
        raise NotImplementedError

    def _on_callback_error(self, error: BaseException) -> None:
        raise NotImplementedError

    def _on_error(self, error: Exception) -> None:
        raise NotImplementedError

    def _send_by_rules(self, message: Any, text: bool | None, compress: bool) -> Coroutine[Any, Any, None]:
        raise NotImplementedError

    def _drain(self) -> Coroutine[Any, Any, None]:
        raise NotImplementedError

    def _flush_by_rules(self) -> None:
        raise NotImplementedError


def write_frame(channels: Iterable[_C], frame: bytes) -> tuple[int, list[_C]]:
    """Write a frame that was made before to all channels that can take it at once.

    Args:
        channels: those of clients can't take it, for they mask each frame with a key of its own.
        frame: one whole message, not masked.

    Returns:
        How many took it, and the others, in order.
    """
    others: list[_C] = []
    count = 0
    if type(frame) is not bytes:
        raise TypeError("a frame is bytes")
    for channel in channels:
        if isinstance(channel, ChannelLane) and channel._write(frame):
            count += 1
        else:
            others.append(channel)
    return count, others
