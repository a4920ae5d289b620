/*
 * users.h - files of users and their passwords' hashes, as htpasswd(1) makes them.
 *
 *	# comment
 *	name:hash
 *	name:hash:comment
 *
 * The first line of a name counts.  Lines that are no such lines are skipped.
 *
 * A worker keeps the files that it has read, and asks the system for each use whether one is still the
 * same: device, number, size, times of change.
 */
#ifndef WEIR_SESS_USERS_H
#define WEIR_SESS_USERS_H

#include "core/base/log.h"

#define USERS_FILE_MAX	(8u << 20)	/* bytes of a file */
#define USERS_FILES	64		/* files that are kept ... */
#define USERS_KEPT	(32u << 20)	/* ... and what they have together, at most */

struct weir_users;

/*
 * The users of a file, read if need be; `path` is absolute and NUL-terminated.  Good until the next call.  NULL with
 * errno; *what is the system call that failed, or NULL and errno 0 when a message is in the log.
 */
const struct weir_users *users_open(const char *path, struct weir_log *, const char **what);
/* What is stored for a user, or STR_NONE. */
struct weir_str users_find(const struct weir_users *, struct weir_str name);
/* The stored hash of the file that takes longest to compute; empty when none takes long. */
struct weir_str users_costliest(const struct weir_users *);
/* What changes when the file does: for keys of caches. */
struct weir_str users_identity(const struct weir_users *);
/* Forget all of them. */
void	 users_forget(void);

/*
 * The next user of a text; false at its end.  *rest moves on.
 */
bool	 users_next(struct weir_str *rest, struct weir_str *name, struct weir_str *stored);

#endif
