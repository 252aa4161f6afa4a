# cython: language_level=3, binding=True, annotation_typing=False, wraparound=False, nonecheck=True
# cython: freethreading_compatible=True, subinterpreters_compatible=own_gil, auto_pickle=False
"""What a connection on an event loop has received and nobody has asked for yet, compiled; the twin of `_pure/inbox.py`.

Floor 1.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from cpython.bytes cimport PyBytes_CheckExact
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_CheckExact

from wscodec._calls cimport Call, PyTypeObject, go_on, wsc_is_ours

__all__ = ["Inbox"]


cdef enum:
    QUEUE_SIZE = 1 << 20  # as in `spec.py`


cdef class Waiting(Call):
    """A call that returns a message as soon as there is one."""

    cdef object begin(self, object target):
        cdef Inbox inbox = <Inbox>target
        if inbox.has_message():
            return inbox.dequeue()
        if inbox._direct and not inbox._closing and inbox._waiter is None:
            inbox._waiter = inbox._loop.create_future()
            self.inner = inbox._waiter.__await__()
            self.inbox = inbox
            inbox._reusable.lend(self)
        else:
            self.inner = self.by_rules(inbox)

    cdef object end(self, object result):
        cdef Inbox inbox = self.inbox
        self.abandon()
        self.inner = None
        if inbox is None:
            return result
        if inbox.has_message():
            return inbox.dequeue()
        self.inner = self.by_rules(inbox)

    cdef object by_rules(self, Inbox inbox):
        """Return the coroutine that goes on where there is more to it."""

    cdef int abandon(self) except -1:
        if self.inbox is not None:
            self.inbox._waiter = self.inbox = None
        return 0


cdef class Receiving(Waiting):
    """A call of `recv`."""

    cdef object by_rules(self, Inbox inbox):
        return inbox._recv_by_rules(None)


cdef class Iterating(Waiting):
    """A call of `__anext__`."""

    cdef object by_rules(self, Inbox inbox):
        return inbox._anext_by_rules()


(<PyTypeObject *>Receiving).tp_as_async.am_send = go_on
(<PyTypeObject *>Iterating).tp_as_async.am_send = go_on


cdef class Reusable:
    """What connections share: a call that most of them can use, one after the other."""

    def __cinit__(self) -> None:
        self.iterating = Iterating.__new__(Iterating)

    cdef object iterate(self, Inbox inbox):
        """Return a call that receives: the last one once more, if nobody has it any longer."""
        cdef Iterating call = self.iterating
        if not wsc_is_ours(<PyObject *>call) or call.target is not None:
            call = self.iterating = Iterating.__new__(Iterating)
        call.target, call.inner = inbox, None
        return call

    cdef int lend(self, Waiting call) except -1:
        """Keep nothing of a call that waits: it ends with whoever waits."""
        if self.iterating is call:
            self.iterating = Iterating.__new__(Iterating)
        return 0


cdef class Inbox:
    """The items that were received and wait to be asked for.

    Args:
        loop: the event loop.
        queue_high: how many may wait before reading is paused.
        direct: whether all items are whole messages, for whoever asks.
    """

    def __init__(self, loop: Any, queue_high: int, direct: bool) -> None:
        self._loop = loop
        self._queue_high = queue_high
        self._direct = direct

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

    cdef bint is_full(self) except -1:
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

    cdef bint has_message(self) except -1:
        """Whether a whole message can be taken from the queue, and nobody else is about to."""
        if self.queue is None or self._waiter is not None:
            return False
        item = self.queue[self.next]
        return PyUnicode_CheckExact(item) or PyBytes_CheckExact(item)

    def __anext__(self) -> Coroutine[Any, Any, str | bytes]:
        """Return the next message; the iteration ends where the connection was closed with 1000, 1001 or 1005."""
        return self._reusable.iterate(self)

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
        if decode is not None:
            return self._recv_by_rules(decode)
        cdef Call call = Receiving.__new__(Receiving)
        call.target = self
        return call


cdef Py_ssize_t size_of(object item) except -1:
    """The size of an item of the queue: in characters for text, else in bytes."""
    return len(item) if PyUnicode_CheckExact(item) or PyBytes_CheckExact(item) else len(item.data)
