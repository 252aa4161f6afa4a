# cython: language_level=3, binding=True, annotation_typing=False, boundscheck=False, wraparound=False
# cython: freethreading_compatible=True, subinterpreters_compatible=own_gil
"""Masking, compiled; the twin of `_pure/mask.py`.

Floor 1.
"""

from __future__ import annotations

from cpython.buffer cimport PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t

from wscodec._views cimport open_view, open_writable

from ._typing import Buffer
from .errors import bad_key

__all__ = ["apply_mask", "apply_mask_inplace", "kernels", "use_kernel"]


# The kernel in use: C's variable and not Cython's, as all threads and interpreters of the process share it.
cdef extern from *:
    """
    static const wsc_mask_kernel *WSC_SHARED mask_kernel;
    """
    const wsc_mask_kernel *mask_kernel


cdef const wsc_mask_kernel *mask_kernel_in_use() noexcept nogil:
    return mask_kernel


cdef extern from "Python.h":
    unsigned long PyLong_AsUnsignedLongMask(object number) except? <unsigned long>-1


cdef int read_key(object key, object offset, uint32_t *turned) except -1:
    cdef size_t phase = PyLong_AsUnsignedLongMask(offset) & 3
    if PyBytes_CheckExact(key) and PyBytes_GET_SIZE(key) == 4:
        turned[0] = wsc_mask_key(<const uint8_t *>PyBytes_AS_STRING(key), phase)
        return 0
    return read_key_of(key, phase, turned)


cdef int read_key_of(object key, size_t phase, uint32_t *turned) except -1:
    """Read the key from any buffer."""
    cdef Py_buffer view
    cdef Py_ssize_t size
    open_view(key, &view)
    size = view.len
    if size == 4:
        turned[0] = wsc_mask_key(<const uint8_t *>view.buf, phase)
    PyBuffer_Release(&view)
    if size != 4:
        raise bad_key(size)
    return 0


cdef inline bytes masked(const void *data, Py_ssize_t size, uint32_t key):
    """Return `size` bytes masked."""
    result = PyBytes_FromStringAndSize(NULL, size)
    mask_kernel.mask(<uint8_t *>PyBytes_AS_STRING(result), <const uint8_t *>data, <size_t>size, key)
    return result


def apply_mask(data: Buffer, key: Buffer, /, offset: int = 0) -> bytes:
    """Mask or unmask `data`.

    Args:
        data: any C-contiguous buffer.
        key: the 4 bytes of the masking key.
        offset: where `data` stands in its payload, in bytes; the key's phase follows from it.

    Returns:
        A new bytes object of the same size.

    Raises:
        TypeError: `data` or `key` is not a C-contiguous bytes-like object.
        ValueError: `key` does not have 4 bytes.

    RFC 6455 §5.3.
    """
    cdef Py_buffer view
    cdef uint32_t turned
    if PyBytes_CheckExact(data):
        read_key(key, offset, &turned)
        return masked(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), turned)
    open_view(data, &view)
    try:
        read_key(key, offset, &turned)
        return masked(view.buf, view.len, turned)
    finally:
        PyBuffer_Release(&view)


def apply_mask_inplace(buffer: Buffer, key: Buffer, /, offset: int = 0) -> None:
    """Mask or unmask `buffer` where it stands.

    Args:
        buffer: any writable, C-contiguous buffer.
        key: the 4 bytes of the masking key.
        offset: where `buffer` stands in its payload, in bytes; the key's phase follows from it.

    Raises:
        TypeError: `buffer` is not writable, or `buffer` or `key` is not a C-contiguous bytes-like object.
        ValueError: `key` does not have 4 bytes.

    RFC 6455 §5.3.
    """
    cdef Py_buffer view
    cdef uint32_t turned
    read_key(key, offset, &turned)
    open_writable(buffer, &view)
    mask_kernel.mask(<uint8_t *>view.buf, <const uint8_t *>view.buf, <size_t>view.len, turned)
    PyBuffer_Release(&view)


def kernels() -> tuple[str, ...]:
    """Return the names of the masking kernels that this CPU can run, best first."""
    names = []
    cdef const wsc_mask_kernel *const *kernel = wsc_mask_kernels
    while kernel[0] != NULL:
        if wsc_cpu_has(kernel[0].level):
            names.append(kernel[0].name.decode())
        kernel += 1
    return tuple(names)


def use_kernel(name: str) -> None:
    """Choose the masking kernel by name.

    Raises:
        ValueError: there is no such kernel here.
    """
    global mask_kernel
    if name not in kernels():
        raise ValueError(f"no masking kernel {name!r} here, only {', '.join(kernels())}")
    cdef const wsc_mask_kernel *const *kernel = wsc_mask_kernels
    while kernel[0].name.decode() != name:
        kernel += 1
    mask_kernel = kernel[0]


# Another interpreter of the process may have chosen already.
if mask_kernel == NULL:
    use_kernel(kernels()[0])
