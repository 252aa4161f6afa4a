/* The checks of `to_ucs1`, `to_ucs2` and `to_ucs4`. */
#include "check.h"
#include "reference.h"

/* All of Unicode has 4.4 million bytes and 1.1 million characters. */
enum { GAPS = 65, MOST_BYTES = 4500000, MOST_UNITS = 1120000 };
enum { LIMITS = 4 };
static const uint32_t limits[LIMITS] = {0x80, 0x100, 0x10000, 0x110000};

static arena sources, results;
static uint8_t input[MOST_BYTES];

/* The code points of the input, in units of each width as far as they fit. */
static struct {
    size_t characters;
    uint8_t ones[MOST_UNITS];
    uint16_t twos[MOST_UNITS];
    uint32_t fours[MOST_UNITS];
} expected;

static void ready(const wsc_utf8_kernel *kernel) {
    if (sources.begin == NULL) {
        sources = new_arena(MOST_BYTES + GAPS);
        results = new_arena(4 * (MOST_UNITS + GAPS));
    }
    now = (call){.kernel = kernel->name, .input = input};
}

/* Finds out what the input is in units. */
static void read_input(size_t size) {
    now.size = size;
    expected.characters = 0;
    for (size_t i = 0; i < size;) {
        uint32_t code;
        i += ref_read(input + i, size - i, &code);
        expected.ones[expected.characters] = (uint8_t)code;
        expected.twos[expected.characters] = (uint16_t)code;
        expected.fours[expected.characters] = code;
        expected.characters++;
    }
}

/* Runs the function for units of `unit` bytes, to a place `gap` units away from the page. */
static void check(const wsc_utf8_kernel *kernel, size_t unit, const uint8_t *src, edge near, size_t gap) {
    size_t characters = expected.characters;
    uint8_t *dst = blank(results, near, unit * gap, unit * characters);
    const void *wanted = expected.ones;
    if (unit == 1) {
        now.function = "to_ucs1";
        kernel->to_ucs1(dst, characters, src, now.size);
    } else if (unit == 2) {
        now.function = "to_ucs2";
        wanted = expected.twos;
        kernel->to_ucs2((void *)dst, characters, src, now.size);
    } else {
        now.function = "to_ucs4";
        wanted = expected.fours;
        kernel->to_ucs4((void *)dst, characters, src, now.size);
    }
    check_result(results, dst, wanted, unit * characters, unit);
}

/* Every width that the text fits in. Returns how many these are. */
static size_t check_widths(const wsc_utf8_kernel *kernel, uint32_t limit, const uint8_t *src, edge near, size_t gap) {
    size_t cases = 1;
    check(kernel, 4, src, near, gap);
    if (limit <= 0x10000) {
        check(kernel, 2, src, near, gap);
        cases++;
    }
    if (limit <= 0x100) {
        check(kernel, 1, src, near, gap);
        cases++;
    }
    return cases;
}

/* The code points below each limit, in order: as one text, and as texts of `step` characters. */
static size_t in_order(const wsc_utf8_kernel *kernel, uint32_t limit, uint32_t step) {
    size_t cases = 0;
    for (uint32_t code = 0; code < limit;) {
        size_t size = 0;
        for (uint32_t i = 0; i < step && code < limit; code++) {
            if (code < 0xD800 || code > 0xDFFF) {
                size += ref_write(input + size, code);
                i++;
            }
        }
        read_input(size);
        cases += check_widths(kernel, limit, put(sources, PAGE_BEHIND, 0, input, size), PAGE_BEHIND, 0);
    }
    return cases;
}

static size_t every_code_point(const wsc_utf8_kernel *kernel) {
    ready(kernel);
    size_t cases = 0;
    for (size_t i = 0; i < LIMITS; i++) {
        cases += in_order(kernel, limits[i], limits[i]);
        cases += in_order(kernel, limits[i], 61);
        cases += in_order(kernel, limits[i], 199);
    }
    return cases;
}

/* Each size at each alignment, both guard pages, and the result at many places. */
static size_t sizes(const wsc_utf8_kernel *kernel) {
    ready(kernel);
    static const size_t runs[] = {1, 4, 80};
    size_t cases = 0;
    for (size_t size = 0; size <= 300; size++) {
        for (size_t gap = 0; gap < GAPS; gap += quick ? 1 + random_below(60) : 1) {
            for (size_t i = 0; i < 3 * LIMITS; i++) {
                uint32_t limit = limits[i % LIMITS];
                edge near = random_below(2) ? PAGE_BEHIND : PAGE_BEFORE;
                random_text(input, size, limit, runs[i / LIMITS]);
                read_input(size);
                uint8_t *src = put(sources, near, gap, input, size);
                /* Mostly right at a page. */
                size_t away = random_below(4) == 0 ? random_below(GAPS) : 0;
                cases += check_widths(kernel, limit, src, random_below(2) ? PAGE_BEHIND : PAGE_BEFORE, away);
            }
        }
    }
    return cases;
}

/* Texts that consist of characters of one size, but for `odd` others in front and ASCII at the end. */
static size_t runs(const wsc_utf8_kernel *kernel) {
    ready(kernel);
    static const uint32_t samples[] = {'a', 0xE9, 0x20AC, 0x1F600};
    size_t cases = 0;
    for (size_t sample = 1; sample < LIMITS; sample++) {
        for (size_t odd = 0; odd <= 70; odd += quick ? 1 + random_below(20) : 1) {
            for (size_t run = 0; run <= 80; run += quick ? 1 + random_below(20) : 1) {
                size_t ascii = random_below(3) ? random_below(80) : 0;
                uint32_t other = samples[random_below(sample + 1)];
                size_t size = 0;
                for (size_t i = 0; i < odd + run + ascii; i++) {
                    uint32_t code = i < odd ? other : i < odd + run ? samples[sample] + (uint32_t)(i % 16) : 'a';
                    size += ref_write(input + size, code);
                }
                read_input(size);
                uint8_t *src = put(sources, PAGE_BEHIND, 0, input, size);
                cases += check_widths(kernel, limits[sample], src, PAGE_BEHIND, 0);
            }
        }
    }
    return cases;
}

/* Random mixtures of runs, longer ones. */
static size_t mixtures(const wsc_utf8_kernel *kernel) {
    ready(kernel);
    size_t cases = 0;
    for (size_t i = 0; i < (quick ? 400 : 40000); i++) {
        uint32_t limit = limits[random_below(LIMITS)];
        size_t size = i % 100 == 0 ? 60000 + random_below(10000) : random_below(3000);
        random_text(input, size, limit, 1 + random_below(80));
        read_input(size);
        uint8_t *src = put(sources, PAGE_BEHIND, random_below(2) * random_below(GAPS), input, size);
        cases += check_widths(kernel, limit, src, random_below(2) ? PAGE_BEHIND : PAGE_BEFORE, random_below(2));
    }
    return cases;
}

const utf8_check ucs_checks[] = {
    {"to_ucs: every code point, in order", every_code_point},
    {"to_ucs: sizes 0 to 300, all alignments", sizes},
    {"to_ucs: runs of characters of equal size", runs},
    {"to_ucs: random mixtures", mixtures},
    {NULL, NULL},
};
