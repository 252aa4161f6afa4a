/* The 16-byte lanes that a vector consists of, on x86: SSSE3. Floor 0. */
#ifndef WSC_LANE_X86_H
#define WSC_LANE_X86_H

typedef __m128i lane;

VEC lane lane_look_up(lane table, lane indices) { return _mm_shuffle_epi8(table, indices); }
/* Two rows of 8 bytes. */
VEC lane lane_rows(const uint64_t *low, const uint64_t *high) {
    return _mm_set_epi64x((long long)*high, (long long)*low);
}
VEC lane lane_zero(void) { return _mm_setzero_si128(); }
VEC lane lane_or(lane a, lane b) { return _mm_or_si128(a, b); }
VEC lane lane_load(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)p); }
VEC void lane_store(void *p, lane v) { _mm_storeu_si128((__m128i *)p, v); }
VEC void lane_store_low(void *p, lane v) { _mm_storel_epi64((__m128i *)p, v); }
VEC void lane_store_high(void *p, lane v) { _mm_storeh_pi((__m64 *)p, _mm_castsi128_ps(v)); }
/* Byte of `a`, byte of `b`, and so on, from the lower and from the upper halves. */
VEC lane lane_zip_low(lane a, lane b) { return _mm_unpacklo_epi8(a, b); }
VEC lane lane_zip_high(lane a, lane b) { return _mm_unpackhi_epi8(a, b); }
/* The same with two bytes at a time. */
VEC lane lane_zip2_low(lane a, lane b) { return _mm_unpacklo_epi16(a, b); }
VEC lane lane_zip2_high(lane a, lane b) { return _mm_unpackhi_epi16(a, b); }
/* The highest byte. */
VEC uint8_t lane_highest(lane v) {
    v = _mm_max_epu8(v, _mm_srli_si128(v, 8));
    v = _mm_max_epu8(v, _mm_srli_si128(v, 4));
    v = _mm_max_epu8(v, _mm_srli_si128(v, 2));
    v = _mm_max_epu8(v, _mm_srli_si128(v, 1));
    return (uint8_t)_mm_cvtsi128_si32(v);
}

/* How many characters of equal size are taken at once, and how many bytes are read behind them. */
enum { RUN = 8, RUN_AHEAD = 4 };

/* Four code points of 4 bytes each, from four characters whose last bytes come first; the bits of a byte that are no
 * part of the code point are cleared. */
VEC lane lane_join(lane bytes) {
    lane pairs = _mm_maddubs_epi16(bytes, _mm_set1_epi32(0x40014001));
    return _mm_madd_epi16(pairs, _mm_set1_epi32(0x10000001));
}

VEC int lane_all_equal4(lane a, lane b) { return _mm_movemask_epi8(_mm_cmpeq_epi32(a, b)) == 0xFFFF; }

/* Writes RUN characters of three bytes each, if that is what stands at `p`, at a character's beginning. */
VEC int lane_run_ucs2(uint16_t *dst, const uint8_t *p) {
    const lane turn = _mm_setr_epi8(2, 1, 0, -1, 5, 4, 3, -1, 8, 7, 6, -1, 11, 10, 9, -1);
    lane a = _mm_shuffle_epi8(lane_load(p), turn);
    lane b = _mm_shuffle_epi8(lane_load(p + 12), turn);
    /* In valid text a lead, here the upper byte of each half, tells the size. */
    lane leads = _mm_set1_epi32(0x00F00000);
    lane three = _mm_set1_epi32(0x00E00000);
    lane differ =
        _mm_or_si128(_mm_xor_si128(_mm_and_si128(a, leads), three), _mm_xor_si128(_mm_and_si128(b, leads), three));
    if (!lane_all_equal4(differ, lane_zero())) {
        return 0;
    }
    const lane payload = _mm_set1_epi32(0x000F3F3F);
    a = lane_join(_mm_and_si128(a, payload));
    b = lane_join(_mm_and_si128(b, payload));
    const lane lower = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1);
    const lane upper = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 4, 5, 8, 9, 12, 13);
    lane_store(dst, _mm_or_si128(_mm_shuffle_epi8(a, lower), _mm_shuffle_epi8(b, upper)));
    return 1;
}

/* Writes RUN characters of four bytes each, if that is what stands at `p`, at a character's beginning. */
VEC int lane_run_ucs4(uint32_t *dst, const uint8_t *p) {
    const lane turn = _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
    lane a = _mm_shuffle_epi8(lane_load(p), turn);
    lane b = _mm_shuffle_epi8(lane_load(p + 16), turn);
    const lane four = _mm_set1_epi32((int)0xF0000000);
    /* Nothing is greater than a lead of four bytes: F0 to F4. */
    if (!lane_all_equal4(_mm_and_si128(_mm_and_si128(a, b), four), four)) {
        return 0;
    }
    const lane payload = _mm_set1_epi32(0x073F3F3F);
    lane_store(dst, lane_join(_mm_and_si128(a, payload)));
    lane_store(dst + 4, lane_join(_mm_and_si128(b, payload)));
    return 1;
}

#endif
