/*
 * cycle.h - one generation of the server: its configuration and what it opened.
 *
 * Parse, bind, open; on any mistake nothing of the running generation was touched.
 */
#ifndef WEIR_PROC_CYCLE_H
#define WEIR_PROC_CYCLE_H

#include "core/conf/conf.h"
#include "core/net/conn.h"
#include "core/os/sandbox.h"
#include "core/proc/proc.h"
#include "core/shm/zone.h"

struct weir_cycle {
	struct weir_pool	*pool;
	struct weir_conf	*conf;
	struct weir_scope	*main;
	struct weir_log		 log;		/* main-level error_log */
	struct weir_listeners	 listeners;	/* filled by http and stream while binding */
	unsigned		 generation;
	const char		*prefix, *conf_path;
	unsigned		 workers;	/* processes that serve; 1 without a master */
	struct weir_sandbox	 sandbox;
	bool			 threads;	/* workers need offload(): cycle_needs_threads() */
	struct { struct weir_str *v; unsigned n, room; } temp_dirs;
	struct weir_keeper_job	*jobs;		/* keeper.h */
	struct weir_zones	*zones;		/* shared memory; conf->zones while binding */
	/* Only the master knows: */
	unsigned		 children;	/* processes that run it */
	struct weir_cycle	*next;		/* of those that wait for their processes to end */
};

/* The cycle that this process runs; NULL before the first. */
extern struct weir_cycle *weir_cycle;

static inline struct weir_cycle *
cycle_of(const struct weir_conf *cf)
{
	return cf->cycle;
}

/* Main-level configuration, module `core`. */
struct weir_core_conf {
	bool		 daemon, master;
	int64_t		 workers;		/* 0: auto */
	struct weir_str	 user, group;
	uid_t		 uid;
	gid_t		 gid;
	struct weir_str	 pid;
	uint64_t	 shutdown_ms;		/* worker_shutdown_timeout, 0: none */
	int64_t		 nofile;		/* worker_rlimit_nofile, 0: leave */
	/* events */
	uint64_t	 connections;
	int64_t		 udp_sessions;		/* 0: half as many */
	bool		 multi_accept;
	bool		 pcre_jit;		/* regular expressions are compiled to machine code */
	/* proc's own fields follow in proc/core_conf.c's struct */
};

/*
 * error_log, for any room that wants the directive in its blocks: the room keeps a core_log
 * in its struct and calls core_set_error_log() from its set().  The first error_log of
 * a block replaces what it inherited, others add to it.  `scope` NULL: none was written, the log
 * of the cycle is meant.
 */
struct core_log {
	struct weir_log		 log;
	const struct weir_scope	*scope;		/* where `log` was written */
};
#define CORE_ERROR_LOG_ARGS "file | stderr | syslog:parameters [level] [format=text|json]"
int	core_set_error_log(struct weir_conf *, struct weir_scope *, struct weir_node *,
	    struct core_log *);
/* Is this client one of debug_connection, so that its connection is logged at debug? */
bool	core_debug_peer(const struct weir_addr *);
/* Then this makes every output of its log take everything. */
void	core_debug_log(struct weir_log *, struct weir_pool *);

/* Of the cycle that this process runs. */
const struct weir_core_conf *core_conf(void);
const struct weir_core_conf *core_conf_of(const struct weir_scope *main);

/*
 * Which process this is.  In workers: slot is 0 .. workers-1.
 */
enum weir_role { ROLE_MASTER, ROLE_WORKER, ROLE_KEEPER, ROLE_SINGLE };
extern enum weir_role weir_role;
extern unsigned weir_worker, weir_workers;
/* The worker retires: it accepts nothing, answers with Connection: close, and ends when empty. */
extern bool weir_retiring;

/*
 * What all workers of all generations, and of the binary before, count, summed up: the counts of those that are
 * no more are kept, what they held (active, reading ...) is not.  `accept_stats` of this process
 * is one of the summands.
 */
void	stats_sum(struct weir_accept_stats *to);

/*
 * Rooms above declare in which folders workers will make, change or remove files: everywhere else
 * the sandbox forbids it.  Reading is allowed wherever the worker's user may.  Called while binding.
 */
void	cycle_needs_dir(struct weir_conf *, struct weir_str path, bool write);
/*
 * Something in this configuration will call offload().  Without this, workers cannot make threads.
 */
static inline void
cycle_needs_threads(const struct weir_conf *cf)
{
	cycle_of(cf)->threads = true;
}
/*
 * A folder that the master makes (0700, owned by the worker's user) before workers start:
 * client_body_temp_path and the like.  Writable inside the sandbox.
 */
void	cycle_temp_dir(struct weir_conf *, struct weir_str path);

#endif
