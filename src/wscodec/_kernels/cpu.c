/* CPU detection, by the compiler's own run-time support (it checks CPUID and XGETBV). Floor 0. */
#include "cpu.h"

int wsc_cpu_has(wsc_level level) {
    switch (level) {
    case WSC_PORTABLE:
        return 1;
    case WSC_AVX2:
#if WSC_X86
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") != 0;
#else
        return 0;
#endif
    }
    return 0;
}
