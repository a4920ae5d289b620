/*
 * health_list.c - the checks and the blocks match of a configuration, in http or in stream.
 */
#include "core/peer/health.h"
#include "core/peer/tls_conf.h"

int
checks_add(struct weir_conf *cf, struct weir_scope *s, struct weir_checks *c, struct weir_health *h, struct weir_group *g)
{
	h->conf = s->conf;
	*POOL_PUSH(cf->pool, &c->all) = h;
	*POOL_PUSH(cf->pool, &c->groups) = g;
	if (!h->secure)
		return WEIR_OK;
	if (peer_tls_varies(s, h->tls))
		return conf_error(cf, h->node, 0, "TLS of this place depends on requests or connections (variables in a "
		    "certificate or a name), and checks have none: let it stand in a place with fixed ones");
	return peer_tls_need(cf, s, h->tls);
}

struct weir_match *
checks_match(struct weir_conf *cf, struct weir_checks *c, const struct weir_node *n)
{
	struct weir_match *m;

	for (m = c->matches; m != NULL; m = m->next)
		if (str_eq(m->node->w[1].s, n->w[1].s)) {
			conf_error(cf, n, 1, "duplicate match \"%.*s\", the first is at %s:%u", STR_ARG(n->w[1].s),
			    m->node->file->path, m->node->w[0].line);
			return NULL;
		}
	m = POOL_NEW(cf->pool, weir_match);
	*m = (struct weir_match){ .next = c->matches, .node = n };
	c->matches = m;
	return m;
}

struct weir_match *
checks_find(struct weir_conf *cf, struct weir_checks *c, const struct weir_health *h)
{
	for (struct weir_match *m = c->matches; m != NULL; m = m->next)
		if (str_eq(m->node->w[1].s, h->match)) {
			m->used = true;
			return m;
		}
	conf_error(cf, h->node, 0, "there is no match \"%.*s\"", STR_ARG(h->match));
	return NULL;
}

void
checks_unused(struct weir_conf *cf, const struct weir_checks *c)
{
	for (const struct weir_match *m = c->matches; m != NULL; m = m->next)
		if (!m->used)
			conf_warn(cf, m->node, 1, "no health_check has match=%.*s", STR_ARG(m->node->w[1].s));
}

void
checks_start(const struct weir_checks *c)
{
	for (unsigned i = 0; i < c->all.n; i++)
		health_start(c->all.v[i]);
}
