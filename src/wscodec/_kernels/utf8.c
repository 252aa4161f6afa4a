/* The table of UTF-8 kernels, and chunks that are cut anywhere. Floor 0. */
#include "utf8.h"

const wsc_utf8_kernel *const wsc_utf8_kernels[] = {
#if WSC_X86
    &wsc_utf8_avx512,   &wsc_utf8_avx2, &wsc_utf8_ssse3,
#endif
#if WSC_ARM
    &wsc_utf8_neon,
#endif
    &wsc_utf8_portable, NULL,
};

/* How many bytes at the end may begin a character that isn't finished there: 0 to 3. */
static size_t unfinished(const uint8_t *p, size_t size) {
    size_t most = size < 3 ? size : 3;
    for (size_t back = 1; back <= most; back++) {
        uint8_t byte = p[size - back];
        if (byte >= 0xC0) {
            return back;
        }
        if (byte < 0x80) {
            return 0;
        }
    }
    return 0;
}

unsigned wsc_utf8_feed(const wsc_utf8_kernel *kernel, unsigned state, const uint8_t *p, size_t size) {
    const uint8_t *end = p + size;
    while (p < end && state != WSC_UTF8_ACCEPT && state != WSC_UTF8_REJECT) {
        state = wsc_utf8_step(state, p++, 1);
    }
    if (state == WSC_UTF8_REJECT) {
        return state;
    }
    size_t left = (size_t)(end - p);
    size_t tail = unfinished(p, left);
    if (!kernel->valid(p, left - tail)) {
        return WSC_UTF8_REJECT;
    }
    return wsc_utf8_step(state, end - tail, tail);
}
