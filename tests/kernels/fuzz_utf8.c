/* Compares all UTF-8 kernels, the portable one too, with the reference. An input is a choice, two alignments, the size
 * of the chunks, and either the text itself or a recipe for valid text, which random bytes seldom are. The choice may
 * be to spoil that text: by a byte, or by ASCII that may tear a character apart. */
#include "fuzz.h"
#include "reference.h"
#include "utf8.h"

enum { HEAD = 4, MOST = 2048 };

/* The text, and what the reference finds in it. */
static uint8_t text[MOST];
static size_t text_size;
static ref_text expected;
static uint32_t codes[MOST];
static uint32_t highest;

/* Each byte of a recipe is a run: its lower two bits are the size of the characters, the others tell how many. */
static void cook(const uint8_t *recipe, size_t size) {
    static const uint32_t first[] = {0, 0x80, 0x800, 0x10000, 0x110000};
    uint32_t mixed = 1;
    text_size = 0;
    for (size_t i = 0; i < size; i++) {
        size_t bytes = recipe[i] % 4U;
        for (int left = recipe[i] / 4; left >= 0 && text_size + 4 <= MOST; left--) {
            mixed = mixed * 1664525 + 1013904223 + recipe[i];
            uint32_t code = first[bytes] + (mixed >> 8) % (first[bytes + 1] - first[bytes]);
            text_size += ref_write(text + text_size, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
        }
    }
}

static void spoil(size_t at, uint8_t byte) {
    if (at < text_size) {
        text[at] = byte;
    }
}

static void tear(size_t at, size_t between) {
    if (at < text_size && text_size + between <= MOST) {
        memmove(text + at + between, text + at, text_size - at);
        memset(text + at, 'a', between);
        text_size += between;
    }
}

enum { RAW, COOKED, SPOILT, TORN, CHOICES };

static void read_text(const uint8_t *data, size_t size) {
    int choice = data[0] % CHOICES;
    if (choice == RAW) {
        text_size = size - HEAD < MOST ? size - HEAD : MOST;
        memcpy(text, data + HEAD, text_size);
    } else {
        cook(data + HEAD, size - HEAD);
    }
    if (choice == SPOILT) {
        spoil(data[2], data[3]);
    } else if (choice == TORN) {
        tear(data[2], data[0] / CHOICES);
    }
    expected = ref_measure(text, text_size);
    highest = 0;
    for (size_t i = 0, j = 0; expected.valid && i < text_size; j++) {
        i += ref_read(text + i, text_size - i, &codes[j]);
        highest = codes[j] > highest ? codes[j] : highest;
    }
}

static uint32_t unit_at(const uint8_t *p, size_t unit) {
    uint16_t two;
    uint32_t four;
    memcpy(&two, p, unit == 2 ? sizeof two : 0);
    memcpy(&four, p, unit == 4 ? sizeof four : 0);
    return unit == 1 ? *p : unit == 2 ? two : four;
}

static void decode(const wsc_utf8_kernel *kernel, const uint8_t *src, size_t unit, size_t offset) {
    uint8_t *block = fuzz_block(offset * unit, expected.characters * unit);
    uint8_t *dst = block + offset * unit;
    if (unit == 1) {
        kernel->to_ucs1(dst, expected.characters, src, text_size);
    } else if (unit == 2) {
        kernel->to_ucs2((void *)dst, expected.characters, src, text_size);
    } else {
        kernel->to_ucs4((void *)dst, expected.characters, src, text_size);
    }
    for (size_t i = 0; i < expected.characters; i++) {
        fuzz_demand(unit_at(dst + i * unit, unit) == codes[i], kernel->name, "a code point differs");
    }
    fuzz_demand(fuzz_untouched(block, offset * unit), kernel->name, "wrote before its result");
    free(block);
}

static void judge(const wsc_utf8_kernel *kernel, const uint8_t *src) {
    fuzz_demand(kernel->valid(src, text_size) == expected.valid, kernel->name, "valid");
    if (kernel->measure == NULL) {
        return;
    }
    wsc_text found;
    fuzz_demand(kernel->measure(src, text_size, &found) == expected.valid, kernel->name, "measure");
    if (expected.valid) {
        fuzz_demand(found.characters == expected.characters, kernel->name, "characters");
        int same = expected.widest < 0x80 ? found.widest < 0x80 : found.widest == expected.widest;
        fuzz_demand(same, kernel->name, "widest");
    }
}

/* The state behind each chunk, of sizes up to `most`. */
static void feed(const wsc_utf8_kernel *kernel, size_t most) {
    unsigned state = WSC_UTF8_ACCEPT;
    for (size_t from = 0, to; from < text_size; from = to) {
        size_t chunk = 1 + (from * 7 + most) % (most + 1);
        to = chunk < text_size - from ? from + chunk : text_size;
        uint8_t *block = fuzz_block(0, to - from);
        memcpy(block, text + from, to - from);
        state = wsc_utf8_feed(kernel, state, block, to - from);
        free(block);
        ref_state wanted = ref_begins(text, to);
        int same = wanted == REF_WRONG   ? state == WSC_UTF8_REJECT
                   : wanted == REF_WHOLE ? state == WSC_UTF8_ACCEPT
                                         : state != WSC_UTF8_ACCEPT && state != WSC_UTF8_REJECT;
        fuzz_demand(same, kernel->name, "feed");
    }
}

static void compare(const wsc_utf8_kernel *kernel, const uint8_t *data) {
    size_t offset = data[1] % 64;
    uint8_t *block = fuzz_block(offset, text_size);
    uint8_t *src = block + offset;
    memcpy(src, text, text_size);
    judge(kernel, src);
    for (size_t unit = 1; expected.valid && kernel->to_ucs1 != NULL && unit <= 4; unit *= 2) {
        if (unit == 4 || highest >> 8 * unit == 0) {
            decode(kernel, src, unit, data[2] % 64);
        }
    }
    free(block);
    if (text_size < 150) {
        feed(kernel, data[3]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEAD) {
        return 0;
    }
    read_text(data, size);
    for (size_t i = 0; wsc_utf8_kernels[i] != NULL; i++) {
        if (wsc_cpu_has(wsc_utf8_kernels[i]->level)) {
            compare(wsc_utf8_kernels[i], data);
        }
    }
    return 0;
}
