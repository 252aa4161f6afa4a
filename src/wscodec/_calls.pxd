# What can be awaited at little cost. Floor 1.

from cpython.object cimport PyObject


cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    ctypedef PySendResult (*sendfunc)(PyObject *self, PyObject *value, PyObject **result) except PYGEN_ERROR
    ctypedef struct PyAsyncMethods:
        sendfunc am_send
    ctypedef struct PyTypeObject:
        PyAsyncMethods *tp_as_async
    PySendResult PyIter_Send(PyObject *iterator, PyObject *value, PyObject **result) noexcept


cdef extern from *:
    """
    /* Whether a call that an outbox keeps is nobody else's: it has one reference there, and one from the function that
       asks. Without the GIL, another thread may be about to ask the same. */
    #ifdef Py_GIL_DISABLED
    #define wsc_is_ours(call) 0
    #else
    #define wsc_is_ours(call) (Py_REFCNT(call) <= 2)
    #endif
    """
    bint wsc_is_ours(PyObject *call) noexcept


cdef class Call:
    cdef object target  # what is called; None once it is awaited
    cdef object inner

    cdef object begin(self, object target)
    cdef object end(self, object result)
    cdef int abandon(self) except -1
    cdef int forget(self) except -1
    cdef PySendResult go_on(self, PyObject *value, PyObject **result) except PYGEN_ERROR


# What the slot `am_send` of every class of calls has to be, for which Cython has no name: it goes on without an
# exception for the result.
cdef PySendResult go_on(PyObject *self, PyObject *value, PyObject **result) except PYGEN_ERROR
