# What waits to be asked for. Floor 1.

from wscodec._calls cimport Call


cdef class Waiting(Call):
    cdef Inbox inbox  # which has our waiter

    cdef object by_rules(self, Inbox inbox)


cdef class Iterating(Waiting):
    pass


cdef class Reusable:
    cdef Iterating iterating

    cdef object iterate(self, Inbox inbox)
    cdef int lend(self, Waiting call) except -1


cdef class Inbox:
    cdef Reusable _reusable
    cdef readonly object _loop
    cdef public object _waiter
    cdef list queue
    cdef Py_ssize_t next
    cdef public Py_ssize_t _queue_size
    cdef readonly Py_ssize_t _queue_high
    cdef readonly bint _direct
    cdef public bint _closing
    cdef public bint _discarding
    cdef public bint _reading_paused

    cdef int enqueue(self, list items) except -1
    cdef object dequeue(self)
    cdef Py_ssize_t unread(self) noexcept
    cdef bint has_message(self) except -1
    cdef bint is_full(self) except -1
