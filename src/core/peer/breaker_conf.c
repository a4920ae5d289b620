/*
 * breaker_conf.c - the directives of circuit breakers.
 */
#include "core/peer/breaker.h"

struct upstream_breaker_conf { char none; };

enum { TIMES_MAX = 1000000 };

static unsigned index_;

/* What both directives fill in; whether circuit_breaker stands there is known by its open_ms. */
static struct weir_breaker *
breaker_of(struct weir_conf *cf, struct weir_group *g)
{
	if (g->breaker == NULL)
		g->breaker = POOL_NEW(cf->pool, weir_breaker);
	return g->breaker;
}

/* ---- circuit_breaker ---- */

static int
set_rate(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_str v, uint64_t *to)
{
	if (v.n < 2 || v.p[v.n - 1] != '%')
		return conf_error(cf, n, w, "a rate is written as a number from 1 to 100 and %%");
	return conf_u64(cf, n, w, str_of(v.p, v.n - 1), 1, 100, to);
}

static int
set_time(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_str v, uint64_t *to)
{
	if (conf_msec(cf, n, w, v, to) != WEIR_OK)
		return WEIR_FAIL;
	return *to != 0 ? WEIR_OK : conf_error(cf, n, w, "the time must not be 0");
}

static int
set_param(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_breaker *br)
{
	static const char *const known[] = { "failures=", "open=", "max_open=", "half_open=", "success=", "rate=",
		"window=", "min=", NULL };
	struct weir_str v;

	if (conf_param(n, w, "failures", &v))
		return conf_u64(cf, n, w, v, 0, TIMES_MAX, &br->failures);
	if (conf_param(n, w, "open", &v))
		return set_time(cf, n, w, v, &br->open_ms);
	if (conf_param(n, w, "max_open", &v))
		return set_time(cf, n, w, v, &br->max_open_ms);
	if (conf_param(n, w, "half_open", &v))
		return conf_u64(cf, n, w, v, 1, TIMES_MAX, &br->half_open);
	if (conf_param(n, w, "success", &v))
		return conf_u64(cf, n, w, v, 1, TIMES_MAX, &br->success);
	if (conf_param(n, w, "rate", &v))
		return set_rate(cf, n, w, v, &br->rate);
	if (conf_param(n, w, "window", &v))
		return set_time(cf, n, w, v, &br->window_ms);
	if (conf_param(n, w, "min", &v))
		return conf_u64(cf, n, w, v, 1, TIMES_MAX, &br->min);
	return conf_bad_param(cf, n, w, known);
}

static int
set_breaker(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_breaker *br = breaker_of(cf, s->owner);

	(void)conf;
	br->failures = 5;
	br->open_ms = 30000;
	br->half_open = 3;
	br->success = 2;
	for (unsigned w = 1; w < n->n; w++)
		if (set_param(cf, n, w, br) != WEIR_OK)
			return WEIR_FAIL;
	if (br->failures == 0 && br->rate == 0)
		return conf_error(cf, n, 0, "without failures and without a rate nothing opens the circuit");
	if (br->rate == 0 && (br->window_ms != 0 || br->min != 0))
		return conf_error(cf, n, 0, "window and min have no meaning without a rate");
	if (br->max_open_ms != 0 && br->max_open_ms < br->open_ms)
		return conf_error(cf, n, 0, "max_open is less than open");
	if (br->max_open_ms == 0)
		br->max_open_ms = br->open_ms;
	if (br->window_ms == 0)
		br->window_ms = 10000;
	if (br->min == 0)
		br->min = 20;
	return WEIR_OK;
}

/* ---- circuit_breaker_on ---- */

#define IN_BOTH	(IN_UPSTREAM | IN_STREAM_UPSTREAM)

static const struct { const char *word; enum weir_trouble what; unsigned in; } words[] = {
	{ "error", TROUBLE_ERROR, IN_BOTH }, { "timeout", TROUBLE_TIMEOUT, IN_BOTH },
	{ "invalid_header", TROUBLE_INVALID, IN_UPSTREAM },
};

/* "503", "5xx": the first and how many. */
static bool
read_statuses(struct weir_str v, unsigned *first, unsigned *n)
{
	if (v.n != 3 || v.p[0] < '4' || v.p[0] > '5')
		return false;
	*first = (unsigned)(v.p[0] - '0') * 100;
	*n = 100;
	if (v.p[1] == 'x' && v.p[2] == 'x')
		return true;
	*n = 1;
	*first += (unsigned)(v.p[1] - '0') * 10 + (unsigned)(v.p[2] - '0');
	return v.p[1] >= '0' && v.p[1] <= '9' && v.p[2] >= '0' && v.p[2] <= '9';
}

static void
add_statuses(struct weir_breaker *br, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++)
		br->statuses[i / 64] |= 1ull << (i % 64);
}

static int
set_on_word(struct weir_conf *cf, struct weir_node *n, unsigned w, unsigned in, struct weir_breaker *br)
{
	static const char *const known[] = { "error", "timeout", "slow=", "invalid_header", "http_4xx", "http_5xx",
		"http_500", "http_502", "http_503", "http_504", "http_429", NULL };
	static const char *const known_in_stream[] = { "error", "timeout", "slow=", NULL };
	struct weir_str v = n->w[w].s;
	unsigned first, many;

	if (conf_param(n, w, "slow", &v))
		return set_time(cf, n, w, v, &br->slow_ms);
	for (unsigned i = 0; i < WEIR_COUNT(words); i++)
		if ((words[i].in & in) && str_eq(v, str_c(words[i].word))) {
			br->on |= 1u << words[i].what;
			return WEIR_OK;
		}
	if (in == IN_STREAM_UPSTREAM)
		return conf_bad_param(cf, n, w, known_in_stream);
	if (!str_begins(v, STR("http_")) || !read_statuses(str_from(v, 5), &first, &many))
		return conf_bad_param(cf, n, w, known);
	add_statuses(br, first, many);
	br->on |= 1u << TROUBLE_STATUS;
	return WEIR_OK;
}

static int
set_on(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_breaker *br = breaker_of(cf, s->owner);

	(void)conf;
	for (unsigned w = 1; w < n->n; w++)
		if (set_on_word(cf, n, w, s->in, br) != WEIR_OK)
			return WEIR_FAIL;
	return WEIR_OK;
}

/* The directives of a block are read, its servers are not looked at yet. */
static int
ready(struct weir_conf *cf, struct weir_scope *s, void *conf)
{
	struct weir_breaker *br;

	(void)conf;
	if (!(s->in & IN_BOTH))
		return WEIR_OK;
	br = ((struct weir_group *)s->owner)->breaker;
	if (br == NULL)
		return WEIR_OK;
	if (br->open_ms == 0)
		return conf_error(cf, conf_written(s, &upstream_breaker_module, "circuit_breaker_on"), 0,
		    "there is no circuit_breaker");
	if (br->on == 0 && br->slow_ms == 0) {
		br->on = 1u << TROUBLE_ERROR | 1u << TROUBLE_TIMEOUT | 1u << TROUBLE_INVALID | 1u << TROUBLE_STATUS;
		add_statuses(br, 500, 100);
	}
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "circuit_breaker", IN_BOTH, CONF_CUSTOM, .args_min = 0, .args_max = CONF_ANY, .set = set_breaker,
	  .args = "[failures=n] [open=time] [half_open=n] [success=n] [rate=n% [window=time] [min=n]] [max_open=time]",
	  .doc = "A server that fails is left alone. Its circuit is opened after so many failures in a row (5; 0: however "
	  "many), or when the share of requests that failed within window (10s, in steps of a tenth) has come to rate, "
	  "and there were min (20) of them. For the time open (30s) nobody asks it. Then its circuit is half-open: "
	  "half_open (3) requests at a time, of all workers, try how it is doing. After success (2) good answers the "
	  "circuit is closed; a failure opens it again, with max_open for twice as long as the time before, up to that. "
	  "Requests go to other servers meanwhile, and get 503 at once when all that is left has an open circuit, also "
	  "where there is a queue; of stream, connections get to know by being closed, and $status is 503. "
	  "With a zone all workers know the same circuits, and reloads keep them. "
	  "What max_fails and fail_timeout say holds beside this: max_fails=0 leaves it all to the circuit." },
	{ "circuit_breaker_on", IN_BOTH, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY, .set = set_on,
	  .args = "error | timeout | slow=time | invalid_header | http_nnn | http_4xx | http_5xx ...",
	  .doc = "What a circuit breaker takes for a failure: an error while connecting, sending or reading, a timeout, "
	  "a response that makes no sense, these statuses, and a response whose head took longer than slow; a client who "
	  "left after that time counts, too, and what the client took to send its request does not. Without it: "
	  "error timeout invalid_header http_5xx. What is not listed is a success if there was a response, and else "
	  "neither. Of stream there are error, timeout and slow: errors are those while connecting, and of a server that broke the "
	  "connection, or refused a datagram, before it had said anything; a timeout is one while connecting, or the end of "
	  "proxy_timeout when a server that was told something has not said anything; slow is about the time until there was a "
	  "connection, with TLS, or the first datagram. A trial is over when there is a connection; in a row are failures between which nobody "
	  "said anything." },
	{ 0 }
};

const struct weir_module upstream_breaker_module = {
	.name = "upstream_breaker", .index = &index_, .conf_size = sizeof(struct upstream_breaker_conf), .cmds = cmds,
	.ready = ready, .metrics = breaker_rows,
	.doc = "Servers that fail are left alone for a while.",
};
