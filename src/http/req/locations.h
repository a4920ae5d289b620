/*
 * locations.h - which location does a path mean?
 *
 * One index holds the locations of one level: of a server, or those nested in a location.
 */
#ifndef WEIR_HTTP_REQ_LOCATIONS_H
#define WEIR_HTTP_REQ_LOCATIONS_H

#include "http/req/conf.h"

struct weir_sess;

struct weir_loc_index *locations_new(struct weir_pool *);
/* The location of that level that has the same name and kind already; NULL: it was added. */
struct weir_location *locations_add(struct weir_loc_index *, struct weir_location *);
/* All of the level were added: make it ready for finding. */
void	locations_done(struct weir_loc_index *);
/*
 * WEIR_OK and *found (NULL: no location has this path); ROUTE_SLASH: *found is "/dir/" and wants
 * "/dir" to be redirected to it; WEIR_FAIL: a regex gave up.  A regex that matches sets
 * the session's captures.  Allocates nothing.
 */
int	locations_find(const struct weir_loc_index *, struct weir_sess *, struct weir_str path,
	    struct weir_location **found) WEIR_MUST_USE;

#endif
