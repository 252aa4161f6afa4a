/* What the kernels have to do, written once more: slowly, from the standards, and with nothing of theirs. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <stddef.h>
#include <stdint.h>

static inline int ref_within(uint8_t byte, uint8_t low, uint8_t high) { return low <= byte && byte <= high; }

/* The size of the character that begins at `p`, 1 to 4, by the grammar of RFC 3629 section 4, line by line; 0 if none
 * does, or if it is not whole. */
static inline size_t ref_size(const uint8_t *p, size_t size) {
    if (size >= 1 && ref_within(p[0], 0x00, 0x7F)) {
        return 1;
    }
    if (size >= 2 && ref_within(p[0], 0xC2, 0xDF) && ref_within(p[1], 0x80, 0xBF)) {
        return 2;
    }
    if (size >= 3 && ref_within(p[2], 0x80, 0xBF)) {
        if ((p[0] == 0xE0 && ref_within(p[1], 0xA0, 0xBF)) ||
            (ref_within(p[0], 0xE1, 0xEC) && ref_within(p[1], 0x80, 0xBF)) ||
            (p[0] == 0xED && ref_within(p[1], 0x80, 0x9F)) ||
            (ref_within(p[0], 0xEE, 0xEF) && ref_within(p[1], 0x80, 0xBF))) {
            return 3;
        }
    }
    if (size >= 4 && ref_within(p[2], 0x80, 0xBF) && ref_within(p[3], 0x80, 0xBF)) {
        if ((p[0] == 0xF0 && ref_within(p[1], 0x90, 0xBF)) ||
            (ref_within(p[0], 0xF1, 0xF3) && ref_within(p[1], 0x80, 0xBF)) ||
            (p[0] == 0xF4 && ref_within(p[1], 0x80, 0x8F))) {
            return 4;
        }
    }
    return 0;
}

/* Reads the character at `p`, of valid text, and returns its size. */
static inline size_t ref_read(const uint8_t *p, size_t size, uint32_t *code) {
    static const uint8_t payload[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    size_t bytes = ref_size(p, size);
    uint32_t value = p[0] & payload[bytes];
    for (size_t i = 1; i < bytes; i++) {
        value = value * 64 + (p[i] - 0x80U);
    }
    *code = value;
    return bytes;
}

/* Writes a code point and returns its size in bytes. */
static inline size_t ref_write(uint8_t *p, uint32_t code) {
    size_t bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
    for (size_t i = bytes - 1; i > 0; i--) {
        p[i] = (uint8_t)(0x80 + code % 64);
        code /= 64;
    }
    p[0] = (uint8_t)(lead[bytes] + code);
    return bytes;
}

typedef struct {
    int valid;
    size_t characters;
    uint8_t widest; /* the highest byte of all */
} ref_text;

static inline ref_text ref_measure(const uint8_t *p, size_t size) {
    ref_text text = {1, 0, 0};
    for (size_t i = 0; i < size;) {
        size_t bytes = ref_size(p + i, size - i);
        if (bytes == 0) {
            return (ref_text){0, 0, 0};
        }
        text.characters++;
        text.widest = p[i] > text.widest ? p[i] : text.widest; /* a lead is above all continuations */
        i += bytes;
    }
    return text;
}

/* Whether bytes can follow that make one character of the 1 to 3 at `p`. What the grammar allows changes at multiples
 * of 16 only, so that one byte of each kind will do. */
static inline int ref_may_go_on(const uint8_t *p, size_t size) {
    static const uint8_t kinds[] = {0x80, 0x90, 0xA0, 0xB0};
    uint8_t bytes[4] = {0};
    for (size_t i = 0; i < size; i++) {
        bytes[i] = p[i];
    }
    for (size_t trial = 0; trial < 64; trial++) {
        for (size_t i = size, left = trial; i < 4; i++, left /= 4) {
            bytes[i] = kinds[left % 4];
        }
        if (ref_size(bytes, 4) > size) {
            return 1;
        }
    }
    return 0;
}

typedef enum { REF_WRONG, REF_WHOLE, REF_CUT } ref_state;

/* What stands at the end of a text's beginning: that no text begins so, a whole character, a part of one. */
static inline ref_state ref_begins(const uint8_t *p, size_t size) {
    size_t i = 0;
    for (size_t bytes = 1; i < size && bytes > 0; i += bytes) {
        bytes = ref_size(p + i, size - i);
    }
    if (i == size) {
        return REF_WHOLE;
    }
    return size - i < 4 && ref_may_go_on(p + i, size - i) ? REF_CUT : REF_WRONG;
}

#endif
