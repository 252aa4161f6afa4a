# The one way in for a caller's bytes, compiled into each of the modules. Floor 1.

from cpython.buffer cimport (
    PyBUF_FULL_RO,
    PyBUF_SIMPLE,
    PyBuffer_FillInfo,
    PyBuffer_IsContiguous,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE


cdef inline int open_view(object data, Py_buffer *view) except -1:
    """Open a readable, C-contiguous buffer, to be released with PyBuffer_Release; TypeError for anything else."""
    if PyBytes_CheckExact(data):
        # What its buffer procedure would do, without the call through the type.
        return PyBuffer_FillInfo(view, data, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), True, PyBUF_SIMPLE)
    try:
        PyObject_GetBuffer(data, view, PyBUF_FULL_RO)
    except (TypeError, BufferError):
        from wscodec.errors import not_a_buffer
        raise not_a_buffer(data) from None
    if not PyBuffer_IsContiguous(view, b"C"):
        PyBuffer_Release(view)
        from wscodec.errors import not_a_buffer
        raise not_a_buffer(data)
    return 0


cdef inline int open_writable(object data, Py_buffer *view) except -1:
    """Open a writable, C-contiguous buffer, to be released with PyBuffer_Release; TypeError for anything else."""
    try:
        PyObject_GetBuffer(data, view, PyBUF_FULL_RO)
    except (TypeError, BufferError):
        from wscodec.errors import not_writable
        raise not_writable(data) from None
    if view.readonly or not PyBuffer_IsContiguous(view, b"C"):
        PyBuffer_Release(view)
        from wscodec.errors import not_writable
        raise not_writable(data)
    return 0
