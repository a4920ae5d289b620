/*
 * client.c - HTTP/2 towards upstreams: links.
 *
 * A link carries as many calls as the peer allows.  It takes no more after GOAWAY, and when it is lost: who waits on
 * it is told, and the last one to be released ends it.  In a turn everything that came is given to nghttp2, then
 * owners of calls are told, then all frames that this made are written at once.
 *
 *	H2L_OPEN	calls come and go			-> LOST, CLOSED
 *	H2L_LOST	it broke, or was ended for an error;
 *			calls are told				-> CLOSED
 */
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/tls/tls.h"
#include "http/h2/client.h"

enum {
	READ_STEP	= 1 << 16,
	TURN_BYTES	= 1 << 20	/* of a turn, in each direction */
};

static struct weir_slab slab = WEIR_SLAB(h2_link);

/* ---- how many calls ---- */

void
h2c_count(struct h2_link *k)
{
	uint32_t most = k->l.limit != 0 ? WEIR_MIN(k->l.limit, (unsigned)H2C_FIRST_STREAMS) : H2C_FIRST_STREAMS;

	if (k->greeted)
		k->l.limit = most = nghttp2_session_get_remote_settings(k->ng,
		    NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	k->l.room = 0;
	if (k->state != H2L_OPEN || k->last || !nghttp2_session_check_request_allowed(k->ng))
		return;
	if (k->l.open == 0 && k->l.requests != 0 && !k->proved && !k->l.trusted)
		return;
	if (k->held > H2C_HELD_MOST / 2)	/* there are slow readers enough */
		return;
	if (most > k->l.open)
		k->l.room = most - k->l.open;
}

/* ---- the end ---- */

/* Nobody will get anything of any call any more.  Owners are told at the end of the turn. */
static void
lose(struct h2_link *k, const char *why)
{
	struct weir_list *at, *next;

	if (k->state != H2L_OPEN)
		return;
	k->state = H2L_LOST;
	src_want(&k->l.conn->io->in, false);
	sink_want(&k->l.conn->io->out, false);
	bufq_clear(&k->out);
	list_each_safe(at, next, &k->calls)
		h2c_call_lost(WEIR_OF(at, struct h2_call, node), why, true, false);
	h2c_settle(k);
}

static void
on_free(struct weir_task *t)
{
	struct h2_link *k = WEIR_OF(t, struct h2_link, task);

	nghttp2_session_del(k->ng);
	h2c_frames_end(&k->frames);
	k->magic = k->l.magic = 0;
	slab_give(&slab, k);
}

/* ---- writing ---- */

void
h2c_post(struct h2_link *k)
{
	k->fresh = true;
	if (k->state != H2L_CLOSED)
		task_post(&k->task);
}

void
h2c_blame(struct h2_link *k, const char *why)
{
	if (k->why[0] == '\0')
		(void)snprintf(k->why, sizeof k->why, "%s", why);
}

int
h2c_pack(struct h2_link *k)
{
	const uint8_t *p;
	nghttp2_ssize n;

	if (k->state != H2L_OPEN)
		return WEIR_FAIL;
	if (k->inside || !k->fresh)
		return WEIR_OK;
	k->inside = true;
	while (k->out.len < H2C_OUT_MOST) {
		n = nghttp2_session_mem_send2(k->ng, &p);
		if (n <= 0) {
			k->inside = false;
			k->fresh = k->out.len >= H2C_OUT_MOST;	/* a body waits for room */
			return n == 0 ? WEIR_OK : WEIR_FAIL;
		}
		bufq_put(&k->out, p, (size_t)n);
	}
	k->inside = false;
	return WEIR_OK;
}

static void
went_out(struct h2_link *k)
{
	bool blocked = k->out.len != 0;

	if (k->blocked != blocked)
		sink_want(&k->l.conn->io->out, blocked);
	k->blocked = blocked;
}

/* All frames that there are, into the socket as far as it takes them. */
static void
flush(struct h2_link *k)
{
	uint64_t turn = 0;
	ssize_t n;

	while (k->state == H2L_OPEN) {
		if (h2c_pack(k) != WEIR_OK) {
			lose(k, "HTTP/2 went wrong");
			return;
		}
		if (k->out.len == 0)
			break;
		n = sink_write(&k->l.conn->io->out, &k->out);
		if (n == WEIR_FAIL) {
			lose(k, k->l.conn->io->out.err != NULL ? k->l.conn->io->out.err : "writing failed");
			return;
		}
		if (k->out.len != 0)
			break;
		turn += (uint64_t)n;
		if (turn >= TURN_BYTES) {
			h2c_post(k);
			break;
		}
	}
	went_out(k);
}

/* ---- owners are told ---- */

void
h2c_note(struct h2_call *e, unsigned what)
{
	if (e->released)
		return;
	if (list_empty(&e->todo))
		list_append(&e->k->todo, &e->todo);
	e->tell |= (uint8_t)what;
	task_post(&e->k->task);
}

/* Heads in their order.  The call may be released by any of them. */
static void
tell_heads(struct h2_call *e)
{
	while (e->replies != NULL && !e->released) {
		struct h2_reply *now = e->replies;

		e->replies = now->next;
		if (e->replies == NULL)
			e->replies_end = &e->replies;
		e->x.msg = now->msg;
		if (now->msg.status >= 200 && e->none)
			e->x.in_eof = 1;
		if (e->x.on_head != NULL)
			e->x.on_head(&e->x);
	}
}

static void
tell(struct h2_call *e)
{
	unsigned what = e->tell;

	e->tell = 0;
	if (what & CALL_HEAD)
		tell_heads(e);
	if (!e->released && (what & CALL_GONE) && e->x.on_gone != NULL) {
		e->x.on_gone(&e->x, e->why);
		return;
	}
	if (!e->released && (what & CALL_READ)) {
		if (e->want_in && e->final && e->x.io.in.ready != NULL)
			e->x.io.in.ready(e->x.io.in.arg);
		else
			bufq_pack(&e->in);
	}
	if (!e->released && (what & CALL_WRITE) && e->want_out && e->x.io.out.ready != NULL)
		e->x.io.out.ready(e->x.io.out.arg);
}

/* Those that are noted now; what that leads to is told in the next turn. */
static void
tell_all(struct h2_link *k)
{
	struct weir_list now;

	if (list_empty(&k->todo))
		return;
	now = k->todo;
	now.next->prev = now.prev->next = &now;
	list_init(&k->todo);
	while (!list_empty(&now)) {
		struct h2_call *e = list_first(&now, struct h2_call, todo);

		list_remove(&e->todo);
		tell(e);
	}
}

/* ---- the life of a link ---- */

void
h2c_settle(struct h2_link *k)
{
	bool dead = k->state != H2L_OPEN || k->last;

	h2c_count(k);
	if (k->l.open == 0)
		k->l.state = dead ? LINK_DEAD : LINK_IDLE;
	if (k->l.open == 0 && !dead)
		k->l.idle_since_ms = weir_now_ms;
	if (k->state != H2L_CLOSED)
		task_post(&k->task);
}

/* nghttp2 neither reads nor writes any more, and all of its last words are out. */
static bool
is_over(struct h2_link *k)
{
	return k->out.len == 0 && !nghttp2_session_want_read(k->ng) && !nghttp2_session_want_write(k->ng);
}

/* The end of a turn. */
static void
go_on(struct h2_link *k)
{
	tell_all(k);
	if (k->state == H2L_OPEN)
		flush(k);
	if (k->state == H2L_OPEN && is_over(k))
		lose(k, k->why[0] != '\0' ? k->why : "upstream ended the connection");
	if (k->state == H2L_CLOSED || k->l.open != 0 || k->told || (k->state == H2L_OPEN && !k->last))
		return;
	k->l.state = LINK_DEAD;
	k->told = true;
	if (k->l.on_state != NULL)
		k->l.on_state(&k->l);
}

static void
on_task(struct weir_task *t)
{
	go_on(WEIR_OF(t, struct h2_link, task));
}

static void
on_writable(void *arg)
{
	go_on(arg);
}

/* ---- reading ---- */

static const char *
fault_of(int rc)
{
	switch (rc) {
	case NGHTTP2_ERR_FLOODED:
		return "upstream flooded the connection with frames";
	case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
		return "upstream sent too many CONTINUATION frames";
	default:
		return "upstream sent what HTTP/2 does not allow";
	}
}

static void
feed(struct h2_link *k, struct weir_bufq *q)
{
	while (q->len != 0 && k->state == H2L_OPEN) {
		struct weir_str part = bufq_first(q);
		int rc;

		k->came += part.n;
		k->inside = true;
		rc = h2c_frames(k, (const uint8_t *)part.p, part.n);
		k->inside = false;
		if (rc != 0) {
			(void)nghttp2_session_terminate_session(k->ng, NGHTTP2_PROTOCOL_ERROR);
			h2c_blame(k, fault_of(rc));
			h2c_post(k);
			flush(k);
			lose(k, k->why);
		} else {
			bufq_drop(q, part.n);
		}
	}
	bufq_clear(q);
}

static void
on_readable(void *arg)
{
	struct h2_link *k = arg;
	struct weir_bufq q = { 0 };
	uint64_t turn = 0;

	while (k->state == H2L_OPEN) {
		ssize_t n = src_read(&k->l.conn->io->in, &q, READ_STEP);

		if (n == WEIR_AGAIN)
			break;
		if (n < 0) {
			lose(k, n == WEIR_EOF ? "upstream prematurely closed connection" :
			    k->l.conn->io->in.err != NULL ? k->l.conn->io->in.err : "reading failed");
			break;
		}
		k->came_ms = weir_now_ms;
		turn += (uint64_t)n;
		feed(k, &q);
		k->fresh |= nghttp2_session_want_write(k->ng) != 0;
		h2c_budget_judge(k);
		if (turn >= TURN_BYTES) {
			src_want(&k->l.conn->io->in, true);
			break;
		}
	}
	bufq_clear(&q);		/* a read that gave nothing may have left room in it */
	go_on(k);
}

/* ---- for the keeper ---- */

static struct weir_link *
new_link(struct weir_conn *c)
{
	struct h2_link *k = slab_take(&slab);

	memset(k, 0, sizeof *k);
	k->l.magic = WEIR_LINK_MAGIC;
	k->magic = H2_LINK_MAGIC;
	k->l.codec = &h2_client_codec;
	k->l.conn = c;
	k->secure = conn_is_tls(c);
	list_init(&k->l.node);
	list_init(&k->calls);
	list_init(&k->todo);
	task_init(&k->task, on_task);
	k->fresh = true;
	/* nghttp2 has put its preface into the room that all sessions share: out with it, before another one is asked */
	if (h2c_session_new(k) != WEIR_OK || h2c_pack(k) != WEIR_OK) {
		nghttp2_session_del(k->ng);	/* NULL is fine */
		bufq_clear(&k->out);
		slab_give(&slab, k);
		conn_close(c);
		return NULL;
	}
	k->fresh = true;
	h2_points_begin(&k->points);
	c->owner = k;
	c->tcp.on_gone = NULL;
	src_on_ready(&c->io->in, on_readable, k);
	sink_on_ready(&c->io->out, on_writable, k);
	src_want(&c->io->in, true);
	h2c_count(k);
	return &k->l;
}

/* The peer is told, as far as the socket takes it at once. */
static void
end(struct weir_link *l)
{
	struct h2_link *k = WEIR_OF(l, struct h2_link, l);

	assert(k->magic == H2_LINK_MAGIC && l->open == 0 && k->state != H2L_CLOSED);
	list_remove(&l->node);
	l->on_state = NULL;
	if (k->state == H2L_OPEN && !k->inside) {
		(void)nghttp2_submit_goaway(k->ng, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
		k->fresh = true;
		if (h2c_pack(k) == WEIR_OK && k->out.len != 0)
			(void)!sink_write(&l->conn->io->out, &k->out);
	}
	k->state = H2L_CLOSED;
	bufq_clear(&k->out);
	conn_close(l->conn);
	task_off(&k->task);
	task_init(&k->task, on_free);
	task_post(&k->task);
}

const struct weir_codec h2_client_codec = {
	.name = "h2", .alpn = "h2", .many = true, .link = new_link, .open = h2c_open, .end = end,
};
