/*
 * headers.c - add_header and expires.
 */
#include <time.h>

#include "core/base/clock.h"
#include "core/base/num.h"
#include "modules/headers.h"

#define LAST_DATE	253402300799	/* Fri, 31 Dec 9999 23:59:59 GMT */

enum expires_kind { EXPIRES_OFF, EXPIRES_EPOCH, EXPIRES_MAX, EXPIRES_ACCESS, EXPIRES_MODIFIED,
	EXPIRES_DAILY };

struct expires {
	enum expires_kind kind;
	int64_t		 sec;
};

struct headers_conf {
	struct header_list own;			/* as written in this place, or one above it */
	const struct header_list *headers;	/* what holds */
	int		 inherit;
	struct expires	 expires;
	struct weir_expr expires_expr;		/* when it has variables */
	bool		 expires_modified;
};

static unsigned index_;
extern const struct weir_module headers_module;

const struct weir_choice header_inherits[] = {
	{ "on", INHERIT_ON }, { "off", INHERIT_OFF }, { "merge", INHERIT_MERGE }, { NULL, 0 }
};

/* ---- lists ---- */

int
header_read(struct weir_conf *cf, struct weir_node *node, struct header_list *to)
{
	struct header	*h = POOL_PUSH(cf->pool, to);

	h->name = node->w[1].s;
	if (!is_token(h->name))
		return conf_error(cf, node, 1, "\"%.*s\" is no name of a field", STR_ARG(h->name));
	if (expr_field(cf, node, 2, &h->value) != WEIR_OK)
		return WEIR_FAIL;
	if (expr_is_const(&h->value) && !is_field_value(h->value.source))
		return conf_error(cf, node, 2, "a field cannot hold line ends or NUL");
	if (node->n < 4)
		return WEIR_OK;
	h->always = str_eq(node->w[3].s, STR("always"));
	if (!h->always)
		return conf_error(cf, node, 3, "invalid parameter \"%.*s\", only \"always\" may "
		    "stand here", STR_ARG(node->w[3].s));
	return WEIR_OK;
}

const struct header_list *
header_resolve(struct weir_conf *cf, const struct header_list *own,
    const struct header_list *above, enum header_inherit inherit)
{
	struct header_list	*both;
	unsigned		 i;

	if (own == NULL || own->n == 0)
		return inherit == INHERIT_OFF ? NULL : above;
	if (inherit != INHERIT_MERGE || above == NULL)
		return own;
	both = POOL_NEW(cf->pool, header_list);
	for (i = 0; i < above->n; i++)
		*POOL_PUSH(cf->pool, both) = above->v[i];
	for (i = 0; i < own->n; i++)
		*POOL_PUSH(cf->pool, both) = own->v[i];
	return both;
}

bool
header_applies(const struct header *h, int status)
{
	switch (status) {
	case 200: case 201: case 204: case 206: case 301: case 302: case 303: case 304: case 307:
	case 308:
		return true;
	default:
		return h->always;
	}
}

/* ---- expires ---- */

/* NULL, or what is wrong with the text. */
static const char *
read_expires(struct weir_str s, bool modified, struct expires *to)
{
	static const struct { const char *word; enum expires_kind kind; } words[] = {
		{ "off", EXPIRES_OFF }, { "epoch", EXPIRES_EPOCH }, { "max", EXPIRES_MAX },
	};
	uint64_t	ms;
	bool		minus;
	unsigned	i;

	to->sec = 0;
	for (i = 0; !modified && i < WEIR_COUNT(words); i++)
		if (str_eq(s, str_c(words[i].word))) {
			to->kind = words[i].kind;
			return NULL;
		}
	to->kind = modified ? EXPIRES_MODIFIED : EXPIRES_ACCESS;
	if (s.n != 0 && s.p[0] == '@') {
		if (modified)
			return "daily time cannot be used with \"modified\" parameter";
		to->kind = EXPIRES_DAILY;
		s = str_from(s, 1);
	}
	minus = s.n != 0 && s.p[0] == '-' && to->kind != EXPIRES_DAILY;
	if (minus || (s.n != 0 && s.p[0] == '+' && to->kind != EXPIRES_DAILY))
		s = str_from(s, 1);
	/* Seconds are counted here, so there are no "1000ms". */
	if (num_msec(s, &ms) != WEIR_OK || str_ends(s, STR("ms")))
		return "invalid time";
	if (to->kind == EXPIRES_DAILY && ms > 86400 * 1000u)
		return "daily time value must be less than 24 hours";
	to->sec = (int64_t)(ms / 1000) * (minus ? -1 : 1);
	return NULL;
}

static int
set_expires(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct headers_conf	*c = conf;
	const char		*wrong;
	unsigned		 w = node->n - 1;

	(void)scope;
	c->expires_modified = node->n == 3;
	if (c->expires_modified && !str_eq(node->w[1].s, STR("modified")))
		return conf_error(cf, node, 1, "invalid parameter \"%.*s\", only \"modified\" may "
		    "stand here", STR_ARG(node->w[1].s));
	memset(&c->expires_expr, 0, sizeof(c->expires_expr));
	if (expr_field(cf, node, w, &c->expires_expr) != WEIR_OK)
		return WEIR_FAIL;
	c->expires_expr.set = true;
	if (!expr_is_const(&c->expires_expr))
		return WEIR_OK;
	wrong = read_expires(c->expires_expr.source, c->expires_modified, &c->expires);
	if (wrong != NULL)
		return conf_error(cf, node, w, "\"%.*s\": %s", STR_ARG(node->w[w].s), wrong);
	return WEIR_OK;
}

/* The next time that the clock on the wall says so. */
static int64_t
next_time(int64_t now, int64_t of_day)
{
	time_t		t = (time_t)now;
	struct tm	tm;
	int64_t		next;

	localtime_r(&t, &tm);
	tm.tm_hour = (int)(of_day / 3600);
	tm.tm_min = (int)(of_day / 60 % 60);
	tm.tm_sec = (int)(of_day % 60);
	tm.tm_isdst = -1;
	next = mktime(&tm);
	if (next <= now) {
		tm.tm_mday++;
		tm.tm_isdst = -1;
		next = mktime(&tm);
	}
	return next;
}

static void
say_expires(struct weir_req *r, struct weir_str date, struct weir_str control)
{
	fields_remove_known(&r->rsp.fields, H_EXPIRES);
	fields_remove_known(&r->rsp.fields, H_CACHE_CONTROL);
	req_add(r, "Expires", date);
	req_add(r, "Cache-Control", control);
}

static void
say_until(struct weir_req *r, int64_t until, int64_t age)
{
	char	*date = pool_bytes(r->s.pool, HTTP_DATE_LEN);

	http_date_put(date, (time_t)WEIR_MIN(WEIR_MAX(until, 0), LAST_DATE));
	say_expires(r, str_of(date, HTTP_DATE_LEN), age < 0 ? STR("no-cache")
	    : pool_printf(r->s.pool, "max-age=%lld", (long long)age));
}

static void
add_expires(struct weir_req *r, const struct expires *e)
{
	const struct weir_field	*changed = fields_known(&r->rsp.fields, H_LAST_MODIFIED);
	int64_t			 now = (int64_t)(weir_wall_ms / 1000), from = -1;

	switch (e->kind) {
	case EXPIRES_OFF:
		return;
	case EXPIRES_EPOCH:
		say_expires(r, STR("Thu, 01 Jan 1970 00:00:01 GMT"), STR("no-cache"));
		return;
	case EXPIRES_MAX:
		say_expires(r, STR("Thu, 31 Dec 2037 23:55:55 GMT"), STR("max-age=315360000"));
		return;
	case EXPIRES_DAILY:
		from = next_time(now, e->sec);
		say_until(r, from, from - now);
		return;
	case EXPIRES_MODIFIED:
		if (changed != NULL && e->sec != 0)	/* 0 means now, also here */
			from = http_date_read(changed->value);
		break;
	case EXPIRES_ACCESS:
		break;
	}
	if (from < 0)
		from = now;
	say_until(r, from + e->sec, e->sec < 0 ? -1 : from + e->sec - now);
}

static void
apply_expires(struct weir_req *r, const struct headers_conf *c)
{
	struct expires	e = c->expires;

	if (c->expires_expr.set && !expr_is_const(&c->expires_expr) &&
	    read_expires(expr_eval(&r->s, &c->expires_expr), c->expires_modified, &e) != NULL)
		return;		/* a variable that says nothing sensible says "off" */
	add_expires(r, &e);
}

/* ---- add_header ---- */

/* Of these a response has one; an empty value takes it away. */
static bool
replaces(enum weir_known known)
{
	return known == H_LAST_MODIFIED || known == H_ETAG;
}

static void
add(struct weir_req *r, const struct header *h)
{
	struct weir_str	value = expr_eval(&r->s, &h->value);
	enum weir_known	known = name_find(h->name);

	if (replaces(known))
		fields_remove_known(&r->rsp.fields, known);
	(void)fit_field_value(r->s.pool, &value);
	if (value.n != 0)
		req_add(r, pool_cstr(r->s.pool, h->name), value);
}

static enum weir_next
on_response(struct weir_sess *s)
{
	static const struct header	 ordinary;
	struct weir_req			*r = req_of(s);
	const struct headers_conf	*c = REQ_CONF(r, headers_conf, headers_module);
	unsigned			 i;

	if (r->parent != NULL)
		return WEIR_NEXT;
	if (header_applies(&ordinary, r->rsp.status))
		apply_expires(r, c);
	for (i = 0; c->headers != NULL && i < c->headers->n; i++)
		if (header_applies(&c->headers->v[i], r->rsp.status))
			add(r, &c->headers->v[i]);
	return WEIR_NEXT;
}

static int
set_header(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return header_read(cf, node, &((struct headers_conf *)conf)->own);
}

static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct headers_conf	*c = conf;

	c->headers = header_resolve(cf, conf_set_here(scope, &headers_module, "add_header") ? &c->own
	    : NULL, c->headers, (enum header_inherit)c->inherit);
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "add_header", IN_HTTP_ANY | IN_IF, CONF_CUSTOM, CONF_AT(headers_conf, own),
	  .args_min = 2, .args_max = 3, .set = set_header, .flags = CONF_MULTI,
	  .args = "name value [always]",
	  .doc = "Add a field to responses with the status 200, 201, 204, 206, 301, 302, 303, 304, 307 "
	  "and 308, or to all of them (always).  The value may contain variables; an empty one adds "
	  "nothing.  A place with add_header of its own does not have those from above, unless "
	  "add_header_inherit says merge." },
	{ "add_header_inherit", IN_HTTP_ANY, CONF_ENUM, CONF_AT(headers_conf, inherit),
	  .def = "on", .choices = header_inherits,
	  .doc = "Does a place have the add_header from above: only when it has none of its own, "
	  "never, or in addition to its own?" },
	{ "expires", IN_HTTP_ANY | IN_IF, CONF_CUSTOM, .args_min = 1, .args_max = 2,
	  .set = set_expires, .args = "[modified] time | @time | epoch | max | off",
	  .doc = "Add Expires and Cache-Control: so long from now, or from the last modification; or "
	  "until a time of the day.  A negative time forbids caching.  May contain variables." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	const struct headers_conf *c = conf;

	return (c->headers == NULL || c->headers->n == 0) && c->expires.kind == EXPIRES_OFF &&
	    (!c->expires_expr.set || expr_is_const(&c->expires_expr));
}

static const struct weir_hook hooks[] = { { ON_RESPONSE, on_response, idle }, { 0 } };

const struct weir_module headers_module = {
	.name = "headers", .index = &index_, .conf_size = sizeof(struct headers_conf),
	.cmds = cmds, .ready = ready, .hooks = hooks,
	.doc = "Fields that the configuration adds to responses.",
};
