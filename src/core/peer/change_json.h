/*
 * change_json.h - servers of a group as JSON, with the members that nginx Plus's API has.
 */
#ifndef WEIR_PEER_CHANGE_JSON_H
#define WEIR_PEER_CHANGE_JSON_H

#include "core/base/text.h"
#include "core/peer/change.h"

/* What was said of a server; of all of them; and how those of a group are doing. */
void	server_put_json(struct weir_text *, const struct weir_group *, const struct weir_server *);
void	servers_put_json(struct weir_text *, struct weir_group *);
void	group_put_json(struct weir_text *, struct weir_group *);
/*
 * An object of members into those fields of *s, with their bits in s->set; texts lie in the pool.  Returns NULL, or the code of
 * what is wrong, with *why and a status of HTTP.
 */
const char *server_read_json(const struct weir_group *, struct weir_server *s, struct weir_str text, struct weir_pool *,
	    struct weir_str *why, int *status);

#endif
