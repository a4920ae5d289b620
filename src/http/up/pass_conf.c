/*
 * pass_conf.c - directives of modules that pass requests on.
 */
#include "core/peer/tls_conf.h"
#include "http/up/health.h"
#include "http/up/target.h"

static const struct weir_location *
location_of(const struct weir_scope *s)
{
	for (; s != NULL; s = s->parent)
		if (s->in == IN_LOCATION)
			return s->owner;
	return NULL;
}

/* proxy_pass http://host[:port][/uri]; */
int
up_conf_pass(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, struct weir_up_conf *c,
    const struct weir_up_kind *k)
{
	struct weir_str url = n->w[1].s;
	const struct weir_location *loc = location_of(s);

	if (s->in & (IN_LOCATION | IN_IF))
		((struct weir_location *)s->owner)->passes = true;
	c->pass.given = true;
	c->pass.group = NULL;
	c->pass.has_uri = false;
	c->pass.loc = loc;
	if (str_chr(url, '$') >= 0)
		return expr_field(cf, n, 1, &c->pass.variable);
	c->pass.variable = (struct weir_expr){ 0 };
	if (!target_split(url, k, &c->pass.host, &c->pass.uri, &c->pass.secure))
		return conf_error(cf, n, 1, "invalid URL prefix: it must begin with %s or %s", k->clear, k->secure);
	c->pass.has_uri = c->pass.uri.n != 0;
	if (c->pass.has_uri && !k->uri)
		return conf_error(cf, n, 1, "invalid host: \"%s\" has no URI part", k->pass);
	if (c->pass.has_uri && c->pass.uri.p[0] == '?')
		return conf_error(cf, n, 1, "the URI part must begin with /");
	if (c->pass.has_uri && loc != NULL && s->in != IN_LOCATION && s->in != IN_LIMIT)
		return conf_error(cf, n, 1, "\"%s\" cannot have URI part inside \"if\"", k->pass);
	if (c->pass.has_uri && loc != NULL && (loc->kind == LOC_REGEX || loc->kind == LOC_NAMED))
		return conf_error(cf, n, 1, "\"%s\" cannot have URI part in a location given by "
		    "regular expression, or a named location", k->pass);
	if (loc != NULL && s->in == IN_LOCATION && loc->name.n != 0 && loc->name.p[loc->name.n - 1] == '/')
		((struct weir_location *)(uintptr_t)loc)->auto_redirect = true;
	return group_get(cf, s, n, c->pass.host, c->pass.secure ? 443 : 80, &c->pass.group);
}

/* ---- heads ---- */

int
up_conf_header(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_up_conf *c = conf;
	struct weir_up_header *h;

	(void)s;
	if (!is_token(n->w[1].s))
		return conf_error(cf, n, 1, "\"%.*s\" is no field name", STR_ARG(n->w[1].s));
	if (!is_field_value(n->w[2].s))
		return conf_error(cf, n, 2, "a field value cannot hold a line end");
	h = POOL_PUSH(cf->pool, &c->set_headers);
	h->name = n->w[1].s;
	h->known = name_find(h->name);
	return expr_field(cf, n, 2, &h->value);
}

static int
push_name(struct weir_conf *cf, struct weir_node *n, struct weir_up_names *to)
{
	*POOL_PUSH(cf->pool, to) = n->w[1].s;
	return WEIR_OK;
}

int
up_conf_hide(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s;
	return push_name(cf, n, &((struct weir_up_conf *)conf)->up.hide);
}

int
up_conf_pass_header(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s;
	return push_name(cf, n, &((struct weir_up_conf *)conf)->up.pass);
}

const struct weir_choice up_ignorable[] = {
	{ "X-Accel-Redirect", IGNORE_ACCEL_REDIRECT }, { "X-Accel-Limit-Rate", IGNORE_ACCEL_LIMIT_RATE },
	{ "X-Accel-Buffering", IGNORE_ACCEL_BUFFERING }, { "X-Accel-Charset", IGNORE_ACCEL_CHARSET },
	/* fields that speak to a cache only */
	{ "X-Accel-Expires", 0 }, { "Expires", 0 }, { "Cache-Control", 0 }, { "Set-Cookie", 0 }, { "Vary", 0 },
	{ NULL, 0 }
};

int
up_conf_ignored(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s, (void)conf;
	for (unsigned w = 1; w < n->n; w++)
		for (unsigned i = 0; up_ignorable[i].name != NULL; i++)
			if (up_ignorable[i].value == 0 && str_ieq(n->w[w].s, str_c(up_ignorable[i].name)))
				conf_warn(cf, n, w, "\"%s\" has no effect: weir keeps no responses",
				    up_ignorable[i].name);
	return WEIR_OK;
}

/* ---- connections ---- */

int
up_conf_bind(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s;
	return bind_conf(cf, n, &((struct weir_up_conf *)conf)->up.bind);
}

int
up_conf_tlv(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s;
	return preface_conf_tlv(cf, n, &((struct weir_up_conf *)conf)->up.preface);
}

const struct weir_choice up_nexts[] = {
	{ "error", NEXT_ERROR }, { "timeout", NEXT_TIMEOUT }, { "invalid_header", NEXT_INVALID },
	{ "http_500", NEXT_500 }, { "http_502", NEXT_502 }, { "http_503", NEXT_503 },
	{ "http_504", NEXT_504 }, { "http_403", NEXT_403 }, { "http_404", NEXT_404 },
	{ "http_429", NEXT_429 }, { "non_idempotent", NEXT_NON_IDEMPOTENT }, { "off", NEXT_OFF },
	{ NULL, 0 }
};

int
up_conf_budget(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s;
	return budget_conf(cf, n, &((struct weir_up_conf *)conf)->up.budget);
}

/* ---- compiling ---- */

static void
compile_headers(struct weir_conf *cf, struct weir_up_conf *c)
{
	struct weir_up_params *p = &c->up;
	struct weir_up_header *h;
	bool host = false;

	for (unsigned i = 0; i < c->set_headers.n; i++)
		host |= c->set_headers.v[i].known == H_HOST;
	p->n_headers = c->set_headers.n + !host;
	p->headers = h = pool_zalloc(cf->pool, p->n_headers * sizeof *h);
	if (!host) {
		h->name = STR("Host");
		h->known = H_HOST;
		h++;
	}
	if (c->set_headers.n != 0)
		memcpy(h, c->set_headers.v, c->set_headers.n * sizeof *h);
	memset(p->overridden, 0, sizeof p->overridden);
	p->overrides_unknown = false;
	for (unsigned i = 0; i < p->n_headers; i++) {
		enum weir_known k = p->headers[i].known;

		if (k == H_UNKNOWN)
			p->overrides_unknown = true;
		else
			p->overridden[k / 64] |= 1ull << (k % 64);
	}
	if (!host && c->pass.group != NULL) {
		p->headers[0].value.source = str_begins(c->pass.host, STR("unix:")) ? STR("localhost") : c->pass.host;
		p->headers[0].value.set = true;
	}
}

/* What begins with a variable may turn out to want TLS. */
static bool
may_be_secure(const struct weir_up_conf *c, const struct weir_up_kind *k)
{
	const struct weir_expr *v = &c->pass.variable;

	if (!c->pass.given || c->pass.group != NULL)
		return c->pass.secure;
	return k->secure != NULL && (str_ibegins(v->source, str_c(k->secure)) || str_begins(v->source, STR("$")));
}

int
up_conf_ready(struct weir_conf *cf, struct weir_scope *s, struct weir_up_conf *c, const struct weir_up_kind *k)
{
	c->up.tls = k->tls;
	c->up.schemes[0] = k->clear;
	c->up.schemes[1] = k->secure;
	if (may_be_secure(c, k) && peer_tls_need(cf, s, k->tls) != WEIR_OK)
		return WEIR_FAIL;
	if (preface_conf_ready(cf, s->node, &c->up.preface) != WEIR_OK)
		return WEIR_FAIL;
	compile_headers(cf, c);
	if (up_health_claim(cf, s, c, k) != WEIR_OK)
		return WEIR_FAIL;
	if (c->pass.group != NULL || !c->pass.given)
		return WEIR_OK;
	for (unsigned i = 0; i < c->up.n_headers; i++)	/* Host is known only with the target */
		if (c->up.headers[i].known == H_HOST && !c->up.headers[i].value.set)
			return expr_compile(cf, s->node, 0, STR("$proxy_host"), &c->up.headers[i].value);
	return WEIR_OK;
}
