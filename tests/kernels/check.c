#define _DEFAULT_SOURCE
#include "check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reference.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, size) ((void)(p), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(p, size) ((void)(p), (void)(size))
#endif

int quick;
call now;
uint64_t seed = 0x9E3779B97F4A7C15;

/* Long inputs are shown in part. */
enum { SHOWN = 512 };

static void report(const char *what, size_t position) {
    printf("FAILED: kernel %s, %s: %s\n", now.kernel, now.function, what);
    printf("  size %zu, src at %u and dst at %u modulo 64, key %08X (as a number of this machine)\n", now.size,
           (unsigned)((uintptr_t)now.src % 64), (unsigned)((uintptr_t)now.dst % 64), (unsigned)now.key);
    size_t from = now.size > SHOWN && position > SHOWN / 2 ? position - SHOWN / 2 : 0;
    size_t to = now.size - from > SHOWN ? from + SHOWN : now.size;
    printf("  input, bytes %zu to %zu:", from, to);
    for (size_t i = from; now.input != NULL && i < to; i++) {
        printf("%s%02x", i % 4 == 0 ? " " : "", now.input[i]);
    }
    printf("\n");
}

void fail(const char *what, size_t position, uint64_t expected, uint64_t got) {
    report(what, position);
    printf("  position %zu, expected 0x%llx, got 0x%llx\n", position, (unsigned long long)expected,
           (unsigned long long)got);
    exit(1);
}

static void on_fault(int number, siginfo_t *info, void *context) {
    (void)context;
    uintptr_t address = (uintptr_t)info->si_addr;
    report(number == SIGILL ? "an instruction that this CPU lacks" : "a page was touched that must not be", 0);
    printf("  address: src + %lld, dst + %lld\n", (long long)(address - (uintptr_t)now.src),
           (long long)(address - (uintptr_t)now.dst));
    fflush(stdout);
    _exit(1);
}

void catch_faults(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGILL, &action, NULL);
}

arena new_arena(size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size = (size + page - 1) / page * page;
    uint8_t *p = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + page, size, PROT_READ | PROT_WRITE) != 0) {
        perror("mmap");
        exit(2);
    }
    return (arena){p + page, p + page + size};
}

/* How many bytes around input and result are looked after, where the pages are that far away: more than a vector. */
enum { MARGIN = 80, UNTOUCHED = 0xA5 };

static size_t at_most(ptrdiff_t size) { return size < MARGIN ? (size_t)size : MARGIN; }

/* For the address sanitizer, the bytes around the last input; the guard pages are there without it. */
static struct {
    uint8_t *p;
    size_t size;
} fenced;

void unfence(void) {
    ASAN_UNPOISON_MEMORY_REGION(fenced.p, fenced.size);
    fenced.size = 0;
}

static void fence(uint8_t *p, size_t before, size_t size, size_t behind) {
    ASAN_POISON_MEMORY_REGION(p - before, before);
    ASAN_POISON_MEMORY_REGION(p + size, behind);
    fenced.p = p - before;
    fenced.size = before + size + behind;
}

uint8_t *put(arena a, edge near, size_t gap, const uint8_t *input, size_t size) {
    uint8_t *p = place(a, near, gap, size);
    size_t before = at_most(p - a.begin);
    size_t behind = at_most(a.end - (p + size));
    unfence();
    /* As if the first character were cut, and the last one went on. */
    memset(p - before, 0xF0, before);
    memset(p + size, 0xBF, behind);
    memcpy(p, input, size);
    fence(p, before, size, behind);
    now.src = p;
    return p;
}

uint8_t *blank(arena a, edge near, size_t gap, size_t size) {
    uint8_t *p = place(a, near, gap, size);
    size_t before = at_most(p - a.begin);
    memset(p - before, UNTOUCHED, before + size + at_most(a.end - (p + size)));
    now.dst = p;
    return p;
}

static void check_untouched(const uint8_t *p, size_t size, const char *where) {
    static uint8_t untouched[MARGIN];
    if (untouched[0] == 0) {
        memset(untouched, UNTOUCHED, MARGIN);
    }
    if (memcmp(p, untouched, size) == 0) {
        return;
    }
    for (size_t i = 0; i < size; i++) {
        if (p[i] != UNTOUCHED) {
            fail(where, i, UNTOUCHED, p[i]);
        }
    }
}

static uint64_t unit_at(const uint8_t *p, size_t unit) {
    uint16_t two = 0;
    uint32_t four = 0;
    memcpy(&two, p, unit == 2 ? 2 : 0);
    memcpy(&four, p, unit == 4 ? 4 : 0);
    return unit == 1 ? *p : unit == 2 ? two : four;
}

void check_result(arena a, const uint8_t *dst, const uint8_t *expected, size_t size, size_t unit) {
    size_t before = at_most(dst - a.begin);
    check_untouched(dst - before, before, "wrote before its result");
    check_untouched(dst + size, at_most(a.end - (dst + size)), "wrote behind its result");
    if (memcmp(dst, expected, size) == 0) {
        return;
    }
    for (size_t i = 0; i < size; i += unit) {
        if (memcmp(dst + i, expected + i, unit) != 0) {
            fail("a unit of the result differs", i / unit, unit_at(expected + i, unit), unit_at(dst + i, unit));
        }
    }
}

/* G. Marsaglia, "Xorshift RNGs" (2003), with a multiplication. */
uint64_t random64(void) {
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(0x2545F4914F6CDD1D);
}

void random_bytes(uint8_t *p, size_t size) {
    for (size_t i = 0; i < size; i++) {
        p[i] = (uint8_t)(random64() >> 32);
    }
}

/* The code points of one to four bytes. */
static const uint32_t first_of[] = {0, 0x80, 0x800, 0x10000, 0x110000};

/* A code point of `bytes` bytes, often the first or the last one. */
static uint32_t random_code(size_t bytes, uint32_t limit) {
    uint32_t from = first_of[bytes - 1];
    uint32_t to = first_of[bytes] < limit ? first_of[bytes] : limit;
    uint32_t which = (uint32_t)random_below(16);
    uint32_t code = which == 0 ? from : which == 1 ? to - 1 : from + (uint32_t)random_below(to - from);
    return code >= 0xD800 && code < 0xE000 ? code - 0x800 : code;
}

void random_text(uint8_t *p, size_t size, uint32_t limit, size_t run) {
    size_t longest = 1;
    while (first_of[longest] < limit) {
        longest++;
    }
    for (size_t i = 0; i < size;) {
        size_t bytes = 1 + random_below(longest);
        for (size_t left = 1 + random_below(run); left > 0 && i < size; left--) {
            bytes = bytes <= size - i ? bytes : 1;
            i += ref_write(p + i, random_code(bytes, limit));
        }
    }
}

const uint8_t kinds[KINDS] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF,
                              0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};

void spoil(uint8_t *p, size_t size) {
    if (size == 0) {
        return;
    }
    size_t at = random_below(size);
    switch (random_below(4)) {
    case 0:
        memmove(p + at, p + at + 1, size - at - 1);
        break;
    case 1:
        memmove(p + at + 1, p + at, size - at - 1);
        break;
    default:
        p[at] = kinds[random_below(KINDS)];
    }
}
