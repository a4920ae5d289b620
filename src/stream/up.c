/*
 * up.c - a session and its upstream.
 */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/num.h"
#include "core/peer/target.h"
#include "core/peer/tls_conf.h"
#include "stream/udp.h"

#define NEVER	UINT64_MAX
#define BUFFER_LEAST	((uint64_t)4096)	/* what a read takes in any case */

static struct weir_slab slab = WEIR_SLAB(weir_stream_up);

static void next_peer(struct weir_stream_up *);		/* the cycle: next_peer -> ... -> failed -> next_peer */

/* ---- attempts ---- */

unsigned
stream_up_attempts(const struct weir_stream *st)
{
	const struct weir_stream_up *u = st->up;

	return u == NULL || u->first.addr.p == NULL ? 0 : 1 + u->more.n;
}

const struct weir_stream_attempt *
stream_up_attempt(const struct weir_stream *st, unsigned i)
{
	return i == 0 ? &st->up->first : &st->up->more.v[i - 1];
}

static struct weir_stream_attempt *
current(struct weir_stream_up *u)
{
	return u->more.n == 0 ? &u->first : &u->more.v[u->more.n - 1];
}

static void
attempt_begin(struct weir_stream_up *u, struct weir_str addr)
{
	struct weir_stream_attempt *a = &u->first;

	if (a->addr.p != NULL)
		a = POOL_PUSH(u->st->s.pool, &u->more);
	a->addr = addr;
	a->connect_ms = a->first_ms = a->session_ms = NEVER;
	a->queue_ms = u->wait.ms;
	u->wait.ms = 0;
	u->attempt_ms = weir_now_ms;
	u->heard = false;
}

static void
attempt_end(struct weir_stream_up *u)
{
	struct weir_stream_attempt *a = current(u);

	if (a->session_ms != NEVER)
		return;
	a->session_ms = weir_now_ms - u->attempt_ms;
	if (u->conn != NULL) {
		a->received = u->conn->tcp.got;
		a->sent = u->conn->tcp.put;
	} else if (u->udp != NULL) {
		a->received = u->udp->link.got;
		a->sent = u->udp->link.put;
	}
}

/* Has it come so far that bytes move? */
static bool
moves(const struct weir_stream_up *u)
{
	return u->joined || (u->udp != NULL && u->udp->begun);
}

struct weir_str
stream_up_text(const struct weir_stream *st)
{
	const struct weir_stream_up *u = st->up;

	return stream_up_attempts(st) == 0 ? STR_NONE : stream_up_attempt(st, u->more.n)->addr;
}

/* ---- the end ---- */

/* The peer is let go, and whatever there is of a connection with it. */
static void
let_go(struct weir_stream_up *u, enum weir_outcome how)
{
	stream_drop_leave(u);
	if (u->dialling)
		dial_cancel(&u->dial);
	u->dialling = false;
	if (stream_up_attempts(u->st) != 0)
		attempt_end(u);
	if (u->pick.peer != NULL)
		count_attempt_end(u->pick.group, current(u)->received, current(u)->sent);
	if (u->conn != NULL) {
		if (u->st->cut || !u->joined)
			conn_abort(u->conn);
		else
			conn_close(u->conn);
		u->conn = NULL;
	}
	stream_udp_let_go(u);
	if (u->pick.peer != NULL) {
		u->pick.response_ms = moves(u) ? weir_now_ms - u->attempt_ms : PICK_NO_TIME;
		pick_done(&u->pick, how);
	}
}

void
stream_up_end(struct weir_stream *st)
{
	struct weir_stream_up *u = st->up;

	if (u == NULL)
		return;
	if (u->joined)
		relay_off(&u->relay);
	else
		queue_leave(&u->wait);
	for (unsigned i = 0; i < 2; i++)
		if (u->rates[i] != NULL)
			rate_end(u->rates[i]);
	if (!moves(u) && u->pick.peer != NULL)
		pick_left(&u->pick, weir_now_ms - u->attempt_ms);
	let_go(u, moves(u) ? WENT_WELL : WENT_NOWHERE);
	stream_udp_end(u);
}

void
stream_up_free(struct weir_stream *st)
{
	if (st->up == NULL)
		return;
	stream_udp_free(st->up);
	slab_give(&slab, st->up);
	st->up = NULL;
}

/* ---- joined ---- */

static void
tell_end(struct weir_stream_up *u, enum weir_relay_end how)
{
	const struct weir_stream *st = u->st;
	const char *what = how == RELAY_IDLE ? "connection timed out" : how == RELAY_A_FAIL ? "client reset the connection" :
	    how == RELAY_B_FAIL ? "upstream reset the connection" : u->relay.first == 1 ? "client disconnected" :
	    "upstream disconnected";

	log_info(&u->st->s.log, "%s, bytes from/to client:%llu/%llu, bytes from/to upstream:%llu/%llu", what,
	    (unsigned long long)stream_received(st), (unsigned long long)stream_sent(st),
	    (unsigned long long)u->conn->tcp.got, (unsigned long long)u->conn->tcp.put);
}

/* For circuits and metrics. */
static void
trouble(struct weir_stream_up *u, enum weir_trouble what, const char *why)
{
	stream_wake(u->st);
	count_failed(u->pick.group, what == TROUBLE_TIMEOUT ? GROUP_TIMEOUT : GROUP_ERROR);
	pick_trouble(&u->pick, what, why);
}

/* It had its chance to say something, and ended the connection otherwise. */
static void
judge_silence(struct weir_stream_up *u, enum weir_relay_end how)
{
	if (u->conn->tcp.got != 0)
		return;
	if (how == RELAY_B_FAIL)
		trouble(u, TROUBLE_ERROR, "it reset the connection before it had said anything");
	else if (how == RELAY_IDLE && u->conn->tcp.put != 0)
		trouble(u, TROUBLE_TIMEOUT, "it did not say anything");
}

/* The upstream's first byte. */
static void
on_moved(struct weir_relay *r)
{
	struct weir_stream_up *u = r->owner;

	if (u->conn->tcp.got == 0)
		return;
	r->on_moved = NULL;
	current(u)->first_ms = weir_now_ms - u->attempt_ms;
	count_response(u->pick.group, 0, current(u)->first_ms);
	pick_sure(&u->pick);
	if (!u->pick.group->by_connect)
		pick_heard(&u->pick, current(u)->first_ms);
}

static void
on_relay_end(struct weir_relay *r, enum weir_relay_end how)
{
	struct weir_stream_up *u = r->owner;
	static const char *const words[] = {
		[RELAY_A_FAIL] = "client_reset", [RELAY_B_FAIL] = "upstream_reset", [RELAY_IDLE] = "idle",
	};

	if (r->on_moved != NULL)	/* what came with the end */
		on_moved(r);
	tell_end(u, how);
	judge_silence(u, how);
	u->st->cut = how == RELAY_A_FAIL || how == RELAY_B_FAIL;
	(void)stream_finish(u->st, 200, how != RELAY_EOF ? words[how] :
	    r->first == 1 ? "client_closed" : "upstream_closed");
}

/*
 * A reset of the client, whom nobody reads just now.  That of an upstream, and an orderly end, are read by the relay in their
 * turn, when what came before has been delivered.
 */
static void
on_gone(void *arg)
{
	struct weir_stream *st = arg;

	if (st->over || !fdio_reset(&st->s.conn->tcp))
		return;
	relay_off(&st->up->relay);
	on_relay_end(&st->up->relay, RELAY_A_FAIL);
}

static struct weir_src *
limit(struct weir_stream_up *u, unsigned i, const struct weir_expr *e, struct weir_src *below)
{
	uint64_t rate = 0;

	if (!e->set || num_size(expr_eval(&u->st->s, e), &rate) != WEIR_OK || rate == 0)
		return NULL;
	u->rates[i] = POOL_NEW(u->st->s.pool, weir_rate);
	rate_init(u->rates[i], below, rate, 0);
	u->rates[i]->exact = true;
	return &u->rates[i]->src;
}

static bool
can_rest(const struct weir_stream_up *u)
{
	return !u->p->ssl && u->more.n == 0 && !u->pick.group->brief && u->rates[0] == NULL && u->rates[1] == NULL &&
	    u->pick.tried == u->pick.few && u->pick.key.n == 0;
}

static void
join(struct weir_stream_up *u)
{
	struct weir_stream *st = u->st;
	struct weir_relay *r = &u->relay;
	struct weir_conn *client = st->s.conn;

	st->s.log.doing = "proxying connection";
	pick_well(&u->pick);
	u->joined = true;
	memset(r, 0, sizeof *r);
	r->owner = u;
	r->done = on_relay_end;
	r->on_moved = on_moved;
	r->whole = !u->p->half_close;
	r->from_a = limit(u, 0, &u->p->upload, &client->io->in);
	r->from_b = limit(u, 1, &u->p->download, &u->conn->io->in);
	relay_preload(r, &st->preread, NULL);
	client->tcp.on_gone = on_gone;
	client->tcp.gone_arg = st;
	if (can_rest(u))
		stream_rest(st);
	relay_start(r, client->io, u->conn->io, (size_t)WEIR_MAX(u->p->buffer_size, BUFFER_LEAST), u->p->timeout_ms);
}

/* ---- connecting ---- */

static bool
may_try_again(struct weir_stream_up *u)
{
	const struct weir_stream_params *p = u->p;

	return p->next && u->tries < pick_most(&u->pick) &&
	    (p->next_tries == 0 || u->tries < (unsigned)p->next_tries) &&
	    (p->next_timeout_ms == 0 || weir_now_ms - u->began_ms < p->next_timeout_ms) &&
	    budget_allows(&u->pick, &p->budget);
}

/* This peer is none for the session. */
static void
failed(struct weir_stream_up *u)
{
	let_go(u, WENT_BADLY);
	if (may_try_again(u))
		next_peer(u);
	else
		(void)stream_finish(u->st, 502, "upstream_failed");
}

void
stream_up_lost(struct weir_stream_up *u, enum weir_trouble what, const char *why, bool again)
{
	if (u->pick.peer != NULL)
		trouble(u, what, why);
	if (again) {
		failed(u);
		return;
	}
	let_go(u, WENT_BADLY);
	(void)stream_finish(u->st, 502, "upstream_failed");
}

void
stream_up_heard(struct weir_stream_up *u)
{
	current(u)->first_ms = weir_now_ms - u->attempt_ms;
	count_response(u->pick.group, 0, current(u)->first_ms);
	pick_answer(&u->pick, 0, current(u)->first_ms);
	pick_sure(&u->pick);
	pick_well(&u->pick);
	if (!u->pick.group->by_connect)
		pick_heard(&u->pick, current(u)->first_ms);
	if (can_rest(u) && u->udp->head.n == 0)
		stream_rest(u->st);
}

static void
connected(struct weir_stream_up *u)
{
	struct weir_stream_attempt *a = current(u);

	a->connect_ms = weir_now_ms - u->attempt_ms;
	pick_answer(&u->pick, 0, a->connect_ms);
	if (u->pick.group->by_connect)
		pick_heard(&u->pick, a->connect_ms);
	join(u);
}

static void
on_secured(struct weir_conn *c, enum weir_tls_end how)
{
	struct weir_stream_up *u = c->owner;

	switch (how) {
	case TLS_OK:
		connected(u);
		return;
	case TLS_NO_KEY:	/* no other peer would be better off */
		let_go(u, WENT_NOWHERE);
		(void)stream_finish(u->st, 500, "error");
		return;
	case TLS_TIMEOUT:
		log_errorx(&u->st->s.log, "upstream timed out (110: Connection timed out)");
		trouble(u, TROUBLE_TIMEOUT, "the TLS handshake timed out");
		break;
	default:		/* why was said */
		trouble(u, TROUBLE_ERROR, "the TLS handshake failed");
		break;
	}
	failed(u);
}

static void
secure(struct weir_stream_up *u)
{
	struct weir_stream *st = u->st;
	struct weir_tls_connect tls = { .log = &st->s.log, .timeout_ms = u->p->connect_ms, .done = on_secured };

	st->s.log.doing = "SSL handshaking to upstream";
	if (!peer_tls(&st->s, &proxy_ssl_module, u->pick.peer, u->host, &tls)) {
		let_go(u, WENT_NOWHERE);
		(void)stream_finish(st, 500, "error");
		return;
	}
	if (u->pick.group->brief)
		tls.sessions = NULL;
	u->conn->owner = u;
	tls_connect(u->conn, &tls);
}

static void
tell_connected(struct weir_stream_up *u)
{
	char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
	struct weir_addr own;
	size_t n = addr_put(from, conn_local(u->conn, &own)), m = addr_put(to, &u->conn->peer);

	log_info(&u->st->s.log, "proxy %.*s connected to %.*s", (int)n, from, (int)m, to);
}

static void
not_dialled(struct weir_stream_up *u, int err)
{
	struct weir_stream *st = u->st;

	if (err == ETIMEDOUT) {
		log_errorx(&st->s.log, "upstream timed out (110: Connection timed out)");
		trouble(u, TROUBLE_TIMEOUT, "connecting timed out");
	} else {
		log_at(&st->s.log, LOG_ERROR_, err, "connect() failed");
		trouble(u, TROUBLE_ERROR, pool_printf(st->s.pool, "connect() failed (%d: %s)", err, strerror(err)).p);
	}
	failed(u);
}

static void
on_dialled(struct weir_dial *d, struct weir_conn *c, int err)
{
	struct weir_stream_up *u = WEIR_OF(d, struct weir_stream_up, dial);
	struct weir_stream *st = u->st;

	u->dialling = false;
	if (c == NULL) {
		not_dialled(u, err);
		return;
	}
	u->conn = c;
	if (unlikely(log_on(&st->s.log, LOG_INFO_)))
		tell_connected(u);
	if (u->p->ssl)
		secure(u);
	else
		connected(u);
}

/* There is nobody to wait for: whether somebody is there is known when the first datagram is sent. */
static void
dial_udp(struct weir_stream_up *u, const struct weir_addr *to, const struct weir_dial_opts *o)
{
	char text[ADDR_TEXT_MAX];

	if (!stream_udp_dial(u, to, o)) {
		not_dialled(u, errno);
		return;
	}
	if (unlikely(log_on(&u->st->s.log, LOG_INFO_)))
		log_info(&u->st->s.log, "udp proxy connected to %.*s", (int)addr_put(text, to), text);
	current(u)->connect_ms = 0;
	u->st->s.log.doing = "proxying datagrams";
	stream_udp_begin(u);
}

static void
no_peer(struct weir_stream_up *u, int status)
{
	count_failed(u->pick.group, GROUP_NOBODY);
	(void)stream_finish(u->st, status, "no_upstream");
}

static void
use_peer(struct weir_stream_up *u, struct weir_peer *peer)
{
	struct weir_stream *st = u->st;
	struct weir_dial_opts o = { .timeout_ms = u->p->connect_ms, .keepalive = u->p->keepalive,
	    .nagle = !STREAM_CONF(st)->tcp_nodelay };

	count_attempt(u->pick.group, u->tries > 0);
	u->tries++;
	attempt_begin(u, peer->text);
	if (u->p->drop)
		stream_drop_watch(u);
	bind_choose(&st->s, &u->p->bind, &o);
	if (u->p->preface.version != 0 &&
	    preface_make(&st->s, &u->p->preface, stream_is_udp(st), &o.preface) != WEIR_OK) {
		let_go(u, WENT_NOWHERE);
		(void)stream_finish(st, 500, "error");
		return;
	}
	if (stream_is_udp(st)) {
		dial_udp(u, &peer->addr, &o);
		return;
	}
	u->dialling = true;
	u->dial.done = on_dialled;
	dial_start(&u->dial, &peer->addr, &o);
}

static void
on_served(struct weir_wait *w, struct weir_peer *peer)
{
	struct weir_stream_up *u = WEIR_OF(w, struct weir_stream_up, wait);

	u->st->s.log.doing = "connecting to upstream";
	use_peer(u, peer);
}

static void
on_vain(struct weir_wait *w)
{
	struct weir_stream_up *u = WEIR_OF(w, struct weir_stream_up, wait);

	attempt_begin(u, u->pick.group->name);
	no_peer(u, 503);
}

static bool
waits(struct weir_stream_up *u)
{
	u->wait.served = on_served;
	u->wait.vain = on_vain;
	if (!queue_join(&u->wait, &u->pick))
		return false;
	u->st->s.log.doing = "waiting for an upstream";
	return true;
}

static void
next_peer(struct weir_stream_up *u)
{
	struct weir_stream *st = u->st;
	bool queue = u->pick.group->queue != NULL, open;
	struct weir_peer *peer;

	st->s.log.doing = "connecting to upstream";
	peer = queue_is_before(&u->pick) ? NULL : pick_next(&u->pick);
	if (peer != NULL) {
		use_peer(u, peer);
		return;
	}
	/* those who wait for an open circuit would do so for long */
	open = pick_is_open(&u->pick, queue);
	if (!open && waits(u))
		return;
	attempt_begin(u, u->pick.group->name);
	log_errorx(&st->s.log, "no live upstreams");
	log_errorx(&st->s.log, "servers that were passed over: %.*s", STR_ARG(pick_why(&u->pick, st->s.pool)));
	no_peer(u, open || (queue && u->pick.n_tried == 0) ? 503 : 502);
}

static enum weir_next
begin(struct weir_stream *st, const struct weir_stream_params *p, struct weir_group *g, struct weir_str host)
{
	struct weir_stream_up *u = slab_take(&slab);

	memset(u, 0, sizeof *u);
	st->up = u;
	u->st = st;
	u->p = p;
	u->host = host;
	u->began_ms = weir_now_ms;
	pick_init(&u->pick, g, st->s.pool, &st->s);
	u->pick.budget = p->budget.percent != 0;
	next_peer(u);
	return WEIR_DONE;
}

enum weir_next
stream_up_pass(struct weir_stream *st, const struct weir_stream_params *p)
{
	struct weir_group *g = p->group;
	struct weir_str host = p->host;

	if (g == NULL) {
		host = expr_eval(&st->s, &p->variable);
		switch (target_group(&st->s, *stream_proxy_module.index, host, 0, &g)) {
		case WEIR_AGAIN:
			return WEIR_WAIT;
		case WEIR_FAIL:
			return stream_finish(st, 500, "no_upstream");
		}
	}
	return begin(st, p, g, host);
}
