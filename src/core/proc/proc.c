/*
 * proc.c - what main() calls: run, test; and going to the background.
 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/os/random.h"
#include "core/proc/master.h"
#include "core/proc/sig.h"
#include "core/proc/title.h"
#include "core/proc/upgrade.h"

static struct weir_pool *life;		/* of the process */
static struct load_from	 from;
static int		 tell_fd = -1;	/* whoever called us waits there */
static bool		 background;

/* What every way of being called needs. */
static struct weir_log *
prepare(const struct weir_options *o)
{
	static struct weir_log	log;
	uint8_t			key[16];

	umask(027);
	clock_update();
	random_bytes(key, sizeof(key));
	hash_seed(key);
	conf_modules_init();
	life = pool_new(0);
	load_prepare(&from, o, life);
	log_add(life, &log, from.log, LOG_NOTICE_);
	weir_log = &log;
	return &log;
}

/* -t, -T */

static int
test_failed(void)
{
	fprintf(stderr, "weir: configuration file %s test failed\n", from.conf_path);
	return 1;
}

/* What is found while opening goes to the terminal as well. */
static struct weir_log *
log_and_stderr(const struct weir_log *l)
{
	struct weir_log			*both = POOL_NEW(life, weir_log);
	const struct weir_log_out	*o;
	bool				 have = false;

	for (o = l->outs; o != NULL; o = o->next) {
		log_add_like(life, both, o, o->level);
		have |= o->file->path == NULL;
	}
	if (!have)
		log_add(life, both, log_file(NULL), LOG_WARN_);
	return both;
}

int
proc_test(const struct weir_options *o)
{
	struct weir_log		*log = prepare(o);
	struct weir_cycle	*c = cycle_load(&from, log);

	if (c == NULL)
		return test_failed();
	if (!o->quiet)
		fprintf(stderr, "weir: the configuration file %s syntax is ok\n", from.conf_path);
	if (cycle_try(c, log_and_stderr(log)) != WEIR_OK)
		return test_failed();
	if (!o->quiet)
		fprintf(stderr, "weir: configuration file %s test is successful\n", from.conf_path);
	if (o->dump) {
		conf_dump(c->conf, stdout);
		if (fflush(stdout) != 0)
			return 1;
	}
	return 0;
}

/* Running. */

/*
 * The process that was called stays until the server serves, or has failed: then the exit code
 * tells the truth, and whoever waits for it may send requests.
 */
static void __attribute__((noreturn))
wait_for_child(int fd)
{
	char	c;
	ssize_t	n;

	do
		n = read(fd, &c, 1);
	while (n < 0 && errno == EINTR);
	_exit(n == 1 ? 0 : 1);
}

static int
go_to_background(void)
{
	int fds[2], null;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return WEIR_FAIL;
	fflush(NULL);
	switch (fork()) {
	case -1:
		return WEIR_FAIL;
	case 0:
		break;
	default:
		close(fds[1]);
		wait_for_child(fds[0]);
	}
	close(fds[0]);
	tell_fd = fds[1];
	background = true;
	log_pid_changed();
	if (setsid() < 0 || (null = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
		return WEIR_FAIL;
	if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return WEIR_FAIL;
	return null > STDERR_FILENO ? close(null) : WEIR_OK;
}

/* From now on nobody looks at stderr; what libraries write there is kept in the log. */
static void
leave_terminal(void)
{
	const struct weir_log_out *o;

	for (o = weir_log->outs; o != NULL; o = o->next)
		if (o->file->path == NULL)
			return;
	if (weir_log->outs != NULL)
		(void)!dup2(log_crash_fd(weir_log), STDERR_FILENO);
}

static void
started(void)
{
	from.to_stderr = false;
	if (background)
		leave_terminal();
	if (tell_fd >= 0) {
		(void)!write(tell_fd, "", 1);
		close(tell_fd);
		tell_fd = -1;
	}
}

/*
 * A descriptor below 3 would be taken for stdin, stdout or stderr by somebody; those above that came
 * along are none of a new binary's business (inherited listeners are passed on with purpose).
 */
static void
open_standard(void)
{
	int fd;

	(void)!close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int
fail(struct weir_log *log, const char *what)
{
	log_at(log, LOG_EMERG_, errno, "%s failed", what);
	return 1;
}

int
proc_main(const struct weir_options *o)
{
	struct master_start	 start = { .from = &from, .started = started };
	struct weir_log		*log;
	struct weir_cycle	*c;
	bool			 master;

	open_standard();
	sig_block();
	start.argv = title_init(o->argv);
	log = prepare(o);
	start.binary = upgrade_binary(life, start.argv[0]);
	start.inherited = upgrade_inherit(log);
	if ((c = cycle_load(&from, log)) == NULL)
		return 1;
	master = core_conf_of(c->main)->master;
	if (!master)
		c->workers = 1;
	if (cycle_open(c, NULL, log_and_stderr(&c->log)) != WEIR_OK)
		return 1;
	if (core_conf_of(c->main)->daemon && !start.inherited && go_to_background() != WEIR_OK)
		return fail(log_and_stderr(&c->log), "going to the background");
	background |= start.inherited;
	start.cycle = c;
	if (!master)
		return single_run(&start);
	title_set_master(start.argv);
	return master_run(&start);
}
