/*
 * core.h - what the files behind module `http` share.  Nobody else includes it.
 *
 * The owner of a scope says what block it is: of an http scope struct weir_http_main, of a server
 * scope struct weir_http_server, of a location, if or limit_except scope struct weir_location.
 */
#ifndef WEIR_HTTP_REQ_CORE_H
#define WEIR_HTTP_REQ_CORE_H

#include "http/req/conf.h"

struct weir_http_main {			/* the http block */
	struct weir_scope *scope;
	struct weir_vars *vars;
	struct weir_http_server **v;	/* in order of writing */
	bool		 want_tls_names;
	struct weir_names tls_names;	/* of all servers on addresses with TLS, when somebody wants them */
	unsigned	 n, room;
};

/* ---- tls_names.c ---- */

/* A server is read: if names of its certificates have variables, they are evaluated for each client. */
int	tls_names_conf(struct weir_conf *, struct weir_http_server *) WEIR_MUST_USE;

/* ---- location_conf.c ---- */

int	conf_location(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);
int	conf_limit_except(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);

/* ---- errpage_conf.c ---- */

int	conf_error_page(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);

/* ---- types_conf.c ---- */

int	conf_types(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);

/* The location of a scope; NULL on server level and above. */
static inline struct weir_location *
scope_location(const struct weir_scope *s)
{
	return s->in & (IN_LOCATION | IN_IF | IN_LIMIT) ? s->owner : NULL;
}

/* The server of a scope; NULL above. */
static inline struct weir_http_server *
scope_server(const struct weir_scope *s)
{
	while (s != NULL && s->in != IN_SERVER)
		s = s->parent;
	return s != NULL ? s->owner : NULL;
}

#endif
