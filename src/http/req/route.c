/*
 * route.c - from a connection and a Host to a server, from a path to a location.
 */
#include "http/req/core.h"
#include "http/req/locations.h"

static struct weir_http_server *
server_of(struct weir_site *site)
{
	return WEIR_OF(site, struct weir_http_server, site);
}

struct weir_http_server *
route_default(struct weir_listen *l)
{
	return server_of(site_default(l));
}

int
route_server(struct weir_listen *l, struct weir_sess *s, struct weir_str host, struct weir_http_server **server)
{
	struct weir_site	*site = site_named(l, s, host);

	if (unlikely(site == NULL))
		return 500;
	if (unlikely(site->through))
		return 421;
	*server = server_of(site);
	return 0;
}

static struct weir_http_main *
main_of(const struct weir_scope *s)
{
	while (s->in != IN_HTTP)
		s = s->parent;
	return s->owner;
}

void
route_want_tls_names(const struct weir_scope *s)
{
	main_of(s)->want_tls_names = true;
}

void
route_know(const struct weir_scope *s, const struct weir_server_name *name)
{
	struct weir_http_main	*h = main_of(s);

	if (h->want_tls_names && names_add(&h->tls_names, name, h) != WEIR_OK)
		return;		/* a server has it, elsewhere */
}

bool
route_knows(const struct weir_listen *l, const struct weir_http_server *server, struct weir_str host)
{
	const struct weir_http_main	*h = main_of(server->scope);
	void				*found;

	if (host.n == 0)
		return false;
	return names_find(&site_addr_of(l)->names, NULL, host, &found) == WEIR_OK ||
	    (h->want_tls_names && names_find(&h->tls_names, NULL, host, &found) == WEIR_OK);
}

bool
route_http2(const struct weir_listen *l)
{
	return (site_addr_of(l)->protocols & LISTEN_HTTP2) != 0;
}

struct weir_http_server *
route_tls_name(const struct weir_listen *l, struct weir_str name)
{
	return server_of(site_tls_name(l, name));
}

const struct weir_tls_ctx *
route_tls_of(const struct weir_listen *l, const struct weir_http_server *server)
{
	return site_tls_of(l, &server->site);
}

int
route_location(struct weir_http_server *server, struct weir_sess *s, struct weir_str path,
    struct weir_location **found)
{
	*found = NULL;
	if (server->locations == NULL)
		return WEIR_OK;
	return locations_find(server->locations, s, path, found);
}
