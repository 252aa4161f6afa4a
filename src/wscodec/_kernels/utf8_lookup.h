/* UTF-8 validation by table look-ups in vectors, for every vec_*.h that is included before. Floor 0.
 *
 * J. Keiser and D. Lemire, "Validating UTF-8 in less than one instruction per byte" (2021). Whether two bytes in a row
 * can stand in valid text is decided by three nibbles: the two of the first byte and the upper one of the second.
 * Each nibble selects a byte in which every bit stands for one fault; a fault is there where all three have its bit.
 * Only that the third and fourth bytes of a character continue it needs the bytes further back.
 */
#ifndef WSC_UTF8_LOOKUP_H
#define WSC_UTF8_LOOKUP_H

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

/* clang-format off */
static const uint8_t first_upper[16] = {
    /* 0_______ */ TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
    /* 10______ */ TWO_CONTS, TWO_CONTS, TWO_CONTS, TWO_CONTS,
    /* 1100____ */ TOO_SHORT | OVERLONG_2,
    /* 1101____ */ TOO_SHORT,
    /* 1110____ */ TOO_SHORT | OVERLONG_3 | SURROGATE,
    /* 1111____ */ TOO_SHORT | TOO_LARGE | TOO_LARGE_80 | OVERLONG_4,
};
static const uint8_t first_lower[16] = {
    /* ____0000 */ ANY_LOW | OVERLONG_2 | OVERLONG_3 | OVERLONG_4,
    /* ____0001 */ ANY_LOW | OVERLONG_2,
    /* ____001_ */ ANY_LOW, ANY_LOW,
    /* ____0100 */ ANY_LOW | TOO_LARGE,
    /* ____0101 to ____1100 */ ABOVE_F4, ABOVE_F4, ABOVE_F4, ABOVE_F4, ABOVE_F4, ABOVE_F4, ABOVE_F4, ABOVE_F4,
    /* ____1101 */ ABOVE_F4 | SURROGATE,
    /* ____111_ */ ABOVE_F4, ABOVE_F4,
};
static const uint8_t second_upper[16] = {
    /* 0_______ */ TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
    /* 1000____ */ TOO_LONG | OVERLONG_2 | TWO_CONTS | OVERLONG_3 | TOO_LARGE_80 | OVERLONG_4,
    /* 1001____ */ TOO_LONG | OVERLONG_2 | TWO_CONTS | OVERLONG_3 | TOO_LARGE,
    /* 101_____ */ TOO_LONG | OVERLONG_2 | TWO_CONTS | SURROGATE | TOO_LARGE,
                   TOO_LONG | OVERLONG_2 | TWO_CONTS | SURROGATE | TOO_LARGE,
    /* 11______ */ TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
};

/* The highest bytes with which a vector can end that cuts no character. A shorter vector ends with the last ones. */
static const uint8_t last_bytes[64] = {
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0xEF, 0xDF, 0xBF,
};
/* clang-format on */

/* The faults that a pair of bytes shows. */
VEC vec pair_faults(vec now, vec back_1) {
    vec a = vec_look_up(vec_table(first_upper), VEC_RIGHT(back_1, 4));
    vec b = vec_look_up(vec_table(first_lower), vec_and(back_1, vec_splat(0x0F)));
    vec c = vec_look_up(vec_table(second_upper), VEC_RIGHT(now, 4));
    return vec_and(vec_and(a, b), c);
}

/* All faults of a vector: a byte that follows two or three bytes behind a long lead must be TWO_CONTS, no other may. */
VEC vec faults(vec now, vec back_1, vec back_2, vec back_3) {
    vec third = vec_subtract_saturated(back_2, vec_splat(0xE0 - 0x80));
    vec fourth = vec_subtract_saturated(back_3, vec_splat(0xF0 - 0x80));
    vec must = vec_and(vec_or(third, fourth), vec_splat(0x80));
    return vec_xor(must, pair_faults(now, back_1));
}

/* Not zero if the vector ends within a character: a lead stands too near to its end. */
VEC vec cut(vec now) { return vec_subtract_saturated(now, vec_load(last_bytes + sizeof last_bytes - VEC_SIZE)); }

/* What is known of the text so far. */
typedef struct {
    vec before; /* the last vector */
    vec faults;
    vec widest;           /* the highest bytes, but for those of ASCII */
    size_t continuations; /* bytes that are not a character's first */
} wsc_scan;

VEC wsc_scan scan_begin(void) { return (wsc_scan){vec_splat(0), vec_splat(0), vec_splat(0), 0}; }

VEC_INLINE void scan_vector(wsc_scan *scan, vec now) {
    vec before = scan->before;
    vec found = faults(now, VEC_BACK(1, now, before), VEC_BACK(2, now, before), VEC_BACK(3, now, before));
    scan->faults = vec_or(scan->faults, found);
    scan->widest = vec_max(scan->widest, now);
    scan->continuations += (size_t)__builtin_popcountll(vec_tops(vec_continuations(now)));
    scan->before = now;
}

#define BLOCK 64
#define VECTORS (BLOCK / VEC_SIZE)

/* A block of ASCII can have one fault only: to follow a character that is cut. */
VEC_INLINE void scan_block(wsc_scan *scan, const uint8_t *p) {
    vec now[VECTORS];
    vec seen = vec_splat(0);
    for (int i = 0; i < VECTORS; i++) {
        now[i] = vec_load(p + i * VEC_SIZE);
        seen = vec_or(seen, now[i]);
    }
    if (vec_tops(seen) == 0) {
        scan->faults = vec_or(scan->faults, cut(scan->before));
        scan->before = now[VECTORS - 1];
        return;
    }
    for (int i = 0; i < VECTORS; i++) {
        scan_vector(scan, now[i]);
    }
}

/* The last bytes of a text with zeros behind them, which make a fault of a character that is cut. */
VEC vec padded(const uint8_t *p, size_t size) {
    uint8_t bytes[VEC_SIZE] = {0};
    memcpy(bytes, p, size);
    return vec_load(bytes);
}

/* The `rest` bytes, less than a vector, that end before `end`; `size` is that of the whole text. */
VEC_INLINE void scan_rest(wsc_scan *scan, const uint8_t *end, size_t rest, size_t size) {
    if (rest == 0) {
        scan->faults = vec_or(scan->faults, cut(scan->before));
        return;
    }
    if (size < VEC_SIZE + 3) {
        scan_vector(scan, padded(end - rest, rest));
        return;
    }
    /* The last vector once more, as far as it has been seen already. */
    const uint8_t *p = end - VEC_SIZE;
    vec now = vec_load(p);
    vec found = vec_or(faults(now, vec_load(p - 1), vec_load(p - 2), vec_load(p - 3)), cut(now));
    scan->faults = vec_or(scan->faults, found);
    scan->widest = vec_max(scan->widest, now);
    uint64_t continuations = vec_tops(vec_continuations(now)) >> (VEC_SIZE - rest);
    scan->continuations += (size_t)__builtin_popcountll(continuations);
}

VEC_INLINE wsc_scan scan_text(const uint8_t *p, size_t size) {
    wsc_scan scan = scan_begin();
    size_t i = 0;
    for (; i + BLOCK <= size; i += BLOCK) {
        scan_block(&scan, p + i);
    }
    for (; i + VEC_SIZE <= size; i += VEC_SIZE) {
        scan_vector(&scan, vec_load(p + i));
    }
    scan_rest(&scan, p + size, size - i, size);
    return scan;
}

/* Of a scan the compiler leaves out what is not used. */
VEC_KERNEL int valid(const uint8_t *p, size_t size) {
    wsc_scan scan = scan_text(p, size);
    return !vec_any(scan.faults);
}

VEC_KERNEL int measure(const uint8_t *p, size_t size, wsc_text *text) {
    wsc_scan scan = scan_text(p, size);
    text->characters = size - scan.continuations;
    text->widest = vec_highest(scan.widest);
    return !vec_any(scan.faults);
}

#endif
