/* The lengths of frame headers (RFC 6455 section 5.2). Floor 0. */
#ifndef WSC_FRAMES_H
#define WSC_FRAMES_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t wsc_big_endian(const uint8_t *p, size_t width) {
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) {
        value = value << 8 | p[i];
    }
    return value;
}

/* Writes a header without its masking key, at most ten bytes, and returns the position behind it. */
static inline uint8_t *wsc_write_header(uint8_t *p, uint8_t first, uint8_t masked, uint64_t length) {
    *p++ = first;
    if (length < 126) {
        *p++ = (uint8_t)(masked | length);
        return p;
    }
    size_t width = length < 65536 ? 2 : 8;
    *p++ = masked | (width == 2 ? 126 : 127);
    for (size_t i = width; i-- > 0;) {
        *p++ = (uint8_t)(length >> (8 * i));
    }
    return p;
}

/* The size of that header in bytes. */
static inline size_t wsc_header_size(uint64_t length) { return length < 126 ? 2 : length < 65536 ? 4 : 10; }

#endif
