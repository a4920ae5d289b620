/*
 * target.h - where a session is passed to, when that is known only with the session.
 */
#ifndef WEIR_PEER_TARGET_H
#define WEIR_PEER_TARGET_H

#include "core/peer/peer.h"

/*
 * The group that `host` (a group's name, or a host with or without a port; else `port` is meant, 0: it must have one) stands
 * for.  WEIR_OK and *group; WEIR_AGAIN: its name is being asked for, the session is resumed and asks again; WEIR_FAIL:
 * there is none, and that was logged.  What is being asked for is kept as the state of `module`.
 */
int	target_group(struct weir_sess *, unsigned module, struct weir_str host, unsigned port,
	    struct weir_group **group) WEIR_MUST_USE;

#endif
