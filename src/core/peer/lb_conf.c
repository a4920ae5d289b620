/*
 * lb_conf.c - the directives that choose a balancer.
 */
#include "core/peer/peer.h"

static unsigned index_;

struct upstream_lb_conf { char none; };

static int
use(struct weir_conf *cf, struct weir_scope *s, const struct weir_node *n, const struct weir_balancer *b)
{
	struct weir_group *g = s->owner;

	if (g->balancer != NULL)
		conf_warn(cf, n, 0, "load balancing method redefined");
	g->balancer = b;
	g->two = g->inflight = g->by_connect = false;
	return WEIR_OK;
}

static int
set_least_conn(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)conf;
	return use(cf, s, n, &lb_least_conn);
}

static int
set_ip_hash(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)conf;
	return use(cf, s, n, &lb_ip_hash);
}

static int
set_hash(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_group *g = s->owner;
	bool consistent = n->n > 2;

	(void)conf;
	if (consistent && !str_eq(n->w[2].s, STR("consistent")))
		return conf_error(cf, n, 2, "invalid parameter \"%.*s\"", STR_ARG(n->w[2].s));
	if (expr_compile(cf, n, 1, n->w[1].s, &g->key) != WEIR_OK)
		return WEIR_FAIL;
	return use(cf, s, n, consistent ? &lb_hash_consistent : &lb_hash);
}

/* What time means: of http, the head's or the whole; of stream, till there is a connection, or a first byte, or the whole. */
static const struct time_word {
	const char	*word;
	unsigned	 in;
	const struct weir_balancer *b, *two;
	bool		 connect;
} time_words[] = {
	{ "header", IN_UPSTREAM, &lb_header, &lb_random_header, false },
	{ "connect", IN_STREAM_UPSTREAM, &lb_header, &lb_random_header, true },
	{ "first_byte", IN_STREAM_UPSTREAM, &lb_header, &lb_random_header, false },
	{ "last_byte", IN_UPSTREAM | IN_STREAM_UPSTREAM, &lb_last_byte, &lb_random_last_byte, false },
};

static const struct time_word *
time_word(struct weir_str word, unsigned in)
{
	for (unsigned i = 0; i < WEIR_COUNT(time_words); i++)
		if ((time_words[i].in & in) && str_eq(word, str_c(time_words[i].word)))
			return &time_words[i];
	return NULL;
}

/* NULL: it is none. */
static const struct weir_balancer *
of_two(struct weir_str word, unsigned in, bool *connect)
{
	const struct time_word *t;

	if (str_eq(word, STR("least_conn")))
		return &lb_random;
	if (str_eq(word, STR("least_time")) && in == IN_UPSTREAM)
		return &lb_random_last_byte;
	if (!str_begins(word, STR("least_time=")) || (t = time_word(str_from(word, 11), in)) == NULL)
		return NULL;
	*connect = t->connect;
	return t->two;
}

static int
set_random(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_group *g = s->owner;
	const struct weir_balancer *b = n->n > 2 ? NULL : &lb_random;
	bool connect = false;

	(void)conf;
	if (n->n > 1 && !str_eq(n->w[1].s, STR("two")))
		return conf_error(cf, n, 1, "invalid parameter \"%.*s\"", STR_ARG(n->w[1].s));
	if (n->n > 2)
		b = of_two(n->w[2].s, s->in, &connect);
	if (b == NULL)
		return conf_error(cf, n, 2, "invalid parameter \"%.*s\"", STR_ARG(n->w[2].s));
	use(cf, s, n, b);
	g->two = n->n > 1;
	g->by_connect = connect;
	return WEIR_OK;
}

static int
set_least_time(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_group *g = s->owner;
	const struct time_word *t = time_word(n->w[1].s, s->in);

	(void)conf;
	if (t == NULL)
		return conf_error(cf, n, 1, "invalid value \"%.*s\"", STR_ARG(n->w[1].s));
	if (n->n > 2 && !str_eq(n->w[2].s, STR("inflight")))
		return conf_error(cf, n, 2, "invalid parameter \"%.*s\"", STR_ARG(n->w[2].s));
	use(cf, s, n, t->b);
	g->inflight = n->n > 2;
	g->by_connect = t->connect;
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "least_conn", IN_UPSTREAM | IN_STREAM_UPSTREAM, CONF_CUSTOM, .args_min = 0, .args_max = 0, .set = set_least_conn, .args = "",
	  .doc = "Whoever has the fewest connections for its weight is asked; equals take turns." },
	{ "ip_hash", IN_UPSTREAM | IN_STREAM_UPSTREAM, CONF_CUSTOM, .args_min = 0, .args_max = 0, .set = set_ip_hash, .args = "",
	  .doc = "The client's address decides: the first three bytes of an IPv4 address, all of an IPv6 one. When that "
	  "server is out another one is found in the same way." },
	{ "hash", IN_UPSTREAM | IN_STREAM_UPSTREAM, CONF_CUSTOM, .args_min = 1, .args_max = 2, .set = set_hash, .args = "key [consistent]",
	  .doc = "A key, which may contain variables, decides. With consistent only the keys of a server that leaves "
	  "or comes go elsewhere. An empty key takes turns. Keys go where nginx sends them." },
	{ "random", IN_UPSTREAM | IN_STREAM_UPSTREAM, CONF_CUSTOM, .args_min = 0, .args_max = 2, .set = set_random,
	  .args = "[two [least_conn | least_time=header | least_time=last_byte]], in stream: least_time=connect | first_byte | last_byte",
	  .doc = "Chance decides, by weight; with two, the better one of two: that with fewer connections for its "
	  "weight, or with the better times." },
	{ "least_time", IN_UPSTREAM | IN_STREAM_UPSTREAM, CONF_CUSTOM, .args_min = 1, .args_max = 2, .set = set_least_time,
	  .args = "header | last_byte [inflight], in stream: connect | first_byte | last_byte [inflight]",
	  .doc = "Whoever answers soonest is asked, by the average time until the head or the last byte came, in stream until there was a connection, the first byte or the "
	  "end, and the "
	  "requests that it has; inflight counts those that are not over as well. Equals take turns." },
	{ 0 }
};

const struct weir_module upstream_lb_module = {
	.name = "upstream_lb", .index = &index_, .conf_size = sizeof(struct upstream_lb_conf), .cmds = cmds,
	.doc = "How a server of a group is chosen.",
};
