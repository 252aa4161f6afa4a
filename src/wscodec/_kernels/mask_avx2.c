/* Masking by 256-bit vectors. Floor 0. */
#include "mask.h"

#if WSC_X86
#include <immintrin.h>

#define LOAD(at) _mm256_loadu_si256((const __m256i *)(at))
#define STORE(at, vector) _mm256_storeu_si256((__m256i *)(at), vector)

WSC_TARGET("avx2")
uint64_t wsc_mask_avx2(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key) {
    if (size <= 32) {
        return wsc_mask_short(dst, src, size, key);
    }
    uint64_t key64 = wsc_mask_key64(key);
    __m256i keys = _mm256_set1_epi64x((long long)key64);
    __m256i tail_keys = _mm256_set1_epi64x((long long)wsc_mask_turn64(key64, size));
    /* The last vector overlaps those before it: in place it must be loaded before they are stored. */
    __m256i tail = _mm256_xor_si256(LOAD(src + size - 32), tail_keys);
    __m256i seen = tail;
    size_t i = 0;
    for (; i + 128 <= size; i += 128) {
        __m256i a = _mm256_xor_si256(LOAD(src + i), keys);
        __m256i b = _mm256_xor_si256(LOAD(src + i + 32), keys);
        __m256i c = _mm256_xor_si256(LOAD(src + i + 64), keys);
        __m256i d = _mm256_xor_si256(LOAD(src + i + 96), keys);
        STORE(dst + i, a);
        STORE(dst + i + 32, b);
        STORE(dst + i + 64, c);
        STORE(dst + i + 96, d);
        __m256i any = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
        seen = _mm256_or_si256(seen, any);
    }
    for (; i + 32 <= size; i += 32) {
        __m256i a = _mm256_xor_si256(LOAD(src + i), keys);
        STORE(dst + i, a);
        seen = _mm256_or_si256(seen, a);
    }
    STORE(dst + size - 32, tail);
    return (uint32_t)_mm256_movemask_epi8(seen);
}
#endif
