/*
 * target.c - where a session is passed to, when that is known only with the session.
 */
#include "core/net/resolver.h"
#include "core/peer/target.h"

/* A name that a variable gave, while it is asked for. */
struct naming {
	struct weir_lookup lookup;
	struct weir_sess	*s;
	struct weir_str	 host, name;	/* with and without its port */
	unsigned	 port;
	struct weir_group *group;
	bool		 answered;
};

static void
on_named(struct weir_lookup *l)
{
	struct naming *n = WEIR_OF(l, struct naming, lookup);
	struct weir_sess *s = n->s;
	struct weir_addr *v;

	n->answered = true;
	if (l->how == RESOLVED) {
		v = pool_dup(s->pool, l->addrs, l->n * sizeof *v);
		for (unsigned i = 0; i < l->n; i++)
			addr_set_port(&v[i], n->port);
		n->group = group_of_addrs(s->pool, v, l->n, n->host, l->turn);
	} else {
		log_errorx(&s->log, "%.*s could not be resolved (%s)", STR_ARG(n->name), resolve_error(l->how));
	}
	weir_resume(s);
}

static void
stop_naming(void *arg)
{
	lookup_cancel(&((struct naming *)arg)->lookup);
}

static bool
ask_name(struct weir_sess *s, unsigned module, struct weir_str host, struct weir_str name, unsigned port)
{
	struct naming *n;
	uint64_t timeout_ms;
	struct weir_resolver *resolver = resolver_of(s->conf, &timeout_ms);

	if (resolver == NULL) {
		log_errorx(&s->log, "no resolver defined to resolve %.*s", STR_ARG(name));
		return false;
	}
	n = sess_ctx_make(s, module, sizeof *n);
	n->s = s;
	n->host = host;
	n->name = name;
	n->port = port;
	s->log.doing = "resolving the name of the upstream";
	lookup_start(&n->lookup, resolver, name, timeout_ms, on_named);
	pool_on_free(s->pool, stop_naming, n);
	return true;
}

int
target_group(struct weir_sess *s, unsigned module, struct weir_str host, unsigned dflt,
    struct weir_group **g)
{
	struct naming *n = sess_ctx(s, module);
	struct weir_addr a;
	struct weir_str name;
	unsigned port = dflt;

	if (n != NULL && !n->answered)
		return WEIR_AGAIN;
	if (n != NULL) {
		*g = n->group;
		return n->group != NULL ? WEIR_OK : WEIR_FAIL;
	}
	*g = (s->is_http ? group_find : group_find_stream)(s->conf, host);
	if (*g != NULL)
		return WEIR_OK;
	switch (addr_parse(s->pool, host, dflt, &a, &name, &port)) {
	case WEIR_OK:
		*g = group_of_addrs(s->pool, &a, 1, host, 0);
		return WEIR_OK;
	case WEIR_AGAIN:
		return ask_name(s, module, host, name, port) ? WEIR_AGAIN : WEIR_FAIL;
	}
	if (dflt == 0 && addr_lacks_port(s->pool, host))
		log_errorx(&s->log, "no port in upstream \"%.*s\"", STR_ARG(host));
	else
		log_errorx(&s->log, "\"%.*s\" is no address of an upstream", STR_ARG(host));
	return WEIR_FAIL;
}
