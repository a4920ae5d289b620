/*
 * steps.c - the life of a request, in order.
 *
 * Each step answers NEXT, WAIT or DONE.  WAIT: somebody calls weir_resume() later and the
 * same hook is asked again.  DONE: a response is on its way.  A redirect sets
 * r->step back and r->again, and the loop goes on from there.
 */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/net/conn.h"
#include "core/os/sock.h"
#include "http/req/req.h"
#include "http/req/secure.h"
#include "http/req/steps.h"
#include "http/req/vars.h"

struct step {
	const char	*name;
	enum weir_next	(*fn)(struct weir_req *);
};

unsigned req_count;

static enum weir_next
hooks(struct weir_req *r, enum weir_phase phase)
{
	weir_hook_list list = sess_hooks(&r->s, phase);

	while (list[r->hook] != NULL) {
		enum weir_next n = list[r->hook](&r->s);

		if (r->again || n == WEIR_WAIT || n == WEIR_DONE)
			return n;
		r->hook++;
	}
	return WEIR_NEXT;
}

static enum weir_next
server_rewrite(struct weir_req *r)
{
	enum weir_next n = hooks(r, ON_SERVER_REWRITE);

	r->uri_rewritten |= r->uri_changed;
	r->uri_changed = false;		/* the location is still to be found */
	return n;
}

/* "/dir" where a location "/dir/" wants it. */
static enum weir_next
add_slash(struct weir_req *r)
{
	struct weir_str to = uri_escape(r->s.pool, r->uri.path, ESCAPE_URI);

	to = r->uri.has_args ? pool_printf(r->s.pool, "%.*s/?%.*s", STR_ARG(to), STR_ARG(r->uri.args))
	    : pool_printf(r->s.pool, "%.*s/", STR_ARG(to));
	req_add(r, "Location", to);
	return req_error(r, 301);
}

static void
use_log(struct weir_req *r, const struct weir_http_conf *c)
{
	r->s.log.outs = http_log(c)->outs;
	r->s.log.level = http_log(c)->level;
	if (unlikely(core_debug_peer(&r->s.conn->peer)))
		core_debug_log(&r->s.log, r->s.pool);
}

void
req_set_location(struct weir_req *r, struct weir_location *loc)
{
	const struct weir_http_conf *c;

	r->loc = loc;
	r->uri_to_alias = r->stranded = false;
	r->s.conf = loc != NULL ? loc->conf : r->server->conf;
	c = REQ_CORE(r);
	if (loc != NULL && loc->limit_except != NULL &&
	    !(loc->limit_except->methods & (1u << r->method_id))) {
		r->loc = loc->limit_except->inner;
		r->s.conf = r->loc->conf;
		c = REQ_CORE(r);
	}
	use_log(r, c);
	if (r->x != NULL) {
		r->x->send_ms = c->send_ms;
		r->x->recv_ms = c->client_body_ms;
		r->x->conf = r->s.conf;
	}
}

static enum weir_next
route(struct weir_req *r)
{
	struct weir_location *loc = NULL;
	int status, rc = route_location(r->server, &r->s, r->uri.path, &loc);

	if (rc == WEIR_FAIL)
		return req_error(r, 500);
	req_set_location(r, loc);
	if (!REQ_CORE(r)->tcp_nodelay && r->s.conn->peer.sa.sa_family != AF_UNIX)
		(void)!sock_nodelay(r->s.conn->tcp.ev.fd, false);	/* the listener's sockets begin with it on */
	if (loc != NULL && REQ_CORE(r)->internal && !r->internal)
		return req_error(r, 404);
	status = req_body_check(r);
	if (status != 0 && !r->too_large) {
		r->too_large = true;
		log_errorx(&r->s.log, "client intended to send too large body: %lld bytes",
		    (long long)r->msg->length);
		return req_error(r, status);
	}
	return rc == ROUTE_SLASH ? add_slash(r) : WEIR_NEXT;
}

static enum weir_next
rewrite(struct weir_req *r)
{
	enum weir_next n = hooks(r, ON_REWRITE);

	r->uri_rewritten |= r->uri_changed;
	if (n != WEIR_NEXT || r->again || !r->uri_changed)
		return n;
	r->uri_changed = false;
	if (++r->redirects > REQ_MAX_REDIRECTS) {
		log_errorx(&r->s.log, "rewrite or internal redirection cycle while processing \"%.*s\"",
		    STR_ARG(r->uri.path));
		return req_error(r, 500);
	}
	req_go(r, STEP_ROUTE);
	return WEIR_DONE;
}

static enum weir_next
preaccess(struct weir_req *r)
{
	return hooks(r, ON_PREACCESS);
}

/* ---- who is turned away ---- */

struct delayed {		/* auth_delay */
	struct weir_timer	 timer;
	struct weir_req		*r;
	int			 status;
};

static void
delay_off(void *arg)
{
	timer_off(&((struct delayed *)arg)->timer);
}

static void
on_delayed(struct weir_timer *t)
{
	struct weir_req *r = WEIR_OF(t, struct delayed, timer)->r;

	r->on_client_gone = NULL;
	req_error(r, WEIR_OF(t, struct delayed, timer)->status);
}

static void
gone_while_delayed(struct weir_req *r, const char *why, bool broken)
{
	if (broken)
		req_abort(r, why);
}

/* Does the client learn that it may say who it is? */
static bool
is_challenge(int status)
{
	return status == 401 || status == 407;
}

/* However long it took to find out: who measures sees the delay. */
static enum weir_next
delay(struct weir_req *r, int status, uint64_t ms)
{
	struct delayed *d = POOL_NEW(r->s.pool, delayed);

	log_info(&r->s.log, "delaying unauthorized request");
	d->r = r;
	d->status = status;
	timer_init(&d->timer, on_delayed);
	timer_set(&d->timer, ms);
	pool_on_free(r->s.pool, delay_off, d);
	r->on_client_gone = gone_while_delayed;
	return WEIR_DONE;
}

static enum weir_next
turn_away(struct weir_req *r, int status)
{
	uint64_t ms = REQ_CORE(r)->auth_delay_ms;

	if (is_challenge(status) && ms != 0 && r->step == STEP_ACCESS)
		return delay(r, status, ms);
	return req_error(r, status);
}

static enum weir_next
refuse_now(struct weir_sess *s, int status)
{
	return turn_away(req_of(s), status);
}

/* satisfy any: refusals are remembered, and count only when nobody vouches. */
static enum weir_next
refuse_later(struct weir_sess *s, int status)
{
	struct weir_req *r = req_of(s);

	if (!is_challenge(r->refused))
		r->refused = status;
	return WEIR_NEXT;
}

static enum weir_next
access_any(struct weir_req *r)
{
	weir_hook_list list = sess_hooks(&r->s, ON_ACCESS);
	enum weir_next n = WEIR_NEXT;
	int refused;

	r->s.refuse = refuse_later;
	while (list[r->hook] != NULL) {
		n = list[r->hook](&r->s);
		if (n != WEIR_NEXT)
			break;
		r->hook++;
	}
	r->s.refuse = refuse_now;
	if (n == WEIR_WAIT || r->again || n == WEIR_DONE)
		return n;
	refused = r->refused;
	r->refused = 0;
	if (n == WEIR_PASS)	/* nobody is asked for a password any more */
		fields_remove_known(&r->rsp.fields, H_WWW_AUTHENTICATE);
	return n == WEIR_PASS || refused == 0 ? WEIR_NEXT : turn_away(r, refused);
}

static enum weir_next
access_step(struct weir_req *r)
{
	if (r->parent != NULL)
		return WEIR_NEXT;
	return REQ_CORE(r)->satisfy == 1 ? access_any(r) : hooks(r, ON_ACCESS);
}

static enum weir_next
content(struct weir_req *r)
{
	enum weir_next n;

	if (unlikely(r->stranded)) {
		log_errorx(&r->s.log, "the last \"if\" that holds does not say to whom the request is passed, and one before does");
		return req_error(r, 500);
	}
	n = hooks(r, ON_CONTENT);
	return n == WEIR_NEXT ? req_error(r, 404) : n;
}

static const struct step steps[] = {
	[STEP_SERVER_REWRITE]	= { "server rewrite", server_rewrite },
	[STEP_ROUTE]		= { "route", route },
	[STEP_REWRITE]		= { "rewrite", rewrite },
	[STEP_PREACCESS]	= { "preaccess", preaccess },
	[STEP_ACCESS]		= { "access", access_step },
	[STEP_CONTENT]		= { "content", content },
};

void
req_go(struct weir_req *r, enum weir_step step)
{
	r->step = step;
	r->hook = 0;
	r->again = true;
	if (!r->running)
		req_run(r);
}

void
req_run(struct weir_req *r)
{
	if (r->running || r->finished)
		return;
	r->running = true;
	r->again = false;
	for (;;) {
		enum weir_next n;

		log_debug(&r->s.log, "step %s, hook %u", steps[r->step].name, r->hook);
		n = steps[r->step].fn(r);
		if (r->again) {
			r->again = false;
			continue;
		}
		if (n == WEIR_WAIT || n == WEIR_DONE)
			break;
		r->hook = 0;
		r->step++;
		assert(r->step < WEIR_COUNT(steps));
	}
	r->running = false;
}

/* ---- the beginning ---- */

static void
resume(struct weir_sess *s)
{
	req_run(req_of(s));
}

static void
fact(struct weir_log_line *l, const char *key, int how, struct weir_str value)
{
	if (value.n != 0)
		log_fact(l, key, how, &value, 1);
}

/* Who asks for what, as nginx says it. */
static void
who(void *arg, struct weir_log_line *l)
{
	struct weir_req	*r = arg;
	char		 addr[ADDR_TEXT_MAX];
	struct weir_str	 client = str_of(addr, addr_put_ip(addr, r->s.peer));
	struct weir_str	 server = r->server != NULL ? r->server->site.name : STR("");
	struct weir_str	 up[] = { str_c(r->upstream_scheme), r->upstream_peer, r->upstream_target };

	if (log_is_json(l))
		fact(l, "request_id", FACT_PLAIN, req_id(r));
	log_fact(l, "client", FACT_PLAIN, &client, 1);
	log_fact(l, "server", FACT_PLAIN, &server, 1);
	fact(l, "request", FACT_QUOTED, r->msg->line);
	if (r->parent != NULL)
		fact(l, "subrequest", FACT_QUOTED, r->uri.path);
	if (r->upstream_peer.n != 0)
		log_fact(l, "upstream", FACT_QUOTED, up, WEIR_COUNT(up));
	fact(l, "host", FACT_QUOTED, fields_value(&r->msg->fields, H_HOST));
	fact(l, "referrer", FACT_QUOTED, fields_value(&r->msg->fields, H_REFERER));
}

static void
on_gone(struct weir_xchg *x, const char *why)
{
	struct weir_req *r = x->owner;
	bool broken = x->gone > 1;

	if (r->finished)
		return;
	if (broken && why != NULL && strstr(why, "timed out") != NULL)
		r->timed_out = true;
	if (r->on_client_gone != NULL) {
		r->on_client_gone(r, why, broken);
		return;
	}
	if (broken && r->head_sent) {
		log_info(&r->s.log, "%s", why);
		req_abort(r, why);
	}
}

struct weir_req *
req_make(struct weir_xchg *x)
{
	struct weir_req *r = POOL_NEW(x->pool, weir_req);
	struct weir_conn *c = x->conn;
	const struct weir_http_conf *core;

	r->s.magic = WEIR_SESS_MAGIC;
	r->magic = WEIR_REQ_MAGIC;
	r->s.is_http = true;
	r->s.pool = x->pool;
	r->s.conn = c;
	r->s.peer = &c->peer;
	r->s.began_ms = weir_now_ms;
	r->s.began_wall_ms = weir_wall_ms;
	r->s.early = unlikely(c->layer != NULL) && tls_is_early(c);
	r->s.resume = resume;
	r->s.refuse = refuse_now;
	r->x = x;
	r->msg = &x->msg;
	r->method_id = x->msg.method_id;
	r->method = x->msg.method;
	r->keepalive = true;
	r->rsp.length = -1;
	x->owner = r;
	x->on_gone = on_gone;
	r->server = route_default(c->from);
	r->s.conf = r->server->conf;
	core = REQ_CORE(r);
	r->s.log = (struct weir_log){ .id = c->id, .who = who, .arg = r };
	use_log(r, core);
	task_init(&r->end, NULL);
	req_count++;
	return r;
}

/* The Host of a request, and with it the server: 0, or the status to refuse with. */
static int
find_server(struct weir_req *r)
{
	int status;

	/* HTTP/1.0 may do without; a server may have the empty name */
	if (r->msg->authority.n != 0 &&
	    !host_parse(r->s.pool, r->msg->authority, &r->host, &r->port))
		return 400;
	status = route_server(r->s.conn->from, &r->s, r->host, &r->server);
	/* clear text gets to know that this is TLS first */
	return status == 421 && (r->s.conn->flags & CONN_NOT_TLS) ? 0 : status;
}

/* CONNECT is of HTTP/1.1 and later: to an older client nothing would tell where the tunnel begins. */
static bool
server_connects(const struct weir_req *r)
{
	return r->server->connects && r->msg->version >= 0x101;
}

static int
prepare(struct weir_req *r, const char **why)
{
	struct weir_str target = r->msg->target;
	int status = find_server(r);

	if (status != 0) {
		*why = status == 400 ? "invalid host" : status == 421 ? "TLS for its host does not end here" :
		    "no server could be found for its host";
		return status;
	}
	req_set_location(r, NULL);
	if (r->method_id == M_CONNECT || r->method_id == M_TRACE) {
		r->uri.path = STR("/");		/* of CONNECT, too: it has none */
		r->uri.plain = true;
		if (r->method_id == M_CONNECT && server_connects(r))
			return secure_judge(r, why);
		*why = "method is not allowed at a reverse proxy";
		return 405;
	}
	if (target.n == 1 && target.p[0] == '*') {
		r->uri.path = STR("*");
		r->uri.plain = true;
	} else if (uri_parse(r->s.pool, target, REQ_CORE(r)->merge_slashes, &r->uri, why) != WEIR_OK) {
		return 400;
	}
	return secure_judge(r, why);
}

void
req_begin(struct weir_xchg *x)
{
	struct weir_req *r = req_make(x);
	const char *why = "";
	int status = prepare(r, &why);

	if (unlikely(mem_low()) && status == 0) {
		why = "memory is short";
		status = 503;
	}
	if (status != 0) {
		log_info(&r->s.log, "client sent a request that is refused: %s", why);
		r->keepalive = false;
		req_error(r, status);
		return;
	}
	r->step = STEP_SERVER_REWRITE;
	req_run(r);
}

void
req_begin_bad(struct weir_xchg *x, int status, const char *why)
{
	struct weir_req *r = req_make(x);

	if (x->msg.authority.n != 0)
		(void)find_server(r);
	req_set_location(r, NULL);
	r->keepalive = false;
	if (r->uri.path.p == NULL)
		r->uri.path = STR("/");
	if (status == 408)
		r->timed_out = true;
	if (x->conn->flags & CONN_NOT_TLS)	/* whatever it is, it is no TLS */
		status = 497;
	log_info(&r->s.log, "client sent an invalid request: %s", why);
	req_error(r, status);
}
