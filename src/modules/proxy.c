/*
 * proxy.c - proxy_pass and all that goes with it.
 *
 * The course of a proxied request is http/up's; here is only what the directives say.
 */
#include "core/peer/tls_conf.h"
#include "core/proc/cycle.h"
#include "http/up/rules_conf.h"
#include "http/up/target.h"

struct proxy_target {			/* proxy_pass */
	bool		 given;
	bool		 secure;		/* https */
	bool		 has_uri;		/* a URI part was given: it replaces the location's prefix */
	struct weir_group *group;		/* NULL: the address has variables */
	struct weir_str	 host;			/* as written: $proxy_host */
	struct weir_str	 uri;
	struct weir_expr variable;		/* with variables: the whole "http://..." */
	const struct weir_location *loc;	/* whose prefix is replaced */
};

struct proxy_conf {
	struct weir_up_params up;
	struct proxy_target pass;
	/* collected while binding */
	struct { struct weir_up_header *v; unsigned n, room; } set_headers;
	struct weir_up_redirect *redirects;
	bool		 redirect_default, redirect_off;
};

extern const struct weir_module proxy_module;
static unsigned index_;

/* ---- the request ---- */

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
replaced_target(struct weir_req *r, const struct proxy_conf *c)
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
pass_variable(struct weir_req *r, const struct proxy_conf *c)
{
	struct weir_str url = expr_eval(&r->s, &c->pass.variable), host, uri;
	struct weir_group *g;
	bool secure;

	if (!target_split(url, &host, &uri, &secure)) {
		log_errorx(&r->s.log, "invalid URL prefix in \"%.*s\"", STR_ARG(url));
		return req_error(r, 500);
	}
	r->proxy_host = host;
	switch (target_group(r, index_, host, secure ? 443 : 80, &g)) {
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

static enum weir_next
on_content(struct weir_sess *s)
{
	struct weir_req *r = req_of(s);
	const struct proxy_conf *c = s->conf[index_];

	if (!c->pass.given)
		return WEIR_NEXT;
	if (r->up != NULL && !r->up->ended)
		return WEIR_WAIT;
	if (c->pass.group == NULL)
		return pass_variable(r, c);
	r->proxy_host = c->pass.host;
	return up_start(r, &c->up, c->pass.group, c->pass.has_uri ? replaced_target(r, c) : own_target(r), c->pass.host,
	    c->pass.secure);
}

static bool
idle(const void *conf)
{
	return !((const struct proxy_conf *)conf)->pass.given;
}

static const struct weir_hook hooks[] = { { ON_CONTENT, on_content, idle }, { 0 } };

/* ---- directives ---- */

static const struct weir_location *
location_of(const struct weir_scope *s)
{
	for (; s != NULL; s = s->parent)
		if (s->in == IN_LOCATION)
			return s->owner;
	return NULL;
}

/* proxy_pass http://host[:port][/uri]; */
static int
set_pass(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct proxy_conf *c = conf;
	struct weir_str url = n->w[1].s;
	const struct weir_location *loc = location_of(s);

	c->pass.given = true;
	c->pass.group = NULL;
	c->pass.has_uri = false;
	c->pass.loc = loc;
	if (str_chr(url, '$') >= 0)
		return expr_field(cf, n, 1, &c->pass.variable);
	c->pass.variable = (struct weir_expr){ 0 };
	if (!target_split(url, &c->pass.host, &c->pass.uri, &c->pass.secure))
		return conf_error(cf, n, 1, "invalid URL prefix: it must begin with http:// or https://");
	c->pass.has_uri = c->pass.uri.n != 0;
	if (c->pass.has_uri && c->pass.uri.p[0] == '?')
		return conf_error(cf, n, 1, "the URI part must begin with /");
	if (c->pass.has_uri && loc != NULL && s->in != IN_LOCATION && s->in != IN_LIMIT)
		return conf_error(cf, n, 1, "\"proxy_pass\" cannot have URI part inside \"if\"");
	if (c->pass.has_uri && loc != NULL && (loc->kind == LOC_REGEX || loc->kind == LOC_NAMED))
		return conf_error(cf, n, 1, "\"proxy_pass\" cannot have URI part in a location given by "
		    "regular expression, or a named location");
	if (loc != NULL && s->in == IN_LOCATION && loc->name.n != 0 && loc->name.p[loc->name.n - 1] == '/')
		((struct weir_location *)(uintptr_t)loc)->auto_redirect = true;
	return group_get(cf, n, 1, c->pass.host, c->pass.secure ? 443 : 80, &c->pass.group);
}

/* The first directive of its kind in a place replaces what was inherited. */
static bool
is_first_here(struct weir_scope *s, const char *name)
{
	return !conf_set_here(s, &proxy_module, name);
}

static int
set_header(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct proxy_conf *c = conf;
	struct weir_up_header *h;

	if (is_first_here(s, "proxy_set_header"))
		memset(&c->set_headers, 0, sizeof c->set_headers);
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
push_name(struct weir_conf *cf, struct weir_node *n, struct weir_up_names *to, bool first)
{
	if (first)
		memset(to, 0, sizeof *to);
	*POOL_PUSH(cf->pool, to) = n->w[1].s;
	return WEIR_OK;
}

static int
set_hide(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	return push_name(cf, n, &((struct proxy_conf *)conf)->up.hide, is_first_here(s, "proxy_hide_header"));
}

static int
set_pass_header(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	return push_name(cf, n, &((struct proxy_conf *)conf)->up.pass, is_first_here(s, "proxy_pass_header"));
}

static int
set_redirect(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct proxy_conf *c = conf;
	struct weir_up_redirect *d, **tail;
	struct weir_str from = n->w[1].s;

	if (is_first_here(s, "proxy_redirect")) {
		c->redirects = NULL;
		c->redirect_default = false;
		c->redirect_off = false;
	}
	if (n->n == 2) {
		if (str_eq(from, STR("off"))) {
			c->redirect_off = true;
			return WEIR_OK;
		}
		if (str_eq(from, STR("default"))) {
			c->redirect_default = true;
			return WEIR_OK;
		}
		return conf_error(cf, n, 1, "expected \"off\", \"default\", or two arguments");
	}
	d = POOL_NEW(cf->pool, weir_up_redirect);
	if (from.n > 1 && from.p[0] == '~') {
		bool nocase = from.p[1] == '*';

		if (regex_compile(cf, n, 1, str_from(from, nocase ? 2 : 1), nocase, &d->regex) != WEIR_OK)
			return WEIR_FAIL;
	} else if (expr_field(cf, n, 1, &d->from) != WEIR_OK) {
		return WEIR_FAIL;
	}
	if (expr_field(cf, n, 2, &d->to) != WEIR_OK)
		return WEIR_FAIL;
	for (tail = &c->redirects; *tail != NULL; )
		tail = &(*tail)->next;
	*tail = d;
	return WEIR_OK;
}

static int
set_cookie_domain(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	return up_conf_cookie_domain(cf, n, &((struct proxy_conf *)conf)->up,
	    !is_first_here(s, "proxy_cookie_domain"));
}

static int
set_cookie_path(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	return up_conf_cookie_path(cf, n, &((struct proxy_conf *)conf)->up,
	    !is_first_here(s, "proxy_cookie_path"));
}

static int
set_cookie_flags(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	return up_conf_cookie_flags(cf, n, &((struct proxy_conf *)conf)->up,
	    !is_first_here(s, "proxy_cookie_flags"));
}

static int
set_store(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s;
	return up_conf_store(cf, n, &((struct proxy_conf *)conf)->up);
}

static int
set_store_access(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s;
	return up_conf_store_access(cf, n, &((struct proxy_conf *)conf)->up);
}

/* What nginx has and weir does without.  A directive is never silently without effect. */
static int
set_no_effect(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	static const struct { const char *name, *why; } none[] = {
		{ "proxy_headers_hash_max_size", "weir's tables size themselves" },
		{ "proxy_headers_hash_bucket_size", "weir's tables size themselves" },
		{ "proxy_send_lowat", "Linux has no such option for sending" },
		{ "proxy_temp_file_write_size", "the kernel gathers what is written" },
	};
	unsigned i;

	(void)s, (void)conf;
	for (i = 0; i < WEIR_COUNT(none) - 1 && !str_eq(n->w[0].s, str_c(none[i].name)); i++)
		;
	return conf_warn(cf, n, 0, "has no effect: %s", none[i].why);
}

static int
set_method(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s;
	return expr_field(cf, n, 1, &((struct proxy_conf *)conf)->up.method);
}

static int
set_body(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s;
	return expr_field(cf, n, 1, &((struct proxy_conf *)conf)->up.body);
}

static int
set_limit_rate(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s;
	return expr_field(cf, n, 1, &((struct proxy_conf *)conf)->up.limit_rate);
}

static int
set_bind(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_up_params *p = &((struct proxy_conf *)conf)->up;
	struct weir_addr a;
	struct weir_str host;
	unsigned port;

	(void)s;
	p->bind_off = n->n == 2 && str_eq(n->w[1].s, STR("off"));
	if (p->bind_off)
		return WEIR_OK;
	p->bind_transparent = n->n == 3;
	if (n->n == 3 && !str_eq(n->w[2].s, STR("transparent")))
		return conf_error(cf, n, 2, "the only parameter is \"transparent\"");
	if (str_chr(n->w[1].s, '$') < 0 && addr_parse_ip(n->w[1].s, &a) != WEIR_OK &&
	    addr_parse(cf->pool, n->w[1].s, 0, &a, &host, &port) != WEIR_OK)
		return conf_error(cf, n, 1, "invalid address \"%.*s\"", STR_ARG(n->w[1].s));
	return expr_field(cf, n, 1, &p->bind);
}

/* RFC 7239, 6.3: a name that means something to those who know it only. */
static bool
is_obfuscated(struct weir_str s)
{
	if (s.n < 2 || s.p[0] != '_')
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (!is_token(str_of(s.p + i, 1)) || strchr("!#$%&'*+^`|~", s.p[i]) != NULL)
			return false;
	return true;
}

static int
set_forwarded(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_up_forwarded *f = &((struct proxy_conf *)conf)->up.forwarded;

	(void)s;
	memset(f, 0, sizeof *f);
	if (conf_flag(cf, n, 1, n->w[1].s, &f->on) != WEIR_OK)
		return WEIR_FAIL;
	if (n->n == 2)
		return WEIR_OK;
	f->by = true;
	if (conf_param(n, 2, "by", &f->by_name)) {
		if (!is_obfuscated(f->by_name))
			return conf_error(cf, n, 2, "a name begins with \"_\", and letters, digits, \".\", "
			    "\"_\" and \"-\" follow");
	} else if (!str_eq(n->w[2].s, STR("by"))) {
		return conf_error(cf, n, 2, "the only parameter is \"by\"");
	}
	return WEIR_OK;
}

static int
set_early_hints(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_up_params *p = &((struct proxy_conf *)conf)->up;
	struct weir_expr *e = POOL_NEW(cf->pool, weir_expr);

	(void)s;
	p->early_hints = e;
	return expr_field(cf, n, 1, e);
}

static int
set_temp_path(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_up_params *p = &((struct proxy_conf *)conf)->up;

	(void)s;
	p->temp_path = conf_path(cf, n->w[1].s, false);
	if (n->n > 2)
		conf_warn(cf, n, 2, "levels have no effect: the files have no names");
	return conf_folder(cf, n, p->temp_path);
}

static int
set_buffers(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_up_params *p = &((struct proxy_conf *)conf)->up;

	(void)s;
	if (conf_u64(cf, n, 1, n->w[1].s, 2, 65536, &p->buffers_n) != WEIR_OK)
		return WEIR_FAIL;
	return conf_size(cf, n, 2, n->w[2].s, &p->buffers_size);
}

/* ---- compiling ---- */

static void
compile_headers(struct weir_conf *cf, struct proxy_conf *c)
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

/* proxy_redirect default: what proxy_pass names becomes the location's prefix. */
static void
default_redirect(struct weir_conf *cf, struct proxy_conf *c)
{
	struct weir_up_redirect *d;

	if (c->redirect_off || !c->redirect_default || c->pass.group == NULL || c->pass.loc == NULL ||
	    c->pass.loc->kind == LOC_REGEX || c->pass.loc->kind == LOC_NAMED)
		return;
	d = POOL_NEW(cf->pool, weir_up_redirect);
	d->from.source = pool_printf(cf->pool, "%s://%.*s%.*s", c->pass.secure ? "https" : "http", STR_ARG(c->pass.host),
	    STR_ARG(c->pass.has_uri ? c->pass.uri : STR("/")));
	d->to.source = c->pass.has_uri ? c->pass.loc->name : STR("/");
	d->from.set = d->to.set = true;
	d->next = c->redirects;
	c->up.redirects = d;
}

/* proxy_busy_buffers_size between one buffer and all but one, as nginx wants it. */
static int
check_busy(struct weir_conf *cf, struct weir_scope *s, const struct weir_up_params *p)
{
	const struct weir_node *n = conf_written(s, &proxy_module, "proxy_busy_buffers_size");
	uint64_t least = p->buffers_size;

	if (n == NULL)
		return WEIR_OK;
	if (conf_set(s, &proxy_module, "proxy_buffer_size"))
		least = WEIR_MAX(least, p->buffer_size);
	if (p->busy_size < least)
		return conf_error(cf, n, 1, "must be equal to or greater than the maximum of the value of "
		    "\"proxy_buffer_size\" and one of the \"proxy_buffers\"");
	if (p->busy_size > (p->buffers_n - 1) * p->buffers_size)
		return conf_error(cf, n, 1, "must be less than the size of all \"proxy_buffers\" minus one "
		    "buffer");
	return WEIR_OK;
}

/* What begins with a variable may turn out to be https. */
static bool
may_be_secure(const struct proxy_conf *c)
{
	const struct weir_expr *v = &c->pass.variable;

	if (!c->pass.given || c->pass.group != NULL)
		return c->pass.secure;
	return str_ibegins(v->source, STR("https://")) || str_begins(v->source, STR("$"));
}

static int
ready(struct weir_conf *cf, struct weir_scope *s, void *conf)
{
	struct proxy_conf *c = conf;

	if (s->in == IN_MAIN) {
		c->redirect_default = true;
		c->up.store_access = 0600;
		c->up.tls = &proxy_ssl_module;
		return WEIR_OK;
	}
	if (check_busy(cf, s, &c->up) != WEIR_OK)
		return WEIR_FAIL;
	if (c->up.store && c->pass.given && up_conf_store_ready(cf, s, &c->up) != WEIR_OK)
		return WEIR_FAIL;
	if (c->up.max_temp_file != 0 && c->up.buffering)
		cycle_temp_dir(cf, c->up.temp_path);
	if (may_be_secure(c) && peer_tls_need(cf, s, &proxy_ssl_module) != WEIR_OK)
		return WEIR_FAIL;
	c->up.redirects = c->redirects;
	if (c->up.forwarded.on && !c->up.forwarded.scheme.set &&
	    expr_compile(cf, s->node, 0, STR("$scheme"), &c->up.forwarded.scheme) != WEIR_OK)
		return WEIR_FAIL;
	compile_headers(cf, c);
	default_redirect(cf, c);
	if (c->pass.group == NULL && c->pass.given) {	/* Host is known only with the target */
		for (unsigned i = 0; i < c->up.n_headers; i++)
			if (c->up.headers[i].known == H_HOST && !c->up.headers[i].value.set)
				return expr_compile(cf, s->node, 0, STR("$proxy_host"), &c->up.headers[i].value);
	}
	return WEIR_OK;
}

static const struct weir_choice versions[] = {
	{ "1.0", 0x100 }, { "1.1", 0x101 }, { "2", 0x200 }, { NULL, 0 }
};

static const struct weir_choice nexts[] = {
	{ "error", NEXT_ERROR }, { "timeout", NEXT_TIMEOUT }, { "invalid_header", NEXT_INVALID },
	{ "http_500", NEXT_500 }, { "http_502", NEXT_502 }, { "http_503", NEXT_503 },
	{ "http_504", NEXT_504 }, { "http_403", NEXT_403 }, { "http_404", NEXT_404 },
	{ "http_429", NEXT_429 }, { "non_idempotent", NEXT_NON_IDEMPOTENT }, { "off", NEXT_OFF },
	{ NULL, 0 }
};

static const struct weir_choice ignorable[] = {
	{ "X-Accel-Redirect", IGNORE_ACCEL_REDIRECT }, { "X-Accel-Limit-Rate", IGNORE_ACCEL_LIMIT_RATE },
	{ "X-Accel-Buffering", IGNORE_ACCEL_BUFFERING }, { "X-Accel-Charset", IGNORE_ACCEL_CHARSET },
	/* fields that speak to a cache only */
	{ "X-Accel-Expires", 0 }, { "Expires", 0 }, { "Cache-Control", 0 }, { "Set-Cookie", 0 }, { "Vary", 0 },
	{ NULL, 0 }
};

static int
check_ignored(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s, (void)conf;
	for (unsigned w = 1; w < n->n; w++)
		for (unsigned i = 0; ignorable[i].name != NULL; i++)
			if (ignorable[i].value == 0 && str_ieq(n->w[w].s, str_c(ignorable[i].name)))
				conf_warn(cf, n, w, "\"%s\" has no effect: weir keeps no responses",
				    ignorable[i].name);
	return WEIR_OK;
}

#define UP(field) .at = offsetof(struct proxy_conf, up.field)
#define IN_PASS (IN_LOCATION | IN_IF | IN_LIMIT)

static const struct weir_cmd cmds[] = {
	{ "proxy_pass", IN_PASS, CONF_CUSTOM, CONF_AT(proxy_conf, pass), .args_min = 1, .args_max = 1, .set = set_pass,
	  .flags = CONF_NOINHERIT, .args = "URL",
	  .doc = "Passes requests to an upstream: http://host[:port][/uri], http://unix:/path[:/uri], or the name "
	  "of an upstream group. With a URI part, it replaces the prefix that the location matched; without one, the "
	  "request's URI is passed as the client sent it. May contain variables." },
	{ "proxy_http_version", IN_HTTP_ANY, CONF_ENUM, UP(http_version), .def = "1.1", .choices = versions,
	  .doc = "The version of HTTP spoken to the upstream. 2: many requests share a connection; https:// upstreams "
	  "must choose \"h2\" by ALPN, others are taken to speak it." },
	{ "proxy_http2_max_streams", IN_HTTP_ANY, CONF_INT, UP(http2_streams), .def = "128", .min = 1, .max = 65535,
	  .doc = "How many requests at a time go over one connection of HTTP/2 to an upstream, if it allows so many; "
	  "further ones get another connection." },
	{ "proxy_set_header", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 2, .args_max = 2, .set = set_header,
	  .flags = CONF_MULTI, .args = "field value",
	  .doc = "Sets or, with an empty value, removes a field of the request to the upstream. Inherited only "
	  "when a place sets none itself. Host is $proxy_host unless set." },
	{ "proxy_hide_header", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_hide,
	  .flags = CONF_MULTI, .args = "field", .doc = "Keeps a field of the upstream's response from the client." },
	{ "proxy_pass_header", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_pass_header,
	  .flags = CONF_MULTI, .args = "field",
	  .doc = "Lets a field through that is otherwise kept from the client: Date, Server, X-Pad, X-Accel-*." },
	{ "proxy_redirect", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 2, .set = set_redirect,
	  .flags = CONF_MULTI, .args = "default | off | from to",
	  .doc = "Changes Location and Refresh of the response: a value that begins with `from` (or matches it, "
	  "~regex or ~*regex) gets `to` instead. By default what proxy_pass names becomes the location's prefix." },
	{ "proxy_connect_timeout", IN_HTTP_ANY, CONF_MSEC, UP(connect_ms), .def = "60s",
	  .doc = "How long connecting to the upstream may take." },
	{ "proxy_send_timeout", IN_HTTP_ANY, CONF_MSEC, UP(send_ms), .def = "60s",
	  .doc = "How long the upstream may take nothing of the request." },
	{ "proxy_read_timeout", IN_HTTP_ANY, CONF_MSEC, UP(read_ms), .def = "60s",
	  .doc = "How long the upstream may send nothing of the response; in a tunnel (WebSocket) how long nothing "
	  "may move." },
	{ "proxy_next_upstream", IN_HTTP_ANY, CONF_BITS, UP(next), .def = "error timeout", .choices = nexts,
	  .doc = "When to try the next server. A request that must not be done twice is passed on only with "
	  "non_idempotent, or when nothing of it was sent." },
	{ "proxy_next_upstream_tries", IN_HTTP_ANY, CONF_INT, UP(next_tries), .def = "0", .max = 1000,
	  .doc = "How many servers to try at most; 0: all." },
	{ "proxy_next_upstream_timeout", IN_HTTP_ANY, CONF_MSEC, UP(next_timeout_ms), .def = "0",
	  .doc = "For how long to try further servers; 0: no limit." },
	{ "proxy_intercept_errors", IN_HTTP_ANY, CONF_FLAG, UP(intercept_errors), .def = "off",
	  .doc = "Lets error_page handle the upstream's responses of 300 and above." },
	{ "proxy_ignore_client_abort", IN_HTTP_ANY, CONF_FLAG, UP(ignore_client_abort), .def = "off",
	  .doc = "Goes on with the upstream when the client has left." },
	{ "proxy_ignore_headers", IN_HTTP_ANY, CONF_BITS, UP(ignore), .choices = ignorable,
	  .set = check_ignored, .doc = "Response fields that are not acted on." },
	{ "proxy_request_buffering", IN_HTTP_ANY, CONF_FLAG, UP(request_buffering), .def = "on",
	  .doc = "Reads all of the request's body before the upstream is asked, so that the request can be tried "
	  "again; off: the body is passed on as it comes." },
	{ "proxy_buffering", IN_HTTP_ANY, CONF_FLAG, UP(buffering), .def = "on",
	  .doc = "Reads ahead of a slow client, as far as proxy_buffers allow." },
	{ "proxy_buffer_size", IN_HTTP_ANY, CONF_SIZE, UP(buffer_size), .def = "16k", .min = 64, .max = 1048576,
	  .doc = "The largest head of a response that is accepted." },
	{ "proxy_buffers", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 2, .args_max = 2, .set = set_buffers,
	  .def = "8 4k", .args = "number size", .doc = "How far to read ahead of a slow client: number times size." },
	{ "proxy_max_temp_file_size", IN_HTTP_ANY, CONF_SIZE, UP(max_temp_file), .def = "0",
	  .doc = "How much of a response goes to a temporary file when the client is slow and proxy_buffers are full. "
	  "0, the default, holds the upstream back instead." },
	{ "proxy_temp_path", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 4, .set = set_temp_path,
	  .def = "proxy_temp", .args = "path", .doc = "Where those temporary files are; they have no names." },
	{ "proxy_method", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_method,
	  .args = "method", .doc = "The method of requests to the upstream, in place of the client's." },
	{ "proxy_set_body", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_body,
	  .args = "value", .doc = "The body of requests to the upstream, in place of the client's." },
	{ "proxy_pass_request_headers", IN_HTTP_ANY, CONF_FLAG, UP(pass_request_headers), .def = "on",
	  .doc = "Whether the client's fields are passed on." },
	{ "proxy_pass_request_body", IN_HTTP_ANY, CONF_FLAG, UP(pass_request_body), .def = "on",
	  .doc = "Whether the client's body is passed on." },
	{ "proxy_pass_trailers", IN_HTTP_ANY, CONF_FLAG, UP(pass_trailers), .def = "off",
	  .doc = "Whether trailer fields of the response are asked for (TE: trailers) and passed on to clients that "
	  "get chunks, and those of a request to the upstream." },
	{ "proxy_websocket", IN_HTTP_ANY, CONF_FLAG, UP(websocket), .def = "on",
	  .doc = "Passes on a client's wish to upgrade the connection (WebSocket and others), and joins both sides when "
	  "the upstream agrees." },
	{ "proxy_socket_keepalive", IN_HTTP_ANY, CONF_FLAG, UP(socket_keepalive), .def = "off",
	  .doc = "TCP keepalive on connections to the upstream." },
	{ "proxy_bind", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 2, .set = set_bind,
	  .args = "address [transparent] | off", .doc = "The local address of connections to the upstream." },
	{ "forwarded", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(proxy_conf, up.forwarded), .args_min = 1, .args_max = 2,
	  .set = set_forwarded, .def = "off", .args = "off | on [by | by=_name]",
	  .doc = "Adds an element with for, host and proto to the field Forwarded (RFC 7239) of requests to the upstream; "
	  "with `by' also the address that the client connected to, or a name that begins with an underscore. What "
	  "came from an address that set_real_ip_from names is added to, what anybody else has sent is replaced. "
	  "proxy_set_header Forwarded wins." },
	{ "proxy_limit_rate", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_limit_rate,
	  .args = "rate", .doc = "How many bytes a second are read from the upstream; 0: no limit." },
	{ "proxy_socket_rcvbuf", IN_HTTP_ANY, CONF_SIZE, UP(rcvbuf), .max = INT32_MAX,
	  .doc = "SO_RCVBUF of connections to the upstream; by default the kernel sizes it." },
	{ "proxy_socket_sndbuf", IN_HTTP_ANY, CONF_SIZE, UP(sndbuf), .max = INT32_MAX,
	  .doc = "SO_SNDBUF of connections to the upstream; by default the kernel sizes it." },
	{ "proxy_cookie_domain", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(proxy_conf, up.cookie_domains), .args_min = 1,
	  .args_max = 2, .set = set_cookie_domain, .flags = CONF_MULTI, .args = "off | domain replacement",
	  .doc = "Changes the domain attribute of Set-Cookie: one that is `domain`, or matches it (~regex, in any "
	  "letter case), becomes the replacement. Both may contain variables; a dot in front does not count." },
	{ "proxy_cookie_path", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(proxy_conf, up.cookie_paths), .args_min = 1,
	  .args_max = 2, .set = set_cookie_path, .flags = CONF_MULTI, .args = "off | path replacement",
	  .doc = "Changes the path attribute of Set-Cookie: one that begins with `path`, or matches it (~regex, "
	  "~*regex), gets the replacement. Both may contain variables." },
	{ "proxy_cookie_flags", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(proxy_conf, up.cookie_flags), .args_min = 1,
	  .args_max = CONF_ANY, .set = set_cookie_flags, .flags = CONF_MULTI, .args = "off | cookie flag ...",
	  .doc = "Gives the cookie of that name (or that matches ~regex) flags or takes them away: secure, httponly, "
	  "samesite=strict, samesite=lax, samesite=none, nosecure, nohttponly, nosamesite. May contain variables." },
	{ "proxy_force_ranges", IN_HTTP_ANY, CONF_FLAG, UP(force_ranges), .def = "off",
	  .doc = "Clients may have one range of a response whose length is known, whatever its Accept-Ranges says." },
	{ "proxy_store", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(proxy_conf, up.store), .args_min = 1, .args_max = 1,
	  .set = set_store, .args = "on | off | path",
	  .doc = "Keeps responses of status 200 as files: where root or alias has them, or at a path that may "
	  "contain variables (none when it is empty). The folder that the path begins with, before any variable, "
	  "must exist." },
	{ "proxy_store_access", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(proxy_conf, up.store_access), .args_min = 1,
	  .args_max = 3, .set = set_store_access, .args = "user:rw group:rw all:r",
	  .doc = "Who may read and write those files; by default user:rw." },
	{ "proxy_busy_buffers_size", IN_HTTP_ANY, CONF_SIZE, UP(busy_size),
	  .doc = "How much of a response may be on its way to the client at most while more is read. Not less than "
	  "one of proxy_buffers, not more than all but one." },
	{ "proxy_temp_file_write_size", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1,
	  .set = set_no_effect, .args = "size", .doc = "Has no effect, and is told: the kernel gathers what is "
	  "written." },
	{ "proxy_headers_hash_max_size", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1,
	  .set = set_no_effect, .args = "size", .doc = "Has no effect, and is told: tables size themselves." },
	{ "proxy_headers_hash_bucket_size", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1,
	  .set = set_no_effect, .args = "size", .doc = "Has no effect, and is told: tables size themselves." },
	{ "proxy_send_lowat", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1,
	  .set = set_no_effect, .args = "size", .doc = "Has no effect, and is told: Linux has no such option." },
	{ "early_hints", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_early_hints,
	  .args = "condition", .doc = "Passes 103 responses on to the client when the value is not empty and not 0." },
	{ 0 }
};

const struct weir_module proxy_module = {
	.name = "proxy", .index = &index_, .conf_size = sizeof(struct proxy_conf), .cmds = cmds,
	.hooks = hooks, .ready = ready,
	.doc = "Reverse proxy: requests are answered by an upstream.",
};
