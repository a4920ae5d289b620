/*
 * cycle.c - makes a generation: reads, binds, opens; all or nothing.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"

#include "core/os/env.h"
#include "core/os/limit.h"
#include "core/proc/load.h"
#include "core/proc/stats.h"

/* Descriptors that a worker needs besides connections and listeners: logs, files being served. */
#define SPARE_FDS	32
#define ENV_MORE	2	/* variables for a new binary */

struct weir_cycle	*weir_cycle;
enum weir_role		 weir_role = ROLE_MASTER;
unsigned		 weir_worker, weir_workers = 1;
bool			 weir_retiring;

static unsigned		 generations;

/*
 * Paths and the first log.
 */

/* Absolute, so that it means the same to the next master. */
static const char *
absolute(struct weir_pool *pool, const char *dir, const char *path)
{
	char cwd[4096];

	if (path[0] == '/')
		return pool_cstr(pool, str_c(path));
	if (dir == NULL) {
		if (getcwd(cwd, sizeof(cwd)) == NULL)
			return pool_cstr(pool, str_c(path));
		dir = pool_printf(pool, "%s/", cwd).p;
	}
	return pool_cstr(pool, pool_printf(pool, "%s%s", dir, path));
}

static struct weir_log_file *
first_log(struct weir_pool *pool, const char *prefix, const char *path)
{
	struct weir_log_file *f;

	if (strcmp(path, "stderr") == 0)
		return log_file(NULL);
	path = absolute(pool, prefix, path);
	if ((f = log_file(path)) == NULL) {
		fprintf(stderr, "weir: [alert] could not open error log file: open() \"%s\" failed "
		    "(%d: %s)\n", path, errno, strerror(errno));
		return log_file(NULL);
	}
	return f;
}

void
load_prepare(struct load_from *to, const struct weir_options *o, struct weir_pool *pool)
{
	const char *prefix = absolute(pool, NULL, o->prefix != NULL ? o->prefix : WEIR_PREFIX);
	size_t	    n = strlen(prefix);

	if (n == 0 || prefix[n - 1] != '/')
		prefix = pool_cstr(pool, pool_printf(pool, "%s/", prefix));
	to->prefix = prefix;
	to->conf_path = absolute(pool, prefix, o->conf_path != NULL ? o->conf_path : WEIR_CONF_PATH);
	to->globals = o->globals != NULL ? pool_cstr(pool, str_c(o->globals)) : NULL;
	to->log = first_log(pool, prefix, o->error_log != NULL ? o->error_log : WEIR_ERROR_LOG_PATH);
	to->to_stderr = true;
	to->quiet = o->quiet;
}

/*
 * Reading.
 */

void
cycle_needs_dir(struct weir_conf *cf, struct weir_str path, bool write)
{
	struct weir_sandbox *s = &cycle_of(cf)->sandbox;

	/* Reading is allowed everywhere. */
	if (write)
		sandbox_allow_write(s, pool_cstr(cf->pool, path));
}

void
cycle_temp_dir(struct weir_conf *cf, struct weir_str path)
{
	struct weir_cycle	*c = cycle_of(cf);
	unsigned		 i;

	for (i = 0; i < c->temp_dirs.n; i++)
		if (str_eq(c->temp_dirs.v[i], path))
			return;
	*POOL_PUSH(cf->pool, &c->temp_dirs) = str_c(pool_cstr(cf->pool, path));
	cycle_needs_dir(cf, path, true);
}

static struct weir_conf *
conf_new(struct weir_cycle *c, const struct load_from *from, struct weir_log *log)
{
	struct weir_conf *cf = POOL_NEW(c->pool, weir_conf);
	const char	 *slash = strrchr(from->conf_path, '/');

	cf->pool = c->pool;
	cf->prefix = from->prefix;
	cf->conf_prefix = pool_cstr(c->pool,
	    str_of(from->conf_path, (size_t)(slash + 1 - from->conf_path)));
	cf->log = log;
	cf->to_stderr = from->to_stderr;
	cf->quiet = from->quiet;
	cf->cycle = c;
	cf->zones = c->zones;
	return cf;
}

struct weir_cycle *
cycle_load(const struct load_from *from, struct weir_log *log)
{
	struct weir_pool	*pool = pool_new(POOL_CHUNK_MAX);
	struct weir_cycle	*c = POOL_NEW(pool, weir_cycle);
	const struct core_main	*m;

	c->pool = pool;
	c->prefix = from->prefix;
	c->conf_path = from->conf_path;
	c->generation = ++generations;
	c->listeners.tail = &c->listeners.first;
	c->zones = zones_new(pool);
	sandbox_init(&c->sandbox, pool);
	sandbox_allow_system(&c->sandbox);
	sandbox_allow_read(&c->sandbox, "/");
	c->conf = conf_new(c, from, log);
	stats_declare(c->conf);
	/* Unless the configuration names others: core_conf.c, before any block looks at it. */
	log_add(c->pool, &c->log, from->log, LOG_ERROR_);
	if (conf_read(c->conf, from->conf_path, from->globals) != WEIR_OK ||
	    conf_bind(c->conf) != WEIR_OK) {
		pool_free(pool);
		return NULL;
	}
	c->main = c->conf->main;
	m = core_main_of(c);
	if (m->rlimit_core_set && m->working_dir.n > 0)
		sandbox_allow_write(&c->sandbox, m->working_dir.p);
	c->workers = m->c.workers > 0 ? (unsigned)m->c.workers : cpu_count();
	return c;
}

void
cycle_free(struct weir_cycle *c)
{
	assert(c != weir_cycle && c->children == 0);
	pool_free(c->pool);
}

/*
 * Opening.
 */

static int
make_dir(const struct core_main *m, const char *path, struct weir_log *log)
{
	struct stat st;

	if (mkdir(path, 0700) != 0 && errno != EEXIST) {
		log_at(log, LOG_EMERG_, errno, "mkdir() \"%s\" failed", path);
		return WEIR_FAIL;
	}
	if (geteuid() != 0)
		return WEIR_OK;
	if (lstat(path, &st) != 0) {
		log_at(log, LOG_EMERG_, errno, "stat() \"%s\" failed", path);
		return WEIR_FAIL;
	}
	if (st.st_uid != m->c.uid && lchown(path, m->c.uid, (gid_t)-1) != 0) {
		log_at(log, LOG_EMERG_, errno, "chown() \"%s\" failed", path);
		return WEIR_FAIL;
	}
	return WEIR_OK;
}

static int
make_dirs(struct weir_cycle *c, struct weir_log *log)
{
	unsigned i;

	for (i = 0; i < c->temp_dirs.n; i++)
		if (make_dir(core_main_of(c), c->temp_dirs.v[i].p, log) != WEIR_OK)
			return WEIR_FAIL;
	return WEIR_OK;
}

static uint64_t
sockets_needed(const struct weir_cycle *c)
{
	const struct weir_listen	*l;
	uint64_t			 n = 0;

	for (l = c->listeners.first; l != NULL; l = l->next)
		n += WEIR_MAX(l->n_fds, c->workers);
	return n;
}

static uint64_t
fds_needed(const struct weir_cycle *c)
{
	const struct weir_log_file	*f;
	uint64_t			 n = core_conf_of(c->main)->connections + SPARE_FDS + sockets_needed(c);

	for (f = log_files(); f != NULL; f = f->next)
		n++;
	return n;
}

/* A range of ports is easily written, and has a socket for each port and worker, which the master opens. */
static int
check_sockets(const struct weir_cycle *c, uint64_t limit, struct weir_log *log)
{
	uint64_t need = sockets_needed(c);

	if (limit_nofile() < need + SPARE_FDS)
		(void)!limit_nofile_set(need + SPARE_FDS);
	limit = WEIR_MIN(limit, limit_nofile());
	if (need < limit)
		return WEIR_OK;
	log_at(log, LOG_EMERG_, 0, "the addresses of listen need %llu descriptors, one for each worker, and %llu are allowed "
	    "(ulimit -n, worker_rlimit_nofile)", (unsigned long long)need, (unsigned long long)limit);
	return WEIR_FAIL;
}

/* The operator's limit counts, even when it is too low for the operator's number of connections. */
static int
check_given_limit(const struct weir_cycle *c, uint64_t limit, struct weir_log *log)
{
	const struct weir_core_conf *cc = core_conf_of(c->main);

	if (geteuid() != 0 && limit > limit_nofile_hard()) {
		log_at(log, LOG_EMERG_, 0, "worker_rlimit_nofile %llu is more than the hard limit of "
		    "%llu that the system sets", (unsigned long long)limit,
		    (unsigned long long)limit_nofile_hard());
		return WEIR_FAIL;
	}
	if (cc->connections > limit)
		log_at(log, LOG_WARN_, 0, "%llu worker_connections are more than "
		    "worker_rlimit_nofile %llu allows", (unsigned long long)cc->connections,
		    (unsigned long long)limit);
	return check_sockets(c, limit, log);
}

/* Workers inherit what is raised here. */
static int
check_fds(const struct weir_cycle *c, struct weir_log *log)
{
	const struct core_main	*m = core_main_of(c);
	uint64_t		 need = fds_needed(c);

	if (m->c.nofile > 0)
		return check_given_limit(c, (uint64_t)m->c.nofile, log);
	if (limit_nofile() >= need || limit_nofile_set(need) == WEIR_OK)
		return WEIR_OK;
	if (limit_nofile() < limit_nofile_hard())
		(void)!limit_nofile_set(limit_nofile_hard());
	if (limit_nofile() >= need)
		return WEIR_OK;
	if (check_sockets(c, limit_nofile(), log) != WEIR_OK)
		return WEIR_FAIL;
	log_at(log, m->connections_set ? LOG_EMERG_ : LOG_WARN_, 0,
	    "%llu worker_connections need %llu descriptors, and the system allows %llu (ulimit -n)",
	    (unsigned long long)m->c.connections, (unsigned long long)need,
	    (unsigned long long)limit_nofile());
	return m->connections_set ? WEIR_FAIL : WEIR_OK;
}

int
cycle_open(struct weir_cycle *c, struct weir_cycle *old, struct weir_log *log)
{
	if (make_dirs(c, log) != WEIR_OK || check_fds(c, log) != WEIR_OK ||
	    zones_open(c->zones, old != NULL ? old->zones : NULL, log) != WEIR_OK)
		return WEIR_FAIL;
	return listen_open(&c->listeners, old != NULL ? &old->listeners : NULL, c->workers, log);
}

int
cycle_try(struct weir_cycle *c, struct weir_log *log)
{
	if (make_dirs(c, log) != WEIR_OK || check_fds(c, log) != WEIR_OK ||
	    zones_open(c->zones, NULL, log) != WEIR_OK)
		return WEIR_FAIL;
	return listen_probe(&c->listeners, log);
}

/* The time zone stays, because log lines have it; and under test what directs the sanitizers. */
void
cycle_environment(struct weir_cycle *c, struct weir_pool *pool, const char *const *more)
{
	static const char *const always[] = {
		"TZ",
#if WEIR_ASAN
		"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS",
#endif
	};
	const struct core_main	 *m = core_main_of(c);
	const char		**all = pool_alloc(pool,
	    (WEIR_COUNT(always) + m->env.n + ENV_MORE) * sizeof(*all));
	size_t			  n = m->env.n;

	/* Of two of the same name getenv(3) sees the first. */
	if (n > 0)
		memcpy(all, m->env.v, n * sizeof(*all));
	memcpy(all + n, always, sizeof(always));
	n += WEIR_COUNT(always);
	for (; more != NULL && *more != NULL; more++) {
		assert(n < WEIR_COUNT(always) + m->env.n + ENV_MORE);
		all[n++] = *more;
	}
	env_keep(pool, all, n);
}
