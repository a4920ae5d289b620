/*
 * tunnel.c - the client and another connection are joined: WebSocket and every other Upgrade.
 *
 * A tunnel may stay idle for days, so it keeps no request: struct weir_tunnel holds the relay and, packed
 * behind it, what the log will want (the head as text, the values of variables that were asked for).
 * With HTTP/2 the client's side is a stream, which stays with its connection.
 * When the tunnel ends the head is parsed again, and the log hooks see a request as they know it.
 */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/io/relay.h"
#include "http/req/steps.h"

enum { CAP = 65536 };

struct weir_tunnel {
	struct weir_relay relay;
	struct weir_task free;
	struct weir_conn *client, *other;
	struct weir_xchg *stream;	/* of the client's connection; NULL: all of it */
	const struct weir_codec *codec;
	struct weir_hold *holds;
	struct weir_http_server *server;
	struct weir_location *loc;
	void		(*revive)(struct weir_req *, const void *, size_t);
	uint64_t	 began_ms, began_wall_ms, head_sent;
	uint32_t	 peer, raw, path, args, vars, keep;	/* sizes of what is packed */
	uint32_t	 number, size;
	int16_t		 status;
	bool		 has_args;
	/* packed: `keep` first, where it is aligned for any type (KEEP_AT), then the others in their order */
};

#define KEEP_AT	((sizeof(struct weir_tunnel) + 15) & ~(size_t)15)

/* ---- packing ---- */

static char *
put(char *to, const void *from, size_t n)
{
	if (n != 0)
		memcpy(to, from, n);
	return to + n;
}

static struct weir_tunnel *
pack(struct weir_req *r, const struct weir_tunnel_to *to)
{
	struct weir_str path = r->uri_rewritten ? r->uri.path : STR("");
	struct weir_str args = r->uri_rewritten ? r->uri.args : STR("");
	size_t vars = (vars_keep(&r->s), vars_save(&r->s, NULL));
	size_t peer = r->s.peer != &r->s.conn->peer ? sizeof *r->s.peer : 0;	/* realip's */
	size_t size = KEEP_AT + to->keep_size + peer + r->x->raw.n + path.n + args.n + vars;
	struct weir_tunnel *t = slab_sized_take(size);
	char *p = put((char *)t + KEEP_AT, to->keep, to->keep_size);

	t->size = (uint32_t)size;
	p = put(p, r->s.peer, peer);
	p = put(p, r->x->raw.p, r->x->raw.n);
	p = put(p, path.p, path.n);
	p = put(p, args.p, args.n);
	vars_save(&r->s, p);
	t->keep = (uint32_t)to->keep_size;
	t->peer = (uint32_t)peer;
	t->raw = (uint32_t)r->x->raw.n;
	t->path = (uint32_t)path.n;
	t->args = (uint32_t)args.n;
	t->vars = (uint32_t)vars;
	t->has_args = r->uri.has_args;
	t->codec = r->x->codec;
	t->holds = r->s.holds;
	r->s.holds = NULL;
	t->server = r->server;
	t->loc = r->loc;
	t->revive = to->revive;
	t->began_ms = r->s.began_ms;
	t->began_wall_ms = r->s.began_wall_ms;
	t->head_sent = r->x->sent;
	t->number = r->x->number;
	t->status = (int16_t)r->rsp.status;
	return t;
}

/* ---- the request, made again ---- */

struct shell {
	struct weir_xchg x;
	struct weir_xchg *stream;
};

static void
shell_release(struct weir_xchg *x)
{
	struct weir_xchg *stream = WEIR_OF(x, struct shell, x)->stream;

	accept_stats->writing--;
	if (stream != NULL)
		xchg_release(stream);
	else
		conn_close(x->conn);
}

static void
shell_cancel(struct weir_xchg *x, enum weir_cancel why)
{
	(void)x;
	(void)why;
}

static const struct weir_xchg_ops shell_ops = { .release = shell_release, .cancel = shell_cancel };

static struct weir_req *
unpack(struct weir_tunnel *t)
{
	struct weir_pool *pool = pool_new(4096);
	struct shell *shell = POOL_NEW(pool, shell);
	struct weir_xchg *x = &shell->x;
	const char *keep = (const char *)t + KEEP_AT;
	const char *raw = keep + t->keep + t->peer, *path = raw + t->raw, *args = path + t->path;
	struct weir_req *r;
	const char *why;

	x->magic = WEIR_XCHG_MAGIC;
	shell->stream = t->stream;
	x->version = t->stream != NULL ? t->stream->version : 0x101;
	x->in_eof = 1;
	x->ops = &shell_ops;
	x->codec = t->codec;
	x->conn = t->client;
	x->pool = pool;
	x->number = t->number;
	x->received = t->relay.ab.moved;
	x->sent = t->stream != NULL ? t->stream->sent : t->head_sent + t->relay.ba.moved;
	t->codec->reread(pool, str_of(raw, t->raw), &x->msg);
	req_count--;		/* it was counted all the time */
	r = req_make(x);
	if (t->peer != 0)
		r->s.peer = pool_dup(pool, keep + t->keep, t->peer);
	r->server = t->server;
	if (x->msg.authority.n != 0)
		(void)host_parse(pool, x->msg.authority, &r->host, &r->port);
	req_set_location(r, t->loc);
	if (x->msg.method_id == M_CONNECT)
		r->uri.path = STR("/");
	else
		(void)!uri_parse(pool, x->msg.target, REQ_CORE(r)->merge_slashes, &r->uri, &why);
	if (t->path != 0) {
		r->uri.path = pool_str(pool, str_of(path, t->path));
		r->uri.args = pool_str(pool, str_of(args, t->args));
		r->uri.has_args = t->has_args;
		r->uri_rewritten = true;
	}
	r->s.holds = t->holds;
	r->s.began_ms = t->began_ms;
	r->s.began_wall_ms = t->began_wall_ms;
	r->rsp.status = t->status;
	r->body_sent = t->relay.ba.moved;
	r->head_sent = r->tunnel = true;
	r->keepalive = false;
	if (t->vars != 0)
		vars_load(&r->s, pool_dup(pool, args + t->args, t->vars), t->vars);
	t->revive(r, keep, t->keep);
	return r;
}

/* ---- the end ---- */

static void
on_free(struct weir_task *task)
{
	struct weir_tunnel *t = WEIR_OF(task, struct weir_tunnel, free);

	slab_sized_give(t, t->size);
}

static void
on_end(struct weir_relay *relay, enum weir_relay_end how)
{
	struct weir_tunnel *t = relay->owner;
	struct weir_req *r = unpack(t);

	r->body_whole = how == RELAY_EOF;
	if (how == RELAY_IDLE)
		log_info(&r->s.log, "nothing moved in the tunnel for %llu ms: closing",
		    (unsigned long long)relay->idle_ms);
	else if (how == RELAY_A_FAIL)
		log_info(&r->s.log, "client broke the tunnel");
	else if (how == RELAY_B_FAIL)
		log_info(&r->s.log, "upstream broke the tunnel");
	conn_close(t->other);
	req_finish(r);
	task_init(&t->free, on_free);
	task_post(&t->free);
}

static void
cut(struct weir_tunnel *t, enum weir_relay_end how)
{
	relay_off(&t->relay);
	sink_abort(&t->relay.a->out);
	sink_abort(&t->relay.b->out);
	on_end(&t->relay, how);
}

/* A reset on a side that nobody reads or writes just now. */
static void
on_gone(void *arg)
{
	struct weir_tunnel *t = arg;
	bool client = t->stream == NULL && fdio_reset(&t->client->tcp);

	if (client || fdio_reset(&t->other->tcp))	/* an orderly end is read by the relay in its turn */
		cut(t, client ? RELAY_A_FAIL : RELAY_B_FAIL);
}

static void
on_stream_gone(struct weir_xchg *x, const char *why)
{
	(void)why;
	cut(x->owner, RELAY_A_FAIL);
}

static void
on_drain(struct weir_conn *c, enum weir_drain how)
{
	struct weir_tunnel *t = c->tcp.gone_arg;

	if (how == DRAIN_CUT)
		cut(t, RELAY_A_FAIL);
}

/* The client gives its connection to the tunnel, or the stream of it. */
static struct weir_io *
take_client(struct weir_tunnel *t, struct weir_xchg *x)
{
	struct weir_bufq from_client = { 0 };

	if (x->ops->raw != NULL) {
		t->stream = x->ops->raw(x);
		t->stream->owner = t;
		t->stream->on_gone = on_stream_gone;
		t->client = x->conn;
		return &t->stream->io;
	}
	t->client = x->ops->detach(x, &from_client, &t->relay.ba.q);
	relay_preload(&t->relay, &from_client, NULL);
	t->client->on_drain = on_drain;
	t->client->tcp.on_gone = on_gone;
	t->client->tcp.gone_arg = t;
	return t->client->io;
}

enum weir_next
req_tunnel(struct weir_req *r, const struct weir_tunnel_to *to)
{
	struct weir_xchg *x = r->x;
	struct weir_tunnel *t;
	struct weir_io *io;

	req_head_ready(r);
	r->head_sent = r->tunnel = true;
	/* when it fails the connection is lost, which the relay will find */
	(void)xchg_head(x, &r->rsp, HEAD_TUNNEL);
	if (x->version >= 0x200 && r->rsp.status == 101)
		r->rsp.status = 200;
	t = pack(r, to);
	t->relay.owner = t;
	t->relay.done = on_end;
	bufq_move(&t->relay.ab.q, to->to_other, to->to_other->len);
	io = take_client(t, x);
	t->other = to->other;
	relay_preload(&t->relay, NULL, to->from_other);
	t->other->tcp.on_gone = on_gone;
	t->other->tcp.gone_arg = t;
	/* the request goes, and nobody logs it now */
	r->finished = true;
	r->on_client_gone = NULL;
	x->on_gone = NULL;
	xchg_release(x);
	accept_stats->writing++;
	req_count++;
	task_init(&r->end, req_free);
	task_post(&r->end);
	relay_start(&t->relay, io, t->other->io, CAP, to->idle_ms);
	return WEIR_DONE;
}
