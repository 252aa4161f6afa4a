/* UTF-8 (RFC 3629 section 4). Floor 0.
 *
 * Contract of every kernel, with `size` bytes at `p` or `src`, at any alignment. Exactly these are read.
 *   valid    returns 1 if they are whole, well-formed UTF-8, else 0.
 *   measure  does what `valid` does and, if they are, says in `text` what they hold.
 *   to_ucs1, to_ucs2, to_ucs4  write the `characters` code points of valid text, one unit of 1, 2 or 4 bytes for each.
 *            Exactly these are written. All code points must fit: see `widest`.
 * Nothing is valid, and has no characters. The portable kernel has `valid` alone, and NULL for the others: CPython's
 * decoder is faster than any that sees one byte at a time.
 */
#ifndef WSC_UTF8_H
#define WSC_UTF8_H

#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

typedef struct {
    size_t characters;
    uint8_t widest; /* the highest byte, where not all is ASCII: to C3 below U+0100, to EF below U+10000 */
} wsc_text;

typedef struct {
    const char *name;
    wsc_level level;
    int (*valid)(const uint8_t *p, size_t size);
    int (*measure)(const uint8_t *p, size_t size, wsc_text *text);
    void (*to_ucs1)(uint8_t *dst, size_t characters, const uint8_t *src, size_t size);
    void (*to_ucs2)(uint16_t *dst, size_t characters, const uint8_t *src, size_t size);
    void (*to_ucs4)(uint32_t *dst, size_t characters, const uint8_t *src, size_t size);
} wsc_utf8_kernel;

extern const wsc_utf8_kernel wsc_utf8_portable;
#if WSC_X86
extern const wsc_utf8_kernel wsc_utf8_ssse3, wsc_utf8_avx2, wsc_utf8_avx512;
#endif
#if WSC_ARM
extern const wsc_utf8_kernel wsc_utf8_neon;
#endif

/* All of them, best first and NULL last; the last but one runs everywhere. */
extern const wsc_utf8_kernel *const wsc_utf8_kernels[];

/* The state of the automaton between two bytes. In every other state than these two a character is unfinished. */
enum { WSC_UTF8_REJECT = 0, WSC_UTF8_ACCEPT = 6 };

/* Runs the automaton over `size` bytes and returns its state; a rejected byte leads to REJECT for ever. */
unsigned wsc_utf8_step(unsigned state, const uint8_t *p, size_t size);

/* The same at the speed of `kernel`: the automaton sees only a character that a chunk's edge cuts. */
unsigned wsc_utf8_feed(const wsc_utf8_kernel *kernel, unsigned state, const uint8_t *p, size_t size);

#endif
