# cython: language_level=3, binding=True, annotation_typing=False, boundscheck=False, wraparound=False
# cython: freethreading_compatible=True, subinterpreters_compatible=own_gil
"""UTF-8, compiled; the twin of `_pure/utf8.py`.

Floor 1.
"""

from __future__ import annotations

from cpython.buffer cimport PyBuffer_Release
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from wscodec._views cimport open_view

from ._typing import Buffer

__all__ = ["Utf8Validator", "decode_utf8", "is_valid_utf8", "kernels", "use_kernel"]


cdef extern from "Python.h":
    str PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    void *PyUnicode_DATA(object text)


# The lead bytes that decide how wide a str's characters are.
cdef enum:
    FIRST_LEAD = 0xC2
    LAST_OF_UCS1 = 0xC3
    LAST_OF_UCS2 = 0xEF


# The kernel in use: C's variable and not Cython's, as all threads and interpreters of the process share it.
cdef extern from *:
    """
    static const wsc_utf8_kernel *WSC_SHARED utf8_kernel;
    """
    const wsc_utf8_kernel *utf8_kernel


cdef str text_of(const uint8_t *p, Py_ssize_t size):
    cdef wsc_text text
    cdef size_t characters
    if utf8_kernel.measure == NULL:
        return text_by_python(p, size)
    if not utf8_kernel.measure(p, <size_t>size, &text):
        return None
    characters = text.characters
    if characters < 2:
        # CPython has the object already.
        return PyUnicode_DecodeUTF8(<const char *>p, size, NULL)
    if text.widest < FIRST_LEAD:
        result = PyUnicode_New(size, 0x7F)
        memcpy(PyUnicode_DATA(result), p, <size_t>size)
    elif text.widest <= LAST_OF_UCS1:
        result = PyUnicode_New(<Py_ssize_t>characters, 0xFF)
        utf8_kernel.to_ucs1(<uint8_t *>PyUnicode_DATA(result), characters, p, <size_t>size)
    elif text.widest <= LAST_OF_UCS2:
        result = PyUnicode_New(<Py_ssize_t>characters, 0xFFFF)
        utf8_kernel.to_ucs2(<uint16_t *>PyUnicode_DATA(result), characters, p, <size_t>size)
    else:
        result = PyUnicode_New(<Py_ssize_t>characters, 0x10FFFF)
        utf8_kernel.to_ucs4(<uint32_t *>PyUnicode_DATA(result), characters, p, <size_t>size)
    return result


cdef str text_by_python(const uint8_t *p, Py_ssize_t size):
    """Do what `text_of` does, on CPUs for which there is no faster way."""
    try:
        return PyUnicode_DecodeUTF8(<const char *>p, size, NULL)
    except UnicodeDecodeError:
        return None


cdef unsigned feed_text(unsigned state, const uint8_t *p, Py_ssize_t size) noexcept:
    return wsc_utf8_feed(utf8_kernel, state, p, <size_t>size)


def is_valid_utf8(data: Buffer, /) -> bool:
    """Tell whether `data` is UTF-8, whole and well-formed.

    Args:
        data: any C-contiguous buffer.

    Returns:
        False for overlong forms, surrogates, code points above U+10FFFF and cut sequences, too.

    Raises:
        TypeError: `data` is not a C-contiguous bytes-like object.

    RFC 3629 §4, RFC 6455 §8.1.
    """
    cdef Py_buffer view
    cdef bint valid
    open_view(data, &view)
    valid = utf8_kernel.valid(<const uint8_t *>view.buf, <size_t>view.len)
    PyBuffer_Release(&view)
    return valid


def decode_utf8(data: Buffer, /) -> str:
    """Decode UTF-8.

    Args:
        data: any C-contiguous buffer.

    Returns:
        The text.

    Raises:
        UnicodeDecodeError: as `bytes.decode` raises it.
        TypeError: `data` is not a C-contiguous bytes-like object.

    RFC 3629 §4, RFC 6455 §8.1.
    """
    cdef Py_buffer view
    open_view(data, &view)
    try:
        text = text_of(<const uint8_t *>view.buf, view.len)
        # What isn't valid CPython decodes once more, for its error.
        return PyUnicode_DecodeUTF8(<const char *>view.buf, view.len, NULL) if text is None else text
    finally:
        PyBuffer_Release(&view)


cdef class Utf8Validator:
    """Validates UTF-8 that arrives in chunks, cut anywhere.

    It says no at the first byte that no valid text can have at its place, and goes on saying no.

    RFC 3629 §4, RFC 6455 §8.1.
    """

    cdef unsigned state

    def __init__(self) -> None:
        self.reset()

    def feed(self, data: Buffer) -> bool:
        """Validate the next chunk.

        Args:
            data: any C-contiguous buffer.

        Returns:
            Whether all that has been fed can be the beginning of valid text.

        Raises:
            TypeError: `data` is not a C-contiguous bytes-like object.
        """
        cdef Py_buffer view
        open_view(data, &view)
        self.state = feed_text(self.state, <const uint8_t *>view.buf, view.len)
        PyBuffer_Release(&view)
        return self.state != WSC_UTF8_REJECT

    @property
    def complete(self) -> bool:
        """Whether all that has been fed is valid text that ends with a whole character."""
        return self.state == WSC_UTF8_ACCEPT

    def reset(self) -> None:
        """Forget all that has been fed."""
        self.state = WSC_UTF8_ACCEPT


def kernels() -> tuple[str, ...]:
    """Return the names of the UTF-8 kernels that this CPU can run, best first."""
    names = []
    cdef const wsc_utf8_kernel *const *kernel = wsc_utf8_kernels
    while kernel[0] != NULL:
        if wsc_cpu_has(kernel[0].level):
            names.append(kernel[0].name.decode())
        kernel += 1
    return tuple(names)


def use_kernel(name: str) -> None:
    """Choose the UTF-8 kernel by name.

    Raises:
        ValueError: there is no such kernel here.
    """
    global utf8_kernel
    if name not in kernels():
        raise ValueError(f"no UTF-8 kernel {name!r} here, only {', '.join(kernels())}")
    cdef const wsc_utf8_kernel *const *kernel = wsc_utf8_kernels
    while kernel[0].name.decode() != name:
        kernel += 1
    utf8_kernel = kernel[0]


# Another interpreter of the process may have chosen already.
if utf8_kernel == NULL:
    use_kernel(kernels()[0])
