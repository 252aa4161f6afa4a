/* Masking by vectors of 64 bytes. Floor 0. */
#include "mask.h"

#if WSC_X86
#include "vec_avx512.h"

#include "mask_vec.h"

/* The kernel for 33 to 64 bytes: the same vector, but of the bytes that are there. */
VEC uint64_t mask_vector(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key) {
    __mmask64 there = ~UINT64_C(0) >> (64 - size);
    vec now = _mm512_maskz_loadu_epi8(there, src);
    now = _mm512_maskz_mov_epi8(there, vec_xor(now, vec_splat64(wsc_mask_key64(key))));
    _mm512_mask_storeu_epi8(dst, there, now);
    return vec_tops(now);
}

VEC_KERNEL uint64_t mask(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key) {
    if (size <= 32) {
        return wsc_mask_short(dst, src, size, key);
    }
    return size <= 64 ? mask_vector(dst, src, size, key) : mask_vectors(dst, src, size, key);
}

const wsc_mask_kernel wsc_mask_avx512 = {"avx512", WSC_AVX512, mask};
#endif
