# What the other compiled modules use of `_frames`. Floor 1.

from libc.stdint cimport uint8_t, uint64_t

from cpython.bytes cimport PyBytes_CheckExact, PyBytes_GET_SIZE


cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)


cdef extern from "_kernels/frames.h" nogil:
    size_t wsc_header_size(uint64_t length) noexcept


# Take plain messages, as `take_messages` does.
cdef Py_ssize_t take_run(
    const uint8_t *data, Py_ssize_t size, Py_ssize_t start, bint masked, Py_ssize_t max_size, list messages
) except -1


# Write the frames of plain messages, as `pack_messages` does; the list is nobody else's.
cdef bytes pack_plain(list run, bytes keys)


cdef inline bint is_plain(object message) noexcept:
    """Whether a message's bytes can be had without asking: ASCII text and bytes."""
    return PyBytes_CheckExact(message) or (isinstance(message, str) and PyUnicode_IS_COMPACT_ASCII(message))


cdef inline Py_ssize_t plain_size(object message) noexcept:
    """The size of a plain message in bytes."""
    return PyBytes_GET_SIZE(message) if PyBytes_CheckExact(message) else PyUnicode_GET_LENGTH(message)
