/*
 * core_conf.h - what the directives of module `core` say, for this room.
 */
#ifndef WEIR_PROC_CORE_CONF_H
#define WEIR_PROC_CORE_CONF_H

#include <sched.h>

#include "core/net/netset.h"
#include "core/os/user.h"
#include "core/proc/cycle.h"

/* Begins with what other rooms know. */
struct core_main {
	struct weir_core_conf c;
	bool		 connections_set;	/* the operator said how many, so it matters */
	bool		 user_set;
	struct weir_user who;			/* whom workers become */
	struct core_log	 log;			/* error_log */
	int64_t		 priority;
	uint64_t	 rlimit_core;
	bool		 rlimit_core_set;
	bool		 affinity_auto;
	struct { cpu_set_t *v; unsigned n, room; } cpus;
	struct { const char **v; unsigned n, room; } env;	/* NAME and NAME=value */
	struct weir_netset debug_nets;
	struct weir_str	 working_dir;
};

extern const struct weir_module core_module;

static inline const struct core_main *
core_main_of(const struct weir_cycle *c)
{
	return conf_of(c->main, &core_module);
}

#endif
