/*
 * upgrade.c - starting another binary that takes the listeners over.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/num.h"
#include "core/os/fd.h"
#include "core/proc/sig.h"
#include "core/proc/upgrade.h"

#define VARIABLE "WEIR"
#define ZONES	 "WEIR_ZONES"

/* The kernel takes no variable of 128 kB or more (execve(2), MAX_ARG_STRLEN): a longer text lies in a file. */
enum { VARIABLE_MAX = 100 * 1024 };

const char *
upgrade_binary(struct weir_pool *pool, const char *argv0)
{
	char	path[4096];
	ssize_t	n;

	/* A path is followed anew, so that a link may point to another version by then. */
	if (argv0[0] == '/')
		return pool_cstr(pool, str_c(argv0));
	if (strchr(argv0, '/') != NULL && getcwd(path, sizeof(path)) != NULL)
		return pool_cstr(pool, pool_printf(pool, "%s/%s", path, argv0));
	n = readlink("/proc/self/exe", path, sizeof(path));
	return n > 0 && (size_t)n < sizeof(path) ? pool_cstr(pool, str_of(path, (size_t)n))
	    : pool_cstr(pool, str_c(argv0));
}

/* "NAME=text", or "NAME=@descriptor" of a file with it. */
static const char *
variable(struct weir_pool *pool, const char *name, struct weir_str text)
{
	int fd;

	if (text.n <= VARIABLE_MAX)
		return pool_cstr(pool, pool_printf(pool, "%s=%.*s", name, STR_ARG(text)));
	if ((fd = fd_sealed(name, text.p, text.n)) < 0 || fd_cloexec(fd, false) != WEIR_OK) {
		log_alert(weir_log, "%zu bytes for %s cannot be kept for a new binary", text.n, name);
		_exit(1);
	}
	return pool_cstr(pool, pool_printf(pool, "%s=@%d", name, fd));
}

/* The text of variable(), or NULL. */
static const char *
value(struct weir_pool *pool, const char *text)
{
	struct stat  st;
	uint64_t     fd;
	char	    *to;

	if (text[0] != '@')
		return text;
	if (num_u64(str_c(text + 1), &fd) != WEIR_OK || fd > INT32_MAX || fstat((int)fd, &st) != 0)
		return NULL;
	to = pool_bytes(pool, (size_t)st.st_size + 1);
	for (off_t at = 0; at < st.st_size; ) {
		ssize_t n = pread((int)fd, to + at, (size_t)(st.st_size - at), at);

		if (n <= 0)
			return NULL;
		at += n;
	}
	to[st.st_size] = '\0';
	close((int)fd);
	return to;
}

static void __attribute__((noreturn))
become(const char *binary, char *const *argv, struct weir_cycle *c)
{
	struct weir_pool	*pool = pool_new(0);
	struct weir_str		 fds = listen_export(&c->listeners, pool);
	struct weir_str		 zones = zones_export(c->zones, pool);
	const char		*more[] = {
		variable(pool, VARIABLE, fds),
		zones.n > 0 ? variable(pool, ZONES, zones) : NULL,
		NULL
	};

	log_pid_changed();
	cycle_environment(c, pool, more);
	listen_keep_open(&c->listeners);
	zones_keep_open(c->zones);
	sig_restore();
	execve(binary, argv, environ);
	log_alert(weir_log, "execve() of \"%s\" failed", binary);
	_exit(1);
}

pid_t
upgrade_start(const char *binary, char *const *argv, struct weir_cycle *c)
{
	pid_t pid = fork();

	if (pid == 0)
		become(binary, argv, c);
	if (pid < 0)
		log_alert(weir_log, "fork() for a new binary failed");
	else
		log_at(weir_log, LOG_NOTICE_, 0, "start new binary process %d", (int)pid);
	return pid;
}

/* The variables stay where they are: nobody else gets this environment. */
bool
upgrade_inherit(struct weir_log *log)
{
	const char	 *sockets = getenv(VARIABLE), *zones = getenv(ZONES);
	struct weir_pool *pool;

	if (sockets == NULL)
		return false;
	pool = pool_new(0);
	log_at(log, LOG_NOTICE_, 0, "using inherited sockets from \"%s\"", sockets);
	if ((sockets = value(pool, sockets)) != NULL)
		listen_inherit(sockets, log);
	else
		log_at(log, LOG_WARN_, errno, "the inherited sockets cannot be read, ignored");
	if (zones != NULL && (zones = value(pool, zones)) != NULL)
		zones_inherit(zones);
	pool_free(pool);
	return true;
}
