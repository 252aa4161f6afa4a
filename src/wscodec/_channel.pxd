# The lane of a channel. Floor 1.

from libc.stdint cimport uint8_t

from wscodec._calls cimport Call
from wscodec._inbox cimport Inbox, Reusable
from wscodec._lanes cimport ConnectionLane


cdef class Sending(Call):
    cdef object message


cdef class Outbox(Reusable):
    cdef list channels
    cdef object loop
    cdef object buffer
    cdef object buffer_of
    cdef Sending sending

    cdef int add(self, ChannelLane channel) except -1
    cdef object send(self, ChannelLane channel, object message)


cdef class ChannelLane(Inbox):
    cdef readonly ConnectionLane _connection
    cdef readonly object _on_messages
    cdef public object _transport
    cdef public object _sending
    cdef readonly Py_ssize_t _write_high
    cdef readonly Py_ssize_t _background_size
    cdef public bint _flush_scheduled
    cdef public bint _heard
    cdef public bint _held
    cdef public bint _write_paused

    cdef int receive(self, const uint8_t *p, Py_ssize_t size, object data) except -1
    cdef int take(self, const uint8_t *p, Py_ssize_t size, object data) except -1
    cdef int deliver(self, list items) except -1
    cdef bint takes(self, object message) except -1
    cdef int put(self, object message) except -1
    cdef int push(self) except -1
    cdef int flush(self) except -1
    cdef bint write(self, bytes frame) except -1

    cdef inline Outbox outbox(self):
        return <Outbox>self._reusable
