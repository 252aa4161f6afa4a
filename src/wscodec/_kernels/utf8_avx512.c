/* UTF-8 by vectors of 64 bytes. Floor 0. */
#include "utf8.h"

#if WSC_X86
#include "vec_avx512.h"

#include "utf8_lookup.h"
#include "utf8_transcode.h"

const wsc_utf8_kernel wsc_utf8_avx512 = {"avx512", WSC_AVX512, valid, measure, to_ucs1, to_ucs2, to_ucs4};
#endif
