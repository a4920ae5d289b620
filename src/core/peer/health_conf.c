/*
 * health_conf.c - the words of health_check, and the lines of a match that are about bytes.
 */
#include <stdio.h>

#include "core/peer/health.h"
#include "core/sess/regex.h"

enum { INTERVAL_MS = 5000, GRPC_STATUS_MAX = 16 };

static const char *const known[] = { "interval=", "jitter=", "timeout=", "fails=", "passes=", "port=", "uri=", "match=",
	"type=", "mandatory", "persistent", "ssl", "udp", "keepalive_time=", "grpc_service=", "grpc_status=", NULL };

static int
set_time(struct weir_conf *cf, const struct weir_node *n, unsigned w, struct weir_str v, bool zero, uint64_t *to)
{
	if (conf_msec(cf, n, w, v, to) != WEIR_OK)
		return WEIR_FAIL;
	if (*to > UINT32_MAX)
		return conf_error(cf, n, w, "\"%.*s\" is too long", STR_ARG(v));
	return *to == 0 && !zero ? conf_error(cf, n, w, "it must not be 0") : WEIR_OK;
}

/* WEIR_AGAIN: it is none of these. */
static int
time_word(struct weir_conf *cf, const struct weir_node *n, unsigned w, struct weir_health *h)
{
	struct weir_str v;

	if (conf_param(n, w, "interval", &v))
		return set_time(cf, n, w, v, false, &h->interval_ms);
	if (conf_param(n, w, "jitter", &v))
		return set_time(cf, n, w, v, true, &h->jitter_ms);
	if (conf_param(n, w, "timeout", &v))
		return set_time(cf, n, w, v, false, &h->timeout_ms);
	if (conf_param(n, w, "keepalive_time", &v))
		return set_time(cf, n, w, v, true, &h->keepalive_ms);
	return WEIR_AGAIN;
}

static int
number_word(struct weir_conf *cf, const struct weir_node *n, unsigned w, struct weir_health *h)
{
	struct weir_str v;
	uint64_t port;

	if (conf_param(n, w, "fails", &v))
		return conf_u64(cf, n, w, v, 1, 1000000, &h->fails);
	if (conf_param(n, w, "passes", &v))
		return conf_u64(cf, n, w, v, 1, 1000000, &h->passes);
	if (conf_param(n, w, "grpc_status", &v))
		return conf_u64(cf, n, w, v, 0, GRPC_STATUS_MAX, &h->grpc_status);
	if (!conf_param(n, w, "port", &v))
		return WEIR_AGAIN;
	if (conf_u64(cf, n, w, v, 1, 65535, &port) != WEIR_OK)
		return WEIR_FAIL;
	h->port = (unsigned)port;
	return WEIR_OK;
}

static int
set_kind(struct weir_conf *cf, const struct weir_node *n, unsigned w, struct weir_str v,
    const struct weir_probe_kind *const *kinds, struct weir_health *h)
{
	struct weir_str all = STR_NONE;

	for (unsigned i = 0; kinds[i] != NULL; i++) {
		if (str_eq(v, str_c(kinds[i]->name))) {
			h->kind = kinds[i];
			return WEIR_OK;
		}
		all = pool_printf(cf->pool, "%.*s%s%s", STR_ARG(all), i != 0 ? ", " : "", kinds[i]->name);
	}
	return conf_error(cf, n, w, "unknown type \"%.*s\": there are %.*s", STR_ARG(v), STR_ARG(all));
}

static int
set_uri(struct weir_conf *cf, const struct weir_node *n, unsigned w, struct weir_str v, struct weir_health *h)
{
	if (v.n == 0 || v.p[0] != '/')
		return conf_error(cf, n, w, "the URI must begin with /");
	for (size_t i = 0; i < v.n; i++)
		if ((unsigned char)v.p[i] <= ' ' || v.p[i] == 0x7f)
			return conf_error(cf, n, w, "a URI cannot hold blanks or control characters");
	h->uri = v;
	return WEIR_OK;
}

static int
text_word(struct weir_conf *cf, const struct weir_node *n, unsigned w, const struct weir_probe_kind *const *kinds,
    struct weir_health *h)
{
	struct weir_str v;

	if (conf_param(n, w, "type", &v))
		return set_kind(cf, n, w, v, kinds, h);
	if (conf_param(n, w, "uri", &v))
		return set_uri(cf, n, w, v, h);
	if (conf_param(n, w, "match", &h->match))
		return h->match.n != 0 ? WEIR_OK : conf_error(cf, n, w, "match is empty");
	if (conf_param(n, w, "grpc_service", &h->service))
		return WEIR_OK;
	if (str_eq(n->w[w].s, STR("mandatory")))
		h->mandatory = true;
	else if (str_eq(n->w[w].s, STR("persistent")))
		h->persistent = true;
	else if (str_eq(n->w[w].s, STR("ssl")))
		h->secure = true;
	else if (str_eq(n->w[w].s, STR("udp")))		/* nginx Plus's word */
		return set_kind(cf, n, w, STR("udp"), kinds, h);
	else
		return conf_bad_param(cf, n, w, known);
	return WEIR_OK;
}

struct weir_health *
health_parse(struct weir_conf *cf, struct weir_node *n, const struct weir_probe_kind *const *kinds, bool secure,
    uint64_t timeout_ms)
{
	struct weir_health *h = POOL_NEW(cf->pool, weir_health);

	*h = (struct weir_health){ .node = n, .kind = kinds[0], .interval_ms = INTERVAL_MS, .timeout_ms = timeout_ms,
		.fails = 1, .passes = 1, .secure = secure };
	for (unsigned w = 1; w < n->n; w++) {
		int r = time_word(cf, n, w, h);

		if (r == WEIR_AGAIN)
			r = number_word(cf, n, w, h);
		if (r == WEIR_AGAIN)
			r = text_word(cf, n, w, kinds, h);
		if (r != WEIR_OK)
			return NULL;
	}
	if (h->persistent && !h->mandatory) {
		conf_error(cf, n, 0, "\"persistent\" goes with \"mandatory\" only");
		return NULL;
	}
	if (h->kind->dgrams && h->secure && !secure) {
		conf_error(cf, n, 0, "there is no TLS over UDP");
		return NULL;
	}
	h->secure = !h->kind->dgrams && (h->secure || h->kind->secure);
	return h;
}

int
health_join(struct weir_conf *cf, struct weir_health *h, struct weir_group *g)
{
	struct weir_health **at = &g->health;

	if (g->shared == NULL)
		return conf_error(cf, h->node, 0, "upstream \"%.*s\" must be in shared memory: what checks find is for all "
		    "workers%s", STR_ARG(g->name), g->node != NULL ? "; give it a line such as \"zone name 256k;\"" :
		    "; make it a block \"upstream name { zone name 256k; server ...; }\"");
	for (; *at != NULL; at = &(*at)->next)
		h->number++;
	if (h->number >= HEALTH_MOST)
		return conf_error(cf, h->node, 0, "upstream \"%.*s\" has more than %d checks", STR_ARG(g->name), HEALTH_MOST);
	if (h->number == 0)
		count_checks(cf, g);
	h->group = g;
	*at = h;
	return WEIR_OK;
}

/* ---- send and expect ---- */

static int
hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* \x and two digits are a byte. */
static struct weir_str
unescape(struct weir_conf *cf, struct weir_str s)
{
	char *to = pool_bytes(cf->pool, s.n + 1), *p = to;

	for (size_t i = 0; i < s.n; i++) {
		bool is = i + 3 < s.n && s.p[i] == '\\' && s.p[i + 1] == 'x' && hex(s.p[i + 2]) >= 0 && hex(s.p[i + 3]) >= 0;

		*p++ = is ? (char)(hex(s.p[i + 2]) * 16 + hex(s.p[i + 3])) : s.p[i];
		i += is ? 3 : 0;
	}
	return str_of(to, (size_t)(p - to));
}

int
expect_line(struct weir_conf *cf, const struct weir_node *n, struct weir_expect *e)
{
	bool send = str_eq(n->w[0].s, STR("send")), nocase;

	if (!send && !str_eq(n->w[0].s, STR("expect")))
		return WEIR_AGAIN;
	if (send && n->n == 2 && e->send.n == 0) {
		e->send = unescape(cf, n->w[1].s);
		return WEIR_OK;
	}
	if (send || n->n < 2 || n->n > 3 || e->text.n != 0 || e->regex != NULL)
		return conf_error(cf, n, 0, "it has the form %s, once", send ? "\"send text\"" : "\"expect [~|~*] text\"");
	if (n->n == 2) {
		e->text = unescape(cf, n->w[1].s);
		return e->text.n != 0 ? WEIR_OK : conf_error(cf, n, 1, "it is empty");
	}
	nocase = str_eq(n->w[1].s, STR("~*"));
	if (!nocase && !str_eq(n->w[1].s, STR("~")))
		return conf_error(cf, n, 1, "expected \"~\" or \"~*\"");
	return regex_compile(cf, n, 2, n->w[2].s, nocase, &e->regex);
}

/* ---- is it so? ---- */

bool
expects_any(const struct weir_expect *e)
{
	return e != NULL && (e->text.n != 0 || e->regex != NULL);
}

bool
expect_met(const struct weir_expect *e, struct weir_str came)
{
	if (e->regex != NULL)
		return regex_test(e->regex, came) == WEIR_OK;
	return memmem(came.p, came.n, e->text.p, e->text.n) != NULL;
}
