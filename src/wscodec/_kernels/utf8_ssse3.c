/* UTF-8 by vectors of 16 bytes. Floor 0. */
#include "utf8.h"

#if WSC_X86
#include "vec_ssse3.h"

#include "utf8_lookup.h"
#include "utf8_transcode.h"

const wsc_utf8_kernel wsc_utf8_ssse3 = {"ssse3", WSC_SSSE3, valid, measure, to_ucs1, to_ucs2, to_ucs4};
#endif
