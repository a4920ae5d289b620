/*
 * limit.h - what the system allows this process, and what the machine has.
 */
#ifndef WEIR_OS_LIMIT_H
#define WEIR_OS_LIMIT_H

#include <sched.h>

#include "core/base/str.h"

#define LIMIT_NONE	UINT64_MAX

/* Descriptors this process may have open (RLIMIT_NOFILE). */
uint64_t limit_nofile(void);
/* The most that limit_nofile_set() can do without privileges. */
uint64_t limit_nofile_hard(void);
/* Sets both limits when they may be raised, else the soft one.  WEIR_FAIL with errno. */
int	 limit_nofile_set(uint64_t) WEIR_MUST_USE;
/* Size of core files, in bytes. */
int	 limit_core_set(uint64_t) WEIR_MUST_USE;

/* CPUs that this process may run on, and that its cgroup pays for; at least 1. */
unsigned cpu_count(void);
/*
 * A mask in the text of worker_cpu_affinity: `0101`, the last digit being CPU 0.
 * WEIR_FAIL when it is no such mask, or has no CPU in it.
 */
int	 cpu_mask_read(struct weir_str, cpu_set_t *) WEIR_MUST_USE;
/* Only the nth of the CPUs in `from` (again from the first after the last); false when it is empty. */
bool	 cpu_mask_nth(const cpu_set_t *from, unsigned nth, cpu_set_t *to);
/* The CPUs this process may run on. */
int	 cpu_mask_own(cpu_set_t *) WEIR_MUST_USE;
int	 cpu_bind(const cpu_set_t *) WEIR_MUST_USE;

size_t	 page_size(void);
size_t	 cache_line(void);		/* 64 when the system does not say */

#endif
