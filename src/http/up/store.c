/*
 * store.c - proxy_store: responses of the upstream become files.
 *
 * What is read of a response is written to a file in proxy_temp_path too.  When all of it came, the
 * file gets its name, so nobody ever sees half of one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/os/random.h"
#include "http/req/files.h"
#include "http/up/up.h"

enum { COPY_STEP = 65536 };

struct store {
	struct weir_src	 src;
	struct weir_src	*below;
	struct weir_up	*u;
	const char	*temp;		/* the file's name until it is whole */
	int		 fd;		/* -1: nothing is kept any more */
	int64_t		 modified;	/* -1: not known */
};

/* ---- files ---- */

/* Before or after: the file that is not whole goes. */
static void
drop(void *arg)
{
	struct store	*s = arg;

	if (s->fd < 0)
		return;
	close(s->fd);
	s->fd = -1;
	unlink(s->temp);
}

static void
fail(struct store *s, const char *what, const char *path)
{
	log_crit(&s->u->r->s.log, "proxy_store: %s \"%s\" failed", what, path);
	drop(s);
}

static void
open_temp(struct store *s)
{
	struct weir_pool	*pool = s->u->r->s.pool;
	int			 tries;

	for (tries = 0; tries < 100; tries++) {
		s->temp = pool_cstr(pool, pool_printf(pool, "%.*s/%010u",
		    STR_ARG(s->u->p->temp_path), random_u32()));
		s->fd = open(s->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (s->fd >= 0 || errno != EEXIST)
			break;
	}
	if (s->fd < 0)
		fail(s, "open()", s->temp);
}

static int
write_all(int fd, const char *p, size_t n)
{
	ssize_t	done;

	for (; n != 0; p += done, n -= (size_t)done) {
		done = write(fd, p, n);
		if (done < 0 && errno == EINTR)
			done = 0;
		else if (done <= 0)
			return WEIR_FAIL;
	}
	return WEIR_OK;
}

/* The folders on the way to a file. */
static int
make_folders(struct weir_pool *pool, const char *path, unsigned mode)
{
	char	*dir = pool_cstr(pool, pool_str(pool, str_c(path))), *p;

	for (p = strchr(dir + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(dir, mode) != 0 && errno != EEXIST && access(dir, F_OK) != 0)
			return WEIR_FAIL;
		*p = '/';
	}
	return WEIR_OK;
}

/* To another file system: a copy beside the target, so that the name itself still changes at once. */
static int
rename_by_copy(struct store *s, const char *path)
{
	struct weir_pool	*pool = s->u->r->s.pool;
	const char		*beside = pool_cstr(pool, pool_printf(pool, "%s.%010u", path, random_u32()));
	char			*buf = pool_bytes(pool, COPY_STEP);
	int			 fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), saved;
	off_t			 at = 0;
	ssize_t			 n;

	if (fd < 0)
		return WEIR_FAIL;
	while ((n = pread(s->fd, buf, COPY_STEP, at)) > 0 &&
	    write_all(fd, buf, (size_t)n) == WEIR_OK)
		at += n;
	if (n == 0 && fchmod(fd, s->u->p->store_access) == 0 && rename(beside, path) == 0) {
		close(s->fd);
		s->fd = fd;		/* it is this one that gets its time */
		unlink(s->temp);
		return WEIR_OK;
	}
	saved = errno;
	unlink(beside);
	close(fd);
	errno = saved;
	return WEIR_FAIL;
}

/* ---- the name ---- */

/* A value may come from a client, and must not lead out of the folder that is meant (S-57). */
static bool
is_safe(struct weir_str path)
{
	return path.n != 0 && path.p[0] == '/' && path.p[path.n - 1] != '/' &&
	    memchr(path.p, '\0', path.n) == NULL && str_find(path, STR("/../")) < 0 &&
	    !str_ends(path, STR("/.."));
}

static const char *
path_of(struct store *s)
{
	struct weir_req	*r = s->u->r;
	struct weir_str	 path;

	if (s->u->p->store_path.set)
		path = expr_eval(&r->s, &s->u->p->store_path);
	else if (req_path(r, r->uri.path, &path) != 0)
		return NULL;
	if (path.n == 0)
		return NULL;		/* this one is not to be kept */
	if (!is_safe(path)) {
		log_errorx(&r->s.log, "proxy_store: \"%.*s\" is no path for a file", STR_ARG(path));
		return NULL;
	}
	return pool_cstr(r->s.pool, path);
}

static void
give_name(struct store *s)
{
	const char	*path = path_of(s);
	unsigned	 mode = s->u->p->store_access;
	struct timespec	 times[2] = { { .tv_sec = weir_now_ms / 1000 }, { .tv_sec = s->modified } };

	if (path == NULL) {
		drop(s);
		return;
	}
	/* who may read a folder may go through it */
	if (make_folders(s->u->r->s.pool, path, mode | (mode & 0444) >> 2) != WEIR_OK) {
		fail(s, "mkdir() for", path);
		return;
	}
	if (fchmod(s->fd, mode) != 0 || (rename(s->temp, path) != 0 &&
	    (errno != EXDEV || rename_by_copy(s, path) != WEIR_OK))) {
		fail(s, "rename() to", path);
		return;
	}
	times[0].tv_nsec = UTIME_OMIT;
	if (s->modified >= 0)
		(void)!futimens(s->fd, times);
	close(s->fd);
	s->fd = -1;
}

/* ---- the source ---- */

/* A copy of what is in `q`. */
static void
keep(struct store *s, const struct weir_bufq *q)
{
	struct weir_bufq	copy = { NULL, NULL, 0 };
	struct weir_str		part;

	bufq_share(&copy, q);
	while (s->fd >= 0 && copy.len != 0) {
		part = bufq_first(&copy);
		if (write_all(s->fd, part.p, part.n) != WEIR_OK)
			fail(s, "write()", s->temp);
		bufq_drop(&copy, part.n);
	}
	bufq_clear(&copy);
}

static ssize_t
store_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct store		*s = WEIR_OF(src, struct store, src);
	struct weir_bufq	 got = { NULL, NULL, 0 };
	ssize_t			 n;

	if (s->fd < 0)
		n = src_read(s->below, to, max);
	else
		n = src_read(s->below, &got, max);
	if (got.len != 0 && bufq_load(&got, got.len) != WEIR_OK)
		drop(s);
	else if (got.len != 0)
		keep(s, &got);
	if (n == WEIR_FAIL) {
		src->err = s->below->err;
		drop(s);
	} else if (n == WEIR_EOF && s->fd >= 0) {
		give_name(s);
	}
	bufq_move(to, &got, got.len);
	return n;
}

static void
store_want(struct weir_src *src, bool on)
{
	src_want(WEIR_OF(src, struct store, src)->below, on);
}

static void
store_stop(struct weir_src *src)
{
	struct store	*s = WEIR_OF(src, struct store, src);

	drop(s);
	src_stop(s->below);
}

static void
on_ready(void *arg)
{
	struct store	*s = arg;

	if (s->src.ready != NULL)
		s->src.ready(s->src.arg);
}

static const struct weir_src_ops ops = {
	.read = store_read, .want = store_want, .stop = store_stop
};

struct weir_src *
up_with_store(struct weir_up *u, struct weir_src *body)
{
	struct store		*s = POOL_NEW(u->r->s.pool, store);
	struct weir_field	*f = fields_known(&u->rsp->fields, H_LAST_MODIFIED);

	s->src.ops = &ops;
	s->below = body;
	s->u = u;
	s->modified = f != NULL ? http_date_read(f->value) : -1;
	open_temp(s);
	if (s->fd < 0)
		return body;
	pool_on_free(u->r->s.pool, drop, s);
	if (body == NULL) {
		give_name(s);
		return NULL;
	}
	src_on_ready(body, on_ready, s);
	return &s->src;
}
