/*
 * warm.c - parts of files are brought into memory by a thread.
 */
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/ev/offload.h"
#include "core/io/file.h"
#include "core/io/warm.h"

enum {
	PART	= 512 * 1024,	/* that a thread reads at once, and the loop sends before it asks again */
	ROOM	= 64 * 1024	/* of a thread's buffer */
};

struct weir_warm_job {
	struct weir_job	 job;
	struct weir_warm *owner;
	struct weir_seg_file *file;
	int		 fd;
	uint64_t	 off, len;
};

/* ---- in a thread ---- */

/* An error is not told: who sends the part will meet it again. */
static void
run(struct weir_job *job)
{
	struct weir_warm_job	*w = WEIR_OF(job, struct weir_warm_job, job);
	uint64_t		 done = 0;
	char			 buf[ROOM];
	ssize_t			 n;

	while (done < w->len) {
		n = pread(w->fd, buf, (size_t)WEIR_MIN(w->len - done, (uint64_t)ROOM),
		    (off_t)(w->off + done));
		if (n <= 0 && !(n < 0 && errno == EINTR))
			return;
		done += n > 0 ? (uint64_t)n : 0;
	}
}

/* ---- on the loop ---- */

static void
on_done(struct weir_job *job)
{
	struct weir_warm_job	*w = WEIR_OF(job, struct weir_warm_job, job);
	struct weir_warm	*owner = w->owner;

	owner->job = NULL;
	owner->from = w->off;
	owner->upto = w->off + w->len;
	owner->ready(owner);
}

static void
on_free(struct weir_job *job)
{
	struct weir_warm_job	*w = WEIR_OF(job, struct weir_warm_job, job);

	file_unref(w->file);
	mem_free(w);
}

static bool
page_is_here(int fd, uint64_t off)
{
	char		c;
	struct iovec	iov = { &c, 1 };

	return preadv2(fd, &iov, 1, (off_t)off, RWF_NOWAIT) >= 0;
}

/*
 * A guess by the first and the last page: the kernel reads parts in a row.  File systems that cannot
 * tell (EOPNOTSUPP) are slow ones as a rule.
 */
static bool
is_here(int fd, uint64_t off, uint64_t len)
{
	return page_is_here(fd, off) && page_is_here(fd, off + len - 1);
}

static bool
begin(struct weir_warm *w, struct weir_seg_file *f, uint64_t off, uint64_t len)
{
	struct weir_warm_job	*job = mem_zalloc(sizeof(*job));

	job->job.run = run;
	job->job.done = on_done;
	job->job.free = on_free;
	job->owner = w;
	job->file = f;
	job->fd = f->fd;
	job->off = off;
	job->len = len;
	switch (offload(&job->job)) {
	case WEIR_OK:
		f->refs++;
		w->job = job;
		return true;
	case WEIR_FAIL:
		w->off = true;
	}
	mem_free(job);
	return false;
}

uint64_t
warm_part(struct weir_warm *w, struct weir_seg_file *f, uint64_t off, uint64_t len)
{
	if (w->job != NULL)
		return 0;
	if (w->off)
		return len;
	len = WEIR_MIN(len, (uint64_t)PART);
	if (off >= w->from && off < w->upto)
		return WEIR_MIN(len, w->upto - off);
	/* Too many wait for threads: a slow disk then holds all up, as it would without them. */
	return is_here(f->fd, off, len) || !begin(w, f, off, len) ? len : 0;
}

void
warm_init(struct weir_warm *w, void (*ready)(struct weir_warm *))
{
	memset(w, 0, sizeof(*w));
	w->ready = ready;
}

void
warm_end(struct weir_warm *w)
{
	if (w->job != NULL)
		offload_cancel(&w->job->job);
	w->job = NULL;
}
