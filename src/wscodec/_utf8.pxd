# What the other compiled modules use of `_utf8`. Floor 1.

from libc.stdint cimport uint8_t


cdef extern from "_kernels/utf8.h" nogil:
    ctypedef int (*wsc_utf8_function)(const uint8_t *p, size_t size) noexcept
    ctypedef struct wsc_utf8_kernel:
        const char *name
        int level
        wsc_utf8_function valid
        wsc_utf8_function ascii
    const wsc_utf8_kernel wsc_utf8_kernels[]
    unsigned wsc_utf8_feed(const wsc_utf8_kernel *kernel, unsigned state, const uint8_t *p, size_t size) noexcept
    enum:
        WSC_UTF8_REJECT
        WSC_UTF8_ACCEPT


cdef extern from "_kernels/cpu.h" nogil:
    bint wsc_cpu_has(int level) noexcept


cdef str decode(const uint8_t *p, Py_ssize_t size)
