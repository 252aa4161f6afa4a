/* UTF-8 by table look-ups in 256-bit vectors. Floor 0.
 *
 * J. Keiser and D. Lemire, "Validating UTF-8 in less than one instruction per byte" (2021). Whether two bytes in a row
 * can stand in valid text is decided by three nibbles: the two of the first byte and the upper one of the second.
 * Each nibble selects a byte in which every bit stands for one fault; a fault is there where all three have its bit.
 * Only that the third and fourth bytes of a character continue it needs the bytes further back.
 */
#include "utf8.h"

#if WSC_X86
#include <immintrin.h>
#include <string.h>

/* One bit per fault, with the bit patterns of the two bytes that show it. */
enum {
    TOO_SHORT = 1 << 0,    /* 11______ 0_______  and  11______ 11______ : a lead that nothing continues */
    TOO_LONG = 1 << 1,     /* 0_______ 10______ : a continuation of nothing */
    OVERLONG_3 = 1 << 2,   /* 11100000 100_____ */
    TOO_LARGE = 1 << 3,    /* 11110100 1001____  and above : beyond U+10FFFF */
    SURROGATE = 1 << 4,    /* 11101101 101_____ */
    OVERLONG_2 = 1 << 5,   /* 1100000_ 10______ */
    OVERLONG_4 = 1 << 6,   /* 11110000 1000____ */
    TOO_LARGE_80 = 1 << 6, /* 11110101 1000____  and above : beyond U+10FFFF, too */
    TWO_CONTS = 1 << 7     /* 10______ 10______ : a fault unless the byte is a character's third or fourth */
};

/* Faults that do not depend on the first byte's lower nibble. */
#define ANY_LOW (TOO_SHORT | TOO_LONG | TWO_CONTS)
#define ABOVE_F4 (ANY_LOW | TOO_LARGE | TOO_LARGE_80)

#define TABLE(...) _mm256_broadcastsi128_si256(_mm_setr_epi8(__VA_ARGS__))
#define BYTE(value) ((char)(value))

#define V256 static inline WSC_TARGET("avx2") __m256i

V256 load(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }

/* The vector whose byte i is byte i - n of `now`, or of `before` where that lies behind. */
#define BACK(n, now, before) _mm256_alignr_epi8(now, _mm256_permute2x128_si256(before, now, 0x21), 16 - (n))

V256 upper_nibble(__m256i v) { return _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(0x0F)); }

/* The faults that a pair of bytes shows. */
V256 pair_faults(__m256i now, __m256i back_1) {
    const __m256i first_upper = TABLE(
        /* 0_______ */ TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
        /* 10______ */ BYTE(TWO_CONTS), BYTE(TWO_CONTS), BYTE(TWO_CONTS), BYTE(TWO_CONTS),
        /* 1100____ */ TOO_SHORT | OVERLONG_2,
        /* 1101____ */ TOO_SHORT,
        /* 1110____ */ TOO_SHORT | OVERLONG_3 | SURROGATE,
        /* 1111____ */ TOO_SHORT | TOO_LARGE | TOO_LARGE_80 | OVERLONG_4);
    const __m256i first_lower = TABLE(
        /* ____0000 */ BYTE(ANY_LOW | OVERLONG_2 | OVERLONG_3 | OVERLONG_4),
        /* ____0001 */ BYTE(ANY_LOW | OVERLONG_2),
        /* ____001_ */ BYTE(ANY_LOW), BYTE(ANY_LOW),
        /* ____0100 */ BYTE(ANY_LOW | TOO_LARGE),
        /* ____0101 to ____1100 */ BYTE(ABOVE_F4), BYTE(ABOVE_F4), BYTE(ABOVE_F4), BYTE(ABOVE_F4), BYTE(ABOVE_F4),
        BYTE(ABOVE_F4), BYTE(ABOVE_F4), BYTE(ABOVE_F4),
        /* ____1101 */ BYTE(ABOVE_F4 | SURROGATE),
        /* ____111_ */ BYTE(ABOVE_F4), BYTE(ABOVE_F4));
    const __m256i second_upper = TABLE(
        /* 0_______ */ TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
        /* 1000____ */ BYTE(TOO_LONG | OVERLONG_2 | TWO_CONTS | OVERLONG_3 | TOO_LARGE_80 | OVERLONG_4),
        /* 1001____ */ BYTE(TOO_LONG | OVERLONG_2 | TWO_CONTS | OVERLONG_3 | TOO_LARGE),
        /* 101_____ */ BYTE(TOO_LONG | OVERLONG_2 | TWO_CONTS | SURROGATE | TOO_LARGE),
        BYTE(TOO_LONG | OVERLONG_2 | TWO_CONTS | SURROGATE | TOO_LARGE),
        /* 11______ */ TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT);
    __m256i a = _mm256_shuffle_epi8(first_upper, upper_nibble(back_1));
    __m256i b = _mm256_shuffle_epi8(first_lower, _mm256_and_si256(back_1, _mm256_set1_epi8(0x0F)));
    __m256i c = _mm256_shuffle_epi8(second_upper, upper_nibble(now));
    return _mm256_and_si256(_mm256_and_si256(a, b), c);
}

/* All faults of a vector: a byte that follows two or three bytes behind a long lead must be TWO_CONTS, no other may. */
V256 faults(__m256i now, __m256i before) {
    __m256i third = _mm256_subs_epu8(BACK(2, now, before), _mm256_set1_epi8(0xE0 - 0x80));
    __m256i fourth = _mm256_subs_epu8(BACK(3, now, before), _mm256_set1_epi8(0xF0 - 0x80));
    __m256i must = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8(BYTE(0x80)));
    return _mm256_xor_si256(must, pair_faults(now, BACK(1, now, before)));
}

/* Not zero if the vector ends within a character: a lead stands too near to its end. */
V256 cut(__m256i now) {
    const __m256i most =
        _mm256_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                         -1, -1, -1, -1, -1, BYTE(0xF0 - 1), BYTE(0xE0 - 1), BYTE(0xC0 - 1));
    return _mm256_subs_epu8(now, most);
}

WSC_TARGET("avx2")
int wsc_utf8_valid_avx2(const uint8_t *p, size_t size) {
    if (size < 32) {
        return wsc_utf8_valid_portable(p, size);
    }
    __m256i before = _mm256_setzero_si256();
    __m256i error = _mm256_setzero_si256();
    __m256i open = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 64 <= size; i += 64) {
        __m256i a = load(p + i);
        __m256i b = load(p + i + 32);
        if (_mm256_movemask_epi8(_mm256_or_si256(a, b)) == 0) {
            error = _mm256_or_si256(error, open);
            open = _mm256_setzero_si256();
        } else {
            error = _mm256_or_si256(error, _mm256_or_si256(faults(a, before), faults(b, a)));
            open = cut(b);
        }
        before = b;
    }
    if (i + 32 <= size) {
        __m256i a = load(p + i);
        error = _mm256_or_si256(error, faults(a, before));
        before = a;
        i += 32;
    }
    /* The rest, and zeros behind it: they make a fault of a character that is cut. */
    uint8_t rest[32] = {0};
    memcpy(rest, p + i, size - i);
    error = _mm256_or_si256(error, faults(load(rest), before));
    return _mm256_testz_si256(error, error);
}

WSC_TARGET("avx2")
int wsc_utf8_ascii_avx2(const uint8_t *p, size_t size) {
    if (size < 32) {
        return wsc_utf8_ascii_portable(p, size);
    }
    __m256i seen = load(p + size - 32);
    for (size_t i = 0; i + 32 <= size; i += 32) {
        seen = _mm256_or_si256(seen, load(p + i));
    }
    return _mm256_movemask_epi8(seen) == 0;
}
#endif
