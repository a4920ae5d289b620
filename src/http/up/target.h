/*
 * target.h - where a request is passed to, when that is known only with the request.
 */
#ifndef WEIR_HTTP_UP_TARGET_H
#define WEIR_HTTP_UP_TARGET_H

#include "core/peer/peer.h"
#include "http/req/req.h"
#include "http/up/pass.h"

/*
 * "http://host:port/uri" or "https://...", or what the kind has in their place: views of its parts; the URI may be
 * empty.  False: it is neither, or has no host.
 */
bool	target_split(struct weir_str url, const struct weir_up_kind *, struct weir_str *host, struct weir_str *uri, bool *secure);
/*
 * The group that `host` (a group's name, or a host with or without a port; else `port` is meant) stands for.  WEIR_OK and *group;
 * WEIR_AGAIN: its name is being asked for, the request is resumed and asks again; WEIR_FAIL: there is none,
 * and that was logged.  What is being asked for is kept as the state of `module`.
 */
int	target_group(struct weir_req *, unsigned module, struct weir_str host, unsigned port,
	    struct weir_group **group) WEIR_MUST_USE;

#endif
