/*
 * stub_status.c - how many connections there are, as text and as variables.
 */
#include "core/base/num.h"
#include "core/proc/cycle.h"
#include "http/req/req.h"

struct stub_conf {
	bool		 here;
};

static unsigned index_;
extern const struct weir_module stub_status_module;

#define ULL(n)	((unsigned long long)WEIR_MAX((int64_t)(n), 0))

static enum weir_next
on_content(struct weir_sess *s)
{
	struct weir_req			*r = req_of(s);
	struct weir_accept_stats	 n;

	if (!REQ_CONF(r, stub_conf, stub_status_module)->here)
		return WEIR_NEXT;
	if (r->method_id != M_GET && r->method_id != M_HEAD)
		return req_error(r, 405);
	stats_sum(&n);
	return req_respond_text(r, 200, STR("text/plain"), pool_printf(s->pool,
	    "Active connections: %llu \nserver accepts handled requests\n %llu %llu %llu \n"
	    "Reading: %llu Writing: %llu Waiting: %llu \n", ULL(n.active), ULL(n.accepted),
	    ULL(n.handled), ULL(n.requests), ULL(n.reading), ULL(n.writing), ULL(n.waiting)));
}

static int
set_here(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)cf, (void)scope, (void)node;
	((struct stub_conf *)conf)->here = true;
	return WEIR_OK;
}

/* ---- $connections_active and its kind ---- */

enum { ACTIVE, READING, WRITING, WAITING };

static const int which[] = { ACTIVE, READING, WRITING, WAITING };

static int
get_count(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_accept_stats	 n;
	char				*p = pool_bytes(s->pool, NUM_MAX);

	stats_sum(&n);
	const int64_t	all[] = { n.active, n.reading, n.writing, n.waiting };

	*to = str_of(p, (size_t)(num_put(p, (uint64_t)WEIR_MAX(all[*(const int *)data], 0)) - p));
	return WEIR_OK;
}

static const struct weir_var vars[] = {
	{ "connections_active", get_count, NULL, VAR_VOLATILE, &which[ACTIVE],
	  "Clients' connections, the waiting ones included." },
	{ "connections_reading", get_count, NULL, VAR_VOLATILE, &which[READING],
	  "Connections on which the head of a request is being read." },
	{ "connections_writing", get_count, NULL, VAR_VOLATILE, &which[WRITING],
	  "Connections on which a request is being answered." },
	{ "connections_waiting", get_count, NULL, VAR_VOLATILE, &which[WAITING],
	  "Idle connections." },
	{ 0 }
};

static const struct weir_cmd cmds[] = {
	{ "stub_status", IN_SERVER | IN_LOCATION, CONF_CUSTOM, CONF_AT(stub_conf, here),
	  .args_max = 1, .set = set_here, .flags = CONF_NOINHERIT, .args = "",
	  .doc = "Answer with the numbers of connections and requests." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	return !((const struct stub_conf *)conf)->here;
}

static const struct weir_hook hooks[] = { { ON_CONTENT, on_content, idle }, { 0 } };

const struct weir_module stub_status_module = {
	.name = "stub_status", .index = &index_, .conf_size = sizeof(struct stub_conf),
	.cmds = cmds, .hooks = hooks, .vars = vars,
	.doc = "A page of numbers for monitoring.",
};
