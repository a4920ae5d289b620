/*
 * headers.h - lists of fields that the configuration adds, for headers*.c.
 */
#ifndef WEIR_MODULES_HEADERS_H
#define WEIR_MODULES_HEADERS_H

#include "http/req/req.h"

struct header {
	struct weir_str	 name;
	struct weir_expr value;
	bool		 always;	/* whatever the status */
};

struct header_list {
	struct header	*v;
	unsigned	 n, room;
};

enum header_inherit { INHERIT_ON, INHERIT_OFF, INHERIT_MERGE };
extern const struct weir_choice header_inherits[];

/* Read `add_header name value [always]` into a list. */
int	header_read(struct weir_conf *, struct weir_node *, struct header_list *) WEIR_MUST_USE;
/*
 * What holds in a place: `own` was written there (NULL: nothing), `above` holds in the place around it.
 */
const struct header_list *header_resolve(struct weir_conf *, const struct header_list *own,
	    const struct header_list *above, enum header_inherit);
/* Is the field added to a response of this status? */
bool	header_applies(const struct header *, int status);

#endif
