/*
 * core.h - what the files behind module `http` share.  Nobody else includes it.
 *
 * The owner of a scope says what block it is: of an http scope struct weir_http_main, of a server
 * scope struct weir_http_server, of a location, if or limit_except scope struct weir_location.
 */
#ifndef WEIR_HTTP_REQ_CORE_H
#define WEIR_HTTP_REQ_CORE_H

#include "http/req/conf.h"
#include "http/req/names.h"

struct weir_http_listen {
	struct weir_http_listen *next;
	struct weir_addr addr;
	struct weir_listen_opts opts;
	bool		 deferred, v6only_given;
	bool		 given;		/* options of the socket were written here */
	bool		 dflt;		/* default_server */
	unsigned	 protocols;	/* LISTEN_ bits: what is spoken before or instead of plain HTTP/1 */
	bool		 trusted;	/* proxy_protocol=trusted */
	const struct weir_node *node;
	unsigned	 word;
};

enum { LISTEN_PROXY_PROTOCOL = 1, LISTEN_SSL = 2, LISTEN_HTTP2 = 4 };

struct weir_http_addr {
	struct weir_listen *listen;
	struct weir_http_server *dflt;
	bool		 dflt_given;
	const struct weir_http_listen *options;	/* whose they are; NULL: nobody gave any */
	unsigned	 protocols;	/* of all listens together */
	unsigned	 protocols_last;	/* of the one before, which the next should repeat */
	bool		 protocols_set, protocols_changed;
	const struct weir_node *ssl;		/* the first listen that says ssl; NULL: none does */
	unsigned	 n_servers;
	struct weir_http_server *bare;		/* the first without a certificate; NULL: none is */
	struct weir_names names;
};

struct weir_http_main {			/* the http block */
	struct weir_scope *scope;
	struct weir_vars *vars;
	struct weir_http_server **v;	/* in order of writing */
	bool		 want_tls_names;
	struct weir_names tls_names;	/* of all servers on addresses with TLS, when somebody wants them */
	unsigned	 n, room;
};

/* ---- listen_conf.c ---- */

int	conf_listen(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);
int	conf_server_name(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);
/* The server is read: give it its addresses and names. */
int	listen_server(struct weir_conf *, struct weir_http_server *) WEIR_MUST_USE;
/* All servers are read: is there a certificate wherever one is needed? */
int	listen_check(struct weir_conf *) WEIR_MUST_USE;

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
