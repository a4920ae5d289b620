/*
 * fault.c - an io that misbehaves on purpose.
 */
#include "core/io/fault.h"

enum { STEP = 65536 };

/* Count a call.  WEIR_OK: go on; else what the call shall say. */
static int
trip(struct weir_fault *f)
{
	if (f->failed)
		return WEIR_FAIL;
	f->calls++;
	if (f->calls == f->fail_at) {
		f->failed = true;
		f->io.in.err = f->io.out.err = "injected failure";
		return WEIR_FAIL;
	}
	if (f->calls == f->again_at) {
		task_post(&f->notice);	/* nobody else will wake them */
		return WEIR_AGAIN;
	}
	return WEIR_OK;
}

static int
fetch(struct weir_fault *f)
{
	ssize_t n;

	if (f->end != 0)
		return f->end;
	n = f->in != NULL ? src_read(f->in, &f->held, STEP) : WEIR_EOF;
	if (n >= 0) {
		f->dry = false;
		return WEIR_OK;
	}
	f->dry = n == WEIR_AGAIN;
	if (f->dry)
		return WEIR_AGAIN;
	f->io.in.err = f->in != NULL ? f->in->err : NULL;
	return f->end = (int)n;
}

static ssize_t
fault_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct weir_fault *f = WEIR_OF(src, struct weir_fault, io.in);
	uint64_t n = max;
	int r = trip(f);

	if (r != WEIR_OK)
		return r;
	if (f->early && f->got >= f->eof_after)
		return WEIR_EOF;
	if (f->held.len == 0 && (r = fetch(f)) != WEIR_OK)
		return r;
	if (f->most != 0)
		n = WEIR_MIN(n, f->most);
	if (f->first != 0 && f->got == 0)
		n = WEIR_MIN(n, f->first);
	if (f->early)
		n = WEIR_MIN(n, f->eof_after - f->got);
	n = bufq_move(to, &f->held, n);
	f->got += n;
	return (ssize_t)n;
}

static ssize_t
fault_write(struct weir_sink *sink, struct weir_bufq *from)
{
	struct weir_fault *f = WEIR_OF(sink, struct weir_fault, io.out);
	struct weir_bufq part = { 0 };
	uint64_t n = f->most != 0 ? WEIR_MIN(from->len, f->most) : from->len;
	ssize_t done;
	int r = trip(f);

	if (r != WEIR_OK)
		return r;
	if (f->out == NULL) {
		f->put += n;
		bufq_move(&f->taken, from, n);
		if (from->len != 0 && f->out_wanted)	/* a short count is a promise */
			task_post(&f->notice);
		return (ssize_t)n;
	}
	bufq_move(&part, from, n);
	done = sink_write(f->out, &part);
	/* what did not fit goes back to the front */
	bufq_move(&part, from, from->len);
	bufq_move(from, &part, part.len);
	if (done > 0)
		f->put += (uint64_t)done;
	if (done == WEIR_FAIL)
		sink->err = f->out->err;
	return done;
}

static int
fault_finish(struct weir_sink *sink)
{
	struct weir_fault *f = WEIR_OF(sink, struct weir_fault, io.out);
	int r = trip(f);

	if (r != WEIR_OK)
		return r;
	f->finished = true;
	return f->out != NULL ? sink_finish(f->out) : WEIR_OK;
}

static void
in_want(struct weir_src *src, bool on)
{
	struct weir_fault *f = WEIR_OF(src, struct weir_fault, io.in);

	f->in_wanted = on;
	/* what is below may give no notices, when it is always ready */
	if (on && (!f->dry || f->held.len != 0 || f->failed))
		task_post(&f->notice);
	if (f->in != NULL)
		src_want(f->in, on);
}

static void
out_want(struct weir_sink *sink, bool on)
{
	struct weir_fault *f = WEIR_OF(sink, struct weir_fault, io.out);

	f->out_wanted = on;
	if (on && (f->out == NULL || f->failed))
		task_post(&f->notice);
	if (f->out != NULL)
		sink_want(f->out, on);
}

static void
in_stop(struct weir_src *src)
{
	in_want(src, false);
}

static void
out_abort(struct weir_sink *sink)
{
	struct weir_fault *f = WEIR_OF(sink, struct weir_fault, io.out);

	f->aborted = true;
	if (f->out != NULL)
		sink_abort(f->out);
}

static const struct weir_src_ops src_ops = { .read = fault_read, .want = in_want, .stop = in_stop };
static const struct weir_sink_ops sink_ops = {
	.write = fault_write, .finish = fault_finish, .want = out_want, .abort = out_abort,
};

static void
in_ready(void *arg)
{
	struct weir_fault *f = arg;

	if (f->in_wanted && f->io.in.ready != NULL)
		f->io.in.ready(f->io.in.arg);
}

static void
out_ready(void *arg)
{
	struct weir_fault *f = arg;

	if (f->out_wanted && f->io.out.ready != NULL)
		f->io.out.ready(f->io.out.arg);
}

static void
on_notice(struct weir_task *t)
{
	struct weir_fault *f = WEIR_OF(t, struct weir_fault, notice);

	in_ready(f);
	out_ready(f);
}

void
fault_init(struct weir_fault *f, struct weir_src *in, struct weir_sink *out)
{
	memset(f, 0, sizeof *f);
	f->io.in.ops = &src_ops;
	f->io.out.ops = &sink_ops;
	f->in = in;
	f->out = out;
	task_init(&f->notice, on_notice);
	if (in != NULL)
		src_on_ready(in, in_ready, f);
	if (out != NULL)
		sink_on_ready(out, out_ready, f);
}

void
fault_free(struct weir_fault *f)
{
	task_off(&f->notice);
	bufq_clear(&f->held);
	bufq_clear(&f->taken);
	if (f->in != NULL)
		src_on_ready(f->in, NULL, NULL);
	if (f->out != NULL)
		sink_on_ready(f->out, NULL, NULL);
}
