/*
 * target.c - where a request is passed to, when that is known only with the request.
 */
#include "core/net/resolver.h"
#include "http/up/target.h"

bool
target_split(struct weir_str url, const struct weir_up_kind *k, struct weir_str *host, struct weir_str *uri, bool *secure)
{
	bool clear = str_ibegins(url, str_c(k->clear));
	ssize_t at;

	*secure = k->secure != NULL && str_ibegins(url, str_c(k->secure));
	if (!*secure && !clear && !k->bare)
		return false;
	url = str_from(url, *secure ? strlen(k->secure) : clear ? strlen(k->clear) : 0);
	if (str_ibegins(url, STR("unix:"))) {
		struct weir_str rest = str_from(url, 5);

		at = str_chr(rest, ':');
		*host = at < 0 ? url : str_of(url.p, (size_t)at + 5);
		*uri = at < 0 ? STR("") : str_from(rest, (size_t)at + 1);
		return host->n > 5;
	}
	for (at = 0; (size_t)at < url.n && url.p[at] != '/' && url.p[at] != '?'; at++)
		;
	*host = str_of(url.p, (size_t)at);
	*uri = str_from(url, (size_t)at);
	return host->n != 0;
}

/* A name that a variable gave, while it is asked for. */
struct naming {
	struct weir_lookup lookup;
	struct weir_req	*r;
	struct weir_str	 host, name;	/* with and without its port */
	unsigned	 port;
	struct weir_group *group;
	bool		 answered;
};

static void
on_named(struct weir_lookup *l)
{
	struct naming *n = WEIR_OF(l, struct naming, lookup);
	struct weir_req *r = n->r;
	struct weir_addr *v;

	n->answered = true;
	if (l->how == RESOLVED) {
		v = pool_dup(r->s.pool, l->addrs, l->n * sizeof *v);
		for (unsigned i = 0; i < l->n; i++)
			addr_set_port(&v[i], n->port);
		n->group = group_of_addrs(r->s.pool, v, l->n, n->host);
	} else {
		log_errorx(&r->s.log, "%.*s could not be resolved (%s)", STR_ARG(n->name), resolve_error(l->how));
	}
	weir_resume(&r->s);
}

static void
stop_naming(void *arg)
{
	lookup_cancel(&((struct naming *)arg)->lookup);
}

static bool
ask_name(struct weir_req *r, unsigned module, struct weir_str host, struct weir_str name, unsigned port)
{
	struct naming *n;
	uint64_t timeout_ms;
	struct weir_resolver *resolver = resolver_of(r->s.conf, &timeout_ms);

	if (resolver == NULL) {
		log_errorx(&r->s.log, "no resolver defined to resolve %.*s", STR_ARG(name));
		return false;
	}
	n = sess_ctx_make(&r->s, module, sizeof *n);
	n->r = r;
	n->host = host;
	n->name = name;
	n->port = port;
	req_doing(r, "resolving the name of the upstream");
	lookup_start(&n->lookup, resolver, name, timeout_ms, on_named);
	pool_on_free(r->s.pool, stop_naming, n);
	return true;
}

int
target_group(struct weir_req *r, unsigned module, struct weir_str host, unsigned dflt,
    struct weir_group **g)
{
	struct naming *n = sess_ctx(&r->s, module);
	struct weir_addr a;
	struct weir_str name;
	unsigned port = dflt;

	if (n != NULL && !n->answered)
		return WEIR_AGAIN;
	if (n != NULL) {
		*g = n->group;
		return n->group != NULL ? WEIR_OK : WEIR_FAIL;
	}
	*g = group_find(r->s.conf, host);
	if (*g != NULL)
		return WEIR_OK;
	switch (addr_parse(r->s.pool, host, dflt, &a, &name, &port)) {
	case WEIR_OK:
		*g = group_of_addrs(r->s.pool, &a, 1, host);
		return WEIR_OK;
	case WEIR_AGAIN:
		return ask_name(r, module, host, name, port) ? WEIR_AGAIN : WEIR_FAIL;
	}
	log_errorx(&r->s.log, "\"%.*s\" is no address of an upstream", STR_ARG(host));
	return WEIR_FAIL;
}
