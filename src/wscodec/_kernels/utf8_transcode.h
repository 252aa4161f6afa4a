/* UTF-8 to units of 1, 2 or 4 bytes by vectors, for every vec_*.h that is included before. Floor 0.
 *
 * For every byte of a vector the code point is put together as if its character ended there, in two or three bytes
 * (low, high, top), each in a vector of its own. Then the places where no character ends are squeezed out, eight at a
 * time, by a table of shuffles. The only branches on what the text holds are for ASCII and for runs of characters of
 * three bytes, or of four.
 *
 * The shuffle tables are an idea of D. Lemire and W. Mula, "Transcoding billions of Unicode characters per second with
 * SIMD instructions" (2021), who use them the other way round: to give each character a place of equal width.
 */
#ifndef WSC_UTF8_TRANSCODE_H
#define WSC_UTF8_TRANSCODE_H

#include <string.h>

/* Row m: the places of the bits that are set in m, in order; a byte each, the first one lowest. */
#define PLACE(m, bit, behind) ((behind) << 8 * ((m) >> (bit) & 1) | (uint64_t)((m) >> (bit) & 1) * (bit))
#define ROW(m)                                                                                                         \
    PLACE(m, 0, PLACE(m, 1, PLACE(m, 2, PLACE(m, 3, PLACE(m, 4, PLACE(m, 5, PLACE(m, 6, PLACE(m, 7, UINT64_C(0)))))))))
#define ROWS_4(m) ROW(m), ROW(m + 1), ROW(m + 2), ROW(m + 3)
#define ROWS_16(m) ROWS_4(m), ROWS_4(m + 4), ROWS_4(m + 8), ROWS_4(m + 12)
#define ROWS_64(m) ROWS_16(m), ROWS_16(m + 16), ROWS_16(m + 32), ROWS_16(m + 48)
static const uint64_t rows[256] = {ROWS_64(0), ROWS_64(64), ROWS_64(128), ROWS_64(192)};

#define LANES (VEC_SIZE / 16)

/* How many bytes a block reads before its vector, and behind it. */
enum { BEHIND = 3, AHEAD = 1 };

/* The code points that end at each byte of a vector, a byte of them in each of three vectors. */
typedef struct {
    vec low;
    vec high;
    vec top;
    uint64_t ends; /* a bit for every byte that is its character's last */
} wsc_points;

/* A vector of text, and the same bytes shifted: byte i of `back_n` is the one n bytes before byte i of `now`. */
typedef struct {
    vec now;
    vec back_1;
    vec back_2;
    vec back_3;
    vec next;
} wsc_window;

VEC wsc_window window_at(const uint8_t *p) {
    return (wsc_window){vec_load(p), vec_load(p - 1), vec_load(p - 2), vec_load(p - 3), vec_load(p + 1)};
}

/* The first vector of a text, which has nothing before it. */
VEC wsc_window first_window(const uint8_t *p) {
    vec now = vec_load(p);
    vec zero = vec_splat(0);
    return (wsc_window){now, VEC_BACK(1, now, zero), VEC_BACK(2, now, zero), VEC_BACK(3, now, zero), vec_load(p + 1)};
}

/* The points of valid text. They are
 * 0aaaaaaa, 00000bbb bbaaaaaa, ccccbbbb bbaaaaaa or 000dddcc ccccbbbb bbaaaaaa. */
VEC_INLINE wsc_points points_of(wsc_window text) {
    /* The bytes that end a character of two bytes or more, of three or more, of four. */
    vec two = vec_continuations(text.now);
    vec three = vec_and(two, vec_continuations(text.back_1));
    vec four = vec_and(three, vec_continuations(text.back_2));
    vec b = vec_and(vec_and(text.back_1, vec_splat(0x3F)), two);
    vec c = vec_and(vec_and(text.back_2, vec_splat(0x3F)), three);
    vec d = vec_and(vec_and(text.back_3, vec_splat(0x07)), four);
    wsc_points points;
    points.low = vec_or(vec_and(text.now, vec_splat(0x7F)), VEC_LEFT(b, 6));
    points.high = vec_or(VEC_RIGHT(b, 2), VEC_LEFT(c, 4));
    points.top = vec_or(vec_and(VEC_RIGHT(c, 4), four), VEC_LEFT(d, 2));
    points.ends = ~vec_tops(vec_continuations(text.next));
    return points;
}

/* The shuffle that moves the ends in each half of a lane to the beginning of that half. */
VEC lane squeeze(unsigned ends) {
    static const uint8_t halves[16] = {0, 0, 0, 0, 0, 0, 0, 0, 8, 8, 8, 8, 8, 8, 8, 8};
    return lane_or(lane_rows(&rows[ends & 0xFF], &rows[ends >> 8]), lane_load(halves));
}

VEC size_t count(unsigned bits) { return (size_t)__builtin_popcount(bits); }

/* Each `write` writes the characters that end in the vector, and returns the place behind them. It may overwrite
 * VEC_SIZE units in all. `open` is the number of bytes at the vector's end whose character ends behind it. */

VEC_INLINE uint8_t *write_ucs1(uint8_t *dst, wsc_window text, size_t *open) {
    if (vec_tops(text.now) == 0) {
        vec_store(dst, text.now);
        *open = 0;
        return dst + VEC_SIZE;
    }
    wsc_points points = points_of(text);
    *open = (size_t)__builtin_clzll(points.ends << (64 - VEC_SIZE));
    for (int i = 0; i < LANES; i++) {
        unsigned ends = (uint16_t)(points.ends >> 16 * i);
        lane low = lane_look_up(vec_lane(points.low, i), squeeze(ends));
        lane_store_low(dst, low);
        dst += count(ends & 0xFF);
        lane_store_high(dst, low);
        dst += count(ends >> 8);
    }
    return dst;
}

VEC_INLINE uint16_t *write_ucs2(uint16_t *dst, wsc_window text, size_t *open) {
    if (vec_tops(text.now) == 0) {
        for (int i = 0; i < LANES; i++) {
            lane low = vec_lane(text.now, i);
            lane_store(dst + 16 * i, lane_zip_low(low, lane_zero()));
            lane_store(dst + 16 * i + 8, lane_zip_high(low, lane_zero()));
        }
        *open = 0;
        return dst + VEC_SIZE;
    }
    wsc_points points = points_of(text);
    *open = (size_t)__builtin_clzll(points.ends << (64 - VEC_SIZE));
    for (int i = 0; i < LANES; i++) {
        unsigned ends = (uint16_t)(points.ends >> 16 * i);
        lane shuffle = squeeze(ends);
        lane low = lane_look_up(vec_lane(points.low, i), shuffle);
        lane high = lane_look_up(vec_lane(points.high, i), shuffle);
        lane_store(dst, lane_zip_low(low, high));
        dst += count(ends & 0xFF);
        lane_store(dst, lane_zip_high(low, high));
        dst += count(ends >> 8);
    }
    return dst;
}

/* Eight units of 4 bytes, from their lower and their upper halves. */
VEC void store_ucs4(uint32_t *dst, lane lower, lane upper) {
    lane_store(dst, lane_zip2_low(lower, upper));
    lane_store(dst + 4, lane_zip2_high(lower, upper));
}

VEC_INLINE uint32_t *write_ucs4(uint32_t *dst, wsc_window text, size_t *open) {
    lane zero = lane_zero();
    if (vec_tops(text.now) == 0) {
        for (int i = 0; i < LANES; i++) {
            lane low = vec_lane(text.now, i);
            store_ucs4(dst + 16 * i, lane_zip_low(low, zero), zero);
            store_ucs4(dst + 16 * i + 8, lane_zip_high(low, zero), zero);
        }
        *open = 0;
        return dst + VEC_SIZE;
    }
    wsc_points points = points_of(text);
    *open = (size_t)__builtin_clzll(points.ends << (64 - VEC_SIZE));
    for (int i = 0; i < LANES; i++) {
        unsigned ends = (uint16_t)(points.ends >> 16 * i);
        lane shuffle = squeeze(ends);
        lane low = lane_look_up(vec_lane(points.low, i), shuffle);
        lane high = lane_look_up(vec_lane(points.high, i), shuffle);
        lane top = lane_look_up(vec_lane(points.top, i), shuffle);
        store_ucs4(dst, lane_zip_low(low, high), lane_zip_low(top, zero));
        dst += count(ends & 0xFF);
        store_ucs4(dst, lane_zip_high(low, high), lane_zip_high(top, zero));
        dst += count(ends >> 8);
    }
    return dst;
}

/* The characters of equal size at `src`, and of those RUN at a time: three bytes each for units of 2 bytes, four for
 * units of 4. Returns how many were written. Of U+0000 to U+00FF none has so many. */
VEC size_t run_ucs1(uint8_t *dst, size_t room, const uint8_t *src, size_t size) {
    return (void)dst, (void)room, (void)src, (void)size, 0;
}

VEC size_t run_ucs2(uint16_t *dst, size_t room, const uint8_t *src, size_t size) {
    size_t done = 0;
    while (room - done >= RUN && size - 3 * done >= 3 * RUN + RUN_AHEAD && lane_run_ucs2(dst + done, src + 3 * done)) {
        done += RUN;
    }
    return done;
}

VEC size_t run_ucs4(uint32_t *dst, size_t room, const uint8_t *src, size_t size) {
    size_t done = 0;
    while (room - done >= RUN && size - 4 * done >= 4 * RUN && lane_run_ucs4(dst + done, src + 4 * done)) {
        done += RUN;
    }
    return done;
}

/* One function for each width of a unit, whose longest characters have `longest` bytes. Where a vector had no short
 * characters a run may begin. What has no room for a whole vector goes through buffers that have. */
#define TO_UCS(width, unit, longest)                                                                                   \
    VEC_KERNEL void to_ucs##width(unit *dst, size_t characters, const uint8_t *src, size_t size) {                     \
        const uint8_t *begin = src, *src_end = src + size;                                                             \
        unit *dst_end = dst + characters;                                                                              \
        size_t open;                                                                                                   \
        size_t done = run_ucs##width(dst, characters, src, size);                                                      \
        if (done == 0 && size >= VEC_SIZE + AHEAD && characters >= VEC_SIZE) {                                         \
            dst = write_ucs##width(dst, first_window(src), &open);                                                     \
            src += VEC_SIZE;                                                                                           \
        }                                                                                                              \
        dst += done;                                                                                                   \
        src += longest * done;                                                                                         \
        while (src != begin && src_end - src >= VEC_SIZE + AHEAD && dst_end - dst >= VEC_SIZE) {                       \
            unit *before = dst;                                                                                        \
            dst = write_ucs##width(dst, window_at(src), &open);                                                        \
            src += VEC_SIZE;                                                                                           \
            if (longest > 2 && dst - before <= VEC_SIZE / longest + 1) {                                               \
                src -= open;                                                                                           \
                done = run_ucs##width(dst, (size_t)(dst_end - dst), src, (size_t)(src_end - src));                     \
                dst += done;                                                                                           \
                src += longest * done;                                                                                 \
            }                                                                                                          \
        }                                                                                                              \
        if (dst == dst_end) {                                                                                          \
            return;                                                                                                    \
        }                                                                                                              \
        uint8_t rest[BEHIND + 4 * VEC_SIZE + VEC_SIZE + AHEAD] = {0};                                                  \
        unit written[2 * VEC_SIZE];                                                                                    \
        unit *to = written;                                                                                            \
        size_t behind = src == begin ? 0 : BEHIND;                                                                     \
        size_t left = (size_t)(src_end - src);                                                                         \
        memcpy(rest + BEHIND - behind, src - behind, behind + left);                                                   \
        for (size_t i = 0; i < left; i += VEC_SIZE) {                                                                  \
            to = write_ucs##width(to, window_at(rest + BEHIND + i), &open);                                            \
        }                                                                                                              \
        memcpy(dst, written, sizeof(unit) * (size_t)(dst_end - dst));                                                  \
    }
TO_UCS(1, uint8_t, 2)
TO_UCS(2, uint16_t, 3)
TO_UCS(4, uint32_t, 4)

#endif
