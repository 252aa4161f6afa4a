/* Masking by 64-bit words. Floor 0. */
#include "mask.h"

static uint64_t mask(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key) {
    if (size <= 32) {
        return wsc_mask_short(dst, src, size, key);
    }
    uint64_t key64 = wsc_mask_key64(key);
    /* The last word overlaps the words before it: in place it must be loaded before they are stored. */
    uint64_t tail = wsc_load64(src + size - 8) ^ wsc_mask_turn64(key64, size);
    uint64_t seen = tail;
    size_t i = 0;
    for (; i + 32 <= size; i += 32) {
        uint64_t a = wsc_load64(src + i) ^ key64;
        uint64_t b = wsc_load64(src + i + 8) ^ key64;
        uint64_t c = wsc_load64(src + i + 16) ^ key64;
        uint64_t d = wsc_load64(src + i + 24) ^ key64;
        wsc_store64(dst + i, a);
        wsc_store64(dst + i + 8, b);
        wsc_store64(dst + i + 16, c);
        wsc_store64(dst + i + 24, d);
        seen |= a | b | c | d;
    }
    for (; i + 8 <= size; i += 8) {
        uint64_t a = wsc_load64(src + i) ^ key64;
        wsc_store64(dst + i, a);
        seen |= a;
    }
    wsc_store64(dst + size - 8, tail);
    return seen & WSC_TOP_BITS;
}

const wsc_mask_kernel wsc_mask_portable = {"portable", WSC_PORTABLE, mask};
