/* Compares all masking kernels, the portable one too, with a loop over bytes. An input is a key, two alignments and
 * what is to be masked. */
#include "fuzz.h"
#include "mask.h"

enum { HEAD = 6 };

static void compare(const wsc_mask_kernel *kernel, const uint8_t *data, size_t size, int in_place) {
    size_t src_offset = data[4] % 64;
    size_t dst_offset = data[5] % 64;
    const uint8_t *text = data + HEAD;
    uint8_t *src = fuzz_block(src_offset, size);
    uint8_t *dst = in_place ? src : fuzz_block(dst_offset, size);
    size_t offset = in_place ? src_offset : dst_offset;
    memcpy(src + src_offset, text, size);
    uint32_t key;
    memcpy(&key, data, 4);
    uint64_t seen = kernel->mask(dst + offset, src + src_offset, size, key);
    uint8_t all = 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t wanted = text[i] ^ data[i & 3];
        fuzz_demand(dst[offset + i] == wanted, kernel->name, "a byte differs");
        all |= wanted;
    }
    fuzz_demand((seen == 0) == (all < 0x80), kernel->name, "wrong about ASCII");
    fuzz_demand(fuzz_untouched(dst, offset), kernel->name, "wrote before its result");
    if (!in_place) {
        free(dst);
    }
    free(src);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEAD) {
        return 0;
    }
    for (size_t i = 0; wsc_mask_kernels[i] != NULL; i++) {
        if (wsc_cpu_has(wsc_mask_kernels[i]->level)) {
            compare(wsc_mask_kernels[i], data, size - HEAD, 0);
            compare(wsc_mask_kernels[i], data, size - HEAD, 1);
        }
    }
    return 0;
}
