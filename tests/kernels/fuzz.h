/* What the fuzzers share. Memory comes from `malloc`, so that the address sanitizer sees every byte beyond it. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A block that ends where the `size` bytes at `offset` end. */
static inline uint8_t *fuzz_block(size_t offset, size_t size) {
    uint8_t *block = malloc(offset + size);
    if (block == NULL) {
        abort();
    }
    memset(block, 0xA5, offset + size);
    return block;
}

/* Whether the bytes in front of a result are as `fuzz_block` left them. */
static inline int fuzz_untouched(const uint8_t *block, size_t offset) {
    for (size_t i = 0; i < offset; i++) {
        if (block[i] != 0xA5) {
            return 0;
        }
    }
    return 1;
}

static inline void fuzz_demand(int holds, const char *kernel, const char *what) {
    if (!holds) {
        fprintf(stderr, "FAILED: kernel %s: %s\n", kernel, what);
        abort();
    }
}

#endif
