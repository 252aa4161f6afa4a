# cython: language_level=3, binding=True, annotation_typing=False, wraparound=False, nonecheck=True
# cython: freethreading_compatible=True, subinterpreters_compatible=own_gil, auto_pickle=False
"""The fast lane of a connection on an event loop, compiled; the twin of `_pure/channel.py`.

Floor 1.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from cpython.buffer cimport PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t

from wscodec._calls cimport Call, PyTypeObject, go_on, wsc_is_ours
from wscodec._frames cimport is_plain, plain_size
from wscodec._inbox cimport Inbox, Reusable
from wscodec._lanes cimport ConnectionLane
from wscodec._views cimport open_view

from ._typing import Message, Parts, Prepared

__all__ = ["ChannelLane", "Outbox", "write_frame"]


cdef enum:
    LARGE = 1 << 16  # as in `spec.py`


cdef class Sending(Call):
    """A call of `send`."""

    cdef object begin(self, object target):
        cdef ChannelLane channel = <ChannelLane>target
        message, self.message = self.message, None
        if not channel.takes(message):
            self.inner = channel._send_by_rules(message, None, True)
            return
        channel.put(message)
        if channel._write_paused:
            self.inner = channel._drain()

    cdef int forget(self) except -1:
        Call.forget(self)
        self.message = None
        return 0


(<PyTypeObject *>Sending).tp_as_async.am_send = go_on


cdef class Outbox(Reusable):
    """The channels that have something to write at the end of this tick of the event loop.

    All connections of a server share one, so that one callback serves them all.
    """

    def __init__(self) -> None:
        self.channels = []
        self.loop = None
        self.sending = Sending.__new__(Sending)

    cdef object send(self, ChannelLane channel, object message):
        """Return a call that sends: the last one once more, if nobody has it any longer."""
        cdef Sending call = self.sending
        if not wsc_is_ours(<PyObject *>call) or call.target is not None:
            call = self.sending = Sending.__new__(Sending)
        call.target, call.inner, call.message = channel, None, message
        return call

    cdef int add(self, ChannelLane channel) except -1:
        """Have a channel flushed at the end of the tick."""
        if not self.channels or self.loop is not channel._loop:
            # Another loop: that of the channels which are still there was stopped, and comes to them no more.
            self.channels, self.loop = [], channel._loop
            self.loop.call_soon(self._flush)
        self.channels.append(channel)
        return 0

    def _flush(self) -> None:
        """Flush them all: one that fails keeps none of the others from it."""
        cdef ChannelLane channel
        channels, self.channels = self.channels, []
        for channel in channels:
            channel._flush_scheduled = False
            try:
                channel.flush()
            except Exception as error:
                channel._on_error(error)


cdef class ChannelLane(Inbox):
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
        self._reusable = <Outbox?>outbox
        self._on_messages = on_messages
        self._write_high = write_high
        self._background_size = background_size
        self._heard = True
        self._write_paused = True  # until the opening handshake is over

    def data_received(self, data: bytes) -> None:
        """Take the peer's bytes; what they say is delivered before this returns."""
        if not PyBytes_CheckExact(data):
            data = bytes(data)
        self.receive(<const uint8_t *>PyBytes_AS_STRING(data), len(data), data)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer that all connections of the event loop share: it is read before another is read into."""
        if self.outbox().buffer_of is not self._loop:
            self.outbox().buffer, self.outbox().buffer_of = self._shared_buffer(), self._loop
        return self.outbox().buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take the peer's bytes, so many of the buffer's first ones."""
        cdef Py_ssize_t size = nbytes
        cdef Py_buffer view
        data = self.get_buffer(-1)
        open_view(data, &view)
        try:
            if not 0 <= size <= view.len:
                raise ValueError(f"the buffer has not {size} bytes")
            self.receive(<const uint8_t *>view.buf, size, data)
        finally:
            PyBuffer_Release(&view)

    cdef int receive(self, const uint8_t *p, Py_ssize_t size, object data) except -1:
        """Take the peer's bytes, and have what a callback sends go out right behind it."""
        cdef bint scheduled
        self._heard = True
        if self._on_messages is None:
            return self.take(p, size, data)
        scheduled, self._flush_scheduled = self._flush_scheduled, True
        try:
            self.take(p, size, data)
        finally:
            self._flush_scheduled = scheduled
        return self.flush()

    cdef int take(self, const uint8_t *p, Py_ssize_t size, object data) except -1:
        """Take the peer's bytes and deliver what they say."""
        cdef list events = self._connection.take(p, size, data)
        cdef ConnectionLane connection = self._connection
        if self._closing or connection._controls or connection.error is not None or connection._decoder._held_back:
            self._deliver_by_rules(events)
        elif events:
            self.deliver(events)
        return 0

    def _deliver(self, items: list[Any]) -> None:
        """Hand items to the application, or keep them for it."""
        self.deliver(items)

    cdef int deliver(self, list items) except -1:
        """Do the work of `_deliver`."""
        if self._on_messages is None:
            return self.enqueue(items)
        try:
            self._on_messages(self, items)
        except BaseException as error:
            self._on_callback_error(error)
        return 0

    def send(
        self, message: Message | Prepared | Parts, text: bool | None = None, *, compress: bool = True
    ) -> Coroutine[Any, Any, None]:
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
        if text is None and compress is True and self.takes(message):
            return self.outbox().send(self, message)
        return self._send_by_rules(message, text, compress)

    cdef bint takes(self, object message) except -1:
        """Whether a message can be sent at once."""
        if not self._connection._speaking or self._sending is not None or self._write_paused:
            return False
        return is_plain(message) and plain_size(message) < self._background_size

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
        if text is None and compress is True:
            self._connection.put(message)
        else:
            self._connection._send_by_rules(message, text, compress)
        self.push()

    def send_many(self, messages: Sequence[Message]) -> None:
        """Queue several messages in one step; as `send_nowait` for each, but all of them or none."""
        self._connection.put_many(messages)
        self.push()

    cdef int put(self, object message) except -1:
        """Queue a plain message."""
        self._connection.put(message)
        # Of a run of messages, the first has done this for the others.
        if not self._flush_scheduled or self._connection.unsent_size > self._write_high:
            self.push()
        return 0

    def _push(self) -> None:
        """See to it that what was sent goes out: at the end of this tick, or at once where it is much."""
        self.push()

    cdef int push(self) except -1:
        """Do the work of `_push`."""
        if self._connection.unsent_size > self._write_high:
            self.flush()
            if not self._reading_paused:
                self._regulate()
        elif not self._flush_scheduled:
            self.outbox().add(self)
            self._flush_scheduled = True
        return 0

    def _flush(self) -> None:
        """Hand what was sent to the transport, unless it has enough to write."""
        self.flush()

    cdef int flush(self) except -1:
        """Do the work of `_flush`."""
        if self._transport is None or self._write_paused:
            return 0
        if self._closing or self._held or self._reading_paused or self._connection.unsent_size >= LARGE:
            self._flush_by_rules()
        elif not self._transport.is_closing():
            data = self._connection.output()
            if data:
                self._transport.write(data)
        return 0

    cdef bint write(self, bytes frame) except -1:
        """Write a frame that was made before, if nothing waits and nothing has to be judged; else return False."""
        cdef ConnectionLane connection = self._connection
        if self._transport is None or self._write_paused or self._closing or not connection.takes_frame(frame):
            return False
        if self._transport.is_closing():
            return False
        connection.count(frame, 1)
        self._transport.write(frame)
        return True


def write_frame(channels: Iterable[_C], frame: bytes) -> tuple[int, list[_C]]:
    """Write a frame that was made before to all channels that can take it at once.

    Args:
        channels: those of clients can't take it, for they mask each frame with a key of its own.
        frame: one whole message, not masked.

    Returns:
        How many took it, and the others, in order.
    """
    cdef Py_ssize_t count = 0
    cdef list others = []
    if not PyBytes_CheckExact(frame):
        raise TypeError("a frame is bytes")
    for channel in channels:
        if isinstance(channel, ChannelLane) and (<ChannelLane>channel).write(frame):
            count += 1
        else:
            others.append(channel)
    return count, others
