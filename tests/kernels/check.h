/* What the checks share: memory that ends where it must, random input, and the report of a difference. */
#ifndef CHECK_H
#define CHECK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "mask.h"
#include "utf8.h"

/* Set for emulators and sanitizers: a part of the grids only. */
extern int quick;

/* What is being called, for the report. */
typedef struct {
    const char *kernel;
    const char *function;
    const uint8_t *input; /* a copy that no kernel writes to */
    size_t size;
    const void *src;
    const void *dst;
    uint32_t key;
} call;
extern call now;

/* Reports a difference in what `now` says, and ends the program. */
_Noreturn void fail(const char *what, size_t position, uint64_t expected, uint64_t got);

/* Lets a touched guard page end in such a report, too. */
void catch_faults(void);

/* Bytes between two pages that must not be touched. */
typedef struct {
    uint8_t *begin;
    uint8_t *end;
} arena;

/* Of at least `size` bytes. */
arena new_arena(size_t size);

/* Which of the two pages is near. */
typedef enum { PAGE_BEHIND, PAGE_BEFORE, EDGES } edge;

/* `size` bytes that are `gap` bytes away from that page. With the sizes and the gaps, all alignments come about. */
static inline uint8_t *place(arena a, edge near, size_t gap, size_t size) {
    return near == PAGE_BEHIND ? a.end - gap - size : a.begin + gap;
}

/* Puts a copy of `input` into an arena, among bytes that would make a difference if they were read. */
uint8_t *put(arena a, edge near, size_t gap, const uint8_t *input, size_t size);

/* Lifts the address sanitizer's ban on the bytes around the last input. */
void unfence(void);

/* The place of a result and the bytes around it, none written yet. */
uint8_t *blank(arena a, edge near, size_t gap, size_t size);

/* Demands that a result of `size` bytes at `dst` is as expected, and that the bytes around it are untouched.
 * Differences are reported in units of `unit` bytes. */
void check_result(arena a, const uint8_t *dst, const uint8_t *expected, size_t size, size_t unit);

extern uint64_t seed;
uint64_t random64(void);
static inline size_t random_below(size_t limit) { return (size_t)(random64() % limit); }
void random_bytes(uint8_t *p, size_t size);

/* Fills `size` bytes with valid text of code points below `limit` (0x80, 0x100, 0x10000 or 0x110000): characters of
 * equal size in runs of random length up to `run`. */
void random_text(uint8_t *p, size_t size, uint32_t limit, size_t run);

/* One byte of each kind that the grammar of UTF-8 tells apart; of a range both ends. */
enum { KINDS = 24 };
extern const uint8_t kinds[KINDS];

/* Changes one byte, and now and then inserts or removes one, which keeps the size. */
void spoil(uint8_t *p, size_t size);

/* Each check returns how many cases it had. */
typedef struct {
    const char *what;
    size_t (*run)(const wsc_mask_kernel *kernel);
} mask_check;
typedef struct {
    const char *what;
    size_t (*run)(const wsc_utf8_kernel *kernel);
} utf8_check;

/* The last of each has no function. */
extern const mask_check mask_checks[];
extern const utf8_check valid_checks[], ucs_checks[], feed_checks[];

#endif
