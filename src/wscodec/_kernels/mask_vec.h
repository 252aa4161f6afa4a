/* Masking by vectors, for every vec_*.h that is included before. Floor 0. */
#ifndef WSC_MASK_VEC_H
#define WSC_MASK_VEC_H

/* Vectors in one turn of the loop. */
#define VECTORS 4

/* The kernel for at least VEC_SIZE bytes. The first and the last vector overlap those between, whose stores are
 * aligned: one that crosses a cache line costs two. In place both must be loaded before the others are stored. */
VEC_INLINE uint64_t mask_vectors(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key) {
    uint64_t key64 = wsc_mask_key64(key);
    vec head = vec_xor(vec_load(src), vec_splat64(key64));
    vec tail = vec_xor(vec_load(src + size - VEC_SIZE), vec_splat64(wsc_mask_turn64(key64, size)));
    vec seen = vec_or(head, tail);
    if (size <= 2 * VEC_SIZE) {
        vec_store(dst, head);
        vec_store(dst + size - VEC_SIZE, tail);
        return vec_tops(seen);
    }
    size_t i = VEC_SIZE - (uintptr_t)dst % VEC_SIZE;
    vec keys = vec_splat64(wsc_mask_turn64(key64, i));
    for (; i + VECTORS * VEC_SIZE <= size; i += VECTORS * VEC_SIZE) {
        vec now[VECTORS];
        for (int j = 0; j < VECTORS; j++) {
            now[j] = vec_xor(vec_load(src + i + j * VEC_SIZE), keys);
        }
        for (int j = 0; j < VECTORS; j++) {
            vec_store(dst + i + j * VEC_SIZE, now[j]);
            seen = vec_or(seen, now[j]);
        }
    }
    for (; i + VEC_SIZE <= size; i += VEC_SIZE) {
        vec now = vec_xor(vec_load(src + i), keys);
        vec_store(dst + i, now);
        seen = vec_or(seen, now);
    }
    vec_store(dst, head);
    vec_store(dst + size - VEC_SIZE, tail);
    return vec_tops(seen);
}

#endif
