/* What the CPU and the operating system can do, and how much of it each kernel asks for. Floor 0.
 *
 * On x86 a level contains those before it. NEON is part of every 64-bit ARM CPU.
 */
#ifndef WSC_CPU_H
#define WSC_CPU_H

#if (defined(__GNUC__) || defined(__clang__)) && (defined(__x86_64__) || defined(__i386__))
#define WSC_X86 1
/* Function-level targets: one object file holds kernels for every CPU, and none needs a compiler flag. */
#define WSC_TARGET(features) __attribute__((target(features)))
#else
#define WSC_X86 0
#endif

#if (defined(__GNUC__) || defined(__clang__)) && defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#define WSC_ARM 1
#else
#define WSC_ARM 0
#endif

/* For a pointer that threads read while one may write it. MSVC has no C11 atomics by default; it reads and writes an
 * aligned pointer whole. */
#if defined(__STDC_NO_ATOMICS__) || (defined(_MSC_VER) && !defined(__clang__))
#define WSC_SHARED volatile
#else
#define WSC_SHARED _Atomic
#endif

typedef enum {
    WSC_PORTABLE,
    WSC_SSE2,
    WSC_SSSE3,  /* and POPCNT */
    WSC_AVX2,   /* and POPCNT */
    WSC_AVX512, /* F, BW and VL, on CPUs with VBMI: older ones lower their clock for 512-bit vectors */
    WSC_NEON
} wsc_level;

/* Whether the CPU has the instructions of `level` and the operating system saves their registers. */
int wsc_cpu_has(wsc_level level);

#endif
