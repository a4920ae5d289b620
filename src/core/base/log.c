/*
 * log.c - the error log: lines are made here and written with one write(2).
 *
 * A line is made in a buffer on the stack, whatever goes wrong: no memory is
 * needed to say that there is none.  What cannot be written is counted, and one
 * message a minute says so in the process's log.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/num.h"

#define TELL_EVERY_MS	60000

static struct weir_log_file	 stderr_file = { .fd = STDERR_FILENO };
static struct weir_log_out	 stderr_out = { .file = &stderr_file, .level = LOG_NOTICE_ };
static struct weir_log		 stderr_log = { .outs = &stderr_out, .level = LOG_NOTICE_ };
struct weir_log			*weir_log = &stderr_log;

static struct weir_log_file	*files = &stderr_file;
static bool			 telling;	/* a message about a log is being logged */
static char			 pid_text[NUM_MAX];
static size_t			 pid_len;

static const char *const level_names[] = {
	[LOG_STDERR_] = "stderr", [LOG_EMERG_] = "emerg", [LOG_ALERT_] = "alert",
	[LOG_CRIT_] = "crit", [LOG_ERROR_] = "error", [LOG_WARN_] = "warn",
	[LOG_NOTICE_] = "notice", [LOG_INFO_] = "info", [LOG_DEBUG_] = "debug",
};

int
log_level(struct weir_str s, enum weir_level *to)
{
	unsigned i;

	for (i = LOG_EMERG_; i < WEIR_COUNT(level_names); i++)
		if (str_eq(s, str_c(level_names[i]))) {
			*to = i;
			return WEIR_OK;
		}
	return WEIR_FAIL;
}

const char *
log_level_name(enum weir_level lvl)
{
	return level_names[lvl];
}

void
log_pid_changed(void)
{
	pid_len = (size_t)(num_put(pid_text, (uint64_t)getpid()) - pid_text);
}

/*
 * Making a line.
 */

/* A line under construction; what no longer fits is forgotten, but noticed. */
struct line {
	char	*at, *end;
	bool	 cut;
};

/* The text of one byte: itself or \xHH.  Returns its length. */
static size_t
escaped(char out[4], unsigned char c, bool quotes)
{
	static const char hex[] = "0123456789ABCDEF";

	if (likely(c >= 0x20 && c < 0x7f && !(quotes && (c == '"' || c == '\\')))) {
		out[0] = (char)c;
		return 1;
	}
	out[0] = '\\';
	out[1] = 'x';
	out[2] = hex[c >> 4];
	out[3] = hex[c & 15];
	return 4;
}

/* Never leaves half an escape at the end; returns how much of `s` was taken. */
static size_t
escape_some(char **at, const char *end, struct weir_str s, bool quotes)
{
	char	out[4];
	size_t	i, n;

	for (i = 0; i < s.n; i++) {
		n = escaped(out, (unsigned char)s.p[i], quotes);
		if ((size_t)(end - *at) < n)
			break;
		memcpy(*at, out, n);
		*at += n;
	}
	return i;
}

size_t
log_escape(char *to, size_t room, struct weir_str s)
{
	char *at = to;

	escape_some(&at, to + room, s, true);
	return (size_t)(at - to);
}

static void
line_add(struct line *l, struct weir_str s)
{
	if (!l->cut && escape_some(&l->at, l->end, s, false) < s.n)
		l->cut = true;
}

static void
line_error(struct line *l, int err)
{
	char	 tmp[NUM_MAX], text[128];
	bool	 minus = err < 0;
	uint64_t n = minus ? 0 - (uint64_t)err : (uint64_t)err;

	line_add(l, minus ? STR(" (-") : STR(" ("));
	line_add(l, str_of(tmp, (size_t)(num_put(tmp, n) - tmp)));
	line_add(l, STR(": "));
	line_add(l, str_c(strerror_r(err, text, sizeof(text))));
	line_add(l, STR(")"));
}

static void
line_head(struct line *l, enum weir_level lvl, uint64_t id)
{
	char tmp[NUM_MAX];

	if (unlikely(pid_len == 0))
		log_pid_changed();
	line_add(l, clock_err_time());
	line_add(l, STR(" ["));
	line_add(l, str_c(level_names[lvl]));
	line_add(l, STR("] "));
	line_add(l, str_of(pid_text, pid_len));
	line_add(l, STR("#0: "));
	if (id == 0)
		return;
	line_add(l, STR("*"));
	line_add(l, str_of(tmp, (size_t)(num_put(tmp, id) - tmp)));
	line_add(l, STR(" "));
}

/* Returns the length; there is room for the mark and the newline behind the end. */
static size_t
line_end(struct line *l, char *start)
{
	if (l->cut) {
		memcpy(l->at, "...", 3);
		l->at += 3;
	}
	*l->at++ = '\n';
	return (size_t)(l->at - start);
}

static WEIR_PRINTF(2, 0) void
line_vprintf(struct line *l, const char *fmt, va_list ap)
{
	char	text[LOG_LINE_MAX];
	int	n = vsnprintf(text, sizeof(text), fmt, ap);

	if (n < 0)
		return;
	line_add(l, str_of(text, WEIR_MIN((size_t)n, sizeof(text) - 1)));
	if ((size_t)n >= sizeof(text))
		l->cut = true;
}

static void
line_who(struct line *l, struct weir_log *log)
{
	char text[LOG_LINE_MAX];

	if (!l->cut)
		line_add(l, str_of(text, log->who(log->arg, text, sizeof(text))));
}

void
log_write(struct weir_log *log, enum weir_level lvl, int err, const char *fmt, ...)
{
	char			 buf[LOG_LINE_MAX];
	struct line		 l = { buf, buf + sizeof(buf) - 4, false };
	struct weir_log_out	*o;
	va_list			 ap;
	size_t			 n;
	int			 saved = errno;

	line_head(&l, lvl, log->id);
	va_start(ap, fmt);
	line_vprintf(&l, fmt, ap);
	va_end(ap);
	if (err != 0)
		line_error(&l, err);
	if (log->doing != NULL) {
		line_add(&l, STR(" while "));
		line_add(&l, str_c(log->doing));
	}
	if (log->who != NULL)
		line_who(&l, log);
	n = line_end(&l, buf);

	for (o = log->outs; o != NULL; o = o->next)
		if (o->level >= lvl)
			log_file_write(o->file, buf, n);
	errno = saved;
}

/*
 * Files.
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
	log_at(weir_log, LOG_WARN_, err, "writing to the log \"%s\" fails, lines are lost",
	    file_name(f));
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
	log_at(weir_log, LOG_WARN_, 0, "the log \"%s\" lost %llu lines", file_name(f),
	    (unsigned long long)n);
	telling = false;
}

/* True when all was taken. A torn line is closed first: one record is one line. */
static bool
write_all(struct weir_log_file *f, const char *p, size_t n)
{
	struct iovec	v[2] = { { (void *)"\n", f->torn }, { (void *)(uintptr_t)p, n } };
	ssize_t		got;
	size_t		done;

	do
		got = writev(f->fd, v, 2);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return false;
	done = (size_t)got - v[0].iov_len;
	f->torn = false;
	while (done < n) {
		got = write(f->fd, p + done, n - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			f->torn = done != 0;
			return false;
		}
		done += (size_t)got;
	}
	return true;
}

void
log_file_write(struct weir_log_file *f, const char *p, size_t n)
{
	int saved = errno;

	if (n == 0)
		return;
	if (likely(write_all(f, p, n))) {
		if (unlikely(f->dropped != 0))
			tell_lost(f);
	} else if (!telling) {
		f->dropped++;
		tell_failure(f, errno);
	}
	errno = saved;
}

/*
 * O_NONBLOCK for the sake of FIFOs and terminals; for files it means nothing.  A FIFO
 * that nobody reads can only be opened for both directions (fifo(7)): lines
 * wait in its buffer then.  /dev/stderr cannot be opened when it is a socket,
 * as under systemd.
 */
static int
file_open(const char *path)
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

struct weir_log_file *
log_file(const char *path)
{
	struct weir_log_file	*f;
	size_t			 n;
	char			*copy;
	int			 fd;

	if (path == NULL)
		return &stderr_file;
	for (f = files; f != NULL; f = f->next)
		if (f->path != NULL && strcmp(f->path, path) == 0)
			return f;
	if ((fd = file_open(path)) < 0)
		return NULL;

	n = strlen(path) + 1;
	copy = memcpy(mem_alloc(n), path, n);
	f = mem_zalloc(sizeof(*f));
	f->path = copy;
	f->fd = fd;
	/* Behind stderr, which is there from the beginning. */
	f->next = files->next;
	files->next = f;
	return f;
}

void
log_add(struct weir_pool *p, struct weir_log *l, struct weir_log_file *f, enum weir_level lvl)
{
	struct weir_log_out *o = POOL_NEW(p, weir_log_out), **at;

	o->file = f;
	o->level = lvl;
	for (at = &l->outs; *at != NULL; at = &(*at)->next)
		;
	*at = o;
	if (l->level < lvl)
		l->level = lvl;
}

/* The number of the descriptor stays, for those who remember it. */
static void
file_reopen(struct weir_log_file *f, uid_t uid, gid_t gid)
{
	int fd = file_open(f->path);

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
	if (dup3(fd, f->fd, O_CLOEXEC) < 0)
		log_alert(weir_log, "cannot reopen the log \"%s\"", f->path);
	else
		f->torn = false;
	close(fd);
}

void
log_reopen(uid_t uid, gid_t gid)
{
	struct weir_log_file *f;

	log_flush();
	for (f = files; f != NULL; f = f->next)
		if (f->path != NULL)
			file_reopen(f, uid, gid);
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
