# cython: language_level=3, binding=True, annotation_typing=False, boundscheck=False, wraparound=False
# cython: freethreading_compatible=True, subinterpreters_compatible=own_gil, auto_pickle=False
"""The fast lane of a connection on an event loop, compiled; the twin of `_pure/channel.py`.

Floor 1.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from cpython.bytes cimport PyBytes_CheckExact
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_CheckExact

from wscodec._calls cimport Call, PyTypeObject, go_on
from wscodec._frames cimport is_plain
from wscodec._lanes cimport ConnectionLane

from ._typing import Message, Parts, Prepared

__all__ = ["ChannelLane", "Outbox", "write_frame"]


cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *thing) noexcept


cdef enum:
    LARGE = 1 << 16  # both as in `spec.py`
    QUEUE_SIZE = 1 << 20


cdef class Receiving(Call):
    """A call of `recv`."""

    cdef object begin(self, object target):
        cdef ChannelLane channel = <ChannelLane>target
        if channel.has_message():
            return channel.dequeue()
        self.inner = channel._recv_by_rules(None)


cdef class Iterating(Call):
    """A call of `__anext__`."""

    cdef object begin(self, object target):
        cdef ChannelLane channel = <ChannelLane>target
        if channel.has_message():
            return channel.dequeue()
        self.inner = channel._anext_by_rules()


cdef class Sending(Call):
    """A call of `send`."""

    cdef object begin(self, object target):
        cdef ChannelLane channel = <ChannelLane>target
        message, self.message = self.message, None
        if not channel.takes(message):
            self.inner = channel._send_by_rules(message, None)
            return
        channel.put(message)
        if channel._write_paused:
            self.inner = channel._drain()


(<PyTypeObject *>Receiving).tp_as_async.am_send = go_on
(<PyTypeObject *>Iterating).tp_as_async.am_send = go_on
(<PyTypeObject *>Sending).tp_as_async.am_send = go_on


cdef class Outbox:
    """The channels that have something to write at the end of this tick of the event loop.

    All connections of a server share one, so that one callback serves them all.
    """

    def __init__(self) -> None:
        self.channels = []
        self.loop = None
        self.iterating = Iterating.__new__(Iterating)
        self.sending = Sending.__new__(Sending)

    cdef object iterate(self, ChannelLane channel):
        """Return a call that receives: the last one once more, if nobody has it any longer."""
        cdef Iterating call = self.iterating
        # One reference is the outbox's, the other this function's.
        if Py_REFCNT(<PyObject *>call) > 2 or call.target is not None:
            call = self.iterating = Iterating.__new__(Iterating)
        call.target, call.inner = channel, None
        return call

    cdef object send(self, ChannelLane channel, object message):
        """Return a call that sends: the last one once more, if nobody has it any longer."""
        cdef Sending call = self.sending
        if Py_REFCNT(<PyObject *>call) > 2 or call.target is not None:
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


cdef class ChannelLane:
    """What a channel does with plain messages.

    Args:
        transport: to write to.
        loop: the event loop.
        connection: what the bytes mean.
        outbox: that of all connections that share the settings.
        on_messages: is called with the messages of each read; None to have them queued.
        queue_high: how many items may be queued before reading is paused.
        write_high: how many bytes may wait to be written in a tick.
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
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._connection = connection
        self._outbox = outbox
        self._on_messages = on_messages
        self._queue_high = queue_high
        self._write_high = write_high
        self._heard = True
        self._write_paused = True  # until the opening handshake is over

    def data_received(self, data: bytes) -> None:
        """Take the peer's bytes; what they say is delivered before this returns."""
        cdef bint scheduled
        self._heard = True
        if self._on_messages is None:
            self.receive(data)
            return
        # What the callback sends goes out right behind it, not at the end of the tick.
        scheduled, self._flush_scheduled = self._flush_scheduled, True
        try:
            self.receive(data)
        finally:
            self._flush_scheduled = scheduled
        self.flush()

    cdef int receive(self, object data) except -1:
        """Take the peer's bytes and deliver what they say."""
        cdef list events = self._connection.take(data)
        if self._closing or self._connection._controls or self._connection.error is not None:
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
        except Exception as error:
            self._on_callback_error(error)
        return 0

    cdef int enqueue(self, list items) except -1:
        """Keep items until they are asked for; while closing, only as many as the limits allow."""
        if self._closing and (self._discarding or self.is_full()):
            self._discarding = True  # what comes later would follow a gap
            return 0
        if self.queue is None:
            self.queue, self.next = items, 0
        else:
            del self.queue[: self.next]
            self.next = 0
            self.queue += items
        for item in items:
            self._queue_size += size_of(item)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self.is_full():
            self._regulate()
        return 0

    @property
    def _unread(self) -> int:
        """How many items wait to be asked for."""
        return self.unread()

    cdef Py_ssize_t unread(self) noexcept:
        """Do the work of `_unread`."""
        return 0 if self.queue is None else len(self.queue) - self.next

    def _is_queue_full(self) -> bool:
        """Tell whether there is as much in the queue as there may be."""
        return self.is_full()

    cdef bint is_full(self) noexcept:
        """Do the work of `_is_queue_full`."""
        return self._queue_size > QUEUE_SIZE or self.unread() > self._queue_high

    def _dequeue(self) -> Any:
        """Return the oldest item."""
        return self.dequeue()

    cdef object dequeue(self):
        """Do the work of `_dequeue`."""
        item = self.queue[self.next]
        self.queue[self.next] = None
        self.next += 1
        if self.next == len(self.queue):
            # The size is that of all that came since the queue was empty: to take off each item's size as it
            # goes would cost more than the item's whole way through here.
            self.queue, self._queue_size = None, 0
        if self._reading_paused:
            self._regulate()
        return item

    cdef bint has_message(self) noexcept:
        """Whether a whole message can be taken from the queue, and nobody else is about to."""
        if self.queue is None or self._waiter is not None:
            return False
        item = self.queue[self.next]
        return PyUnicode_CheckExact(item) or PyBytes_CheckExact(item)

    def __anext__(self) -> Coroutine[Any, Any, str | bytes]:
        """Return the next message; the iteration ends where the connection was closed with 1000, 1001 or 1005."""
        return self._outbox.iterate(self) if self.has_message() else self._anext_by_rules()

    def recv(self, decode: bool | None = None) -> Coroutine[Any, Any, str | bytes]:
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
        if decode is not None or not self.has_message():
            return self._recv_by_rules(decode)
        cdef Call call = Receiving.__new__(Receiving)
        call.target = self
        return call

    def send(self, message: Message | Prepared | Parts, text: bool | None = None) -> Coroutine[Any, Any, None]:
        """Send a message.

        It is queued before the first suspension, so that a cancelled call leaves the stream whole; the call
        waits where the peer reads too slowly.

        Args:
            message: a str, sent as text; a bytes-like object, sent as binary; either prepared; or an iterable or
                asynchronous iterable of either, sent as a fragmented message, meanwhile other messages wait, and
                pings don't. An empty iterable sends nothing.
            text: True sends bytes as text, False sends a str as binary.

        Raises:
            ConnectionClosed: our Close frame is out, or the connection is closed.
            TypeError: `message` is none of these.
            ValueError: text that can't be UTF-8.

        RFC 6455 §5.4, §6.1.
        """
        if text is None and self.takes(message):
            return self._outbox.send(self, message)
        return self._send_by_rules(message, text)

    cdef bint takes(self, object message) noexcept:
        """Whether a message can be sent at once."""
        return self._connection._speaking and self._sending is None and not self._write_paused and is_plain(message)

    def send_nowait(self, message: Message | Prepared, text: bool | None = None) -> None:
        """Queue a message without waiting, such as in a callback; we stop reading where too much is unsent.

        Args:
            message: a str, a bytes-like object, or either prepared.
            text: as in `send`.

        Raises:
            ConnectionClosed, TypeError, ValueError: as in `send`.
            ConcurrencyError: a message is being sent in fragments.
        """
        self._connection.put(message, text)
        self.push()

    def send_many(self, messages: Sequence[Message]) -> None:
        """Queue several messages in one step; as `send_nowait` for each, but all of them or none."""
        self._connection.put_many(messages)
        self.push()

    cdef int put(self, object message) except -1:
        """Queue a plain message."""
        self._connection.put(message, None)
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
            self._flush_scheduled = True
            self._outbox.add(self)
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
        if self._transport is None or self._write_paused or self._closing or not connection.takes_frame():
            return False
        if self._transport.is_closing():
            return False
        connection.count(frame, 1)
        self._transport.write(frame)
        return True


def write_frame(channels: Iterable[_C], frame: bytes) -> tuple[int, list[_C]]:
    """Write a frame that was made before to all channels that can take it at once.

    Args:
        channels: any.
        frame: one whole message, not masked.

    Returns:
        How many took it, and the others.
    """
    cdef Py_ssize_t count = 0
    cdef list others = []
    for channel in channels:
        if isinstance(channel, ChannelLane) and (<ChannelLane>channel).write(frame):
            count += 1
        else:
            others.append(channel)
    return count, others


cdef Py_ssize_t size_of(object item) except -1:
    """The size of an item of the queue: in characters for text, else in bytes."""
    return len(item) if PyUnicode_CheckExact(item) or PyBytes_CheckExact(item) else len(item.data)
