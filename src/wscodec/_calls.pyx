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

    cdef int forget(self) except -1:
        """Take it that this has ended."""
        self.target = self.inner = None
        return 0

    cdef PySendResult go_on(self, PyObject *value, PyObject **result) except PYGEN_ERROR:
        """Go on with `inner`; where that fails, this has ended."""
        inner = self.inner  # which may be forgotten meanwhile
        status = PyIter_Send(<PyObject *>inner, value, result)
        if status == PYGEN_ERROR:
            self.abandon()
            self.forget()
        return status

    def __await__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        """Go on, and return what is waited for; StopIteration with the result at the end."""
        cdef PyObject *result = NULL
        cdef PySendResult status = go_on(<PyObject *>self, <PyObject *>value, &result)
        answer = taken(&result)
        if status == PYGEN_NEXT:
            return answer
        raise StopIteration(answer)

    def throw(self, *error):
        """Go on with an error."""
        inner = self.inner
        if inner is None:
            if self.target is None:
                raise RuntimeError("cannot reuse already awaited coroutine")
            inner = failing()
            inner.send(None)
        self.abandon()
        try:
            return inner.throw(*error)
        except BaseException:
            self.forget()
            raise

    def close(self):
        """End it."""
        inner = self.inner
        self.abandon()
        self.forget()
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
    result[0] = NULL
    cdef PySendResult status
    if call.inner is None:
        if call.target is None:
            raise RuntimeError("cannot reuse already awaited coroutine")
        target, call.target = call.target, None
        answer = call.begin(target)
    else:
        status = call.go_on(value, result)
        if status == PYGEN_NEXT:
            return status
        answer = call.end(taken(result))
    while call.inner is not None:
        status = call.go_on(<PyObject *>None, result)
        if status == PYGEN_NEXT:
            return status
        answer = call.end(taken(result))
    Py_INCREF(answer)
    result[0] = <PyObject *>answer
    return PYGEN_RETURN


cdef inline object taken(PyObject **result):
    """Return an object that nobody else owns, and leave none: an error that follows must not come with a result."""
    answer = <object>result[0]
    result[0] = NULL
    Py_DECREF(answer)
    return answer


Coroutine.register(Call)
