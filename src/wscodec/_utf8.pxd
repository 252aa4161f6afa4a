# What the other compiled modules use of `_utf8`. Floor 1.

from libc.stdint cimport uint8_t, uint16_t, uint32_t


cdef extern from "_kernels/utf8.h" nogil:
    ctypedef struct wsc_text:
        size_t characters
        uint8_t widest
    ctypedef struct wsc_utf8_kernel:
        const char *name
        int level
        int (*valid)(const uint8_t *p, size_t size) noexcept
        int (*measure)(const uint8_t *p, size_t size, wsc_text *text) noexcept
        void (*to_ucs1)(uint8_t *dst, size_t characters, const uint8_t *src, size_t size) noexcept
        void (*to_ucs2)(uint16_t *dst, size_t characters, const uint8_t *src, size_t size) noexcept
        void (*to_ucs4)(uint32_t *dst, size_t characters, const uint8_t *src, size_t size) noexcept
    const wsc_utf8_kernel *const wsc_utf8_kernels[]
    unsigned wsc_utf8_feed(const wsc_utf8_kernel *kernel, unsigned state, const uint8_t *p, size_t size) noexcept
    enum:
        WSC_UTF8_REJECT
        WSC_UTF8_ACCEPT


cdef extern from "_kernels/cpu.h" nogil:
    bint wsc_cpu_has(int level) noexcept


# The text of `size` bytes of UTF-8, or None if they are not valid.
cdef str text_of(const uint8_t *p, Py_ssize_t size)

# The state of a validator that was in `state` after `size` bytes more.
cdef unsigned feed_text(unsigned state, const uint8_t *p, Py_ssize_t size) noexcept
