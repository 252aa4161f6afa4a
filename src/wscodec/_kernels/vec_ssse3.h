/* Vectors of 16 bytes: what SSSE3 and POPCNT add. Floor 0. */
#ifndef WSC_VEC_SSSE3_H
#define WSC_VEC_SSSE3_H

#define VEC_FEATURES "ssse3,popcnt"
#include "vec_sse2.h"

#include "lane_x86.h"

/* The same 16 bytes for every 16 bytes of a vector. */
VEC vec vec_table(const uint8_t *p) { return vec_load(p); }
/* Replaces each byte of `indices`, below 16, by the byte of `table` that it names. */
VEC vec vec_look_up(vec table, vec indices) { return _mm_shuffle_epi8(table, indices); }
VEC vec vec_subtract_saturated(vec a, vec b) { return _mm_subs_epu8(a, b); }
VEC vec vec_max(vec a, vec b) { return _mm_max_epu8(a, b); }
/* Shifts within each byte. */
#define VEC_LEFT(v, bits) _mm_and_si128(_mm_slli_epi16(v, bits), vec_splat((uint8_t)(0xFF << (bits))))
#define VEC_RIGHT(v, bits) _mm_and_si128(_mm_srli_epi16(v, bits), vec_splat(0xFF >> (bits)))
/* The vector whose byte i is byte i - n of `now`, or of `before` where that lies behind. */
#define VEC_BACK(n, now, before) _mm_alignr_epi8(now, before, 16 - (n))
/* All ones for each continuation byte, 80 to BF. */
VEC vec vec_continuations(vec v) { return _mm_cmpgt_epi8(vec_splat(0xC0), v); }
VEC int vec_any(vec v) { return _mm_movemask_epi8(_mm_cmpeq_epi8(v, vec_splat(0))) != 0xFFFF; }
VEC lane vec_lane(vec v, int number) { return (void)number, v; }
VEC uint8_t vec_highest(vec v) { return lane_highest(v); }

#endif
