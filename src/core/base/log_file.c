/*
 * log_file.c - the files of logs: opened, written with one write(2), reopened, closed.
 *
 * What cannot be written is counted, and one message a minute says so in the process's
 * log.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define TELL_EVERY_MS	60000

struct weir_log_user {			/* in the pool that uses the file */
	struct weir_log_user	*next;
	const struct weir_pool	*pool;
	struct weir_log_file	*file;
};

static struct weir_log_file	 stderr_file = { .fd = STDERR_FILENO, .forever = true };
static struct weir_log_out	 stderr_out = { .file = &stderr_file, .level = LOG_NOTICE_ };
static struct weir_log		 stderr_log = { .outs = &stderr_out, .level = LOG_NOTICE_ };
struct weir_log			*weir_log = &stderr_log;

static struct weir_log_file	*files = &stderr_file;
static struct weir_log_keeper	*keepers;
static uint32_t			 numbers;	/* of files, so far */
static bool			 telling;	/* a message about a log is being logged */

/*
 * What is lost.
 */

static const char *
file_name(const struct weir_log_file *f)
{
	return f->path != NULL ? f->path : "stderr";
}

/* Once a minute for each file; messages about a log never lead to others. */
static bool
may_tell(struct weir_log_file *f)
{
	if (telling || (f->told_ms != 0 && weir_now_ms - f->told_ms < TELL_EVERY_MS))
		return false;
	f->told_ms = WEIR_MAX(weir_now_ms, 1);
	return true;
}

static void
tell_failure(struct weir_log_file *f, int err)
{
	if (!may_tell(f))
		return;
	telling = true;
	log_at(weir_log, LOG_ERROR_, err, "%s the log \"%s\" fails, lines are lost",
	    f->send != NULL ? "sending to" : "writing to", file_name(f));
	telling = false;
}

static void
tell_lost(struct weir_log_file *f)
{
	uint64_t n = f->dropped;

	if (!may_tell(f))
		return;
	f->dropped = 0;
	telling = true;
	log_at(weir_log, LOG_ERROR_, 0, "the log \"%s\" lost %llu lines", file_name(f),
	    (unsigned long long)n);
	telling = false;
}

void
log_file_lost(struct weir_log_file *f, int err, size_t lines)
{
	if (telling)
		return;
	f->dropped += lines;
	tell_failure(f, err);
}

void
log_file_works(struct weir_log_file *f)
{
	if (unlikely(f->dropped != 0))
		tell_lost(f);
}

/*
 * Writing.
 */

/* One record is one line, also after one that has lost its end. */
int
log_write_all(int fd, bool *torn, const char *p, size_t n)
{
	struct iovec	v[2] = { { (void *)(uintptr_t)"\n", *torn }, { (void *)(uintptr_t)p, n } };
	ssize_t		got;
	size_t		done;

	do
		got = writev(fd, v, 2);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return WEIR_FAIL;
	done = (size_t)got - v[0].iov_len;
	*torn = false;
	while (done < n) {
		got = write(fd, p + done, n - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			*torn = done != 0;
			return WEIR_FAIL;
		}
		done += (size_t)got;
	}
	return WEIR_OK;
}

static size_t
count_lines(const char *p, size_t n)
{
	const char	*end = p + n;
	size_t		 lines = 0;

	for (; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
		lines++;
	return lines;
}

/* `lines` 0: they are to be counted. */
static void
write_lines(struct weir_log_file *f, const char *p, size_t n, size_t lines)
{
	int saved = errno, err;

	if (likely(log_write_all(f->fd, &f->torn, p, n) == WEIR_OK))
		log_file_works(f);
	else {
		err = errno;
		f->torn &= !f->binary;
		log_file_lost(f, err, lines != 0 ? lines : count_lines(p, n));
	}
	errno = saved;
}

void
log_file_write(struct weir_log_file *f, const char *p, size_t n)
{
	if (n != 0)
		write_lines(f, p, n, 0);
}

void
log_file_put(struct weir_log_file *f, const char *p, size_t n, size_t lines)
{
	write_lines(f, p, n, lines);
}

void
log_file_send(struct weir_log_file *f, struct iovec *v, unsigned n)
{
	int saved = errno;

	if (f->send(f, v, n) == WEIR_OK)
		log_file_works(f);
	else
		log_file_lost(f, errno, 1);
	errno = saved;
}

/*
 * Opening and closing.
 */

/*
 * O_NONBLOCK for the sake of FIFOs and terminals; for files it means nothing.  A FIFO
 * that nobody reads can only be opened for both directions (fifo(7)): lines
 * wait in its buffer then.  /dev/stderr cannot be opened when it is a socket,
 * as under systemd.
 */
int
log_open(const char *path)
{
	int flags = O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd = open(path, O_WRONLY | flags, 0644);

	if (fd >= 0 || errno != ENXIO)
		return fd;
	if (strcmp(path, "/dev/stderr") == 0)
		return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (strcmp(path, "/dev/stdout") == 0)
		return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NONBLOCK);
}

static void
add(struct weir_log_file *f)
{
	f->number = ++numbers;
	/* Behind stderr, which is there from the beginning. */
	f->next = files->next;
	files->next = f;
}

static void
file_close(struct weir_log_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

/* The pool is freed, and with it the user. */
static void
on_pool_free(void *arg)
{
	struct weir_log_user	*u = arg, **at;
	struct weir_log_file	*f = u->file, **link;

	for (at = &f->users; *at != u; at = &(*at)->next)
		;
	*at = u->next;
	if (f->users != NULL || f->forever)
		return;
	for (link = &files; *link != f; link = &(*link)->next)
		;
	*link = f->next;
	file_close(f);
	if (f->send == NULL) {
		mem_free((void *)(uintptr_t)f->path);
		mem_free(f);
	}
}

bool
log_file_is_of(const struct weir_log_file *f, const struct weir_pool *pool)
{
	const struct weir_log_user *u;

	for (u = f->users; u != NULL; u = u->next)
		if (u->pool == pool)
			return true;
	return false;
}

static struct weir_log_file *
use(struct weir_log_file *f, struct weir_pool *pool)
{
	struct weir_log_user *u;

	f->forever |= pool == NULL;
	if (pool == NULL || log_file_is_of(f, pool))
		return f;
	u = POOL_NEW(pool, weir_log_user);
	u->pool = pool;
	u->file = f;
	u->next = f->users;
	f->users = u;
	pool_on_free(pool, on_pool_free, u);
	return f;
}

struct weir_log_file *
log_file_for(struct weir_pool *pool, const char *path)
{
	struct weir_log_file	*f;
	size_t			 n;
	char			*copy;
	int			 fd;

	if (path == NULL)
		return &stderr_file;
	for (f = files; f != NULL; f = f->next)
		if (log_is_file(f) && strcmp(f->path, path) == 0)
			return use(f, pool);
	if ((fd = log_open(path)) < 0)
		return NULL;

	n = strlen(path) + 1;
	copy = memcpy(mem_alloc(n), path, n);
	f = mem_zalloc(sizeof(*f));
	f->path = copy;
	f->fd = fd;
	add(f);
	return use(f, pool);
}

struct weir_log_file *
log_file(const char *path)
{
	return log_file_for(NULL, path);
}

void
log_file_adopt(struct weir_pool *pool, struct weir_log_file *f)
{
	add(f);
	use(f, pool);
}

void
log_forget_others(const struct weir_pool *pool)
{
	struct weir_log_file *f;

	/* A socket that several processes share would give one the errors of another. */
	for (f = files; f != NULL; f = f->next)
		if (f->send != NULL || (!f->forever && !log_file_is_of(f, pool)))
			file_close(f);
}

/*
 * Reopening.
 */

void
log_file_replace(struct weir_log_file *f, int fd)
{
	if (f->fd < 0)
		return;		/* closed by log_forget_others() */
	/* The number stays, because the watchdog and others remember it. */
	if (dup3(fd, f->fd, O_CLOEXEC) < 0)
		log_alert(weir_log, "cannot reopen the log \"%s\"", file_name(f));
	else
		f->torn = false;
}

static void
file_reopen(struct weir_log_file *f, uid_t uid, gid_t gid)
{
	int fd = log_open(f->path);

	if (fd < 0) {
		log_alert(weir_log, "cannot reopen the log \"%s\"", f->path);
		return;
	}
	if (uid != (uid_t)-1) {
		struct stat st;

		if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid != uid &&
		    fchown(fd, uid, gid) != 0)
			log_alert(weir_log, "cannot give the log \"%s\" to user %u", f->path,
			    (unsigned)uid);
	}
	log_file_replace(f, fd);
	close(fd);
}

void
log_keep(struct weir_log_keeper *k)
{
	k->next = keepers;
	keepers = k;
}

void
log_unkeep(struct weir_log_keeper *k)
{
	struct weir_log_keeper **at;

	for (at = &keepers; *at != NULL; at = &(*at)->next)
		if (*at == k) {
			*at = k->next;
			return;
		}
}

void
log_reopened(void)
{
	struct weir_log_keeper *k;

	for (k = keepers; k != NULL; k = k->next)
		k->reopen(k);
}

void
log_reopen(uid_t uid, gid_t gid)
{
	struct weir_log_file *f;

	log_flush();
	for (f = files; f != NULL; f = f->next)
		if (log_is_file(f))
			file_reopen(f, uid, gid);
	log_reopened();
}

void
log_flush(void)
{
	struct weir_log_file *f;

	for (f = files; f != NULL; f = f->next)
		if (f->flush != NULL)
			f->flush(f, f->flush_arg);
}

struct weir_log_file *
log_files(void)
{
	return files;
}

struct weir_log_file *
log_file_numbered(uint32_t number)
{
	struct weir_log_file *f;

	for (f = files; f != NULL && f->number != number; f = f->next)
		;
	return f;
}
