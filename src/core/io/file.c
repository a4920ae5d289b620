/*
 * file.c - a source over a file.
 */
#include <errno.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/io/file.h"

static struct weir_slab slab = WEIR_SLAB(weir_seg_file);

static void
on_last(struct weir_seg_file *f)
{
	close(f->fd);
	slab_give(&slab, f);
}

struct weir_seg_file *
file_new(int fd)
{
	struct weir_seg_file	*f = slab_take(&slab);

	*f = (struct weir_seg_file){ .fd = fd, .refs = 1, .close = on_last };
	return f;
}

void
file_unref(struct weir_seg_file *f)
{
	assert(f->refs > 0);
	if (--f->refs == 0)
		f->close(f);
}

/* Copy what fits into one segment. */
static ssize_t
copy(struct weir_file_src *s, struct weir_bufq *to, size_t max)
{
	size_t	 room, n = (size_t)WEIR_MIN(s->now.len, WEIR_MIN(max, SEG_LARGE));
	char	*p = bufq_room(to, n, &room);
	ssize_t	 got;

	do
		got = pread(s->file->fd, p, n, (off_t)s->now.off);
	while (got < 0 && errno == EINTR);
	bufq_added(to, got > 0 ? (size_t)got : 0);
	if (got > 0)
		return got;
	s->src.err = got == 0 ? "file became shorter while it was sent" : strerror(errno);
	return WEIR_FAIL;
}

static ssize_t
give(struct weir_file_src *s, struct weir_bufq *to, size_t max)
{
	ssize_t	n;

	if (s->is_warmed && s->now.len != 0 && max != 0) {
		max = (size_t)warm_part(&s->warm, s->file, s->now.off, WEIR_MIN(s->now.len, max));
		if (max == 0)
			return WEIR_AGAIN;
	}
	if (s->copy) {
		if ((n = copy(s, to, max)) < 0)
			return n;
	} else {
		n = (ssize_t)WEIR_MIN(s->now.len, max);
		bufq_put_file(to, s->file, s->now.off, (uint64_t)n);
	}
	s->now.off += (uint64_t)n;
	s->now.len -= (uint64_t)n;
	return n;
}

static ssize_t
file_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct weir_file_src	*s = WEIR_OF(src, struct weir_file_src, src);
	size_t			 text;

	for (;;) {
		/* Texts are few and short, and may not live as long as the queue. */
		if ((text = s->now.text.n) != 0) {
			bufq_put_str(to, s->now.text);
			s->now.text = STR_NONE;
			return (ssize_t)text;
		}
		if (s->now.len != 0 && s->file != NULL)
			return give(s, to, max);
		if (s->n == 0 || s->file == NULL)
			return WEIR_EOF;
		s->now = *s->next++;
		s->n--;
	}
}

static void
tell(struct weir_file_src *s)
{
	if (s->wanted && s->src.ready != NULL)
		s->src.ready(s->src.arg);
}

static void
on_warm(struct weir_warm *w)
{
	tell(WEIR_OF(w, struct weir_file_src, warm));
}

static void
on_notice(struct weir_task *t)
{
	tell(WEIR_OF(t, struct weir_file_src, notice));
}

/* Without threads there is never AGAIN, so nobody waits for a notice. */
static void
file_want(struct weir_src *src, bool on)
{
	struct weir_file_src	*s = WEIR_OF(src, struct weir_file_src, src);

	if (!s->is_warmed)
		return;
	s->wanted = on;
	if (!on)
		task_off(&s->notice);
	else if (s->warm.job == NULL && s->file != NULL)
		task_post(&s->notice);	/* what was waited for has come */
}

static void
file_stop(struct weir_src *src)
{
	file_src_end(WEIR_OF(src, struct weir_file_src, src));
}

static const struct weir_src_ops ops = {
	.read = file_read, .want = file_want, .stop = file_stop
};

void
file_src_init(struct weir_file_src *s, struct weir_seg_file *f, uint64_t off, uint64_t len,
    bool by_copy)
{
	memset(s, 0, sizeof(*s));
	s->src.ops = &ops;
	s->file = f;
	f->refs++;
	s->now.off = off;
	s->now.len = len;
	s->copy = by_copy;
}

void
file_src_warm(struct weir_file_src *s)
{
	s->is_warmed = true;
	warm_init(&s->warm, on_warm);
	task_init(&s->notice, on_notice);
}

void
file_src_end(struct weir_file_src *s)
{
	struct weir_seg_file	*f = s->file;

	if (s->is_warmed) {
		warm_end(&s->warm);
		task_off(&s->notice);
	}
	s->file = NULL;
	s->n = 0;
	s->now = (struct weir_file_part){ STR_NONE, 0, 0 };
	if (f != NULL)
		file_unref(f);
}

struct weir_file_src *
file_src_of(struct weir_src *src)
{
	return src != NULL && src->ops == &ops ? WEIR_OF(src, struct weir_file_src, src) : NULL;
}

void
file_src_parts(struct weir_file_src *s, const struct weir_file_part *v, unsigned n)
{
	s->now = (struct weir_file_part){ STR_NONE, 0, 0 };
	s->next = v;
	s->n = n;
}
