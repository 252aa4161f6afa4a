/* Vectors of 64 bytes: AVX-512 F, BW and VL. The operations are those of vec_sse2.h and vec_ssse3.h. Floor 0. */
#ifndef WSC_VEC_AVX512_H
#define WSC_VEC_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#include "cpu.h"

#define VEC_TARGET WSC_TARGET("avx512f,avx512bw,avx512vl,avx2,popcnt")
#include "vec.h"
#define VEC_SIZE 64
typedef __m512i vec;

#include "lane_x86.h"

VEC vec vec_load(const uint8_t *p) { return _mm512_loadu_si512(p); }
VEC void vec_store(uint8_t *p, vec v) { _mm512_storeu_si512(p, v); }
VEC vec vec_splat(uint8_t byte) { return _mm512_set1_epi8((char)byte); }
VEC vec vec_splat64(uint64_t word) { return _mm512_set1_epi64((long long)word); }
VEC vec vec_and(vec a, vec b) { return _mm512_and_si512(a, b); }
VEC vec vec_or(vec a, vec b) { return _mm512_or_si512(a, b); }
VEC vec vec_xor(vec a, vec b) { return _mm512_xor_si512(a, b); }
VEC uint64_t vec_tops(vec v) { return _mm512_movepi8_mask(v); }

VEC vec vec_table(const uint8_t *p) { return _mm512_broadcast_i32x4(lane_load(p)); }
VEC vec vec_look_up(vec table, vec indices) { return _mm512_shuffle_epi8(table, indices); }
VEC vec vec_subtract_saturated(vec a, vec b) { return _mm512_subs_epu8(a, b); }
VEC vec vec_max(vec a, vec b) { return _mm512_max_epu8(a, b); }
#define VEC_LEFT(v, bits) _mm512_and_si512(_mm512_slli_epi16(v, bits), vec_splat((uint8_t)(0xFF << (bits))))
#define VEC_RIGHT(v, bits) _mm512_and_si512(_mm512_srli_epi16(v, bits), vec_splat(0xFF >> (bits)))
#define VEC_BACK(n, now, before) _mm512_alignr_epi8(now, _mm512_alignr_epi64(now, before, 6), 16 - (n))
VEC vec vec_continuations(vec v) { return _mm512_movm_epi8(_mm512_cmpgt_epi8_mask(vec_splat(0xC0), v)); }
VEC int vec_any(vec v) { return _mm512_test_epi8_mask(v, v) != 0; }
VEC lane vec_lane(vec v, int number) {
    switch (number) {
    case 0:
        return _mm512_castsi512_si128(v);
    case 1:
        return _mm512_extracti32x4_epi32(v, 1);
    case 2:
        return _mm512_extracti32x4_epi32(v, 2);
    default:
        return _mm512_extracti32x4_epi32(v, 3);
    }
}
VEC uint8_t vec_highest(vec v) {
    return lane_highest(
        _mm_max_epu8(_mm_max_epu8(vec_lane(v, 0), vec_lane(v, 1)), _mm_max_epu8(vec_lane(v, 2), vec_lane(v, 3))));
}

#endif
