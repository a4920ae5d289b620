/*
 * h2_server.c - any bytes as what a client says on a connection of HTTP/2.
 *
 * The first byte says how they come: behind a preface and settings or not, in pieces or not, and what the owner of
 * each exchange does: answers at once, reads first, gives up, or leaves it to the end.  Whatever is handed up must be
 * a message that can be written as HTTP/1 without becoming something else, and in the end nothing is left.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/io/qsrc.h"
#include "core/net/conn_new.h"
#include "http/h2/conf.h"

enum { INPUT_MAX = 60000, TURNS = 40, PIECE = 700 };

static struct h2_conf	 h2_conf = { .on = true, .extended = true, .streams = 16, .preread = 4096, .chunk = 512 };
static void		*confs[256];
static struct weir_serve serve;
static unsigned		 behaviour, alive;

struct owner {
	struct weir_xchg *x;
	struct weir_bufq body;
	struct weir_task end;
	struct owner	*next;
	bool		 tunnel;
};

static struct owner *owners;

static void
check(bool what)
{
	if (!what)
		abort();
}

/* ---- what was handed up ---- */

static void
check_fields(const struct weir_fields *fs, bool extended)
{
	for (unsigned i = 0; i < fs->n; i++) {
		const struct weir_field *f = &fs->v[i];

		check(is_token(f->name) && is_field_value(f->value));
		check(f->known != H_CONNECTION && f->known != H_TRANSFER_ENCODING);
		check(f->known != H_UPGRADE || extended);
		for (size_t k = 0; k < f->name.n; k++)
			check(f->name.p[k] < 'A' || f->name.p[k] > 'Z');
	}
}

static void
check_message(const struct weir_xchg *x)
{
	const struct weir_msg *m = &x->msg;

	check(is_token(m->method) && m->target.n != 0 && m->version == 0x200);
	for (size_t i = 0; i < m->target.n; i++)
		check((unsigned char)m->target.p[i] > ' ' && m->target.p[i] != 0x7f && m->target.p[i] != '#');
	check(m->method_id == M_CONNECT || m->target.p[0] == '/' || str_eq(m->target, STR("*")));
	check(host_valid(m->authority) && m->length >= -1);
	check_fields(&m->fields, m->flags & MSG_EXTENDED);
}

/* ---- an owner ---- */

static void
on_end(struct weir_task *t)
{
	struct owner *o = WEIR_OF(t, struct owner, end);

	if (o->tunnel)
		free(o);
	else
		pool_free(o->x->pool);
}

static void
forget(struct owner *o)
{
	struct owner **at = &owners;

	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	bufq_clear(&o->body);
	alive--;
	o->x->io.in.ready = o->x->io.out.ready = NULL;
	o->x->on_gone = NULL;
	task_init(&o->end, on_end);
	task_post(&o->end);
	if (!o->tunnel)
		o->x->end = &o->end;
	xchg_release(o->x);
}

static void
on_writable(void *arg)
{
	struct owner *o = arg;
	int rc;

	while (o->body.len != 0) {
		ssize_t n = sink_write(&o->x->io.out, &o->body);

		if (n == WEIR_AGAIN) {
			sink_want(&o->x->io.out, true);
			return;
		}
		if (n < 0) {
			xchg_cancel(o->x, CANCEL_INTERNAL);
			forget(o);
			return;
		}
	}
	rc = sink_finish(&o->x->io.out);
	if (rc == WEIR_AGAIN) {
		sink_want(&o->x->io.out, true);
		return;
	}
	if (rc == WEIR_FAIL)
		xchg_cancel(o->x, CANCEL_INTERNAL);
	forget(o);
}

static void
answer(struct owner *o, int status)
{
	struct weir_msg m = { .status = status };

	fields_add(&m.fields, o->x->pool, STR("Server"), STR("fuzz"));
	m.length = behaviour & 32 ? -1 : (int64_t)o->body.len;
	src_want(&o->x->io.in, false);
	if (xchg_head(o->x, &m, m.length == 0 ? HEAD_END : HEAD_CHUNKED) != WEIR_OK) {
		xchg_cancel(o->x, CANCEL_INTERNAL);
		forget(o);
		return;
	}
	if (o->x->msg.method_id == M_HEAD)
		bufq_clear(&o->body);
	on_writable(o);
}

static void
on_readable(void *arg)
{
	struct owner *o = arg;

	for (;;) {
		ssize_t n = src_read(&o->x->io.in, &o->body, 4096);

		if (n == WEIR_AGAIN) {
			src_want(&o->x->io.in, true);
			return;
		}
		if (n == WEIR_EOF)
			check_fields(&o->x->msg.trailers, false);
		if (n < 0) {
			answer(o, n == WEIR_EOF ? 200 : 400);
			return;
		}
	}
}

static void
on_gone(struct weir_xchg *x, const char *why)
{
	struct owner *o = x->owner;

	check(why != NULL);
	xchg_cancel(x, CANCEL_PEER);
	forget(o);
}

static struct owner *
owner_new(struct weir_xchg *x)
{
	struct owner *o = POOL_NEW(x->pool, owner);

	o->x = x;
	o->next = owners;
	owners = o;
	alive++;
	x->owner = o;
	x->on_gone = on_gone;
	src_on_ready(&x->io.in, on_readable, o);
	sink_on_ready(&x->io.out, on_writable, o);
	return o;
}

/* ---- a tunnel that says what it hears ---- */

static void
on_tunnel(void *arg)
{
	struct owner *o = arg;
	ssize_t n = src_read(&o->x->io.in, &o->body, 4096);
	int rc = WEIR_AGAIN;

	if (n != WEIR_FAIL && o->body.len != 0 && sink_write(&o->x->io.out, &o->body) == WEIR_FAIL)
		n = WEIR_FAIL;
	if (n == WEIR_EOF && o->body.len == 0)
		rc = sink_finish(&o->x->io.out);
	if (n == WEIR_FAIL || rc == WEIR_FAIL)
		sink_abort(&o->x->io.out);
	else if (rc == WEIR_AGAIN) {
		src_want(&o->x->io.in, n != WEIR_EOF);
		sink_want(&o->x->io.out, o->body.len != 0 || n == WEIR_EOF);
		return;
	}
	forget(o);
}

static void
tunnel(struct owner *o)
{
	struct weir_msg m = { .status = 101 };
	struct weir_xchg *x = o->x;
	struct weir_pool *pool = x->pool;
	struct owner *copy;

	fields_add(&m.fields, pool, STR("Upgrade"), STR("x"));
	(void)xchg_head(x, &m, HEAD_TUNNEL);
	copy = calloc(1, sizeof *copy);
	check(copy != NULL);
	x->on_gone = NULL;
	copy->tunnel = true;
	copy->x = x->ops->raw(x);
	copy->x->owner = copy;
	copy->x->on_gone = on_gone;
	copy->next = owners;
	owners = copy;
	alive++;
	forget(o);
	src_on_ready(&copy->x->io.in, on_tunnel, copy);
	sink_on_ready(&copy->x->io.out, on_tunnel, copy);
	on_tunnel(copy);
}

static void
on_xchg(struct weir_xchg *x)
{
	struct owner *o = owner_new(x);

	check_message(x);
	if ((x->msg.flags & MSG_EXTENDED) && (behaviour & 8) == 0) {
		tunnel(o);
		return;
	}
	switch (behaviour >> 3 & 3) {
	case 0:
		bufq_put(&o->body, "some text", 9);
		answer(o, 200);
		break;
	case 1:
		on_readable(o);
		break;
	case 2:
		xchg_cancel(x, CANCEL_REFUSED);
		forget(o);
		break;
	default:
		break;		/* until on_gone() */
	}
}

static void
on_bad(struct weir_xchg *x, int status, const char *why)
{
	check(status >= 400 && why != NULL);
	answer(owner_new(x), status);
}

/* ---- a connection ---- */

static void
begin(void)
{
	static bool begun;

	if (begun)
		return;
	begun = true;
	check(loop_init() == WEIR_OK);
	conf_modules_init();
	confs[*http_v2_module.index] = &h2_conf;
	weir_log->level = LOG_EMERG_;
	serve = (struct weir_serve){ .conf = confs, .log = weir_log, .header_ms = 60000, .keepalive_ms = 60000,
		.line = 4096, .total = 8192, .fields = 50, .large = 2048, .large_total = 8192,
		.ignore_invalid = true, .on_xchg = on_xchg, .on_bad = on_bad };
}

static void
take_all(int fd)
{
	static char sink[1 << 16];

	while (recv(fd, sink, sizeof sink, MSG_DONTWAIT) > 0)
		;
}

static void
say(int fd, const void *p, size_t n)
{
	const char *at = p;
	size_t piece = behaviour & 2 ? PIECE : n;

	while (n != 0) {
		ssize_t w = send(fd, at, WEIR_MIN(piece, n), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (w > 0) {
			at += w;
			n -= (size_t)w;
		} else if (w < 0 && errno != EAGAIN) {
			return;
		}
		loop_turn(0);
		if (!(behaviour & 4))
			take_all(fd);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t settings[] = { 0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 1, 0 };
	struct weir_conn *c;
	int fd[2];

	if (n < 1 || n > INPUT_MAX)
		return 0;
	begin();
	behaviour = data[0];
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
	c = conn_new(fd[0]);
	check(c != NULL);
	memset(&c->peer, 0, sizeof c->peer);
	h2_codec.serve(c, &serve);
	if (behaviour & 1) {
		say(fd[1], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
		say(fd[1], settings, sizeof settings);
	}
	say(fd[1], data + 1, n - 1);
	for (int i = 0; i < TURNS; i++) {
		loop_turn(0);
		take_all(fd[1]);
	}
	close(fd[1]);
	for (int i = 0; i < TURNS; i++)
		loop_turn(0);
	check(alive == 0 && owners == NULL);
	check(bufq_outstanding() == 0);
	return 0;
}
