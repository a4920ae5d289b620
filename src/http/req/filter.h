/*
 * filter.h - what modules have in common that change the bodies of responses.
 *
 * Such a module has an ON_RESPONSE hook that wraps r->body in a source of its own, and says
 * with filter_changes() what that means for the head.
 */
#ifndef WEIR_HTTP_REQ_FILTER_H
#define WEIR_HTTP_REQ_FILTER_H

#include "http/req/req.h"

/*
 * Is the response's media type, its parameters left aside, text/html or one of these?  "*" stands for
 * all.  For directives like sub_filter_types, which are a CONF_LIST.
 */
bool	filter_fits(const struct weir_req *, const struct weir_conf_list *types);
/* The response's Content-Type as it stands now, wherever it is kept; empty when there is none. */
struct weir_str filter_content_type(const struct weir_req *);
/*
 * The body will not be what its head says: its length is unknown, ranges of it cannot be had, a strong ETag
 * becomes a weak one, and Last-Modified goes unless `dated`.
 */
void	filter_changes(struct weir_req *, bool dated);

#endif
