/*
 * h2_client.c - any bytes as what an upstream says on a connection of HTTP/2.
 *
 * The first byte says how they come: behind settings or not, in pieces or not, how many requests wait for them, with
 * bodies or not, and what their owners do with a response: read it, read nothing, or give up.  Heads that are handed up
 * must be messages that can be written as HTTP/1 without becoming something else; a body that ends well has the
 * length that was said; and in the end nothing is left.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/net/conn_new.h"
#include "http/h2/h2.h"

enum { INPUT_MAX = 60000, TURNS = 40, PIECE = 700, CALLS = 5, BODY = 3000 };

static unsigned behaviour, alive;
static struct weir_link *link_;

struct owner {
	struct owner	**at;		/* cleared when it goes */
	struct weir_xchg *x;
	struct weir_pool *pool;
	struct weir_bufq body, got;
	uint64_t	 bytes;
	int64_t		 length;
	bool		 final, sending;
	struct weir_task end;
};

static void
check(bool what)
{
	if (!what)
		abort();
}

/* ---- what was handed up ---- */

static void
check_fields(const struct weir_fields *fs)
{
	for (unsigned i = 0; i < fs->n; i++) {
		const struct weir_field *f = &fs->v[i];

		check(is_token(f->name) && is_field_value(f->value));
		check(f->known != H_CONNECTION && f->known != H_TRANSFER_ENCODING && f->known != H_UPGRADE);
		for (size_t k = 0; k < f->name.n; k++)
			check(f->name.p[k] < 'A' || f->name.p[k] > 'Z');
	}
}

/* ---- an owner ---- */

static void
on_end(struct weir_task *t)
{
	struct owner *o = WEIR_OF(t, struct owner, end);

	pool_free(o->pool);
}

static void
forget(struct owner *o)
{
	struct weir_xchg *x = o->x;

	bufq_clear(&o->body);
	bufq_clear(&o->got);
	x->io.in.ready = x->io.out.ready = NULL;
	x->on_head = NULL;
	x->on_gone = NULL;
	xchg_release(x);
	alive--;
	*o->at = NULL;
	task_init(&o->end, on_end);
	task_post(&o->end);
	if (link_->open == 0 && link_->state == LINK_DEAD) {
		link_->codec->end(link_);
		link_ = NULL;
	}
}

static void
on_readable(void *arg)
{
	struct owner *o = arg;

	for (;;) {
		ssize_t n = src_read(&o->x->io.in, &o->got, 4096);

		if (n == WEIR_AGAIN) {
			src_want(&o->x->io.in, true);
			return;
		}
		if (n > 0) {
			o->bytes += (uint64_t)n;
			bufq_clear(&o->got);
			continue;
		}
		check(o->final);
		if (n == WEIR_EOF) {
			check(o->length < 0 || (uint64_t)o->length == o->bytes);
			check_fields(&o->x->msg.trailers);
		} else {
			check(o->x->io.in.err != NULL);
		}
		forget(o);
		return;
	}
}

static void
on_head(struct weir_xchg *x)
{
	struct owner *o = x->owner;
	const struct weir_msg *m = &x->msg;

	check(m->version == 0x200 && m->status >= 102 && m->status <= 999 && !o->final && m->length >= -1);
	check_fields(&m->fields);
	if (m->status < 200)
		return;
	o->final = true;
	o->length = m->length;
	if (behaviour & 8)
		xchg_cancel(x, CANCEL_PEER);
	if ((behaviour & 8) || x->in_eof)
		forget(o);
	else if (behaviour & 16)
		src_want(&x->io.in, false);
	else
		on_readable(o);
}

static void
on_gone(struct weir_xchg *x, const char *why)
{
	struct owner *o = x->owner;

	check(why != NULL && why[0] != '\0' && !o->final);
	forget(o);
}

static void
on_writable(void *arg)
{
	struct owner *o = arg;

	while (o->body.len != 0) {
		ssize_t n = sink_write(&o->x->io.out, &o->body);

		if (n == WEIR_AGAIN) {
			sink_want(&o->x->io.out, true);
			return;
		}
		if (n < 0)
			return;
	}
	if (sink_finish(&o->x->io.out) == WEIR_AGAIN)
		sink_want(&o->x->io.out, true);
}

static void
ask(struct owner **at, unsigned n)
{
	struct weir_pool *pool = pool_new(4096);
	struct owner *o = POOL_NEW(pool, owner);
	struct weir_msg m = { .method = n == 1 ? STR("HEAD") : STR("POST"), .method_id = n == 1 ? M_HEAD : M_POST,
		.target = STR("/x"), .version = 0x200 };
	char text[BODY];

	*at = o;
	o->at = at;
	o->pool = pool;
	o->x = link_->codec->open(link_, pool);
	check(o->x != NULL);
	alive++;
	o->x->owner = o;
	o->x->on_head = on_head;
	o->x->on_gone = on_gone;
	o->x->limits.total = o->x->limits.line = 4096;
	o->x->limits.fields = 50;
	src_on_ready(&o->x->io.in, on_readable, o);
	sink_on_ready(&o->x->io.out, on_writable, o);
	fields_add(&m.fields, pool, STR("Host"), STR("fuzz"));
	fields_add(&m.fields, pool, STR("X-Y"), STR("z"));
	if (behaviour & 32) {
		memset(text, 'x', sizeof text);
		bufq_put(&o->body, text, sizeof text);
		m.length = behaviour & 64 ? -1 : BODY;
	}
	check(xchg_head(o->x, &m, o->body.len == 0 ? HEAD_END : 0) == WEIR_OK);
	on_writable(o);
}

/* ---- a connection ---- */

static void
on_state(struct weir_link *l)
{
	check(l == link_ && l->state == LINK_DEAD && l->open == 0 && alive == 0);
	l->codec->end(l);
	link_ = NULL;
}

static void
begin(void)
{
	static bool begun;

	if (begun)
		return;
	begun = true;
	check(loop_init() == WEIR_OK);
	weir_log->level = LOG_EMERG_;
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
		take_all(fd);
	}
}

static void
turns(int fd)
{
	for (int i = 0; i < TURNS; i++) {
		loop_turn(0);
		take_all(fd);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t settings[] = { 0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 4, 1, 0, 0, 0, 0 };
	struct owner *o[CALLS] = { NULL };
	struct weir_conn *c;
	unsigned calls;
	int fd[2];

	if (n < 1 || n > INPUT_MAX)
		return 0;
	begin();
	behaviour = data[0];
	calls = behaviour & 4 ? CALLS : 1;
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
	c = conn_new(fd[0]);
	check(c != NULL);
	memset(&c->peer, 0, sizeof c->peer);
	link_ = h2_client_codec.link(c);
	check(link_ != NULL);
	link_->on_state = on_state;
	for (unsigned i = 0; i < calls; i++)
		ask(&o[i], i);
	if (behaviour & 1)
		say(fd[1], settings, sizeof settings);
	say(fd[1], data + 1, n - 1);
	turns(fd[1]);
	close(fd[1]);
	turns(-1);
	/* who was told to read nothing finds out when he does */
	for (unsigned i = 0; alive != 0 && i < calls; i++)
		if (o[i] != NULL && o[i]->final)
			on_readable(o[i]);
	turns(-1);
	check(alive == 0 && link_ == NULL);
	check(bufq_outstanding() == 0);
	return 0;
}
