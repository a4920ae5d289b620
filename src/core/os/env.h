/*
 * env.h - the environment that the process keeps.
 */
#ifndef WEIR_OS_ENV_H
#define WEIR_OS_ENV_H

#include "core/base/pool.h"

/*
 * Replaces the environment: of `n` entries, "NAME" keeps an inherited variable and
 * "NAME=value" sets one; all others go.  Names the dynamic linker or the C
 * library obey (LD_*, GLIBC_TUNABLES, MALLOC_*) are never kept.  The pool holds the new
 * environment and must live as long as the process.
 */
void	 env_keep(struct weir_pool *, const char *const *entries, size_t n);

#endif
