/*
 * proxy.c - proxy_pass and all that goes with it.
 *
 * The course of a proxied request is http/up's; here is only what the directives say.
 */
#include "core/peer/tls_conf.h"
#include "core/proc/cycle.h"
#include "http/up/pass.h"
#include "http/up/rules_conf.h"

struct proxy_conf {
	struct weir_up_conf c;
	/* collected while binding */
	struct weir_up_redirect *redirects;
	bool		 redirect_default, redirect_off;
};

extern const struct weir_module proxy_module;
static unsigned index_;

static const struct weir_up_kind kind = {
	.module = &proxy_module, .tls = &proxy_ssl_module, .pass = "proxy_pass",
	.clear = "http://", .secure = "https://", .uri = true,
};

static enum weir_next
on_content(struct weir_sess *s)
{
	const struct proxy_conf *c = s->conf[index_];

	return up_pass(req_of(s), &c->c, &kind);
}

static const struct weir_hook hooks[] = { { ON_CONTENT, on_content, up_pass_idle }, { 0 } };

/* ---- directives ---- */

static int
set_pass(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	return up_conf_pass(cf, s, n, &((struct proxy_conf *)conf)->c, &kind);
}

/* The first directive of its kind in a place replaces what was inherited. */
static bool
is_first_here(struct weir_scope *s, const char *name)
{
	return !conf_set_here(s, &proxy_module, name);
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
	return up_conf_cookie_domain(cf, n, &((struct proxy_conf *)conf)->c.up,
	    !is_first_here(s, "proxy_cookie_domain"));
}

static int
set_cookie_path(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	return up_conf_cookie_path(cf, n, &((struct proxy_conf *)conf)->c.up,
	    !is_first_here(s, "proxy_cookie_path"));
}

static int
set_cookie_flags(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	return up_conf_cookie_flags(cf, n, &((struct proxy_conf *)conf)->c.up,
	    !is_first_here(s, "proxy_cookie_flags"));
}

static int
set_store(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s;
	return up_conf_store(cf, n, &((struct proxy_conf *)conf)->c.up);
}

static int
set_store_access(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s;
	return up_conf_store_access(cf, n, &((struct proxy_conf *)conf)->c.up);
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
	return expr_field(cf, n, 1, &((struct proxy_conf *)conf)->c.up.method);
}

static int
set_body(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s;
	return expr_field(cf, n, 1, &((struct proxy_conf *)conf)->c.up.body);
}

static int
set_limit_rate(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s;
	return expr_field(cf, n, 1, &((struct proxy_conf *)conf)->c.up.limit_rate);
}

static int
set_temp_path(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_up_params *p = &((struct proxy_conf *)conf)->c.up;

	(void)s;
	p->temp_path = conf_path(cf, n->w[1].s, false);
	if (n->n > 2)
		conf_warn(cf, n, 2, "levels have no effect: the files have no names");
	return conf_folder(cf, n, p->temp_path);
}

static int
set_buffers(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_up_params *p = &((struct proxy_conf *)conf)->c.up;

	(void)s;
	if (conf_u64(cf, n, 1, n->w[1].s, 2, 65536, &p->buffers_n) != WEIR_OK)
		return WEIR_FAIL;
	return conf_size(cf, n, 2, n->w[2].s, &p->buffers_size);
}

/* ---- compiling ---- */

/* proxy_redirect default: what proxy_pass names becomes the location's prefix. */
static void
default_redirect(struct weir_conf *cf, struct proxy_conf *c)
{
	struct weir_up_redirect *d;

	if (c->redirect_off || !c->redirect_default || c->c.pass.group == NULL || c->c.pass.loc == NULL ||
	    c->c.pass.loc->kind == LOC_REGEX || c->c.pass.loc->kind == LOC_NAMED)
		return;
	d = POOL_NEW(cf->pool, weir_up_redirect);
	d->from.source = pool_printf(cf->pool, "%s://%.*s%.*s", c->c.pass.secure ? "https" : "http", STR_ARG(c->c.pass.host),
	    STR_ARG(c->c.pass.has_uri ? c->c.pass.uri : STR("/")));
	d->to.source = c->c.pass.has_uri ? c->c.pass.loc->name : STR("/");
	d->from.set = d->to.set = true;
	d->next = c->redirects;
	c->c.up.redirects = d;
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

static int
ready(struct weir_conf *cf, struct weir_scope *s, void *conf)
{
	struct proxy_conf *c = conf;

	if (s->in == IN_MAIN) {
		c->redirect_default = true;
		c->c.up.store_access = 0600;
		return WEIR_OK;
	}
	if (check_busy(cf, s, &c->c.up) != WEIR_OK)
		return WEIR_FAIL;
	if (c->c.up.store && c->c.pass.given && up_conf_store_ready(cf, s, &c->c.up) != WEIR_OK)
		return WEIR_FAIL;
	if (c->c.up.max_temp_file != 0 && c->c.up.buffering)
		cycle_temp_dir(cf, c->c.up.temp_path);
	c->c.up.redirects = c->redirects;
	default_redirect(cf, c);
	return up_conf_ready(cf, s, &c->c, &kind);
}

static const struct weir_choice versions[] = {
	{ "1.0", 0x100 }, { "1.1", 0x101 }, { "2", 0x200 }, { NULL, 0 }
};

static const struct weir_cmd cmds[] = {
	{ "proxy_pass", IN_PASS, CONF_CUSTOM, UP_AT(pass), .args_min = 1, .args_max = 1, .set = set_pass,
	  .flags = CONF_NOINHERIT, .args = "URL",
	  .doc = "Passes requests to an upstream: http://host[:port][/uri], http://unix:/path[:/uri], or the name "
	  "of an upstream group. With a URI part, it replaces the prefix that the location matched; without one, the "
	  "request's URI is passed as the client sent it. May contain variables." },
	{ "proxy_http_version", IN_HTTP_ANY, CONF_ENUM, UP(http_version), .def = "1.1", .choices = versions,
	  .doc = "The version of HTTP spoken to the upstream. 2: many requests share a connection; https:// upstreams "
	  "must choose \"h2\" by ALPN, others are taken to speak it." },
	{ "proxy_redirect", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 2, .set = set_redirect,
	  .flags = CONF_MULTI, .args = "default | off | from to",
	  .doc = "Changes Location and Refresh of the response: a value that begins with `from` (or matches it, "
	  "~regex or ~*regex) gets `to` instead. By default what proxy_pass names becomes the location's prefix." },
	{ "proxy_ignore_client_abort", IN_HTTP_ANY, CONF_FLAG, UP(ignore_client_abort), .def = "off",
	  .doc = "Goes on with the upstream when the client has left." },
	{ "proxy_request_buffering", IN_HTTP_ANY, CONF_FLAG, UP(request_buffering), .def = "on",
	  .doc = "Reads all of the request's body before the upstream is asked, so that the request can be tried "
	  "again; off: the body is passed on as it comes." },
	{ "proxy_buffering", IN_HTTP_ANY, CONF_FLAG, UP(buffering), .def = "on",
	  .doc = "Reads ahead of a slow client, as far as proxy_buffers allow." },
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
	{ "proxy_limit_rate", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_limit_rate,
	  .args = "rate", .doc = "How many bytes a second are read from the upstream; 0: no limit." },
	{ "proxy_cookie_domain", IN_HTTP_ANY, CONF_CUSTOM, UP_AT(up.cookie_domains), .args_min = 1,
	  .args_max = 2, .set = set_cookie_domain, .flags = CONF_MULTI, .args = "off | domain replacement",
	  .doc = "Changes the domain attribute of Set-Cookie: one that is `domain`, or matches it (~regex, in any "
	  "letter case), becomes the replacement. Both may contain variables; a dot in front does not count." },
	{ "proxy_cookie_path", IN_HTTP_ANY, CONF_CUSTOM, UP_AT(up.cookie_paths), .args_min = 1,
	  .args_max = 2, .set = set_cookie_path, .flags = CONF_MULTI, .args = "off | path replacement",
	  .doc = "Changes the path attribute of Set-Cookie: one that begins with `path`, or matches it (~regex, "
	  "~*regex), gets the replacement. Both may contain variables." },
	{ "proxy_cookie_flags", IN_HTTP_ANY, CONF_CUSTOM, UP_AT(up.cookie_flags), .args_min = 1,
	  .args_max = CONF_ANY, .set = set_cookie_flags, .flags = CONF_MULTI, .args = "off | cookie flag ...",
	  .doc = "Gives the cookie of that name (or that matches ~regex) flags or takes them away: secure, httponly, "
	  "samesite=strict, samesite=lax, samesite=none, nosecure, nohttponly, nosamesite. May contain variables." },
	{ "proxy_force_ranges", IN_HTTP_ANY, CONF_FLAG, UP(force_ranges), .def = "off",
	  .doc = "Clients may have one range of a response whose length is known, whatever its Accept-Ranges says." },
	{ "proxy_store", IN_HTTP_ANY, CONF_CUSTOM, UP_AT(up.store), .args_min = 1, .args_max = 1,
	  .set = set_store, .args = "on | off | path",
	  .doc = "Keeps responses of status 200 as files: where root or alias has them, or at a path that may "
	  "contain variables (none when it is empty). The folder that the path begins with, before any variable, "
	  "must exist." },
	{ "proxy_store_access", IN_HTTP_ANY, CONF_CUSTOM, UP_AT(up.store_access), .args_min = 1,
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
#define P "proxy_"
#define PP "proxy_protocol"
#include "http/up/pass_rows.h"
#undef P
	{ 0 }
};

const struct weir_module proxy_module = {
	.name = "proxy", .index = &index_, .conf_size = sizeof(struct proxy_conf), .cmds = cmds,
	.hooks = hooks, .ready = ready,
	.doc = "Reverse proxy: requests are answered by an upstream.",
};
