/*
 * site.h - who listens where, under which names: what server blocks of http and stream have in common.
 *
 *	listen_conf.c  listen and server_name
 *	names.c        which server does a name mean?
 *	tls_names.c    certificates whose names have variables
 *	through_conf.c names of an address whose TLS ends elsewhere
 *	sites.c        the servers of an address, while it is served
 *
 * A room has a struct for its server blocks, with a struct weir_site in it, and binds `listen` and
 * `server_name` by the functions below; at the end of each block it calls site_done(), and when all
 * are read site_check().
 */
#ifndef WEIR_SITE_SITE_H
#define WEIR_SITE_SITE_H

#include "core/net/listen.h"
#include "core/site/names.h"
#include "core/tls/ctx.h"

struct weir_site {			/* in the room's struct of a server block */
	struct weir_scope *scope;
	const struct weir_node *node;
	struct weir_str	 name;		/* the first server_name */
	struct weir_server_name *names;
	unsigned	 n_names, names_room;
	struct weir_site_listen *listens, **listens_tail;
	struct weir_hash listens_by;	/* listen_key() */
	bool		 through;	/* it is no server of the room: connections for its names go through, as they come */
};

enum { LISTEN_PROXY_PROTOCOL = 1, LISTEN_SSL = 2, LISTEN_HTTP2 = 4 };

/* One address of one server block, as `listen` said it. */
struct weir_site_listen {
	struct weir_site_listen *next;
	struct weir_addr addr;
	int		 type;		/* SOCK_STREAM or SOCK_DGRAM */
	struct weir_listen_opts opts;
	bool		 deferred, v6only_given;
	bool		 given;		/* options of the socket were written here */
	bool		 dflt;		/* default_server */
	unsigned	 protocols;	/* LISTEN_ bits: what comes before, or instead of, plain bytes */
	bool		 trusted;	/* proxy_protocol=trusted */
	const struct weir_node *node;
};

/* All servers of one listening address: weir_listen.owner. */
struct weir_site_addr {
	struct weir_listen *listen;
	struct weir_site *dflt;
	bool		 dflt_given;
	const struct weir_site_listen *options;	/* whose they are; NULL: nobody gave any */
	unsigned	 protocols;	/* of all listens together */
	unsigned	 protocols_last;	/* of the one before, which the next should repeat */
	bool		 protocols_set, protocols_changed;
	const struct weir_node *ssl;		/* the first listen that says ssl; NULL: none does */
	unsigned	 n_sites;
	struct weir_site *bare;			/* the first without a certificate; NULL: none is */
	bool		 through;		/* some names mean sites that are `through` */
	struct weir_names names;
};

struct weir_site_kind {
	const char	*other;		/* whose an address is that is not ours: "a stream server" */
	unsigned	 port;		/* where listen says none; 0: it must say one */
	void		(*on_conn)(struct weir_conn *);
};

/* ---- while binding; each complains itself ---- */

/* For set() of listen and server_name. */
int	site_listen(struct weir_conf *, struct weir_scope *, struct weir_node *, const struct weir_site_kind *,
	    struct weir_site *);
int	site_server_name(struct weir_conf *, struct weir_node *, struct weir_site *);
/* A server without listen: on this port, everywhere. */
void	site_listen_port(struct weir_conf *, struct weir_site *, unsigned port);
/*
 * The server is read, its context of TLS is made: give it its addresses and names.  `deferred_s`: what `deferred` means.
 */
int	site_done(struct weir_conf *, struct weir_site *, const struct weir_site_kind *, unsigned deferred_s)
	    WEIR_MUST_USE;
/*
 * If names of the server's certificates have variables, they are asked of a session that make() gives, in that pool, for a
 * connection in the handshake; `owner` is tls_owner()'s.
 */
int	site_tls_names(struct weir_conf *, const struct weir_scope *,
	    struct weir_sess *(*make)(struct weir_conn *, void *owner, struct weir_pool *)) WEIR_MUST_USE;
/* All servers are read: is there a certificate wherever one is needed? */
int	site_check(struct weir_conf *, const struct weir_site_kind *) WEIR_MUST_USE;
/*
 * All servers are read: where `from` listens with ssl, clients that ask for the names of `to`, which is `through`, get
 * what site_through() says.  The names are looked for together with those of servers, so an exact one wins over a wildcard; it is
 * a mistake when a name is there already, or when `from` listens nowhere with ssl: about to->node.
 */
int	site_pass_through(struct weir_conf *, const struct weir_site *from, struct weir_site *to) WEIR_MUST_USE;

/* ---- while serving ---- */

const struct weir_site_addr *site_addr_of(const struct weir_listen *);
/* The first server of the address, or the one that says default_server: it counts before a name is known. */
struct weir_site *site_default(const struct weir_listen *);
/*
 * The server that has this name (lower case, without port and trailing dot, maybe empty), or else the default one; NULL: a
 * regex gave up, which is logged.  It may be one that is `through`.
 */
struct weir_site *site_named(const struct weir_listen *, struct weir_sess *, struct weir_str name);
/*
 * The context that a connection to this address begins with, NULL: it is clear; the server which is meant by a
 * name that a client asked for; the context by which a server is reached: its own, or, as in nginx, the default server's.
 */
const struct weir_tls_ctx *site_tls(const struct weir_listen *);
struct weir_site *site_tls_name(const struct weir_listen *, struct weir_str name);
const struct weir_tls_ctx *site_tls_of(const struct weir_listen *, const struct weir_site *);
/* Do connections to this address have to be looked at before TLS?  To whom those that ask for a name go through; NULL: TLS ends here. */
static inline bool
site_has_through(const struct weir_listen *l)
{
	return site_addr_of(l)->through;
}
struct weir_site *site_through(const struct weir_listen *, struct weir_str name);

#endif
