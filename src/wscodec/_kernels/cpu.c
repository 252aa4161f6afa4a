/* CPU detection, by the compiler's own run-time support (it checks CPUID and XGETBV). Floor 0. */
#include "cpu.h"

#if WSC_X86
static int x86_has(wsc_level level) {
    __builtin_cpu_init();
    switch (level) {
    case WSC_SSE2:
        return __builtin_cpu_supports("sse2") != 0;
    case WSC_SSSE3:
        return __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("popcnt");
    case WSC_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
    case WSC_AVX512:
        return x86_has(WSC_AVX2) && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vbmi");
    default:
        return 0;
    }
}
#endif

int wsc_cpu_has(wsc_level level) {
    if (level == WSC_PORTABLE) {
        return 1;
    }
#if WSC_X86
    return x86_has(level);
#else
    return level == WSC_NEON && WSC_ARM;
#endif
}
