/*
 * small.h - memory for libraries: blocks of any size, given back without saying how large they are.
 *
 * As malloc(), for those that allocate a lot for each connection and each request, above all OpenSSL and nghttp2.  Blocks
 * of one size lie together in pages of their own, without a header: taking and giving back cost a
 * fifth of what malloc() and free() do, what lives long does not pin what lives shortly, and pages where nothing is left go
 * back to the system.  What is larger than SMALL_MOST comes from malloc(), as does everything where address space
 * is limited (RLIMIT_AS), in threads other than the first, and under ASan.
 */
#ifndef WEIR_BASE_SMALL_H
#define WEIR_BASE_SMALL_H

#include "core/base/defs.h"

#define SMALL_MOST	8192u

/*
 * Reserve the addresses; until then, and if they cannot be had, everything is malloc()'s.  Once, by the process's first
 * thread, before it forks: a child has a copy, like of everything.
 */
void	 small_begin(void);
/* NULL: there is no memory.  Also of 0 bytes it is something that is to be freed. */
void	*small_try(size_t) __attribute__((malloc, alloc_size(1)));
/* As realloc(): NULL leaves the old one as it is. */
void	*small_retry(void *, size_t);
/* From small_try(), malloc() or mem_alloc(); NULL is fine. */
void	 small_free(void *);
/* What fits in it, at least what was asked for. */
size_t	 small_size(void *);
/*
 * Between small_blank(true) and small_blank(false): what is taken will stay as it is zeroed, for long.  It lies together, and
 * whole pages of zeros are given back to the system, which makes them again for whoever writes there after all.
 */
void	 small_blank(bool on);
/* For tests: blocks of the first thread's that are in use. */
size_t	 small_in_use(void);

#endif
