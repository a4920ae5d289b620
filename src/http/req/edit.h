/*
 * edit.h - what a response's head loses when its body is changed; and which responses are changed.
 *
 * For response hooks that wrap r->body.  sub_filter, charset, gzip and gunzip do all the same
 * to the head, and ask by the same kind of list whether a media type concerns them.
 */
#ifndef WEIR_HTTP_REQ_EDIT_H
#define WEIR_HTTP_REQ_EDIT_H

#include "http/req/req.h"

/* The body's length is not known any more, and no parts of it can be had. */
void	req_length_unknown(struct weir_req *);
/* The ETag says "means the same", no longer "the same bytes" (RFC 9110, 8.8.1).  What is no ETag goes. */
void	req_etag_weaken(struct weir_req *);
/* Is there (or, for HEAD, would there be) a body, not empty as far as is known? */
bool	req_has_content(const struct weir_req *);

/* Media types of a `*_types` directive. */
struct weir_media_types {
	struct weir_str	*v;
	unsigned	 n, room;
	bool		 any;		/* "*" */
};

/*
 * For set(): what the directive lists, and text/html, which is always meant.  A line on its own
 * replaces what was inherited.
 */
int	media_types_set(struct weir_conf *, struct weir_node *, struct weir_media_types *) WEIR_MUST_USE;
/* Does r->content_type belong to them?  An empty list means text/html; no type belongs to none. */
bool	media_types_has(const struct weir_media_types *, const struct weir_req *);

#endif
