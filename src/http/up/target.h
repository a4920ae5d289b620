/*
 * target.h - what proxy_pass and its kin name: its parts.
 */
#ifndef WEIR_HTTP_UP_TARGET_H
#define WEIR_HTTP_UP_TARGET_H

#include "core/peer/target.h"
#include "http/req/req.h"
#include "http/up/pass.h"

/*
 * "http://host:port/uri" or "https://...", or what the kind has in their place: views of its parts; the URI may be
 * empty.  False: it is neither, or has no host.
 */
bool	target_split(struct weir_str url, const struct weir_up_kind *, struct weir_str *host, struct weir_str *uri, bool *secure);
#endif
