/*
 * health_match.c - match { }: what an answer must be like for a server to be healthy.
 */
#include "core/base/num.h"
#include "core/sess/regex.h"
#include "http/up/health.h"

enum header_test { IS_THERE, IS, CONTAINS };

struct range { unsigned lo, hi; };

struct header {
	struct weir_str	 name, value;
	enum header_test test;
	bool		 not;
	struct weir_regex *regex;
};

struct up_match {
	struct { struct range *v; unsigned n, room; } statuses;
	struct { struct header *v; unsigned n, room; } headers;
	bool		 not_status, not_body;
	struct weir_regex *body;
	struct weir_expect bytes;
	bool		 has_bytes;
};

/* ---- the lines ---- */

static int
add_range(struct weir_conf *cf, const struct weir_node *n, unsigned w, struct up_match *m)
{
	struct weir_str s = n->w[w].s;
	ssize_t at = str_chr(s, '-');
	uint64_t lo, hi;

	if (conf_u64(cf, n, w, at < 0 ? s : str_of(s.p, (size_t)at), 100, 999, &lo) != WEIR_OK)
		return WEIR_FAIL;
	hi = lo;
	if (at >= 0 && conf_u64(cf, n, w, str_from(s, (size_t)at + 1), 100, 999, &hi) != WEIR_OK)
		return WEIR_FAIL;
	if (hi < lo)
		return conf_error(cf, n, w, "the range \"%.*s\" is empty", STR_ARG(s));
	*POOL_PUSH(cf->pool, &m->statuses) = (struct range){ (unsigned)lo, (unsigned)hi };
	return WEIR_OK;
}

static int
status_line(struct weir_conf *cf, const struct weir_node *n, struct up_match *m)
{
	unsigned w = 1;

	if (m->statuses.n != 0)
		return conf_error(cf, n, 0, "it stands twice: write all in one line");
	m->not_status = n->n > 1 && str_eq(n->w[1].s, STR("!"));
	w += m->not_status;
	if (w == n->n)
		return conf_error(cf, n, 0, "it names no status");
	for (; w < n->n; w++)
		if (add_range(cf, n, w, m) != WEIR_OK)
			return WEIR_FAIL;
	return WEIR_OK;
}

/* =, !=, ~, ~*, !~, !~* at word w, and what is behind it. */
static int
compare(struct weir_conf *cf, const struct weir_node *n, unsigned w, struct header *h)
{
	struct weir_str op = n->w[w].s;
	bool nocase;

	h->not = op.n > 1 && op.p[0] == '!';
	op = str_from(op, h->not);
	nocase = str_eq(op, STR("~*"));
	h->value = n->w[w + 1].s;
	if (str_eq(op, STR("="))) {
		h->test = IS;
		return WEIR_OK;
	}
	if (!nocase && !str_eq(op, STR("~")))
		return conf_error(cf, n, w, "expected one of = != ~ ~* !~ !~*");
	h->test = CONTAINS;
	return regex_compile(cf, n, w + 1, h->value, nocase, &h->regex);
}

static int
header_line(struct weir_conf *cf, const struct weir_node *n, struct up_match *m)
{
	bool not = n->n == 3 && str_eq(n->w[1].s, STR("!"));
	struct header h = { .not = not };

	if (n->n != 2 && n->n != 4 && !not)
		return conf_error(cf, n, 0, "it has the form \"header [!] name\" or \"header name =|!=|~|!~ value\"");
	h.name = n->w[1 + not].s;
	if (!is_token(h.name))
		return conf_error(cf, n, 1, "\"%.*s\" is no field name", STR_ARG(h.name));
	if (n->n == 4 && compare(cf, n, 2, &h) != WEIR_OK)
		return WEIR_FAIL;
	*POOL_PUSH(cf->pool, &m->headers) = h;
	return WEIR_OK;
}

static int
body_line(struct weir_conf *cf, const struct weir_node *n, struct up_match *m)
{
	struct header h = { 0 };

	if (m->body != NULL)
		return conf_error(cf, n, 0, "it stands twice");
	if (n->n != 3 || str_eq(n->w[1].s, STR("=")) || str_eq(n->w[1].s, STR("!=")))
		return conf_error(cf, n, 0, "it has the form \"body ~|~*|!~|!~* regex\"");
	if (compare(cf, n, 1, &h) != WEIR_OK)
		return WEIR_FAIL;
	m->body = h.regex;
	m->not_body = h.not;
	return WEIR_OK;
}

static int
byte_line(struct weir_conf *cf, const struct weir_node *n, struct up_match *m)
{
	m->has_bytes = true;
	return expect_line(cf, n, &m->bytes);
}

static int
any_line(struct weir_conf *cf, const struct weir_node *n, struct up_match *m)
{
	static const struct {
		const char *name;
		int (*fn)(struct weir_conf *, const struct weir_node *, struct up_match *);
	} lines[] = {
		{ "status", status_line }, { "header", header_line }, { "body", body_line },
		{ "send", byte_line }, { "expect", byte_line },
	};

	for (unsigned i = 0; i < WEIR_COUNT(lines); i++)
		if (str_eq(n->w[0].s, str_c(lines[i].name)))
			return lines[i].fn(cf, n, m);
	return conf_error(cf, n, 0, "unknown condition \"%.*s\": there are status, header, body, send and expect",
	    STR_ARG(n->w[0].s));
}

struct up_match *
up_match_parse(struct weir_conf *cf, struct weir_node *node)
{
	struct up_match *m = POOL_NEW(cf->pool, up_match);

	if (node->child == NULL) {
		conf_error(cf, node, 0, "it has no conditions");
		return NULL;
	}
	for (const struct weir_node *n = node->child; n != NULL; n = n->next)
		if (any_line(cf, n, m) != WEIR_OK)
			return NULL;
	return m;
}

const struct weir_expect *
up_match_bytes(const struct up_match *m)
{
	return m->has_bytes ? &m->bytes : NULL;
}

bool
up_match_is_http(const struct up_match *m)
{
	return m->statuses.n != 0 || m->headers.n != 0 || m->body != NULL;
}

/* ---- judging ---- */

static bool
status_fits(const struct up_match *m, int status)
{
	if (m == NULL)
		return status >= 200 && status < 400;
	for (unsigned i = 0; i < m->statuses.n; i++)
		if ((unsigned)status >= m->statuses.v[i].lo && (unsigned)status <= m->statuses.v[i].hi)
			return !m->not_status;
	return m->statuses.n == 0 || m->not_status;
}

static bool
value_fits(const struct header *h, struct weir_str v)
{
	if (h->test == IS_THERE)
		return true;
	return h->test == IS ? str_eq(v, h->value) : regex_test(h->regex, v) == WEIR_OK;
}

static bool
header_fits(const struct header *h, const struct weir_fields *fs)
{
	for (const struct weir_field *f = fields_find(fs, h->name, NULL); f != NULL; f = fields_find(fs, h->name, f))
		if (value_fits(h, f->value))
			return !h->not;
	return h->not;
}

bool
up_match_head(const struct up_match *m, const struct weir_msg *msg, struct weir_pool *pool, const char **why)
{
	if (!status_fits(m, msg->status)) {
		*why = pool_cstr(pool, pool_printf(pool, "status %d does not match", msg->status));
		return false;
	}
	for (unsigned i = 0; m != NULL && i < m->headers.n; i++)
		if (!header_fits(&m->headers.v[i], &msg->fields)) {
			*why = pool_cstr(pool, pool_printf(pool, "header \"%.*s\" does not match",
			    STR_ARG(m->headers.v[i].name)));
			return false;
		}
	return true;
}

bool
up_match_wants_body(const struct up_match *m)
{
	return m != NULL && m->body != NULL;
}

bool
up_match_body(const struct up_match *m, struct weir_str body)
{
	return (regex_test(m->body, body) == WEIR_OK) != m->not_body;
}
