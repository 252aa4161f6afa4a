/* UTF-8 by vectors of 16 bytes. Floor 0. */
#include "utf8.h"

#if WSC_ARM
#include "vec_neon.h"

#include "utf8_lookup.h"
#include "utf8_transcode.h"

const wsc_utf8_kernel wsc_utf8_neon = {"neon", WSC_NEON, valid, measure, to_ucs1, to_ucs2, to_ucs4};
#endif
