/*
 * shmap.h - memory that this process shares with those it forks.
 *
 * Zeroed, aligned to a page, never moved, and not part of core files: keys may be in
 * it.  It belongs to whoever made it; the last process that ends takes it along.
 */
#ifndef WEIR_OS_SHMAP_H
#define WEIR_OS_SHMAP_H

#include "core/base/defs.h"

/*
 * The same, and the descriptor of its file in *fd, for a process that is to have it over execve(2);
 * -1 where there is none.  It cannot change its size any more.
 */
void	*shmap_new_fd(size_t size, const char *name, int *fd) WEIR_MUST_USE;
/* Maps what another process has made; *size is what it has.  NULL with errno. */
void	*shmap_of_fd(int fd, size_t *size) WEIR_MUST_USE;

/* NULL with errno when there is no such memory.  `name` shows in /proc/PID/maps where that works. */
void	*shmap_new(size_t size, const char *name) WEIR_MUST_USE;
void	 shmap_free(void *, size_t size);	/* NULL is fine */

#endif
