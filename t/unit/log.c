/* unit: src/core/base/log.c */
/* unit: src/core/base/log_file.c */
#include "unit.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "core/base/log.c"
#include "core/base/log_file.c"

static char dir[64];

static const char *
path(const char *name)
{
	static char buf[4][100];
	static unsigned i;

	i = (i + 1) % 4;
	snprintf(buf[i], sizeof(buf[i]), "%s/%s", dir, name);
	return buf[i];
}

/* What is in that file now; a static buffer. */
static const char *
text_of(const char *file)
{
	static char	buf[4 * LOG_LINE_MAX + 1];
	int		fd = open(file, O_RDONLY);
	ssize_t		n = fd >= 0 ? read(fd, buf, sizeof(buf) - 1) : -1;

	assert_true(n >= 0);
	close(fd);
	buf[n] = '\0';
	return buf;
}

static struct weir_log *
new_log(struct weir_pool *p, const char *file, enum weir_level lvl)
{
	struct weir_log		*l = POOL_NEW(p, weir_log);
	struct weir_log_file	*f = log_file(file);

	assert_non_null(f);
	log_add(p, l, f, lvl);
	return l;
}

static void
set_time(void)
{
	setenv("TZ", "UTC0", 1);
	tzset();
	weir_wall_ms = (uint64_t)1795222923 * 1000;
	weir_now_ms = 1000000;
}

static void
who(void *arg, struct weir_log_line *l)
{
	struct weir_str client = str_c(arg), parts[] = { STR("http://"), client, STR("/") };

	log_fact(l, "client", FACT_PLAIN, &client, 1);
	if (log_is_json(l))
		log_fact(l, "upstream", FACT_QUOTED, parts, 3);
}

static void
test_levels(void **state)
{
	enum weir_level lvl = LOG_STDERR_;

	(void)state;
	assert_int_equal(log_level(STR("debug"), &lvl), WEIR_OK);
	assert_int_equal(lvl, LOG_DEBUG_);
	assert_int_equal(log_level(STR("emerg"), &lvl), WEIR_OK);
	assert_int_equal(lvl, LOG_EMERG_);
	assert_int_equal(log_level(STR("Debug"), &lvl), WEIR_FAIL);
	assert_int_equal(log_level(STR("stderr"), &lvl), WEIR_FAIL);
	assert_int_equal(log_level(STR_NONE, &lvl), WEIR_FAIL);
	assert_int_equal(lvl, LOG_EMERG_);
	assert_string_equal(log_level_name(LOG_CRIT_), "crit");
}

static void
test_format(void **state)
{
	struct weir_pool	*p = pool_new(0);
	const char		*file = path("format");
	struct weir_log		*l = new_log(p, file, LOG_ERROR_);
	char			 want[300];

	(void)state;
	set_time();
	l->id = 45;
	l->doing = "connecting to upstream";
	l->who = who;
	l->arg = (void *)(uintptr_t)"1.2.3.4";
	errno = ECONNREFUSED;
	log_error(l, "connect() failed %d", 7);
	assert_int_equal(errno, ECONNREFUSED);
	l->id = 0;
	l->doing = NULL;
	l->who = NULL;
	log_alertx(l, "bare");
	log_warn(l, "not shown");
	snprintf(want, sizeof(want),
	    "2026/11/21 01:02:03 [error] %d#0: *45 connect() failed 7 (111: Connection refused)"
	    " while connecting to upstream, client: 1.2.3.4\n"
	    "2026/11/21 01:02:03 [alert] %d#0: bare\n", (int)getpid(), (int)getpid());
	assert_string_equal(text_of(file), want);
	pool_free(p);
}

static void
test_outputs(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_log		*l = new_log(p, path("loud"), LOG_INFO_);

	(void)state;
	log_add(p, l, log_file(path("quiet")), LOG_CRIT_);
	assert_int_equal(l->level, LOG_INFO_);
	log_info(l, "one");
	log_critx(l, "two");
	log_debug(l, "three");
	assert_non_null(strstr(text_of(path("loud")), "one\n"));
	assert_non_null(strstr(text_of(path("loud")), "two\n"));
	assert_null(strstr(text_of(path("loud")), "three"));
	assert_null(strstr(text_of(path("quiet")), "one"));
	assert_non_null(strstr(text_of(path("quiet")), "two\n"));
	pool_free(p);
}

static void
test_escapes(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_log		*l = new_log(p, path("escapes"), LOG_INFO_);
	char			 buf[16];

	(void)state;
	l->who = who;
	l->arg = (void *)(uintptr_t)"x\ny";
	log_info(l, "a\nb\x1b[31m\x7f\xff\"\\%s", "\t");
	assert_non_null(strstr(text_of(path("escapes")),
	    "a\\x0Ab\\x1B[31m\\x7F\\xFF\"\\\\x09, client: x\\x0Ay\n"));

	assert_int_equal(log_escape(buf, 16, STR("a\"b\\c\n")), 15);
	assert_memory_equal(buf, "a\\x22b\\x5Cc\\x0A", 15);
	/* No half escapes. */
	assert_int_equal(log_escape(buf, 4, STR("a\n")), 1);
	assert_int_equal(log_escape(buf, 5, STR("a\n")), 5);
	assert_int_equal(log_escape(buf, 0, STR("a")), 0);
	assert_int_equal(log_escape(buf, 16, STR_NONE), 0);
	pool_free(p);
}

/* Around the limit a line is never longer than it, ends with its mark and is one line. */
static void
test_truncation(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_log_file	*f = log_file(path("long"));
	struct weir_log		*l = POOL_NEW(p, weir_log);
	char			*x = pool_bytes(p, 2 * LOG_LINE_MAX);
	const char		*text;
	size_t			 n, head;

	(void)state;
	memset(x, 'x', 2 * LOG_LINE_MAX);
	log_add(p, l, f, LOG_INFO_);
	log_info(l, "%s", "");
	head = strlen(text_of(path("long"))) - 1;
	for (n = LOG_LINE_MAX - head - 8; n < 2 * LOG_LINE_MAX; n += n < LOG_LINE_MAX ? 1 : 1000) {
		assert_int_equal(ftruncate(f->fd, 0), 0);
		log_info(l, "%.*s", (int)n, x);
		text = text_of(path("long"));
		assert_true(strlen(text) <= LOG_LINE_MAX);
		assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
		if (head + n <= LOG_LINE_MAX - 4)
			assert_int_equal(strlen(text), head + n + 1);
		else {
			assert_int_equal(strlen(text), LOG_LINE_MAX);
			assert_string_equal(text + LOG_LINE_MAX - 5, "x...\n");
		}
	}
	/* A line of escapes, and nothing after the cut. */
	memset(x, '\x01', LOG_LINE_MAX);
	l->who = who;
	l->arg = (void *)(uintptr_t)"nobody";
	assert_int_equal(ftruncate(f->fd, 0), 0);
	log_info(l, "%.*s", LOG_LINE_MAX, x);
	text = text_of(path("long"));
	assert_true(strlen(text) <= LOG_LINE_MAX && strlen(text) > LOG_LINE_MAX - 4);
	assert_string_equal(text + strlen(text) - 8, "\\x01...\n");
	pool_free(p);
}

static struct weir_log *
new_json(struct weir_pool *p, const char *file)
{
	struct weir_log *l = new_log(p, file, LOG_INFO_);

	l->outs->json = true;
	l->who = who;
	l->arg = (void *)(uintptr_t)"1.2.3.4";
	return l;
}

static void
test_json(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_log		*l = new_json(p, path("json"));
	char			 want[600];

	(void)state;
	set_time();
	weir_wall_ms += 45;
	l->id = 7;
	l->doing = "connecting to upstream";
	errno = ECONNREFUSED;
	log_error(l, "connect() \"%s\" failed\n", "\x1b\xff\xc3\xa4");
	l->id = 0;
	l->doing = NULL;
	l->who = NULL;
	log_info(l, "bare");
	snprintf(want, sizeof(want),
	    "{\"time\":\"2026-11-21T01:02:03.045+00:00\",\"level\":\"error\",\"pid\":%d,\"connection\":7,"
	    "\"message\":\"connect() \\\"\\u001b\\u00ff\xc3\xa4\\\" failed\\n\",\"errno\":111,"
	    "\"error\":\"Connection refused\",\"doing\":\"connecting to upstream\",\"client\":\"1.2.3.4\","
	    "\"upstream\":\"http://1.2.3.4/\"}\n"
	    "{\"time\":\"2026-11-21T01:02:03.045+00:00\",\"level\":\"info\",\"pid\":%d,\"message\":\"bare\"}\n",
	    (int)getpid(), (int)getpid());
	assert_string_equal(text_of(path("json")), want);
	pool_free(p);
}

/* Facts without end: a line keeps its bound, its values theirs, and it is an object to the end. */
static void
test_json_cut(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_log		*l = new_json(p, path("json.cut"));
	char			*x = pool_bytes(p, 65536);
	const char		*text, *at;
	unsigned		 marks = 0;
	size_t			 n, fill;

	(void)state;
	set_time();
	for (fill = 0; fill < 2; fill++)
		for (n = 500; n < 65536; n += n < 1100 ? 1 : 9001) {
			memset(x, fill ? '\x01' : 'x', 65536);
			x[n] = '\0';
			l->arg = x;
			assert_int_equal(ftruncate(l->outs->file->fd, 0), 0);
			log_info(l, "%s", x);
			text = text_of(path("json.cut"));
			assert_true(strlen(text) <= LOG_JSON_MAX);
			assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
			marks = 0;
			for (at = text; (at = strstr(at, "...\"")) != NULL; at++)
				marks++;
			if (!fill && n + 8 <= VALUE_MAX)
				assert_int_equal(marks, 0);
			if (n > MESSAGE_MAX)
				assert_int_equal(marks, 3);
			at = strstr(text, ",\"cut\":true}\n");
			assert_int_equal(at != NULL, marks > 0);
			assert_string_equal(text + strlen(text) - 2, "}\n");
		}
	pool_free(p);
}

/* Members for which there is no room at all are left out, and that is said. */
static void
many_facts(void *arg, struct weir_log_line *l)
{
	struct weir_str	s = str_c(arg);
	unsigned	i;

	for (i = 0; i < 40; i++)
		log_fact(l, "fact", FACT_PLAIN, &s, 1);
}

static void
test_json_full(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_log		*l = new_json(p, path("json.full"));
	char			 x[300];
	const char		*text;
	size_t			 n;

	(void)state;
	l->who = many_facts;
	l->arg = x;
	for (n = 200; n < sizeof(x); n++) {
		memset(x, 'x', sizeof(x));
		x[n] = '\0';
		assert_int_equal(ftruncate(l->outs->file->fd, 0), 0);
		log_info(l, "m");
		text = text_of(path("json.full"));
		assert_true(strlen(text) <= LOG_JSON_MAX && strlen(text) > LOG_JSON_MAX - 100);
		assert_non_null(strstr(text, "\",\"cut\":true}\n"));
	}
	pool_free(p);
}

/* One event, several forms. */
static void
test_text_and_json(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_log		*l = new_json(p, path("both.json"));

	(void)state;
	log_add(p, l, log_file(path("both")), LOG_INFO_);
	log_add_like(p, l, l->outs, LOG_DEBUG_);
	log_info(l, "x");
	assert_non_null(strstr(text_of(path("both")), "#0: x, client: 1.2.3.4\n"));
	assert_null(strstr(text_of(path("both")), "upstream"));
	assert_non_null(strstr(text_of(path("both.json")), "}\n{\"time\""));
	pool_free(p);
}

/* A file is closed when the last pool that wants it is gone. */
static void
test_file_of_pools(void **state)
{
	struct weir_pool	*a = pool_new(0), *b = pool_new(0);
	struct weir_log_file	*f = log_file_for(a, path("of.pools")), *other;
	uint32_t		 number = f->number;
	int			 fd = f->fd;

	(void)state;
	assert_ptr_equal(log_file_for(b, path("of.pools")), f);
	assert_ptr_equal(log_file_for(b, path("of.pools")), f);
	assert_ptr_equal(log_file_numbered(number), f);
	other = log_file_for(b, path("of.b"));
	assert_true(other->number > number);
	pool_free(a);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	assert_ptr_equal(log_file_numbered(number), f);
	pool_free(b);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_null(log_file_numbered(number));

	/* Asked for without a pool it stays. */
	a = pool_new(0);
	f = log_file_for(a, path("of.pools"));
	assert_ptr_equal(log_file(path("of.pools")), f);
	pool_free(a);
	assert_true(fcntl(f->fd, F_GETFD) >= 0);
}

static void
test_forget_others(void **state)
{
	struct weir_pool	*a = pool_new(0), *b = pool_new(0);
	struct weir_log_file	*f = log_file_for(a, path("of.a")), *g = log_file_for(b, path("of.b"));
	struct weir_log_file	*h = log_file(path("shared"));
	int			 fd = f->fd;

	(void)state;
	log_forget_others(b);
	assert_int_equal(f->fd, -1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_true(fcntl(g->fd, F_GETFD) >= 0);
	assert_true(fcntl(h->fd, F_GETFD) >= 0);
	/* A new descriptor for it is not wanted, either. */
	log_file_replace(f, h->fd);
	assert_int_equal(f->fd, -1);
	pool_free(a);
	pool_free(b);
}

static unsigned reopened;

static void
on_reopen(struct weir_log_keeper *k)
{
	(void)k;
	reopened++;
}

static void
test_keepers(void **state)
{
	struct weir_log_keeper k = { .reopen = on_reopen };

	(void)state;
	log_keep(&k);
	log_reopen((uid_t)-1, (gid_t)-1);
	log_reopened();
	assert_int_equal(reopened, 2);
	log_unkeep(&k);
	log_unkeep(&k);
	log_reopened();
	assert_int_equal(reopened, 2);
}

static void
test_file_is_shared(void **state)
{
	(void)state;
	assert_ptr_equal(log_file(path("shared")), log_file(path("shared")));
	assert_ptr_equal(log_file(NULL), &stderr_file);
	assert_null(log_file(path("no/such/dir")));
	assert_int_equal(errno, ENOENT);
	assert_int_not_equal(fcntl(log_file(path("shared"))->fd, F_GETFD) & FD_CLOEXEC, 0);
	assert_ptr_equal(log_files(), &stderr_file);
}

static void
test_reopen(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_log		*l = new_log(p, path("rotated"), LOG_INFO_);
	int			 fd = l->outs->file->fd;

	(void)state;
	log_info(l, "before");
	assert_int_equal(rename(path("rotated"), path("rotated.1")), 0);
	log_info(l, "between");
	log_reopen((uid_t)-1, (gid_t)-1);
	log_info(l, "after");
	assert_int_equal(l->outs->file->fd, fd);
	assert_int_not_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	assert_non_null(strstr(text_of(path("rotated.1")), "before\n"));
	assert_non_null(strstr(text_of(path("rotated.1")), "between\n"));
	assert_null(strstr(text_of(path("rotated.1")), "after"));
	assert_non_null(strstr(text_of(path("rotated")), "after\n"));
	assert_null(strstr(text_of(path("rotated")), "between"));
	pool_free(p);
}

static void
test_reopen_fails(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_log		*l;

	(void)state;
	assert_int_equal(mkdir(path("gone"), 0700), 0);
	l = new_log(p, path("gone/log"), LOG_INFO_);
	assert_int_equal(rename(path("gone"), path("moved")), 0);
	weir_log = new_log(p, path("complaints"), LOG_INFO_);
	log_reopen((uid_t)-1, (gid_t)-1);
	weir_log = &stderr_log;
	log_info(l, "still here");
	assert_non_null(strstr(text_of(path("moved/log")), "still here\n"));
	assert_non_null(strstr(text_of(path("complaints")), "[alert]"));
	assert_non_null(strstr(text_of(path("complaints")), "gone/log"));
	assert_int_equal(rename(path("moved"), path("gone")), 0);
	pool_free(p);
}

static void
test_reopen_gives_away(void **state)
{
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(log_file(path("given")));
	log_reopen(12345, 12346);
	assert_int_equal(stat(path("given"), &st), 0);
	assert_int_equal(st.st_uid, 12345);
	assert_int_equal(st.st_gid, 12346);
}

static void
test_drops(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_log		*l = new_log(p, "/dev/full", LOG_INFO_);
	struct weir_log_file	*f = l->outs->file;
	int			 fd;

	(void)state;
	weir_log = new_log(p, path("about"), LOG_INFO_);
	errno = EDOM;
	log_info(l, "one");
	assert_int_equal(errno, EDOM);
	log_info(l, "two");
	log_info(l, "three");
	assert_int_equal(f->dropped, 3);
	assert_non_null(strstr(text_of(path("about")), "[error]"));
	assert_non_null(strstr(text_of(path("about")), "/dev/full"));
	assert_non_null(strstr(text_of(path("about")), "(28: No space left on device)"));
	/* A buffer of lines is as many. */
	log_file_write(f, "1\n2\n", 4);
	assert_int_equal(f->dropped, 5);
	log_file_put(f, "zip", 3, 10);
	assert_int_equal(f->dropped, 15);
	f->dropped = 3;
	/* Said once, not for each line. */
	assert_ptr_equal(strchr(text_of(path("about")), '\n')[1], NULL);

	/* There is space again: counted on for the rest of the minute, then reported. */
	fd = open(path("space"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(dup2(fd, f->fd) >= 0);
	close(fd);
	log_info(l, "four");
	assert_int_equal(f->dropped, 3);
	weir_now_ms += 60000;
	log_info(l, "five");
	assert_int_equal(f->dropped, 0);
	assert_non_null(strstr(text_of(path("about")), "the log \"/dev/full\" lost 3 lines\n"));
	assert_non_null(strstr(text_of(path("space")), "four\n"));
	assert_non_null(strstr(text_of(path("space")), "five\n"));
	weir_log = &stderr_log;
	pool_free(p);
}

/* The process's own log is the broken one: no recursion, counted once for each line. */
static void
test_own_log_is_full(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_log_file	 f = { .path = "/dev/full" };
	struct weir_log		*l = POOL_NEW(p, weir_log);

	(void)state;
	f.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(f.fd >= 0);
	log_add(p, l, &f, LOG_INFO_);
	weir_log = l;
	log_info(l, "one");
	log_info(l, "two");
	assert_int_equal(f.dropped, 2);
	weir_log = &stderr_log;
	close(f.fd);
	pool_free(p);
}

static void
test_fifo_without_reader(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_log_file	*f;
	struct weir_log		*l;
	char			 buf[200];
	int			 fd, i;

	(void)state;
	assert_int_equal(mkfifo(path("fifo"), 0600), 0);
	l = new_log(p, path("fifo"), LOG_INFO_);
	f = l->outs->file;
	weir_log = new_log(p, path("fifo.about"), LOG_INFO_);
	/* More than the pipe holds: no blocking, the rest is counted. */
	for (i = 0; i < 3000; i++)
		log_info(l, "%064d", i);
	assert_true(f->dropped > 0 && f->dropped < 3000);
	assert_non_null(strstr(text_of(path("fifo.about")), "fifo"));
	/* Who comes to read gets what waits. */
	fd = open(path("fifo"), O_RDONLY | O_NONBLOCK);
	assert_true(read(fd, buf, sizeof(buf)) > 100);
	assert_non_null(memmem(buf, sizeof(buf), "0000\n", 5));
	close(fd);
	weir_log = &stderr_log;
	close(f->fd);
	f->fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	pool_free(p);
}

static void
test_reader_goes(void **state)
{
	struct weir_log_file	f = { .path = "pipe" };
	int			fd[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	weir_log = &(struct weir_log){ .level = LOG_STDERR_ };
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	f.fd = fd[1];
	log_file_write(&f, "x\n", 2);
	assert_int_equal(f.dropped, 0);
	close(fd[0]);
	log_file_write(&f, "x\n", 2);
	log_file_write(&f, "x\n", 0);
	assert_int_equal(f.dropped, 1);
	close(fd[1]);
	weir_log = &stderr_log;
}

/* A line of which only the beginning could be written does not swallow the next one. */
static void
test_torn_line(void **state)
{
	struct weir_log_file	f = { .path = "limited" };
	struct rlimit		old, lim;
	const char		*text;

	(void)state;
	weir_log = &(struct weir_log){ .level = LOG_STDERR_ };
	signal(SIGXFSZ, SIG_IGN);
	f.fd = open(path("torn"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	lim = old;
	lim.rlim_cur = 10;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
	log_file_write(&f, "123456\n", 7);
	log_file_write(&f, "abcdef\n", 7);
	log_file_write(&f, "ghijkl\n", 7);
	assert_int_equal(f.dropped, 2);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	log_file_write(&f, "mnopqr\n", 7);
	text = text_of(path("torn"));
	assert_string_equal(text, "123456\nabc\nmnopqr\n");
	close(f.fd);
	weir_log = &stderr_log;
}

static unsigned flushed;

static void
on_flush(struct weir_log_file *f, void *arg)
{
	assert_ptr_equal(arg, &flushed);
	assert_non_null(f->path);
	flushed++;
}

static void
test_flush(void **state)
{
	struct weir_log_file *f = log_file(path("buffered"));

	(void)state;
	f->flush = on_flush;
	f->flush_arg = &flushed;
	log_flush();
	assert_int_equal(flushed, 1);
	log_reopen((uid_t)-1, (gid_t)-1);
	assert_int_equal(flushed, 2);
	f->flush = NULL;
}

static void
test_pid_after_fork(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_log		*l = new_log(p, path("pid"), LOG_INFO_);
	char			 want[30];
	pid_t			 pid;
	int			 status;

	(void)state;
	log_info(l, "parent");
	pid = fork();
	if (pid == 0) {
		log_pid_changed();
		log_info(l, "child");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	snprintf(want, sizeof(want), " %d#0: child\n", (int)pid);
	assert_non_null(strstr(text_of(path("pid")), want));
	pool_free(p);
}

static void
test_stderr_is_the_beginning(void **state)
{
	char	text[200];
	int	fd[2], saved = dup(STDERR_FILENO);
	ssize_t	n;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	dup2(fd[1], STDERR_FILENO);
	log_notice(weir_log, "hello");
	log_info(weir_log, "too quiet");
	dup2(saved, STDERR_FILENO);
	close(fd[1]);
	n = read(fd[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, " [notice] "));
	assert_string_equal(strstr(text, "#0: "), "#0: hello\n");
	close(fd[0]);
	close(saved);
}

/* Under systemd stderr is a socket, which cannot be opened by its name. */
static void
test_stderr_is_a_socket(void **state)
{
	int	sv[2], saved = dup(STDERR_FILENO);
	char	c;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	dup2(sv[1], STDERR_FILENO);
	close(sv[1]);
	sv[1] = log_open("/dev/stderr");
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_true(sv[1] >= 0);
	assert_int_equal(write(sv[1], "x", 1), 1);
	assert_int_equal(read(sv[0], &c, 1), 1);
	close(sv[0]);
	close(sv[1]);
}

static int
setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(dir, sizeof(dir), "%.40s/weir-log-XXXXXX", tmp != NULL ? tmp : "/tmp");
	return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
	static const char *const names[] = {
		"format", "loud", "quiet", "escapes", "long", "shared", "rotated", "rotated.1",
		"gone/log", "complaints", "given", "about", "space", "fifo", "fifo.about", "torn",
		"buffered", "pid", "json", "json.cut", "json.full", "both", "both.json", "of.pools",
		"of.a", "of.b",
	};
	size_t i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(names); i++)
		unlink(path(names[i]));
	rmdir(path("gone"));
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_outputs),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_cut),
		cmocka_unit_test(test_json_full),
		cmocka_unit_test(test_text_and_json),
		cmocka_unit_test(test_file_of_pools),
		cmocka_unit_test(test_forget_others),
		cmocka_unit_test(test_keepers),
		cmocka_unit_test(test_file_is_shared),
		cmocka_unit_test(test_reopen),
		cmocka_unit_test(test_reopen_fails),
		cmocka_unit_test(test_reopen_gives_away),
		cmocka_unit_test(test_drops),
		cmocka_unit_test(test_own_log_is_full),
		cmocka_unit_test(test_fifo_without_reader),
		cmocka_unit_test(test_reader_goes),
		cmocka_unit_test(test_torn_line),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_pid_after_fork),
		cmocka_unit_test(test_stderr_is_the_beginning),
		cmocka_unit_test(test_stderr_is_a_socket),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
