/*
 * pass.h - what modules that pass requests on have in common: proxy_pass and grpc_pass.
 *
 * Their directives are the same but for the beginning of the name: pass_rows.h has the rows, pass_conf.c what they
 * do.  The struct of such a module begins with a struct weir_up_conf, or is one.
 */
#ifndef WEIR_HTTP_UP_PASS_H
#define WEIR_HTTP_UP_PASS_H

#include "http/up/up.h"

struct weir_up_target {			/* proxy_pass */
	bool		 given;
	bool		 secure;		/* by TLS */
	bool		 has_uri;		/* a URI part was given: it replaces the location's prefix */
	struct weir_group *group;		/* NULL: the address has variables */
	struct weir_str	 host;			/* as written: $proxy_host */
	struct weir_str	 uri;
	struct weir_expr variable;		/* with variables: all of it */
	const struct weir_location *loc;	/* whose prefix is replaced */
};

struct weir_up_conf {
	struct weir_up_params up;
	struct weir_up_target pass;
	/* collected while binding */
	struct { struct weir_up_header *v; unsigned n, room; } set_headers;
};

/* How a module has its targets written. */
struct weir_up_kind {
	const struct weir_module *module;
	const struct weir_module *tls;		/* what TLS is like */
	const char	*pass;			/* the directive's name */
	const char	*clear, *secure;	/* schemes: "http://", "https://"; secure NULL: there is none */
	bool		 bare;			/* no scheme means the clear one */
	bool		 uri;			/* there may be a URI part */
};

/* pass.c: for the content hook. */
enum weir_next up_pass(struct weir_req *, const struct weir_up_conf *, const struct weir_up_kind *);
bool	up_pass_idle(const void *conf);

/* ---- pass_conf.c, while binding ---- */

/* set() of proxy_pass. */
int	up_conf_pass(struct weir_conf *, struct weir_scope *, struct weir_node *, struct weir_up_conf *,
	    const struct weir_up_kind *) WEIR_MUST_USE;
/* ready() of the module, for scopes below the top. */
int	up_conf_ready(struct weir_conf *, struct weir_scope *, struct weir_up_conf *, const struct weir_up_kind *)
	    WEIR_MUST_USE;
/* Of rows. */
int	up_conf_header(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);
int	up_conf_hide(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);
int	up_conf_pass_header(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);
int	up_conf_bind(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);
int	up_conf_tlv(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);
int	up_conf_budget(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);
int	up_conf_ignored(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);
extern const struct weir_choice up_nexts[], up_ignorable[];

#define UP(field) .at = offsetof(struct weir_up_conf, up.field)
#define UP_AT(field) CONF_AT(weir_up_conf, field)
#define IN_PASS (IN_LOCATION | IN_IF | IN_LIMIT)

#endif
