/* The checks of `wsc_utf8_step` and `wsc_utf8_feed`: text that comes in chunks. */
#include "check.h"
#include "reference.h"

static arena chunks;

static void ready(const wsc_utf8_kernel *kernel) {
    if (chunks.begin == NULL) {
        chunks = new_arena(1 << 12);
    }
    now = (call){.kernel = kernel->name};
}

/* Demands that the state behind the first `end` bytes of the input is what it has to be. */
static void check_state(const char *function, unsigned state, size_t end) {
    static const char *const faults[] = {"takes what no text has", "has not found its end", "has found no cut"};
    ref_state wanted = ref_begins(now.input, end);
    ref_state got = state == WSC_UTF8_REJECT ? REF_WRONG : state == WSC_UTF8_ACCEPT ? REF_WHOLE : REF_CUT;
    if (got != wanted) {
        now.function = function;
        fail(faults[wanted], end, (uint64_t)wanted, state);
    }
}

/* Feeds a chunk that ends at a page, and compares with the automaton run byte by byte. */
static unsigned feed(const wsc_utf8_kernel *kernel, unsigned state, size_t from, size_t to) {
    now.function = "wsc_utf8_feed";
    unsigned wanted = state;
    for (size_t i = from; i < to; i++) {
        wanted = wsc_utf8_step(wanted, now.input + i, 1);
    }
    const uint8_t *chunk = put(chunks, PAGE_BEHIND, 0, now.input + from, to - from);
    unsigned got = wsc_utf8_feed(kernel, state, chunk, to - from);
    if (got != wanted) {
        fail("another state than the automaton's", to, wanted, got);
    }
    if (wsc_utf8_step(state, now.input + from, to - from) != wanted) {
        fail("wsc_utf8_step depends on the chunk", to, wanted, wsc_utf8_step(state, now.input + from, to - from));
    }
    return got;
}

/* The kinds of bytes that the grammar tells apart, four in a row, cut in all eight ways. */
static size_t short_texts(const wsc_utf8_kernel *kernel) {
    ready(kernel);
    enum { ALL = KINDS * KINDS * KINDS * KINDS };
    uint8_t input[4];
    size_t cases = 0;
    for (size_t number = 0; number < ALL; number += quick ? 1 + random_below(200) : 1) {
        for (size_t i = 0, left = number; i < 4; i++, left /= KINDS) {
            input[i] = kinds[left % KINDS];
        }
        now.input = input;
        now.size = 4;
        /* A bit for each place between two bytes. */
        for (unsigned cuts = 0; cuts < 8; cuts++) {
            unsigned state = WSC_UTF8_ACCEPT;
            for (size_t from = 0, to = 1; to <= 4; to++) {
                if (to == 4 || (cuts >> (to - 1) & 1)) {
                    state = feed(kernel, state, from, to);
                    check_state("wsc_utf8_feed", state, to);
                    from = to;
                }
            }
            cases++;
        }
    }
    return cases;
}

/* Random text, valid or not, cut at random places; empty chunks, too. */
static size_t random_chunks(const wsc_utf8_kernel *kernel) {
    ready(kernel);
    static const size_t most[] = {3, 20, 150, 600};
    uint8_t input[600];
    size_t cases = 0;
    for (size_t i = 0; i < (quick ? 1500 : 150000); i++) {
        size_t size = random_below(sizeof input);
        random_text(input, size, random_below(4) ? 0x110000 : 0x80, 1 + random_below(80));
        if (i % 2) {
            spoil(input, size);
        }
        now.input = input;
        now.size = size;
        unsigned state = WSC_UTF8_ACCEPT;
        size_t longest = most[random_below(4)];
        for (size_t from = 0, to; from < size; from = to) {
            to = from + random_below(longest + 1);
            to = to < size ? to : size;
            state = feed(kernel, state, from, to);
            /* The reference reads all from the beginning: not each time. */
            if (to == size || random_below(8) == 0) {
                check_state("wsc_utf8_feed", state, to);
            }
            cases++;
        }
    }
    return cases;
}

const utf8_check feed_checks[] = {
    {"feed: four bytes of all kinds, cut in all ways", short_texts},
    {"feed: random text in random chunks", random_chunks},
    {NULL, NULL},
};
