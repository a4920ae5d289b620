/*
 * uri.h - the one normal form of a request's path.
 *
 * Location matching, access, files and (when the URI is rewritten) the upstream all
 * see this form: percent-decoded, `.` and `..` resolved, slashes merged if asked.
 */
#ifndef WEIR_HTTP_MSG_URI_H
#define WEIR_HTTP_MSG_URI_H

#include "core/base/pool.h"

struct weir_uri {
	struct weir_str	 path;		/* decoded; starts with / */
	struct weir_str	 args;		/* after ?, raw; NONE when there is no ? */
	bool		 has_args;	/* there was a ? */
	bool		 plain;		/* path is the target's path byte for byte */
};

/*
 * From an origin-form target ("/a%20b/../c?x").  WEIR_FAIL: malformed (not starting with /, bad escape,
 * NUL, control, space, '#', leaves the root); `*why` says it.  No copy is made when the path is plain.
 */
int	uri_parse(struct weir_pool *, struct weir_str target, bool merge_slashes, struct weir_uri *,
	    const char **why) WEIR_MUST_USE;

/* What to escape when writing: as nginx does in each of these places. */
enum weir_escape {
	ESCAPE_URI,		/* a path for the upstream's request line: keeps / and most punctuation */
	ESCAPE_ARGS,		/* a captured value inside arguments */
	ESCAPE_COMPONENT,	/* everything but unreserved */
	ESCAPE_HTML,		/* < > & " */
	ESCAPE_REDIRECT		/* a Location: what cannot stand there, keeps %XX */
};
struct weir_str uri_escape(struct weir_pool *, struct weir_str, enum weir_escape);
/* Undo %XX; a bad escape stays as it is. */
struct weir_str uri_unescape(struct weir_pool *, struct weir_str);

#endif
