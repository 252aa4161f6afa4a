# The lanes of a decoder and a connection, for those of the network. Floor 1.

from libc.stdint cimport uint8_t, uint64_t


cdef class DecoderLane:
    cdef public list _controls
    cdef public uint64_t frames
    cdef public bint _between
    cdef public bint _taking
    cdef public bint _held_back
    cdef readonly bint _masked
    cdef readonly Py_ssize_t _run_limit

    cdef int check_whole(self) except -1
    cdef Py_ssize_t take(self, const uint8_t *p, Py_ssize_t size, list events) except -1


cdef class ConnectionLane:
    cdef readonly DecoderLane _decoder
    cdef readonly object _take_keys
    cdef readonly Py_ssize_t _plain_limit
    cdef public list _controls
    cdef public object error
    cdef public object _late_pong
    cdef public object _owed
    cdef public list _output
    cdef public list _unpacked
    cdef public Py_ssize_t unsent_size
    cdef public uint64_t _bytes_received
    cdef public uint64_t _bytes_sent
    cdef public uint64_t _frames_sent
    cdef public uint64_t _messages_received
    cdef public uint64_t _messages_sent
    cdef public bint _listening
    cdef public bint _speaking

    cdef list take(self, const uint8_t *p, Py_ssize_t size, object data)
    cdef int put(self, object message) except -1
    cdef int put_many(self, object messages) except -1
    cdef bytes output(self)
    cdef bytes packed(self)
    cdef bint takes_frame(self, bytes frame) except -1
    cdef int count(self, bytes frames, uint64_t messages) except -1
    cdef bint goes_plain(self, object message) noexcept
    cdef Py_ssize_t frame_size(self, object message)
