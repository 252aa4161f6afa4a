/* Masking (RFC 6455 section 5.3). Floor 0.
 *
 * Contract of every kernel:
 *   dst[i] = src[i] ^ key[i & 3] for 0 <= i < size, where `key` is the key's four bytes as they lie in memory.
 *   Returns 0 exactly if no byte of the result has its top bit set, that is, if the result is ASCII.
 *   `dst` is `src` itself, or the two do not overlap. Any alignment. Exactly `size` bytes are read and written.
 *   With size 0 nothing is touched. A key of 0 copies.
 */
#ifndef WSC_MASK_H
#define WSC_MASK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cpu.h"

typedef struct {
    const char *name;
    wsc_level level;
    uint64_t (*mask)(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key);
} wsc_mask_kernel;

extern const wsc_mask_kernel wsc_mask_portable;
#if WSC_X86
extern const wsc_mask_kernel wsc_mask_sse2, wsc_mask_avx2, wsc_mask_avx512;
#endif
#if WSC_ARM
extern const wsc_mask_kernel wsc_mask_neon;
#endif

/* All of them, best first and NULL last; the last but one runs everywhere. */
extern const wsc_mask_kernel *const wsc_mask_kernels[];

#define WSC_TOP_BITS UINT64_C(0x8080808080808080)

static inline uint64_t wsc_load64(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

static inline uint32_t wsc_load32(const uint8_t *p) {
    uint32_t word;
    memcpy(&word, p, 4);
    return word;
}

static inline void wsc_store64(uint8_t *p, uint64_t word) { memcpy(p, &word, 8); }

static inline void wsc_store32(uint8_t *p, uint32_t word) { memcpy(p, &word, 4); }

/* The key twice in a row. */
static inline uint64_t wsc_mask_key64(uint32_t key) { return (uint64_t)key << 32 | key; }

/* The doubled key as it applies `offset` bytes further on. */
static inline uint64_t wsc_mask_turn64(uint64_t key, size_t offset) {
    unsigned bits = 8 * (unsigned)(offset & 3);
    if (bits == 0) {
        return key;
    }
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return key << bits | key >> (64 - bits);
#else
    return key >> bits | key << (64 - bits);
#endif
}

/* The four bytes of a key, from the one that applies at `offset` on, as they lie in memory. */
static inline uint32_t wsc_mask_key(const uint8_t *key, size_t offset) {
    return (uint32_t)wsc_mask_turn64(wsc_mask_key64(wsc_load32(key)), offset);
}

/* Whether the first four bytes are ASCII under their mask. */
static inline int wsc_begins_with_ascii(const uint8_t *src, uint32_t key) {
    return ((wsc_load32(src) ^ key) & (uint32_t)WSC_TOP_BITS) == 0;
}

/* The kernel for at most 32 bytes, inlined where it is called: two or four overlapping words, loaded before any
 * is stored so that it works in place, and no loop. */
static inline uint64_t wsc_mask_short(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key) {
    uint64_t key64 = wsc_mask_key64(key);
    uint64_t tail_key = wsc_mask_turn64(key64, size);
    if (size >= 16) {
        uint64_t a = wsc_load64(src) ^ key64;
        uint64_t b = wsc_load64(src + 8) ^ key64;
        uint64_t c = wsc_load64(src + size - 16) ^ tail_key;
        uint64_t d = wsc_load64(src + size - 8) ^ tail_key;
        wsc_store64(dst, a);
        wsc_store64(dst + 8, b);
        wsc_store64(dst + size - 16, c);
        wsc_store64(dst + size - 8, d);
        return (a | b | c | d) & WSC_TOP_BITS;
    }
    if (size >= 8) {
        uint64_t a = wsc_load64(src) ^ key64;
        uint64_t b = wsc_load64(src + size - 8) ^ tail_key;
        wsc_store64(dst, a);
        wsc_store64(dst + size - 8, b);
        return (a | b) & WSC_TOP_BITS;
    }
    if (size >= 4) {
        uint32_t a = wsc_load32(src) ^ key;
        uint32_t b = wsc_load32(src + size - 4) ^ (uint32_t)tail_key;
        wsc_store32(dst, a);
        wsc_store32(dst + size - 4, b);
        return (a | b) & (uint32_t)WSC_TOP_BITS;
    }
    uint8_t bytes[4];
    wsc_store32(bytes, key);
    uint8_t seen = 0;
    for (size_t i = 0; i < size; i++) {
        dst[i] = src[i] ^ bytes[i];
        seen |= dst[i];
    }
    return seen & 0x80;
}

#endif
