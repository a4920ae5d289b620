/*
 * gzip_ok.c - does the client take a compressed response?
 */
#include "core/base/clock.h"
#include "core/sess/regex.h"
#include "http/req/gzip_ok.h"

enum {			/* gzip_proxied */
	PROXIED_OFF = 1, PROXIED_EXPIRED = 2, PROXIED_NO_CACHE = 4, PROXIED_NO_STORE = 8,
	PROXIED_PRIVATE = 16, PROXIED_NO_LAST_MODIFIED = 32, PROXIED_NO_ETAG = 64, PROXIED_AUTH = 128,
	PROXIED_ANY = 256
};

struct disable_list {
	struct weir_regex **v;
	unsigned	 n, room;
	bool		 msie6;
};

struct gzip_conf {
	bool		 vary;
	int		 http_version;
	unsigned	 proxied;
	struct disable_list disable;
};

static unsigned index_;
extern const struct weir_module http_gzip_module;

/* ---- Accept-Encoding ---- */

/* RFC 9110, 12.4.2: 0 to 1 with three digits at most, as thousandths; 0 when it is none. */
static unsigned
read_qvalue(struct weir_str s)
{
	unsigned	n, unit = 100;
	size_t		i;

	if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
		return 0;
	n = s.p[0] == '1' ? 1000 : 0;
	for (i = 2; i < s.n; i++, unit /= 10) {
		if ((unsigned)(s.p[i] - '0') > 9)
			return 0;
		n += (unsigned)(s.p[i] - '0') * unit;
	}
	return n <= 1000 ? n : 0;
}

unsigned
coding_wanted(struct weir_req *r, struct weir_str name)
{
	struct weir_str	list = fields_join(&r->msg->fields, r->s.pool, STR("Accept-Encoding"), ", ");
	struct weir_str	item, q;
	ssize_t		semi;

	while (str_next_item(&list, &item)) {
		semi = str_chr(item, ';');
		if (!str_ieq(semi < 0 ? item : str_trim(str_of(item.p, (size_t)semi)), name))
			continue;
		if (semi < 0)
			return 1000;
		q = str_trim(str_from(item, (size_t)semi + 1));
		return str_ibegins(q, STR("q=")) ? read_qvalue(str_from(q, 2)) : 0;
	}
	return 0;
}

/* ---- gzip_proxied ---- */

static bool
has_control(const struct weir_req *r, struct weir_str word)
{
	const struct weir_fields	*fs = &r->rsp.fields;
	struct weir_str			 list, item;
	unsigned			 i;

	for (i = 0; i < fs->n; i++) {
		if (fs->v[i].known != H_CACHE_CONTROL)
			continue;
		list = fs->v[i].value;
		while (str_next_item(&list, &item))
			if (str_ibegins(item, word))
				return true;
	}
	return false;
}

static bool
has_expired(const struct weir_req *r, struct weir_str expires)
{
	const struct weir_field	*date = fields_known(&r->rsp.fields, H_DATE);
	int64_t			 until = http_date_read(expires);
	int64_t			 now = date != NULL ? http_date_read(date->value)
				    : (int64_t)(weir_wall_ms / 1000);

	return until >= 0 && until < now;
}

static bool
allowed_by_control(const struct weir_req *r, unsigned p)
{
	static const struct { unsigned bit; struct weir_str word; } words[] = {
		{ PROXIED_NO_CACHE, { "no-cache", 8 } }, { PROXIED_NO_STORE, { "no-store", 8 } },
		{ PROXIED_PRIVATE, { "private", 7 } },
	};
	unsigned	i;

	for (i = 0; i < WEIR_COUNT(words); i++)
		if ((p & words[i].bit) && has_control(r, words[i].word))
			return true;
	return false;
}

/*
 * A cache between us may give what we compress to others.  What a list of words leaves open is
 * allowed, as nginx does it.
 */
static bool
allowed_for_proxies(const struct weir_req *r, unsigned p)
{
	const struct weir_fields	*fs = &r->rsp.fields;
	const struct weir_field		*expires = fields_known(fs, H_EXPIRES);

	if (p & PROXIED_OFF)
		return false;
	if ((p & PROXIED_ANY) ||
	    ((p & PROXIED_AUTH) && fields_known(&r->msg->fields, H_AUTHORIZATION) != NULL))
		return true;
	if (expires != NULL)
		return (p & PROXIED_EXPIRED) && has_expired(r, expires->value);
	if (fields_known(fs, H_CACHE_CONTROL) != NULL)
		return allowed_by_control(r, p);
	return !((p & PROXIED_NO_LAST_MODIFIED) && fields_known(fs, H_LAST_MODIFIED) != NULL) &&
	    !((p & PROXIED_NO_ETAG) && fields_known(fs, H_ETAG) != NULL);
}

/* ---- gzip_disable ---- */

/* MSIE 4 to 6 say that they take gzip and do not; with SV1 they do. */
static bool
is_msie6(struct weir_str ua)
{
	ssize_t	at = str_find(ua, STR("MSIE "));

	if (at < 0 || str_find(ua, STR("Opera")) >= 0)
		return false;
	ua = str_from(ua, (size_t)at + 5);
	if (ua.n < 2 || ua.p[1] != '.')
		return false;
	return ua.p[0] == '4' || ua.p[0] == '5' ||
	    (ua.p[0] == '6' && str_find(ua, STR("SV1")) < 0);
}

static bool
is_disabled(const struct weir_req *r, const struct disable_list *d)
{
	struct weir_str	ua = fields_value(&r->msg->fields, H_USER_AGENT);
	unsigned	i;

	if (ua.n == 0)
		return false;
	if (d->msie6 && is_msie6(ua))
		return true;
	for (i = 0; i < d->n; i++)
		if (regex_test(d->v[i], ua) != WEIR_AGAIN)
			return true;	/* it matches, or gave up */
	return false;
}

/* ---- for modules ---- */

bool
coding_allowed(struct weir_req *r)
{
	const struct gzip_conf	*c = REQ_CONF(r, gzip_conf, http_gzip_module);

	if (r->msg->version < c->http_version)
		return false;
	if (fields_known(&r->msg->fields, H_VIA) != NULL && !allowed_for_proxies(r, c->proxied))
		return false;
	return !is_disabled(r, &c->disable);
}

bool
coding_vary_on(struct weir_req *r)
{
	return REQ_CONF(r, gzip_conf, http_gzip_module)->vary;
}

static enum weir_next
on_response(struct weir_sess *s)
{
	struct weir_req	*r = req_of(s);

	if (r->vary_encoding && coding_vary_on(r))
		req_add(r, "Vary", STR("Accept-Encoding"));
	r->vary_encoding = false;
	return WEIR_NEXT;
}

/* ---- the table ---- */

static int
set_disable(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct disable_list	*d = &((struct gzip_conf *)conf)->disable;
	unsigned		 w;

	(void)scope;
	for (w = 1; w < node->n; w++) {
		if (str_eq(node->w[w].s, STR("msie6")))
			d->msie6 = true;
		else if (regex_compile(cf, node, w, node->w[w].s, true, POOL_PUSH(cf->pool, d)) !=
		    WEIR_OK)
			return WEIR_FAIL;
	}
	return WEIR_OK;
}

static const struct weir_choice versions[] = { { "1.0", 0x100 }, { "1.1", 0x101 }, { NULL, 0 } };
static const struct weir_choice proxied_choices[] = {
	{ "off", PROXIED_OFF }, { "expired", PROXIED_EXPIRED }, { "no-cache", PROXIED_NO_CACHE },
	{ "no-store", PROXIED_NO_STORE }, { "private", PROXIED_PRIVATE },
	{ "no_last_modified", PROXIED_NO_LAST_MODIFIED }, { "no_etag", PROXIED_NO_ETAG },
	{ "auth", PROXIED_AUTH }, { "any", PROXIED_ANY }, { NULL, 0 }
};

static const struct weir_cmd cmds[] = {
	{ "gzip_vary", IN_HTTP_ANY, CONF_FLAG, CONF_AT(gzip_conf, vary), .def = "off",
	  .doc = "Add \"Vary: Accept-Encoding\" to what other clients get in another coding." },
	{ "gzip_http_version", IN_HTTP_ANY, CONF_ENUM, CONF_AT(gzip_conf, http_version), .def = "1.1",
	  .choices = versions, .doc = "Clients of an older version get nothing compressed." },
	{ "gzip_proxied", IN_HTTP_ANY, CONF_BITS, CONF_AT(gzip_conf, proxied), .def = "off",
	  .choices = proxied_choices,
	  .doc = "Which responses to requests that came by a proxy (they have a Via field) may be "
	  "compressed: none (off), all (any), those that were expired when they were made, those whose "
	  "Cache-Control has no-cache, no-store or private, those without Last-Modified or ETag, those "
	  "to requests with Authorization (auth).  off with others is off." },
	{ "gzip_disable", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(gzip_conf, disable), .args_min = 1,
	  .args_max = CONF_ANY, .set = set_disable, .flags = CONF_MULTI, .args = "regex | msie6 ...",
	  .doc = "Clients whose User-Agent matches one of these get nothing compressed, case does not "
	  "matter; msie6 means Internet Explorer 4 to 6." },
	{ 0 }
};

static const struct weir_hook hooks[] = { { ON_RESPONSE, on_response, NULL }, { 0 } };

const struct weir_module http_gzip_module = {
	.name = "http_gzip", .index = &index_, .conf_size = sizeof(struct gzip_conf),
	.cmds = cmds, .hooks = hooks,
	.doc = "Which clients get compressed responses.",
};
