/* Vectors of 16 bytes: what SSE2 can do. Floor 0.
 *
 * Each of vec_ssse3.h, vec_avx2.h, vec_avx512.h and vec_neon.h has the same operations for vectors of its size; the
 * algorithms over them are written once. VEC stands before every function of such a kernel, here with the CPU
 * features that it may use.
 */
#ifndef WSC_VEC_SSE2_H
#define WSC_VEC_SSE2_H

#include <immintrin.h>
#include <stdint.h>

#include "cpu.h"

#ifndef VEC_FEATURES
#define VEC_FEATURES "sse2"
#endif
#define VEC_TARGET WSC_TARGET(VEC_FEATURES)
#include "vec.h"
#define VEC_SIZE 16
typedef __m128i vec;

VEC vec vec_load(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)p); }
VEC void vec_store(uint8_t *p, vec v) { _mm_storeu_si128((__m128i *)p, v); }
VEC vec vec_splat(uint8_t byte) { return _mm_set1_epi8((char)byte); }
VEC vec vec_splat64(uint64_t word) { return _mm_set1_epi64x((long long)word); }
VEC vec vec_and(vec a, vec b) { return _mm_and_si128(a, b); }
VEC vec vec_or(vec a, vec b) { return _mm_or_si128(a, b); }
VEC vec vec_xor(vec a, vec b) { return _mm_xor_si128(a, b); }
/* One bit for the top bit of each byte. */
VEC uint64_t vec_tops(vec v) { return (uint32_t)_mm_movemask_epi8(v); }

#endif
