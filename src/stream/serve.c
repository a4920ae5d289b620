/*
 * serve.c - the life of a connection of stream, from accepting it to its line in the log.
 */
#include <sys/socket.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/io/pump.h"
#include "core/io/qsrc.h"
#include "core/net/proxy_protocol.h"
#include "core/net/resolver.h"
#include "core/net/udp.h"
#include "core/os/sock.h"
#include "core/tls/judge.h"
#include "core/tls/server_conf.h"
#include "stream/preread.h"
#include "stream/up.h"

enum {
	ANSWER_MS = 60000,	/* a client may take nothing of an answer for so long */
	ANSWER_CAP = 65536,
	HANDS = 8		/* so often a connection is handed over */
};

struct weir_answer {
	struct weir_qsrc src;
	struct weir_pump pump;
};

static struct weir_slab slab = WEIR_SLAB(weir_stream);

static void run(struct weir_stream *);		/* the cycle: run -> ssl -> on_tls -> run */

uint64_t
stream_received(const struct weir_stream *st)
{
	return st->s.conn->tcp.got - st->before;
}

uint64_t
stream_sent(const struct weir_stream *st)
{
	return st->s.conn->tcp.put;
}

/* ---- what is counted ---- */

static const char *const statuses[] = { "200", "400", "403", "500", "502", "503", NULL };
static const char *const directions[] = { "received", "sent", NULL };
static struct weir_metric sessions, active, bytes;

const struct weir_metric_row stream_rows[] = {
	{ "stream_sessions_total", METRIC_COUNTER, "Connections of stream that ended.",
	  .labels = { { "status", statuses } }, .at = &sessions },
	{ "stream_sessions_active", METRIC_GAUGE, "Connections of stream that last.", .at = &active },
	{ "stream_bytes_total", METRIC_COUNTER, "Bytes of stream from and to clients.",
	  .labels = { { "direction", directions } }, .at = &bytes },
	{ .name = NULL }
};

static void
count_end(const struct weir_stream *st)
{
	static const unsigned numbers[] = { 200, 400, 403, 500, 502, 503 };

	for (unsigned i = 0; i < WEIR_COUNT(numbers); i++)
		if (numbers[i] == st->status)
			metric_add(&sessions, i, 1);
	metric_sub(&active, 0, 1);
	metric_add(&bytes, 0, stream_received(st));
	metric_add(&bytes, 1, stream_sent(st));
}

/* ---- the end ---- */

static void
on_end(struct weir_task *t)
{
	struct weir_stream *st = WEIR_OF(t, struct weir_stream, end);

	bufq_clear(&st->preread);
	stream_up_free(st);
	pool_free(st->s.pool);
	st->magic = 0;
	slab_give(&slab, st);
}

/* What the client has sent and nobody wants: with it unread, closing would be a reset, and take the answer with it. */
static void
drain(struct weir_stream *st)
{
	struct weir_bufq q = { 0 };

	if (stream_is_udp(st))
		return;
	for (unsigned i = 0; i < 8 && src_read(&st->s.conn->io->in, &q, SEG_LARGE) > 0; i++)
		bufq_clear(&q);
	bufq_clear(&q);
}

enum weir_next
stream_finish(struct weir_stream *st, int status, const char *closed)
{
	struct weir_conn *c = st->s.conn;

	if (st->over)
		return WEIR_DONE;
	st->over = true;
	st->status = (uint16_t)status;
	st->closed = closed;
	timer_off(&st->timer);
	stream_wake(st);
	if (st->answer != NULL) {
		pump_off(&st->answer->pump);
		bufq_clear(&st->answer->src.q);
	}
	stream_up_end(st);
	for (weir_hook_list h = sess_hooks(&st->s, ON_LOG); *h != NULL && (*h)(&st->s) != WEIR_DONE; h++)
		;
	count_end(st);
	log_debug(&st->s.log, "session is over: %d, %s", status, closed);
	sess_release(&st->s);
	if (st->cut) {
		conn_abort(c);
	} else if (!st->handed) {
		if (!st->secured || st->answer != NULL)
			drain(st);
		conn_close(c);
	}
	task_post(&st->end);
	return WEIR_DONE;
}

/* ---- the connection itself ---- */

static void
who(void *arg, struct weir_log_line *l)
{
	struct weir_stream *st = arg;
	char addr[ADDR_TEXT_MAX];
	struct weir_str client = str_of(addr, addr_put_ip(addr, st->s.peer));
	struct weir_str server = str_c(st->s.conn->from->text), up = stream_up_text(st);

	log_fact(l, "client", FACT_PLAIN, &client, 1);
	log_fact(l, "server", FACT_PLAIN, &server, 1);
	if (up.n != 0)
		log_fact(l, "upstream", FACT_QUOTED, &up, 1);
}

static void
cut(struct weir_stream *st, const char *closed)
{
	st->cut = true;
	(void)stream_finish(st, closed == NULL ? 500 : 200, closed != NULL ? closed : "shutdown");
}

static void
on_gone(void *arg)
{
	struct weir_stream *st = arg;

	if (!st->over && fdio_reset(&st->s.conn->tcp)) {
		log_info(&st->s.log, "client reset the connection");
		cut(st, "client_reset");
	}
}

static void
on_drain(struct weir_conn *c, enum weir_drain how)
{
	struct weir_stream *st = c->owner;

	if (stream_is_udp(st) && udp_of(c)->evicted)
		(void)stream_finish(st, 503, "evicted");
	else if (how == DRAIN_CUT)
		cut(st, NULL);
}

/* ---- steps ---- */

static enum weir_next
hooks(struct weir_stream *st, enum weir_phase phase)
{
	weir_hook_list list = sess_hooks(&st->s, phase);

	while (list[st->hook] != NULL) {
		const struct weir_stream_server *before = st->server;
		enum weir_next n = list[st->hook](&st->s);

		if (st->over)
			return WEIR_DONE;
		if (n == WEIR_WAIT || n == WEIR_DONE)
			return n;
		st->hook++;
		if (st->server != before) {	/* with others: asked twice, they say the same */
			list = sess_hooks(&st->s, phase);
			st->hook = 0;
		}
	}
	return WEIR_NEXT;
}

static enum weir_next
post_accept(struct weir_stream *st)
{
	return hooks(st, ON_POST_ACCEPT);
}

static enum weir_next
preaccess(struct weir_stream *st)
{
	return hooks(st, ON_PREACCESS);
}

static enum weir_next
access_step(struct weir_stream *st)
{
	return hooks(st, ON_ACCESS);
}

static void
use_server(struct weir_stream *st, struct weir_stream_server *server)
{
	const struct weir_log *log;

	st->server = server;
	st->s.conf = server->conf;
	log = stream_log(STREAM_CONF(st));
	st->s.log.outs = log->outs;
	st->s.log.level = log->level;
	if (unlikely(core_debug_peer(&st->s.conn->peer)))
		core_debug_log(&st->s.log, st->s.pool);
}

/* ---- TLS ---- */

static const struct weir_tls_ctx *
find_tls(struct weir_conn *c, struct weir_str name, void **owner)
{
	struct weir_site *site = site_tls_name(c->from, name);
	const struct weir_tls_ctx *ctx = site_tls_of(c->from, site);

	*owner = stream_server(site);
	return !tls_ctx_rejects(ctx) ? ctx : NULL;
}

static struct weir_resolver *
resolver_for(struct weir_conn *c, void *owner, uint64_t *timeout_ms)
{
	(void)c;
	return resolver_of(((struct weir_stream_server *)owner)->conf, timeout_ms);
}

static struct weir_str
spoken(struct weir_conn *c, void *owner)
{
	(void)c;
	return tls_alpn_in(((struct weir_stream_server *)owner)->conf);
}

bool
stream_choose(struct weir_stream *st, struct weir_str name)
{
	struct weir_stream_server *server;

	if (st->server->site.through)	/* that was chosen by the name already */
		return true;
	server = stream_server(site_named(st->s.conn->from, &st->s, name));
	if (server != NULL && server != st->server)
		use_server(st, server);
	return server != NULL;
}

/* The server that the handshake was made with; asked again for its captures, which need a session. */
static bool
choose_server(struct weir_stream *st)
{
	struct weir_str name = tls_server_name(st->s.conn);
	char *lower = pool_bytes(st->s.pool, name.n);

	str_lower(lower, name.p, name.n);
	name.p = lower;
	if (name.n != 0 && lower[name.n - 1] == '.')
		name.n--;
	return name.n == 0 || stream_choose(st, name);
}

static bool
judge(struct weir_stream *st, const struct weir_tls_ctx *ctx)
{
	enum weir_tls_client client = tls_judge_client(st->s.conn, tls_ctx_verify(ctx), &st->s.log);

	if (client == TLS_CLIENT_NONE)
		log_info(&st->s.log, "client sent no required SSL certificate");
	if (client != TLS_CLIENT_FINE)
		return false;
	if (tls_judge_exchange(st->s.conn, ctx) == 0)
		return true;
	log_info(&st->s.log, "the key exchange is weaker than pqc_policy requires");
	return false;
}

static void
on_tls(struct weir_conn *c, enum weir_tls_end how)
{
	struct weir_stream *st = c->owner;

	st->s.log.doing = NULL;
	if (how == TLS_PLAIN)
		log_info(&st->s.log, "client speaks no TLS");
	if (how != TLS_OK || !choose_server(st)) {
		(void)stream_finish(st, 500, how == TLS_TIMEOUT ? "handshake_timeout" : "handshake_failed");
		return;
	}
	st->secured = true;
	if (!judge(st, site_tls_of(c->from, &st->server->site))) {
		(void)stream_finish(st, 500, "refused");
		return;
	}
	st->step++;
	st->hook = 0;
	run(st);
}

static enum weir_next
ssl_step(struct weir_stream *st)
{
	struct weir_conn *c = st->s.conn;
	const struct weir_tls_ctx *ctx;

	if (st->server->site.through || (ctx = site_tls(c->from)) == NULL)
		return WEIR_NEXT;
	if (c->layer != NULL) {		/* it was passed here */
		log_errorx(&st->s.log, "there is TLS already");
		return stream_finish(st, 500, "error");
	}
	st->s.log.doing = "SSL handshaking";
	tls_accept(c, &(struct weir_tls_accept){ .ctx = ctx, .find = find_tls, .alpn = spoken, .resolver = resolver_for,
	    .log = &st->s.log, .timeout_ms = tls_handshake_ms_in(st->s.conf), .done = on_tls });
	return WEIR_WAIT;
}

/* ---- preread and serving ---- */

static enum weir_next
preread(struct weir_stream *st)
{
	enum weir_next n = hooks(st, ON_PREREAD);

	if (n == WEIR_NEXT)
		stream_preread_end(st);
	return n;
}

static enum weir_next
serve(struct weir_stream *st)
{
	enum weir_next n = hooks(st, ON_SERVE);

	assert(n != WEIR_NEXT || !"a server has who serves");
	return n;
}

static void
on_timer(struct weir_timer *t)
{
	struct weir_stream *st = WEIR_OF(t, struct weir_stream, timer);

	if (st->answer == NULL) {
		stream_preread_late(st);
		return;
	}
	log_info(&st->s.log, "client timed out");
	(void)stream_finish(st, 200, "idle");
}

static void
on_answered(struct weir_pump *p, enum weir_pump_end how)
{
	(void)stream_finish(p->owner, 200, how == PUMP_EOF ? "answered" : "client_reset");
}

static void
on_progress(struct weir_pump *p)
{
	timer_set(&((struct weir_stream *)p->owner)->timer, ANSWER_MS);
}

enum weir_next
stream_answer(struct weir_stream *st, struct weir_str text)
{
	struct weir_answer *a;

	if (stream_is_udp(st)) {
		(void)udp_put(udp_of(st->s.conn), (struct weir_bundle){ text.n != 0 ? text.p : "", text.n, text.n });
		return stream_finish(st, 200, "answered");
	}
	a = POOL_NEW(st->s.pool, weir_answer);
	st->answer = a;
	qsrc_init(&a->src);
	bufq_put_view(&a->src.q, text.p, text.n);
	a->pump.owner = st;
	a->pump.done = on_answered;
	a->pump.on_progress = on_progress;
	timer_set(&st->timer, ANSWER_MS);
	pump_start(&a->pump, &a->src.src, &st->s.conn->io->out, ANSWER_CAP);
	return WEIR_DONE;
}

/* ---- to another listener ---- */

struct weir_listen *
stream_listener(const struct weir_addr *a)
{
	return listen_find(&weir_cycle->listeners, a, SOCK_STREAM);
}

enum weir_next
stream_hand_over(struct weir_stream *st, struct weir_listen *to)
{
	static unsigned depth;		/* who hands over may hand over to us */
	struct weir_conn *c = st->s.conn;

	if (stream_is_udp(st)) {
		log_errorx(&st->s.log, "datagrams cannot be passed to another listener");
		return stream_finish(st, 500, "error");
	}
	if (depth == HANDS) {
		log_errorx(&st->s.log, "the connection is passed round in a circle");
		return stream_finish(st, 500, "error");
	}
	st->handed = true;
	(void)stream_finish(st, 200, "passed");
	c->owner = NULL;
	c->on_drain = NULL;
	c->tcp.on_gone = NULL;
	src_want(&c->io->in, false);
	src_on_ready(&c->io->in, NULL, NULL);
	tls_disown(c);
	c->from = to;
	depth++;
	to->on_conn(c);
	depth--;
	return WEIR_DONE;
}

/* ---- the course ---- */

static const struct step {
	const char	*name;
	enum weir_next	(*fn)(struct weir_stream *);
} steps[] = {
	{ "post accept", post_accept }, { "preaccess", preaccess }, { "access", access_step }, { "ssl", ssl_step },
	{ "preread", preread }, { "serve", serve },
};

static void
run(struct weir_stream *st)
{
	if (st->running)
		return;
	st->running = true;
	while (!st->over) {
		enum weir_next n;

		log_debug(&st->s.log, "step %s, hook %u", steps[st->step].name, st->hook);
		n = steps[st->step].fn(st);
		if (n == WEIR_WAIT || n == WEIR_DONE)
			break;
		st->hook = 0;
		st->step++;
		assert(st->step < WEIR_COUNT(steps));
	}
	st->running = false;
}

static void
resume(struct weir_sess *s)
{
	run(stream_of(s));
}

static enum weir_next
refuse(struct weir_sess *s, int status)
{
	return stream_finish(stream_of(s), status, "refused");
}

/* ---- the beginning ---- */

static void
tell_connected(struct weir_stream *st)
{
	char addr[ADDR_TEXT_MAX];
	size_t n = addr_put(addr, &st->s.conn->peer);

	log_info(&st->s.log, "%sclient %.*s connected to %s", stream_is_udp(st) ? "udp " : "", (int)n, addr, st->s.conn->from->text);
}

static void
init(struct weir_stream *st, struct weir_conn *c, struct weir_pool *pool)
{
	memset(st, 0, sizeof *st);
	st->s.magic = WEIR_SESS_MAGIC;
	st->magic = WEIR_STREAM_MAGIC;
	st->s.pool = pool;
	st->s.conn = c;
	st->s.peer = &c->peer;
	st->s.began_ms = c->began_ms;
	st->s.began_wall_ms = weir_wall_ms;
	st->s.resume = resume;
	st->s.refuse = refuse;
	st->s.log = (struct weir_log){ .id = c->id, .who = who, .arg = st };
}

struct weir_sess *
stream_likeness(struct weir_conn *c, void *owner, struct weir_pool *pool)
{
	struct weir_stream *st = POOL_NEW(pool, weir_stream);

	init(st, c, pool);
	use_server(st, owner);
	return &st->s;
}

void
stream_take(struct weir_conn *c, struct weir_stream_server *server)
{
	struct weir_stream *st = slab_take(&slab);

	init(st, c, pool_new(0));
	st->before = stream_is_udp(st) ? 0 : c->tcp.got;
	task_init(&st->end, on_end);
	timer_init(&st->timer, on_timer);
	c->owner = st;
	c->on_drain = on_drain;
	c->tcp.on_gone = on_gone;
	c->tcp.gone_arg = st;
	metric_add(&active, 0, 1);
	use_server(st, server);
	if (!STREAM_CONF(st)->tcp_nodelay && !stream_is_udp(st) && c->peer.sa.sa_family != AF_UNIX)
		(void)!sock_nodelay(c->tcp.ev.fd, false);	/* the listener's sockets begin with it on */
	if (unlikely(log_on(&st->s.log, LOG_INFO_)))
		tell_connected(st);
	if (unlikely(mem_low())) {
		(void)stream_finish(st, 503, "memory");
		return;
	}
	run(st);
}

static void
begin(struct weir_conn *c)
{
	stream_take(c, stream_server(site_default(c->from)));
}

void
stream_on_conn(struct weir_conn *c)
{
	void *const *conf = stream_server(site_default(c->from))->conf;
	const struct weir_stream_conf *sc = conf[*stream_module.index];

	if (likely(c->from->proxied == PROXY_HEADER_NO)) {
		begin(c);
		return;
	}
	if (c->from->proxied == PROXY_HEADER_TRUSTED && (sess_trusts == NULL || !sess_trusts(conf, &c->peer))) {
		proxy_complain(c, stream_log(sc), LOG_ERROR_, "client is not trusted to send a PROXY header");
		conn_close(c);
		return;
	}
	proxy_accept(c, sc->proxied_ms, stream_log(sc), begin);
}

/* ---- without a pool ---- */

/* What lies in the pool and is not needed, or not known, by who may be asked later. */
static bool
can_rest(const struct weir_stream *st)
{
	return st->kept == NULL && !st->secured && st->s.peer == &st->s.conn->peer && !core_debug_peer(st->s.peer);
}

void
stream_rest(struct weir_stream *st)
{
	size_t n;

	if (!can_rest(st))
		return;
	vars_keep(&st->s);
	n = vars_save(&st->s, NULL);
	if (n != 0) {
		st->kept = slab_sized_take(n);
		vars_save(&st->s, st->kept);
	}
	st->kept_n = n;
	st->s.vars = NULL;
	st->s.ctx = NULL;
	st->s.kept = NULL;
	st->s.cap = (struct weir_captures){ .n = 0 };
	st->peeked = NULL;
	st->peeked_n = st->peeked_room = 0;
	pool_free(st->s.pool);
	st->s.pool = NULL;
}

void
stream_wake(struct weir_stream *st)
{
	if (st->s.pool != NULL)
		return;
	st->s.pool = pool_new(0);
	if (st->kept == NULL)
		return;
	vars_load(&st->s, pool_dup(st->s.pool, st->kept, st->kept_n), st->kept_n);
	slab_sized_give(st->kept, st->kept_n);
	st->kept = NULL;
}
