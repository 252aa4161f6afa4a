/* What the CPU and the operating system can do, and how much of it each kernel asks for. Floor 0.
 *
 * A level contains those before it on the same architecture. Levels that no kernel uses are not listed.
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

typedef enum { WSC_PORTABLE, WSC_AVX2 } wsc_level;

/* Whether the CPU has the instructions of `level` and the operating system saves their registers. */
int wsc_cpu_has(wsc_level level);

#endif
