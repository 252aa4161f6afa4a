# cython: language_level=3, binding=True, annotation_typing=False, boundscheck=False, wraparound=False
# cython: freethreading_compatible=True, subinterpreters_compatible=own_gil
"""Large payloads: put together where they stay, sent from where they stand, compiled; the twin of `_pure/payload.py`.

Floor 1.
"""

from __future__ import annotations

from collections.abc import Sequence

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo, PyBuffer_Release
from cpython.bytes cimport PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_CLEAR
from libc.stdint cimport uint8_t, uint32_t

from wscodec._mask cimport read_key, unmask
from wscodec._utf8 cimport WSC_UTF8_ACCEPT, WSC_UTF8_REJECT, feed_text, text_of
from wscodec._views cimport open_view

from ._frames import build_header, pack_messages
from ._typing import Buffer, Message

__all__ = ["Payload", "pack_chunks"]


cdef extern from "Python.h":
    PyObject *PyBytes_FromStringAndSize(const char *data, Py_ssize_t size) except NULL
    PyObject *PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar) except NULL
    uint8_t *str_data "(uint8_t *)PyUnicode_DATA"(PyObject *text)
    bint PyUnicode_CheckExact(object thing)
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    int PyUnicode_Resize(PyObject **text, Py_ssize_t size) except -1
    int _PyBytes_Resize(PyObject **data, Py_ssize_t size) except -1
    uint8_t *bytes_data "(uint8_t *)PyBytes_AS_STRING"(PyObject *data)
    const Py_ssize_t PY_SSIZE_T_MAX


# The opcodes of section 5.2, as in `spec.py`, and how much room a payload gets at least.
cdef enum:
    TEXT = 0x1
    BINARY = 0x2
    LEAST_ROOM = 64


cdef class Payload:
    """The payload of one message, put together from the pieces that it arrives in.

    Its memory is that of what has arrived, at most doubled, whatever a header promises.

    RFC 6455 §5.3, §5.4, §8.1.

    Args:
        text: whether the message is text, to be validated as it arrives.
    """

    # What will be the message: a bytes, or for text an ASCII str, which as long as it is not finished may hold any
    # bytes. Nobody else has seen it, and so it may still be written to, grown and shrunk.
    cdef PyObject *storage
    cdef Py_ssize_t size
    cdef Py_ssize_t room
    cdef unsigned state
    cdef bint text
    cdef bint ascii

    def __cinit__(self, text: bool) -> None:
        self.text = text
        self.forget()

    def __dealloc__(self) -> None:
        Py_CLEAR(self.storage)

    @cython.critical_section
    def take(self, data: Buffer, start: int, length: int, key: Buffer | None, offset: int) -> int:
        """Take the next piece, and unmask it.

        Args:
            data: any C-contiguous buffer; it isn't kept.
            start: where the piece begins in it, in bytes.
            length: how much of the frame's payload is still to come; what stands in `data` beyond it isn't taken.
            key: the 4 bytes of the masking key, or None for a frame that is not masked.
            offset: where the piece stands in the frame's payload, in bytes.

        Returns:
            How many bytes were taken.

        Raises:
            TypeError: `data` or `key` is not a C-contiguous bytes-like object.
            ValueError: `start` or `length` is negative, or `key` does not have 4 bytes.
        """
        cdef Py_buffer view
        cdef Py_ssize_t begin = start
        cdef Py_ssize_t promised = length
        cdef Py_ssize_t taken
        cdef uint32_t turned = 0
        if begin < 0 or promised < 0:
            raise ValueError(f"start or length is negative: {start}, {length}")
        if key is not None:
            read_key(key, offset, &turned)
        open_view(data, &view)
        try:
            taken = min(view.len - begin, promised)
            if taken <= 0:
                return 0
            # Only a message's first frame tells how much is to come: others may follow it.
            self.make_room(taken, promised - taken if self.size == <Py_ssize_t>offset else PY_SSIZE_T_MAX)
            self.append(<const uint8_t *>view.buf + begin, taken, turned)
            return taken
        finally:
            PyBuffer_Release(&view)

    @property
    def valid(self) -> bool:
        """Whether what was taken can be the beginning of a message: for text, of UTF-8."""
        return self.state != WSC_UTF8_REJECT

    @cython.critical_section
    def finish(self) -> str | bytes | None:
        """Return the message, and begin the next one; None where its text is not UTF-8, or ends within a character."""
        cdef PyObject *storage
        if self.state != WSC_UTF8_ACCEPT:
            return None
        if self.size == 0:
            return "" if self.text else b""
        try:
            if not self.ascii:
                return text_of(self.data(), self.size)
            if self.room > self.size:
                self.resize(self.size)
            storage = self.storage
            self.storage = NULL
            return owned(storage)
        finally:
            self.forget()

    cdef void forget(self) noexcept:
        """Begin with nothing."""
        Py_CLEAR(self.storage)
        self.size = self.room = 0
        self.state = WSC_UTF8_ACCEPT
        self.ascii = True

    cdef uint8_t *data(self) noexcept:
        """Where the bytes are."""
        return str_data(self.storage) if self.text else bytes_data(self.storage)

    cdef int append(self, const uint8_t *piece, Py_ssize_t size, uint32_t key) except -1:
        """Unmask a piece, for which there is room, to where it stays, and validate it."""
        cdef uint8_t *place = self.data() + self.size
        cdef bint ascii = unmask(place, piece, size, key) == 0
        self.size += size
        if self.text and not (ascii and self.state == WSC_UTF8_ACCEPT):
            self.ascii = False
            self.state = feed_text(self.state, place, size)
        return 0

    cdef int make_room(self, Py_ssize_t size, Py_ssize_t coming) except -1:
        """Make room for `size` bytes more, of which `coming` others may be known to follow.

        It is doubled, so that all bytes together are moved no more than twice; page faults cost more than that.
        """
        cdef Py_ssize_t needed
        if size > PY_SSIZE_T_MAX // 4 - self.size:
            raise MemoryError
        needed = self.size + size
        if needed > self.room:
            self.resize(needed + min(coming, max(needed, <Py_ssize_t>LEAST_ROOM)))
        return 0

    cdef int resize(self, Py_ssize_t room) except -1:
        """Give the storage its size, which is not 0."""
        try:
            if self.storage == NULL:
                self.storage = PyUnicode_New(room, 127) if self.text else PyBytes_FromStringAndSize(NULL, room)
            elif self.text:
                PyUnicode_Resize(&self.storage, room)
            else:
                _PyBytes_Resize(&self.storage, room)
        except MemoryError:
            # A bytes that could not be resized is gone.
            self.forget()
            raise
        self.room = room
        return 0


cdef inline object owned(PyObject *thing):
    """The object of a reference that Cython did not count until now."""
    result = <object>thing
    Py_CLEAR(thing)
    return result


def pack_chunks(messages: Sequence[Message], least: int) -> list[bytes | memoryview]:
    """Write a run of whole messages, one frame each and none masked, in chunks: large payloads are not copied.

    Args:
        messages: each a `str`, sent as text, or a C-contiguous buffer, sent as binary.
        least: how many characters or bytes make a `str` or a `bytes` large.

    Returns:
        The frames when joined. The payload of a large message is a chunk of its own: the `bytes` itself, a view of
        an ASCII `str`, the encoding of another.

    Raises:
        TypeError: a message is neither a str nor a C-contiguous bytes-like object.
        UnicodeEncodeError: a str has a lone surrogate.

    RFC 6455 §5.2, §5.6, §6.1.
    """
    # The caller's list could change while a message is asked for its bytes; a tuple can't.
    cdef tuple run = tuple(messages)
    cdef list chunks = []
    cdef Py_ssize_t limit = least
    cdef Py_ssize_t done = 0
    cdef Py_ssize_t index
    for index in range(len(run)):
        if is_large(run[index], limit):
            if done < index:
                chunks.append(pack_messages(run[done:index], None))
            payload = large_payload(run[index])
            chunks.append(build_header(BINARY if PyBytes_CheckExact(run[index]) else TEXT, len(payload)))
            chunks.append(payload)
            done = index + 1
    if done < len(run):
        chunks.append(pack_messages(run[done:], None))
    return chunks


cdef inline bint is_large(object message, Py_ssize_t least) noexcept:
    """Whether a message is one that can't change, and has so many characters or bytes."""
    if PyBytes_CheckExact(message):
        return PyBytes_GET_SIZE(message) >= least
    return PyUnicode_CheckExact(message) and PyUnicode_GET_LENGTH(message) >= least


cdef object large_payload(object message):
    """Return the bytes of a large message, where they stand if they do."""
    if PyBytes_CheckExact(message):
        return message
    if PyUnicode_IS_COMPACT_ASCII(message):
        return memoryview(AsciiBytes(message))
    return message.encode()


cdef class AsciiBytes:
    """The bytes of an ASCII str, as a buffer; it keeps the str."""

    cdef str text

    def __cinit__(self, str text not None) -> None:
        self.text = text

    def __getbuffer__(self, Py_buffer *view, int flags) -> None:
        PyBuffer_FillInfo(view, self, str_data(<PyObject *>self.text), PyUnicode_GET_LENGTH(self.text), True, flags)
