/*
 * random.h - random numbers: for secrets, and cheap ones for everything else.
 */
#ifndef WEIR_OS_RANDOM_H
#define WEIR_OS_RANDOM_H

#include "core/base/defs.h"

/* From the kernel: for keys, tokens, nonces.  Never fails; the process ends if the kernel cannot. */
void	 random_bytes(void *, size_t);

/*
 * Cheap: for jitter, balancing, sampling.  Who sees some of them can guess the
 * others, so never for secrets.  Each process has its own sequence, also after fork.
 */
uint32_t random_u32(void);
uint64_t random_u64(void);
/* Evenly 0 ... n - 1; 0 when n is 0. */
uint32_t random_below(uint32_t n);

#endif
