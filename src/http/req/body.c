/*
 * body.c - the request's body: streamed, kept, thrown away.
 *
 * Kept means in memory up to client_body_buffer_size, then in a file without a name
 * (or with one, client_body_in_file_only).  Streaming passes it on as it comes; then
 * client_max_body_size is counted on the way.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/io/qsrc.h"
#include "core/io/spill.h"
#include "core/os/random.h"
#include "http/req/req.h"

enum { READ_STEP = 65536, SKIP_MOST = 65536 };

bool
req_has_body(const struct weir_req *r)
{
	return r->msg->length != 0 && (r->msg->length > 0 || (r->msg->flags & MSG_CHUNKED) ||
	    (r->x != NULL && r->x->version >= 0x200 &&
	    (!r->x->in_eof || (r->req_body != NULL && r->req_body->len != 0))));
}

int
req_body_check(struct weir_req *r)
{
	uint64_t most = REQ_CORE(r)->max_body;

	if (most != 0 && r->msg->length > 0 && (uint64_t)r->msg->length > most)
		return 413;
	return 0;
}

int
req_body_skip(struct weir_req *r)
{
	struct weir_bufq q = { 0 };
	uint64_t skipped = 0;

	if (r->x->in_eof)
		return WEIR_OK;
	/* a client that waits for 100 has sent nothing, and a source that asks would invite it */
	if (r->msg->flags & MSG_EXPECT)
		return WEIR_AGAIN;
	while (skipped < SKIP_MOST && !r->x->in_eof) {
		ssize_t n = src_read(&r->x->io.in, &q, READ_STEP);

		if (n <= 0)
			return n == WEIR_EOF ? WEIR_OK : (int)n;
		skipped += q.len;
		bufq_clear(&q);
	}
	return r->x->in_eof ? WEIR_OK : WEIR_AGAIN;
}

/* ---- streaming ---- */

struct counted {			/* a source that ends in failure after `most` bytes */
	struct weir_src	 src;
	struct weir_req	*r;
	uint64_t	 most, seen;	/* most 0: any number */
};

static ssize_t
counted_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct counted *c = WEIR_OF(src, struct counted, src);
	struct weir_req_body *b = c->r->req_body;
	uint64_t before = to->len;
	ssize_t n;

	if (b != NULL && b->q.len != 0)		/* counted when it was taken */
		return (ssize_t)bufq_move(to, &b->q, max);
	n = src_read(&c->r->x->io.in, to, max);

	if (n > 0)
		c->seen += to->len - before;
	else
		src->err = c->r->x->io.in.err;
	if (c->most == 0 || c->seen <= c->most)
		return n;
	c->r->body_refused = true;
	src->err = "client sent a body beyond client_max_body_size";
	return WEIR_FAIL;
}

static void
counted_want(struct weir_src *src, bool on)
{
	src_want(&WEIR_OF(src, struct counted, src)->r->x->io.in, on);
}

static void
counted_stop(struct weir_src *src)
{
	src_stop(&WEIR_OF(src, struct counted, src)->r->x->io.in);
}

static void
counted_ready(void *arg)
{
	struct counted *c = arg;

	if (c->src.ready != NULL)
		c->src.ready(c->src.arg);
}

static const struct weir_src_ops counted_ops = {
	.read = counted_read, .want = counted_want, .stop = counted_stop,
};

struct weir_src *
req_body_stream(struct weir_req *r)
{
	uint64_t most = REQ_CORE(r)->max_body;
	struct counted *c;

	if ((most == 0 || r->msg->length >= 0) && (r->req_body == NULL || r->req_body->q.len == 0))
		return &r->x->io.in;
	c = POOL_NEW(r->s.pool, counted);
	c->src.ops = &counted_ops;
	c->r = r;
	c->most = most;
	c->seen = r->req_body != NULL ? r->req_body->len : 0;
	src_on_ready(&r->x->io.in, counted_ready, c);
	return &c->src;
}

/* ---- keeping ---- */

static void
unlink_path(void *arg)
{
	unlink(arg);
}

/*
 * A new file in client_body_temp_path.  Without a name unless the configuration asks for
 * one: then what a crash leaves behind is nothing.
 */
static struct weir_seg_file *
open_file(struct weir_req *r, struct weir_req_body *b)
{
	const struct weir_http_conf *c = REQ_CORE(r);
	int fd = -1;

	if (c->body_in_file_only == 0)
		return spill_open(pool_cstr(r->s.pool, c->body_temp_path));
	for (int i = 0; i < 100 && fd < 0; i++) {
		b->path = pool_printf(r->s.pool, "%.*s/%010u", STR_ARG(c->body_temp_path), random_u32());
		fd = open(pool_cstr(r->s.pool, b->path), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		    0600);
		if (fd < 0 && errno != EEXIST)
			return NULL;
	}
	if (fd < 0)
		return NULL;
	if (c->body_in_file_only == 2)
		pool_on_free(r->s.pool, unlink_path, pool_cstr(r->s.pool, b->path));
	return spill_of(fd);
}

/* What memory holds goes to the file. */
static int
spill(struct weir_req *r, struct weir_req_body *b)
{
	if (b->file == NULL) {
		b->file = open_file(r, b);
		if (b->file == NULL) {
			log_crit(&r->s.log, "opening a temporary file in \"%.*s\" failed",
			    STR_ARG(REQ_CORE(r)->body_temp_path));
			return 500;
		}
		b->file->refs++;	/* ours, until the request ends */
		if (b->path.n == 0)	/* no name, but while the request lives a way to it */
			b->path = pool_printf(r->s.pool, "/proc/%d/fd/%d", (int)getpid(), b->file->fd);
		log_warnx(&r->s.log, "a client request body is buffered to a temporary file %.*s",
		    STR_ARG(b->path));
	}
	if (spill_write(b->file, &b->q) != WEIR_OK) {
		log_crit(&r->s.log, "writing a temporary file failed");
		return errno == ENOSPC ? 507 : 500;
	}
	return 0;
}

/* Read what is there.  0: all of it is here; WEIR_AGAIN; or a status to answer with. */
static int
keep_more(struct weir_req *r, struct weir_req_body *b)
{
	const struct weir_http_conf *c = REQ_CORE(r);

	for (;;) {
		uint64_t before = b->q.len;
		ssize_t n = src_read(&r->x->io.in, &b->q, READ_STEP);
		int status;

		if (n == WEIR_AGAIN)
			return WEIR_AGAIN;
		if (n == WEIR_FAIL) {
			const char *err = r->x->io.in.err;

			log_info(&r->s.log, "%s", err != NULL ? err : "reading the request body failed");
			if (err != NULL && strstr(err, "timed out") != NULL) {
				r->timed_out = true;
				return 408;
			}
			return 400;
		}
		if (n != WEIR_EOF) {
			b->len += b->q.len - before;
			if (c->max_body != 0 && b->len > c->max_body) {
				log_errorx(&r->s.log, "client intended to send too large chunked body: "
				    "%llu bytes", (unsigned long long)b->len);
				return 413;
			}
		}
		if (b->q.len > c->body_buffer || (n == WEIR_EOF && b->len != 0 &&
		    (c->body_in_file_only != 0 || b->file != NULL))) {
			status = spill(r, b);
			if (status != 0)
				return status;
		}
		if (n == WEIR_EOF)
			break;
	}
	bufq_pack(&b->q);
	if (b->file != NULL)
		bufq_put_file(&b->q, b->file, 0, b->len);
	b->complete = true;
	return 0;
}

static void
on_ready(void *arg)
{
	struct weir_req *r = arg;
	struct weir_req_body *b = r->req_body;

	b->status = keep_more(r, b);
	if (b->status == WEIR_AGAIN) {
		bufq_pack(&b->q);
		src_want(&r->x->io.in, true);
		return;
	}
	src_want(&r->x->io.in, false);
	src_on_ready(&r->x->io.in, NULL, NULL);
	b->done(r, b->status);
}

static void
on_task(struct weir_task *t)
{
	struct weir_req_body *b = WEIR_OF(t, struct weir_req_body, task);

	b->done(b->r, b->status);
}

static void
drop_body(void *arg)
{
	struct weir_req_body *b = arg;

	task_off(&b->task);
	bufq_clear(&b->q);
	if (b->file != NULL && --b->file->refs == 0)
		b->file->close(b->file);
}

bool
req_body_keep(struct weir_req *r, void (*done)(struct weir_req *, int status))
{
	struct weir_req_body *b = r->req_body;

	if (b != NULL && b->complete)
		return true;
	b = r->req_body = POOL_NEW(r->s.pool, weir_req_body);
	b->r = r;
	b->done = done;
	task_init(&b->task, on_task);
	pool_on_free(r->s.pool, drop_body, b);
	b->status = keep_more(r, b);
	if (b->status == 0)
		return true;
	if (b->status != WEIR_AGAIN) {
		task_post(&b->task);
		return false;
	}
	bufq_pack(&b->q);
	src_on_ready(&r->x->io.in, on_ready, r);
	src_want(&r->x->io.in, true);
	return false;
}

bool
req_body_here(struct weir_req *r)
{
	struct weir_req_body *b = r->req_body;
	uint64_t most = REQ_CORE(r)->body_buffer, limit = REQ_CORE(r)->max_body;

	if (b != NULL)
		return b->complete;
	b = r->req_body = POOL_NEW(r->s.pool, weir_req_body);
	b->r = r;
	task_init(&b->task, on_task);
	pool_on_free(r->s.pool, drop_body, b);
	while (b->q.len < most && (limit == 0 || b->q.len <= limit)) {
		ssize_t n = src_read(&r->x->io.in, &b->q, (size_t)(most - b->q.len));

		b->len = b->q.len;
		if (n == WEIR_EOF)
			b->complete = true;
		if (n <= 0)
			break;
	}
	b->complete |= r->x->in_eof && (limit == 0 || b->len <= limit);
	return b->complete;
}

static void
clear_source(void *arg)
{
	bufq_clear(arg);
}

struct weir_src *
req_body_again(struct weir_req *r)
{
	struct weir_qsrc *s = POOL_NEW(r->s.pool, weir_qsrc);
	struct weir_req_body *b = r->req_body;

	qsrc_init(s);
	bufq_share(&s->q, &b->q);
	pool_on_free(r->s.pool, clear_source, &s->q);
	return &s->src;
}
