# cython: language_level=3, binding=True, annotation_typing=False, boundscheck=False, wraparound=False
# cython: freethreading_compatible=True, subinterpreters_compatible=own_gil
"""Headers, runs of plain messages and runs of frames, compiled; the twin of `_pure/frames.py`.

Floor 1.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

from cpython.buffer cimport PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from wscodec._mask cimport unmask, wsc_begins_with_ascii, wsc_mask_key
from wscodec._utf8 cimport text_of
from wscodec._views cimport open_view

from ._typing import Buffer, Message
from .errors import bad_key, not_a_message
from .events import Event
from .spec import Header

__all__ = ["build_header", "pack_messages", "parse_header", "take_frame", "take_messages"]


cdef extern from "_kernels/frames.h" nogil:
    uint64_t wsc_big_endian(const uint8_t *p, size_t width) noexcept
    uint8_t *wsc_write_header(uint8_t *p, uint8_t first, uint8_t masked, uint64_t length) noexcept
    const uint8_t *wsc_find_payload(
        const uint8_t *p, const uint8_t *end, bint masked, int64_t max_size, size_t *size, uint32_t *key
    ) noexcept


cdef extern from "Python.h":
    str PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    void *PyUnicode_DATA(object text)
    Py_ssize_t PySequence_Fast_GET_SIZE(object sequence)
    PyObject *PySequence_Fast_GET_ITEM(object sequence, Py_ssize_t index)
    const Py_ssize_t PY_SSIZE_T_MAX


# The bits and lengths of section 5.2, as in `spec.py`.
cdef enum:
    TEXT = 0x81
    BINARY = 0x82
    FIN = 0x80
    RSV1 = 0x40
    RSV2 = 0x20
    RSV3 = 0x10
    OPCODE = 0x0F
    MASKED = 0x80
    LENGTH = 0x7F
    LENGTH_16 = 126
    MAX_HEADER_SIZE = 14
    SCRATCH = 4096  # bytes on the stack


def parse_header(data: Buffer, offset: int = 0) -> Header | None:
    """Read one frame header, whatever it says.

    Args:
        data: any C-contiguous buffer.
        offset: where the header begins, in bytes.

    Returns:
        The header, or None where it isn't all there yet.

    Raises:
        TypeError: `data` is not a C-contiguous bytes-like object, or `offset` not an int.
        ValueError: `offset` is negative.

    RFC 6455 §5.2.
    """
    cdef Py_buffer view
    offset = operator.index(offset)
    if offset < 0:
        raise ValueError(f"offset is negative: {offset}")
    open_view(data, &view)
    try:
        if offset >= view.len:
            return None
        return header_at(<const uint8_t *>view.buf + <Py_ssize_t>offset, view.len - <Py_ssize_t>offset)
    finally:
        PyBuffer_Release(&view)


cdef object header_at(const uint8_t *p, Py_ssize_t available):
    """Return the header at `p`, or None if `available` bytes do not hold it."""
    if available < 2:
        return None
    cdef Py_ssize_t size = 2
    cdef uint64_t length = p[1] & LENGTH
    if length >= LENGTH_16:
        size = 4 if length == LENGTH_16 else 10
    cdef Py_ssize_t key_end = size + 4 if p[1] & MASKED else size
    if available < key_end:
        return None
    if size > 2:
        length = wsc_big_endian(p + 2, <size_t>(size - 2))
    return Header(
        p[0] & FIN != 0,
        p[0] & RSV1 != 0,
        p[0] & RSV2 != 0,
        p[0] & RSV3 != 0,
        p[0] & OPCODE,
        p[size:key_end] if key_end > size else None,
        length,
        key_end,
    )


def build_header(
    opcode: int,
    length: int,
    *,
    fin: bool = True,
    rsv1: bool = False,
    rsv2: bool = False,
    rsv3: bool = False,
    masking_key: Buffer | None = None,
) -> bytes:
    """Write one frame header, with the length in its shortest form.

    Args:
        opcode: 0 to 15.
        length: of the payload, in bytes; less than 2**63.
        fin: whether the frame is the last one of its message.
        rsv1, rsv2, rsv3: the reserved bits.
        masking_key: the 4 bytes of the key, or None for a frame that is not masked.

    Returns:
        The header, 2 to 14 bytes.

    Raises:
        ValueError: `opcode` or `length` is out of range, or `masking_key` does not have 4 bytes.
        TypeError: `opcode` or `length` is not an int, or `masking_key` not a C-contiguous bytes-like object.

    RFC 6455 §5.2.
    """
    cdef Py_buffer key
    cdef uint8_t header[14]
    cdef uint8_t *end
    opcode, length = operator.index(opcode), operator.index(length)
    if not 0 <= opcode <= 15:
        raise ValueError(f"an opcode is 0 to 15, not {opcode}")
    if not 0 <= length < 1 << 63:
        raise ValueError(f"a payload's length is 0 to 2**63 - 1, not {length}")
    cdef uint8_t first = opcode
    if fin:
        first |= FIN
    if rsv1:
        first |= RSV1
    if rsv2:
        first |= RSV2
    if rsv3:
        first |= RSV3
    if masking_key is None:
        end = wsc_write_header(header, first, 0, length)
        return header[: end - header]
    open_view(masking_key, &key)
    try:
        if key.len != 4:
            raise bad_key(key.len)
        end = wsc_write_header(header, first, MASKED, length)
        memcpy(end, key.buf, 4)
    finally:
        PyBuffer_Release(&key)
    return header[: end + 4 - header]


def take_messages(data: Buffer, start: int, masked: bool, max_size: int, messages: list[Event]) -> int:
    """Take the run of plain messages that `data` holds from `start` on.

    A plain message is one whole data frame: FIN set, no reserved bit, masked as asked, its length in the
    shortest form and within the limit, its text valid. The run ends before the first frame that is anything
    else, is not all there, or needs a judgement.

    Args:
        data: any C-contiguous buffer.
        start: where the first frame begins, in bytes.
        masked: whether frames must be masked; otherwise they must not be.
        max_size: the longest payload to take, in bytes.
        messages: the list to append to: a `str` for text, `bytes` for binary.

    Returns:
        Where the run ended, in bytes.

    Raises:
        TypeError: `data` is not a C-contiguous bytes-like object.
        ValueError: `start` is negative.

    RFC 6455 §5.2, §5.6.
    """
    cdef Py_buffer view
    if start < 0:
        raise ValueError(f"start is negative: {start}")
    open_view(data, &view)
    try:
        return take_run(<const uint8_t *>view.buf, view.len, start, masked, max_size, messages)
    finally:
        PyBuffer_Release(&view)


cdef Py_ssize_t take_run(
    const uint8_t *data, Py_ssize_t size, Py_ssize_t start, bint masked, Py_ssize_t max_size, list messages
) except -1:
    """Do the work of `take_messages`: one loop, one object per message."""
    cdef const uint8_t *p = data + start
    cdef const uint8_t *end = data + size
    cdef const uint8_t *payload
    cdef size_t length = 0
    cdef uint32_t key = 0
    cdef object message
    while p < end:
        if p[0] != TEXT and p[0] != BINARY:
            break
        payload = wsc_find_payload(p, end, masked, max_size, &length, &key)
        if payload == NULL:
            break
        if p[0] == BINARY:
            message = take_bytes(payload, <Py_ssize_t>length, key)
        else:
            message = take_text(payload, <Py_ssize_t>length, key)
            if message is None:
                break
        messages.append(message)
        p = payload + length
    return p - data


def take_frame(data: Buffer, start: int, masked: bool, max_size: int) -> tuple[int, bytes, int] | None:
    """Take the one whole frame that `data` holds from `start` on, whatever its first byte says.

    Args:
        data: any C-contiguous buffer.
        start: where the frame begins, in bytes.
        masked: whether the frame must be masked; otherwise it must not be.
        max_size: the longest payload to take, in bytes.

    Returns:
        The first byte, the payload without its mask, and the position behind the frame; or None where the frame is
        not all there, not masked as asked, longer than asked, or its length is not in the shortest form.

    Raises:
        TypeError: `data` is not a C-contiguous bytes-like object.
        ValueError: `start` is negative.

    RFC 6455 §5.2.
    """
    cdef Py_buffer view
    cdef const uint8_t *p
    cdef const uint8_t *payload = NULL
    cdef size_t length = 0
    cdef uint32_t key = 0
    if start < 0:
        raise ValueError(f"start is negative: {start}")
    open_view(data, &view)
    try:
        p = <const uint8_t *>view.buf
        if start < view.len:
            payload = wsc_find_payload(p + <Py_ssize_t>start, p + view.len, masked, max_size, &length, &key)
        if payload == NULL:
            return None
        return p[<Py_ssize_t>start], take_bytes(payload, <Py_ssize_t>length, key), payload + length - p
    finally:
        PyBuffer_Release(&view)


cdef inline object take_bytes(const uint8_t *payload, Py_ssize_t size, uint32_t key):
    """Return a binary message, unmasked straight into its object."""
    if size == 0:
        return b""
    message = PyBytes_FromStringAndSize(NULL, size)
    unmask(PyBytes_AS_STRING(message), payload, size, key)
    return message


cdef inline object take_text(const uint8_t *payload, Py_ssize_t size, uint32_t key):
    """Return a text message, unmasked straight into its object where it is ASCII; None if it is not UTF-8."""
    cdef uint8_t scratch[SCRATCH]
    if size == 0:
        return ""
    if 4 <= size <= SCRATCH and not wsc_begins_with_ascii(payload, key):
        unmask(scratch, payload, size, key)
        return text_of(scratch, size)
    message = PyUnicode_New(size, 127)
    if unmask(PyUnicode_DATA(message), payload, size, key) == 0:
        return message
    # The object that was to be the text holds its bytes; it goes as soon as they are decoded.
    return text_of(<const uint8_t *>PyUnicode_DATA(message), size)


def pack_messages(messages: Sequence[Message], keys: bytes | None) -> bytes:
    """Write a run of whole messages, one frame each.

    Args:
        messages: each a `str`, sent as text, or a C-contiguous buffer, sent as binary.
        keys: the masking keys, 4 bytes for each message, or None for frames that are not masked.

    Returns:
        The frames.

    Raises:
        TypeError: a message is neither a str nor a C-contiguous bytes-like object.
        UnicodeEncodeError: a str has a lone surrogate.
        ValueError: `keys` does not have 4 bytes for each message.

    RFC 6455 §5.2, §5.6, §6.1.
    """
    # The caller's list could change while a buffer is asked for; a tuple can't.
    cdef tuple run = tuple(messages)
    cdef list payloads = None
    cdef Py_ssize_t count = len(run)
    cdef Py_ssize_t total = 0
    cdef Py_ssize_t index
    if keys is not None and len(keys) != 4 * count:
        raise ValueError(f"{count} messages need {4 * count} bytes of keys, not {len(keys)}")
    for index in range(count):
        message = run[index]
        if not is_plain(message):
            if payloads is None:
                payloads = list(run)
            message = payloads[index] = as_plain(message)
        total = added(total, plain_size(message), keys is not None)
    frames = PyBytes_FromStringAndSize(NULL, total)
    pack_run(<uint8_t *>PyBytes_AS_STRING(frames), run, run if payloads is None else payloads, keys)
    return frames


cdef bytes pack_plain(list run, bytes keys):
    cdef Py_ssize_t total = 0
    if keys is not None and len(keys) != 4 * len(run):
        return pack_messages(run, keys)
    for message in run:
        if not is_plain(message):
            return pack_messages(run, keys)
        total = added(total, plain_size(message), keys is not None)
    frames = PyBytes_FromStringAndSize(NULL, total)
    pack_run(<uint8_t *>PyBytes_AS_STRING(frames), run, run, keys)
    return frames


cdef int pack_run(uint8_t *p, object run, object plain, bytes keys) except -1:
    """Write the frames of the messages of `run` at `p`.

    Both are a list or a tuple that nothing can change meanwhile; `plain` has the same messages, every one plain.
    """
    cdef Py_ssize_t index
    cdef Py_ssize_t size
    cdef const uint8_t *payload
    cdef uint8_t masked = 0 if keys is None else MASKED
    cdef uint8_t first
    cdef uint32_t key = 0
    for index in range(PySequence_Fast_GET_SIZE(plain)):
        first = TEXT if isinstance(<object>PySequence_Fast_GET_ITEM(run, index), str) else BINARY
        message = <object>PySequence_Fast_GET_ITEM(plain, index)
        size = plain_size(message)
        payload = plain_data(message)
        p = wsc_write_header(p, first, masked, <uint64_t>size)
        if keys is not None:
            key = wsc_mask_key(<const uint8_t *>PyBytes_AS_STRING(keys) + 4 * index, 0)
            memcpy(p, &key, 4)
            p += 4
        unmask(p, payload, size, key)
        p += size
    return 0


cdef inline const uint8_t *plain_data(object message) noexcept:
    """The bytes of a plain message."""
    if PyBytes_CheckExact(message):
        return <const uint8_t *>PyBytes_AS_STRING(message)
    return <const uint8_t *>PyUnicode_DATA(message)


cdef inline Py_ssize_t added(Py_ssize_t total, Py_ssize_t size, bint masked) except -1:
    """Add the size of a frame with a payload of `size` bytes to a total."""
    if size > PY_SSIZE_T_MAX - total - MAX_HEADER_SIZE:
        raise OverflowError("the frames are larger than any buffer can be")
    return total + <Py_ssize_t>wsc_header_size(<uint64_t>size) + (4 if masked else 0) + size


cdef bytes as_plain(object message):
    """Return the bytes of any message; TypeError for what is none."""
    cdef Py_buffer view
    if isinstance(message, str):
        return message.encode()
    try:
        open_view(message, &view)
    except TypeError:
        raise not_a_message(message) from None
    try:
        return PyBytes_FromStringAndSize(<const char *>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
