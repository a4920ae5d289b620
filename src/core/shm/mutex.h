/*
 * mutex.h - locks in shared memory, which outlive who holds them.
 *
 * Who dies with such a lock leaves it to the next, who is told and makes good what may be half done.  They are
 * unlocked by pthread_mutex_unlock(3).
 */
#ifndef WEIR_SHM_MUTEX_H
#define WEIR_SHM_MUTEX_H

#include <errno.h>
#include <pthread.h>

#include "core/base/defs.h"

/* Once, by who made the memory. */
void	mutex_init(pthread_mutex_t *);
/* False: it is ours, but the last owner died with it. */
static inline bool
mutex_lock(pthread_mutex_t *m)
{
	int rc = pthread_mutex_lock(m);

	if (unlikely(rc == EOWNERDEAD)) {
		pthread_mutex_consistent(m);
		return false;
	}
	assert(rc == 0);
	return true;
}

#endif
