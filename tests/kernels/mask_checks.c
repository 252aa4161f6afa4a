/* The checks of masking. */
#include "check.h"

enum { LONGEST = 300, GAPS = 65 };

/* What the result is: ASCII, ASCII but for one byte, anything. */
enum { ASCII, ALMOST, ANY, FLAVOURS };

static const size_t large[] = {4096, 65535, 65536, 65537, 262144};
enum { LARGEST = 262144, LARGE = sizeof large / sizeof *large };

static arena sources, results;
static uint8_t input[LARGEST], expected[LARGEST];

static void ready(const wsc_mask_kernel *kernel) {
    if (sources.begin == NULL) {
        sources = new_arena(LARGEST + GAPS);
        results = new_arena(LARGEST + GAPS);
    }
    now = (call){.kernel = kernel->name, .function = "mask", .input = input};
}

/* Makes up a result and finds the input for it. Returns whether the result is ASCII. */
static int make(size_t size, const uint8_t key[4], int flavour) {
    memcpy(&now.key, key, 4);
    now.size = size;
    random_bytes(expected, size);
    for (size_t i = 0; flavour != ANY && i < size; i++) {
        expected[i] &= 0x7F;
    }
    if (flavour == ALMOST && size > 0) {
        expected[random_below(size)] |= 0x80;
    }
    int ascii = 1;
    for (size_t i = 0; i < size; i++) {
        input[i] = expected[i] ^ key[i & 3];
        ascii &= expected[i] < 0x80;
    }
    return ascii;
}

static void check_seen(uint64_t seen, int ascii) {
    if ((seen == 0) != ascii) {
        fail("says of the result that it is ASCII, or that it is not", 0, !ascii, seen);
    }
}

static void check_copy(const wsc_mask_kernel *kernel, edge near, size_t gap, const uint8_t *src, int ascii) {
    uint8_t *dst = blank(results, near, gap, now.size);
    check_seen(kernel->mask(dst, src, now.size, now.key), ascii);
    check_result(results, dst, expected, now.size, 1);
}

static void check_in_place(const wsc_mask_kernel *kernel, edge near, size_t gap, int ascii) {
    uint8_t *p = blank(results, near, gap, now.size);
    memcpy(p, input, now.size);
    now.src = p;
    check_seen(kernel->mask(p, p, now.size, now.key), ascii);
    check_result(results, p, expected, now.size, 1);
}

/* The gaps of both, up to 64 bytes; all of them, or a part. */
static size_t grid_of_gaps(const wsc_mask_kernel *kernel, edge near, int ascii) {
    size_t cases = 0;
    size_t step = quick ? 1 + random_below(60) : 1;
    for (size_t i = 0; i < GAPS; i += step) {
        uint8_t *src = put(sources, near, i, input, now.size);
        for (size_t j = 0; j < GAPS; j += step) {
            check_copy(kernel, near, j, src, ascii);
            cases++;
        }
        if (memcmp(src, input, now.size) != 0) {
            fail("changed its input", 0, 0, 1);
        }
        check_in_place(kernel, near, i, ascii);
        cases++;
    }
    return cases;
}

/* Keys: none, and one in its four phases. */
static size_t grid(const wsc_mask_kernel *kernel) {
    ready(kernel);
    size_t cases = 0;
    for (size_t size = 0; size <= LONGEST; size++) {
        uint8_t key[8];
        random_bytes(key, 4);
        memcpy(key + 4, key, 4);
        for (size_t phase = 0; phase < 5; phase++) {
            static const uint8_t none[4] = {0};
            int ascii = make(size, phase == 4 ? none : key + phase, (int)((size + phase) % FLAVOURS));
            cases += grid_of_gaps(kernel, PAGE_BEHIND, ascii);
            cases += grid_of_gaps(kernel, PAGE_BEFORE, ascii);
        }
    }
    return cases;
}

/* One top bit at each place of each size: the kernel must see every one, and none where none is. */
static size_t top_bits(const wsc_mask_kernel *kernel) {
    ready(kernel);
    size_t cases = 0;
    for (size_t size = 0; size <= LONGEST; size++) {
        uint8_t key[4];
        random_bytes(key, 4);
        make(size, key, ASCII);
        for (size_t at = 0; at <= size; at += quick ? 1 + random_below(8) : 1) {
            if (at < size) {
                input[at] ^= 0x80;
                expected[at] ^= 0x80;
            }
            edge near = at % 2 ? PAGE_BEHIND : PAGE_BEFORE;
            uint8_t *src = put(sources, near, random_below(GAPS), input, size);
            check_copy(kernel, near, random_below(GAPS), src, at == size);
            check_in_place(kernel, near, random_below(GAPS), at == size);
            if (at < size) {
                input[at] ^= 0x80;
                expected[at] ^= 0x80;
            }
            cases += 2;
        }
    }
    return cases;
}

static size_t large_sizes(const wsc_mask_kernel *kernel) {
    ready(kernel);
    size_t cases = 0;
    for (size_t i = 0; i < LARGE; i++) {
        for (int flavour = ASCII; flavour < FLAVOURS; flavour++) {
            uint8_t key[4];
            random_bytes(key, 4);
            int ascii = make(large[i], key, flavour);
            for (edge near = PAGE_BEHIND; near < EDGES; near++) {
                for (size_t gap = 0; gap < GAPS; gap += quick ? 63 : 7) {
                    check_copy(kernel, near, gap, put(sources, near, (gap * 5) % GAPS, input, now.size), ascii);
                    check_in_place(kernel, near, gap, ascii);
                    cases += 2;
                }
            }
        }
    }
    return cases;
}

/* What mask.h itself does with keys: for each kernel the same, but a compiler's flags may make a difference. */
static size_t keys(const wsc_mask_kernel *kernel) {
    ready(kernel);
    size_t cases = 0;
    for (size_t offset = 0; offset < 300; offset++) {
        uint8_t key[4], turned[4], doubled[8];
        random_bytes(key, 4);
        now = (call){.kernel = kernel->name, .function = "wsc_mask_key", .input = key, .size = 4};
        memcpy(&now.key, key, 4);
        uint32_t word = wsc_mask_key(key, offset);
        uint64_t words = wsc_mask_turn64(wsc_mask_key64(now.key), offset);
        memcpy(turned, &word, 4);
        memcpy(doubled, &words, 8);
        for (size_t i = 0; i < 8; i++) {
            uint8_t wanted = key[(offset + i) & 3];
            if (i < 4 && turned[i] != wanted) {
                fail("a byte of the turned key differs", i, wanted, turned[i]);
            }
            now.function = "wsc_mask_turn64";
            if (doubled[i] != wanted) {
                fail("a byte of the doubled key differs", i, wanted, doubled[i]);
            }
        }
        cases++;
    }
    return cases;
}

const mask_check mask_checks[] = {
    {"keys, turned", keys},
    {"sizes 0 to 300, all alignments, copied and in place", grid},
    {"one top bit at every place", top_bits},
    {"large sizes", large_sizes},
    {NULL, NULL},
};
