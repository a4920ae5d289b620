/*
 * probe_http.c - asking a server by HTTP/1, HTTP/2 or gRPC, with the codecs that requests go by.
 *
 *	start -> (kept link | probe_connect) -> send -> on_head -> [on_body] -> probe_pass, probe_fail -> end
 */
#include "core/base/clock.h"
#include "core/base/num.h"
#include "http/h1/h1.h"
#include "http/h2/h2.h"
#include "http/up/health.h"

enum { HEAD_BYTES = 32 << 10, HEAD_FIELDS = 200, READ_SIZE = 16384, GRACE_MS = 1000 };

struct ask {
	struct weir_probe *p;
	struct weir_link *link;
	struct weir_xchg *x;
	struct weir_msg	 head;
	struct weir_bufq out;		/* of the request's body */
	struct weir_bufq in;
	bool		 reused, answered, whole;
	bool		 sent;
};

/* Links that wait for the next question, of this process. */
static unsigned n_kept;

static const struct up_check *
check_of(const struct weir_probe *p)
{
	return p->h->judge;
}

static const struct weir_codec *
codec_of(const struct weir_probe *p)
{
	return p->h->kind == &probe_http ? &h1_codec : &h2_client_codec;
}

static bool
is_grpc(const struct weir_probe *p)
{
	return p->h->kind == &probe_grpc;
}

/* ---- links that are kept ---- */

static void
drop_kept(struct weir_probe *p)
{
	struct weir_link *l = p->kept;

	if (l == NULL)
		return;
	p->kept = NULL;
	n_kept--;
	l->on_state = NULL;
	l->codec->end(l);
}

static void
on_kept_state(struct weir_link *l)
{
	if (l->state == LINK_DEAD)
		drop_kept(l->keeper);
}

static bool
may_keep(const struct weir_probe *p, const struct weir_link *l)
{
	return p->passed && l->state == LINK_IDLE && l->open == 0 && n_kept < PROBES_AT_ONCE &&
	    weir_now_ms - l->conn->began_ms < p->h->keepalive_ms;
}

static void
let_go(struct ask *a)
{
	struct weir_link *l = a->link;
	struct weir_xchg *x = a->x;

	bufq_clear(&a->in);
	bufq_clear(&a->out);
	a->link = NULL;
	a->x = NULL;
	if (x != NULL) {
		x->on_head = NULL;
		x->on_gone = NULL;
		src_on_ready(&x->io.in, NULL, NULL);
		sink_on_ready(&x->io.out, NULL, NULL);
		if (!a->whole)
			xchg_cancel(x, CANCEL_REFUSED);
		xchg_release(x);
	}
	if (l == NULL)
		return;
	if (!may_keep(a->p, l)) {
		l->codec->end(l);
		return;
	}
	l->keeper = a->p;
	l->on_state = on_kept_state;
	a->p->kept = l;
	n_kept++;
}

static struct weir_link *
take_kept(struct weir_probe *p)
{
	struct weir_link *l = p->kept;

	if (l == NULL || weir_now_ms - l->conn->began_ms >= p->h->keepalive_ms) {
		drop_kept(p);
		return NULL;
	}
	p->kept = NULL;
	n_kept--;
	l->keeper = NULL;
	l->on_state = NULL;
	return l;
}

/* ---- the answer ---- */

static struct weir_str
body_text(struct ask *a)
{
	size_t n = (size_t)WEIR_MIN(a->in.len, (uint64_t)PROBE_BODY_MAX);
	char *to = pool_bytes(a->p->pool, n + 1);

	return str_of(to, bufq_peek(&a->in, 0, to, n));
}

/* Trailers tell it, or, without a message, the head. */
static void
judge_grpc(struct ask *a)
{
	const struct weir_msg *m = &a->x->msg;
	const struct weir_field *f = fields_find(&m->trailers, STR("grpc-status"), NULL);
	uint64_t wanted = a->p->h->grpc_status, status;
	int health;

	if (f == NULL)
		f = fields_find(&m->fields, STR("grpc-status"), NULL);
	if (f == NULL || num_u64(f->value, &status) != WEIR_OK) {
		probe_fail(a->p, "the answer has no gRPC status");
	} else if (status != wanted) {
		probe_fail(a->p, "gRPC status %u does not match", (unsigned)WEIR_MIN(status, 999u));
	} else if (wanted != 0) {
		probe_pass(a->p);
	} else if ((health = grpc_health_status(body_text(a))) == GRPC_HEALTH_SERVING) {
		probe_pass(a->p);
	} else if (health < 0) {
		probe_fail(a->p, "the answer is none of grpc.health.v1");
	} else {
		probe_fail(a->p, "the service is not serving (%d)", health);
	}
}

static void
judge_body(struct ask *a)
{
	const struct up_match *m = check_of(a->p)->match;

	if (is_grpc(a->p))
		judge_grpc(a);
	else if (up_match_wants_body(m) && !up_match_body(m, body_text(a)))
		probe_fail(a->p, "the body does not match");
	else
		probe_pass(a->p);
}

static void
on_body(void *arg)
{
	struct ask *a = arg;
	ssize_t r = 1;

	if (a->p->ended)
		return;
	while (a->in.len < PROBE_BODY_MAX && (r = src_read(&a->x->io.in, &a->in, READ_SIZE)) > 0)
		;
	if (r == WEIR_AGAIN)
		return;
	a->whole = r == WEIR_EOF;
	if (r == WEIR_FAIL)
		probe_fail(a->p, "the body was cut short");
	else
		judge_body(a);
}

static void
on_head(struct weir_xchg *x)
{
	struct ask *a = x->owner;
	struct weir_probe *p = a->p;
	const struct up_check *c = check_of(p);
	const char *why;

	if (p->ended || (x->msg.status < 200 && x->msg.status != 101))
		return;
	a->answered = true;
	if (!up_match_head(c->match, &x->msg, p->pool, &why)) {
		probe_fail(p, "%s", why);
		return;
	}
	if (!is_grpc(p) && !up_match_wants_body(c->match) && p->h->keepalive_ms == 0) {
		probe_pass(p);
		return;
	}
	p->doing = "reading the body";
	src_on_ready(&x->io.in, on_body, a);
	src_want(&x->io.in, true);
	on_body(a);
}

/* ---- the question ---- */

static void begin_anew(struct weir_probe *);	/* the cycle: a kept link turns out to be dead */

static void
failed(struct ask *a, const char *why)
{
	struct weir_probe *p = a->p;

	if (p->ended)
		return;
	if (a->reused && !a->answered) {
		let_go(a);
		begin_anew(p);
		return;
	}
	probe_fail(p, "%s", why);
}

static void
on_gone(struct weir_xchg *x, const char *why)
{
	failed(x->owner, why != NULL ? why : "the connection ended");
}

static void
on_writable(void *arg)
{
	struct ask *a = arg;
	struct weir_sink *out = &a->x->io.out;
	int r = WEIR_OK;

	if (a->p->ended || a->sent)
		return;
	if (a->out.len != 0 && sink_write(out, &a->out) == WEIR_FAIL)
		r = WEIR_FAIL;
	else if (a->out.len == 0)
		r = sink_finish(out);
	else
		r = WEIR_AGAIN;
	if (r == WEIR_AGAIN) {
		sink_want(out, true);
	} else if (r == WEIR_FAIL) {
		failed(a, out->err != NULL ? out->err : "sending failed");
	} else {
		a->sent = true;
		sink_want(out, false);
		a->p->doing = "waiting for the answer";
	}
}

static bool
says_agent(const struct weir_up_params *up)
{
	return up != NULL && (up->overridden[H_USER_AGENT / 64] >> (H_USER_AGENT % 64) & 1);
}

/* What the place sets, as far as it is the same for all requests. */
static void
put_fields(struct ask *a)
{
	const struct weir_up_params *up = check_of(a->p)->up;
	struct weir_fields *fs = &a->head.fields;

	for (unsigned i = 0; up != NULL && i < up->n_headers; i++) {
		const struct weir_up_header *h = &up->headers[i];

		if (expr_is_const(&h->value) && h->value.source.n != 0 && fields_find(fs, h->name, NULL) == NULL)
			fields_add(fs, a->p->pool, h->name, h->value.source)->known = h->known;
	}
	if (fields_known(fs, H_HOST) == NULL)
		fields_add_known(fs, a->p->pool, H_HOST, a->p->h->host);
	if (fields_known(fs, H_USER_AGENT) == NULL && !says_agent(up))
		fields_add_known(fs, a->p->pool, H_USER_AGENT, STR("weir (health check)"));
}

static void
make_head(struct ask *a)
{
	struct weir_msg *m = &a->head;
	const struct weir_up_params *up = check_of(a->p)->up;
	struct weir_str body;

	m->method = STR("GET");
	m->method_id = M_GET;
	m->target = a->p->h->uri;
	m->version = codec_of(a->p)->many ? 0x200 : up != NULL && up->http_version < 0x200 ? (uint16_t)up->http_version : 0x101;
	if (is_grpc(a->p)) {
		body = grpc_health_request(a->p->pool, a->p->h->service);
		bufq_put_view(&a->out, body.p, body.n);
		m->method = STR("POST");
		m->method_id = M_POST;
		m->target = STR("/grpc.health.v1.Health/Check");
		m->length = (int64_t)body.n;
		m->flags |= MSG_HAS_LENGTH;
		fields_add(&m->fields, a->p->pool, STR("Content-Type"), STR("application/grpc"));
		fields_add_known(&m->fields, a->p->pool, H_TE, STR("trailers"));
	}
	put_fields(a);
}

static void
use_link(struct ask *a, struct weir_link *l)
{
	struct weir_probe *p = a->p;
	struct weir_xchg *x;
	unsigned flags = (p->h->keepalive_ms == 0 ? HEAD_CLOSE : 0) | (is_grpc(p) ? 0 : HEAD_END);

	p->doing = "sending";
	a->link = l;
	a->x = x = l->codec->open(l, p->pool);
	if (x == NULL) {
		failed(a, "the connection takes no requests");
		return;
	}
	x->owner = a;
	x->on_head = on_head;
	x->on_gone = on_gone;
	x->send_ms = x->recv_ms = p->h->timeout_ms + GRACE_MS;	/* ours comes first */
	x->limits = (struct weir_head_limits){ .line = HEAD_BYTES, .total = HEAD_BYTES, .fields = HEAD_FIELDS };
	make_head(a);
	if (xchg_head(x, &a->head, flags) != WEIR_OK) {
		failed(a, "sending failed");
		return;
	}
	sink_on_ready(&x->io.out, on_writable, a);
	on_writable(a);
}

static struct ask *
new_ask(struct weir_probe *p)
{
	struct ask *a = POOL_NEW(p->pool, ask);

	a->p = p;
	return p->own = a;
}

static void
on_connected(struct weir_probe *p)
{
	const struct weir_codec *codec = codec_of(p);
	struct weir_conn *c = p->conn;
	struct weir_link *l;

	if (codec->many && p->h->secure && !str_eq(tls_alpn(c), STR("h2"))) {
		probe_fail(p, "it does not speak HTTP/2: it did not choose \"h2\" by ALPN");
		return;
	}
	l = codec->link(c);
	if (l == NULL) {
		probe_fail(p, "no memory for a connection");
		return;
	}
	p->conn = NULL;
	use_link(new_ask(p), l);
}

static void
begin_anew(struct weir_probe *p)
{
	p->own = NULL;
	probe_connect(p, codec_of(p)->alpn, on_connected);
}

static void
start(struct weir_probe *p)
{
	struct weir_link *l = take_kept(p);
	struct ask *a;

	if (l == NULL) {
		begin_anew(p);
		return;
	}
	a = new_ask(p);
	a->reused = true;
	use_link(a, l);
}

static void
end(struct weir_probe *p)
{
	if (p->own != NULL)
		let_go(p->own);
}

const struct weir_probe_kind probe_http = { .name = "http", .start = start, .end = end, .forget = drop_kept };
const struct weir_probe_kind probe_h2 = { .name = "h2", .start = start, .end = end, .forget = drop_kept };
const struct weir_probe_kind probe_grpc = { .name = "grpc", .start = start, .end = end, .forget = drop_kept };
