/*
 * route.c - from a connection and a Host to a server, from a path to a location.
 */
#include "core/tls/server_conf.h"
#include "http/req/core.h"
#include "http/req/locations.h"

bool (*http_trusts)(void *const *, const struct weir_addr *);

static const struct weir_http_addr *
addr_of(const struct weir_listen *l)
{
	const struct weir_http_addr	*a = l->owner;

	assert(a != NULL && a->listen == l);
	return a;
}

struct weir_http_server *
route_default(struct weir_listen *l)
{
	return addr_of(l)->dflt;
}

struct weir_http_server *
route_server(struct weir_listen *l, struct weir_sess *s, struct weir_str host)
{
	const struct weir_http_addr	*a = addr_of(l);
	struct weir_http_server		*server;

	/* With one server every name means it; a regex is still asked for its captures. */
	if (a->n_servers == 1 && a->names.n == 0)
		return a->dflt;
	switch (names_find(&a->names, s, host, &server)) {
	case WEIR_OK:
		return server;
	case WEIR_AGAIN:
		return a->dflt;
	default:
		return NULL;
	}
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

bool
route_knows(const struct weir_listen *l, const struct weir_http_server *server, struct weir_str host)
{
	const struct weir_http_main	*h = main_of(server->scope);
	struct weir_http_server		*found;

	if (host.n == 0)
		return false;
	return names_find(&addr_of(l)->names, NULL, host, &found) == WEIR_OK ||
	    (h->want_tls_names && names_find(&h->tls_names, NULL, host, &found) == WEIR_OK);
}

bool
route_http2(const struct weir_listen *l)
{
	return (addr_of(l)->protocols & LISTEN_HTTP2) != 0;
}

const struct weir_tls_ctx *
route_tls(const struct weir_listen *l)
{
	const struct weir_http_addr	*a = addr_of(l);

	return a->ssl != NULL ? tls_ctx_in(a->dflt->conf) : NULL;
}

struct weir_http_server *
route_tls_name(const struct weir_listen *l, struct weir_str name)
{
	const struct weir_http_addr	*a = addr_of(l);
	struct weir_http_server		*server;

	if (name.n == 0 || names_find(&a->names, NULL, name, &server) != WEIR_OK)
		return a->dflt;
	return server;
}

const struct weir_tls_ctx *
route_tls_of(const struct weir_listen *l, const struct weir_http_server *server)
{
	const struct weir_tls_ctx	*ctx = tls_ctx_in(server->conf);

	return ctx != NULL ? ctx : tls_ctx_in(addr_of(l)->dflt->conf);
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
