/*
 * change_json.c - servers of a group as JSON: written, and read from whoever changes something.
 */
#include <jansson.h>

#include "core/base/num.h"
#include "core/peer/change_json.h"

/* ---- written ---- */

static const char *const states[] = {
	[SERVER_UP] = "up", [SERVER_DOWN] = "down", [SERVER_DRAINING] = "draining", [SERVER_UNAVAILABLE] = "unavail",
	[SERVER_UNHEALTHY] = "unhealthy", [SERVER_CHECKING] = "checking",
};

static const char *
flag(bool on)
{
	return on ? "true" : "false";
}

/* Times are written as in the configuration. */
static struct weir_str
time_text(struct weir_pool *pool, uint64_t ms)
{
	unsigned long long v = ms;

	return v % 1000 == 0 ? pool_printf(pool, "%llus", v / 1000) : pool_printf(pool, "%llums", v);
}

void
server_put_json(struct weir_text *t, const struct weir_group *g, const struct weir_server *s)
{
	text_putf(t, "{\"id\":%u,\"server\":%.*s,\"weight\":%u,\"max_conns\":%u,\"max_fails\":%u,"
	    "\"fail_timeout\":\"%.*s\",\"slow_start\":\"%.*s\"", s->id, STR_ARG(text_quoted(t->pool, s->name)), s->weight,
	    s->max_conns, s->max_fails, STR_ARG(time_text(t->pool, s->fail_timeout_ms)),
	    STR_ARG(time_text(t->pool, s->slow_start_ms)));
	if (!g->in_stream)
		text_putf(t, ",\"route\":%.*s", STR_ARG(text_quoted(t->pool, s->route)));
	text_putf(t, ",\"backup\":%s,\"down\":%s", flag(s->backup), flag(s->down));
	if (s->drain)
		text_put(t, STR(",\"drain\":true"));
	if (s->host.n != 0)
		text_putf(t, ",\"host\":%.*s", STR_ARG(text_quoted(t->pool, s->host)));
	text_put(t, STR("}"));
}

void
servers_put_json(struct weir_text *t, struct weir_group *g)
{
	struct weir_servers all;

	servers_list(g, t->pool, &all);
	text_put(t, STR("["));
	for (unsigned i = 0; i < all.n; i++) {
		if (i != 0)
			text_put(t, STR(","));
		server_put_json(t, g, &all.v[i]);
	}
	text_put(t, STR("]"));
}

static void
put_peer(struct weir_text *t, const struct weir_group *g, const struct weir_server *s)
{
	const char *served = g->in_stream ? "connections" : "requests";
	const char *first = !g->in_stream ? "header_time" : g->by_connect ? "connect_time" : "first_byte_time";

	text_putf(t, "{\"id\":%u,\"server\":%.*s,\"name\":%.*s,\"backup\":%s,\"weight\":%u,\"state\":\"%s\","
	    "\"active\":%u,\"%s\":%llu,\"fails\":%llu,\"unavail\":%llu", s->id, STR_ARG(text_quoted(t->pool, s->text)),
	    STR_ARG(text_quoted(t->pool, s->host.n != 0 ? s->host : s->name)), flag(s->backup), s->weight, states[s->state],
	    s->active, served, (unsigned long long)s->requests, (unsigned long long)s->failures,
	    (unsigned long long)s->outages);
	if (s->max_conns != 0)
		text_putf(t, ",\"max_conns\":%u", s->max_conns);
	if (s->checked)
		text_putf(t, ",\"health_checks\":{\"checks\":%u,\"fails\":%u,\"unhealthy\":%u,\"last_passed\":%s}", s->checks,
		    s->check_fails, s->unhealthy, flag(s->last_passed));
	if (s->header_ms != 0)
		text_putf(t, ",\"%s\":%u", first, s->header_ms);
	if (s->response_ms != 0)
		text_putf(t, ",\"response_time\":%u", s->response_ms);
	text_put(t, STR("}"));
}

void
group_put_json(struct weir_text *t, struct weir_group *g)
{
	struct weir_servers all;

	servers_list(g, t->pool, &all);
	text_put(t, STR("{\"peers\":["));
	for (unsigned i = 0; i < all.n; i++) {
		if (i != 0)
			text_put(t, STR(","));
		put_peer(t, g, &all.v[i]);
	}
	text_putf(t, "],\"zombies\":%u,\"zone\":%.*s}", all.zombies,
	    STR_ARG(text_quoted(t->pool, group_zone(g))));
}

/* ---- read ---- */

/* One member of the object: into the field, or a text that says what is wrong, with *code. */
struct member {
	const char	*name, *code;
	const char	*(*read)(const json_t *, struct weir_server *, struct weir_pool *);
	bool		 http;		/* only there */
};

static const char *
read_count(const json_t *v, unsigned *to)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || n > UINT32_MAX)
		return "is a number that is not negative";
	*to = (unsigned)n;
	return NULL;
}

static const char *
read_time(const json_t *v, uint64_t *to)
{
	if (json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= INT32_MAX) {
		*to = (uint64_t)json_integer_value(v) * 1000;
		return NULL;
	}
	if (json_is_string(v) && num_msec(str_of(json_string_value(v), json_string_length(v)), to) == WEIR_OK &&
	    *to / 1000 <= INT32_MAX)
		return NULL;
	return "is a time like \"10s\"";
}

static const char *
read_text(const json_t *v, struct weir_str *to, struct weir_pool *pool)
{
	if (!json_is_string(v))
		return "is a text";
	*to = pool_str(pool, str_of(json_string_value(v), json_string_length(v)));
	return NULL;
}

static const char *
read_flag(const json_t *v, bool *to)
{
	if (!json_is_boolean(v))
		return "is true or false";
	*to = json_is_true(v);
	return NULL;
}

#define READ(member, body)								\
	static const char *								\
	read_##member(const json_t *v, struct weir_server *s, struct weir_pool *pool)	\
	{										\
		(void)pool;								\
		body									\
	}

READ(id, return read_count(v, &s->id);)
READ(server, return read_text(v, &s->name, pool);)
READ(route, return read_text(v, &s->route, pool);)
READ(backup, return read_flag(v, &s->backup);)
READ(weight, s->set |= SET_WEIGHT; return read_count(v, &s->weight);)
READ(max_conns, s->set |= SET_MAX_CONNS; return read_count(v, &s->max_conns);)
READ(max_fails, s->set |= SET_MAX_FAILS; return read_count(v, &s->max_fails);)
READ(fail_timeout, s->set |= SET_FAIL_TIMEOUT; return read_time(v, &s->fail_timeout_ms);)
READ(slow_start, s->set |= SET_SLOW_START; return read_time(v, &s->slow_start_ms);)
READ(down, s->set |= SET_DOWN; return read_flag(v, &s->down);)
READ(drain, s->set |= SET_DRAIN; return read_flag(v, &s->drain);)

static const struct member members[] = {
	{ "id", "UpstreamConfFormatError", read_id, false },
	{ "server", "UpstreamConfFormatError", read_server, false },
	{ "weight", "UpstreamBadWeight", read_weight, false },
	{ "max_conns", "UpstreamBadMaxConns", read_max_conns, false },
	{ "max_fails", "UpstreamBadMaxFails", read_max_fails, false },
	{ "fail_timeout", "UpstreamBadFailTimeout", read_fail_timeout, false },
	{ "slow_start", "UpstreamBadSlowStart", read_slow_start, false },
	{ "route", "UpstreamBadRoute", read_route, true },
	{ "backup", "UpstreamConfFormatError", read_backup, false },
	{ "down", "UpstreamConfFormatError", read_down, false },
	{ "drain", "UpstreamConfFormatError", read_drain, false },
};

/* A name that a client wrote, as far as it is to be told again. */
#define SHOWN(name)	(int)strnlen((name), 64), (name)

static const char *
read_member(const char *name, const json_t *v, const struct weir_group *g, struct weir_server *s, struct weir_pool *pool,
    struct weir_str *why)
{
	const char *wrong;

	for (unsigned i = 0; i < WEIR_COUNT(members); i++) {
		if (strcmp(members[i].name, name) != 0 || (members[i].http && g->in_stream))
			continue;
		if ((wrong = members[i].read(v, s, pool)) == NULL)
			return NULL;
		*why = pool_printf(pool, "invalid \"%s\": it %s", name, wrong);
		return members[i].code;
	}
	*why = pool_printf(pool, "unknown parameter \"%.*s\"", SHOWN(name));
	return "UpstreamConfFormatError";
}

static const char *
read_members(json_t *o, const struct weir_group *g, struct weir_server *s, struct weir_pool *pool, struct weir_str *why)
{
	const char *name, *code;
	json_t *v;

	json_object_foreach(o, name, v)
		if ((code = read_member(name, v, g, s, pool, why)) != NULL)
			return code;
	return NULL;
}

const char *
server_read_json(const struct weir_group *g, struct weir_server *s, struct weir_str text, struct weir_pool *pool,
    struct weir_str *why, int *status)
{
	json_error_t e;
	const char *code;
	json_t *o;

	*status = 415;
	if ((o = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &e)) == NULL) {
		*why = pool_printf(pool, "no JSON: %s", e.text);
		return "JsonError";
	}
	*status = 400;
	if (json_is_object(o)) {
		code = read_members(o, g, s, pool, why);
	} else {
		*why = STR("the body is an object");
		code = "UpstreamConfFormatError";
	}
	json_decref(o);
	return code;
}
