/*
 * core_conf.c - module `core`: the directives of the processes themselves.
 */
#include <unistd.h>

#include "config.h"

#include "core/net/syslog.h"
#include "core/os/limit.h"
#include "core/proc/core_conf.h"
#include "core/proc/stats.h"
#include "core/sess/regex.h"

static unsigned core_index;

const struct weir_core_conf *
core_conf_of(const struct weir_scope *main)
{
	return conf_of(main, &core_module);
}

const struct weir_core_conf *
core_conf(void)
{
	return core_conf_of(weir_cycle->main);
}

/*
 * Processes.
 */

static int
set_workers(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct core_main	*m = conf;
	uint64_t		 v;

	(void)s;
	if (str_eq(n->w[1].s, STR("auto"))) {
		m->c.workers = 0;
		return WEIR_OK;
	}
	if (conf_u64(cf, n, 1, n->w[1].s, 1, 1024, &v) != WEIR_OK)
		return WEIR_FAIL;
	m->c.workers = (int64_t)v;
	return WEIR_OK;
}

static int
no_user(struct weir_conf *cf, struct weir_node *n, unsigned w, const char *user, const char *group)
{
	const char *why = errno != 0 ? strerror(errno) : "no such user or group";

	return conf_error(cf, n, w, "cannot find \"%s%s%s\": %s", user, group != NULL ? " " : "",
	    group != NULL ? group : "", why);
}

static void
use_user(struct core_main *m)
{
	m->c.user = str_c(m->who.name);
	m->c.uid = m->who.uid;
	m->c.gid = m->who.gid;
}

/* Without a group it is the user's own. */
static int
set_user(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct core_main	*m = conf;
	const char		*user = n->w[1].s.p;
	const char		*group = n->n > 2 ? n->w[2].s.p : NULL;

	(void)s;
	if (geteuid() != 0)
		return conf_warn(cf, n, 0, "ignored: only a master that runs as root can change "
		    "the user of its workers");
	if (user_find(&m->who, user, group) != WEIR_OK)
		return no_user(cf, n, 1, user, group);
	m->user_set = true;
	return WEIR_OK;
}

static int
settle_user(struct weir_conf *cf, struct core_main *m)
{
	if (geteuid() != 0) {
		m->who.uid = geteuid();
		m->who.gid = getegid();
	} else if (!m->user_set && user_find(&m->who, WEIR_USER, WEIR_GROUP) != WEIR_OK)
		return no_user(cf, NULL, 0, WEIR_USER, WEIR_GROUP);
	use_user(m);
	return WEIR_OK;
}

static int
set_rlimit_core(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)cf, (void)s, (void)n;
	((struct core_main *)conf)->rlimit_core_set = true;
	return WEIR_OK;
}

static int
set_affinity(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct core_main	*m = conf;
	cpu_set_t		 set;
	unsigned		 w = 1;

	(void)s;
	m->affinity_auto = str_eq(n->w[1].s, STR("auto"));
	if (m->affinity_auto) {
		if (n->n > 3)
			return conf_error(cf, n, 3, "\"auto\" takes one mask at most");
		w = 2;
	}
	for (; w < n->n; w++) {
		if (cpu_mask_read(n->w[w].s, &set) != WEIR_OK)
			return conf_error(cf, n, w, "a mask is made of 0 and 1, and has a 1");
		*POOL_PUSH(cf->pool, &m->cpus) = set;
	}
	return WEIR_OK;
}

static int
set_env(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct core_main *m = conf;

	(void)s;
	if (n->w[1].s.n == 0 || n->w[1].s.p[0] == '=')
		return conf_error(cf, n, 1, "the variable has no name");
	*POOL_PUSH(cf->pool, &m->env) = n->w[1].s.p;
	return WEIR_OK;
}

static int
set_load_module(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s, (void)conf;
	return conf_error(cf, n, 1, "weir's modules are part of the binary (see weir -V): leave the line out");
}

/*
 * error_log.
 */

static int
read_level(struct weir_conf *cf, struct weir_node *n, unsigned w, enum weir_level *to)
{
	static const char *const levels[] = {
		"debug", "info", "notice", "warn", "error", "crit", "alert", "emerg",
	};
	const char *near;

	if (log_level(n->w[w].s, to) == WEIR_OK)
		return WEIR_OK;
	near = conf_nearest(n->w[w].s, levels, WEIR_COUNT(levels));
	return conf_error(cf, n, w, "there is no log level \"%.*s\"%s%s%s", STR_ARG(n->w[w].s),
	    near != NULL ? ", did you mean \"" : "", near != NULL ? near : "",
	    near != NULL ? "\"?" : "");
}

static int
read_format(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_str word, bool *json)
{
	*json = str_eq(word, STR("json"));
	if (*json || str_eq(word, STR("text")))
		return WEIR_OK;
	return conf_error(cf, n, w, "the format of an error log is text or json, not \"%.*s\"",
	    STR_ARG(word));
}

/* Word 1, with what the others said. */
static int
add_log(struct weir_conf *cf, struct weir_node *n, struct weir_log *to, enum weir_level level,
    bool json)
{
	struct weir_str		 w = n->w[1].s, path = w;
	struct weir_log_file	*f;
	struct weir_syslog	*y;

	if (str_begins(w, STR("memory:")))
		return conf_error(cf, n, 1, "weir keeps no log in memory; name a file, stderr or syslog");
	if (is_syslog(w)) {
		if ((y = syslog_read(cf, n, 1)) == NULL)
			return WEIR_FAIL;
		syslog_add(cf->pool, to, y, level, json);
		return WEIR_OK;
	}
	if (str_eq(w, STR("stderr")))
		path = STR_NONE;
	else
		path = conf_path(cf, w, false);
	if ((f = log_file_for(cf->pool, path.p)) == NULL)
		return conf_error(cf, n, 1, "open() \"%s\" failed (%d: %s)", path.p, errno,
		    strerror(errno));
	log_add(cf->pool, to, f, level)->json = json;
	return WEIR_OK;
}

int
core_set_error_log(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n,
    struct core_log *to)
{
	enum weir_level	level = LOG_ERROR_;
	struct weir_str	word;
	bool		json = false, level_given = false;
	unsigned	w;

	for (w = 2; w < n->n; w++) {
		if (conf_param(n, w, "format", &word)) {
			if (read_format(cf, n, w, word, &json) != WEIR_OK)
				return WEIR_FAIL;
		} else if (level_given)
			return conf_error(cf, n, w, "duplicate log level \"%.*s\"", STR_ARG(n->w[w].s));
		else if (read_level(cf, n, w, &level) != WEIR_OK)
			return WEIR_FAIL;
		else
			level_given = true;
	}
	if (to->scope != s)
		memset(to, 0, sizeof(*to));
	to->scope = s;
	return add_log(cf, n, &to->log, level, json);
}

static int
set_error_log(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	return core_set_error_log(cf, s, n, &((struct core_main *)conf)->log);
}

/*
 * events.
 */

/* The block has a struct of its own; the rest of the server reads the main one. */
static int
set_events(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct core_main	*m = conf;
	const struct core_main	*e;
	struct weir_scope	*block = conf_block(cf, s, n, IN_EVENTS, NULL);

	if (block == NULL)
		return WEIR_FAIL;
	e = conf_of(block, &core_module);
	m->c.connections = e->c.connections;
	m->c.multi_accept = e->c.multi_accept;
	m->c.udp_sessions = e->c.udp_sessions;
	m->connections_set = conf_set_here(block, &core_module, "worker_connections");
	m->debug_nets = e->debug_nets;
	netset_freeze(cf->pool, &m->debug_nets);
	return WEIR_OK;
}

static int
set_use(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s, (void)conf;
	if (!str_eq(n->w[1].s, STR("epoll")))
		return conf_error(cf, n, 1, "weir waits for events with \"epoll\" and with nothing else");
	return WEIR_OK;
}

static int
set_accept_mutex(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	bool on;

	(void)s, (void)conf;
	if (conf_flag(cf, n, 1, n->w[1].s, &on) != WEIR_OK)
		return WEIR_FAIL;
	if (on)
		return conf_warn(cf, n, 1, "weir does not need it: each worker has its own sockets");
	return WEIR_OK;
}

static int
check_pid(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s;
	return conf_no_folder(cf, n, ((struct core_main *)conf)->c.pid);
}

static int
check_working(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)s;
	return conf_folder(cf, n, ((struct core_main *)conf)->working_dir);
}

static void
add_addr(struct weir_pool *pool, struct weir_netset *to, const struct weir_addr *a)
{
	struct weir_str		bytes = addr_bytes(a);
	struct weir_cidr	net = { .len = (uint8_t)bytes.n, .bits = (uint8_t)(8 * bytes.n) };

	memcpy(net.bytes, bytes.p, bytes.n);
	netset_add(pool, to, &net, 0);
}

static int
set_debug_connection(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_netset	*to = &((struct core_main *)conf)->debug_nets;
	struct weir_str		 word = n->w[1].s;
	struct weir_cidr	 net;
	struct weir_addr	*a;
	const char		*err;
	unsigned		 found;

	(void)s;
	if (str_eq(word, STR("unix:"))) {
		netset_add_unix(to, 0);
		return WEIR_OK;
	}
	if (cidr_parse(word, &net, NULL) == WEIR_OK) {
		netset_add(cf->pool, to, &net, 0);
		return WEIR_OK;
	}
	if (str_chr(word, '/') >= 0)
		return conf_error(cf, n, 1, "\"%.*s\" is no network", STR_ARG(word));
	a = addr_lookup(cf->pool, word, 0, &found, &err);
	if (a == NULL)
		return conf_error(cf, n, 1, "%s in \"%.*s\"", err, STR_ARG(word));
	for (; found > 0; found--, a++)
		add_addr(cf->pool, to, a);
	return WEIR_OK;
}

bool
core_debug_peer(const struct weir_addr *a)
{
	const struct core_main *m = core_main_of(weir_cycle);

	return !netset_is_empty(&m->debug_nets) && netset_find(&m->debug_nets, a) != NETSET_NONE;
}

void
core_debug_log(struct weir_log *l, struct weir_pool *pool)
{
	const struct weir_log_out *o = l->outs;

	for (l->outs = NULL; o != NULL; o = o->next)
		log_add_like(pool, l, o, LOG_DEBUG_);
}

/* What syslog loses must be told somewhere: where only it is named, the first log stays. */
static void
use_main_log(struct weir_conf *cf, struct weir_log *l)
{
	struct weir_log			*at = &cycle_of(cf)->log, first = *at;
	const struct weir_log_out	*o;
	bool				 file = false;

	for (o = l->outs; o != NULL; o = o->next)
		file |= o->file->send == NULL;
	*at = *l;
	if (!file)
		log_add_like(cf->pool, at, first.outs, LOG_ERROR_);
}

static int
ready(struct weir_conf *cf, struct weir_scope *s, void *conf)
{
	struct core_main *m = conf;

	if (s != cf->main)
		return WEIR_OK;
	/* Blocks come next: their logs begin as the main one, their regexes are compiled. */
	if (m->log.scope != NULL)
		use_main_log(cf, &m->log.log);
	regex_jit = m->c.pcre_jit;
	return settle_user(cf, conf);
}

#define AT(field)	.at = offsetof(struct core_main, field)

static const struct weir_cmd cmds[] = {
	{ "daemon", IN_MAIN, CONF_FLAG, AT(c.daemon), .def = "on",
	    .doc = "Whether weir goes to the background.  The command returns when every listener accepts." },
	{ "master_process", IN_MAIN, CONF_FLAG, AT(c.master), .def = "on",
	    .doc = "Whether a master starts workers.  Without one a single process serves; it keeps its "
	    "user, is not locked in and cannot reload.  For debugging." },
	{ "worker_processes", IN_MAIN, CONF_CUSTOM, .def = "1", .args_min = 1, .args_max = 1,
	    .set = set_workers, .args = "number | auto",
	    .doc = "How many workers serve.  auto: one for each processor that weir may use." },
	{ "worker_cpu_affinity", IN_MAIN, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY,
	    .set = set_affinity, .args = "mask ... | auto [mask]",
	    .doc = "Binds each worker to the processors of its mask; the last mask goes for all further workers.  "
	    "auto: one worker to one processor, of those in the mask." },
	{ "worker_priority", IN_MAIN, CONF_INT, AT(priority), .def = "0", .min = -20, .max = 19,
	    .doc = "The scheduling priority of workers, as of nice(1)." },
	{ "worker_rlimit_nofile", IN_MAIN, CONF_INT, AT(c.nofile), .min = 16, .max = 1 << 30,
	    .doc = "How many descriptors a worker may have open.  Not given: as many as worker_connections "
	    "needs, if the system lets weir raise the limit." },
	{ "worker_rlimit_core", IN_MAIN, CONF_SIZE, AT(rlimit_core), .set = set_rlimit_core,
	    .doc = "The largest core dump of a worker.  Only with it do workers dump core at all." },
	{ "worker_shutdown_timeout", IN_MAIN, CONF_MSEC, AT(c.shutdown_ms), .def = "0",
	    .doc = "How long a worker that retires lets requests and tunnels finish before it resets them.  "
	    "0: as long as they take." },
	{ "user", IN_MAIN, CONF_CUSTOM, .args_min = 1, .args_max = 2, .set = set_user,
	    .args = "user [group]",
	    .doc = "Whom workers and the keeper run as, when the master runs as root.  The group is "
	    "named like the user unless given." },
	{ "pid", IN_MAIN, CONF_PATH, AT(c.pid), .def = WEIR_PID_PATH, .set = check_pid,
	    .doc = "The file with the number of the master.  It is there when every listener accepts, and goes "
	    "when the master ends." },
	{ "working_directory", IN_MAIN, CONF_PATH, AT(working_dir), .set = check_working,
	    .doc = "The current folder of workers: where their core dumps go." },
	{ "env", IN_MAIN, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_env,
	    .flags = CONF_MULTI, .args = "name[=value]",
	    .doc = "A variable that workers and a new binary keep, or get.  All others but TZ are removed." },
	{ "error_log", IN_MAIN, CONF_CUSTOM, .args_min = 1, .args_max = 3, .set = set_error_log,
	    .flags = CONF_MULTI, .args = CORE_ERROR_LOG_ARGS,
	    .doc = "Where messages of this level (error) and graver ones go.  Levels: debug, info, notice, "
	    "warn, error, crit, alert, emerg.  Several may stand in one block.  format=json writes each as a JSON object: "
	    "time, level, pid, connection, message, errno, error, doing, request_id, client, server, request, "
	    "upstream, host, referrer; a value that is too long ends with \"...\", and then \"cut\" is true.  "
	    "syslog:server=address,facility=local7,tag=nginx,nohostname sends them to a syslog server, by default at "
	    "port 514; the address may be unix:/path.  The severity is that of each message.  If nothing but syslog is "
	    "named here, messages of level error also go to the default file, for what syslog loses is told there." },
	{ "pcre_jit", IN_MAIN, CONF_FLAG, AT(c.pcre_jit), .def = "on",
	    .doc = "Whether regular expressions are compiled to machine code.  Without it they are slower, "
	    "and no memory of weir is both written and run." },
	{ "load_module", IN_MAIN, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_load_module,
	    .flags = CONF_MULTI, .args = "file",
	    .doc = "Refused: modules are part of the binary." },
	{ "events", IN_MAIN, CONF_CUSTOM, .set = set_events, .flags = CONF_BLOCK,
	    .doc = "How connections are accepted." },
	{ "worker_connections", IN_EVENTS, CONF_INT, AT(c.connections), .def = "512", .min = 1,
	    .max = 1 << 28,
	    .doc = "How many connections a worker may have at the same time.  weir does not start when "
	    "it cannot have that many descriptors." },
	{ "multi_accept", IN_EVENTS, CONF_FLAG, AT(c.multi_accept), .def = "off",
	    .doc = "Whether a worker accepts everything that waits at once." },
	{ "udp_sessions", IN_EVENTS, CONF_INT, AT(c.udp_sessions), .min = 1, .max = 1 << 28,
	    .doc = "How many clients that send datagrams a worker may serve at the same time; half of worker_connections "
	    "unless it is said.  They count as connections, too.  When another comes, the one that was quiet for longest gives "
	    "way, rather one that has never answered an answer." },
	{ "use", IN_EVENTS, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_use, .args = "epoll",
	    .doc = "How weir waits for events: with epoll." },
	{ "accept_mutex", IN_EVENTS, CONF_CUSTOM, .args_min = 1, .args_max = 1,
	    .set = set_accept_mutex, .args = "on | off",
	    .doc = "Understood for the sake of old configurations: workers have sockets of their own, so there "
	    "is nothing to take turns for.  on: a warning says so." },
	{ "debug_connection", IN_EVENTS, CONF_CUSTOM, .args_min = 1, .args_max = 1,
	    .set = set_debug_connection, .flags = CONF_MULTI, .args = "address | network | name | unix:",
	    .doc = "Clients whose connections are logged at level debug." },
	{ 0 }
};

const struct weir_module core_module = {
	.name = "core",
	.index = &core_index,
	.conf_size = sizeof(struct core_main),
	.cmds = cmds,
	.ready = ready,
	.metrics = stats_rows,
	.doc = "The processes: how many there are, who they are, what they may use, and where they log.",
};
