/*
 * locks.h - the two halves of the sandbox; for sandbox.c only.
 */
#ifndef WEIR_OS_LOCKS_H
#define WEIR_OS_LOCKS_H

#include "core/os/sandbox.h"

/* Sanitizers look at their process in ways that would be an attack elsewhere. */
#if WEIR_ASAN || defined(WEIR_SANITIZE)
#define SANDBOX_SANITIZED 1
#else
#define SANDBOX_SANITIZED 0
#endif

/* Files.  WEIR_FAIL with errno: ENOSYS or EOPNOTSUPP where the kernel has no Landlock. */
int	 landlock_enter(const struct weir_sandbox *) WEIR_MUST_USE;
/* System calls.  WEIR_FAIL with errno.  no_new_privs must be set. */
int	 seccomp_enter(const struct weir_sandbox *) WEIR_MUST_USE;

#endif
