/*
 * upgrade.c - starting another binary that takes the listeners over.
 */
#include <stdlib.h>
#include <unistd.h>

#include "core/proc/sig.h"
#include "core/proc/upgrade.h"

#define VARIABLE "WEIR"
#define ZONES	 "WEIR_ZONES"

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

static void __attribute__((noreturn))
become(const char *binary, char *const *argv, struct weir_cycle *c)
{
	struct weir_pool	*pool = pool_new(0);
	struct weir_str		 fds = listen_export(&c->listeners, pool);
	struct weir_str		 zones = zones_export(c->zones, pool);
	const char		*more[] = {
		pool_cstr(pool, pool_printf(pool, VARIABLE "=%.*s", STR_ARG(fds))),
		zones.n > 0 ? pool_cstr(pool, pool_printf(pool, ZONES "=%.*s", STR_ARG(zones))) : NULL,
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

bool
upgrade_inherit(struct weir_log *log)
{
	const char *text = getenv(VARIABLE);

	if (text == NULL)
		return false;
	log_at(log, LOG_NOTICE_, 0, "using inherited sockets from \"%s\"", text);
	/* The variable stays where it is: nobody else gets this environment. */
	listen_inherit(text, log);
	if ((text = getenv(ZONES)) != NULL)
		zones_inherit(text);
	return true;
}
