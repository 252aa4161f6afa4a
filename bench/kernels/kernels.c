/* How fast the kernels are in C, without Python: `make bench-kernels`.
 *
 * For every kernel that this CPU has, GB/s of payload: masking beside memcpy, and for each text file that is named on
 * the command line validating (valid), validating and counting (measure), and writing a str's characters (to_ucs).
 * Each figure is the median of many short rounds; where two are compared their rounds take turns.
 */
#include "mask.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 61, MOST = 1 << 18, SHIFT = 32 + 6 };

/* One operation on `size` bytes of `source`. */
typedef struct {
    const wsc_mask_kernel *mask;
    const wsc_utf8_kernel *utf8;
    size_t size;
    wsc_text text;
} job;

typedef void (*operation)(const job *);

static uint8_t memory[2][MOST + 4096];
static uint8_t wide[4 * MOST];
static uint8_t *const source = memory[0] + SHIFT; /* the offset that payloads have behind a header of 6 bytes */
static uint8_t *const target = memory[1] + 32;    /* the offset that the bytes of a `bytes` object have */
static volatile int sink;

static void copy(const job *j) { memcpy(target, source, j->size); }
static void mask(const job *j) { sink += (int)j->mask->mask(target, source, j->size, 0x12345678); }
static void mask_in_place(const job *j) { sink += (int)j->mask->mask(target, target, j->size, 0x12345678); }
static void valid(const job *j) { sink += j->utf8->valid(source, j->size); }

static void measure(const job *j) {
    wsc_text text;
    sink += j->utf8->measure(source, j->size, &text);
    sink += (int)text.characters;
}

static void to_ucs(const job *j) {
    if (j->text.widest <= 0xC3) {
        j->utf8->to_ucs1(wide, j->text.characters, source, j->size);
    } else if (j->text.widest <= 0xEF) {
        j->utf8->to_ucs2((uint16_t *)(void *)wide, j->text.characters, source, j->size);
    } else {
        j->utf8->to_ucs4((uint32_t *)(void *)wide, j->text.characters, source, j->size);
    }
}

static double seconds(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Prints the GB/s of operations that take turns. */
static void print_speed(const char *name, const job *j, const operation *operations, int count) {
    double times[8][ROUNDS];
    int calls = (int)(1000000 / (j->size + 20)) + 1;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < count; i++) {
            double began = seconds();
            for (int call = 0; call < calls; call++) {
                operations[i](j);
            }
            times[i][round] = (seconds() - began) / calls;
        }
    }
    printf("  %-9s %7zu B", name, j->size);
    for (int i = 0; i < count; i++) {
        qsort(times[i], ROUNDS, sizeof(double), by_size);
        printf(" %9.1f", (double)j->size / times[i][ROUNDS / 2] / 1e9);
    }
    printf("\n");
    fflush(stdout);
}

static void masking(void) {
    static const size_t sizes[] = {16, 64, 128, 1024, 16384, 65536, 262144};
    static const operation operations[] = {copy, mask, mask_in_place};
    printf("masking, GB/s                memcpy      mask  in place\n");
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (const wsc_mask_kernel *const *kernel = wsc_mask_kernels; *kernel != NULL; kernel++) {
            if (wsc_cpu_has((*kernel)->level)) {
                job j = {.mask = *kernel, .size = sizes[s]};
                print_speed((*kernel)->name, &j, operations, 3);
            }
        }
    }
}

static size_t whole_characters(size_t size) {
    while ((source[size] & 0xC0) == 0x80) {
        size--;
    }
    return size;
}

static void print_decoding(const wsc_utf8_kernel *kernel, size_t size) {
    static const operation operations[] = {valid, measure, to_ucs};
    job j = {.utf8 = kernel, .size = size};
    if (kernel->measure == NULL) {
        print_speed(kernel->name, &j, operations, 1);
        return;
    }
    kernel->measure(source, size, &j.text);
    print_speed(kernel->name, &j, operations, 3);
}

static int decoding(const char *path) {
    static const size_t sizes[] = {64, 300, 1024, 65536};
    FILE *file = fopen(path, "rb");
    size_t most = file == NULL ? 0 : fread(source, 1, MOST, file);
    if (file != NULL) {
        fclose(file);
    }
    if (most <= 65536 || !wsc_utf8_portable.valid(source, whole_characters(65536))) {
        fprintf(stderr, "%s: not a text of more than 64 KiB\n", path);
        return 1;
    }
    printf("%s, GB/s\n                              valid   measure    to_ucs\n", path);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (const wsc_utf8_kernel *const *kernel = wsc_utf8_kernels; *kernel != NULL; kernel++) {
            if (wsc_cpu_has((*kernel)->level)) {
                print_decoding(*kernel, whole_characters(sizes[s]));
            }
        }
    }
    return 0;
}

int main(int count, char **paths) {
    masking();
    int failed = 0;
    for (int i = 1; i < count; i++) {
        failed |= decoding(paths[i]);
    }
    return failed;
}
