/* The lengths of frame headers (RFC 6455 section 5.2). Floor 0. */
#ifndef WSC_FRAMES_H
#define WSC_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "mask.h"

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

/* Finds the payload of the frame at `p`, its size in bytes and, where it is masked, its key.
 *
 * Returns NULL where the frame does not end before `end`, is not masked as asked, is longer than `max_size`, or has a
 * length that is not in its shortest form or out of range. What `size` and `key` point to is then undefined.
 */
static inline const uint8_t *wsc_find_payload(const uint8_t *p, const uint8_t *end, int masked, int64_t max_size,
                                              size_t *size, uint32_t *key) {
    if (end - p < 2) {
        return NULL;
    }
    /* With the wrong masking bit, this is 128 or more. */
    uint64_t length = p[1] ^ (masked ? 0x80 : 0);
    p += 2;
    if (length >= 126) {
        if (length > 127) {
            return NULL;
        }
        size_t width = length == 126 ? 2 : 8;
        uint64_t least = length == 126 ? 126 : 65536;
        if ((size_t)(end - p) < width) {
            return NULL;
        }
        length = wsc_big_endian(p, width);
        p += width;
        if (length < least) {
            return NULL;
        }
    }
    if (masked) {
        if (end - p < 4) {
            return NULL;
        }
        *key = wsc_mask_key(p, 0);
        p += 4;
    }
    /* What is no longer than the buffer can be cast. */
    if (length > (uint64_t)(end - p) || (int64_t)length > max_size) {
        return NULL;
    }
    *size = (size_t)length;
    return p;
}

#endif
