/* Masking by vectors of 16 bytes. Floor 0. */
#include "mask.h"

#if WSC_X86
#include "vec_sse2.h"

#include "mask_vec.h"

VEC_KERNEL uint64_t mask(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key) {
    return size <= 32 ? wsc_mask_short(dst, src, size, key) : mask_vectors(dst, src, size, key);
}

const wsc_mask_kernel wsc_mask_sse2 = {"sse2", WSC_SSE2, mask};
#endif
