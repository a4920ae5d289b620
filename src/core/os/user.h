/*
 * user.h - looking users up, and giving privileges up for good.
 */
#ifndef WEIR_OS_USER_H
#define WEIR_OS_USER_H

#include "core/base/defs.h"

struct weir_user {
	char	name[64];
	uid_t	uid;
	gid_t	gid;
};

/*
 * Finds a user by name or number; `group` is a name or a number too, or NULL for the user's own.
 * WEIR_FAIL when either does not exist (errno 0) or could not be looked up (errno).
 */
int	 user_find(struct weir_user *, const char *user, const char *group) WEIR_MUST_USE;

/*
 * Becomes that user and loses every privilege, so that it cannot come back: identities and
 * groups (when this is root), all capabilities but those of the bit mask `keep`
 * (1 << CAP_NET_RAW; 0: none) and the bounding set likewise, no_new_privs, not dumpable.
 * WEIR_FAIL with errno; the process must not go on then.  *step, if not NULL, becomes what
 * was being done.  When this is not root the identities stay what they are.
 */
int	 user_drop(const struct weir_user *, uint64_t keep, const char **step) WEIR_MUST_USE;

/* Has this process the capability, CAP_NET_RAW for one? */
bool	 user_may(unsigned cap);

#endif
