/* Vectors of 32 bytes: AVX2 and POPCNT. The operations are those of vec_sse2.h and vec_ssse3.h. Floor 0. */
#ifndef WSC_VEC_AVX2_H
#define WSC_VEC_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#include "cpu.h"

#define VEC_TARGET WSC_TARGET("avx2,popcnt")
#include "vec.h"
#define VEC_SIZE 32
typedef __m256i vec;

#include "lane_x86.h"

VEC vec vec_load(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
VEC void vec_store(uint8_t *p, vec v) { _mm256_storeu_si256((__m256i *)p, v); }
VEC vec vec_splat(uint8_t byte) { return _mm256_set1_epi8((char)byte); }
VEC vec vec_splat64(uint64_t word) { return _mm256_set1_epi64x((long long)word); }
VEC vec vec_and(vec a, vec b) { return _mm256_and_si256(a, b); }
VEC vec vec_or(vec a, vec b) { return _mm256_or_si256(a, b); }
VEC vec vec_xor(vec a, vec b) { return _mm256_xor_si256(a, b); }
VEC uint64_t vec_tops(vec v) { return (uint32_t)_mm256_movemask_epi8(v); }

VEC vec vec_table(const uint8_t *p) { return _mm256_broadcastsi128_si256(lane_load(p)); }
VEC vec vec_look_up(vec table, vec indices) { return _mm256_shuffle_epi8(table, indices); }
VEC vec vec_subtract_saturated(vec a, vec b) { return _mm256_subs_epu8(a, b); }
VEC vec vec_max(vec a, vec b) { return _mm256_max_epu8(a, b); }
#define VEC_LEFT(v, bits) _mm256_and_si256(_mm256_slli_epi16(v, bits), vec_splat((uint8_t)(0xFF << (bits))))
#define VEC_RIGHT(v, bits) _mm256_and_si256(_mm256_srli_epi16(v, bits), vec_splat(0xFF >> (bits)))
#define VEC_BACK(n, now, before) _mm256_alignr_epi8(now, _mm256_permute2x128_si256(before, now, 0x21), 16 - (n))
VEC vec vec_continuations(vec v) { return _mm256_cmpgt_epi8(vec_splat(0xC0), v); }
VEC int vec_any(vec v) { return !_mm256_testz_si256(v, v); }
VEC lane vec_lane(vec v, int number) {
    return number == 0 ? _mm256_castsi256_si128(v) : _mm256_extracti128_si256(v, 1);
}
VEC uint8_t vec_highest(vec v) { return lane_highest(_mm_max_epu8(vec_lane(v, 0), vec_lane(v, 1))); }

#endif
