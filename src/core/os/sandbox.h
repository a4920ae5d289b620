/*
 * sandbox.h - a process locks itself in: system calls (seccomp) and files (Landlock).
 *
 * Declare first, while the configuration is read, what files will be needed; enter last,
 * after privileges are gone.  There is no way out.  Both are best effort: a kernel that
 * lacks one is no error, and sandbox_enter() tells what there is.
 *
 * Inside, a process can do what a proxy does with descriptors, sockets of the families
 * AF_UNIX, AF_INET and AF_INET6 (no raw ones), timers, signals to itself, memory and
 * the declared files.  It cannot execute, fork, begin threads, trace, mount, signal others, load
 * anything into the kernel, change its identity or limits: EPERM, or death.
 */
#ifndef WEIR_OS_SANDBOX_H
#define WEIR_OS_SANDBOX_H

#include "core/base/pool.h"

struct weir_sandbox_path {
	const char	*path;
	bool		 write;
};

struct weir_sandbox {
	struct weir_pool	*pool;
	struct { struct weir_sandbox_path *v; unsigned n, room; } paths;
	bool	kill;		/* a forbidden system call ends the process, instead of EPERM */
	bool	jit;		/* memory may be made executable: for PCRE's compiler */
	bool	any_file;	/* no Landlock: files are guarded by their owners only */
	/*
	 * Called inside Landlock, which holds for threads only if they begin after it, and before seccomp, which
	 * holds for all there are and lets none begin.  Its mistakes are its own.  NULL: no threads.
	 */
	void	(*begin_threads)(void);
};

/* What sandbox_enter() achieved, as a bit mask. */
#define SANDBOX_NO_NEW_PRIVS	1
#define SANDBOX_LANDLOCK	2
#define SANDBOX_SECCOMP		4
#define SANDBOX_ALL		7

void	 sandbox_init(struct weir_sandbox *, struct weir_pool *);
/*
 * A file, or a directory and all below it, that will be read; or in which files will be
 * made, written, renamed and removed.  What does not exist when entering stays forbidden.
 * Descriptors that are open already are not touched by any of this.
 */
void	 sandbox_allow_read(struct weir_sandbox *, const char *path);
void	 sandbox_allow_write(struct weir_sandbox *, const char *dir);
/* Files that the C library and OpenSSL read by themselves: resolver, zones, certificates. */
void	 sandbox_allow_system(struct weir_sandbox *);

/*
 * Locks this process in, threads that it may have included.  Returns the bits above; what is missing is
 * not supported by the kernel, or was refused: then errno tells why.
 */
int	 sandbox_enter(const struct weir_sandbox *);

#endif
