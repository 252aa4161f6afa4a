/* UTF-8 by an automaton, eight ASCII bytes at a time. Floor 0.
 *
 * The automaton's table is packed by shifts: a byte's class selects a word, the state is the shift that brings the
 * next state to its low bits (P. Vognsen, "Shift-based DFAs", 2020). A state that a word does not name leads to 0,
 * which is REJECT.
 */
#include "utf8.h"

#include <string.h>

/* Six bits each; the two that others need to know stand in the header. */
enum {
    REJECT = WSC_UTF8_REJECT,
    ACCEPT = WSC_UTF8_ACCEPT,
    NEED_1 = 12,   /* one continuation byte */
    NEED_2 = 18,   /* two */
    NEED_3 = 24,   /* three */
    AFTER_E0 = 30, /* A0..BF, then one: below is overlong */
    AFTER_ED = 36, /* 80..9F, then one: above are surrogates */
    AFTER_F0 = 42, /* 90..BF, then two: below is overlong */
    AFTER_F4 = 48  /* 80..8F, then two: above is beyond U+10FFFF */
};

#define GO(from, to) ((uint64_t)(to) << (from))
#define CONTINUE (GO(NEED_1, ACCEPT) | GO(NEED_2, NEED_1) | GO(NEED_3, NEED_2))

enum { ASCII, C_80, C_90, C_A0, L_2, L_E0, L_3, L_ED, L_F0, L_4, L_F4, NEVER };

static const uint64_t moves[] = {
    [ASCII] = GO(ACCEPT, ACCEPT),
    [C_80] = CONTINUE | GO(AFTER_ED, NEED_1) | GO(AFTER_F4, NEED_2),
    [C_90] = CONTINUE | GO(AFTER_ED, NEED_1) | GO(AFTER_F0, NEED_2),
    [C_A0] = CONTINUE | GO(AFTER_E0, NEED_1) | GO(AFTER_F0, NEED_2),
    [L_2] = GO(ACCEPT, NEED_1),
    [L_E0] = GO(ACCEPT, AFTER_E0),
    [L_3] = GO(ACCEPT, NEED_2),
    [L_ED] = GO(ACCEPT, AFTER_ED),
    [L_F0] = GO(ACCEPT, AFTER_F0),
    [L_4] = GO(ACCEPT, NEED_3),
    [L_F4] = GO(ACCEPT, AFTER_F4),
    [NEVER] = 0,
};

#define X16(class)                                                                                                     \
    class, class, class, class, class, class, class, class, class, class, class, class, class, class, class, class

/* clang-format off */
static const uint8_t class_of[256] = {
    /* 00..7F */ X16(ASCII), X16(ASCII), X16(ASCII), X16(ASCII), X16(ASCII), X16(ASCII), X16(ASCII), X16(ASCII),
    /* 80..8F */ X16(C_80),
    /* 90..9F */ X16(C_90),
    /* A0..BF */ X16(C_A0), X16(C_A0),
    /* C0..CF */ NEVER, NEVER, L_2, L_2, L_2, L_2, L_2, L_2, L_2, L_2, L_2, L_2, L_2, L_2, L_2, L_2,
    /* D0..DF */ X16(L_2),
    /* E0..EF */ L_E0, L_3, L_3, L_3, L_3, L_3, L_3, L_3, L_3, L_3, L_3, L_3, L_3, L_ED, L_3, L_3,
    /* F0..FF */ L_F0, L_4, L_4, L_4, L_F4, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER,
};
/* clang-format on */

static int ascii_word(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return (word & UINT64_C(0x8080808080808080)) == 0;
}

unsigned wsc_utf8_step(unsigned state, const uint8_t *p, size_t size) {
    uint64_t now = state;
    for (size_t i = 0; i < size; i++) {
        now = moves[class_of[p[i]]] >> (now & 63);
    }
    return (unsigned)(now & 63);
}

static int valid(const uint8_t *p, size_t size) {
    unsigned state = ACCEPT;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        if (state == ACCEPT && ascii_word(p + i)) {
            continue;
        }
        state = wsc_utf8_step(state, p + i, 8);
        if (state == REJECT) {
            return 0;
        }
    }
    return wsc_utf8_step(state, p + i, size - i) == ACCEPT;
}

const wsc_utf8_kernel wsc_utf8_portable = {"portable", WSC_PORTABLE, valid, NULL, NULL, NULL, NULL};
