/* How the functions of a kernel are declared. Included by vec_*.h, once VEC_TARGET says for which CPU. Floor 0. */
#ifndef WSC_VEC_H
#define WSC_VEC_H

/* Stands before a part of a kernel. */
#define VEC static inline VEC_TARGET
/* The same where the parts' values must stay in registers, and what nobody uses must not be computed. */
#define VEC_INLINE static inline __attribute__((always_inline)) VEC_TARGET
/* Stands before a function that a table of kernels names. */
#define VEC_KERNEL static VEC_TARGET

#endif
