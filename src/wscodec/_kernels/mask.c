/* The table of masking kernels. Floor 0. */
#include "mask.h"

const wsc_mask_kernel wsc_mask_kernels[] = {
#if WSC_X86
    {"avx2", WSC_AVX2, wsc_mask_avx2},
#endif
    {"portable", WSC_PORTABLE, wsc_mask_portable},
    {NULL, WSC_PORTABLE, NULL},
};
