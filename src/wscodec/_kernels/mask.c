/* The table of masking kernels. Floor 0. */
#include "mask.h"

const wsc_mask_kernel *const wsc_mask_kernels[] = {
#if WSC_X86
    &wsc_mask_avx512,   &wsc_mask_avx2, &wsc_mask_sse2,
#endif
#if WSC_ARM
    &wsc_mask_neon,
#endif
    &wsc_mask_portable, NULL,
};
