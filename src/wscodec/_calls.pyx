# cython: language_level=3, binding=True, annotation_typing=False
# cython: freethreading_compatible=True, subinterpreters_compatible=own_gil, auto_pickle=False
"""Coroutines, in effect, that mostly end without ever having been suspended, at a third of a coroutine's cost.

Floor 1.
"""

from __future__ import annotations

from collections.abc import Coroutine
from warnings import warn

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF


cdef class Call:
    """A call that is to be awaited. It does nothing before.

    Where it can't end at once, a coroutine goes on for it.
    """

    cdef object begin(self, object target):
        """Return the result, or leave in `inner` what is to be waited for."""

    cdef object end(self, object result):
        """Return the result, now that `inner` has one, or leave something else to be waited for there."""
        self.inner = None
        return result

    cdef int abandon(self) except -1:
        """Wait no more: whatever `inner` does now comes too late."""
        return 0

    def __await__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        """Go on, and return what is waited for; StopIteration with the result at the end."""
        cdef PyObject *result = NULL
        cdef PySendResult status = go_on(<PyObject *>self, <PyObject *>value, &result)
        answer = taken(result)
        if status == PYGEN_NEXT:
            return answer
        raise StopIteration(answer)

    def throw(self, *error):
        """Go on with an error."""
        if self.inner is None:
            self.target = None
            self.inner = failing()
            self.inner.send(None)
        inner = self.inner
        self.abandon()
        return inner.throw(*error)

    def close(self):
        """End it."""
        self.target = None
        inner = self.inner
        self.abandon()
        if inner is not None:
            inner.close()

    def __del__(self):
        self.abandon()
        if self.target is not None:
            warn(f"{type(self).__doc__[:-1]} was never awaited", RuntimeWarning, stacklevel=2)


def failing():
    """A generator for an error to be thrown into."""
    yield


cdef PySendResult go_on(PyObject *self, PyObject *value, PyObject **result) except PYGEN_ERROR:
    cdef Call call = <Call>self
    cdef PySendResult status
    if call.inner is None:
        if call.target is None:
            raise RuntimeError("cannot reuse already awaited coroutine")
        target, call.target = call.target, None
        answer = call.begin(target)
    else:
        status = PyIter_Send(<PyObject *>call.inner, value, result)
        if status != PYGEN_RETURN:
            return status
        answer = call.end(taken(result[0]))
    while call.inner is not None:
        status = PyIter_Send(<PyObject *>call.inner, <PyObject *>None, result)
        if status != PYGEN_RETURN:
            return status
        answer = call.end(taken(result[0]))
    Py_INCREF(answer)
    result[0] = <PyObject *>answer
    return PYGEN_RETURN


cdef inline object taken(PyObject *result):
    """Return an object that nobody else owns."""
    answer = <object>result
    Py_DECREF(answer)
    return answer


Coroutine.register(Call)
