/*
 * passwd.h - is this the password whose hash is stored?
 *
 * What is stored may be any hash that crypt(3) of the system knows (DES, $1$, $5$, $6$, $2y$, $y$, $gy$ ...),
 * $apr1$, {SHA}, {SSHA} or {PLAIN}.  The last three are compared at once; all others are hashed by
 * a thread (core/ev/offload.h), so a configuration that uses this declares cycle_needs_threads().
 *
 * A no costs as much as the costliest hash around (`dummy`), whether there is such a user or not, so that
 * time tells nothing.  Comparing takes the same time for any difference.
 */
#ifndef WEIR_SESS_PASSWD_H
#define WEIR_SESS_PASSWD_H

#include "core/base/str.h"

/* crypt(3) takes no longer ones, so nobody has one. */
#define PASSWD_MAX	511
/* Longer ones are none of a kind that exists. */
#define PASSWD_HASH_MAX	511

enum weir_passwd_answer {
	PASSWD_NO,
	PASSWD_YES,
	PASSWD_UNFIT,	/* a no: what is stored fits no password at all */
	PASSWD_LATER,	/* done() will be called */
	PASSWD_BUSY	/* too many wait already */
};

struct weir_passwd;	/* a check that is under way */

/*
 * Whether hashing takes long, and which of two hashes takes longer; 0: it is compared at once.
 */
uint64_t passwd_cost(struct weir_str stored);

struct weir_passwd_ask {
	struct weir_str	 password;	/* as it came */
	struct weir_str	 stored;	/* .p NULL: there is no such user */
	struct weir_str	 dummy;		/* a stored hash whose cost a no has; may be empty */
	/* On the loop, never from inside passwd_check(); with YES, NO or UNFIT. */
	void		(*done)(void *arg, enum weir_passwd_answer);
	void		*arg;
};

/* Everything is copied.  With PASSWD_LATER, *check is what passwd_cancel() wants. */
enum weir_passwd_answer passwd_check(const struct weir_passwd_ask *, struct weir_passwd **check);
/* Who asked goes: done() will not be called. */
void	 passwd_cancel(struct weir_passwd *);
/* In a worker, before it is locked in.  WEIR_FAIL after complaining. */
int	 passwd_start(void) WEIR_MUST_USE;

#endif
