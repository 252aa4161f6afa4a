# The lane of a channel. Floor 1.

from wscodec._calls cimport Call
from wscodec._lanes cimport ConnectionLane


cdef class Receiving(Call):
    pass


cdef class Iterating(Call):
    pass


cdef class Sending(Call):
    cdef object message


cdef class Outbox:
    cdef list channels
    cdef object loop
    cdef Iterating iterating
    cdef Sending sending

    cdef int add(self, ChannelLane channel) except -1
    cdef object iterate(self, ChannelLane channel)
    cdef object send(self, ChannelLane channel, object message)


cdef class ChannelLane:
    cdef readonly ConnectionLane _connection
    cdef readonly Outbox _outbox
    cdef readonly object _loop
    cdef readonly object _on_messages
    cdef public object _transport
    cdef public object _sending
    cdef public object _waiter
    cdef list queue
    cdef Py_ssize_t next
    cdef public Py_ssize_t _queue_size
    cdef readonly Py_ssize_t _queue_high
    cdef readonly Py_ssize_t _write_high
    cdef public bint _closing
    cdef public bint _discarding
    cdef public bint _flush_scheduled
    cdef public bint _heard
    cdef public bint _held
    cdef public bint _reading_paused
    cdef public bint _write_paused

    cdef int receive(self, object data) except -1
    cdef int deliver(self, list items) except -1
    cdef int enqueue(self, list items) except -1
    cdef object dequeue(self)
    cdef Py_ssize_t unread(self) noexcept
    cdef bint has_message(self) noexcept
    cdef bint is_full(self) noexcept
    cdef bint takes(self, object message) noexcept
    cdef int put(self, object message) except -1
    cdef int push(self) except -1
    cdef int flush(self) except -1
    cdef bint write(self, bytes frame) except -1
