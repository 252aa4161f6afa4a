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
