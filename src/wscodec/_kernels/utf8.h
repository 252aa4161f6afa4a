/* UTF-8 (RFC 3629 section 4). Floor 0.
 *
 * Contract of every kernel: `valid` returns 1 if the `size` bytes at `p` are whole, well-formed UTF-8, else 0;
 * `ascii` returns 1 if none of them has its top bit set. Any alignment; exactly `size` bytes are read; size 0 is
 * valid and ASCII.
 */
#ifndef WSC_UTF8_H
#define WSC_UTF8_H

#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

typedef int (*wsc_utf8_function)(const uint8_t *p, size_t size);

typedef struct {
    const char *name;
    wsc_level level;
    wsc_utf8_function valid;
    wsc_utf8_function ascii;
} wsc_utf8_kernel;

/* Best first; the last one runs everywhere and is followed by an entry without a name. */
extern const wsc_utf8_kernel wsc_utf8_kernels[];

int wsc_utf8_valid_portable(const uint8_t *p, size_t size);
int wsc_utf8_ascii_portable(const uint8_t *p, size_t size);
#if WSC_X86
int wsc_utf8_valid_avx2(const uint8_t *p, size_t size);
int wsc_utf8_ascii_avx2(const uint8_t *p, size_t size);
#endif

/* The state of the automaton between two bytes. In every other state than these two a character is unfinished. */
enum { WSC_UTF8_REJECT = 0, WSC_UTF8_ACCEPT = 6 };

/* Runs the automaton over `size` bytes and returns its state; a rejected byte leads to REJECT for ever. */
unsigned wsc_utf8_step(unsigned state, const uint8_t *p, size_t size);

/* The same at the speed of `kernel`: the automaton sees only a character that a chunk's edge cuts. */
unsigned wsc_utf8_feed(const wsc_utf8_kernel *kernel, unsigned state, const uint8_t *p, size_t size);

#endif
