/* Vectors of 16 bytes: NEON of 64-bit ARM. The operations are those of vec_sse2.h, vec_ssse3.h and lane_x86.h. Floor 0.
 */
#ifndef WSC_VEC_NEON_H
#define WSC_VEC_NEON_H

#include <arm_neon.h>
#include <stdint.h>

#include "cpu.h"

#define VEC_TARGET
#include "vec.h"
#define VEC_SIZE 16
typedef uint8x16_t vec;
typedef uint8x16_t lane;

VEC vec vec_load(const uint8_t *p) { return vld1q_u8(p); }
VEC void vec_store(uint8_t *p, vec v) { vst1q_u8(p, v); }
VEC vec vec_splat(uint8_t byte) { return vdupq_n_u8(byte); }
VEC vec vec_splat64(uint64_t word) { return vreinterpretq_u8_u64(vdupq_n_u64(word)); }
VEC vec vec_and(vec a, vec b) { return vandq_u8(a, b); }
VEC vec vec_or(vec a, vec b) { return vorrq_u8(a, b); }
VEC vec vec_xor(vec a, vec b) { return veorq_u8(a, b); }
VEC uint64_t vec_tops(vec v) {
    static const uint8_t weights[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t bits = vandq_u8(vcltzq_s8(vreinterpretq_s8_u8(v)), vld1q_u8(weights));
    return vaddv_u8(vget_low_u8(bits)) | (uint64_t)vaddv_u8(vget_high_u8(bits)) << 8;
}

VEC vec vec_table(const uint8_t *p) { return vld1q_u8(p); }
VEC vec vec_look_up(vec table, vec indices) { return vqtbl1q_u8(table, indices); }
VEC vec vec_subtract_saturated(vec a, vec b) { return vqsubq_u8(a, b); }
VEC vec vec_max(vec a, vec b) { return vmaxq_u8(a, b); }
#define VEC_LEFT(v, bits) vshlq_n_u8(v, bits)
#define VEC_RIGHT(v, bits) vshrq_n_u8(v, bits)
#define VEC_BACK(n, now, before) vextq_u8(before, now, 16 - (n))
VEC vec vec_continuations(vec v) { return vcltq_s8(vreinterpretq_s8_u8(v), vdupq_n_s8(-64)); }
VEC int vec_any(vec v) { return vmaxvq_u8(v) != 0; }
VEC uint8_t vec_highest(vec v) { return vmaxvq_u8(v); }
VEC lane vec_lane(vec v, int number) { return (void)number, v; }

VEC lane lane_look_up(lane table, lane indices) { return vqtbl1q_u8(table, indices); }
VEC lane lane_rows(const uint64_t *low, const uint64_t *high) {
    return vreinterpretq_u8_u64(vcombine_u64(vld1_u64(low), vld1_u64(high)));
}
VEC lane lane_zero(void) { return vdupq_n_u8(0); }
VEC lane lane_or(lane a, lane b) { return vorrq_u8(a, b); }
VEC lane lane_load(const uint8_t *p) { return vld1q_u8(p); }
VEC void lane_store(void *p, lane v) { vst1q_u8(p, v); }
VEC void lane_store_low(void *p, lane v) { vst1_u8(p, vget_low_u8(v)); }
VEC void lane_store_high(void *p, lane v) { vst1_u8(p, vget_high_u8(v)); }
VEC lane lane_zip_low(lane a, lane b) { return vzip1q_u8(a, b); }
VEC lane lane_zip_high(lane a, lane b) { return vzip2q_u8(a, b); }
VEC lane lane_zip2_low(lane a, lane b) {
    return vreinterpretq_u8_u16(vzip1q_u16(vreinterpretq_u16_u8(a), vreinterpretq_u16_u8(b)));
}
VEC lane lane_zip2_high(lane a, lane b) {
    return vreinterpretq_u8_u16(vzip2q_u16(vreinterpretq_u16_u8(a), vreinterpretq_u16_u8(b)));
}

/* How many characters of equal size are taken at once, and how many bytes are read behind them. */
enum { RUN = 16, RUN_AHEAD = 0 };

/* Writes RUN characters of three bytes each, if that is what stands at `p`, at a character's beginning. */
VEC int lane_run_ucs2(uint16_t *dst, const uint8_t *p) {
    uint8x16x3_t bytes = vld3q_u8(p);
    /* In valid text a lead tells the size, and what fits UCS-2 has none above EF. */
    if (vminvq_u8(bytes.val[0]) < 0xE0) {
        return 0;
    }
    lane b = vandq_u8(bytes.val[1], vdupq_n_u8(0x3F));
    lane low = vorrq_u8(vandq_u8(bytes.val[2], vdupq_n_u8(0x3F)), vshlq_n_u8(b, 6));
    lane high = vorrq_u8(vshrq_n_u8(b, 2), vshlq_n_u8(bytes.val[0], 4));
    lane_store(dst, lane_zip_low(low, high));
    lane_store(dst + 8, lane_zip_high(low, high));
    return 1;
}

/* Writes RUN characters of four bytes each, if that is what stands at `p`, at a character's beginning. */
VEC int lane_run_ucs4(uint32_t *dst, const uint8_t *p) {
    uint8x16x4_t bytes = vld4q_u8(p);
    if (vminvq_u8(bytes.val[0]) < 0xF0) {
        return 0;
    }
    lane b = vandq_u8(bytes.val[2], vdupq_n_u8(0x3F));
    lane c = vandq_u8(bytes.val[1], vdupq_n_u8(0x3F));
    lane low = vorrq_u8(vandq_u8(bytes.val[3], vdupq_n_u8(0x3F)), vshlq_n_u8(b, 6));
    lane high = vorrq_u8(vshrq_n_u8(b, 2), vshlq_n_u8(c, 4));
    lane top = vorrq_u8(vshrq_n_u8(c, 4), vshlq_n_u8(vandq_u8(bytes.val[0], vdupq_n_u8(0x07)), 2));
    lane lower = lane_zip_low(low, high);
    lane upper = lane_zip_low(top, lane_zero());
    lane_store(dst, lane_zip2_low(lower, upper));
    lane_store(dst + 4, lane_zip2_high(lower, upper));
    lower = lane_zip_high(low, high);
    upper = lane_zip_high(top, lane_zero());
    lane_store(dst + 8, lane_zip2_low(lower, upper));
    lane_store(dst + 12, lane_zip2_high(lower, upper));
    return 1;
}

#endif
