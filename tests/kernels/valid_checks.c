/* The checks of `valid` and `measure`.
 *
 * A short sequence stands at every place of a vector, with all kinds of neighbours; only the sequence and the part of a
 * character on either side of it have to be judged by the reference, as the rest is whole characters.
 *
 * Exhaustive: the sequences of one, two and three bytes, at positions 0 to 66 among ASCII; those of three bytes also
 * at two ends of a text; the boundary values of four bytes, at positions 0 to 66.
 * Sampled: sequences with neighbours other than ASCII have bytes of the 24 kinds that the grammar tells apart, and
 * longer texts are random.
 */
#include "check.h"
#include "reference.h"

/* Through the vector of 64 bytes and the first three bytes of the next. */
enum { POSITIONS = 67, BEHIND = 80, LONGEST = POSITIONS + 4 + BEHIND };

/* What a sequence has beside it: whole characters, and next to it perhaps a part of one. */
typedef struct {
    const char *characters;
    const char *part;
} neighbours;
static const neighbours before[] = {
    {"a", ""},     {"\xC3\xA9", ""},  {"\xE2\x82\xAC", ""}, {"\xF0\x9F\x98\x80", ""}, {"a", "\xC3"},
    {"a", "\xE2"}, {"a", "\xEF\xBF"}, {"a", "\xF4"},        {"a", "\xF0\x9F"},        {"a", "\xF1\x80\xBF"},
};
static const neighbours behind[] = {
    {"a", ""}, {"\xC3\xA9", ""}, {"\xE2\x82\xAC", ""}, {"\xF0\x9F\x98\x80", ""}, {"a", "\x80"}, {"a", "\xBF\xBF"},
};
enum { BEFORE = sizeof before / sizeof *before, AFTER = sizeof behind / sizeof *behind };

static arena texts;

static void ready(const wsc_utf8_kernel *kernel) {
    if (texts.begin == NULL) {
        texts = new_arena(1 << 18);
    }
    now = (call){.kernel = kernel->name};
}

static void check(const wsc_utf8_kernel *kernel, const uint8_t *p, size_t size, ref_text expected) {
    now.input = now.src = p;
    now.size = size;
    now.function = "valid";
    int valid = kernel->valid(p, size);
    if (valid != expected.valid) {
        fail("judges wrongly", 0, (uint64_t)expected.valid, (uint64_t)valid);
    }
    if (kernel->measure == NULL) {
        return;
    }
    now.function = "measure";
    wsc_text text = {~(size_t)0, 0xFF};
    valid = kernel->measure(p, size, &text);
    if (valid != expected.valid) {
        fail("judges wrongly", 0, (uint64_t)expected.valid, (uint64_t)valid);
    }
    if (!valid) {
        return;
    }
    if (text.characters != expected.characters) {
        fail("miscounts the characters", 0, expected.characters, text.characters);
    }
    if (expected.widest < 0x80 ? text.widest >= 0x80 : text.widest != expected.widest) {
        fail("gets the highest byte wrong", 0, expected.widest, text.widest);
    }
}

/* A text that is complete but for a sequence. */
typedef struct {
    uint8_t *p;
    size_t size;
    uint8_t *sequence;
    uint8_t *from; /* what the reference has to judge: the sequence with the parts on either side */
    size_t judged;
    ref_text rest; /* the whole characters */
} setting;

/* Fills with as many whole characters as fit, beginning at the far end with ASCII. */
static void fill(uint8_t *p, size_t size, const char *character, int before_sequence) {
    size_t bytes = strlen(character);
    size_t ascii = size % bytes;
    memset(before_sequence ? p : p + size - ascii, '-', ascii);
    for (size_t i = 0; i + bytes <= size; i += bytes) {
        memcpy(p + (before_sequence ? ascii : 0) + i, character, bytes);
    }
}

/* Room for a sequence of `bytes` bytes at `position` in a text that has `after` more bytes behind it and then a page
 * that must not be touched. Returns 0 if the parts of characters beside it have no room. */
static int set(setting *s, neighbours left, size_t position, size_t bytes, size_t after, neighbours right) {
    size_t part_before = strlen(left.part);
    size_t part_behind = strlen(right.part);
    if (part_before > position || part_behind > after) {
        return 0;
    }
    unfence();
    s->size = position + bytes + after;
    s->p = place(texts, PAGE_BEHIND, 0, s->size);
    s->sequence = s->p + position;
    s->from = s->sequence - part_before;
    s->judged = part_before + bytes + part_behind;
    fill(s->p, position - part_before, left.characters, 1);
    memcpy(s->from, left.part, part_before);
    memcpy(s->sequence + bytes, right.part, part_behind);
    fill(s->from + s->judged, after - part_behind, right.characters, 0);
    ref_text a = ref_measure(s->p, position - part_before);
    ref_text b = ref_measure(s->from + s->judged, after - part_behind);
    s->rest = (ref_text){1, a.characters + b.characters, a.widest > b.widest ? a.widest : b.widest};
    return 1;
}

/* Checks a setting whose sequence has been written. */
static void check_setting(const wsc_utf8_kernel *kernel, const setting *s) {
    ref_text expected = ref_measure(s->from, s->judged);
    expected.characters += s->rest.characters;
    expected.widest = expected.widest > s->rest.widest ? expected.widest : s->rest.widest;
    check(kernel, s->p, s->size, expected);
}

/* All sequences of `bytes` bytes. In quick mode a random part. */
static size_t all_sequences(const wsc_utf8_kernel *kernel, const setting *s, size_t bytes) {
    size_t many = (size_t)1 << 8 * bytes;
    size_t cases = 0;
    for (size_t number = 0; number < many; number += quick ? 1 + random_below(many / 128) : 1) {
        for (size_t i = 0; i < bytes; i++) {
            s->sequence[i] = (uint8_t)(number >> 8 * i);
        }
        check_setting(kernel, s);
        cases++;
    }
    return cases;
}

/* All sequences of one and two bytes among ASCII, at every position, in the middle of a text and at its end. */
static size_t one_and_two(const wsc_utf8_kernel *kernel) {
    ready(kernel);
    size_t cases = 0;
    setting s;
    for (size_t position = 0; position < POSITIONS; position++) {
        for (size_t bytes = 1; bytes <= 2; bytes++) {
            if (set(&s, before[0], position, bytes, 0, behind[0])) {
                cases += all_sequences(kernel, &s, bytes);
            }
            if (set(&s, before[0], position, bytes, BEHIND, behind[0])) {
                cases += all_sequences(kernel, &s, bytes);
            }
        }
    }
    return cases;
}

/* All sequences of three bytes: behind byte 62, where vectors of 16, 32 and 64 bytes end; at the end of a text that is
 * a little longer than such a vector; at that of a short one. */
static size_t three(const wsc_utf8_kernel *kernel) {
    ready(kernel);
    setting s;
    size_t cases = 0;
    set(&s, before[0], 62, 3, 20, behind[0]);
    cases += all_sequences(kernel, &s, 3);
    set(&s, before[0], 67, 3, 0, behind[0]);
    cases += all_sequences(kernel, &s, 3);
    set(&s, before[0], 5, 3, 0, behind[0]);
    cases += all_sequences(kernel, &s, 3);
    return cases;
}

/* All sequences of three bytes that do not begin with ASCII, at every position among ASCII; `valid` alone, since
 * `measure` runs through the same code. In quick mode a random part. */
static size_t three_everywhere(const wsc_utf8_kernel *kernel) {
    static uint8_t right[1 << 24];
    uint8_t text[POSITIONS + 3 + 20];
    size_t cases = 0;
    memset(text, 'a', sizeof text);
    for (size_t position = 0; position < POSITIONS; position++) {
        uint8_t *p = text + position;
        for (size_t number = 0x800000; number <= 0xFFFFFF; number += quick ? 1 + random_below(1 << 18) : 1) {
            p[0] = (uint8_t)(number >> 16);
            p[1] = (uint8_t)(number >> 8);
            p[2] = (uint8_t)number;
            if (right[number] == 0) {
                right[number] = ref_measure(p, 3).valid ? 1 : 2;
            }
            if (kernel->valid(text, sizeof text) != (right[number] == 1)) {
                check(kernel, text, sizeof text, ref_measure(text, sizeof text));
            }
            cases++;
        }
        memset(p, 'a', 3);
    }
    return cases;
}

/* All sequences of `bytes` bytes of the kinds. In quick mode a random part. */
static size_t all_kinds(const wsc_utf8_kernel *kernel, const setting *s, size_t bytes) {
    size_t many = bytes == 1 ? KINDS : bytes == 2 ? KINDS * KINDS : KINDS * KINDS * KINDS;
    size_t cases = 0;
    for (size_t number = 0; number < many; number += quick ? 1 + random_below(many / 8) : 1) {
        for (size_t i = 0, left = number; i < bytes; i++, left /= KINDS) {
            s->sequence[i] = kinds[left % KINDS];
        }
        check_setting(kernel, s);
        cases++;
    }
    return cases;
}

/* Sequences of 0 to 3 bytes of all kinds at every position, with all neighbours. */
static size_t with_neighbours(const wsc_utf8_kernel *kernel) {
    ready(kernel);
    static const size_t after[] = {0, 1, 2, 3, BEHIND};
    size_t cases = 0;
    setting s;
    for (size_t position = 0; position < POSITIONS; position++) {
        for (size_t i = 0; i < BEFORE; i++) {
            for (size_t j = 0; j < AFTER; j++) {
                for (size_t k = 0; k < sizeof after / sizeof *after; k++) {
                    if (set(&s, before[i], position, 0, after[k], behind[j])) {
                        check_setting(kernel, &s);
                        cases++;
                    }
                    for (size_t bytes = 1; bytes <= 2; bytes++) {
                        if (set(&s, before[i], position, bytes, after[k], behind[j])) {
                            cases += all_kinds(kernel, &s, bytes);
                        }
                    }
                }
            }
            if (set(&s, before[i], position, 3, 0, behind[0])) {
                cases += all_kinds(kernel, &s, 3);
            }
            if (set(&s, before[i], position, 3, BEHIND, behind[i % AFTER])) {
                cases += all_kinds(kernel, &s, 3);
            }
        }
    }
    return cases;
}

/* Leads F0 to F7 with the boundary values of the three bytes that follow, at every position. */
static size_t four(const wsc_utf8_kernel *kernel) {
    ready(kernel);
    static const uint8_t values[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
    enum { VALUES = sizeof values, ALL = 8 * VALUES * VALUES * VALUES };
    size_t cases = 0;
    setting s;
    for (size_t position = 0; position < POSITIONS; position++) {
        for (size_t i = 0; i < 2 * BEFORE; i++) {
            if (!set(&s, before[i / 2], position, 4, i % 2 * BEHIND, behind[i / 2 % 4])) {
                continue;
            }
            for (size_t number = 0; number < ALL; number += quick ? 1 + random_below(ALL / 2) : 1) {
                s.sequence[0] = (uint8_t)(0xF0 + number % 8);
                s.sequence[1] = values[number / 8 % VALUES];
                s.sequence[2] = values[number / 8 / VALUES % VALUES];
                s.sequence[3] = values[number / 8 / VALUES / VALUES];
                check_setting(kernel, &s);
                cases++;
            }
        }
    }
    return cases;
}

/* A character that ASCII of up to two blocks of 64 bytes tears apart: no shortcut for ASCII may forget its beginning.
 */
static size_t torn(const wsc_utf8_kernel *kernel) {
    ready(kernel);
    static const char *const characters[] = {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    uint8_t input[POSITIONS + 4 + 2 * BEHIND + 20];
    size_t cases = 0;
    for (size_t position = 0; position < POSITIONS; position += quick ? 1 + random_below(16) : 1) {
        for (size_t between = 0; between <= 2 * BEHIND; between += quick ? 1 + random_below(3) : 1) {
            for (size_t i = 0; i < 6; i++) {
                const char *character = characters[i < 1 ? 0 : i < 3 ? 1 : 2];
                size_t bytes = strlen(character);
                size_t first = i < 1 ? 1 : i < 3 ? i : i - 2;
                size_t size = position + bytes + between + random_below(20);
                memset(input, 'a', size);
                memcpy(input + position, character, first);
                memcpy(input + position + first + between, character + first, bytes - first);
                check(kernel, put(texts, PAGE_BEHIND, 0, input, size), size, ref_measure(input, size));
                cases++;
            }
        }
    }
    return cases;
}

static size_t check_random(const wsc_utf8_kernel *kernel, edge near, size_t gap, size_t size) {
    static const uint32_t limits[] = {0x80, 0x100, 0x10000, 0x110000};
    static uint8_t input[1 << 18];
    /* Often cut at the end, or spoilt. */
    random_text(input, size + 4, limits[random_below(4)], random_below(2) ? 1 : 80);
    if (random_below(3) == 0) {
        spoil(input, size);
    }
    check(kernel, put(texts, near, gap, input, size), size, ref_measure(input, size));
    return 1;
}

/* Random text, valid and invalid, of each size at each alignment. */
static size_t sizes(const wsc_utf8_kernel *kernel) {
    ready(kernel);
    size_t cases = 0;
    for (size_t size = 0; size <= 300; size++) {
        for (size_t gap = 0; gap <= 64; gap += quick ? 1 + random_below(60) : 1) {
            for (edge near = PAGE_BEHIND; near < EDGES; near++) {
                cases += check_random(kernel, near, gap, size);
                cases += check_random(kernel, near, gap, size);
            }
        }
    }
    return cases;
}

static size_t long_texts(const wsc_utf8_kernel *kernel) {
    ready(kernel);
    size_t cases = 0;
    for (size_t i = 0; i < (quick ? 200 : 20000); i++) {
        cases += check_random(kernel, PAGE_BEHIND, 0, 300 + random_below(2000));
    }
    /* More than 65535 continuations. */
    for (size_t i = 0; i < (quick ? 8 : 100); i++) {
        cases += check_random(kernel, PAGE_BEHIND, 0, 200000 + random_below(60000));
    }
    for (size_t i = 0; i < (quick ? 5 : 300); i++) {
        cases += check_random(kernel, i % 2 ? PAGE_BEFORE : PAGE_BEHIND, i % 65, 65533 + random_below(8));
    }
    return cases;
}

const utf8_check valid_checks[] = {
    {"valid, measure: all of one and two bytes, at positions 0 to 66", one_and_two},
    {"valid, measure: all of three bytes, at three places", three},
    {"valid: all of three bytes, at positions 0 to 66", three_everywhere},
    {"valid, measure: all kinds of bytes and neighbours, at positions 0 to 66", with_neighbours},
    {"valid, measure: boundary values of four bytes, at positions 0 to 66", four},
    {"valid, measure: characters torn apart by ASCII", torn},
    {"valid, measure: random text of sizes 0 to 300, all alignments", sizes},
    {"valid, measure: long random text", long_texts},
    {NULL, NULL},
};
