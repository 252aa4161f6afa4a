# What the other compiled modules use of `_mask`. Floor 1.

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "_kernels/mask.h" nogil:
    ctypedef struct wsc_mask_kernel:
        const char *name
        int level
        uint64_t (*mask)(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key) noexcept
    const wsc_mask_kernel *const wsc_mask_kernels[]
    bint wsc_begins_with_ascii(const uint8_t *src, uint32_t key) noexcept
    uint32_t wsc_mask_key(const uint8_t *key, size_t offset) noexcept
    uint64_t wsc_mask_short(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key) noexcept


cdef extern from "_kernels/cpu.h" nogil:
    bint wsc_cpu_has(int level) noexcept


# The kernel in use, for the whole process.
cdef const wsc_mask_kernel *mask_kernel_in_use() noexcept nogil


# Read the four bytes of `key` as they apply from `offset` on; TypeError or ValueError for what is no key.
cdef int read_key(object key, object offset, uint32_t *turned) except -1


cdef inline uint64_t unmask(void *dst, const uint8_t *src, Py_ssize_t size, uint32_t key) noexcept:
    """Copy and unmask; not 0 if any byte of the result isn't ASCII."""
    if size <= 32:
        return wsc_mask_short(<uint8_t *>dst, src, <size_t>size, key)
    return mask_kernel_in_use().mask(<uint8_t *>dst, src, <size_t>size, key)
