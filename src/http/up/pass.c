/*
 * pass.c - a request goes where proxy_pass, or its like, says.
 */
#include "http/up/target.h"

/* The request line's target when no URI is given: as the client sent it, unless a rewrite changed it. */
static struct weir_str
own_target(struct weir_req *r)
{
	struct weir_str path;

	if (!r->internal && !r->uri_rewritten && r->msg->target.n != 0)
		return r->msg->target;
	path = uri_escape(r->s.pool, r->uri.path, ESCAPE_URI);
	if (!r->uri.has_args)
		return path;
	return pool_printf(r->s.pool, "%.*s?%.*s", STR_ARG(path), STR_ARG(r->uri.args));
}

/* The URI of proxy_pass in place of the location's prefix. */
static struct weir_str
replaced_target(struct weir_req *r, const struct weir_up_conf *c)
{
	size_t cut = c->pass.loc != NULL && c->pass.loc->kind != LOC_REGEX && c->pass.loc->kind != LOC_NAMED ?
	    c->pass.loc->name.n : 0;
	struct weir_str rest = uri_escape(r->s.pool, str_from(r->uri.path, cut), ESCAPE_URI);
	struct weir_str uri = c->pass.uri;

	if (r->uri.has_args)
		return pool_printf(r->s.pool, "%.*s%.*s%c%.*s", STR_ARG(uri), STR_ARG(rest),
		    str_chr(uri, '?') >= 0 ? '&' : '?', STR_ARG(r->uri.args));
	if (rest.n == 0)
		return uri;
	return pool_printf(r->s.pool, "%.*s%.*s", STR_ARG(uri), STR_ARG(rest));
}

static enum weir_next
pass_variable(struct weir_req *r, const struct weir_up_conf *c, const struct weir_up_kind *k)
{
	struct weir_str url = expr_eval(&r->s, &c->pass.variable), host, uri;
	struct weir_group *g;
	bool secure;

	if (!target_split(url, k, &host, &uri, &secure)) {
		log_errorx(&r->s.log, "invalid URL prefix in \"%.*s\"", STR_ARG(url));
		return req_error(r, 500);
	}
	r->proxy_host = host;
	switch (target_group(&r->s, *k->module->index, host, secure ? 443 : 80, &g)) {
	case WEIR_AGAIN:
		return WEIR_WAIT;
	case WEIR_FAIL:
		return req_error(r, 502);
	}
	if (uri.n == 0)
		uri = own_target(r);
	else if (uri.p[0] == '?')
		uri = pool_printf(r->s.pool, "/%.*s", STR_ARG(uri));
	if (!is_field_value(uri)) {
		log_errorx(&r->s.log, "the URI for the upstream would hold a line end or NUL");
		return req_error(r, 400);
	}
	for (size_t i = 0; i < uri.n; i++)
		if ((unsigned char)uri.p[i] <= ' ' || uri.p[i] == 0x7f) {
			uri = uri_escape(r->s.pool, uri, ESCAPE_REDIRECT);
			break;
		}
	return up_start(r, &c->up, g, uri, host, secure);
}

enum weir_next
up_pass(struct weir_req *r, const struct weir_up_conf *c, const struct weir_up_kind *k)
{
	if (!c->pass.given)
		return WEIR_NEXT;
	if (r->up != NULL && !r->up->ended)
		return WEIR_WAIT;
	if (c->pass.group == NULL)
		return pass_variable(r, c, k);
	r->proxy_host = c->pass.host;
	return up_start(r, &c->up, c->pass.group, c->pass.has_uri ? replaced_target(r, c) : own_target(r), c->pass.host,
	    c->pass.secure);
}

bool
up_pass_idle(const void *conf)
{
	return !((const struct weir_up_conf *)conf)->pass.given;
}
